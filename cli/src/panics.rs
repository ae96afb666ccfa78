//! A bug of ours ends in an `error:` line like any other error.
//!
//! The text of a panic is kept rather than printed, since some are expected and caught (a damaged memory store); it is shown
//! when one ends the program.

use crate::exit::{Exit, Failure};
use std::sync::{Arc, Mutex, PoisonError};

/// The text of the latest panic.
pub type LastPanic = Arc<Mutex<Option<String>>>;

/// Keeps the text of every panic from now on.
pub fn record() -> LastPanic {
    let last = LastPanic::default();
    let kept = Arc::clone(&last);
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(format!("{what} ({place})"));
    }));
    last
}

/// The failure to show for the latest panic.
pub fn failure(last: &LastPanic) -> Failure {
    let text = last.lock().unwrap_or_else(PoisonError::into_inner).take();
    let text = text.unwrap_or_else(|| "it left no message".into());
    Failure::new(Exit::Failed, format!("a bug in ansatz: {text}"))
        .hint("please report this line; a run that was under way can be taken up with `ansatz resume`")
}
