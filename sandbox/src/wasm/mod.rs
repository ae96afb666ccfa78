//! Small pure functions in WebAssembly: metrics and checks that a user brings along.
//!
//! Whom we distrust: whoever wrote the function. It may reach its arguments and nothing else: there are no files, no
//! network, no clock, no chance and no memory of earlier calls, because nothing of that exists in its world, not because it
//! is forbidden. Time, memory and output are limited. What is not protected: how much a metric that lies harms the run that
//! uses it.
//!
//! Two forms: a component by the interface in `wit/ansatz.wit` ([`MetricComponent`], [`CheckComponent`]), and Python
//! source, which runs inside the one component that holds an interpreter ([`Python`], made once by [`build`]).
//!
//! Invariant: decides nothing about runs and knows no label by name; wasmtime's types do not leave this folder.

pub mod build;
mod component;
mod error;
mod python;
mod runtime;

pub use component::{COMPONENT_BYTES_MAX, CheckComponent, LIMITS as COMPONENT_LIMITS, MetricComponent, read};
pub use error::{WasmError, WasmErrorKind};
pub use python::{Defined, LIMITS as PYTHON_LIMITS, MODULES, Python, Question, Source, Table};
pub use runtime::{CallLimits, Runtime};

/// Longest message of a function that is passed on.
const MESSAGE_CHARS_MAX: usize = 500;

/// What a metric reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// One label per row.
    Label,
    /// Probabilities.
    Probability,
    /// One real value per row.
    Value,
}

/// What a metric says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub name: String,
    /// Whether larger scores are better.
    pub higher_is_better: bool,
    /// What it reads; `None` when it does not say.
    pub needs: Option<Needs>,
    /// A built-in metric that trainings may aim at in its place.
    pub objective: Option<String>,
}

/// Something that is wrong with a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Data row, counted from 1; `None` when it is about the whole.
    pub row: Option<u32>,
    /// What is wrong.
    pub message: String,
}
