//! How the other columns are treated: which are of no use, which are codes, which one is the time or the group.

use super::error::{UnderstandError, UnderstandErrorKind, quoted};
use super::target::looks_like_id;
use super::words::Clause;
use super::{Facts, Notes};
use ansatz_core::outcome::DroppedColumn;
use ansatz_core::profile::{Column, ColumnKind};
use ansatz_core::task::BY_MODEL;
use std::collections::BTreeSet;

/// How the columns are treated.
pub(super) struct Treatment {
    pub(super) excluded: Vec<DroppedColumn>,
    pub(super) categorical: Vec<String>,
    pub(super) time: Option<String>,
    pub(super) group: Option<String>,
}

/// Decides on every column beside target and id.
pub(super) fn treat(
    facts: &Facts<'_>,
    target: &Column,
    id: Option<&str>,
    notes: &mut Notes,
) -> Result<Treatment, UnderstandError> {
    let others: Vec<&Column> = facts
        .profile
        .columns
        .iter()
        .filter(|column| column.in_train && column.name != target.name && Some(column.name.as_str()) != id)
        .collect();
    test_has_enough(facts, &others)?;
    let excluded: Vec<DroppedColumn> = others.iter().filter_map(|column| excluded(facts, column)).collect();
    warn_of_train_only(&excluded, notes);
    let dropped: BTreeSet<&str> = excluded.iter().map(|dropped| dropped.column.as_str()).collect();
    let used: Vec<&Column> =
        others.iter().filter(|column| !dropped.contains(column.name.as_str())).copied().collect();
    if used.is_empty() {
        let kind = UnderstandErrorKind::NoFeatures { target: target.name.clone() };
        return Err(UnderstandError::new(
            kind,
            "give a training file with at least one column that differs between rows and is in the test file too",
        ));
    }
    Ok(Treatment {
        categorical: codes(facts, &used, notes),
        time: time_column(facts, &used, notes),
        group: group_column(facts, &used, notes),
        excluded,
    })
}

/// One warning per column, or one for all where they are many.
fn warn_of_train_only(excluded: &[DroppedColumn], notes: &mut Notes) {
    const SINGLE_WARNINGS_MAX: usize = 5;
    let is_train_only = |dropped: &&DroppedColumn| dropped.reason == "train_only";
    let names: Vec<&str> =
        excluded.iter().filter(is_train_only).map(|dropped| dropped.column.as_str()).collect();
    if names.len() > SINGLE_WARNINGS_MAX {
        let count = names.len();
        notes.warn(format!(
            "{count} columns are not used because the test file does not have them: {}",
            quoted(&names)
        ));
    } else {
        for name in names {
            notes.warn(format!("`{name}` is not used: the test file does not have it"));
        }
    }
}

/// Words that say that a column is in the training file alone.
const TRAIN_ONLY: &[&str] = &[
    "training file only",
    "in the training file only",
    "train only",
    "training only",
    "only in the training",
    "only in train",
    "only in training",
    "not in test",
    "not in the test",
    "absent from the test",
    "training set only",
    "in train only",
    "not available in the test",
    "not available at prediction time",
];

/// Refuses a test file that lacks what it should have: most columns, or one that the description tells of without
/// saying that only the training file has it.
fn test_has_enough(facts: &Facts<'_>, others: &[&Column]) -> Result<(), UnderstandError> {
    let is_lacking = |column: &&&Column| facts.has_test() && !column.in_test;
    let lacking: Vec<&str> = others.iter().filter(is_lacking).map(|column| column.name.as_str()).collect();
    if lacking.len() * 2 > others.len() {
        return Err(lacks(&lacking, "give the test file that belongs to this training file"));
    }
    let undeclared: Vec<&str> = lacking.into_iter().filter(|name| is_promised(facts, name)).collect();
    match undeclared.first() {
        None => Ok(()),
        Some(first) => {
            let hint =
                format!("add it to the test file, or say --task \"{first} is in the training file only\"");
            Err(lacks(&undeclared, hint))
        }
    }
}

fn lacks(columns: &[&str], hint: impl Into<String>) -> UnderstandError {
    let columns = columns.iter().map(ToString::to_string).collect();
    UnderstandError::new(UnderstandErrorKind::TestLacks { columns }, hint)
}

