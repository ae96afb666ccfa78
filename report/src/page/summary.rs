//! The top of the page: what was asked, what was dropped as a leak, how good the outcome is.

use super::{Sheet, named, shown};
use crate::headline;
use crate::live::Phase;
use crate::number::{arrow, better, count, fixed, metric, score, seconds};
use ansatz_core::outcome::RunStatus;
use maud::{Markup, html};

/// Leaks shown one by one above everything else.
const LEAKS_SHOWN_MAX: usize = 12;

/// Name, status, task.
pub(super) fn header(sheet: &Sheet) -> Markup {
    let (label, kind) = match sheet.result.map(|result| result.status) {
        None => (sheet.live.phase.name(), ""),
        Some(status @ RunStatus::Succeeded) => (headline::status(status), "good"),
        Some(status @ RunStatus::Failed) => (headline::status(status), "bad"),
        Some(status) => (headline::status(status), "warn"),
    };
    let task =
        sheet.headline.as_ref().and_then(|headline| headline.task.clone()).or_else(|| live_task(sheet));
    html! {
        header {
            h1 { (sheet.name()) " " span.pill.(kind) { (label) } }
            @if let Some(task) = task { p { bdi { (task) } } }
            @if let Some(request) = sheet.live.task.as_ref().map(|task| task.request.trim()).filter(|text| !text.is_empty()) {
                details { summary { "in the words of the task" } p.soft { bdi { (shown(request)) } } }
            }
        }
    }
}

fn live_task(sheet: &Sheet) -> Option<String> {
    let task = sheet.live.task.as_ref()?;
    let target = crate::text::name(&task.target);
    let higher = sheet.live.higher_is_better();
    Some(format!("predict {target}, scored by {}, {}", metric(&task.metric.name), better(higher)))
}

/// The loudest thing on the page: columns that give the answer away.
pub(super) fn leaks(sheet: &Sheet) -> Markup {
    let all = match sheet.result {
        Some(result) => &result.dropped,
        None => &sheet.live.dropped,
    };
    let leaks: Vec<_> = all.iter().filter(|column| headline::is_leak(column)).collect();
    html! {
        @for column in leaks.iter().take(LEAKS_SHOWN_MAX) {
            p.leak { strong { "Leak dropped: " } (named(&column.column)) " " bdi { (shown(&column.evidence)) } }
        }
        @if leaks.len() > LEAKS_SHOWN_MAX {
            p.leak { strong { (count((leaks.len() - LEAKS_SHOWN_MAX) as u64)) " more leaks dropped" } ": see the table of columns below." }
        }
    }
}

/// The key figures of a finished run.
pub(super) fn tiles(sheet: &Sheet) -> Markup {
    let (Some(result), Some(headline)) = (sheet.result, sheet.headline.as_ref()) else { return html! {} };
    let digits = headline::digits(result);
    let higher = sheet.higher_is_better();
    let name = result.task.as_ref().map_or_else(|| "score".into(), |task| metric(&task.metric));
    let big = match (&result.holdout, &result.validation) {
        (Some(holdout), _) => Some(fixed(holdout.score, digits)),
        (None, Some(validation)) => Some(score(validation.score)),
        (None, None) => None,
    };
    let lines = [
        ("against the reference", &headline.lift),
        ("to expect", &headline.expected),
        ("worth continuing?", &headline.continuing),
        ("delivered", &headline.delivered),
    ];
    html! {
        section.tiles {
            @if let (Some(big), Some(sentence)) = (big, &headline.score) {
                .tile { b { (name) } .big { (big) " " (arrow(higher)) } span.soft { (sentence) } }
            }
            @for (label, text) in lines {
                @if let Some(text) = text { .tile { b { (label) } bdi { (text) } } }
            }
            .tile { b { "spent" } (headline.spent) }
        }
    }
}

/// Where a run stands that is not over.
pub(super) fn progress(sheet: &Sheet) -> Markup {
    let live = sheet.live;
    let elapsed = live.spent.wall_s;
    let wall = live.budget.wall.map(|wall| wall.as_secs_f64());
    let left = wall.map(|wall| (wall - elapsed).max(0.0));
    let leader = live.incumbent.and_then(|(id, score)| Some((live.candidates.get(&id)?, score)));
    html! {
        section {
            @if let Some(wall) = wall.filter(|_| live.phase != Phase::Finished) {
                progress max=(fixed(wall, 1).replace(',', "")) value=(fixed(elapsed.min(wall), 1).replace(',', "")) {}
            }
            .tiles {
                .tile {
                    b { "time" } .big { (seconds(elapsed)) }
                    @if let Some(left) = left { span.soft { (seconds(left)) " left" } }
                }
                .tile {
                    b { "trials" } .big { (count(live.trials_finished.into())) }
                    span.soft {
                        (live.trials_running()) " running"
                        @if live.trials_failed > 0 { ", " (live.trials_failed) " failed" }
                        @if let Some(max) = live.budget.trials { ", at most " (count(max.into())) }
                    }
                }
                @if let Some((candidate, value)) = leader {
                    .tile {
                        b { "best so far" } .big { (score(value)) " " (arrow(live.higher_is_better())) }
                        span.soft { bdi { (shown(&candidate.name)) } ", on validation rows" }
                    }
                }
                @if let Some(first) = live.first_valid_s {
                    .tile { b { "first valid result" } .big { (seconds(first)) } span.soft { "after the start" } }
                }
            }
            @if live.cancelled { p { "Finishing with the best so far, as asked." } }
        }
    }
}
