//! `ansatz completions SHELL`.

use super::Cli;
use crate::console;
use crate::exit::Exit;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Carries out `completions`.
pub fn execute(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "ansatz", &mut script);
    console::result(&String::from_utf8_lossy(&script));
    Exit::Ok
}
