//! The metric of a task and the statistics around it, in the form in which the engine asks.
//!
//! Solutions give probabilities or values; the decision turns them into what the metric reads.

use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Direction, Metric};
use ansatz_core::seed::Seed;
use ansatz_core::task::Task;
use ansatz_referee::prior::{self, Prior};
use ansatz_referee::{ensemble, gates, metrics};

pub use ansatz_referee::decision::Decision;

/// Scores predictions of one task.
pub struct Scoring {
    metric: Box<dyn Metric>,
    smooth: Option<Box<dyn Metric>>,
    plain: Decision,
    seed: Seed,
}

impl Scoring {
    /// The scoring of a task; `None` when its metric is unknown.
    pub fn of(task: &Task, seed: Seed) -> Option<Self> {
        let metric = metrics::lookup(&task.metric.name).ok()?;
        let plain = Decision::plain(metric.spec(), task.outputs());
        let smooth = ensemble::smooth_metric(&*metric);
        Some(Self { metric, smooth, plain, seed: seed.derive("scoring") })
    }

    /// The metric.
    pub fn metric(&self) -> &dyn Metric {
        &*self.metric
    }

    /// Which way is better.
    pub fn direction(&self) -> Direction {
        self.metric.spec().direction
    }

    /// A score turned so that larger is better.
    pub fn gain(&self, score: f64) -> f64 {
        self.direction().gain(score)
    }

    /// The score of raw predictions after a decision; `None` when it is undefined.
    pub fn score(&self, truth: &[f64], raw: &Matrix, decision: &Decision) -> Option<f64> {
        decision.score(&*self.metric, truth, raw).ok().filter(|score| score.is_finite())
    }

    /// The score of raw predictions after the plain decision.
    pub fn plain_score(&self, truth: &[f64], raw: &Matrix) -> Option<f64> {
        self.score(truth, raw, &self.plain)
    }

    /// The best score over stages, each after the plain decision.
    pub fn best_over_stages(&self, truth: &[f64], stages: &[Matrix]) -> Option<f64> {
        let direction = self.direction();
        stages
            .iter()
            .filter_map(|stage| self.plain_score(truth, stage))
            .reduce(|best, score| if direction.better(score, best) { score } else { best })
    }

    /// The stage to use, and its score.
    pub fn best_stage(&self, truth: &[f64], stages: &[Matrix]) -> Option<(usize, f64)> {
        let stage = ensemble::best_stage(&*self.metric, truth, stages, self.seed).ok()?;
        Some((stage, self.plain_score(truth, stages.get(stage)?)?))
    }

    /// How good predictions are for the purpose of searching; larger is better. Metrics of labels move in steps of a
    /// row, so their smooth relative is asked instead.
    pub fn search_gain(&self, truth: &[f64], raw: &Matrix) -> Option<f64> {
        match &self.smooth {
            Some(smooth) => {
                smooth.score(truth, raw, None).ok().map(|score| smooth.spec().direction.gain(score))
            }
            None => self.plain_score(truth, raw).map(|score| self.gain(score)),
        }
    }

    /// The decision that suits out-of-fold predictions.
    pub fn decision(&self, truth: &[f64], oof: &Matrix) -> Decision {
        Decision::fit(&*self.metric, truth, oof, self.seed).unwrap_or_else(|_| self.plain.clone())
    }

    /// The probability that `a` is better than `b`, by paired bootstrap.
    pub fn p_better(&self, truth: &[f64], a: &Matrix, b: &Matrix) -> f64 {
        let (a, b) = (self.plain.apply(a), self.plain.apply(b));
        gates::compare(&*self.metric, truth, &a, &b, None, self.seed).map_or(0.5, |found| found.p_better)
    }

    /// The same by the smooth relative of a metric of labels.
    pub fn p_better_smoothly(&self, truth: &[f64], a: &Matrix, b: &Matrix) -> f64 {
        match &self.smooth {
            Some(smooth) => {
                gates::compare(&**smooth, truth, a, b, None, self.seed).map_or(0.5, |found| found.p_better)
            }
            None => self.p_better(truth, a, b),
        }
    }

    /// Weights of a greedy ensemble, one per matrix, adding up to 1; the first alone when none can be found.
    pub fn ensemble(&self, truth: &[f64], members: &[Matrix], seed: Seed) -> Vec<f64> {
        let alone = || (0..members.len()).map(|index| f64::from(u8::from(index == 0))).collect();
        ensemble::select(&*self.metric, truth, members, seed).map_or_else(|_| alone(), |found| found.weights)
    }

    /// The best constant answer for the rows of a test.
    pub fn prior(&self, truth: &[f64], outputs: usize) -> Option<Prior> {
        prior::prior(&*self.metric, truth, outputs).ok()
    }
}
