//! What the graph of a run says: snapshots of a small run, and that no list of events breaks the fold.

use crate::{Graph, NodeKind};
use ansatz_core::candidate::{Candidate, Origin, Params, Solution};
use ansatz_core::event::{Event, FailureKind, Fold};
use ansatz_core::ids::{ArtifactId, CandidateId, StepId, TrialId};
use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
use ansatz_core::outcome::{Best, BudgetSummary, DroppedColumn, RunResult, RunStatus, SandboxSummary};
use ansatz_core::task::{Constraints, Inference, Problem, Task};
use ansatz_core::verdict::{Stage, Verdict};
use expect_test::{Expect, expect};
use std::collections::BTreeMap;

fn artifact(name: &str) -> ArtifactId {
    ArtifactId::new(name)
}

fn step(name: &str) -> StepId {
    StepId::new(name)
}

fn task() -> Task {
    Task {
        name: "meadow".into(),
        request: "will it flower?".into(),
        problem: Problem::Binary,
        target: "flowers".into(),
        id: None,
        metric: MetricSpec {
            name: "roc_auc".into(),
            direction: Direction::Maximize,
            reads: PredictionKind::Probability,
        },
        classes: vec!["no".into(), "yes".into()],
        constraints: Constraints::default(),
        submission: None,
        inferred: vec![Inference {
            field: "target".into(),
            value: "flowers".into(),
            because: "the request names it".into(),
        }],
    }
}

fn proposed(id: u32, solution: Solution, at: &str) -> Event {
    let params = Params::from([("depth".to_string(), (3 + id).into())]);
    let candidate = Candidate { id: CandidateId(id), solution, params, origin: Origin::Playbook };
    Event::CandidateProposed { candidate: Box::new(candidate), step: step(at), inputs: vec![] }
}

fn builtin(name: &str) -> Solution {
    Solution::Builtin(name.into())
}

fn fold(number: u32) -> Fold {
    Fold { repeat: 0, fold: number, rows_permille: 1000 }
}

fn tried(trial: u32, candidate: u32, on: u32) -> Event {
    Event::TrialFinished {
        trial: TrialId(trial),
        candidate: CandidateId(candidate),
        fold: fold(on),
        predictions: artifact(&format!("p{trial}")),
        model: Some(artifact(&format!("m{trial}"))),
        score: Some(0.8),
        gain: None,
        wall_s: 1.0,
        cpu_s: 1.0,
    }
}

fn failed(trial: u32, candidate: u32, on: u32) -> Event {
    Event::TrialFailed {
        trial: TrialId(trial),
        candidate: CandidateId(candidate),
        fold: fold(on),
        kind: FailureKind::Error,
        message: "KeyError: 'petals'".into(),
        cpu_s: 0.1,
    }
}

fn scored(candidate: u32, score: f64, trials: &[u32]) -> Event {
    let inputs = trials.iter().map(|trial| artifact(&format!("p{trial}"))).collect();
    Event::CandidateScored { candidate: CandidateId(candidate), score, stage: 2, seconds: 3.0, inputs }
}

fn checked(stage: Stage, subject: &str, passed: bool, evidence: &str) -> Event {
    Event::Checked { verdict: Verdict::new(stage, subject, passed, evidence) }
}

fn finished(best: Option<&str>) -> Event {
    let best = best.map(|candidate| Best {
        candidate: candidate.into(),
        kind: "k".into(),
        origin: Origin::Playbook,
        trained: "fold_bagged".into(),
    });
    let result = RunResult {
        run: "r".into(),
        status: if best.is_some() { RunStatus::Succeeded } else { RunStatus::Failed },
        task: None,
        holdout: None,
        expected: None,
        validation: None,
        baseline: None,
        best,
        leaderboard: vec![],
        budget: BudgetSummary::default(),
        verdicts: vec![],
        warnings: vec![],
        skipped: vec![],
        sandbox: SandboxSummary::default(),
        artifacts: BTreeMap::new(),
        seed: 1,
        versions: BTreeMap::new(),
        dropped: vec![],
        gpus: Vec::new(),
        worth_continuing: None,
        llm: None,
        quote: None,
        sources: Vec::new(),
    };
    Event::Finished { result: Box::new(result) }
}

