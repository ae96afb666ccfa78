//! The playbook over all kinds of tables: plans are sound and differ, proposals fit and do not repeat.

use super::*;
use ansatz_core::candidate::{Origin, Params};
use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
use ansatz_core::profile::{Column, ColumnKind, Profile};
use ansatz_core::task::{Constraints, Inference, Problem, Task};
use ansatz_memory::WarmStart;
use ansatz_planner::{Plan, StepKind, differences, merge};
use serde_json::json;

fn column(name: &str, kind: ColumnKind) -> Column {
    let text = format!(
        r#"{{"name":"{name}","kind":{},"in_train":true,"in_test":true,"missing_train":0,"missing_test":0,"distinct":9}}"#,
        serde_json::to_string(&kind).unwrap()
    );
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn profile(rows: u64, kinds: &[ColumnKind]) -> Profile {
    let mut columns: Vec<Column> =
        kinds.iter().enumerate().map(|(i, kind)| column(&format!("x{i}"), *kind)).collect();
    columns.push(column("y", ColumnKind::Numeric));
    Profile {
        train_rows: rows,
        test_rows: 0,
        columns,
        sample: None,
        notices: Vec::new(),
        data_hash: "00".into(),
    }
}

pub(crate) fn task(problem: Problem) -> Task {
    let classes: &[&str] = match problem {
        Problem::Binary => &["0", "1"],
        Problem::Multiclass => &["a", "b", "c"],
        Problem::Regression => &[],
    };
    Task {
        name: "demo".into(),
        request: String::new(),
        problem,
        target: "y".into(),
        id: None,
        metric: MetricSpec { name: "m".into(), direction: Direction::Maximize, reads: PredictionKind::Value },
        classes: classes.iter().map(ToString::to_string).collect(),
        constraints: Constraints::default(),
        submission: None,
        inferred: Vec::new(),
    }
}

const PROBLEMS: [Problem; 3] = [Problem::Binary, Problem::Multiclass, Problem::Regression];
const NUMBERS: &[ColumnKind] = &[ColumnKind::Numeric, ColumnKind::Numeric];
pub(crate) const MIXED: &[ColumnKind] =
    &[ColumnKind::Numeric, ColumnKind::Categorical, ColumnKind::Text, ColumnKind::Datetime];

fn ids(plan: &Plan) -> Vec<&str> {
    plan.steps().iter().map(|step| step.id.as_str()).collect()
}

#[test]
fn three_plans_differ_in_at_least_two_steps_whatever_the_data() {
    for problem in PROBLEMS {
        for rows in [20, 900, 30_000, 2_000_000] {
            for kinds in [NUMBERS, MIXED] {
                for interpretable in [false, true] {
                    let mut task = task(problem);
                    task.constraints.interpretable = interpretable;
                    let plans = plans(&task, &profile(rows, kinds), 2, None).unwrap();
                    assert_eq!(plans.len(), 3);
                    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
                        let found = differences(&plans[a], &plans[b]);
                        assert!(
                            found >= 2,
                            "{problem:?} {rows} {interpretable}: {:?} {:?}",
                            ids(&plans[a]),
                            ids(&plans[b])
                        );
                    }
                    let adopted = merge(&plans).unwrap();
                    assert!(adopted.steps().iter().all(|step| !step.why.is_empty()));
                    assert!((adopted.share_sum() - 1.0).abs() < 0.1, "{}", adopted.share_sum());
                }
            }
        }
    }
}

#[test]
fn merging_shares_what_is_equal() {
    let plans = plans(&task(Problem::Binary), &profile(900, MIXED), 2, None).unwrap();
    let merged = merge(&plans).unwrap();
    let found: Vec<&str> = ids(&merged);
    for kind in [StepKind::Model, StepKind::Tune] {
        let mut solutions: Vec<String> =
            merged.steps().iter().filter(|step| step.kind == kind).filter_map(solution_of).collect();
        let count = solutions.len();
        solutions.sort();
        solutions.dedup();
        assert_eq!(solutions.len(), count, "a solution has one {kind} step: {found:?}");
    }
    for step in [
        "features:encoded",
        "features:native",
        "features:design",
        "model:lightgbm",
        "tune:catboost",
        "ensemble",
    ] {
        assert!(found.contains(&step), "{step} in {found:?}");
    }
}

