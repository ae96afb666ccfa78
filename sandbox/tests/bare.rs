//! Cells without a root and name spaces of their own: level L1 (Landlock alone), and no walls at all.
//!
//! What the kernel does elsewhere the supervisor does here, so these cases look at what it must not miss: processes that
//! outlive the program, memory, files, the host's own end. Run as root they run once more as an ordinary user.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should say where")]

use ansatz_sandbox::{
    BackendChoice, Cell, CellSpec, Launcher, LauncherOptions, LeafLimits, Level, Limits, Mount, Policy,
    Verdict, python_mounts,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
const PATIENCE: Duration = Duration::from_secs(20);
/// An id that nobody on the machine has; another one than in other suites, which may run at the same time.
const ORDINARY: u32 = 60_124;
const ROOMY: LeafLimits = LeafLimits { memory_bytes: 256 * MIB, pids: 32, wall: Some(PATIENCE) };

fn helper() -> PathBuf {
    std::env::var_os("ANSATZ_TEST_HELPER")
        .map_or_else(|| env!("CARGO_BIN_EXE_ansatz-cell").into(), PathBuf::from)
}

fn python() -> PathBuf {
    let chosen = std::env::var_os("ANSATZ_TEST_PYTHON").map(PathBuf::from);
    let usual = ["/usr/bin/python3", "/usr/local/bin/python3"].map(PathBuf::from);
    chosen
        .into_iter()
        .chain(usual)
        .find(|path| path.is_file())
        .expect("no python3; set ANSATZ_TEST_PYTHON to one")
}

fn launcher(backend: BackendChoice) -> &'static Launcher {
    static LANDLOCK: OnceLock<Launcher> = OnceLock::new();
    static NOTHING: OnceLock<Launcher> = OnceLock::new();
    let (place, level_max) =
        if backend == BackendChoice::Off { (&NOTHING, Level::L2) } else { (&LANDLOCK, Level::L1) };
    place.get_or_init(|| {
        let options =
            LauncherOptions { backend, level_max, level_min: Level::L1, ..LauncherOptions::default() };
        Launcher::with_options(helper(), &options).unwrap_or_else(|error| panic!("{error}: {}", error.kind()))
    })
}

/// One cell, and how to find what it leaves.
struct Case {
    name: String,
    cell: Cell,
    _source: tempfile::TempDir,
}

impl Case {
    /// Starts Python on a script that finds `sys.argv[1]` to be its folder for results.
    fn start(what: &str, backend: BackendChoice, script: &str, change: impl FnOnce(&mut Limits)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("{what}-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let source = tempfile::Builder::new().prefix("ansatz-bare-").tempdir().unwrap();
        fs::set_permissions(source.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(source.path().join("script.py"), script).unwrap();
        let mut limits = Limits {
            memory_bytes: 512 * MIB,
            pids: 64,
            out_bytes: 8 * MIB,
            tmp_bytes: 16 * MIB,
            wall: Some(Duration::from_secs(15)),
            grace: Duration::from_millis(200),
            ..Limits::default()
        };
        change(&mut limits);
        let mut mounts = python_mounts(&python()).unwrap();
        mounts.push(Mount::new(source.path(), "/in/source"));
        let env = [("CELL_MARK", name.as_str()), ("WHERE", "/in/source:/usr/bin")];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let python = python().display().to_string();
        let argv = [&python, "/in/source/script.py", "/out"].map(ToString::to_string).into();
        let policy = Policy { mounts, env, limits, ..Policy::default() };
        let spec = CellSpec { name: name.clone(), policy, argv, cwd: "/tmp".into() };
        let cell = launcher(backend).start(spec).unwrap_or_else(|error| panic!("{error}: {}", error.kind()));
        Self { name, cell, _source: source }
    }

    fn locked(what: &str, script: &str) -> Self {
        Self::start(what, BackendChoice::Native, script, |_| ())
    }

    /// Waits for the program's end and makes sure that nothing is left.
    fn end(&self) -> (Verdict, String) {
        assert!(self.cell.wait(PATIENCE), "{} hangs: {}", self.name, self.cell.log().text());
        let report = self.cell.stop(Duration::ZERO);
        self.assert_gone();
        (report.verdict, report.log.text())
    }

    fn assert_gone(&self) {
        assert_eq!(marked(&self.name), Vec::<String>::new());
        assert_eq!(private_folders(&self.name), Vec::<PathBuf>::new());
    }
}

fn run(what: &str, script: &str) -> (Verdict, String) {
    Case::locked(what, script).end()
}

/// Processes that carry a mark in their environment.
fn marked(name: &str) -> Vec<String> {
    let mark = format!("CELL_MARK={name}");
    let has_mark = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    processes.filter(|path| has_mark(path)).map(|path| path.display().to_string()).collect()
}

/// What is left of a cell's private folder.
fn private_folders(name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir()).unwrap().flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().ends_with(&format!("-{name}"))).collect()
}

