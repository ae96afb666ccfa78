//! Every outgoing HTTP call but those to language models: Kaggle, Ray, data sources, pages.
//!
//! A [`Client`] speaks to one service: a base URL, the hosts that it may reach, a token, limits. Every body has a cap, every
//! wait has a limit, redirects leave only for allowed hosts and never carry the token to another one, and no text of an
//! error holds a secret. Proxies of the environment are ignored unless one is named.
//!
//! Invariant: no file is written but the one that a download was asked for; reqwest's types never leave.

mod address;
mod body;
mod client;
mod download;
mod error;
mod request;

#[cfg(test)]
mod double;
#[cfg(test)]
mod tests;

pub use address::Hosts;
pub use client::{Client, Limits, Settings};
pub use download::Downloaded;
pub use error::{FetchError, FetchErrorKind};
pub use request::{Method, Reply, Request};
