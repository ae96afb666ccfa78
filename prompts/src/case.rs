//! The case: the task, its data card, machine and budget as every prompt shows them. The same in all calls of a run, so
//! that it is served from caches.

use crate::text::{CELL_MAX, NAME_MAX, ROWS_MAX, digits, escaped, shown};
use ansatz_core::budget::Budget;
use ansatz_core::profile::{Column, ColumnKind, Profile};
use ansatz_core::task::{Problem, Task};
use serde::Serialize;

/// Columns that are described one by one.
const COLUMNS_MAX: usize = 60;

/// Columns in the shorter form.
const COLUMNS_SHORT: usize = 24;

/// Letters of the user's words and of the task text.
const REQUEST_MAX: usize = 3000;

/// Letters of all sample rows together.
const SAMPLE_MAX: usize = 6000;

/// Classes that are named.
const CLASSES_MAX: usize = 30;

/// Notices about the files that are shown.
const NOTICES_MAX: usize = 6;

/// Frequent values of a column that are shown.
const TOP_MAX: usize = 4;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// All of it.
    Full,
    /// Less, for models with a small context: fewer columns, no rows.
    Short,
}

/// What the run works with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Machine {
    /// Processor cores.
    pub cores: usize,
    /// GPUs.
    pub gpus: usize,
}

/// What is to be seen of a run's data, machine and budget.
#[derive(Debug, Clone)]
pub struct Sight<'a> {
    /// Code of the data blocks; new for every run.
    pub nonce: String,
    /// The data card.
    pub profile: &'a Profile,
    /// Some rows as lists of cells, in the order of the profile's columns; at most 20 are shown.
    pub rows: &'a [Vec<String>],
    /// The machine.
    pub machine: &'a Machine,
    /// The run's limits.
    pub budget: &'a Budget,
    /// How much is told.
    pub level: Level,
}

/// Task, data, machine and budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Case {
    /// Code of the data blocks; new for every run.
    pub nonce: String,
    /// What was asked.
    pub task: TaskView,
    /// The data card.
    pub data: DataView,
    /// Machine and budget in words.
    pub budget: String,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskView {
    /// Name of the folder or file.
    pub name: String,
    /// The user's words.
    pub request: String,
    /// `binary`, `multiclass`, `regression`; empty before the task is known.
    pub problem: String,
    /// Target column; empty before the task is known.
    pub target: String,
    /// Metric; empty before the task is known.
    pub metric: String,
    /// Which way is better, in words.
    pub direction: String,
    /// Classes of a classification.
    pub classes: Vec<String>,
    /// Wishes beyond the score.
    pub wishes: Vec<String>,
}

