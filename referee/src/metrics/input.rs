//! What every metric demands of its input before it looks at a value.

use ansatz_core::matrix::Matrix;
use ansatz_core::metric::MetricError;

/// Equal lengths, at least one column, and weights that are finite, not negative, and not all zero.
pub(crate) fn shapes(
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
) -> Result<(), MetricError> {
    let rows = truth.len();
    if predictions.rows() != rows {
        return Err(wrong_shape(
            format!("{rows} rows of predictions"),
            format!("{} rows", predictions.rows()),
        ));
    }
    let Some(weights) = weights else {
        return if rows == 0 { Err(no_rows()) } else { Ok(()) };
    };
    if weights.len() != rows {
        return Err(wrong_shape(format!("{rows} weights"), format!("{} weights", weights.len())));
    }
    if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
        return Err(MetricError::Value { row, problem: format!("weight {} is not a count", weights[row]) });
    }
    if weights.iter().all(|weight| *weight == 0.0) { Err(no_rows()) } else { Ok(()) }
}

/// Exactly `columns` columns of predictions.
pub(crate) fn width(predictions: &Matrix, columns: usize) -> Result<(), MetricError> {
    if predictions.columns() == columns {
        return Ok(());
    }
    Err(wrong_shape(
        format!("{columns} column(s) of predictions"),
        format!("{} column(s)", predictions.columns()),
    ))
}

/// A whole number from 0 below `classes`.
pub(crate) fn class(row: usize, value: f64, classes: usize, what: &str) -> Result<usize, MetricError> {
    if value >= 0.0 && value.fract() == 0.0 && value < classes as f64 {
        return Ok(value as usize);
    }
    let last = classes.saturating_sub(1);
    Err(MetricError::Value { row, problem: format!("{what} {value} is not a class index from 0 to {last}") })
}

/// A finite number.
pub(crate) fn finite(row: usize, value: f64, what: &str) -> Result<f64, MetricError> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(MetricError::Value { row, problem: format!("{what} is {value}, not a finite number") })
}

/// The weight of a row, 1 without weights.
pub(crate) fn weight(weights: Option<&[f64]>, row: usize) -> f64 {
    weights.map_or(1.0, |weights| weights[row])
}

fn wrong_shape(expected: String, found: String) -> MetricError {
    MetricError::Shape { expected, found }
}

fn no_rows() -> MetricError {
    MetricError::Undefined("there are no rows".to_owned())
}
