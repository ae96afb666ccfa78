//! The conversation about a task that a front end keeps: the front end writes down what is to be run, lets it wait, begins it
//! and ends it. What a sentence means for the run is done here; what it wants of the task goes back to the front end.
//!
//! Invariant: nobody's sentence reaches data or runs that are not the task's own, and only the front end begins anything.

use crate::front::{Reply, Stage, Tell, Trouble};
use crate::grammar;
use crate::intent::{Amend, Intent, Question, Reading};
use crate::plan::{Open, Planned, add, as_answer, not_understood_at_all};
use crate::running::Work;
use crate::session::{HELP, POLITE, Session, Signs, is_polite};
use ansatz_agents::understand::seconds_in;
use ansatz_core::outcome::RunResult;
use ansatz_core::steer::{Preference, Steer};
use ansatz_engine::{Keys, Options, RunError, WALL_DEFAULT};
use ansatz_report::Phase;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Longest time that a run can be given, in seconds: a year.
const SECONDS_MAX: f64 = 365.0 * 86_400.0;

/// A task as its front end keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// What it is or was run with; `None` when it was begun elsewhere and can only be looked at.
    pub options: Option<&'a Options>,
    /// Where it stands.
    pub turn: Turn,
    /// What has to be known before it can begin.
    pub open: Option<&'a Open>,
    /// Its plan, where one was worked out for it.
    pub plan: Option<&'a Planned>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has not begun.
    Waits,
    /// It has not begun, and its plan wants a yes.
    NeedsYes,
    /// Its run goes on or is over.
    Run,
}

/// What a sentence wants of a task, beyond what was done or replied to.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Nothing.
    Nothing,
    /// That it begins as planned.
    Begin,
    /// That it is run with these options.
    Changed {
        /// The options.
        options: Box<Options>,
        /// Whether they hold the answer to what had to be known.
        is_answer: bool,
        /// Whether it may begin once its plan is made with the change.
        begins: bool,
    },
    /// Another task with these options, but for run and folder.
    Another(Box<Options>),
    /// That its run, which was interrupted, goes on.
    GoOn,
}

impl Session {
    /// Begins a run that was made already, without showing a plan first.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn begin_with(&mut self, options: Options, keys: Keys, tell: Tell<'_>) -> Result<(), Trouble> {
        self.start(Work::New(Box::new(options)), keys, tell)
    }

    /// Goes on with the run in a folder, which was interrupted.
    ///
    /// # Errors
    /// There is no such run, or no thread.
    pub fn go_on(&mut self, folder: &Path, tell: Tell<'_>) -> Result<(), Trouble> {
        let (folder, home, keys) = self.maker.interrupted(Some(&folder.display().to_string()))?;
        self.start(Work::Again(folder, home), keys, tell)
    }

    /// What the run has to know before it can go on.
    pub fn question(&self) -> Option<Open> {
        let seen = self.running.as_ref()?.window.look();
        match seen.end.as_ref()? {
            Err(error) => Open::of(error, &seen.columns),
            Ok(_) => None,
        }
    }

    /// How the run ended; `None` while it goes on, or before there is one.
    pub fn ended(&self) -> Option<Result<Box<RunResult>, RunError>> {
        self.running.as_ref()?.window.look().end.clone()
    }

    /// What the run is busy with.
    pub fn phase(&self) -> Option<Phase> {
        Some(self.running.as_ref()?.window.look().live.phase)
    }

    /// Whether the run has a plan, or is over: it will not ask any more.
    pub fn is_settled(&self) -> bool {
        self.running.as_ref().is_some_and(|running| {
            let seen = running.window.look();
            seen.end.is_some() || !seen.live.steps.is_empty()
        })
    }

    /// Forgets a run that is over: the task will begin anew.
    pub fn let_go(&mut self) {
        if self.stage() == Stage::Over {
            self.running = None;
        }
    }

    /// Hears a sentence about a task that a front end keeps.
    pub fn hear(&mut self, text: &str, held: &Held<'_>, tell: Tell<'_>) -> Wanted {
        if let Some((column, options)) = held.open.and_then(|open| open.column(text)).zip(held.options) {
            let mut draft = Draft::of(options, None);
            draft.amend(Amend::Target(column));
            return draft.changed(false);
        }
        let maker = Arc::clone(&self.maker);
        let reading = grammar::read(text, &|word| maker.is_there(word));
        if is_polite(&reading.intents) && reading.not_understood.is_empty() {
            tell(Reply::Said(POLITE.into()));
        }
        match (held.turn, held.options) {
            (Turn::Waits | Turn::NeedsYes, Some(options)) => hear_waiting(reading, options, held, tell),
            _ if self.stage() == Stage::Running => self.hear_running(reading, tell),
            _ => self.hear_over(reading, held.options, tell),
        }
    }

    fn hear_running(&mut self, reading: Reading, tell: Tell<'_>) -> Wanted {
        for intent in reading.intents {
            // Whoever takes leave of a task leaves it as it is.
            if intent == Intent::Quit {
                tell(Reply::Said(POLITE.into()));
            } else {
                self.take(intent, tell);
            }
        }
        self.wonder_at(&reading.not_understood, tell);
        Wanted::Nothing
    }

    fn hear_over(&mut self, reading: Reading, options: Option<&Options>, tell: Tell<'_>) -> Wanted {
        let signs = Signs::of(&reading.intents);
        let mut draft = options.map(|options| Draft::of(options, self.wall_s()));
        let is_new = reading.intents.iter().any(|intent| matches!(intent, Intent::Request { .. }));
        if let Some(draft) = draft.as_mut().filter(|_| is_new) {
            draft.ask_anew();
        }
        for intent in reading.intents {
            if let Some(text) = in_passing(&intent) {
                tell(Reply::Said(text.into()));
                continue;
            }
            match intent {
                Intent::Ask(question) => self.ask(&question, tell),
                Intent::Approve | Intent::Refuse | Intent::Courtesy => {}
                wish => {
                    let taken =
                        draft.as_mut().map_or_else(|| Err(begun_elsewhere()), |draft| draft.take(wish));
                    if let Err(reply) = taken {
                        tell(reply);
                        return Wanted::Nothing;
                    }
                }
            }
        }
        self.wonder_at(&reading.not_understood, tell);
        match draft {
            Some(draft) if draft.has_changed => Wanted::Another(Box::new(draft.options)),
            Some(draft) if draft.goes_on && self.is_interrupted() => Wanted::GoOn,
            Some(draft) if draft.goes_on => {
                tell(Reply::Said("this run is over; say `again` for another one like it".into()));
                Wanted::Nothing
            }
            _ => {
                if signs.consents() {
                    tell(Reply::Said("nothing waits for a yes: say what should be otherwise".into()));
                }
                Wanted::Nothing
            }
        }
    }

    fn wonder_at(&mut self, parts: &[String], tell: Tell<'_>) {
        if !parts.is_empty() {
            self.wonder(&parts.iter().collect::<Vec<_>>(), tell);
        }
    }

    /// Whether the run ended without a result of its own.
    fn is_interrupted(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.window.look().live.result.is_none())
    }
}

