//! The case: the task, its data card, machine and budget as every prompt shows them. The same in all calls of a run, so
//! that it is served from caches.

use crate::text::{CELL_MAX, NAME_MAX, ROWS_MAX, digits, escaped, shown};
use ansatz_core::budget::Budget;
use ansatz_core::profile::{Column, ColumnKind, Profile};
use ansatz_core::task::{Problem, Task};
use serde::Serialize;
use std::collections::BTreeMap;

/// Columns that are described one by one, the first ones of a card.
pub const COLUMNS_MAX: usize = 48;

/// Columns in the shorter form.
const COLUMNS_SHORT: usize = 24;

/// Letters of the names of the other columns.
const FURTHER_LETTERS: usize = 600;

/// Letters of the user's words and of the task text.
const REQUEST_MAX: usize = 3000;

/// Letters of all sample rows together.
const SAMPLE_MAX: usize = 3600;

/// Classes that are named.
const CLASSES_MAX: usize = 30;

/// Notices about the files that are shown.
const NOTICES_MAX: usize = 6;

/// Frequent values of a column that are shown; a column with few values shows all of them.
const TOP_MAX: usize = 4;
const FEW_MAX: u64 = 12;

/// Letters of the values of all columns together, and of one column at least and at most: wide tables show fewer.
const TOP_LETTERS: usize = 2880;
const TOP_LETTERS_OF_ONE: (usize, usize) = (48, 300);

/// Letters around a value that is shown: quotes and its count.
const AROUND_VALUE: usize = 8;

/// A column by which training rows are told from rows to predict at least so well is told to differ.
const SHIFT_MIN: f64 = 0.6;

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

/// What was measured of a column beside its card.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Finding {
    /// How well a small tree on this column alone does: ROC AUC for classes, R² for values.
    pub alone: Option<f64>,
    /// How well training rows can be told from rows to predict by this column alone, as an ROC AUC.
    pub shift: Option<f64>,
    /// Quartiles of its numbers.
    pub quartiles: Option<[f64; 3]>,
}

/// Findings by column.
pub type Findings = BTreeMap<String, Finding>;

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
    /// Where the run stands; shown by prompts that are answered while it searches.
    pub standing: Option<Standing>,
}

/// Where a run stands, in texts that are ready for reading.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Standing {
    /// Differences below this mean nothing.
    pub noise: String,
    /// What there is to be compared with: the reference, then the best of each solution.
    pub rows: Vec<StandingRow>,
}

