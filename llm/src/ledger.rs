//! The ledger: tokens and money of every call, and the caps that hold before a call is made.
//!
//! One line for each call that an endpoint was sent, repeats and attempts that came to nothing among them. A call whose end
//! nobody waits for is booked by what was sent and heard until then.

use crate::error::{LlmError, LlmErrorKind};
use crate::model::{Answer, Answering, Ask, ChatModel, Key, OnText, Want, tokens_estimated};
use crate::patient::add;
use ansatz_core::bill::{Bill, PriceTable, Spending, Usage};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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

/// A call under way.
struct Pending {
    number: u64,
    key: Key,
    model: String,
    /// Tokens sent.
    input: u64,
    /// Letters heard so far.
    heard: Arc<AtomicU64>,
    began: Instant,
    /// Tokens that it may use at most, in both directions.
    tokens: u64,
    /// USD that it may cost at most.
    usd: f64,
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
        let took = self.began.elapsed();
        Charge { key: self.key.clone(), model: model.into(), usage, usd, took, error }
    }
}

/// Counts what calls cost and refuses those that could pass a cap.
pub struct Ledger {
    caps: Caps,
    prices: PriceTable,
    /// Changed at the start and end of every call.
    book: Mutex<Book>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(caps: Caps, prices: PriceTable) -> Self {
        let bill = Bill { prices_as_of: prices.as_of.clone(), ..Bill::default() };
        Self { caps, prices, book: Mutex::new(Book { bill, ..Book::default() }) }
    }

    /// What was spent so far; of calls under way what was sent and heard, estimated.
    pub fn bill(&self) -> Bill {
        let book = self.book();
        let mut bill = book.bill.clone();
        for pending in &book.pending {
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

    /// Sets aside what a call may use at most.
    fn reserve(&self, ask: &Ask, model: &str, heard: &Arc<AtomicU64>) -> Result<u64, LlmErrorKind> {
        let input = ask.tokens_estimated();
        let most = Usage {
            input: input + schema_tokens(&ask.want),
            output: ask.tokens_max.into(),
            ..Usage::default()
        };
        let tokens = most.input + most.output;
        let usd = match (self.caps.usd, self.prices.price(model)) {
            (None, _) => 0.0,
            (Some(_), Some(price)) => price.of(&most),
            (Some(cap), None) => {
                let why = format!("no price is known for {model}, so the cap of {cap} USD cannot be kept");
                return Err(LlmErrorKind::Cap(why));
            }
        };
        let mut book = self.book();
        let step = &ask.key.step;
        let of = |spending: Option<&Spending>| {
            spending.map_or((0, 0.0), |spending| (spending.tokens(), spending.usd.unwrap_or(0.0)))
        };
        let total = of(Some(&book.bill.total));
        let of_step = of(book.bill.steps.get(step));
        let reserved = |only: Option<&str>| {
            book.pending
                .iter()
                .filter(|pending| only.is_none_or(|only| only == pending.key.step))
                .fold((0, 0.0), |sum, pending| (sum.0 + pending.tokens, sum.1 + pending.usd))
        };
        let share = self.caps.step_share;
        for (used, held, share, whose) in [
            (total, reserved(None), 1.0, String::new()),
            (of_step, reserved(Some(step)), share, format!(" for step {step}")),
        ] {
            if let Some(cap) = self.caps.tokens.map(|cap| (cap as f64 * share) as u64)
                && used.0 + held.0 + tokens > cap
            {
                let why = format!(
                    "the next call needs up to {tokens} tokens, and {} of {cap}{whose} are used",
                    used.0 + held.0
                );
                return Err(LlmErrorKind::Cap(why));
            }
            if let Some(cap) = self.caps.usd.map(|cap| cap * share)
                && used.1 + held.1 + usd > cap
            {
                let why = format!(
                    "the next call may cost {usd:.4} USD, and {:.4} of {cap:.4}{whose} are used",
                    used.1 + held.1
                );
                return Err(LlmErrorKind::Cap(why));
            }
        }
        let number = book.next;
        book.next += 1;
        book.pending.push(Pending {
            number,
            key: ask.key.clone(),
            model: model.into(),
            input,
            heard: Arc::clone(heard),
            began: Instant::now(),
            tokens,
            usd,
        });
        Ok(number)
    }

    /// Books a call that ended, or that nobody waits for any longer.
    fn end(&self, number: u64, outcome: Option<&Result<Answer, LlmError>>) {
        let mut book = self.book();
        let Some(at) = book.pending.iter().position(|pending| pending.number == number) else { return };
        let pending = book.pending.swap_remove(at);
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

/// A call under way; when it is dropped before its end it is booked as far as it came.
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
            let number = self.ledger.reserve(ask, &self.name, &heard).map_err(refused)?;
            let open = Open { ledger: &self.ledger, number, is_under_way: true };
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
        assert_eq!(made.iter().filter(|made| **made).count(), 2, "200 tokens each are set aside");
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
