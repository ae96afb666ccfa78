//! What memory promises: it advises well, loses nothing that matters, and never stands in a run's way.

use crate::lock::{Asked, ask};
use crate::sled_store::SledStore;
use crate::{
    Appended, Change, Experience, Lesson, Look, MapStore, Memory, MemoryErrorKind, MetaFeatures, Record,
    Snapshot, Store, TaskFacts, TrialFact,
};
use ansatz_core::clock::ManualClock;
use ansatz_core::ids::RunId;
use ansatz_core::metric::{Direction, MetricSpec, PredictionKind};
use ansatz_core::profile::{Column, ColumnKind, Profile};
use ansatz_core::task::{Constraints, Problem, Task};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

fn memory(folder: &Path) -> Memory {
    let clock = ManualClock::default();
    clock.advance(Duration::from_secs(1_700_000_000));
    Memory::new(folder, Arc::new(clock)).waiting(Duration::from_millis(200))
}

fn trial(solution: &str, depth: i64, score: f64) -> TrialFact {
    let params = [("depth".to_string(), depth.into())].into();
    TrialFact { solution: solution.into(), params, score, seconds: 1.5, stage: 0 }
}

fn experience(run: &str, rows: u64, trials: Vec<TrialFact>) -> Experience {
    let metric = MetricSpec {
        name: "roc_auc".into(),
        direction: Direction::Maximize,
        reads: PredictionKind::Probability,
    };
    let best = trials.iter().cloned().reduce(|a, b| if b.score > a.score { b } else { a });
    Experience {
        run: RunId::new(run),
        at: 1_700_000_000 + rows,
        data_hash: format!("data of {run}"),
        task: TaskFacts {
            name: format!("task of {run}"),
            problem: Problem::Binary,
            metric,
            target: "y".into(),
        },
        meta: MetaFeatures { rows, columns: 10, numeric: 10, classes: 2, ..MetaFeatures::default() },
        trials,
        best,
        baseline: Some(0.5),
    }
}

fn record(run: &str, rows: u64) -> Record {
    Record::Experience(Box::new(experience(run, rows, vec![trial("lightgbm", 4, 0.8)])))
}

fn look(data: &str, run: &str, number: u32) -> Look {
    Look { data_hash: data.into(), run: RunId::new(run), number }
}

fn runs(snapshot: &Snapshot) -> Vec<String> {
    snapshot.experiences().iter().map(|experience| experience.run.0.clone()).collect()
}

fn key(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// What every store must do. `open` opens the same store again after the one before was dropped.
fn contract<S: Store>(mut open: impl FnMut() -> S) {
    let mut store = open();
    assert_eq!(store.get(b"a").unwrap(), None);
    assert_eq!(store.scan(b"").unwrap(), []);
    let put = |name: &str, value: &str| Change::Put(key(name), key(value));
    store
        .apply(&[put("b/2", "two"), put("b/1", "one"), put("a", ""), put("c", "see"), put("b/1", "uno")])
        .unwrap();
    assert_eq!(store.get(b"b/1").unwrap(), Some(key("uno")));
    assert_eq!(store.get(b"a").unwrap(), Some(Vec::new()));
    assert_eq!(store.scan(b"b/").unwrap(), [(key("b/1"), key("uno")), (key("b/2"), key("two"))]);
    assert_eq!(store.scan(b"").unwrap().len(), 4);
    store.apply(&[Change::Remove(key("b/1")), Change::Remove(key("never")), put("d", "new")]).unwrap();
    store.apply(&[]).unwrap();
    assert_eq!(store.get(b"b/1").unwrap(), None);
    let long = vec![0xff; 300_000];
    store.apply(&[Change::Put(vec![0xff, 0xff], long.clone())]).unwrap();
    store.sync().unwrap();
    assert_eq!(store.scan(&[0xff]).unwrap(), [(vec![0xff, 0xff], long)]);
    assert_eq!(store.scan(b"").unwrap().iter().map(|(key, _)| key.len()).sum::<usize>(), 1 + 3 + 1 + 1 + 2);
}

#[test]
fn both_stores_keep_the_contract() {
    contract(MapStore::default);
    let folder = tempfile::tempdir().unwrap();
    contract(|| SledStore::open(&folder.path().join("db")).unwrap());
}

#[test]
fn the_store_on_disk_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(folder.path()).unwrap();
    store.apply(&[Change::Put(key("k"), key("v"))]).unwrap();
    store.sync().unwrap();
    drop(store);
    assert_eq!(reopened(folder.path()).get(b"k").unwrap(), Some(key("v")));
}

