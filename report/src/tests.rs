//! Sentences and pages of one made-up run, and of hostile ones.

use crate::{Headline, Live, StepState, page};
use ansatz_core::budget::{Budget, Spent};
use ansatz_core::candidate::{Candidate, Origin, Solution};
use ansatz_core::event::{Event, Fold};
use ansatz_core::ids::{ArtifactId, CandidateId, RunId, StepId, TrialId};
use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
use ansatz_core::outcome::{
    Baseline, Best, BudgetSummary, DroppedColumn, Expected, Holdout, LeaderboardRow, RunResult, RunStatus,
    SandboxSummary, TaskSummary, Validation,
};
use ansatz_core::seed::Seed;
use ansatz_core::steer::Steer;
use ansatz_core::task::{Constraints, Inference, Problem, Task};
use ansatz_core::verdict::{Stage, Verdict};
use ansatz_planner::{Plan, Step, StepKind};
use expect_test::{Expect, expect, expect_file};
use std::collections::BTreeMap;
use std::time::Duration;

/// A column name that tries everything at once.
const HOSTILE: &str = "<script>alert('x')</script>\"&\n\u{1b}[2J\u{202e}gnp.exe";

fn leak(column: &str) -> DroppedColumn {
    DroppedColumn {
        column: column.into(),
        reason: "leak".into(),
        evidence: "alone it ranks the target with ROC AUC 0.999; filled in 18 % of train and 0 % of test"
            .into(),
    }
}

fn result() -> RunResult {
    RunResult {
        run: "20260305-140200-churn-4f2a".into(),
        status: RunStatus::Succeeded,
        task: Some(TaskSummary {
            problem: "binary".into(),
            target: "Exited".into(),
            id: Some("CustomerId".into()),
            metric: "roc_auc".into(),
            higher_is_better: true,
            metric_source: None,
        }),
        holdout: Some(Holdout {
            score: 0.861_23,
            low: 0.846_1,
            high: 0.875_4,
            level: 0.95,
            rows: 1400,
            method: "stratified".into(),
            looks: 1,
        }),
        expected: Some(Expected { low: 0.843, high: 0.879, rows: 3000 }),
        validation: Some(Validation { score: 0.8634 }),
        baseline: Some(Baseline {
            score: 0.8498,
            lift: 0.0114,
            low: 0.0042,
            high: 0.0187,
            guessing: Some(0.5),
        }),
        best: Some(Best {
            candidate: "ensemble of 3".into(),
            kind: "ensemble".into(),
            origin: Origin::Ensemble,
            trained: "fold_bagged".into(),
        }),
        leaderboard: vec![
            LeaderboardRow {
                candidate: "ensemble of 3".into(),
                origin: Origin::Ensemble,
                score: 0.8634,
                seconds: 31.5,
            },
            LeaderboardRow {
                candidate: "c4 catboost".into(),
                origin: Origin::Playbook,
                score: 0.8601,
                seconds: 18.2,
            },
            LeaderboardRow {
                candidate: "c0 lightgbm".into(),
                origin: Origin::Baseline,
                score: 0.8522,
                seconds: 3.1,
            },
        ],
        budget: BudgetSummary {
            wall_s: 58.9,
            first_valid_s: Some(4.21),
            worker_cpu_s: 101.4,
            trials: 45,
            ..BudgetSummary::default()
        },
        verdicts: vec![
            Verdict::new(Stage::Submission, "submission.csv", true, "3,000 rows, ids as in the sample"),
            Verdict::new(Stage::Package, "model/", false, "predictions differ by 0.2 in row 7"),
        ],
        warnings: vec![
            "3 rows of train.csv had more cells than the header; the extra cells were ignored".into(),
        ],
        skipped: vec![],
        sandbox: SandboxSummary {
            backend: "native".into(),
            level: "L3".into(),
            enforced: vec!["no network".into(), "memory limit".into()],
            missing: vec!["Landlock: the kernel is older than 5.13".into()],
            cluster: None,
        },
        artifacts: BTreeMap::from([
            ("submission".to_owned(), "/runs/r/submission.csv".to_owned()),
            ("elsewhere".to_owned(), "javascript:alert(1)".to_owned()),
        ]),
        seed: 0,
        versions: BTreeMap::from([("ansatz".to_owned(), "0.1.0".to_owned())]),
        dropped: vec![leak("ExitReason")],
        gpus: Vec::new(),
        worth_continuing: Some("10 more minutes: +0.002 ± 0.003".into()),
        llm: None,
        quote: None,
        sources: Vec::new(),
    }
}

