//! The loop that owns a study: asks, has the command run, tells.

use super::asking::{Answered, Asker};
use super::command::{Context, Measured, NO_END, ODD_RESULT, Template};
use super::diary::{Diary, Line};
use super::reading::{NO_FIELD, Report};
use super::result::{TuneEnd, TuneResult, TuneTrial};
use super::telling::DEFAULT;
use super::{Surroundings, TuneNews, TuneOptions, noise};
use crate::control::Control;
use crate::error::RunError;
use ansatz_core::bill::Bill;
use ansatz_core::candidate::Params;
use ansatz_core::clock::Clock;
use ansatz_tuner::formula::suggestions;
use ansatz_tuner::operation::Operation;
use ansatz_tuner::pruner::Advice;
use ansatz_tuner::query::Answer;
use ansatz_tuner::study::{Ask, Options, Study, StudyError};
use ansatz_tuner::trial::{Outcome, Trial, TrialNumber, TrialState};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often the loop looks at the clock and the user.
const TICK: Duration = Duration::from_millis(50);
/// Longest time of a run as long as nothing is known about runs. Where even the first one takes longer, nothing is to be hoped
/// for from others.
const TIMEOUT_FIRST: Duration = Duration::from_hours(1);
/// Runs that must have ended before the time limit follows from them.
const RUNS_KNOWN: usize = 3;
/// A limit that follows from runs: so many times their median, and a while.
const TIMEOUT_TIMES: f64 = 10.0;
const TIMEOUT_MORE_S: f64 = 60.0;
/// Trials that may fail for the same reason, or for any, before anything has succeeded.
const FAILURES_ALIKE_MAX: usize = 5;
const FAILURES_MAX: usize = 30;
/// Trials with one and the same value after which the user is told.
const CONSTANT_TOLD: usize = 10;
/// Seconds between two writings of the page while the study goes on.
const REDRAWN_S: f64 = 3.0;
/// How long an answer of a language model is waited for: a share of the time that the study has, within these seconds.
const ANSWER_SHARE: f64 = 0.15;
const ANSWER_S_MIN: f64 = 5.0;
const ANSWER_S_MAX: f64 = 60.0;
/// Failed trials keep a reason that begins so when they did not fail but were called off.
const CALLED_OFF: &str = "called off";

/// A study under way.
pub struct Driver<'a> {
    pub(super) options: TuneOptions,
    template: Template,
    names: Vec<String>,
    pub(super) clock: Arc<dyn Clock>,
    stop: &'a Control,
    news: &'a mut dyn FnMut(TuneNews),
    asker: Asker,
    /// Whether somebody judges runs by what they report.
    is_judging: bool,
    /// Whether the model has answered a question.
    is_answered: bool,
    /// What the model cost so far.
    pub(super) bill: Option<Bill>,
    pub(super) study: Study,
    diary: Diary,
    /// Operations of the study that are on disk.
    written: usize,
    /// Reading of the clock when this life began, and seconds of earlier lives.
    opened: Duration,
    before_s: f64,
    /// Single measurements of each trial, goal by goal.
    measurements: BTreeMap<u32, Vec<Vec<f64>>>,
    /// Why trials were stopped on their way.
    pub(super) pruned: BTreeMap<u32, String>,
    walls: Vec<f64>,
    /// Trials that wait for a run, those in the middle of their repeats first.
    queue: VecDeque<u32>,
    running: BTreeMap<usize, Running>,
    pub(super) compared: Vec<(f64, f64)>,
    pub(super) warnings: Vec<String>,
    pub(super) end: Option<TuneEnd>,
    /// Why there is nothing new to try.
    pub(super) exhausted: String,
    /// When the page was written last.
    drawn_s: Option<f64>,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
}

struct Running {
    trial: u32,
    off: Arc<AtomicBool>,
    /// Whether its values on the way are judged: those of the first measurement are.
    is_judged: bool,
}

enum Message {
    Report { slot: usize, report: Report },
    Ended { slot: usize, measured: Measured },
    Answered(Box<Answered>),
}

