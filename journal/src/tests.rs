//! What the journal promises: acknowledged records are there whatever happens, and damage is never overlooked.

use crate::disk::Disk;
use crate::record::{decode, encode};
use crate::{Blobs, FILE_NAME, Journal, JournalErrorKind, read};
use ansatz_core::budget::{Budget, Spent};
use ansatz_core::clock::ManualClock;
use ansatz_core::event::Event;
use ansatz_core::ids::{ArtifactId, CandidateId, RunId, StepId};
use ansatz_core::seed::Seed;
use ansatz_core::status::Status;
use proptest::prelude::*;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::default())
}

fn started() -> Event {
    Event::RunStarted {
        run: RunId::new("r1"),
        options: serde_json::json!({"data": "houses.csv", "odd": "\u{2028} \"quoted\" \\ \n"}),
        budget: Budget { wall: Some(Duration::from_millis(1500)), ..Budget::default() },
        seed: Seed(7),
        versions: [("ansatz".to_string(), "0.1.0".to_string())].into(),
        at: 1_700_000_000,
    }
}

fn planned() -> Event {
    Event::PlanAdopted { plan: ArtifactId::of_bytes(b"plan"), steps: vec![StepId::new("profile")] }
}

fn tick(wall_s: f64) -> Event {
    Event::Ticked { spent: Spent { wall_s, ..Spent::default() } }
}

fn warned(message: &str) -> Event {
    Event::Warned { message: message.into() }
}

/// A closed journal of a run that was planned, and its bytes.
fn written(folder: &Path) -> Vec<u8> {
    let mut journal = Journal::create(folder, clock()).unwrap();
    for event in [started(), planned(), warned("ünïcode"), tick(0.1 + 0.2)] {
        journal.append(&event).unwrap();
    }
    fs::read(folder.join(FILE_NAME)).unwrap()
}

fn line_starts(bytes: &[u8]) -> Vec<usize> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

#[test]
fn what_was_appended_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut journal = Journal::create(folder.path(), clock.clone()).unwrap();
    assert_eq!(journal.append(&started()).unwrap(), 1);
    clock.advance(Duration::from_millis(1234));
    assert_eq!(journal.append_unsynced(&tick(1.5)).unwrap(), 2);
    assert_eq!(journal.append(&planned()).unwrap(), 3);
    assert_eq!((journal.status(), journal.last_seq()), (Status::Running, 3));

    let replay = read(folder.path()).unwrap();
    let events: Vec<Event> = replay.records.iter().map(|record| record.event.clone()).collect();
    assert_eq!(events, [started(), tick(1.5), planned()]);
    assert_eq!(replay.records[2].seq, 3);
    assert_eq!(replay.records[2].at, Duration::from_millis(1234));
    assert_eq!((replay.status, replay.torn_bytes), (Status::Running, 0));
}

#[test]
fn downtime_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let first = clock();
    let mut journal = Journal::create(folder.path(), first.clone()).unwrap();
    first.advance(Duration::from_secs(3));
    journal.append(&started()).unwrap();
    drop(journal);

    let second = clock();
    second.advance(Duration::from_secs(1_000_000));
    let (mut journal, _) = Journal::open(folder.path(), second.clone()).unwrap();
    second.advance(Duration::from_secs(2));
    assert_eq!(journal.append(&Event::Resumed { at: 0, torn_bytes: 0 }).unwrap(), 2);
    assert_eq!(read(folder.path()).unwrap().records[1].at, Duration::from_secs(5));
}

