//! A language model that a conversation asks beside its runs: about what is known of a run, never about what to do.

use super::caller::{self, Caller};
use super::{TOKENS_DEFAULT, told, wordings};
use crate::error::RunError;
use crate::options::{Keys, Options};
use ansatz_agents::mind::{Mind, Purpose, Question};
use ansatz_agents::talk;
use ansatz_core::bill::Bill;
use ansatz_core::clock::Clock;
use ansatz_llm::{Caps, silent};
use ansatz_prompts::Prompts;
use ansatz_prompts::talk::{AnswerQuestion, Fact, Marked, Told};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long an answer is waited for.
const WAIT: Duration = Duration::from_secs(20);
/// Folder of the questions of a conversation, below that of a run's recording.
const FOLDER: &str = "conversation";

/// Words of a language model, and the facts that they rest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What it says.
    pub answer: String,
    /// Names of the facts.
    pub facts: Vec<String>,
}

/// The model of a conversation, with allowances of its own as large as those of one run.
pub struct Aside {
    caller: Caller,
    prompts: Prompts,
    nonce: String,
    asked: AtomicU32,
}

impl Aside {
    /// Connects to what the options of a run say; `None` where they name no model.
    ///
    /// # Errors
    /// As a run's: an address or a wording that cannot be used.
    pub fn connect(options: &Options, keys: &Keys, clock: &Arc<dyn Clock>) -> Result<Option<Self>, RunError> {
        let Some(llm) = &options.llm else { return Ok(None) };
        let mut llm = llm.clone();
        llm.record = llm.record.map(|folder| folder.join(FOLDER));
        llm.replay = llm.replay.map(|folder| folder.join(FOLDER));
        let tokens = options.budget.tokens.unwrap_or(TOKENS_DEFAULT);
        let caps = Caps { usd: options.budget.usd, tokens: Some(tokens), step_share: 1.0 };
        let caller = caller::connect(&llm, &keys.llm, caps, WAIT, options.seed, clock, true)?;
        let prompts = wordings(Some(&llm))?;
        Ok(Some(Self { caller, prompts, nonce: super::nonce(options), asked: AtomicU32::new(0) }))
    }

    /// What was spent so far.
    pub fn bill(&self) -> Bill {
        self.caller.ledger.bill()
    }

    /// Has a question answered from facts alone, each a name and what is known. `None` when they do not answer it.
    ///
    /// # Errors
    /// Why there is no answer, or none that rests on the facts, for a person to read.
    pub fn answer(&self, asked: &str, facts: &[(&str, String)]) -> Result<Option<Words>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let fact = |(name, text): &(&str, String)| Fact { name: (*name).to_owned(), text: text.clone() };
        let prompt = AnswerQuestion {
            case: Marked { nonce: self.nonce.clone() },
            asked: asked.to_owned(),
            facts: facts.iter().map(fact).collect(),
        };
        let ordinal = self.asked.fetch_add(1, Ordering::Relaxed);
        let purpose = Purpose { agent: "verifier", step: FOLDER.into(), ordinal };
        let texts: Vec<String> =
            facts.iter().map(|(_, text)| text.clone()).chain([asked.to_owned()]).collect();
        let check = |told: &Told| -> Vec<String> {
            let unknown = told.facts.iter().find(|name| !facts.iter().any(|(known, _)| known == name));
            let unknown = unknown.map(|name| format!("there is no fact {name:?}"));
            let made_up = talk::unsupported(&told.answer, &texts);
            let made_up = made_up.map(|figure| format!("{figure} stands in none of the facts"));
            unknown.into_iter().chain(made_up).collect()
        };
        let mind = Mind { model: &*self.caller.model, prompts: &self.prompts };
        let question = Question { prompt: &prompt, shorter: None };
        let mut hear = silent();
        let asking = mind.ask::<_, Told>(question, &purpose, &mut hear, &check);
        let told = runtime.block_on(async { tokio::time::timeout(WAIT, asking).await });
        match told {
            Err(_) => Err(format!("no answer within {} s", WAIT.as_secs())),
            Ok(Err(error)) => Err(self::told(&error)),
            Ok(Ok(read)) => {
                let Told { can_tell, facts, answer } = read.value;
                Ok((can_tell && !answer.trim().is_empty()).then_some(Words { answer, facts }))
            }
        }
    }
}
