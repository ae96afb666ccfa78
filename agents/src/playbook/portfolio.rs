//! The portfolio: which solutions there are for which problems, and which of their configurations to try first.
//!
//! It is a file (`agents/portfolio.toml`) so that measurements can change it without a line of code.

use super::shape::DataShape;
use ansatz_core::candidate::Params;
use ansatz_core::task::Problem;
use serde::{Deserialize, Serialize};

const BUILT_IN: &str = include_str!("../../portfolio.toml");

/// Solutions in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portfolio {
    /// The solutions.
    #[serde(rename = "solution", default)]
    pub solutions: Vec<SolutionEntry>,
    /// Seconds that the run has; none where trials are counted.
    #[serde(skip)]
    seconds: Option<u64>,
}

/// A solution and its first configurations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SolutionEntry {
    /// A module of the worker's solutions.
    pub name: String,
    /// Problems that it can do.
    pub problems: Vec<Problem>,
    /// Its configurations.
    #[serde(rename = "default", default)]
    pub defaults: Vec<Configuration>,
}

/// A configuration and when to try it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// Place among the configurations of all solutions: the best expected gain per second first.
    pub rank: u32,
    /// Parameters; what is missing has the default of the solution's space.
    #[serde(default)]
    pub params: Params,
    /// All of these must hold.
    #[serde(default)]
    pub when: When,
}

/// Conditions on the data and on the time; none is always true.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// At least so many training rows.
    pub rows_min: Option<u64>,
    /// At most so many training rows.
    pub rows_max: Option<u64>,
    /// At least so many training rows times prediction columns.
    pub work_min: Option<u64>,
    /// At most so many training rows times prediction columns.
    pub work_max: Option<u64>,
    /// The run has at least so many seconds; never true where trials are counted.
    pub seconds_min: Option<u64>,
    /// The run has at most so many seconds; always true where trials are counted.
    pub seconds_max: Option<u64>,
    /// Kinds of which the data has at least one column each.
    #[serde(default)]
    pub needs: Vec<Need>,
}

/// A kind of column that a configuration is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Categories or codes.
    Categorical,
    /// Moments in time.
    Datetime,
    /// Free text.
    Text,
    /// Numbers.
    Numeric,
}

/// A portfolio that cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("portfolio: {0}")]
pub struct PortfolioError(#[from] toml::de::Error);

impl Portfolio {
    /// Reads a portfolio.
    ///
    /// # Errors
    /// [`PortfolioError`] with line and column of what is wrong.
    pub fn parse(text: &str) -> Result<Self, PortfolioError> {
        Ok(toml::from_str(text)?)
    }

    /// The portfolio of this build. A test reads it, so it cannot be broken in what is shipped.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).unwrap_or_default()
    }

    /// The portfolio for a run of so many seconds in all; none for a run that counts trials, as without this.
    #[must_use]
    pub fn within(self, seconds: Option<u64>) -> Self {
        Self { seconds, ..self }
    }

    /// Names of the solutions with at least one configuration for such data, best rank first.
    pub fn solutions_for(&self, problem: Problem, shape: &DataShape) -> Vec<&str> {
        let mut ranked: Vec<(u32, &str)> = self
            .solutions
            .iter()
            .filter(|solution| solution.problems.contains(&problem))
            .filter_map(|solution| {
                let fitting = solution.defaults.iter().filter(|d| d.when.holds(shape, self.seconds));
                Some((fitting.map(|d| d.rank).min()?, solution.name.as_str()))
            })
            .collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, name)| name).collect()
    }

    /// Configurations of a solution for such data, best rank first.
    pub fn configurations_for(
        &self,
        solution: &str,
        problem: Problem,
        shape: &DataShape,
    ) -> Vec<&Configuration> {
        let mut found: Vec<&Configuration> = self
            .solutions
            .iter()
            .filter(|entry| entry.name == solution && entry.problems.contains(&problem))
            .flat_map(|entry| &entry.defaults)
            .filter(|configuration| configuration.when.holds(shape, self.seconds))
            .collect();
        found.sort_by_key(|configuration| configuration.rank);
        found
    }
}

