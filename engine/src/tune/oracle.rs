//! A language model that answers a study's questions.

use super::{Counter, Oracle};
use crate::error::{RunError, RunErrorKind};
use crate::minds::caller::Caller;
use crate::minds::{TOKENS_DEFAULT, caller, wordings};
use crate::options::LlmOptions;
use ansatz_agents::hpo::{self, Context, Observation};
use ansatz_agents::mind::{Mind, Purpose};
use ansatz_core::bill::{Bill, Usage};
use ansatz_core::budget::Budget;
use ansatz_core::clock::Clock;
use ansatz_core::profile::Profile;
use ansatz_core::secret::Secret;
use ansatz_core::seed::Seed;
use ansatz_llm::{Caps, Charge, Key, Patience, silent};
use ansatz_prompts::{Case, Level, Machine, Prompts, Sight};
use ansatz_tuner::query::{Answer, Query};
use ansatz_tuner::study::Study;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A language model with what it is told of a study.
pub struct ModelOracle {
    runtime: tokio::runtime::Runtime,
    caller: Caller,
    is_required: bool,
    prompts: Prompts,
    blank: Case,
    description: Option<String>,
}

/// What an oracle may use and is told.
#[derive(Debug, Clone)]
pub struct OracleSettings {
    /// What is tuned, in words.
    pub description: Option<String>,
    /// Most tokens in both directions.
    pub tokens_max: Option<u64>,
    /// Most USD.
    pub usd_max: Option<f64>,
    /// Where chance in waiting times comes from.
    pub seed: Seed,
    /// What earlier lives of the study spent; its presence also says that there were any.
    pub before: Option<Bill>,
    /// Time of the whole study: no answer is waited for longer.
    pub wall: Option<Duration>,
}

impl ModelOracle {
    /// Connects to what was configured; nothing is asked yet.
    ///
    /// # Errors
    /// Of kind `Usage`: an address that makes no sense, wordings that fail their checks, a recording that cannot be used.
    pub fn connect(
        options: &LlmOptions,
        keys: &[Option<Secret>],
        settings: OracleSettings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, RunError> {
        let prompts = wordings(Some(options))?;
        let tokens = Some(settings.tokens_max.unwrap_or(TOKENS_DEFAULT));
        let caps = Caps { tokens, usd: settings.usd_max, ..Caps::default() };
        let patience = Patience::default().total;
        let patience = settings.wall.map_or(patience, |wall| patience.min(wall));
        let is_new = settings.before.is_none();
        let caller = caller::connect(options, keys, caps, patience, settings.seed, clock, is_new)?;
        if let Some(bill) = &settings.before {
            for charge in earlier(bill, &caller.name) {
                caller.ledger.carry_over(charge);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| RunError::failed(format!("starting the runtime: {error}")))?;
        Ok(Self {
            runtime,
            caller,
            is_required: options.is_required,
            prompts,
            blank: blank(),
            description: settings.description,
        })
    }
}

/// What earlier lives spent, as so many lines of the ledger as there were calls: their sum stands in the first.
fn earlier(bill: &Bill, model: &str) -> Vec<Charge> {
    let key = Key { template: "earlier".into(), step: "tune".into(), ..Key::default() };
    let cached = Some(bill.total.tokens_cached);
    let sum =
        Usage { input: bill.total.tokens_in, cached, output: bill.total.tokens_out, ..Usage::default() };
    let charge = |usage: Usage, usd: Option<f64>| Charge {
        key: key.clone(),
        model: model.into(),
        usage,
        usd,
        took: Duration::ZERO,
        error: None,
    };
    let rest = (1..bill.total.calls).map(|_| charge(Usage::default(), Some(0.0)));
    let first = (bill.total.calls > 0).then(|| charge(sum, bill.total.usd));
    first.into_iter().chain(rest).collect()
}

/// A case of no data: prompts about a command show none.
fn blank() -> Case {
    let profile = Profile {
        train_rows: 0,
        test_rows: 0,
        columns: Vec::new(),
        sample: None,
        notices: Vec::new(),
        data_hash: String::new(),
    };
    let (machine, budget) = (Machine::default(), Budget::default());
    let sight = Sight {
        nonce: "none".into(),
        profile: &profile,
        rows: &[],
        machine: &machine,
        budget: &budget,
        level: Level::Short,
    };
    Case::unknown("", "", &sight)
}

impl Oracle for ModelOracle {
    fn answer(&mut self, query: &Query, study: &Study) -> Answer {
        let observation = Observation {
            context: self.description.as_deref().map_or(Context::None, Context::Words),
            blank: &self.blank,
            subject: "the command",
            metric: "the number that it prints",
            direction: study.goals()[0],
            space: study.space(),
            known: &[],
            trials: study.trials(),
        };
        let mind = Mind { model: &*self.caller.model, prompts: &self.prompts };
        let purpose = Purpose { agent: "hpo", step: "tune".into(), ordinal: query.id };
        self.runtime.block_on(hpo::answer(&mind, &observation, query, &purpose, &mut silent()))
    }

    fn counter(&self) -> Option<Counter> {
        let ledger = Arc::clone(&self.caller.ledger);
        Some(Box::new(move || ledger.bill()))
    }

    fn refusal(&self) -> Option<RunError> {
        let failure = self.caller.failure.lock().unwrap_or_else(PoisonError::into_inner);
        let error = failure.as_ref().filter(|error| self.is_required && error.is_of_endpoint())?;
        let kind = if error.is_auth() { RunErrorKind::Auth } else { RunErrorKind::Provider };
        let refusal = RunError::new(kind, format!("the language model cannot be used: {error}"));
        Some(match error.hint() {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        })
    }
}
