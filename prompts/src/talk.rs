//! The prompt of a conversation: an answer in words, from facts alone.

use crate::prompts::Prompt;
use crate::reply::Reply;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The mark of the block of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// Code of the block; new for every conversation.
    pub nonce: String,
}

/// Something that is known of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// Its name.
    pub name: String,
    /// What is known.
    pub text: String,
}

/// Asks for an answer to a question about a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerQuestion {
    /// The mark of the block of data.
    pub case: Marked,
    /// What was asked.
    pub asked: String,
    /// What is known.
    pub facts: Vec<Fact>,
}

impl Prompt for AnswerQuestion {
    const NAME: &'static str = "talk/answer";
    const MEASURED: &'static [&'static str] = &["facts"];
}

/// An answer in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// Whether the facts answer the question.
    pub can_tell: bool,
    /// Names of the facts that it rests on.
    #[schemars(length(max = 4), inner(length(max = 40)))]
    pub facts: Vec<String>,
    /// The words.
    #[schemars(length(max = 600))]
    pub answer: String,
}

impl Reply for Told {
    const NAME: &'static str = "told";
    const TOKENS_MAX: u32 = 500;
}
