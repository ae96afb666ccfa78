//! A living cell: its channels, its results, its end.
//!
//! One thread per cell reads the log, hears PID 1, minds the clock and sees the end. Everybody else talks to the cell
//! directly; nothing here is a queue.

use crate::backend::{Cleared, Hold};
use crate::cgroup::Counters;
use crate::channel::{Channel, sealed, timespec};
use crate::collect::{self, CollectError};
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use crate::helper::order::{Command, Event};
use crate::leaf::{Leaf, LeafWatch};
use crate::log::CappedLog;
use crate::paths::Paths;
use crate::policy::{LeafLimits, Limits};
use crate::report::{CellReport, Verdict};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time for a killed cell to disappear; what is still there then is stuck in the kernel.
const KILL_TIME_MAX: Duration = Duration::from_secs(5);
/// How often deadlines are looked at while there are any.
const TICK: Duration = Duration::from_millis(20);
/// Time for the rest of the log once every process is gone.
const LOG_REST_TIME_MAX: Duration = Duration::from_millis(500);
/// Time for PID 1 to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// What a supervisor answers when its program runs.
pub(crate) struct Ready {
    /// A descriptor of `/out`.
    pub(crate) out: OwnedFd,
    /// A handle of the supervisor's own process.
    pub(crate) init: OwnedFd,
    /// What Landlock gives the program: `full`, `partial` or `none`.
    pub(crate) landlock: String,
}

/// What a cell is made of, whoever made its walls.
pub(crate) struct Parts {
    /// Its name.
    pub(crate) name: String,
    /// Its limits: the watching thread holds it to wall time and output.
    pub(crate) limits: Limits,
    /// When its start began; the wall clock runs from here.
    pub(crate) begun: Instant,
    /// The channel to the supervisor inside.
    pub(crate) supervisor: Channel,
    /// The channel to the program's descriptor 3.
    pub(crate) control: Channel,
    /// The read end of the program's standard output and error.
    pub(crate) log: OwnedFd,
    /// The folder that the program may fill; results are collected below it.
    pub(crate) out: OwnedFd,
    /// What Landlock gives the program.
    pub(crate) landlock: String,
    /// How the program reads paths.
    pub(crate) paths: Paths,
    /// Whatever holds the processes.
    pub(crate) hold: Box<dyn Hold>,
}

/// Something that decides about the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    /// Too much output.
    Flood,
    /// The wall clock limit was reached.
    Timeout,
    /// The supervisor saw too much memory.
    Over,
    /// The supervisor saw too many or too large files.
    Full,
    /// The owner asked it to end.
    Asked,
    /// We killed it.
    Killed,
    /// Something of it is still there.
    Stuck,
}

impl State {
    fn take_in(&mut self, event: &Event) {
        match *event {
            Event::Exited { code, signal } => self.exited = Some((code, signal)),
            Event::Watched { trial } => {
                self.watched.insert(trial);
            }
            Event::Over { trial: Some(trial), .. } => {
                self.trials_over.insert(trial);
            }
            Event::Over { trial: None, .. } => {
                self.signs.insert(Sign::Over);
            }
            Event::Full => {
                self.signs.insert(Sign::Full);
            }
            Event::Swept { trial, killed, cpu_s, memory_peak_bytes, clean } => {
                self.swept.insert(trial, Swept { killed, cpu_s, memory_peak_bytes, clean });
            }
            // Said before anybody listens here, or not at all.
            Event::Ready { .. } | Event::Failed { .. } => {}
        }
    }
}

/// What is known about a cell.
#[derive(Debug, Default)]
struct State {
    log: CappedLog,
    exited: Option<(Option<i32>, Option<i32>)>,
    signs: BTreeSet<Sign>,
    ended: Option<Ended>,
    trials_over: BTreeSet<u32>,
    watched: BTreeSet<u32>,
    swept: BTreeMap<u32, Swept>,
    leaves: BTreeMap<u32, Arc<LeafWatch>>,
}

