//! Language models in a run: who is asked, with which wordings, what it costs, and what comes back.
//!
//! Questions are tasks of the runtime, so that the dispatcher goes on while a model thinks. What comes back is news: raw
//! answers, which are journalled before anything is built upon them, and conclusions. A resumed run finds its answers in the
//! journal and does not pay for them again.
//!
//! Invariant: nothing here decides anything; keys leave in headers alone.

mod allowance;
mod aside;
pub mod caller;
mod kept;
pub mod pages;
mod quote;
mod sight;
mod summary;

#[cfg(test)]
mod tests;

pub use allowance::Allowance;
pub use aside::{Aside, Words};
pub use quote::quote;
pub use sight::{Cases, cases, nonce};
pub use summary::{ideas_of, is_version, summary};

use crate::error::{RunError, RunErrorKind};
use crate::options::LlmOptions;
use crate::record::Record;
use ansatz_agents::mind::{Mind, MindError, Purpose};
use ansatz_agents::thought::{Conclusion, Grounds, Thought};
use ansatz_core::bill::{Bill, PriceTable};
use ansatz_core::budget::Budget;
use ansatz_core::clock::Clock;
use ansatz_core::event::{Event, ModelCall, Page};
use ansatz_core::ids::ArtifactId;
use ansatz_core::secret::Secret;
use ansatz_core::seed::Seed;
use ansatz_journal::Blobs;
use ansatz_llm::{
    Answer, Caps, Cassette, Charge, ChatModel, Entry, Key, LastFailure, Ledger, LlmError, LlmErrorKind,
    Player, Tape, silent,
};
use ansatz_prompts::planner::Replan;
use ansatz_prompts::{Prompt as _, Prompts};
use caller::Caller;
use kept::Kept;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Tokens of a run whose user set no cap, in both directions.
pub const TOKENS_DEFAULT: u64 = 75_000;
/// Longest time for an answer, all attempts included.
const PATIENCE_MAX: Duration = Duration::from_mins(10);
/// Questions in a row that the endpoint fails to answer before it is given up.
const FAILURES_MAX: u32 = 2;
/// Warnings that came with answers which are passed on.
const WARNINGS_MAX: u32 = 3;
/// Name of the recorded decision that says what a recording is of.
const SUBJECT: &str = "subject";
/// Name of the recorded decision that holds pages.
const PAGES: &str = "pages";
/// Name of the recorded decision that the model was given up, after how many questions.
const GIVEN_UP: &str = "given up after questions";
/// Name of the recorded decision that the request was begun without an answer.
const LATE: &str = "understood without an answer";

/// Something that came back.
pub enum News {
    /// One call ended.
    Called(Box<Called>),
    /// A question is settled.
    Concluded {
        /// Its number.
        thought: u32,
        /// What came of it.
        result: Result<Conclusion, MindError>,
    },
    /// A search endpoint answered, or did not.
    Retrieved {
        /// What was looked for.
        query: String,
        /// What was found, or why nothing.
        result: Result<Vec<Page>, String>,
    },
}

/// Why nothing was heard about a request.
pub enum Unheard {
    /// There was no more time to wait.
    Late(Duration),
    /// No answer, or none of use.
    Failed(MindError),
}

impl Unheard {
    /// What the user is told.
    pub fn told(&self) -> String {
        match self {
            Self::Late(longest) => format!("no answer within {:.0} s", longest.as_secs_f64()),
            Self::Failed(error) => told(error),
        }
    }
}

/// One call that ended.
pub struct Called {
    /// What it was about.
    pub key: Key,
    /// The answer, or why there is none.
    pub result: Result<Answer, String>,
    /// Time from asking to the end, in seconds.
    pub seconds: f64,
}

