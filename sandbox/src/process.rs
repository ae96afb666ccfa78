//! A cell that is a process of ours: the helper, its control group and its user id.

use crate::backend::{Cleared, Hold};
use crate::cgroup::{Counters, Group, GroupLimits};
use crate::channel::{Channel, timespec};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::gpu::GpuBinding;
use crate::helper::memory;
use crate::helper::order::Command;
use crate::linux;
use crate::private::Private;
use crate::slot::{Slot, WIDE_BASE};
use crate::spawner::Spawner;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Time for a killed helper to disappear.
const LAST_TIME_MAX: Duration = Duration::from_millis(500);

/// A helper process with everything that belongs to it. Dropped before it was cleared away, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Process {
    pid: Pid,
    handle: OwnedFd,
    init: OnceLock<OwnedFd>,
    group: Option<Group>,
    slot: Mutex<Option<Slot>>,
    uid: u32,
    cleared: AtomicBool,
    bare: OnceLock<Bare>,
    /// Leases that must not end before the cell does.
    gpus: OnceLock<Vec<GpuBinding>>,
    /// The helper dies with the thread that made it.
    _spawner: Arc<Spawner>,
}

impl Process {
    /// Takes over a helper that has just been spawned and puts it into its group, before it is told anything. From here on
    /// it is waited for by its id alone.
    pub(crate) fn adopt(
        child: &Child,
        group: Option<Group>,
        slot: Option<Slot>,
        spawner: Arc<Spawner>,
    ) -> Result<Self, SandboxError> {
        let doing = || "watching a new helper".to_owned();
        let pid = Pid::from_raw(child.id() as i32)
            .ok_or_else(|| SandboxError::new(doing(), SandboxErrorKind::Protocol("process id 0".into())))?;
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(errno) => {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
                linux::collect_child(pid);
                if let Some(group) = &group {
                    let _ = group.remove();
                }
                return Err(SandboxError::new(doing(), errno));
            }
        };
        let uid = slot.as_ref().map_or_else(|| rustix::process::geteuid().as_raw(), |slot| slot.uid);
        let process = Self {
            pid,
            handle,
            init: OnceLock::new(),
            group,
            slot: Mutex::new(slot),
            uid,
            cleared: AtomicBool::new(false),
            bare: OnceLock::new(),
            gpus: OnceLock::new(),
            _spawner: spawner,
        };
        if let Some(group) = &process.group {
            group.add(pid).doing(|| "putting a cell into its control group".into())?;
        }
        Ok(process)
    }

    /// Learns the handle of PID 1, whose end is the end of everything in its name space.
    pub(crate) fn learn_init(&self, init: OwnedFd) {
        let _ = self.init.set(init);
    }

    /// Learns which GPUs the cell uses.
    pub(crate) fn learn_gpus(&self, gpus: Vec<GpuBinding>) {
        let _ = self.gpus.set(gpus);
    }

    /// Learns that no name space ends with the helper, and what has to be done about it.
    pub(crate) fn learn_bare(&self, bare: Bare) {
        let _ = self.bare.set(bare);
    }

    fn is_over(&self, within: Duration) -> bool {
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&timespec(within)))
            .is_ok_and(|ready| ready > 0)
    }

    /// Kills the helper, and what the kernel would not kill with it.
    fn kill_hard(&self) {
        if self.bare.get().is_some() {
            memory::kill_descendants(self.pid.as_raw_nonzero().get());
        }
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }
}

/// A cell that shares the host's processes and files.
#[derive(Debug)]
pub(crate) struct Bare {
    /// The supervisor's channel: it is asked to end the cell, because only it can kill everything.
    pub(crate) supervisor: Channel,
    /// The cell's private folder on the host.
    pub(crate) folder: Private,
}

impl Hold for Process {
    fn over(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    fn kill(&self) {
        if let Some(bare) = self.bare.get() {
            if let Ok(command) = serde_json::to_vec(&Command::End) {
                let _ = bare.supervisor.send(&command, &[]);
            }
            return;
        }
        // The helper ends when PID 1 does; a helper that has no PID 1 yet ends itself.
        let _ = pidfd_send_signal(self.init.get().unwrap_or(&self.handle), Signal::KILL);
    }

    fn uid(&self) -> u32 {
        self.uid
    }

    fn counters(&self) -> Counters {
        self.group.as_ref().map(Group::counters).unwrap_or_default()
    }

    fn has_group(&self) -> bool {
        self.group.is_some()
    }

    fn leaf(&self, name: &str, limits: GroupLimits) -> io::Result<Option<Group>> {
        self.group.as_ref().map(|group| group.leaf(name, limits)).transpose()
    }

    fn clear(&self) -> Cleared {
        self.cleared.store(true, Ordering::Relaxed);
        let slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.is_over(Duration::ZERO) {
            self.kill_hard();
        }
        // What is still there after that is left to the kernel.
        let end = if self.is_over(LAST_TIME_MAX) { linux::collect_child(self.pid) } else { None };
        let mut clean = end.is_some();
        if let Some(bare) = self.bare.get() {
            // A supervisor that ended by itself says whether it has cleared everything away.
            let left = !end.is_some_and(|end| end.succeeded);
            clean &= !left || (slot.is_some() && self.uid >= WIDE_BASE && memory::kill_user(self.uid));
            clean &= bare.folder.remove();
        }
        clean &= self.group.as_ref().is_none_or(|group| group.kill().1 && group.remove().is_ok());
        let cpu_s = end.map_or(0.0, |end| end.cpu_s);
        match slot {
            // Its user is never given away again.
            Some(slot) if !clean => slot.quarantine(),
            other => drop(other),
        }
        Cleared { clean, cpu_s }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.cleared.load(Ordering::Relaxed) {
            return;
        }
        if let Some(init) = self.init.get() {
            let _ = pidfd_send_signal(init, Signal::KILL);
        }
        self.kill_hard();
        linux::collect_child(self.pid);
        if let Some(group) = &self.group {
            group.kill();
            let _ = group.remove();
        }
    }
}