/// Whether the description lists the column as one of the data and never as one of the training file alone.
fn is_promised(facts: &Facts<'_>, name: &str) -> bool {
    let declared = |clause: &Clause| {
        clause.has_any(TRAIN_ONLY) || clause.has_any(&["without", "lacks", "leaked", "leak"])
    };
    let naming: Vec<&Clause> = facts.words.naming(name);
    naming.iter().any(|clause| lists_columns(clause)) && !naming.iter().any(|clause| declared(clause))
}

/// Whether the clause is an entry of a list of columns.
fn lists_columns(clause: &Clause) -> bool {
    let is_entry = ["|", "- ", "* ", "+ "].iter().any(|start| clause.raw.starts_with(start));
    is_entry || clause.under(&["column", "feature", "field", "variable", "data"])
}

/// Whether a clause says something about columns or about how the files are split, by itself.
pub(super) fn says_something(clause: &Clause) -> bool {
    let of_codes =
        clause.has_any(&["is a code", "are codes", "category codes", "is categorical", "are categorical"]);
    of_codes || clause.has_any(TRAIN_ONLY) || clause.has_any(LATER) || says_group(clause)
}

fn excluded(facts: &Facts<'_>, column: &Column) -> Option<DroppedColumn> {
    let (reason, evidence) = if facts.has_test() && !column.in_test {
        ("train_only", "the test file does not have it".to_owned())
    } else if column.distinct == 0 {
        ("constant", "it has no value in the training file".to_owned())
    } else if column.kind == ColumnKind::Constant || (column.distinct == 1 && column.missing_train == 0.0) {
        ("constant", "it has the same value in every row".to_owned())
    } else {
        ("identifier", identifies(facts, column)?)
    };
    Some(DroppedColumn { column: column.name.clone(), reason: reason.into(), evidence })
}

/// Why the column only names rows, if it does. Numbers and texts that merely differ in every row do not count:
/// whether such a column leaks is judged from evidence, later.
fn identifies(facts: &Facts<'_>, column: &Column) -> Option<String> {
    let rows = facts.profile.train_rows;
    let names_rows = column.distinct == rows && (column.whole || column.kind != ColumnKind::Numeric);
    let known_elsewhere = column.test_overlap.is_some_and(|overlap| overlap > 0.05);
    if column.kind == ColumnKind::Datetime || !names_rows || known_elsewhere {
        return None;
    }
    if looks_like_id(&column.name) {
        return Some("it is called like an identifier and differs in every row".into());
    }
    let span = column.max.zip(column.min).map(|(max, min)| max - min + 1.0);
    let counts_rows = column.rising && span == Some(rows as f64) && !names_time(&column.name);
    counts_rows.then(|| "it counts the rows".into())
}

/// Whole-number columns that are codes.
fn codes(facts: &Facts<'_>, used: &[&Column], notes: &mut Notes) -> Vec<String> {
    let all_are_codes = facts.words.clauses.iter().find(|clause| says_all_are_codes(clause));
    let mut found = Vec::new();
    for column in
        used.iter().filter(|column| column.kind == ColumnKind::Numeric && column.whole && column.distinct > 2)
    {
        let because = if all_are_codes.is_some() {
            Some("the task text says that the numbers are codes".to_owned())
        } else {
            code_evidence(facts, column)
        };
        if let Some(because) = because {
            notes.infer("categorical", &column.name, because);
            found.push(column.name.clone());
        }
    }
    found
}

fn says_all_are_codes(clause: &Clause) -> bool {
    let all = clause.has_any(&["all", "each", "every", "columns are", "features are", "values are"]);
    let code = clause.has_any(&[
        "code",
        "codes",
        "category code",
        "category codes",
        "anonymised category",
        "anonymized category",
        "anonymised categories",
        "anonymized categories",
        "categorical codes",
        "ids of categories",
        "encoded categories",
    ]);
    let numbers = clause.has_any(&["integers", "integer", "numbers", "columns", "features", "variables"]);
    let not_quantity =
        clause.has_any(&["not a quantity", "not quantities", "not numbers", "not a number", "no quantities"])
            || clause.has_stem("anonymi")
            || clause.has_stem("categor");
    !clause.raw.starts_with('|') && all && code && numbers && not_quantity
}