#[derive(Debug, Clone, Copy)]
struct Ended {
    wall_s: f64,
    cpu_s: f64,
    counters: Counters,
}

/// What PID 1 found when it cleared a trial away.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Swept {
    pub(crate) killed: u32,
    pub(crate) cpu_s: f64,
    pub(crate) memory_peak_bytes: u64,
    pub(crate) clean: bool,
}

/// What a cell, its trials and its watching thread share.
#[derive(Debug)]
pub(crate) struct Core {
    name: String,
    limits: Limits,
    begun: Instant,
    supervisor: Channel,
    control: Channel,
    out: OwnedFd,
    landlock: String,
    paths: Paths,
    pub(crate) hold: Box<dyn Hold>,
    state: Mutex<State>,
    changed: Condvar,
}

/// A locked process tree. Usable from several threads; dropping it kills everything in it.
#[derive(Debug)]
pub struct Cell {
    core: Arc<Core>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Cell {
    /// Begins to look after a cell whose program runs.
    pub(crate) fn watch(parts: Parts) -> Result<Self, SandboxError> {
        let core = Arc::new(Core {
            name: parts.name,
            limits: parts.limits,
            begun: parts.begun,
            supervisor: parts.supervisor,
            control: parts.control,
            out: parts.out,
            landlock: parts.landlock,
            paths: parts.paths,
            hold: parts.hold,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let watcher = Watcher { core: Arc::clone(&core), log: parts.log };
        let thread =
            std::thread::Builder::new().name(format!("cell {}", core.name)).spawn(move || watcher.run());
        match thread {
            Ok(thread) => Ok(Self { core, thread: Mutex::new(Some(thread)) }),
            // The cell ends with the last holder of its core.
            Err(error) => Err(SandboxError::new(format!("watching cell `{}`", core.name), error)),
        }
    }

    /// Sends one message to the program's descriptor 3, with descriptors beside it.
    ///
    /// # Errors
    /// The message is empty or over 128 KiB, the cell has ended, or it did not read for ten seconds.
    pub fn send(&self, line: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        self.core.control.send(line, descriptors)
    }

    /// Sends one message with each blob as a sealed memory file beside it.
    pub fn send_sealed(&self, line: &[u8], blobs: &[&[u8]]) -> Result<(), SandboxError> {
        send_sealed(&self.core.control, line, blobs)
    }

    /// Receives the next message from the program's descriptor 3; `None` when the program has closed it or ended.
    ///
    /// # Errors
    /// [`SandboxError::is_timeout`] when nothing came in time.
    pub fn recv(&self, timeout: Duration) -> Result<Option<Vec<u8>>, SandboxError> {
        Ok(self.core.control.recv(timeout)?.map(|message| message.bytes))
    }

    /// Asks a zygote for a trial: sends `request` with the trial's own channel beside it, waits for the child's `hello` on that
    /// channel, takes its process id from the kernel, and puts it under its own limits. Nothing else has been sent when
    /// this returns.
    pub fn fork(&self, trial: u32, request: &[u8], limits: LeafLimits) -> Result<Leaf, SandboxError> {
        Leaf::fork(&self.core, trial, request, limits)
    }

    /// Reads a file that the cell left in `/out`, by a plain relative name. Works while the cell lives and after.
    pub fn collect(&self, relative: &str, bytes_max: u64) -> Result<Vec<u8>, CollectError> {
        collect::collect(self.core.out.as_fd(), relative, bytes_max)
    }

    /// Removes a file or folder from `/out`, however deep. What is not there needs no removal.
    pub fn remove(&self, relative: &str) -> Result<(), CollectError> {
        collect::remove(self.core.out.as_fd(), relative)
    }

    /// How the program must write a path of the policy (`/out/…`, `/tmp/…`, the target of a mount). The same path, unless the
    /// cell has no root of its own; what is told to a program in messages must go through here.
    pub fn inside(&self, path: &str) -> String {
        self.core.paths.text(path)
    }

    /// What has been kept of standard output and error so far.
    pub fn log(&self) -> CappedLog {
        self.core.state().log.clone()
    }

    /// What Landlock gives the program here: `full`, `partial` or `none`.
    pub fn landlock(&self) -> &str {
        &self.core.landlock
    }

    /// Whether every process of the cell is gone.
    pub fn has_ended(&self) -> bool {
        self.core.state().ended.is_some()
    }

    /// Waits until the program has ended by itself or by a limit. Returns whether it did within `timeout`.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.core.wait_until(timeout, |state| state.ended.is_some())
    }

    /// Kills everything in the cell and returns at once.
    pub fn kill(&self) {
        self.core.kill(Sign::Killed);
    }

    /// Ends the cell: asks politely, waits `grace`, kills, and reports. Repeating it gives the same report.
    pub fn stop(&self, grace: Duration) -> CellReport {
        if !self.has_ended() && !grace.is_zero() {
            self.core.note(Sign::Asked);
            let _ = self.core.command(&Command::Terminate);
            self.core.wait_until(grace, |state| state.ended.is_some());
        }
        if !self.has_ended() {
            self.kill();
        }
        let ended = self.core.wait_until(KILL_TIME_MAX * 2, |state| state.ended.is_some());
        if ended {
            self.join();
        }
        self.core.report()
    }

    fn join(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        self.kill();
        // The watching thread has limits of its own, so this ends.
        self.join();
    }
}

pub(crate) fn send_sealed(channel: &Channel, line: &[u8], blobs: &[&[u8]]) -> Result<(), SandboxError> {
    let files = blobs.iter().map(|blob| sealed(blob)).collect::<Result<Vec<_>, _>>()?;
    let descriptors: Vec<BorrowedFd<'_>> = files.iter().map(|file| file.as_fd()).collect();
    channel.send(line, &descriptors)
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn note(&self, sign: Sign) {
        self.change(|state| {
            state.signs.insert(sign);
        });
    }

    /// Waits until `done` says so; it is asked once per change and may take what it finds.
    fn wait_until(&self, timeout: Duration, mut done: impl FnMut(&mut State) -> bool) -> bool {
        let mut is_done = false;
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, timeout, |state| {
            is_done = done(state);
            !is_done
        });
        drop(waited);
        is_done
    }

    /// Kills the cell and notes why, unless it has ended.
    fn kill(&self, why: Sign) {
        let mut state = self.state();
        if state.ended.is_none() && state.exited.is_none() {
            state.signs.insert(why);
        }
        drop(state);
        self.hold.kill();
    }

    fn command(&self, command: &Command) -> Result<(), SandboxError> {
        let doing = || format!("asking PID 1 of cell `{}`", self.name);
        let bytes = serde_json::to_vec(command).map_err(std::io::Error::from).doing(doing)?;
        self.supervisor.send(&bytes, &[])
    }

    /// Sends a message to the program.
    pub(crate) fn send(&self, line: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), SandboxError> {
        self.control.send(line, descriptors)
    }

    /// Whether PID 1 holds trials to their limits, because there is no group to do it.
    pub(crate) fn watches_memory(&self) -> bool {
        !self.hold.has_group()
    }

    /// Has PID 1 hold a trial to its memory; `pid` as the cell sees it.
    pub(crate) fn watch(&self, trial: u32, pid: i32, memory_bytes: u64) -> Result<(), SandboxError> {
        self.command(&Command::Watch { trial, pid, memory_bytes })?;
        if self.wait_until(ANSWER_TIME_MAX, |state| state.watched.remove(&trial) || state.ended.is_some()) {
            return Ok(());
        }
        Err(SandboxError::new("placing a trial under its limits", SandboxErrorKind::Timeout(ANSWER_TIME_MAX)))
    }

    /// Has PID 1 clear a trial away.
    pub(crate) fn sweep(&self, trial: u32) -> Option<Swept> {
        self.command(&Command::Sweep { trial }).ok()?;
        let mut found = None;
        self.wait_until(ANSWER_TIME_MAX, |state| {
            found = found.or_else(|| state.swept.remove(&trial));
            found.is_some() || state.ended.is_some()
        });
        found
    }

    /// Minds the clock of a trial.
    pub(crate) fn add_leaf(&self, trial: u32, leaf: &Arc<LeafWatch>) {
        self.change(|state| drop(state.leaves.insert(trial, Arc::clone(leaf))));
    }

    /// Forgets a trial. Returns whether its memory limit was hit as far as PID 1 saw.
    pub(crate) fn remove_leaf(&self, trial: u32) -> bool {
        let mut state = self.state();
        state.leaves.remove(&trial);
        state.trials_over.remove(&trial)
    }

    /// Kills the whole cell because a part of it cannot be cleared away.
    pub(crate) fn give_up(&self) {
        self.kill(Sign::Stuck);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state().ended.is_some()
    }

    fn report(&self) -> CellReport {
        let state = self.state();
        let ended = state.ended.unwrap_or_else(|| Ended {
            wall_s: self.begun.elapsed().as_secs_f64(),
            cpu_s: 0.0,
            counters: self.hold.counters(),
        });
        let (code, signal) = state.exited.unwrap_or_default();
        CellReport {
            verdict: self.verdict(&state, &ended.counters),
            code,
            signal,
            wall_s: ended.wall_s,
            cpu_s: if self.hold.has_group() { ended.counters.cpu_s } else { ended.cpu_s },
            memory_peak_bytes: ended.counters.memory_peak_bytes,
            output_bytes: state.log.total_bytes(),
            log: state.log.clone(),
        }
    }

    /// Limits first: a program that was stopped by one may still have exited with 0.
    fn verdict(&self, state: &State, counters: &Counters) -> Verdict {
        let seen = |sign: Sign| state.signs.contains(&sign);
        if state.ended.is_none() || seen(Sign::Stuck) {
            return Verdict::Stuck;
        }
        if seen(Sign::Flood) {
            return Verdict::OutputFlood;
        }
        if seen(Sign::Over) || counters.oom_kills > 0 {
            return Verdict::Oom;
        }
        if seen(Sign::Full) {
            return Verdict::Quota;
        }
        if seen(Sign::Timeout) {
            return Verdict::Timeout;
        }
        let Some((code, signal)) = state.exited else {
            return Verdict::Killed;
        };
        match Verdict::from_exit(code, signal) {
            Verdict::Error(_) if counters.pids_refused > 0 => Verdict::Pids,
            Verdict::Error(_) if self.out_is_full() => Verdict::Quota,
            Verdict::Signal(libc::SIGTERM) if seen(Sign::Asked) => Verdict::Killed,
            Verdict::Signal(libc::SIGKILL) if seen(Sign::Killed) => Verdict::Killed,
            other => other,
        }
    }

    fn has(&self, sign: Sign) -> bool {
        self.state().signs.contains(&sign)
    }

    fn out_is_full(&self) -> bool {
        rustix::fs::fstatfs(&self.out).is_ok_and(|stat| stat.f_bavail == 0 || stat.f_ffree == 0)
    }
}

/// The thread that sees a cell through to its end.
struct Watcher {
    core: Arc<Core>,
    log: OwnedFd,
}

impl Watcher {
    fn run(self) {
        let mut log_open = rustix::io::ioctl_fionbio(&self.log, true).is_ok();
        let mut supervised = true;
        let mut deadline = self.core.limits.wall.map(|wall| self.core.begun + wall);
        let mut killed_at: Option<Instant> = None;
        loop {
            let (log_ready, spoken, over) =
                self.wait(log_open, supervised, deadline.is_some() || killed_at.is_some());
            if log_ready && log_open {
                log_open = self.read_log();
            }
            if spoken && supervised {
                supervised = self.hear();
            }
            if over {
                break;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                deadline = self.out_of_time();
            }
            self.mind_trials();
            let dying = [Sign::Killed, Sign::Flood, Sign::Stuck].iter().any(|sign| self.core.has(*sign));
            if dying || !supervised {
                let since = *killed_at.get_or_insert_with(Instant::now);
                if since.elapsed() > KILL_TIME_MAX {
                    // Killed, but still there: it is left to the kernel, and said.
                    return self.close();
                }
            }
        }
        self.end(log_open);
    }

