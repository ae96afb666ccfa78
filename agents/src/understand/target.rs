//! Which column is to be predicted, and which one names the rows.

use super::error::{UnderstandError, UnderstandErrorKind, quoted};
use super::heard::because;
use super::nearest::{nearest, squash};
use super::sample::{SampleReading, column_of_classes};
use super::words::{Clause, Spellings, Words, column_after, plain, spellings};
use super::{Facts, Notes};
use ansatz_core::profile::{Column, ColumnKind};
use std::collections::BTreeMap;

/// The target and what the sample says about it.
pub(super) struct Target<'a> {
    /// The column.
    pub(super) column: &'a Column,
    /// The sample submission, when there is one.
    pub(super) sample: Option<SampleReading>,
    /// Labels by the sample's columns, when it has one per label.
    pub(super) class_columns: Option<Vec<String>>,
}

/// Finds the target.
pub(super) fn find<'a>(facts: &'a Facts<'_>, notes: &mut Notes) -> Result<Target<'a>, UnderstandError> {
    let sample = facts.profile.sample.as_ref().and_then(SampleReading::of);
    let column = match (&facts.flags.target, &sample) {
        (Some(name), _) => by_flag(facts, name, notes)?,
        (None, Some(sample)) => by_sample(facts, sample, notes)?,
        (None, None) => by_text_or_shape(facts, notes)?,
    };
    has_values(column)?;
    let class_columns = sample.as_ref().and_then(|sample| sample.classes_of(column));
    if let Some(sample) = &sample {
        sample_fits(sample, column, class_columns.is_some(), notes)?;
    }
    Ok(Target { column, sample, class_columns })
}

/// The column of a flag: the very name, or the only one that differs from it in nothing but case and spacing.
fn by_flag<'a>(facts: &'a Facts<'_>, name: &str, notes: &mut Notes) -> Result<&'a Column, UnderstandError> {
    if let Some(column) = facts.profile.column(name).filter(|column| column.in_train) {
        return Ok(column);
    }
    let wanted = squash(name);
    let is_same = |column: &&Column| column.in_train && !wanted.is_empty() && squash(&column.name) == wanted;
    let mut same = facts.profile.columns.iter().filter(is_same);
    match (same.next(), same.next()) {
        (Some(column), None) => {
            notes.infer("target", &column.name, format!("you wrote \"{name}\""));
            Ok(column)
        }
        _ => Err(absent(facts, "target", name)),
    }
}

fn absent(facts: &Facts<'_>, role: &'static str, name: &str) -> UnderstandError {
    let names: Vec<&str> =
        facts.profile.columns.iter().filter(|c| c.in_train).map(|c| c.name.as_str()).collect();
    let hint = match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("its columns are {}", quoted(&names)),
    };
    UnderstandError::new(UnderstandErrorKind::ColumnAbsent { role, column: name.into() }, hint)
}

fn by_sample<'a>(
    facts: &'a Facts<'_>,
    sample: &SampleReading,
    notes: &mut Notes,
) -> Result<&'a Column, UnderstandError> {
    let Some(single) = sample.single() else {
        let column = column_of_classes(sample, facts.profile)?;
        notes.infer("target", &column.name, "the sample submission has one column for each of its values");
        return Ok(column);
    };
    if let Some(column) = facts.profile.column(single).filter(|column| column.in_train) {
        notes.infer("target", &column.name, "it is the column that the sample submission asks for");
        return Ok(column);
    }
    let column = by_text_or_shape(facts, notes)?;
    notes.warn(format!(
        "the sample submission's column `{single}` is not in the training file; it is filled with predictions of `{}`",
        column.name
    ));
    Ok(column)
}

