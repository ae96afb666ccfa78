//! How this program's cells are furnished: mounts, limits, environment; and small helpers around them.

use crate::environment::Environment;
use crate::error::{RunError, RunErrorKind};
use ansatz_sandbox::{
    Cell, CellSpec, Effective, GpuBinding, Launcher, Level, Limits, Mount, Policy, SandboxError,
};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Largest array file that is taken from a cell.
pub const ARRAYS_BYTES_MAX: u64 = 16 << 30;
/// Where the worker's source is mounted.
pub const SOURCE: &str = "/opt/ansatz/worker";
/// Memory of a cell with a GPU, processes and files together.
const GPU_CELL_BYTES_MAX: u64 = 32 << 30;
/// Processes and threads of such a cell: CUDA starts some of its own.
const GPU_CELL_PIDS: u64 = 1024;
/// What such a cell may write.
const GPU_CELL_OUT_BYTES: u64 = 16 << 30;
/// Share of the machine's memory that one cell may use.
const MEMORY_SHARE: f64 = 0.75;

/// Starts a cell that runs `python -m ansatz_worker ROLE`.
///
/// # Errors
/// When no cell can be started; of kind `Sandbox` when the host cannot give one.
pub fn start(
    launcher: &Launcher,
    environment: &Environment,
    name: &str,
    role: &str,
    extra: Vec<(PathBuf, PathBuf)>,
) -> Result<Cell, RunError> {
    let argv = ["-m", "ansatz_worker", role].map(String::from);
    start_command(launcher, environment, name, SOURCE, &argv, extra)
}

/// Starts a cell that runs Python with the given arguments; `code` is the folder, as the cell sees it, in which the package
/// `ansatz_worker` is found.
///
/// # Errors
/// When no cell can be started; of kind `Sandbox` when the host cannot give one.
pub fn start_command(
    launcher: &Launcher,
    environment: &Environment,
    name: &str,
    code: &str,
    arguments: &[String],
    extra: Vec<(PathBuf, PathBuf)>,
) -> Result<Cell, RunError> {
    let (python, policy) = furnish(launcher, environment, code, extra)?;
    start_policy(launcher, &python, name, arguments, policy)
}

/// Starts a cell that runs `python -m ansatz_worker ROLE` and sees a leased GPU.
///
/// # Errors
/// When no cell can be started, or the lease is lost.
pub fn start_on_gpu(
    launcher: &Launcher,
    environment: &Environment,
    name: &str,
    role: &str,
    extra: Vec<(PathBuf, PathBuf)>,
    gpu: GpuBinding,
) -> Result<Cell, RunError> {
    let (python, mut policy) = furnish(launcher, environment, SOURCE, extra)?;
    let limits = &mut policy.limits;
    limits.memory_bytes = limits.memory_bytes.min(GPU_CELL_BYTES_MAX);
    limits.pids = GPU_CELL_PIDS;
    limits.out_bytes = GPU_CELL_OUT_BYTES;
    policy.gpus = vec![gpu];
    let argv = ["-m", "ansatz_worker", role].map(String::from);
    start_policy(launcher, &python, name, &argv, policy)
}

fn start_policy(
    launcher: &Launcher,
    python: &Path,
    name: &str,
    arguments: &[String],
    policy: Policy,
) -> Result<Cell, RunError> {
    let argv = std::iter::once(python.display().to_string()).chain(arguments.iter().cloned()).collect();
    let spec = CellSpec { name: name.to_owned(), policy, argv, cwd: "/tmp".into() };
    launcher.start(spec).map_err(|error| sandbox_error(&error))
}

/// The interpreter as a cell sees it, and what every cell of ours may see and use.
fn furnish(
    launcher: &Launcher,
    environment: &Environment,
    code: &str,
    extra: Vec<(PathBuf, PathBuf)>,
) -> Result<(PathBuf, Policy), RunError> {
    let (python, mut mounts) = launcher.python(&environment.python).map_err(|error| sandbox_error(&error))?;
    mounts.push(Mount { source: environment.source.clone(), target: SOURCE.into() });
    mounts.extend(extra.into_iter().map(|(source, target)| Mount { source, target }));
    let variables = [
        ("PATH", "/usr/bin:/bin"),
        ("HOME", "/tmp"),
        ("TMPDIR", "/tmp"),
        ("LANG", "C.UTF-8"),
        ("TZ", "UTC"),
        ("PYTHONPATH", code),
        // Named, because a cell without a root of its own has its folder elsewhere.
        ("ANSATZ_OUT", "/out"),
        ("PYTHONHASHSEED", "0"),
        ("PYTHONUNBUFFERED", "1"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
        ("PYTHONNOUSERSITE", "1"),
        ("PYTHONSAFEPATH", "1"),
        ("OMP_NUM_THREADS", "1"),
        ("OPENBLAS_NUM_THREADS", "1"),
        ("MKL_NUM_THREADS", "1"),
    ];
    let env: BTreeMap<String, String> =
        variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let limits = Limits { memory_bytes: memory_limit(), ..Limits::default() };
    Ok((python, Policy { mounts, env, limits, ..Policy::default() }))
}

/// Memory that one cell may use: a share of what the machine has.
pub fn memory_limit() -> u64 {
    let total = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    total.map_or(8 << 30, |kib| (kib as f64 * 1024.0 * MEMORY_SHARE) as u64)
}

/// An error of the sandbox as an error of the run.
pub fn sandbox_error(error: &SandboxError) -> RunError {
    let wrapped = if error.is_unavailable() {
        RunError::new(RunErrorKind::Sandbox, error.kind().to_string())
    } else {
        RunError::new(RunErrorKind::Failed, format!("{error}: {}", error.kind()))
    };
    match error.hint() {
        Some(hint) => wrapped.hint(hint),
        None => wrapped,
    }
}

/// What the user must know about the walls, where they are thin.
pub fn sandbox_warning(effective: &Effective) -> Option<String> {
    match effective.level {
        Level::L0 => Some("the sandbox is off, as asked: solution code runs with all of your rights".into()),
        Level::L1 => Some(format!(
            "sandbox level L1: solution code reaches neither your files nor the network, but is not hidden from the \
             machine; do not use it on a machine that you share ({})",
            effective.missing.first().map_or("no name spaces", String::as_str)
        )),
        Level::L2 | Level::L3 => None,
    }
}

/// The end of what a cell printed, as one line.
pub fn last_words(cell: &Cell) -> String {
    let log = cell.log().text();
    let line = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    line.chars().filter(|character| !character.is_control()).take(300).collect()
}

/// Writes a file so that after a crash it is either complete or absent.
///
/// # Errors
/// When the disk is full or the folder is not writable.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let temporary = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        if let Some(folder) = path.parent() {
            std::fs::File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|error| RunError::io("writing", path, &error))
}

/// The program that becomes a cell's first process: this one, under its hidden subcommand.
///
/// # Errors
/// When the running program cannot be found on disk.
pub fn helper() -> Result<PathBuf, RunError> {
    std::env::current_exe()
        .map_err(|error| RunError::failed(format!("finding this program on disk: {error}")))
}