#[test]
fn a_line_has_the_form_that_is_documented() {
    let line = encode(12, 3456, r#"{"event":"cancel_requested"}"#);
    assert_eq!(
        line,
        "{\"seq\":12,\"crc\":\"5b795086\",\"at_ms\":3456,\"event\":{\"event\":\"cancel_requested\"}}\n"
    );
    let record = decode(line.trim_end().as_bytes(), 12).unwrap();
    assert_eq!(
        (record.seq, record.at, record.event),
        (12, Duration::from_millis(3456), Event::CancelRequested)
    );
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(json["event"]["event"], "cancel_requested");
}

#[test]
fn a_line_torn_anywhere_is_dropped_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path());
    let starts = line_starts(&bytes);
    let last = starts[starts.len() - 2];
    let path = folder.path().join(FILE_NAME);
    for cut in last..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let replay = read(folder.path()).unwrap();
        assert_eq!((replay.records.len(), replay.torn_bytes), (3, (cut - last) as u64), "cut at {cut}");

        let (mut journal, replay) = Journal::open(folder.path(), clock()).unwrap();
        assert_eq!(replay.torn_bytes, (cut - last) as u64);
        assert_eq!(fs::metadata(&path).unwrap().len(), last as u64);
        assert_eq!(journal.append_unsynced(&warned("again")).unwrap(), 4);
        drop(journal);
        assert_eq!(read(folder.path()).unwrap().records.len(), 4);
    }
}

#[test]
fn any_flipped_bit_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path());
    let starts = line_starts(&bytes);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let line = starts.iter().filter(|start| **start <= at).count() as u64;
            match crate::reader::replay(&damaged) {
                Err(JournalErrorKind::Corrupt { line: found, .. }) => {
                    assert_eq!(found, line, "byte {at} bit {bit}");
                }
                // A last line end that is none any more makes a torn line, which is what it is.
                Ok(replay) => {
                    assert!(replay.torn_bytes > 0 && at >= starts[starts.len() - 2], "byte {at} bit {bit}");
                }
                Err(other) => panic!("byte {at} bit {bit}: {other}"),
            }
        }
    }
}

#[test]
fn lines_that_are_missing_doubled_or_exchanged_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let text = String::from_utf8(written(folder.path())).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (order, bad_line) in [(vec![0, 2, 3], 2), (vec![0, 1, 1, 2], 3), (vec![0, 2, 1, 3], 2), (vec![1], 1)]
    {
        let bytes: String = order.iter().map(|&at: &usize| lines[at]).collect();
        match crate::reader::replay(bytes.as_bytes()) {
            Err(JournalErrorKind::Corrupt { line, .. }) => assert_eq!(line, bad_line, "{order:?}"),
            other => panic!("{order:?}: {other:?}"),
        }
    }
}

#[test]
fn blocks_that_never_reached_the_disk_are_torn() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = written(folder.path());
    let starts = line_starts(&bytes);
    let last = starts[starts.len() - 2];
    let mut zeroed = bytes.clone();
    zeroed[last..last + 20].fill(0);
    let replay = crate::reader::replay(&zeroed).unwrap();
    assert_eq!((replay.records.len(), replay.torn_bytes), (3, (bytes.len() - last) as u64));
}

#[test]
fn corruption_names_the_line_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = written(folder.path());
    let at = line_starts(&bytes)[1] + 30;
    bytes[at] ^= 1;
    fs::write(folder.path().join(FILE_NAME), bytes).unwrap();
    let error = Journal::open(folder.path(), clock()).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("journal.jsonl: line 2 is damaged: "), "{message}");
    assert!(error.hint().unwrap().contains("copy"));
}

