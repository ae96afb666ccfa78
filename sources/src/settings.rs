//! How sources are reached and what they may bring.

use crate::error::{SourceError, of_fetch};
use crate::named::Source;
use ansatz_core::retry::Backoff;
use ansatz_core::secret::Secret;
use ansatz_fetch::{Client, Hosts, Limits, Settings as FetchSettings};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Where OpenML's API lies when nobody says otherwise.
pub const OPENML_BASE: &str = "https://api.openml.org";
/// Where Hugging Face lies when nobody says otherwise.
pub const HF_BASE: &str = "https://huggingface.co";
/// Most MiB that a data set may have when nobody says otherwise.
pub const MAX_MIB: u64 = 4096;

/// Stores that OpenML's descriptions name.
const OPENML_STORES: [&str; 4] = ["*.openml.org", "openml.org", "openml1.win.tue.nl", "data.openml.org"];
/// Stores that Hugging Face redirects to.
const HF_STORES: [&str; 4] = ["huggingface.co", "*.huggingface.co", "hf.co", "*.hf.co"];

/// How sources are reached and what they may bring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Base URL of OpenML's API.
    pub openml_base: String,
    /// Base URL of Hugging Face.
    pub hf_base: String,
    /// Hosts that redirects and descriptions may lead to, beside those of the services.
    pub hosts: Vec<String>,
    /// Most MiB of a data set, packed and unpacked.
    pub max_mib: u64,
    /// Whether an address may lie anywhere, as for the user of this machine, or only on `hosts`, as for a caller of a server.
    pub any_host: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            openml_base: OPENML_BASE.into(),
            hf_base: HF_BASE.into(),
            hosts: Vec::new(),
            max_mib: MAX_MIB,
            any_host: true,
        }
    }
}

/// Waits and bodies: a server that is silent for longer is taken for dead.
fn limits() -> Limits {
    Limits {
        connect: Duration::from_secs(10),
        first_byte: Duration::from_secs(30),
        idle: Duration::from_secs(30),
        total: Duration::from_mins(2),
        body_max: 16 << 20,
    }
}

fn retries() -> Backoff {
    Backoff { tries: 4, first: Duration::from_millis(500), cap: Duration::from_secs(10) }
}

impl Settings {
    pub(crate) fn bytes_max(&self) -> u64 {
        self.max_mib.saturating_mul(1 << 20)
    }

    fn hosts(&self, more: &[&str]) -> Hosts {
        let own = self.hosts.iter().map(String::as_str);
        Hosts::new(&own.chain(more.iter().copied()).collect::<Vec<_>>())
    }

    pub(crate) fn openml(&self) -> Result<Client, SourceError> {
        client(&self.openml_base, self.hosts(&OPENML_STORES), None)
    }

    pub(crate) fn hugging_face(&self, token: Option<&Secret>) -> Result<Client, SourceError> {
        client(&self.hf_base, self.hosts(&HF_STORES), token)
    }

    /// Looks whether a source may be reached at all, before anything is called.
    ///
    /// # Errors
    /// Its host is not allowed.
    pub fn allow(&self, source: &Source) -> Result<(), SourceError> {
        match source {
            Source::Address(address) => self.address(address, None).map(drop),
            Source::OpenMl(_) | Source::HuggingFace(_) => Ok(()),
        }
    }

    /// A client for one address. From a service's own host its stores may be reached too.
    pub(crate) fn address(&self, address: &str, token: Option<&Secret>) -> Result<Client, SourceError> {
        let origin = origin(address);
        let at = crate::named::place_of(&origin);
        if at == crate::named::place_of(&self.hf_base) {
            return self.hugging_face(token);
        }
        let is_openml = at == crate::named::place_of(&self.openml_base) || at.ends_with("openml.org");
        let stores: &[&str] = if is_openml { &OPENML_STORES } else { &[] };
        if !self.any_host && !is_openml && !self.hosts.iter().any(|host| host.eq_ignore_ascii_case(&at)) {
            return Err(SourceError::data(format!("this server fetches nothing from {at}")).hint(
                "upload the file instead; whoever runs the server can allow the host with source_hosts",
            ));
        }
        client(&origin, self.hosts(stores), None)
    }
}

/// Scheme, host and port of an address.
fn origin(address: &str) -> String {
    let (scheme, rest) = address.split_once("://").unwrap_or(("https", address));
    let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{}://{place}/", scheme.to_ascii_lowercase())
}

fn client(base: &str, hosts: Hosts, token: Option<&Secret>) -> Result<Client, SourceError> {
    let settings = FetchSettings {
        token: token.cloned(),
        hosts,
        limits: limits(),
        retries: Some(retries()),
        ..FetchSettings::default()
    };
    Client::new(base, settings).map_err(|error| of_fetch(&error, base))
}
