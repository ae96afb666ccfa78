//! A dense row-major table of numbers: predictions, mostly.

use serde::{Deserialize, Serialize};

/// `rows × columns` numbers in row-major order. Binary problems have one column (the probability of the
/// positive class), multiclass problems one per class, regression one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f64>,
}

impl Matrix {
    /// A matrix over `data`, or `None` when its length is not `rows * columns`.
    pub fn new(rows: usize, columns: usize, data: Vec<f64>) -> Option<Self> {
        (rows.checked_mul(columns)? == data.len()).then_some(Self { rows, columns, data })
    }

    /// A matrix filled with one value.
    pub fn filled(rows: usize, columns: usize, value: f64) -> Self {
        Self { rows, columns, data: vec![value; rows * columns] }
    }

    /// A matrix of one column.
    pub fn column(data: Vec<f64>) -> Self {
        Self { rows: data.len(), columns: 1, data }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row by row.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// All values, row by row, to be changed.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// One row. Panics when `row` is out of range, as indexing does.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.columns..(row + 1) * self.columns]
    }

    /// One row, to be changed.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.data[row * self.columns..(row + 1) * self.columns]
    }

    /// The rows named by `rows`, in that order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let data = rows.iter().flat_map(|&row| self.row(row).iter().copied()).collect();
        Self { rows: rows.len(), columns: self.columns, data }
    }

    /// Whether every value is a finite number.
    pub fn is_finite(&self) -> bool {
        self.data.iter().all(|value| value.is_finite())
    }
}
