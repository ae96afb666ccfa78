//! What language models cost: usage of a call, prices, the quote before a run and the bill after it.
//!
//! Money that nobody knows is `None`, never 0: a run with one call of unknown price has no known total.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens sent, those from the provider's cache included.
    pub input: u64,
    /// Tokens sent that came from the provider's cache; `None` when it does not say.
    #[serde(default)]
    pub cached: Option<u64>,
    /// Tokens received, those of reasoning included.
    pub output: u64,
    /// Tokens of reasoning among those received; `None` when the provider does not say.
    #[serde(default)]
    pub reasoning: Option<u64>,
    /// USD as the provider reports them; `None` when it does not say.
    #[serde(default)]
    pub usd: Option<f64>,
    /// Whether the numbers are an estimate because the provider gave none.
    #[serde(default)]
    pub estimated: bool,
}

/// USD per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Tokens sent.
    pub input: f64,
    /// Tokens sent that came from the provider's cache; as the others when absent.
    #[serde(default)]
    pub cached: Option<f64>,
    /// Tokens received.
    pub output: f64,
}

impl Price {
    /// USD for a call.
    pub fn of(&self, usage: &Usage) -> f64 {
        let cached = usage.cached.unwrap_or(0).min(usage.input);
        let fresh = (usage.input - cached) as f64 * self.input;
        let rest = cached as f64 * self.cached.unwrap_or(self.input) + usage.output as f64 * self.output;
        (fresh + rest) / 1e6
    }
}

/// Prices by model name, and when they were looked up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PriceTable {
    /// The day on which they held, e.g. `2026-03-01`.
    #[serde(default)]
    pub as_of: Option<String>,
    /// USD per million tokens by model name.
    #[serde(default)]
    pub models: BTreeMap<String, Price>,
}

impl PriceTable {
    /// The price of a model: of its own name, or of the name that it extends by a version (`name-2026-01-31`).
    pub fn price(&self, model: &str) -> Option<Price> {
        let extends = |name: &str| {
            let rest = model.strip_prefix(name)?;
            let version =
                rest.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
            (rest.is_empty() || version).then_some(name.len())
        };
        let nearest = self.models.iter().filter_map(|(name, price)| Some((extends(name)?, price)));
        nearest.max_by_key(|(length, _)| *length).map(|(_, price)| *price)
    }

    /// USD for a call: as the provider reports, else by this table; `None` when neither knows.
    pub fn usd(&self, model: &str, usage: &Usage) -> Option<f64> {
        usage.usd.or_else(|| Some(self.price(model)?.of(usage)))
    }
}

/// A sum of calls.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spending {
    /// Calls.
    pub calls: u32,
    /// Tokens sent.
    pub tokens_in: u64,
    /// Tokens sent that came from a provider's cache, as far as providers say.
    pub tokens_cached: u64,
    /// Tokens received.
    pub tokens_out: u64,
    /// USD; `None` as soon as one call's price is unknown.
    pub usd: Option<f64>,
}

impl Default for Spending {
    /// Nothing spent: no call, hence no unknown price.
    fn default() -> Self {
        Self { calls: 0, tokens_in: 0, tokens_cached: 0, tokens_out: 0, usd: Some(0.0) }
    }
}

impl Spending {
    /// Adds a call.
    pub fn add(&mut self, usage: &Usage, usd: Option<f64>) {
        self.calls += 1;
        self.tokens_in += usage.input;
        self.tokens_cached += usage.cached.unwrap_or(0);
        self.tokens_out += usage.output;
        self.usd = self.usd.zip(usd).map(|(all, one)| all + one);
    }

    /// Tokens in both directions.
    pub fn tokens(&self) -> u64 {
        self.tokens_in + self.tokens_out
    }
}

/// What a run spent on language models.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// In all.
    pub total: Spending,
    /// By agent.
    pub agents: BTreeMap<String, Spending>,
    /// By step.
    pub steps: BTreeMap<String, Spending>,
    /// Date of the price table, when one was used.
    pub prices_as_of: Option<String>,
}

/// From the least to the most that is expected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

impl Span {
    /// Whether a number lies inside.
    pub fn holds(&self, number: f64) -> bool {
        (self.low..=self.high).contains(&number)
    }
}

/// What a run will probably take, told before it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// Wall time in seconds.
    pub seconds: Span,
    /// Calls of language models.
    pub calls: Span,
    /// Tokens sent.
    pub tokens_in: Span,
    /// Tokens received.
    pub tokens_out: Span,
    /// USD; `None` when a price is unknown.
    pub usd: Option<Span>,
    /// Date of the price table, when one was used.
    pub prices_as_of: Option<String>,
}

