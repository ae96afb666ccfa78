//! Puts the result together from what was recorded, and delivers it.

use crate::board::Board;
use crate::bundle;
use crate::closing::Finished;
use crate::error::RunError;
use crate::folder::Folder;
use crate::functions;
use crate::options::Options;
use crate::ray::Ray;
use crate::record::Record;
use crate::scoring::Scoring;
use crate::search::{SearchEnd, Searched};
use crate::setup::Prepared;
use crate::submission;
use ansatz_agents::outlook::{self, Moment};
use ansatz_core::candidate::Origin;
use ansatz_core::event::Event;
use ansatz_core::metric::Direction;
use ansatz_core::outcome::{
    Best, BudgetSummary, LeaderboardRow, RunResult, RunStatus, SandboxSummary, TaskSummary, Validation,
};
use ansatz_core::task::Task;
use ansatz_planner::Plan;
use ansatz_sandbox::{Effective, Launcher};
use std::collections::BTreeMap;

/// Lines of the leaderboard.
const LEADERBOARD_MAX: usize = 50;
/// The horizon of "worth continuing?", in seconds.
const HORIZON_S: f64 = 600.0;

/// Everything that a result is made of.
pub struct Ending<'a> {
    /// How the search ended.
    pub searched: &'a Searched,
    /// How finalising ended.
    pub finished: &'a Finished,
    /// Data, task, drops.
    pub prepared: &'a Prepared,
    /// The metric.
    pub scoring: &'a Scoring,
    /// The candidates.
    pub board: &'a Board,
    /// What the sandbox enforced.
    pub launcher: &'a Launcher,
    /// The cluster, if there was one.
    pub ray: Option<&'a Ray>,
    /// Versions of the worker's libraries.
    pub worker_versions: BTreeMap<String, String>,
    /// First-run set-up time.
    pub setup_s: f64,
    /// Whether the user stopped the run.
    pub stopped: bool,
}

