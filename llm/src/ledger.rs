//! The ledger: tokens and money of every call, and the caps that hold before a call is made.
//!
//! One line for each call that an endpoint was sent, repeats and attempts that came to nothing among them. A call whose end
//! nobody waits for is booked by what was sent and heard until then. A call is refused when what was used leaves no place for
//! it; when only calls under way are in its way it waits, and those that come later leave it its place.

use crate::error::{LlmError, LlmErrorKind};
use crate::model::{Answer, Answering, Ask, ChatModel, Key, Left, OnText, Want, tokens_estimated};
use crate::patient::add;
use ansatz_core::bill::{Bill, PriceTable, Spending, Usage};
use serde::{Deserialize, Serialize};
use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// What refusals of calls begin with: of a refusal that was recorded there are its words alone.
const REFUSALS: [&str; 3] =
    ["the next call needs up to ", "the next call may cost ", "no price is known for "];

/// What is noted of a call whose end nobody waited for.
const DROPPED: &str = "nobody waited for the answer any longer";

/// Hard caps of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Caps {
    /// Tokens in both directions.
    pub tokens: Option<u64>,
    /// USD.
    pub usd: Option<f64>,
    /// Share of either that one step may use.
    pub step_share: f64,
}

impl Default for Caps {
    fn default() -> Self {
        Self { tokens: None, usd: None, step_share: 0.5 }
    }
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// What the call was about.
    pub key: Key,
    /// The model that answered, or was asked.
    pub model: String,
    /// Tokens.
    pub usage: Usage,
    /// USD; `None` when the price is unknown.
    pub usd: Option<f64>,
    /// Time of the call.
    pub took: Duration,
    /// Why there was no answer.
    pub error: Option<String>,
}

/// Tokens in both directions, and USD.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    tokens: u64,
    usd: f64,
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { tokens: self.tokens + other.tokens, usd: self.usd + other.usd }
    }
}

/// How the run, or one of its steps, stands to its caps.
struct Standing {
    /// What calls that ended used.
    used: Amount,
    /// What others may use at most.
    held: Amount,
    tokens_max: Option<u64>,
    usd_max: Option<f64>,
    /// Whose caps these are, for messages.
    whose: String,
}

impl Standing {
    /// Whether a call that may use so much has a place now; a refusal when it has none even should the others use nothing.
    fn holds(&self, most: Amount) -> Result<bool, LlmErrorKind> {
        let (used, whose) = (self.used, &self.whose);
        let (least, all) = (used + most, used + self.held + most);
        if let Some(cap) = self.tokens_max.filter(|cap| least.tokens > *cap) {
            return Err(LlmErrorKind::Cap(format!(
                "the next call needs up to {} tokens, and {} of {cap}{whose} are used",
                most.tokens, used.tokens
            )));
        }
        if let Some(cap) = self.usd_max.filter(|cap| least.usd > *cap) {
            return Err(LlmErrorKind::Cap(format!(
                "the next call may cost {:.4} USD, and {:.4} of {cap:.4}{whose} are used",
                most.usd, used.usd
            )));
        }
        let is_held = self.tokens_max.is_some_and(|cap| all.tokens > cap)
            || self.usd_max.is_some_and(|cap| all.usd > cap);
        Ok(!is_held)
    }

    /// Tokens of an answer that are left beside such a call.
    fn left(&self, most: Amount, usd_of_token: f64) -> Left {
        let beside = |all: Amount| {
            let by_tokens = self.tokens_max.map(|cap| cap.saturating_sub(all.tokens));
            let priced = self.usd_max.filter(|_| usd_of_token > 0.0);
            let by_usd = priced.map(|cap| ((cap - all.usd) / usd_of_token) as u64);
            by_tokens.unwrap_or(u64::MAX).min(by_usd.unwrap_or(u64::MAX))
        };
        let later = self.used + most;
        Left { now: beside(later + self.held), later: beside(later) }
    }
}

#[derive(Default)]
struct Book {
    bill: Bill,
    /// Lines of earlier processes of the run.
    carried: Vec<Charge>,
    /// Lines of this one.
    charges: Vec<Charge>,
    pending: Vec<Pending>,
    next: u64,
}

impl Book {
    fn position(&self, number: u64) -> Option<usize> {
        self.pending.iter().position(|pending| pending.number == number)
    }
}