/// A line of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StandingRow {
    /// The candidate.
    pub name: String,
    /// Who had the idea.
    pub origin: String,
    /// The measured score, with its error.
    pub score: String,
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
    /// What strengths of columns are, in words; empty when none was measured.
    pub strengths: String,
    /// Columns described one by one.
    pub columns: Vec<ColumnView>,
    /// Columns that are not described.
    pub left_out: usize,
    /// Names of those, as many as there is room for.
    pub further: Vec<String>,
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
    /// Ends, quartiles or mean, and skew of numbers; length of texts.
    pub range: String,
    /// Frequent values.
    pub top: Vec<TopValue>,
    /// Whether these are all values that there are.
    pub has_all: bool,
    /// How well the column predicts the target by itself; empty when that was not measured.
    pub alone: String,
    /// How well it tells training rows from rows to predict; empty when it hardly does.
    pub shift: String,
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
        Self::knowing(task, sight, &Findings::new())
    }

    /// The case of a known task about whose columns something was measured.
    pub fn knowing(task: &Task, sight: &Sight, findings: &Findings) -> Self {
        let mut case = Self::of(TaskView::new(task), Some(&task.target), sight, findings);
        if findings.values().any(|finding| finding.alone.is_some()) {
            let measure = match task.problem {
                Problem::Binary | Problem::Multiclass => "ROC AUC (0.5 is nothing)",
                Problem::Regression => "R² (0 is nothing)",
            };
            case.data.strengths = measure.into();
        }
        case
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
        Self::of(task, None, sight, &Findings::new())
    }

    fn of(task: TaskView, target: Option<&str>, sight: &Sight, findings: &Findings) -> Self {
        let data = DataView::new(sight, target, findings);
        let budget = budget_words(sight.machine, sight.budget);
        Self { nonce: sight.nonce.clone(), task, data, budget, standing: None }
    }

    /// Puts the same case in its place as it is told to a model with a small context. Where the run stands stays.
    pub fn shorten(&mut self, short: Self) {
        *self = Self { standing: self.standing.take(), ..short };
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
    fn new(sight: &Sight, target: Option<&str>, findings: &Findings) -> Self {
        let (profile, is_full) = (sight.profile, sight.level == Level::Full);
        let most = if is_full { COLUMNS_MAX } else { COLUMNS_SHORT };
        // In the order of the card, which is also that of the rows; the target moves only where it would be left out.
        let is_target = |column: &&Column| Some(column.name.as_str()) == target;
        let late = profile.columns.iter().skip(most).find(is_target);
        let ordered = late
            .into_iter()
            .chain(profile.columns.iter().filter(|column| late.is_none() || !is_target(column)));
        let letters = top_letters(profile.columns.len().min(most), is_full);
        let view = |column: &Column| ColumnView::new(column, findings.get(&column.name), letters);
        let columns: Vec<ColumnView> = ordered.clone().take(most).map(view).collect();
        let room = if is_full { FURTHER_LETTERS } else { FURTHER_LETTERS / 3 };
        let further = names(ordered.skip(most), room);
        let sample = if is_full { sample(sight.rows) } else { Vec::new() };
        Self {
            rows: profile.train_rows,
            test_rows: profile.test_rows,
            counts: counts(profile),
            strengths: String::new(),
            left_out: profile.columns.len() - columns.len(),
            further,
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

/// As many names as there is room for.
fn names<'a>(columns: impl Iterator<Item = &'a Column>, room: usize) -> Vec<String> {
    let mut letters = 0;
    let fits = |name: &String| {
        letters += name.chars().count();
        letters <= room
    };
    columns.map(|column| shown(&column.name, NAME_MAX)).take_while(fits).collect()
}

/// As many rows as there is room for, and one in any case.
fn sample(rows: &[Vec<String>]) -> Vec<String> {
    let mut chars = 0;
    let fits = |row: &String| {
        let is_first = chars == 0;
        chars += row.chars().count();
        is_first || chars <= SAMPLE_MAX
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

/// Letters that the values of one of so many columns may have.
fn top_letters(columns: usize, is_full: bool) -> usize {
    let all = if is_full { TOP_LETTERS } else { TOP_LETTERS / 4 };
    let (least, most) = TOP_LETTERS_OF_ONE;
    (all / columns.max(1)).clamp(least, most)
}

/// The values of a column that are shown: all of few, the most frequent of many, as far as there is room for them.
fn top(column: &Column, letters: usize) -> Vec<TopValue> {
    let is_few = column.distinct <= FEW_MAX;
    let has_values =
        matches!(column.kind, ColumnKind::Categorical | ColumnKind::Text | ColumnKind::Constant) || is_few;
    let most = match (has_values, is_few) {
        (false, _) => 0,
        (true, false) => TOP_MAX,
        (true, true) => FEW_MAX as usize,
    };
    let mut used = 0;
    let fits = |value: &TopValue| {
        let is_first = used == 0;
        used += value.value.chars().count() + AROUND_VALUE;
        is_first || used <= letters
    };
    let values = column.top.iter().take(most);
    let values = values.map(|(value, count)| TopValue { value: shown(value, CELL_MAX), count: *count });
    values.take_while(fits).collect()
}

impl ColumnView {
    fn new(column: &Column, finding: Option<&Finding>, letters: usize) -> Self {
        let kind = match column.kind {
            ColumnKind::Numeric if column.whole => "whole numbers",
            ColumnKind::Numeric => "numbers",
            ColumnKind::Categorical => "categories",
            ColumnKind::Datetime => "moments",
            ColumnKind::Text => "text",
            ColumnKind::Constant => "constant",
        };
        let top = top(column, letters);
        let alone = finding.and_then(|finding| finding.alone).map(|alone| format!("{alone:.2}"));
        let shift = finding.and_then(|finding| finding.shift).filter(|shift| *shift >= SHIFT_MIN);
        let shift = shift.map(|shift| format!("{shift:.2}"));
        Self {
            name: shown(&column.name, NAME_MAX),
            kind: kind.into(),
            missing: share(column.missing_train),
            distinct: column.distinct,
            range: range(column, finding.and_then(|finding| finding.quartiles)),
            has_all: top.len() as u64 == column.distinct,
            top,
            alone: alone.unwrap_or_default(),
            shift: shift.unwrap_or_default(),
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

fn range(column: &Column, quartiles: Option<[f64; 3]>) -> String {
    let number = |number: Option<f64>| number.map(|number| digits(number, 4));
    match column.kind {
        ColumnKind::Numeric => {
            let ends =
                number(column.min).zip(number(column.max)).map(|(min, max)| format!("from {min} to {max}"));
            // Of few values all are told, with their counts.
            let quartiles = quartiles.filter(|_| column.distinct > FEW_MAX);
            let quartiles = quartiles.map(|quartiles| {
                format!("quartiles {}", quartiles.map(|quartile| digits(quartile, 3)).join(", "))
            });
            let middle = quartiles.or_else(|| number(column.mean).map(|mean| format!("mean {mean}")));
            let skew =
                column.skew.filter(|skew| skew.abs() >= 1.0).map(|skew| format!("skew {}", digits(skew, 2)));
            [ends, middle, skew].into_iter().flatten().collect::<Vec<_>>().join(", ")
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
