//! Steering: what a user can change about a run while it goes on.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "steer", rename_all = "snake_case")]
pub enum Steer {
    /// A column is not to be used; what was trained with it does not count any more.
    DropColumn {
        /// The column.
        column: String,
    },
    /// A solution is not to be used.
    Without {
        /// Its name.
        solution: String,
    },
    /// What the delivered model should be like.
    Prefer {
        /// What is preferred.
        preference: Preference,
    },
    /// More time, or less.
    Time {
        /// Seconds to add; negative ones take away.
        seconds: f64,
    },
    /// No more searching: judge, package and deliver what there is.
    Submit,
}

/// What the delivered model should be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// One model instead of a combination, which is small and quick.
    Single,
    /// A model that a person can read: linear ones only.
    Readable,
}

impl fmt::Display for Steer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DropColumn { column } => write!(f, "drop the column {column}"),
            Self::Without { solution } => write!(f, "go on without {solution}"),
            Self::Prefer { preference: Preference::Single } => f.write_str("deliver a single model"),
            Self::Prefer { preference: Preference::Readable } => f.write_str("deliver a readable model"),
            Self::Time { seconds } if *seconds >= 0.0 => write!(f, "take {seconds:.0} s more"),
            Self::Time { seconds } => write!(f, "take {:.0} s less", -seconds),
            Self::Submit => f.write_str("stop searching and deliver"),
        }
    }
}
