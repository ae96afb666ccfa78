//! What a language model contributed to a run: its bill beside the quote, its ideas beside what was measured.

use crate::board::Entry;
use crate::result::Ending;
use ansatz_agents::planner::{self, Idea};
use ansatz_core::bill::Quote;
use ansatz_core::ids::StepId;
use ansatz_core::outcome::{IdeaOutcome, LlmSummary};
use ansatz_planner::{Plan, StepKind};

/// What the language model contributed; `None` where none was asked.
pub fn summary(ending: &Ending<'_>, plan: &Plan, quote: &Quote, seconds: f64) -> Option<LlmSummary> {
    let ideas = ending.searched.ideas.as_ref()?;
    let bill = ideas.council.bill();
    let direction = ending.scoring.direction();
    let members = ending.finished.choice.iter().flat_map(|choice| &choice.members);
    let delivered: Vec<_> = members.filter_map(|member| ending.board.entries.get(&member.id)).collect();
    let outcome = |step: &StepId, idea: Idea| {
        let own = |entry: &&Entry| is_of(entry, step, &idea);
        let best = ending.board.ranking(direction).into_iter().find(|entry| own(entry));
        IdeaOutcome {
            measured: best.and_then(|entry| Some(entry.score()?.score)),
            lost: ending.searched.lost.get(step).cloned(),
            delivered: delivered.iter().any(own),
            name: idea.name,
            what: idea.what,
            predicted: idea.predicted,
        }
    };
    Some(LlmSummary {
        model: ideas.council.name().to_owned(),
        quote: quote.compare(&bill, seconds),
        bill,
        ideas: ideas_of(plan).into_iter().map(|(step, idea)| outcome(&step, idea)).collect(),
    })
}

/// Whether a candidate comes from an idea: of its model step, of the search over its space, or a revision of it.
fn is_of(entry: &Entry, step: &StepId, idea: &Idea) -> bool {
    let solution = entry.candidate.solution.name();
    let rest = solution.strip_prefix(&idea.name);
    entry.step == *step
        || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("-r") || rest.starts_with("-v"))
}

/// Model steps with their ideas; the idea of code stands with its features step.
pub fn ideas_of(plan: &Plan) -> Vec<(StepId, Idea)> {
    let models = plan.steps().iter().filter(|step| step.kind == StepKind::Model);
    let found = models.filter_map(|step| {
        let own = planner::idea_of(step);
        let inputs = || step.inputs.iter().filter_map(|input| plan.step(input)).find_map(planner::idea_of);
        Some((step.id.clone(), own.or_else(inputs)?))
    });
    found.collect()
}
