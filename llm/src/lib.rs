//! Language models: one trait, a patient client for any OpenAI-compatible endpoint, the ledger, record and replay.
//!
//! From the outside in: [`read`] asks for a typed reply and repairs it; [`Recorder`] and [`Player`] keep calls or play
//! them; [`Patient`] waits, fails over, gives thoughts their room and continues; [`Ledger`] counts tokens and money of each
//! of its attempts and holds the caps; [`Endpoint`] makes one call. Each but the first is a [`ChatModel`], so each can stand
//! in for another.
//!
//! Invariant: one function, [`LlmError::retry`], decides about trying again; secrets leave in headers alone; async-openai's
//! types never leave; no prompt's text is written here but the few words that ask for a repair or a continuation.

mod breaker;
mod cassette;
mod code;
mod complaint;
mod cut;
mod detect;
mod endpoint;
mod error;
mod fit;
mod guard;
mod habits;
mod json;
mod ledger;
mod model;
mod pace;
mod patient;
mod read;
mod schema;
mod scripted;
mod setup;
mod thinking;
mod wire;
mod wrapping;

#[cfg(test)]
#[path = "../../fetch/src/double.rs"]
mod double;
#[cfg(test)]
mod tests;

pub use cassette::{Cassette, CassetteError, Entry, Player, Recorder, Tape, first_difference};
pub use code::{CodeFile, CodeProblem, code_files};
pub use detect::{Offer, offers};
pub use endpoint::{Endpoint, EndpointSettings, Waits};
pub use error::{LlmError, LlmErrorKind};
pub use fit::fit;
pub use json::extract;
pub use ledger::{Caps, Charge, Ledger, Metered};
pub use model::{
    Answer, Answering, Ask, ChatModel, Finish, Key, Left, Message, OnText, Role, Rung, Want, silent,
};
pub use pace::{Leaps, Pace, RealPace};
pub use patient::{LastFailure, Patience, Patient};
pub use read::{Readable, read, understand};
pub use schema::{bounded, portable};
pub use scripted::Scripted;
pub use setup::{EndpointChoice, Setup};