#[test]
fn an_event_from_another_version_is_not_called_damage() {
    let line = encode(1, 0, r#"{"event":"teleported"}"#);
    match crate::reader::replay(line.as_bytes()) {
        Err(JournalErrorKind::Unknown { line: 1, problem }) => {
            assert!(problem.contains("teleported"), "{problem}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_cannot_follow_is_neither_written_nor_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), clock()).unwrap();
    let error = journal.append(&planned()).unwrap_err();
    assert!(matches!(error.kind, JournalErrorKind::Illegal { line: 1, .. }), "{error:?}");
    assert_eq!(journal.append(&started()).unwrap(), 1);

    let event = serde_json::to_string(&planned()).unwrap();
    assert!(matches!(
        crate::reader::replay(encode(1, 0, &event).as_bytes()),
        Err(JournalErrorKind::Illegal { line: 1, .. })
    ));
}

#[test]
fn what_would_not_read_back_is_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), clock()).unwrap();
    journal.append(&started()).unwrap();
    journal.append(&planned()).unwrap();
    for score in [f64::NAN, f64::INFINITY] {
        let event = Event::IncumbentChanged { candidate: CandidateId(1), score, p_better: 0.9 };
        let error = journal.append(&event).unwrap_err();
        assert!(matches!(error.kind, JournalErrorKind::Unrepresentable { .. }), "{error:?}");
    }
    assert_eq!(journal.append(&warned("fine")).unwrap(), 3);
    assert_eq!(read(folder.path()).unwrap().records.len(), 3);
}

#[test]
fn there_is_one_writer_and_any_number_of_readers() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), clock()).unwrap();
    journal.append(&started()).unwrap();
    let error = Journal::open(folder.path(), clock()).err().unwrap();
    match error.kind {
        JournalErrorKind::Held { pid } => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    assert_eq!(read(folder.path()).unwrap().records.len(), 1);
    drop(journal);
    assert!(Journal::open(folder.path(), clock()).is_ok());
}

#[test]
fn a_run_is_created_once_and_opened_when_there() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(folder.path()).unwrap_err().kind, JournalErrorKind::Missing));
    let missing = Journal::open(folder.path(), clock()).err().unwrap();
    assert!(matches!(missing.kind, JournalErrorKind::Missing));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "looking leaves nothing behind");
    drop(Journal::create(folder.path(), clock()).unwrap());
    let again = Journal::create(folder.path(), clock()).err().unwrap();
    assert!(matches!(again.kind, JournalErrorKind::AlreadyExists));
}

