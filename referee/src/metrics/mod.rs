//! Metrics, natively: a catalogue by name, and one file per way of computing (confusion counts, rankings, row losses).
//!
//! Every formula agrees with scikit-learn on the committed golden cases (`tests/golden/`); where we differ on purpose,
//! the function says so. Weights are counts of a row: a row of weight 0 is absent, whatever stands in it.

mod catalogue;
mod confusion;
mod input;
mod ranking;
mod replicate;
mod rowwise;

pub use catalogue::{ChoiceError, UnknownMetric, default_for, fits, lookup, names, resolve};
pub use replicate::Prepared;

use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Direction, Metric, MetricError, MetricSpec, PredictionKind};
use confusion::{Confusion, CountFormula};
use ranking::ManyClasses;
pub(crate) use ranking::{RankStatistic, Ranking, mean};
use rowwise::Reduction;
pub(crate) use rowwise::{PROBABILITY_FLOOR, RowLoss};

/// How a native metric is computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Formula {
    /// From the table of true against predicted classes.
    Counts(CountFormula),
    /// From the order of one column of scores, two classes.
    Rank(RankStatistic),
    /// The mean over classes of a ranking of each class against the rest.
    OneVsRest(RankStatistic),
    /// Another mean of rankings of classes.
    ManyClasses(ManyClasses),
    /// From one loss per row.
    Rows(RowLoss, Reduction),
}

/// A metric of the catalogue.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Native {
    spec: MetricSpec,
    formula: Formula,
    range: (f64, f64),
}

impl Native {
    fn new(
        name: &str,
        direction: Direction,
        reads: PredictionKind,
        formula: Formula,
        range: (f64, f64),
    ) -> Self {
        Self { spec: MetricSpec { name: name.to_owned(), direction, reads }, formula, range }
    }
}

impl Metric for Native {
    fn spec(&self) -> &MetricSpec {
        &self.spec
    }

    fn score(
        &self,
        truth: &[f64],
        predictions: &Matrix,
        weights: Option<&[f64]>,
    ) -> Result<f64, MetricError> {
        input::shapes(truth, predictions, weights)?;
        match self.formula {
            Formula::Counts(formula) => {
                formula.value(&Confusion::count(truth, predictions, weights, formula.binary_only())?)
            }
            Formula::Rank(statistic) => ranking::binary(statistic, truth, predictions, weights),
            Formula::OneVsRest(statistic) => ranking::one_vs_rest(statistic, truth, predictions, weights),
            Formula::ManyClasses(many) => many.score(truth, predictions, weights),
            Formula::Rows(loss, reduction) => rowwise::score(loss, reduction, truth, predictions, weights),
        }
    }
}

/// The smallest and largest value that a metric can take; infinite where there is no bound, and for metrics that
/// are not of the catalogue.
pub fn range(spec: &MetricSpec) -> (f64, f64) {
    catalogue::native(&spec.name).map_or((f64::NEG_INFINITY, f64::INFINITY), |native| native.range)
}

/// Whether a metric is one of the catalogue, so that it can be scored quickly again and again.
pub fn is_native(spec: &MetricSpec) -> bool {
    catalogue::native(&spec.name).is_some()
}

/// How a metric of the catalogue is computed.
pub(crate) fn formula(spec: &MetricSpec) -> Option<Formula> {
    catalogue::native(&spec.name).map(|native| native.formula)
}