    /// Waits for something to happen. Returns whether there is log, a word of PID 1, the end.
    fn wait(&self, log_open: bool, supervised: bool, hurry: bool) -> (bool, bool, bool) {
        let leaves = !self.core.state().leaves.is_empty();
        let timeout = if hurry || leaves { TICK } else { Duration::from_secs(1) };
        // A closed end is always ready, so it must not be asked again.
        let wanted = |open: bool| if open { PollFlags::IN } else { PollFlags::empty() };
        let mut ready = vec![PollFd::from_borrowed_fd(self.core.hold.over(), PollFlags::IN)];
        if log_open {
            ready.push(PollFd::new(&self.log, wanted(log_open)));
        }
        if supervised {
            ready.push(PollFd::new(&self.core.supervisor, wanted(supervised)));
        }
        let _ = poll(&mut ready, Some(&timespec(timeout)));
        let mut seen = ready.iter().map(|each| !each.revents().is_empty());
        let over = seen.next().unwrap_or(false);
        let log = log_open && seen.next().unwrap_or(false);
        (log, supervised && seen.next().unwrap_or(false), over)
    }

    /// Reads what there is of the log, a bounded amount at a time. Returns whether there can be more.
    fn read_log(&self) -> bool {
        let mut piece = [0_u8; 16 * 1024];
        match rustix::io::read(&self.log, &mut piece) {
            Ok(0) => false,
            Ok(got) => {
                let mut state = self.core.state();
                state.log.push(&piece[..got]);
                let flood = state.log.total_bytes() > self.core.limits.output_bytes;
                drop(state);
                if flood {
                    self.core.kill(Sign::Flood);
                }
                !flood
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
            Err(_) => false,
        }
    }

    /// Takes one event of PID 1. Returns whether there can be more.
    fn hear(&self) -> bool {
        let Ok(Some(message)) = self.core.supervisor.recv(TICK) else {
            return false;
        };
        let Ok(event) = serde_json::from_slice::<Event>(&message.bytes) else {
            return true;
        };
        self.core.change(|state| state.take_in(&event));
        if matches!(event, Event::Exited { .. }) {
            // Where somebody else owns the group it goes away with PID 1, which waits for this word.
            self.core.hold.counters();
            let _ = self.core.command(&Command::Leave);
        }
        true
    }

    /// The cell's time is up: first politely, then for good. Returns when to look again.
    fn out_of_time(&self) -> Option<Instant> {
        let mut state = self.core.state();
        let first = state.signs.insert(Sign::Timeout);
        drop(state);
        if first && !self.core.limits.grace.is_zero() {
            let _ = self.core.command(&Command::Terminate);
            return Some(Instant::now() + self.core.limits.grace);
        }
        self.core.kill(Sign::Killed);
        None
    }

    fn mind_trials(&self) {
        let leaves: Vec<_> = self.core.state().leaves.values().cloned().collect();
        for leaf in leaves {
            leaf.mind();
        }
    }

    /// Everything is gone: take the rest of the log, count, clear away.
    fn end(self, mut log_open: bool) {
        let rest = Instant::now() + LOG_REST_TIME_MAX;
        while log_open && Instant::now() < rest {
            let _ = poll(&mut [PollFd::new(&self.log, PollFlags::IN)], Some(&timespec(TICK)));
            log_open = self.read_log();
        }
        while self.hear() {}
        self.close();
    }

    /// Counts, clears away, and lets everybody know.
    fn close(self) {
        let counters = self.core.hold.counters();
        let Cleared { clean, cpu_s } = self.core.hold.clear();
        let wall_s = self.core.begun.elapsed().as_secs_f64();
        self.core.change(|state| {
            if !clean {
                state.signs.insert(Sign::Stuck);
            }
            state.ended = Some(Ended { wall_s, cpu_s, counters });
        });
    }
}
