//! `ansatz resume [RUN]`: takes up a run that was interrupted.

use super::ray::{self, TokenArgs};
use super::{Session, run};
use crate::engine;
use crate::exit::{Exit, Failure};
use crate::folders::{self, Run};
use clap::Args;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ResumeArgs {
    /// Folder or id of the run [default: the latest unfinished one]
    run: Option<String>,
    #[command(flatten)]
    token: TokenArgs,
    /// Print every event as a line of JSON while running
    #[arg(long, conflicts_with = "json")]
    json_stream: bool,
}

/// Carries out `resume`.
///
/// # Errors
/// There is no such run, or nothing usable came out.
pub fn execute(args: &ResumeArgs, session: &Session) -> Result<Exit, Failure> {
    let folder = match &args.run {
        Some(named) => session.find_run(named)?,
        None => folders::latest_unfinished(&session.runs_folder())?,
    };
    session.console.note(&format!("taking up {}", session.shown(&folder).display()));
    let watcher = session.watcher(args.json_stream).knowing(Run::read(&folder)?.live);
    // Most runs need no token; one that was named must be there.
    let keys = match ray::keys(&args.token, session) {
        Err(failure) if args.token != TokenArgs::default() => return Err(failure),
        keys => keys.unwrap_or_default(),
    };
    let result = engine::resume(&folder, &session.home()?, keys, session.clock, watcher)?;
    run::show(&result, &folder, args.json_stream, session)?;
    Ok(result.status.into())
}