/// Hears a sentence about a task that has not begun.
fn hear_waiting(reading: Reading, options: &Options, held: &Held<'_>, tell: Tell<'_>) -> Wanted {
    let Reading { intents, not_understood } = reading;
    let goes_on = intents.contains(&Intent::Resume(None));
    let signs = Signs::of(&intents);
    let signs = Signs { yes: signs.yes || goes_on, ..signs };
    let mut draft = Draft::of(options, None);
    for intent in intents {
        if let Some(text) = in_passing(&intent) {
            tell(Reply::Said(text.into()));
            continue;
        }
        match intent {
            Intent::Ask(question) => tell(Reply::Said(asked_early(&question, held.plan))),
            Intent::Again(None) => tell(Reply::Said("it has not begun yet".into())),
            wish => {
                if let Err(reply) = draft.take(wish) {
                    tell(reply);
                    return Wanted::Nothing;
                }
            }
        }
    }
    for part in &not_understood {
        if held.open.is_some() {
            draft.add_words(&as_answer(part));
        } else {
            tell(not_understood_at_all(part));
        }
    }
    if let Some(open) = held.open.filter(|_| !draft.is_answer) {
        match open.only().filter(|_| signs.consents() && !draft.has_changed) {
            Some(column) => draft.amend(Amend::Target(column)),
            None => tell(open.still()),
        }
    }
    let begins = signs.consents() && not_understood.is_empty();
    if draft.has_changed {
        return draft.changed(begins);
    }
    if held.open.is_some() {
        return Wanted::Nothing;
    }
    if signs.no {
        tell(Reply::Asked("what should be otherwise?".into()));
    } else if signs.consents() && held.turn == Turn::Waits {
        tell(Reply::Said("it begins as soon as there is a place".into()));
    } else if begins {
        return Wanted::Begin;
    } else if signs.consents() {
        tell(Reply::Asked("say `yes` alone to begin as planned, or what should be otherwise".into()));
    }
    Wanted::Nothing
}

/// What is said to an intent that wants nothing of a task.
fn in_passing(intent: &Intent) -> Option<&'static str> {
    match intent {
        Intent::Submit => Some("nothing is running"),
        Intent::Help => Some(HELP),
        Intent::Quit => Some(POLITE),
        _ => None,
    }
}

/// The answer to a question about a task that has not begun.
fn asked_early(question: &Question, plan: Option<&Planned>) -> String {
    let of_plan = matches!(question, Question::Plan | Question::Cost | Question::Task | Question::Left);
    match plan.filter(|_| of_plan) {
        Some(plan) => plan.told.clone(),
        None => "it has not begun yet".into(),
    }
}

