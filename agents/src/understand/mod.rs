//! From words and a data card to a typed task.
//!
//! Trust falls in this order: flags, the sample submission, the task text, a language model's reading of it (where one is
//! asked), names and shapes. Whatever is concluded rather than said is written into `task.inferred` with its reason;
//! whatever is guessed is a warning as well.

mod columns;
mod error;
mod heard;
mod metric_words;
mod nearest;
mod numbers;
mod problem;
mod quantities;
mod sample;
mod target;
mod times;
mod unread;
mod wishes;
mod words;

pub use error::{UnderstandError, UnderstandErrorKind};
pub use heard::{Heard, doubts, nothing_made_of, overlooked, problems, question, settle};
pub use numbers::{figured, is_one_time};
pub use times::{SaidBudget, TimeWish, time_in};

use ansatz_core::metric::{Direction, PredictionKind};
use ansatz_core::outcome::DroppedColumn;
use ansatz_core::profile::{Column, Profile};
use ansatz_core::task::{Inference, SubmissionFormat, Task};
use serde::{Deserialize, Serialize};
use words::Words;

/// Names that the user gave on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    /// `--target`.
    pub target: Option<String>,
    /// `--id`.
    pub id: Option<String>,
    /// `--metric`, when it is a name.
    pub metric: Option<String>,
    /// `--metric`, when it is a file.
    pub own_metric: Option<OwnMetric>,
}

/// A metric that the user brought along, as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnMetric {
    /// Name of its file, for reasons and errors.
    pub file: String,
    /// Its own name.
    pub name: String,
    /// Which way is better.
    pub direction: Direction,
    /// What it reads; `None` when it does not say.
    pub reads: Option<PredictionKind>,
    /// The metric of the catalogue that trainings may aim at in its place.
    pub objective: Option<String>,
}

/// Field of [`Task::inferred`] that names the metric at which trainings aim, where the task's own is not of the catalogue.
pub const OBJECTIVE: &str = "objective";

/// What is observed of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// A short name: the folder or file name.
    pub name: String,
    /// Names given on the command line.
    pub flags: Flags,
    /// The user's own words (`--task`); empty without. Only these may set a budget.
    pub said: String,
    /// The description found beside the data (`task.md`); empty without.
    pub described: String,
    /// Columns that the source of the data proposes as `target` or `id`, with the reason: less than words, more than shapes.
    #[serde(default)]
    pub proposed: Vec<Inference>,
    /// The data card.
    pub profile: Profile,
    /// What a language model read in the words, where it was asked.
    #[serde(default)]
    pub heard: Option<Heard>,
}

/// What a request means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Understood {
    /// The task.
    pub task: Task,
    /// Feature columns that are of no use: `train_only`, `identifier`, `constant`.
    pub excluded: Vec<DroppedColumn>,
    /// Columns of whole numbers that are codes and not quantities, to be stored as categories.
    pub categorical: Vec<String>,
    /// The column that orders the rows in time, when the split has to respect time.
    pub time_column: Option<String>,
    /// The column whose values must not be on both sides of a split.
    pub group_column: Option<String>,
    /// The time to spend, when the user said it in words.
    pub said: SaidBudget,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Whether the target is only a guess from its place in the file.
    #[serde(default)]
    pub guessed: bool,
}

/// Rows below which nothing can be learnt and judged.
const ROWS_MIN: u64 = 20;

/// Everything that is read, in the form in which it is asked.
struct Facts<'a> {
    flags: &'a Flags,
    words: Words,
    proposed: &'a [Inference],
    profile: &'a Profile,
    heard: Option<&'a Heard>,
}

impl Facts<'_> {
    /// The column that the source of the data proposes, if the training file has it.
    fn proposal(&self, field: &str) -> Option<(&Column, &str)> {
        let proposal = self.proposed.iter().find(|proposal| proposal.field == field)?;
        let column = self.profile.column(&proposal.value).filter(|column| column.in_train)?;
        Some((column, proposal.because.as_str()))
    }

    fn has_test(&self) -> bool {
        self.profile.test_rows > 0
    }

    /// Columns that only the training file has; empty without a test file.
    fn train_only(&self) -> impl Iterator<Item = &Column> {
        let has_test = self.has_test();
        self.profile.columns.iter().filter(move |column| has_test && column.in_train && !column.in_test)
    }
}

