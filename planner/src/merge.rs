//! Several plans made one, with equal steps shared.
//!
//! Two steps are the same when kind, parameters and (merged) inputs are equal. Steps that gather (ensemble, verify,
//! package, report) are joined across plans by kind and parameters and take the inputs of all, for they are where
//! the plans' branches meet; package and report are joined whatever their parameters. No cycle can arise: inputs are of
//! an earlier kind, or of the same kind and then of a lower level, and only steps of one level are joined.

use crate::error::{ID_CHARACTERS_MAX, PlanError, PlanErrorKind};
use crate::plan::Plan;
use crate::step::{Step, StepKind};
use ansatz_core::ids::StepId;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What makes two steps of different plans the same.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Sameness {
    /// Kind, parameters as JSON text, merged inputs.
    Equal(StepKind, String, Vec<StepId>),
    /// Kind, parameters, level (how many steps of the same kind come before it), number among such steps of its plan.
    Joined(StepKind, String, usize, usize),
}

/// One plan that does what all of `plans` do. Shares are added and divided by the number of plans, asks are the
/// larger ones, reasons are joined, and what is mandatory in one plan is mandatory.
///
/// # Errors
/// [`PlanErrorKind::Empty`] without plans; [`PlanErrorKind::ConflictingParameter`] when the only package or report
/// step has a parameter with two values.
pub fn merge(plans: &[Plan]) -> Result<Plan, PlanError> {
    let mut merged = Merged::default();
    for plan in plans {
        merged.add(plan)?;
    }
    let mut steps = merged.steps;
    if plans.len() > 1 {
        for step in &mut steps {
            step.share /= plans.len() as f64;
        }
    }
    Plan::new(steps)
}

#[derive(Default)]
struct Merged {
    steps: Vec<Step>,
    place: BTreeMap<Sameness, usize>,
    ids: BTreeSet<StepId>,
}

impl Merged {
    fn add(&mut self, plan: &Plan) -> Result<(), PlanError> {
        let levels = levels(plan);
        let mut renamed: BTreeMap<&StepId, StepId> = BTreeMap::new();
        let mut numbers: BTreeMap<(StepKind, String, usize), usize> = BTreeMap::new();
        for step in plan.steps() {
            let mut inputs: Vec<StepId> = Vec::new();
            for input in step.inputs.iter().filter_map(|input| renamed.get(input)) {
                if !inputs.contains(input) {
                    inputs.push(input.clone());
                }
            }
            let level = levels.get(&step.id).copied().unwrap_or(0);
            let sameness = sameness(step, &inputs, level, &mut numbers);
            let place = match self.place.get(&sameness).copied() {
                Some(place) => {
                    join(&mut self.steps[place], step, inputs)?;
                    place
                }
                None => self.push(step, inputs, sameness),
            };
            renamed.insert(&step.id, self.steps[place].id.clone());
        }
        Ok(())
    }

    fn push(&mut self, step: &Step, inputs: Vec<StepId>, sameness: Sameness) -> usize {
        let id = self.free_id(&step.id);
        self.ids.insert(id.clone());
        self.steps.push(Step { id, inputs, ..step.clone() });
        let place = self.steps.len() - 1;
        self.place.insert(sameness, place);
        place
    }

    /// The id itself, or with the first number that makes it new.
    fn free_id(&self, id: &StepId) -> StepId {
        if !self.ids.contains(id) {
            return id.clone();
        }
        // Room for the number: the longest id stays an acceptable one.
        let stem: String = id.as_str().chars().take(ID_CHARACTERS_MAX - 6).collect();
        // One number more than there are steps cannot all be taken.
        (2..=self.ids.len() + 2)
            .map(|number| StepId::new(format!("{stem}-{number}")))
            .find(|id| !self.ids.contains(id))
            .unwrap_or_else(|| id.clone())
    }
}

/// For each step the number of steps of its own kind on the longest way to it.
fn levels(plan: &Plan) -> BTreeMap<StepId, usize> {
    let mut levels = BTreeMap::new();
    for step in plan.steps() {
        let below =
            step.inputs.iter().filter(|input| plan.step(input).is_some_and(|input| input.kind == step.kind));
        let level = below.filter_map(|input| levels.get(input)).max().map_or(0, |level| level + 1);
        levels.insert(step.id.clone(), level);
    }
    levels
}

fn sameness(
    step: &Step,
    inputs: &[StepId],
    level: usize,
    numbers: &mut BTreeMap<(StepKind, String, usize), usize>,
) -> Sameness {
    let params = if step.kind.is_single() { String::new() } else { params_text(&step.params) };
    if step.kind.gathers() {
        let number = numbers.entry((step.kind, params.clone(), level)).or_default();
        *number += 1;
        Sameness::Joined(step.kind, params, level, *number)
    } else {
        let mut inputs = inputs.to_vec();
        inputs.sort();
        Sameness::Equal(step.kind, params, inputs)
    }
}

/// Parameters as text; equal parameters give equal text because keys are sorted.
pub(crate) fn params_text(params: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = params.iter().collect();
    serde_json::to_string(&sorted).unwrap_or_default()
}

fn join(into: &mut Step, step: &Step, inputs: Vec<StepId>) -> Result<(), PlanError> {
    for input in inputs {
        if !into.inputs.contains(&input) {
            into.inputs.push(input);
        }
    }
    for (name, value) in &step.params {
        match into.params.get(name) {
            None => {
                into.params.insert(name.clone(), value.clone());
            }
            Some(known) if known == value => {}
            Some(_) => {
                let kind = PlanErrorKind::ConflictingParameter { kind: step.kind, parameter: name.clone() };
                return Err(PlanError::at(&into.id, kind));
            }
        }
    }
    into.ask = into.ask.max(step.ask);
    into.share += step.share;
    into.mandatory |= step.mandatory;
    if !step.why.is_empty() && !into.why.split("; ").any(|reason| reason == step.why) {
        if !into.why.is_empty() {
            into.why.push_str("; ");
        }
        into.why.push_str(&step.why);
    }
    Ok(())
}
