//! Leases: one GPU, one owner, for a while; watched as long as it lasts, and looked at before it is given away again.

use super::driver::{self, DriverFiles, Node, Places};
use super::lock::{self, Lock, Quarantine, Refused};
use super::nvml::{Driver, Fault, Gpu, GpuId, Nvml, NvmlError};
use super::system::SystemNvml;
use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a leased GPU is looked at.
const POLL: Duration = Duration::from_secs(1);
/// Time for the driver to clear away what a killed process had on a GPU.
const IDLE_TIME_MAX: Duration = Duration::from_secs(10);
/// Memory above what there was before that still counts as cleared away: the driver keeps a little of its own.
const IDLE_SLACK_BYTES: u64 = 256 << 20;
/// Faults that are kept for GPUs that nobody asks about.
const FAULTS_MAX: usize = 256;

/// What a lease allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseLimits {
    /// Memory on the GPU in bytes, all processes together; `None` is all that it has. No kernel holds a program to this: it is
    /// looked at every second, and a cell that is above is killed.
    pub memory_bytes: Option<u64>,
    /// How long it lasts unless it is renewed. Whatever runs there is killed at its end.
    pub wall: Duration,
}

impl Default for LeaseLimits {
    fn default() -> Self {
        Self { memory_bytes: None, wall: Duration::from_hours(2) }
    }
}

/// Why there is no lease.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GpuError {
    /// The host has none.
    #[error("this machine has no GPU that can be used: {0}")]
    Absent(String),
    /// None of those that there are can be had.
    #[error("no GPU is free: {}", .0.join("; "))]
    NoneFree(Vec<String>),
}

impl GpuError {
    /// What the user can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Absent(_) => {
                "run without --gpus, or install the NVIDIA driver; `ansatz doctor` tells what is seen"
            }
            Self::NoneFree(_) => "wait for it, or run without --gpus; `ansatz doctor` tells who holds what",
        }
    }
}

/// How a GPU stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state", content = "why")]
pub enum Standing {
    /// It can be leased.
    Free,
    /// Another lease holds it.
    Held(String),
    /// Programs that are not ours compute there.
    Busy(String),
    /// Put aside because its state is in doubt.
    Quarantined(String),
    /// It cannot be given to a cell.
    Unusable(String),
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Held(why) | Self::Busy(why) | Self::Quarantined(why) | Self::Unusable(why) => {
                f.write_str(why)
            }
        }
    }
}

/// Why a lease ended early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "lost", content = "why")]
pub enum Lost {
    /// Its time was up.
    Expired,
    /// More memory was taken than allowed.
    OverUse(String),
    /// The device or its driver failed; the GPU is put aside.
    Device(String),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("the lease of its GPU had expired"),
            Self::OverUse(why) => write!(f, "it took more GPU memory than allowed: {why}"),
            Self::Device(why) => write!(f, "its GPU failed: {why}"),
        }
    }
}

/// What a lease was used for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuReport {
    /// The GPU.
    pub id: GpuId,
    /// Its product name.
    pub name: String,
    /// The largest memory that was seen in use there, in bytes, what others had before included.
    pub memory_peak_bytes: u64,
    /// What was in use when the lease began, in bytes.
    pub memory_before_bytes: u64,
    /// Why it ended early, if it did.
    pub lost: Option<Lost>,
    /// Faults that were programs' doing and put nothing in doubt.
    pub faults: Vec<String>,
}

/// How patient a host is with its GPUs; tests are less so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) poll: Duration,
    pub(super) idle_max: Duration,
}

/// The GPUs of this host.
#[derive(Debug, Clone)]
pub struct Gpus {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    nvml: Result<Arc<dyn Nvml>, NvmlError>,
    places: Places,
    locks: Result<PathBuf, String>,
    pace: Pace,
    faults: Mutex<Vec<Fault>>,
}

impl Gpus {
    /// Looks for the driver. A host without one has no GPUs, and [`Gpus::reason`] says why.
    pub fn discover() -> Self {
        let nvml = SystemNvml::load().map(|library| Arc::new(library) as Arc<dyn Nvml>);
        let locks = lock::folder().map_err(|error| format!("no folder for GPU locks: {error}"));
        Self::with(nvml, Places::default(), locks, Pace { poll: POLL, idle_max: IDLE_TIME_MAX })
    }

