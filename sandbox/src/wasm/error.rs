//! Why a small function in WebAssembly gave no answer, in words for the person who wrote it.

use std::time::Duration;

/// A function that gave no answer, and which.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {kind}")]
pub struct WasmError {
    what: String,
    kind: WasmErrorKind,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum WasmErrorKind {
    /// It is no component at all.
    #[error("it is not a WebAssembly component: {0}")]
    Invalid(String),
    /// The file is larger than allowed.
    #[error("it has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// It asks for things that functions do not get.
    #[error("it wants {}, but a function gets nothing from outside", .0.join(", "))]
    Imports(Vec<String>),
    /// It does not offer what is called.
    #[error("it does not export `{0}` as the interface says")]
    Exports(String),
    /// Compiling it took too long.
    #[error("compiling it took longer than {0:?}")]
    Compile(Duration),
    /// Its code raised an exception, or said no.
    #[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Fault {
        /// What it said, with the name of the exception.
        message: String,
        /// Line of the source, from 1.
        line: Option<u32>,
    },
    /// It ran longer than allowed.
    #[error("it was stopped after {0:?}")]
    Timeout(Duration),
    /// It wanted more memory than allowed.
    #[error("it wanted more than {} MiB of memory", .0 >> 20)]
    Memory(usize),
    /// It gave back more than allowed.
    #[error("its answer is larger than {0} bytes")]
    Output(usize),
    /// It ended in the middle of a call.
    #[error(
        "it crashed, or asked for what a function does not have (files, network, clock, environment): {0}"
    )]
    Crash(String),
    /// The component that runs Python could not be made or loaded.
    #[error("the component that runs Python could not be made: {0}")]
    Setup(String),
    /// The operating system refused.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

impl WasmError {
    pub(crate) fn new(what: impl Into<String>, kind: impl Into<WasmErrorKind>) -> Self {
        Self { what: what.into(), kind: kind.into() }
    }

    /// An answer that cannot be used, in words.
    pub fn of_function(what: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(what, WasmErrorKind::Fault { message: message.into(), line: None })
    }

    /// What went wrong.
    pub fn kind(&self) -> &WasmErrorKind {
        &self.kind
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match &self.kind {
            WasmErrorKind::Invalid(_) => {
                "give a component, as `wasm-tools component new` makes it from a core module"
            }
            WasmErrorKind::TooLarge { .. } => {
                "build it for size, without a standard library that it does not need"
            }
            WasmErrorKind::Imports(_) => {
                "build it without WASI, e.g. for wasm32-unknown-unknown, and take everything from the arguments"
            }
            WasmErrorKind::Exports(_) => {
                "docs/functions.md shows the interface; the WIT file is sandbox/wit/ansatz.wit"
            }
            WasmErrorKind::Compile(_) => "make it smaller; functions are meant to be short",
            WasmErrorKind::Fault { .. } => "try the function on a few rows in plain Python first",
            WasmErrorKind::Timeout(_) => {
                "look for an endless loop, or for work that grows with the square of the rows"
            }
            WasmErrorKind::Memory(_) => "keep no copies of the arrays that grow with the rows",
            WasmErrorKind::Output(_) => "return a number, or a short list of complaints",
            WasmErrorKind::Crash(_) => {
                "a function computes from its arguments alone; docs/functions.md lists what it can import"
            }
            WasmErrorKind::Setup(_) => {
                "it is made once from a package of the Python package index; check the network, or give a .wasm file"
            }
            WasmErrorKind::System(_) => "check that the file and the program's home can be read and written",
        }
    }
}
