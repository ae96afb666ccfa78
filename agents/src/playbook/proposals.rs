//! Which configurations a model step tries: what memory knows first, then the portfolio's.

use super::plans::solution_of;
use super::portfolio::Portfolio;
use super::shape::DataShape;
use ansatz_core::candidate::{Origin, Params};
use ansatz_core::profile::Profile;
use ansatz_core::task::Task;
use ansatz_memory::WarmStart;
use ansatz_planner::{Step, StepKind};
use serde::{Deserialize, Serialize};

/// A candidate that is proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// A module of the worker's solutions.
    pub solution: String,
    /// Its parameters; what is missing has the default of the solution's space.
    pub params: Params,
    /// Who had the idea.
    pub origin: Origin,
    /// Why, for a person to read.
    pub why: String,
}

/// Remembered configurations that one model step tries at most: memory advises, it does not fill the budget.
const REMEMBERED_MAX: usize = 3;

/// What a model step tries, in order, without repetition; empty for steps of other kinds. Parameters that the step
/// itself fixes (`params` in its parameters) hold in every proposal. `seconds` are those of the run, none where trials are
/// counted.
pub fn proposals(
    step: &Step,
    task: &Task,
    profile: &Profile,
    warm: &[WarmStart],
    seconds: Option<u64>,
) -> Vec<Proposal> {
    let Some(solution) = solution_of(step).filter(|_| step.kind == StepKind::Model) else {
        return Vec::new();
    };
    let shape = DataShape::of(task, profile);
    let remembered =
        warm.iter().filter(|start| start.solution == solution).take(REMEMBERED_MAX).map(|start| Proposal {
            solution: solution.clone(),
            params: with_fixed(&start.params, step),
            origin: Origin::Memory,
            why: start.why.clone(),
        });
    let mut found: Vec<Proposal> = Vec::new();
    for proposal in remembered.chain(playbook_proposals(&solution, step, task, (&shape, seconds))) {
        if !found.iter().any(|known| known.params == proposal.params) {
            found.push(proposal);
        }
    }
    found
}

/// The parameter of every solution that says whether it gets the columns of further tables; true without it.
pub const JOINED: &str = "joined";

/// Proposals of which the first has a twin that leaves the columns of further tables out: whether they help is for the
/// referee to say. What memory knows of other tables says nothing about these.
pub fn both_ways(proposals: Vec<Proposal>) -> Vec<Proposal> {
    let mut found: Vec<Proposal> = Vec::new();
    for mut proposal in proposals {
        proposal.params.remove(JOINED);
        let twin = found.is_empty().then(|| {
            let mut twin = proposal.clone();
            twin.params.insert(JOINED.into(), false.into());
            twin.why.push_str(", without the columns of further tables");
            twin
        });
        found.push(proposal);
        found.extend(twin);
    }
    found
}

fn playbook_proposals(
    solution: &str,
    step: &Step,
    task: &Task,
    (shape, seconds): (&DataShape, Option<u64>),
) -> Vec<Proposal> {
    let propose = |params: &Params, why: String| Proposal {
        solution: solution.to_owned(),
        params: with_fixed(params, step),
        origin: Origin::Playbook,
        why,
    };
    let portfolio = Portfolio::built_in().within(seconds);
    let known = portfolio.configurations_for(solution, task.problem, shape);
    if known.is_empty() {
        return vec![propose(&Params::new(), "the solution's own defaults".into())];
    }
    let why = format!("the portfolio's choice for {} rows", shape.rows);
    known.into_iter().map(|configuration| propose(&configuration.params, why.clone())).collect()
}

fn with_fixed(params: &Params, step: &Step) -> Params {
    let fixed = step.params.get("params").and_then(serde_json::Value::as_object).into_iter().flatten();
    let mut params = params.clone();
    params.extend(fixed.map(|(name, value)| (name.clone(), value.clone())));
    params
}
