//! Running into limits: each is hit, named in the verdict, and leaves nothing behind.

use crate::case::{Case, MIB, PATIENCE};
use crate::world::{enforces, has_groups};
use ansatz_sandbox::Verdict;
use std::time::{Duration, Instant};

/// How a program ends that wants more memory than it may have: without a group it may be refused itself.
fn out_of_memory() -> &'static [Verdict] {
    if has_groups() { &[Verdict::Oom] } else { &[Verdict::Oom, Verdict::Error(1)] }
}

#[test]
fn row_17_fork_bomb() {
    let case = Case::new("bomb").limits(|limits| {
        limits.pids = 30;
        limits.wall = Some(Duration::from_secs(3));
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
        signal.pause()
",
    );
    outcome.ended(&[Verdict::Timeout, Verdict::Pids]);
    let refused =
        outcome.text.lines().find_map(|line| line.strip_prefix("refused at ")).expect(&outcome.text);
    assert!((20..=30).contains(&refused.parse::<u32>().unwrap()), "{refused}");
    outcome.check_lines(&["one: 0"]);
}

#[test]
fn row_18_thread_bomb() {
    let case = Case::new("threads");
    let script = |threads: u32| {
        format!(
            "
import threading
threading.stack_size(65536)
wait = threading.Event()
for number in range({threads}):
    try: threading.Thread(target=wait.wait, daemon=True).start()
    except RuntimeError: print('refused at', number, flush=True); os._exit(3)
print('started all', flush=True)
os._exit(0)
"
        )
    };
    let outcome = case.run(&script(5000));
    outcome.ended(&[Verdict::Pids, Verdict::Error(3)]);
    let refused =
        outcome.text.lines().find_map(|line| line.strip_prefix("refused at ")).expect(&outcome.text);
    assert!((40..=64).contains(&refused.parse::<u32>().unwrap()), "{refused}");
    let outcome = case.run(&script(20));
    outcome.check_lines(&["started all"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_19_mem_bomb() {
    let case = Case::new("memory").limits(|limits| limits.memory_bytes = 128 * MIB);
    let outcome = case.run("kept = []\nwhile True: kept.append(bytearray(1 << 20))");
    outcome.ended(out_of_memory());
    let outcome = case.run("kept = bytearray(48 << 20); print(len(kept))");
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_20_mem_children() {
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
        time.sleep(2)
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
sys.exit(0)
",
    );
    outcome.ended(&[Verdict::Oom]);
}

#[test]
fn row_21_oom_immune() {
    let case = Case::new("immune").limits(|limits| {
        limits.memory_bytes = 128 * MIB;
        limits.wall = Some(Duration::from_secs(20));
    });
    let outcome = case.run(
        "
tried('immune', lambda: open('/proc/self/oom_score_adj', 'w').write('-1000'))
kept = []
while True: kept.append(bytearray(1 << 20))
",
    );
    outcome.check("immune", &["ok", "EACCES", "EPERM", "EROFS", "ENOENT"]);
    outcome.ended(out_of_memory());
}

#[test]
fn row_22_shm_memfd_fill() {
    let case = Case::new("shm").limits(|limits| {
        limits.file_bytes = 32 * MIB;
        limits.memory_bytes = 256 * MIB;
    });
    let outcome = case.run(
        "
def fill(file):
    for _ in range(64):
        file.write(bytes(1 << 20)); file.flush()
tried('shm', lambda: fill(open('/dev/shm/full', 'wb')))
tried('tmp', lambda: fill(open('/tmp/full', 'wb')))
tried('one memory file', lambda: fill(os.fdopen(os.memfd_create('full'), 'wb')))
",
    );
    outcome.check_all(&["shm", "tmp"], &["ENOSPC"]);
    outcome.check("one memory file", &["EFBIG", "EPERM", "ENOSPC"]);
    outcome.ended(&[Verdict::Ok, Verdict::Quota]);
    // Each of them small, all together more than the cell may use.
    let outcome = case.run(
        "
kept = []
for number in range(40):
    file = os.fdopen(os.memfd_create(str(number)), 'wb')
    kept.append(file)
    for _ in range(16):
        file.write(bytes(1 << 20)); file.flush()
    time.sleep(0.02)
print('all written')
",
    );
    outcome.ended(out_of_memory());
}

#[test]
fn row_23_disk_fill() {
    let fill = "
with open('/out/full', 'wb') as file:
    while True:
        file.write(bytes(1 << 20)); file.flush()
";
    let outcome = Case::new("disk").run(fill);
    outcome.ended(&[Verdict::Quota]);
    outcome.check_lines(&["No space left"]);
    let small = Case::new("fsize").limits(|limits| limits.file_bytes = 2 * MIB).run(fill);
    small.check_lines(&["File too large"]);
    small.ended(&[Verdict::Quota, Verdict::Error(1)]);
}

#[test]
fn row_24_inode_fill() {
    let case = Case::new("inodes").limits(|limits| limits.out_inodes = 2000);
    let outcome = case.run(
        "
for number in range(1000000):
    open(f'/out/{number}', 'w').close()
",
    );
    outcome.ended(&[Verdict::Quota]);
}

#[test]
fn row_25_sparse() {
    let case = Case::new("sparse").limits(|limits| limits.file_bytes = 64 * MIB);
    let cell = case.start(&[
        "-c",
        "
import errno, os
def tried(name, action):
    try: action(); print(f'{name}: ok', flush=True)
    except OSError as error: print(f'{name}: {errno.errorcode[error.errno]}', flush=True)
tried('terabyte', lambda: os.truncate(os.open('/out/sparse', os.O_CREAT | os.O_RDWR), 1 << 40))
tried('allocate', lambda: os.posix_fallocate(os.open('/out/a', os.O_CREAT | os.O_RDWR), 0, 1 << 33))
tried('under the cap', lambda: os.truncate(os.open('/out/hollow', os.O_CREAT | os.O_RDWR), 32 << 20))
",
    ]);
    assert!(cell.wait(PATIENCE));
    let refused = cell.collect("hollow", MIB).unwrap_err();
    assert!(
        matches!(refused.kind(), ansatz_sandbox::CollectErrorKind::TooLarge { bytes, .. } if *bytes == 32 * MIB),
        "a sparse file counts at its apparent size: {refused:?}"
    );
    let outcome = case.end(&cell);
    outcome.check("terabyte", &["EFBIG"]);
    outcome.check("allocate", &["EFBIG", "ENOSPC"]);
    outcome.check("under the cap", &["ok"]);
    outcome.ended(&[Verdict::Ok]);
}

#[test]
fn row_27_stdout_flood() {
    let case = Case::new("flood").limits(|limits| limits.output_bytes = 16 * MIB);
    let outcome = case.run("while True: os.write(1, b'A' * 65536)");
    outcome.ended(&[Verdict::OutputFlood]);
    assert!(outcome.report.output_bytes < 17 * MIB, "{}", outcome.report.output_bytes);
    assert!(outcome.text.len() < 300 * 1024 && outcome.text.contains("bytes left out"));
}

#[test]
fn row_28_no_newline() {
    let outcome = Case::new("line").run("print('x' * (5 << 20)); print('end')");
    outcome.ended(&[Verdict::Ok]);
    assert!(outcome.text.ends_with("end\n") && outcome.text.len() < 300 * 1024);
    outcome.check_lines(&["bytes left out"]);
}

#[test]
fn row_57_ignore_signals() {
    let case = Case::new("deaf").limits(|limits| {
        limits.wall = Some(Duration::from_millis(1500));
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
    outcome.ended(&[Verdict::Timeout]);
    outcome.check_lines(&["deaf"]);
    // Limit, grace and two seconds; the search for leftovers is counted as well, and the machine may be busy.
    assert!(begun.elapsed() < Duration::from_millis(1500 + 300 + 2000 + 3000), "{:?}", begun.elapsed());
    assert!(outcome.report.wall_s < 1.5 + 0.3 + 2.0, "{}", outcome.report.wall_s);
}

#[test]
fn row_58_busy_loop() {
    let case = Case::new("busy").limits(|limits| {
        limits.cpus = Some(0.3);
        limits.wall = Some(Duration::from_millis(1500));
        limits.grace = Duration::ZERO;
    });
    let outcome = case.run("while True: pass");
    outcome.ended(&[Verdict::Timeout]);
    let report = &outcome.report;
    if enforces("processor group") {
        assert!(report.cpu_s < 0.45 * report.wall_s, "{} of {}", report.cpu_s, report.wall_s);
    }
    assert!(report.cpu_s > 0.0 || !has_groups());
}

#[test]
fn a_polite_program_may_finish() {
    let case = Case::new("polite").limits(|limits| {
        limits.wall = Some(Duration::from_millis(1500));
        limits.grace = Duration::from_secs(10);
    });
    let outcome = case.run(
        "
import signal
def finish(*_):
    print('finished'); sys.exit(0)
signal.signal(signal.SIGTERM, finish)
while True: time.sleep(0.01)
",
    );
    outcome.ended(&[Verdict::Timeout]);
    outcome.check_lines(&["finished"]);
}

#[test]
fn row_59_stdin_wait() {
    let begun = Instant::now();
    let outcome = Case::new("stdin").run(
        "
try: input(); print('heard something')
except EOFError: print('end of input')
print('empty', sys.stdin.read() == '')
",
    );
    outcome.check_lines(&["end of input", "empty True"]);
    outcome.ended(&[Verdict::Ok]);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn row_60_core_dump() {
    let case = Case::new("core");
    let cell = case.start(&["-c", "import ctypes, os\nos.chdir('/out')\nctypes.string_at(0)"]);
    assert!(cell.wait(PATIENCE));
    for name in ["core", "core.1", "core.2", "core.3"] {
        assert!(cell.collect(name, MIB).is_err(), "{name} was left");
    }
    case.end(&cell).ended(&[Verdict::Signal(11)]);
}
