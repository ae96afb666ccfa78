//! Cells on Podman: what they give, what they keep, what they cost and what they leave.

use crate::service;
use ansatz_sandbox::{
    BackendChoice, Cell, CellReport, CellSpec, EngineOptions, Held, Launcher, LauncherOptions, LeafLimits,
    Level, Limits, Mount, Policy, Verdict, doctor, python_mounts,
};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;
/// A container that is still there after this has hung.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn helper() -> PathBuf {
    env!("CARGO_BIN_EXE_ansatz-cell").into()
}

fn address() -> String {
    service::shared().unwrap_or_else(|why| panic!("{why}")).to_owned()
}

pub fn options() -> LauncherOptions {
    let engine = EngineOptions { address: Some(address()), image: None };
    LauncherOptions { backend: BackendChoice::Engine, engine, ..LauncherOptions::default() }
}

pub fn launcher() -> &'static Launcher {
    static LAUNCHER: OnceLock<Launcher> = OnceLock::new();
    LAUNCHER.get_or_init(|| {
        Launcher::with_options(helper(), &options())
            .unwrap_or_else(|error| panic!("{error}: {}\n{:?}", error.kind(), error.hint()))
    })
}

/// Asks the engine that the tests use, over its own interface.
fn ask(path: &str) -> serde_json::Value {
    let mut stream = UnixStream::connect(address().trim_start_matches("unix://")).unwrap();
    // The old version of the protocol: one answer in one piece, then the end.
    stream.write_all(format!("GET /v1.41{path} HTTP/1.0\r\nHost: engine\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// Names of the images in the engine's store, a line each.
pub fn images() -> String {
    let images = ask("/images/json");
    let names = images
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|image| image["RepoTags"].as_array().cloned().unwrap_or_default());
    names.map(|name| name.as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
}

/// Names of the containers of cells with this name, ended ones included.
fn containers(cell: &str) -> Vec<String> {
    let list = ask("/containers/json?all=true");
    let names = list.as_array().unwrap().iter().flat_map(|each| each["Names"].as_array().unwrap().clone());
    names
        .map(|name| name.as_str().unwrap().to_owned())
        .filter(|name| name.ends_with(&format!("-{cell}")))
        .collect()
}

fn limits() -> Limits {
    Limits {
        memory_bytes: 256 * MIB,
        pids: 64,
        out_bytes: 4 * MIB,
        out_inodes: 200,
        tmp_bytes: 16 * MIB,
        shm_bytes: 16 * MIB,
        wall: Some(Duration::from_secs(20)),
        grace: Duration::from_millis(200),
        ..Limits::default()
    }
}

fn python() -> PathBuf {
    std::env::var_os("ANSATZ_TEST_PYTHON").map_or_else(|| "/usr/bin/python3".into(), PathBuf::from)
}

fn start_with(name: &str, limits: Limits, mounts: &[Mount], arguments: &[&str]) -> Cell {
    let mut all = python_mounts(&python()).unwrap();
    all.extend(mounts.iter().cloned());
    let argv = std::iter::once(python().display().to_string())
        .chain(arguments.iter().map(|each| (*each).to_owned()));
    let spec = CellSpec {
        name: name.into(),
        policy: Policy { mounts: all, limits, ..Policy::default() },
        argv: argv.collect(),
        cwd: "/tmp".into(),
    };
    launcher().start(spec).unwrap_or_else(|error| panic!("{error}: {}\n{:?}", error.kind(), error.hint()))
}

fn run(name: &str, limits: Limits, script: &str) -> (Cell, CellReport) {
    let cell = start_with(name, limits, &[], &["-c", script]);
    assert!(cell.wait(PATIENCE), "{name} hangs: {}", cell.log().text());
    let report = cell.stop(Duration::ZERO);
    assert_eq!(containers(name), Vec::<String>::new(), "{name} left a container");
    (cell, report)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn has_groups() -> bool {
    launcher().effective().level == Level::L3
}

/// What comes of too much memory: without a group the program may be refused more before it is seen.
fn out_of_memory() -> &'static [Verdict] {
    if has_groups() { &[Verdict::Oom] } else { &[Verdict::Oom, Verdict::Error(1), Verdict::Ok] }
}

#[test]
fn an_engine_gives_everything_that_our_own_walls_give() {
    let effective = launcher().effective();
    println!("{effective:?}");
    assert_eq!(effective.backend, "engine");
    // Without root an engine may not be allowed to make control groups.
    assert!(has_groups() || !is_root() && effective.level == Level::L2, "{effective:?}");
    assert!(effective.enforced.iter().any(|barrier| barrier == "landlock"), "{effective:?}");
    let barriers = doctor(launcher());
    let broken: Vec<_> = barriers.iter().filter(|barrier| barrier.held == Held::No).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(barriers.len() > 25);
}

#[test]
fn a_program_reads_what_is_mounted_and_leaves_a_file() {
    let folder = tempfile::Builder::new().prefix("ansatz-in-").tempdir().unwrap();
    open_to_all(folder.path());
    std::fs::write(folder.path().join("data.csv"), "a,b\n1,2\n").unwrap();
    let script = "open('/out/copy', 'w').write(open('/in/data/data.csv').read()); print('done'); print(open('/etc/passwd').read())";
    let mounts = [Mount::new(folder.path(), "/in/data")];
    let cell = start_with("files", limits(), &mounts, &["-c", script]);
    assert!(cell.wait(PATIENCE));
    let report = cell.stop(Duration::ZERO);
    assert_eq!(report.verdict, Verdict::Ok, "{}", report.log.text());
    assert!(
        report.log.text().contains("done") && report.log.text().contains("cell:x:"),
        "{}",
        report.log.text()
    );
    assert_eq!(cell.collect("copy", 100).unwrap(), b"a,b\n1,2\n");
    assert!(!has_groups() || report.cpu_s > 0.0 && report.memory_peak_bytes > 0, "{report:?}");
}

/// Whether a case that cannot run here may be left out. It may not, unless the user says so by name.
fn may_skip(case: &str) -> bool {
    std::env::var("ANSATZ_ALLOW_SKIP").unwrap_or_default().split(',').any(|name| name == case)
}

fn open_to_all(folder: &Path) {
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

#[test]
fn what_is_mounted_below_a_folder_is_shown_read_only_too() {
    if !is_root() {
        assert!(
            may_skip("root"),
            "only root can mount something to be shown; ANSATZ_ALLOW_SKIP=root leaves it out"
        );
        return;
    }
    let folder = tempfile::Builder::new().prefix("ansatz-nested-").tempdir().unwrap();
    open_to_all(folder.path());
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let mounted = |arguments: &[&str]| {
        std::process::Command::new(arguments[0]).args(&arguments[1..]).arg(&inner).status().unwrap().success()
    };
    assert!(mounted(&["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs"]), "a mount");
    std::fs::write(inner.join("shown"), "yes").unwrap();
    let script = "print(open('/in/d/inner/shown').read())\ntry: open('/in/d/inner/x', 'w'); print('written')\nexcept OSError as e: print(e.errno)";
    let mounts = [Mount::new(folder.path(), "/in/d")];
    let cell = start_with("nested", limits(), &mounts, &["-c", script]);
    assert!(cell.wait(PATIENCE));
    let report = cell.stop(Duration::ZERO);
    assert!(mounted(&["umount"]));
    assert_eq!(report.log.text().lines().collect::<Vec<_>>(), ["yes", "30"]);
}

#[test]
fn every_limit_has_its_verdict() {
    let check = |name: &str, limits: Limits, script: &str, expected: &[Verdict]| {
        let (_, report) = run(name, limits, script);
        assert!(expected.contains(&report.verdict), "{name}: {:?}\n{}", report.verdict, report.log.text());
    };
    check("memory", limits(), "x = []\nwhile True: x.append(bytearray(1 << 20))", out_of_memory());
    let children = "import os\nfor _ in range(4):\n if os.fork() == 0:\n  x = []\n  while True: x.append(bytearray(1 << 20))\n\
                    for _ in range(4): os.wait()";
    check("children", limits(), children, out_of_memory());
    let bomb = "import os, time\nwhile True:\n if os.fork() == 0: time.sleep(60)";
    let refused: &[Verdict] = if has_groups() { &[Verdict::Pids] } else { &[Verdict::Error(1)] };
    check("forks", limits(), bomb, refused);
    check("few", Limits { pids: 3, ..limits() }, bomb, &[Verdict::Pids, Verdict::Error(1)]);
    let flood = "import sys\nwhile True: sys.stdout.write('A' * 65536)";
    check("flood", Limits { output_bytes: MIB, ..limits() }, flood, &[Verdict::OutputFlood]);
    let fill = "f = open('/out/x', 'wb')\nwhile True: f.write(bytes(1 << 16)); f.flush()";
    check("disk", limits(), fill, &[Verdict::Quota]);
    let many = "for n in range(100_000): open(f'/out/{n}', 'w')";
    check("inodes", limits(), many, &[Verdict::Quota]);
    let sleep = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)";
    let begun = Instant::now();
    check("time", Limits { wall: Some(Duration::from_secs(1)), ..limits() }, sleep, &[Verdict::Timeout]);
    assert!(begun.elapsed() < Duration::from_secs(8));
    check("signal", limits(), "import os; os.abort()", &[Verdict::Signal(6)]);
    check("code", limits(), "raise SystemExit(7)", &[Verdict::Error(7)]);
}

#[test]
fn trials_run_and_are_held_to_their_own_limits() {
    let folder = tempfile::Builder::new().prefix("ansatz-zygote-").tempdir().unwrap();
    open_to_all(folder.path());
    std::fs::write(folder.path().join("zygote.py"), include_str!("../attacks/mini_zygote.py")).unwrap();
    let limits = Limits { memory_bytes: 1024 * MIB, ..limits() };
    let mounts = [Mount::new(folder.path(), "/in/source")];
    let cell = start_with("zygote", limits, &mounts, &["/in/source/zygote.py"]);
    assert_eq!(
        cell.recv(PATIENCE).unwrap().as_deref(),
        Some(&br#"{"event":"ready"}"#[..]),
        "{}",
        cell.log().text()
    );
    let trial = |number: u32, code: &str, memory_bytes: u64| {
        let request = format!(r#"{{"op":"fork","trial":{number},"out":"/out/t{number}"}}"#);
        let limits = LeafLimits { memory_bytes, pids: 32, wall: Some(Duration::from_secs(5)) };
        let leaf = cell.fork(number, request.as_bytes(), limits).unwrap();
        let order = serde_json::json!({"code": code, "lock": format!("/out/t{number}")});
        leaf.send_sealed(order.to_string().as_bytes(), &[b"labels"]).unwrap();
        let answer = leaf.recv(PATIENCE).unwrap().map(|bytes| String::from_utf8(bytes).unwrap());
        (answer.unwrap_or_default(), leaf.finish())
    };
    let (answer, report) = trial(1, "import os\nresult = os.read(sealed[0], 100).decode()", 256 * MIB);
    assert_eq!((answer.as_str(), report.verdict), (r#"{"event": "done", "result": "labels"}"#, Verdict::Ok));
    // Little by little, so that the watch sees it before it is over.
    let grow = "import time\nx = []\nwhile True:\n x.append(bytearray(1 << 20)); time.sleep(0.001)";
    assert!(out_of_memory().contains(&trial(2, grow, 64 * MIB).1.verdict));
    assert_eq!(trial(3, "import time; time.sleep(60)", 256 * MIB).1.verdict, Verdict::Timeout);
    let orphan = "import os, time\nif os.fork() == 0:\n os.setsid()\n time.sleep(60)\nresult = 1";
    let (_, report) = trial(4, orphan, 256 * MIB);
    assert_eq!((report.verdict, report.survivors > 0), (Verdict::Ok, true));
    assert_eq!(trial(5, "result = 5", 256 * MIB).0, r#"{"event": "done", "result": 5}"#);
    cell.send(br#"{"op":"stop"}"#, &[]).unwrap();
    assert!(cell.wait(PATIENCE));
    assert_eq!(cell.stop(Duration::ZERO).verdict, Verdict::Ok);
}

#[test]
fn a_host_that_is_killed_takes_its_containers_along() {
    const ROLE: &str = "ANSATZ_TEST_VICTIM";
    if std::env::var_os(ROLE).is_some() {
        let _cell = start_with(
            "victim",
            Limits { wall: None, ..limits() },
            &[],
            &["-c", "import time; time.sleep(300)"],
        );
        println!("settled");
        std::thread::sleep(Duration::from_mins(5));
        return;
    }
    let mut host = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["cells::a_host_that_is_killed_takes_its_containers_along", "--exact", "--nocapture"])
        .env(ROLE, "1")
        .env("DOCKER_HOST", address())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(host.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("settled")));
    let name = containers("victim").pop().expect("a container");
    host.kill().unwrap();
    host.wait().unwrap();
    let running = || ask(&format!("/containers{name}/json"))["State"]["Running"] == true;
    let deadline = Instant::now() + Duration::from_secs(10);
    while running() {
        assert!(Instant::now() < deadline, "the container outlived its host");
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is left of it in the engine's store, and its folder, go when the next launcher starts.
    let _next = Launcher::with_options(helper(), &options()).unwrap();
    assert_eq!(containers("victim"), Vec::<String>::new());
    let mark = format!("ansatz-{}-", host.id());
    let folders = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    let left: Vec<_> =
        folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(&mark)).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_launcher_waits_for_what_it_has_killed() {
    let launcher = Launcher::with_options(helper(), &options()).unwrap();
    let spec = CellSpec {
        name: "leaving".into(),
        policy: Policy { mounts: python_mounts(&python()).unwrap(), limits: limits(), ..Policy::default() },
        argv: [python().display().to_string(), "-c".into(), "import time; time.sleep(60)".into()].into(),
        cwd: "/tmp".into(),
    };
    let cell = launcher.start(spec).unwrap();
    assert_eq!(containers("leaving").len(), 1);
    cell.kill();
    // As a program does that ends while a thread still has hold of the cell.
    std::mem::forget(cell);
    drop(launcher);
    assert_eq!(containers("leaving"), Vec::<String>::new());
}

#[test]
fn cells_start_soon_and_leave_nothing() {
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..8 {
        let begun = Instant::now();
        let cell = start_with("start", limits(), &[], &["-c", "import time; time.sleep(60)"]);
        times.push(begun.elapsed());
        drop(cell);
        assert_eq!(containers("start"), Vec::<String>::new());
    }
    times.sort();
    println!(
        "start of a cell on the engine: median {:?}, slowest {:?}",
        times[times.len() / 2],
        times[times.len() - 1]
    );
    // Generous: the machine may be busy.
    assert!(times[times.len() / 2] < Duration::from_secs(10), "{times:?}");
}
