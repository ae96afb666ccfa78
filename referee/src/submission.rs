//! The submission: built from predictions in the order of the sample, and checked against what is asked for.
//!
//! Builder and check share no decision: the check looks at rows, whoever made them. Neither reads nor writes a file.

use ansatz_core::matrix::Matrix;
use ansatz_core::task::{Problem, SubmissionFormat, SubmissionKind};
use ansatz_core::verdict::{Stage, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How many offenders an error names.
const NAMED_MAX: usize = 5;

/// Longest id or label that an error repeats, in characters.
const SHOWN_CHARACTERS_MAX: usize = 60;

/// How far the probabilities of a row may add up to something else than 1.
const SUM_TOLERANCE: f64 = 1e-6;

/// What stands in one field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// A class label.
    Label(String),
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The id, as text; the row number without an id column.
    pub id: String,
    /// The other fields in the order of the format's columns.
    pub cells: Vec<Cell>,
}

/// A submission in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    /// Name of the id column; it is not written when there is none.
    pub id: Option<String>,
    /// Names of the other columns.
    pub columns: Vec<String>,
    /// The lines in order.
    pub rows: Vec<Row>,
}

/// What a submission must be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation<'a> {
    /// Columns and what they hold.
    pub format: &'a SubmissionFormat,
    /// Kind of problem.
    pub problem: Problem,
    /// Class labels by index.
    pub classes: &'a [String],
    /// Ids of the sample submission in its order, or of the test file where there is no sample. May repeat when the
    /// test file does.
    pub ids: &'a [String],
    /// Values below this are not allowed, e.g. 0 under a metric of logarithms.
    pub value_min: Option<f64>,
}

/// What is wrong with a submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// Columns are not those asked for.
    #[error("columns are {found}; expected exactly {expected}")]
    Columns {
        /// As asked for.
        expected: String,
        /// As found.
        found: String,
    },
    /// Ids that are asked for are not there.
    #[error("{count} of {of} ids are missing: {named}")]
    Missing {
        /// How many.
        count: usize,
        /// Of how many.
        of: usize,
        /// The first of them.
        named: String,
    },
    /// Ids that nobody asked for.
    #[error("{count} id(s) are unknown: {named}")]
    Unknown {
        /// How many.
        count: usize,
        /// The first of them.
        named: String,
    },
    /// Ids that occur more often than asked for.
    #[error("{count} id(s) occur too often: {named}")]
    Repeated {
        /// How many.
        count: usize,
        /// The first of them.
        named: String,
    },
    /// Fields that must not stand there.
    #[error("column `{column}`: {count} row(s) {problem}, at id {named}")]
    Fields {
        /// The column.
        column: String,
        /// How many rows.
        count: usize,
        /// What is wrong with them.
        problem: String,
        /// Ids of the first of them, with the offending value.
        named: String,
    },
    /// Predictions do not fit what is to be built.
    #[error("{0}")]
    Shape(String),
}

/// Builds a submission. `test_ids` are the ids of the test rows in the order of `predictions`, which hold raw outputs
/// (a probability or value per row, or one column per class); `labels` holds class indices, one per test row, and is
/// read where the format wants labels. Rows come in the order of `wanted.ids`; repeated ids are matched in order.
///
/// # Errors
/// [`SubmissionError`] naming the first ids that have no prediction, or columns that belong to no class.
pub fn build(
    wanted: &Expectation<'_>,
    test_ids: &[String],
    predictions: &Matrix,
    labels: Option<&[f64]>,
) -> Result<Submission, SubmissionError> {
    if predictions.rows() != test_ids.len() {
        let (rows, ids) = (predictions.rows(), test_ids.len());
        return Err(SubmissionError::Shape(format!("{rows} predictions for {ids} test rows")));
    }
    let sources = sources(wanted, predictions, labels)?;
    let order = positions(wanted.ids, test_ids)?;
    let row = |(id, at): (&String, usize)| {
        let cells = sources.iter().map(|source| source.cell(at, wanted.classes)).collect::<Result<_, _>>()?;
        Ok(Row { id: id.clone(), cells })
    };
    let rows = wanted.ids.iter().zip(order).map(row).collect::<Result<_, _>>()?;
    Ok(Submission { id: wanted.format.id.clone(), columns: wanted.format.columns.clone(), rows })
}

