//! Functions in WebAssembly: what they can do, and that they can do nothing else.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops")]

mod component;
mod python;

use ansatz_sandbox::wasm::{CallLimits, Python, Runtime, build};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// State that is kept between test runs, since making the component takes half a minute.
fn home() -> PathBuf {
    std::env::var_os("ANSATZ_TEST_HOME")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("ansatz-home"), PathBuf::from)
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("compiled WebAssembly runs here"))
}

fn interpreter() -> &'static Python {
    static PYTHON: OnceLock<Python> = OnceLock::new();
    PYTHON.get_or_init(|| {
        build::python(runtime(), &home(), &mut |line| eprintln!("{line}")).unwrap_or_else(|error| {
            panic!("{error}: {}; scripts/setup-tests installs what it needs", error.hint())
        })
    })
}

/// Limits that a test need not wait for.
fn short(time_ms: u64, memory_bytes: usize) -> CallLimits {
    CallLimits { time: Duration::from_millis(time_ms), memory_bytes, output_bytes: 1 << 20 }
}