/// A disk whose calls fail as told; remembers what it was asked.
struct FailingDisk {
    append: Option<io::ErrorKind>,
    sync: Option<io::ErrorKind>,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Disk for FailingDisk {
    fn append(&mut self, _: &[u8]) -> io::Result<()> {
        self.calls.lock().unwrap().push("append");
        self.append.map_or(Ok(()), |kind| Err(kind.into()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.calls.lock().unwrap().push("sync");
        // A kernel reports a failed write-back once; a second sync succeeds although the data are lost.
        self.sync.take().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

fn failing(
    append: Option<io::ErrorKind>,
    sync: Option<io::ErrorKind>,
) -> (tempfile::TempDir, Journal, Arc<Mutex<Vec<&'static str>>>) {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), clock()).unwrap();
    let calls = Arc::new(Mutex::new(Vec::new()));
    journal.replace_disk(Box::new(FailingDisk { append, sync, calls: calls.clone() }));
    (folder, journal, calls)
}

#[test]
fn an_event_is_written_then_synced_then_acknowledged() {
    let (_folder, mut journal, calls) = failing(None, None);
    journal.append(&started()).unwrap();
    journal.append_unsynced(&tick(1.0)).unwrap();
    assert_eq!(*calls.lock().unwrap(), ["append", "sync", "append"]);
}

#[test]
fn after_a_failed_sync_nothing_is_written() {
    let (_folder, mut journal, calls) = failing(None, Some(io::ErrorKind::Other));
    assert!(matches!(journal.append(&started()).unwrap_err().kind, JournalErrorKind::Io(_)));
    for _ in 0..2 {
        assert!(matches!(journal.append(&tick(1.0)).unwrap_err().kind, JournalErrorKind::Closed(_)));
        assert!(matches!(journal.append_unsynced(&tick(1.0)).unwrap_err().kind, JournalErrorKind::Closed(_)));
    }
    assert_eq!(*calls.lock().unwrap(), ["append", "sync"]);
}

#[test]
fn a_full_disk_is_called_so() {
    for (append, sync) in
        [(Some(io::ErrorKind::StorageFull), None), (None, Some(io::ErrorKind::QuotaExceeded))]
    {
        let (_folder, mut journal, _) = failing(append, sync);
        let error = journal.append(&started()).unwrap_err();
        assert!(error.is_disk_full());
        assert_eq!(error.hint().unwrap(), "free some space, then resume the run");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_kernels_own_word_for_a_full_disk_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), clock()).unwrap();
    journal.replace_disk(Box::new(fs::OpenOptions::new().write(true).open("/dev/full").unwrap()));
    assert!(matches!(journal.append(&started()).unwrap_err().kind, JournalErrorKind::DiskFull));
}

/// Names the folder to the child of `kill_loses_nothing_that_was_acknowledged`.
const CHILD_FOLDER: &str = "ANSATZ_TEST_JOURNAL_FOLDER";

/// Does something only when started by the test below: appends for ever and prints each acknowledged number.
#[test]
fn writer_child() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let folder = Path::new(&folder);
    let mut journal = if folder.join(FILE_NAME).exists() {
        Journal::open(folder, clock()).unwrap().0
    } else {
        let mut journal = Journal::create(folder, clock()).unwrap();
        journal.append(&started()).unwrap();
        journal
    };
    loop {
        let event = warned(&"x".repeat(journal.last_seq() as usize % 9000));
        let seq = journal.append(&event).unwrap();
        writeln!(io::stderr(), "ack {seq}").unwrap();
    }
}

#[test]
fn kill_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for life in 0..5u64 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::writer_child", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.by_ref().map(Result::unwrap).find_map(|line| ack(&line)).unwrap();
        assert!(first > acknowledged, "numbers go on after a kill");
        acknowledged = first;
        std::thread::sleep(Duration::from_millis(5 + 13 * life));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged =
            lines.map_while(Result::ok).filter_map(|line| ack(&line)).last().unwrap_or(acknowledged);
        let replay = read(folder.path()).unwrap();
        assert!(replay.records.len() as u64 >= acknowledged, "{} < {acknowledged}", replay.records.len());
    }
}

fn ack(line: &str) -> Option<u64> {
    line.strip_prefix("ack ")?.parse().ok()
}

#[test]
fn an_append_with_sync_takes_milliseconds() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(folder.path(), clock()).unwrap();
    journal.append(&started()).unwrap();
    let mut times: Vec<Duration> = (0..101)
        .map(|_| {
            let before = std::time::Instant::now();
            journal.append(&tick(1.0)).unwrap();
            before.elapsed()
        })
        .collect();
    times.sort();
    println!("append with sync: median {:?}, p95 {:?}", times[50], times[95]);
    // The figure is 5 ms on an idle machine; ten times that tells a mistake from a busy disk.
    assert!(times[50] < Duration::from_millis(50), "median {:?}", times[50]);
}

#[test]
fn blobs_come_back_and_are_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::new(folder.path());
    let id = blobs.put(b"predictions").unwrap();
    assert_eq!(id, ArtifactId::of_bytes(b"predictions"));
    assert_eq!(blobs.get(&id).unwrap(), b"predictions");
    let path = blobs.path(&id).unwrap();
    assert_eq!(path.parent().unwrap().file_name().unwrap().to_str().unwrap(), &id.as_str()[7..9]);
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(blobs.put(b"predictions").unwrap(), id);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
    assert!(blobs.contains(&id));
    blobs.remove(&id).unwrap();
    blobs.remove(&id).unwrap();
    assert!(!blobs.contains(&id));
    assert!(
        matches!(blobs.get(&id).unwrap_err().kind, JournalErrorKind::Io(error) if error.kind() == io::ErrorKind::NotFound)
    );
    assert_eq!(blobs.get(&blobs.put(b"").unwrap()).unwrap(), b"");
}

