//! The conversation: what was wished so far, what stage it is at, and what a sentence changes.

use crate::answers;
use crate::grammar;
use crate::intent::{Amend, Intent, Question, Reading};
use crate::running::{Running, Seen, Work};
use ansatz_core::clock::Clock;
use ansatz_core::event::Event;
use ansatz_core::outcome::RunResult;
use ansatz_core::steer::{Preference, Steer};
use ansatz_engine::{Control, Given, Keys, Observer, Options, RunError, Silent};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What can be said, for those who ask.
const HELP: &str = "say what you want, for example:\n  predict churn in data.csv, AUC, five minutes\n  use log loss · \
10 minutes instead · drop the zip column · without catboost · prefer something small\n  yes (begin) · how is it going? · \
what is best? · why is catboost best? · that's enough, submit\ncommands: /plan /status /best /leaderboard /cost /steer TEXT /stop /why SUBJECT /quit /help";

/// What was wished so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wishes {
    /// The data.
    pub data: Option<String>,
    /// The user's words about the task.
    pub words: String,
    /// The target, when it was named by itself.
    pub target: Option<String>,
    /// The metric, when it was named by itself.
    pub metric: Option<String>,
    /// Time in all, in seconds.
    pub seconds: Option<f64>,
    /// Trials, instead of time.
    pub trials: Option<u32>,
    /// What is to be otherwise from the start.
    pub steer: Vec<Steer>,
}

/// Why something cannot be done, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Trouble {
    /// One line.
    pub message: String,
    /// Advice.
    pub hint: Option<String>,
}

impl From<RunError> for Trouble {
    fn from(error: RunError) -> Self {
        Self { message: error.message, hint: error.hint }
    }
}

/// Makes runs of wishes: the front end knows configuration, folders and keys.
pub trait Maker: Send + Sync {
    /// Options and keys of a run. A rehearsal stops after the plan, in a folder of its own that is removed afterwards.
    ///
    /// # Errors
    /// [`Trouble`]: the wishes make no sense, or the data are not there.
    fn make(&self, wishes: &Wishes, is_rehearsal: bool) -> Result<(Options, Keys), Trouble>;

    /// An interrupted run: the named one, or the latest; with its keys and the folder of the program's state.
    ///
    /// # Errors
    /// There is no such run.
    fn interrupted(&self, named: Option<&str>) -> Result<(PathBuf, PathBuf, Keys), Trouble>;

    /// Whether a word names a file or folder that may be used.
    fn is_there(&self, word: &str) -> bool;

    /// The time.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Who watches a run.
    fn observer(&self) -> Box<dyn Observer>;

    /// Whether a language model is configured, which may understand what no rule reads.
    fn thinks(&self) -> bool;
}

/// What is said to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Something told.
    Said(String),
    /// Something asked: the conversation waits for an answer.
    Asked(String),
    /// Something that cannot be done, with advice.
    Trouble(String, Option<String>),
}

impl From<Trouble> for Reply {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble.message, trouble.hint)
    }
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Something is missing, or nothing was wished yet.
    Gathering,
    /// A plan waits for a yes.
    Planned,
    /// A run goes on.
    Running,
    /// A run is over.
    Over,
    /// The conversation is over.
    Ended,
}

/// One conversation.
pub struct Session {
    maker: Arc<dyn Maker>,
    wishes: Wishes,
    is_planned: bool,
    running: Option<Running>,
    /// Whether the end of the run was told.
    is_told: bool,
    has_quit: bool,
    /// The folder of a run of an earlier process.
    adopted: Option<PathBuf>,
    /// The plan that was shown last.
    shown: Shown,
    /// Whether the next words answer a question about the task.
    is_asked: bool,
    /// What a front end began the run with.
    begun: Option<(Options, Keys)>,
}

/// A plan that was shown: what it is of, and what a language model answered while it was made.
#[derive(Default)]
struct Shown {
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

/// Hears replies as they come, the first at once.
pub type Tell<'a> = &'a mut dyn FnMut(Reply);

impl Session {
    /// A conversation in which nothing was said.
    pub fn new(maker: Arc<dyn Maker>) -> Self {
        let wishes = Wishes::default();
        Self {
            maker,
            wishes,
            is_planned: false,
            running: None,
            is_told: false,
            has_quit: false,
            adopted: None,
            shown: Shown::default(),
            is_asked: false,
            begun: None,
        }
    }