    pub(super) fn with(
        nvml: Result<Arc<dyn Nvml>, NvmlError>,
        places: Places,
        locks: Result<PathBuf, String>,
        pace: Pace,
    ) -> Self {
        Self { shared: Arc::new(Shared { nvml, places, locks, pace, faults: Mutex::default() }) }
    }

    /// The driver, where there is one.
    pub fn driver(&self) -> Option<Driver> {
        self.shared.nvml.as_ref().ok()?.driver().ok()
    }

    /// All GPUs.
    pub fn found(&self) -> Vec<Gpu> {
        self.ask().map(|(gpus, _)| gpus).unwrap_or_default()
    }

    /// Why there are none, or which of them do not answer.
    pub fn reason(&self) -> Option<String> {
        match self.ask() {
            Err(NvmlError(why)) => Some(why),
            Ok((_, silent)) if !silent.is_empty() => Some(silent.join("; ")),
            Ok((gpus, _)) if gpus.is_empty() => Some("the NVIDIA driver knows of no device".into()),
            Ok(_) => None,
        }
    }

    fn ask(&self) -> Result<(Vec<Gpu>, Vec<String>), NvmlError> {
        self.shared.nvml.as_ref().map_err(Clone::clone)?.gpus()
    }

    /// How each GPU stands right now.
    pub fn standings(&self) -> Vec<(Gpu, Standing)> {
        let stand = |gpu: Gpu| match self.take(&gpu) {
            Ok(_) => (gpu, Standing::Free),
            Err(standing) => (gpu, standing),
        };
        self.found().into_iter().map(stand).collect()
    }

    /// What a cell would see of the driver for a GPU.
    ///
    /// # Errors
    /// Which part is missing.
    pub fn driver_files(&self, gpu: &Gpu) -> Result<DriverFiles, String> {
        DriverFiles::find(&self.shared.places, gpu)
    }

    /// Leases the first GPU that can be had.
    ///
    /// # Errors
    /// There is none, or none is free; the message has a reason for each.
    pub fn lease(&self, limits: LeaseLimits) -> Result<GpuLease, GpuError> {
        let (gpus, silent) = self.ask().map_err(|NvmlError(why)| GpuError::Absent(why))?;
        if gpus.is_empty() {
            let why = if silent.is_empty() {
                "the NVIDIA driver knows of no device".into()
            } else {
                silent.join("; ")
            };
            return Err(GpuError::Absent(why));
        }
        let mut reasons = silent;
        for gpu in gpus {
            match self.take(&gpu) {
                Ok(taken) => match self.begin(gpu.clone(), taken, limits) {
                    Ok(lease) => return Ok(lease),
                    Err(why) => reasons.push(format!("GPU {}: {why}", gpu.index)),
                },
                Err(standing) => reasons.push(format!("GPU {}: {standing}", gpu.index)),
            }
        }
        Err(GpuError::NoneFree(reasons))
    }

    /// Locks a GPU and makes sure that it can be used. Nothing is written.
    fn take(&self, gpu: &Gpu) -> Result<Taken, Standing> {
        let unusable = |why: &dyn fmt::Display| Standing::Unusable(why.to_string());
        if gpu.is_sliced {
            let why = "it is divided into slices (MIG), which are not given out singly; switch that mode off to use it";
            return Err(unusable(&why));
        }
        let files = DriverFiles::find(&self.shared.places, gpu).map_err(|why| unusable(&why))?;
        let folder = self.shared.locks.as_ref().map_err(|why| unusable(why))?;
        let lock = Lock::take(folder, &gpu.id).map_err(|refused| match refused {
            Refused::Held(0) => Standing::Held("another run holds it".into()),
            Refused::Held(pid) => Standing::Held(format!("process {pid} holds it")),
            Refused::Broken(error) => Standing::Unusable(format!("its lock: {error}")),
        })?;
        let nvml = self.shared.nvml.as_ref().map_err(|error| unusable(error))?;
        let usage = nvml.usage(&gpu.id).map_err(|error| unusable(&error))?;
        let pids: Vec<String> = usage.processes.iter().map(|process| process.pid.to_string()).collect();
        if let Some(quarantine) = lock.record.quarantine.as_ref().filter(|quarantine| !quarantine.is_over()) {
            let idle = quarantine.idle_bytes.map(|bytes| pids.is_empty() && usage.memory_used_bytes <= bytes);
            if idle != Some(true) {
                let ends = if idle.is_some() { "until it is idle" } else { "until a restart" };
                return Err(Standing::Quarantined(format!("put aside {ends}: {}", quarantine.reason)));
            }
        }
        if !pids.is_empty() {
            return Err(Standing::Busy(format!("in use by process {}", pids.join(", "))));
        }
        if usage.memory_used_bytes > gpu.memory_bytes / 2 {
            let why = "more than half of its memory is taken by a program that cannot be seen from here";
            return Err(Standing::Busy(why.into()));
        }
        Ok(Taken { lock, files, memory_used_bytes: usage.memory_used_bytes })
    }

