//! How cells and trials ended. The exit code is evidence, not the verdict.

use crate::log::CappedLog;
use serde::{Deserialize, Serialize};

/// How a cell or a trial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing out of order was seen. For a trial the exit status itself is told by the zygote's `exited` line.
    Ok,
    /// The program ended with this exit code.
    Error(i32),
    /// The program was ended by this signal, not by us.
    Signal(i32),
    /// The kernel or the memory watch killed a process because the memory limit was reached.
    Oom,
    /// The wall clock limit was reached.
    Timeout,
    /// A file or the folder `/out` reached its size limit.
    Quota,
    /// Standard output and error exceeded their limit.
    OutputFlood,
    /// The limit of processes was hit and the program failed.
    Pids,
    /// The owner ended it.
    Killed,
    /// Processes were still there after every kind of kill.
    Stuck,
}

impl Verdict {
    /// The verdict for an exit status in which nothing else was seen.
    pub fn from_exit(code: Option<i32>, signal: Option<i32>) -> Self {
        match (code, signal) {
            (_, Some(libc::SIGXFSZ)) => Self::Quota,
            (_, Some(signal)) => Self::Signal(signal),
            (Some(0), None) => Self::Ok,
            (Some(code), None) => Self::Error(code),
            (None, None) => Self::Killed,
        }
    }
}

/// How a cell ended and what it used.
#[derive(Debug, Clone, PartialEq)]
pub struct CellReport {
    /// How it ended.
    pub verdict: Verdict,
    /// Exit code of the program, if it exited.
    pub code: Option<i32>,
    /// Signal that ended the program, if one did.
    pub signal: Option<i32>,
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Processor seconds of all processes.
    pub cpu_s: f64,
    /// Largest memory of all processes together in bytes; 0 where nothing measured it.
    pub memory_peak_bytes: u64,
    /// Bytes written to standard output and error.
    pub output_bytes: u64,
    /// What was kept of them.
    pub log: CappedLog,
}

/// How a trial ended and what it used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LeafReport {
    /// How it ended.
    pub verdict: Verdict,
    /// Processor seconds of all its processes.
    pub cpu_s: f64,
    /// Largest memory of all its processes together in bytes; 0 where nothing measured it.
    pub memory_peak_bytes: u64,
    /// Seconds from fork to finish.
    pub wall_s: f64,
    /// Processes that had outlived the trial and were killed.
    pub survivors: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_outweighs_a_code() {
        assert_eq!(Verdict::from_exit(Some(0), None), Verdict::Ok);
        assert_eq!(Verdict::from_exit(Some(3), None), Verdict::Error(3));
        assert_eq!(Verdict::from_exit(None, Some(libc::SIGSEGV)), Verdict::Signal(11));
        assert_eq!(Verdict::from_exit(None, Some(libc::SIGXFSZ)), Verdict::Quota);
    }
}