/// A call that did not end yet.
struct Pending {
    /// Its place in the order in which calls came.
    number: u64,
    key: Key,
    model: String,
    /// Tokens sent.
    input: u64,
    /// Letters heard so far.
    heard: Arc<AtomicU64>,
    /// `None` while it waits for others to end.
    began: Option<Instant>,
    /// What it may use.
    most: Amount,
}

impl Pending {
    fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed) > 0
    }

    /// A line by what was sent and heard so far; nobody counts it before the end.
    fn so_far(&self, prices: &PriceTable, error: Option<String>) -> Charge {
        let output = tokens_estimated(self.heard.load(Ordering::Relaxed) as usize);
        let usage = Usage { input: self.input, output, estimated: true, ..Usage::default() };
        self.line(&self.model, usage, prices.usd(&self.model, &usage), error)
    }

    /// A line by what was counted. A model answers under a longer name than it was asked by; either may have the price.
    fn answered(&self, prices: &PriceTable, answer: &Answer) -> Charge {
        let (model, usage) = (&answer.model, answer.usage);
        let usd = prices.usd(model, &usage).or_else(|| prices.usd(&self.model, &usage));
        self.line(model, usage, usd, None)
    }

    fn line(&self, model: &str, usage: Usage, usd: Option<f64>, error: Option<String>) -> Charge {
        let took = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        Charge { key: self.key.clone(), model: model.into(), usage, usd, took, error }
    }
}

/// Counts what calls cost and refuses those that could pass a cap.
pub struct Ledger {
    caps: Caps,
    prices: PriceTable,
    /// Changed when a call comes, begins and ends.
    book: Mutex<Book>,
    /// Told to those that wait whenever a call has ended.
    ended: Notify,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(caps: Caps, prices: PriceTable) -> Self {
        let bill = Bill { prices_as_of: prices.as_of.clone(), ..Bill::default() };
        Self { caps, prices, book: Mutex::new(Book { bill, ..Book::default() }), ended: Notify::new() }
    }

    /// What was spent so far; of calls under way what was sent and heard, estimated.
    pub fn bill(&self) -> Bill {
        let book = self.book();
        let mut bill = book.bill.clone();
        for pending in book.pending.iter().filter(|pending| pending.began.is_some()) {
            enter(&mut bill, &pending.so_far(&self.prices, None));
        }
        bill
    }

    /// All lines so far: those of earlier processes, then those of this one in the order in which calls ended.
    pub fn charges(&self) -> Vec<Charge> {
        let book = self.book();
        book.carried.iter().chain(&book.charges).cloned().collect()
    }

    /// What this process spent on one request, all its attempts and repeats together; USD are `None` when a price is unknown.
    pub fn spent_on(&self, key: &Key) -> (Usage, Option<f64>) {
        let book = self.book();
        let own = book.charges.iter().filter(|charge| charge.key == *key);
        own.fold((Usage::default(), Some(0.0)), |(usage, usd), charge| {
            let usd: Option<f64> = usd.zip(charge.usd).map(|(all, one)| all + one);
            (add(usage, charge.usage), usd)
        })
    }

    /// Enters what an earlier process of the same run spent, so that a resumed run keeps its caps.
    pub fn carry_over(&self, charge: Charge) {
        let mut book = self.book();
        enter(&mut book.bill, &charge);
        book.carried.push(charge);
    }