/// The data card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataView {
    /// Training rows.
    pub rows: u64,
    /// Rows to predict; 0 without a test file.
    pub test_rows: u64,
    /// Columns by kind, in words.
    pub counts: String,
    /// Columns described one by one.
    pub columns: Vec<ColumnView>,
    /// Columns that are not described.
    pub left_out: usize,
    /// What is odd about the files.
    pub notices: Vec<String>,
    /// Rows as JSON lists.
    pub sample: Vec<String>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnView {
    /// Its name, cut to 64 letters.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// Share of missing cells; empty when none is missing.
    pub missing: String,
    /// Distinct values.
    pub distinct: u64,
    /// Smallest, largest, mean and skew of numbers; length of texts.
    pub range: String,
    /// Frequent values.
    pub top: Vec<TopValue>,
    /// What else is worth knowing.
    pub note: String,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopValue {
    /// The value, cut to 80 letters.
    pub value: String,
    /// How often it is there.
    pub count: u64,
}

impl Case {
    /// The case of a known task.
    pub fn new(task: &Task, sight: &Sight) -> Self {
        Self::of(TaskView::new(task), Some(&task.target), sight)
    }

    /// The case before the task is known: the data's name and the user's words.
    pub fn unknown(name: &str, request: &str, sight: &Sight) -> Self {
        let empty = String::new;
        let task = TaskView {
            name: shown(name, NAME_MAX),
            request: shown(request, REQUEST_MAX),
            problem: empty(),
            target: empty(),
            metric: empty(),
            direction: empty(),
            classes: Vec::new(),
            wishes: Vec::new(),
        };
        Self::of(task, None, sight)
    }

    fn of(task: TaskView, target: Option<&str>, sight: &Sight) -> Self {
        let data = DataView::new(sight.profile, target, sight.rows, sight.level);
        Self { nonce: sight.nonce.clone(), task, data, budget: budget_words(sight.machine, sight.budget) }
    }
}

impl TaskView {
    fn new(task: &Task) -> Self {
        let problem = match task.problem {
            Problem::Binary => "binary",
            Problem::Multiclass => "multiclass",
            Problem::Regression => "regression",
        };
        let better = |higher: bool| if higher { "higher is better" } else { "lower is better" };
        let constraints = &task.constraints;
        let mut wishes = Vec::new();
        wishes.extend(
            constraints
                .latency_ms_max
                .map(|limit| format!("at most {} ms for one prediction", digits(limit, 3))),
        );
        wishes.extend(constraints.model_bytes_max.map(|limit| format!("a model of at most {limit} bytes")));
        if constraints.interpretable {
            wishes.push("a model that a person can read".into());
        }
        Self {
            name: shown(&task.name, NAME_MAX),
            request: shown(&task.request, REQUEST_MAX),
            problem: problem.into(),
            target: shown(&task.target, NAME_MAX),
            metric: task.metric.name.clone(),
            direction: better(task.metric.direction.better(1.0, 0.0)).into(),
            classes: task.classes.iter().take(CLASSES_MAX).map(|class| shown(class, CELL_MAX)).collect(),
            wishes,
        }
    }
}

impl DataView {
    fn new(profile: &Profile, target: Option<&str>, rows: &[Vec<String>], level: Level) -> Self {
        let most = if level == Level::Full { COLUMNS_MAX } else { COLUMNS_SHORT };
        // In the order of the file, which is also that of the rows; the target moves only where it would be left out.
        let is_target = |column: &&Column| Some(column.name.as_str()) == target;
        let late = profile.columns.iter().skip(most).find(is_target);
        let ordered = late
            .into_iter()
            .chain(profile.columns.iter().filter(|column| late.is_none() || !is_target(column)));
        let columns: Vec<ColumnView> = ordered.take(most).map(ColumnView::new).collect();
        let sample = if level == Level::Full { sample(rows) } else { Vec::new() };
        Self {
            rows: profile.train_rows,
            test_rows: profile.test_rows,
            counts: counts(profile),
            left_out: profile.columns.len() - columns.len(),
            columns,
            notices: profile
                .notices
                .iter()
                .take(NOTICES_MAX)
                .map(|notice| shown(&notice.message, 200))
                .collect(),
            sample,
        }
    }
}

/// As many rows as there is room for.
fn sample(rows: &[Vec<String>]) -> Vec<String> {
    let mut chars = 0;
    let fits = |row: &String| {
        chars += row.chars().count();
        chars <= SAMPLE_MAX
    };
    rows.iter().take(ROWS_MAX).map(|row| row_of(row)).take_while(fits).collect()
}

fn row_of(row: &[String]) -> String {
    let cells: Vec<String> =
        row.iter().take(COLUMNS_MAX).map(|cell| escaped(&shown(cell, CELL_MAX))).collect();
    format!("[{}]", cells.join(", "))
}

fn counts(profile: &Profile) -> String {
    let kinds = [
        (ColumnKind::Numeric, "numeric"),
        (ColumnKind::Categorical, "categorical"),
        (ColumnKind::Datetime, "datetime"),
        (ColumnKind::Text, "text"),
        (ColumnKind::Constant, "constant"),
    ];
    let count = |kind: ColumnKind| profile.columns.iter().filter(|column| column.kind == kind).count();
    let counts = kinds.map(|(kind, name)| (count(kind), name));
    let words: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    words.join(", ")
}

impl ColumnView {
    fn new(column: &Column) -> Self {
        let kind = match column.kind {
            ColumnKind::Numeric if column.whole => "whole numbers",
            ColumnKind::Numeric => "numbers",
            ColumnKind::Categorical => "categories",
            ColumnKind::Datetime => "moments",
            ColumnKind::Text => "text",
            ColumnKind::Constant => "constant",
        };
        let top = matches!(column.kind, ColumnKind::Categorical | ColumnKind::Text | ColumnKind::Constant)
            || column.distinct <= 12;
        let top = column.top.iter().take(if top { TOP_MAX } else { 0 });
        Self {
            name: shown(&column.name, NAME_MAX),
            kind: kind.into(),
            missing: share(column.missing_train),
            distinct: column.distinct,
            range: range(column),
            top: top
                .map(|(value, count)| TopValue { value: shown(value, CELL_MAX), count: *count })
                .collect(),
            note: note(column),
        }
    }
}

fn share(share: f64) -> String {
    if share <= 0.0 {
        return String::new();
    }
    let percent = share * 100.0;
    if percent < 1.0 { "under 1 %".into() } else { format!("{percent:.0} %") }
}

fn range(column: &Column) -> String {
    let number = |number: Option<f64>| number.map(|number| digits(number, 4));
    match column.kind {
        ColumnKind::Numeric => {
            let ends =
                number(column.min).zip(number(column.max)).map(|(min, max)| format!("from {min} to {max}"));
            let mean = number(column.mean).map(|mean| format!("mean {mean}"));
            let skew =
                column.skew.filter(|skew| skew.abs() >= 1.0).map(|skew| format!("skew {}", digits(skew, 2)));
            [ends, mean, skew].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        ColumnKind::Datetime => {
            let day = |seconds: Option<f64>| seconds.map(|seconds| day(seconds as i64));
            day(column.min)
                .zip(day(column.max))
                .map(|(min, max)| format!("from {min} to {max}"))
                .unwrap_or_default()
        }
        ColumnKind::Text => number(column.mean_length)
            .map(|length| format!("{length} letters on average"))
            .unwrap_or_default(),
        ColumnKind::Categorical | ColumnKind::Constant => String::new(),
    }
}

fn note(column: &Column) -> String {
    let mut notes = Vec::new();
    if !column.in_test {
        notes.push("not in the rows to predict".to_owned());
    } else if (column.missing_test - column.missing_train).abs() >= 0.05 {
        notes.push(format!("missing in {:.0} % of the rows to predict", column.missing_test * 100.0));
    }
    if !column.in_train {
        notes.push("only in the rows to predict".into());
    }
    if column.rising {
        notes.push("rises from row to row".into());
    }
    if let Some(overlap) =
        column.test_overlap.filter(|overlap| *overlap < 0.8 && column.kind == ColumnKind::Categorical)
    {
        notes.push(format!("{:.0} % of the test values are known from training", overlap * 100.0));
    }
    notes.join(", ")
}

/// A date from seconds since 1970.
pub fn day(seconds: i64) -> String {
    // Civil date from days, by the calendar's 400-year cycle.
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02}")
}

fn budget_words(machine: &Machine, budget: &Budget) -> String {
    let mut words = vec![match machine.cores {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    }];
    if machine.gpus > 0 {
        words.push(format!("{} GPUs", machine.gpus));
    }
    words.extend(budget.wall.map(|wall| format!("{} s in all", wall.as_secs())));
    words.extend(budget.trials.map(|trials| format!("{trials} trials of one fold each")));
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(
            [0, 951_782_400, -1, 1_709_164_800].map(day),
            ["1970-01-01", "2000-02-29", "1969-12-31", "2024-02-29"]
        );
    }

    #[test]
    fn shares_are_short() {
        assert_eq!([0.0, 0.001, 0.198, 1.0].map(share), ["", "under 1 %", "20 %", "100 %"]);
    }
}
