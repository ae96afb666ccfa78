//! Cells: locked process trees in which code that nobody has read may run.
//!
//! A [`Launcher`] turns a [`CellSpec`] (policy, program, arguments) into a [`Cell`]: a daemonless container made by this
//! program itself, with its own namespaces, a minimal read-only root, a system call list, Landlock and hard limits. What a
//! host can really enforce is tried, not assumed: see [`Effective`] and [`doctor()`].
//!
//! Invariants: this crate starts every child process of the product, and only [`trusted`] starts one outside a cell. It
//! reads no configuration, decides nothing about trials, knows no label. Policies that would open the host (privileges,
//! devices, a writable host folder, an engine's socket) cannot be written down. `unsafe` lives in `linux/` alone.

mod backend;
mod cell;
mod cgroup;
mod channel;
mod collect;
mod doctor;
mod effective;
mod engine;
mod error;
pub mod gpu;
mod helper;
mod launcher;
mod leaf;
mod linux;
mod local;
mod log;
mod paths;
mod policy;
mod private;
mod process;
mod python;
pub mod ray;
mod report;
mod slot;
mod spawner;
pub mod trusted;

pub use backend::BackendChoice;
pub use cell::Cell;
pub use collect::{CollectError, CollectErrorKind};
pub use doctor::{Barrier, Held, doctor};
pub use effective::{Effective, Level};
pub use engine::EngineOptions;
pub use error::{SandboxError, SandboxErrorKind};
pub use gpu::{GpuBinding, GpuError, GpuLease, Gpus, LeaseLimits};
pub use helper::cell_main;
pub use launcher::{Launcher, LauncherOptions};
pub use leaf::Leaf;
pub use log::CappedLog;
pub use policy::{CellSpec, LeafLimits, Limits, Mount, Policy};
pub use python::python_mounts;
pub use report::{CellReport, LeafReport, Verdict};

/// The hidden subcommand under which a program that embeds this crate must call [`cell_main`].
pub const CELL_SUBCOMMAND: &str = "__cell";
