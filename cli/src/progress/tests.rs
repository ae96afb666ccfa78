//! Progress from a list of events, as a terminal-less reader and as a program sees it.

use super::*;
use ansatz_core::budget::{Budget, Spent};
use ansatz_core::candidate::{Candidate, Origin, Solution};
use ansatz_core::clock::ManualClock;
use ansatz_core::event::{FailureKind, Fold};
use ansatz_core::ids::{ArtifactId, CandidateId, RunId, StepId, TrialId};
use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
use ansatz_core::outcome::DroppedColumn;
use ansatz_core::seed::Seed;
use ansatz_core::task::{Constraints, Inference, Problem, Task};
use expect_test::{Expect, expect};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A watcher and what came out of it.
struct Watched {
    watcher: Watcher,
    lines: Arc<Mutex<String>>,
    stream: Arc<Mutex<String>>,
    clock: Arc<ManualClock>,
}

fn watched(detail: Detail) -> Watched {
    let (lines, stream) = (Arc::<Mutex<String>>::default(), Arc::<Mutex<String>>::default());
    let (to_lines, to_stream) = (Arc::clone(&lines), Arc::clone(&stream));
    let clock = Arc::<ManualClock>::default();
    let sink = move |line: &str| {
        let mut lines = to_lines.lock().unwrap();
        lines.push_str(line);
        lines.push('\n');
    };
    let streamed = move |bytes: &[u8]| {
        to_stream.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
        true
    };
    let watcher = Watcher {
        live: Live::default(),
        time: RunTime::new(Arc::clone(&clock) as Arc<dyn Clock>),
        detail,
        paint: Paint(false),
        display: Display::Lines(Box::new(sink)),
        stream: Some(Box::new(streamed)),
        phase: String::new(),
        is_setting_up: false,
    };
    Watched { watcher, lines, stream, clock }
}

impl Watched {
    fn take(mut self, events: &[Event]) -> Self {
        for (place, event) in events.iter().enumerate() {
            self.watcher.event(place as u64 + 1, event);
        }
        self
    }

    fn lines(&self) -> String {
        self.lines.lock().unwrap().clone()
    }
}

fn dropped(column: &str, reason: &str) -> Event {
    let evidence = "ROC AUC 0.999 alone".into();
    Event::ColumnDropped { dropped: DroppedColumn { column: column.into(), reason: reason.into(), evidence } }
}

fn task() -> Event {
    let task = Task {
        name: "churn".into(),
        request: String::new(),
        problem: Problem::Binary,
        target: "Exited".into(),
        id: Some("Id".into()),
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
            value: "Exited".into(),
            because: "the sample submission has it".into(),
        }],
    };
    Event::Understood { task: Box::new(task), inputs: vec![] }
}

fn tick(wall_s: f64) -> Event {
    Event::Ticked { spent: Spent { wall_s, ..Spent::default() } }
}

fn scored(candidate: u32, score: f64) -> [Event; 2] {
    let candidate = CandidateId(candidate);
    [
        Event::CandidateScored { candidate, score, stage: 0, seconds: 1.0, inputs: vec![] },
        Event::IncumbentChanged { candidate, score, p_better: 0.9 },
    ]
}

fn proposed(number: u32, solution: &str) -> Event {
    let candidate = Candidate {
        id: CandidateId(number),
        solution: Solution::Builtin(solution.into()),
        params: BTreeMap::from([("depth".to_owned(), 6.into())]),
        origin: Origin::Playbook,
    };
    Event::CandidateProposed { candidate: Box::new(candidate), step: StepId::new("boost"), inputs: vec![] }
}

