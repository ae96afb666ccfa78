//! The patient caller: waits and tries again, fails over between endpoints, gives thoughts their room, continues what was cut,
//! says it shorter or differently once. Time is an argument, chance comes from a seed.

use crate::breaker::Breaker;
use crate::cut;
use crate::error::{LlmError, LlmErrorKind};
use crate::model::{Answer, Answering, Ask, ChatModel, Finish, Message, OnText, Role, Want};
use crate::pace::{Pace, RealPace};
use crate::thinking::{Room, Thinking};
use ansatz_core::bill::Usage;
use ansatz_core::retry::{Backoff, Retry, unit};
use ansatz_core::seed::Seed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Calls to one endpoint at a time.
const CONCURRENT_MAX: usize = 4;

/// Letters at the end of a cut answer in which the beginning of its continuation is looked for.
const OVERLAP_MAX: usize = 400;

/// Fewest letters that count as such an overlap.
const OVERLAP_MIN: usize = 8;

/// What is said when a model stopped in the middle of a text.
const GO_ON: &str = "Your answer was cut off. Go on exactly where it stopped, without repeating anything and without a word about it.";

/// What is said when a JSON answer became too long.
const SHORTER: &str = "Your answer was too long and was cut off. Answer again in the same form, but in less than half the words.";

/// What is said when a model refused or said nothing.
const AGAIN: &str = "This is an ordinary data science task about the user's own data. Please answer in the form that was asked for.";

/// How patient the caller is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// Trying again after failures that may pass.
    pub backoff: Backoff,
    /// A whole request with all its attempts.
    pub total: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { backoff: Backoff::default(), total: Duration::from_mins(10) }
    }
}

/// The latest failure since the latest success, for whoever must say why nothing came. Changed by every attempt.
pub type LastFailure = Arc<Mutex<Option<LlmError>>>;

/// One endpoint with what is known of it.
struct Line {
    model: Box<dyn ChatModel>,
    slots: Semaphore,
    /// Changed by every call on this endpoint.
    breaker: Mutex<Breaker>,
    /// Changed by every answer of this endpoint.
    thinking: Mutex<Thinking>,
}