#[test]
fn numbers_alone_need_no_encodings() {
    let plans = plans(&task(Problem::Regression), &profile(900, NUMBERS), 2, None).unwrap();
    let merged = merge(&plans).unwrap();
    assert!(
        ids(&merged).contains(&"features:plain") && !ids(&merged).contains(&"features:native"),
        "{:?}",
        ids(&merged)
    );
}

#[test]
fn numbers_that_are_codes_count_as_categories() {
    let mut task = task(Problem::Binary);
    assert!(!DataShape::of(&task, &profile(900, NUMBERS)).has_categories());
    task.inferred.push(Inference { field: "categorical".into(), value: "x1".into(), because: "said".into() });
    let shape = DataShape::of(&task, &profile(900, NUMBERS));
    assert_eq!((shape.numeric, shape.categorical, shape.columns()), (1, 1, 2));
}

#[test]
fn a_readable_model_is_linear_and_alone() {
    let mut task = task(Problem::Regression);
    task.constraints.interpretable = true;
    let merged = merge(&plans(&task, &profile(900, MIXED), 2, None).unwrap()).unwrap();
    let solutions: Vec<String> = merged.steps().iter().filter_map(solution_of).collect();
    assert!(solutions.iter().all(|solution| solution == "linear"), "{solutions:?}");
    assert!(!ids(&merged).contains(&"ensemble"));
    let straight = merged.steps().iter().find(|step| step.id.as_str() == "model:linear-straight").unwrap();
    for proposal in proposals(straight, &task, &profile(900, MIXED), &[], None) {
        assert_eq!((&proposal.params["order"], &proposal.params["bends"]), (&json!(1), &json!(false)));
    }
}

#[test]
fn large_tables_give_a_trial_all_cores() {
    let cpus = |rows: u64| {
        let plans = plans(&task(Problem::Binary), &profile(rows, MIXED), 8, None).unwrap();
        plans[0].steps().iter().map(|step| step.ask.cpus).max()
    };
    assert_eq!((cpus(1000), cpus(20_000_000)), (Some(1), Some(8)));
}

#[test]
fn memory_speaks_before_the_portfolio_and_nothing_is_said_twice() {
    let task = task(Problem::Binary);
    let data = profile(900, MIXED);
    let plans = plans(&task, &data, 2, None).unwrap();
    let step = plans[0].steps().iter().find(|step| step.kind == StepKind::Model).unwrap();
    let solution = solution_of(step).unwrap();
    let first = proposals(step, &task, &data, &[], None);
    assert!(
        !first.is_empty() && first.iter().all(|p| p.solution == solution && p.origin == Origin::Playbook)
    );
    let remembered = |params: Params, solution: &str| WarmStart {
        solution: solution.into(),
        params,
        why: "a like task".into(),
    };
    let warm = [
        remembered(Params::from([("rounds".into(), json!(77))]), &solution),
        remembered(Params::from([("rounds".into(), json!(88))]), "another"),
        remembered(first[0].params.clone(), &solution),
    ];
    let all = proposals(step, &task, &data, &warm, None);
    assert_eq!(all[0].params["rounds"], json!(77));
    assert_eq!(all.iter().map(|p| p.origin).take(2).collect::<Vec<_>>(), [Origin::Memory, Origin::Memory]);
    assert_eq!(all.len(), first.len() + 1, "what memory and portfolio both say is tried once");
    assert!(
        proposals(&plans[0].steps()[0], &task, &data, &warm, None).is_empty(),
        "a profile step proposes nothing"
    );
}
