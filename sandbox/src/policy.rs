//! What a cell may do, as plain data.
//!
//! Whom we distrust: the code that runs in a cell. It was written by a language model or came with the data, and we
//! take it for hostile: it looks for labels and keys, it tampers with its own judging, it eats every resource. It may read
//! what is mounted for it, write its own capped folder, compute within its limits and talk over the descriptors it was
//! given. It must not reach the network, the host's files, other cells, other trials or the process that judges it.
//!
//! What we do not protect: against a kernel bug that the system call list does not shut out, against timing and cache side
//! channels, and against locks on shared read-only files as a slow covert channel.
//!
//! What would open the host cannot be written in these types: there is no writable bind, no network, no capability, no way
//! to run as root, and no device but a GPU that was leased for this cell. Invariant: no input or output here except the check that a mount's source exists.

use crate::error::{SandboxError, SandboxErrorKind};
use crate::gpu::{self, GpuBinding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Targets that a mount may not cover: the cell makes these itself.
const TARGETS_RESERVED: [&str; 5] = ["/", "/proc", "/dev", "/out", "/tmp"];

/// Host folders that may never be mounted whole: each of them hands over the host. (Nothing below `/proc`, `/sys`, `/dev` and
/// `/run` may be mounted either, where kernel interfaces and the sockets of services lie; removable disks excepted.)
const SOURCES_REFUSED: [&str; 9] =
    ["/", "/proc", "/sys", "/dev", "/run", "/var/run", "/etc", "/root", "/home"];

/// Mounts of one cell. One message carries all their descriptors, and the kernel carries at most 253.
const MOUNTS_MAX: usize = 128;

/// A host folder or file, shown read-only.
///
/// A folder stays live: what the host adds later appears in the cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it lies on the host; symbolic links are followed when the cell starts.
    pub source: PathBuf,
    /// Where the cell sees it; absolute.
    pub target: PathBuf,
}

impl Mount {
    /// A mount of `source` at `target`.
    pub fn new(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into() }
    }
}

/// Hard limits of a cell. Sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all processes together, files in `/tmp`, `/out` and `/dev/shm` included; no swap.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Processor cores, where the host has a processor group; `None` is no limit.
    pub cpus: Option<f64>,
    /// Largest single file.
    pub file_bytes: u64,
    /// Open descriptors of a process.
    pub open_files: u64,
    /// Size of `/out`.
    pub out_bytes: u64,
    /// Files and folders in `/out`.
    pub out_inodes: u64,
    /// Size of `/tmp`.
    pub tmp_bytes: u64,
    /// Size of `/dev/shm`.
    pub shm_bytes: u64,
    /// Standard output and error together; more is a flood and ends the cell.
    pub output_bytes: u64,
    /// Wall time after which the cell is ended with [`Verdict::Timeout`](crate::Verdict::Timeout); `None` for a cell whose
    /// owner ends it.
    pub wall: Option<Duration>,
    /// Time between the polite and the hard end after `wall`.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 8 * GIB,
            pids: 512,
            cpus: None,
            file_bytes: 8 * GIB,
            open_files: 4096,
            out_bytes: 4 * GIB,
            out_inodes: 10_000,
            tmp_bytes: 2 * GIB,
            shm_bytes: GIB,
            output_bytes: 64 * MIB,
            wall: None,
            grace: Duration::from_secs(10),
        }
    }
}

/// Limits of one trial inside a cell; what is not named here is bounded by the cell's own limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafLimits {
    /// Memory of the trial's processes in bytes.
    pub memory_bytes: u64,
    /// Processes and threads of the trial. Counted per trial only where the host has a process group (level L3).
    pub pids: u64,
    /// Wall time after which the trial is killed with [`Verdict::Timeout`](crate::Verdict::Timeout).
    pub wall: Option<Duration>,
}

