//! `ansatz prompts export DIR`: the wordings as files, and `check DIR`: whether changed ones can be used.

use super::Session;
use crate::console;
use crate::exit::{Exit, Failure};
use ansatz_prompts::{PromptError, Prompts};
use clap::Subcommand;
use serde_json::json;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum PromptsCommand {
    /// Write all wordings below a folder; files that are there are left alone
    Export {
        /// The folder
        dir: PathBuf,
    },
    /// Find out whether the wordings in a folder can be used
    Check {
        /// The folder
        dir: PathBuf,
    },
}

/// Carries out `prompts`.
///
/// # Errors
/// A folder that cannot be written or read, a wording that cannot be used.
pub fn execute(command: &PromptsCommand, session: &Session) -> Result<Exit, Failure> {
    match command {
        PromptsCommand::Export { dir } => {
            let written =
                Prompts::export(&session.surroundings.absolute(dir)).map_err(|error| refused(&error))?;
            if session.is_json {
                console::json(&json!({ "written": written }))?;
            } else {
                let set = format!("set `prompts = \"{}\"` in your configuration to use them", dir.display());
                console::result(&format!(
                    "{} files written; change what you like, then {set}",
                    written.len()
                ));
            }
        }
        PromptsCommand::Check { dir } => {
            let prompts = Prompts::with_overrides(&session.surroundings.absolute(dir))
                .map_err(|error| refused(&error))?;
            if session.is_json {
                console::json(prompts.hashes())?;
            } else {
                console::result("all wordings can be used");
            }
        }
    }
    Ok(Exit::Ok)
}

fn refused(error: &PromptError) -> Failure {
    let hint = error.hint();
    Failure::usage(error.to_string()).hint(hint)
}