/// What is concluded on the way.
#[derive(Debug, Default)]
struct Notes {
    inferred: Vec<Inference>,
    warnings: Vec<String>,
    guessed: bool,
}

impl Notes {
    fn infer(&mut self, field: &str, value: impl Into<String>, because: impl Into<String>) {
        self.inferred.push(Inference { field: field.into(), value: value.into(), because: because.into() });
    }

    fn warn(&mut self, message: impl Into<String>) {
        self.warnings.push(message.into());
    }
}

/// Turns a request into a typed task, checked against the data.
///
/// # Errors
/// [`UnderstandError`] with a hint, when the data cannot carry a task, a given name does not exist or does not fit,
/// or a guess would be reckless.
pub fn understand(request: &Request) -> Result<Understood, UnderstandError> {
    let facts = Facts {
        flags: &request.flags,
        words: Words::read(&request.said, &request.described),
        proposed: &request.proposed,
        profile: &request.profile,
        heard: request.heard.as_ref(),
    };
    enough_rows(facts.profile)?;
    let mut notes = Notes::default();
    let target = target::find(&facts, &mut notes)?;
    let id = target::find_id(&facts, &target, &mut notes)?;
    let decided = problem::decide(&facts, &target, &mut notes)?;
    let submission = facts.has_test().then(|| {
        let columns = decided.submission_columns(&target);
        let id = target.sample.as_ref().map_or(id.clone(), |sample| sample.id.clone());
        SubmissionFormat { id, columns, kind: decided.submission }
    });
    let columns = columns::treat(&facts, target.column, id.as_deref(), &mut notes)?;
    let constraints = wishes::all(&facts, &decided.metric, &mut notes);
    times::note(&facts.words, &mut notes);
    let task = Task {
        name: request.name.clone(),
        request: join(&request.said, &request.described),
        problem: decided.problem,
        target: target.column.name.clone(),
        id,
        metric: decided.metric,
        classes: decided.classes,
        constraints,
        submission,
        inferred: notes.inferred,
    };
    Ok(Understood {
        task,
        excluded: columns.excluded,
        categorical: columns.categorical,
        time_column: columns.time,
        group_column: columns.group,
        said: times::budget(&facts.words),
        warnings: notes.warnings,
        guessed: notes.guessed,
    })
}

fn enough_rows(profile: &Profile) -> Result<(), UnderstandError> {
    if profile.train_rows >= ROWS_MIN {
        return Ok(());
    }
    let kind = UnderstandErrorKind::TooFewRows { rows: profile.train_rows, rows_min: ROWS_MIN };
    Err(UnderstandError::new(kind, "add labelled rows to the training file"))
}

fn join(said: &str, described: &str) -> String {
    [said.trim(), described.trim()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n")
}

/// A value as it is compared and shown: `1.0` and `1` are the same whole number.
fn canonical(value: &str) -> String {
    /// Whole numbers up to here are exact in a float.
    const EXACT_MAX: f64 = 9e15;
    let value = value.trim();
    match value.parse::<f64>() {
        Ok(number) if value.contains('.') && number.fract() == 0.0 && number.abs() < EXACT_MAX => {
            format!("{}", number as i64)
        }
        _ => value.to_owned(),
    }
}

/// A metric that a few words ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricWish {
    /// Its name in the catalogue.
    pub metric: String,
    /// The words beside it, in small letters.
    pub beside: Vec<String>,
}

/// The metric that a few words ask for; `None` when they name none.
pub fn metric_in(words: &str) -> Option<MetricWish> {
    if let Some(metric) = metric_words::named(words.trim()) {
        return Some(MetricWish { metric: metric.to_owned(), beside: Vec::new() });
    }
    let words = Words::read(words, "");
    let mention = metric_words::asked_for(&words)?;
    let beside = mention.clause.plain.replacen(&format!(" {} ", mention.phrase), "  ", 1);
    Some(MetricWish {
        metric: mention.metric.to_owned(),
        beside: beside.split_whitespace().map(str::to_owned).collect(),
    })
}

/// The time that words set, in seconds; `None` when they set none.
pub fn seconds_in(words: &str) -> Option<f64> {
    let said = times::budget(&Words::read(words, ""));
    said.seconds.or(said.minutes.map(|minutes| minutes * 60.0))
}

#[cfg(test)]
mod tests;
