//! The loop that owns a study: asks, has the command run, tells.

use super::command::{Context, Measured, NO_END, ODD_RESULT, Report, Template, written};
use super::diary::{Diary, Line};
use super::result::{Best, Calibration, Comparison, TuneEnd, TuneResult, TuneTrial};
use super::{Oracle, RESULT, Surroundings, TRIALS_DEFAULT, TuneNews, TuneOptions};
use super::{lessons, noise};
use crate::cells::write_durably;
use crate::control::Control;
use crate::error::RunError;
use ansatz_core::candidate::Params;
use ansatz_core::clock::Clock;
use ansatz_report::{StudyLine, StudySheet, study_page};
use ansatz_tuner::importance::importances;
use ansatz_tuner::operation::Operation;
use ansatz_tuner::pruner::Advice;
use ansatz_tuner::sampler::Sampler;
use ansatz_tuner::samplers;
use ansatz_tuner::samplers::llambo::calibration;
use ansatz_tuner::study::{Ask, Options, Study};
use ansatz_tuner::trial::{Direction, Outcome, Trial, TrialNumber, TrialState};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How often the loop looks at the clock and the user.
const TICK: Duration = Duration::from_millis(50);
/// Longest time of a run as long as nothing is known about runs.
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
/// Name of the page.
const REPORT: &str = "report.html";
/// Failed trials keep a reason that begins so when they did not fail but were called off.
const CALLED_OFF: &str = "called off";

/// A study under way.
pub struct Driver<'a> {
    options: TuneOptions,
    template: Template,
    names: Vec<String>,
    clock: Arc<dyn Clock>,
    stop: &'a Control,
    news: &'a mut dyn FnMut(TuneNews),
    oracle: &'a mut dyn Oracle,
    study: Study,
    diary: Diary,
    /// Operations of the study that are on disk.
    written: usize,
    /// Reading of the clock when this life began, and seconds of earlier lives.
    opened: Duration,
    before_s: f64,
    measurements: BTreeMap<u32, Vec<f64>>,
    walls: Vec<f64>,
    /// Trials that wait for a run, those in the middle of their repeats first.
    queue: VecDeque<u32>,
    running: BTreeMap<usize, Running>,
    compared: Vec<(f64, f64)>,
    warnings: Vec<String>,
    end: Option<TuneEnd>,
    /// When the page was written last.
    drawn_s: Option<f64>,
    sender: Sender<Message>,
    receiver: Receiver<Message>,
}

struct Running {
    trial: u32,
    off: Arc<AtomicBool>,
    /// Why it was called off, when a pruner did.
    pruned: bool,
}

enum Message {
    Report { slot: usize, report: Report },
    Ended { slot: usize, measured: Measured },
}

fn sampler(options: &TuneOptions) -> Result<Box<dyn Sampler>, RunError> {
    if !options.pasts.is_empty() {
        return Ok(Box::new(samplers::Transferred::new(options.pasts.clone(), Vec::new())));
    }
    samplers::by_name(&options.sampler).ok_or_else(|| {
        RunError::usage(format!("there is no sampler `{}`", options.sampler))
            .hint(format!("choose one of {}", samplers::NAMES.join(", ")))
    })
}