/// The language model of a run.
pub struct Council {
    model: Arc<dyn ChatModel>,
    name: String,
    prompts: Arc<Prompts>,
    ledger: Arc<Ledger>,
    failure: LastFailure,
    prices: PriceTable,
    is_required: bool,
    search: Option<String>,
    retrieved: Option<Vec<Page>>,
    is_looking: bool,
    player: Option<Arc<Player>>,
    tape: Option<Arc<Tape>>,
    /// Whether the recording that is played has no answer about the request, because there was no time for it.
    was_late: bool,
    sender: mpsc::UnboundedSender<News>,
    receiver: mpsc::UnboundedReceiver<News>,
    grounds: Option<Arc<Grounds>>,
    ordinals: BTreeMap<(String, String), u32>,
    open: BTreeMap<u32, AbortHandle>,
    asked: u32,
    answered: u32,
    allowance: Allowance,
    /// Questions in a row that the endpoint failed to answer.
    failures: u32,
    /// After how many questions the model is given up: in this run, or in the one that was recorded.
    given_up_after: Option<u32>,
    /// Warnings that came with answers and were passed on.
    warned: u32,
    /// The caps, until the user was told that one is reached.
    caps: Option<Caps>,
    /// What the user is to be told.
    notes: Vec<String>,
}

/// What a recording is of: a run is replayed on the same data with the same seed and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Hash of the training data.
    pub data_hash: String,
    /// The seed.
    pub seed: Seed,
    /// Trials of a run that counts them.
    pub trials: Option<u32>,
}