fn code_evidence(facts: &Facts<'_>, column: &Column) -> Option<String> {
    if facts.words.naming(&column.name).iter().any(|clause| says_code(clause, &column.name)) {
        return Some("the task text calls it a code".into());
    }
    let repeats = column.distinct * 2 <= facts.profile.train_rows;
    if repeats && is_called_code(&column.name) {
        return Some("it is called like a code and repeats its values".into());
    }
    looks_anonymised(column, facts.profile.train_rows)
        .then(|| "its whole numbers are far apart, repeat often and are not round, as codes are".into())
}

/// Whether the words beside the column's name, up to the next comma or bar, call it a code.
fn says_code(clause: &Clause, name: &str) -> bool {
    let Some(at) = clause.position_of(name) else { return false };
    let rest = &clause.raw[at + name.len()..];
    let rest =
        if clause.raw.starts_with('|') { rest } else { rest.split([',', ';', ')']).next().unwrap_or(rest) };
    let beside = super::words::plain(rest);
    [" code ", " codes ", " category ", " categorical ", " id of ", " nominal "]
        .iter()
        .any(|word| beside.contains(word))
}

fn is_called_code(name: &str) -> bool {
    let lower = name.to_lowercase();
    let ends = ["code", "_id", "_cd", "_type", "zip", "zipcode", "postcode", "_cat"]
        .iter()
        .any(|end| lower.ends_with(end));
    ends || name.ends_with("Id") || name.ends_with("ID") || lower.starts_with("cat_")
}

/// Whether whole numbers look like the names of things: many different, far apart, often repeated, not round, none of
/// them zero. Amounts are round, begin at zero, or hardly repeat.
fn looks_anonymised(column: &Column, rows: u64) -> bool {
    const DISTINCT_MIN: u64 = 30;
    const SPREAD_MIN: f64 = 20.0;
    const ROUND_SHARE_MAX: f64 = 0.35;
    let Some((min, max)) = column.min.zip(column.max) else { return false };
    let spread = (max - min + 1.0) / column.distinct.max(1) as f64;
    let numbers: Vec<f64> = column.top.iter().filter_map(|(value, _)| value.parse().ok()).collect();
    let round = numbers.iter().filter(|number| *number % 5.0 == 0.0).count() as f64;
    min > 0.0
        && column.distinct >= DISTINCT_MIN
        && column.distinct * 5 <= rows
        && spread >= SPREAD_MIN
        && !numbers.is_empty()
        && round <= ROUND_SHARE_MAX * numbers.len() as f64
}

fn names_time(name: &str) -> bool {
    let lower = name.to_lowercase();
    ["time", "date", "year", "month", "week", "day", "hour", "timestamp", "period"]
        .iter()
        .any(|word| lower.contains(word))
}

/// Words that say that the test rows lie later than the training rows.
const LATER: &[&str] = &[
    "after the training rows",
    "after the training",
    "later than",
    "next month",
    "following month",
    "following year",
    "next year",
    "split by time",
    "by time",
    "chronological",
    "chronologically",
    "temporal split",
    "time based split",
    "time series",
    "only information available before",
];

/// Words that speak of what is to come, whether the files are split by it or not.
const TO_COME: &[&str] = &["in the future", "future", "forecast"];

/// Larger whole numbers count no days, hours or months of a calendar, which come round again.
const CALENDAR_MAX: f64 = 366.0;

/// A test file of which more than this share of the moments are known says nothing about time.
const KNOWN_MOMENTS_MAX: f64 = 0.5;

/// The column by which the split may respect time. With a test file it is the one whose moments there are least known: whether
/// the test lies later in it, the referee sees from the moments. Without one, words alone can say that the rows to be
/// predicted lie later than these.
fn time_column(facts: &Facts<'_>, used: &[&Column], notes: &mut Notes) -> Option<String> {
    let timed: Vec<&Column> = used.iter().copied().filter(|column| holds_time(column)).collect();
    let orders_rows = |column: &&Column| column.kind == ColumnKind::Datetime || column.rising;
    let ordered: Vec<&Column> = timed.iter().copied().filter(orders_rows).collect();
    let heard = || {
        let name = facts.heard?.time_column.as_ref()?;
        used.iter().find(|column| column.name == *name).map(|column| (*column, BY_MODEL))
    };
    let by_words = |because| {
        let is_said = facts.words.clauses.iter().any(says_later);
        let named = || timed.iter().copied().find(|column| is_named_as_time(facts, column));
        is_said.then(|| named().or(ordered.first().copied())).flatten().map(|column| (column, because))
    };
    let found = if facts.has_test() {
        let rising = || ordered.iter().copied().find(|column| column.rising);
        least_known(&timed)
            .map(|column| (column, "its moments tell whether the test file lies later"))
            .or_else(|| rising().map(|column| (column, "the training file is sorted by it")))
            .or_else(|| by_words("the task text says that the files are split by time"))
            .or_else(heard)
    } else {
        by_words("the task text speaks of later rows").or_else(heard)
    };
    if let Some((column, because)) = found {
        notes.infer("time_column", &column.name, because);
    } else if let Some(column) = ordered.first().filter(|_| !facts.has_test()) {
        notes.warn(format!(
            "rows are not split by time, although `{}` orders them: if later rows are to be predicted, say \"forecast\" in the task",
            column.name
        ));
    }
    found.map(|(column, _)| column.name.clone())
}