/// What helps against the reason for which nothing succeeded.
fn remedy(reason: &str) -> &'static str {
    if reason.starts_with(NO_END) {
        return "give the command more time by --timeout, or less to do; does it wait for input?";
    }
    if reason.starts_with(NO_FIELD) {
        return "let the command print one JSON line with the fields that --goal names";
    }
    if reason.starts_with(ODD_RESULT) {
        return "let the command exit with another code than 0 where it has no result, and look at one configuration by hand";
    }
    "run it once by hand with one configuration; it must exit with 0 and print a number last"
}

fn broken(error: impl std::fmt::Display) -> RunError {
    RunError::failed(format!("the study: {error}"))
}

impl<'a> Driver<'a> {
    /// A new study.
    pub fn begin(options: TuneOptions, surroundings: Surroundings<'a>) -> Result<Self, RunError> {
        let how =
            Options { goals: options.directions(), seed: options.seed, budget: options.trials_in_all() };
        let study = Study::new(options.space.clone(), how, options.search()?).map_err(broken)?;
        let diary = Diary::create(&options.out)?;
        let mut driver = Self::over(options, surroundings, study, diary, 0, 0.0)?;
        driver.line_up()?;
        Ok(driver)
    }

    /// Puts configurations first in line: what is in force without tuning, what the user gave, what formulas advise.
    fn line_up(&mut self) -> Result<(), RunError> {
        let space = &self.options.space;
        let start = space.params(&space.start_point());
        let has_default = |name: &String| {
            space.parameters().iter().any(|parameter| parameter.name == *name && parameter.default.is_some())
        };
        let declared = start.keys().filter(|name| has_default(name)).count();
        // A point half of which we made up is no default that anything could be compared with.
        let origin = if declared == start.len() { DEFAULT } else { "start" };
        if declared > 0
            && let Err(error) = self.study.enqueue(start, origin)
        {
            self.warn(format!("the defaults are not tried: {error}"));
        }
        for params in self.options.starts.clone() {
            self.study.enqueue(params, "given").map_err(broken)?;
        }
        let advice = self.options.space.scale().map(|scale| suggestions(scale, &self.options.space));
        for advised in advice.into_iter().flatten() {
            let point = self.options.space.point(&advised.params).map_err(broken)?;
            if self.study.history().is_open(&point) {
                self.study.enqueue(advised.params, advised.formula).map_err(broken)?;
            }
        }
        Ok(())
    }

    /// A study as its diary left it.
    pub fn go_on(options: TuneOptions, surroundings: Surroundings<'a>) -> Result<Self, RunError> {
        let (diary, lines, torn) = Diary::open(&options.out)?;
        let operations: Vec<Operation> = lines
            .iter()
            .filter_map(|line| if let Line::Study { what, .. } = line { Some(what.clone()) } else { None })
            .collect();
        let written = operations.len();
        let study = Study::replay(operations, options.search()?).map_err(|error| {
            broken(error)
                .hint("it was written by another version or damaged; start the study anew with --out")
        })?;
        let before_s = lines.last().map_or(0.0, Line::at_s);
        let mut driver = Self::over(options, surroundings, study, diary, written, before_s)?;
        for line in lines {
            match line {
                Line::Run { trial, value, more, wall_s, .. } => {
                    driver.walls.push(wall_s);
                    let values = value.map(|value| std::iter::once(value).chain(more).collect());
                    driver.measurements.entry(trial).or_default().extend(values);
                }
                Line::Compared { default, best, .. } => driver.compared.push((default, best)),
                Line::Stopped { trial, why, .. } => {
                    driver.pruned.insert(trial, why);
                }
                Line::Spent { bill, .. } => driver.bill = Some(*bill),
                Line::Study { .. } => {}
            }
        }
        // Who was being stopped and runs anew is judged anew.
        let study = &driver.study;
        driver.pruned.retain(|trial, _| !study.trials()[*trial as usize].is_running());
        // Trials that were called off by a limit or the user count as tried; those cut off by the end of the process run anew.
        driver.queue = driver.study.trials().iter().filter(|t| t.is_running()).map(|t| t.number.0).collect();
        if torn > 0 {
            driver.warn(format!("the last {torn} bytes of {} were torn and dropped", super::FILE_NAME));
        }
        let done = driver.study.trials().iter().filter(|trial| !trial.is_running()).count();
        (driver.news)(TuneNews::Resumed { done });
        Ok(driver)
    }