fn trial(number: u32) -> [Event; 2] {
    let (trial, candidate) = (TrialId(number), CandidateId(0));
    let fold = Fold { repeat: 0, fold: number, rows_permille: 1000 };
    let step = StepId::new("boost");
    let end = if number == 0 {
        Event::TrialFinished {
            trial,
            candidate,
            fold: fold.clone(),
            predictions: ArtifactId::new("p"),
            model: None,
            score: Some(0.85),
            gain: None,
            wall_s: 1.25,
            cpu_s: 1.0,
        }
    } else {
        let message = "ValueError: bad\u{1b}[31m".into();
        Event::TrialFailed {
            trial,
            candidate,
            fold: fold.clone(),
            kind: FailureKind::Error,
            message,
            cpu_s: 0.1,
        }
    };
    [Event::TrialStarted { trial, candidate, fold, step }, end]
}

fn story() -> Vec<Event> {
    let mut events = vec![
        Event::RunStarted {
            run: RunId::new("20260305-140200-4f2a-churn"),
            options: serde_json::json!({"out": "/w/runs/r"}),
            budget: Budget::default(),
            seed: Seed(0),
            versions: BTreeMap::new(),
            at: 0,
        },
        task(),
        Event::Sealed { rows: 1400, method: "stratified".into(), data_hash: "ab".into(), looks_before: 2 },
        dropped("ExitReason", "leak"),
        dropped("casual", "train_only"),
        Event::PlanAdopted { plan: ArtifactId::new("p"), steps: vec![StepId::new("boost")] },
        Event::StepStarted { step: StepId::new("boost") },
        proposed(0, "lightgbm"),
    ];
    events.extend(trial(0));
    events.extend(trial(1));
    events.push(tick(4.2));
    events.extend(scored(0, 0.852_21));
    events.push(tick(20.4));
    events.push(proposed(4, "catboost"));
    events.extend(scored(4, 0.8601));
    events.push(Event::Warned { message: "3 rows had more cells than the header".into() });
    events.push(Event::EnsembleBuilt {
        members: vec![(CandidateId(0), 0.5), (CandidateId(4), 0.5)],
        score: 0.8634,
        inputs: vec![],
    });
    events.push(Event::SealOpened { subject: "ensemble of 2".into() });
    events
}

fn check(detail: Detail, events: &[Event], expected: &Expect) {
    expected.assert_eq(&watched(detail).take(events).lines());
}

