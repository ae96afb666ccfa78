//! The little linear algebra that a Gaussian process needs: rows of lower triangles, everything a dot product.

/// A sum of products, in eight lanes so that the compiler can use wide registers.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut lanes = [0.0; 8];
    let (chunks_a, chunks_b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..8 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// A square matrix of which only the lower triangle is used, row by row.
#[derive(Debug, Clone)]
pub(super) struct Lower {
    n: usize,
    cells: Vec<f64>,
}

impl Lower {
    /// From a function of row and column, called for the lower triangle alone.
    pub fn from_fn(n: usize, mut cell: impl FnMut(usize, usize) -> f64) -> Self {
        let mut cells = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                cells[i * n + j] = cell(i, j);
            }
        }
        Self { n, cells }
    }

    /// Row `i`, up to and with the diagonal.
    pub fn row(&self, i: usize) -> &[f64] {
        &self.cells[i * self.n..=i * self.n + i]
    }

    /// The Cholesky factor; `None` if the matrix is not positive definite.
    pub fn cholesky(mut self) -> Option<Self> {
        let n = self.n;
        for i in 0..n {
            let (above, from) = self.cells.split_at_mut(i * n);
            for j in 0..i {
                let row = &above[j * n..=j * n + j];
                from[j] = (from[j] - dot(&from[..j], row)) / row[j];
            }
            let rest = from[i] - dot(&from[..i], &from[..i]);
            if !(rest.is_finite() && rest > 0.0) {
                return None;
            }
            from[i] = rest.sqrt();
        }
        Some(self)
    }

    /// Solves `L x = b` in place.
    pub fn forward(&self, b: &mut [f64]) {
        for i in 0..self.n {
            let row = self.row(i);
            b[i] = (b[i] - dot(&row[..i], &b[..i])) / row[i];
        }
    }

    /// Solves `Lᵀ x = b` in place.
    pub fn backward(&self, b: &mut [f64]) {
        for i in (0..self.n).rev() {
            let row = self.row(i);
            b[i] /= row[i];
            let known = b[i];
            for (left, factor) in b[..i].iter_mut().zip(row) {
                *left -= factor * known;
            }
        }
    }

    /// The inverse of `L Lᵀ`, its lower triangle.
    pub fn inverse_of_product(&self) -> Self {
        let n = self.n;
        // Row j holds column j of L⁻¹, of which the entries before j are zero.
        let mut columns = vec![0.0; n * n];
        for j in 0..n {
            let column = &mut columns[j * n..(j + 1) * n];
            column[j] = 1.0 / self.row(j)[j];
            for i in j + 1..n {
                let row = self.row(i);
                column[i] = -dot(&row[j..i], &column[j..i]) / row[i];
            }
        }
        Self::from_fn(n, |i, j| dot(&columns[i * n + i..(i + 1) * n], &columns[j * n + i..(j + 1) * n]))
    }

    /// The logarithm of the determinant of `L Lᵀ`, halved.
    pub fn half_log_determinant(&self) -> f64 {
        (0..self.n).map(|i| self.row(i)[i].ln()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_solves_and_inverts() {
        let n = 37;
        let value =
            |i: usize, j: usize| (-((i as f64 - j as f64) / 5.0).powi(2)).exp() + f64::from(u8::from(i == j));
        let factor = Lower::from_fn(n, value).cholesky().unwrap();
        let wanted: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
        let mut b: Vec<f64> = (0..n).map(|i| (0..n).map(|j| value(i, j) * wanted[j]).sum()).collect();
        factor.forward(&mut b);
        factor.backward(&mut b);
        assert!(b.iter().zip(&wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-10));
        let inverse = factor.inverse_of_product();
        let cell = |i: usize, j: usize| inverse.row(i.max(j))[i.min(j)];
        for i in 0..n {
            for j in 0..n {
                let product: f64 = (0..n).map(|k| value(i, k) * cell(k, j)).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-10);
            }
        }
        assert!(Lower::from_fn(2, |_, _| 1.0).cholesky().is_none());
    }
}