    /// Where it stands.
    pub fn stage(&self) -> Stage {
        match &self.running {
            _ if self.has_quit => Stage::Ended,
            Some(running) if running.is_over() => Stage::Over,
            Some(_) => Stage::Running,
            None if self.is_planned => Stage::Planned,
            None => Stage::Gathering,
        }
    }

    /// What is seen of the run; `None` before there is one.
    pub fn seen(&self) -> Option<Seen> {
        self.running.as_ref().map(|running| running.window.look().clone())
    }

    /// The run's folder.
    pub fn folder(&self) -> Option<PathBuf> {
        self.running.as_ref().map(|running| running.folder.clone())
    }

    /// What steers and stops the run.
    pub fn control(&self) -> Option<Arc<Control>> {
        self.running.as_ref().map(|running| Arc::clone(&running.control))
    }

    /// What was wished so far.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// Hears a sentence.
    pub fn say(&mut self, text: &str, tell: Tell<'_>) {
        let maker = Arc::clone(&self.maker);
        let Reading { intents, not_understood } = grammar::read(text, &|word| maker.is_there(word));
        let approves = intents.contains(&Intent::Approve);
        let words = self.wishes.words.clone();
        let mut has_changed = false;
        for intent in intents {
            has_changed |= self.take(intent, tell);
        }
        let (heeded, missed): (Vec<&String>, Vec<&String>) =
            not_understood.iter().partition(|_| self.heeds_words());
        for part in missed {
            tell(not_understood_at_all(part));
        }
        if !heeded.is_empty() {
            let heeded: Vec<&str> = heeded.into_iter().map(String::as_str).collect();
            self.heed(&heeded, words, tell);
            return;
        }
        if self.stage() == Stage::Running || self.has_quit {
            return;
        }
        if has_changed {
            self.is_planned = false;
            if self.plan(tell) && approves {
                self.begin(tell);
            }
        }
    }

    /// Whether words that no rule reads may say something about the task: they answer a question, or a language model reads
    /// them with the data before it.
    fn heeds_words(&self) -> bool {
        let is_before = matches!(self.stage(), Stage::Gathering | Stage::Planned);
        is_before && self.wishes.data.is_some() && (self.is_asked || self.maker.thinks())
    }

    /// Adds words to the request and plans anew. What cannot be understood with them is forgotten again.
    fn heed(&mut self, parts: &[&str], words_before: String, tell: Tell<'_>) {
        let words: Vec<String> = parts
            .iter()
            .map(|part| if self.is_asked { as_answer(part) } else { (*part).to_owned() })
            .collect();
        self.add_words(&words.join(". "));
        self.is_planned = false;
        if !self.plan(tell) && !self.is_asked {
            self.wishes.words = words_before;
            parts.iter().for_each(|part| tell(not_understood_at_all(part)));
        }
    }

    fn add_words(&mut self, words: &str) {
        if !self.wishes.words.is_empty() {
            self.wishes.words.push_str(". ");
        }
        self.wishes.words.push_str(words);
    }

    /// Takes one intent; whether the wishes for a run that has not begun have changed.
    fn take(&mut self, intent: Intent, tell: Tell<'_>) -> bool {
        match intent {
            Intent::Request { data, words } => self.request(data, &words, tell),
            Intent::Amend(amend) => self.amend(amend, tell),
            Intent::Remark(words) if self.stage() != Stage::Running => {
                self.add_words(&words);
                true
            }
            Intent::Remark(_) | Intent::Courtesy => false,
            Intent::Approve if self.stage() == Stage::Planned => {
                self.begin(tell);
                false
            }
            Intent::Approve => {
                if self.stage() == Stage::Gathering && self.wishes == Wishes::default() {
                    tell(Reply::Asked("what is to be predicted, and in which file?".into()));
                }
                false
            }
            Intent::Refuse => {
                let was = std::mem::take(&mut self.is_planned);
                if was {
                    tell(Reply::Asked("what should be otherwise?".into()));
                }
                false
            }
            Intent::Ask(question) => {
                self.ask(&question, tell);
                false
            }
            Intent::Submit => {
                self.submit(tell);
                false
            }
            Intent::Resume(named) => {
                self.resume(named.as_deref(), tell);
                false
            }
            Intent::Help => {
                tell(Reply::Said(HELP.into()));
                false
            }
            Intent::Quit => {
                self.has_quit = true;
                false
            }
        }
    }