fn blank(options: &Options, record: &Record) -> RunResult {
    let spent = record.spent();
    RunResult {
        run: options.run.0.clone(),
        status: RunStatus::Failed,
        task: None,
        holdout: None,
        expected: None,
        validation: None,
        baseline: None,
        best: None,
        leaderboard: Vec::new(),
        budget: BudgetSummary {
            wall_s: spent.wall_s,
            first_valid_s: record.live.first_valid_s,
            worker_cpu_s: spent.worker_cpu_s,
            trials: spent.trials,
            llm_calls: spent.llm_calls,
            tokens_in: spent.tokens_in,
            tokens_out: spent.tokens_out,
            usd: Some(spent.usd.unwrap_or(0.0)).filter(|_| spent.llm_calls == 0 || spent.usd.is_some()),
            setup_s: 0.0,
        },
        verdicts: record.verdicts.clone(),
        warnings: record.warnings.clone(),
        skipped: Vec::new(),
        sandbox: SandboxSummary::default(),
        artifacts: BTreeMap::new(),
        seed: options.seed.0,
        versions: BTreeMap::from([("ansatz".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
        dropped: Vec::new(),
        gpus: Vec::new(),
        worth_continuing: None,
        llm: None,
        quote: None,
        sources: record.live.sources.clone(),
    }
}

/// The result of a run that was refused.
pub fn refused(options: &Options, record: &Record, error: &RunError) -> RunResult {
    let mut result = blank(options, record);
    result.warnings.push(error.message.clone());
    result
}

/// The result of a dry run: the task and the plan, nothing trained.
pub fn dry(
    options: &Options,
    folder: &Folder,
    record: &Record,
    prepared: &Prepared,
    launcher: &Launcher,
    setup_s: f64,
) -> RunResult {
    let mut result = blank(options, record);
    result.status = RunStatus::Succeeded;
    result.task = Some(summary(prepared.setup.task(), options));
    result.skipped.push("everything after the plan: this was a dry run".into());
    result.sandbox = sandbox(launcher.effective());
    result.dropped.clone_from(&prepared.setup.dropped);
    result.budget.setup_s = setup_s;
    result.artifacts = artifacts(folder);
    result
}

/// The result of a run that came to its end.
pub fn compose(options: &Options, folder: &Folder, record: &Record, ending: &Ending<'_>) -> RunResult {
    let mut result = blank(options, record);
    let task = ending.prepared.setup.task();
    result.task = Some(summary(task, options));
    result.holdout.clone_from(&ending.finished.judged.holdout);
    result.expected.clone_from(&ending.finished.judged.expected);
    result.baseline.clone_from(&ending.finished.judged.baseline);
    result.validation = ending.finished.choice.as_ref().map(|choice| Validation { score: choice.score });
    result.best = Some(best(ending));
    result.leaderboard = leaderboard(ending);
    result.sandbox = sandbox(ending.launcher.effective());
    if let Some(ray) = ending.ray {
        result.sandbox = ray.summary(ending.launcher.effective());
    }
    result.dropped.clone_from(&ending.prepared.setup.dropped);
    result.versions.extend(ending.worker_versions.clone());
    result.budget.setup_s = ending.setup_s;
    result.skipped = skipped(ending);
    result.worth_continuing = worth(ending, result.budget.wall_s);
    result.artifacts = artifacts(folder);
    result.status = if ending.stopped {
        RunStatus::Interrupted
    } else if ending.finished.cut.is_empty() {
        RunStatus::Succeeded
    } else {
        RunStatus::Partial
    };
    result
}

fn summary(task: &Task, options: &Options) -> TaskSummary {
    TaskSummary {
        problem: format!("{:?}", task.problem).to_lowercase(),
        target: task.target.clone(),
        id: task.id.clone(),
        metric: task.metric.name.clone(),
        higher_is_better: task.metric.direction == Direction::Maximize,
        metric_source: options.metric_file.as_ref().and_then(|file| file.sha256.clone()),
    }
}

fn sandbox(effective: &Effective) -> SandboxSummary {
    SandboxSummary {
        backend: effective.backend.clone(),
        level: effective.level.to_string(),
        enforced: effective.enforced.clone(),
        missing: effective.missing.clone(),
        cluster: None,
    }
}

fn best(ending: &Ending<'_>) -> Best {
    let trained =
        ending.finished.delivery.as_ref().map_or("not_trained", |delivery| delivery.trained).to_owned();
    let Some(choice) = &ending.finished.choice else {
        let (candidate, kind) = ("best constant answer".to_owned(), "prior".to_owned());
        return Best { candidate, kind, origin: Origin::Playbook, trained };
    };
    let entries: Vec<_> =
        choice.members.iter().filter_map(|member| ending.board.entries.get(&member.id)).collect();
    match entries.as_slice() {
        [single] => Best {
            candidate: single.name(),
            kind: single.candidate.solution.name().to_owned(),
            origin: single.candidate.origin,
            trained,
        },
        several => Best {
            candidate: several.iter().map(|entry| entry.name()).collect::<Vec<_>>().join(" + "),
            kind: "ensemble".into(),
            origin: Origin::Ensemble,
            trained,
        },
    }
}

fn leaderboard(ending: &Ending<'_>) -> Vec<LeaderboardRow> {
    let mut rows: Vec<LeaderboardRow> = ending
        .board
        .ranking(ending.scoring.direction())
        .into_iter()
        .filter_map(|entry| {
            let score = entry.score()?.score;
            let (candidate, origin) = (entry.name(), entry.candidate.origin);
            Some(LeaderboardRow { candidate, origin, score, seconds: entry.cpu_s() })
        })
        .collect();
    if let Some(choice) = ending.finished.choice.as_ref().filter(|choice| choice.is_ensemble()) {
        let (candidate, origin, seconds) = ("ensemble".to_owned(), Origin::Ensemble, 0.0);
        rows.insert(0, LeaderboardRow { candidate, origin, score: choice.score, seconds });
        let direction = ending.scoring.direction();
        rows.sort_by(|a, b| direction.gain(b.score).total_cmp(&direction.gain(a.score)));
    }
    rows.truncate(LEADERBOARD_MAX);
    rows
}

fn skipped(ending: &Ending<'_>) -> Vec<String> {
    let lost = ending.searched.lost.iter().map(|(step, reason)| format!("{step}: {reason}"));
    let cut = ending.finished.cut.iter().map(|(step, reason)| format!("{step}: {reason}"));
    cut.chain(lost).collect()
}

fn worth(ending: &Ending<'_>, now_s: f64) -> Option<String> {
    if let SearchEnd::Exhausted(reason) = &ending.searched.end {
        return Some(reason.clone());
    }
    let scoring = ending.scoring;
    let history: Vec<Moment> = ending
        .searched
        .history
        .iter()
        .map(|(seconds, score)| Moment { seconds: *seconds, gain: scoring.gain(*score) })
        .collect();
    let holdout = ending.finished.judged.holdout.as_ref()?;
    let noise = (holdout.high - holdout.low) / 3.92;
    Some(outlook::worth_continuing(&history, now_s, HORIZON_S, noise).sentence)
}

fn artifacts(folder: &Folder) -> BTreeMap<String, String> {
    let mut names = vec![
        ("submission", submission::FILE),
        ("report", "report.html"),
        ("journal", "journal.jsonl"),
        ("plan", "plan.json"),
        ("solution", "solution"),
        ("model", bundle::FOLDER),
        ("functions", functions::FOLDER),
        ("result", "result.json"),
    ];
    names.retain(|(key, name)| *key == "result" || folder.path(name).exists());
    names.into_iter().map(|(key, name)| (key.to_owned(), folder.path(name).display().to_string())).collect()
}

/// Writes `result.json` and the report, and closes the journal.
///
/// # Errors
/// When the disk is full or broken.
pub fn deliver(
    folder: &Folder,
    record: &mut Record,
    plan: &Plan,
    mut result: RunResult,
) -> Result<RunResult, RunError> {
    folder.write("report.html", ansatz_report::page(&record.live, Some(&result), Some(plan)).as_bytes())?;
    result.artifacts = artifacts(folder);
    result.budget.wall_s = record.elapsed_s();
    result.verdicts.clone_from(&record.verdicts);
    result.warnings.clone_from(&record.warnings);
    let text = serde_json::to_vec_pretty(&result).map_err(|error| RunError::failed(error.to_string()))?;
    folder.write("result.json", &text)?;
    record.write(Event::Finished { result: Box::new(result.clone()) })?;
    Ok(result)
}
