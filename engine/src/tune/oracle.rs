//! A language model that answers a study's questions.

use super::Oracle;
use crate::error::RunError;
use crate::minds::{TOKENS_DEFAULT, caller, wordings};
use crate::options::LlmOptions;
use ansatz_agents::hpo::{self, Context, Observation};
use ansatz_agents::mind::{Mind, Purpose};
use ansatz_core::budget::Budget;
use ansatz_core::clock::Clock;
use ansatz_core::profile::Profile;
use ansatz_core::secret::Secret;
use ansatz_core::seed::Seed;
use ansatz_llm::{Caps, ChatModel, Patience, silent};
use ansatz_prompts::{Case, Level, Machine, Prompts, Sight};
use ansatz_tuner::query::{Answer, Query};
use ansatz_tuner::study::Study;
use std::sync::Arc;

/// A language model with what it is told of a study.
pub struct ModelOracle {
    runtime: tokio::runtime::Runtime,
    model: Box<dyn ChatModel>,
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
        let caller = caller::connect(options, keys, caps, patience, settings.seed, clock, true)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| RunError::failed(format!("starting the runtime: {error}")))?;
        Ok(Self { runtime, model: caller.model, prompts, blank: blank(), description: settings.description })
    }
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
        let mind = Mind { model: &*self.model, prompts: &self.prompts };
        let purpose = Purpose { agent: "hpo", step: "tune".into(), ordinal: query.id };
        self.runtime.block_on(hpo::answer(&mind, &observation, query, &purpose, &mut silent()))
    }
}
