//! Metrics that start from one loss per row: errors of values, losses of probabilities, precision at k.

use super::input;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::MetricError;
use std::collections::BTreeMap;

/// Passes over the rows that sorting them is worth.
const SORTING_PASSES: usize = 12;

/// Passes that counting classes is worth.
const CLASSES_PASSES: usize = 4;

/// Probabilities are kept this far from 0 and 1 by the log loss.
pub(crate) const PROBABILITY_FLOOR: f64 = 1e-15;

/// The loss of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowLoss {
    /// Negative logarithm of the probability of the true class.
    Log,
    /// Squared distance of the probabilities from the truth: of class 1 for two classes, summed over classes otherwise.
    Brier,
    /// Twice that for two classes: the sum over both, as [`Reduction::OfImpurity`] compares it.
    BrierSum,
    /// One over the rank of the true class if it is among the first so many, else 0.
    PrecisionAt(usize),
    /// 1 if the true class is among the first so many, else 0.
    Among(usize),
    /// Squared error.
    Squared,
    /// Truth less prediction.
    Signed,
    /// Absolute error.
    Absolute,
    /// Absolute error as a share of the truth.
    AbsoluteShare,
    /// Squared error as a share of the squared truth.
    SquaredShare,
    /// Error that counts so many hundredths where the prediction is too low, and the other hundredths where it is too high.
    Pinball(u8),
    /// Squared error of the logarithms of one more than the values.
    SquaredLog,
    /// Absolute error in percent of the mean size of truth and prediction; 0 where both are 0.
    SymmetricPercent,
    /// Poisson deviance.
    Poisson,
    /// Gamma deviance.
    Gamma,
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
    /// One minus the ratio of variances, of losses to the truth: a constant error costs nothing.
    OfVariance,
    /// One minus the ratio to the mean distance of the truth from its median.
    OfDeviation,
    /// One minus the ratio to the entropy of the classes.
    OfEntropy,
    /// One minus the ratio to the Gini impurity of the classes.
    OfImpurity,
    /// Sum over the sum of the sizes of the truth.
    PerSize,
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
        RowLoss::Log | RowLoss::Brier | RowLoss::BrierSum if predictions.columns() >= 1 => {}
        RowLoss::PrecisionAt(_) | RowLoss::Among(_) if predictions.columns() >= 2 => {}
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
            Self::BrierSum => {
                Ok(brier(row, actual, predicted)? * if predicted.len() == 1 { 2.0 } else { 1.0 })
            }
            Self::PrecisionAt(k) => precision_at(k, row, actual, predicted),
            Self::Among(k) => among(k, row, actual, predicted),
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
            Self::Signed => actual - predicted,
            Self::Squared => error * error,
            Self::AbsoluteShare => error / actual.abs().max(f64::EPSILON),
            Self::SquaredShare => (error / actual.abs().max(f64::EPSILON)).powi(2),
            Self::Pinball(percent) => {
                let share = f64::from(percent) / 100.0;
                if actual >= predicted { share * error } else { (1.0 - share) * error }
            }
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
            Self::Gamma => {
                above(row, actual, 0.0, "truth")?;
                above(row, predicted, 0.0, "prediction")?;
                2.0 * ((predicted / actual).ln() + actual / predicted - 1.0)
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
    let rank = rank(row, actual, predicted, |class, rival| rival < class)?;
    Ok(if rank <= k { 1.0 / rank as f64 } else { 0.0 })
}

/// Among equal scores the higher class index stands first, as in scikit-learn.
fn among(k: usize, row: usize, actual: f64, predicted: &[f64]) -> Result<f64, MetricError> {
    let rank = rank(row, actual, predicted, |class, rival| rival > class)?;
    Ok(f64::from(u8::from(rank <= k)))
}