/// Opens a store that this process has just closed.
fn reopened(folder: &Path) -> SledStore {
    (0..100)
        .find_map(|_| {
            SledStore::open(folder).ok().or_else(|| {
                std::thread::sleep(Duration::from_millis(20));
                None
            })
        })
        .unwrap()
}

#[test]
fn what_is_appended_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(&folder.path().join("memory"));
    assert_eq!(memory.open_snapshot(), Snapshot::default());
    assert!(!memory.folder().exists(), "looking makes nothing");
    let lesson = Lesson {
        id: "l1".into(),
        run: RunId::new("r1"),
        at: 7,
        text: "log targets pay".into(),
        evidence: "3 of 3 runs".into(),
    };
    let records = vec![record("r1", 100), Record::Lesson(lesson.clone())];
    assert_eq!(memory.append(&RunId::new("r1"), records).unwrap(), Appended::Stored { notices: vec![] });
    memory.append(&RunId::new("r2"), vec![record("r2", 200)]).unwrap();
    memory.append(&RunId::new("r2"), vec![record("r2", 300)]).unwrap();

    let snapshot = memory.open_snapshot();
    assert_eq!(runs(&snapshot), ["r2", "r1"]);
    assert_eq!(snapshot.show(&RunId::new("r2")).unwrap().meta.rows, 300);
    assert_eq!(snapshot.lessons().collect::<Vec<_>>(), [&lesson]);
    let stats = snapshot.stats();
    assert_eq!(
        (stats.experiences, stats.trials, stats.data_sets, stats.lessons, stats.looks),
        (2, 2, 2, 1, 0)
    );
    assert_eq!((snapshot.held_by, snapshot.notices), (None, vec![]));
}

#[test]
fn what_is_not_finite_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut odd = experience("r1", 100, vec![trial("a", 1, f64::NAN), trial("a", 2, 0.7)]);
    odd.baseline = Some(f64::INFINITY);
    odd.meta.skew = f64::NAN;
    memory(folder.path()).append(&RunId::new("r1"), vec![Record::Experience(Box::new(odd))]).unwrap();
    let snapshot = memory(folder.path()).open_snapshot();
    let remembered = snapshot.show(&RunId::new("r1")).unwrap();
    assert_eq!(remembered.trials, [trial("a", 2, 0.7)]);
    assert_eq!((remembered.baseline, remembered.meta.skew), (None, 0.0));
}

#[test]
fn a_taken_store_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(folder.path());
    memory.append(&RunId::new("r1"), vec![record("r1", 100)]).unwrap();
    let Asked::Ours(lock) = ask(folder.path(), Duration::ZERO).unwrap() else { panic!("the lock is free") };
    let before = Instant::now();

    let run = RunId::new("../r2");
    let appended = memory.append(&run, vec![record("../r2", 200), Record::Look(look("d", "r2", 1))]).unwrap();
    let Appended::Inbox { path, reason } = appended else { panic!("{appended:?}") };
    assert_eq!(path, folder.path().join("inbox").join("___r2.jsonl"));
    assert_eq!(reason, format!("memory is in use by process {}", std::process::id()));
    let snapshot = memory.open_snapshot();
    assert_eq!(snapshot.held_by, Some(format!("process {}", std::process::id())));
    assert_eq!(runs(&snapshot), ["../r2", "r1"], "the last export and the inbox are read");
    assert_eq!(snapshot.looks("d"), 1);
    assert!(matches!(memory.forget(&run).unwrap_err().kind, MemoryErrorKind::Held(_)));
    assert!(matches!(memory.export(&folder.path().join("x")).unwrap_err().kind, MemoryErrorKind::Held(_)));
    assert!(before.elapsed() < Duration::from_secs(3), "waited {:?}", before.elapsed());

    drop(lock);
    assert_eq!(runs(&memory.open_snapshot()), ["../r2", "r1"]);
    assert!(!path.exists(), "the next holder merged the inbox");
    fs::remove_dir_all(folder.path().join("inbox")).unwrap();
    assert_eq!(runs(&memory.open_snapshot()), ["../r2", "r1"], "and kept what was in it");
}