#[test]
fn without_a_terminal_lines_tell_the_story() {
    check(
        Detail::Story,
        &story(),
        &expect![[r#"
            [  0.0s] run 20260305-140200-4f2a-churn: results go to /w/runs/r
            [  0.0s] task: predict `Exited` (two classes), scored by ROC AUC, higher is better
            [  0.0s]   target `Exited`: the sample submission has it
            [  0.0s] sealed 1,400 rows (stratified); earlier runs have looked at them 2 times
            [  0.0s] LEAK dropped: `ExitReason`: ROC AUC 0.999 alone
            [  0.0s] not used: `casual` (train only): ROC AUC 0.999 alone
            [  0.0s] plan: 1 step
            [  4.2s] first valid result: ROC AUC 0.8522 ↑ (c0 lightgbm)
            [   20s] best so far ROC AUC 0.8601 ↑ (c4 catboost)
            [   20s] warning: 3 rows had more cells than the header
            [   20s] combined 2 candidates: ROC AUC 0.8634 ↑
            [   20s] opening the seal for the one look: ensemble of 2
        "#]],
    );
}

#[test]
fn beside_a_block_only_what_must_not_be_missed() {
    check(
        Detail::BesideBlock,
        &story(),
        &expect![[r#"
            [  0.0s] run 20260305-140200-4f2a-churn: results go to /w/runs/r
            [  0.0s] task: predict `Exited` (two classes), scored by ROC AUC, higher is better
            [  0.0s]   target `Exited`: the sample submission has it
            [  0.0s] sealed 1,400 rows (stratified); earlier runs have looked at them 2 times
            [  0.0s] LEAK dropped: `ExitReason`: ROC AUC 0.999 alone
            [  0.0s] not used: `casual` (train only): ROC AUC 0.999 alone
            [  0.0s] plan: 1 step
            [  4.2s] first valid result: ROC AUC 0.8522 ↑ (c0 lightgbm)
            [   20s] warning: 3 rows had more cells than the header
            [   20s] combined 2 candidates: ROC AUC 0.8634 ↑
            [   20s] opening the seal for the one look: ensemble of 2
        "#]],
    );
}

#[test]
fn verbose_lines_name_every_trial() {
    check(
        Detail::Everything,
        &story()[6..12],
        &expect![[r#"
        [  0.0s] step `boost` begins
        [  0.0s] candidate c0 lightgbm: {"depth":6}
        [  0.0s] trial t0 of c0 lightgbm, fold 0.0: 0.8500 in 1.2s
        [  0.0s] trial t1 of c0 lightgbm failed (error): ValueError: bad\x1b[31m
    "#]],
    );
}

#[test]
fn thousands_of_unused_columns_are_counted() {
    let mut events = vec![task()];
    events.extend((0..20_000).map(|number| dropped(&format!("c{number}"), "constant")));
    events.push(Event::PlanAdopted { plan: ArtifactId::new("p"), steps: vec![] });
    let lines = watched(Detail::Story).take(&events).lines();
    assert_eq!(lines.lines().count(), 12);
    assert!(lines.contains("19,992 columns more"), "{lines}");
}

#[test]
fn hostile_names_stay_on_their_line() {
    let name = format!("a\u{1b}[2J\nb\u{202e}{}", "x".repeat(10_000));
    let events = [task(), dropped(&name, "leak"), Event::Warned { message: name.clone() }];
    let lines = watched(Detail::Everything).take(&events).lines();
    assert_eq!(lines.lines().count(), 4);
    assert!(!lines.contains(['\u{1b}', '\u{202e}']), "{lines}");
    assert!(lines.lines().all(|line| line.len() < 1000));
}

#[test]
fn the_stream_holds_every_event_with_its_number() {
    let watched = watched(Detail::Story).take(&story());
    let stream = watched.stream.lock().unwrap();
    assert_eq!(stream.lines().count(), story().len());
    for (place, (line, event)) in stream.lines().zip(story()).enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["seq"], place as u64 + 1);
        assert_eq!(value["event"], ansatz_core::status::name(&event));
        assert_eq!(serde_json::from_value::<Event>(value).unwrap(), event);
    }
}

#[test]
fn a_stream_that_nobody_reads_is_given_up() {
    let mut watched = watched(Detail::Story);
    watched.watcher.stream = Some(Box::new(|_| false));
    watched.watcher.event(1, &task());
    assert!(watched.watcher.stream.is_none());
    watched.watcher.event(2, &tick(1.0));
    assert!(watched.lines().contains("task: predict"));
}

#[test]
fn time_goes_on_between_events_and_set_up_is_not_part_of_it() {
    let mut watched = watched(Detail::Story);
    let step = |watched: &mut Watched, seconds: u64, note: Note| {
        watched.clock.advance(Duration::from_secs(seconds));
        watched.watcher.note(&note);
    };
    step(&mut watched, 1, Note::Setup("setting up the worker environment".into()));
    step(&mut watched, 40, Note::Setup("Collecting numpy==2.4.6 (from -r x)".into()));
    step(&mut watched, 1, Note::Setup("  Downloading numpy.whl (16.9 MB)".into()));
    step(&mut watched, 1, Note::Setup("     ━━━━━━━ 16.9/16.9 MB".into()));
    step(&mut watched, 1, Note::Setup("compiling\nbyte code".into()));
    step(&mut watched, 1, Note::Phase("reading the data"));
    step(&mut watched, 2, Note::Phase("searching"));
    step(&mut watched, 1, Note::Phase("searching"));
    step(&mut watched, 1, Note::Load { running: 2, elapsed_s: 65.0, total_s: Some(100.0) });
    step(&mut watched, 3, Note::Phase("finalising"));
    expect![[r#"
        [  1.0s] set-up: setting up the worker environment
        [   41s] set-up: fetching numpy 2.4.6
        [   44s] set-up: compiling\nbyte code
        [  0.0s] reading the data
        [  2.0s] searching
        [ 1m08s] finalising
    "#]]
    .assert_eq(&watched.lines());
}
