//! The supervisor of a cell: furnishes it, starts the program, reaps, watches what no one else does, and ends.
//!
//! It ends when the program does, when the host closes its channel, or when it is killed. Normally it is PID 1, and when that
//! ends, the kernel kills everything in the cell; where the host allows no name space for processes it adopts the orphans
//! and kills everything itself. It trusts nothing that the program does: it reads no file that the program can write.

use super::furnish::Linux;
use super::memory::{Limit, TRIALS_ONLY, Watch, kill_descendants};
use super::order::{Command, Event, Order, Walls, WatchedMemory};
use super::payload::{self, Word};
use super::quota::Quota;
use super::sequence::{StepError, furnish, perform_all};
use super::{tell, tell_failure};
use crate::channel::{Channel, timespec};
use crate::linux;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, pidfd_open};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

/// How often memory is looked at where PID 1 has to do it.
const WATCH_EVERY: Duration = Duration::from_millis(50);
/// How often the writable folders are looked at where they have to be; a walk through a large one takes its time.
const QUOTA_EVERY: Duration = Duration::from_millis(100);
/// The exit code of a supervisor that could not clear everything away.
const LEFT_OVER: i32 = 3;
/// How often PID 1 wakes when nothing happens.
const IDLE: Duration = Duration::from_secs(5);
/// Time for the host to read a container's counters before the engine takes them away.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(2);
/// Time for the program's process to lock itself and start.
const START_TIME_MAX: Duration = Duration::from_secs(20);

/// Runs as PID 1 until the cell is over. Returns its exit code.
pub(crate) fn run(supervisor: Channel, order: &Order, mut kernel: Linux, control: OwnedFd) -> i32 {
    match begin(order, &mut kernel, control) {
        Err(error) => tell_failure(&supervisor, error),
        Ok(started) => {
            drop(kernel);
            let descriptors = [started.out.as_fd(), started.own.as_fd()];
            tell(&supervisor, &Event::Ready { landlock: started.landlock }, &descriptors);
            // The host keeps them; PID 1 has no use for them.
            drop((started.out, started.own));
            let watch = match order.watched.memory {
                WatchedMemory::Nobodys => None,
                WatchedMemory::Trials => Some(Watch::new(started.program, TRIALS_ONLY)),
                WatchedMemory::Everybodys => Some(Watch::new(started.program, order.limits.memory_bytes)),
            };
            let mut init = Init {
                supervisor,
                program: started.program,
                watch,
                quota: started.quota,
                quota_looked: Instant::now(),
                bare: order.walls.are_bare(),
                awaited: matches!(order.walls, Walls::Container { .. }),
            };
            let code = init.look_after(&started.signals);
            if init.bare && !kill_descendants(rustix::process::getpid().as_raw_nonzero().get()) {
                return LEFT_OVER;
            }
            code
        }
    }
}

struct Started {
    program: Pid,
    out: OwnedFd,
    own: OwnedFd,
    signals: OwnedFd,
    quota: Option<Quota>,
    landlock: String,
}

fn begin(order: &Order, kernel: &mut Linux, control: OwnedFd) -> Result<Started, StepError> {
    let failed = |step: &str, source: io::Error| StepError { step: step.to_owned(), source };
    perform_all(kernel, &furnish(order))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let out = rustix::fs::open(&order.places.out, flags, Mode::empty())
        .map_err(|errno| failed("open the folder for results", errno.into()))?;
    let quota = Quota::new(order).map_err(|error| failed("watch the writable folders", error))?;
    // The host gets a handle of PID 1 from PID 1: by number it might come too late for a very short program.
    let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .map_err(|errno| failed("open a handle of PID 1", errno.into()))?;
    let signals = linux::child_signals().map_err(|error| failed("watch children", error))?;
    let (read_end, write_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| failed("make a pipe", errno.into()))?;
    let Some(program) = linux::fork().map_err(|error| failed("fork the program", error))? else {
        drop((read_end, out, own, signals, quota));
        linux::leave(payload::run(order, kernel, control, write_end));
    };
    drop((write_end, control));
    let landlock = match await_word(read_end) {
        Ok(landlock) => landlock,
        Err(error) => {
            if order.walls.are_bare() {
                kill_descendants(rustix::process::getpid().as_raw_nonzero().get());
            }
            return Err(error);
        }
    };
    Ok(Started { program, out, own, signals, quota, landlock })
}

