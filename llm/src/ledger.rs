//! The ledger: tokens and money of every call, and the caps that hold before a call is made.

use crate::error::{LlmError, LlmErrorKind};
use crate::model::{Answering, Ask, ChatModel, Key, OnText};
use ansatz_core::bill::{Bill, PriceTable, Usage};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    charges: Vec<Charge>,
    /// Tokens and USD that calls under way may still use.
    reserved: Vec<(u64, String, u64, f64)>,
    next: u64,
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

    /// What was spent so far.
    pub fn bill(&self) -> Bill {
        self.book().bill.clone()
    }

    /// All lines so far, in the order in which calls ended.
    pub fn charges(&self) -> Vec<Charge> {
        self.book().charges.clone()
    }

    /// Enters what an earlier process of the same run spent, so that a resumed run keeps its caps.
    pub fn carry_over(&self, charge: Charge) {
        enter(&mut self.book(), charge);
    }

    /// The model's calls booked here, and its caps held.
    pub fn meter<M: ChatModel>(self: &Arc<Self>, model: M, name: &str) -> Metered<M> {
        Metered { model, name: name.into(), ledger: Arc::clone(self) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets aside what a call may use at most.
    fn reserve(&self, ask: &Ask, model: &str) -> Result<u64, LlmErrorKind> {
        let input = ask.tokens_estimated();
        let tokens = input + u64::from(ask.tokens_max);
        let most = Usage { input, output: ask.tokens_max.into(), ..Usage::default() };
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
        let of = |spending: Option<&ansatz_core::bill::Spending>| {
            spending.map_or((0, 0.0), |spending| (spending.tokens(), spending.usd.unwrap_or(0.0)))
        };
        let total = of(Some(&book.bill.total));
        let of_step = of(book.bill.steps.get(step));
        let reserved = |only: Option<&str>| {
            book.reserved
                .iter()
                .filter(|(_, step, _, _)| only.is_none_or(|only| only == step))
                .fold((0, 0.0), |sum, (_, _, tokens, usd)| (sum.0 + tokens, sum.1 + usd))
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
        book.reserved.push((number, step.clone(), tokens, usd));
        Ok(number)
    }

    fn settle(&self, reservation: u64, charge: Option<Charge>) {
        let mut book = self.book();
        book.reserved.retain(|(number, ..)| *number != reservation);
        if let Some(charge) = charge {
            enter(&mut book, charge);
        }
    }
}

fn enter(book: &mut Book, charge: Charge) {
    let (usage, usd) = (&charge.usage, charge.usd);
    book.bill.total.add(usage, usd);
    book.bill.agents.entry(charge.key.agent.clone()).or_default().add(usage, usd);
    book.bill.steps.entry(charge.key.step.clone()).or_default().add(usage, usd);
    book.charges.push(charge);
}

/// A model whose calls are booked.
pub struct Metered<M> {
    model: M,
    name: String,
    ledger: Arc<Ledger>,
}

/// Gives a reservation back when a call is dropped before its end.
struct Held<'a>(&'a Ledger, Option<u64>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(reservation) = self.1.take() {
            self.0.settle(reservation, None);
        }
    }
}

impl<M: ChatModel> ChatModel for Metered<M> {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        Box::pin(async move {
            let ledger = &*self.ledger;
            let refused = |kind| LlmError::new(self.name(), kind);
            let reservation = ledger.reserve(ask, &self.name).map_err(refused)?;
            let mut held = Held(ledger, Some(reservation));
            let started = tokio::time::Instant::now();
            let outcome = self.model.answer(ask, on_text).await;
            held.1 = None;
            let charge = |model: &str, usage: Usage, error: Option<String>| {
                // A model answers under a longer name than it was asked by; either may be in the table.
                let usd = ledger.prices.usd(model, &usage).or_else(|| ledger.prices.usd(&self.name, &usage));
                Charge {
                    key: ask.key.clone(),
                    model: model.into(),
                    usage,
                    usd,
                    took: started.elapsed(),
                    error,
                }
            };
            let line = match &outcome {
                Ok(answer) => Some(charge(&answer.model, answer.usage, None)),
                // What was sent was probably counted there, so it is counted here.
                Err(error) if was_read(&error.kind) => {
                    let usage = Usage { input: ask.tokens_estimated(), estimated: true, ..Usage::default() };
                    Some(charge(&self.name, usage, Some(error.kind.to_string())))
                }
                Err(_) => None,
            };
            ledger.settle(reservation, line);
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
    async fn a_dropped_call_gives_its_reservation_back() {
        let ledger = Arc::new(Ledger::new(
            Caps { tokens: Some(250), step_share: 1.0, ..Caps::default() },
            PriceTable::default(),
        ));
        let model = ledger.meter(Scripted::saying(["late", "ok"]).slow(Duration::from_millis(300)), "m");
        let ask = ask("a");
        let mut quiet = silent();
        tokio::time::timeout(Duration::from_millis(30), model.answer(&ask, &mut quiet)).await.unwrap_err();
        model.answer(&ask, &mut silent()).await.unwrap();
    }
}
