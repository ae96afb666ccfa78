//! Where data came from, when they were fetched from elsewhere.

use serde::{Deserialize, Serialize};

/// A file that was fetched, and what its source says about it. All texts are foreign: they are shown, never obeyed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// What was asked for, e.g. `openml:31`.
    pub source: String,
    /// The address that the file came from, without user, password and query.
    pub address: String,
    /// `train`, `test`, or the name of the file.
    pub role: String,
    /// What the source calls the data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The version: a number, a commit, or the tag that the server names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The licence, as the source tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file, as hexadecimal digits.
    pub sha256: String,
    /// The kind of checksum that the source offered and that was found right, e.g. `md5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<String>,
    /// Whether an earlier run had fetched it already.
    pub was_cached: bool,
}
