//! Ctrl-C and SIGTERM: the first asks the run to finish with the best so far, the second to drop everything.
//!
//! However the process ends, its cells and commands end with it: the sandbox sees to that.

use crate::exit::{Exit, Failure};
use crate::progress::Announce;
use ansatz_engine::Control;
use ansatz_sandbox::trusted;
use std::sync::Arc;
use std::time::Duration;

/// Longest time that dropping everything may take before the process simply ends.
const DROP_MAX: Duration = Duration::from_secs(3);

/// Signals after which a process ends that only passes them on.
const SIGNALS_MAX: u32 = 3;

/// Listens for signals in a thread of its own until the process ends.
///
/// # Errors
/// When the thread cannot be started.
pub fn listen(stop: Arc<Control>, announce: Announce) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("listening for Ctrl-C: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let listener = move || {
        runtime.block_on(async move {
            // Without a listener Ctrl-C ends the process as it always does; the journal holds what was done.
            let Ok(mut signals) = Signals::new() else { return };
            signals.next().await;
            announce("finishing with the best so far (press Ctrl-C again to drop everything)");
            stop.ask();
            signals.next().await;
            announce("stopping now; `ansatz resume` takes the run up again");
            stop.ask();
            trusted::hurry();
            tokio::select! {
                () = tokio::time::sleep(DROP_MAX) => {}
                () = signals.next() => {}
            }
            std::process::exit(i32::from(Exit::Interrupted as u8));
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(listener).map(drop).map_err(failed)
}

/// Calls `heard` at every signal, until the third of them ends the process.
///
/// # Errors
/// When the thread cannot be started.
pub fn hear(heard: Box<dyn Fn() + Send>) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("listening for Ctrl-C: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let listener = move || {
        runtime.block_on(async move {
            let Ok(mut signals) = Signals::new() else { return };
            for _ in 0..SIGNALS_MAX {
                signals.next().await;
                heard();
            }
            std::process::exit(i32::from(Exit::Interrupted as u8));
        });
    };
    std::thread::Builder::new().name("signals".into()).spawn(listener).map(drop).map_err(failed)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
