//! A metric made ready for many weightings of the same predictions: what does not depend on the weights is done once.

use super::confusion::{self, Confusion, CountFormula};
use super::ranking::{self, Contests, RankStatistic, Ranking};
use super::rowwise::{self, Reduction};
use super::{Formula, catalogue, input};
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError};

/// Visits that a row of a metric that is not of the catalogue counts as: it is asked in another world, in plain code.
const FOREIGN_COST: usize = 20;

/// More classes have too many pairs to keep a ranking of each.
const PAIRED_CLASSES_MAX: usize = 30;

/// Predictions and truth under one metric, to be scored again and again with counts of rows.
pub struct Prepared<'a> {
    truth: &'a [f64],
    form: Form<'a>,
}

enum Form<'a> {
    Counts {
        formula: CountFormula,
        classes: usize,
        cells: Vec<u32>,
    },
    Rank {
        statistic: RankStatistic,
        rankings: Vec<Ranking>,
    },
    Contests(Contests),
    Rows {
        losses: Vec<f64>,
        reduction: Reduction,
    },
    /// Losses in rising order with the row of each: a median needs no new sort.
    Median {
        losses: Vec<f64>,
        rows: Vec<u32>,
    },
    Other {
        metric: &'a dyn Metric,
        predictions: &'a Matrix,
    },
}

impl<'a> Prepared<'a> {
    /// Sorts, counts or takes losses once. Metrics that are not of the catalogue are called anew for each weighting.
    ///
    /// # Errors
    /// [`MetricError`] as [`Metric::score`].
    pub fn new(
        metric: &'a dyn Metric,
        truth: &'a [f64],
        predictions: &'a Matrix,
    ) -> Result<Self, MetricError> {
        input::shapes(truth, predictions, None)?;
        let Some(native) = catalogue::native(&metric.spec().name) else {
            return Ok(Self { truth, form: Form::Other { metric, predictions } });
        };
        let form = match native.formula {
            Formula::Counts(formula) => {
                let (classes, cells) = confusion::cells(truth, predictions, None, formula.binary_only())?;
                let cells = cells.into_iter().map(|cell| cell.unwrap_or_default() as u32).collect();
                Form::Counts { formula, classes, cells }
            }
            Formula::Rank(statistic) => {
                ranking::check(truth, predictions, None, 1, 2)?;
                Form::Rank { statistic, rankings: vec![ranking::ranking(predictions, truth, 0, 1.0)] }
            }
            Formula::OneVsRest(statistic) => {
                let classes = predictions.columns();
                ranking::check(truth, predictions, None, classes, classes)?;
                let of_class = |class| ranking::ranking(predictions, truth, class, class as f64);
                Form::Rank { statistic, rankings: (0..classes).map(of_class).collect() }
            }
            Formula::ManyClasses(_) if predictions.columns() > PAIRED_CLASSES_MAX => {
                Form::Other { metric, predictions }
            }
            Formula::ManyClasses(many) => Form::Contests(many.contests(truth, predictions, None)?),
            Formula::Rows(loss, Reduction::Median) => {
                let losses = rowwise::losses(loss, truth, predictions, None)?;
                let mut rows: Vec<u32> = (0..losses.len() as u32).collect();
                rows.sort_unstable_by(|&a, &b| losses[a as usize].total_cmp(&losses[b as usize]));
                Form::Median { losses: rows.iter().map(|&row| losses[row as usize]).collect(), rows }
            }
            Formula::Rows(loss, reduction) => {
                Form::Rows { losses: rowwise::losses(loss, truth, predictions, None)?, reduction }
            }
        };
        Ok(Self { truth, form })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.truth.len()
    }

    /// The score of every row once.
    ///
    /// # Errors
    /// [`MetricError::Undefined`] where there is none.
    pub fn all(&self) -> Result<f64, MetricError> {
        let undefined = || MetricError::Undefined("the metric has no value on these rows".to_owned());
        self.score(&vec![1; self.rows()]).ok_or_else(undefined)
    }

    /// The score when row `i` occurs `counts[i]` times; `None` where it is undefined, as ROC AUC of one class.
    pub fn score(&self, counts: &[u32]) -> Option<f64> {
        let weight = |row: usize| f64::from(counts[row]);
        match &self.form {
            Form::Counts { formula, classes, cells } => {
                let mut table = vec![0.0; classes * classes];
                for (cell, count) in cells.iter().zip(counts) {
                    table[*cell as usize] += f64::from(*count);
                }
                formula.value(&Confusion::from_cells(*classes, table)).ok()
            }
            Form::Rank { statistic, rankings } => {
                let values: Vec<f64> =
                    rankings.iter().filter_map(|ranking| ranking.value(*statistic, counts)).collect();
                ranking::mean(&values)
            }
            Form::Contests(contests) => contests.value(self.truth, counts),
            Form::Rows { losses, reduction } => reduction.value(losses, self.truth, weight).ok(),
            Form::Median { losses, rows } => rowwise::median_of_rising(
                losses.iter().zip(rows).map(|(&loss, &row)| (loss, weight(row as usize))),
            ),
            Form::Other { metric, predictions } => {
                let weights: Vec<f64> = counts.iter().map(|&count| f64::from(count)).collect();
                metric.score(self.truth, predictions, Some(&weights)).ok()
            }
        }
    }

    /// The scores of several weightings; a metric that is not of the catalogue is called once for all of them.
    pub(crate) fn scores(&self, counts: &[Vec<u32>]) -> Vec<Option<f64>> {
        match &self.form {
            Form::Other { metric, predictions } => metric.scores(self.truth, predictions, counts),
            _ => counts.iter().map(|counts| self.score(counts)).collect(),
        }
    }

    /// How many rows, or cells of a table, one score visits.
    pub(crate) fn visits(&self) -> usize {
        let rows = self.truth.len();
        match &self.form {
            Form::Counts { classes, .. } => rows + classes * classes * 4,
            Form::Rank { rankings, .. } => rows * rankings.len().max(1),
            Form::Contests(contests) => rows + contests.visits(),
            Form::Rows { reduction, .. } => rows * reduction.passes(),
            Form::Median { .. } => rows,
            Form::Other { .. } => rows * FOREIGN_COST,
        }
    }

    /// Whether a score costs a call of a metric that we know nothing about.
    pub(crate) fn is_foreign(&self) -> bool {
        matches!(self.form, Form::Other { .. })
    }
}
