//! Running into limits: each is hit, named in the verdict, and leaves nothing behind.

use crate::world::{Case, MIB, has_groups};
use ansatz_sandbox::Verdict;
use std::time::{Duration, Instant};

/// Row 17.
#[test]
fn a_fork_bomb_is_stopped() {
    let case = Case::new("bomb").limits(|limits| {
        limits.pids = 30;
        limits.wall = Some(Duration::from_secs(2));
    });
    let outcome = case.run(
        "
import signal
count = 0
print('one:', os.waitstatus_to_exitcode(os.waitpid(os.spawnv(os.P_NOWAIT, '/bin/true', ['true']), 0)[1]))
while True:
    try:
        if os.fork() == 0:
            signal.pause()
        count += 1
    except BlockingIOError:
        print('refused at', count, flush=True)
        time.sleep(0.05)
        sys.exit(1) if count > 1000 else None
        signal.pause()
",
    );
    assert!(
        matches!(outcome.report.verdict, Verdict::Timeout | Verdict::Pids),
        "{:?}",
        outcome.report.verdict
    );
    let refused =
        outcome.text.lines().find_map(|line| line.strip_prefix("refused at ")).expect(&outcome.text);
    assert!((20..=30).contains(&refused.parse::<u32>().unwrap()), "{refused}");
    assert!(outcome.text.contains("one: 0"), "{}", outcome.text);
}

/// Row 19.
#[test]
fn a_memory_bomb_is_stopped_and_less_is_allowed() {
    let case = Case::new("memory").limits(|limits| limits.memory_bytes = 128 * MIB);
    let outcome = case.run("kept = []\nwhile True: kept.append(bytearray(1 << 20))");
    // Without a group, the process itself is refused more.
    let expected: &[Verdict] =
        if has_groups() { &[Verdict::Oom] } else { &[Verdict::Oom, Verdict::Error(1)] };
    assert!(expected.contains(&outcome.report.verdict), "{:?} {}", outcome.report.verdict, outcome.text);
    let outcome = case.run("kept = bytearray(48 << 20); print(len(kept))");
    assert_eq!(outcome.report.verdict, Verdict::Ok, "{}", outcome.text);
}

/// Row 20.
#[test]
fn children_that_eat_memory_are_seen_though_the_parent_exits_with_zero() {
    let case = Case::new("children").limits(|limits| limits.memory_bytes = 160 * MIB);
    let outcome = case.run(
        "
children = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        kept = []
        for _ in range(60):
            kept.append(bytearray(1 << 20))
            time.sleep(0.002)
        time.sleep(1)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
sys.exit(0)
",
    );
    assert_eq!(outcome.report.verdict, Verdict::Oom, "code {:?}", outcome.report.code);
}

/// Row 23.
#[test]
fn a_full_disk_is_full_inside_only() {
    let fill = "
with open('/out/full', 'wb') as file:
    while True:
        file.write(bytes(1 << 20)); file.flush()
";
    let outcome = Case::new("disk").run(fill);
    assert_eq!(outcome.report.verdict, Verdict::Quota, "{}", outcome.text);
    assert!(outcome.text.contains("No space left"));
    let small_files = Case::new("fsize").limits(|limits| limits.file_bytes = 2 * MIB);
    assert!(small_files.run(fill).text.contains("File too large"));
}

/// Rows 24 and 25.
#[test]
fn inodes_and_apparent_sizes_are_limited() {
    let case = Case::new("inodes").limits(|limits| {
        limits.out_inodes = 100;
        limits.file_bytes = 64 * MIB;
    });
    let outcome = case.run(
        "
tried('sparse', lambda: os.truncate(os.open('/out/sparse', os.O_CREAT | os.O_RDWR), 1 << 40))
tried('allocate', lambda: os.posix_fallocate(os.open('/out/a', os.O_CREAT | os.O_RDWR), 0, 1 << 33))
def many():
    for number in range(1000):
        open(f'/out/{number}', 'w')
tried('many', many)
",
    );
    outcome.check("sparse", &["EFBIG"]);
    outcome.check("allocate", &["EFBIG", "ENOSPC"]);
    outcome.check("many", &["ENOSPC"]);
}

/// Rows 27 and 28.
#[test]
fn a_flood_of_output_ends_the_cell_and_is_not_kept() {
    let case = Case::new("flood").limits(|limits| limits.output_bytes = 16 * MIB);
    let outcome = case.run("while True: os.write(1, b'A' * 65536)");
    assert_eq!(outcome.report.verdict, Verdict::OutputFlood);
    assert!(outcome.report.output_bytes < 17 * MIB, "{}", outcome.report.output_bytes);
    assert!(outcome.text.len() < 300 * 1024 && outcome.text.contains("bytes left out"));
    let outcome = case.run("print('x' * (5 << 20)); print('end')");
    assert_eq!(outcome.report.verdict, Verdict::Ok);
    assert!(outcome.text.ends_with("end\n") && outcome.text.len() < 300 * 1024);
}

/// Row 57.
#[test]
fn a_program_deaf_to_signals_is_ended_in_time() {
    let case = Case::new("deaf").limits(|limits| {
        limits.wall = Some(Duration::from_millis(800));
        limits.grace = Duration::from_millis(300);
    });
    let begun = Instant::now();
    let outcome = case.run(
        "
import signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
    signal.signal(number, signal.SIG_IGN)
print('deaf', flush=True)
while True: time.sleep(1)
",
    );
    assert_eq!(outcome.report.verdict, Verdict::Timeout);
    assert!(outcome.text.contains("deaf"));
    assert!(begun.elapsed() < Duration::from_millis(800 + 300 + 2000), "{:?}", begun.elapsed());
}

/// Row 58, and the polite end.
#[test]
fn a_busy_program_is_ended_and_a_polite_one_may_finish() {
    let case = Case::new("busy").limits(|limits| {
        limits.wall = Some(Duration::from_millis(500));
        limits.grace = Duration::from_secs(5);
    });
    assert_eq!(case.run("while True: pass").report.verdict, Verdict::Timeout);
    let outcome = case.run(
        "
import signal
def finish(*_):
    print('finished'); sys.exit(0)
signal.signal(signal.SIGTERM, finish)
while True: time.sleep(0.01)
",
    );
    assert_eq!(outcome.report.verdict, Verdict::Timeout);
    assert!(outcome.text.contains("finished"));
}

/// Row 58: the share of processor time is held where a group counts it.
#[test]
fn a_busy_program_gets_its_share_of_processor_time_only() {
    let case = Case::new("share").limits(|limits| {
        limits.cpus = Some(0.3);
        limits.wall = Some(Duration::from_millis(1500));
        limits.grace = Duration::ZERO;
    });
    let report = case.run("while True: pass").report;
    assert_eq!(report.verdict, Verdict::Timeout);
    if crate::world::launcher().effective().enforced.iter().any(|name| name == "processor group") {
        assert!(report.cpu_s < 0.45 * report.wall_s, "{} of {}", report.cpu_s, report.wall_s);
    }
    assert!(report.cpu_s > 0.0 || !has_groups());
}
