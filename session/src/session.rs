//! The conversation: what was wished so far, what stage it is at, and what a sentence changes.

use crate::answers;
use crate::asking::Thinking;
use crate::front::{Maker, Reply, Stage, Tell, Trouble, Wishes};
use crate::grammar;
use crate::intent::{Amend, Intent, Question, Reading};
use crate::plan::{Shown, as_answer};
use crate::running::{Running, Seen, Work};
use ansatz_core::steer::{Preference, Steer};
use ansatz_engine::{Control, Keys, Options, RunError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What can be said, for those who ask.
const HELP: &str = "say what you want, for example:\n  predict churn in data.csv, AUC, five minutes\n  use log loss · \
10 minutes instead · drop the zip column · without catboost · prefer something small\n  yes (begin) · how is it going? · \
what is best? · why is catboost best? · that's enough, submit\ncommands: /plan /status /best /leaderboard /cost /steer TEXT /stop /why SUBJECT /quit /help";

/// One conversation.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the conversation")]
pub struct Session {
    pub(crate) maker: Arc<dyn Maker>,
    pub(crate) wishes: Wishes,
    pub(crate) is_planned: bool,
    running: Option<Running>,
    /// Whether the end of the run was told.
    is_told: bool,
    has_quit: bool,
    /// The folder of a run of an earlier process.
    adopted: Option<PathBuf>,
    /// The plan that was shown last.
    pub(crate) shown: Shown,
    /// Whether the next words answer a question about the task.
    pub(crate) is_asked: bool,
    /// What is thought about beside the run.
    pub(crate) thinking: Thinking,
    /// What a front end began the run with.
    begun: Option<(Options, Keys)>,
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
            is_asked: false,
            thinking: Thinking::default(),
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
        let is_polite = !intents.is_empty() && intents.iter().all(|intent| *intent == Intent::Courtesy);
        if is_polite && not_understood.is_empty() {
            tell(Reply::Said("at your service: say what is to be predicted, or `help`".into()));
        }
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
        if has_changed {
            self.is_planned = false;
            if self.plan(tell) && approves {
                self.begin(tell);
            }
        }
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
            self.forget(wishes);
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
            (_, amend) => self.amend(amend.unwrap_or(Amend::MoreSeconds(0.0)), tell),
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

    fn ask(&mut self, question: &Question, tell: Tell<'_>) {
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

    pub(crate) fn start(&mut self, work: Result<(Work, Keys), Trouble>, tell: Tell<'_>) {
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

    /// What has come since: an answer that was thought about, the end of the run, each told once.
    pub fn news(&mut self) -> Option<Reply> {
        if let Some(answer) = self.thinking.news() {
            return Some(answer);
        }
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