#[test]
fn a_changed_blob_is_not_given_out() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::new(folder.path());
    let id = blobs.put(b"predictions").unwrap();
    fs::write(blobs.path(&id).unwrap(), b"prediction!").unwrap();
    let error = blobs.get(&id).unwrap_err();
    assert!(matches!(error.kind, JournalErrorKind::Changed { .. }), "{error:?}");
}

#[test]
fn no_id_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::new(folder.path());
    let upper = format!("sha256:{}", "A".repeat(64));
    let climbing = format!("sha256:../{}", "a".repeat(61));
    for id in ["", "sha256:", "sha256:../../etc/passwd", "name", upper.as_str(), climbing.as_str()] {
        let error = blobs.get(&ArtifactId::new(id)).unwrap_err();
        assert!(matches!(error.kind, JournalErrorKind::NotABlob(_)), "{id}");
        assert!(blobs.remove(&ArtifactId::new(id)).is_err());
    }
}

#[test]
fn threads_may_put_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::new(folder.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for number in 0..8u8 {
                    let id = blobs.put(&[number; 100]).unwrap();
                    assert_eq!(blobs.get(&id).unwrap(), [number; 100]);
                }
            });
        }
    });
    let unfinished = fs::read_dir(folder.path().join("blobs"))
        .unwrap()
        .flatten()
        .flat_map(|folder| fs::read_dir(folder.path()).unwrap())
        .flatten();
    assert_eq!(unfinished.count(), 8);
}

#[test]
fn taking_over_sweeps_unfinished_blobs_and_keeps_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let blobs = Blobs::new(folder.path());
    let id = blobs.put(b"kept").unwrap();
    let unfinished = blobs.path(&id).unwrap().with_extension("0.tmp");
    fs::write(&unfinished, b"ke").unwrap();
    drop(Journal::open(folder.path(), clock()).unwrap());
    assert!(!unfinished.exists());
    assert_eq!(blobs.get(&id).unwrap(), b"kept");
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        ".{0,60}".prop_map(|message| Event::Warned { message }),
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(tick),
        (any::<u64>(), any::<u64>()).prop_map(|(at, torn_bytes)| Event::Resumed { at, torn_bytes }),
        (".{0,10}", ".{0,10}").prop_map(|(step, error)| Event::StepFailed { step: StepId(step), error }),
        Just(Event::CancelRequested),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_events_cut_anywhere_give_a_prefix(events in proptest::collection::vec(events(), 0..20), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        let all: Vec<Event> = [started(), planned()].into_iter().chain(events).collect();
        for (at, event) in all.iter().enumerate() {
            let text = serde_json::to_string(event).unwrap();
            bytes.extend(encode(at as u64 + 1, at as u64 * 10, &text).into_bytes());
        }
        let whole = crate::reader::replay(&bytes).unwrap();
        prop_assert_eq!(whole.records.iter().map(|record| record.event.clone()).collect::<Vec<_>>(), all.clone());

        let cut = cut.index(bytes.len() + 1);
        let part = crate::reader::replay(&bytes[..cut]).unwrap();
        prop_assert_eq!(&part.records[..], &whole.records[..part.records.len()]);
        prop_assert_eq!(part.bytes + part.torn_bytes, cut as u64);
        prop_assert_eq!(part.records.len(), line_starts(&bytes[..cut]).len() - 1);
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = crate::reader::replay(&bytes);
    }

    #[test]
    fn no_line_that_looks_right_panics(seq in ".{0,4}", crc in ".{0,9}", at in ".{0,4}", event in ".{0,40}") {
        let line = format!("{{\"seq\":{seq},\"crc\":\"{crc}\",\"at_ms\":{at},\"event\":{event}}}\n");
        let records = crate::reader::replay(line.as_bytes()).map_or(0, |replay| replay.records.len());
        prop_assert_eq!(records, 0);
    }

    #[test]
    fn any_bytes_come_back_from_the_blobs(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path());
        prop_assert_eq!(blobs.get(&blobs.put(&bytes).unwrap()).unwrap(), bytes);
    }
}