/// The place of the true class by falling score; `before` says whether a rival of equal score stands before it.
fn rank(
    row: usize,
    actual: f64,
    predicted: &[f64],
    before: impl Fn(usize, usize) -> bool,
) -> Result<usize, MetricError> {
    let class = input::class(row, actual, predicted.len(), "truth")?;
    let own = predicted[class];
    let mut rank = 1;
    for (rival, &value) in predicted.iter().enumerate() {
        input::finite(row, value, "prediction")?;
        rank += usize::from(value > own || (value == own && before(class, rival)));
    }
    Ok(rank)
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
            Self::OfVariance => {
                let scatters = scatter(losses, &weight).zip(scatter(truth, &weight));
                scatters.map(|(error, spread)| share_explained(error, spread)).ok_or_else(no_rows)
            }
            Self::OfDeviation => {
                let median = weighted_median(truth, &weight).ok_or_else(no_rows)?;
                let distances: Vec<f64> = truth.iter().map(|value| (value - median).abs()).collect();
                Ok(share_explained(total(losses, &weight), total(&distances, &weight)))
            }
            Self::OfEntropy => of_classes(losses, truth, weight, |share| -share * share.ln()),
            Self::OfImpurity => of_classes(losses, truth, weight, |share| share * (1.0 - share)),
            Self::PerSize => {
                let sizes: Vec<f64> = truth.iter().map(|value| value.abs()).collect();
                let size = total(&sizes, &weight);
                let undefined = || MetricError::Undefined("all true values are 0".to_owned());
                (size > 0.0).then(|| total(losses, &weight) / size).ok_or_else(undefined)
            }
        }
    }

    /// Passes over the rows that one value takes, roughly.
    pub(crate) fn passes(self) -> usize {
        match self {
            Self::Median | Self::OfDeviation => SORTING_PASSES,
            Self::OfEntropy | Self::OfImpurity => CLASSES_PASSES,
            _ => 1,
        }
    }
}

/// Weighted sum over rows of weight above 0.
fn total(values: &[f64], weight: impl Fn(usize) -> f64) -> f64 {
    let weighted = values.iter().enumerate().map(|(row, value)| (weight(row), value));
    weighted.filter(|(weight, _)| *weight > 0.0).map(|(weight, value)| weight * value).sum()
}

/// Weighted sum of the squared distances from the weighted mean; `None` without rows.
fn scatter(values: &[f64], weight: impl Fn(usize) -> f64) -> Option<f64> {
    let (mut rows, mut sum, mut squares) = (0.0_f64, 0.0_f64, 0.0_f64);
    // Moments about one of the values lose no digits to a large mean, and need one pass.
    let mut origin = None;
    for (row, value) in values.iter().enumerate() {
        let weight = weight(row);
        if weight > 0.0 {
            let distance = value - *origin.get_or_insert(*value);
            rows += weight;
            sum += weight * distance;
            squares += weight * distance * distance;
        }
    }
    (rows > 0.0).then(|| (squares - sum * sum / rows).max(0.0))
}

/// The mean loss against a mean over classes: that of the best constant probabilities.
fn of_classes(
    losses: &[f64],
    truth: &[f64],
    weight: impl Fn(usize) -> f64,
    of_share: impl Fn(f64) -> f64,
) -> Result<f64, MetricError> {
    let mut classes: BTreeMap<u64, f64> = BTreeMap::new();
    for (row, class) in truth.iter().enumerate() {
        let weight = weight(row);
        if weight > 0.0 {
            *classes.entry(class.to_bits()).or_insert(0.0) += weight;
        }
    }
    let rows: f64 = classes.values().sum();
    if rows <= 0.0 {
        return Err(MetricError::Undefined("there are no rows".to_owned()));
    }
    let constant: f64 = classes.values().map(|count| of_share(count / rows)).sum();
    Ok(share_explained(total(losses, weight) / rows, constant))
}

/// One minus a ratio: 1 where there is no error, and 0 where there is one but nothing to explain, as in scikit-learn.
fn share_explained(error: f64, spread: f64) -> f64 {
    match (error == 0.0, spread <= 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => 1.0 - error / spread,
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
    Ok(share_explained(error, sum_squares - sum * sum / total))
}