/// Where the cells of a column come from.
enum Source<'a> {
    /// A column of the predictions.
    Output(&'a Matrix, usize),
    /// One minus the only column: class 0 of two.
    Complement(&'a Matrix),
    /// The label of each row.
    Label(&'a [f64]),
}

impl Source<'_> {
    fn cell(&self, row: usize, classes: &[String]) -> Result<Cell, SubmissionError> {
        Ok(match self {
            Self::Output(matrix, column) => Cell::Number(matrix.row(row)[*column]),
            Self::Complement(matrix) => Cell::Number(1.0 - matrix.row(row)[0]),
            Self::Label(labels) => {
                let unknown =
                    || SubmissionError::Shape(format!("row {row}: {} is not a class index", labels[row]));
                let class = Some(labels[row]).filter(|index| *index >= 0.0 && index.fract() == 0.0);
                Cell::Label(class.and_then(|index| classes.get(index as usize)).ok_or_else(unknown)?.clone())
            }
        })
    }
}

fn sources<'a>(
    wanted: &Expectation<'_>,
    predictions: &'a Matrix,
    labels: Option<&'a [f64]>,
) -> Result<Vec<Source<'a>>, SubmissionError> {
    let shape = |problem: String| Err(SubmissionError::Shape(problem));
    let outputs = predictions.columns();
    match wanted.format.kind {
        SubmissionKind::Label => match labels {
            Some(labels) if labels.len() == predictions.rows() => {
                Ok(wanted.format.columns.iter().map(|_| Source::Label(labels)).collect())
            }
            _ => shape(format!("labels of {} rows are wanted", predictions.rows())),
        },
        SubmissionKind::Probability | SubmissionKind::Value if outputs == 1 => {
            Ok(wanted.format.columns.iter().map(|_| Source::Output(predictions, 0)).collect())
        }
        SubmissionKind::Probability | SubmissionKind::Value => {
            shape(format!("one column is wanted, predictions have {outputs}"))
        }
        SubmissionKind::ClassProbabilities => {
            let classes = class_of_columns(&wanted.format.columns, wanted.classes)?;
            let binary = outputs == 1 && wanted.classes.len() == 2;
            if !binary && outputs != wanted.classes.len() {
                return shape(format!(
                    "{} classes, but predictions have {outputs} columns",
                    wanted.classes.len()
                ));
            }
            Ok(classes
                .into_iter()
                .map(|class| match (binary, class) {
                    (true, 0) => Source::Complement(predictions),
                    (true, _) => Source::Output(predictions, 0),
                    (false, class) => Source::Output(predictions, class),
                })
                .collect())
        }
    }
}