fn by_text_or_shape<'a>(facts: &'a Facts<'_>, notes: &mut Notes) -> Result<&'a Column, UnderstandError> {
    let train_only: Vec<&Column> = facts.train_only().collect();
    let candidates: Vec<&Column> = if train_only.is_empty() {
        facts.profile.columns.iter().filter(|column| column.in_train).collect()
    } else {
        train_only.clone()
    };
    let (named, unknown) = match last_order(&facts.words, &candidates) {
        Some(Order::Column(column, because)) => (Some((column, because.to_owned())), None),
        Some(Order::Unknown { word, near }) => (None, Some((word, near))),
        None => (by_text(&facts.words, &candidates), None),
    };
    if let Some((column, because)) = named {
        notes.infer("target", &column.name, because);
        return Ok(column);
    }
    let heard = facts.heard.and_then(|heard| heard.target.as_deref()).filter(|_| train_only.len() != 1);
    if let Some(column) = heard.and_then(|name| candidates.iter().find(|column| column.name == name)) {
        notes.infer("target", &column.name, because(""));
        return Ok(column);
    }
    if let Some((column, because)) = facts.proposal("target") {
        notes.infer("target", &column.name, because);
        return Ok(column);
    }
    if let Some(proposal) = facts.proposed.iter().find(|proposal| proposal.field == "target") {
        notes.warn(format!(
            "the source names `{}` as the target, but there is no such column",
            proposal.value
        ));
    }
    if let Some((word, near)) = unknown.or_else(|| unknown_target(&facts.words, &candidates)) {
        let kind = UnderstandErrorKind::ColumnAbsent { role: "target", column: word };
        return Err(UnderstandError::new(kind, format!("did you mean `{near}`?")));
    }
    by_shape(&train_only, &candidates, notes)
}

fn by_shape<'a>(
    train_only: &[&'a Column],
    candidates: &[&'a Column],
    notes: &mut Notes,
) -> Result<&'a Column, UnderstandError> {
    const USUAL: &[&str] = &["target", "label", "y", "class", "outcome", "response"];
    let usual = |column: &&&Column| USUAL.contains(&column.name.to_lowercase().as_str());
    let (column, because, sure) = if let [only] = train_only {
        (*only, "it is the only column that the test file lacks", true)
    } else if let Some(named) = candidates.iter().find(usual) {
        (*named, "targets are usually called that", true)
    } else if let Some(last) = train_only.last() {
        (*last, "it is the last column that the test file lacks", false)
    } else if let Some(last) = candidates.last() {
        (*last, "it is the last column", false)
    } else {
        let hint = "name the column to be predicted with --target";
        return Err(UnderstandError::new(UnderstandErrorKind::NoTarget, hint));
    };
    notes.infer("target", &column.name, because);
    notes.guessed = !sure;
    if !sure {
        notes.warn(format!(
            "`{}` is taken as the target because {because}; --target names another",
            column.name
        ));
    }
    Ok(column)
}

const CALLS_TARGET: &str = "the task text calls it the target";
const ASKS_FOR_IT: &str = "the task text asks for its prediction";

/// What the user's last order to predict something names.
enum Order<'a> {
    /// A column, and how it is named.
    Column(&'a Column, &'static str),
    /// A name that no column has, and the nearest that one has.
    Unknown { word: String, near: &'a str },
}

/// The target that the user's own words name in so many words; of several the last, which corrects those before it.
fn last_order<'a>(words: &Words, candidates: &[&'a Column]) -> Option<Order<'a>> {
    let names: Vec<&str> = candidates.iter().map(|column| column.name.as_str()).collect();
    let known = spellings(&names);
    let column = |name: &str| candidates.iter().find(|column| column.name == name).copied();
    words.said_parts().rev().filter(|part| is_order(part)).find_map(|part| {
        let part = Words::read(&part, "");
        let clause = part.clauses.first()?;
        let named = named_by_clause(&part, &names);
        let called = named.get(&0).and_then(|named| called_target(clause, named)).and_then(column);
        let called = called.map(|column| Order::Column(column, CALLS_TARGET));
        let predicted = || {
            let column = predicted(clause, &known).and_then(column)?;
            Some(Order::Column(column, ASKS_FOR_IT))
        };
        let unknown = || unknown_target(&part, candidates).map(|(word, near)| Order::Unknown { word, near });
        called.or_else(predicted).or_else(unknown)
    })
}

/// Whether a part of a sentence orders to predict something, or calls something the target.
fn is_order(part: &str) -> bool {
    const CALLS: &[&str] =
        &["target is", "target:", "target =", "target should be", "target column is", "is the target"];
    /// Words that may stand before the verb of an order.
    const BEFORE: &[&str] = &[
        "please", "no", "yes", "ok", "then", "now", "rather", "instead", "actually", "sorry", "just", "i",
        "we", "you", "want", "to", "would", "like", "need", "can", "could", "let", "lets", "us", "me",
        "help", "train", "build", "make", "create", "fit", "learn", "a", "an", "the", "model", "that",
        "which", "is", "task", "goal",
    ];
    const VERBS: &[&str] = &[
        "predict",
        "predicts",
        "predicting",
        "forecast",
        "forecasts",
        "forecasting",
        "estimate",
        "estimates",
        "estimating",
        "classify",
        "classifies",
        "classifying",
    ];
    let lower = part.to_lowercase();
    if CALLS.iter().any(|call| lower.contains(call)) {
        return true;
    }
    let plain = plain(part);
    let verb = plain.split_whitespace().find(|word| !BEFORE.contains(word));
    verb.is_some_and(|verb| VERBS.contains(&verb))
}