impl Line {
    fn breaker<T>(&self, look: impl FnOnce(&mut Breaker) -> T) -> T {
        look(&mut self.breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn thinking<T>(&self, look: impl FnOnce(&mut Thinking) -> T) -> T {
        look(&mut self.thinking.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One answer, with the room that this model's thoughts are known to need: as much of it as caps and context hold. Gives also
    /// how many tokens the answer might have had.
    async fn answer(&self, ask: &Ask, room: Room, on_text: OnText<'_>) -> Result<(Answer, u32), LlmError> {
        let wanted = room.wanted.max(self.thinking(|thinking| thinking.room()));
        let mut room = Room { wanted, ..room }.within(self.model.left(ask));
        let mut is_bounded = false;
        loop {
            let limit = ask.tokens_max.saturating_add(room.wanted);
            let roomy = Ask { tokens_max: limit, ..ask.clone() };
            let error = match self.model.answer(&roomy, &mut *on_text).await {
                Ok(answer) => {
                    self.thinking(|thinking| {
                        thinking.saw(&answer, room);
                        if is_bounded {
                            thinking.bound(room.wanted);
                        }
                    });
                    return Ok((answer, limit));
                }
                Err(error) => error,
            };
            let Some(less) = room.less(&error.kind) else { return Err(error) };
            is_bounded |= matches!(error.kind, LlmErrorKind::ContextOverflow(_));
            room = less;
        }
    }
}

/// Earlier turns of one request: what they used, what the user should know, how long they took.
#[derive(Default)]
struct Past {
    usage: Usage,
    warnings: Vec<String>,
    took: Duration,
}

impl Past {
    fn add(&mut self, answer: &Answer) {
        self.usage = add(self.usage, answer.usage);
        self.warn(&answer.warnings);
        self.took += answer.took;
    }

    fn warn(&mut self, warnings: &[String]) {
        for warning in warnings {
            if !self.warnings.contains(warning) {
                self.warnings.push(warning.clone());
            }
        }
    }

    /// Takes in a turn that failed. What it used is not reported; its prompt was read at least.
    fn failed(&mut self, ask: &Ask, kind: &LlmErrorKind) {
        if matches!(kind, LlmErrorKind::Refused(_) | LlmErrorKind::Filtered | LlmErrorKind::Empty) {
            let read = Usage { input: ask.tokens_estimated(), estimated: true, ..Usage::default() };
            self.usage = add(self.usage, read);
        }
        if let LlmErrorKind::ContextOverflow(why) = kind
            && cut::is_silent(kind)
        {
            self.warn(std::slice::from_ref(why));
        }
    }

    /// The last turn's answer as that of the whole request.
    fn ended_by(mut self, last: Answer) -> Answer {
        self.add(&last);
        Answer { usage: self.usage, warnings: self.warnings, took: self.took, ..last }
    }
}

/// Calls the first endpoint that works, patiently.
pub struct Patient {
    lines: Vec<Line>,
    patience: Patience,
    seed: Seed,
    pace: Arc<dyn Pace>,
    last_failure: LastFailure,
}

impl Patient {
    /// A caller of these endpoints, the preferred one first.
    pub fn new(models: Vec<Box<dyn ChatModel>>, patience: Patience, seed: Seed) -> Self {
        let line = |model| Line {
            model,
            slots: Semaphore::new(CONCURRENT_MAX),
            breaker: Mutex::default(),
            thinking: Mutex::default(),
        };
        let pace = Arc::new(RealPace::default());
        let lines = models.into_iter().map(line).collect();
        Self { lines, patience, seed, pace, last_failure: LastFailure::default() }
    }

    /// Where the latest failure can be read, also while a request is still being tried.
    pub fn last_failure(&self) -> LastFailure {
        Arc::clone(&self.last_failure)
    }

    fn note(&self, failure: Option<LlmError>) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// The same with another time.
    #[must_use]
    pub fn at_pace(self, pace: Arc<dyn Pace>) -> Self {
        Self { pace, ..self }
    }

    /// The endpoint to use now: the one that rests least, was not just seen to fail, and is in the least doubt, so that whoever
    /// answered last is asked before one that failed or hung; the first of equals. Gives how long to wait for it; `None` when all
    /// that are not left out are dead.
    fn choose(&self, failed: &[usize], left_out: &[usize]) -> Option<(usize, Duration)> {
        let now = self.pace.now();
        let standing = |n: usize| {
            self.lines[n].breaker(|breaker| {
                let rest = breaker.rest(now).unwrap_or_default();
                breaker.dead().is_none().then(|| (rest, failed.contains(&n), breaker.doubt(now), n))
            })
        };
        let others = (0..self.lines.len()).filter(|n| !left_out.contains(n));
        let (rest, _, _, n) = others.filter_map(standing).min()?;
        Some((n, rest))
    }

    fn all_dead(&self) -> LlmError {
        let why = self.lines.iter().find_map(|line| line.breaker(|breaker| breaker.dead().cloned()));
        why.unwrap_or_else(|| {
            LlmError::new("no model", LlmErrorKind::Address("no endpoint is configured".into()))
        })
    }

    async fn ask(&self, ask: &Ask, on_text: OnText<'_>) -> Result<Answer, LlmError> {
        let (mut current, mut room, mut past) = (ask.clone(), Room::default(), Past::default());
        let (mut is_changed, mut is_repeated) = (false, false);
        loop {
            let (answer, limit) = match self.reach(&current, room, &mut *on_text).await {
                Ok(reached) => reached,
                Err(error) => {
                    let may_change = !is_changed && error.retry() == Retry::AfterChange;
                    let changed = if may_change { change(&current, &error.kind) } else { None };
                    let Some(changed) = changed else { return Err(error) };
                    past.failed(&current, &error.kind);
                    (current, is_changed) = (changed, true);
                    continue;
                }
            };
            if answer.finish == Finish::Stop {
                return Ok(past.ended_by(answer));
            }
            let wider = if is_repeated { None } else { Room::of_repeat(&answer, current.tokens_max, limit) };
            if let Some(wider) = wider {
                past.add(&answer);
                (room, is_repeated) = (wider, true);
                continue;
            }
            if answer.text.is_empty() {
                return Err(LlmError::new(self.name(), LlmErrorKind::Truncated { tokens: limit }));
            }
            return self.complete(&current, answer, room, past, on_text).await;
        }
    }

    /// Gets an answer from some endpoint, and how many tokens it might have had.
    async fn reach(&self, ask: &Ask, room: Room, on_text: OnText<'_>) -> Result<(Answer, u32), LlmError> {
        let mut failures = 0;
        let (mut failed, mut refused) = (Vec::new(), Vec::new());
        let (mut latest, mut refusal) = (None, None);
        loop {
            let Some((n, rest)) = self.choose(&failed, &refused) else {
                return Err(refusal.unwrap_or_else(|| self.all_dead()));
            };
            let line = &self.lines[n];
            if rest > self.patience.backoff.cap {
                let resting = || LlmError::new(line.model.name(), LlmErrorKind::Resting(rest));
                return Err(latest.unwrap_or_else(resting));
            }
            self.pace.sleep(rest).await;
            let Ok(slot) = line.slots.acquire().await else { return Err(self.all_dead()) };
            let began = self.pace.now();
            // While this one waited for its turn, another call may have found out that the endpoint does not answer.
            if line.breaker(|breaker| breaker.dead().is_some() || breaker.rest(began).is_some()) {
                continue;
            }
            let outcome = line.answer(ask, room, &mut *on_text).await;
            drop(slot);
            let error = match outcome {
                Ok(reached) => {
                    let now = self.pace.now();
                    line.breaker(|breaker| breaker.succeeded(now));
                    self.note(None);
                    return Ok(reached);
                }
                Err(error) => error,
            };
            if !error.is_of_endpoint() {
                return Err(error);
            }
            self.note(Some(error.clone()));
            if error.is_final_for_endpoint() {
                line.breaker(|breaker| breaker.died(error.clone()));
                if self.lines.iter().all(|line| line.breaker(|breaker| breaker.dead().is_some())) {
                    return Err(error);
                }
                continue;
            }
            let Retry::Later { after } = error.retry() else {
                // The next endpoint may read longer prompts or know the parameter, if need be after its rest; each is asked once.
                refused.push(n);
                let tried = [failed.as_slice(), refused.as_slice()].concat();
                let next = self.choose(&[], &tried).filter(|(_, rest)| *rest <= self.patience.backoff.cap);
                let Some((_, rest)) = next else { return Err(error) };
                (latest, refusal) = (Some(error.clone()), Some(error));
                self.pace.sleep(rest).await;
                continue;
            };
            let now = self.pace.now();
            line.breaker(|breaker| {
                if matches!(error.kind, LlmErrorKind::Timeout { .. }) {
                    breaker.timed_out(began, now);
                } else {
                    breaker.failed(now, after);
                }
            });
            failures += 1;
            failed.push(n);
            // Another endpoint that has not failed yet needs no waiting for.
            let next = self.choose(&failed, &refused);
            let is_fresh = next.is_some_and(|(next, rest)| rest.is_zero() && !failed.contains(&next));
            if is_fresh && failures < self.patience.backoff.tries {
                latest = Some(error);
                continue;
            }
            let chance = unit(self.seed.derive(&format!("{:?}#{failures}", ask.key)).0);
            let Some(wait) = self.patience.backoff.wait(failures, after, chance) else { return Err(error) };
            latest = Some(error);
            self.pace.sleep(wait).await;
            failed.clear();
        }
    }

    /// What to do about an answer that was cut: a text is continued, JSON is asked for again in fewer words.
    async fn complete(
        &self,
        ask: &Ask,
        cut: Answer,
        room: Room,
        mut past: Past,
        on_text: OnText<'_>,
    ) -> Result<Answer, LlmError> {
        let is_text = ask.want == Want::Text;
        let mut next = ask.clone();
        next.messages.push(Message::new(Role::Assistant, cut.text.clone()));
        next.messages.push(Message::new(Role::User, if is_text { GO_ON } else { SHORTER }));
        past.add(&cut);
        let (rest, limit) = self.reach(&next, Room { least: 0, ..room }, on_text).await?;
        if rest.finish == Finish::Length {
            return Err(LlmError::new(self.name(), LlmErrorKind::Truncated { tokens: limit }));
        }
        let text = if is_text { join(&cut.text, &rest.text) } else { rest.text.clone() };
        Ok(past.ended_by(Answer { text, ..rest }))
    }
}

impl ChatModel for Patient {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            timeout(self.patience.total, self.ask(ask, on_text)).await.unwrap_or_else(|_| {
                let kind = LlmErrorKind::Timeout { what: "the whole request", limit: self.patience.total };
                Err(LlmError::new(self.name(), kind))
            })
        })
    }

    fn name(&self) -> String {
        self.lines.iter().map(|line| line.model.name()).collect::<Vec<_>>().join(", ")
    }
}

/// The request as it may succeed after this failure; `None` when nothing can be changed.
fn change(ask: &Ask, kind: &LlmErrorKind) -> Option<Ask> {
    match kind {
        LlmErrorKind::ContextOverflow(_) | LlmErrorKind::TooLarge { .. } => {
            let messages = ask.shorter.clone()?;
            Some(Ask { messages, shorter: None, ..ask.clone() })
        }
        LlmErrorKind::Refused(_) | LlmErrorKind::Filtered | LlmErrorKind::Empty => {
            let mut changed = ask.clone();
            changed.messages.push(Message::new(Role::User, AGAIN));
            Some(changed)
        }
        _ => None,
    }
}

/// A text and its continuation, what the continuation repeats left out.
fn join(text: &str, rest: &str) -> String {
    let ends = text.char_indices().map(|(at, _)| at).rev().take(OVERLAP_MAX);
    let overlap = ends.filter(|at| text.len() - at >= OVERLAP_MIN && rest.starts_with(&text[*at..])).last();
    let skip = overlap.map_or(0, |at| text.len() - at);
    format!("{text}{}", &rest[skip..])
}

/// Usage of two calls together.
pub fn add(a: Usage, b: Usage) -> Usage {
    let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (None, None) => None,
        (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
    };
    let is_nothing = a == Usage::default();
    Usage {
        input: a.input + b.input,
        cached: sum(a.cached, b.cached),
        output: a.output + b.output,
        reasoning: sum(a.reasoning, b.reasoning),
        usd: if is_nothing { b.usd } else { a.usd.zip(b.usd).map(|(a, b)| a + b) },
        estimated: a.estimated || b.estimated,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Caps, Ledger};
    use crate::model::{Key, silent};
    use crate::pace::Leaps;
    use crate::scripted::{Scripted, answered};
    use ansatz_core::bill::{Price, PriceTable};

    fn ask() -> Ask {
        let key = Key { agent: "planner".into(), template: "planner/plans".into(), ..Key::default() };
        Ask { key, messages: vec![Message::new(Role::User, "plan")], tokens_max: 100, ..Ask::default() }
    }

    fn kind(kind: LlmErrorKind) -> Result<Answer, LlmError> {
        Err(LlmError::new("m", kind))
    }

    fn busy(after_s: Option<u64>) -> Result<Answer, LlmError> {
        kind(LlmErrorKind::RateLimited { message: String::new(), after: after_s.map(Duration::from_secs) })
    }

    #[expect(clippy::unnecessary_wraps, reason = "an entry of a script")]
    fn text(text: &str) -> Result<Answer, LlmError> {
        Ok(answered(text))
    }

    #[expect(clippy::unnecessary_wraps, reason = "an entry of a script")]
    fn cut(text: &str) -> Result<Answer, LlmError> {
        Ok(Answer { finish: Finish::Length, ..answered(text) })
    }

    /// An answer that thoughts used up.
    #[expect(clippy::unnecessary_wraps, reason = "an entry of a script")]
    fn thought(reasoning: Option<u64>) -> Result<Answer, LlmError> {
        let answer = answered("");
        Ok(Answer { finish: Finish::Length, usage: Usage { reasoning, ..answer.usage }, ..answer })
    }

    fn hangs() -> Result<Answer, LlmError> {
        kind(LlmErrorKind::Timeout { what: "the first word", limit: Duration::from_mins(1) })
    }

    /// A caller of these models, and its time.
    fn caller(models: Vec<Box<dyn ChatModel>>) -> (Patient, Arc<Leaps>) {
        let pace = Arc::new(Leaps::default());
        let patient = Patient::new(models, Patience::default(), Seed(7));
        (patient.at_pace(Arc::clone(&pace) as Arc<dyn Pace>), pace)
    }

    struct Played {
        result: Result<String, LlmErrorKind>,
        asked: Vec<Vec<Ask>>,
        took: Duration,
    }

    async fn play(ask: &Ask, scripts: Vec<Vec<Result<Answer, LlmError>>>) -> Played {
        let models: Vec<Arc<Scripted>> =
            scripts.into_iter().map(|script| Arc::new(Scripted::new(script))).collect();
        let boxed = models.iter().map(|model| Box::new(Arc::clone(model)) as Box<dyn ChatModel>).collect();
        let (patient, pace) = caller(boxed);
        let result =
            patient.answer(ask, &mut silent()).await.map(|answer| answer.text).map_err(|error| error.kind);
        Played { result, asked: models.iter().map(|model| model.asked()).collect(), took: pace.now() }
    }

    #[tokio::test]
    async fn it_waits_at_least_as_long_as_asked() {
        let played = play(&ask(), vec![vec![busy(Some(7)), busy(Some(20)), text("ok")]]).await;
        assert_eq!(played.result, Ok("ok".into()));
        assert!((27.0..30.0).contains(&played.took.as_secs_f64()), "{:?}", played.took);
    }

    #[tokio::test]
    async fn it_gives_up_after_six_tries_or_when_asked_to_wait_too_long() {
        let server = || kind(LlmErrorKind::Server { status: 503, message: String::new(), after: None });
        let played = play(&ask(), vec![(0..9).map(|_| server()).collect()]).await;
        assert!(matches!(played.result, Err(LlmErrorKind::Server { status: 503, .. })));
        assert_eq!(played.asked[0].len(), 6);
        assert!(played.took < Duration::from_secs(31), "{:?}", played.took);
        let played = play(&ask(), vec![vec![busy(Some(3600)), text("late")]]).await;
        assert!(matches!(played.result, Err(LlmErrorKind::RateLimited { .. })));
    }

    #[tokio::test]
    async fn what_cannot_heal_is_not_tried_again() {
        for fatal in [
            LlmErrorKind::Quota(String::new()),
            LlmErrorKind::Auth { status: 401, message: String::new() },
            LlmErrorKind::UnknownModel(String::new()),
            LlmErrorKind::Html(String::new()),
            LlmErrorKind::Shape { problem: String::new(), sample: String::new() },
            LlmErrorKind::Cap("the cap".into()),
        ] {
            let played = play(&ask(), vec![vec![kind(fatal.clone()), text("no")]]).await;
            assert_eq!((played.result, played.asked[0].len()), (Err(fatal), 1));
        }
    }

    #[tokio::test]
    async fn it_fails_over_at_once() {
        let played = play(&ask(), vec![vec![busy(Some(30))], vec![text("second")]]).await;
        assert_eq!((played.result, played.took), (Ok("second".into()), Duration::ZERO));
        let quota = kind(LlmErrorKind::Quota(String::new()));
        let played = play(&ask(), vec![vec![quota], vec![text("second")]]).await;
        assert_eq!(played.result, Ok("second".into()));
        let too_long = kind(LlmErrorKind::ContextOverflow(String::new()));
        let played = play(&ask(), vec![vec![too_long], vec![text("longer memory")]]).await;
        assert_eq!(played.result, Ok("longer memory".into()));
        let played = play(&ask(), vec![vec![busy(Some(3600))], vec![text("second")]]).await;
        assert_eq!(played.result, Ok("second".into()), "only the first asked for so much time");
    }

    #[tokio::test]
    async fn one_that_refuses_is_asked_once_while_another_rests() {
        for refusal in [
            LlmErrorKind::ContextOverflow(String::new()),
            LlmErrorKind::Rejected { status: 400, message: String::new(), param: None },
            LlmErrorKind::TooLarge { max: 9 },
            LlmErrorKind::Shape { problem: String::new(), sample: String::new() },
        ] {
            for (rest, waited) in [(20, 20), (3600, 0)] {
                let first = Arc::new(Scripted::new(vec![busy(Some(rest)), text("first")]));
                let refusing = std::iter::repeat_with(|| kind(refusal.clone())).take(9);
                let second = Arc::new(Scripted::new([text("second")].into_iter().chain(refusing).collect()));
                let (patient, pace) =
                    caller(vec![Box::new(Arc::clone(&first)), Box::new(Arc::clone(&second))]);
                assert_eq!(patient.answer(&ask(), &mut silent()).await.unwrap().text, "second");
                let outcome = patient.answer(&ask(), &mut silent()).await;
                let outcome = outcome.map(|answer| answer.text).map_err(|error| error.kind);
                let expected: Result<String, LlmErrorKind> =
                    if waited > 0 { Ok("first".into()) } else { Err(refusal.clone()) };
                assert_eq!((outcome, second.asked().len()), (expected, 2));
                assert_eq!(pace.now(), Duration::from_secs(waited));
            }
        }
        let too_long = || kind(LlmErrorKind::ContextOverflow(String::new()));
        let played = play(&ask(), vec![vec![too_long(), too_long()], vec![busy(None), text("second")]]).await;
        assert_eq!((played.result, played.asked[0].len()), (Ok("second".into()), 1));
        let quota = kind(LlmErrorKind::Quota(String::new()));
        let played = play(&ask(), vec![vec![too_long(), too_long()], vec![quota]]).await;
        assert_eq!(
            played.result,
            Err(LlmErrorKind::ContextOverflow(String::new())),
            "a shorter prompt helps"
        );
        assert_eq!(played.asked[0].len(), 1);
    }

    #[tokio::test]
    async fn when_all_endpoints_are_busy_it_waits() {
        let played = play(&ask(), vec![vec![busy(None), text("first")], vec![busy(None)]]).await;
        assert_eq!(played.result, Ok("first".into()));
        assert!(played.took > Duration::ZERO);
    }

    #[tokio::test]
    async fn an_endpoint_without_account_is_never_called_again() {
        let model = Arc::new(Scripted::new(vec![kind(LlmErrorKind::Quota("empty".into())), text("no")]));
        let patient = Patient::new(vec![Box::new(Arc::clone(&model))], Patience::default(), Seed(0));
        for _ in 0..3 {
            let error = patient.answer(&ask(), &mut silent()).await.unwrap_err();
            assert_eq!(error.kind, LlmErrorKind::Quota("empty".into()));
        }
        assert_eq!(model.asked().len(), 1);
    }

    #[tokio::test]
    async fn after_ten_failures_the_endpoint_rests() {
        let failures = (0..30).map(|_| kind(LlmErrorKind::Connect(String::new()))).collect();
        let model = Arc::new(Scripted::new(failures));
        let pace = Arc::new(Leaps::default());
        let patient = Patient::new(vec![Box::new(Arc::clone(&model))], Patience::default(), Seed(0))
            .at_pace(Arc::clone(&pace) as Arc<dyn Pace>);
        // Six failures, then the rest of ten; what follows must wait until the endpoint has rested.
        patient.answer(&ask(), &mut silent()).await.unwrap_err();
        let before = pace.now();
        patient.answer(&ask(), &mut silent()).await.unwrap_err();
        assert!(
            pace.now().saturating_sub(before) >= Duration::from_secs(30),
            "{:?} after {} calls",
            pace.now().saturating_sub(before),
            model.asked().len()
        );
    }

    #[tokio::test]
    async fn an_endpoint_that_hangs_is_given_up_after_three_timeouts() {
        let model = Arc::new(Scripted::new((0..9).map(|_| hangs()).collect()));
        let (patient, pace) = caller(vec![Box::new(Arc::clone(&model))]);
        let failure = async || patient.answer(&ask(), &mut silent()).await.unwrap_err().kind;
        assert!(matches!(failure().await, LlmErrorKind::Timeout { .. }), "the reason is told");
        assert_eq!(model.asked().len(), 3);
        assert!(matches!(failure().await, LlmErrorKind::Resting(_)), "the next request does not wait");
        assert_eq!(model.asked().len(), 3);
        pace.sleep(Duration::from_mins(2)).await;
        assert!(matches!(failure().await, LlmErrorKind::Timeout { .. }));
        assert_eq!(model.asked().len(), 4, "one call may try");
    }

    #[tokio::test]
    async fn the_endpoint_that_answered_is_asked_before_one_that_did_not() {
        for (failure, later) in [(hangs(), "second"), (busy(None), "first")] {
            let first = Arc::new(Scripted::new(vec![failure, text("first")]));
            let second = Scripted::saying(["second", "second", "second"]);
            let (patient, pace) = caller(vec![Box::new(Arc::clone(&first)), Box::new(second)]);
            let said = async || patient.answer(&ask(), &mut silent()).await.unwrap().text;
            assert_eq!((said().await.as_str(), said().await.as_str()), ("second", "second"));
            assert_eq!(first.asked().len(), 1, "it is not asked again for every request");
            pace.sleep(Duration::from_mins(2)).await;
            assert_eq!(said().await, later, "a failure that passes is forgiven, a silence is not");
        }
    }

    #[tokio::test]
    async fn a_model_that_thinks_gets_room_for_it_and_keeps_it() {
        let counted = Usage { reasoning: Some(120), ..answered("plan").usage };
        let counted = Ok(Answer { usage: counted, ..answered("plan") });
        for (script, later) in
            [(vec![thought(None), text("plan")], 400), (vec![thought(Some(90)), counted], 340)]
        {
            let script = script.into_iter().chain([text("next")]).collect();
            let model = Arc::new(Scripted::new(script));
            let (patient, _) = caller(vec![Box::new(Arc::clone(&model))]);
            for expected in ["plan", "next"] {
                assert_eq!(patient.answer(&ask(), &mut silent()).await.unwrap().text, expected);
            }
            let asked = model.asked();
            assert_eq!(asked.iter().map(|ask| ask.tokens_max).collect::<Vec<_>>(), [100, 400, later]);
            assert_eq!(asked[1].messages, ask().messages, "the same prompt, and nothing said about it");
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_cut_again_is_continued_and_one_that_never_begins_is_given_up() {
        let played = play(&ask(), vec![vec![thought(None), cut("one two "), text("three")]]).await;
        assert_eq!(played.result, Ok("one two three".into()));
        assert_eq!((played.asked[0][2].tokens_max, played.asked[0][2].messages.len()), (400, 3));
        let played = play(&ask(), vec![vec![thought(None), thought(None), text("no")]]).await;
        assert_eq!(played.result, Err(LlmErrorKind::Truncated { tokens: 400 }));
        let want = Want::Json { name: "plan".into(), schema: serde_json::json!({}) };
        let ask = Ask { want, ..ask() };
        let played = play(&ask, vec![vec![thought(Some(100)), text("{}")]]).await;
        assert_eq!((played.result, played.asked[0][1].messages.len()), (Ok("{}".into()), 1));
    }

    #[tokio::test]
    async fn thoughts_get_the_room_that_caps_and_context_leave() {
        // 106 tokens are set aside for the first call, and 120 are used; the repeat needs 406, or 206 at least.
        for (tokens, asked) in [(2000, vec![100, 400]), (450, vec![100, 200]), (250, vec![100])] {
            let caps = Caps { tokens: Some(tokens), step_share: 1.0, ..Caps::default() };
            let ledger = Arc::new(Ledger::new(caps, PriceTable::default()));
            let model = Arc::new(Scripted::new(vec![thought(None), text("plan")]));
            let (patient, _) = caller(vec![Box::new(ledger.meter(Arc::clone(&model), "m"))]);
            let outcome = patient.answer(&ask(), &mut silent()).await;
            assert_eq!(model.asked().iter().map(|ask| ask.tokens_max).collect::<Vec<_>>(), asked);
            let is_capped = matches!(outcome, Err(LlmError { kind: LlmErrorKind::Cap(_), .. }));
            assert_eq!((is_capped, outcome.is_ok()), (tokens == 250, tokens > 250));
            assert!(ledger.bill().total.tokens() <= tokens);
        }
        let overflow = kind(LlmErrorKind::ContextOverflow("maximum context length".into()));
        let model = Arc::new(Scripted::new(vec![thought(None), overflow, text("plan"), text("next")]));
        let (patient, _) = caller(vec![Box::new(Arc::clone(&model))]);
        for _ in 0..2 {
            patient.answer(&ask(), &mut silent()).await.unwrap();
        }
        let asked: Vec<u32> = model.asked().iter().map(|ask| ask.tokens_max).collect();
        assert_eq!(asked, [100, 400, 200, 200], "what the context holds is remembered");
    }

    #[tokio::test]
    async fn calls_side_by_side_get_their_room_one_after_the_other() {
        let caps = Caps { tokens: Some(4500), step_share: 1.0, ..Caps::default() };
        let ledger = Arc::new(Ledger::new(caps, PriceTable::default()));
        let usage = Usage { reasoning: Some(1400), output: 1420, ..answered("plan").usage };
        let thoughtful = Ok(Answer { usage, ..answered("plan") });
        let script = Scripted::new(vec![thoughtful, text("plan"), text("plan")]);
        let model = Arc::new(script.slow(Duration::from_millis(10)));
        let (patient, _) = caller(vec![Box::new(ledger.meter(Arc::clone(&model), "m"))]);
        patient.answer(&ask(), &mut silent()).await.unwrap();
        let (ask, mut quiet, mut other) = (ask(), silent(), silent());
        let began = tokio::time::Instant::now();
        let (one, two) = tokio::join!(patient.answer(&ask, &mut quiet), patient.answer(&ask, &mut other));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        assert!(began.elapsed() >= Duration::from_millis(20), "the caps do not hold both at once");
        // 1520 tokens are used: the one takes half of the other 2874 beside its 106, the other waits for what thoughts were seen
        // to need.
        let asked: Vec<u32> = model.asked().iter().map(|ask| ask.tokens_max).collect();
        assert_eq!(asked, [100, 1537, 1500]);
    }

    #[tokio::test]
    async fn waiting_for_what_others_may_use_ends_with_the_patience() {
        let caps = Caps { tokens: Some(300), step_share: 1.0, ..Caps::default() };
        let ledger = Arc::new(Ledger::new(caps, PriceTable::default()));
        let slow = ledger.meter(Scripted::saying(["late"]).slow(Duration::from_mins(1)), "m");
        let model = Arc::new(Scripted::saying(["plan"]));
        let patience = Patience { total: Duration::from_millis(50), ..Patience::default() };
        let metered = ledger.meter(Arc::clone(&model), "m");
        let patient = Patient::new(vec![Box::new(metered)], patience, Seed(0));
        let large = Ask { tokens_max: 250, ..ask() };
        let (ask, mut quiet, mut other) = (ask(), silent(), silent());
        tokio::select! {
            biased;
            _ = slow.answer(&large, &mut quiet) => panic!("it takes a minute"),
            outcome = patient.answer(&ask, &mut other) => {
                let error = outcome.unwrap_err();
                assert!(matches!(error.kind, LlmErrorKind::Timeout { what: "the whole request", .. }));
            }
        }
        assert!(model.asked().is_empty());
    }

    #[tokio::test]
    async fn every_attempt_is_set_aside_and_booked() {
        let of = async |caps: Caps| {
            let ledger = Arc::new(Ledger::new(caps, PriceTable::default()));
            let model = Arc::new(Scripted::new(vec![hangs(), cut("one "), text("two")]));
            let (patient, _) = caller(vec![Box::new(ledger.meter(Arc::clone(&model), "m"))]);
            let outcome = patient.answer(&ask(), &mut silent()).await.map(|answer| answer.text);
            (outcome, model.asked().len(), ledger)
        };
        let (outcome, asked, ledger) = of(Caps::default()).await;
        assert_eq!((outcome.unwrap().as_str(), asked), ("one two", 3));
        assert_eq!((ledger.bill().total.calls, ledger.bill().total.tokens_in), (3, 206));
        assert_eq!(ledger.spent_on(&ask().key).0.input, 206, "a continuation belongs to its request");
        let caps = Caps { tokens: Some(150), step_share: 1.0, ..Caps::default() };
        let (outcome, asked, ledger) = of(caps).await;
        assert!(matches!(outcome, Err(LlmError { kind: LlmErrorKind::Cap(_), .. })), "{outcome:?}");
        assert_eq!((asked, ledger.bill().total.tokens()), (2, 126), "no continuation beyond the cap");
    }

    #[tokio::test]
    async fn each_endpoint_is_billed_by_its_own_price() {
        let price = Price { input: 1.0, cached: None, output: 10.0 };
        let prices = PriceTable { as_of: None, models: [("m".to_owned(), price)].into() };
        for (first, usd) in [(text("first"), Some(0.0003)), (busy(None), None)] {
            let ledger = Arc::new(Ledger::new(Caps::default(), prices.clone()));
            let second = Scripted::saying(["second"]);
            let (patient, _) = caller(vec![
                Box::new(ledger.meter(Scripted::new(vec![first]), "m")),
                Box::new(ledger.meter(second, "n")),
            ]);
            patient.answer(&ask(), &mut silent()).await.unwrap();
            let billed = ledger.bill().total.usd.map(|usd| (usd * 1e6).round() / 1e6);
            assert_eq!((billed, ledger.spent_on(&ask().key).1.is_some()), (usd, usd.is_some()));
        }
    }

    #[tokio::test]
    async fn warnings_of_all_turns_are_kept() {
        let warned = |answer: Answer| Ok(Answer { warnings: vec!["beware".into()], ..answer });
        let model = Scripted::new(vec![cut("one ").and_then(warned), text("two")]);
        let (patient, _) = caller(vec![Box::new(model)]);
        assert_eq!(patient.answer(&ask(), &mut silent()).await.unwrap().warnings, ["beware"]);
        let silent_cut = kind(LlmErrorKind::ContextOverflow(crate::cut::words("m")));
        let (patient, _) = caller(vec![Box::new(Scripted::new(vec![silent_cut, text("ok")]))]);
        let ask = Ask { shorter: Some(vec![Message::new(Role::User, "p")]), ..ask() };
        let answer = patient.answer(&ask, &mut silent()).await.unwrap();
        assert_eq!((answer.text.as_str(), answer.warnings), ("ok", vec![crate::cut::words("m")]));
    }

    #[tokio::test]
    async fn too_long_a_prompt_is_said_shorter_once() {
        let overflow = || kind(LlmErrorKind::ContextOverflow(String::new()));
        let shorter = Some(vec![Message::new(Role::User, "p")]);
        let ask = Ask { shorter, ..ask() };
        let played = play(&ask, vec![vec![overflow(), text("ok")]]).await;
        assert_eq!((played.result, played.asked[0][1].messages[0].content.as_str()), (Ok("ok".into()), "p"));
        let played = play(&ask, vec![vec![overflow(), overflow(), text("no")]]).await;
        assert!(matches!(played.result, Err(LlmErrorKind::ContextOverflow(_))));
    }

    #[tokio::test]
    async fn a_refusal_is_asked_again_once() {
        for no in [LlmErrorKind::Refused("no".into()), LlmErrorKind::Empty, LlmErrorKind::Filtered] {
            let played = play(&ask(), vec![vec![kind(no.clone()), text("ok")]]).await;
            assert_eq!((played.result, played.asked[0][1].messages.len()), (Ok("ok".into()), 2));
            let played = play(&ask(), vec![vec![kind(no.clone()), kind(no.clone()), text("no")]]).await;
            assert_eq!(played.result, Err(no));
        }
    }

    #[tokio::test]
    async fn a_cut_text_is_continued_once() {
        let played =
            play(&ask(), vec![vec![cut("def fit(X, y):\n    return mod"), text("return model.fit(X)")]])
                .await;
        assert_eq!(played.result, Ok("def fit(X, y):\n    return model.fit(X)".into()));
        let played = play(&ask(), vec![vec![cut("one two three "), text("two three four")]]).await;
        assert_eq!(played.result, Ok("one two three four".into()), "what is repeated is left out");
        let played = play(&ask(), vec![vec![cut("a"), cut("b"), text("c")]]).await;
        assert_eq!(played.result, Err(LlmErrorKind::Truncated { tokens: 100 }));
    }

    #[tokio::test]
    async fn cut_json_is_asked_for_in_fewer_words() {
        let want = Want::Json { name: "plan".into(), schema: serde_json::json!({}) };
        let ask = Ask { want, ..ask() };
        let played = play(&ask, vec![vec![cut("{\"a\": [1, 2"), text("{\"a\": []}")]]).await;
        assert_eq!(played.result, Ok("{\"a\": []}".into()), "never put together from two halves");
        assert_eq!(played.asked[0][1].messages.last().map(|message| message.content.as_str()), Some(SHORTER));
    }

    #[tokio::test]
    async fn the_whole_request_has_a_limit() {
        let slow = Scripted::new(vec![text("late")]).slow(Duration::from_mins(1));
        let patience = Patience { total: Duration::from_millis(50), ..Patience::default() };
        let patient = Patient::new(vec![Box::new(slow)], patience, Seed(0));
        let error = patient.answer(&ask(), &mut silent()).await.unwrap_err();
        assert!(matches!(error.kind, LlmErrorKind::Timeout { what: "the whole request", .. }));
    }

    #[tokio::test]
    async fn the_latest_failure_can_be_read_while_it_is_tried_again() {
        let model = Scripted::new(vec![kind(LlmErrorKind::Connect("nobody".into())), text("late")]);
        let patience = Patience { total: Duration::from_millis(50), ..Patience::default() };
        let patient = Patient::new(vec![Box::new(model)], patience, Seed(0));
        let failure = patient.last_failure();
        assert!(failure.lock().unwrap().is_none());
        assert!(
            patient.answer(&ask(), &mut silent()).await.is_err(),
            "it waits longer than the whole request may"
        );
        let said = failure.lock().unwrap().clone().unwrap();
        assert_eq!(said.kind, LlmErrorKind::Connect("nobody".into()));
        let patient = patient.at_pace(Arc::new(Leaps::default()));
        assert!(patient.answer(&ask(), &mut silent()).await.is_ok());
        assert!(failure.lock().unwrap().is_none(), "a success makes it forgotten");
    }

    #[tokio::test]
    async fn usage_of_all_turns_adds_up() {
        let model = Scripted::new(vec![cut("one "), text("two")]);
        let patient = Patient::new(vec![Box::new(model)], Patience::default(), Seed(0));
        let answer = patient.answer(&ask(), &mut silent()).await.unwrap();
        assert_eq!(answer.usage.output, 2 * answered("x").usage.output);
    }
}
