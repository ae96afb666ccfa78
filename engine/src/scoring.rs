//! The metric of a task and the statistics around it, in the form in which the engine asks.
//!
//! Solutions give probabilities or values; the decision turns them into what the metric reads. Where that is labels, a cut at
//! one half says little about rare classes: the search compares candidates by the probabilities behind them, and scores each
//! after a decision of its own.

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
    outputs: usize,
    gives_probabilities: bool,
    seed: Seed,
}

/// What the predictions of one fold come to, at the stage that does best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoldScore {
    /// By the metric itself, for people to read; `None` where it is undefined.
    pub score: Option<f64>,
    /// By what the search compares; larger is better.
    pub gain: Option<f64>,
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
        let smooth = ensemble::smooth_metric(&*metric);
        let (outputs, gives_probabilities) = (task.outputs(), task.problem.is_classification());
        Self { metric, custom, smooth, outputs, gives_probabilities, seed: seed.derive("scoring") }
    }

    /// Takes predictions in from a cell: a probability that rounding carried beyond 0 or 1 is brought back.
    pub fn admit(&self, predictions: &mut Matrix) {
        if self.gives_probabilities {
            predictions.data_mut().iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
        }
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

    /// The decision that needs no fitting.
    fn plain(&self, truth: &[f64]) -> Decision {
        Decision::suited(self.metric.spec(), self.outputs, truth)
    }

    /// The score of raw predictions after the plain decision.
    pub fn plain_score(&self, truth: &[f64], raw: &Matrix) -> Option<f64> {
        self.score(truth, raw, &self.plain(truth))
    }

    /// The decision that suits these very rows, found with little work.
    fn own_decision(&self, truth: &[f64], raw: &Matrix) -> Decision {
        Decision::fit_quickly(&*self.metric, truth, raw, self.seed).unwrap_or_else(|_| self.plain(truth))
    }

    /// The score of raw predictions after the decision that suits these very rows. All candidates are favoured alike by
    /// that, and those that say rare classes with less than one half are not all equally useless.
    pub fn own_score(&self, truth: &[f64], raw: &Matrix) -> Option<f64> {
        self.score(truth, raw, &self.own_decision(truth, raw))
    }

    /// Scores the predictions of a fold. By a metric of labels a fold is not compared, only shown.
    pub fn fold(&self, truth: &[f64], stages: &[Matrix]) -> FoldScore {
        if self.smooth.is_none() {
            let (truth, stages) = self.thinned(truth, stages, CUSTOM_FOLD_ROWS_MAX);
            let gains = stages.iter().filter_map(|stage| self.search_gain(&truth, stage));
            let gain = gains.reduce(f64::max);
            // Turning a gain is turning a score.
            return FoldScore { score: gain.map(|gain| self.gain(gain)), gain };
        }
        let of_stage = |stage| Some((stage, self.search_gain(truth, stage)?));
        let best = stages.iter().filter_map(of_stage).max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((stage, gain)) = best else { return FoldScore { score: None, gain: None } };
        let (truth, stage) = self.thinned(truth, std::slice::from_ref(stage), CUSTOM_FOLD_ROWS_MAX);
        let score = stage.first().and_then(|stage| self.own_score(&truth, stage));
        FoldScore { score, gain: Some(gain) }
    }

    /// The stage to use, and its score after the decision that suits it.
    pub fn best_stage(&self, truth: &[f64], stages: &[Matrix]) -> Option<(usize, f64)> {
        let (few_truth, few) = self.thinned(truth, stages, CUSTOM_STAGE_ROWS_MAX);
        let stage = ensemble::best_stage(&*self.metric, &few_truth, &few, self.seed).ok()?;
        Some((stage, self.own_score(truth, stages.get(stage)?)?))
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
        Decision::fit(&*self.metric, truth, oof, self.seed).unwrap_or_else(|_| self.plain(truth))
    }

    /// The probability that `a` is better than `b`, each after the decision that suits it, by paired bootstrap.
    pub fn p_better(&self, truth: &[f64], a: &Matrix, b: &Matrix) -> f64 {
        let [a, b] = [a, b].map(|raw| self.own_decision(truth, raw).apply(raw));
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

#[cfg(test)]
mod tests {
    use super::*;
    use ansatz_core::task::{Constraints, Problem};

    fn scoring(problem: Problem, metric: &str, classes: usize) -> Scoring {
        let task = Task {
            name: "t".into(),
            request: String::new(),
            problem,
            target: "y".into(),
            id: None,
            metric: metrics::lookup(metric).unwrap().spec().clone(),
            classes: (0..classes).map(|class| class.to_string()).collect(),
            constraints: Constraints::default(),
            submission: None,
            inferred: Vec::new(),
        };
        Scoring::of(&task, Seed(1)).unwrap()
    }

    /// One row in twenty is positive; no probability comes near one half, those of positive rows are `lift` times as high.
    fn rare(lift: f64) -> (Vec<f64>, Matrix) {
        let truth: Vec<f64> = (0..1000).map(|row| f64::from(u8::from(row % 20 == 0))).collect();
        let wobble = |row: usize| 0.02 + 0.03 * ((row * 7919 % 1000) as f64 / 1000.0);
        let probability = |(row, class): (usize, &f64)| wobble(row) * (1.0 + class * (lift - 1.0));
        let probabilities = truth.iter().enumerate().map(probability).collect();
        (truth, Matrix::column(probabilities))
    }

    #[test]
    fn metrics_of_labels_tell_candidates_apart_that_never_reach_one_half() {
        for metric in ["f1", "matthews_corrcoef", "balanced_accuracy"] {
            let scoring = scoring(Problem::Binary, metric, 2);
            let ((truth, good), (_, bad)) = (rare(4.0), rare(1.3));
            let plain = |raw| scoring.plain_score(&truth, raw).unwrap();
            assert_eq!(plain(&good), plain(&bad), "{metric}: at one half all are equal");
            let own = |raw| scoring.own_score(&truth, raw).unwrap();
            assert!(own(&good) > own(&bad) + 0.1, "{metric}: {} {}", own(&good), own(&bad));
            assert!(scoring.p_better(&truth, &good, &bad) > 0.95, "{metric}");
            let stages = [bad.clone(), good.clone()];
            assert_eq!(scoring.best_stage(&truth, &stages), Some((1, own(&good))));
        }
    }

    #[test]
    fn folds_are_compared_by_probabilities_and_shown_by_the_metric() {
        let scoring = scoring(Problem::Binary, "f1", 2);
        let ((truth, good), (_, bad)) = (rare(4.0), rare(1.3));
        let both = scoring.fold(&truth, &[bad.clone(), good.clone()]);
        assert_eq!(both, scoring.fold(&truth, std::slice::from_ref(&good)));
        assert_eq!(both.score, scoring.own_score(&truth, &good));
        let log_loss = metrics::lookup("log_loss").unwrap().score(&truth, &good, None).unwrap();
        assert_eq!(both.gain, Some(-log_loss));
        assert!(scoring.fold(&truth, &[bad]).gain < both.gain);
        assert_eq!(scoring.fold(&truth, &[]), FoldScore { score: None, gain: None });
    }

    #[test]
    fn other_metrics_compare_folds_by_themselves() {
        let scoring = scoring(Problem::Regression, "rmse", 0);
        let stages = [Matrix::column(vec![0.0, 4.0]), Matrix::column(vec![1.0, 2.0])];
        let fold = scoring.fold(&[1.0, 3.0], &stages);
        assert_eq!(fold, FoldScore { score: Some(0.5_f64.sqrt()), gain: Some(-(0.5_f64.sqrt())) });
    }

    #[test]
    fn probabilities_are_brought_back_and_values_left_alone() {
        let beyond = || Matrix::column(vec![1.0 + 1e-9, -1e-9, 0.3]);
        let (truth, mut predictions) = ([1.0, 0.0, 0.0], beyond());
        let of_classes = scoring(Problem::Binary, "log_loss", 2);
        assert_eq!(of_classes.plain_score(&truth, &predictions), None);
        of_classes.admit(&mut predictions);
        assert_eq!(predictions.data(), [1.0, 0.0, 0.3]);
        assert!(of_classes.plain_score(&truth, &predictions).is_some());
        let mut values = beyond();
        scoring(Problem::Regression, "rmse", 0).admit(&mut values);
        assert_eq!(values, beyond());
    }

    #[test]
    fn counts_are_bounded_by_a_share_of_their_mean_wherever_they_are_scored() {
        let scoring = scoring(Problem::Regression, "mean_poisson_deviance", 0);
        let (truth, raw) = ([2.0, 0.0, 4.0], Matrix::column(vec![2.0, -1.0, 0.0]));
        let decision = scoring.decision(&truth, &raw);
        assert_eq!(decision, Decision::AtLeast { low: 2e-3 });
        assert_eq!(scoring.plain_score(&truth, &raw), scoring.score(&truth, &raw, &decision));
    }
}
