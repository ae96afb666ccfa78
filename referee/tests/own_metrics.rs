//! A metric that is not of the catalogue: it decides like its twin of the catalogue, and is asked seldom and little.

#![allow(clippy::expect_used, reason = "a test that cannot go on should say where")]

use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Metric, MetricError, MetricSpec};
use ansatz_core::seed::Seed;
use ansatz_core::task::Problem;
use ansatz_referee::decision::Decision;
use ansatz_referee::gates::{FOREIGN_REPLICATES_MAX, FOREIGN_ROWS_MAX, compare};
use ansatz_referee::interval::{Judged, expected, interval};
use ansatz_referee::metrics::lookup;
use ansatz_referee::resample::Resampling;
use ansatz_referee::{ensemble, prior};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A metric of the catalogue under a name that it does not have.
struct Own {
    twin: Box<dyn Metric>,
    spec: MetricSpec,
    calls: AtomicUsize,
    weightings: AtomicUsize,
    rows: AtomicUsize,
}

impl Own {
    fn of(name: &str) -> Self {
        let twin = lookup(name).expect("a metric");
        let spec = MetricSpec { name: format!("my own {name}"), ..twin.spec().clone() };
        let [calls, weightings, rows] = [0, 0, 0].map(AtomicUsize::new);
        Self { twin, spec, calls, weightings, rows }
    }

    fn count(&self, rows: usize, weightings: usize) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.weightings.fetch_add(weightings, Ordering::Relaxed);
        self.rows.fetch_add(rows * weightings, Ordering::Relaxed);
    }

    fn counted(&self) -> (usize, usize, usize) {
        [&self.calls, &self.weightings, &self.rows].map(|count| count.load(Ordering::Relaxed)).into()
    }
}

impl Metric for Own {
    fn spec(&self) -> &MetricSpec {
        &self.spec
    }

    fn score(
        &self,
        truth: &[f64],
        predictions: &Matrix,
        weights: Option<&[f64]>,
    ) -> Result<f64, MetricError> {
        self.count(truth.len(), 1);
        self.twin.score(truth, predictions, weights)
    }

    fn scores(&self, truth: &[f64], predictions: &Matrix, counts: &[Vec<u32>]) -> Vec<Option<f64>> {
        self.count(truth.len(), counts.len());
        self.twin.scores(truth, predictions, counts)
    }
}

/// Numbers between 0 and 1 without any pattern that matters here.
fn noise(at: usize) -> f64 {
    (at as f64 * 12.9898).sin().mul_add(43_758.545_3, 0.0).rem_euclid(1.0)
}

/// Class 1 in a third of the rows; probabilities that lean to the truth, more or less.
fn rows(count: usize, lean: f64, salt: usize) -> (Vec<f64>, Matrix) {
    let truth: Vec<f64> = (0..count).map(|row| f64::from(u8::from(noise(row) < 0.33))).collect();
    let probability =
        |row: usize| (truth[row] * lean + noise(row * 3 + salt) * (1.0 - lean)).clamp(0.01, 0.99);
    let probabilities = (0..count).map(probability).collect();
    (truth, Matrix::column(probabilities))
}

#[test]
fn a_comparison_agrees_and_asks_little() {
    for (name, count) in [("brier_score", 900), ("roc_auc", 9_000)] {
        let (own, twin) = (Own::of(name), lookup(name).expect("a metric"));
        let ((truth, good), (_, bad)) = (rows(count, 0.5, 1), rows(count, 0.3, 7));
        let asked = compare(&own, &truth, &good, &bad, None, Seed(1)).expect("a comparison");
        let ours = compare(&*twin, &truth, &good, &bad, None, Seed(1)).expect("a comparison");
        assert!((asked.gain - ours.gain).abs() < 1e-12, "{asked:?} {ours:?}");
        assert!((0.6..1.6).contains(&(asked.error / ours.error)), "{asked:?} {ours:?}");
        assert!(asked.replicates as usize <= FOREIGN_REPLICATES_MAX, "{asked:?}");
        let (calls, weightings, rows) = own.counted();
        assert!(
            calls <= 8 && weightings <= 2 * FOREIGN_REPLICATES_MAX + 8,
            "{calls} calls, {weightings} weightings"
        );
        assert!(rows <= 2 * FOREIGN_REPLICATES_MAX * FOREIGN_ROWS_MAX + 8 * count, "{rows} rows");
    }
}

#[test]
fn an_interval_agrees_and_asks_little() {
    let count = 6_000;
    let (truth, predictions) = rows(count, 0.3, 1);
    let resampling = Resampling::suited(Problem::Binary, &truth, None, None);
    let judged = |metric: &dyn Metric| {
        let judged = Judged {
            metric,
            truth: &truth,
            predictions: &predictions,
            resampling: &resampling,
            looks: 1,
            seed: Seed(1),
        };
        (interval(&judged).expect("an interval"), expected(&judged, 1_000).expect("a range"))
    };
    let own = Own::of("roc_auc");
    let ((asked, (low, high)), (ours, _)) = (judged(&own), judged(&*lookup("roc_auc").expect("a metric")));
    assert!((asked.score - ours.score).abs() < 1e-12);
    let ratio = (asked.high - asked.low) / (ours.high - ours.low);
    assert!((0.6..1.6).contains(&ratio), "{asked:?} {ours:?}");
    assert!(low < asked.low && asked.high < high);
    let (calls, weightings, _) = own.counted();
    assert!(calls <= 20 && weightings <= 2 * (FOREIGN_REPLICATES_MAX + 100) + 20, "{calls} {weightings}");
}

#[test]
fn a_cut_is_fitted_and_asks_little() {
    let count = 5_000;
    let (truth, raw) = rows(count, 0.2, 1);
    let own = Own::of("f1");
    let fitted = Decision::fit(&own, &truth, &raw, Seed(1)).expect("a cut");
    let twin = lookup("f1").expect("a metric");
    let ours = Decision::fit(&*twin, &truth, &raw, Seed(1)).expect("a cut");
    let score = |decision: &Decision| decision.score(&*twin, &truth, &raw).expect("a score");
    assert!(score(&fitted) > score(&ours) - 0.02, "{fitted:?} {ours:?}");
    let (calls, weightings, _) = own.counted();
    assert!(calls <= 25 && weightings <= 700, "{calls} calls, {weightings} weightings");
}

#[test]
fn an_ensemble_and_a_constant_are_found() {
    let count = 3_000;
    let ((truth, good), (_, other)) = (rows(count, 0.3, 1), rows(count, 0.3, 7));
    let own = Own::of("brier_score");
    let members = [good.clone(), other, rows(count, 0.0, 3).1];
    let found = ensemble::select(&own, &truth, &members, Seed(1)).expect("weights");
    assert!(
        found.weights[0] > 0.2 && found.weights[1] > 0.2 && found.weights[2] < 0.3,
        "{:?}",
        found.weights
    );
    assert!(own.counted().0 < 200, "{:?}", own.counted());

    let own = Own::of("mae");
    let values: Vec<f64> = (0..50_000).map(|row| noise(row).powi(3) * 100.0).collect();
    let constant = prior::prior(&own, &values, 1).expect("a constant");
    assert!((5.0..25.0).contains(&constant.output[0]), "near the median of 12.5: {:?}", constant.output);
    assert!(own.counted().2 < 300_000, "{:?}", own.counted());
}
