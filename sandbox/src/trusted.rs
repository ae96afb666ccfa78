//! Child processes outside cells, for our own set-up commands and for commands that the user typed. Never for generated code.
//!
//! A command gets a scrubbed environment: what finding programs, certificates and package indexes needs, and no keys. Its
//! output arrives line by line; it has a time limit; it can be called off. A command of the user is asked to end before it is
//! killed, so that it can put things in order. Whatever happens, its process group is killed at the end, also when this
//! process ends first, and however that ends.

pub mod environment;

use crate::channel::timespec;
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal};
use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest line that is kept in one piece.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines that are kept for an error message.
const TAIL_LINES: usize = 40;
/// How often the caller is asked whether to go on while nothing is printed.
const TICK: Duration = Duration::from_millis(100);
/// Time for the rest of the output once the command itself has ended: a child of it may hold the pipe.
const REST_TIME_MAX: Duration = Duration::from_secs(2);
/// Time for a command of the user to end once it was asked to.
const GRACE: Duration = Duration::from_secs(5);
/// What a [`Guard`] does: learns the group, waits for the end of its input, then asks the group to end, waits for that as many
/// seconds as its argument says, and kills what is left. `kill` without `--`: not every shell takes both.
const GUARD: &str = r#"
trap '' HUP INT TERM
read -r group || exit
read -r never
left=$1
[ "$left" -eq 0 ] || kill -TERM "-$group"
while [ "$left" -gt 0 ]; do
  kill -0 "-$group" || exit
  sleep 1
  left=$((left - 1))
done
kill -KILL "-$group"
"#;
/// Whether nothing waits any more for commands that were asked to end.
static HURRIED: AtomicBool = AtomicBool::new(false);

/// Variables that a set-up command inherits.
const INHERITED: [&str; 26] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CONFIG_FILE",
    "UV_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_CACHE_DIR",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PYENV_ROOT",
];

/// From now on no command of this process is given time to end: those that were asked to are killed at once.
pub fn hurry() {
    HURRIED.store(true, Ordering::Relaxed);
}

