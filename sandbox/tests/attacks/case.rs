//! One attack: a cell with modest limits, a script in it, and a look at everything that must not be left behind.

use crate::canary::Canaries;
use crate::record::{self, Record};
use crate::world::{World, launcher};
use ansatz_sandbox::{Cell, CellReport, CellSpec, Limits, Mount, Policy, Verdict, python_mounts};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub const MIB: u64 = 1 << 20;
/// A cell that is still there after this has hung. Generous: other suites may share the machine.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// Time for the kernel to clear away what it has killed.
const CLEARING: Duration = Duration::from_secs(10);

/// Prints `name: ok` or `name: ERRNO` for one attempt.
const PRELUDE: &str = "
import ctypes, errno, os, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def tried(name, action):
    try:
        action()
        print(f'{name}: ok', flush=True)
    except OSError as error:
        print(f'{name}: {errno.errorcode.get(error.errno, error)}', flush=True)
def call(name, number, *arguments):
    got = libc.syscall(number, *[ctypes.c_long(each) for each in arguments])
    print(f'{name}: ' + ('ok' if got >= 0 else errno.errorcode[ctypes.get_errno()]), flush=True)
def opened(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags | os.O_NONBLOCK))
";

/// A Python that every user may run.
pub fn python() -> PathBuf {
    let chosen = std::env::var_os("ANSATZ_TEST_PYTHON").map(PathBuf::from);
    let usual = ["/usr/bin/python3", "/usr/local/bin/python3"].map(PathBuf::from);
    chosen
        .into_iter()
        .chain(usual)
        .find(|path| path.is_file())
        .expect("no python3; set ANSATZ_TEST_PYTHON to one")
}

/// One cell of a case: its name is unique, so that its traces can be told from those of other cases.
pub struct Case {
    /// The cell's name.
    pub name: String,
    /// What two worlds compare.
    title: String,
    pub limits: Limits,
    pub mounts: Vec<Mount>,
    pub env: BTreeMap<String, String>,
}

/// How a script ended.
pub struct Outcome {
    pub report: CellReport,
    pub text: String,
    title: String,
    /// Verdicts of which any is right.
    allowed: RefCell<Vec<Verdict>>,
    /// Attempts that may go either way.
    either: RefCell<Vec<String>>,
}

impl Case {
    /// `what` is at most 16 letters, digits and dashes, and of one case alone.
    pub fn new(what: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{what}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let limits = Limits {
            memory_bytes: 512 * MIB,
            pids: 64,
            out_bytes: 8 * MIB,
            out_inodes: 20_000,
            tmp_bytes: 16 * MIB,
            shm_bytes: 16 * MIB,
            wall: Some(Duration::from_secs(30)),
            grace: Duration::from_millis(200),
            ..Limits::default()
        };
        let env = BTreeMap::from([("CELL_MARK".to_owned(), name.clone())]);
        Canaries::get();
        Self { name, title: what.into(), limits, mounts: Vec::new(), env }
    }

    pub fn mount(mut self, source: &Path, target: &str) -> Self {
        self.mounts.push(Mount::new(source, target));
        self
    }

    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// What the cell is to be.
    pub fn spec(&self, arguments: &[&str]) -> CellSpec {
        let mut mounts = python_mounts(&python()).unwrap();
        mounts.extend(self.mounts.clone());
        let mut argv = vec![python().to_str().unwrap().to_owned()];
        argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let policy =
            Policy { mounts, env: self.env.clone(), limits: self.limits.clone(), ..Policy::default() };
        CellSpec { name: self.name.clone(), policy, argv, cwd: "/tmp".into() }
    }

