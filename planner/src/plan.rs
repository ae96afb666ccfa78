//! A checked plan and the questions that a dispatcher asks it.

use crate::error::{PlanError, PlanErrorKind};
use crate::step::{Step, StepKind};
use crate::validate::{has_needed_kind, into_order};
use ansatz_core::ids::StepId;
use std::collections::{BTreeMap, BTreeSet};

/// A typed graph of steps that passed all checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In an order in which every step follows its inputs.
    steps: Vec<Step>,
}

/// Collects steps and checks them.
#[derive(Debug, Clone, Default)]
pub struct PlanBuilder {
    steps: Vec<Step>,
}

impl PlanBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a step; inputs may be added later.
    #[must_use]
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The plan.
    ///
    /// # Errors
    /// [`PlanError`] naming the first fault.
    pub fn build(self) -> Result<Plan, PlanError> {
        Plan::new(self.steps)
    }
}

impl Plan {
    /// A plan of these steps, in any order.
    ///
    /// # Errors
    /// [`PlanError`] naming the first fault.
    pub fn new(steps: Vec<Step>) -> Result<Self, PlanError> {
        into_order(steps).map(|steps| Self { steps })
    }

    /// Checks steps without making a plan of them.
    ///
    /// # Errors
    /// [`PlanError`] naming the first fault.
    pub fn validate(steps: &[Step]) -> Result<(), PlanError> {
        into_order(steps.to_vec()).map(drop)
    }

    /// All steps, in an order in which every step follows its inputs.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// All ids, in the same order.
    pub fn order(&self) -> Vec<StepId> {
        self.steps.iter().map(|step| step.id.clone()).collect()
    }

    /// The step of that id.
    pub fn step(&self, id: &StepId) -> Option<&Step> {
        self.steps.iter().find(|step| step.id == *id)
    }

    /// Steps that are not finished and whose inputs all are, in order. A step that is running is still among them:
    /// the caller knows what it has started.
    pub fn ready(&self, finished: &BTreeSet<StepId>) -> Vec<&Step> {
        self.steps
            .iter()
            .filter(|step| !finished.contains(&step.id))
            .filter(|step| step.inputs.iter().all(|input| finished.contains(input)))
            .collect()
    }

    /// Steps that name `id` among their inputs, in order.
    pub fn dependents(&self, id: &StepId) -> Vec<&Step> {
        self.steps.iter().filter(|step| step.inputs.contains(id)).collect()
    }

    /// The plan without one step and without what cannot run without it. Steps that gather (ensemble, verify,
    /// package, report) go on with fewer inputs while one of a needed kind is left. What remains shares the budget
    /// that the plan had.
    ///
    /// # Errors
    /// [`PlanErrorKind::UnknownStep`]; [`PlanErrorKind::NothingLeft`] when no step with a share remains.
    pub fn without(&self, id: &StepId) -> Result<Self, PlanError> {
        if self.step(id).is_none() {
            return Err(PlanError::at(id, PlanErrorKind::UnknownStep));
        }
        let (mut kept, _) = lose(self.steps.clone(), BTreeSet::from([id.clone()]));
        rescale(&mut kept, self.share_sum())
            .ok_or_else(|| PlanError::at(id, PlanErrorKind::NothingLeft))
            .and_then(|()| Self::new(kept))
    }

    /// Sum of all budget shares.
    pub fn share_sum(&self) -> f64 {
        self.steps.iter().map(|step| step.share).sum()
    }
}

/// The steps that can still run when `lost` are not there, without their lost inputs; and all that are lost then.
pub(crate) fn lose(mut steps: Vec<Step>, mut lost: BTreeSet<StepId>) -> (Vec<Step>, BTreeSet<StepId>) {
    let kinds: BTreeMap<StepId, StepKind> = steps.iter().map(|step| (step.id.clone(), step.kind)).collect();
    let can_run = |step: &Step, lost: &BTreeSet<StepId>| {
        let mut left = step.inputs.iter().filter(|input| !lost.contains(input)).peekable();
        let whole = left.clone().count() == step.inputs.len();
        let goes_on = step.kind.gathers() && left.peek().is_some();
        whole || (goes_on && has_needed_kind(step.kind, left.filter_map(|input| kinds.get(input).copied())))
    };
    loop {
        let before = lost.len();
        for step in &steps {
            if !can_run(step, &lost) {
                lost.insert(step.id.clone());
            }
        }
        if lost.len() == before {
            break;
        }
    }
    steps.retain(|step| !lost.contains(&step.id));
    for step in &mut steps {
        step.inputs.retain(|input| !lost.contains(input));
    }
    (steps, lost)
}

/// Multiplies all shares so that they add up to `target`; `None` when there is nothing to multiply.
pub(crate) fn rescale(steps: &mut [Step], target: f64) -> Option<()> {
    let sum: f64 = steps.iter().map(|step| step.share).sum();
    if sum <= 0.0 {
        return None;
    }
    // Equal sums are left alone, so that nothing is rounded without need.
    if sum != target {
        for step in steps {
            step.share = (step.share * (target / sum)).min(1.0);
        }
    }
    Some(())
}
