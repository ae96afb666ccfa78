//! What second thoughts dropped: nothing of it is begun, written, mended, searched or revised any more. What was measured of it
//! stays.

use super::drafts::Draft;
use super::{Dispatcher, StepState};
use crate::board::State;
use crate::error::RunError;
use crate::minds;
use ansatz_agents::playbook::Proposal;
use ansatz_core::ids::StepId;
use std::collections::{BTreeMap, BTreeSet};

/// Why the steps of a dropped idea come to nothing.
pub(super) const WHY: &str = "its idea was dropped";

/// Names of ideas that were dropped.
#[derive(Debug, Clone, Default)]
pub struct Dropped(BTreeSet<String>);

impl Dropped {
    /// An idea is dropped.
    pub fn add(&mut self, idea: String) {
        self.0.insert(idea);
    }

    /// An idea is wanted after all.
    pub fn take_back(&mut self, idea: &str) {
        self.0.remove(idea);
    }

    /// Whether a solution is a version of a dropped idea.
    pub fn holds(&self, solution: &str) -> bool {
        self.0.iter().any(|idea| minds::is_version(solution, idea))
    }

    /// Whether a step belongs to a dropped idea.
    pub fn holds_step(&self, step: &StepId) -> bool {
        step.as_str().split_once(':').is_some_and(|(_, name)| self.0.contains(name))
    }

    /// Whether a proposal comes from a dropped idea.
    pub fn holds_proposal(&self, step: &StepId, proposal: &Proposal) -> bool {
        self.holds_step(step) || self.holds(&proposal.solution)
    }

    /// Ends the drafts of dropped ideas; gives their features steps with the model steps that wait for them.
    pub fn end_drafts(&self, drafts: &mut BTreeMap<StepId, Draft>) -> Vec<(StepId, StepId)> {
        let own = drafts.iter_mut().filter(|(_, draft)| self.0.contains(&draft.idea.name));
        let ended = own.map(|(features, draft)| {
            (draft.is_written, draft.is_ready) = (true, false);
            (features.clone(), draft.model.clone())
        });
        ended.collect()
    }
}

impl Dispatcher<'_, '_> {
    /// Whether a step belongs to an idea that was dropped.
    pub(super) fn is_dropped(&self, step: &StepId) -> bool {
        self.ideas.as_ref().is_some_and(|ideas| ideas.dropped.holds_step(step))
    }

    /// What is dropped is not tried further; what was measured of it stays. A model drops its own ideas, never the playbook's.
    pub(super) fn drop_own(&mut self, names: &[String]) -> Result<(), RunError> {
        let planned = minds::ideas_of(&self.s.plan).into_iter();
        let own = planned.filter(|(_, idea)| names.contains(&idea.name));
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        for (model, idea) in own {
            ideas.dropped.add(idea.name);
            // That nothing more comes of it is no news.
            ideas.judged.insert(model);
        }
        let ended = ideas.dropped.end_drafts(&mut ideas.drafts);
        let dropped = &ideas.dropped;
        ideas.mends_due.retain(|step, _| !dropped.holds_step(step));
        ideas.extra.retain(|(step, proposal)| !dropped.holds_proposal(step, proposal));
        for work in ideas.works.iter_mut().filter(|work| dropped.holds(&work.name)) {
            work.interrupt();
        }
        for (_, due) in self.proposals.iter_mut().filter(|(step, _)| dropped.holds_step(step)) {
            due.clear();
        }
        for (_, tuner) in self.tuners.iter_mut().filter(|(step, _)| dropped.holds_step(step)) {
            tuner.exhausted = true;
        }
        for (_, due) in self.checks_due.iter_mut().filter(|(step, _)| dropped.holds_step(step)) {
            for solution in std::mem::take(due) {
                self.revisions_due.remove(&solution);
            }
        }
        ended.into_iter().try_for_each(|(features, model)| self.lose_dropped(&features, &model))
    }

    /// The steps of a dropped idea are lost, unless something of it was measured or is being measured.
    fn lose_dropped(&mut self, features: &StepId, model: &StepId) -> Result<(), RunError> {
        let is_running = |step: &StepId| self.states.get(step) == Some(&StepState::Running);
        let mut entries = self.s.board.entries.values();
        let is_tried = entries
            .any(|entry| entry.step == *model && (entry.state == State::Open || entry.score().is_some()));
        if is_running(features) {
            self.lose_step(features, WHY)
        } else if is_running(model) && !is_tried {
            self.lose_step(model, WHY)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_agents::planner::Idea;
    use ansatz_core::candidate::{Origin, Params};
    use ansatz_prompts::planner::BranchKind;

    fn dropped() -> Dropped {
        let mut dropped = Dropped::default();
        dropped.add("ranks".into());
        dropped
    }

    /// A draft whose code is being written, at its features step.
    fn draft(name: &str) -> (StepId, Draft) {
        let idea = Idea {
            name: name.into(),
            kind: BranchKind::NewFeatures,
            base: "lightgbm".into(),
            what: "ranks within clubs".into(),
            inputs: Vec::new(),
            check: String::new(),
            predicted: None,
        };
        let draft = Draft {
            idea,
            model: StepId::new(format!("model:{name}")),
            name: name.into(),
            code: String::new(),
            attempts: 1,
            earlier: Vec::new(),
            is_written: false,
            is_ready: true,
        };
        (StepId::new(format!("features:{name}")), draft)
    }

    #[test]
    fn all_versions_and_steps_of_a_dropped_idea_are_known_and_no_others() {
        let dropped = dropped();
        for own in ["ranks", "ranks-v2", "ranks-v2-r1"] {
            assert!(dropped.holds(own), "{own}");
        }
        assert!(!dropped.holds("ranks-2") && !dropped.holds("lightgbm"));
        for own in ["features:ranks", "model:ranks", "tune:ranks"] {
            assert!(dropped.holds_step(&StepId::new(own)), "{own}");
        }
        for other in ["model:ranks-2", "features:plain", "ranks"] {
            assert!(!dropped.holds_step(&StepId::new(other)), "{other}");
        }
    }

    #[test]
    fn proposals_of_a_dropped_idea_are_known_by_their_step_or_their_solution() {
        let of = |solution: &str| {
            let (origin, why) = (Origin::Model, String::new());
            Proposal { solution: solution.into(), params: Params::new(), origin, why }
        };
        let dropped = dropped();
        let holds = |step: &str, solution: &str| dropped.holds_proposal(&StepId::new(step), &of(solution));
        assert!(holds("model:ranks", "lightgbm") && holds("model", "ranks-r1"));
        assert!(!holds("model:lightgbm", "lightgbm"));
    }

    #[test]
    fn drafts_of_a_dropped_idea_are_not_waited_for() {
        let mut drafts = BTreeMap::from([draft("ranks"), draft("ratios")]);
        let ended = dropped().end_drafts(&mut drafts);
        assert_eq!(ended, [(StepId::new("features:ranks"), StepId::new("model:ranks"))]);
        let stands = |name: &str| {
            let draft = &drafts[&StepId::new(format!("features:{name}"))];
            (draft.is_written, draft.is_ready)
        };
        assert_eq!((stands("ranks"), stands("ratios")), ((true, false), (false, true)));
    }

    #[test]
    fn an_idea_that_is_wanted_after_all_is_not_dropped() {
        let mut dropped = dropped();
        dropped.take_back("ranks");
        assert!(!dropped.holds("ranks-v2") && !dropped.holds_step(&StepId::new("model:ranks")));
    }
}
