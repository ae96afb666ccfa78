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

/// Whether the launcher says that it enforces something.
pub fn enforces(barrier: &str) -> bool {
    launcher().effective().enforced.iter().any(|name| name == barrier)
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