fn task(target: &str) -> Task {
    Task {
        name: "churn".into(),
        request: "who will leave?".into(),
        problem: Problem::Binary,
        target: target.into(),
        id: None,
        metric: MetricSpec {
            name: "roc_auc".into(),
            direction: Direction::Maximize,
            reads: PredictionKind::Probability,
        },
        classes: vec!["0".into(), "1".into()],
        constraints: Constraints::default(),
        submission: None,
        inferred: vec![Inference {
            field: "target".into(),
            value: target.into(),
            because: "the sample submission has this column".into(),
        }],
    }
}

fn fold(fold: u32) -> Fold {
    Fold { repeat: 0, fold, rows_permille: 1000 }
}

fn tick(wall_s: f64) -> Event {
    Event::Ticked { spent: Spent { wall_s, ..Spent::default() } }
}

fn scored(candidate: u32, score: f64) -> [Event; 2] {
    let candidate = CandidateId(candidate);
    [
        Event::CandidateScored { candidate, score, stage: 0, seconds: 3.1, inputs: vec![] },
        Event::IncumbentChanged { candidate, score, p_better: 0.9 },
    ]
}

fn proposed(number: u32, solution: &str) -> Event {
    Event::CandidateProposed {
        candidate: Box::new(Candidate {
            id: CandidateId(number),
            solution: Solution::Builtin(solution.into()),
            params: BTreeMap::new(),
            origin: Origin::Playbook,
        }),
        step: StepId::new("boost"),
        inputs: vec![],
    }
}

fn events() -> Vec<Event> {
    let trial = TrialId(0);
    let candidate = CandidateId(0);
    let mut events = vec![
        Event::RunStarted {
            run: RunId::new("20260305-140200-churn-4f2a"),
            options: serde_json::json!({"data": "my churn/", "out": "/runs/r", "target": "Exited", "seed": 7, "jobs": 2,
                "budget": {"wall": {"secs": 60, "nanos": 0}, "trials": null}}),
            budget: Budget { wall: Some(Duration::from_mins(1)), ..Budget::default() },
            seed: Seed(7),
            versions: BTreeMap::new(),
            at: 1_772_719_320,
        },
        Event::Understood { task: Box::new(task("Exited")), inputs: vec![] },
        Event::Sealed { rows: 1400, method: "stratified".into(), data_hash: "ab".into(), looks_before: 0 },
        Event::ColumnDropped { dropped: leak("ExitReason") },
        Event::PlanAdopted {
            plan: ArtifactId::new("p"),
            steps: ["profile", "features", "boost", "verify"].map(StepId::new).to_vec(),
        },
        Event::StepStarted { step: StepId::new("profile") },
        Event::StepFinished { step: StepId::new("profile"), outputs: vec![] },
        Event::StepStarted { step: StepId::new("boost") },
        proposed(0, "lightgbm"),
        Event::TrialStarted { trial, candidate, fold: fold(0), step: StepId::new("boost") },
        Event::TrialStarted { trial: TrialId(1), candidate, fold: fold(1), step: StepId::new("boost") },
        Event::TrialFinished {
            trial,
            candidate,
            fold: fold(0),
            predictions: ArtifactId::new("q"),
            model: None,
            score: Some(0.85),
            gain: None,
            wall_s: 1.0,
            cpu_s: 1.0,
        },
        tick(4.0),
    ];
    events.extend(scored(0, 0.8522));
    events.push(tick(20.0));
    events.push(proposed(4, "catboost"));
    events.extend(scored(4, 0.8601));
    events
}