    /// The model's calls booked here, and its caps held. `name` is what it is asked by, and has the price.
    pub fn meter<M: ChatModel>(self: &Arc<Self>, model: M, name: &str) -> Metered<M> {
        Metered { model, name: name.into(), ledger: Arc::clone(self) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a call may use at most.
    fn most(&self, ask: &Ask, model: &str) -> Result<Amount, LlmErrorKind> {
        let most = Usage {
            input: ask.tokens_estimated() + schema_tokens(&ask.want),
            output: ask.tokens_max.into(),
            ..Usage::default()
        };
        let usd = match (self.caps.usd, self.prices.price(model)) {
            (None, _) => 0.0,
            (Some(_), Some(price)) => price.of(&most),
            (Some(cap), None) => {
                let why = format!("no price is known for {model}, so the cap of {cap} USD cannot be kept");
                return Err(LlmErrorKind::Cap(why));
            }
        };
        Ok(Amount { tokens: most.input + most.output, usd })
    }

    /// How the run and a step stand, with the calls that count held against them.
    fn standings(&self, book: &Book, step: &str, counts: impl Fn(&Pending) -> bool) -> [Standing; 2] {
        let used = |spending: Option<&Spending>| {
            let amount =
                |spending: &Spending| Amount { tokens: spending.tokens(), usd: spending.usd.unwrap_or(0.0) };
            spending.map(amount).unwrap_or_default()
        };
        let held = |only: Option<&str>| {
            let of_it = |pending: &&Pending| only.is_none_or(|only| only == pending.key.step);
            let held = book.pending.iter().filter(of_it).filter(|pending| counts(pending));
            held.fold(Amount::default(), |sum, pending| sum + pending.most)
        };
        let standing = |used: Amount, held: Amount, share: f64, whose: String| Standing {
            used,
            held,
            tokens_max: self.caps.tokens.map(|cap| (cap as f64 * share) as u64),
            usd_max: self.caps.usd.map(|cap| cap * share),
            whose,
        };
        let of_step = used(book.bill.steps.get(step));
        [
            standing(used(Some(&book.bill.total)), held(None), 1.0, String::new()),
            standing(of_step, held(Some(step)), self.caps.step_share, format!(" for step {step}")),
        ]
    }

    /// What caps leave beside a request.
    fn left(&self, ask: &Ask, model: &str) -> Left {
        let Ok(most) = self.most(ask, model) else { return Left::default() };
        let usd_of_token = self.prices.price(model).map_or(0.0, |price| price.output / 1e6);
        let standings = self.standings(&self.book(), &ask.key.step, |_| true);
        let [run, step] = standings.map(|standing| standing.left(most, usd_of_token));
        Left { now: run.now.min(step.now), later: run.later.min(step.later) }
    }

    /// Queues a call that has not begun. Those that come later leave it what it may use.
    fn queue(&self, ask: &Ask, model: &str, most: Amount, heard: &Arc<AtomicU64>) -> u64 {
        let mut book = self.book();
        let number = book.next;
        book.next += 1;
        book.pending.push(Pending {
            number,
            key: ask.key.clone(),
            model: model.into(),
            input: ask.tokens_estimated(),
            heard: Arc::clone(heard),
            began: None,
            most,
        });
        number
    }

    /// Begins a queued call when the caps hold it beside those under way and those that came before; `false` when one of them
    /// must end first.
    fn begin(&self, number: u64) -> Result<bool, LlmErrorKind> {
        let mut book = self.book();
        let Some(at) = book.position(number) else { return Ok(true) };
        let own = &book.pending[at];
        let counts = |other: &Pending| other.number < number || other.began.is_some();
        let mut is_held = false;
        for standing in self.standings(&book, &own.key.step, counts) {
            is_held |= !standing.holds(own.most)?;
        }
        if !is_held {
            book.pending[at].began = Some(Instant::now());
        }
        Ok(!is_held)
    }

    /// Waits until a queued call has begun. Whoever asks decides how long: a call that is dropped leaves the queue.
    async fn turn(&self, number: u64) -> Result<(), LlmErrorKind> {
        loop {
            // Listened for before the book is looked into, so that no end is missed in between.
            let ended = self.ended.notified();
            if self.begin(number)? {
                return Ok(());
            }
            ended.await;
        }
    }

    /// Books a call that ended, or that nobody waits for any longer.
    fn end(&self, number: u64, outcome: Option<&Result<Answer, LlmError>>) {
        let mut book = self.book();
        let Some(at) = book.position(number) else { return };
        let pending = book.pending.swap_remove(at);
        // They look into the book when it is free again, hence after this call is entered.
        self.ended.notify_waiters();
        if pending.began.is_none() {
            return;
        }
        let charge = match outcome {
            Some(Ok(answer)) => pending.answered(&self.prices, answer),
            // What was sent was probably counted there, so it is counted here.
            Some(Err(error)) if was_read(&error.kind) || pending.has_heard() => {
                pending.so_far(&self.prices, Some(error.kind.to_string()))
            }
            Some(Err(_)) => return,
            None => pending.so_far(&self.prices, Some(DROPPED.into())),
        };
        enter(&mut book.bill, &charge);
        book.charges.push(charge);
    }
}

/// Whether these are the words of a refusal by a ledger.
pub fn is_refusal(words: &str) -> bool {
    REFUSALS.iter().any(|start| words.starts_with(start))
}

/// Tokens of the form of an answer, which providers count among those that are sent.
fn schema_tokens(want: &Want) -> u64 {
    match want {
        Want::Text => 0,
        Want::Json { schema, .. } => tokens_estimated(schema.to_string().len()),
    }
}

fn enter(bill: &mut Bill, charge: &Charge) {
    let (usage, usd) = (&charge.usage, charge.usd);
    bill.total.add(usage, usd);
    bill.agents.entry(charge.key.agent.clone()).or_default().add(usage, usd);
    bill.steps.entry(charge.key.step.clone()).or_default().add(usage, usd);
}

/// A model whose calls are booked.
pub struct Metered<M> {
    model: M,
    name: String,
    ledger: Arc<Ledger>,
}

/// A call that waits or is under way; when it is dropped before its end it is booked as far as it came.
struct Open<'a> {
    ledger: &'a Ledger,
    number: u64,
    is_under_way: bool,
}

impl Open<'_> {
    fn end(mut self, outcome: &Result<Answer, LlmError>) {
        self.is_under_way = false;
        self.ledger.end(self.number, Some(outcome));
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.is_under_way {
            self.ledger.end(self.number, None);
        }
    }
}