    /// Starts Python with these arguments.
    pub fn start(&self, arguments: &[&str]) -> Cell {
        launcher()
            .start(self.spec(arguments))
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.name, error.kind()))
    }

    /// Runs a script to its end, and makes sure that nothing is left of it.
    pub fn run(&self, script: &str) -> Outcome {
        let cell = self.start(&["-c", &format!("{PRELUDE}\n{script}")]);
        self.end_of(&cell)
    }

    /// Waits for the end of a cell, and makes sure that nothing is left of it.
    pub fn end_of(&self, cell: &Cell) -> Outcome {
        assert!(cell.wait(PATIENCE), "{} hangs: {}", self.name, cell.log().text());
        self.end(cell)
    }

    /// Ends a cell, and makes sure that nothing is left of it.
    pub fn end(&self, cell: &Cell) -> Outcome {
        let report = cell.stop(Duration::ZERO);
        self.assert_gone();
        let outcome = Outcome {
            text: report.log.text(),
            report,
            title: self.next_title(),
            allowed: RefCell::default(),
            either: RefCell::default(),
        };
        Canaries::get().assert_intact(&outcome.text);
        outcome
    }

    /// The case's title, numbered when it has several cells.
    fn next_title(&self) -> String {
        static TITLES: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());
        let mut titles = TITLES.lock().unwrap();
        let count = titles.entry(self.title.clone()).or_default();
        *count += 1;
        format!("{} {count}", self.title)
    }

    /// Whether nothing of the case is left: no process, no control group, no mount, no socket, no temporary folder.
    pub fn assert_gone(&self) {
        let deadline = Instant::now() + CLEARING;
        while let Some(left) = left_of(&self.name) {
            assert!(Instant::now() < deadline, "{} has left {left}", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Outcome {
    /// What became of an attempt.
    pub fn said(&self, attempt: &str) -> &str {
        self.attempts().find(|(name, _)| *name == attempt).map_or_else(
            || panic!("`{attempt}` was not tried ({:?}):\n{}", self.report.verdict, self.text),
            |(_, said)| said,
        )
    }

    fn attempts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.text.lines().filter_map(|line| line.rsplit_once(": "))
    }

    /// Checks that an attempt was answered in one of these ways.
    pub fn check(&self, attempt: &str, expected: &[&str]) {
        let said = self.said(attempt);
        if expected.contains(&"ok") && expected.len() > 1 {
            self.either.borrow_mut().push(attempt.to_owned());
        }
        assert!(expected.contains(&said), "{attempt}: {said}, expected one of {expected:?}\n{}", self.text);
    }

    /// Checks that attempts were refused in one of these ways.
    pub fn check_all(&self, attempts: &[&str], expected: &[&str]) {
        for attempt in attempts {
            self.check(attempt, expected);
        }
    }

    /// Checks that lines stand in the text.
    pub fn check_lines(&self, lines: &[&str]) {
        for line in lines {
            assert!(self.text.contains(line), "{line:?} is missing in\n{}", self.text);
        }
    }

    /// Checks how the program ended.
    pub fn ended(&self, expected: &[Verdict]) {
        self.allowed.borrow_mut().extend(expected);
        let found = self.report.verdict;
        assert!(expected.contains(&found), "{found:?}, expected one of {expected:?}\n{}", self.text);
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        let either = self.either.borrow();
        let class = |name: &str, said: &str| {
            if either.iter().any(|each| each == name) { "either".to_owned() } else { said.to_owned() }
        };
        // Lines that name an error or success; others hold numbers that need not be equal.
        let attempts = self.attempts().filter(|(_, said)| *said == "ok" || said.starts_with('E'));
        let attempts = attempts.map(|(name, said)| (name.to_owned(), class(name, said))).collect();
        let verdict = record::verdict(self.report.verdict, &self.allowed.borrow());
        record::write(&self.title, &Record { verdict, attempts });
    }
}

/// What is left of a case, in words.
fn left_of(name: &str) -> Option<String> {
    let processes = marked_processes(name);
    if !processes.is_empty() {
        return Some(format!("processes {processes:?}"));
    }
    let groups = groups_named(name);
    if !groups.is_empty() {
        return Some(format!("control groups {groups:?}"));
    }
    for list in ["/proc/self/mountinfo", "/proc/net/unix"] {
        let text = fs::read_to_string(list).unwrap_or_default();
        if let Some(line) = text.lines().find(|line| line.contains(name)) {
            return Some(format!("a line in {list}: {line}"));
        }
    }
    let folders = [std::env::temp_dir(), "/dev/shm".into(), "/run".into()];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    let found = entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().contains(name))?;
    Some(format!("the folder {}", found.display()))
}

/// Processes that carry a case's mark in their environment.
pub fn marked_processes(name: &str) -> Vec<u32> {
    let mark = format!("CELL_MARK={name}");
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    })
    .collect()
}

/// Control groups that carry a case's name.
pub fn groups_named(name: &str) -> Vec<PathBuf> {
    let mut pending = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().ends_with(&format!("-{name}")) {
                    found.push(entry.path());
                }
                pending.push(entry.path());
            }
        }
    }
    found
}

/// A host folder that the cell's user may read.
pub fn shared_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("ansatz-attack-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Errors that keep a program away from a file: where it may not even see the path, that it is absent.
pub fn hidden() -> &'static [&'static str] {
    match World::current() {
        World::Native | World::User | World::Bwrap | World::BwrapUser => &["ENOENT"],
        World::UserL1 | World::Engine => &["ENOENT", "EACCES"],
    }
}

/// Errors that refuse a change.
pub const REFUSED: &[&str] = &["EROFS", "EACCES", "EPERM", "ENOENT"];
