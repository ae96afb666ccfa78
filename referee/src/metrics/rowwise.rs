//! Metrics that start from one loss per row: errors of values, losses of probabilities, precision at k.

use super::input;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::MetricError;

/// Probabilities are kept this far from 0 and 1 by the log loss.
pub(crate) const PROBABILITY_FLOOR: f64 = 1e-15;

/// The loss of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowLoss {
    /// Negative logarithm of the probability of the true class.
    Log,
    /// Squared distance of the probabilities from the truth: of class 1 for two classes, summed over classes otherwise.
    Brier,
    /// One over the rank of the true class if it is among the first so many, else 0.
    PrecisionAt(usize),
    /// Squared error.
    Squared,
    /// Absolute error.
    Absolute,
    /// Absolute error as a share of the truth.
    AbsoluteShare,
    /// Squared error of the logarithms of one more than the values.
    SquaredLog,
    /// Absolute error in percent of the mean size of truth and prediction; 0 where both are 0.
    SymmetricPercent,
    /// Poisson deviance.
    Poisson,
}

/// How the row losses become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    /// Weighted mean.
    Mean,
    /// Square root of the weighted mean.
    RootMean,
    /// Weighted median.
    Median,
    /// The largest among rows of weight above 0.
    Largest,
    /// One minus the ratio to the variance of the truth.
    Explained,
}

/// The score of checked shapes.
pub(crate) fn score(
    loss: RowLoss,
    reduction: Reduction,
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
) -> Result<f64, MetricError> {
    let losses = losses(loss, truth, predictions, weights)?;
    reduction.value(&losses, truth, |row| input::weight(weights, row))
}

/// One loss per row; 0 for rows of weight 0.
pub(crate) fn losses(
    loss: RowLoss,
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
) -> Result<Vec<f64>, MetricError> {
    match loss {
        RowLoss::Log | RowLoss::Brier if predictions.columns() >= 1 => {}
        RowLoss::PrecisionAt(_) if predictions.columns() >= 2 => {}
        _ => input::width(predictions, 1)?,
    }
    let mut losses = Vec::with_capacity(truth.len());
    for (row, &actual) in truth.iter().enumerate() {
        let absent = input::weight(weights, row) == 0.0;
        losses.push(if absent { 0.0 } else { loss.of_row(row, actual, predictions.row(row))? });
    }
    Ok(losses)
}

impl RowLoss {
    fn of_row(self, row: usize, actual: f64, predicted: &[f64]) -> Result<f64, MetricError> {
        match self {
            Self::Log => log_loss(row, actual, predicted),
            Self::Brier => brier(row, actual, predicted),
            Self::PrecisionAt(k) => precision_at(k, row, actual, predicted),
            _ => self.of_value(
                row,
                input::finite(row, actual, "truth")?,
                input::finite(row, predicted[0], "prediction")?,
            ),
        }
    }

    fn of_value(self, row: usize, actual: f64, predicted: f64) -> Result<f64, MetricError> {
        let error = (actual - predicted).abs();
        Ok(match self {
            Self::Squared => error * error,
            Self::AbsoluteShare => error / actual.abs().max(f64::EPSILON),
            Self::SquaredLog => {
                above(row, actual, -1.0, "truth")?;
                above(row, predicted, -1.0, "prediction")?;
                (actual.ln_1p() - predicted.ln_1p()).powi(2)
            }
            Self::SymmetricPercent if error == 0.0 => 0.0,
            Self::SymmetricPercent => 200.0 * error / (actual.abs() + predicted.abs()),
            Self::Poisson => {
                above(row, predicted, 0.0, "prediction")?;
                if actual < 0.0 {
                    return Err(MetricError::Value { row, problem: format!("truth {actual} is below 0") });
                }
                let logarithm = if actual > 0.0 { actual * (actual / predicted).ln() } else { 0.0 };
                2.0 * (logarithm - actual + predicted)
            }
            _ => error,
        })
    }
}

fn above(row: usize, value: f64, limit: f64, what: &str) -> Result<(), MetricError> {
    if value > limit {
        return Ok(());
    }
    Err(MetricError::Value { row, problem: format!("{what} {value} is not above {limit}") })
}

fn probability(row: usize, value: f64) -> Result<f64, MetricError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(MetricError::Value { row, problem: format!("prediction {value} is not a probability from 0 to 1") })
}

/// Sum of a row of probabilities, each of them checked.
fn probability_sum(row: usize, predicted: &[f64]) -> Result<f64, MetricError> {
    let mut sum = 0.0;
    for &value in predicted {
        sum += probability(row, value)?;
    }
    if sum > 0.0 {
        return Ok(sum);
    }
    Err(MetricError::Value { row, problem: "all probabilities are 0".to_owned() })
}