/// The target that the text names.
fn by_text<'a>(words: &Words, candidates: &[&'a Column]) -> Option<(&'a Column, String)> {
    let names: Vec<&str> = candidates.iter().map(|column| column.name.as_str()).collect();
    let column = |name: &str| candidates.iter().find(|column| column.name == name).copied();
    let named = named_by_clause(words, &names);
    let called = named.iter().find_map(|(place, names)| called_target(&words.clauses[*place], names));
    if let Some(found) = called.and_then(column) {
        return Some((found, CALLS_TARGET.into()));
    }
    let spellings = spellings(&names);
    let predicted = words.clauses.iter().find_map(|clause| predicted(clause, &spellings));
    if let Some(found) = predicted.and_then(column) {
        return Some((found, ASKS_FOR_IT.into()));
    }
    let held_back = named.iter().find_map(|(place, names)| {
        let raw = &words.clauses[*place].raw;
        names.iter().find(|name| raw.contains(&format!("(with `{name}`"))).copied()
    });
    held_back
        .and_then(column)
        .map(|found| (found, "the task text says that the training file has it in addition".into()))
}

/// The columns that each clause names, in the order of the clauses.
fn named_by_clause<'a>(words: &Words, names: &[&'a str]) -> BTreeMap<usize, Vec<&'a str>> {
    let mut found: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for name in names {
        for place in words.places_of(name) {
            found.entry(place).or_default().push(name);
        }
    }
    found
}

/// The column that a clause calls the target: in a table row the first that is named, else the nearest to the word.
fn called_target<'a>(clause: &Clause, names: &[&'a str]) -> Option<&'a str> {
    const CALLED: &[&str] =
        &["target", "dependent variable", "response variable", "outcome variable", "label column"];
    let denied = clause.raw.contains("not the target") || clause.has_any(&["target encoding", "no target"]);
    if !clause.has_any(CALLED) || denied {
        return None;
    }
    let named = names.iter().filter_map(|name| Some((clause.position_of(name)?, *name)));
    if clause.raw.starts_with('|') {
        return named.min_by_key(|(at, _)| *at).map(|(_, name)| name);
    }
    let lower = clause.raw.to_lowercase();
    let word =
        ["target", "dependent", "response", "outcome", "label"].iter().find_map(|word| lower.find(word))?;
    named
        .filter(|(_, name)| !CALLED.contains(name))
        .min_by_key(|(at, _)| at.abs_diff(word))
        .map(|(_, name)| name)
}

const PREDICT: &[&str] = &["predict", "forecast", "estimate", "classify", "target:", "target is", "target ="];

/// The column that follows a verb of prediction.
fn predicted<'a>(clause: &Clause, columns: &Spellings<'a>) -> Option<&'a str> {
    verb_ends(clause).into_iter().find_map(|end| column_after(clause, end, columns))
}

/// Where the words begin that follow a verb of prediction.
fn verb_ends(clause: &Clause) -> Vec<usize> {
    let lower = clause.raw.to_ascii_lowercase();
    PREDICT
        .iter()
        .flat_map(|verb| lower.match_indices(verb).map(|(at, verb)| at + verb.len()).collect::<Vec<_>>())
        .map(|end| end + lower[end..].find(|c: char| !c.is_alphanumeric()).unwrap_or(lower.len() - end))
        .collect()
}

/// A name in the place of a target that no column has, with the nearest that one has.
fn unknown_target<'a>(words: &Words, candidates: &[&'a Column]) -> Option<(String, &'a str)> {
    let word = unknown_target_word(words)?;
    let near = nearest(&word, candidates.iter().map(|column| column.name.as_str()))?;
    Some((word, near))
}