#[test]
fn a_faulty_inbox_is_said_and_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(folder.path());
    memory.append(&RunId::new("r1"), vec![record("r1", 100)]).unwrap();
    fs::create_dir_all(folder.path().join("inbox")).unwrap();
    let good = serde_json::to_string(&record("r2", 200)).unwrap();
    let file = folder.path().join("inbox/r2.jsonl");
    fs::write(&file, format!("{good}\n{{\"record\":\"exp")).unwrap();
    let snapshot = memory.open_snapshot();
    assert_eq!(runs(&snapshot), ["r2", "r1"]);
    assert!(snapshot.notices[0].contains("r2.jsonl: line 2 is not a record"), "{:?}", snapshot.notices);
    assert!(!file.exists() && folder.path().join("inbox/r2.jsonl.bad").exists());
    assert_eq!(memory.open_snapshot().notices, Vec::<String>::new());
}

#[test]
fn looks_are_counted_once_each_and_survive_everything() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(folder.path());
    assert_eq!(memory.looks("d").unwrap(), 0);
    assert_eq!(memory.look(&look("d", "r1", 1)).unwrap(), 1);
    assert_eq!(memory.look(&look("d", "r1", 1)).unwrap(), 1, "recorded again after a crash");
    assert_eq!(memory.look(&look("d", "r1", 2)).unwrap(), 2);
    assert_eq!(memory.look(&look("e", "r1", 1)).unwrap(), 1);
    // A writer that lost its power in the middle of a line.
    let file = folder.path().join("looks.jsonl");
    fs::write(&file, [fs::read(&file).unwrap(), b"{\"data_hash\":\"d".to_vec()].concat()).unwrap();
    assert_eq!(memory.look(&look("d", "r2", 1)).unwrap(), 3);

    memory.append(&RunId::new("r1"), vec![record("r1", 1)]).unwrap();
    memory.forget(&RunId::new("r1")).unwrap();
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    assert_eq!(memory.open_snapshot().looks("d"), 3);
    assert_eq!(memory.looks("d").unwrap(), 3);
}

#[test]
fn forgetting_takes_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let memory = memory(folder.path());
    let lesson = |run: &str| {
        let text = "t".to_string();
        Record::Lesson(Lesson { id: "l".into(), run: RunId::new(run), at: 0, text, evidence: String::new() })
    };
    memory
        .append(&RunId::new("r1"), vec![record("r1", 1), lesson("r1"), record("r10", 2), lesson("r10")])
        .unwrap();
    memory.forget(&RunId::new("r1")).unwrap();
    let snapshot = memory.open_snapshot();
    assert_eq!(runs(&snapshot), ["r10"]);
    assert_eq!(snapshot.stats().lessons, 1);
    assert!(matches!(memory.forget(&RunId::new("r1")).unwrap_err().kind, MemoryErrorKind::UnknownRun(_)));
    fs::remove_dir_all(folder.path().join("db")).unwrap();
    assert_eq!(runs(&memory.open_snapshot()), ["r10"], "nor does the export remember it");
}

#[test]
fn an_export_moves_to_another_memory() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    memory(here.path()).append(&RunId::new("r1"), vec![record("r1", 1), record("r2", 2)]).unwrap();
    memory(here.path()).look(&look("d", "r1", 1)).unwrap();
    let file = here.path().join("all.jsonl");
    assert_eq!(memory(here.path()).export(&file).unwrap(), 3);
    memory(there.path()).append(&RunId::new("r3"), vec![record("r3", 3)]).unwrap();
    for _ in 0..2 {
        assert_eq!(memory(there.path()).import(&file).unwrap(), 3);
        let snapshot = memory(there.path()).open_snapshot();
        assert_eq!((runs(&snapshot), snapshot.looks("d")), (vec!["r3".into(), "r2".into(), "r1".into()], 1));
    }
    fs::write(&file, "{}\n").unwrap();
    let error = memory(there.path()).import(&file).unwrap_err();
    assert!(error.kind.to_string().starts_with("line 1 is not a record of memory: "), "{}", error.kind);
    assert_eq!(error.hint(), Some("import a file that `memory export` wrote"));
}

