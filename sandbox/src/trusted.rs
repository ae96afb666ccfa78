//! Child processes outside cells, for our own set-up commands and for commands that the user typed. Never for generated code.
//!
//! A command gets a scrubbed environment: what finding programs, certificates and package indexes needs, and no keys. Its
//! output arrives line by line; it has a time limit; it can be called off; whatever happens, its process group is killed at
//! the end.

pub mod environment;

use crate::channel::timespec;
use crate::error::{Doing as _, SandboxError, SandboxErrorKind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal};
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest line that is kept in one piece.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines that are kept for an error message.
const TAIL_LINES: usize = 40;
/// How often the caller is asked whether to go on while nothing is printed.
const TICK: Duration = Duration::from_millis(100);
/// Time for the rest of the output once the command itself has ended: a child of it may hold the pipe.
const REST_TIME_MAX: Duration = Duration::from_secs(2);

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

    /// Runs it to its end. `watch` hears each line and may call it off with [`ControlFlow::Break`].
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
        let command = self.command(output_end, complaints_end);
        let mut running = Running { child: { command }.spawn().doing(doing)? };
        let mut output = Output {
            streams: std::iter::once(Stream::new(output, false)).chain(complaints).collect(),
            tail: VecDeque::new(),
        };
        let mut ended: Option<(std::process::ExitStatus, Instant)> = None;
        loop {
            if begun.elapsed() > self.timeout {
                return Err(SandboxError::new(doing(), SandboxErrorKind::Timeout(self.timeout)));
            }
            if output.wait_and_tell(watch).is_break() {
                return Err(SandboxError::new(doing(), SandboxErrorKind::Closed));
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
        }
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
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(group) = Pid::from_raw(self.child.id() as i32) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
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