impl Council {
    /// Makes the caller from what was configured. `past` holds the journal of an earlier life of the run.
    ///
    /// # Errors
    /// Of kind `Usage`: an address that makes no sense, wordings that fail their checks, a recording that cannot be read or
    /// is of something else.
    pub fn connect(
        options: &LlmOptions,
        budget: &Budget,
        keys: &[Option<Secret>],
        subject: &Subject,
        clock: &Arc<dyn Clock>,
        past: &[Event],
        blobs: &Blobs,
    ) -> Result<Self, RunError> {
        let prompts = wordings(Some(options))?;
        let caps = Caps { usd: budget.usd, ..Caps::default() };
        let caps = Caps { tokens: Some(budget.tokens.unwrap_or(TOKENS_DEFAULT)), ..caps };
        let patience = patience(options, budget);
        let is_resumed = past.iter().any(|event| matches!(event, Event::RunStarted { .. }));
        let caller = caller::connect(options, keys, caps, patience, subject.seed, clock, !is_resumed)?;
        if let (Some(cassette), Some(folder)) = (&caller.cassette, &options.replay) {
            same_subject(cassette, subject, folder)?;
        }
        if let Some(tape) = &caller.tape {
            let about = Entry::Decision { name: SUBJECT.into(), value: described(subject) };
            tape.write(&about).map_err(|error| caller::unusable(&error))?;
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        for charge in charges(past) {
            caller.ledger.carry_over(charge);
        }
        let retrieved = pages_known(past, caller.cassette.as_ref());
        let Caller { model, name, ledger, failure, player, tape, cassette } = caller;
        let decided =
            |name: &'static str| cassette.as_ref().and_then(|cassette| cassette.decisions(name).next());
        let was_late = decided(LATE).is_some();
        let given_up_after =
            decided(GIVEN_UP).and_then(Value::as_u64).and_then(|asked| u32::try_from(asked).ok());
        let notes = by_the_clock(budget, tape.is_some(), player.is_some());
        let kept = Kept::new(model, known(past, blobs), sender.clone(), tape.clone());
        let model: Arc<dyn ChatModel> = Arc::new(kept);
        Ok(Self {
            model,
            name,
            prompts: Arc::new(prompts),
            ledger,
            failure,
            prices: options.prices.clone(),
            is_required: options.is_required,
            // A recording holds what was found when it was made.
            search: options.search.clone().filter(|_| player.is_none() && retrieved.is_none()),
            retrieved,
            is_looking: false,
            player,
            tape,
            was_late,
            sender,
            receiver,
            grounds: None,
            ordinals: asked_before(past),
            open: BTreeMap::new(),
            asked: 0,
            answered: 0,
            allowance: Allowance::of(budget),
            failures: 0,
            given_up_after,
            warned: 0,
            caps: Some(caps),
            notes: notes.into_iter().collect(),
        })
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What replies are checked against from now on.
    pub fn stand_on(&mut self, grounds: Grounds) {
        self.grounds = Some(Arc::new(grounds));
    }

    /// Whether another question may be asked.
    pub fn may_ask(&self) -> bool {
        let most = self.allowance.thoughts().min(self.given_up_after.unwrap_or(u32::MAX));
        self.grounds.is_some() && self.asked < most
    }

    /// What the budget leaves room for.
    pub fn allowance(&self) -> Allowance {
        self.allowance
    }

    /// What the user is to be told; given once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// How often a step has asked this.
    pub fn times_asked(&self, template: &str, step: &str) -> u32 {
        self.ordinals.get(&(template.to_owned(), step.to_owned())).copied().unwrap_or(0)
    }

    /// Questions that are not settled, a search among them.
    pub fn open(&self) -> usize {
        self.open.len() + usize::from(self.is_looking)
    }

    /// Whether the search endpoint is being asked.
    pub fn is_looking(&self) -> bool {
        self.is_looking
    }

    /// Pages that an earlier life of the run, or the run that was recorded, found; given once.
    pub fn take_retrieved(&mut self) -> Option<Vec<Page>> {
        self.retrieved.take()
    }

    /// Has the search endpoint asked, if there is one and it was not asked before; false when it was not.
    pub fn look_up(&mut self, query: String) -> bool {
        let Some(base) = self.search.take() else { return false };
        let sender = self.sender.clone();
        self.is_looking = true;
        // A thread of its own: nothing waits for it when the search is over before it has found anything.
        std::thread::spawn(move || {
            let result = pages::look_up(&base, &query);
            let _ = sender.send(News::Retrieved { query, result });
        });
        true
    }

    /// The call that asking this thought for a step would be.
    pub fn call(&self, thought: &Thought, step: &str) -> ModelCall {
        ModelCall {
            agent: thought.agent().into(),
            template: thought.template().into(),
            hash: self.prompts.hashes().get(thought.template()).cloned().unwrap_or_default(),
            step: step.to_owned(),
            ordinal: self.times_asked(thought.template(), step),
            turn: 0,
        }
    }

    /// Has a thought answered. Its number is that of the conclusion that will come. Must be used inside the runtime.
    pub fn ask(&mut self, thought: Thought, call: &ModelCall) -> u32 {
        let number = self.asked;
        self.asked += 1;
        *self.ordinals.entry((call.template.clone(), call.step.clone())).or_insert(0) += 1;
        let (model, prompts, sender) =
            (Arc::clone(&self.model), Arc::clone(&self.prompts), self.sender.clone());
        let purpose = Purpose { agent: thought.agent(), step: call.step.clone(), ordinal: call.ordinal };
        let Some(grounds) = self.grounds.clone() else { return number };
        let task = tokio::spawn(async move {
            let mind = Mind { model: &*model, prompts: &prompts };
            let result = thought.ask(&mind, &purpose, &grounds, &mut silent()).await;
            // Nobody listens any more when the search is over.
            let _ = sender.send(News::Concluded { thought: number, result });
        });
        self.open.insert(number, task.abort_handle());
        number
    }

    /// What came back next. Cancel-safe; waits for ever when nothing is open.
    pub async fn news(&mut self) -> News {
        loop {
            // This side holds a sender, so the channel never closes.
            if let Some(news) = self.receiver.recv().await {
                match &news {
                    News::Concluded { thought, result } => {
                        self.open.remove(thought);
                        self.count(result);
                    }
                    News::Called(called) => self.answered += u32::from(called.result.is_ok()),
                    News::Retrieved { result, .. } => {
                        self.is_looking = false;
                        self.record_decision(PAGES, json!(result.as_deref().unwrap_or_default()));
                    }
                }
                return news;
            }
        }
    }

    /// Counts what became of a question. An endpoint that fails again and again is given up: every further question would take
    /// the time of all its attempts.
    fn count(&mut self, result: &Result<Conclusion, MindError>) {
        match result {
            Ok(_) => {
                self.answered += 1;
                self.failures = 0;
            }
            Err(MindError::Model(error)) if was_asked(error) => {
                self.failures = if error.is_of_endpoint() { self.failures + 1 } else { 0 };
            }
            // The endpoint had no part in it.
            Err(_) => return,
        }
        if self.failures == FAILURES_MAX && self.given_up_after.is_none() {
            self.given_up_after = Some(self.asked);
            // What is recorded failed for another reason when it is played, so the decision is recorded itself.
            self.record_decision(GIVEN_UP, json!(self.asked));
            self.notes.push(format!(
                "the language model {} is not asked any more: its endpoint failed {FAILURES_MAX} questions in a row",
                self.name
            ));
        }
    }

    /// A recording holds what was decided. One that lacks something says so when it is played: a request differs.
    fn record_decision(&self, name: &str, value: Value) {
        let Some(tape) = &self.tape else { return };
        let _ = tape.write(&Entry::Decision { name: name.into(), value });
    }

    /// What is to be said when no question was answered: that the model was of no help, and why.
    pub fn silence(&self) -> Option<String> {
        if self.asked == 0 {
            let why = "too little time was left for a question";
            return Some(format!("the language model {} was not asked: {why}", self.name));
        }
        if self.open.is_empty() || self.answered > 0 {
            return None;
        }
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let why = failure.map_or_else(|| "nothing came in time".to_owned(), |error| told(&error.into()));
        Some(format!("the language model {} gave no answer while the run searched: {why}", self.name))
    }

    /// Has one question answered before anything else is done, and waits so long for it.
    ///
    /// # Errors
    /// When the journal or the recording cannot be written.
    pub async fn hear(
        &mut self,
        thought: Thought,
        step: &str,
        longest: Duration,
        record: &mut Record,
    ) -> Result<Result<Conclusion, Unheard>, RunError> {
        if self.was_late {
            return Ok(Err(Unheard::Late(longest)));
        }
        let call = self.call(&thought, step);
        record.write(Event::ModelAsked { call: call.clone() })?;
        self.ask(thought, &call);
        let until = tokio::time::Instant::now() + longest;
        loop {
            match tokio::time::timeout_at(until, self.news()).await {
                Ok(News::Called(called)) => self.keep(&called, record)?,
                // Nobody looks anything up before the search.
                Ok(News::Retrieved { .. }) => {}
                Ok(News::Concluded { result, .. }) => return Ok(result.map_err(Unheard::Failed)),
                Err(_) => {
                    self.dismiss();
                    if let Some(tape) = &self.tape {
                        let late = Entry::Decision { name: LATE.into(), value: Value::Null };
                        tape.write(&late).map_err(|error| caller::unusable(&error))?;
                    }
                    return Ok(Err(Unheard::Late(longest)));
                }
            }
        }
    }

    /// Journals a call that ended, counts what it cost, and passes on what its endpoint has to say about it.
    ///
    /// # Errors
    /// When the journal cannot be written.
    pub fn keep(&mut self, called: &Called, record: &mut Record) -> Result<(), RunError> {
        let answer = called.result.as_ref().ok().map(|answer| {
            let bytes = serde_json::to_vec(answer).map_err(|error| RunError::failed(error.to_string()))?;
            record.blob(&bytes)
        });
        let event = self.entry(called, answer.transpose()?);
        if let Event::ModelAnswered { usage, usd, .. } = &event {
            record.count_call(usage, *usd);
        }
        record.write(event)?;
        for warning in called.result.iter().flat_map(|answer| &answer.warnings) {
            // An endpoint says the same of call after call, each time with other numbers.
            if self.warned < WARNINGS_MAX {
                self.warned += 1;
                record.warn(warning.clone())?;
            }
        }
        Ok(())
    }

    /// What the user is told when the run's allowance does not hold a question; `None` for other failures, and when it was told.
    pub fn told_of_cap(&mut self, error: &MindError) -> Option<String> {
        let MindError::Model(error) = error else { return None };
        let LlmErrorKind::Cap(why) = &error.kind else { return None };
        let caps = self.caps.take()?;
        let hint = error.hint().unwrap_or_default();
        if caps.usd.is_some() && self.prices.price(&self.name).is_none() {
            return Some(format!("the language model {} is not asked: {why}; {hint}", self.name));
        }
        Some(format!("the allowance of {} is used up: {why}; {hint}", in_words(&caps)))
    }

    /// Lets go of all open questions.
    pub fn dismiss(&mut self) {
        for task in std::mem::take(&mut self.open).into_values() {
            task.abort();
        }
    }

    /// The event of a call that ended, and what it cost.
    fn entry(&self, called: &Called, answer: Option<ArtifactId>) -> Event {
        let model = called.result.as_ref().map_or_else(|_| self.name.clone(), |answer| answer.model.clone());
        let (usage, usd) = self.ledger.spent_on(&called.key);
        Event::ModelAnswered {
            call: called.key.clone(),
            answer,
            error: called.result.as_ref().err().cloned(),
            model,
            usage,
            usd,
            seconds: called.seconds,
        }
    }

    /// Whether a failure ends the run, and as what: a model that was required and cannot be had, a recording that does not
    /// hold what is asked.
    pub fn ends_run(&self, error: &MindError) -> Option<RunError> {
        let MindError::Model(error) = error else { return None };
        let wrapped = |kind| {
            let wrapped = RunError::new(kind, format!("the language model cannot be used: {error}"));
            error.hint().map_or_else(|| wrapped.clone(), |hint| wrapped.clone().hint(hint))
        };
        if matches!(error.kind, LlmErrorKind::Cassette(_)) {
            return Some(wrapped(RunErrorKind::Failed));
        }
        let is_lost = self.is_required && self.answered == 0 && error.is_of_endpoint();
        is_lost.then(|| wrapped(if error.is_auth() { RunErrorKind::Auth } else { RunErrorKind::Provider }))
    }

    /// What was spent so far.
    pub fn bill(&self) -> Bill {
        self.ledger.bill()
    }

    /// Recorded calls that nobody asked for, in words; empty without a recording.
    pub fn unplayed(&self) -> Vec<String> {
        let unplayed = self.player.iter().flat_map(|player| player.unplayed());
        unplayed.map(|key| format!("{} for step {}", key.template, key.step)).collect()
    }
}

/// What a failure is told as, with what to do.
pub fn told(error: &MindError) -> String {
    match error {
        MindError::Model(error) => match error.hint() {
            Some(hint) => format!("{error}; {hint}"),
            None => error.to_string(),
        },
        MindError::Prompt(error) => error.to_string(),
    }
}

/// Whether a failure is only that the run's allowance is used up.
pub fn is_cap(error: &MindError) -> bool {
    matches!(error, MindError::Model(LlmError { kind: LlmErrorKind::Cap(_), .. }))
}

/// Whether the model had a part in a failure: it is not asked beyond a cap, nor when a recording is played.
fn was_asked(error: &LlmError) -> bool {
    !matches!(error.kind, LlmErrorKind::Cap(_) | LlmErrorKind::Cassette(_) | LlmErrorKind::Recorded(_))
}

fn in_words(caps: &Caps) -> String {
    let tokens = caps.tokens.map(|tokens| format!("{tokens} tokens"));
    let usd = caps.usd.map(|usd| format!("{usd} USD"));
    tokens.into_iter().chain(usd).collect::<Vec<_>>().join(" and ")
}

/// What there is to say about a recording of a run that follows the clock.
fn by_the_clock(budget: &Budget, is_recorded: bool, is_played: bool) -> Option<String> {
    if budget.trials.is_some() {
        return None;
    }
    let recorded = "this recording follows the clock and plays only where everything takes as long as here; \
                    with --trials N instead of a time it plays anywhere";
    let played = "this recording is played by the clock and fits only where everything takes as long as when it was made; \
                  recordings of runs with --trials N play anywhere";
    if is_recorded { Some(recorded.into()) } else { is_played.then(|| played.into()) }
}

/// Second thoughts that earlier lives of a run were given: what came of them stands in its plan, so the next are new ones. All
/// other questions are asked anew, and find the answers that are known.
fn asked_before(past: &[Event]) -> BTreeMap<(String, String), u32> {
    let mut asked = BTreeMap::new();
    for event in past {
        let Event::ModelAnswered { call, answer: Some(_), .. } = event else { continue };
        if call.template == Replan::NAME {
            let times = asked.entry((call.template.clone(), call.step.clone())).or_insert(0);
            *times = (*times).max(call.ordinal + 1);
        }
    }
    asked
}

/// How long an answer is waited for, all attempts included. A run that must have a model finds out while there is time left.
fn patience(options: &LlmOptions, budget: &Budget) -> Duration {
    let longest = budget.wall.unwrap_or(PATIENCE_MAX).min(PATIENCE_MAX);
    if options.is_required { longest / 3 } else { longest }
}

fn described(subject: &Subject) -> Value {
    json!({"data": subject.data_hash, "seed": subject.seed, "trials": subject.trials})
}

fn same_subject(cassette: &Cassette, subject: &Subject, folder: &Path) -> Result<(), RunError> {
    let Some(recorded) = cassette.decisions(SUBJECT).next() else { return Ok(()) };
    match ansatz_llm::first_difference(recorded, &described(subject), "run") {
        None => Ok(()),
        Some(difference) => {
            Err(RunError::usage(format!("{} is a recording of another run: {difference}", folder.display()))
                .hint("replay on the same data with the same --seed and --trials"))
        }
    }
}

/// Pages out of the journal of an earlier life of the run, or out of a recording.
fn pages_known(past: &[Event], cassette: Option<&Cassette>) -> Option<Vec<Page>> {
    let journalled = past.iter().find_map(|event| match event {
        Event::Retrieved { pages, .. } => Some(pages.clone()),
        _ => None,
    });
    let recorded = || serde_json::from_value(cassette?.decisions(PAGES).next()?.clone()).ok();
    journalled.or_else(recorded)
}

/// Answers that an earlier life of the run got.
fn known(past: &[Event], blobs: &Blobs) -> BTreeMap<Key, Answer> {
    let answers = past.iter().filter_map(|event| match event {
        Event::ModelAnswered { call, answer: Some(answer), .. } => {
            let bytes = blobs.get(answer).ok()?;
            Some((call.clone(), serde_json::from_slice(&bytes).ok()?))
        }
        _ => None,
    });
    answers.collect()
}

fn charges(past: &[Event]) -> impl Iterator<Item = Charge> {
    past.iter().filter_map(|event| match event {
        Event::ModelAnswered { call, model, usage, usd, seconds, error, .. } => Some(Charge {
            key: call.clone(),
            model: model.clone(),
            usage: *usage,
            usd: *usd,
            took: Duration::try_from_secs_f64(*seconds).unwrap_or_default(),
            error: error.clone(),
        }),
        _ => None,
    })
}

impl Drop for Council {
    fn drop(&mut self) {
        self.dismiss();
    }
}

/// The wordings of prompts: the user's own where there are some.
///
/// # Errors
/// Of kind `Usage` when a template fails its checks.
pub fn wordings(options: Option<&LlmOptions>) -> Result<Prompts, RunError> {
    let prompts = match options.and_then(|options| options.prompts.as_ref()) {
        Some(folder) => Prompts::with_overrides(folder),
        None => Prompts::built_in(),
    };
    prompts.map_err(|error| RunError::usage(error.to_string()).hint(error.hint()))
}
