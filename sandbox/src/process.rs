//! A cell that is a process of ours: the helper, its control group and its user id.

use crate::backend::{Cleared, Hold};
use crate::cgroup::{Counters, Group, GroupLimits};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::linux;
use crate::slot::Slot;
use crate::spawner::Spawner;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

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

    fn is_over(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.handle, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

impl Hold for Process {
    fn over(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    fn kill(&self) {
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
        let ended = self.is_over();
        if !ended {
            // Killed, but still there: it is left to the kernel.
            let _ = pidfd_send_signal(&self.handle, Signal::KILL);
        }
        let cpu_s = if ended { linux::collect_child(self.pid).unwrap_or(0.0) } else { 0.0 };
        let clean = ended && self.group.as_ref().is_none_or(|group| group.kill().1 && group.remove().is_ok());
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
        self.kill();
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
        linux::collect_child(self.pid);
        if let Some(group) = &self.group {
            group.kill();
            let _ = group.remove();
        }
    }
}