#[test]
fn rebuilding_replaces_what_was_computed_anew() {
    let folder = tempfile::tempdir().unwrap();
    memory(folder.path()).append(&RunId::new("r1"), vec![record("r1", 1), record("far", 9)]).unwrap();
    assert_eq!(memory(folder.path()).rebuild([record("r1", 5), record("r2", 2)]).unwrap(), 2);
    let snapshot = memory(folder.path()).open_snapshot();
    assert_eq!(runs(&snapshot), ["far", "r1", "r2"]);
}

/// Names the folder to the child of `kill_loses_nothing_that_was_acknowledged`.
const CHILD_FOLDER: &str = "ANSATZ_TEST_MEMORY_FOLDER";

/// Does something only when started by the test below: remembers for ever and prints each acknowledged run.
#[test]
fn writer_child() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let memory = memory(Path::new(&folder)).waiting(Duration::from_secs(2));
    let known = memory.open_snapshot().stats().experiences as u64;
    for number in known.. {
        let run = format!("r{number}");
        memory.look(&look("d", &run, 1)).unwrap();
        memory.append(&RunId::new(&run), vec![record(&run, number)]).unwrap();
        writeln!(std::io::stderr(), "ack {number}").unwrap();
    }
}

#[test]
fn kill_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    for life in 0..4u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::writer_child", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let ack = |line: String| line.strip_prefix("ack ").and_then(|number| number.parse::<usize>().ok());
        let first = lines.by_ref().map_while(Result::ok).find_map(ack).unwrap();
        std::thread::sleep(Duration::from_millis(17 * life));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.map_while(Result::ok).filter_map(ack).last().unwrap_or(first);
        let snapshot = memory(folder.path()).waiting(Duration::from_secs(2)).open_snapshot();
        let known = runs(&snapshot);
        for number in 0..=last {
            assert!(
                known.contains(&format!("r{number}")),
                "r{number} of {last} is lost: {:?}",
                snapshot.notices
            );
        }
        assert!(snapshot.looks("d") as usize > last, "{} looks after {last}", snapshot.looks("d"));
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .flatten()
        .flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

#[test]
fn damage_to_the_store_loses_nothing_and_is_said() {
    let original = tempfile::tempdir().unwrap();
    let records: Vec<Record> = (0..20).map(|number| record(&format!("r{number}"), number)).collect();
    memory(original.path()).append(&RunId::new("r0"), records).unwrap();
    let expected = runs(&memory(original.path()).open_snapshot());
    let mut set_aside = 0;
    let (mut damages, mut state) = (0, 0x2545_f491_4f6c_dd1d_u64);
    for file in files(&original.path().join("db")) {
        let name = file.strip_prefix(original.path()).unwrap();
        let bytes = fs::read(&file).unwrap();
        for damage in 0..12 {
            let copied = tempfile::tempdir().unwrap();
            copy(original.path(), copied.path());
            let mut bytes = bytes.clone();
            match damage {
                0 => bytes.clear(),
                1 => bytes.truncate(bytes.len() / 2),
                _ if bytes.is_empty() => continue,
                _ => {
                    // Most of the file is padding: hit its first 4 KiB.
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let at = (state >> 33) as usize % bytes.len().min(4096);
                    bytes[at] ^= 1 << (state % 8);
                }
            }
            fs::write(copied.path().join(name), bytes).unwrap();
            damages += 1;
            let snapshot = memory(copied.path()).open_snapshot();
            assert_eq!(
                runs(&snapshot),
                expected,
                "{} damage {damage}: {:?}",
                name.display(),
                snapshot.notices
            );
            let asides = fs::read_dir(copied.path())
                .unwrap()
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().starts_with("corrupt-1700000000"))
                .count();
            assert_eq!(asides, usize::from(!snapshot.notices.is_empty()), "{:?}", snapshot.notices);
            set_aside += asides;
        }
    }
    println!("{damages} damages, {set_aside} stores set aside");
    assert!(set_aside > 0);
}