/// Waits until the program runs or has said why not.
fn await_word(pipe: OwnedFd) -> Result<String, StepError> {
    let failed =
        |message: String| StepError { step: "start the program".into(), source: io::Error::other(message) };
    let mut pipe = std::fs::File::from(pipe);
    let mut said = String::new();
    loop {
        match poll(&mut [PollFd::new(&pipe, PollFlags::IN)], Some(&timespec(START_TIME_MAX))) {
            Ok(0) => return Err(failed("it did not start in time".into())),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(failed(errno.to_string())),
        }
        let mut piece = [0_u8; 4096];
        let got = pipe.read(&mut piece).map_err(|error| failed(error.to_string()))?;
        if got == 0 {
            break;
        }
        said.push_str(&String::from_utf8_lossy(&piece[..got]));
    }
    let mut landlock = None;
    for line in said.lines() {
        match serde_json::from_str(line) {
            Ok(Word::Locked(given)) => landlock = Some(given),
            Ok(Word::Failed { step, message }) => {
                return Err(StepError { step, source: io::Error::other(message) });
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    }
    landlock.ok_or_else(|| failed("it ended before it was locked".into()))
}

struct Init {
    supervisor: Channel,
    program: Pid,
    watch: Option<Watch>,
    quota: Option<Quota>,
    quota_looked: Instant,
    bare: bool,
    /// Whether the host says when it has read what it needs.
    awaited: bool,
}

impl Init {
    fn look_after(&mut self, signals: &OwnedFd) -> i32 {
        let every = if self.watch.is_some() || self.quota.is_some() { WATCH_EVERY } else { IDLE };
        loop {
            let mut ready =
                [PollFd::new(&self.supervisor, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            let waited = poll(&mut ready, Some(&timespec(every)));
            let (spoken, signalled) = (!ready[0].revents().is_empty(), !ready[1].revents().is_empty());
            if matches!(waited, Err(errno) if errno != Errno::INTR) {
                return 2;
            }
            if signalled {
                let mut ignored = [0_u8; 1024];
                let _ = rustix::io::read(signals, &mut ignored);
            }
            if let Some(status) = self.reap() {
                return self.end(status);
            }
            if spoken && !self.obey() {
                return 0;
            }
            self.hold_to_memory();
            self.hold_to_quota();
        }
    }

    /// Collects every ended child. Returns the program's status once it is among them.
    fn reap(&self) -> Option<WaitStatus> {
        let mut program = None;
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if pid == self.program {
                program = Some(status);
            }
        }
        program
    }

    fn end(&mut self, status: WaitStatus) -> i32 {
        // A short program may have done all its writing since the last look.
        self.is_over_quota();
        let exited = Event::Exited { code: status.exit_status(), signal: status.terminating_signal() };
        if self.awaited {
            // Nothing may go on while the host counts. To the kernel, the group of number 1 is everybody in the name space.
            let _ = rustix::process::kill_process_group(Pid::INIT, Signal::KILL);
        }
        tell(&self.supervisor, &exited, &[]);
        if self.awaited {
            // A word or the end of the channel: whatever comes, it is time to go.
            let _ =
                poll(&mut [PollFd::new(&self.supervisor, PollFlags::IN)], Some(&timespec(LEAVE_TIME_MAX)));
        }
        0
    }

    /// Takes one command. Returns whether the host is still there.
    fn obey(&mut self) -> bool {
        let Ok(Some(message)) = self.supervisor.recv(Duration::ZERO.max(Duration::from_millis(10))) else {
            return false;
        };
        match serde_json::from_slice(&message.bytes) {
            Ok(Command::Terminate) => {
                let _ = rustix::process::kill_process(self.program, Signal::TERM);
            }
            Ok(Command::Watch { trial, pid, memory_bytes }) => self.watch_trial(trial, pid, memory_bytes),
            Ok(Command::Sweep { trial }) => self.sweep(trial),
            // Host and helper are the same build: anything else is a bug, and an unsupervised cell must not go on.
            Ok(Command::End | Command::Leave) | Err(_) => return false,
        }
        true
    }

    fn watch_trial(&mut self, trial: u32, pid: i32, memory_bytes: u64) {
        if let (Some(watch), Some(pid)) = (&mut self.watch, Pid::from_raw(pid)) {
            watch.add_trial(trial, pid, Limit { bytes: memory_bytes });
        }
        tell(&self.supervisor, &Event::Watched { trial }, &[]);
    }

    fn sweep(&mut self, trial: u32) {
        let Some(watch) = &mut self.watch else {
            return;
        };
        let swept = watch.sweep(trial);
        let event = Event::Swept {
            trial,
            killed: swept.killed,
            cpu_s: swept.cpu_s,
            memory_peak_bytes: swept.peak_bytes,
            clean: swept.clean,
        };
        tell(&self.supervisor, &event, &[]);
    }

    fn hold_to_memory(&mut self) {
        let Some(watch) = &mut self.watch else {
            return;
        };
        for (trial, bytes) in watch.look() {
            tell(&self.supervisor, &Event::Over { trial, bytes }, &[]);
        }
    }

    fn hold_to_quota(&mut self) {
        if self.quota.is_some() && self.quota_looked.elapsed() >= QUOTA_EVERY {
            if self.is_over_quota() {
                let _ = rustix::process::kill_process(self.program, Signal::KILL);
            }
            self.quota_looked = Instant::now();
        }
    }

    /// Whether the writable folders hold too much; told once.
    fn is_over_quota(&mut self) -> bool {
        let over = self.quota.as_ref().is_some_and(Quota::is_over);
        if over {
            self.quota = None;
            tell(&self.supervisor, &Event::Full, &[]);
        }
        over
    }
}
