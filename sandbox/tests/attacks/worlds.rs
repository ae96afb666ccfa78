//! The same suite in every world: it runs itself again, and compares what two implementations of one policy let happen.

use crate::canary::SECRET;
use crate::honest::{PACKAGES, reachable_packages};
use crate::record;
use crate::world::{WORLD, World, helper, is_root, may_skip};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An id that nobody on the machine has.
const ORDINARY: u32 = 60_123;

/// What is always tried with Landlock alone, where folders are not where other cells have them: `tests/bare.rs` has the rest.
const WITH_LANDLOCK: &[&str] = &[
    "kernel::row_",
    "network::row_10",
    "network::row_11",
    "network::row_12",
    "network::row_13",
    "network::row_14",
    "network::row_15",
    "processes::row_43",
    "processes::row_45",
    "processes::row_46",
    "resources::row_19",
    "resources::row_20",
    "resources::row_21",
    "resources::row_27",
    "resources::row_28",
    "resources::row_57",
    "resources::row_58",
    "resources::row_59",
];

/// A folder with a copy of the suite that any user can reach.
struct Stage {
    folder: tempfile::TempDir,
    record: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ansatz-world-").tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(std::env::current_exe().unwrap(), folder.path().join("suite")).unwrap();
        fs::copy(helper(), folder.path().join("ansatz-cell")).unwrap();
        let scratch = folder.path().join("tmp");
        fs::create_dir(&scratch).unwrap();
        let record = scratch.join("record");
        Self { folder, record }
    }

    fn command(&self, world: World) -> Command {
        let scratch = self.folder.path().join("tmp");
        let mut command = Command::new(self.folder.path().join("suite"));
        command.args(["--test-threads", "2"]).current_dir("/").env(WORLD, world.name());
        command.env("ANSATZ_TEST_HELPER", self.folder.path().join("ansatz-cell"));
        command.env(PACKAGES, reachable_packages(self.folder.path())).env(record::RECORD, &self.record);
        command.env(SECRET, format!("secret-of-the-host-{}", std::process::id()));
        command.env("TMPDIR", &scratch).env("HOME", &scratch);
        if world.is_ordinary() {
            std::os::unix::fs::chown(&scratch, Some(ORDINARY), Some(ORDINARY)).unwrap();
            command.uid(ORDINARY).gid(ORDINARY);
        } else {
            // Cells of root run as users of their own, who must reach what is mounted.
            fs::set_permissions(&scratch, fs::Permissions::from_mode(0o755)).unwrap();
        }
        command
    }
}

/// Runs the suite in a world, and checks that nothing of it is left.
fn run(world: World, stage: &Stage, only: &[&str]) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let mut command = stage.command(world);
    if world == World::Engine {
        let address = crate::service::shared().unwrap_or_else(|why| panic!("{why}"));
        command.env("DOCKER_HOST", address);
    }
    let output = command.args(only).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "world {}:\n{said}\n{complaints}", world.name());
    assert!(said.contains("test result: ok") && !said.contains("running 0 tests"), "{said}");
    println!("world {}: {} cells in {:?}", world.name(), record::read(&stage.record).len(), begun.elapsed());
    if world.is_ordinary() {
        assert_no_processes_of(ORDINARY);
    }
    // The canaries of a process live as long as it does, and nobody clears a static away.
    let left =
        fs::read_dir(stage.folder.path().join("tmp")).unwrap().flatten().map(|entry| entry.file_name());
    // So does the folder that an engine's launcher shares with its containers.
    let is_known =
        |name: &str| name.starts_with(if world == World::Engine { "ansatz-" } else { "ansatz-canary-" });
    let left: Vec<_> = left.filter(|name| !is_known(&name.to_string_lossy())).collect();
    assert_eq!(left, ["record"], "only the record may be left");
}

/// Whether this process is to run the worlds; one of them does not run the others again.
fn runs_worlds() -> bool {
    if World::is_named() {
        return false;
    }
    is_root() || !may_skip("root", "the suite does not run as root")
}

#[test]
fn an_ordinary_user_is_protected_as_well() {
    if runs_worlds() {
        run(World::User, &Stage::new(), &[]);
    }
}

#[test]
fn landlock_alone_protects_too() {
    if runs_worlds() {
        run(World::UserL1, &Stage::new(), WITH_LANDLOCK);
    }
}

#[test]
fn containers_of_an_engine_protect_too() {
    // A container takes half a second; `tests/podman` always has a sample.
    if runs_worlds() && is_soak() && has_podman() {
        run(World::Engine, &Stage::new(), &[]);
    }
}

fn has_podman() -> bool {
    let found = Command::new("podman").arg("--version").output().is_ok();
    found || !may_skip("engine", "podman is not installed (scripts/setup-tests does it)")
}

/// Two implementations of one policy: every case ends alike, and what one refuses the other refuses.
#[test]
fn our_walls_and_those_of_bubblewrap_agree() {
    if runs_worlds() && has_bubblewrap() {
        compare(World::Native, World::Bwrap);
    }
}

#[test]
fn they_agree_for_an_ordinary_user_too() {
    if runs_worlds() && is_soak() && has_bubblewrap() {
        compare(World::User, World::BwrapUser);
    }
}

fn has_bubblewrap() -> bool {
    let found = Command::new("bwrap").arg("--version").output().is_ok();
    found || !may_skip("bwrap", "bubblewrap is not installed (scripts/setup-tests does it)")
}

/// Whether the long versions are to run as well.
fn is_soak() -> bool {
    std::env::var_os("ANSATZ_SOAK").is_some()
}

fn compare(ours: World, theirs: World) {
    let stages = [ours, theirs].map(|world| {
        let stage = Stage::new();
        run(world, &stage, &[]);
        stage
    });
    let [left, right] = stages.each_ref().map(|stage| record::read(&stage.record));
    assert!(left.len() > 60, "{} cases were recorded", left.len());
    let apart = record::differences(&left, &right);
    assert!(apart.is_empty(), "{} and {} differ:\n{}", ours.name(), theirs.name(), apart.join("\n"));
}

/// Waits until no process of a user is left: what the kernel has killed may need a while to be gone on a busy machine.
fn assert_no_processes_of(user: u32) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let left = processes_of(user);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "processes of the ordinary user are left: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// State lines of the processes whose real user this is; what has died and waits for its parent is not counted.
fn processes_of(user: u32) -> Vec<String> {
    let statuses = fs::read_dir("/proc").unwrap().flatten();
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().unwrap_or_default().to_owned()
    };
    statuses
        .filter_map(|entry| fs::read_to_string(entry.path().join("status")).ok())
        .filter(|status| {
            field(status, "Uid:") == user.to_string() && !"ZX".contains(&field(status, "State:"))
        })
        .map(|status| status.lines().take(3).collect::<Vec<_>>().join(" "))
        .collect()
}
