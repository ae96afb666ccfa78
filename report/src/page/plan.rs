//! The plan as a drawing: one box per step, coloured by how it stands, and below it the reasons.

use super::pictures::place_of;
use super::{Sheet, shown};
use crate::live::StepState;
use crate::text;
use ansatz_core::ids::StepId;
use ansatz_planner::Plan;
use maud::{Markup, html};
use std::collections::BTreeMap;

const BOX_WIDTH: f64 = 132.0;
const BOX_HEIGHT: f64 = 40.0;
const GAP_X: f64 = 40.0;
const GAP_Y: f64 = 14.0;

/// Steps up to which a drawing is still a help.
const DRAWN_MAX: usize = 60;

/// Characters of a name that fit into a box.
const LABEL_WIDTH: usize = 18;

/// Drawing and list of steps; the list alone when the plan itself is not at hand.
pub(super) fn plan(sheet: &Sheet) -> Markup {
    let steps = &sheet.live.steps;
    if steps.is_empty() && sheet.plan.is_none() {
        return html! {};
    }
    let order: Vec<StepId> =
        sheet.plan.map_or_else(|| steps.iter().map(|(id, _)| id.clone()).collect(), Plan::order);
    let states: BTreeMap<&StepId, &StepState> = steps.iter().map(|(id, state)| (id, state)).collect();
    html! {
        h2 { "Plan" }
        @if let Some(plan) = sheet.plan.filter(|plan| plan.steps().len() <= DRAWN_MAX) { (drawing(plan, &states)) }
        details open[sheet.plan.is_none()] {
            summary { (order.len()) " steps" }
            ul {
                @for id in &order {
                    li {
                        bdi { (shown(id.as_str())) } " "
                        span.soft { (words(states.get(id).copied())) }
                        @if let Some(why) = sheet.plan.and_then(|plan| plan.step(id)).map(|step| step.why.as_str()).filter(|why| !why.is_empty()) {
                            br; span.soft { bdi { (shown(why)) } }
                        }
                    }
                }
            }
        }
    }
}

fn words(state: Option<&StepState>) -> String {
    match state {
        None | Some(StepState::Waiting) => "not run".into(),
        Some(StepState::Running) => "running".into(),
        Some(StepState::Finished) => "done".into(),
        Some(StepState::Failed(error)) => format!("failed: {}", shown(error)),
        Some(StepState::Skipped(reason)) => format!("skipped: {}", shown(reason)),
    }
}

fn class(state: Option<&&StepState>) -> &'static str {
    match state {
        None | Some(StepState::Waiting) => "waiting",
        Some(StepState::Running) => "running",
        Some(StepState::Finished) => "finished",
        Some(StepState::Failed(_)) => "failed",
        Some(StepState::Skipped(_)) => "skipped",
    }
}

/// Left upper corner of each step's box: a step stands one column right of the last of its inputs.
fn corners(plan: &Plan) -> BTreeMap<&StepId, (f64, f64)> {
    let mut columns: BTreeMap<&StepId, usize> = BTreeMap::new();
    let mut filled: Vec<usize> = Vec::new();
    let mut corners = BTreeMap::new();
    for step in plan.steps() {
        let column =
            step.inputs.iter().filter_map(|input| columns.get(input)).max().map_or(0, |last| last + 1);
        columns.insert(&step.id, column);
        if filled.len() <= column {
            filled.resize(column + 1, 0);
        }
        let corner =
            (column as f64 * (BOX_WIDTH + GAP_X) + 1.0, filled[column] as f64 * (BOX_HEIGHT + GAP_Y) + 1.0);
        filled[column] += 1;
        corners.insert(&step.id, corner);
    }
    corners
}

fn drawing(plan: &Plan, states: &BTreeMap<&StepId, &StepState>) -> Markup {
    let corners = corners(plan);
    let right = corners.values().map(|(x, _)| x + BOX_WIDTH).fold(0.0, f64::max) + 2.0;
    let bottom = corners.values().map(|(_, y)| y + BOX_HEIGHT).fold(0.0, f64::max) + 2.0;
    html! {
        figure {
            svg viewBox={ "0 0 " (right) " " (bottom) } width=(right) role="img" aria-label="the plan as a graph" {
                @for step in plan.steps() {
                    @for input in &step.inputs {
                        @if let (Some(from), Some(to)) = (corners.get(input), corners.get(&step.id)) { path.edge d=(curve(*from, *to)) {} }
                    }
                }
                @for step in plan.steps() {
                    @if let Some((x, y)) = corners.get(&step.id) {
                        g {
                            rect.node.(class(states.get(&step.id))) x=(x) y=(y) width=(BOX_WIDTH) height=(BOX_HEIGHT) rx="8" {}
                            text x=(x + 9.0) y=(y + 17.0) { (text::visible(step.id.as_str(), LABEL_WIDTH)) }
                            text.soft x=(x + 9.0) y=(y + 32.0) { (step.kind.name()) }
                            title { (shown(step.id.as_str())) ": " (words(states.get(&step.id).copied())) }
                        }
                    }
                }
            }
            figcaption { "Every box is a step; green is done, red failed, dashed was skipped. Results flow from left to right." }
        }
    }
}

fn curve(from: (f64, f64), to: (f64, f64)) -> String {
    let (x1, y1) = (from.0 + BOX_WIDTH, from.1 + BOX_HEIGHT / 2.0);
    let (x2, y2) = (to.0, to.1 + BOX_HEIGHT / 2.0);
    let bend = f64::midpoint(x1, x2).max(x1 + GAP_X / 2.0);
    let points = [x1, y1, bend, y1, bend, y2, x2, y2].map(place_of);
    let [x1, y1, a, b, c, d, x2, y2] = points;
    format!("M{x1} {y1} C{a} {b} {c} {d} {x2} {y2}")
}
