//! Metrics of rankings: only the order of the scores matters, ties count half.
//!
//! The order is found once and then read with any weights, so that a bootstrap replicate costs one pass.

use super::input;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::MetricError;

/// What is read off a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RankStatistic {
    /// Area under the receiver operating characteristic: how often a positive stands above a negative.
    RocAuc,
    /// Mean precision at the positives, as scikit-learn's step-wise sum.
    AveragePrecision,
}

/// Rows by falling score. Each entry packs the row number, whether it is positive, and whether the next score differs:
/// one read per row, and no branch that the processor would have to guess.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranking(Vec<u32>);

const POSITIVE: u32 = 0b01;
const GROUP_END: u32 = 0b10;
const FLAGS: u32 = 2;

impl Ranking {
    /// Orders rows by falling score. Scores must be finite, rows fewer than 2³⁰.
    pub(crate) fn new(scores: &[f64], positive: impl Fn(usize) -> bool) -> Self {
        Self::of_rows((0..scores.len() as u32).collect(), |row| scores[row], positive)
    }

    /// Orders some rows by falling score.
    fn of_rows(mut rows: Vec<u32>, score: impl Fn(usize) -> f64, positive: impl Fn(usize) -> bool) -> Self {
        rows.sort_unstable_by(|&a, &b| score(b as usize).total_cmp(&score(a as usize)));
        let end =
            |at: usize| at + 1 == rows.len() || score(rows[at] as usize) != score(rows[at + 1] as usize);
        let entry = |at: usize| {
            let flags = if positive(rows[at] as usize) { POSITIVE } else { 0 };
            (rows[at] << FLAGS) | flags | if end(at) { GROUP_END } else { 0 }
        };
        Self((0..rows.len()).map(entry).collect())
    }

    /// The statistic with one weight per row; `None` when a class has no weight.
    pub(crate) fn value<W: Weight>(&self, statistic: RankStatistic, weights: &[W]) -> Option<f64> {
        match statistic {
            RankStatistic::RocAuc => self.roc_auc(weights),
            RankStatistic::AveragePrecision => self.average_precision(weights),
        }
    }

    fn roc_auc<W: Weight>(&self, weights: &[W]) -> Option<f64> {
        let (mut above, mut negatives, mut wins) = (0.0, 0.0, 0.0);
        let (mut group, mut group_positive) = (0.0, 0.0);
        for entry in &self.0 {
            let weight = weights[(entry >> FLAGS) as usize].value();
            group += weight;
            group_positive += weight * f64::from(entry & POSITIVE);
            if entry & GROUP_END != 0 {
                let group_negative = group - group_positive;
                wins += group_negative * (above + 0.5 * group_positive);
                above += group_positive;
                negatives += group_negative;
                (group, group_positive) = (0.0, 0.0);
            }
        }
        (above > 0.0 && negatives > 0.0).then(|| wins / (above * negatives))
    }

    fn average_precision<W: Weight>(&self, weights: &[W]) -> Option<f64> {
        let (mut seen, mut found, mut sum, mut group_positive) = (0.0_f64, 0.0, 0.0, 0.0);
        for entry in &self.0 {
            let weight = weights[(entry >> FLAGS) as usize].value();
            seen += weight;
            group_positive += weight * f64::from(entry & POSITIVE);
            if entry & GROUP_END != 0 {
                found += group_positive;
                // Before the first row of weight above 0 both are 0.
                sum += group_positive * found / seen.max(f64::MIN_POSITIVE);
                group_positive = 0.0;
            }
        }
        (found > 0.0).then(|| sum / found)
    }
}

/// A weight of a row: a number, or a count of a bootstrap replicate.
pub(crate) trait Weight: Copy {
    /// As a number.
    fn value(self) -> f64;
}

impl Weight for f64 {
    #[inline]
    fn value(self) -> f64 {
        self
    }
}

impl Weight for u32 {
    #[inline]
    fn value(self) -> f64 {
        f64::from(self)
    }
}

/// The statistic of one column of scores of class 1.
pub(crate) fn binary(
    statistic: RankStatistic,
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
) -> Result<f64, MetricError> {
    check(truth, predictions, weights, 1, 2)?;
    let ranking = ranking(predictions, truth, 0, 1.0);
    let value = match weights {
        Some(weights) => ranking.value(statistic, weights),
        None => ranking.value(statistic, &vec![1_u32; truth.len()]),
    };
    value.ok_or_else(|| one_class(statistic))
}

/// The mean over the classes that occur of the statistic of that class against the rest.
pub(crate) fn one_vs_rest(
    statistic: RankStatistic,
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
) -> Result<f64, MetricError> {
    let classes = predictions.columns();
    check(truth, predictions, weights, classes, classes)?;
    let ones = vec![1.0; if weights.is_none() { truth.len() } else { 0 }];
    let weights = weights.unwrap_or(&ones);
    let of_class = |class| ranking(predictions, truth, class, class as f64).value(statistic, weights);
    let values: Vec<f64> = (0..classes).filter_map(of_class).collect();
    mean(&values).ok_or_else(|| one_class(statistic))
}

/// Whom a class is ranked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rivals {
    /// All other rows at once.
    Rest,
    /// Each other class by itself (Hand and Till, 2001).
    Each,
}

