//! Metrics of labels, all computed from the table of true against predicted classes.

use super::input;
use ansatz_core::matrix::Matrix;
use ansatz_core::metric::MetricError;

/// More classes than any table of counts should have; class indices above it are a mistake of the caller.
const CLASSES_MAX: usize = 1 << 14;

/// Which number is read off the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CountFormula {
    /// Share of rows that are right.
    Accuracy,
    /// Mean recall over the classes that occur.
    BalancedAccuracy,
    /// Harmonic mean of precision and recall of class 1.
    F1,
    /// Mean F1 over the classes that occur in truth or predictions.
    F1Macro,
    /// F1 over all rows at once; for single labels the accuracy.
    F1Micro,
    /// Mean F1 weighted by how often a class is true.
    F1Weighted,
    /// Share of predicted positives that are right.
    Precision,
    /// Share of true positives that are found.
    Recall,
    /// Rows of class 1 in both truth and predictions, as a share of those in either.
    Jaccard,
    /// Precision, recall or Jaccard index of all classes.
    OfClasses(Share, Average),
    /// Correlation of truth and prediction.
    Matthews,
    /// Agreement beyond chance.
    Kappa,
    /// Agreement beyond chance, errors counted by the square of the distance between class indices.
    QuadraticKappa,
}

/// What share of which rows of a class is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// Of those that are predicted.
    Precision,
    /// Of those that are true.
    Recall,
    /// Of those that are either.
    Jaccard,
}

/// How shares of classes become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Average {
    /// Mean over the classes that occur in truth or predictions.
    Macro,
    /// Over all classes at once.
    Micro,
    /// Mean weighted by how often a class is true.
    Weighted,
}

/// Weights of rows by (true class, predicted class).
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Confusion {
    classes: usize,
    cells: Vec<f64>,
}

impl Confusion {
    /// A table from its cells, row by row of the true class.
    pub(crate) fn from_cells(classes: usize, cells: Vec<f64>) -> Self {
        Self { classes, cells }
    }

    /// Counts rows. With `binary_only` a class above 1 is refused.
    pub(crate) fn count(
        truth: &[f64],
        predictions: &Matrix,
        weights: Option<&[f64]>,
        binary_only: bool,
    ) -> Result<Self, MetricError> {
        let (classes, cells) = cells(truth, predictions, weights, binary_only)?;
        let mut table = vec![0.0; classes * classes];
        for (row, cell) in cells.into_iter().enumerate() {
            if let Some(cell) = cell {
                table[cell] += input::weight(weights, row);
            }
        }
        Ok(Self { classes, cells: table })
    }

    fn at(&self, truth: usize, predicted: usize) -> f64 {
        self.cells[truth * self.classes + predicted]
    }

    fn total(&self) -> f64 {
        self.cells.iter().sum()
    }

    fn right(&self) -> f64 {
        (0..self.classes).map(|class| self.at(class, class)).sum()
    }

    /// Weight of the rows by true class.
    fn truths(&self) -> Vec<f64> {
        self.cells.chunks(self.classes).map(|row| row.iter().sum()).collect()
    }

    /// Weight of the rows by predicted class.
    fn guesses(&self) -> Vec<f64> {
        (0..self.classes).map(|guess| (0..self.classes).map(|class| self.at(class, guess)).sum()).collect()
    }
}

/// The number of classes, and the cell of every row (`None` for a row of weight 0).
pub(crate) fn cells(
    truth: &[f64],
    predictions: &Matrix,
    weights: Option<&[f64]>,
    binary_only: bool,
) -> Result<(usize, Vec<Option<usize>>), MetricError> {
    input::width(predictions, 1)?;
    let limit = if binary_only { 2 } else { CLASSES_MAX };
    let mut pairs = Vec::with_capacity(truth.len());
    let mut classes = 2;
    for (row, (&actual, &guess)) in truth.iter().zip(predictions.data()).enumerate() {
        if input::weight(weights, row) == 0.0 {
            pairs.push(None);
            continue;
        }
        let actual = input::class(row, actual, limit, "truth")?;
        let guess = input::class(row, guess, limit, "prediction")?;
        classes = classes.max(actual + 1).max(guess + 1);
        pairs.push(Some((actual, guess)));
    }
    let cells = pairs.into_iter().map(|pair| pair.map(|(actual, guess)| actual * classes + guess)).collect();
    Ok((classes, cells))
}

impl CountFormula {
    /// Whether the formula knows classes 0 and 1 only.
    pub(crate) fn binary_only(self) -> bool {
        matches!(self, Self::F1 | Self::Precision | Self::Recall | Self::Jaccard)
    }