/// What a cell may see and use. The default shows nothing and allows a modest amount of everything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Read-only host folders and files.
    pub mounts: Vec<Mount>,
    /// The whole environment of the program; nothing is inherited. `HOME`, `TMPDIR`, `PATH`, `LANG`, `TZ` and the Python
    /// settings of a cell are added where they are not named.
    pub env: BTreeMap<String, String>,
    /// Limits.
    pub limits: Limits,
    /// GPUs that the cell may use. Only a living lease makes a binding, so nothing but a leased device can be named, and
    /// policies do not carry GPUs from one process to another.
    #[serde(skip)]
    pub gpus: Vec<GpuBinding>,
}

/// A cell to be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellSpec {
    /// Name for people and for the cell's groups: letters, digits, dash; at most 32.
    pub name: String,
    /// What it may do.
    pub policy: Policy,
    /// Program (absolute path inside the cell) and arguments.
    pub argv: Vec<String>,
    /// Working folder inside the cell.
    pub cwd: PathBuf,
}

impl Policy {
    /// The environment that the program gets: the policy's own over the defaults of a cell.
    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        let defaults = [
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("HOME", "/tmp"),
            ("TMPDIR", "/tmp"),
            ("LANG", "C.UTF-8"),
            ("TZ", "UTC"),
            ("PYTHONHASHSEED", "0"),
            ("PYTHONUNBUFFERED", "1"),
            ("PYTHONDONTWRITEBYTECODE", "1"),
            ("PYTHONNOUSERSITE", "1"),
            ("PYTHONSAFEPATH", "1"),
            ("HF_HUB_OFFLINE", "1"),
        ];
        let mut all: BTreeMap<String, String> =
            defaults.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        all.extend(self.env.clone());
        all.extend(gpu::environment(&self.gpus));
        all
    }
}

impl CellSpec {
    /// Refuses what would be unsafe or can not work, naming it.
    pub(crate) fn check(&self) -> Result<(), SandboxError> {
        let refuse = |why: String| {
            SandboxError::new(format!("specification of cell `{}`", self.name), SandboxErrorKind::Policy(why))
        };
        if !name_is_plain(&self.name) {
            return Err(refuse("the name must be 1 to 32 letters, digits or dashes".into()));
        }
        if self.argv.first().is_none_or(|program| !program.starts_with('/')) {
            return Err(refuse("the program must be an absolute path inside the cell".into()));
        }
        if let Some(text) = self.argv.iter().find(|text| text.contains('\0')) {
            return Err(refuse(format!("argument {text:?} contains a NUL")));
        }
        if self.policy.mounts.len() > MOUNTS_MAX {
            return Err(refuse(format!("{} mounts; at most {MOUNTS_MAX}", self.policy.mounts.len())));
        }
        self.policy.mounts.iter().try_for_each(check_mount).map_err(refuse)?;
        check_environment(&self.policy.env).map_err(refuse)?;
        check_gpus(&self.policy.gpus).map_err(refuse)?;
        check_limits(&self.policy.limits).map_err(refuse)
    }
}

fn name_is_plain(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn check_mount(mount: &Mount) -> Result<(), String> {
    let plain = |path: &Path| {
        path.is_absolute()
            && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
    };
    let (source, target) = (&mount.source, &mount.target);
    if !plain(source) || !plain(target) {
        return Err(format!(
            "mount {} at {}: both must be absolute, without `..`",
            source.display(),
            target.display()
        ));
    }
    if TARGETS_RESERVED.iter().any(|reserved| target == Path::new(reserved))
        || ["/proc", "/dev", "/out"].iter().any(|reserved| target.starts_with(reserved))
    {
        return Err(format!("mount target {} is made by the cell itself", target.display()));
    }
    let real = source
        .canonicalize()
        .map_err(|error| format!("mount source {} cannot be reached: {error}", source.display()))?;
    if SOURCES_REFUSED.iter().any(|refused| real == Path::new(refused))
        || ["/proc", "/sys", "/dev", "/run"].iter().any(|refused| real.starts_with(refused))
            && !real.starts_with("/run/media")
    {
        return Err(format!("mount source {} would open the host to the cell", real.display()));
    }
    let kind =
        real.metadata().map_err(|error| format!("mount source {}: {error}", real.display()))?.file_type();
    if kind.is_dir() || kind.is_file() {
        Ok(())
    } else {
        Err(format!("mount source {} is neither a folder nor a file", real.display()))
    }
}

fn check_environment(env: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(format!("environment variable {name:?} is malformed"));
        }
        if name.starts_with("LD_") || name == "PYTHONSTARTUP" {
            return Err(format!("environment variable {name} would load code into the cell's programs"));
        }
    }
    Ok(())
}