/// What helps against the reason for which nothing succeeded.
fn remedy(reason: &str) -> &'static str {
    if reason.starts_with(NO_END) {
        return "give the command more time by --timeout, or less to do; does it wait for input?";
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
        let how = Options {
            goals: vec![options.direction],
            seed: options.seed,
            budget: options.trials.or(options.wall.is_none().then_some(TRIALS_DEFAULT)),
        };
        let mut study = Study::new(options.space.clone(), how, sampler(&options)?).map_err(broken)?;
        let has_default = options.space.parameters().iter().any(|parameter| parameter.default.is_some());
        if has_default {
            let start = options.space.params(&options.space.start_point());
            study.enqueue(start, "default").map_err(broken)?;
        }
        for params in &options.starts {
            study.enqueue(params.clone(), "given").map_err(broken)?;
        }
        let diary = Diary::create(&options.out)?;
        Ok(Self::over(options, surroundings, study, diary, 0, 0.0))
    }

    /// A study as its diary left it.
    pub fn go_on(options: TuneOptions, surroundings: Surroundings<'a>) -> Result<Self, RunError> {
        let (diary, lines, torn) = Diary::open(&options.out)?;
        let operations: Vec<Operation> = lines
            .iter()
            .filter_map(|line| if let Line::Study { what, .. } = line { Some(what.clone()) } else { None })
            .collect();
        let written = operations.len();
        let study = Study::replay(operations, sampler(&options)?).map_err(|error| {
            broken(error)
                .hint("it was written by another version or damaged; start the study anew with --out")
        })?;
        let before_s = lines.last().map_or(0.0, Line::at_s);
        let mut driver = Self::over(options, surroundings, study, diary, written, before_s);
        for line in lines {
            match line {
                Line::Run { trial, value, wall_s, .. } => {
                    driver.walls.push(wall_s);
                    driver.measurements.entry(trial).or_default().extend(value);
                }
                Line::Compared { default, best, .. } => driver.compared.push((default, best)),
                Line::Study { .. } => {}
            }
        }
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
    ) -> Self {
        let (sender, receiver) = channel();
        let Surroundings { clock, stop, news, oracle } = surroundings;
        Self {
            template: Template::new(options.command.clone(), &options.folder),
            names: options.space.parameters().iter().map(|parameter| parameter.name.clone()).collect(),
            opened: clock.monotonic(),
            options,
            clock,
            stop,
            news,
            oracle,
            study,
            diary,
            written,
            before_s,
            measurements: BTreeMap::new(),
            walls: Vec::new(),
            queue: VecDeque::new(),
            running: BTreeMap::new(),
            compared: Vec::new(),
            warnings: Vec::new(),
            end: None,
            drawn_s: None,
            sender,
            receiver,
        }
    }

    /// Searches, compares, writes the result.
    pub fn run(mut self) -> Result<TuneResult, RunError> {
        self.keep()?;
        self.look_at_request();
        let searched = self.search();
        // Whatever happened, nothing of ours may still run when this returns.
        self.call_off();
        while !self.running.is_empty() {
            if let Ok(Message::Ended { slot, .. }) = self.receiver.recv() {
                self.running.remove(&slot);
            }
        }
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

    fn seconds(&self) -> f64 {
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
            }
            while self.end.is_none() && self.running.len() < self.options.parallel.max(1) {
                if !self.start_next()? {
                    break;
                }
            }
            if self.running.is_empty() {
                return Ok(());
            }
            match self.receiver.recv_timeout(TICK) {
                Ok(Message::Report { slot, report }) => self.take_report(slot, report)?,
                Ok(Message::Ended { slot, measured }) => self.take(slot, measured)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
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
        let (sender, flag) = (self.sender.clone(), Arc::clone(&off));
        let work = move || {
            let mut watch = |report: Option<Report>| {
                if let Some(report) = report {
                    let _ = sender.send(Message::Report { slot, report });
                }
                if flag.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let measured = template.run(&params, &names, context, &mut watch);
            // Nobody listens only when the study itself is torn down.
            let _ = sender.send(Message::Ended { slot, measured });
        };
        std::thread::Builder::new()
            .name(format!("trial {trial}"))
            .spawn(work)
            .map_err(|error| RunError::failed(format!("starting a thread: {error}")))?;
        self.running.insert(slot, Running { trial, off, pruned: false });
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
        let most = self.options.trials.or(self.options.wall.is_none().then_some(TRIALS_DEFAULT));
        if most.is_some_and(|most| self.study.trials().len() >= most as usize) {
            if self.running.is_empty() {
                self.end = Some(TuneEnd::Trials);
            }
            return Ok(None);
        }
        loop {
            let asked = self.study.ask();
            self.keep()?;
            match asked {
                Ask::Suggestion(suggestion) => return Ok(Some(suggestion.number.0)),
                Ask::Query(query) => {
                    let answer = self.oracle.answer(&query, &self.study);
                    self.study.answer(query.id, answer).map_err(broken)?;
                    self.keep()?;
                }
                Ask::Exhausted { .. } => {
                    if self.running.is_empty() {
                        self.end = Some(TuneEnd::Exhausted);
                    }
                    return Ok(None);
                }
            }
        }
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
        let Some(running) = self.running.get_mut(&slot) else { return Ok(()) };
        let advice =
            self.study.report(TrialNumber(running.trial), report.step, report.value).map_err(broken)?;
        if let Advice::Stop { .. } = advice {
            running.pruned = true;
            running.off.store(true, Ordering::Relaxed);
        }
        self.keep()
    }

    fn take(&mut self, slot: usize, measured: Measured) -> Result<(), RunError> {
        let Some(Running { trial, pruned, .. }) = self.running.remove(&slot) else { return Ok(()) };
        match measured {
            Measured::Value { value, wall_s, is_ambiguous } => {
                let at_s = self.seconds();
                self.diary.write(&[Line::Run { at_s, trial, value: Some(value), wall_s }])?;
                self.walls.push(wall_s);
                self.measurements.entry(trial).or_default().push(value);
                if is_ambiguous {
                    self.warn(
                        "the line with the result holds several numbers: the last one was taken".into(),
                    );
                }
                if self.wants_more(trial) {
                    self.queue.push_front(trial);
                    return Ok(());
                }
                let middle = noise::middle(&self.measurements[&trial]);
                self.tell(trial, Outcome::from(middle))?;
                self.look_at_values();
                Ok(())
            }
            Measured::Failed(reason) => {
                self.tell(trial, Outcome::Failed(reason))?;
                self.look_at_failures()
            }
            Measured::CalledOff if pruned => self.tell(trial, Outcome::Pruned),
            Measured::CalledOff => match self.measurements.get(&trial).map(|values| noise::middle(values)) {
                Some(middle) if middle.is_finite() => self.tell(trial, Outcome::from(middle)),
                // An interrupted study tries it again when it is taken up.
                _ if self.end == Some(TuneEnd::Interrupted) => Ok(()),
                _ => self.tell(trial, Outcome::Failed(format!("{CALLED_OFF}: the time was used up"))),
            },
            Measured::Unusable(why) => Err(RunError::usage(format!("the command cannot be run: {why}"))
                .hint("give a program that exists, with its path or to be found in PATH")),
        }
    }

    fn wants_more(&self, trial: u32) -> bool {
        let values = &self.measurements[&trial];
        if values.len() >= self.options.repeats as usize || self.end.is_some() {
            return false;
        }
        let best =
            self.study.best().and_then(|best| self.measurements.get(&best.number.0)).map(Vec::as_slice);
        noise::is_worth_repeating(values, best, self.noise(), self.options.direction)
    }

    fn noise(&self) -> Option<f64> {
        noise::spread(self.measurements.values().map(Vec::as_slice))
    }

    fn tell(&mut self, trial: u32, outcome: Outcome) -> Result<(), RunError> {
        self.study.tell(TrialNumber(trial), outcome).map_err(broken)?;
        self.keep()?;
        let best = self.study.best();
        let is_best = best.is_some_and(|best| best.number.0 == trial);
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
        if reasons.len() >= FAILURES_MAX || (reasons.len() >= FAILURES_ALIKE_MAX && alike) {
            return Err(RunError::failed(format!(
                "the command failed in each of the first {} trials: {}",
                reasons.len(),
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
        let default = self.study.trials().iter().find(|trial| trial.origin == "default");
        let Some(default) = default.map(|trial| trial.params.clone()) else {
            if self.options.confirm > 0 {
                self.warn("nothing to compare the best with: no parameter has a default".into());
            }
            return Ok(());
        };
        if self.compared.len() < self.options.confirm as usize {
            (self.news)(TuneNews::Comparing);
        }
        while self.compared.len() < self.options.confirm as usize && !self.stop.asked() {
            let repeat = self.compared.len() as u32;
            // Who goes first changes, so that a machine that warms up favours nobody.
            let order = if repeat.is_multiple_of(2) { [&default, &best] } else { [&best, &default] };
            let mut values = Vec::new();
            for params in order {
                match self.measure_now(params, repeat) {
                    Measured::Value { value, .. } => values.push(value),
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
        self.template.run(params, &self.names, context, &mut |_| {
            let late = deadline.is_some_and(|deadline| self.seconds() > deadline);
            if self.stop.asked() || late { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    }

    fn told(&self, trial: &Trial) -> TuneTrial {
        let (state, note) = match &trial.state {
            TrialState::Running => ("running", trial.note.clone()),
            TrialState::Complete { .. } => ("complete", trial.note.clone()),
            TrialState::Pruned => ("pruned", trial.note.clone()),
            TrialState::Failed { reason } => ("failed", Some(reason.clone())),
        };
        TuneTrial {
            number: trial.number.0,
            params: trial.params.clone(),
            value: trial.values().map(|values| values[0]),
            state: state.into(),
            origin: trial.origin.clone(),
            measurements: self.measurements.get(&trial.number.0).cloned().unwrap_or_default(),
            note,
        }
    }

    /// Writes the page, so that a browser shows how the study stands.
    fn draw(&self, importances: Vec<(String, f64)>, end: &str) -> Result<(), RunError> {
        let line = |params: &Params| {
            let all: Vec<String> =
                params.iter().map(|(name, value)| format!("{name}={}", written(value))).collect();
            all.join(" ")
        };
        let trials = self.study.trials().iter().map(|trial| {
            let told = self.told(trial);
            StudyLine {
                number: told.number,
                value: told.value,
                params: line(&told.params),
                note: told.note.unwrap_or_default(),
                state: told.state,
                origin: told.origin,
            }
        });
        let best = self.study.best().and_then(|trial| {
            let params = trial.params.iter().map(|(name, value)| (name.clone(), written(value))).collect();
            Some((params, trial.values()?[0]))
        });
        let default = self.study.trials().iter().find(|trial| trial.origin == "default");
        let ratio = noise::ratio(&self.compared, self.options.direction);
        let sheet = StudySheet {
            title: self.options.description.clone().unwrap_or_default(),
            command: self.options.command.join(" "),
            is_minimized: self.options.direction == Direction::Minimize,
            sampler: self.study.reason(),
            end: end.into(),
            seconds: self.seconds(),
            best,
            default: default.and_then(Trial::values).map(|values| values[0]),
            ratio: ratio.map(|(middle, low, high)| (middle, low, high, self.compared.len())),
            importances,
            trials: trials.collect(),
            warnings: self.warnings.clone(),
        };
        write_durably(&self.options.out.join(REPORT), study_page(&sheet).as_bytes())
    }

    fn calibration(&self) -> Option<Calibration> {
        let found = calibration(self.study.trials())?;
        Some(Calibration { trials: found.pairs.len(), bias: found.bias, error: found.error })
    }

    fn finish(self) -> Result<TuneResult, RunError> {
        let trials: Vec<TuneTrial> = self.study.trials().iter().map(|trial| self.told(trial)).collect();
        let best = self.study.best().and_then(|trial| {
            Some(Best {
                number: trial.number.0,
                params: trial.params.clone(),
                value: trial.values()?[0],
                measurements: self.measurements.get(&trial.number.0).cloned().unwrap_or_default(),
            })
        });
        if best.is_none() && self.end != Some(TuneEnd::Interrupted) {
            let why = trials.iter().rev().find_map(|trial| trial.note.clone()).unwrap_or_default();
            return Err(RunError::failed(format!("none of {} trials gave a number: {why}", trials.len()))
                .hint(remedy(&why)));
        }
        let comparison = (!self.compared.is_empty()).then(|| {
            let ratio = noise::ratio(&self.compared, self.options.direction);
            Comparison {
                default: self.compared.iter().map(|pair| pair.0).collect(),
                best: self.compared.iter().map(|pair| pair.1).collect(),
                ratio: ratio.map(|(middle, _, _)| middle),
                low: ratio.map(|(_, low, _)| low),
                high: ratio.map(|(_, _, high)| high),
            }
        });
        let end = self.end.unwrap_or(TuneEnd::Trials);
        let words = match end {
            TuneEnd::Trials => "all trials made",
            TuneEnd::Time => "the time is used up",
            TuneEnd::Exhausted => "every configuration was tried",
            TuneEnd::Interrupted => "interrupted",
        };
        let importances: Vec<(String, f64)> = importances(&self.study.history())
            .into_iter()
            .map(|importance| (importance.parameter, importance.share))
            .collect();
        self.draw(importances.clone(), words)?;
        let mut result = TuneResult {
            best,
            trials,
            sampler: self.study.reason(),
            seconds: self.seconds(),
            end,
            direction: self.options.direction,
            seed: self.options.seed.0,
            comparison,
            noise: self.noise(),
            calibration: self.calibration(),
            importances: importances.into_iter().collect(),
            warnings: self.warnings,
            out: self.options.out.clone(),
        };
        if let Some(memory) = lessons::memory(&self.options, &self.clock) {
            let trouble = lessons::store(&memory, &self.options, &result, self.clock.unix_seconds());
            result.warnings.extend(trouble);
        }
        let text = serde_json::to_vec_pretty(&result)
            .map_err(|error| RunError::failed(format!("writing JSON: {error}")))?;
        write_durably(&self.options.out.join(RESULT), &text)?;
        Ok(result)
    }
}