    fn begin(&self, gpu: Gpu, taken: Taken, limits: LeaseLimits) -> Result<GpuLease, String> {
        let Taken { mut lock, files, memory_used_bytes } = taken;
        if let Some(fault) = self.shared.faults_of(&gpu.id).iter().find(|fault| fault.is_grave()) {
            lock.record.quarantine = Some(Quarantine::new(&fault.to_string(), None));
            lock.write().map_err(|error| error.to_string())?;
            return Err(format!("put aside until a restart: {fault}"));
        }
        lock.record.quarantine = None;
        lock.record.token += 1;
        lock.record.holder = std::process::id();
        lock.write().map_err(|error| format!("its lock: {error}"))?;
        let state = State {
            deadline: Instant::now() + limits.wall,
            memory_peak_bytes: memory_used_bytes,
            ..State::default_at(Instant::now())
        };
        let watched = Arc::new(Watched {
            shared: Arc::clone(&self.shared),
            token: lock.record.token,
            gpu,
            limits,
            memory_before_bytes: memory_used_bytes,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let watching = Arc::clone(&watched);
        let named = std::thread::Builder::new().name("gpu lease".into());
        let thread =
            named.spawn(move || watching.watch()).map_err(|error| format!("watching it: {error}"))?;
        let core = Core { watched, files, lock: Mutex::new(lock), thread: Mutex::new(Some(thread)) };
        Ok(GpuLease { core: Arc::new(core), limits })
    }
}

struct Taken {
    lock: Lock,
    files: DriverFiles,
    memory_used_bytes: u64,
}

impl Shared {
    /// Faults of one GPU since they were last asked for. Others' are kept for them.
    fn faults_of(&self, id: &GpuId) -> Vec<Fault> {
        let mut all = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(nvml) = &self.nvml {
            all.extend(nvml.faults());
        }
        let (own, others): (Vec<_>, Vec<_>) = all.drain(..).partition(|fault| fault.id == *id);
        all.extend(others.into_iter().take(FAULTS_MAX));
        own
    }
}

#[derive(Debug)]
struct State {
    deadline: Instant,
    memory_peak_bytes: u64,
    faults: Vec<String>,
    lost: Option<Lost>,
    /// Handles of the first processes of cells that use the GPU.
    cells: Vec<OwnedFd>,
    is_over: bool,
}

impl State {
    fn default_at(now: Instant) -> Self {
        Self {
            deadline: now,
            memory_peak_bytes: 0,
            faults: Vec::new(),
            lost: None,
            cells: Vec::new(),
            is_over: false,
        }
    }
}

/// What the watching thread shares with the lease.
#[derive(Debug)]
struct Watched {
    shared: Arc<Shared>,
    gpu: Gpu,
    token: u64,
    limits: LeaseLimits,
    memory_before_bytes: u64,
    state: Mutex<State>,
    changed: Condvar,
}

impl Watched {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        loop {
            let (state, _) = self
                .changed
                .wait_timeout_while(self.state(), self.shared.pace.poll, |state| !state.is_over)
                .unwrap_or_else(PoisonError::into_inner);
            if state.is_over || state.lost.is_some() {
                return;
            }
            drop(state);
            if let Some(lost) = self.look() {
                return self.lose(lost);
            }
        }
    }

    /// Looks at the GPU once. Returns why the lease is lost, if it is.
    fn look(&self) -> Option<Lost> {
        for fault in self.shared.faults_of(&self.gpu.id) {
            if fault.is_grave() {
                return Some(Lost::Device(fault.to_string()));
            }
            let mut state = self.state();
            if state.faults.len() < FAULTS_MAX {
                state.faults.push(fault.to_string());
            }
        }
        let usage = match &self.shared.nvml {
            Ok(nvml) => nvml.usage(&self.gpu.id),
            Err(error) => Err(error.clone()),
        };
        let used = match usage {
            Ok(usage) => usage.memory_used_bytes,
            Err(error) => return Some(Lost::Device(error.to_string())),
        };
        let mut state = self.state();
        state.memory_peak_bytes = state.memory_peak_bytes.max(used);
        let own = used.saturating_sub(self.memory_before_bytes);
        if let Some(most) = self.limits.memory_bytes.filter(|most| own > *most) {
            return Some(Lost::OverUse(format!("{} MiB, allowed are {}", own >> 20, most >> 20)));
        }
        (Instant::now() >= state.deadline).then_some(Lost::Expired)
    }

    /// Ends the lease: kills every cell that uses the GPU, and lets no further one begin.
    fn lose(&self, lost: Lost) {
        let mut state = self.state();
        state.lost = Some(lost);
        for cell in &state.cells {
            // One that has ended by itself is as good as killed.
            let _ = pidfd_send_signal(cell, Signal::KILL);
        }
    }

    /// Memory in use at which nothing of the lease is left.
    fn idle_bytes(&self) -> u64 {
        self.memory_before_bytes + IDLE_SLACK_BYTES
    }

    /// Waits until nothing of a lease is left on the GPU. Returns what is.
    fn rest(&self) -> Option<String> {
        let nvml = self.shared.nvml.as_ref().ok()?;
        let deadline = Instant::now() + self.shared.pace.idle_max;
        loop {
            let left = match nvml.usage(&self.gpu.id) {
                Err(error) => Some(error.to_string()),
                Ok(usage) => match usage.processes.first() {
                    Some(process) => Some(format!("process {} still computes there", process.pid)),
                    None if usage.memory_used_bytes > self.idle_bytes() => {
                        let kept = usage.memory_used_bytes - self.memory_before_bytes;
                        Some(format!("{} MiB of memory were not given back", kept >> 20))
                    }
                    None => None,
                },
            };
            if left.is_none() || Instant::now() >= deadline {
                return left;
            }
            std::thread::sleep(self.shared.pace.poll.min(Duration::from_millis(100)));
        }
    }
}

/// A lease and everything that ends with it. The last of its owners, lease or cell, ends it.
#[derive(Debug)]
struct Core {
    watched: Arc<Watched>,
    files: DriverFiles,
    lock: Mutex<Lock>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Core {
    fn drop(&mut self) {
        self.watched.state().is_over = true;
        self.watched.changed.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
        let quarantine = match &self.watched.state().lost {
            Some(Lost::Device(why)) => Some(Quarantine::new(why, None)),
            _ => None,
        };
        let idle_bytes = Some(self.watched.idle_bytes());
        let quarantine =
            quarantine.or_else(|| self.watched.rest().map(|left| Quarantine::new(&left, idle_bytes)));
        if let Some(quarantine) = quarantine {
            let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            lock.record.quarantine = Some(quarantine);
            // If it cannot be written, the next holder looks at the GPU itself and finds the same.
            let _ = lock.write();
        }
    }
}

/// The right to use one GPU, for this process alone, until it is dropped or its time is up.
#[derive(Debug)]
pub struct GpuLease {
    core: Arc<Core>,
    limits: LeaseLimits,
}

impl GpuLease {
    /// The GPU.
    pub fn gpu(&self) -> &Gpu {
        &self.core.watched.gpu
    }