#[test]
fn the_level_is_l1_and_says_what_it_lacks() {
    let effective = launcher(BackendChoice::Native).effective();
    assert_eq!((effective.backend.as_str(), effective.level), ("native", Level::L1));
    assert!(effective.missing.iter().any(|what| what.starts_with("a root of its own")), "{effective:?}");
    let strict = LauncherOptions { level_max: Level::L1, level_min: Level::L2, ..LauncherOptions::default() };
    let error = Launcher::with_options(helper(), &strict).unwrap_err();
    assert!(error.is_unavailable() && error.hint().is_some());
}

#[test]
fn the_host_is_closed() {
    let neighbour = Case::locked("neighbour", "import time; time.sleep(60)");
    let folder = private_folders(&neighbour.name).remove(0);
    let other = marked(&neighbour.name).remove(0).trim_start_matches("/proc/").to_owned();
    let script = format!(
        "
import errno, os, socket, sys
def tried(name, action):
    try:
        action()
        print(f'{{name}}: ok')
    except OSError as error:
        print(f'{{name}}: {{errno.errorcode[error.errno]}}')
tried('shadow', lambda: open('/etc/hosts').read())
tried('temp', lambda: os.listdir('{temp}'))
tried('neighbour', lambda: os.listdir('{folder}/out'))
tried('processes', lambda: os.listdir('/proc'))
tried('environ', lambda: open('/proc/{other}/environ').read())
tried('memory', lambda: open('/proc/{other}/mem').read())
tried('descriptors', lambda: os.listdir('/proc/{other}/fd'))
tried('own tables', lambda: open('/proc/self/statm').read())
tried('signal', lambda: os.kill({other}, 0))
tried('parent', lambda: os.kill(os.getppid(), 19))
tried('shared memory', lambda: open('/dev/shm/ansatz-x', 'w'))
tried('beside', lambda: open(sys.argv[1] + '/../x', 'w'))
tried('source', lambda: open(sys.argv[0], 'a'))
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
    tried(f'socket {{int(family)}}', lambda: socket.socket(family, socket.SOCK_DGRAM))
tried('datagram pair', lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
tried('pair', lambda: socket.socketpair())
tried('out', lambda: open(sys.argv[1] + '/x', 'w').write('x'))
tried('tmp', lambda: open(os.environ['TMPDIR'] + '/x', 'w').write('x'))
child = os.fork()
if child == 0:
    open('/proc/self/statm').read()
    import time; time.sleep(60)
tried('own child', lambda: os.kill(child, 9))
",
        temp = std::env::temp_dir().display(),
        folder = folder.display(),
    );
    let case = Case::locked("closed", &script);
    let (verdict, text) = case.end();
    assert_eq!(verdict, Verdict::Ok, "{text}");
    let said = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("{name} was not tried: {text}")).to_owned()
    };
    for name in [
        "shadow",
        "temp",
        "neighbour",
        "processes",
        "environ",
        "memory",
        "descriptors",
        "shared memory",
        "beside",
        "source",
    ] {
        assert_eq!(said(name), "EACCES", "{name}: {text}");
    }
    for name in ["signal", "parent", "socket 2", "socket 10", "socket 1", "datagram pair"] {
        assert_eq!(said(name), "EPERM", "{name}: {text}");
    }
    assert!(["EPERM", "EAFNOSUPPORT"].contains(&said("socket 16").as_str()), "{text}");
    for name in ["pair", "out", "tmp", "own child", "own tables"] {
        assert_eq!(said(name), "ok", "{name}: {text}");
    }
    assert_eq!(neighbour.cell.stop(Duration::ZERO).verdict, Verdict::Killed);
    neighbour.assert_gone();
}

#[test]
fn paths_are_read_as_the_host_has_them() {
    let script = "
import os, sys
print(os.path.basename(sys.argv[0]), os.path.basename(sys.argv[1]), os.getcwd() == os.environ['HOME'] == os.environ['TMPDIR'])
print(os.environ['WHERE'] == os.path.dirname(sys.argv[0]) + ':/usr/bin', os.path.dirname(sys.argv[0]) in os.environ['CELL_READABLE'])
open(sys.argv[1] + '/result', 'w').write('done')";
    let case = Case::locked("paths", script);
    assert!(case.cell.inside("/out/t1").ends_with("/out/t1") && case.cell.inside("/out/t1") != "/out/t1");
    assert_eq!(case.cell.inside("/usr/lib"), "/usr/lib");
    assert!(case.cell.wait(PATIENCE));
    assert_eq!(
        case.cell.collect("result", 100).map_err(|error| error.to_string()),
        Err("result `result`".into())
    );
    let (_, text) = case.end();
    assert_eq!(text, "script.py out True\nTrue True\n");
}

