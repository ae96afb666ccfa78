//! Columns of further tables: every solution is tried with and without them, and its search goes on with what did better.

use super::Dispatcher;
use crate::board::{Entry, State};
use ansatz_agents::playbook::{self, Proposal};
use ansatz_core::candidate::{Origin, Params};
use serde_json::Value;

/// Whether a configuration leaves out the columns of further tables.
fn is_without(params: &Params) -> bool {
    params.get(playbook::JOINED) == Some(&Value::Bool(false))
}

impl Dispatcher<'_, '_> {
    /// The parameters of the reference: a default booster knows the training file alone.
    pub(super) fn reference_params(&self) -> Params {
        let mut params = Params::new();
        if self.s.has_joins {
            params.insert(playbook::JOINED.into(), Value::Bool(false));
        }
        params
    }

    /// Proposals with, for the first of them, a twin that leaves the further tables out.
    pub(super) fn both_ways(&self, proposals: Vec<Proposal>) -> Vec<Proposal> {
        if self.s.has_joins { playbook::both_ways(proposals) } else { proposals }
    }

    /// Whether the search over a solution's space leaves the further tables out: it does when that did better so far.
    fn goes_without(&self, solution: &str) -> bool {
        let best = |without: bool| {
            let entries = self.s.board.entries.values();
            entries
                .filter(|entry| {
                    is_searched(entry, solution) && is_without(&entry.candidate.params) == without
                })
                .filter_map(|entry| self.search_gains.get(&entry.candidate.id))
                .copied()
                .reduce(f64::max)
        };
        best(true).zip(best(false)).is_some_and(|(without, with)| without > with)
    }

    /// Parameters that a search found, with what is decided about the further tables.
    pub(super) fn decided(&self, solution: &str, mut params: Params) -> Params {
        if self.s.has_joins && self.goes_without(solution) {
            params.insert(playbook::JOINED.into(), Value::Bool(false));
        }
        params
    }

    /// Whether a candidate tells the search over its solution's space something: it does as the search goes on.
    pub(super) fn is_told(&self, entry: &Entry, solution: &str) -> bool {
        !self.s.has_joins || is_without(&entry.candidate.params) == self.goes_without(solution)
    }
}

fn is_searched(entry: &Entry, solution: &str) -> bool {
    let is_scored = matches!(entry.state, State::Scored(_));
    is_scored && entry.candidate.origin != Origin::Baseline && entry.candidate.solution.name() == solution
}