    fn request(&mut self, data: Option<String>, words: &str, tell: Tell<'_>) -> bool {
        match self.stage() {
            Stage::Running => {
                let hint = "say `submit` to finish it, or wait for its end".to_owned();
                tell(Reply::Trouble("one task at a time: a run goes on".into(), Some(hint)));
                return false;
            }
            Stage::Over => *self = Self::new(Arc::clone(&self.maker)),
            _ => {}
        }
        self.wishes.data = data.or(self.wishes.data.take());
        self.add_words(words);
        true
    }

    fn amend(&mut self, amend: Amend, tell: Tell<'_>) -> bool {
        if self.stage() == Stage::Running {
            self.steer(amend, tell);
            return false;
        }
        if self.stage() == Stage::Over {
            let wishes = std::mem::take(&mut self.wishes);
            *self = Self { wishes, ..Self::new(Arc::clone(&self.maker)) };
        }
        match amend {
            Amend::Data(data) => self.wishes.data = Some(data),
            Amend::Target(target) => self.wishes.target = Some(target),
            Amend::Metric(metric) => self.wishes.metric = Some(metric),
            Amend::Seconds(seconds) => (self.wishes.seconds, self.wishes.trials) = (Some(seconds), None),
            Amend::MoreSeconds(seconds) => {
                let before = self.wishes.seconds.unwrap_or_else(|| ansatz_engine::WALL_DEFAULT.as_secs_f64());
                self.wishes.seconds = Some((before + seconds).max(1.0));
            }
            Amend::Trials(trials) => (self.wishes.trials, self.wishes.seconds) = (Some(trials), None),
            // A readable model is a wish about the task: the plan itself is made for it.
            Amend::Steer(Steer::Prefer { preference: Preference::Readable }) => {
                self.wishes.words.push_str(". The model must be interpretable.");
            }
            Amend::Steer(steer) => self.wishes.steer.push(steer),
        }
        true
    }

    /// Steers the run that goes on. What comes of it is an event of the run.
    fn steer(&mut self, amend: Amend, tell: Tell<'_>) {
        let Some(running) = &self.running else { return };
        let steer = match amend {
            Amend::Steer(steer) => steer,
            Amend::MoreSeconds(seconds) => Steer::Time { seconds },
            Amend::Seconds(seconds) => {
                let wall = running.window.look().live.budget.wall;
                let before = wall.unwrap_or(ansatz_engine::WALL_DEFAULT).as_secs_f64();
                Steer::Time { seconds: seconds - before }
            }
            Amend::Data(_) | Amend::Target(_) | Amend::Metric(_) | Amend::Trials(_) => {
                let hint = "stop the run and start another one".to_owned();
                let why = "data, target, metric and number of trials cannot change while a run goes on";
                tell(Reply::Trouble(why.into(), Some(hint)));
                return;
            }
        };
        tell(Reply::Said(format!("passed on: {steer}")));
        running.control.steer(steer);
    }

    fn submit(&mut self, tell: Tell<'_>) {
        match (&self.running, self.stage()) {
            (Some(running), Stage::Running) => {
                tell(Reply::Said("finishing with what there is".into()));
                running.control.steer(Steer::Submit);
            }
            _ => tell(Reply::Said("nothing is running".into())),
        }
    }

    fn ask(&mut self, question: &Question, tell: Tell<'_>) {
        if let Some(running) = &self.running {
            let seen = running.window.look().clone();
            tell(Reply::Said(answers::answer(question, &seen, &running.folder)));
            return;
        }
        match question {
            Question::Plan | Question::Cost if self.wishes.data.is_some() => {
                self.is_planned = false;
                self.plan(tell);
            }
            _ => tell(Reply::Said("nothing has been started yet".into())),
        }
    }

