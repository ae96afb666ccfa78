//! The command line: arguments, configuration, progress, printing, exit codes.
//!
//! What was typed is parsed into plain records (`command/*.rs`, one file per subcommand), resolved once with environment and
//! configuration files (`config`), and handed to the engine (`engine.rs`, the only file that calls it). Results go to
//! standard output, everything else to standard error.
//!
//! Invariant: nothing is decided here about a run, no file of a run is written here, and no text from outside reaches a
//! terminal as it came: it goes through `ansatz_report::text`.

mod clock;
mod command;
mod config;
mod console;
mod csv;
mod engine;
mod exit;
mod folders;
mod llm;
mod panics;
mod progress;
mod signals;
mod sources;
mod summary;
mod surroundings;
mod table;

use exit::{Exit, Failure};
use std::ffi::OsString;
use std::process::ExitCode;
use surroundings::Surroundings;

/// Runs the program on the arguments of this process.
pub fn main() -> ExitCode {
    // A cell's helper must not have parsed anything, read its environment, or started a thread.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ansatz_sandbox::CELL_SUBCOMMAND) {
        ansatz_sandbox::cell_main();
    }
    let panics = panics::record();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = std::panic::catch_unwind(|| begin(arguments)).unwrap_or_else(|_| {
        console::complain(&panics::failure(&panics));
        Exit::Failed
    });
    exit.into()
}

fn begin(arguments: Vec<OsString>) -> Exit {
    let surroundings = match Surroundings::of_process() {
        Ok(surroundings) => surroundings,
        Err(failure) => return refuse(&failure),
    };
    // On a node of a cluster; for jobs that this program submits, not for people.
    if arguments.get(1).is_some_and(|argument| argument == ansatz_engine::ray::SUBCOMMAND) {
        return command::serve_batch(&arguments[2..], surroundings)
            .unwrap_or_else(|failure| refuse(&failure));
    }
    match command::parse(arguments) {
        Ok(cli) => command::execute(cli, surroundings).unwrap_or_else(|failure| refuse(&failure)),
        Err(exit) => exit,
    }
}

fn refuse(failure: &Failure) -> Exit {
    console::complain(failure);
    failure.exit
}
