//! A run in a thread of its own, and what is seen of it from outside.

use ansatz_core::clock::Clock;
use ansatz_core::event::Event;
use ansatz_core::ids::ArtifactId;
use ansatz_core::outcome::RunResult;
use ansatz_core::profile::Profile;
use ansatz_engine::{Control, Keys, Note, Observer, Options, RunError};
use ansatz_journal::Blobs;
use ansatz_report::Live;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is seen of a run.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The fold over its events.
    pub live: Live,
    /// What it is busy with, in its own words.
    pub phase: String,
    /// Columns of the training file, once it was read: the name of one answers what is to be predicted.
    pub columns: Vec<String>,
    /// How it ended: the result, or why there is none.
    pub end: Option<Result<Box<RunResult>, RunError>>,
}

/// Shared between the run's thread and whoever looks.
#[derive(Default)]
pub(crate) struct Window {
    /// Written by the run's thread, read by front ends.
    seen: Mutex<Seen>,
    ended: Condvar,
}

impl Window {
    pub fn look(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the run is over, at most so long; whether it is.
    pub fn wait(&self, longest: Duration) -> bool {
        let seen = self.look();
        let waited = self.ended.wait_timeout_while(seen, longest, |seen| seen.end.is_none());
        waited.map_or_else(|poisoned| poisoned.into_inner().0.end.is_some(), |(seen, _)| seen.end.is_some())
    }
}

/// Passes on what happens, and keeps what it comes to.
struct Tee {
    window: Arc<Window>,
    watcher: Box<dyn Observer>,
    blobs: Blobs,
}

impl Observer for Tee {
    fn event(&mut self, sequence: u64, event: &Event) {
        // The front end may look at what was before the event, so it hears of it first.
        self.watcher.event(sequence, event);
        let columns = match event {
            // A run that is refused, or that asks something, takes this away again.
            Event::Profiled { profile, .. } => columns_of(&self.blobs, profile),
            _ => None,
        };
        let mut seen = self.window.look();
        seen.live.take(event);
        if let Some(columns) = columns {
            seen.columns = columns;
        }
    }

    fn note(&mut self, note: &Note) {
        self.watcher.note(note);
        if let Note::Phase(phase) = note {
            (*phase).clone_into(&mut self.window.look().phase);
        }
    }
}

/// The columns of the training file, from the data card.
fn columns_of(blobs: &Blobs, profile: &ArtifactId) -> Option<Vec<String>> {
    let profile: Profile = serde_json::from_slice(&blobs.get(profile).ok()?).ok()?;
    Some(profile.columns.into_iter().filter(|column| column.in_train).map(|column| column.name).collect())
}

/// Does work whose panic is an error like any other: whoever waits for its end must hear of it.
fn without_panic<T>(work: impl FnOnce() -> Result<T, RunError>) -> Result<T, RunError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(bug(panic.as_ref())))
}

fn bug(panic: &(dyn Any + Send)) -> RunError {
    let what: &str = if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "it left no message"
    };
    RunError::failed(format!("a bug in ansatz: {what}"))
        .hint("please report this line; what was done so far is kept, and the run can be taken up again")
}

/// A run that goes on, or is over.
pub(crate) struct Running {
    pub control: Arc<Control>,
    pub window: Arc<Window>,
    pub folder: PathBuf,
}

/// What is to be run.
pub(crate) enum Work {
    /// A new run.
    New(Box<Options>),
    /// One that was interrupted, in its folder; state of the program lies in the other.
    Again(PathBuf, PathBuf),
}

impl Running {
    /// Starts the work.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(
        work: Work,
        keys: Keys,
        clock: Arc<dyn Clock>,
        watcher: Box<dyn Observer>,
        control: Arc<Control>,
    ) -> std::io::Result<Self> {
        let window = Arc::new(Window::default());
        let folder = match &work {
            Work::New(options) => options.out.clone(),
            Work::Again(folder, _) => folder.clone(),
        };
        if let Work::Again(folder, _) = &work
            && let Ok(replay) = ansatz_journal::read(folder)
        {
            let events: Vec<Event> = replay.records.into_iter().map(|record| record.event).collect();
            window.look().live = Live::after(&events);
        }
        let tee = Box::new(Tee { window: Arc::clone(&window), watcher, blobs: Blobs::new(&folder) });
        let (shared, held) = (Arc::clone(&window), Arc::clone(&control));
        std::thread::Builder::new().name("run".into()).spawn(move || {
            let end = without_panic(|| match work {
                Work::New(options) => ansatz_engine::run(*options, keys, clock, tee, held),
                Work::Again(folder, home) => ansatz_engine::resume(&folder, &home, keys, clock, tee, held),
            });
            shared.look().end = Some(end.map(Box::new));
            shared.ended.notify_all();
        })?;
        Ok(Self { control, window, folder })
    }

    /// A run of an earlier process, as its journal tells it.
    pub fn of_the_past(folder: &Path) -> Self {
        let window = Arc::new(Window::default());
        let records = ansatz_journal::read(folder).map(|replay| replay.records).unwrap_or_default();
        let live = Live::after(records.iter().map(|record| &record.event));
        let interrupted = RunError::failed("this run was interrupted").hint("say `resume` to go on with it");
        let end = live.result.clone().ok_or(interrupted);
        *window.look() = Seen { live, end: Some(end), ..Seen::default() };
        Self { control: Arc::default(), window, folder: folder.to_path_buf() }
    }

    pub fn is_over(&self) -> bool {
        self.window.look().end.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_end_of_a_run_like_any_other() {
        let told = |work: fn() -> Result<(), RunError>| without_panic(work).unwrap_err().message;
        assert_eq!(told(|| panic!("index {} of 3", 7)), "a bug in ansatz: index 7 of 3");
        assert_eq!(told(|| panic!("plain")), "a bug in ansatz: plain");
        assert_eq!(told(|| std::panic::panic_any(7)), "a bug in ansatz: it left no message");
        assert_eq!(told(|| Err(RunError::data("no rows"))), "no rows");
        assert_eq!(without_panic(|| Ok(3)).ok(), Some(3));
    }
}