#[test]
fn what_outlives_the_program_is_cleared_away() {
    let script = "
import os, signal, time
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(300)
        os._exit(0)
time.sleep(0.1)";
    assert_eq!(run("survivors", script).0, Verdict::Ok);
    let case = Case::locked("killed", &format!("{script}\nprint('ready', flush=True)\ntime.sleep(300)"));
    let deadline = Instant::now() + PATIENCE;
    while !case.cell.log().text().contains("ready") {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let begun = Instant::now();
    assert_eq!(case.cell.stop(Duration::ZERO).verdict, Verdict::Killed);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    case.assert_gone();
}

#[test]
fn limits_hold_without_the_kernels_help() {
    let check = |what: &str, script: &str, expected: &[Verdict]| {
        let limits = |limits: &mut Limits| {
            limits.wall = Some(Duration::from_secs(3));
            limits.memory_bytes = 128 * MIB;
            limits.out_inodes = 200;
            limits.pids = 32;
            limits.output_bytes = MIB;
        };
        let case = Case::start(what, BackendChoice::Native, script, limits);
        let (verdict, text) = case.end();
        assert!(expected.contains(&verdict), "{what}: {verdict:?} {text}");
    };
    check("sleep", "import time; time.sleep(60)", &[Verdict::Timeout]);
    check("flood", "while True: print('A' * 65536)", &[Verdict::OutputFlood]);
    check("files", "import sys\nfor i in range(300): open(f'{sys.argv[1]}/{i}', 'w')", &[Verdict::Quota]);
    let large = "import sys, time\nfile = open(sys.argv[1] + '/x', 'wb')\nwhile True: file.write(bytes(1 << 20)); file.flush(); time.sleep(0.01)";
    check("bytes", large, &[Verdict::Quota]);
    let deep = "import os, sys, time\nos.chdir(sys.argv[1])\nfor _ in range(100): os.mkdir('d'); os.chdir('d')\ntime.sleep(60)";
    check("deep", deep, &[Verdict::Quota]);
    // Each child stays below what one process may have.
    let children = "
import os, time
for _ in range(4):
    if os.fork() == 0:
        kept = bytearray(60 << 20)
        for i in range(0, len(kept), 4096): kept[i] = 1
        time.sleep(60)
time.sleep(60)";
    check("memory", children, &[Verdict::Oom]);
    let bomb = "
import os, time
try:
    while True:
        if os.fork() == 0: time.sleep(60)
except BlockingIOError:
    raise SystemExit(9)";
    check("bomb", bomb, &[Verdict::Error(9)]);
    check("segfault", "import ctypes; ctypes.string_at(0)", &[Verdict::Signal(11)]);
}

#[test]
fn a_zygote_serves_trials_and_each_is_held_to_its_own() {
    serve_trials(BackendChoice::Native);
}

#[test]
fn without_walls_trials_are_held_to_their_own_all_the_same() {
    serve_trials(BackendChoice::Off);
}

fn serve_trials(backend: BackendChoice) {
    let case = Case::start("zygote", backend, include_str!("attacks/mini_zygote.py"), |_| ());
    let cell = &case.cell;
    assert_eq!(cell.recv(PATIENCE).unwrap().as_deref(), Some(&br#"{"event":"ready"}"#[..]));
    let fork = |trial: u32, limits: LeafLimits| {
        let out = cell.inside(&format!("/out/t{trial}"));
        let request = serde_json::json!({"op": "fork", "trial": trial, "out": out}).to_string();
        cell.fork(trial, request.as_bytes(), limits)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", error.kind(), cell.log().text()))
    };
    let order = |leaf: &ansatz_sandbox::Leaf, code: &str, blobs: &[&[u8]]| {
        let lock = cell.inside(&format!("/out/t{}", leaf.trial()));
        let order = serde_json::json!({"code": code, "lock": lock}).to_string();
        leaf.send_sealed(order.as_bytes(), blobs).unwrap();
    };
    let text = |leaf: &ansatz_sandbox::Leaf| {
        leaf.recv(PATIENCE)
            .unwrap()
            .map_or_else(|| "closed".into(), |bytes| String::from_utf8(bytes).unwrap())
    };
    let neighbour = fork(1, ROOMY);
    let greedy = fork(2, LeafLimits { memory_bytes: 48 * MIB, ..ROOMY });
    order(
        &greedy,
        "kept = []\nimport time\nwhile True:\n  kept.append(bytearray(1 << 20)); time.sleep(0.002)",
        &[],
    );
    let ending = text(&greedy);
    let report = greedy.finish();
    assert!(report.verdict == Verdict::Oom || ending.contains("MemoryError"), "{ending} {report:?}");
    let daemon = fork(3, ROOMY);
    order(
        &daemon,
        "import os, time\nif os.fork() == 0:\n  os.setsid(); time.sleep(300)\nresult = 'left one'",
        &[],
    );
    assert!(text(&daemon).contains("left one"));
    assert!(daemon.finish().survivors >= 1);
    let late = fork(4, LeafLimits { wall: Some(Duration::from_millis(300)), ..ROOMY });
    order(&late, "import time\ntime.sleep(300)", &[]);
    assert_eq!(text(&late), "closed");
    assert_eq!(late.finish().verdict, Verdict::Timeout);
    let code = "import os\nopen(os.getcwd() + '/../x', 'w') if False else None\ndata = os.read(sealed[0], 100).decode()\n";
    order(
        &neighbour,
        &format!("{code}open('{}/pred', 'w').write(data)\nresult = data", cell.inside("/out/t1")),
        &[b"labels"],
    );
    assert_eq!(text(&neighbour), r#"{"event": "done", "result": "labels"}"#);
    assert_eq!(neighbour.finish().verdict, Verdict::Ok);
    assert_eq!(cell.collect("t1/pred", 100).unwrap(), b"labels");
    cell.remove("t1").unwrap();
    cell.send(br#"{"op":"stop"}"#, &[]).unwrap();
    assert_eq!(case.end().0, Verdict::Ok);
}

#[test]
fn a_host_that_is_killed_leaves_nothing_behind() {
    const ROLE: &str = "ANSATZ_TEST_BARE_VICTIM";
    if std::env::var_os(ROLE).is_some() {
        let script = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nos.fork()\ntime.sleep(300)";
        let case = Case::locked("victim", script);
        println!("settled {}", case.name);
        std::thread::sleep(Duration::from_mins(5));
        return;
    }
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["a_host_that_is_killed_leaves_nothing_behind", "--exact", "--nocapture"])
        .env(ROLE, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(host.stdout.take().unwrap()));
    let name =
        lines.map_while(Result::ok).find_map(|line| Some(line.split_once("settled ")?.1.to_owned())).unwrap();
    assert!(!marked(&name).is_empty());
    host.kill().unwrap();
    host.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !marked(&name).is_empty() {
        assert!(Instant::now() < deadline, "the cell outlived its host");
        std::thread::sleep(Duration::from_millis(10));
    }
    let options = LauncherOptions { level_max: Level::L1, ..LauncherOptions::default() };
    Launcher::with_options(helper(), &options).unwrap();
    assert_eq!(private_folders(&name), Vec::<PathBuf>::new());
}

#[test]
fn without_walls_code_has_the_users_rights_and_limits_still_hold() {
    let effective = launcher(BackendChoice::Off).effective();
    assert_eq!((effective.backend.as_str(), effective.level), ("off", Level::L0));
    let script = "import os, sys, socket\nsocket.socket()\nopen('/etc/hosts').read()\nprint(os.getuid())";
    let (verdict, text) = Case::start("off", BackendChoice::Off, script, |_| ()).end();
    assert_eq!((verdict, text), (Verdict::Ok, format!("{}\n", rustix::process::getuid().as_raw())));
    let short = |limits: &mut Limits| limits.wall = Some(Duration::from_millis(500));
    let script = "import os, time\nos.fork()\nos.setsid() if os.fork() == 0 else None\ntime.sleep(60)";
    assert_eq!(Case::start("offtime", BackendChoice::Off, script, short).end().0, Verdict::Timeout);
}

/// The same cases once more without any privilege.
#[test]
fn an_ordinary_user_is_protected_as_well() {
    if !rustix::process::geteuid().is_root() || std::env::var_os("ANSATZ_TEST_HELPER").is_some() {
        return;
    }
    let folder = tempfile::Builder::new().prefix("ansatz-bare-user-").tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::copy(std::env::current_exe().unwrap(), at("suite")).unwrap();
    fs::copy(helper(), at("ansatz-cell")).unwrap();
    fs::create_dir(at("tmp")).unwrap();
    std::os::unix::fs::chown(at("tmp"), Some(ORDINARY), Some(ORDINARY)).unwrap();
    let output = Command::new(at("suite"))
        .args(["--test-threads", "2"])
        .uid(ORDINARY)
        .gid(ORDINARY)
        .current_dir("/")
        .env("ANSATZ_TEST_HELPER", at("ansatz-cell"))
        .env("TMPDIR", at("tmp"))
        .env("HOME", at("tmp"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok") && !said.contains("running 0 tests"), "{said}");
}
