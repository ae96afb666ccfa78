//! The search over one solution's space: which configuration to try next, and which is worth its remaining folds.
//!
//! Nothing here runs a trial, reads a clock or remembers anything that matters: what to try is a function of what is
//! known about a solution, so a resumed run goes on as the interrupted one would have.

mod partial;
mod rungs;
mod space;

pub use partial::{Partial, estimate};
pub use rungs::{Promotion, Rung, promote};
pub use space::{defaults, snap};

use ansatz_core::candidate::{Params, Space};
use ansatz_core::seed::Seed;
use ansatz_tuner::sampler::Sampler;
use ansatz_tuner::samplers::{Auto, Random, Transferred};
use ansatz_tuner::space::Space as Tuned;
use ansatz_tuner::study::{Ask, Options, Study};
use ansatz_tuner::transfer::Past;
use ansatz_tuner::trial::{Direction, Outcome};
use serde::{Deserialize, Serialize};
use space::{key, searchable};
use std::collections::BTreeSet;

/// What became of a configuration. Gains: larger is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// It is being tried.
    Running,
    /// It was scored on all folds.
    Scored(f64),
    /// It was stopped on the way, and would have come out at about this gain.
    Stopped(f64),
    /// It gave nothing, and another try would give nothing either.
    Failed,
    /// It was given up for a reason that says nothing about it.
    Untold,
}

/// A configuration that needs no trying any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known<'a> {
    /// Its parameters; what is missing has its default.
    pub params: &'a Params,
    /// What became of it.
    pub seen: Seen,
}

/// Where configurations come from; which of them get all folds is decided by races either way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The tuner, with what past studies teach.
    #[default]
    Tuner,
    /// Chance: with the races this is successive halving. There to be compared with.
    Halving,
}

/// How often a new configuration is asked for when rounding made one that is known.
const ROUNDS_MAX: usize = 50;

/// Proposes configurations of one solution by the [tuner](ansatz_tuner).
///
/// Every question is a new configuration of the space, values rounded to what can make a difference; the same seed,
/// space and knowledge give the same question.
pub struct Searcher {
    declared: Space,
    tuned: Option<Tuned>,
    seed: Seed,
    pasts: Vec<Past>,
    method: Method,
    /// Caches of what it could compute again.
    sampler: Option<Box<dyn Sampler>>,
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searcher")
            .field("space", &self.declared)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Searcher {
    /// A search over the space that a solution declares. A dimension that cannot be searched stays at its default.
    pub fn new(declared: Space, seed: Seed) -> Self {
        let tuned = Tuned::from_solution(&searchable(&declared)).ok();
        Self { declared, tuned, seed, pasts: Vec::new(), method: Method::default(), sampler: None }
    }

    /// The search that knows what was found out about the same parameters on other tasks.
    #[must_use]
    pub fn knowing(self, pasts: Vec<Past>) -> Self {
        Self { pasts, sampler: None, ..self }
    }

    /// The search by another method than the tuner.
    #[must_use]
    pub fn by(self, method: Method) -> Self {
        Self { method, sampler: None, ..self }
    }

    fn fresh_sampler(&self) -> Box<dyn Sampler> {
        match self.method {
            Method::Halving => Box::new(Random),
            Method::Tuner if self.pasts.is_empty() => Box::new(Auto::default()),
            Method::Tuner => Box::new(Transferred::new(self.pasts.clone(), Vec::new())),
        }
    }

    /// The next configuration to try, after those that are known, in the order in which they were proposed; `None`
    /// when nothing new is left.
    pub fn ask(&mut self, known: &[Known<'_>]) -> Option<Params> {
        let tried: BTreeSet<String> =
            known.iter().map(|one| key(&snap(&self.declared, one.params))).collect();
        let start = defaults(&self.declared);
        if !tried.contains(&key(&start)) {
            return Some(start);
        }
        let mut study = self.study(known)?;
        let mut found = None;
        for _ in 0..ROUNDS_MAX {
            let Ask::Suggestion(suggestion) = study.ask() else { break };
            let params = snap(&self.declared, &suggestion.params);
            if !tried.contains(&key(&params)) {
                found = Some(params);
                break;
            }
        }
        self.sampler = Some(study.into_sampler());
        found
    }

    /// Of configurations that somebody proposes those that fit and are new, as they would be tried; where there are more than
    /// `count`, those that the search itself expects most of.
    pub fn pick(&mut self, known: &[Known<'_>], proposed: &[Params], count: usize) -> Vec<Params> {
        let Some(tuned) = self.tuned.clone() else { return Vec::new() };
        let mut seen: BTreeSet<String> =
            known.iter().map(|one| key(&snap(&self.declared, one.params))).collect();
        let repaired = proposed.iter().filter_map(|params| tuned.repair(params).ok());
        let snapped = repaired.map(|repaired| snap(&self.declared, &repaired.params));
        let mut pool: Vec<Params> = snapped.filter(|params| seen.insert(key(params))).collect();
        let Some(mut study) = self.study(known).filter(|_| pool.len() > count) else { return pool };
        let searched = |params: &Params| -> Params {
            let kept = params.iter().filter(|(name, _)| tuned.place(name).is_some());
            kept.map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        let mut picked = Vec::new();
        while picked.len() < count && !pool.is_empty() {
            let choices: Vec<Params> = pool.iter().map(searched).collect();
            let Ok(Ask::Suggestion(suggestion)) = study.ask_among(&choices) else { break };
            picked.push(pool.remove(suggestion.place.unwrap_or(0)));
        }
        self.sampler = Some(study.into_sampler());
        picked
    }

    /// All that is known, in the metric's own direction, for whoever has to be shown it; `None` when nothing can be searched.
    pub fn shown(&self, known: &[Known<'_>], direction: Direction) -> Option<Study> {
        let options = Options::new(direction, self.seed);
        let mut study = Study::new(self.tuned.clone()?, options, Box::new(Auto::default())).ok()?;
        self.tell(&mut study, known);
        Some(study)
    }

    /// The study of all that is known.
    fn study(&mut self, known: &[Known<'_>]) -> Option<Study> {
        let tuned = self.tuned.clone()?;
        let sampler = self.sampler.take().unwrap_or_else(|| self.fresh_sampler());
        let options = Options::new(Direction::Maximize, self.seed);
        let mut study = Study::new(tuned, options, sampler).ok()?;
        self.tell(&mut study, known);
        Some(study)
    }

    /// Tells a study what is known. What is under way is believed to come out no better than the best.
    fn tell(&self, study: &mut Study, known: &[Known<'_>]) {
        let direction = study.goals()[0];
        let value = |gain: f64| if direction == Direction::Maximize { gain } else { -gain };
        for one in known {
            let mut params = snap(&self.declared, one.params);
            params.retain(|name, _| study.space().place(name).is_some());
            // A configuration that does not fit in spite of snapping teaches nothing.
            let _ = match one.seen {
                Seen::Scored(gain) => study.adopt(&params, value(gain).into(), "known").map(|_| ()),
                Seen::Failed => study.adopt(&params, Outcome::Failed(String::new()), "known").map(|_| ()),
                Seen::Running => study.begin_elsewhere(&params, "known").map(|_| ()),
                Seen::Stopped(gain) => study.begin_elsewhere(&params, "known").and_then(|number| {
                    study.report(number, 0, value(gain))?;
                    study.tell(number, Outcome::Pruned)
                }),
                Seen::Untold => Ok(()),
            };
        }
    }
}

#[cfg(test)]
mod tests;
