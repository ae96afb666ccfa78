//! The checks that make a list of steps a plan. The first fault found is reported; order of checks: ids, shares,
//! inputs, cycles, kinds.

use crate::error::{ID_CHARACTERS_MAX, PlanError, PlanErrorKind};
use crate::graph::StepGraph;
use crate::step::{Step, StepKind};
use ansatz_core::ids::StepId;
use std::collections::{BTreeMap, BTreeSet};

/// Rounding errors of adding many shares are forgiven up to this much.
pub(crate) const SHARE_TOLERANCE: f64 = 1e-9;

/// The steps in an order that respects the inputs, or why they are no plan.
pub(crate) fn into_order(steps: Vec<Step>) -> Result<Vec<Step>, PlanError> {
    if steps.is_empty() {
        return Err(PlanError::whole(PlanErrorKind::Empty));
    }
    let positions = positions(&steps)?;
    check_shares(&steps)?;
    let inputs = input_positions(&steps, &positions)?;
    let order = StepGraph::new(&inputs).order().map_err(|cycle| {
        let ids: Vec<StepId> = cycle.iter().map(|&step| steps[step].id.clone()).collect();
        PlanError { step: ids.first().cloned(), kind: PlanErrorKind::Cycle(ids) }
    })?;
    check_kinds(&steps, &inputs)?;
    check_single(&steps)?;
    let mut slots: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|step| slots[step].take()).collect())
}

fn positions(steps: &[Step]) -> Result<BTreeMap<StepId, usize>, PlanError> {
    let mut positions = BTreeMap::new();
    for (position, step) in steps.iter().enumerate() {
        let text = step.id.as_str();
        if text.is_empty() || text.chars().count() > ID_CHARACTERS_MAX || text.contains(char::is_control) {
            return Err(PlanError::at(&step.id, PlanErrorKind::BadId));
        }
        if positions.insert(step.id.clone(), position).is_some() {
            return Err(PlanError::at(&step.id, PlanErrorKind::DuplicateId));
        }
    }
    Ok(positions)
}

fn check_shares(steps: &[Step]) -> Result<(), PlanError> {
    if let Some(step) = steps.iter().find(|step| !(0.0..=1.0).contains(&step.share)) {
        return Err(PlanError::at(&step.id, PlanErrorKind::BadShare(step.share)));
    }
    let sum: f64 = steps.iter().map(|step| step.share).sum();
    if sum > 0.0 && sum <= 1.0 + SHARE_TOLERANCE {
        Ok(())
    } else {
        Err(PlanError::whole(PlanErrorKind::ShareSum(sum)))
    }
}

fn input_positions(
    steps: &[Step],
    positions: &BTreeMap<StepId, usize>,
) -> Result<Vec<Vec<usize>>, PlanError> {
    steps
        .iter()
        .map(|step| {
            let mut seen = BTreeSet::new();
            step.inputs
                .iter()
                .map(|input| {
                    if !seen.insert(input) {
                        return Err(PlanError::at(&step.id, PlanErrorKind::RepeatedInput(input.clone())));
                    }
                    positions.get(input).copied().ok_or_else(|| {
                        let nearest = nearest(input.as_str(), positions.keys().map(StepId::as_str));
                        let kind = PlanErrorKind::MissingInput {
                            input: input.clone(),
                            nearest: nearest.map(StepId::new),
                        };
                        PlanError::at(&step.id, kind)
                    })
                })
                .collect()
        })
        .collect()
}

fn check_kinds(steps: &[Step], inputs: &[Vec<usize>]) -> Result<(), PlanError> {
    for (step, inputs) in steps.iter().zip(inputs) {
        let kind = step.kind;
        if let Some(wrong) =
            inputs.iter().map(|&input| &steps[input]).find(|input| !kind.may_follow(input.kind))
        {
            let kind = PlanErrorKind::WrongOrder { kind, input: wrong.id.clone(), input_kind: wrong.kind };
            return Err(PlanError::at(&step.id, kind));
        }
        if !has_needed_kind(kind, inputs.iter().map(|&input| steps[input].kind)) {
            return Err(PlanError::at(&step.id, PlanErrorKind::MissingInputKind { kind }));
        }
    }
    Ok(())
}

/// Whether inputs of these kinds are enough for a step of kind `kind` to start. A step that continues one of its
/// own kind (features on features, a tune after a tune) has what it needs through that one.
pub(crate) fn has_needed_kind(kind: StepKind, inputs: impl IntoIterator<Item = StepKind>) -> bool {
    let needed = kind.needs_one_of();
    needed.is_empty() || inputs.into_iter().any(|input| input == kind || needed.contains(&input))
}

fn check_single(steps: &[Step]) -> Result<(), PlanError> {
    for kind in StepKind::ALL.into_iter().filter(|kind| kind.is_single()) {
        let mut of_kind = steps.iter().filter(|step| step.kind == kind);
        if let (Some(first), Some(second)) = (of_kind.next(), of_kind.next()) {
            let kind = PlanErrorKind::SecondOfKind { kind, first: first.id.clone() };
            return Err(PlanError::at(&second.id, kind));
        }
    }
    Ok(())
}

/// The candidate with the fewest single-character edits to `name`, unless even that shares nearly nothing with it.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| {
            *distance < name.chars().count().max(candidate.chars().count()).div_ceil(2) + 1
        })
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance: insertions, deletions and replacements of characters.
pub(crate) fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