    /// Works out the task and its plan and shows both with the quote; whether a plan waits for a yes now.
    fn plan(&mut self, tell: Tell<'_>) -> bool {
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
    fn rehearse(&mut self) -> Result<(RunResult, Option<ansatz_core::task::Task>, Vec<String>), Unplanned> {
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

    fn begin(&mut self, tell: Tell<'_>) {
        let given = self.given();
        let work = self.maker.make(&self.wishes, false).map(|(mut options, keys)| {
            (options.asks_back, options.given) = (true, given);
            (Work::New(Box::new(options)), keys)
        });
        self.start(work, tell);
    }

    /// Begins a run that was made already, without showing a plan first: for front ends whose users have decided.
    pub fn begin_with(&mut self, options: Options, keys: Keys, tell: Tell<'_>) {
        self.begun = Some((options.clone(), keys.clone()));
        self.start(Ok((Work::New(Box::new(options)), keys)), tell);
    }

    /// What a run that a front end began has to know before it can go on.
    pub fn question(&self) -> Option<String> {
        self.begun.as_ref()?;
        match self.seen()?.end? {
            Err(error) => error.question,
            Ok(_) => None,
        }
    }

    /// The run that a front end began, with the answer to its question; `None` when the words are no answer, and were
    /// replied to.
    pub fn answered(&mut self, text: &str, tell: Tell<'_>) -> Option<(Options, Keys)> {
        self.question()?;
        let (mut options, keys) = self.begun.clone()?;
        let Reading { intents, not_understood } = grammar::read(text, &|_| false);
        let mut words: Vec<String> = not_understood.iter().map(|part| as_answer(part)).collect();
        for intent in intents {
            match intent {
                Intent::Amend(Amend::Target(target)) => options.target = Some(target),
                Intent::Amend(Amend::Metric(metric)) => options.metric = Some(metric),
                Intent::Amend(Amend::Steer(steer)) => options.steer.push(steer),
                Intent::Request { words: more, .. } => words.push(more),
                Intent::Ask(question) => {
                    self.ask(&question, tell);
                    return None;
                }
                Intent::Help => {
                    tell(Reply::Said(HELP.into()));
                    return None;
                }
                Intent::Approve | Intent::Refuse => words.push(text.to_owned()),
                _ => {}
            }
        }
        let before = options.request.take();
        let all: Vec<String> = before.into_iter().chain(words).collect();
        options.request = Some(all.join(". ")).filter(|words| !words.is_empty());
        Some((options, keys))
    }

    /// Takes up the conversation about a run of an earlier process: it can be asked about, and gone on with.
    pub fn adopt(&mut self, folder: &Path) {
        let running = Running::of_the_past(folder);
        (self.adopted, self.is_told) = (Some(folder.to_path_buf()), true);
        self.running = Some(running);
    }

    fn resume(&mut self, named: Option<&str>, tell: Tell<'_>) {
        if self.stage() == Stage::Running {
            tell(Reply::Trouble("a run goes on already".into(), None));
            return;
        }
        let adopted = self.adopted.as_ref().map(|folder| folder.display().to_string());
        let found = self.maker.interrupted(named.or(adopted.as_deref()));
        self.start(found.map(|(folder, home, keys)| (Work::Again(folder, home), keys)), tell);
    }

    fn start(&mut self, work: Result<(Work, Keys), Trouble>, tell: Tell<'_>) {
        let started = work.and_then(|(work, keys)| {
            let (clock, watcher) = (self.maker.clock(), self.maker.observer());
            Running::start(work, keys, clock, watcher, Arc::default())
                .map_err(|error| Trouble { message: format!("starting the run: {error}"), hint: None })
        });
        match started {
            Ok(running) => {
                tell(Reply::Said(format!("begun: results go to {}", running.folder.display())));
                self.running = Some(running);
                (self.is_planned, self.is_told) = (false, false);
            }
            Err(trouble) => tell(trouble.into()),
        }
    }

    /// Waits for the end of the run, at most so long; whether there is nothing to wait for.
    pub fn wait(&self, longest: Duration) -> bool {
        self.running.as_ref().is_none_or(|running| running.window.wait(longest))
    }

    /// The end of the run, told once.
    pub fn news(&mut self) -> Option<Reply> {
        let running = self.running.as_ref()?;
        let end = running.window.look().end.clone()?;
        if std::mem::replace(&mut self.is_told, true) {
            return None;
        }
        Some(match end {
            Ok(result) => {
                Reply::Said(format!("{}\nfiles: {}", answers::ended(&result), running.folder.display()))
            }
            Err(RunError { question: Some(question), .. }) => {
                self.is_asked = self.begun.is_none();
                Reply::Asked(question)
            }
            Err(error) => Trouble::from(error).into(),
        })
    }
}

fn not_understood_at_all(part: &str) -> Reply {
    let hint = "say it otherwise, or `help` for examples".to_owned();
    Reply::Trouble(format!("I did not understand: {part}"), Some(hint))
}

/// Words that answer a question about the task: one word alone is the target.
fn as_answer(part: &str) -> String {
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
