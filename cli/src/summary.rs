//! What a person reads at the end of a run: first what was dropped as a leak, then the score and how sure it is, then the rest.

use crate::console::{Paint, Style};
use crate::table::Table;
use ansatz_core::outcome::{RunResult, RunStatus};
use ansatz_report::Headline;
use ansatz_report::number::{bytes, counted, seconds};
use ansatz_report::text::{MESSAGE_WIDTH, NAME_WIDTH, visible};
use std::path::Path;

/// Warnings shown one by one; the others are counted.
const WARNINGS_MAX: usize = 6;

/// Width of the names on the left.
const LABEL_WIDTH: usize = 20;

/// The summary of a run that lies in `folder`, shown by that name.
pub fn of(result: &RunResult, folder: &Path, paint: Paint) -> String {
    let headline = Headline::of(result);
    let mut lines = Vec::new();
    for leak in &headline.leaks {
        lines.push(paint.text(Style::Red, &format!("LEAK dropped: {leak}")));
    }
    if let Some(score) = &headline.score {
        lines.push(paint.text(Style::Bold, score));
    }
    if result.status != RunStatus::Succeeded {
        let style = if result.status == RunStatus::Failed { Style::Red } else { Style::Yellow };
        lines.push(paint.text(style, &format!("the run {}", ended(result.status))));
    }
    let mut pair = |label: &str, text: &str| lines.push(labelled(label, text, paint));
    let facts = [
        ("task", &headline.task),
        ("gain", &headline.lift),
        ("to expect", &headline.expected),
        ("worth continuing?", &headline.continuing),
        ("delivered", &headline.delivered),
    ];
    for (label, text) in facts {
        if let Some(text) = text {
            pair(label, text);
        }
    }
    pair("spent", &headline.spent);
    for gpu in &result.gpus {
        let trials = counted(u64::from(gpu.trials), "trial", "trials");
        let (most, all) = (bytes(gpu.memory_peak_bytes), bytes(gpu.memory_bytes));
        pair("GPU", &format!("{}: {trials}, at most {most} of {all} used", visible(&gpu.name, 40)));
    }
    for reason in &result.skipped {
        pair("not run", &visible(reason, MESSAGE_WIDTH));
    }
    for warning in result.warnings.iter().take(WARNINGS_MAX) {
        pair("warning", &visible(warning, MESSAGE_WIDTH));
    }
    if let Some(more @ 1..) = result.warnings.len().checked_sub(WARNINGS_MAX) {
        pair("", &format!("and {} in result.json", counted(more as u64, "more warning", "more warnings")));
    }
    if !result.sandbox.level.is_empty() && result.sandbox.level != "L3" {
        pair(
            "sandbox",
            &format!("level {}; `ansatz doctor` tells what is missing", visible(&result.sandbox.level, 10)),
        );
    }
    if let Some(cluster) = &result.sandbox.cluster {
        let nodes = counted(cluster.nodes.len() as u64, "node", "nodes");
        let batches = counted(cluster.batches.into(), "batch", "batches");
        let again = match cluster.batches_again {
            0 => String::new(),
            again => format!(", {again} given out twice"),
        };
        pair("trained on", &format!("{}: {nodes}, {batches}{again}", visible(&cluster.software, 40)));
    }
    places(result, folder, &mut pair);
    lines.join("\n") + "\n"
}

fn ended(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Succeeded => "finished",
        RunStatus::Partial => "was cut by a limit; what there is can be used",
        RunStatus::Failed => "failed",
        RunStatus::Interrupted => "was stopped by you; what there was is finished and can be used",
    }
}

fn labelled(label: &str, text: &str, paint: Paint) -> String {
    format!("  {} {text}", paint.text(Style::Dim, &format!("{label:<LABEL_WIDTH$}")))
}

