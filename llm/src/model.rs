//! What is asked of a language model and what it answers.

use crate::error::LlmError;
use ansatz_core::bill::Usage;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::pin::Pin;
use std::time::Duration;

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The program, about the rules.
    System,
    /// The program, about the case at hand.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A message from its parts.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }
}

/// What form the answer must have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Words, or code in fenced blocks.
    #[default]
    Text,
    /// JSON by a schema.
    Json {
        /// Name of the schema: at most 64 letters, digits, `_`, `-`.
        name: String,
        /// The JSON schema.
        schema: Value,
    },
}

/// What a request is about: the names under which its cost is booked and its recording is found.
pub use ansatz_core::event::ModelCall as Key;

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// What it is about.
    pub key: Key,
    /// The conversation, its stable part first.
    pub messages: Vec<Message>,
    /// The same said shorter, for a model whose context is too small; `None` when it cannot be.
    #[serde(default)]
    pub shorter: Option<Vec<Message>>,
    /// What form the answer must have.
    pub want: Want,
    /// Tokens that the answer may have; thoughts before it get room of their own.
    pub tokens_max: u32,
    /// Temperature; `None` leaves it to the model.
    #[serde(default)]
    pub temperature: Option<f64>,
    /// What went into the prompt but for measured numbers: a recording is matched by these, not by the rendered text.
    #[serde(default)]
    pub fields: Value,
}

impl Ask {
    /// Letters of all messages.
    pub fn chars(&self) -> usize {
        self.messages.iter().map(|message| message.content.chars().count()).sum()
    }

    /// Tokens sent, estimated: what there is when a provider does not count.
    pub fn tokens_estimated(&self) -> u64 {
        tokens_estimated(self.chars()) + 4 * self.messages.len() as u64
    }
}

/// Tokens of so many letters, estimated on the high side: English has four letters to a token, code and numbers have three.
pub fn tokens_estimated(chars: usize) -> u64 {
    (chars as u64 * 10).div_ceil(35)
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It was done.
    Stop,
    /// It may not write more.
    Length,
}

/// Which step of the ladder of structured output was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// The server is given the whole schema.
    Bounded,
    /// The server is given the schema without limits of lengths and numbers, which some refuse.
    Portable,
    /// The server promises JSON; the schema stands in the prompt.
    Object,
    /// The schema stands in the prompt.
    Fenced,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Its words.
    pub text: String,
    /// Its reasoning, where the provider shows it.
    #[serde(default)]
    pub reasoning: Option<String>,
    /// Why it stopped.
    pub finish: Finish,
    /// What it used, all attempts and continuations that gave usage included.
    pub usage: Usage,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// The endpoint that answered, without path.
    pub endpoint: String,
    /// How structure was asked for.
    pub rung: Rung,
    /// Time from asking to the last word.
    pub took: Duration,
    /// What the user should know.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// An answer on its way.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answer, LlmError>> + Send + 'a>>;

/// Hears the pieces of an answer as they arrive. A later attempt begins anew: what was heard then is void.
pub type OnText<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Tokens that caps leave beside a request: room for thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Should the calls under way use as much as they may.
    pub now: u64,
    /// Should they use nothing.
    pub later: u64,
}

impl Default for Left {
    /// No cap holds.
    fn default() -> Self {
        Self { now: u64::MAX, later: u64::MAX }
    }
}

/// Something that answers.
pub trait ChatModel: Send + Sync {
    /// Answers a request; `on_text` hears the words as they arrive.
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a>;

    /// Its name, for people.
    fn name(&self) -> String;

    /// What caps leave beside this request.
    fn left(&self, _ask: &Ask) -> Left {
        Left::default()
    }
}

impl<M: ChatModel + ?Sized> ChatModel for Box<M> {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        (**self).answer(ask, on_text)
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn left(&self, ask: &Ask) -> Left {
        (**self).left(ask)
    }
}

impl<M: ChatModel + ?Sized> ChatModel for std::sync::Arc<M> {
    fn answer<'a>(&'a self, ask: &'a Ask, on_text: OnText<'a>) -> Answering<'a> {
        (**self).answer(ask, on_text)
    }

    fn name(&self) -> String {
        (**self).name()
    }

    fn left(&self, ask: &Ask) -> Left {
        (**self).left(ask)
    }
}

/// Hears nothing.
pub fn silent() -> impl FnMut(&str) + Send {
    |_: &str| ()
}
