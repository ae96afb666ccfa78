//! From wishes to a plan that waits for a yes: a run that stops after its plan, shown with its quote; and words that only a
//! language model, or whoever asked for them, can make sense of.

use crate::answers;
use crate::front::{Maker, Reply, Stage, Tell, Trouble, Wishes};
use crate::running::{Running, Work};
use crate::session::Session;
use ansatz_core::bill::Quote;
use ansatz_core::event::Event;
use ansatz_core::steer::Steer;
use ansatz_engine::{Given, Keys, Options, RunError, Silent};
use std::sync::Arc;
use std::time::Duration;

/// How often the end of a rehearsal is looked for where it is waited for.
const GLANCE: Duration = Duration::from_millis(200);

/// A plan that was shown: what it is of, and what a language model answered while it was made.
#[derive(Default)]
pub(crate) struct Shown {
    wishes: Wishes,
    given: Vec<Given>,
}

/// A plan with its quote: a run that could begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The task, what is taken for granted, the plan and the quote, a line each.
    pub told: String,
    /// The plan's steps.
    pub steps: Vec<String>,
    /// What the run will probably take.
    pub quote: Option<Quote>,
    /// What a language model answered on the way: the run does not pay it again.
    pub given: Vec<Given>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unplanned {
    /// Something has to be known first.
    Open(Open),
    /// It cannot be done.
    Trouble(Trouble),
}

impl From<Trouble> for Unplanned {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Something that has to be known before a run can begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The question.
    pub question: String,
    /// Columns of the training file: the name of one is an answer, whatever else the word may mean.
    pub columns: Vec<String>,
}

impl Open {
    /// What an error asks; `None` when it asks nothing.
    pub(crate) fn of(error: &RunError, columns: &[String]) -> Option<Self> {
        let question = error.question.clone()?;
        Some(Self { question, columns: columns.to_vec() })
    }

    /// The column whose name a text is, and nothing else.
    pub(crate) fn column(&self, text: &str) -> Option<String> {
        let text = text.trim();
        let bare = text.trim_end_matches(['.', '!']).trim_matches(['"', '\'', '`']);
        let columns = || self.columns.iter().filter(|column| !column.is_empty());
        let exact = columns().find(|column| *column == text || *column == bare);
        exact.or_else(|| columns().find(|column| column.eq_ignore_ascii_case(bare))).cloned()
    }

    /// The one column that the question names: a yes means it.
    pub(crate) fn only(&self) -> Option<String> {
        let is_named = |column: &&String| {
            ['`', '"', '\''].iter().any(|mark| self.question.contains(&format!("{mark}{column}{mark}")))
        };
        let mut named = self.columns.iter().filter(is_named);
        named.next().filter(|_| named.next().is_none()).cloned()
    }

    /// That the question is still open.
    pub(crate) fn still(&self) -> Reply {
        Reply::Asked(format!("still to be known: {}", self.question))
    }
}

/// A run that stops after its plan, in a thread and a folder of its own.
pub(crate) struct Rehearsal {
    running: Running,
    steer: Vec<Steer>,
}