fn places(result: &RunResult, folder: &Path, pair: &mut impl FnMut(&str, &str)) {
    let folder = visible(&folder.display().to_string(), MESSAGE_WIDTH);
    pair("files", &folder);
    let name = |path: &String| Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files: Vec<String> = result.artifacts.values().map(|path| visible(&name(path), NAME_WIDTH)).collect();
    if !files.is_empty() {
        pair("", &files.join(" · "));
    }
    let has_model = result.artifacts.contains_key("model");
    if has_model {
        let word = quoted(&folder);
        pair("next", &format!("ansatz predict {word} NEW.csv"));
        pair("", &format!("ansatz predict {word} --row 'column=value,…'"));
    }
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "._-/".contains(character);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

/// Steps of a plan that was shown and not carried out. `wall_s` is the time that a run would take.
pub fn plan(plan: &ansatz_planner::Plan, wall_s: Option<f64>, paint: Paint, width: usize) -> String {
    let mut table = Table::new(&["step", "kind", "after", "time", "why"], 28);
    for step in plan.steps() {
        let inputs: Vec<&str> = step.inputs.iter().map(ansatz_core::ids::StepId::as_str).collect();
        let time = match wall_s {
            _ if step.share <= 0.0 => String::new(),
            Some(wall) => seconds(wall * step.share),
            None => format!("{:.0} %", step.share * 100.0),
        };
        table.row([step.id.to_string(), step.kind.to_string(), inputs.join(" "), time, step.why.clone()]);
    }
    table.lines(paint, width)
}

#[cfg(test)]
#[expect(clippy::needless_raw_string_hashes, reason = "expect-test writes snapshots with hashes")]
mod tests {
    use super::*;
    use ansatz_core::candidate::Origin;
    use ansatz_core::outcome::{
        Baseline, Best, BudgetSummary, DroppedColumn, Expected, Holdout, SandboxSummary, TaskSummary,
    };
    use expect_test::expect;
    use std::collections::BTreeMap;

    fn result() -> RunResult {
        RunResult {
            run: "20260305-140200-4f2a-churn".into(),
            status: RunStatus::Succeeded,
            task: Some(TaskSummary {
                problem: "binary".into(),
                target: "Exited".into(),
                id: None,
                metric: "roc_auc".into(),
                higher_is_better: true,
                metric_source: None,
            }),
            holdout: Some(Holdout {
                score: 0.8612,
                low: 0.8461,
                high: 0.8754,
                level: 0.95,
                rows: 1400,
                method: "stratified".into(),
                looks: 1,
            }),
            expected: Some(Expected { low: 0.843, high: 0.879, rows: 3000 }),
            validation: None,
            baseline: Some(Baseline {
                score: 0.8498,
                lift: 0.0114,
                low: 0.0042,
                high: 0.0187,
                guessing: Some(0.5),
            }),
            best: Some(Best {
                candidate: "c4 catboost".into(),
                kind: "catboost".into(),
                origin: Origin::Playbook,
                trained: "fold_bagged".into(),
            }),
            leaderboard: vec![],
            budget: BudgetSummary {
                wall_s: 58.9,
                first_valid_s: Some(4.2),
                worker_cpu_s: 101.0,
                trials: 45,
                ..BudgetSummary::default()
            },
            verdicts: vec![],
            warnings: vec!["ragged rows".into()],
            skipped: vec![],
            sandbox: SandboxSummary {
                backend: "native".into(),
                level: "L2".into(),
                enforced: vec![],
                missing: vec![],
                cluster: None,
            },
            artifacts: BTreeMap::from([
                ("model".to_owned(), "model".to_owned()),
                ("submission".to_owned(), "/w/my runs/r/submission.csv".to_owned()),
            ]),
            seed: 0,
            versions: BTreeMap::new(),
            dropped: vec![DroppedColumn {
                column: "ExitReason\n\u{1b}[2J".into(),
                reason: "leak".into(),
                evidence: "alone ROC AUC 0.999".into(),
            }],
            gpus: Vec::new(),
            worth_continuing: Some("10 more minutes: +0.002 ± 0.003".into()),
            llm: None,
            quote: None,
            sources: Vec::new(),
        }
    }

    #[test]
    fn the_summary_begins_with_the_leak() {
        expect![[r#"
            LEAK dropped: `ExitReason\n\x1b[2J`: alone ROC AUC 0.999
            ROC AUC 0.861 [0.846, 0.875] on 1,400 sealed rows, higher is better
              task                 predict `Exited` (two classes), scored by ROC AUC, higher is better
              gain                 +0.0114 [+0.0042, +0.0187] better than default LightGBM (0.850); guessing 0.500
              to expect            0.843 to 0.879 on a test of 3,000 rows
              worth continuing?    10 more minutes: +0.002 ± 0.003
              delivered            c4 catboost, the models of all folds together
              spent                59s in all, first valid result after 4.2s, 45 trials, 1m41s of processor time
              warning              ragged rows
              sandbox              level L2; `ansatz doctor` tells what is missing
              files                my runs/r
                                   model · submission.csv
              next                 ansatz predict 'my runs/r' NEW.csv
                                   ansatz predict 'my runs/r' --row 'column=value,…'
        "#]].assert_eq(&of(&result(), Path::new("my runs/r"), Paint(false)));
    }

    #[test]
    fn a_failed_run_says_so() {
        let mut failed = result();
        failed.status = RunStatus::Failed;
        (failed.holdout, failed.baseline, failed.best) = (None, None, None);
        failed.dropped.clear();
        failed.artifacts.clear();
        failed.warnings = (0..8).map(|number| format!("warning {number}")).collect();
        expect![[r#"
            the run failed
              task                 predict `Exited` (two classes), scored by ROC AUC, higher is better
              to expect            0.8430 to 0.8790 on a test of 3,000 rows
              worth continuing?    10 more minutes: +0.002 ± 0.003
              spent                59s in all, first valid result after 4.2s, 45 trials, 1m41s of processor time
              warning              warning 0
              warning              warning 1
              warning              warning 2
              warning              warning 3
              warning              warning 4
              warning              warning 5
                                   and 2 more warnings in result.json
              sandbox              level L2; `ansatz doctor` tells what is missing
              files                runs/r
        "#]].assert_eq(&of(&failed, Path::new("runs/r"), Paint(false)));
    }
}
