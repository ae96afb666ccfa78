//! A study of `tune` as one page: what was found, how the search went, what mattered, every trial.
//!
//! Pure like the page of a run, and with the same promises: no script, nothing loaded, every text made harmless.

use crate::number;
use crate::text::visible;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::fmt::Write as _;

const STYLE: &str = include_str!("page/style.css");
/// Nothing may be loaded and nothing may run, whatever a parameter is called.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 220.0;
const EDGE: f64 = 14.0;
/// Letters of a value that are shown.
const VALUE_WIDTH: usize = 200;
/// Trials that are listed; what a longer study holds besides is in its JSON.
const LISTED_MAX: usize = 1_000;

/// What the page shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StudySheet {
    /// What is tuned, in the user's words.
    pub title: String,
    /// The command.
    pub command: String,
    /// Whether smaller values are better.
    pub is_minimized: bool,
    /// Which method searched, and why.
    pub sampler: String,
    /// Why it ended; empty while it goes on.
    pub end: String,
    /// Seconds so far.
    pub seconds: f64,
    /// The best configuration, name and value.
    pub best: Option<(Vec<(String, String)>, f64)>,
    /// What the default gave.
    pub default: Option<f64>,
    /// How many times better the best is, side by side, with its interval and the number of pairs.
    pub ratio: Option<(f64, f64, f64, usize)>,
    /// Share of the variation that each parameter explains, 0 to 1.
    pub importances: Vec<(String, f64)>,
    /// With several goals: the trials that no other beats under every goal at once.
    pub front: Vec<StudyLine>,
    /// Every trial.
    pub trials: Vec<StudyLine>,
    /// What should be known.
    pub warnings: Vec<String>,
}

/// One trial.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StudyLine {
    /// Its number.
    pub number: u32,
    /// Its value.
    pub value: Option<f64>,
    /// `complete`, `failed`, …
    pub state: String,
    /// Whose idea it was.
    pub origin: String,
    /// The configuration on one line.
    pub params: String,
    /// Why it failed.
    pub note: String,
}

/// One self-contained page about a study.
pub fn study_page(sheet: &StudySheet) -> String {
    let title = if sheet.title.is_empty() { &sheet.command } else { &sheet.title };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(CONTENT_POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                @if sheet.end.is_empty() { meta http-equiv="refresh" content="3"; }
                title { (visible(title, 60)) " · Ansatz" }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                h1 { (visible(title, VALUE_WIDTH)) }
                p.soft { code { (visible(&sheet.command, VALUE_WIDTH)) } }
                (tiles(sheet))
                @for warning in &sheet.warnings { p.leak { (visible(warning, 2 * VALUE_WIDTH)) } }
                (found(sheet))
                (front(sheet))
                (course(sheet))
                (importances(sheet))
                (trials(sheet))
                footer { "Searched by " (visible(&sheet.sampler, VALUE_WIDTH)) "." }
            } }
        }
    }
    .into_string()
}

fn tiles(sheet: &StudySheet) -> Markup {
    let failed = sheet.trials.iter().filter(|trial| trial.state == "failed").count();
    html! {
        div.tiles {
            @if let Some((_, value)) = &sheet.best {
                div.tile { b { "best" } span.big { (number::score(*value)) } }
            }
            @if let Some(default) = sheet.default {
                div.tile { b { "default" } span.big { (number::score(default)) } }
            }
            @if let Some((middle, low, high, pairs)) = sheet.ratio {
                div.tile {
                    b { "side by side" } span.big { (number::fixed(middle, 2)) " ×" }
                    p.soft { "[" (number::fixed(low, 2)) ", " (number::fixed(high, 2)) "] over " (number::counted(pairs as u64, "pair", "pairs")) }
                }
            }
            div.tile {
                b { "trials" } span.big { (sheet.trials.len()) }
                p.soft { (failed) " failed · " (number::seconds(sheet.seconds)) @if !sheet.end.is_empty() { " · " (sheet.end) } }
            }
        }
    }
}

fn found(sheet: &StudySheet) -> Markup {
    let Some((params, _)) = &sheet.best else { return html! {} };
    html! {
        h2 { "The best configuration" }
        table { @for (name, value) in params {
            tr { td { (visible(name, VALUE_WIDTH)) } td.number { (visible(value, VALUE_WIDTH)) } }
        } }
    }
}

/// The trials between which only taste can choose.
fn front(sheet: &StudySheet) -> Markup {
    if sheet.front.is_empty() {
        return html! {};
    }
    html! {
        h2 { "The front" }
        p.soft { "No other trial is better than one of these under every goal." }
        div.scroll { table {
            tr { th.number { "trial" } th { "values" } th { "configuration" } }
            @for trial in sheet.front.iter().take(LISTED_MAX) {
                tr {
                    td.number { (trial.number) }
                    td { (visible(&trial.note, VALUE_WIDTH)) }
                    td { code { (visible(&trial.params, VALUE_WIDTH)) } }
                }
            }
        } }
    }
}