fn plan() -> Plan {
    let steps = vec![
        Step::new("profile", StepKind::Profile).share(0.1),
        Step::new("features", StepKind::Features)
            .after("profile")
            .share(0.1)
            .why("dates and rare categories"),
        Step::new("boost", StepKind::Model).after("features").share(0.7).param("solution", "lightgbm"),
        Step::new("verify", StepKind::Verify).after("boost").share(0.1).mandatory(),
    ];
    Plan::new(steps).unwrap()
}

fn check(
    headline: impl FnOnce(&Headline) -> Option<String>,
    change: impl FnOnce(&mut RunResult),
    expected: &Expect,
) {
    let mut result = result();
    change(&mut result);
    expected.assert_eq(&headline(&Headline::of(&result)).unwrap_or_else(|| "nothing".into()));
}

#[test]
fn the_headline_says_everything_in_order() {
    expect![[r#"
        Headline {
            status: "finished",
            task: Some(
                "predict `Exited` (two classes), scored by ROC AUC, higher is better",
            ),
            leaks: [
                "`ExitReason`: alone it ranks the target with ROC AUC 0.999; filled in 18 % of train and 0 % of test",
            ],
            score: Some(
                "ROC AUC 0.861 [0.846, 0.875] on 1,400 sealed rows, higher is better",
            ),
            lift: Some(
                "+0.0114 [+0.0042, +0.0187] better than default LightGBM (0.850); guessing 0.500",
            ),
            expected: Some(
                "0.843 to 0.879 on a test of 3,000 rows",
            ),
            continuing: Some(
                "10 more minutes: +0.002 ± 0.003",
            ),
            spent: "59s in all, first valid result after 4.2s, 45 trials, 1m41s of processor time",
            delivered: Some(
                "ensemble of 3, the models of all folds together",
            ),
        }
    "#]]
    .assert_debug_eq(&Headline::of(&result()));
}

#[test]
fn a_gain_within_noise_is_not_claimed() {
    check(
        |headline| headline.lift.clone(),
        |result| result.baseline.iter_mut().for_each(|baseline| baseline.low = -0.003),
        &expect![
            "+0.011 [-0.003, +0.019]: no clear difference from default LightGBM (0.850); guessing 0.500"
        ],
    );
}

#[test]
fn a_loss_is_called_a_loss() {
    check(
        |headline| headline.lift.clone(),
        |result| {
            let lost = Baseline { score: 0.87, lift: -0.01, low: -0.02, high: -0.001, guessing: None };
            result.baseline = Some(lost);
        },
        &expect!["-0.0100 [-0.0200, -0.0010]: worse than default LightGBM (0.870)"],
    );
}

#[test]
fn the_reference_itself_gains_nothing() {
    check(
        |headline| headline.lift.clone(),
        |result| {
            let same = Baseline { score: 0.8612, lift: 0.0, low: 0.0, high: 0.0, guessing: Some(0.5) };
            result.baseline = Some(same);
        },
        &expect!["none: nothing was found that beats default LightGBM (0.861); guessing 0.500"],
    );
}

#[test]
fn large_values_keep_their_unit() {
    check(
        |headline| headline.score.clone(),
        |result| {
            result.task.iter_mut().for_each(|task| {
                task.metric = "rmse".into();
                task.higher_is_better = false;
            });
            result.holdout.iter_mut().for_each(|holdout| {
                (holdout.score, holdout.low, holdout.high) = (23_456.7, 22_801.0, 24_122.0);
                (holdout.looks, holdout.rows) = (3, 1);
            });
        },
        &expect!["RMSE 23,457 [22,801, 24,122] on 1 sealed row (looked at 3 times by now), lower is better"],
    );
}

#[test]
fn without_a_judged_score_validation_is_shown_as_such() {
    check(
        |headline| headline.score.clone(),
        |result| result.holdout = None,
        &expect![
            "ROC AUC 0.8634 on validation rows, higher is better; not judged on sealed rows, so expect it to be a little rosy"
        ],
    );
}

#[test]
fn only_leaks_are_called_leaks() {
    check(
        |headline| Some(headline.leaks.len().to_string()),
        |result| {
            for reason in ["constant", "identifier", "train_only"] {
                result.dropped.push(DroppedColumn { reason: reason.into(), ..leak("other") });
            }
        },
        &expect!["1"],
    );
}

#[test]
fn many_leaks_are_counted() {
    check(
        |headline| headline.leaks.last().cloned(),
        |result| result.dropped = (0..1500).map(|number| leak(&format!("c{number}"))).collect(),
        &expect!["and 1,488 more, all named in result.json"],
    );
}

#[test]
fn live_counts_what_happened() {
    let live = Live::after(&events());
    assert_eq!((live.trials_started, live.trials_finished, live.trials_running()), (2, 1, 1));
    assert_eq!(live.incumbent, Some((CandidateId(4), 0.8601)));
    assert_eq!(live.first_valid_s, Some(4.0));
    assert_eq!(live.history, [(4.0, 0.8522), (20.0, 0.8601)]);
    assert_eq!(live.ranking()[0].name, "c4 catboost");
    assert_eq!(live.leaks().count(), 1);
}

#[test]
fn the_time_that_a_run_may_take_is_known_when_words_or_the_user_set_it() {
    let wall = |more: &[Event]| {
        let all: Vec<Event> = events().into_iter().chain(more.iter().cloned()).collect();
        Live::after(&all).budget.wall
    };
    let seconds = |seconds| Budget { wall: Some(Duration::from_secs(seconds)), ..Budget::default() };
    let steered = |seconds: f64, accepted: bool| Event::Steered {
        steer: Steer::Time { seconds },
        accepted,
        outcome: String::new(),
    };
    let said = Event::Budgeted { budget: seconds(120) };
    assert_eq!(wall(std::slice::from_ref(&said)), Some(Duration::from_mins(2)));
    let more = [said.clone(), steered(60.0, true), steered(600.0, false)];
    assert_eq!(wall(&more), Some(Duration::from_mins(3)));
    assert_eq!(wall(&[said, steered(-500.0, true)]), Some(Duration::ZERO));
}

#[test]
fn what_was_under_way_at_a_crash_waits_again() {
    let mut live = Live::after(&events());
    live.take(&Event::Resumed { at: 0, torn_bytes: 0 });
    assert_eq!(live.trials_running(), 0);
    assert_eq!(live.steps[2], (StepId::new("boost"), StepState::Waiting));
}

#[test]
fn smaller_losses_rank_first() {
    let mut events = events();
    let mut task = task("Exited");
    task.metric.direction = Direction::Minimize;
    events.push(Event::Understood { task: Box::new(task), inputs: vec![] });
    assert_eq!(Live::after(&events).ranking()[0].name, "c0 lightgbm");
}

fn without_style(page: &str) -> String {
    let (before, rest) = page.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    // One element per line, so that a change of the snapshot can be read.
    format!("{before}{after}").replace("><", ">\n<")
}

#[test]
fn the_page_of_a_finished_run() {
    let page = page(&Live::after(&events()), Some(&result()), Some(&plan()));
    expect_file!["../testdata/finished.html"].assert_eq(&without_style(&page));
}

#[test]
fn the_page_of_a_run_under_way() {
    let page = page(&Live::after(&events()), None, None);
    expect_file!["../testdata/live.html"].assert_eq(&without_style(&page));
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let page = page(&Live::after(&events()), Some(&result()), Some(&plan()));
    for loader in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "http://",
        "https://",
        "@import",
        "url(",
        "javascript:alert(1)\"",
    ] {
        assert!(!page.contains(loader), "{loader}");
    }
    assert!(!page.contains("http-equiv=\"refresh\""), "a finished page is not read again");
}

#[test]
fn an_empty_run_has_a_page() {
    assert!(page(&Live::default(), None, None).contains("starting"));
}

/// A result and events in which every text from outside is hostile.
fn hostile() -> (Live, RunResult) {
    let text = HOSTILE.to_owned();
    let mut result = result();
    result.run.clone_from(&text);
    result.task = Some(TaskSummary {
        problem: text.clone(),
        target: text.clone(),
        id: Some(text.clone()),
        metric: text.clone(),
        higher_is_better: true,
        metric_source: None,
    });
    result.best = Some(Best {
        candidate: text.clone(),
        kind: text.clone(),
        origin: Origin::Model,
        trained: text.clone(),
    });
    result.leaderboard[0].candidate.clone_from(&text);
    result.verdicts.push(Verdict::new(Stage::Data, text.clone(), false, text.clone()));
    result.warnings.push(text.clone());
    result.skipped.push(text.clone());
    result.worth_continuing = Some(text.clone());
    result.dropped =
        vec![DroppedColumn { column: text.clone(), reason: "leak".into(), evidence: text.clone() }];
    result.dropped.push(DroppedColumn { reason: text.clone(), ..result.dropped[0].clone() });
    result.artifacts.insert(text.clone(), text.clone());
    result.versions.insert(text.clone(), text.clone());
    result.sandbox.enforced.push(text.clone());
    result.sandbox.backend.clone_from(&text);

    let mut live = Live::after(&events());
    let mut task = task(&text);
    task.name.clone_from(&text);
    task.request.clone_from(&text);
    live.take(&Event::Understood { task: Box::new(task), inputs: vec![] });
    live.take(&proposed(9, &text));
    live.take(&Event::CandidateScored {
        candidate: CandidateId(9),
        score: 0.9,
        stage: 0,
        seconds: 1.0,
        inputs: vec![],
    });
    live.take(&Event::IncumbentChanged { candidate: CandidateId(9), score: 0.9, p_better: 0.9 });
    live.take(&Event::ColumnDropped { dropped: result.dropped[0].clone() });
    live.take(&Event::Warned { message: text.clone() });
    live.take(&Event::StepFailed { step: StepId::new("boost"), error: text.clone() });
    live.options = serde_json::json!({"data": text.clone(), "request": text, "seed": 1});
    (live, result)
}

#[test]
fn hostile_names_are_harmless_on_every_page() {
    let (live, result) = hostile();
    for page in [page(&live, Some(&result), Some(&plan())), page(&live, None, None)] {
        assert!(!page.contains("<script"), "markup got through");
        let bad = |character: char| (character.is_control() && character != '\n') || character == '\u{202e}';
        assert!(!page.contains(bad), "a control character got through");
        assert!(!page.contains("&\n"), "a line end got through");
        assert!(page.contains("&lt;script&gt;"), "the name is not shown");
    }
}

#[test]
fn hostile_names_are_harmless_in_sentences() {
    let (_, result) = hostile();
    let text = format!("{:#?}", Headline::of(&result));
    let headline = Headline::of(&result);
    assert!(text.contains("x1b"), "the name is not shown");
    let all = [headline.task, headline.delivered, headline.score, headline.continuing]
        .map(Option::unwrap_or_default);
    for line in all.iter().chain(&headline.leaks) {
        assert!(
            !line.contains(|character: char| character.is_control() || character == '\u{202e}'),
            "{line:?}"
        );
    }
}

#[test]
fn a_very_long_name_does_not_fill_the_page() {
    let long = "x".repeat(10_000);
    let mut result = result();
    result.dropped = vec![leak(&long)];
    let page = page(&Live::default(), Some(&result), None);
    assert!(!page.contains(&"x".repeat(100)));
    assert!(page.contains(&"x".repeat(50)));
}

#[test]
fn twenty_thousand_columns_make_a_page_of_reasonable_size() {
    let mut result = result();
    result.dropped = (0..20_000).map(|number| leak(&format!("c{number}"))).collect();
    let page = page(&Live::default(), Some(&result), None);
    assert!(page.len() < 200_000, "{} bytes", page.len());
    assert!(page.contains("19,800 more"));
}

#[test]
fn the_command_can_be_pasted() {
    let page = page(&Live::after(&events()), Some(&result()), None);
    let start = page.find("<pre>").unwrap() + 5;
    let end = page[start..].find("</pre>").unwrap() + start;
    expect!["ansatz run 'my churn/' --target Exited --seconds 60 --jobs 2 --seed 7"]
        .assert_eq(&page[start..end]);
}
