//! The default: which sampler suits a study, decided from its goals, its space and its length, and said.

use super::{Ehvi, Gp, Nsga, Tpe, gp};
use crate::sampler::{History, Move, Sampler};
use crate::space::Point;

/// Up to this many trials a Gaussian process is worth its cost, which grows with their cube.
const PROCESS_TRIALS_MAX: usize = 250;
/// In spaces of more parameters there are too many lengths to be told from so few trials.
const PROCESS_PARAMETERS_MAX: usize = 60;

/// Chooses anew for each decision; the choice changes at most when a limit is passed.
#[derive(Debug, Clone, Default)]
pub struct Auto {
    process: Gp,
    chosen: Option<Choice>,
}

/// A method and why it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Choice {
    method: Method,
    why: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Process,
    Densities,
    Volume,
    Evolution,
}

fn choose(seen: &History<'_>) -> Choice {
    let choice = |method, why| Choice { method, why };
    let long = seen.trials.len() >= PROCESS_TRIALS_MAX;
    if seen.goals.len() > gp::GOALS_MAX {
        return choice(
            Method::Evolution,
            "evolution (NSGA-II): there are more goals than volumes can be computed for",
        );
    }
    if seen.goals.len() > 1 {
        return if long {
            choice(
                Method::Evolution,
                "evolution (NSGA-II): so many trials would make a Gaussian process slow",
            )
        } else {
            choice(Method::Volume, "expected hypervolume improvement: several goals and few trials")
        };
    }
    if long {
        return choice(
            Method::Densities,
            "Parzen estimators (TPE): so many trials would make a Gaussian process slow",
        );
    }
    if seen.space.len() > PROCESS_PARAMETERS_MAX {
        return choice(
            Method::Densities,
            "Parzen estimators (TPE): too many parameters for a Gaussian process",
        );
    }
    choice(Method::Process, "Gaussian process: few trials, of which each should tell most")
}

impl Auto {
    /// The sampler of the moment. Only the process keeps something from one decision to the next.
    fn with<T>(&mut self, seen: &History<'_>, decide: impl FnOnce(&mut dyn Sampler) -> T) -> T {
        let choice = choose(seen);
        self.chosen = Some(choice);
        match choice.method {
            Method::Process => decide(&mut self.process),
            Method::Densities => decide(&mut Tpe::default()),
            Method::Volume => decide(&mut Ehvi),
            Method::Evolution => decide(&mut Nsga::default()),
        }
    }
}

impl Sampler for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn next(&mut self, seen: &History<'_>) -> Move {
        self.with(seen, |sampler| sampler.next(seen))
    }

    fn rank(&mut self, seen: &History<'_>, pool: &[Point]) -> Option<Vec<f64>> {
        self.with(seen, |sampler| sampler.rank(seen, pool))
    }

    fn reason(&self) -> Option<String> {
        self.chosen.map(|choice| choice.why.into())
    }
}
