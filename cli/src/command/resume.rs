//! `ansatz resume [RUN]`: takes up a run that was interrupted.

use super::ray::{self, TokenArgs};
use super::{Session, run, tune};
use crate::engine;
use crate::exit::{Exit, Failure};
use crate::folders::{self, Run};
use crate::llm;
use crate::sources;
use ansatz_engine::LlmOptions;
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
    if ansatz_engine::tune::is_study(&folder) {
        session.console.note(&format!("taking up {}", session.shown(&folder).display()));
        let defaults = tune::defaults_of(&folder)?;
        let result =
            engine::resume_study(&folder, tune::mind_of(&folder, session)?, session.clock, &mut |news| {
                tune::tell(&news, &defaults, session);
            })?;
        return tune::show(&result, &defaults, session);
    }
    session.console.note(&format!("taking up {}", session.shown(&folder).display()));
    let live = Run::read(&folder)?.live;
    let llm: Option<LlmOptions> =
        live.options.get("llm").and_then(|llm| serde_json::from_value(llm.clone()).ok());
    let watcher = session.watcher(args.json_stream).knowing(live);
    // Most runs need no token; one that was named must be there.
    let mut keys = match ray::keys(&args.token, session) {
        Err(failure) if args.token != TokenArgs::default() => return Err(failure),
        keys => keys.unwrap_or_default(),
    };
    keys.hf = sources::token(&session.surroundings);
    keys.llm = llm::keys(llm.as_ref(), &session.surroundings);
    let result = engine::resume(&folder, &session.home()?, keys, session.clock, watcher)?;
    run::show(&result, &folder, args.json_stream, session)?;
    Ok(result.status.into())
}
