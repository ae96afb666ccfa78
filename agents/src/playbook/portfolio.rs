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

/// Conditions on the data; none is always true.
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

    /// Names of the solutions with at least one configuration for such data, best rank first.
    pub fn solutions_for(&self, problem: Problem, shape: &DataShape) -> Vec<&str> {
        let mut ranked: Vec<(u32, &str)> = self
            .solutions
            .iter()
            .filter(|solution| solution.problems.contains(&problem))
            .filter_map(|solution| {
                let ranks = solution.defaults.iter().filter(|d| d.when.holds(shape)).map(|d| d.rank);
                Some((ranks.min()?, solution.name.as_str()))
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
            .filter(|configuration| configuration.when.holds(shape))
            .collect();
        found.sort_by_key(|configuration| configuration.rank);
        found
    }
}

impl When {
    /// Whether all conditions hold.
    pub fn holds(&self, shape: &DataShape) -> bool {
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
        assert_eq!(when.holds(shape), expected, "{conditions}");
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
