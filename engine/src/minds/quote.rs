//! What a run will probably take: told before the start, compared with the bill afterwards.

use super::{Allowance, Cases, TOKENS_DEFAULT};
use crate::options::{LlmOptions, Options};
use crate::pace::Pace;
use crate::setup::Prepared;
use ansatz_agents::data;
use ansatz_core::bill::{Quote, Span};
use ansatz_llm::{Ask, Message, Role};
use ansatz_prompts::Prompts;

/// Calls of a run whose model says nothing useful.
const CALLS_MIN: f64 = 2.0;
/// Calls for repairs in a run that asks all it may.
const REPAIRS: f64 = 4.0;
/// Tokens of an answer: a short reply, a long module.
const ANSWER: (f64, f64) = (100.0, 2500.0);
/// Tokens that a prompt has beyond the part that all share.
const OWN_PART: f64 = 3500.0;
/// Seconds of one trial of one fold: fixed, and for each cell of the table.
const TRIAL_S: f64 = 0.05;
const CELL_S: f64 = 1e-5;
/// Seconds for what is not searching.
const AROUND_S: f64 = 60.0;

/// The quote of a run; `model` holds what a language model is shown, where there is one.
pub fn quote(options: &Options, prepared: &Prepared, model: Option<(&Cases, &Prompts)>) -> Quote {
    let seconds = seconds(options, prepared);
    let (Some(llm), Some((cases, prompts))) = (&options.llm, model) else {
        let none = Span { low: 0.0, high: 0.0 };
        let usd = Some(none);
        return Quote { seconds, calls: none, tokens_in: none, tokens_out: none, usd, prices_as_of: None };
    };
    let shared = shared_tokens(cases, prompts);
    let calls = Span { low: CALLS_MIN, high: calls_max(options) };
    let input = Span { low: 0.7 * shared, high: shared + OWN_PART };
    let output = Span { low: ANSWER.0, high: ANSWER.1 };
    let mut quote = Quote::of_calls(calls, input, output, price(llm));
    let cap = options.budget.tokens.unwrap_or(TOKENS_DEFAULT) as f64;
    quote.tokens_in.high = quote.tokens_in.high.min(cap);
    quote.tokens_out.high = quote.tokens_out.high.min(cap);
    for span in [&mut quote.calls, &mut quote.tokens_in, &mut quote.tokens_out] {
        // A cap may leave room for no call at all.
        span.low = if cap < 2.0 * (shared + ANSWER.1) { 0.0 } else { span.low.min(span.high) };
    }
    if let (Some(usd), Some(max)) = (&mut quote.usd, options.budget.usd) {
        usd.high = usd.high.min(max);
        usd.low = usd.low.min(usd.high);
    }
    Quote { seconds, prices_as_of: llm.prices.as_of.clone(), ..quote }
}

fn calls_max(options: &Options) -> f64 {
    f64::from(Allowance::of(&options.budget).thoughts()) + REPAIRS
}

fn price(llm: &LlmOptions) -> Option<ansatz_core::bill::Price> {
    llm.setup.endpoints.first().and_then(|choice| llm.prices.price(&choice.model))
}

/// Tokens of what all prompts of a run have in common, and a little more.
fn shared_tokens(cases: &Cases, prompts: &Prompts) -> f64 {
    let Ok(rendered) = prompts.render(&data::assess(&cases.full, None)) else { return 0.0 };
    let messages = vec![Message::new(Role::System, rendered.system), Message::new(Role::User, rendered.user)];
    Ask { messages, ..Ask::default() }.tokens_estimated() as f64
}

/// Wall time: what was given, or what so many trials take.
fn seconds(options: &Options, prepared: &Prepared) -> Span {
    match (options.budget.wall, options.budget.trials) {
        (Some(wall), None) => {
            let grace = Pace::new(Some(wall), options.jobs).grace_s() * 2.0;
            Span { low: 0.0, high: wall.as_secs_f64() + grace }
        }
        (_, trials) => {
            let cells = (prepared.table.train_rows * prepared.table.columns.len()) as f64;
            let trials = f64::from(trials.unwrap_or(1)) / options.jobs.max(1) as f64;
            let waiting = options.llm.as_ref().map_or(0.0, |llm| llm.setup.wait_s * calls_max(options));
            Span { low: 0.0, high: trials * 20.0 * (TRIAL_S + CELL_S * cells) + AROUND_S + waiting }
        }
    }
}
