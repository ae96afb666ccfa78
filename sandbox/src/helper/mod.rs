//! The inside of a cell: what our own executable does when it is started as `<exe> __cell`.
//!
//! It starts with an empty environment and one private descriptor (standard input), receives its order there, walks the
//! start sequence, forks PID 1, which furnishes the cell, forks the program and then looks after it. In a container it is PID 1
//! from the start, and asks for its order at the door. A helper has one thread and never reads its arguments or environment.

mod bubblewrap;
mod furnish;
mod init;
pub(crate) mod landlock;
pub(crate) mod memory;
pub(crate) mod order;
mod payload;
pub(crate) mod probe;
mod quota;
pub(crate) mod sequence;

pub(crate) use furnish::open_restricted;
pub(crate) use quota::Room;

use crate::channel::Channel;
use crate::error::SandboxError;
use crate::linux;
use furnish::Linux;
use order::{Event, Order, Walls};
use rustix::fs::{Mode, OFlags};
use rustix::process::WaitOptions;
use sequence::{StepError, perform_all};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The host sends the order at once; a helper that was started by hand must not linger.
const ORDER_TIME_MAX: Duration = Duration::from_secs(20);

/// Runs the hidden `__cell` subcommand: becomes the helper of a cell and never returns.
///
/// Must be called before the program starts a thread.
pub fn cell_main() -> ! {
    let code = match take_order() {
        Ok((supervisor, order, descriptors)) => enter(supervisor, &order, descriptors),
        Err(_) => 2,
    };
    linux::leave(code)
}

fn take_order() -> Result<(Channel, Order, Vec<OwnedFd>), SandboxError> {
    use crate::error::{Doing as _, SandboxErrorKind};
    let doing = || "taking the order".to_owned();
    linux::close_from(3).doing(doing)?;
    let supervisor = Channel::from_socket(line_to_host()?);
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).doing(doing)?;
    linux::place(null.try_clone().doing(doing)?, 0).doing(doing)?;
    // Reserves the program's control descriptor, so that nothing else can come to lie there.
    linux::place(null, 3).doing(doing)?;
    let Some(message) = supervisor.recv_descriptors(ORDER_TIME_MAX)? else {
        return Err(SandboxError::new(doing(), SandboxErrorKind::Closed));
    };
    let order = serde_json::from_slice(&message.bytes)
        .map_err(|error| SandboxError::new(doing(), SandboxErrorKind::Protocol(error.to_string())))?;
    Ok((supervisor, order, message.descriptors))
}

/// The host's end of the line: standard input where the host has started this process itself, the door of a container where
/// an engine has. Out of the way of the descriptors that the program will get.
fn line_to_host() -> Result<OwnedFd, SandboxError> {
    use crate::error::Doing as _;
    let doing = || "finding the line to the host".to_owned();
    let stat = rustix::fs::fstat(rustix::stdio::stdin()).doing(doing)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket {
        rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 10).doing(doing)
    } else {
        rustix::io::fcntl_dupfd_cloexec(crate::engine::enter()?, 10).doing(doing)
    }
}

/// What is printed in a container goes to the host's pipe, not to the engine's log.
fn print_to(log: OwnedFd) -> std::io::Result<()> {
    linux::place(log.try_clone()?, 1)?;
    linux::place(log, 2)
}

/// Where the host has started us: goes inside, or makes somebody else's inside its own.
fn enter(supervisor: Channel, order: &Order, mut descriptors: Vec<OwnedFd>) -> i32 {
    if descriptors.is_empty() {
        return 2;
    }
    let control = descriptors.remove(0);
    if matches!(order.walls, Walls::Container { .. })
        && let Some(log) = descriptors.pop()
        && let Err(source) = print_to(log)
    {
        return tell_failure(&supervisor, StepError { step: "open the log".into(), source });
    }
    let mut kernel = Linux::new(order, descriptors);
    if matches!(order.walls, Walls::Bubblewrap { .. }) {
        // What is started inside finds the channel where it always is.
        if let Err(error) = rustix::io::fcntl_dupfd_cloexec(&supervisor, 10)
            .map_err(std::io::Error::from)
            .and_then(|channel| linux::place(channel, 0))
        {
            return tell_failure(
                &supervisor,
                StepError { step: "pass the channel on".into(), source: error },
            );
        }
    }
    if let Err(error) = perform_all(&mut kernel, &sequence::enter(order)) {
        return tell_failure(&supervisor, error);
    }
    if order.walls != Walls::Namespaces {
        // This process is the supervisor: either PID 1 already, or there is no name space to be first in.
        return init::run(supervisor, order, kernel, control);
    }
    match linux::fork() {
        Err(source) => tell_failure(&supervisor, StepError { step: "fork PID 1".into(), source }),
        Ok(None) => linux::leave(init::run(supervisor, order, kernel, control)),
        Ok(Some(child)) => {
            // Only PID 1 holds the channel from here on, so that its end is seen as the cell's end.
            drop((supervisor, control, kernel));
            wait_for(child)
        }
    }
}

fn wait_for(child: rustix::process::Pid) -> i32 {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => {
                return status
                    .exit_status()
                    .unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0));
            }
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return 2,
        }
    }
}

/// Tells the host why the cell does not start. Returns the helper's exit code.
fn tell_failure(supervisor: &Channel, error: StepError) -> i32 {
    tell(supervisor, &Event::Failed { step: error.step, message: error.source.to_string() }, &[]);
    2
}

/// Sends an event to the host. A host that is gone ends the cell by itself, so a failure needs no answer.
fn tell(supervisor: &Channel, event: &Event, descriptors: &[BorrowedFd<'_>]) {
    if let Ok(bytes) = serde_json::to_vec(event) {
        let _ = supervisor.send(&bytes, descriptors);
    }
}