    /// The fencing token: higher than that of any earlier lease of this GPU. A result that carries another one is of an attempt
    /// that has been given up.
    pub fn token(&self) -> u64 {
        self.core.watched.token
    }

    /// What a cell's policy takes. The lease does not end before the cell does.
    pub fn binding(&self) -> GpuBinding {
        GpuBinding { core: Arc::clone(&self.core) }
    }

    /// Starts its time anew. False when it is lost already.
    pub fn renew(&self) -> bool {
        let mut state = self.core.watched.state();
        state.deadline = Instant::now() + self.limits.wall;
        state.lost.is_none()
    }

    /// Why it ended early, if it did.
    pub fn lost(&self) -> Option<Lost> {
        self.core.watched.state().lost.clone()
    }

    /// What it was used for so far. Looks once more, so that short uses are seen.
    pub fn report(&self) -> GpuReport {
        let watched = &self.core.watched;
        if watched.state().lost.is_none()
            && let Some(lost) = watched.look()
        {
            watched.lose(lost);
        }
        let state = watched.state();
        GpuReport {
            id: watched.gpu.id.clone(),
            name: watched.gpu.name.clone(),
            memory_peak_bytes: state.memory_peak_bytes,
            memory_before_bytes: watched.memory_before_bytes,
            lost: state.lost.clone(),
            faults: state.faults.clone(),
        }
    }
}

/// A leased GPU, for a cell's policy. Only a lease makes one.
#[derive(Clone)]
pub struct GpuBinding {
    core: Arc<Core>,
}

impl fmt::Debug for GpuBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GpuBinding({}, token {})", self.id(), self.core.watched.token)
    }
}

