//! From wishes to a plan that waits for a yes: a run that stops after its plan, shown with its quote; and words that only a
//! language model, or whoever asked for them, can make sense of.

use crate::answers;
use crate::front::{Reply, Stage, Tell, Trouble, Wishes};
use crate::running::Work;
use crate::session::Session;
use ansatz_core::event::Event;
use ansatz_core::outcome::RunResult;
use ansatz_core::steer::Steer;
use ansatz_core::task::Task;
use ansatz_engine::{Given, RunError, Silent};
use std::sync::Arc;

/// A plan that was shown: what it is of, and what a language model answered while it was made.
#[derive(Default)]
pub(crate) struct Shown {
    wishes: Wishes,
    given: Vec<Given>,
}

/// Why there is no plan.
enum Unplanned {
    /// Something has to be known first.
    Open(String),
    /// It cannot be done.
    Trouble(Trouble),
}

impl From<Trouble> for Unplanned {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<RunError> for Unplanned {
    fn from(error: RunError) -> Self {
        match error.question {
            Some(question) => Self::Open(question),
            None => Self::Trouble(error.into()),
        }
    }
}

impl Session {
    /// Whether words that no rule reads may say something about the task: they answer a question, or a language model reads
    /// them with the data before it.
    pub(crate) fn heeds_words(&self) -> bool {
        let is_before = matches!(self.stage(), Stage::Gathering | Stage::Planned);
        is_before && self.wishes.data.is_some() && (self.is_asked || self.maker.thinks())
    }

    /// Adds words to the request and plans anew. What cannot be understood with them is forgotten again.
    pub(crate) fn heed(&mut self, parts: &[&str], words_before: String, tell: Tell<'_>) {
        let words: Vec<String> = parts
            .iter()
            .map(|part| if self.is_asked { as_answer(part) } else { (*part).to_owned() })
            .collect();
        self.add_words(&words.join(". "));
        self.is_planned = false;
        if !self.plan(tell) && !self.is_asked {
            self.wishes.words = words_before;
            for part in parts {
                tell(not_understood_at_all(part));
            }
        }
    }

    pub(crate) fn add_words(&mut self, words: &str) {
        if !self.wishes.words.is_empty() {
            self.wishes.words.push_str(". ");
        }
        self.wishes.words.push_str(words);
    }

    /// Works out the task and its plan and shows both with the quote; whether a plan waits for a yes now.
    pub(crate) fn plan(&mut self, tell: Tell<'_>) -> bool {
        let Some(data) = self.wishes.data.clone() else {
            tell(Reply::Asked("which file or folder holds the data?".into()));
            return false;
        };
        tell(Reply::Said(format!("looking at {data}")));
        self.is_asked = false;
        match self.rehearse() {
            Err(Unplanned::Trouble(trouble)) => {
                tell(trouble.into());
                false
            }
            Err(Unplanned::Open(question)) => {
                tell(Reply::Asked(question));
                self.is_asked = true;
                false
            }
            Ok((result, task, steps)) => {
                let mut lines = Vec::new();
                if let Some(task) = &task {
                    lines.push(answers::task(task));
                    lines.extend(answers::taken_for_granted(task));
                }
                lines.extend(result.warnings.iter().map(|warning| format!("note: {warning}")));
                lines.extend(self.wishes.steer.iter().map(|steer| format!("and {steer}")));
                lines.push(format!("plan: {}", answers::plan(&steps)));
                lines.extend(result.quote.as_ref().map(answers::quote));
                tell(Reply::Said(lines.join("\n")));
                tell(Reply::Asked("shall I begin? (yes, or say what should be otherwise)".into()));
                self.is_planned = true;
                true
            }
        }
    }

    /// A run that stops after its plan: the task, the steps, the quote.
    fn rehearse(&mut self) -> Result<(RunResult, Option<Task>, Vec<String>), Unplanned> {
        let (mut options, keys) = self.maker.make(&self.wishes, true)?;
        let folder = options.out.clone();
        options.asks_back = true;
        options.given = self.given();
        let run = ansatz_engine::run(options, keys, self.maker.clock(), Box::new(Silent), Arc::default());
        let events = ansatz_journal::read(&folder).map(|replay| replay.records).unwrap_or_default();
        let events: Vec<_> = events.into_iter().map(|record| record.event).collect();
        let live = ansatz_report::Live::after(&events);
        let blobs = ansatz_journal::Blobs::new(&folder);
        self.shown = Shown { wishes: self.wishes.clone(), given: answers_among(&events, &blobs) };
        // A rehearsal leaves nothing behind.
        let _ = std::fs::remove_dir_all(&folder);
        let is_left_out = |step: &str| {
            self.wishes.steer.iter().any(|steer| match steer {
                Steer::Without { solution } => step.split_once(':').is_some_and(|(_, name)| name == solution),
                _ => false,
            })
        };
        let steps =
            live.steps.iter().map(|(step, _)| step.to_string()).filter(|step| !is_left_out(step)).collect();
        Ok((run?, live.task, steps))
    }

    /// What a language model answered for the plan that was shown, if it was of the same request.
    fn given(&self) -> Vec<Given> {
        let of = |wishes: &Wishes| {
            (wishes.data.clone(), wishes.words.clone(), wishes.target.clone(), wishes.metric.clone())
        };
        if of(&self.shown.wishes) == of(&self.wishes) { self.shown.given.clone() } else { Vec::new() }
    }

    pub(crate) fn begin(&mut self, tell: Tell<'_>) {
        let given = self.given();
        let work = self.maker.make(&self.wishes, false).map(|(mut options, keys)| {
            (options.asks_back, options.given) = (true, given);
            (Work::New(Box::new(options)), keys)
        });
        self.start(work, tell);
    }
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