#[test]
fn a_memory_that_cannot_be_used_is_said_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("memory");
    fs::write(&file, "not a folder").unwrap();
    let memory = memory(&file);
    let snapshot = memory.open_snapshot();
    assert_eq!(runs(&snapshot), Vec::<String>::new());
    assert!(snapshot.notices[0].starts_with("memory was not opened: "), "{:?}", snapshot.notices);
    assert!(matches!(memory.append(&RunId::new("r"), vec![]).unwrap_err().kind, MemoryErrorKind::Io(_)));
}

#[test]
fn like_tasks_are_near() {
    let folder = tempfile::tempdir().unwrap();
    let mut other = experience("values", 1000, vec![]);
    other.task.problem = Problem::Regression;
    let records = vec![record("small", 100), record("large", 1_000_000), record("middle", 2000)];
    let records = records.into_iter().chain([Record::Experience(Box::new(other))]).collect();
    memory(folder.path()).append(&RunId::new("r"), records).unwrap();
    let snapshot = memory(folder.path()).open_snapshot();
    let meta = experience("new", 1000, vec![]).meta;
    let nearest: Vec<&str> =
        snapshot.nearest(&meta, Problem::Binary, 2).iter().map(|(it, _)| it.run.as_str()).collect();
    assert_eq!(nearest, ["middle", "small"]);
    let (_, distance) =
        snapshot.nearest(&snapshot.show(&RunId::new("large")).unwrap().meta, Problem::Binary, 1)[0];
    assert_eq!(distance, 0.0);
}

fn advice(experiences: Vec<Experience>, limit: usize) -> Vec<(String, i64)> {
    let records = experiences.into_iter().map(|experience| Record::Experience(Box::new(experience)));
    let snapshot = Snapshot::of(records);
    let meta = experience("new", 1000, vec![]).meta;
    let starts = snapshot.warm_starts(&meta, Problem::Binary, limit);
    starts.into_iter().map(|start| (start.solution, start.params["depth"].as_i64().unwrap())).collect()
}

fn named(configurations: &[(&str, i64)]) -> Vec<(String, i64)> {
    configurations.iter().map(|(solution, depth)| ((*solution).to_string(), *depth)).collect()
}

#[test]
fn advice_begins_with_what_won_on_the_nearest_task() {
    let near = experience(
        "near",
        1100,
        vec![trial("a", 1, 0.9), trial("a", 2, 0.8), trial("b", 3, 0.85), trial("b", 4, 0.1)],
    );
    let far = experience("far", 5_000_000, vec![trial("a", 5, 0.99), trial("a", 2, 0.5)]);
    // The winner of the near task, then the winner of the far one, then the best of the solution that lost.
    assert_eq!(advice(vec![near.clone(), far], 5), named(&[("a", 1), ("a", 5), ("b", 3)]));
    assert_eq!(advice(vec![near], 1), named(&[("a", 1)]));
    assert_eq!(advice(vec![], 3), []);
}

#[test]
fn what_is_good_everywhere_comes_before_what_won_once() {
    let trials = |winner: i64| {
        (0..9)
            .map(|depth| {
                trial(
                    "a",
                    depth,
                    if depth == winner {
                        1.0
                    } else if depth == 8 {
                        0.9
                    } else {
                        0.1
                    },
                )
            })
            .collect()
    };
    let all = (0..3).map(|number| experience(&format!("r{number}"), 1000, trials(number))).collect();
    assert_eq!(advice(all, 1), named(&[("a", 8)]));
}

#[test]
fn smaller_is_better_where_the_metric_says_so() {
    let mut losses = experience("r", 1000, vec![trial("a", 1, 0.9), trial("a", 2, 0.2)]);
    losses.task.metric.direction = Direction::Minimize;
    assert_eq!(advice(vec![losses], 1), named(&[("a", 2)]));
}