fn check_gpus(gpus: &[GpuBinding]) -> Result<(), String> {
    for (number, gpu) in gpus.iter().enumerate() {
        if let Some(lost) = gpu.lost() {
            return Err(format!("GPU {} may not be used any more: {lost}", gpu.id()));
        }
        if gpus[..number].iter().any(|other| other.id() == gpu.id()) {
            return Err(format!("GPU {} is named twice", gpu.id()));
        }
    }
    Ok(())
}

fn check_limits(limits: &Limits) -> Result<(), String> {
    let least = [
        ("memory_bytes", limits.memory_bytes, MIB),
        ("pids", limits.pids, 1),
        ("file_bytes", limits.file_bytes, 1),
        ("open_files", limits.open_files, 16),
        ("out_bytes", limits.out_bytes, 4 * KIB),
        ("out_inodes", limits.out_inodes, 2),
        ("tmp_bytes", limits.tmp_bytes, 4 * KIB),
        ("shm_bytes", limits.shm_bytes, 4 * KIB),
        ("output_bytes", limits.output_bytes, 1),
    ];
    for (name, value, minimum) in least {
        if value < minimum {
            return Err(format!("limit {name} is {value}; at least {minimum}"));
        }
    }
    match limits.cpus {
        Some(cpus) if !(cpus.is_finite() && cpus >= 0.01) => {
            Err(format!("limit cpus is {cpus}; at least 0.01"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mount: (&str, &str), expected: &str) {
        let spec = CellSpec {
            name: "t".into(),
            policy: Policy { mounts: vec![Mount::new(mount.0, mount.1)], ..Policy::default() },
            argv: vec!["/bin/true".into()],
            cwd: "/".into(),
        };
        let said = match spec.check() {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.kind().to_string(),
        };
        assert!(said.contains(expected), "{mount:?}: {said}");
    }

    #[test]
    fn a_system_folder_may_be_shown() {
        check(("/usr", "/usr"), "ok");
    }

    #[test]
    fn the_host_root_may_not_be_shown() {
        check(("/", "/host"), "would open the host");
    }

    #[test]
    fn a_link_to_the_host_root_may_not_be_shown() {
        check(("/proc/self/root", "/host"), "would open the host");
    }

    #[test]
    fn devices_may_not_be_shown() {
        check(("/dev/null", "/in/null"), "would open the host");
    }

    #[test]
    fn the_cells_own_places_may_not_be_covered() {
        check(("/usr", "/proc"), "made by the cell itself");
        check(("/usr", "/out/x"), "made by the cell itself");
    }

    #[test]
    fn dots_are_refused() {
        check(("/usr/../etc", "/in"), "without `..`");
    }

    #[test]
    fn a_missing_source_is_named() {
        check(("/nowhere/at/all", "/in"), "/nowhere/at/all cannot be reached");
    }

    #[test]
    fn loader_variables_are_refused() {
        let env = BTreeMap::from([("LD_PRELOAD".to_owned(), "x".to_owned())]);
        assert!(check_environment(&env).is_err_and(|why| why.contains("LD_PRELOAD")));
    }

    #[test]
    fn the_environment_of_a_policy_wins_over_the_defaults() {
        let policy =
            Policy { env: BTreeMap::from([("HOME".to_owned(), "/out".to_owned())]), ..Policy::default() };
        assert_eq!(policy.environment()["HOME"], "/out");
        assert_eq!(policy.environment()["LANG"], "C.UTF-8");
    }
}
