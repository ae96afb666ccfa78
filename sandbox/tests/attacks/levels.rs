//! Levels, leftovers, identities; what a launcher refuses.

use crate::case::{Case, groups_named, marked_processes, shared_folder};
use crate::world::{World, has_groups, helper, is_root, launcher, may_skip};
use ansatz_sandbox::{Held, Launcher, LauncherOptions, Level, SandboxErrorKind, Verdict, doctor};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_level_is_what_the_host_can_give() {
    let effective = launcher().effective();
    println!("{effective:?}");
    if is_root() && effective.level < Level::L3 {
        assert!(may_skip("L3", &effective.missing.join("; ")));
    }
    assert!(effective.level >= Level::L2);
    assert_eq!(effective.level == Level::L3, has_groups());
}

#[test]
fn doctor_proves_every_barrier() {
    let barriers = doctor(launcher());
    assert!(barriers.len() > 25, "{}", barriers.len());
    let broken: Vec<_> = barriers.iter().filter(|barrier| barrier.held == Held::No).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let missing = barriers.iter().filter(|barrier| barrier.held == Held::Missing).count();
    assert_eq!(missing, launcher().effective().missing.len(), "{barriers:#?}");
}

#[test]
fn cells_that_are_dropped_leave_nothing_and_start_fast() {
    let cells = 20;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..cells {
        let case = Case::new("start");
        let begun = Instant::now();
        let cell = case.start(&["-c", "import time; time.sleep(60)"]);
        times.push(begun.elapsed());
        drop(cell);
        case.assert_gone();
    }
    times.sort();
    println!("start of a cell: median {:?}, slowest {:?}", times[times.len() / 2], times[times.len() - 1]);
    // Generous: the machine may be busy.
    assert!(times[times.len() / 2] < Duration::from_millis(500), "{times:?}");
}

#[test]
fn cells_of_root_run_as_users_of_their_own() {
    let (one, two) = (Case::new("ids"), Case::new("ids"));
    let script = "import socket; socket.socket(fileno=3).recv(1)";
    let (first, second) = (one.start(&["-c", script]), two.start(&["-c", script]));
    let owner = |case: &Case| {
        let pids = marked_processes(&case.name);
        let status = fs::read_to_string(format!("/proc/{}/status", pids[0])).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
        line.split_ascii_whitespace().next().unwrap().parse::<u32>().unwrap()
    };
    let (left, right) = (owner(&one), owner(&two));
    if is_root() {
        assert!(left != 0 && right != 0 && left != right, "{left} {right}");
    } else {
        assert_eq!((left, right), (rustix::process::geteuid().as_raw(), rustix::process::geteuid().as_raw()));
    }
    drop((first, second));
}

#[test]
fn a_host_that_is_killed_takes_its_cells_along_and_its_groups_are_swept() {
    const ROLE: &str = "ANSATZ_TEST_VICTIM";
    if std::env::var_os(ROLE).is_some() {
        let mut case = Case::new("victim");
        case.name = "victim".into();
        case.env.insert("CELL_MARK".into(), case.name.clone());
        let _cell = case.start(&["-c", "import time; time.sleep(300)"]);
        println!("settled");
        std::thread::sleep(Duration::from_mins(5));
        return;
    }
    let name = "levels::a_host_that_is_killed_takes_its_cells_along_and_its_groups_are_swept";
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(ROLE, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(host.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("settled")));
    assert!(!marked_processes("victim").is_empty());
    // An engine names groups as it likes.
    let is_engine = World::current() == World::Engine;
    assert_eq!(groups_named("victim").is_empty(), is_engine || !has_groups());
    host.kill().unwrap();
    host.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(15);
    while !marked_processes("victim").is_empty() {
        assert!(Instant::now() < deadline, "the cell outlived its host");
        std::thread::sleep(Duration::from_millis(10));
    }
    Launcher::new(helper()).unwrap();
    assert!(groups_named("victim").is_empty());
}

#[test]
fn a_cell_can_be_stopped_politely_twice_and_from_another_thread() {
    let case = Case::new("stop");
    let cell = std::sync::Arc::new(case.start(&["-c", "import time; time.sleep(60)"]));
    let other = std::sync::Arc::clone(&cell);
    let first = std::thread::spawn(move || other.stop(Duration::from_secs(2))).join().unwrap();
    assert_eq!(first.verdict, Verdict::Killed);
    assert_eq!(cell.stop(Duration::ZERO), first);
    assert!(cell.recv(Duration::from_secs(1)).unwrap().is_none());
    case.assert_gone();
}

#[test]
fn a_level_that_the_host_does_not_give_is_refused_with_a_hint() {
    let options =
        LauncherOptions { level_max: Level::L2, level_min: Level::L3, ..LauncherOptions::default() };
    let error = Launcher::with_options(helper(), &options).unwrap_err();
    assert!(error.is_unavailable() && error.hint().is_some());
    assert!(error.kind().to_string().contains("level L3 (it gives L2"), "{}", error.kind());
    let lesser =
        Launcher::with_options(helper(), &LauncherOptions { level_min: Level::L2, ..options }).unwrap();
    assert_eq!(lesser.effective().level, Level::L2);
}

#[test]
fn a_helper_that_is_none_is_named() {
    let said = |error: ansatz_sandbox::SandboxError| format!("{error}: {}", error.kind());
    let error = said(Launcher::new("/bin/ls".into()).unwrap_err());
    assert!(error.contains("/bin/ls") && error.contains("cell_main"), "{error}");
    assert!(said(Launcher::new("/nowhere/helper".into()).unwrap_err()).contains("/nowhere/helper"));
}

#[test]
fn a_mount_that_the_cells_user_cannot_read_is_refused_with_what_to_do() {
    let folder = shared_folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let spec = ansatz_sandbox::CellSpec {
        name: "closed".into(),
        policy: ansatz_sandbox::Policy {
            mounts: vec![ansatz_sandbox::Mount::new(folder.path(), "/in/data")],
            ..ansatz_sandbox::Policy::default()
        },
        argv: vec!["/bin/true".into()],
        cwd: "/".into(),
    };
    let error = launcher().start(spec).unwrap_err();
    let said = error.kind().to_string();
    // An ordinary user owns the folder; there the cell fails later, for want of a program.
    assert!(if is_root() {
        matches!(error.kind(), SandboxErrorKind::Policy(_)) && said.contains("chmod")
    } else {
        said.contains("/bin/true")
    });
}
