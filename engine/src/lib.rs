//! The engine: the only crate that decides when an effect happens.
//!
//! [`run`] takes resolved [`Options`] to a [`RunResult`]; [`resume`] takes up a run that was interrupted;
//! [`predict`] uses a delivered model. Everything that happens on the way is an event in the run's journal, and
//! every watcher ([`Observer`]) sees exactly those events.
//!
//! Data flow: (`fetched` →) `intake` → `reader` (a cell) → `agents` understand and plan → `search` (trials in the `worker`'s
//! children) → `finalise` (ensemble, judge, package) → `result.json`.
//!
//! Invariant: no solution code runs outside a cell; no score is taken from a cell; no sealed label enters one.

mod answering;
mod board;
mod bundle;
mod cells;
mod closing;
mod control;
pub mod environment;
mod error;
mod fetched;
mod finalise;
mod folder;
mod functions;
mod gpu;
mod hearing;
mod intake;
mod judge;
mod limits;
mod minds;
mod observer;
mod options;
mod pace;
mod pictures;
mod pool;
mod predict;
mod predictions;
mod protocol;
pub mod ray;
mod reader;
mod record;
mod remember;
mod restore;
mod result;
mod run;
mod scoring;
mod search;
mod setup;
mod submission;
pub mod tune;
mod worker;

pub use control::Control;
pub use error::{RunError, RunErrorKind};
pub use functions::FunctionFile;
pub use minds::{Aside, Words};
pub use observer::{Note, Observer, Silent};
pub use options::{Given, GpuAsk, Keys, LlmOptions, Options, SourceOptions, WALL_DEFAULT};
pub use predict::{Prediction, predict};
pub use ray::RayOptions;
pub use run::{resume, run};
pub use setup::evidence;

pub use ansatz_agents::search::Method as SearchMethod;
pub use ansatz_core::outcome::RunResult;
pub use ansatz_sources::{Settings as SourceSettings, Source, SourceError, SourceErrorKind};
