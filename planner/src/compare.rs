//! How many steps set two plans apart. Ids, reasons, shares and asks do not count: they change no result.

use crate::merge::params_text;
use crate::plan::Plan;
use crate::step::{Step, StepKind};
use std::collections::{BTreeMap, BTreeSet};

type Content = (StepKind, String);
type Counts<T> = BTreeMap<T, usize>;

/// Number of steps that differ. A step that only one plan has counts once, an exchanged step counts once (not once
/// per side), and a step that both have counts when it takes other inputs among the steps that both have. Steps
/// that differ only because something before them does are not counted.
pub fn differences(a: &Plan, b: &Plan) -> usize {
    let (contents_a, contents_b) = (contents(a), contents(b));
    let common = |step: &Step| contents_a.contains(&content(step)) && contents_b.contains(&content(step));
    let (wired_a, wired_b) = (wired(a, common), wired(b, common));
    let matched: usize =
        wired_a.iter().map(|(step, &times)| times.min(wired_b.get(step).copied().unwrap_or(0))).sum();
    a.steps().len().max(b.steps().len()) - matched
}

/// What a step does, its inputs aside.
fn content(step: &Step) -> Content {
    (step.kind, params_text(&step.params))
}

fn contents(plan: &Plan) -> BTreeSet<Content> {
    plan.steps().iter().map(content).collect()
}

/// How often the plan has each step that both plans have, with those of its inputs that both have.
fn wired(plan: &Plan, common: impl Fn(&Step) -> bool) -> Counts<(Content, Vec<Content>)> {
    let mut counts = Counts::new();
    for step in plan.steps().iter().filter(|step| common(step)) {
        let inputs = step.inputs.iter().filter_map(|input| plan.step(input)).filter(|input| common(input));
        let mut inputs: Vec<Content> = inputs.map(content).collect();
        inputs.sort();
        *counts.entry((content(step), inputs)).or_default() += 1;
    }
    counts
}
