//! The process that becomes the program: locks itself, then starts the program or runs the probe.
//!
//! Whatever goes wrong before the program runs is told over a pipe that closes by itself when the program starts.

use super::furnish::Linux;
use super::order::{Order, Payload};
use super::probe::Probe;
use super::sequence::{StepError, lock, perform_all};
use crate::linux;
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;

/// What the program's process says before the program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// Everything is locked; the program is next. Names what Landlock gives.
    Locked(String),
    /// A step failed.
    Failed {
        /// The step.
        step: String,
        /// What the kernel said.
        message: String,
    },
}

/// Exit code of a program that could not be started, as shells have it.
const NOT_STARTED: i32 = 127;

/// Locks this process and becomes the program. Returns an exit code only for the probe and for failures.
pub(crate) fn run(order: &Order, kernel: &mut Linux, control: OwnedFd, word: OwnedFd) -> i32 {
    kernel.set_control(control);
    let mut pipe = std::fs::File::from(word);
    let failed = match perform_all(kernel, &lock(order)) {
        Ok(()) => {
            say(&mut pipe, &Word::Locked(kernel.landlock().to_owned()));
            match &order.payload {
                Payload::Probe(probe) => {
                    drop(pipe);
                    return run_probe(probe, order);
                }
                Payload::Program => become_program(order),
            }
        }
        Err(error) => error,
    };
    say(&mut pipe, &Word::Failed { step: failed.step, message: failed.source.to_string() });
    NOT_STARTED
}

fn run_probe(probe: &Probe, order: &Order) -> i32 {
    // Whatever is left of the start is closed, as it would be for a program. This process leaves without dropping anything,
    // so nothing is closed twice.
    match linux::close_from(4) {
        Ok(()) => super::probe::run(probe, order),
        Err(_) => NOT_STARTED,
    }
}

/// Returns only when the program cannot be started.
fn become_program(order: &Order) -> StepError {
    let step = format!("start {} in {}", order.argv[0], order.cwd.display());
    if let Err(source) = linux::default_signals() {
        return StepError { step, source };
    }
    let mut program = std::process::Command::new(&order.argv[0]);
    program.args(&order.argv[1..]).env_clear().envs(&order.env).current_dir(&order.cwd);
    StepError { step, source: program.exec() }
}

fn say(pipe: &mut std::fs::File, word: &Word) {
    if let Ok(mut line) = serde_json::to_vec(word) {
        line.push(b'\n');
        let _ = pipe.write_all(&line);
    }
}
