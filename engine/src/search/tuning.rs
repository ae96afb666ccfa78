//! Tuning: which solution gets a new configuration, and what its search is told.
//!
//! A search is told everything about its solution each time it is asked, so that what it proposes depends on the board
//! alone: a resumed run goes on as the interrupted one would have.

use super::Dispatcher;
use crate::board::{Entry, State};
use crate::error::RunError;
use ansatz_agents::allocate::{Spending, allocate};
use ansatz_agents::search::{Known, Partial, Searcher, Seen, estimate};
use ansatz_core::candidate::{Origin, Params};
use ansatz_core::event::Fold;
use ansatz_core::ids::CandidateId;

/// The search over one solution's space.
pub(super) struct Tuner {
    /// The solution.
    pub solution: String,
    /// Where its configurations come from.
    pub search: Searcher,
    /// Whether it has nothing new to offer.
    pub exhausted: bool,
}

impl Dispatcher<'_, '_> {
    /// Asks the tuner of the solution that seems to pay best for a new configuration.
    pub(super) fn next_tuned(&mut self) -> Result<bool, RunError> {
        loop {
            let spending = Spending {
                families: self.families(),
                noise: self.gain_noise(),
                seconds_left: self.seconds_left().unwrap_or(f64::INFINITY) * self.s.pace.jobs as f64,
            };
            let Some(chosen) = allocate(&spending) else { return Ok(false) };
            let known = self.known_of(&chosen.solution);
            let found = self.tuners.iter_mut().find(|(_, tuner)| tuner.solution == chosen.solution);
            let Some((step, tuner)) = found else { return Ok(false) };
            let step = step.clone();
            let told: Vec<Known> = known.iter().map(|(params, seen)| Known { params, seen: *seen }).collect();
            if let Some(params) = tuner.search.ask(&told) {
                let params = self.decided(&chosen.solution, params);
                self.admit(&step, &chosen.solution, params, Origin::Search)?;
                return Ok(true);
            }
            tuner.exhausted = true;
            self.finish_step(&step, Vec::new())?;
        }
    }

    /// What is known about the configurations of a solution, in the order in which they were proposed.
    pub(super) fn known_of(&self, solution: &str) -> Vec<(Params, Seen)> {
        let entries = self.s.board.entries.values();
        let own: Vec<&Entry> = entries.filter(|entry| entry.candidate.solution.name() == solution).collect();
        own.iter()
            .filter(|entry| self.is_told(entry, solution))
            .map(|entry| (entry.candidate.params.clone(), self.seen(entry, &own)))
            .collect()
    }

    fn seen(&self, entry: &Entry, own: &[&Entry]) -> Seen {
        let gain = self.search_gains.get(&entry.candidate.id);
        match &entry.state {
            State::Open => Seen::Running,
            State::Failed(_) => Seen::Failed,
            State::Scored(_) => gain.map_or(Seen::Untold, |gain| Seen::Scored(*gain)),
            State::Dropped(_) => self.would_have_come_to(entry, own).map_or(Seen::Untold, Seen::Stopped),
        }
    }

    /// What a candidate that was stopped after some folds would have come to; `None` when it has none, or nobody else.
    fn would_have_come_to(&self, stopped: &Entry, own: &[&Entry]) -> Option<f64> {
        let folds = self.s.board.rows.folds_of(0, self.s.rows_permille);
        let done: Vec<&Fold> = folds
            .iter()
            .filter(|fold| self.fold_gains.contains_key(&(stopped.candidate.id, (*fold).clone())))
            .collect();
        let mean = |id: CandidateId| {
            let gains = done.iter().map(|fold| self.fold_gains.get(&(id, (*fold).clone())).copied());
            Some(gains.sum::<Option<f64>>()? / done.len() as f64)
        };
        let finished: Vec<Partial> = own
            .iter()
            .filter_map(|other| {
                let id = other.candidate.id;
                Some(Partial { on_same_folds: mean(id)?, gain: *self.search_gains.get(&id)? })
            })
            .collect();
        (!done.is_empty()).then(|| estimate(mean(stopped.candidate.id)?, &finished)).flatten()
    }
}