impl PartialEq for GpuBinding {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }
}

impl GpuBinding {
    /// The GPU.
    pub fn id(&self) -> &GpuId {
        &self.core.watched.gpu.id
    }

    /// Why no cell may begin to use it any more, if so.
    pub(crate) fn lost(&self) -> Option<Lost> {
        self.core.watched.state().lost.clone()
    }

    /// Makes a cell end with the lease; `init` is a handle of its first process.
    pub(crate) fn attach(&self, init: BorrowedFd<'_>) -> std::io::Result<()> {
        let own = rustix::io::fcntl_dupfd_cloexec(init, 3)?;
        let mut state = self.core.watched.state();
        if state.lost.is_some() {
            let _ = pidfd_send_signal(&own, Signal::KILL);
        }
        state.cells.push(own);
        Ok(())
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.core.files.nodes
    }

    /// Library files and where the cell sees them.
    pub(crate) fn libraries(&self) -> impl Iterator<Item = (PathBuf, PathBuf)> {
        let folder = PathBuf::from(driver::LIBRARY_FOLDER);
        self.core.files.libraries.iter().map(move |(name, path)| (path.clone(), folder.join(name)))
    }

    pub(crate) fn facts(&self) -> &[(PathBuf, PathBuf)] {
        &self.core.files.facts
    }
}