/// The class of each column: by equal name, else by equal name ignoring case and punctuation, else by a name that ends
/// with the class (`prob_cat` for `cat`). Each class once.
///
/// # Errors
/// [`SubmissionError::Columns`] when that gives no one-to-one match.
pub fn class_of_columns(columns: &[String], classes: &[String]) -> Result<Vec<usize>, SubmissionError> {
    let plain = |text: &str| -> String {
        text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let matches = |strictness: u8, column: &str, class: &str| match strictness {
        2 => column == class,
        1 => plain(column) == plain(class),
        _ => !plain(class).is_empty() && plain(column).ends_with(&plain(class)),
    };
    for strictness in [2, 1, 0] {
        let found: Option<Vec<usize>> = columns
            .iter()
            .map(|column| classes.iter().position(|class| matches(strictness, column, class)))
            .collect();
        let Some(found) = found else { continue };
        if found.iter().collect::<BTreeSet<_>>().len() == classes.len() && columns.len() == classes.len() {
            return Ok(found);
        }
    }
    Err(SubmissionError::Columns {
        expected: format!("one per class: {}", named(classes)),
        found: named(columns),
    })
}

/// For each wanted id the test row that answers it. Repeated ids take test rows in order.
fn positions(wanted: &[String], test_ids: &[String]) -> Result<Vec<usize>, SubmissionError> {
    let mut rows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (row, id) in test_ids.iter().enumerate().rev() {
        rows.entry(id).or_default().push(row);
    }
    let mut missing = Vec::new();
    let mut positions = Vec::with_capacity(wanted.len());
    for id in wanted {
        match rows.get_mut(id.as_str()) {
            // The last test row of an id answers all further wishes for it.
            Some(rows) if rows.len() > 1 => positions.extend(rows.pop()),
            Some(rows) => positions.extend(rows.first()),
            None => missing.push(id.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(positions);
    }
    Err(SubmissionError::Missing { count: missing.len(), of: wanted.len(), named: named(&missing) })
}

impl Submission {
    /// As CSV: a header, lines ending in a line feed, fields quoted where RFC 4180 asks for it.
    pub fn to_csv(&self) -> String {
        let mut text = String::new();
        let header = self.id.iter().chain(&self.columns).map(|name| quoted(name)).collect::<Vec<_>>();
        text.push_str(&header.join(","));
        text.push('\n');
        for row in &self.rows {
            let mut separator = "";
            if self.id.is_some() {
                text.push_str(&quoted(&row.id));
                separator = ",";
            }
            for cell in &row.cells {
                text.push_str(separator);
                match cell {
                    // The shortest digits that read back as the same number.
                    Cell::Number(value) => {
                        let _ = write!(text, "{value}");
                    }
                    Cell::Label(label) => text.push_str(&quoted(label)),
                }
                separator = ",";
            }
            text.push('\n');
        }
        text
    }
}

fn quoted(field: &str) -> String {
    let special = field.contains([',', '"', '\n', '\r']) || field.starts_with(' ') || field.ends_with(' ');
    if special { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}

/// Whether a submission is what is asked for: columns, ids, finite numbers in range, known labels.
///
/// # Errors
/// The first [`SubmissionError`] found, naming the first five offenders.
pub fn check(submission: &Submission, wanted: &Expectation<'_>) -> Result<(), SubmissionError> {
    check_columns(submission, wanted)?;
    check_ids(submission, wanted.ids)?;
    for column in 0..submission.columns.len() {
        check_fields(submission, wanted, column)?;
    }
    if wanted.format.kind == SubmissionKind::ClassProbabilities {
        check_sums(submission)?;
    }
    Ok(())
}

/// The check as a verdict.
pub fn verdict(submission: &Submission, wanted: &Expectation<'_>) -> Verdict {
    match check(submission, wanted) {
        Ok(()) => {
            let evidence =
                format!("{} rows, ids and columns as asked for, all fields legal", submission.rows.len());
            Verdict::new(Stage::Submission, "submission.csv", true, evidence)
        }
        Err(error) => Verdict::new(Stage::Submission, "submission.csv", false, error.to_string()),
    }
}

fn check_columns(submission: &Submission, wanted: &Expectation<'_>) -> Result<(), SubmissionError> {
    let header = |id: &Option<String>, columns: &[String]| -> Vec<String> {
        id.iter().chain(columns).cloned().collect()
    };
    let found = header(&submission.id, &submission.columns);
    let expected = header(&wanted.format.id, &wanted.format.columns);
    let ragged = submission.rows.iter().find(|row| row.cells.len() != submission.columns.len());
    if let Some(row) = ragged {
        let (id, fields) = (shown(&row.id), row.cells.len());
        return Err(SubmissionError::Shape(format!(
            "id {id} has {fields} fields, not {}",
            submission.columns.len()
        )));
    }
    if found == expected {
        return Ok(());
    }
    Err(SubmissionError::Columns { expected: expected.join(", "), found: found.join(", ") })
}

fn check_ids(submission: &Submission, wanted: &[String]) -> Result<(), SubmissionError> {
    let mut open: BTreeMap<&str, i64> = BTreeMap::new();
    for id in wanted {
        *open.entry(id).or_default() += 1;
    }
    let (mut unknown, mut repeated) = (Vec::new(), Vec::new());
    for row in &submission.rows {
        match open.get_mut(row.id.as_str()) {
            None => unknown.push(row.id.clone()),
            Some(left) => {
                *left -= 1;
                if *left < 0 {
                    repeated.push(row.id.clone());
                }
            }
        }
    }
    let missing: Vec<String> = wanted.iter().filter(|id| open[id.as_str()] > 0).cloned().collect();
    if !missing.is_empty() {
        let (count, named) = (missing.len(), named(&missing));
        return Err(SubmissionError::Missing { count, of: wanted.len(), named });
    }
    if !unknown.is_empty() {
        return Err(SubmissionError::Unknown { count: unknown.len(), named: named(&unknown) });
    }
    if !repeated.is_empty() {
        return Err(SubmissionError::Repeated { count: repeated.len(), named: named(&repeated) });
    }
    Ok(())
}

fn check_fields(
    submission: &Submission,
    wanted: &Expectation<'_>,
    column: usize,
) -> Result<(), SubmissionError> {
    let labels: BTreeSet<&str> = wanted.classes.iter().map(String::as_str).collect();
    let probability =
        matches!(wanted.format.kind, SubmissionKind::Probability | SubmissionKind::ClassProbabilities);
    let (low, high) = if probability { (0.0, 1.0) } else { (wanted.value_min.unwrap_or(f64::MIN), f64::MAX) };
    let offence = |cell: &Cell| -> Option<&'static str> {
        match (wanted.format.kind, cell) {
            (SubmissionKind::Label, Cell::Label(label)) if labels.contains(label.as_str()) => None,
            (SubmissionKind::Label, _) => Some("hold no known label"),
            (_, Cell::Label(_)) => Some("hold text instead of a number"),
            (_, Cell::Number(value)) if !value.is_finite() => Some("are not finite numbers"),
            (_, Cell::Number(value)) if *value < low || *value > high => Some("are out of range"),
            _ => None,
        }
    };
    let bad: Vec<(&Row, &str)> =
        submission.rows.iter().filter_map(|row| Some((row, offence(&row.cells[column])?))).collect();
    let Some((_, problem)) = bad.first() else { return Ok(()) };
    let describe = |(row, _): &(&Row, &str)| match &row.cells[column] {
        Cell::Number(value) => format!("{} ({value})", shown(&row.id)),
        Cell::Label(label) => format!("{} (`{}`)", shown(&row.id), shown(label)),
    };
    Err(SubmissionError::Fields {
        column: submission.columns[column].clone(),
        count: bad.len(),
        problem: (*problem).to_owned(),
        named: bad.iter().take(NAMED_MAX).map(describe).collect::<Vec<_>>().join(", "),
    })
}

fn check_sums(submission: &Submission) -> Result<(), SubmissionError> {
    let sum = |row: &Row| -> f64 {
        let number = |cell: &Cell| if let Cell::Number(value) = cell { *value } else { 0.0 };
        row.cells.iter().map(number).sum()
    };
    let bad: Vec<&Row> =
        submission.rows.iter().filter(|row| (sum(row) - 1.0).abs() > SUM_TOLERANCE).collect();
    if bad.is_empty() {
        return Ok(());
    }
    let describe = |row: &&Row| format!("{} (sum {})", shown(&row.id), sum(row));
    Err(SubmissionError::Fields {
        column: submission.columns.join("+"),
        count: bad.len(),
        problem: "do not add up to 1".to_owned(),
        named: bad.iter().take(NAMED_MAX).map(describe).collect::<Vec<_>>().join(", "),
    })
}

/// The first few of a list, for an error.
fn named(values: &[String]) -> String {
    let mut text = values.iter().take(NAMED_MAX).map(|value| shown(value)).collect::<Vec<_>>().join(", ");
    if values.len() > NAMED_MAX {
        let _ = write!(text, " and {} more", values.len() - NAMED_MAX);
    }
    text
}

fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN_CHARACTERS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARACTERS_MAX).is_some() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(ToString::to_string).collect()
    }

    fn format(kind: SubmissionKind, columns: &[&str]) -> SubmissionFormat {
        SubmissionFormat { id: Some("Id".to_owned()), columns: texts(columns), kind }
    }

    /// A binary task whose submission holds labels `no` and `yes`.
    fn check_labels(rows: &[(&str, &str)], expected: Result<(), &str>) {
        let (format, classes, ids) =
            (format(SubmissionKind::Label, &["y"]), texts(&["no", "yes"]), texts(&["1", "2", "3"]));
        let wanted = Expectation {
            format: &format,
            problem: Problem::Binary,
            classes: &classes,
            ids: &ids,
            value_min: None,
        };
        let row = |(id, label): &(&str, &str)| Row {
            id: (*id).to_owned(),
            cells: vec![Cell::Label((*label).to_owned())],
        };
        let submission = Submission {
            id: Some("Id".to_owned()),
            columns: texts(&["y"]),
            rows: rows.iter().map(row).collect(),
        };
        assert_eq!(
            check(&submission, &wanted).map_err(|error| error.to_string()),
            expected.map_err(str::to_owned)
        );
    }

    #[test]
    fn a_right_submission_passes() {
        check_labels(&[("1", "no"), ("2", "yes"), ("3", "no")], Ok(()));
    }

    #[test]
    fn missing_unknown_and_repeated_ids_are_named() {
        check_labels(&[("1", "no")], Err("2 of 3 ids are missing: 2, 3"));
        check_labels(&[("1", "no"), ("2", "no"), ("3", "no"), ("9", "no")], Err("1 id(s) are unknown: 9"));
        check_labels(
            &[("1", "no"), ("2", "no"), ("3", "no"), ("3", "no")],
            Err("1 id(s) occur too often: 3"),
        );
    }

    #[test]
    fn unknown_labels_are_named() {
        let expected = "column `y`: 1 row(s) hold no known label, at id 2 (`maybe`)";
        check_labels(&[("1", "no"), ("2", "maybe"), ("3", "no")], Err(expected));
    }

    fn probabilities(values: &[f64]) -> Result<(), SubmissionError> {
        let (format, ids) = (format(SubmissionKind::Probability, &["p"]), texts(&["a", "b"]));
        let wanted = Expectation {
            format: &format,
            problem: Problem::Binary,
            classes: &[],
            ids: &ids,
            value_min: None,
        };
        let built = build(&wanted, &ids, &Matrix::column(values.to_vec()), None)?;
        check(&built, &wanted)
    }

    #[test]
    fn numbers_must_be_finite_and_in_range() {
        assert_eq!(probabilities(&[0.0, 1.0]), Ok(()));
        let error = probabilities(&[0.5, f64::NAN]).unwrap_err().to_string();
        assert_eq!(error, "column `p`: 1 row(s) are not finite numbers, at id b (NaN)");
        let error = probabilities(&[1.5, 0.0]).unwrap_err().to_string();
        assert_eq!(error, "column `p`: 1 row(s) are out of range, at id a (1.5)");
    }

    #[test]
    fn rows_come_in_the_order_of_the_sample_and_columns_by_class_name() {
        let format = format(SubmissionKind::ClassProbabilities, &["prob_dog", "prob_cat"]);
        let (classes, ids) = (texts(&["cat", "dog"]), texts(&["7", "5"]));
        let wanted = Expectation {
            format: &format,
            problem: Problem::Multiclass,
            classes: &classes,
            ids: &ids,
            value_min: None,
        };
        let raw = Matrix::new(2, 2, vec![0.25, 0.75, 1.0, 0.0]).unwrap();
        let built = build(&wanted, &texts(&["5", "7"]), &raw, None).unwrap();
        assert_eq!(built.to_csv(), "Id,prob_dog,prob_cat\n7,0,1\n5,0.75,0.25\n");
        assert_eq!(check(&built, &wanted), Ok(()));
        let binary = build(&wanted, &texts(&["5", "7"]), &Matrix::column(vec![0.75, 0.0]), None).unwrap();
        assert_eq!(binary, built);
    }

    #[test]
    fn an_id_without_prediction_is_an_error() {
        let (format, ids) = (format(SubmissionKind::Value, &["y"]), texts(&["1", "2"]));
        let wanted = Expectation {
            format: &format,
            problem: Problem::Regression,
            classes: &[],
            ids: &ids,
            value_min: None,
        };
        let error = build(&wanted, &texts(&["1", "3"]), &Matrix::filled(2, 1, 0.0), None).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 ids are missing: 2");
    }

    #[test]
    fn repeated_ids_are_matched_in_order() {
        let (format, ids) = (format(SubmissionKind::Value, &["y"]), texts(&["1", "2", "1"]));
        let wanted = Expectation {
            format: &format,
            problem: Problem::Regression,
            classes: &[],
            ids: &ids,
            value_min: None,
        };
        let built = build(&wanted, &ids, &Matrix::column(vec![0.1, 0.2, 0.3]), None).unwrap();
        assert_eq!(built.to_csv(), "Id,y\n1,0.1\n2,0.2\n1,0.3\n");
        assert_eq!(check(&built, &wanted), Ok(()));
    }

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let submission = Submission {
            id: Some("the,id".to_owned()),
            columns: texts(&["la\"bel"]),
            rows: vec![Row { id: "a\nb".to_owned(), cells: vec![Cell::Label(" x".to_owned())] }],
        };
        assert_eq!(submission.to_csv(), "\"the,id\",\"la\"\"bel\"\n\"a\nb\",\" x\"\n");
    }

    #[test]
    fn columns_that_match_no_class_are_refused() {
        let error = class_of_columns(&texts(&["a", "b"]), &texts(&["x", "y"])).unwrap_err();
        assert_eq!(error.to_string(), "columns are a, b; expected exactly one per class: x, y");
    }

    #[test]
    fn long_or_odd_ids_are_cut_and_escaped_in_errors() {
        let long = "x".repeat(10_000) + "\n";
        assert!(named(&[long]).chars().count() <= SHOWN_CHARACTERS_MAX + 1);
        assert_eq!(shown("a\nb"), "a\\nb");
    }
}