fn other_data() -> Reply {
    let hint = "submit another task for other data; this one can be begun again in other words".to_owned();
    Reply::Trouble("the data of a task cannot be changed".into(), Some(hint))
}

fn other_run() -> Reply {
    let hint = "say `resume` to the task that is to go on".to_owned();
    Reply::Trouble("only the task's own run can go on here".into(), Some(hint))
}

fn begun_elsewhere() -> Reply {
    let hint = "submit a task for another run; `ansatz resume` goes on with this one".to_owned();
    Reply::Trouble("this run was begun elsewhere: here it can only be asked about".into(), Some(hint))
}

/// A task as it would be after a sentence.
struct Draft {
    options: Options,
    /// The time that it has, in seconds.
    wall_s: f64,
    has_changed: bool,
    is_answer: bool,
    goes_on: bool,
}

impl Draft {
    /// The task as it is; `ran_s` is the time that its run was given.
    fn of(options: &Options, ran_s: Option<f64>) -> Self {
        let said = || options.request.as_deref().and_then(seconds_in);
        let wall_s = ran_s.or(options.budget.wall.map(|wall| wall.as_secs_f64())).or_else(said);
        Self {
            options: options.clone(),
            wall_s: wall_s.unwrap_or(WALL_DEFAULT.as_secs_f64()),
            has_changed: false,
            is_answer: false,
            goes_on: false,
        }
    }

    fn changed(self, begins: bool) -> Wanted {
        Wanted::Changed { options: Box::new(self.options), is_answer: self.is_answer, begins }
    }

    /// Takes up an intent.
    ///
    /// # Errors
    /// What is said to a wish that cannot be; then nothing else of the sentence counts either.
    fn take(&mut self, intent: Intent) -> Result<(), Reply> {
        match intent {
            Intent::Request { data: Some(named), .. } | Intent::Amend(Amend::Data(named))
                if !self.is_own(&named) =>
            {
                return Err(other_data());
            }
            Intent::Request { words, .. } => {
                // What is to be predicted was said anew.
                if grammar::says_target(&words) {
                    self.options.target = None;
                }
                self.add_words(&words);
            }
            Intent::Remark(words) => self.add_words(&words),
            Intent::Amend(amend) | Intent::Again(Some(amend)) => self.amend(amend),
            Intent::Again(None) => self.has_changed = true,
            Intent::Resume(None) => self.goes_on = true,
            Intent::Resume(Some(_)) => return Err(other_run()),
            _ => {}
        }
        Ok(())
    }

    /// Whether data are named that are the task's anyway.
    fn is_own(&self, named: &str) -> bool {
        let is_source = self.options.source.as_ref().is_some_and(|source| source.named == named);
        is_source || self.options.data.file_name() == Some(OsStr::new(named))
    }

    /// Drops what was asked for before, data and limits excepted.
    fn ask_anew(&mut self) {
        let options = &mut self.options;
        (options.request, options.target, options.metric) = (None, None, None);
        options.steer.clear();
    }

    fn add_words(&mut self, words: &str) {
        add(self.options.request.get_or_insert_default(), words);
        self.is_answer = true;
        self.is_other();
    }

    /// What a language model answered was about another request.
    fn is_other(&mut self) {
        self.options.given.clear();
        self.has_changed = true;
    }

    fn amend(&mut self, amend: Amend) {
        let options = &mut self.options;
        match amend {
            // Its own data, named once more.
            Amend::Data(_) => return,
            Amend::Target(target) => {
                options.target = Some(target);
                self.is_answer = true;
                self.is_other();
            }
            Amend::Metric(metric) => {
                (options.metric, options.metric_file) = (Some(metric), None);
                self.is_other();
            }
            Amend::Seconds(seconds) => self.take_time(seconds),
            Amend::MoreSeconds(seconds) => self.take_time(self.wall_s + seconds),
            Amend::Trials(trials) => (options.budget.trials, options.budget.wall) = (Some(trials), None),
            // A readable model is a wish about the task: the plan itself is made for it.
            Amend::Steer(Steer::Prefer { preference: Preference::Readable }) => {
                add(options.request.get_or_insert_default(), "The model must be interpretable.");
                self.is_other();
            }
            Amend::Steer(steer) => options.steer.push(steer),
        }
        self.has_changed = true;
    }

    fn take_time(&mut self, seconds: f64) {
        let seconds = seconds.clamp(1.0, SECONDS_MAX);
        if let Ok(wall) = Duration::try_from_secs_f64(seconds) {
            self.wall_s = seconds;
            (self.options.budget.wall, self.options.budget.trials) = (Some(wall), None);
        }
    }
}

#[cfg(test)]
#[path = "hosted_tests.rs"]
mod tests;