/// Whether the column holds moments, or whole numbers that are called like them.
fn holds_time(column: &Column) -> bool {
    let is_whole = column.kind == ColumnKind::Numeric && column.whole;
    column.kind == ColumnKind::Datetime || (is_whole && names_time(&column.name))
}

/// The column of which the test file has the most moments that the training file has not; of equal ones one of moments.
fn least_known<'a>(timed: &[&'a Column]) -> Option<&'a Column> {
    let overlap = |column: &Column| column.test_overlap.filter(|overlap| *overlap <= KNOWN_MOMENTS_MAX);
    let known = timed.iter().filter_map(|column| Some((overlap(column)?, *column)));
    let is_number = |column: &Column| column.kind != ColumnKind::Datetime;
    known
        .min_by(|a, b| a.0.total_cmp(&b.0).then(is_number(a.1).cmp(&is_number(b.1))))
        .map(|(_, column)| column)
}

/// Whether the words about what is to come name the column, unless its values come round again as hours and months do.
fn is_named_as_time(facts: &Facts<'_>, column: &Column) -> bool {
    let goes_on = column.kind == ColumnKind::Datetime
        || column.rising
        || column.max.is_some_and(|largest| largest > CALENDAR_MAX);
    goes_on && facts.words.naming(&column.name).into_iter().any(says_later)
}

/// Whether a clause says that the rows to be predicted lie later than those to learn from.
fn says_later(clause: &Clause) -> bool {
    clause.has_any(LATER) || clause.has_any(TO_COME) || parts_of_calendar(clause)
}

/// `the first 14 days are in the training file`.
pub(super) fn parts_of_calendar(clause: &Clause) -> bool {
    let unit = clause.has_any(&["days", "weeks", "months", "years", "hours"]);
    unit && clause.has_stem("train")
        && clause.has_stem("test")
        && clause.has_any(&["first", "last", "until", "from", "before"])
}

/// A column whose values the test file does not share: what is learnt about one value is of no use there.
fn group_column(facts: &Facts<'_>, used: &[&Column], notes: &mut Notes) -> Option<String> {
    const OVERLAP_MAX: f64 = 0.02;
    const GROUPS_MIN: u64 = 10;
    let repeats = |column: &&&Column| {
        column.distinct >= GROUPS_MIN
            && column.distinct * 2 <= facts.profile.train_rows
            && (column.kind == ColumnKind::Categorical || (column.whole && is_called_code(&column.name)))
    };
    let unseen = |column: &&&Column| column.test_overlap.is_some_and(|overlap| overlap <= OVERLAP_MAX);
    let said = |column: &&&Column| facts.words.naming(&column.name).into_iter().any(says_group);
    let found = used.iter().filter(repeats).find_map(|column| {
        if unseen(&column) {
            Some((column.name.clone(), "the test file has other values of it than the training file"))
        } else {
            said(&column).then(|| (column.name.clone(), "the task text says that the files are split by it"))
        }
    });
    let heard = || {
        let name = facts.heard?.group_column.as_ref()?;
        used.iter().find(|column| column.name == *name).map(|column| (column.name.clone(), BY_MODEL))
    };
    let (name, because) = found.or_else(heard)?;
    notes.infer("group_column", &name, because);
    Some(name)
}

fn says_group(clause: &Clause) -> bool {
    clause.has_any(&[
        "split by",
        "grouped by",
        "group by",
        "group column",
        "no overlap",
        "disjoint",
        "unseen",
        "appears in only one",
    ])
}