#[test]
fn advice_says_where_it_comes_from() {
    let near = experience("near", 1000, vec![trial("a", 1, 0.8), trial("a", 2, 0.9), trial("b", 1, 0.1)]);
    let snapshot = Snapshot::of([Record::Experience(Box::new(near))]);
    let starts = snapshot.warm_starts(&experience("new", 1000, vec![]).meta, Problem::Binary, 1);
    assert_eq!(starts[0].why, "number 1 of 3 on `task of near` (run near, distance 0.00)");
}

fn column(name: &str, kind: ColumnKind) -> Column {
    Column {
        name: name.into(),
        kind,
        in_train: true,
        in_test: true,
        missing_train: 0.0,
        missing_test: 0.0,
        distinct: 3,
        whole: false,
        min: None,
        max: None,
        mean: None,
        skew: None,
        top: Vec::new(),
        mean_length: None,
        rising: false,
        test_overlap: None,
    }
}

#[test]
fn facts_are_taken_from_features_alone() {
    let mut target = column("y", ColumnKind::Categorical);
    target.top = vec![("0".into(), 75), ("1".into(), 25)];
    target.distinct = 2;
    let mut age = column("age", ColumnKind::Numeric);
    (age.missing_train, age.skew, age.whole) = (0.5, Some(-2.0), true);
    let mut city = column("city", ColumnKind::Categorical);
    city.distinct = 40;
    let profile = Profile {
        train_rows: 100,
        test_rows: 0,
        columns: vec![column("id", ColumnKind::Numeric), age, city, target],
        sample: None,
        notices: Vec::new(),
        data_hash: "d".into(),
    };
    let task = Task {
        name: "t".into(),
        request: String::new(),
        problem: Problem::Binary,
        target: "y".into(),
        id: Some("id".into()),
        metric: experience("r", 1, vec![]).task.metric,
        classes: vec!["0".into(), "1".into()],
        constraints: Constraints::default(),
        submission: None,
        inferred: Vec::new(),
    };
    let meta = MetaFeatures::of(&profile, &task);
    let entropy = -(0.75 * 0.75f64.ln() + 0.25 * 0.25f64.ln()) / 2f64.ln();
    assert!((meta.entropy - entropy).abs() < 1e-12);
    assert!((meta.cardinality - 41f64.ln()).abs() < 1e-12);
    let expected = MetaFeatures {
        rows: 100,
        columns: 2,
        numeric: 1,
        categorical: 1,
        missing: 0.25,
        with_missing: 0.5,
        classes: 2,
        balance: 0.5,
        target_distinct: 0.02,
        cardinality_max: 40,
        skew: 2.0,
        whole: 1.0,
        entropy: meta.entropy,
        cardinality: meta.cardinality,
        ..MetaFeatures::default()
    };
    assert_eq!(meta, expected);
    assert!(meta.vector().iter().all(|value| value.is_finite()));
}

#[test]
fn a_moment_is_short() {
    let folder = tempfile::tempdir().unwrap();
    let trials: Vec<TrialFact> = (0..50).map(|depth| trial("lightgbm", depth, 0.5)).collect();
    let many = |from: u64| {
        (from..from + 100)
            .map(|number| {
                Record::Experience(Box::new(experience(&format!("r{number}"), number, trials.clone())))
            })
            .collect::<Vec<_>>()
    };
    let memory = memory(folder.path());
    memory.append(&RunId::new("r"), many(0)).unwrap();
    let before = Instant::now();
    let snapshot = memory.open_snapshot();
    println!("opening and reading 100 experiences of 50 trials: {:?}", before.elapsed());
    let before = Instant::now();
    assert_eq!(snapshot.warm_starts(&experience("new", 50, vec![]).meta, Problem::Binary, 8).len(), 1);
    println!("advice: {:?}", before.elapsed());
    let before = Instant::now();
    memory.append(&RunId::new("r"), vec![record("one", 1)]).unwrap();
    println!("appending one: {:?}", before.elapsed());
}