impl Rehearsal {
    /// Begins one in the folder that the options name.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(mut options: Options, keys: Keys, maker: &Arc<dyn Maker>) -> Result<Self, Trouble> {
        (options.dry_run, options.asks_back) = (true, true);
        let steer = options.steer.clone();
        let work = Work::New(Box::new(options));
        let running = Running::start(work, keys, maker.clock(), Box::new(Silent), Arc::default())
            .map_err(|error| Trouble { message: format!("making the plan: {error}"), hint: None })?;
        Ok(Self { running, steer })
    }

    pub fn is_over(&self) -> bool {
        self.running.is_over()
    }

    fn wait(&self) {
        while !self.running.window.wait(GLANCE) {}
    }

    /// What came of it, once it is over. It leaves nothing behind.
    pub fn outcome(self) -> Result<Planned, Unplanned> {
        let folder = &self.running.folder;
        let events = ansatz_journal::read(folder).map(|replay| replay.records).unwrap_or_default();
        let events: Vec<_> = events.into_iter().map(|record| record.event).collect();
        let given = answers_among(&events, &ansatz_journal::Blobs::new(folder));
        let _ = std::fs::remove_dir_all(folder);
        let seen = self.running.window.look().clone();
        let result = match seen.end {
            Some(Ok(result)) => result,
            Some(Err(error)) => {
                return Err(match Open::of(&error, &seen.columns) {
                    Some(open) => Unplanned::Open(open),
                    None => Unplanned::Trouble(error.into()),
                });
            }
            None => return Err(Unplanned::Trouble(RunError::failed("the plan is not made yet").into())),
        };
        let is_left_out = |step: &str| {
            self.steer.iter().any(|steer| match steer {
                Steer::Without { solution } => step.split_once(':').is_some_and(|(_, name)| name == solution),
                _ => false,
            })
        };
        let steps: Vec<String> = seen
            .live
            .steps
            .iter()
            .map(|(step, _)| step.to_string())
            .filter(|step| !is_left_out(step))
            .collect();
        let mut lines = Vec::new();
        if let Some(task) = &seen.live.task {
            lines.push(answers::task(task));
            lines.extend(answers::taken_for_granted(task));
        }
        lines.extend(result.warnings.iter().map(|warning| format!("note: {warning}")));
        lines.extend(self.steer.iter().map(|steer| format!("and {steer}")));
        lines.push(format!("plan: {}", answers::plan(&steps)));
        lines.extend(result.quote.as_ref().map(answers::quote));
        Ok(Planned { told: lines.join("\n"), steps, quote: result.quote, given })
    }
}

impl Session {
    /// Whether words that no rule reads may say something about the task: they answer a question, or a language model reads
    /// them with the data before it.
    pub(crate) fn heeds_words(&self) -> bool {
        let is_before = matches!(self.stage(), Stage::Gathering | Stage::Planned);
        is_before && self.wishes.data.is_some() && (self.asked.is_some() || self.maker.thinks())
    }

    /// Adds words to the request and plans anew. What cannot be understood with them is forgotten again, and a question that
    /// they were to answer stays open.
    pub(crate) fn heed(&mut self, parts: &[&str], words_before: String, tell: Tell<'_>) {
        let asked = self.asked.take();
        let words: Vec<String> = parts
            .iter()
            .map(|part| if asked.is_some() { as_answer(part) } else { (*part).to_owned() })
            .collect();
        self.add_words(&words.join(". "));
        self.is_planned = false;
        if !self.plan(tell) && self.asked.is_none() {
            self.wishes.words = words_before;
            self.asked = asked;
            for part in parts {
                tell(not_understood_at_all(part));
            }
        }
    }

    pub(crate) fn add_words(&mut self, words: &str) {
        add(&mut self.wishes.words, words);
    }

    /// Works out the task and its plan and shows both with the quote; whether a plan waits for a yes now.
    pub(crate) fn plan(&mut self, tell: Tell<'_>) -> bool {
        let Some(data) = self.wishes.data.clone() else {
            tell(Reply::Asked("which file or folder holds the data?".into()));
            return false;
        };
        tell(Reply::Said(format!("looking at {data}")));
        let asked = self.asked.take();
        match self.look_ahead() {
            Err(Unplanned::Trouble(trouble)) => {
                self.asked = asked;
                tell(trouble.into());
                false
            }
            Err(Unplanned::Open(open)) => {
                tell(Reply::Asked(open.question.clone()));
                self.asked = Some(open);
                false
            }
            Ok(planned) => {
                self.shown = Shown { wishes: self.wishes.clone(), given: planned.given };
                tell(Reply::Said(planned.told));
                tell(Reply::Asked("shall I begin? (yes, or say what should be otherwise)".into()));
                self.is_planned = true;
                true
            }
        }
    }

    /// The plan of what is wished; it is waited for.
    fn look_ahead(&self) -> Result<Planned, Unplanned> {
        let (mut options, keys) = self.maker.make(&self.wishes, true)?;
        options.given = self.given();
        let rehearsal = Rehearsal::start(options, keys, &self.maker)?;
        rehearsal.wait();
        rehearsal.outcome()
    }