/// ROC AUC of several classes in another form than the plain mean over classes against the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ManyClasses {
    /// Whom each class is ranked against.
    pub(crate) rivals: Rivals,
    /// Whether frequent classes count for more.
    pub(crate) by_prevalence: bool,
}

/// The rankings behind [`ManyClasses`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Contests {
    by_prevalence: bool,
    classes: usize,
    all: Vec<Contest>,
}

#[derive(Debug, Clone, PartialEq)]
struct Contest {
    class: usize,
    /// The class that it is ranked against; `None` for the rest.
    rival: Option<usize>,
    ranking: Ranking,
}

impl ManyClasses {
    /// The score of checked shapes.
    pub(crate) fn score(
        self,
        truth: &[f64],
        predictions: &Matrix,
        weights: Option<&[f64]>,
    ) -> Result<f64, MetricError> {
        let contests = self.contests(truth, predictions, weights)?;
        let value = match weights {
            Some(weights) => contests.value(truth, weights),
            None => contests.value(truth, &vec![1_u32; truth.len()]),
        };
        value.ok_or_else(|| one_class(RankStatistic::RocAuc))
    }

    /// The rankings, to be read with any weights.
    pub(crate) fn contests(
        self,
        truth: &[f64],
        predictions: &Matrix,
        weights: Option<&[f64]>,
    ) -> Result<Contests, MetricError> {
        let classes = predictions.columns();
        check(truth, predictions, weights, classes, classes)?;
        let contests = match self.rivals {
            Rivals::Rest => (0..classes)
                .map(|class| {
                    let ranking = ranking(predictions, truth, class, class as f64);
                    Contest { class, rival: None, ranking }
                })
                .collect(),
            Rivals::Each => {
                let rows_of = |class: usize| {
                    (0..truth.len() as u32).filter(move |&row| truth[row as usize] == class as f64)
                };
                let rows: Vec<Vec<u32>> = (0..classes).map(|class| rows_of(class).collect()).collect();
                let pairs = (0..classes).flat_map(|class| (0..classes).map(move |rival| (class, rival)));
                let contest = |(class, rival): (usize, usize)| {
                    let both = [rows[class].as_slice(), &rows[rival]].concat();
                    let score = |row: usize| predictions.row(row)[class];
                    let ranking = Ranking::of_rows(both, score, |row| truth[row] == class as f64);
                    Contest { class, rival: Some(rival), ranking }
                };
                let meet = |pair: &(usize, usize)| {
                    pair.0 != pair.1 && !rows[pair.0].is_empty() && !rows[pair.1].is_empty()
                };
                pairs.filter(meet).map(contest).collect()
            }
        };
        Ok(Contests { by_prevalence: self.by_prevalence, classes, all: contests })
    }
}

impl Contests {
    /// The mean with one weight per row; `None` where no contest has two sides.
    pub(crate) fn value<W: Weight>(&self, truth: &[f64], weights: &[W]) -> Option<f64> {
        let mut prevalence = vec![0.0; self.classes];
        for (class, weight) in truth.iter().zip(weights) {
            // A row of weight 0 may hold anything.
            if let Some(rows) = prevalence.get_mut(*class as usize) {
                *rows += weight.value();
            }
        }
        let (mut sum, mut total) = (0.0, 0.0);
        for contest in &self.all {
            let Some(value) = contest.ranking.roc_auc(weights) else { continue };
            let rows = prevalence[contest.class] + contest.rival.map_or(0.0, |rival| prevalence[rival]);
            let weight = if self.by_prevalence { rows } else { 1.0 };
            sum += weight * value;
            total += weight;
        }
        (total > 0.0).then(|| sum / total)
    }

    /// How many rows one reading visits.
    pub(crate) fn visits(&self) -> usize {
        self.all.iter().map(|contest| contest.ranking.0.len()).sum()
    }
}

/// The ranking by one column of predictions for one class.
pub(crate) fn ranking(predictions: &Matrix, truth: &[f64], column: usize, class: f64) -> Ranking {
    let columns = predictions.columns();
    if columns == 1 {
        return Ranking::new(predictions.data(), |row| truth[row] == class);
    }
    let scores: Vec<f64> = predictions.data().iter().skip(column).step_by(columns).copied().collect();
    Ranking::new(&scores, |row| truth[row] == class)
}

/// The mean, or `None` of nothing.
pub(crate) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Refuses rows of weight above 0 that hold no class index or no finite score.
pub(crate) fn check(
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
    columns: usize,
    classes: usize,
) -> Result<(), MetricError> {
    input::width(predictions, columns)?;
    for (row, &actual) in truth.iter().enumerate() {
        if input::weight(weights, row) > 0.0 {
            input::class(row, actual, classes, "truth")?;
            for &score in predictions.row(row) {
                input::finite(row, score, "prediction")?;
            }
        }
    }
    Ok(())
}

fn one_class(statistic: RankStatistic) -> MetricError {
    MetricError::Undefined(match statistic {
        RankStatistic::RocAuc => "ROC AUC needs rows of two classes".to_owned(),
        RankStatistic::AveragePrecision => "average precision needs at least one positive row".to_owned(),
    })
}