/// Something that happened while a command ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// It printed a line: to standard output or, unless that is [kept apart](TrustedCommand::keep_apart), to standard error.
    Line(&'a str),
    /// It printed a line to standard error, which is kept apart.
    Complaint(&'a str),
    /// Nothing; a chance to call it off.
    Tick,
}

/// A command to be run outside any cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedCommand {
    program: PathBuf,
    arguments: Vec<String>,
    env: BTreeMap<String, String>,
    folder: Option<PathBuf>,
    timeout: Duration,
    inherits_all: bool,
    keeps_apart: bool,
    grace: Option<Duration>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustedOutcome {
    /// Exit code, if it exited.
    pub code: Option<i32>,
    /// Signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Its last lines.
    pub tail: Vec<String>,
    /// Seconds that it took.
    pub wall_s: f64,
}

impl TrustedOutcome {
    /// Whether it exited with 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

impl TrustedCommand {
    /// A command without arguments and with a time limit of an hour. `program` is a path or a name to be found in `PATH`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            env: BTreeMap::new(),
            folder: None,
            timeout: Duration::from_hours(1),
            inherits_all: false,
            keeps_apart: false,
            grace: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets its working folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Lets it see the whole environment of this process: for commands that the user typed, which would see it anyway.
    #[must_use]
    pub fn inherit_environment(mut self) -> Self {
        self.inherits_all = true;
        self
    }

    /// Tells lines of standard error as [`Progress::Complaint`] rather than [`Progress::Line`].
    #[must_use]
    pub fn keep_apart(mut self) -> Self {
        self.keeps_apart = true;
        self
    }

    /// Sets its time limit.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long it may take to end when it ran out of time or was called off: its whole group gets SIGTERM, and what is left
    /// of it after that time SIGKILL. With none it is killed at once.
    ///
    /// Without a word about it, a command that [sees the whole environment](Self::inherit_environment) gets 5 seconds, since
    /// the user's script may have a server to stop. Any other gets none: what a set-up command leaves half-made is thrown
    /// away and made anew, so that it has nothing to put in order. What has moved to a group of its own, as daemons do, is
    /// only ended by the command itself.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// Runs it to its end. `watch` hears each line and may call it off with [`ControlFlow::Break`]. While a command that was called
    /// off or ran out of time is given time to end, `watch` hears [`Progress::Tick`] alone, and its answer changes nothing.
    ///
    /// # Errors
    /// It could not be started, took longer than allowed, or was called off ([`SandboxErrorKind::Closed`]). An exit code other
    /// than 0 is an outcome, not an error.
    pub fn run(
        &self,
        watch: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) -> Result<TrustedOutcome, SandboxError> {
        let doing = || format!("running {}", self.program.display());
        let begun = Instant::now();
        let (output, output_end) = pipe().doing(doing)?;
        let (complaints, complaints_end) = if self.keeps_apart {
            let (complaints, end) = pipe().doing(doing)?;
            (Some(Stream::new(complaints, true)), end)
        } else {
            (None, output_end.try_clone().doing(doing)?)
        };
        let grace = self.grace.unwrap_or(if self.inherits_all { GRACE } else { Duration::ZERO });
        let command = self.command(output_end, complaints_end);
        let guard = Guard::start(grace);
        let mut running = Running::new({ command }.spawn().doing(doing)?, guard);
        let mut output = Output {
            streams: std::iter::once(Stream::new(output, false)).chain(complaints).collect(),
            tail: VecDeque::new(),
        };
        let mut ended: Option<(std::process::ExitStatus, Instant)> = None;
        let why = loop {
            if begun.elapsed() > self.timeout {
                break SandboxErrorKind::Timeout(self.timeout);
            }
            if output.wait_and_tell(watch).is_break() {
                break SandboxErrorKind::Closed;
            }
            match &ended {
                None => ended = running.child.try_wait().doing(doing)?.map(|status| (status, Instant::now())),
                Some((status, at)) if output.at_end() || at.elapsed() > REST_TIME_MAX => {
                    return Ok(TrustedOutcome {
                        code: status.code(),
                        signal: status.signal(),
                        tail: output.tail.into(),
                        wall_s: begun.elapsed().as_secs_f64(),
                    });
                }
                Some(_) => {}
            }
        };
        if !grace.is_zero() {
            running.end_politely(grace, &mut output, watch);
        }
        Err(SandboxError::new(doing(), why))
    }

    fn command(&self, output: OwnedFd, complaints: OwnedFd) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        if !self.inherits_all {
            // Lower-case spellings of proxies are as common as the upper-case ones.
            let inherited = |name: &String| {
                INHERITED.contains(&name.as_str()) || INHERITED.contains(&name.to_uppercase().as_str())
            };
            command.env_clear().envs(std::env::vars().filter(|(name, _)| inherited(name)));
        }
        command.envs(&self.env);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        // A group of its own, so that its children can be ended with it.
        command.process_group(0).stdin(Stdio::null()).stdout(output).stderr(complaints);
        command
    }
}

/// A pipe whose reading end never blocks and whose ends no other child inherits.
fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    Ok((reader, writer))
}

/// A command that runs; dropped, its whole group is killed.
struct Running {
    child: Child,
    /// Kills it where this process cannot.
    _guard: Option<Guard>,
}

impl Running {
    fn new(child: Child, mut guard: Option<Guard>) -> Self {
        if let Some(guard) = &mut guard {
            guard.tell(child.id());
        }
        Self { child, _guard: guard }
    }