fn log_loss(row: usize, actual: f64, predicted: &[f64]) -> Result<f64, MetricError> {
    let kept = |value: f64| value.clamp(PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR);
    if let [positive] = predicted {
        let positive = kept(probability(row, *positive)?);
        let class = input::class(row, actual, 2, "truth")?;
        return Ok(-if class == 1 { positive } else { 1.0 - positive }.ln());
    }
    let class = input::class(row, actual, predicted.len(), "truth")?;
    Ok(-kept(predicted[class] / probability_sum(row, predicted)?).ln())
}

fn brier(row: usize, actual: f64, predicted: &[f64]) -> Result<f64, MetricError> {
    if let [positive] = predicted {
        let class = input::class(row, actual, 2, "truth")?;
        return Ok((probability(row, *positive)? - class as f64).powi(2));
    }
    let class = input::class(row, actual, predicted.len(), "truth")?;
    let sum = probability_sum(row, predicted)?;
    let distance =
        |(column, value): (usize, &f64)| (value / sum - f64::from(u8::from(column == class))).powi(2);
    Ok(predicted.iter().enumerate().map(distance).sum())
}

/// Among equal scores the lower class index stands first.
fn precision_at(k: usize, row: usize, actual: f64, predicted: &[f64]) -> Result<f64, MetricError> {
    let class = input::class(row, actual, predicted.len(), "truth")?;
    let own = predicted[class];
    let mut rank = 1;
    for (column, &value) in predicted.iter().enumerate() {
        input::finite(row, value, "prediction")?;
        rank += usize::from(value > own || (value == own && column < class));
    }
    Ok(if rank <= k { 1.0 / rank as f64 } else { 0.0 })
}

impl Reduction {
    /// The number over rows of weight above 0.
    pub(crate) fn value(
        self,
        losses: &[f64],
        truth: &[f64],
        weight: impl Fn(usize) -> f64,
    ) -> Result<f64, MetricError> {
        let no_rows = || MetricError::Undefined("there are no rows".to_owned());
        match self {
            Self::Mean => weighted_mean(losses, weight).ok_or_else(no_rows),
            Self::RootMean => weighted_mean(losses, weight).map(f64::sqrt).ok_or_else(no_rows),
            Self::Median => weighted_median(losses, weight).ok_or_else(no_rows),
            Self::Largest => Ok((losses.iter().enumerate())
                .filter(|(row, _)| weight(*row) > 0.0)
                .fold(0.0, |largest, (_, &loss)| largest.max(loss))),
            Self::Explained => explained(losses, truth, weight),
        }
    }
}

fn weighted_mean(values: &[f64], weight: impl Fn(usize) -> f64) -> Option<f64> {
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, value) in values.iter().enumerate() {
        let weight = weight(row);
        sum += weight * value;
        total += weight;
    }
    (total > 0.0).then(|| sum / total)
}

/// The smallest value with at least half of the weight at or below it; the mean with the next value when it is exactly half.
pub(crate) fn weighted_median(values: &[f64], weight: impl Fn(usize) -> f64) -> Option<f64> {
    let mut pairs: Vec<(f64, f64)> =
        values.iter().enumerate().map(|(row, &value)| (value, weight(row))).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    median_of_rising(pairs.into_iter())
}

/// The weighted median of (value, weight) pairs with rising values.
pub(crate) fn median_of_rising(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> Option<f64> {
    let half = pairs.clone().map(|pair| pair.1).sum::<f64>() / 2.0;
    let mut pairs = pairs.filter(|pair| pair.1 > 0.0);
    let mut below = 0.0;
    while let Some((value, weight)) = pairs.next() {
        below += weight;
        if below == half {
            return Some(pairs.next().map_or(value, |next| f64::midpoint(value, next.0)));
        }
        if below > half {
            return Some(value);
        }
    }
    None
}

/// R². A constant truth gives 1 for exact predictions and 0 otherwise, as in scikit-learn.
fn explained(squares: &[f64], truth: &[f64], weight: impl Fn(usize) -> f64) -> Result<f64, MetricError> {
    let (mut rows, mut total, mut sum, mut sum_squares, mut error) = (0_usize, 0.0, 0.0, 0.0, 0.0);
    // Moments about one of the values lose no digits to a large mean, and need one pass.
    let mut origin = 0.0;
    for (row, square) in squares.iter().enumerate() {
        let weight = weight(row);
        if weight > 0.0 {
            origin = if rows == 0 { truth[row] } else { origin };
            let distance = truth[row] - origin;
            rows += 1;
            total += weight;
            sum += weight * distance;
            sum_squares += weight * distance * distance;
            error += weight * square;
        }
    }
    if rows < 2 {
        return Err(MetricError::Undefined("R² needs two rows".to_owned()));
    }
    let spread = sum_squares - sum * sum / total;
    Ok(match (error == 0.0, spread <= 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => 1.0 - error / spread,
    })
}
