//! The search: how the leading score moved, and who stood where at the end.

use super::pictures::place_of;
use super::{Sheet, shown};
use crate::number::{arrow, count, score, seconds};
use ansatz_core::candidate::Origin;
use maud::{Markup, html};
use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 170.0;
const MARGIN: f64 = 62.0;

/// Lines of the leaderboard that are shown.
const ROWS_MAX: usize = 30;

/// Corners of the line of the leading score that are drawn.
const CORNERS_MAX: usize = 400;

/// The leading score over time, as a line of steps.
pub(super) fn history(sheet: &Sheet) -> Markup {
    let all: Vec<(f64, f64)> = sheet
        .live
        .history
        .iter()
        .copied()
        .filter(|(at, value)| at.is_finite() && value.is_finite())
        .collect();
    let history = &all[all.len().saturating_sub(CORNERS_MAX)..];
    let (Some(first), Some(last)) = (history.first(), history.last()) else { return html! {} };
    let values = || history.iter().map(|(_, value)| *value);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if history.len() < 2 || high <= low {
        return html! {};
    }
    let end =
        sheet.result.map_or(sheet.live.spent.wall_s, |result| result.budget.wall_s).max(last.0).max(0.1);
    let x = |at: f64| MARGIN + at / end * (WIDTH - MARGIN - 12.0);
    let y = |value: f64| 14.0 + (high - value) / (high - low) * (HEIGHT - 44.0);
    let mut path = format!("M{} {}", place_of(x(first.0)), place_of(y(first.1)));
    for (at, value) in &history[1..] {
        let _ = write!(path, " H{} V{}", place_of(x(*at)), place_of(y(*value)));
    }
    let _ = write!(path, " H{}", place_of(x(end)));
    html! {
        h2 { "How the search went" }
        figure {
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="best validation score over time" {
                line.axis x1=(MARGIN) x2=(WIDTH - 12.0) y1=(HEIGHT - 24.0) y2=(HEIGHT - 24.0) {}
                text.soft x="0" y=(y(high) + 4.0) { (score(high)) }
                text.soft x="0" y=(y(low) + 4.0) { (score(low)) }
                text.soft x=(MARGIN) y=(HEIGHT - 6.0) { "0s" }
                text.soft x=(WIDTH - 12.0) y=(HEIGHT - 6.0) text-anchor="end" { (seconds(end)) }
                path.mark d=(path) {}
                circle.dot cx=(place_of(x(last.0))) cy=(place_of(y(last.1))) r="4" {}
            }
            figcaption {
                "Best score on validation rows " (arrow(sheet.higher_is_better())) ": from " (score(first.1)) " after " (seconds(first.0))
                " to " (score(last.1)) " after " (seconds(last.0)) "."
            }
        }
    }
}

struct Line {
    name: String,
    origin: Origin,
    score: f64,
    seconds: f64,
}

/// Candidates by validation score.
pub(super) fn leaderboard(sheet: &Sheet) -> Markup {
    let lines: Vec<Line> = match sheet.result {
        Some(result) => result
            .leaderboard
            .iter()
            .map(|row| Line {
                name: row.candidate.clone(),
                origin: row.origin,
                score: row.score,
                seconds: row.seconds,
            })
            .collect(),
        None => sheet
            .live
            .ranking()
            .into_iter()
            .filter_map(|line| {
                Some(Line {
                    name: line.name.clone(),
                    origin: line.origin,
                    score: line.score?,
                    seconds: line.seconds,
                })
            })
            .collect(),
    };
    if lines.is_empty() {
        return html! {};
    }
    let delivered = sheet.result.and_then(|result| result.best.as_ref()).map(|best| best.candidate.as_str());
    html! {
        h2 { "Leaderboard" }
        .scroll { table {
            thead { tr {
                th.number { "#" } th { "candidate" } th { "idea from" }
                th.number { "validation score " (arrow(sheet.higher_is_better())) } th.number { "processor time" }
            } }
            tbody {
                @for (place, line) in lines.iter().take(ROWS_MAX).enumerate() {
                    tr.best[delivered == Some(line.name.as_str())] {
                        td.number { (place + 1) } td { bdi { (shown(&line.name)) } } td { (origin(line.origin)) }
                        td.number { (score(line.score)) } td.number { (seconds(line.seconds)) }
                    }
                }
            }
        } }
        @if lines.len() > ROWS_MAX {
            p.soft { (count((lines.len() - ROWS_MAX) as u64)) " more in " code { "result.json" } "." }
        }
    }
}

fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Playbook => "playbook",
        Origin::Baseline => "reference",
        Origin::Memory => "memory of earlier runs",
        Origin::Search => "search",
        Origin::Model => "language model",
        Origin::Ensemble => "combination",
    }
}
