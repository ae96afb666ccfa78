//! The conversation: what was wished so far, what stage it is at, and what a sentence changes.

use crate::answers;
use crate::asking::Thinking;
use crate::front::{Maker, Reply, Stage, Tell, Trouble, Wishes};
use crate::grammar;
use crate::intent::{Amend, Intent, Question, Reading};
use crate::plan::{Open, Rehearsal, Shown};
use crate::running::{Running, Seen, Work};
use ansatz_core::steer::{Preference, Steer};
use ansatz_engine::{Control, Keys};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What can be said, for those who ask.
pub(crate) const HELP: &str = "say what you want, for example:\n  predict churn in data.csv, AUC, five minutes\n  use log loss · \
10 minutes instead · drop the zip column · without catboost · prefer something small\n  yes (begin) · how is it going? · \
what is best? · why is catboost best? · that's enough, submit\ncommands: /plan /status /best /leaderboard /cost /steer TEXT /stop /why SUBJECT /quit /help";

/// What a word of courtesy is answered with.
pub(crate) const POLITE: &str = "at your service: say what is to be predicted, or `help`";

/// One conversation.
pub struct Session {
    pub(crate) maker: Arc<dyn Maker>,
    pub(crate) wishes: Wishes,
    pub(crate) is_planned: bool,
    pub(crate) running: Option<Running>,
    /// Whether the end of the run was told.
    is_told: bool,
    has_quit: bool,
    /// The folder of a run of an earlier process.
    adopted: Option<PathBuf>,
    /// The plan that was shown last.
    pub(crate) shown: Shown,
    /// What has to be known about the task: the next words answer it.
    pub(crate) asked: Option<Open>,
    /// What is thought about beside the run.
    pub(crate) thinking: Thinking,
    /// A plan that is worked out beside the conversation.
    pub(crate) rehearsal: Option<Rehearsal>,
}

/// What a sentence says beside its wishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signs {
    /// Yes.
    pub yes: bool,
    /// No.
    pub no: bool,
    /// Something is asked: whoever asks has not decided yet.
    pub asks: bool,
}

impl Signs {
    pub fn of(intents: &[Intent]) -> Self {
        Self {
            yes: intents.contains(&Intent::Approve),
            no: intents.contains(&Intent::Refuse),
            asks: intents.iter().any(|intent| matches!(intent, Intent::Ask(_) | Intent::Help)),
        }
    }

    /// Whether what waits for a yes may begin, as far as all was understood.
    pub fn consents(self) -> bool {
        self.yes && !self.no && !self.asks
    }
}

/// Whether a sentence is nothing but courtesy.
pub(crate) fn is_polite(intents: &[Intent]) -> bool {
    !intents.is_empty() && intents.iter().all(|intent| *intent == Intent::Courtesy)
}

/// Whether an intent says something about what is to be predicted, which a question about the task asks for.
fn tells_task(intent: &Intent) -> bool {
    matches!(
        intent,
        Intent::Request { .. } | Intent::Remark(_) | Intent::Amend(Amend::Data(_) | Amend::Target(_))
    )
}

