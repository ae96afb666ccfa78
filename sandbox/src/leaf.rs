//! One trial inside a cell: its own channel, its own limits, and nothing left of it at the end.

use crate::cell::{Core, send_sealed};
use crate::cgroup::{Counters, Group, GroupLimits};
use crate::channel::{Channel, timespec};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::policy::LeafLimits;
use crate::report::{LeafReport, Verdict};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time for a zygote to fork and for the child to say hello.
const HELLO_TIME_MAX: Duration = Duration::from_secs(10);
/// Time between a trial's last message and the end of its process: freeing its memory, running its exit handlers.
const LAST_WORDS_TIME_MAX: Duration = Duration::from_millis(500);
/// A killed process needs a moment to become one that has ended.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// A trial: a child of the cell's zygote with everything that it starts. Dropping it kills it.
#[derive(Debug)]
pub struct Leaf {
    core: Arc<Core>,
    trial: u32,
    channel: Channel,
    watch: Arc<LeafWatch>,
    group: Option<Group>,
    begun: Instant,
    finished: bool,
}

/// What the cell's thread needs to mind the clock of a trial.
#[derive(Debug)]
pub(crate) struct LeafWatch {
    process: OwnedFd,
    deadline: Option<Instant>,
    timed_out: AtomicBool,
    killed: AtomicBool,
}

impl LeafWatch {
    /// Kills the trial's first process if its time is up; the rest goes when the trial is finished.
    pub(crate) fn mind(&self) {
        let up = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if up && !self.has_ended(Duration::ZERO) && !self.timed_out.swap(true, Ordering::Relaxed) {
            let _ = pidfd_send_signal(&self.process, Signal::KILL);
        }
    }

    fn has_ended(&self, within: Duration) -> bool {
        poll(&mut [PollFd::new(&self.process, PollFlags::IN)], Some(&timespec(within)))
            .is_ok_and(|ready| ready > 0)
    }
}

impl Leaf {
    pub(crate) fn fork(
        core: &Arc<Core>,
        trial: u32,
        request: &[u8],
        limits: LeafLimits,
    ) -> Result<Self, SandboxError> {
        let begun = Instant::now();
        let doing = || format!("starting trial {trial}");
        // Before the fork: it takes a moment, and the child should not wait.
        let group = core.hold.leaf(&format!("trial-{trial}"), group_limits(&limits)).doing(doing)?;
        let group = group.map(|group| Unborn(Some(group)));
        let (channel, theirs) = Channel::pair()?;
        core.send(request, &[theirs.as_fd()])?;
        drop(theirs);
        let pid = await_hello(&channel, trial)?;
        let process = pidfd_open(pid, PidfdFlags::empty()).doing(doing)?;
        check_owner(pid, core.hold.uid()).doing(doing)?;
        if let Some(Unborn(Some(group))) = &group {
            group.add(pid).doing(doing)?;
        }
        if core.watches_memory() {
            core.watch(trial, inner_pid(pid).doing(doing)?, limits.memory_bytes)?;
        }
        let deadline = limits.wall.map(|wall| begun + wall);
        let (timed_out, killed) = (AtomicBool::new(false), AtomicBool::new(false));
        let watch = Arc::new(LeafWatch { process, deadline, timed_out, killed });
        core.add_leaf(trial, &watch);
        let group = group.and_then(Unborn::take);
        Ok(Self { core: Arc::clone(core), trial, channel, watch, group, begun, finished: false })
    }

    /// The trial's number.
    pub fn trial(&self) -> u32 {
        self.trial
    }

    /// Sends one message to the trial with each blob as a sealed memory file beside it.
    pub fn send_sealed(&self, line: &[u8], blobs: &[&[u8]]) -> Result<(), SandboxError> {
        send_sealed(&self.channel, line, blobs)
    }

