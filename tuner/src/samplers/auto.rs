//! The default: which sampler suits a study, decided from its goals, its space and its length, and said.

use super::{Ehvi, Gp, Nsga, Sobol, Tpe, gp};
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
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    method: Method,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Spread,
    Process,
    Densities,
    Volume,
    Evolution,
}

/// A study that is announced to be longer than a process is worth begins with the process all the same: it is the best
/// there is for as long as it lasts, and what comes after learns from the same trials.
fn choose(seen: &History<'_>) -> Choice {
    let choice = |method, why: &str| Choice { method, why: why.into() };
    let is_long = seen.trials.len() >= PROCESS_TRIALS_MAX;
    let is_one = seen.goals.len() == 1;
    if let Some(budget) = without_a_model(seen) {
        let trials: String = if budget == 1 { "one trial is".into() } else { format!("{budget} trials are") };
        let why = format!("Sobol points, spread evenly: {trials} over before a model could learn from them");
        return Choice { method: Method::Spread, why };
    }
    if seen.goals.len() > gp::GOALS_MAX {
        return choice(
            Method::Evolution,
            "evolution (NSGA-II): there are more goals than volumes can be computed for",
        );
    }
    if is_long && is_one {
        return choice(
            Method::Densities,
            "Parzen estimators (TPE): so many trials would make a Gaussian process slow",
        );
    }
    if is_long {
        return choice(
            Method::Evolution,
            "evolution (NSGA-II): so many trials would make a Gaussian process slow",
        );
    }
    if !is_one {
        let why = format!("expected hypervolume improvement: several goals and {}", few(seen, "evolution"));
        return Choice { method: Method::Volume, why };
    }
    if seen.space.len() > PROCESS_PARAMETERS_MAX {
        return choice(
            Method::Densities,
            "Parzen estimators (TPE): too many parameters for a Gaussian process",
        );
    }
    let why =
        format!("Gaussian process: {}, of which each should tell most", few(seen, "Parzen estimators (TPE)"));
    Choice { method: Method::Process, why }
}

/// The budget, if it is announced to be over before any model would be used.
fn without_a_model(seen: &History<'_>) -> Option<u32> {
    let startup = match seen.goals.len() {
        1 => gp::Settings::default().startup,
        goals if goals <= gp::GOALS_MAX => gp::VOLUME_STARTUP,
        _ => Nsga::default().startup(),
    };
    seen.budget.filter(|budget| *budget as usize <= startup && seen.trials.len() < startup)
}

/// In words, that there are few trials, and who takes over where there are not.
fn few(seen: &History<'_>, next: &str) -> String {
    match seen.budget {
        None => "few trials".into(),
        Some(budget) if budget as usize <= PROCESS_TRIALS_MAX => format!("{budget} trials"),
        Some(budget) => format!("the first {PROCESS_TRIALS_MAX} of {budget} trials (then {next})"),
    }
}

impl Auto {
    /// The sampler of the moment. Only the process keeps something from one decision to the next.
    fn with<T>(&mut self, seen: &History<'_>, decide: impl FnOnce(&mut dyn Sampler) -> T) -> T {
        let choice = choose(seen);
        let method = choice.method;
        self.chosen = Some(choice);
        match method {
            Method::Spread => decide(&mut Sobol),
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
        self.chosen.as_ref().map(|choice| choice.why.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Builder;
    use crate::study::{Ask, Options, Study};
    use crate::trial::{Direction, Outcome};
    use ansatz_core::seed::Seed;

    fn study(budget: Option<u32>, goals: usize, sampler: Box<dyn Sampler>) -> Study {
        let space = Builder::new().float("x", 0.0, 1.0).int("k", 0, 9).bool("b").build().unwrap();
        let mut options = Options::new(Direction::Minimize, Seed(8));
        options.goals = vec![Direction::Minimize; goals];
        options.budget = budget;
        Study::new(space, options, sampler).unwrap()
    }

    /// Runs trials and gives what was tried.
    fn run(study: &mut Study, trials: usize) -> Vec<crate::space::Params> {
        let goals = study.goals().len();
        let tried = (0..trials).map(|_| {
            let Ask::Suggestion(asked) = study.ask() else { panic!("no suggestion") };
            let value = (asked.params["x"].as_f64().unwrap() - 0.4).powi(2);
            let values = (0..goals).map(|goal| value + goal as f64 * asked.params["k"].as_f64().unwrap());
            study.tell(asked.number, Outcome::Values(values.collect())).unwrap();
            asked.params
        });
        tried.collect()
    }

    fn reason(budget: Option<u32>, goals: usize, trials: usize) -> String {
        let mut study = study(budget, goals, Box::new(Auto::default()));
        run(&mut study, trials);
        study.reason()
    }

    #[test]
    fn the_reason_names_the_budget() {
        assert!(reason(None, 1, 1).starts_with("Gaussian process: few trials"));
        assert!(reason(Some(40), 1, 1).starts_with("Gaussian process: 40 trials"));
        assert!(reason(Some(40), 2, 1).contains("several goals and 40 trials"));
        let long = reason(Some(900), 1, 1);
        assert!(
            long.starts_with("Gaussian process: the first 250 of 900 trials (then Parzen estimators"),
            "{long}"
        );
    }

    #[test]
    fn a_budget_that_no_model_could_learn_from_is_spread_evenly() {
        for (budget, goals) in [(1, 1), (5, 1), (6, 2), (12, 5)] {
            let said = reason(Some(budget), goals, budget as usize);
            assert!(said.starts_with("Sobol points"), "{budget} trials, {goals} goals: {said}");
        }
        for (budget, goals) in [(6, 1), (7, 2), (13, 5)] {
            let said = reason(Some(budget), goals, budget as usize);
            assert!(!said.starts_with("Sobol points"), "{budget} trials, {goals} goals: {said}");
        }
        let tried = run(&mut study(Some(4), 1, Box::new(Auto::default())), 4);
        assert_eq!(tried, run(&mut study(Some(4), 1, Box::new(Sobol)), 4));
    }

    /// Trials beyond an announced end, e.g. of a study that was taken up again, are learnt from.
    #[test]
    fn a_study_that_goes_on_beyond_its_budget_learns() {
        assert!(reason(Some(3), 1, 8).starts_with("Gaussian process"));
    }

    #[test]
    fn the_budget_changes_no_decision_of_the_process() {
        let alone = run(&mut study(None, 1, Box::new(Gp::default())), 14);
        for budget in [30, 50, 900] {
            assert_eq!(run(&mut study(Some(budget), 1, Box::new(Auto::default())), 14), alone, "{budget}");
        }
    }
}
