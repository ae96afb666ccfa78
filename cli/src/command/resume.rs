//! `ansatz resume [RUN]`: takes up a run or a study that was interrupted.

use super::ray::{self, TokenArgs};
use super::{Session, run, tune};
use crate::engine;
use crate::exit::{Exit, Failure};
use crate::folders::{self, Kind, Run};
use crate::llm;
use crate::sources;
use ansatz_engine::LlmOptions;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ResumeArgs {
    /// Folder or id of the run or study [default: the latest unfinished one]
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
/// There is no such run or study, or nothing usable came out.
pub fn execute(args: &ResumeArgs, session: &Session) -> Result<Exit, Failure> {
    let folder = chosen(args, session)?;
    if Kind::of(&folder) == Some(Kind::Study) {
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

/// The folder of the run or study to take up.
fn chosen(args: &ResumeArgs, session: &Session) -> Result<PathBuf, Failure> {
    let runs = session.runs_folder();
    match &args.run {
        Some(named) => folders::find_run_or_study(named, &runs, &session.surroundings.folder),
        None => folders::latest_unfinished_run_or_study(&runs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::tests::session;
    use crate::folders::tests::{runs, study};
    use ansatz_tuner::trial::Direction;

    #[test]
    fn a_study_is_taken_up_by_name_or_as_the_latest() {
        let folder = runs(&["20260305-140200-4f2a-churn"]);
        let path = folder.path().join("20260305-150000-77aa-space");
        study(&path, Direction::Minimize, &[Some(1.0)], None);
        let session = session(&[("ANSATZ_RUNS", folder.path().to_str().unwrap())]);
        let chosen = |run: Option<&str>| {
            let args =
                ResumeArgs { run: run.map(str::to_owned), token: TokenArgs::default(), json_stream: false };
            chosen(&args, &session)
        };
        assert_eq!(chosen(None), Ok(path.clone()));
        assert_eq!(chosen(Some("77aa")), Ok(path));
        assert_eq!(chosen(Some("4f2a")), Ok(folder.path().join("20260305-140200-4f2a-churn")));
    }
}