/// A line without the marks that people and terminals put around or into a path.
fn unquoted(line: &str) -> String {
    line.trim().trim_matches(['"', '\'', '`']).replace("\\ ", " ")
}

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
            asked: None,
            thinking: Thinking::default(),
            rehearsal: None,
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

    /// Takes a path or a source for the data as it is, and plans.
    pub fn set_data(&mut self, data: &str, tell: Tell<'_>) {
        self.go_back();
        self.wishes.data = Some(data.to_owned());
        self.is_planned = false;
        self.plan(tell);
    }

    /// Whether a line is nothing but the data that are missing: a path that is there, or a source.
    pub fn is_data(&self, line: &str) -> bool {
        let line = unquoted(line);
        let is_command = || {
            let read = grammar::read(&line, &|_| false);
            matches!(read.intents.as_slice(), [Intent::Help | Intent::Quit])
        };
        self.stage() == Stage::Gathering
            && self.wishes.data.is_none()
            && !line.is_empty()
            && self.maker.is_there(&line)
            && !is_command()
    }

    /// Hears a sentence.
    pub fn say(&mut self, text: &str, tell: Tell<'_>) {
        if self.asked.is_some() {
            // It may be the run itself that asked.
            self.go_back();
        }
        if let Some(column) = self.asked.as_ref().and_then(|open| open.column(text)) {
            return self.predict(column, tell);
        }
        if self.is_data(text) {
            return self.set_data(&unquoted(text), tell);
        }
        let maker = Arc::clone(&self.maker);
        let Reading { mut intents, not_understood } = grammar::read(text, &|word| maker.is_there(word));
        if self.stage() == Stage::Planned || self.asked.is_some() {
            // Whoever says "carry on" to a plan or a question means these, not another run.
            for intent in intents.iter_mut().filter(|intent| **intent == Intent::Resume(None)) {
                *intent = Intent::Approve;
            }
        }
        let signs = Signs::of(&intents);
        let is_yes_or_no = intents.iter().all(|intent| matches!(intent, Intent::Approve | Intent::Refuse));
        if let Some(open) = self.asked.clone().filter(|_| is_yes_or_no && not_understood.is_empty()) {
            match open.only().filter(|_| signs.consents()) {
                Some(column) => self.predict(column, tell),
                None => tell(open.still()),
            }
            return;
        }
        let words = self.wishes.words.clone();
        if is_polite(&intents) && not_understood.is_empty() {
            tell(Reply::Said(POLITE.into()));
        }
        let tells_task = intents.iter().any(tells_task);
        let mut has_changed = false;
        for intent in intents {
            has_changed |= self.take(intent, tell);
        }
        let (heeded, missed): (Vec<&String>, Vec<&String>) =
            not_understood.iter().partition(|_| self.heeds_words());
        if !missed.is_empty() {
            self.wonder(&missed, tell);
        }
        if !heeded.is_empty() {
            let heeded: Vec<&str> = heeded.into_iter().map(String::as_str).collect();
            self.heed(&heeded, words, tell);
            return;
        }
        if self.stage() == Stage::Running || self.has_quit {
            return;
        }
        let is_clear = missed.is_empty();
        if let Some(open) = self.asked.clone().filter(|_| !tells_task && !signs.asks) {
            // What was wished beside it counts once this is known.
            tell(open.still());
        } else if has_changed {
            self.is_planned = false;
            if self.plan(tell) && signs.consents() && is_clear {
                self.begin(tell);
            }
        } else if signs.no {
            self.refuse(tell);
        } else if signs.consents() {
            self.approve(is_clear, tell);
        }
    }

    /// Takes a column for the target and plans.
    fn predict(&mut self, column: String, tell: Tell<'_>) {
        self.wishes.target = Some(column);
        self.is_planned = false;
        self.plan(tell);
    }

    /// Hears a yes, behind everything else that a sentence said.
    fn approve(&mut self, is_clear: bool, tell: Tell<'_>) {
        match self.stage() {
            Stage::Planned if is_clear => self.begin(tell),
            Stage::Planned => {
                tell(Reply::Asked("say `yes` alone to begin as planned, or what should be otherwise".into()));
            }
            Stage::Gathering if self.wishes == Wishes::default() => {
                tell(Reply::Asked("what is to be predicted, and in which file?".into()));
            }
            Stage::Gathering | Stage::Over => {
                tell(Reply::Said("nothing waits for a yes: say what should be otherwise".into()));
            }
            Stage::Running | Stage::Ended => {}
        }
    }

    fn refuse(&mut self, tell: Tell<'_>) {
        if std::mem::take(&mut self.is_planned) {
            tell(Reply::Asked("what should be otherwise?".into()));
        }
    }

    /// Takes one intent; whether the wishes for a run that has not begun have changed.
    pub(crate) fn take(&mut self, intent: Intent, tell: Tell<'_>) -> bool {
        match intent {
            Intent::Request { data, words } => self.request(data, &words, tell),
            Intent::Amend(amend) => self.amend(amend, tell),
            Intent::Remark(words) if self.stage() != Stage::Running => {
                self.add_words(&words);
                true
            }
            // What a yes or a no decides is decided when all of the sentence was heard.
            Intent::Remark(_) | Intent::Courtesy | Intent::Approve | Intent::Refuse => false,
            // Before there is a model, a file to predict from is the data to learn from.
            Intent::Ask(Question::NewRows(Some(data))) if self.running.is_none() => {
                self.amend(Amend::Data(data), tell)
            }
            Intent::Ask(question) => {
                self.ask(&question, tell);
                false
            }
            Intent::Submit => {
                self.submit(tell);
                false
            }
            Intent::Again(amend) => self.again(amend, tell),
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
            Stage::Over => self.forget(Wishes::default()),
            _ => {}
        }
        self.wishes.data = data.or(self.wishes.data.take());
        // What is to be predicted was said anew.
        if grammar::says_target(words) {
            self.wishes.target = None;
        }
        self.add_words(words);
        true
    }

    fn amend(&mut self, amend: Amend, tell: Tell<'_>) -> bool {
        if self.stage() == Stage::Running {
            self.steer(amend, tell);
            return false;
        }
        let ran_s = self.wall_s();
        self.go_back();
        match amend {
            Amend::Data(data) => self.wishes.data = Some(data),
            Amend::Target(target) => self.wishes.target = Some(target),
            Amend::Metric(metric) => self.wishes.metric = Some(metric),
            Amend::Seconds(seconds) => (self.wishes.seconds, self.wishes.trials) = (Some(seconds), None),
            Amend::MoreSeconds(seconds) => {
                let before = self.wishes.seconds.or(ran_s);
                let before = before.unwrap_or_else(|| ansatz_engine::WALL_DEFAULT.as_secs_f64());
                (self.wishes.seconds, self.wishes.trials) = (Some((before + seconds).max(1.0)), None);
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

    /// The same once more; with more time a run that goes on is simply longer.
    fn again(&mut self, amend: Option<Amend>, tell: Tell<'_>) -> bool {
        match (self.stage(), amend) {
            (Stage::Running, None) => {
                tell(Reply::Trouble("it goes on already".into(), Some("say `submit` to finish it".into())));
                false
            }
            (Stage::Gathering, _) if self.wishes == Wishes::default() => {
                tell(Reply::Said("nothing has been started yet".into()));
                false
            }
            (_, Some(amend)) => self.amend(amend, tell),
            (_, None) => {
                self.go_back();
                true
            }
        }
    }

    /// The time that the run may take in all, in seconds, where it has a limit.
    pub(crate) fn wall_s(&self) -> Option<f64> {
        let wall = self.running.as_ref()?.window.look().live.budget.wall?;
        Some(wall.as_secs_f64())
    }

    /// From a run that is over back to what was wished, and to what the run asked.
    fn go_back(&mut self) {
        if self.stage() == Stage::Over {
            let (wishes, asked) = (std::mem::take(&mut self.wishes), self.asked.take());
            self.forget(wishes);
            self.asked = asked;
        }
    }

    /// Forgets the run that is over; what was wished stays as given.
    fn forget(&mut self, wishes: Wishes) {
        let thinking = std::mem::take(&mut self.thinking);
        *self = Self { wishes, thinking, ..Self::new(Arc::clone(&self.maker)) };
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

    pub(crate) fn ask(&mut self, question: &Question, tell: Tell<'_>) {
        if let Some(running) = &self.running {
            let seen = running.window.look().clone();
            let answer = answers::answer(question, &seen, &running.folder);
            let beside = self.thinking.cost().filter(|_| *question == Question::Cost);
            tell(Reply::Said(std::iter::once(answer).chain(beside).collect::<Vec<_>>().join("; ")));
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
        if let Err(trouble) = self.take_up(named, tell) {
            tell(trouble.into());
        }
    }

    fn take_up(&mut self, named: Option<&str>, tell: Tell<'_>) -> Result<(), Trouble> {
        let adopted = self.adopted.as_ref().map(|folder| folder.display().to_string());
        let (folder, home, keys) = self.maker.interrupted(named.or(adopted.as_deref()))?;
        self.start(Work::Again(folder, home), keys, tell)
    }

    pub(crate) fn start(&mut self, work: Work, keys: Keys, tell: Tell<'_>) -> Result<(), Trouble> {
        let (clock, watcher) = (self.maker.clock(), self.maker.observer());
        let running = Running::start(work, keys, clock, watcher, Arc::default())
            .map_err(|error| Trouble { message: format!("starting the run: {error}"), hint: None })?;
        tell(Reply::Said(format!("begun: results go to {}", running.folder.display())));
        self.running = Some(running);
        (self.is_planned, self.is_told) = (false, false);
        Ok(())
    }

    /// Waits for the end of the run, at most so long; whether there is nothing to wait for.
    pub fn wait(&self, longest: Duration) -> bool {
        self.running.as_ref().is_none_or(|running| running.window.wait(longest))
    }

    /// What has come since: an answer that was thought about, the end of the run, each told once.
    pub fn news(&mut self) -> Option<Reply> {
        if let Some(answer) = self.thinking.news() {
            return Some(answer);
        }
        if self.is_told {
            return None;
        }
        let running = self.running.as_ref()?;
        let (end, columns) = {
            let seen = running.window.look();
            (seen.end.clone()?, seen.columns.clone())
        };
        self.is_told = true;
        Some(match end {
            Ok(result) => {
                Reply::Said(format!("{}\nfiles: {}", answers::ended(&result), running.folder.display()))
            }
            Err(error) => match Open::of(&error, &columns) {
                Some(open) => {
                    let question = open.question.clone();
                    // Without wishes of its own this conversation has nothing to add an answer to.
                    self.asked = Some(open).filter(|_| self.wishes.data.is_some());
                    Reply::Asked(question)
                }
                None => Trouble::from(error).into(),
            },
        })
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