/// One line of the comparison of quote and bill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuoteLine {
    /// What is compared: `seconds`, `calls`, `tokens_in`, `tokens_out`, `usd`.
    pub what: String,
    /// What was expected.
    pub quoted: Span,
    /// What it was; `None` when unknown.
    pub billed: Option<f64>,
    /// Whether the span held it; `None` when unknown.
    pub held: Option<bool>,
}

impl Quote {
    /// A quote for language models alone: a number of calls, tokens of each, the price if known.
    pub fn of_calls(calls: Span, input: Span, output: Span, price: Option<Price>) -> Self {
        let product = |a: Span, b: Span| Span { low: a.low * b.low, high: a.high * b.high };
        let (tokens_in, tokens_out) = (product(calls, input), product(calls, output));
        let usd = price.map(|price| {
            // The cheapest case has everything but the first call from the cache.
            let cached = price.cached.unwrap_or(price.input);
            let low = (tokens_in.low * cached + tokens_out.low * price.output) / 1e6;
            Span { low, high: (tokens_in.high * price.input + tokens_out.high * price.output) / 1e6 }
        });
        Self { seconds: Span { low: 0.0, high: 0.0 }, calls, tokens_in, tokens_out, usd, prices_as_of: None }
    }

    /// The quote beside what it came to.
    pub fn compare(&self, bill: &Bill, seconds: f64) -> Vec<QuoteLine> {
        let line = |what: &str, quoted: Span, billed: Option<f64>| QuoteLine {
            what: what.into(),
            quoted,
            billed,
            held: billed.map(|billed| quoted.holds(billed)),
        };
        let total = &bill.total;
        let mut lines = vec![
            line("seconds", self.seconds, Some(seconds)),
            line("calls", self.calls, Some(f64::from(total.calls))),
            line("tokens_in", self.tokens_in, Some(total.tokens_in as f64)),
            line("tokens_out", self.tokens_out, Some(total.tokens_out as f64)),
        ];
        lines.extend(self.usd.map(|usd| line("usd", usd, total.usd)));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached: Option<u64>, output: u64) -> Usage {
        Usage { input, cached, output, ..Usage::default() }
    }

    fn table() -> PriceTable {
        let price = |input, cached, output| Price { input, cached, output };
        let models = [("big", price(2.0, Some(0.5), 8.0)), ("big-mini", price(0.2, None, 0.8))];
        let models = models.map(|(name, price)| (name.to_owned(), price)).into();
        PriceTable { as_of: Some("2026-03-01".into()), models }
    }

    #[test]
    fn cached_tokens_have_their_own_price() {
        let table = table();
        assert_eq!(table.usd("big", &usage(1_000_000, Some(500_000), 0)), Some(1.25));
        assert_eq!(table.usd("big-mini", &usage(1_000_000, Some(500_000), 1_000_000)), Some(1.0));
    }

    #[test]
    fn versions_cost_what_their_model_costs() {
        let input = |model: &str| table().price(model).map(|price| price.input);
        assert_eq!(input("big-2026-01-31"), Some(2.0));
        assert_eq!(input("big-mini-2026-01-31"), Some(0.2));
        assert_eq!(input("bigger"), None);
        assert_eq!(input("big-turbo"), None, "another model, not a version");
    }

    #[test]
    fn unknown_money_is_not_zero() {
        let mut spent = Spending::default();
        assert_eq!(spent.usd, Some(0.0));
        spent.add(&usage(10, None, 5), Some(0.5));
        spent.add(&usage(10, None, 5), None);
        spent.add(&usage(10, None, 5), Some(0.5));
        assert_eq!((spent.usd, spent.tokens(), spent.calls), (None, 45, 3));
        assert_eq!(table().usd("other", &usage(1, None, 1)), None);
        let reported = Usage { usd: Some(0.25), ..usage(1, None, 1) };
        assert_eq!(table().usd("other", &reported), Some(0.25), "the provider's word counts");
    }

    #[test]
    fn a_quote_is_compared_with_its_bill() {
        let span = |low, high| Span { low, high };
        let mut quote =
            Quote::of_calls(span(2.0, 4.0), span(1e3, 3e3), span(100.0, 500.0), table().price("big"));
        quote.seconds = span(0.0, 60.0);
        let mut bill = Bill::default();
        for _ in 0..3 {
            bill.total.add(&usage(2_000, None, 800), None);
        }
        let held: Vec<_> = quote.compare(&bill, 30.0).into_iter().map(|line| line.held).collect();
        assert_eq!(held, [Some(true), Some(true), Some(true), Some(false), None]);
        assert_eq!(quote.usd, Some(span((2e3 * 0.5 + 200.0 * 8.0) / 1e6, (12e3 * 2.0 + 2e3 * 8.0) / 1e6)));
    }
}