    /// Receives the trial's next message; `None` when its first process has ended or closed its channel and nothing is left
    /// to read.
    ///
    /// # Errors
    /// [`SandboxError::is_timeout`] when nothing came in time.
    pub fn recv(&self, timeout: Duration) -> Result<Option<Vec<u8>>, SandboxError> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // Both are watched: a grandchild that holds the channel open must not keep the host waiting.
            let mut ready =
                [PollFd::new(&self.channel, PollFlags::IN), PollFd::new(&self.watch.process, PollFlags::IN)];
            let waited = poll(&mut ready, Some(&timespec(left)));
            let (spoken, ended) = (!ready[0].revents().is_empty(), !ready[1].revents().is_empty());
            match waited {
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(SandboxError::new("waiting for a trial", errno)),
                Ok(_) if spoken => return Ok(self.channel.recv(left)?.map(|message| message.bytes)),
                Ok(_) if ended => return Ok(None),
                Ok(_) if left.is_zero() => {
                    return Err(SandboxError::new("waiting for a trial", SandboxErrorKind::Timeout(timeout)));
                }
                Ok(_) => {}
            }
        }
    }

    /// Kills the trial and returns at once.
    pub fn kill(&self) {
        if !self.watch.has_ended(Duration::ZERO) {
            self.watch.killed.store(true, Ordering::Relaxed);
            let _ = pidfd_send_signal(&self.watch.process, Signal::KILL);
        }
    }

    /// Ends the trial: kills everything of it that is still there, counts, and removes its group.
    ///
    /// A first process that still runs gets a moment to end by itself, then it is killed, too: wait for its last message
    /// before.
    pub fn finish(mut self) -> LeafReport {
        self.watch.has_ended(LAST_WORDS_TIME_MAX);
        self.clear()
    }

    fn clear(&mut self) -> LeafReport {
        self.finished = true;
        if !self.watch.has_ended(Duration::ZERO) {
            let _ = pidfd_send_signal(&self.watch.process, Signal::KILL);
            self.watch.has_ended(END_TIME_MAX);
        }
        let (survivors, clean, counters, cpu_s) = match &self.group {
            Some(group) => {
                let (survivors, clean) = group.kill();
                let counters = group.counters();
                let clean = clean && group.remove().is_ok();
                (survivors, clean, counters, counters.cpu_s)
            }
            None => self.sweep(),
        };
        if !clean && !self.core.has_ended() {
            self.core.give_up();
        }
        // A cell that ended took its trials along, and what they had counted.
        let lost = self.core.has_ended();
        let over = self.core.remove_leaf(self.trial) || counters.oom_kills > 0;
        let verdict = if !clean && !lost {
            Verdict::Stuck
        } else if over {
            Verdict::Oom
        } else if self.watch.timed_out.load(Ordering::Relaxed) {
            Verdict::Timeout
        } else if counters.pids_refused > 0 {
            Verdict::Pids
        } else if lost || self.watch.killed.load(Ordering::Relaxed) {
            Verdict::Killed
        } else {
            Verdict::Ok
        };
        LeafReport {
            verdict,
            cpu_s,
            memory_peak_bytes: counters.memory_peak_bytes,
            wall_s: self.begun.elapsed().as_secs_f64(),
            survivors,
        }
    }

    fn sweep(&self) -> (u32, bool, Counters, f64) {
        match self.core.sweep(self.trial) {
            Some(swept) => {
                let counters = Counters { memory_peak_bytes: swept.memory_peak_bytes, ..Counters::default() };
                (swept.killed, swept.clean, counters, swept.cpu_s)
            }
            // The cell is gone, and the trial with it.
            None => (0, self.core.has_ended(), Counters::default(), 0.0),
        }
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if !self.finished {
            self.clear();
        }
    }
}

/// The group of a trial that may not come to be.
struct Unborn(Option<Group>);

impl Unborn {
    fn take(mut self) -> Option<Group> {
        self.0.take()
    }
}

impl Drop for Unborn {
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            group.kill();
            let _ = group.remove();
        }
    }
}

fn group_limits(limits: &LeafLimits) -> GroupLimits {
    GroupLimits { memory_bytes: limits.memory_bytes, pids: limits.pids, cpus: None }
}

/// Waits for the child's first message. Returns its process id as the kernel tells it.
fn await_hello(channel: &Channel, trial: u32) -> Result<Pid, SandboxError> {
    let doing = || format!("waiting for the hello of trial {trial}");
    let Some(message) = channel.recv(HELLO_TIME_MAX)? else {
        return Err(SandboxError::new(doing(), SandboxErrorKind::Closed));
    };
    let hello: serde_json::Value = serde_json::from_slice(&message.bytes).unwrap_or_default();
    match message.sender {
        Some(pid) if hello["event"] == "hello" && hello["trial"] == trial => Ok(pid),
        _ => {
            let said = String::from_utf8_lossy(&message.bytes[..message.bytes.len().min(200)]).into_owned();
            Err(SandboxError::new(doing(), SandboxErrorKind::Protocol(said)))
        }
    }
}

/// Makes sure that a process belongs to the cell before anything is done to it.
fn check_owner(pid: Pid, uid: u32) -> Result<(), SandboxErrorKind> {
    let status = status_of(pid)?;
    let owner =
        field(&status, "Uid:").and_then(|ids| ids.split_ascii_whitespace().next()?.parse::<u32>().ok());
    if owner == Some(uid) {
        Ok(())
    } else {
        Err(SandboxErrorKind::Protocol(format!("process {} is not of this cell", pid.as_raw_nonzero())))
    }
}

/// The number that the cell knows a process by.
fn inner_pid(pid: Pid) -> Result<i32, SandboxErrorKind> {
    let status = status_of(pid)?;
    let inner = field(&status, "NSpid:").and_then(|pids| pids.split_ascii_whitespace().last()?.parse().ok());
    inner.ok_or_else(|| SandboxErrorKind::Protocol("the kernel does not tell inner process ids".into()))
}

fn status_of(pid: Pid) -> Result<String, SandboxErrorKind> {
    Ok(std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?)
}

fn field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim)
}
