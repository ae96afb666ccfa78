//! What a language model contributed to a run: its bill beside the quote, its ideas beside what was measured.

use crate::board::Entry;
use crate::result::Ending;
use ansatz_agents::planner::{self, Idea};
use ansatz_core::bill::Quote;
use ansatz_core::candidate::Origin;
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
    let mut outcomes: Vec<IdeaOutcome> =
        ideas_of(plan).into_iter().map(|(step, idea)| outcome(&step, idea)).collect();
    outcomes.extend(advice(ending, plan, &delivered));
    Some(LlmSummary {
        model: ideas.council.name().to_owned(),
        quote: quote.compare(&bill, seconds),
        bill,
        ideas: outcomes,
    })
}

/// What came of configurations that the model proposed for searches, by solution.
fn advice(ending: &Ending<'_>, plan: &Plan, delivered: &[&Entry]) -> Vec<IdeaOutcome> {
    let is_tuned = |id: &StepId| plan.step(id).is_some_and(|step| step.kind == StepKind::Tune);
    let own = |entry: &Entry| entry.candidate.origin == Origin::Model && is_tuned(&entry.step);
    let mut solutions: Vec<&str> = Vec::new();
    for entry in ending.board.entries.values().filter(|entry| own(entry)) {
        let solution = entry.candidate.solution.name();
        if !solutions.contains(&solution) {
            solutions.push(solution);
        }
    }
    let outcome = |solution: &str| {
        let of = |entry: &Entry| own(entry) && entry.candidate.solution.name() == solution;
        let tried = ending.board.entries.values().filter(|entry| of(entry)).count();
        let ranking = ending.board.ranking(ending.scoring.direction());
        let best = ranking.into_iter().find(|entry| of(entry));
        let asked = ending.searched.ideas.as_ref();
        IdeaOutcome {
            name: format!("configurations of {solution}"),
            what: format!("{tried} tried beside those of the search"),
            predicted: asked.and_then(|ideas| ideas.advice.expected(solution)),
            measured: best.and_then(|entry| Some(entry.score()?.score)),
            lost: None,
            delivered: delivered.iter().any(|entry| of(entry)),
        }
    };
    solutions.into_iter().map(outcome).collect()
}

/// Whether a candidate comes from an idea: of its model step, of the search over its space, or a revision of it.
fn is_of(entry: &Entry, step: &StepId, idea: &Idea) -> bool {
    entry.step == *step || is_version(entry.candidate.solution.name(), &idea.name)
}

/// Whether a solution is an idea's own: its code as it was first written, a corrected version (`-v2`), or a revision (`-r1`).
pub fn is_version(solution: &str, idea: &str) -> bool {
    let is_numbered = |part: &str| {
        let number = part.strip_prefix(['r', 'v']);
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let rest = solution.strip_prefix(idea);
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix('-').is_some_and(|parts| parts.split('-').all(is_numbered))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_an_idea_are_known_by_their_names() {
        for own in ["ranks", "ranks-v2", "ranks-r1", "ranks-v2-r13"] {
            assert!(is_version(own, "ranks"), "{own}");
        }
        for other in ["ranks-2", "ranks-rows", "ranks-r", "ranks-vast-r1", "club-ranks", "rank"] {
            assert!(!is_version(other, "ranks"), "{other}");
        }
    }
}