    /// The number. Divisions by zero inside F1, precision, recall, the Jaccard index and Matthews' coefficient give 0, as in
    /// scikit-learn.
    pub(crate) fn value(self, table: &Confusion) -> Result<f64, MetricError> {
        let total = table.total();
        if total <= 0.0 {
            return Err(MetricError::Undefined("there are no rows".to_owned()));
        }
        Ok(match self {
            Self::Accuracy | Self::F1Micro => table.right() / total,
            Self::BalancedAccuracy => balanced_accuracy(table),
            Self::F1 => f1_by_class(table)[1],
            Self::F1Macro => f1_macro(table),
            Self::F1Weighted => weighted_mean(&f1_by_class(table), &table.truths()),
            Self::Precision => ratio(table.at(1, 1), table.guesses()[1]),
            Self::Recall => ratio(table.at(1, 1), table.truths()[1]),
            Self::Jaccard => {
                let right = table.at(1, 1);
                ratio(right, table.truths()[1] + table.guesses()[1] - right)
            }
            Self::OfClasses(share, average) => of_classes(table, share, average),
            Self::Matthews => matthews(table),
            Self::Kappa => return kappa(table, |distance| f64::from(u8::from(distance != 0.0))),
            Self::QuadraticKappa => return kappa(table, |distance| distance * distance),
        })
    }
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn weighted_mean(values: &[f64], weights: &[f64]) -> f64 {
    let total: f64 = weights.iter().sum();
    values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f64>() / total
}

fn balanced_accuracy(table: &Confusion) -> f64 {
    let recalls: Vec<f64> = (table.truths().iter().enumerate())
        .filter(|(_, rows)| **rows > 0.0)
        .map(|(class, rows)| table.at(class, class) / rows)
        .collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

fn f1_by_class(table: &Confusion) -> Vec<f64> {
    let sums = table.truths().into_iter().zip(table.guesses());
    sums.enumerate()
        .map(|(class, (truths, guesses))| ratio(2.0 * table.at(class, class), truths + guesses))
        .collect()
}

fn f1_macro(table: &Confusion) -> f64 {
    let occurs =
        table.truths().into_iter().zip(table.guesses()).map(|(truths, guesses)| truths + guesses > 0.0);
    let scores: Vec<f64> =
        f1_by_class(table).into_iter().zip(occurs).filter(|(_, occurs)| *occurs).map(|(f1, _)| f1).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

fn of_classes(table: &Confusion, share: Share, average: Average) -> f64 {
    let (truths, guesses) = (table.truths(), table.guesses());
    let right: Vec<f64> = (0..table.classes).map(|class| table.at(class, class)).collect();
    let whole = |class: usize| match share {
        Share::Precision => guesses[class],
        Share::Recall => truths[class],
        Share::Jaccard => truths[class] + guesses[class] - right[class],
    };
    let shares: Vec<f64> = (0..table.classes).map(|class| ratio(right[class], whole(class))).collect();
    match average {
        Average::Macro => {
            let occurs = |class: &usize| truths[*class] + guesses[*class] > 0.0;
            let occurring: Vec<f64> = (0..table.classes).filter(occurs).map(|class| shares[class]).collect();
            occurring.iter().sum::<f64>() / occurring.len() as f64
        }
        Average::Micro => ratio(right.iter().sum(), (0..table.classes).map(whole).sum()),
        Average::Weighted => weighted_mean(&shares, &truths),
    }
}

/// Matthews' correlation for any number of classes (the `R_K` statistic of Gorodkin, 2004).
fn matthews(table: &Confusion) -> f64 {
    let (truths, guesses, total, right) = (table.truths(), table.guesses(), table.total(), table.right());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let together = right * total - dot(&truths, &guesses);
    let spread = (total * total - dot(&guesses, &guesses)) * (total * total - dot(&truths, &truths));
    if spread > 0.0 { together / spread.sqrt() } else { 0.0 }
}

/// Cohen's kappa with a penalty by distance between class indices.
fn kappa(table: &Confusion, penalty: impl Fn(f64) -> f64) -> Result<f64, MetricError> {
    let (truths, guesses, total) = (table.truths(), table.guesses(), table.total());
    let (mut seen, mut by_chance) = (0.0, 0.0);
    for (class, truth_rows) in truths.iter().enumerate() {
        for (guess, guess_rows) in guesses.iter().enumerate() {
            let penalty = penalty(class as f64 - guess as f64);
            seen += penalty * table.at(class, guess);
            by_chance += penalty * truth_rows * guess_rows / total;
        }
    }
    if by_chance > 0.0 {
        return Ok(1.0 - seen / by_chance);
    }
    Err(MetricError::Undefined("kappa needs two classes in truth or predictions".to_owned()))
}
