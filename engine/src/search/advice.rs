//! The HPO agent's advice: configurations that a language model proposes for the solutions that lead.
//!
//! First ones are asked for once a solution has a score, further ones once its search has shown something. They compete as
//! configurations of the search do, fold by fold, and the search learns from them as from its own.

use super::Dispatcher;
use super::ideas::About;
use crate::error::RunError;
use ansatz_agents::hpo::{self, Context, Observation};
use ansatz_agents::playbook::Proposal;
use ansatz_agents::search::Known;
use ansatz_agents::thought::Thought;
use ansatz_core::candidate::{Origin, Params};
use ansatz_core::ids::StepId;
use ansatz_core::metric::Direction;
use ansatz_core::verdict::Stage;
use ansatz_tuner::query;
use ansatz_tuner::trial;
use std::collections::BTreeMap;

/// First configurations of one solution.
const FIRST: usize = 3;
/// Candidates for a score that are asked for, and those of them that are tried.
const FURTHER: (usize, usize) = (6, 2);
/// Solutions that advice is asked for, of either kind.
const SOLUTIONS_MAX: usize = 2;
/// Share of the search after which no first configurations are asked for.
const FIRST_SHARE_MAX: f64 = 0.75;
/// Shares of the search between which further configurations are asked for.
const FURTHER_SHARE: (f64, f64) = (0.5, 0.9);

/// A solution that is behind the best by more than this many standard errors gets no advice.
const BEHIND_MAX: f64 = 2.0;

/// What has been asked about a solution's configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Configurations to begin with.
    First,
    /// Configurations beyond what was reached.
    Further,
}

/// The advice of one run.
#[derive(Debug, Default)]
pub struct Advice {
    /// What was asked, by kind and solution, with the best score that was expected of it.
    asked: BTreeMap<(Kind, String), Option<f64>>,
}

impl Advice {
    /// The latest score that was expected of a solution's configurations.
    pub fn expected(&self, solution: &str) -> Option<f64> {
        let own = self.asked.iter().filter(|((_, name), _)| name == solution);
        own.filter_map(|(_, expected)| *expected).next_back()
    }

    fn may_ask(&self, kind: Kind, solution: &str) -> bool {
        let begun = self.asked.keys().filter(|(other, _)| *other == kind).count();
        begun < SOLUTIONS_MAX && !self.asked.contains_key(&(kind, solution.to_owned()))
    }
}

impl Dispatcher<'_, '_> {
    /// Asks for the advice that is due.
    pub(super) fn ask_for_advice(&mut self) -> Result<(), RunError> {
        let share = self.used_share();
        let may_begin = share < FIRST_SHARE_MAX;
        let may_go_on = share >= FURTHER_SHARE.0 && share < FURTHER_SHARE.1;
        let due = [(Kind::First, may_begin), (Kind::Further, may_go_on)];
        let due = due.into_iter().filter(|(_, is_due)| *is_due);
        let found = due.into_iter().find_map(|(kind, _)| Some((kind, self.leading(kind)?)));
        let Some((kind, (step, solution))) = found else { return Ok(()) };
        let Some(thought) = self.question(kind, &step) else { return Ok(()) };
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        ideas.advice.asked.insert((kind, solution), None);
        let about = About::Configurations(kind, step.clone());
        self.think(thought, step.as_str(), about)
    }

    /// The best solution whose search is under way and about which nothing was asked.
    fn leading(&self, kind: Kind) -> Option<(StepId, String)> {
        let advice = &self.ideas.as_ref()?.advice;
        let best = |solution: &str| {
            let own =
                self.s.board.entries.values().filter(|entry| entry.candidate.solution.name() == solution);
            own.filter_map(|entry| self.search_gains.get(&entry.candidate.id).copied()).reduce(f64::max)
        };
        let open = self
            .tuners
            .iter()
            .filter(|(_, tuner)| !tuner.exhausted && advice.may_ask(kind, &tuner.solution))
            .filter(|(_, tuner)| !self.sources.contains_key(&tuner.solution));
        let scored =
            open.filter_map(|(step, tuner)| Some((best(&tuner.solution)?, step, tuner.solution.clone())));
        let (gain, step, solution) = scored.reduce(|a, b| if b.0 > a.0 { b } else { a })?;
        // What is far behind will not be delivered.
        let leader = self.search_gains.values().copied().fold(f64::NEG_INFINITY, f64::max);
        if gain < leader - BEHIND_MAX * self.gain_noise() {
            return None;
        }
        Some((step.clone(), solution))
    }

    fn question(&self, kind: Kind, step: &StepId) -> Option<Thought> {
        let (ideas, tuner) = (self.ideas.as_ref()?, self.tuners.get(step)?);
        let known = self.known_of(&tuner.solution);
        let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
        let direction = match self.s.scoring.direction() {
            Direction::Maximize => trial::Direction::Maximize,
            Direction::Minimize => trial::Direction::Minimize,
        };
        let study = tuner.search.shown(&told, direction)?;
        let cards = ideas.known.cards.iter().filter(|(name, _)| *name == tuner.solution);
        let sayings: Vec<String> = cards.map(|(_, text)| text.clone()).collect();
        let metric = self.s.task.metric.name.clone();
        let observation = Observation {
            context: Context::Full(&ideas.cases.full),
            blank: &ideas.cases.full,
            subject: &tuner.solution,
            metric: &metric,
            direction,
            space: study.space(),
            known: &sayings,
            trials: study.trials(),
        };
        match kind {
            Kind::First => Some(Thought::Starts(Box::new(hpo::first(&observation, FIRST)))),
            Kind::Further => Some(Thought::Further(Box::new(hpo::further(&observation, &study, FURTHER.0)?))),
        }
    }

    /// Has proposed configurations tried: all of the first ones, of further ones those that the search expects most of.
    pub(super) fn take_configurations(
        &mut self,
        kind: Kind,
        step: &StepId,
        proposals: &[query::Proposal],
    ) -> Result<(), RunError> {
        let Some(solution) = self.tuners.get(step).map(|tuner| tuner.solution.clone()) else { return Ok(()) };
        let known = self.known_of(&solution);
        let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
        let proposed: Vec<Params> = proposals.iter().map(|proposal| proposal.params.clone()).collect();
        let (subject, count) = match kind {
            Kind::First => (format!("first configurations of {solution} by the language model"), FIRST),
            Kind::Further => {
                (format!("further configurations of {solution} by the language model"), FURTHER.1)
            }
        };
        let Some(tuner) = self.tuners.get_mut(step) else { return Ok(()) };
        let picked = tuner.search.pick(&told, &proposed, count);
        let evidence = format!("{} of {} are new and tried", picked.len(), proposed.len());
        self.s.record.check(Stage::Plan, subject, true, evidence)?;
        let gain = |score: &f64| self.s.scoring.gain(*score);
        let expected = proposals.iter().filter_map(|proposal| proposal.expected);
        let best = expected.reduce(|a, b| if gain(&b) > gain(&a) { b } else { a });
        let Some(ideas) = &mut self.ideas else { return Ok(()) };
        ideas.advice.asked.insert((kind, solution.clone()), best);
        for params in picked {
            let why = "a configuration of the language model".to_owned();
            let proposal = Proposal { solution: solution.clone(), params, origin: Origin::Model, why };
            ideas.extra.push_back((step.clone(), proposal));
        }
        Ok(())
    }
}