impl<M: ChatModel> ChatModel for Metered<M> {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            let heard = Arc::new(AtomicU64::new(0));
            let refused = |kind| LlmError::new(self.name(), kind);
            let most = self.ledger.most(ask, &self.name).map_err(refused)?;
            let number = self.ledger.queue(ask, &self.name, most, &heard);
            let open = Open { ledger: &self.ledger, number, is_under_way: true };
            self.ledger.turn(number).await.map_err(refused)?;
            let mut hear = |text: &str| {
                heard.fetch_add(text.chars().count() as u64, Ordering::Relaxed);
                on_text(text);
            };
            let outcome = self.model.answer(ask, &mut hear).await;
            open.end(&outcome);
            outcome
        })
    }

    fn name(&self) -> String {
        self.model.name()
    }

    fn left(&self, ask: &Ask) -> Left {
        self.ledger.left(ask, &self.name)
    }
}

/// Whether a failed call had probably been read by the model.
fn was_read(kind: &LlmErrorKind) -> bool {
    use LlmErrorKind as K;
    matches!(
        kind,
        K::Timeout { .. }
            | K::Broken(_)
            | K::TooLarge { .. }
            | K::Refused(_)
            | K::Filtered
            | K::Empty
            | K::Truncated { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Message, Role, silent};
    use crate::scripted::Scripted;
    use ansatz_core::bill::Price;

    fn ask(step: &str) -> Ask {
        let key = Key { agent: "planner".into(), step: step.into(), ..Key::default() };
        // 350 letters are about 100 tokens, and 4 for the message.
        Ask {
            key,
            messages: vec![Message::new(Role::User, "x".repeat(350))],
            tokens_max: 96,
            ..Ask::default()
        }
    }

    fn prices() -> PriceTable {
        let price = Price { input: 1.0, cached: None, output: 10.0 };
        PriceTable { as_of: None, models: [("m".to_owned(), price)].into() }
    }

    /// Which of the calls for these steps are made.
    async fn made(caps: Caps, prices: PriceTable, steps: &[&str]) -> (Vec<Option<String>>, Bill) {
        let ledger = Arc::new(Ledger::new(caps, prices));
        let model = ledger.meter(Scripted::saying(vec!["ok"; 20]), "m");
        let mut made = Vec::new();
        for step in steps {
            made.push(
                model.answer(&ask(step), &mut silent()).await.err().map(|error| error.kind.to_string()),
            );
        }
        (made, ledger.bill())
    }

    #[tokio::test]
    async fn calls_are_booked_by_agent_and_step() {
        let (_, bill) = made(Caps::default(), prices(), &["a", "a", "b"]).await;
        assert_eq!((bill.total.calls, bill.total.tokens_in, bill.total.tokens_out), (3, 300, 60));
        assert_eq!((bill.agents["planner"].calls, bill.steps["a"].calls), (3, 2));
        assert!((bill.total.usd.unwrap() - 0.0009).abs() < 1e-12, "by the name that was asked for");
        let (_, bill) = made(Caps::default(), PriceTable::default(), &["a"]).await;
        assert_eq!(bill.total.usd, None, "unknown is not 0");
        let table = PriceTable {
            models: [("scripted".to_owned(), prices().models["m"])].into(),
            ..PriceTable::default()
        };
        let (_, bill) = made(Caps::default(), table, &["a"]).await;
        assert!((bill.total.usd.unwrap() - 0.0003).abs() < 1e-12);
    }

    #[tokio::test]
    async fn a_cap_of_tokens_holds_before_the_call() {
        let caps = Caps { tokens: Some(500), step_share: 1.0, ..Caps::default() };
        let (made, bill) = made(caps, PriceTable::default(), &["a", "a", "a", "a"]).await;
        assert_eq!(made.iter().map(Option::is_none).collect::<Vec<_>>(), [true, true, true, false]);
        assert!(bill.total.tokens() <= 500);
        assert_eq!(made[3].as_deref(), Some("the next call needs up to 200 tokens, and 360 of 500 are used"));
        assert!(made[3].as_deref().is_some_and(is_refusal));
    }

    #[tokio::test]
    async fn the_form_of_an_answer_is_sent_too() {
        let caps = Caps { tokens: Some(250), step_share: 1.0, ..Caps::default() };
        let ledger = Arc::new(Ledger::new(caps, PriceTable::default()));
        let model = ledger.meter(Scripted::saying(["ok", "ok"]), "m");
        let schema = serde_json::json!({"description": "x".repeat(350)});
        let want = Want::Json { name: "long".into(), schema };
        let error = model.answer(&Ask { want, ..ask("a") }, &mut silent()).await.unwrap_err();
        assert!(is_refusal(&error.kind.to_string()), "{error}");
        assert!(model.answer(&ask("a"), &mut silent()).await.is_ok());
    }

    #[tokio::test]
    async fn one_step_cannot_use_it_all() {
        let caps = Caps { tokens: Some(1000), step_share: 0.5, ..Caps::default() };
        let (made, _) = made(caps, PriceTable::default(), &["a", "a", "a", "a", "b"]).await;
        assert_eq!(made.iter().map(Option::is_none).collect::<Vec<_>>(), [true, true, true, false, true]);
    }

    #[tokio::test]
    async fn a_cap_of_money_needs_a_price() {
        let caps = Caps { usd: Some(0.0025), step_share: 1.0, ..Caps::default() };
        let (calls, _) = made(caps, prices(), &["a", "a", "a"]).await;
        assert!(calls[0].is_none(), "{calls:?}");
        let (calls, bill) = made(caps, PriceTable::default(), &["a"]).await;
        assert_eq!(
            calls[0].as_deref(),
            Some("no price is known for m, so the cap of 0.0025 USD cannot be kept")
        );
        assert!(calls[0].as_deref().is_some_and(is_refusal));
        assert_eq!(bill.total.calls, 0);
        let (calls, _) = made(Caps { tokens: Some(0), ..Caps::default() }, prices(), &["a"]).await;
        assert!(calls[0].is_some(), "a budget of 0 makes no call");
    }

    #[tokio::test]
    async fn concurrent_calls_cannot_pass_a_cap_together() {
        let ledger = Arc::new(Ledger::new(
            Caps { tokens: Some(500), step_share: 1.0, ..Caps::default() },
            PriceTable::default(),
        ));
        let model = ledger.meter(Scripted::saying(vec!["ok"; 9]).slow(Duration::from_millis(20)), "m");
        let (ask, mut quiet) = (ask("a"), [silent(), silent(), silent(), silent()]);
        let [a, b, c, d] = &mut quiet;
        let outcomes = tokio::join!(
            model.answer(&ask, a),
            model.answer(&ask, b),
            model.answer(&ask, c),
            model.answer(&ask, d)
        );
        let made = [outcomes.0.is_ok(), outcomes.1.is_ok(), outcomes.2.is_ok(), outcomes.3.is_ok()];
        // 200 tokens each are set aside and 120 are used, so that the third waits and nothing is left for the fourth.
        assert_eq!(made, [true, true, true, false]);
        assert_eq!(ledger.bill().total.tokens(), 360);
    }

    #[tokio::test]
    async fn a_call_waits_for_what_others_may_still_use() {
        let busy = || {
            let kind = LlmErrorKind::RateLimited { message: String::new(), after: None };
            Err(LlmError::new("m", kind))
        };
        let ok = || Ok(crate::scripted::answered("ok"));
        let tokens = Caps { tokens: Some(350), step_share: 1.0, ..Caps::default() };
        let usd = Caps { usd: Some(0.0015), step_share: 1.0, ..Caps::default() };
        let step = Caps { tokens: Some(700), step_share: 0.5, ..Caps::default() };
        for (caps, first) in [(tokens, ok()), (tokens, busy()), (usd, ok()), (step, ok())] {
            let ledger = Arc::new(Ledger::new(caps, prices()));
            let script = Scripted::new(vec![first, ok()]).slow(Duration::from_millis(20));
            let model = ledger.meter(script, "m");
            let (ask, mut first, mut second) = (ask("a"), silent(), silent());
            let began = Instant::now();
            let (_, second) = tokio::join!(model.answer(&ask, &mut first), model.answer(&ask, &mut second));
            assert!(second.is_ok(), "{second:?}");
            assert!(began.elapsed() >= Duration::from_millis(40), "one after the other");
        }
    }

    #[tokio::test]
    async fn whoever_waits_leaves_when_dropped_and_is_refused_once_nothing_can_be_left() {
        let soon = Duration::from_millis(20);
        let caps = Caps { tokens: Some(350), step_share: 1.0, ..Caps::default() };
        let ledger = Arc::new(Ledger::new(caps, PriceTable::default()));
        let (stalls, model) = (ledger.meter(Stalls, "m"), ledger.meter(Scripted::saying(["ok"]), "m"));
        let (ask, mut quiet, mut other) = (ask("a"), silent(), silent());
        let mut stalled = stalls.answer(&ask, &mut quiet);
        tokio::time::timeout(soon, &mut stalled).await.unwrap_err();
        let before = ledger.bill();
        let mut waiting = model.answer(&ask, &mut other);
        tokio::time::timeout(soon, &mut waiting).await.unwrap_err();
        assert_eq!(ledger.bill(), before, "what waits costs nothing");
        let small = Ask { messages: Vec::new(), tokens_max: 50, ..ask.clone() };
        let mut later = silent();
        let passed = tokio::time::timeout(soon, model.answer(&small, &mut later)).await;
        assert!(passed.is_err(), "it would take the place of the one that came before");
        drop(waiting);
        assert_eq!((ledger.bill(), ledger.charges().len()), (before, 0));
        model.answer(&small, &mut silent()).await.unwrap();
        let large = Ask { tokens_max: 200, ..ask.clone() };
        let error = model.answer(&large, &mut silent()).await.unwrap_err();
        assert_eq!(
            error.kind.to_string(),
            "the next call needs up to 304 tokens, and 120 of 350 are used",
            "the end of the call under way cannot help"
        );
        drop(stalled);
        assert_eq!(ledger.charges().len(), 2);
    }

    #[tokio::test]
    async fn what_caps_leave_is_told() {
        let of = |caps: Caps| Arc::new(Ledger::new(caps, prices())).meter(Stalls, "m");
        assert_eq!(of(Caps::default()).left(&ask("a")), Left::default());
        let model = of(Caps { tokens: Some(2000), step_share: 0.5, ..Caps::default() });
        assert_eq!(model.left(&ask("a")), Left { now: 800, later: 800 });
        let (ask_a, mut quiet) = (ask("a"), silent());
        let mut stalled = model.answer(&ask_a, &mut quiet);
        tokio::time::timeout(Duration::from_millis(20), &mut stalled).await.unwrap_err();
        assert_eq!(model.left(&ask("a")), Left { now: 600, later: 800 });
        assert_eq!(model.left(&ask("b")), Left { now: 800, later: 800 }, "its own step is free");
        // 104 tokens sent and 96 received cost 0.001064 USD; 0.00001 each are what the rest costs.
        let left = of(Caps { usd: Some(0.002_069), step_share: 1.0, ..Caps::default() }).left(&ask("a"));
        assert_eq!(left, Left { now: 100, later: 100 });
    }

    #[tokio::test]
    async fn a_dropped_call_gives_its_reservation_back_and_is_booked() {
        let caps = Caps { tokens: Some(350), step_share: 1.0, ..Caps::default() };
        let ledger = Arc::new(Ledger::new(caps, prices()));
        let model = ledger.meter(Scripted::saying(["late", "ok"]).slow(Duration::from_millis(300)), "m");
        let ask = ask("a");
        let mut quiet = silent();
        tokio::time::timeout(Duration::from_millis(30), model.answer(&ask, &mut quiet)).await.unwrap_err();
        let bill = ledger.bill();
        assert_eq!((bill.total.calls, bill.total.tokens_in, bill.total.tokens_out), (1, 104, 0));
        assert!((bill.total.usd.unwrap() - 0.000_104).abs() < 1e-12);
        // 104 and 200 of 350: with the 200 of the dropped call still set aside it would be too much.
        model.answer(&ask, &mut silent()).await.unwrap();
    }

    /// Says something and never ends.
    struct Stalls;

    impl ChatModel for Stalls {
        fn answer<'a>(&'a self, _: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
            Box::pin(async move {
                on_text(&"x".repeat(70));
                std::future::pending().await
            })
        }

        fn name(&self) -> String {
            "stalls".into()
        }
    }

    #[tokio::test]
    async fn a_call_under_way_is_on_the_bill_by_what_was_sent_and_heard() {
        let ledger = Arc::new(Ledger::new(Caps::default(), PriceTable::default()));
        let model = ledger.meter(Stalls, "m");
        let (ask, mut quiet) = (ask("a"), silent());
        let mut call = model.answer(&ask, &mut quiet);
        tokio::select! {
            biased;
            _ = &mut call => panic!("it never ends"),
            () = std::future::ready(()) => {}
        }
        let on_the_way = ledger.bill();
        assert_eq!((on_the_way.total.tokens_in, on_the_way.total.tokens_out), (104, 20));
        assert_eq!((on_the_way.total.usd, ledger.charges().len()), (None, 0));
        drop(call);
        assert_eq!(ledger.bill(), on_the_way);
        assert!(ledger.charges()[0].usage.estimated && ledger.charges()[0].error.is_some());
    }

    #[tokio::test]
    async fn failures_are_booked_when_they_were_read() {
        let failure = |kind| Err(LlmError::new("m", kind));
        let timeout = LlmErrorKind::Timeout { what: "the first word", limit: Duration::from_mins(1) };
        let busy = LlmErrorKind::RateLimited { message: String::new(), after: None };
        let ledger = Arc::new(Ledger::new(Caps::default(), prices()));
        let model = ledger.meter(Scripted::new(vec![failure(timeout), failure(busy)]), "m");
        for _ in 0..2 {
            model.answer(&ask("a"), &mut silent()).await.unwrap_err();
        }
        assert_eq!((ledger.bill().total.calls, ledger.bill().total.tokens_in), (1, 104));
    }

    #[tokio::test]
    async fn what_a_request_cost_is_told_without_what_earlier_processes_spent_on_it() {
        let ledger = Arc::new(Ledger::new(Caps::default(), prices()));
        let model = ledger.meter(Scripted::saying(["one", "two", "three"]), "m");
        let key = ask("a").key;
        let usage = Usage { input: 1000, ..Usage::default() };
        let took = Duration::ZERO;
        ledger.carry_over(Charge {
            key: key.clone(),
            model: "m".into(),
            usage,
            usd: Some(1.0),
            took,
            error: None,
        });
        for step in ["a", "b", "a"] {
            model.answer(&ask(step), &mut silent()).await.unwrap();
        }
        let (usage, usd) = ledger.spent_on(&key);
        assert_eq!((usage.input, usage.output), (200, 40));
        assert!((usd.unwrap() - 0.0006).abs() < 1e-12, "{usd:?}");
        assert_eq!(ledger.spent_on(&Key::default()), (Usage::default(), Some(0.0)));
        assert_eq!((ledger.charges().len(), ledger.bill().total.tokens_in), (4, 1300));
    }
}
