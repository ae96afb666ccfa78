//! One thing that was looked at, and what came of it.

use ansatz_sandbox::{Barrier, Held};
use serde::Serialize;

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// As it should be.
    Ok,
    /// Not there, and not needed.
    Missing,
    /// It works, and something about it should be changed.
    Warning,
    /// It is there or was asked for, and does not work.
    Broken,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub name: String,
    /// How it was tried.
    pub tried: String,
    /// How it stands.
    pub standing: Standing,
    /// What was seen.
    pub seen: String,
    /// What the user can do; empty where everything is fine.
    pub advice: String,
}

impl Finding {
    fn new(standing: Standing, name: &str, tried: impl Into<String>, seen: impl Into<String>) -> Self {
        let (tried, seen) = (tried.into(), seen.into());
        Self { name: name.into(), tried, standing, seen, advice: String::new() }
    }

    /// A thing that is as it should be.
    pub fn ok(name: &str, tried: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(Standing::Ok, name, tried, seen)
    }

    /// A thing that is not there and need not be.
    pub fn missing(name: &str, tried: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(Standing::Missing, name, tried, seen)
    }

    /// A thing that works and should be changed.
    pub fn warning(name: &str, tried: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(Standing::Warning, name, tried, seen)
    }

    /// A thing that does not work.
    pub fn broken(name: &str, tried: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(Standing::Broken, name, tried, seen)
    }

    /// The same with advice.
    #[must_use]
    pub fn advice(self, advice: impl Into<String>) -> Self {
        Self { advice: advice.into(), ..self }
    }
}

impl From<Barrier> for Finding {
    fn from(barrier: Barrier) -> Self {
        let standing = match barrier.held {
            Held::Yes => Standing::Ok,
            Held::No => Standing::Broken,
            Held::Missing => Standing::Missing,
        };
        let Barrier { name, tried, why, advice, .. } = barrier;
        // What is missing was looked for, and its reason begins with its name.
        match why.strip_prefix(&format!("{name}: ")) {
            Some(reason) => Self { name, tried: String::new(), standing, seen: reason.to_owned(), advice },
            None => Self { name, tried, standing, seen: why, advice },
        }
    }
}