/// The variables of a cell with these GPUs; none without any.
pub(crate) fn environment(bindings: &[GpuBinding]) -> BTreeMap<String, String> {
    if bindings.is_empty() {
        BTreeMap::new()
    } else {
        driver::environment(bindings.iter().map(GpuBinding::id))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::gpu::driver::tests::{make_nodes, places};
    use crate::gpu::fake::FakeNvml;
    use std::path::Path;

    const MIB: u64 = 1 << 20;

    /// A recorded machine with its folders.
    pub(crate) struct Machine {
        pub(crate) nvml: Arc<FakeNvml>,
        pub(crate) gpus: Gpus,
        root: tempfile::TempDir,
    }

    /// A machine with so many GPUs; `None`, said aloud, where nodes cannot be made and that may be skipped.
    pub(crate) fn machine(count: u32) -> Option<Machine> {
        let root = tempfile::tempdir().unwrap();
        // Cells of root run as users of their own, which must be able to reach the files.
        rustix::fs::chmod(root.path(), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        let places = places(root.path());
        if !make_nodes(&places.dev) {
            let allowed = std::env::var("ANSATZ_ALLOW_SKIP").unwrap_or_default();
            let is_allowed = allowed.split(',').any(|word| matches!(word.trim(), "root" | "all"));
            assert!(
                is_allowed,
                "device nodes can be made by root only; ANSATZ_ALLOW_SKIP=root skips these tests"
            );
            eprintln!("skipped: only root can make device nodes");
            return None;
        }
        std::fs::create_dir(root.path().join("locks")).unwrap();
        let nvml = Arc::new(FakeNvml::with(count));
        let gpus = another(&nvml, root.path());
        Some(Machine { nvml, gpus, root })
    }

    fn another(nvml: &Arc<FakeNvml>, root: &Path) -> Gpus {
        let pace = Pace { poll: Duration::from_millis(5), idle_max: Duration::from_millis(100) };
        let library = Arc::clone(nvml) as Arc<dyn Nvml>;
        Gpus::with(Ok(library), places(root), Ok(root.join("locks")), pace)
    }

    fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done() {
            assert!(Instant::now() < deadline, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn lease(gpus: &Gpus) -> Result<GpuLease, GpuError> {
        gpus.lease(LeaseLimits::default())
    }

    fn refusal(gpus: &Gpus) -> String {
        lease(gpus).map(|lease| lease.gpu().index).unwrap_err().to_string()
    }

    #[test]
    fn a_host_without_a_driver_has_none_and_says_why() {
        let nvml = Err(NvmlError("no NVIDIA driver library".into()));
        let pace = Pace { poll: POLL, idle_max: IDLE_TIME_MAX };
        let gpus = Gpus::with(nvml, Places::default(), Err("unused".into()), pace);
        assert_eq!((gpus.found(), gpus.driver()), (Vec::new(), None));
        assert_eq!(gpus.reason().as_deref(), Some("no NVIDIA driver library"));
        let error = lease(&gpus).unwrap_err();
        assert!(matches!(&error, GpuError::Absent(why) if why == "no NVIDIA driver library"));
        assert!(error.hint().contains("--gpus"));
    }

    #[test]
    fn each_gpu_goes_to_one_and_comes_back() {
        let Some(machine) = machine(2) else { return };
        let first = lease(&machine.gpus).unwrap();
        // As another process would look at it: the lock is on the file, not in our memory.
        let others = another(&machine.nvml, machine.root.path());
        let second = lease(&others).unwrap();
        assert_eq!((first.gpu().index, second.gpu().index), (0, 1));
        let said = refusal(&others);
        assert!(said.contains(&format!("GPU 0: process {} holds it", std::process::id())), "{said}");
        drop(first);
        assert_eq!(lease(&others).unwrap().gpu().index, 0);
    }

    #[test]
    fn tokens_rise_with_every_lease() {
        let Some(machine) = machine(1) else { return };
        let tokens: Vec<u64> = (0..3).map(|_| lease(&machine.gpus).unwrap().token()).collect();
        assert_eq!(tokens, [1, 2, 3]);
    }

    #[test]
    fn a_cell_keeps_the_lease_of_its_gpu_alive() {
        let Some(machine) = machine(1) else { return };
        let first = lease(&machine.gpus).unwrap();
        let binding = first.binding();
        drop(first);
        assert!(lease(&machine.gpus).is_err());
        drop(binding);
        assert!(lease(&machine.gpus).is_ok());
    }

    #[test]
    fn a_gpu_that_others_use_is_not_given_out() {
        let Some(machine) = machine(2) else { return };
        machine.nvml.occupy(0, &[4711], 900 * MIB);
        assert_eq!(lease(&machine.gpus).unwrap().gpu().index, 1);
        // Others' processes cannot always be seen; their memory can.
        machine.nvml.occupy(1, &[], 60 << 30);
        let said = refusal(&machine.gpus);
        assert!(said.contains("in use by process 4711") && said.contains("cannot be seen"), "{said}");
    }

    #[test]
    fn a_sliced_gpu_is_named_and_left_alone() {
        let Some(machine) = machine(1) else { return };
        machine.nvml.slice(0);
        assert!(refusal(&machine.gpus).contains("MIG"));
        assert!(matches!(machine.gpus.standings()[0].1, Standing::Unusable(_)));
    }

    #[test]
    fn what_remains_on_a_gpu_puts_it_aside_until_it_is_idle() {
        let Some(machine) = machine(1) else { return };
        let held = lease(&machine.gpus).unwrap();
        machine.nvml.occupy(0, &[99], 900 * MIB);
        drop(held);
        let said = refusal(&machine.gpus);
        assert!(said.contains("put aside until it is idle: process 99"), "{said}");
        machine.nvml.occupy(0, &[], 0);
        assert!(lease(&machine.gpus).is_ok());
    }

    #[test]
    fn memory_that_is_not_given_back_puts_it_aside() {
        let Some(machine) = machine(1) else { return };
        let held = lease(&machine.gpus).unwrap();
        machine.nvml.occupy(0, &[], 3000 * MIB);
        drop(held);
        let said = refusal(&machine.gpus);
        assert!(
            said.contains("put aside until it is idle: 3000 MiB of memory were not given back"),
            "{said}"
        );
        machine.nvml.occupy(0, &[], 100 * MIB);
        assert!(lease(&machine.gpus).is_ok());
    }

    #[test]
    fn a_grave_fault_ends_the_lease_and_puts_the_gpu_aside_until_a_restart() {
        let Some(machine) = machine(2) else { return };
        let held = lease(&machine.gpus).unwrap();
        machine.nvml.fail(0, 79);
        wait_for("the fault is seen", || held.lost().is_some());
        assert_eq!(held.lost(), Some(Lost::Device("the driver reported error Xid 79".into())));
        assert!(!held.renew());
        drop(held);
        assert_eq!(lease(&machine.gpus).unwrap().gpu().index, 1, "the other GPU is as good as ever");
        let (_, standing) = &machine.gpus.standings()[0];
        assert!(
            matches!(standing, Standing::Quarantined(why) if why.contains("until a restart")),
            "{standing:?}"
        );
    }

    #[test]
    fn a_fault_that_a_program_can_cause_is_noted_and_harms_nobody() {
        let Some(machine) = machine(1) else { return };
        let held = lease(&machine.gpus).unwrap();
        machine.nvml.fail(0, 31);
        wait_for("the fault is noted", || !held.report().faults.is_empty());
        assert_eq!(held.lost(), None);
        drop(held);
        assert!(lease(&machine.gpus).is_ok());
    }

    #[test]
    fn faults_reach_the_lease_of_their_own_gpu() {
        let Some(machine) = machine(2) else { return };
        let (first, second) = (lease(&machine.gpus).unwrap(), lease(&machine.gpus).unwrap());
        machine.nvml.fail(1, 48);
        wait_for("the fault is seen", || second.lost().is_some());
        assert_eq!(first.lost(), None);
    }

    #[test]
    fn a_driver_that_stops_answering_loses_the_lease() {
        let Some(machine) = machine(1) else { return };
        let held = lease(&machine.gpus).unwrap();
        machine.nvml.lose();
        wait_for("the loss is seen", || held.lost().is_some());
        assert!(held.lost().unwrap().to_string().contains("the GPU is lost"));
    }

    /// A process that sleeps until it is killed, and a handle of it.
    fn victim() -> (std::process::Child, OwnedFd) {
        let child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
        let handle = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        (child, handle)
    }

    fn check_killed(limits: LeaseLimits, occupy: u64, expected: &str) {
        use std::os::fd::AsFd as _;
        use std::os::unix::process::ExitStatusExt as _;
        let Some(machine) = machine(1) else { return };
        let held = machine.gpus.lease(limits).unwrap();
        let (mut child, handle) = victim();
        held.binding().attach(handle.as_fd()).unwrap();
        machine.nvml.occupy(0, &[child.id()], occupy);
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        assert!(held.lost().unwrap().to_string().contains(expected));
        assert!(held.report().memory_peak_bytes >= occupy);
        machine.nvml.occupy(0, &[], 0);
        // Nothing may begin on a lease that is lost.
        let (mut late, handle) = victim();
        held.binding().attach(handle.as_fd()).unwrap();
        assert_eq!(late.wait().unwrap().signal(), Some(libc::SIGKILL));
    }

    #[test]
    fn a_cell_that_takes_too_much_is_killed() {
        let limits = LeaseLimits { memory_bytes: Some(1000 * MIB), ..LeaseLimits::default() };
        check_killed(limits, 5000 * MIB, "5000 MiB, allowed are 1000");
    }

    #[test]
    fn a_cell_is_killed_when_its_lease_expires() {
        check_killed(LeaseLimits { wall: Duration::from_millis(30), ..LeaseLimits::default() }, 0, "expired");
    }

    #[test]
    fn a_lease_that_is_renewed_does_not_expire() {
        let Some(machine) = machine(1) else { return };
        let held = machine
            .gpus
            .lease(LeaseLimits { wall: Duration::from_secs(1), ..LeaseLimits::default() })
            .unwrap();
        for _ in 0..8 {
            std::thread::sleep(Duration::from_millis(200));
            assert!(held.renew());
        }
        assert_eq!(held.lost(), None);
    }
}