/// Values by trial, and the best so far as a line.
fn course(sheet: &StudySheet) -> Markup {
    let known: Vec<(f64, f64)> = sheet
        .trials
        .iter()
        .filter_map(|trial| Some((f64::from(trial.number), trial.value.filter(|value| value.is_finite())?)))
        .collect();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (_, value) in &known {
        (low, high) = (low.min(*value), high.max(*value));
    }
    if known.len() < 2 || high <= low {
        return html! {};
    }
    let last = known.iter().map(|(number, _)| *number).fold(1.0, f64::max);
    let x = |number: f64| EDGE + number / last * (WIDTH - 2.0 * EDGE);
    let y = |value: f64| HEIGHT - EDGE - (value - low) / (high - low) * (HEIGHT - 2.0 * EDGE);
    let mut best: Option<f64> = None;
    let mut line = String::new();
    for (number, value) in &known {
        let better = if sheet.is_minimized { f64::min } else { f64::max };
        let now = best.map_or(*value, |best| better(best, *value));
        if let Some(before) = best {
            let _ = write!(line, " L{:.1} {:.1}", x(*number), y(before));
        }
        let _ = write!(line, "{}{:.1} {:.1}", if best.is_none() { "M" } else { " L" }, x(*number), y(now));
        best = Some(now);
    }
    html! {
        h2 { "The search" }
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="values by trial, and the best so far" {
                @for (number, value) in &known {
                    circle.dot.other cx=(format!("{:.1}", x(*number))) cy=(format!("{:.1}", y(*value))) r="3" {}
                }
                path.mark d=(line) {}
            }
            figcaption {
                "From " (number::score(low)) " to " (number::score(high)) "; " (number::better(!sheet.is_minimized))
                ". The line is the best so far."
            }
        }
    }
}

fn importances(sheet: &StudySheet) -> Markup {
    if sheet.importances.is_empty() {
        return html! {};
    }
    html! {
        h2 { "What mattered" }
        table { @for (name, share) in &sheet.importances {
            tr {
                td { (visible(name, VALUE_WIDTH)) }
                td { progress max="1" value=(number::fixed(share.clamp(0.0, 1.0), 3)) {} }
                td.number { (number::fixed(100.0 * share, 0)) " %" }
            }
        } }
    }
}

fn trials(sheet: &StudySheet) -> Markup {
    let best = sheet.best.as_ref().map(|(_, value)| *value);
    html! {
        h2 { "Trials" }
        div.scroll { table {
            tr { th.number { "trial" } th.number { "value" } th { "whose idea" } th { "configuration" } }
            @for trial in sheet.trials.iter().take(LISTED_MAX) {
                tr.best[trial.value.is_some() && trial.value == best] {
                    td.number { (trial.number) }
                    td.number { @match trial.value { Some(value) => (number::score(value)), None => span.no { (trial.state) } } }
                    td { (visible(&trial.origin, 40)) }
                    td { code { (visible(&trial.params, VALUE_WIDTH)) } @if !trial.note.is_empty() { br; span.soft { (visible(&trial.note, VALUE_WIDTH)) } } }
                }
            }
        } }
        @if sheet.trials.len() > LISTED_MAX { p.soft { "The others are in result.json." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> StudySheet {
        let line = |number, value, state: &str| StudyLine {
            number,
            value,
            state: state.into(),
            origin: "tpe".into(),
            params: "x=<i>".into(),
            note: String::new(),
        };
        StudySheet {
            command: "./bench.sh <script>alert(1)</script>".into(),
            is_minimized: true,
            sampler: "tpe".into(),
            end: "done".into(),
            best: Some((vec![("x".into(), "3".into())], 1.5)),
            default: Some(2.0),
            ratio: Some((1.33, 1.2, 1.5, 3)),
            importances: vec![("x".into(), 0.75)],
            trials: vec![
                line(0, Some(2.0), "complete"),
                line(1, None, "failed"),
                line(2, Some(1.5), "complete"),
            ],
            ..StudySheet::default()
        }
    }

    #[test]
    fn everything_is_shown_and_nothing_from_outside_runs() {
        let page = study_page(&sheet());
        for expected in ["1.33 ×", "75 %", "best so far", "failed", "M14.0", "&lt;script&gt;"] {
            assert!(page.contains(expected), "{expected} is missing");
        }
        assert!(
            !page.contains("<script") && !page.contains("<i>") && !page.contains("http-equiv=\"refresh\"")
        );
    }

    #[test]
    fn the_front_of_several_goals_is_shown_and_no_best() {
        let line = StudyLine { number: 7, note: "loss 0.1, seconds 3".into(), ..StudyLine::default() };
        let page = study_page(&StudySheet { best: None, front: vec![line], ..sheet() });
        assert!(page.contains("The front") && page.contains("loss 0.1, seconds 3"));
        assert!(!page.contains("The best configuration") && !study_page(&sheet()).contains("The front"));
    }

    #[test]
    fn a_study_that_goes_on_is_read_again() {
        let page = study_page(&StudySheet { end: String::new(), ..sheet() });
        assert!(page.contains("http-equiv=\"refresh\""));
    }
}