/// Two candidates that are combined, a third whose code fails.
fn story() -> Vec<Event> {
    let started = |name: &str| Event::StepStarted { step: step(name) };
    let ended = |name: &str| Event::StepFinished { step: step(name), outputs: vec![] };
    let source = Solution::Source { name: "petals".into(), code: "SPACE = {}\ndef fit(): ...\n".into() };
    vec![
        Event::Profiled { inputs: vec![artifact("csv")], profile: artifact("card") },
        Event::Understood { task: Box::new(task()), inputs: vec![artifact("card")] },
        Event::Sealed { rows: 20, method: "stratified".into(), data_hash: "h".into(), looks_before: 0 },
        Event::ColumnDropped {
            dropped: DroppedColumn {
                column: "flowered_on".into(),
                reason: "leak".into(),
                evidence: "alone 0.99".into(),
            },
        },
        Event::PlanAdopted {
            plan: artifact("plan.json"),
            steps: vec![step("boost"), step("invent"), step("ensemble"), step("verify")],
        },
        checked(Stage::Plan, "plan", true, "3 plans merged"),
        started("boost"),
        proposed(0, builtin("lightgbm"), "boost"),
        tried(1, 0, 0),
        tried(2, 0, 1),
        scored(0, 0.81, &[1, 2]),
        Event::IncumbentChanged { candidate: CandidateId(0), score: 0.81, p_better: 1.0 },
        proposed(1, builtin("linear"), "boost"),
        tried(3, 1, 0),
        tried(4, 1, 1),
        scored(1, 0.79, &[3, 4]),
        ended("boost"),
        started("invent"),
        proposed(2, source, "invent"),
        failed(5, 2, 0),
        Event::StepFailed { step: step("invent"), error: "no candidate ran".into() },
        started("ensemble"),
        Event::EnsembleBuilt {
            members: vec![(CandidateId(0), 0.7), (CandidateId(1), 0.3)],
            score: 0.82,
            inputs: (1..5).map(|trial| artifact(&format!("p{trial}"))).collect(),
        },
        ended("ensemble"),
        started("verify"),
        Event::SealOpened { subject: "lightgbm-c0 + linear-c1".into() },
        checked(Stage::Score, "sealed rows", true, "0.80 on 20 rows"),
        ended("verify"),
        checked(Stage::Package, "bundle", true, "same predictions in a clean cell"),
        finished(Some("lightgbm-c0 + linear-c1")),
    ]
}

