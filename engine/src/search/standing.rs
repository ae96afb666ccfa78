//! Where the run stands at the moment, for prompts: what there is to beat, and what difference would mean nothing.

use super::Dispatcher;
use super::ideas::Ideas;
use crate::board::Entry;
use ansatz_core::candidate::Origin;
use ansatz_prompts::{Case, Standing, StandingRow, digits, with_error};
use std::collections::BTreeSet;

/// Candidates that are shown beside the reference, each of another solution.
const ROWS_MAX: usize = 8;
/// What the reference is called.
const REFERENCE: &str = "a default LightGBM";

impl Dispatcher<'_, '_> {
    /// The whole case, with where the run stands.
    pub(super) fn case_now(&self, ideas: &Ideas) -> Case {
        let ranking = self.s.board.ranking(self.s.scoring.direction());
        let reference = self.s.board.baseline();
        Case { standing: standing(reference, &ranking, self.noise()), ..ideas.cases.full.clone() }
    }
}

/// The reference first, then the best candidates of different solutions; `None` while nothing has a score.
fn standing(reference: Option<&Entry>, ranking: &[&Entry], noise: f64) -> Option<Standing> {
    let row = |entry: &Entry| {
        let is_reference = entry.candidate.origin == Origin::Baseline;
        let name = if is_reference { REFERENCE } else { entry.candidate.solution.name() };
        let score = with_error(entry.score()?.score, noise);
        Some(StandingRow { name: name.into(), origin: in_words(entry.candidate.origin).into(), score })
    };
    let mut seen = BTreeSet::new();
    let others = ranking.iter().filter(|entry| entry.candidate.origin != Origin::Baseline);
    let best = others.filter(|entry| seen.insert(entry.candidate.solution.name())).take(ROWS_MAX);
    let rows: Vec<StandingRow> =
        reference.and_then(row).into_iter().chain(best.filter_map(|entry| row(entry))).collect();
    (!rows.is_empty()).then(|| Standing { noise: digits(noise, 2), rows })
}

fn in_words(origin: Origin) -> &'static str {
    match origin {
        Origin::Playbook => "playbook",
        Origin::Baseline => "reference",
        Origin::Memory => "memory",
        Origin::Search => "search",
        Origin::Model => "language model",
        Origin::Ensemble => "ensemble",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{Scored, State};
    use ansatz_core::candidate::{Candidate, Params, Solution};
    use ansatz_core::ids::{CandidateId, StepId};
    use std::collections::BTreeMap;

    fn entry(id: u32, solution: &str, origin: Origin, score: Option<f64>) -> Entry {
        let scored = |score| {
            State::Scored(Scored { score, stage: 0, stage_value: 0.0, staged: false, counted: false })
        };
        Entry {
            candidate: Candidate {
                id: CandidateId(id),
                solution: Solution::Builtin(solution.into()),
                params: Params::new(),
                origin,
            },
            step: StepId::new("model"),
            held: BTreeMap::new(),
            failures: BTreeMap::new(),
            state: score.map_or(State::Open, scored),
            oof: None,
        }
    }

    #[test]
    fn the_reference_stands_before_the_best_of_each_solution() {
        let reference = entry(0, "reference", Origin::Baseline, Some(0.8));
        let best = entry(3, "family", Origin::Model, Some(0.84));
        let mut others = vec![
            entry(4, "lightgbm", Origin::Search, Some(0.83)),
            entry(1, "lightgbm", Origin::Playbook, Some(0.82)),
        ];
        others.extend((5..20).map(|id| entry(id, &format!("more-{id}"), Origin::Model, Some(0.7))));
        let ranking: Vec<&Entry> = std::iter::once(&best).chain(&others).chain([&reference]).collect();
        let found = standing(Some(&reference), &ranking, 0.01).unwrap();
        let lines: Vec<String> =
            found.rows.iter().map(|row| format!("{} {} {}", row.name, row.origin, row.score)).collect();
        assert_eq!(
            lines[..4],
            [
                "a default LightGBM reference 0.80 ± 0.01",
                "family language model 0.84 ± 0.01",
                "lightgbm search 0.83 ± 0.01",
                "more-5 language model 0.70 ± 0.01",
            ]
        );
        assert_eq!((lines.len(), found.noise.as_str()), (1 + ROWS_MAX, "0.01"));
    }

    #[test]
    fn before_the_first_score_nothing_is_shown() {
        let open = entry(0, "reference", Origin::Baseline, None);
        assert_eq!(standing(Some(&open), &[], 0.0), None);
    }
}