impl When {
    /// Whether all conditions hold, in a run of so many seconds or, with none, in one that counts trials.
    pub fn holds(&self, shape: &DataShape, seconds: Option<u64>) -> bool {
        let has = |need: &Need| match need {
            Need::Categorical => shape.categorical > 0,
            Need::Datetime => shape.datetime > 0,
            Need::Text => shape.text > 0,
            Need::Numeric => shape.numeric > 0,
        };
        self.rows_min.is_none_or(|min| shape.rows >= min)
            && self.rows_max.is_none_or(|max| shape.rows <= max)
            && self.work_min.is_none_or(|min| shape.work >= min)
            && self.work_max.is_none_or(|max| shape.work <= max)
            && self.seconds_min.is_none_or(|min| seconds.is_some_and(|seconds| seconds >= min))
            && self.seconds_max.is_none_or(|max| seconds.is_none_or(|seconds| seconds <= max))
            && self.needs.iter().all(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(rows: u64, outputs: u64) -> DataShape {
        DataShape { rows, work: rows * outputs, numeric: 3, categorical: 1, datetime: 0, text: 0 }
    }

    #[test]
    fn the_built_in_portfolio_can_be_read_and_serves_every_problem() {
        let portfolio = Portfolio::parse(BUILT_IN).unwrap();
        for problem in [Problem::Binary, Problem::Multiclass, Problem::Regression] {
            for rows in [20, 1000, 100_000, 5_000_000] {
                let solutions = portfolio.solutions_for(problem, &shape(rows, 3));
                assert!(solutions.len() >= 2, "{problem:?} {rows}: {solutions:?}");
                for solution in solutions {
                    assert!(!portfolio.configurations_for(solution, problem, &shape(rows, 3)).is_empty());
                }
            }
        }
    }

    fn check(conditions: &str, shape: &DataShape, expected: bool) {
        let when: When = toml::from_str(conditions).unwrap();
        assert_eq!(when.holds(shape, None), expected, "{conditions}");
    }

    #[test]
    fn all_conditions_must_hold() {
        check("", &shape(500, 1), true);
        check("rows_min = 500\nrows_max = 500", &shape(500, 1), true);
        check("rows_min = 501", &shape(500, 1), false);
        check("work_max = 1000", &shape(500, 3), false);
        check("work_min = 1000", &shape(500, 3), true);
        check("needs = [\"categorical\", \"numeric\"]", &shape(500, 1), true);
        check("needs = [\"categorical\", \"text\"]", &shape(500, 1), false);
    }

    #[test]
    fn conditions_on_time_hold_by_the_seconds_of_the_run() {
        let holds = |conditions: &str, seconds: Option<u64>| {
            let when: When = toml::from_str(conditions).unwrap();
            when.holds(&shape(500, 1), seconds)
        };
        assert!(holds("seconds_min = 180", Some(180)) && !holds("seconds_min = 180", Some(179)));
        assert!(holds("seconds_max = 180", Some(180)) && !holds("seconds_max = 180", Some(181)));
        // A run that counts trials knows no seconds: it gets what a short one gets.
        assert!(!holds("seconds_min = 1", None) && holds("seconds_max = 1", None));
        assert!(!holds("rows_min = 501\nseconds_min = 1", Some(9)));
    }

    #[test]
    fn time_brings_more_rounds_and_forests_and_takes_nothing_away() {
        let portfolio = || Portfolio::parse(BUILT_IN).unwrap();
        for (rows, outputs) in [(2000, 1), (30_000, 1), (30_000, 3), (90_000, 1), (150_000, 1)] {
            let (counted, short, long) =
                (portfolio(), portfolio().within(Some(60)), portfolio().within(Some(900)));
            let shape = shape(rows, outputs);
            for solution in ["lightgbm", "catboost", "linear", "extra_trees", "neural"] {
                let of = |portfolio: &Portfolio| -> Vec<Configuration> {
                    let found = portfolio.configurations_for(solution, Problem::Multiclass, &shape);
                    found.into_iter().cloned().collect()
                };
                assert_eq!(of(&counted), of(&short), "{solution} on {rows} rows");
                assert!(of(&counted).iter().all(|known| of(&long).contains(known)), "{solution}, {rows}");
            }
            let rounds = |portfolio: &Portfolio| {
                let found = portfolio.configurations_for("lightgbm", Problem::Multiclass, &shape);
                found.into_iter().filter_map(|known| known.params["rounds"].as_u64()).max()
            };
            assert!(rounds(&long) > rounds(&counted), "{rows} rows, {outputs} outputs");
            let has_forest = |portfolio: &Portfolio| {
                portfolio.solutions_for(Problem::Multiclass, &shape).contains(&"extra_trees")
            };
            assert_eq!(
                (has_forest(&counted), has_forest(&long)),
                (rows <= 12_000, rows <= 100_000),
                "{rows}"
            );
        }
    }

    #[test]
    fn classes_cost_boosters_much_and_forests_and_networks_little() {
        let portfolio = Portfolio::parse(BUILT_IN).unwrap();
        let solutions = portfolio.solutions_for(Problem::Multiclass, &shape(5000, 20));
        assert!(solutions.contains(&"extra_trees") && solutions.contains(&"neural"), "{solutions:?}");
        let boosted = portfolio.configurations_for("lightgbm", Problem::Multiclass, &shape(5000, 20));
        assert!(boosted.iter().all(|known| known.params["rounds"].as_u64() < Some(200)));
        let solutions = portfolio.solutions_for(Problem::Multiclass, &shape(10_000, 900));
        assert!(!solutions.contains(&"extra_trees") && !solutions.contains(&"neural"), "{solutions:?}");
    }

    #[test]
    fn a_misspelt_portfolio_is_refused_with_its_place() {
        let error = Portfolio::parse("[[solution]]\nname = \"a\"\nproblem = [\"binary\"]\n").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }

    #[test]
    fn the_better_rank_comes_first() {
        let text = "
            [[solution]]
            name = \"slow\"
            problems = [\"binary\"]
            default = [{ rank = 3 }, { rank = 9 }]
            [[solution]]
            name = \"fast\"
            problems = [\"binary\"]
            default = [{ rank = 5, params = { k = 2 } }, { rank = 1, when = { rows_max = 100 } }]
        ";
        let portfolio = Portfolio::parse(text).unwrap();
        assert_eq!(portfolio.solutions_for(Problem::Binary, &shape(50, 1)), ["fast", "slow"]);
        assert_eq!(portfolio.solutions_for(Problem::Binary, &shape(500, 1)), ["slow", "fast"]);
        assert_eq!(portfolio.solutions_for(Problem::Regression, &shape(500, 1)), [""; 0]);
    }
}
