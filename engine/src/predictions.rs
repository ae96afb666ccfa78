//! Predictions of a trial as bytes, and back.

use ansatz_core::matrix::Matrix;
use ansatz_core::npy;

/// Predictions of a trial as one blob: a `.npy` matrix whose first column names the stage's value, row by row.
pub fn encode(stages: &[Matrix], values: &[f64]) -> Vec<u8> {
    let columns = stages.first().map_or(0, Matrix::columns) + 1;
    let rows: usize = stages.iter().map(Matrix::rows).sum();
    let mut data = Vec::with_capacity(rows * columns);
    for (stage, value) in stages.iter().zip(values) {
        for row in 0..stage.rows() {
            data.push(*value);
            data.extend_from_slice(stage.row(row));
        }
    }
    Matrix::new(rows, columns, data).map(|matrix| npy::write_matrix(&matrix)).unwrap_or_default()
}

/// The inverse of [`encode`]; `rows` is the number of rows of one stage.
pub fn decode(bytes: &[u8], rows: usize) -> Option<(Vec<Matrix>, Vec<f64>)> {
    let all = npy::read(bytes, usize::MAX / 16).ok()?.into_matrix().ok()?;
    if rows == 0 || all.rows() % rows != 0 || all.columns() < 2 {
        return None;
    }
    let mut stages = Vec::new();
    let mut values = Vec::new();
    for stage in 0..all.rows() / rows {
        values.push(all.row(stage * rows)[0]);
        let data = (stage * rows..(stage + 1) * rows).flat_map(|row| all.row(row)[1..].to_vec()).collect();
        stages.push(Matrix::new(rows, all.columns() - 1, data)?);
    }
    Some((stages, values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_survive_the_blob() {
        let stages = vec![Matrix::filled(3, 2, 0.25), Matrix::filled(3, 2, 0.5)];
        let (back, values) = decode(&encode(&stages, &[50.0, 100.0]), 3).unwrap();
        assert_eq!((back, values), (stages, vec![50.0, 100.0]));
        assert!(decode(b"nonsense", 3).is_none());
    }
}
