//! From configuration to a caller of a language model: patient, metered, and recorded where that is wished; or a recording.

use crate::error::RunError;
use crate::options::LlmOptions;
use ansatz_core::clock::Clock;
use ansatz_core::secret::Secret;
use ansatz_core::seed::Seed;
use ansatz_llm::{Caps, Cassette, ChatModel, LastFailure, Ledger, Patience, Player, Recorder, Tape};
use std::sync::Arc;
use std::time::Duration;

/// A caller, and what it writes to and plays from.
pub struct Caller {
    /// The model.
    pub model: Box<dyn ChatModel>,
    /// Its name.
    pub name: String,
    /// Where its calls are booked: each attempt at each endpoint; of a recording what it says of a whole request.
    pub ledger: Arc<Ledger>,
    /// Its latest failure; always empty when a recording is played.
    pub failure: LastFailure,
    /// The file to which its calls are recorded.
    pub tape: Option<Arc<Tape>>,
    /// The recording that is played.
    pub cassette: Option<Cassette>,
    /// What plays it.
    pub player: Option<Arc<Player>>,
}

/// Connects to what is configured; nothing is asked yet. What goes on where an earlier process ended is not recorded
/// (`may_record`): half a recording would be of no use.
///
/// # Errors
/// Of kind `Usage`: an address that makes no sense, a recording that cannot be read or begun.
pub fn connect(
    options: &LlmOptions,
    keys: &[Option<Secret>],
    caps: Caps,
    patience: Duration,
    seed: Seed,
    clock: &Arc<dyn Clock>,
    may_record: bool,
) -> Result<Caller, RunError> {
    let ledger = Arc::new(Ledger::new(caps, options.prices.clone()));
    let first = options.setup.endpoints.first();
    let name = first.map_or_else(|| "recording".to_owned(), |choice| choice.model.clone());
    if let Some(folder) = &options.replay {
        let cassette = Cassette::open(folder).map_err(|error| unusable(&error))?;
        let player = Arc::new(Player::new(&cassette));
        let model = Box::new(ledger.meter(Arc::clone(&player), &name));
        return Ok(Caller {
            model,
            name,
            ledger,
            failure: LastFailure::default(),
            tape: None,
            cassette: Some(cassette),
            player: Some(player),
        });
    }
    let patience = Patience { total: patience, ..Patience::default() };
    let patient = options.setup.connect(keys, patience, seed, clock, &ledger).map_err(|error| {
        let wrapped = RunError::usage(error.to_string());
        match error.hint() {
            Some(hint) => wrapped.hint(hint),
            None => wrapped,
        }
    })?;
    let failure = patient.last_failure();
    let (mut model, mut tape): (Box<dyn ChatModel>, _) = (Box::new(patient), None);
    if let Some(folder) = options.record.as_ref().filter(|_| may_record) {
        let begun = Tape::begin(folder, options.setup.redactor(keys)).map_err(|error| unusable(&error))?;
        let begun = Arc::new(begun);
        model = Box::new(Recorder::new(model, Arc::clone(&begun)));
        tape = Some(begun);
    }
    Ok(Caller { model, name, ledger, failure, tape, cassette: None, player: None })
}

/// What is said of a recording that cannot be used.
pub fn unusable(error: &dyn std::fmt::Display) -> RunError {
    RunError::usage(format!("the recording cannot be used: {error}"))
        .hint("record anew with --record into a new folder")
}
