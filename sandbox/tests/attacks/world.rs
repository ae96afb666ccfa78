//! Where a suite runs: whose cells they are and who makes them.

use ansatz_sandbox::{BackendChoice, Launcher, LauncherOptions, Level};
use std::path::PathBuf;
use std::sync::OnceLock;

/// Names the world of this process.
pub const WORLD: &str = "ANSATZ_TEST_WORLD";

/// A kind of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Cells of the program itself, started by root.
    Native,
    /// The same without any privilege.
    User,
    /// The same on a host that allows no name spaces: Landlock alone.
    UserL1,
    /// Cells that bubblewrap walls in, started by root.
    Bwrap,
    /// The same without any privilege.
    BwrapUser,
    /// Containers of a real engine.
    Engine,
}

impl World {
    pub const ALL: [Self; 6] =
        [Self::Native, Self::User, Self::UserL1, Self::Bwrap, Self::BwrapUser, Self::Engine];

    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::User => "user",
            Self::UserL1 => "user-l1",
            Self::Bwrap => "bwrap",
            Self::BwrapUser => "bwrap-user",
            Self::Engine => "engine",
        }
    }

    /// The world of this process; without a name it follows from who runs the suite.
    pub fn current() -> Self {
        static WORLD_HERE: OnceLock<World> = OnceLock::new();
        *WORLD_HERE.get_or_init(|| match std::env::var(WORLD) {
            Err(_) if is_root() => Self::Native,
            Err(_) => Self::User,
            Ok(name) => Self::ALL
                .into_iter()
                .find(|world| world.name() == name)
                .unwrap_or_else(|| panic!("{WORLD}={name}: the worlds are {:?}", Self::ALL)),
        })
    }

    /// Whether this process was started for one world by the one that runs all of them.
    pub fn is_named() -> bool {
        std::env::var_os(WORLD).is_some()
    }

    /// Whether an ordinary user runs this world.
    pub fn is_ordinary(self) -> bool {
        matches!(self, Self::User | Self::UserL1 | Self::BwrapUser)
    }

    /// What a launcher of this world is asked for.
    pub fn options(self) -> LauncherOptions {
        let native = LauncherOptions {
            backend: BackendChoice::Native,
            level_min: Level::L2,
            ..LauncherOptions::default()
        };
        match self {
            Self::Native | Self::User => native,
            Self::UserL1 => LauncherOptions { level_max: Level::L1, level_min: Level::L1, ..native },
            Self::Bwrap | Self::BwrapUser => LauncherOptions { backend: BackendChoice::Bwrap, ..native },
            Self::Engine => LauncherOptions { backend: BackendChoice::Engine, ..native },
        }
    }
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

pub fn launcher() -> &'static Launcher {
    static LAUNCHER: OnceLock<Launcher> = OnceLock::new();
    LAUNCHER.get_or_init(|| {
        Launcher::with_options(helper(), &World::current().options())
            .unwrap_or_else(|error| panic!("{error}: {}", error.kind()))
    })
}

/// The helper executable: another path when the suite runs as a user who cannot reach the build folder.
pub fn helper() -> PathBuf {
    std::env::var_os("ANSATZ_TEST_HELPER")
        .map_or_else(|| env!("CARGO_BIN_EXE_ansatz-cell").into(), PathBuf::from)
}

/// Whether control groups hold the cells of this world to their limits.
pub fn has_groups() -> bool {
    launcher().effective().level == Level::L3
}

<<<<<<< HEAD
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
    pub name: String,
    pub limits: Limits,
    pub mounts: Vec<Mount>,
    pub env: BTreeMap<String, String>,
}

/// How a script ended.
pub struct Outcome {
    pub report: CellReport,
    pub text: String,
}

impl Case {
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
            wall: Some(Duration::from_secs(15)),
            grace: Duration::from_millis(200),
            ..Limits::default()
        };
        Self { name, limits, mounts: Vec::new(), env: BTreeMap::new() }
    }

    pub fn mount(mut self, source: &Path, target: &str) -> Self {
        self.mounts.push(Mount::new(source, target));
        self
    }

    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Starts Python with these arguments.
    pub fn start(&self, arguments: &[&str]) -> Cell {
        let mut mounts = python_mounts(&python()).unwrap();
        mounts.extend(self.mounts.clone());
        let mut env = self.env.clone();
        env.insert("CELL_MARK".into(), self.name.clone());
        let mut argv = vec![python().to_str().unwrap().to_owned()];
        argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let policy = Policy { mounts, env, limits: self.limits.clone(), ..Policy::default() };
        let spec = CellSpec { name: self.name.clone(), policy, argv, cwd: "/tmp".into() };
        launcher().start(spec).unwrap_or_else(|error| panic!("{error}: {}", error.kind()))
    }

    /// Runs a script to its end, and makes sure that nothing is left of it.
    pub fn run(&self, script: &str) -> Outcome {
        let cell = self.start(&["-c", &format!("{PRELUDE}\n{script}")]);
        assert!(cell.wait(PATIENCE), "{} hangs: {}", self.name, cell.log().text());
        self.end(&cell)
    }

    /// Ends a cell, and makes sure that nothing is left of it.
    pub fn end(&self, cell: &Cell) -> Outcome {
        let report = cell.stop(Duration::ZERO);
        self.assert_gone();
        Outcome { text: report.log.text(), report }
    }

    pub fn assert_gone(&self) {
        assert_eq!(marked_processes(&self.name), Vec::<u32>::new(), "processes of {} are left", self.name);
        assert_eq!(groups_named(&self.name), Vec::<PathBuf>::new(), "groups of {} are left", self.name);
    }
}

impl Outcome {
    /// Checks that an attempt was answered in one of these ways.
    pub fn check(&self, attempt: &str, expected: &[&str]) {
        let said = self.text.lines().find_map(|line| line.strip_prefix(attempt)?.strip_prefix(": "));
        let Some(said) = said else { panic!("`{attempt}` was not tried:\n{}", self.text) };
        assert!(expected.contains(&said), "{attempt}: {said}, expected one of {expected:?}\n{}", self.text);
    }
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
=======
/// Whether the launcher says that it enforces something.
pub fn enforces(barrier: &str) -> bool {
    launcher().effective().enforced.iter().any(|name| name == barrier)
>>>>>>> bce5654 (sandbox: every row of the attack table has a case, held complete by a test)
}

/// Whether a case that cannot run here may be left out. It may not, unless the user says so by name.
pub fn may_skip(case: &str, why: &str) -> bool {
    let allowed = std::env::var("ANSATZ_ALLOW_SKIP").unwrap_or_default();
    assert!(
        allowed.split(',').any(|name| name == case),
        "case {case} cannot run: {why}. Leave it out by ANSATZ_ALLOW_SKIP={case}"
    );
    println!("skipped {case}: {why}");
    true
}