    fn over(
        options: TuneOptions,
        surroundings: Surroundings<'a>,
        study: Study,
        diary: Diary,
        written: usize,
        before_s: f64,
    ) -> Result<Self, RunError> {
        let (sender, receiver) = channel();
        let Surroundings { clock, stop, news, oracle } = surroundings;
        let pruner = options.judge()?;
        let is_judging = pruner.is_some();
        let study = match pruner {
            Some(pruner) => study.with_pruner(pruner),
            None => study,
        };
        Ok(Self {
            template: Template::new(options.command.clone(), &options.folder),
            names: options.space.parameters().iter().map(|parameter| parameter.name.clone()).collect(),
            opened: clock.monotonic(),
            options,
            clock,
            stop,
            news,
            asker: Asker::new(oracle),
            is_judging,
            is_answered: false,
            bill: None,
            study,
            diary,
            written,
            before_s,
            measurements: BTreeMap::new(),
            pruned: BTreeMap::new(),
            walls: Vec::new(),
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            compared: Vec::new(),
            warnings: Vec::new(),
            end: None,
            exhausted: String::new(),
            drawn_s: None,
            sender,
            receiver,
        })
    }

    /// Searches, compares, writes the result.
    pub fn run(mut self) -> Result<TuneResult, RunError> {
        self.keep()?;
        self.look_at_request();
        let searched = self.search();
        // Whatever happened, nothing of ours may still run when this returns.
        self.call_off();
        while !self.running.is_empty() {
            // The driver itself holds a sender, so there is always somebody who could still say something.
            if let Ok(Message::Ended { slot, .. }) = self.receiver.recv() {
                self.running.remove(&slot);
            }
        }
        self.book()?;
        searched?;
        if self.end != Some(TuneEnd::Interrupted) {
            self.compare()?;
        }
        self.finish()
    }

    /// Says what is odd about a request that can be carried out all the same.
    fn look_at_request(&mut self) {
        if let Some(word) = self.template.names_unknown(&self.names) {
            self.warn(format!(
                "the command has {{{word}}}, which is no parameter and stays as it is; the parameters are {}",
                self.names.join(", ")
            ));
        }
        if self.options.space.size(1) == Some(1) {
            self.warn("the space has one configuration only: there is nothing to choose".into());
        }
    }

    /// Seconds of the study so far, in all its lives.
    pub(super) fn seconds(&self) -> f64 {
        self.before_s + self.clock.monotonic().saturating_sub(self.opened).as_secs_f64()
    }

    fn seconds_left(&self) -> Option<f64> {
        Some(self.options.wall?.as_secs_f64() - self.reserve_s() - self.seconds())
    }

    /// Time that the comparison will take.
    fn reserve_s(&self) -> f64 {
        2.0 * f64::from(self.options.confirm) * noise::middle(&self.walls).max(0.0)
    }