    /// Begins to work out the plan of a task that a front end keeps, beside the conversation; [`Session::drafted`] tells what
    /// comes of it.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn rehearse(&mut self, options: &Options, keys: Keys) -> Result<(), Trouble> {
        let place = options.home.join("rehearsals").join(options.run.as_str());
        // One that ended with its process left its folder.
        let _ = std::fs::remove_dir_all(&place);
        let options = Options { out: place, ..options.clone() };
        self.rehearsal = Some(Rehearsal::start(options, keys, &self.maker)?);
        Ok(())
    }

    /// Whether a plan is being worked out.
    pub fn is_rehearsing(&self) -> bool {
        self.rehearsal.is_some()
    }

    /// The plan that was worked out, or why there is none, once.
    pub fn drafted(&mut self) -> Option<Result<Planned, Unplanned>> {
        self.rehearsal.take_if(|rehearsal| rehearsal.is_over()).map(Rehearsal::outcome)
    }

    /// What a language model answered for the plan that was shown, if it was of the same request.
    fn given(&self) -> Vec<Given> {
        let of = |wishes: &Wishes| {
            (wishes.data.clone(), wishes.words.clone(), wishes.target.clone(), wishes.metric.clone())
        };
        if of(&self.shown.wishes) == of(&self.wishes) { self.shown.given.clone() } else { Vec::new() }
    }

    pub(crate) fn begin(&mut self, tell: Tell<'_>) {
        if let Err(trouble) = self.begun(tell) {
            tell(trouble.into());
        }
    }

    fn begun(&mut self, tell: Tell<'_>) -> Result<(), Trouble> {
        let (mut options, keys) = self.maker.make(&self.wishes, false)?;
        (options.asks_back, options.given) = (true, self.given());
        self.start(Work::New(Box::new(options)), keys, tell)
    }
}

/// Adds words to those that are there.
pub(crate) fn add(words: &mut String, more: &str) {
    if !words.is_empty() {
        words.push_str(". ");
    }
    words.push_str(more);
}

pub(crate) fn not_understood_at_all(part: &str) -> Reply {
    let hint = "say it otherwise, or `help` for examples".to_owned();
    Reply::Trouble(format!("I did not understand: {part}"), Some(hint))
}

/// Words that answer a question about the task: one word alone is the target.
pub(crate) fn as_answer(part: &str) -> String {
    let word = part.trim().trim_matches(['"', '\'', '`', '.', '?']);
    let is_one = !word.is_empty() && !word.contains(char::is_whitespace);
    if is_one { format!("The target is `{word}`") } else { part.to_owned() }
}

/// What a language model answered, as a later run can take it.
fn answers_among(events: &[Event], blobs: &ansatz_journal::Blobs) -> Vec<Given> {
    let given = events.iter().filter_map(|event| match event {
        Event::ModelAnswered { answer: Some(answer), .. } => {
            let answer = String::from_utf8(blobs.get(answer).ok()?).ok()?;
            Some(Given { event: event.clone(), answer })
        }
        _ => None,
    });
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(question: &str) -> Open {
        let columns = ["y", "left", "plan", "Annual income"].map(str::to_owned).to_vec();
        Open { question: question.into(), columns }
    }

    #[test]
    fn the_name_of_a_column_is_an_answer_whatever_else_it_means() {
        let open = open("what is to be predicted?");
        for (text, column) in [
            ("y", Some("y")),
            (" `plan` ", Some("plan")),
            ("LEFT.", Some("left")),
            ("annual income", Some("Annual income")),
            ("yes", None),
            ("the plan", None),
        ] {
            assert_eq!(open.column(text).as_deref(), column, "{text}");
        }
    }

    #[test]
    fn a_yes_means_the_one_column_that_a_question_names() {
        assert_eq!(open("do you mean `left`?").only().as_deref(), Some("left"));
        assert_eq!(open("do you mean `left` or 'plan'?").only(), None);
        assert_eq!(open("is anything left?").only(), None);
    }
}
