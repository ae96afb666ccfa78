//! Who watches a run: progress displays, event streams, tests.

use ansatz_core::event::Event;

/// Progress that is worth showing but not worth keeping.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// The worker environment is being made; a line about it.
    Setup(String),
    /// Data are on their way; a line about it.
    Fetching(String),
    /// A phase began.
    Phase(&'static str),
    /// Trials under way, and seconds used of the search time.
    Load {
        /// Trials running now.
        running: usize,
        /// Seconds since the start.
        elapsed_s: f64,
        /// Seconds the run may take.
        total_s: Option<f64>,
    },
}

/// Receives everything that happens, in order, on the dispatcher's thread: be quick.
pub trait Observer: Send {
    /// An event was journalled.
    fn event(&mut self, sequence: u64, event: &Event);

    /// Something is worth showing.
    fn note(&mut self, note: &Note);
}

/// Watches nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _: u64, _: &Event) {}
    fn note(&mut self, _: &Note) {}
}
