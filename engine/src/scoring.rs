//! The metric of a task and the statistics around it, in the form in which the engine asks.
//!
//! Solutions give probabilities or values; the decision turns them into what the metric reads.

use crate::error::RunError;
use crate::functions::CustomMetric;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::{Direction, Metric};
use ansatz_core::seed::Seed;
use ansatz_core::task::Task;
use ansatz_referee::gates::{FOREIGN_REPLICATES_MAX, FOREIGN_ROWS_MAX};
use ansatz_referee::prior::{self, Prior};
use ansatz_referee::{ensemble, gates, metrics};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

pub use ansatz_referee::decision::Decision;

/// Rows on which stages of a candidate are compared by a metric that the user brought along.
const CUSTOM_STAGE_ROWS_MAX: usize = 10_000;
/// Rows of a fold on which it scores every stage.
const CUSTOM_FOLD_ROWS_MAX: usize = 4_000;

/// Scores predictions of one task.
pub struct Scoring {
    metric: Arc<dyn Metric>,
    custom: Option<Arc<CustomMetric>>,
    smooth: Option<Box<dyn Metric>>,
    plain: Decision,
    seed: Seed,
}

impl Scoring {
    /// The scoring of a task by its metric of the catalogue; `None` when there is no such metric.
    pub fn of(task: &Task, seed: Seed) -> Option<Self> {
        let metric = Arc::from(metrics::lookup(&task.metric.name).ok()?);
        Some(Self::by(task, metric, None, seed))
    }

    /// The scoring of a task by a metric that the user brought along.
    pub fn custom(task: &Task, metric: CustomMetric, seed: Seed) -> Self {
        let metric = Arc::new(metric);
        Self::by(task, Arc::clone(&metric) as Arc<dyn Metric>, Some(metric), seed)
    }

    fn by(task: &Task, metric: Arc<dyn Metric>, custom: Option<Arc<CustomMetric>>, seed: Seed) -> Self {
        let plain = Decision::plain(metric.spec(), task.outputs());
        let smooth = ensemble::smooth_metric(&*metric);
        Self { metric, custom, smooth, plain, seed: seed.derive("scoring") }
    }

    /// Tries a metric that the user brought along before anything is trained; the catalogue's need no trial. Gives the
    /// seconds that choosing and judging by it will take.
    ///
    /// # Errors
    /// Of kind `Usage` when it raises, returns no number, or is too slow.
    pub fn try_out(&self, truth: &[f64], outputs: usize, wall: Option<Duration>) -> Result<f64, RunError> {
        let wall_s = wall.map(|wall| wall.as_secs_f64());
        self.custom.as_ref().map_or(Ok(0.0), |metric| metric.try_out(truth, outputs, wall_s))
    }

    /// Why a metric that the user brought along gave no score, the first time since this was asked last.
    pub fn take_trouble(&self) -> Option<String> {
        self.custom.as_ref()?.take_trouble()
    }

    /// Words for results about how intervals of this metric are made, where that is not the usual way.
    pub fn interval_note(&self) -> String {
        if self.custom.is_none() {
            return String::new();
        }
        format!(
            "; intervals by at most {FOREIGN_REPLICATES_MAX} replicates of at most {FOREIGN_ROWS_MAX} rows"
        )
    }

    /// So many of the rows, evenly spread, as choices read that ask a dear metric again and again; all of them otherwise.
    fn thinned<'a>(
        &self,
        truth: &'a [f64],
        stages: &'a [Matrix],
        rows_max: usize,
    ) -> (Cow<'a, [f64]>, Cow<'a, [Matrix]>) {
        if self.custom.is_none() || truth.len() <= rows_max {
            return (Cow::Borrowed(truth), Cow::Borrowed(stages));
        }
        let rows: Vec<usize> = (0..rows_max).map(|at| at * truth.len() / rows_max).collect();
        let part = rows.iter().map(|&row| truth[row]).collect();
        (Cow::Owned(part), Cow::Owned(stages.iter().map(|stage| stage.take(&rows)).collect()))
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
        let (truth, stages) = self.thinned(truth, stages, CUSTOM_FOLD_ROWS_MAX);
        let direction = self.direction();
        stages
            .iter()
            .filter_map(|stage| self.plain_score(&truth, stage))
            .reduce(|best, score| if direction.better(score, best) { score } else { best })
    }

    /// The stage to use, and its score.
    pub fn best_stage(&self, truth: &[f64], stages: &[Matrix]) -> Option<(usize, f64)> {
        let (few_truth, few) = self.thinned(truth, stages, CUSTOM_STAGE_ROWS_MAX);
        let stage = ensemble::best_stage(&*self.metric, &few_truth, &few, self.seed).ok()?;
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