/// The word after `predict` in the user's own words when it is written like a column name: `Rent_Price`, `RentPrice`,
/// or in backticks.
fn unknown_target_word(words: &Words) -> Option<String> {
    let said = words.clauses.iter().filter(|clause| clause.said);
    said.flat_map(|clause| verb_ends(clause).into_iter().map(move |end| &clause.raw[end..])).find_map(
        |rest| {
            let mut following =
                rest.split_whitespace().filter(|word| !matches!(*word, "the" | "a" | "column"));
            let word =
                following.next()?.trim_matches(|c: char| matches!(c, ',' | ':' | ';' | '.' | '"' | '\''));
            let bare = word.trim_matches('`');
            let named = bare.len() < word.len() || bare.contains('_') || bare.chars().any(char::is_uppercase);
            (named && !bare.is_empty()).then(|| bare.to_owned())
        },
    )
}

fn has_values(column: &Column) -> Result<(), UnderstandError> {
    if column.distinct > 1 && column.kind != ColumnKind::Constant {
        return Ok(());
    }
    let kind = UnderstandErrorKind::TargetConstant { column: column.name.clone(), distinct: column.distinct };
    Err(UnderstandError::new(kind, "name another column with --target, or give rows with other outcomes"))
}

fn sample_fits(
    sample: &SampleReading,
    column: &Column,
    per_class: bool,
    notes: &mut Notes,
) -> Result<(), UnderstandError> {
    if per_class || sample.single() == Some(column.name.as_str()) {
        return Ok(());
    }
    if let Some(single) = sample.single() {
        if !notes.warnings.iter().any(|warning| warning.contains(&format!("`{single}`"))) {
            notes.warn(format!(
                "the sample submission asks for `{single}`, not for the target `{}`",
                column.name
            ));
        }
        return Ok(());
    }
    let problem =
        format!("its columns {} are not the values of the target `{}`", quoted(&sample.columns), column.name);
    let hint = "give a sample with the id and either the target or one column per class";
    Err(UnderstandError::new(UnderstandErrorKind::SampleUnexplained { problem }, hint))
}

/// Finds the column that names the rows.
pub(super) fn find_id(
    facts: &Facts<'_>,
    target: &Target<'_>,
    notes: &mut Notes,
) -> Result<Option<String>, UnderstandError> {
    if let Some(name) = &facts.flags.id {
        return if facts.profile.column(name).is_some() {
            Ok(Some(name.clone()))
        } else {
            Err(absent(facts, "id", name))
        };
    }
    if let Some(name) = target.sample.as_ref().and_then(|sample| sample.id.as_ref()) {
        return Ok(id_of_sample(facts, name, notes));
    }
    if let Some((column, because)) = facts.proposal("id")
        && column.name != target.column.name
    {
        notes.infer("id", &column.name, because);
        return Ok(Some(column.name.clone()));
    }
    let rows = facts.profile.train_rows;
    let is_id = |column: &&Column| {
        column.name != target.column.name
            && column.in_train
            && (column.in_test || !facts.has_test())
            && column.distinct == rows
            && (column.whole || matches!(column.kind, ColumnKind::Categorical | ColumnKind::Text))
            && looks_like_id(&column.name)
    };
    let found = facts.profile.columns.iter().find(is_id).map(|column| column.name.clone());
    if let Some(name) = &found {
        notes.infer("id", name, "it is called like an identifier and differs in every row");
    }
    Ok(found)
}

fn id_of_sample(facts: &Facts<'_>, name: &str, notes: &mut Notes) -> Option<String> {
    let column = facts.profile.column(name);
    let Some(column) =
        column.filter(|column| if facts.has_test() { column.in_test } else { column.in_train })
    else {
        notes.warn(format!(
            "the sample submission's first column `{name}` is not in the test file; its rows are taken to be in the order of the test file"
        ));
        return None;
    };
    notes.infer("id", name, "it is the first column of the sample submission");
    if column.in_train && column.distinct * 2 < facts.profile.train_rows {
        notes.warn(format!(
            "id column `{name}` repeats its values; it is not used as a feature (--id names another)"
        ));
    }
    Some(name.to_owned())
}

/// Whether a column is called like a row identifier.
pub(super) fn looks_like_id(name: &str) -> bool {
    const WHOLE: &[&str] =
        &["id", "index", "idx", "uuid", "guid", "key", "rownumber", "rownum", "rowid", "unnamed0", "no"];
    let squashed = super::nearest::squash(name);
    let camel = name.ends_with("Id") || name.ends_with("ID") || name.ends_with("Uuid");
    let snake = ["_id", " id", "-id", ".id", "_uuid", "_key", "_index"]
        .iter()
        .any(|end| name.to_lowercase().ends_with(end));
    WHOLE.contains(&squashed.as_str()) || camel || snake
}