fn why(target: &str, expected: &Expect) {
    let lines = Graph::from_events(&story()).why(target).unwrap();
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    expected.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn the_result_leads_back_to_the_data() {
    why(
        "result",
        &expect![[r#"
            result succeeded: lightgbm-c0 + linear-c1
              + check of package held: bundle: same predictions in a clean cell
              the one look at the sealed rows, at lightgbm-c0 + linear-c1 [step verify]
                + check of score held: sealed rows: 0.80 on 20 rows
                ensemble 0.70 c0 + 0.30 c1: score 0.8200 [step ensemble]
                  score of c1: 0.7900 at stage 2, 3.0 s of work [step boost]
                    predictions of 2 trials: t3, t4
                      candidate c1: linear, idea of playbook [step boost]
                        * parameters of c1: {"depth":4}
                        * step boost of the plan
                          plan of 4 steps: boost, invent, ensemble, verify
                            + check of plan held: plan: 3 plans merged
                            column `flowered_on` dropped (leak): alone 0.99
                              20 rows sealed (stratified), looked at 0 times before
                                task: predict `flowers` (binary, roc_auc)
                                  + target = flowers because the request names it
                                  profile of the data
                                    data file csv
                  score of c0: 0.8100 at stage 2, 3.0 s of work [step boost]
                    + took the lead with 0.8100, P(better) 1.00
                    predictions of 2 trials: t1, t2
                      candidate c0: lightgbm, idea of playbook [step boost]
                        * parameters of c0: {"depth":3}
                        * step boost of the plan (above)
                  * step ensemble of the plan
                    plan of 4 steps: boost, invent, ensemble, verify (above)
                * step verify of the plan
                  plan of 4 steps: boost, invent, ensemble, verify (above)
              step invent failed: no candidate ran
                * step invent of the plan
                  - failed: no candidate ran
                  plan of 4 steps: boost, invent, ensemble, verify (above)
        "#]],
    );
}

#[test]
fn a_candidate_leads_back_to_its_parameters() {
    why(
        "c1",
        &expect![[r#"
            score of c1: 0.7900 at stage 2, 3.0 s of work [step boost]
              predictions of 2 trials: t3, t4
                candidate c1: linear, idea of playbook [step boost]
                  * parameters of c1: {"depth":4}
                  * step boost of the plan
                    plan of 4 steps: boost, invent, ensemble, verify
                      + check of plan held: plan: 3 plans merged
                      column `flowered_on` dropped (leak): alone 0.99
                        20 rows sealed (stratified), looked at 0 times before
                          task: predict `flowers` (binary, roc_auc)
                            + target = flowers because the request names it
                            profile of the data
                              data file csv
        "#]],
    );
}

#[test]
fn a_step_shows_what_it_made() {
    why(
        "boost",
        &expect![[r#"
            step boost finished
              score of c1: 0.7900 at stage 2, 3.0 s of work [step boost]
                predictions of 2 trials: t3, t4
                  candidate c1: linear, idea of playbook [step boost]
                    * parameters of c1: {"depth":4}
                    * step boost of the plan
                      plan of 4 steps: boost, invent, ensemble, verify
                        + check of plan held: plan: 3 plans merged
                        column `flowered_on` dropped (leak): alone 0.99
                          20 rows sealed (stratified), looked at 0 times before
                            task: predict `flowers` (binary, roc_auc)
                              + target = flowers because the request names it
                              profile of the data
                                data file csv
              score of c0: 0.8100 at stage 2, 3.0 s of work [step boost]
                + took the lead with 0.8100, P(better) 1.00
                predictions of 2 trials: t1, t2
                  candidate c0: lightgbm, idea of playbook [step boost]
                    * parameters of c0: {"depth":3}
                    * step boost of the plan (above)
        "#]],
    );
    why(
        "invent",
        &expect![[r#"
            step invent failed: no candidate ran
              * step invent of the plan
                - failed: no candidate ran
                plan of 4 steps: boost, invent, ensemble, verify
                  + check of plan held: plan: 3 plans merged
                  column `flowered_on` dropped (leak): alone 0.99
                    20 rows sealed (stratified), looked at 0 times before
                      task: predict `flowers` (binary, roc_auc)
                        + target = flowers because the request names it
                        profile of the data
                          data file csv
        "#]],
    );
}

#[test]
fn trials_and_columns_can_be_asked_for() {
    why(
        "t5",
        &expect![[r#"
            c2 on fold 0.0 raised an error: KeyError: 'petals' [trial t5]
              candidate c2: petals, idea of playbook [step invent]
                - trial t5: c2 on fold 0.0 raised an error: KeyError: 'petals'
                * code of c2, 2 lines
                * parameters of c2: {"depth":5}
                * step invent of the plan
                  - failed: no candidate ran
                  plan of 4 steps: boost, invent, ensemble, verify
                    + check of plan held: plan: 3 plans merged
                    column `flowered_on` dropped (leak): alone 0.99
                      20 rows sealed (stratified), looked at 0 times before
                        task: predict `flowers` (binary, roc_auc)
                          + target = flowers because the request names it
                          profile of the data
                            data file csv
        "#]],
    );
    why(
        "flowered_on",
        &expect![[r#"
            column `flowered_on` dropped (leak): alone 0.99
              20 rows sealed (stratified), looked at 0 times before
                task: predict `flowers` (binary, roc_auc)
                  + target = flowers because the request names it
                  profile of the data
                    data file csv
        "#]],
    );
}

#[test]
fn an_unknown_name_gets_examples() {
    let error = Graph::from_events(&story()).why("c99").unwrap_err();
    expect![[r#"
        error: nothing in this run is called `c99`
        hint: ask for a step, a candidate, a trial or a column, such as result, ensemble, boost, c0, t1
    "#]]
    .assert_eq(&format!("error: {error}\nhint: {}\n", error.hint()));
}

#[test]
fn feedback_on_a_failure_concerns_the_code_that_failed() {
    let events = story();
    let graph = Graph::from_events(&events);
    let minimal = graph.minimal_subgraph("t5").unwrap();
    let names = |nodes: &[&crate::Node]| nodes.iter().map(|node| node.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&minimal.parameters), ["step:invent", "c2.params", "c2.code"]);
    assert_eq!(names(&minimal.nodes), ["step:invent", "c2.params", "c2.code", "c2", "t5"]);
    assert_eq!(names(&minimal.inputs), ["seal"]);
    assert_eq!(
        minimal.edges,
        [("step:invent", "c2"), ("c2.params", "c2"), ("c2.code", "c2"), ("seal", "t5"), ("c2", "t5")]
    );
    assert_eq!(minimal.parameters[1].value.as_deref(), Some(r#"{"depth":5}"#));
    assert!(minimal.parameters[2].value.as_deref().unwrap().starts_with("SPACE"));
}

#[test]
fn feedback_on_the_result_concerns_only_what_is_in_it() {
    let events = story();
    let graph = Graph::from_events(&events);
    let minimal = graph.minimal_subgraph("result").unwrap();
    let parameters: Vec<&str> = minimal.parameters.iter().map(|node| node.name.as_str()).collect();
    assert!(parameters.contains(&"c0.params") && parameters.contains(&"c1.params"), "{parameters:?}");
    assert!(!parameters.contains(&"c2.code"), "{parameters:?}");
    let place: BTreeMap<&str, usize> =
        minimal.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
    for (cause, effect) in &minimal.edges {
        if let (Some(cause), Some(effect)) = (place.get(cause), place.get(effect)) {
            assert!(cause < effect);
        }
    }
    assert!(graph.minimal_subgraph("profile").unwrap().parameters.is_empty());
}

#[test]
fn artifacts_are_found_by_their_id() {
    let events = story();
    let graph = Graph::from_events(&events);
    assert_eq!(graph.holder(&artifact("m3")).unwrap().name, "t3");
    let causes: Vec<&str> = graph.causes("score:c1").iter().map(|node| node.name.as_str()).collect();
    assert_eq!(causes, ["t3", "t4"]);
    assert_eq!(graph.node("c2.code").unwrap().kind, NodeKind::Code);
    assert_eq!(graph.nodes().filter(|node| node.kind.is_parameter()).count(), 4 + 3 + 1);
}

#[test]
fn the_graph_can_be_drawn() {
    let events: Vec<Event> = story().into_iter().filter(|event| {
        !matches!(event, Event::CandidateProposed { candidate, .. } if candidate.id == CandidateId(1))
    }).take(11).collect();
    expect![[r#"
        digraph trace {
          rankdir=LR;
          node [shape=box];
          "data" [label="data file csv"];
          "profile" [label="profile of the data"];
          "task" [label="task: predict `flowers` (binary, roc_auc)"];
          "seal" [label="20 rows sealed (stratified), looked at 0 times before"];
          "dropped:flowered_on" [label="column `flowered_on` dropped (leak): alone 0.99"];
          "plan" [label="plan of 4 steps: boost, invent, ensemble, verify"];
          "step:boost" [label="step boost of the plan", shape=ellipse];
          "step:invent" [label="step invent of the plan", shape=ellipse];
          "step:ensemble" [label="step ensemble of the plan", shape=ellipse];
          "step:verify" [label="step verify of the plan", shape=ellipse];
          "c0.params" [label="parameters of c0: {\"depth\":3}", shape=ellipse];
          "c0" [label="candidate c0: lightgbm, idea of playbook"];
          "t1" [label="predictions of c0 on fold 0.0, score 0.8000"];
          "t2" [label="predictions of c0 on fold 0.1, score 0.8000"];
          "score:c0" [label="score of c0: 0.8100 at stage 2, 3.0 s of work"];
          "data" -> "profile";
          "profile" -> "task";
          "profile" -> "seal";
          "task" -> "seal";
          "profile" -> "dropped:flowered_on";
          "seal" -> "dropped:flowered_on";
          "profile" -> "plan";
          "task" -> "plan";
          "seal" -> "plan";
          "dropped:flowered_on" -> "plan";
          "plan" -> "step:boost";
          "plan" -> "step:invent";
          "plan" -> "step:ensemble";
          "plan" -> "step:verify";
          "step:boost" -> "c0" [label="step boost"];
          "c0.params" -> "c0" [label="step boost"];
          "seal" -> "t1" [label="trial t1"];
          "c0" -> "t1" [label="trial t1"];
          "seal" -> "t2" [label="trial t2"];
          "c0" -> "t2" [label="trial t2"];
          "t1" -> "score:c0" [label="step boost"];
          "t2" -> "score:c0" [label="step boost"];
        }
    "#]]
    .assert_eq(&Graph::from_events(&events).to_dot());
}

#[test]
fn what_is_made_again_is_another_node() {
    let mut events = story();
    events.insert(11, scored(0, 0.83, &[1]));
    let graph = Graph::from_events(&events);
    assert_eq!(graph.node("score:c0").unwrap().name, "score:c0#2");
    let causes: Vec<&str> = graph.causes("ensemble").iter().map(|node| node.name.as_str()).collect();
    assert!(causes.contains(&"score:c0#2") && !causes.contains(&"score:c0"), "{causes:?}");
}

/// Any sublist and any order of events must fold, and every cause must be older than its effect.
#[test]
fn no_list_of_events_breaks_the_fold() {
    let events = story();
    let mut state = 42u64;
    let mut next = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..300 {
        let some: Vec<Event> = (0..next(40)).map(|_| events[next(events.len())].clone()).collect();
        let graph = Graph::from_events(&some);
        let order: Vec<&str> = graph.nodes().map(|node| node.name.as_str()).collect();
        assert_eq!(
            order.iter().collect::<std::collections::BTreeSet<_>>().len(),
            order.len(),
            "names are unique"
        );
        for name in order {
            assert!(!graph.why(name).unwrap().is_empty());
            let minimal = graph.minimal_subgraph(name).unwrap();
            assert!(minimal.parameters.iter().all(|node| node.kind.is_parameter()));
        }
        assert!(graph.to_dot().ends_with("}\n"));
    }
}
