//! Data from elsewhere: what was typed and configured becomes what the engine takes. The token stays apart.

use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::surroundings::Surroundings;
use ansatz_core::secret::Secret;
use ansatz_engine::{Source, SourceError, SourceErrorKind, SourceOptions, SourceSettings};

/// Variables that hold a token of Hugging Face, the usual one first.
const TOKENS: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// The token of Hugging Face, if there is one.
pub fn token(surroundings: &Surroundings) -> Option<Secret> {
    TOKENS.iter().find_map(|name| Secret::new(&surroundings.text(name)?))
}

/// How sources are reached, as configured.
pub fn settings(config: &Config) -> SourceSettings {
    let built_in = SourceSettings::default();
    let base = |name: &str, default: String| config.text(name).map_or(default, str::to_owned);
    let hosts = config.text("source_hosts").unwrap_or_default().split([',', ' ']);
    SourceSettings {
        openml_base: base("openml_base_url", built_in.openml_base),
        hf_base: base("hf_base_url", built_in.hf_base),
        hosts: hosts.map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect(),
        max_mib: config.whole("source_max_mib").unwrap_or(built_in.max_mib),
        any_host: true,
    }
}

/// The source that was typed in place of a path; `None` when it is a path.
///
/// # Errors
/// It looks like a source and names nothing.
pub fn resolve(typed: &str, config: &Config) -> Result<Option<SourceOptions>, Failure> {
    let settings = settings(config);
    match Source::read(typed, &settings) {
        None => Ok(None),
        Some(Err(error)) => Err(failure(error)),
        Some(Ok(_)) => Ok(Some(SourceOptions { named: typed.trim().to_owned(), settings })),
    }
}

/// Whether a word names a source, rightly or not.
pub fn is_source(word: &str, config: &Config) -> bool {
    Source::read(word, &settings(config)).is_some()
}

/// An error of a source as this program shows it.
pub fn failure(error: SourceError) -> Failure {
    let exit = match error.kind {
        SourceErrorKind::Usage => Exit::Usage,
        SourceErrorKind::Data => Exit::Data,
        SourceErrorKind::Auth => Exit::Auth,
        SourceErrorKind::Failed => Exit::Failed,
    };
    let failure = Failure::new(exit, error.message);
    match error.hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