    /// Sends a signal to the whole group.
    fn signal(&self, signal: Signal) {
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    /// Asks the whole group to end and waits until it has, at most for the time given. What it prints is read, so that it never
    /// waits for us, but told to nobody.
    fn end_politely(
        &mut self,
        grace: Duration,
        output: &mut Output,
        watch: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>,
    ) {
        let asked = Instant::now();
        self.signal(Signal::TERM);
        while asked.elapsed() < grace && !HURRIED.load(Ordering::Relaxed) && !self.is_over() {
            let _ = output.wait_and_tell(&mut |_| {
                let _ = watch(Progress::Tick);
                ControlFlow::Continue(())
            });
        }
    }

    /// Whether nothing of the group runs any more.
    fn is_over(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_))) && !has_living(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A shell that ends a command's group when this process is no more: the kernel closes the pipe that the shell reads, also
/// after a SIGKILL. A signal that comes with a parent's death would reach the command alone, not what it has started.
struct Guard {
    shell: Child,
}

impl Guard {
    /// Starts it, to be told the group later. Where there is no shell, there is none of this either.
    fn start(grace: Duration) -> Option<Self> {
        let seconds = grace.as_secs_f64().ceil() as u64;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GUARD, "guard"]).arg(seconds.to_string());
        // Its pauses need a program.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        // In a group of its own it hears neither the terminal's Ctrl-C nor what the command's group is sent.
        command.current_dir("/").process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok().map(|shell| Self { shell })
    }

    /// Tells it the group. The command runs already, unguarded for as long as this takes.
    fn tell(&mut self, group: u32) {
        if let Some(pipe) = &mut self.shell.stdin {
            let _ = pipe.write_all(format!("{group}\n").as_bytes());
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Killed before its pipe closes, so that it never acts on a group that has ended in the usual way.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Whether a process of the group runs. One that has ended and that nobody has collected is none: in a container there may be
/// nobody who ever does.
fn has_living(group: u32) -> bool {
    // Without a process table it has to be believed that something does.
    let Ok(entries) = std::fs::read_dir("/proc") else { return true };
    let mut stats =
        entries.flatten().filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    stats.any(|stat| lives_in(group, &stat))
}

/// Whether a line of the process table is about a living process of the group. The name in it may contain anything, so fields are
/// counted from its end.
fn lives_in(group: u32, stat: &str) -> bool {
    let mut fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    let (state, parent, own) = (fields.next(), fields.next(), fields.next());
    let lives = parent.is_some() && !matches!(state, Some("Z" | "X"));
    lives && own.and_then(|own| own.parse::<u32>().ok()) == Some(group)
}

/// All that a command prints, cut into lines.
struct Output {
    streams: Vec<Stream>,
    tail: VecDeque<String>,
}

/// One output of a command.
struct Stream {
    pipe: OwnedFd,
    is_complaint: bool,
    partial: Vec<u8>,
    at_end: bool,
}

impl Stream {
    fn new(pipe: OwnedFd, is_complaint: bool) -> Self {
        Self { pipe, is_complaint, partial: Vec::new(), at_end: false }
    }

    /// The lines that can be read now without waiting.
    fn lines(&mut self) -> Vec<String> {
        let mut piece = [0_u8; 16 * 1024];
        let mut lines = Vec::new();
        match rustix::io::read(&self.pipe, &mut piece) {
            Ok(0) => {
                self.at_end = true;
                if !self.partial.is_empty() {
                    lines.push(self.cut());
                }
            }
            Ok(got) => {
                for byte in &piece[..got] {
                    match byte {
                        // Progress bars end their lines with a carriage return.
                        b'\n' | b'\r' if self.partial.is_empty() => {}
                        b'\n' | b'\r' => lines.push(self.cut()),
                        other => {
                            self.partial.push(*other);
                            if self.partial.len() >= LINE_BYTES_MAX {
                                lines.push(self.cut());
                            }
                        }
                    }
                }
            }
            Err(_) => {}
        }
        lines
    }

    fn cut(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned()
    }
}

impl Output {
    fn at_end(&self) -> bool {
        self.streams.iter().all(|stream| stream.at_end)
    }

    fn wait_and_tell(&mut self, watch: &mut dyn FnMut(Progress<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        if self.at_end() {
            std::thread::sleep(TICK / 10);
            return watch(Progress::Tick);
        }
        let open: Vec<usize> = (0..self.streams.len()).filter(|place| !self.streams[*place].at_end).collect();
        let ready: Vec<usize> = {
            let mut watched: Vec<PollFd<'_>> =
                open.iter().map(|place| PollFd::new(&self.streams[*place].pipe, PollFlags::IN)).collect();
            if poll(&mut watched, Some(&timespec(TICK))).unwrap_or(0) == 0 {
                return watch(Progress::Tick);
            }
            open.iter()
                .zip(&watched)
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(place, _)| *place)
                .collect()
        };
        for place in ready {
            let is_complaint = self.streams[place].is_complaint;
            for line in self.streams[place].lines() {
                let answer =
                    watch(if is_complaint { Progress::Complaint(&line) } else { Progress::Line(&line) });
                self.tail.push_back(line);
                if self.tail.len() > TAIL_LINES {
                    self.tail.pop_front();
                }
                answer?;
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// Names the folder that is shared with a test in a process of its own.
    const FOLDER: &str = "ANSATZ_TEST_TRUSTED_FOLDER";
    /// Traps that put things in order, and that hear nothing.
    const ORDERLY: &str = "trap 'echo ended > ended; exit' TERM";
    const DEAF: &str = "trap '' TERM";
    /// Runs until it is ended, as two processes; tells its group before.
    const LAST: &str = "sleep 60 & echo $$ > half; mv half group; echo ready; wait";

    fn shell(script: &str) -> TrustedCommand {
        TrustedCommand::new("/bin/sh").args(["-c", script]).timeout(Duration::from_secs(10))
    }

    fn lines_of(command: &TrustedCommand) -> (TrustedOutcome, Vec<String>) {
        let mut seen = Vec::new();
        let outcome = command.run(&mut |progress| {
            if let Progress::Line(line) = progress {
                seen.push(line.to_owned());
            }
            ControlFlow::Continue(())
        });
        (outcome.unwrap(), seen)
    }

    #[test]
    fn lines_of_both_outputs_arrive_and_the_code_is_told() {
        let (outcome, seen) = lines_of(&shell("echo one; echo two >&2; printf three; exit 3"));
        assert_eq!(seen, ["one", "two", "three"]);
        assert_eq!((outcome.code, outcome.succeeded()), (Some(3), false));
        assert_eq!(outcome.tail, seen);
    }

    #[test]
    fn complaints_can_be_kept_apart() {
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let outcome = shell("echo one; echo two >&2; echo three").keep_apart().run(&mut |progress| {
            match progress {
                Progress::Line(line) => said.push(line.to_owned()),
                Progress::Complaint(line) => complained.push(line.to_owned()),
                Progress::Tick => {}
            }
            ControlFlow::Continue(())
        });
        assert!(outcome.unwrap().succeeded());
        assert_eq!((said, complained), (vec!["one".to_owned(), "three".to_owned()], vec!["two".to_owned()]));
    }

    #[test]
    fn a_command_of_the_user_sees_what_the_user_sees() {
        let (_, seen) = lines_of(&shell("env").inherit_environment());
        let all: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
        let names: Vec<&str> =
            seen.iter().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        assert!(all.iter().all(|name| names.contains(&name.as_str())), "{names:?} lacks some of {all:?}");
    }

    #[test]
    fn keys_are_not_inherited() {
        let (_, seen) = lines_of(&shell("env").env("GIVEN", "yes"));
        let strangers: Vec<_> = seen
            .iter()
            .filter_map(|line| line.split_once('=').map(|(name, _)| name))
            .filter(|name| {
                !INHERITED.contains(name) && !["GIVEN", "PWD", "SHLVL", "_", "OLDPWD"].contains(name)
            })
            .collect();
        assert!(strangers.is_empty(), "{strangers:?}");
        assert!(seen.contains(&"GIVEN=yes".to_owned()));
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_with_its_children() {
        let begun = Instant::now();
        let command = shell("sleep 60 & sleep 60").timeout(Duration::from_millis(200));
        let error = command.run(&mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.is_timeout());
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_command_can_be_called_off() {
        let error = shell("sleep 60").run(&mut |_| ControlFlow::Break(())).unwrap_err();
        assert!(matches!(error.kind(), SandboxErrorKind::Closed));
    }

    /// A command of the user in a folder of its own.
    fn bench(trap: &str, folder: &Path) -> TrustedCommand {
        shell(&format!("{trap}; {LAST}")).folder(folder).inherit_environment()
    }

    /// Calls a command off as soon as it is ready: what came of it, and how often it was asked after that.
    fn call_off(command: &TrustedCommand) -> (SandboxError, u32) {
        let (mut is_off, mut asked_since) = (false, 0);
        let outcome = command.run(&mut |progress| {
            asked_since += u32::from(is_off);
            is_off |= progress == Progress::Line("ready");
            if is_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        (outcome.unwrap_err(), asked_since)
    }

    fn in_time(mut happened: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while !happened() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(TICK / 10);
        }
        happened()
    }

    fn group_in(folder: &Path) -> Option<u32> {
        std::fs::read_to_string(folder.join("group")).ok()?.trim().parse().ok()
    }

    /// A test that is left out otherwise, in a process of its own.
    fn apart(test: &str, folder: &Path) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact"]).arg(format!("trusted::tests::{test}"));
        command.env(FOLDER, folder).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    #[test]
    fn a_command_of_the_user_that_takes_too_long_puts_things_in_order() {
        let (folder, begun) = (tempfile::tempdir().unwrap(), Instant::now());
        let command = bench(ORDERLY, folder.path()).timeout(Duration::from_secs(2));
        let error =
            command.grace(Duration::from_secs(50)).run(&mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.is_timeout());
        assert!(folder.path().join("ended").exists(), "its trap did not run");
        assert!(begun.elapsed() < Duration::from_secs(30), "a group that has ended is not waited for");
    }

    #[test]
    fn a_command_of_the_user_that_is_called_off_puts_things_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let (error, _) = call_off(&bench(ORDERLY, folder.path()));
        assert!(matches!(error.kind(), SandboxErrorKind::Closed));
        assert!(folder.path().join("ended").exists(), "its trap did not run");
    }

    #[test]
    fn a_command_that_will_not_end_is_killed_with_its_children_after_its_grace() {
        let (folder, begun) = (tempfile::tempdir().unwrap(), Instant::now());
        let grace = Duration::from_millis(600);
        let (error, asked_since) = call_off(&bench(DEAF, folder.path()).grace(grace));
        assert!(matches!(error.kind(), SandboxErrorKind::Closed));
        assert!(begun.elapsed() >= grace && begun.elapsed() < Duration::from_secs(20));
        assert!(asked_since >= 2, "asked {asked_since} times while it was given time");
        let group = group_in(folder.path()).unwrap();
        assert!(in_time(|| !has_living(group)), "something of it is left");
    }

    #[test]
    fn a_set_up_command_is_killed_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (error, asked_since) = call_off(&shell(&format!("{ORDERLY}; {LAST}")).folder(folder.path()));
        assert!(matches!(error.kind(), SandboxErrorKind::Closed));
        assert_eq!((asked_since, folder.path().join("ended").exists()), (0, false));
    }

    #[test]
    #[ignore = "runs in a process of its own, which another test kills"]
    fn a_host_to_be_killed() {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
        let command = bench(ORDERLY, &folder).timeout(Duration::from_mins(1));
        let outcome = command.run(&mut |_| ControlFlow::Continue(()));
        panic!("it ended by itself: {outcome:?}");
    }

    #[test]
    fn a_command_ends_with_its_children_when_its_host_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut host = apart("a_host_to_be_killed", folder.path()).spawn().unwrap();
        let is_running = in_time(|| group_in(folder.path()).is_some_and(has_living));
        host.kill().unwrap();
        host.wait().unwrap();
        assert!(is_running, "it never ran");
        let group = group_in(folder.path()).unwrap();
        assert!(in_time(|| !has_living(group)), "something of it is left");
        assert!(folder.path().join("ended").exists(), "its trap did not run");
    }

    #[test]
    #[ignore = "runs in a process of its own: what it does holds for all commands of a process"]
    fn a_host_in_a_hurry() {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
        let (mut is_off, begun) = (false, Instant::now());
        let outcome = bench(DEAF, &folder).grace(Duration::from_secs(50)).run(&mut |progress| {
            if is_off {
                hurry();
            }
            is_off |= progress == Progress::Line("ready");
            if is_off { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(outcome.unwrap_err().kind(), SandboxErrorKind::Closed));
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::fs::write(folder.join("done"), "").unwrap();
    }

    #[test]
    fn who_is_in_a_hurry_waits_for_no_command() {
        let folder = tempfile::tempdir().unwrap();
        let status = apart("a_host_in_a_hurry", folder.path()).status().unwrap();
        assert!(status.success() && folder.path().join("done").exists(), "{status}");
    }

    #[test]
    fn the_living_of_a_group_are_told_by_the_process_table() {
        assert!(lives_in(70, "71 (bench) S 70 70 1 0 -1"));
        assert!(lives_in(70, "71 (odd) Z 1 2) R 1 70 1 0 -1"), "a name is no field");
        assert!(!lives_in(70, "71 (bench) Z 1 70 1 0 -1"), "it has ended");
        assert!(!lives_in(70, "70 (bench) S 70 71 70 0 -1"), "another group's");
        assert!(!lives_in(70, "cpu 70 70 70"));
    }

    #[test]
    fn a_child_that_holds_the_output_does_not_hold_us() {
        let begun = Instant::now();
        let (outcome, _) = lines_of(&shell("sleep 30 & echo done"));
        assert!(outcome.succeeded() && begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = TrustedCommand::new("/nowhere/uv").run(&mut |_| ControlFlow::Continue(())).unwrap_err();
        assert!(error.to_string().contains("/nowhere/uv"));
    }
}