    fn search(&mut self) -> Result<(), RunError> {
        loop {
            if self.end.is_none() {
                self.look_at_limits();
                self.look_at_question()?;
            }
            while self.end.is_none() && self.running.len() < self.options.parallel.max(1) {
                if !self.start_next()? {
                    break;
                }
            }
            let is_waiting = self.asker.is_open() && self.end.is_none();
            if self.running.is_empty() && !is_waiting {
                return Ok(());
            }
            match self.receiver.recv_timeout(TICK) {
                Ok(message) => self.take_all(message)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Takes everything that waits, and puts it on disk at one go: programs may tell hundreds of values in a second.
    fn take_all(&mut self, first: Message) -> Result<(), RunError> {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Report { slot, report } => self.take_report(slot, report)?,
                Message::Ended { slot, measured } => self.take(slot, measured)?,
                Message::Answered(answered) => self.take_answer(*answered)?,
            }
            next = self.receiver.try_recv().ok();
        }
        self.keep()
    }

    /// Whoever does not answer in time is not waited for any longer: the search goes on without.
    fn look_at_question(&mut self) -> Result<(), RunError> {
        let patience = match self.options.wall {
            Some(wall) => (wall.as_secs_f64() * ANSWER_SHARE).clamp(ANSWER_S_MIN, ANSWER_S_MAX),
            None => ANSWER_S_MAX,
        };
        let Some(query) = self.asker.overdue(self.seconds(), patience) else { return Ok(()) };
        self.asker.close();
        let cause = format!("no answer within {patience:.0} s");
        self.warn(format!("the search goes on without the language model: {cause}"));
        self.study.answer(query, Answer::Unavailable { cause }).map_err(broken)?;
        self.keep()
    }

    fn look_at_limits(&mut self) {
        if self.stop.asked() {
            self.end = Some(TuneEnd::Interrupted);
        } else if self.seconds_left().is_some_and(|left| left <= 0.0) {
            self.end = Some(TuneEnd::Time);
        }
        if self.end.is_some() {
            self.call_off();
        }
    }

    fn call_off(&mut self) {
        for running in self.running.values() {
            running.off.store(true, Ordering::Relaxed);
        }
    }

    /// Starts a run; false when there is none to start now.
    fn start_next(&mut self) -> Result<bool, RunError> {
        let trial = match self.queue.pop_front() {
            Some(trial) => trial,
            None => match self.ask()? {
                Some(trial) => trial,
                None => return Ok(false),
            },
        };
        let params = self.trial(trial).params.clone();
        let slot =
            (0..self.options.parallel.max(1)).find(|slot| !self.running.contains_key(slot)).unwrap_or(0);
        let off = Arc::new(AtomicBool::new(false));
        let context = self.context(trial, self.measurements.get(&trial).map_or(0, Vec::len) as u32, slot);
        let (template, names) = (self.template.clone(), self.names.clone());
        let goals = self.options.fields();
        let (sender, flag) = (self.sender.clone(), Arc::clone(&off));
        let work = move || {
            let mut watch = |report: Option<Report>| {
                if let Some(report) = report {
                    let _ = sender.send(Message::Report { slot, report });
                }
                if flag.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let measured = template.run(&params, (&names, &goals), context, &mut watch);
            // Nobody listens only when the study itself is torn down.
            let _ = sender.send(Message::Ended { slot, measured });
        };
        std::thread::Builder::new()
            .name(format!("trial {trial}"))
            .spawn(work)
            .map_err(|error| RunError::failed(format!("starting a thread: {error}")))?;
        self.running.insert(slot, Running { trial, off, is_judged: context.repeat == 0 });
        Ok(true)
    }

    fn context(&self, trial: u32, repeat: u32, slot: usize) -> Context {
        let seed = self.options.seed.derive(&format!("command-{trial}-{repeat}")).for_python();
        Context { trial, repeat, slot, seed, timeout: self.timeout() }
    }

    fn timeout(&self) -> Duration {
        if let Some(timeout) = self.options.timeout {
            return timeout;
        }
        if self.walls.len() < RUNS_KNOWN {
            return TIMEOUT_FIRST;
        }
        Duration::from_secs_f64(noise::middle(&self.walls) * TIMEOUT_TIMES + TIMEOUT_MORE_S)
            .min(TIMEOUT_FIRST)
    }

    /// A new trial from the study; none when the trials are used up, or the search waits for what runs.
    fn ask(&mut self) -> Result<Option<u32>, RunError> {
        let most = self.options.trials_in_all();
        if most.is_some_and(|most| self.study.trials().len() >= most as usize) {
            if self.running.is_empty() {
                self.end = Some(TuneEnd::Trials);
            }
            return Ok(None);
        }
        let asked = self.study.ask();
        self.keep()?;
        match asked {
            Ask::Suggestion(suggestion) => Ok(Some(suggestion.number.0)),
            Ask::Query(query) => {
                if self.asker.is_about(query.id) {
                    return Ok(None);
                }
                let sender = self.sender.clone();
                let reply = move |answered| sender.send(Message::Answered(Box::new(answered))).is_ok();
                let at_s = self.seconds();
                (self.news)(TuneNews::Asking);
                self.asker.ask(&query, &self.study, at_s, reply)?;
                Ok(None)
            }
            Ask::Exhausted { reason } => {
                if self.running.is_empty() {
                    self.end = Some(TuneEnd::Exhausted);
                    self.exhausted = reason;
                }
                Ok(None)
            }
        }
    }

    /// Writes down what the model has cost, a question that is open included.
    pub(super) fn book(&mut self) -> Result<(), RunError> {
        let Some(bill) = self.asker.bill().filter(|bill| bill.total.calls > 0) else { return Ok(()) };
        if self.bill.as_ref() == Some(&bill) {
            return Ok(());
        }
        let at_s = self.seconds();
        self.diary.write(&[Line::Spent { at_s, bill: Box::new(bill.clone()) }])?;
        self.bill = Some(bill);
        Ok(())
    }

    fn take_answer(&mut self, answered: Answered) -> Result<(), RunError> {
        let Answered { query, answer, refusal } = answered;
        self.book()?;
        if !self.asker.is_about(query) {
            return Ok(());
        }
        self.asker.close();
        if let Some(error) = refusal.filter(|_| !self.is_answered) {
            return Err(error);
        }
        match &answer {
            Answer::Unavailable { cause } => {
                self.warn(format!("the search goes on without the language model: {cause}"));
            }
            _ => self.is_answered = true,
        }
        self.study.answer(query, answer).map_err(broken)?;
        self.keep()
    }

    /// Writes the study's new operations.
    fn keep(&mut self) -> Result<(), RunError> {
        let at_s = self.seconds();
        let news = &self.study.operations()[self.written..];
        let lines: Vec<Line> = news.iter().map(|what| Line::Study { at_s, what: what.clone() }).collect();
        self.diary.write(&lines)?;
        self.written = self.study.operations().len();
        Ok(())
    }

    fn trial(&self, number: u32) -> &Trial {
        &self.study.trials()[number as usize]
    }

    fn take_report(&mut self, slot: usize, report: Report) -> Result<(), RunError> {
        let Some(running) = self.running.get(&slot).filter(|running| running.is_judged) else {
            return Ok(());
        };
        // What nobody judges is not written down; a step without a number says nothing.
        if !self.is_judging || self.end.is_some() || !report.value.is_finite() {
            return Ok(());
        }
        let (trial, off) = (running.trial, Arc::clone(&running.off));
        let advice = match self.study.report(TrialNumber(trial), report.step, report.value) {
            Ok(advice) => advice,
            // So many values say no more than those that are known.
            Err(StudyError::Full(_)) => return Ok(()),
            Err(error) => return Err(broken(error)),
        };
        if let Advice::Stop { reason } = advice
            && !self.pruned.contains_key(&trial)
        {
            self.keep()?;
            let at_s = self.seconds();
            self.diary.write(&[Line::Stopped { at_s, trial, why: reason.clone() }])?;
            self.pruned.insert(trial, reason);
            off.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn take(&mut self, slot: usize, measured: Measured) -> Result<(), RunError> {
        let Some(Running { trial, .. }) = self.running.remove(&slot) else { return Ok(()) };
        match measured {
            Measured::Value { values, wall_s, is_ambiguous } => {
                let at_s = self.seconds();
                let (value, more) = (values.first().copied(), values.iter().skip(1).copied().collect());
                self.diary.write(&[Line::Run { at_s, trial, value, more, wall_s }])?;
                self.walls.push(wall_s);
                self.measurements.entry(trial).or_default().push(values);
                if is_ambiguous {
                    self.warn(
                        "the line with the result holds several numbers: the last one was taken".into(),
                    );
                }
                if self.wants_more(trial) {
                    self.queue.push_front(trial);
                    return Ok(());
                }
                self.tell(trial, Outcome::Values(self.middles(trial)))?;
                self.look_at_values();
                Ok(())
            }
            Measured::Failed(reason) => {
                self.tell(trial, Outcome::Failed(reason))?;
                self.look_at_failures()
            }
            Measured::CalledOff if self.pruned.contains_key(&trial) => self.tell(trial, Outcome::Pruned),
            Measured::CalledOff => match self.middles(trial) {
                middles if middles.iter().all(|middle| middle.is_finite()) => {
                    self.tell(trial, Outcome::Values(middles))
                }
                // An interrupted study tries it again when it is taken up.
                _ if self.end == Some(TuneEnd::Interrupted) => Ok(()),
                _ => self.tell(trial, Outcome::Failed(format!("{CALLED_OFF}: the time was used up"))),
            },
            Measured::Unusable(why) => Err(RunError::usage(format!("the command cannot be run: {why}"))
                .hint("give a program that exists, with its path or to be found in PATH")),
        }
    }

    fn wants_more(&self, trial: u32) -> bool {
        let values = self.firsts(trial);
        if values.len() >= self.options.repeats as usize || self.end.is_some() {
            return false;
        }
        // What is behind under one goal may be ahead under another.
        if self.has_several_goals() {
            return true;
        }
        let best = self.study.best().map(|best| self.firsts(best.number.0)).filter(|best| !best.is_empty());
        noise::is_worth_repeating(&values, best.as_deref(), self.noise(), self.options.direction())
    }

    /// Whether there is more than one goal.
    pub(super) fn has_several_goals(&self) -> bool {
        self.options.goals.len() > 1
    }

    /// A trial's measurements under the first goal.
    pub(super) fn firsts(&self, trial: u32) -> Vec<f64> {
        self.measurements.get(&trial).into_iter().flatten().map(|values| values[0]).collect()
    }

    /// What stands for a trial's measurements, goal by goal; not a number where there are none.
    fn middles(&self, trial: u32) -> Vec<f64> {
        let all = self.measurements.get(&trial).map_or(&[][..], Vec::as_slice);
        let of = |goal: usize| all.iter().map(|values| values[goal]).collect::<Vec<f64>>();
        (0..self.study.goals().len()).map(|goal| noise::middle(&of(goal))).collect()
    }

    /// Spread of single measurements under the first goal.
    pub(super) fn noise(&self) -> Option<f64> {
        let all: Vec<Vec<f64>> = self.measurements.keys().map(|trial| self.firsts(*trial)).collect();
        noise::spread(all.iter().map(Vec::as_slice))
    }

    fn tell(&mut self, trial: u32, outcome: Outcome) -> Result<(), RunError> {
        self.study.tell(TrialNumber(trial), outcome).map_err(broken)?;
        self.keep()?;
        let best = self.study.best();
        let is_best = if self.has_several_goals() {
            self.study.front().iter().any(|other| other.number.0 == trial)
        } else {
            best.is_some_and(|best| best.number.0 == trial)
        };
        let best = best.and_then(Trial::values).map(|values| values[0]);
        let ended = Box::new(self.told(self.trial(trial)));
        (self.news)(TuneNews::Ended { trial: ended, best, is_best });
        if self.drawn_s.is_none_or(|drawn| self.seconds() - drawn > REDRAWN_S) {
            self.drawn_s = Some(self.seconds());
            self.draw(Vec::new(), "")?;
        }
        Ok(())
    }

    fn look_at_values(&mut self) {
        let values: Vec<f64> = self.study.trials().iter().filter_map(Trial::values).map(|v| v[0]).collect();
        if values.len() == CONSTANT_TOLD && values.iter().all(|value| *value == values[0]) {
            let unused: Vec<&str> =
                self.names.iter().filter(|name| !self.template.names(name)).map(String::as_str).collect();
            let how = if unused.is_empty() {
                String::new()
            } else {
                format!(
                    " ({} appear in no argument; the environment has them as ANSATZ_PARAM_…)",
                    unused.join(", ")
                )
            };
            self.warn(format!(
                "each of {CONSTANT_TOLD} trials gave {}: does the command use its parameters?{how}",
                values[0]
            ));
        }
    }

    /// Ends a study in which nothing works.
    fn look_at_failures(&self) -> Result<(), RunError> {
        let mut reasons = Vec::new();
        for trial in self.study.trials() {
            match &trial.state {
                TrialState::Failed { reason } => reasons.push(reason),
                TrialState::Running => {}
                _ => return Ok(()),
            }
        }
        let alike = reasons.iter().all(|reason| *reason == reasons[0]);
        let is_endless = self.options.timeout.is_none() && reasons.iter().any(|why| why.starts_with(NO_END));
        let is_hopeless = reasons.len() >= FAILURES_MAX || (reasons.len() >= FAILURES_ALIKE_MAX && alike);
        if is_endless || is_hopeless {
            let trials = if reasons.len() == 1 {
                "the first trial".into()
            } else {
                format!("each of the first {} trials", reasons.len())
            };
            return Err(RunError::failed(format!(
                "the command failed in {trials}: {}",
                reasons[reasons.len() - 1]
            ))
            .hint(remedy(reasons[reasons.len() - 1])));
        }
        Ok(())
    }

    /// Says what should be known, once.
    pub fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            (self.news)(TuneNews::Warning(text.clone()));
            self.warnings.push(text);
        }
    }

    /// Measures default and best by turns: a fair ratio, free of the luck that made the best look best.
    fn compare(&mut self) -> Result<(), RunError> {
        let Some(best) = self.study.best().map(|best| best.params.clone()) else { return Ok(()) };
        let default = self.default_trial().map(|trial| trial.params.clone());
        let Some(default) = default else {
            if self.options.confirm > 0 {
                self.warn("nothing to compare the best with: not every parameter has a default".into());
            }
            return Ok(());
        };
        if self.compared.len() < self.options.confirm as usize {
            (self.news)(TuneNews::Comparing);
        }
        'pairs: while self.compared.len() < self.options.confirm as usize {
            if self.stop.asked() {
                self.end = Some(TuneEnd::Interrupted);
                return Ok(());
            }
            let repeat = self.compared.len() as u32;
            // Who goes first changes, so that a machine that warms up favours nobody.
            let order = if repeat.is_multiple_of(2) { [&default, &best] } else { [&best, &default] };
            let mut values = Vec::new();
            for params in order {
                match self.measure_now(params, repeat) {
                    Measured::Value { values: measured, .. } => values.extend(measured.first()),
                    // Looked at above, once more, when the user wants to stop.
                    Measured::CalledOff if self.stop.asked() => continue 'pairs,
                    Measured::CalledOff => return Ok(()),
                    Measured::Failed(reason) | Measured::Unusable(reason) => {
                        self.warn(format!("comparing default and best failed: {reason}"));
                        return Ok(());
                    }
                }
            }
            if !repeat.is_multiple_of(2) {
                values.reverse();
            }
            let at_s = self.seconds();
            self.diary.write(&[Line::Compared { at_s, default: values[0], best: values[1] }])?;
            self.compared.push((values[0], values[1]));
        }
        Ok(())
    }

    fn measure_now(&self, params: &Params, repeat: u32) -> Measured {
        let context = self.context(u32::MAX, repeat, 0);
        let deadline = self.options.wall.map(|wall| wall.as_secs_f64() * 1.05 + 2.0);
        self.template.run(params, (&self.names, &self.options.fields()), context, &mut |_| {
            let late = deadline.is_some_and(|deadline| self.seconds() > deadline);
            if self.stop.asked() || late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    /// Why a study without any value failed.
    pub(super) fn nothing(&self, trials: &[TuneTrial]) -> RunError {
        if trials.is_empty() && !self.exhausted.is_empty() {
            return RunError::usage(self.exhausted.clone()).hint("loosen the constraints of the space");
        }
        let why = trials.iter().rev().find_map(|trial| trial.note.clone()).unwrap_or_default();
        RunError::failed(format!("none of {} trials gave a number: {why}", trials.len())).hint(remedy(&why))
    }
}
