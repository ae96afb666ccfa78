//! Memory of a cell's processes, looked at by the supervisor, for hosts without a control group to count it.
//!
//! The supervisor is PID 1 of the cell, or, where the host allows no name spaces, the process that adopts its orphans.
//!
//! Counts resident private memory. A forked trial shares the zygote's pages, so what the zygote held at the fork is
//! subtracted once from the trial's first process; forks of a trial count in full, which errs on the strict side.

use rustix::process::{Pid, Signal, WaitOptions};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Longest time for killing what a trial has left.
const SWEEP_TIME_MAX: Duration = Duration::from_secs(2);
/// Between two rounds of killing, so that killed processes can disappear.
const SWEEP_PAUSE: Duration = Duration::from_millis(2);

/// A limit in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) bytes: u64,
}

/// What a sweep found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Swept {
    pub(crate) killed: u32,
    pub(crate) cpu_s: f64,
    pub(crate) peak_bytes: u64,
    pub(crate) clean: bool,
}

/// One process as its kernel tables show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    pub(crate) started: u64,
    pub(crate) bytes: u64,
    pub(crate) ticks: u64,
    pub(crate) zombie: bool,
}

/// All processes of a cell by id.
pub(crate) type Table = BTreeMap<i32, Process>;

#[derive(Debug)]
struct Trial {
    first: i32,
    started: u64,
    limit: Limit,
    /// What the first process shares with the zygote.
    shared_bytes: u64,
    peak_bytes: u64,
    ticks: u64,
}

/// The limit of a cell whose memory a control group counts: only its trials are watched.
pub(crate) const TRIALS_ONLY: u64 = u64::MAX;
/// What a trial may reserve beyond its limit and a quarter there.
const TRIAL_ROOM_BYTES: u64 = 64 << 20;

/// Holds a cell and its trials to their memory.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The supervisor itself, which everything in the cell descends from.
    root: i32,
    program: i32,
    cell_bytes: u64,
    trials: BTreeMap<u32, Trial>,
}

impl Watch {
    /// Holds everything in the cell together to a limit.
    pub(crate) fn new(program: Pid, cell_bytes: u64) -> Self {
        let (root, program) = (rustix::process::getpid(), program.as_raw_nonzero().get());
        Self { root: root.as_raw_nonzero().get(), program, cell_bytes, trials: BTreeMap::new() }
    }

    /// Holds a trial to a limit from now on.
    pub(crate) fn add_trial(&mut self, trial: u32, first: Pid, limit: Limit) {
        let table = read_table(self.root);
        let first = first.as_raw_nonzero().get();
        let of = |pid: i32| table.get(&pid);
        let shared_bytes =
            of(first).map_or(0, |child| of(child.parent).map_or(0, |zygote| zygote.bytes.min(child.bytes)));
        // A bound that the process cannot leave, beside the one that is only looked at. Where a group stands behind both it
        // leaves some room, so that what grows is seen and named before it is refused.
        let room = if self.cell_bytes == TRIALS_ONLY { limit.bytes / 4 + TRIAL_ROOM_BYTES } else { 0 };
        let bound = Some(limit.bytes.saturating_add(shared_bytes).saturating_add(room));
        let data = rustix::process::Rlimit { current: bound, maximum: bound };
        let _ = rustix::process::prlimit(Pid::from_raw(first), rustix::process::Resource::Data, data);
        let started = of(first).map_or(0, |child| child.started);
        self.trials.insert(trial, Trial { first, started, limit, shared_bytes, peak_bytes: 0, ticks: 0 });
    }

    /// Looks once, kills what is over its limit and returns it with its size; `None` is the cell.
    pub(crate) fn look(&mut self) -> Vec<(Option<u32>, u64)> {
        let table = read_table(self.root);
        let mut over = Vec::new();
        let mut shared = 0;
        for (number, trial) in &mut self.trials {
            let family = trial.family(&table);
            let bytes = total(&table, &family, |process| process.bytes);
            let own = if family.is_empty() { 0 } else { bytes.saturating_sub(trial.shared_bytes) };
            shared += bytes - own;
            trial.peak_bytes = trial.peak_bytes.max(own);
            trial.ticks = trial.ticks.max(total(&table, &family, |process| process.ticks));
            if own > trial.limit.bytes {
                kill_all(&family, Signal::KILL);
                over.push((Some(*number), own));
            }
        }
        let everybody: BTreeSet<i32> = table.keys().copied().filter(|pid| *pid != self.root).collect();
        let whole = total(&table, &everybody, |process| process.bytes).saturating_sub(shared);
        if whole > self.cell_bytes {
            kill_all(&everybody, Signal::KILL);
            over.push((None, whole));
        }
        over
    }

    /// Kills a trial, its descendants and every orphan of the cell, until none is left.
    pub(crate) fn sweep(&mut self, trial: u32) -> Swept {
        self.look();
        let mut killed = BTreeSet::new();
        let deadline = Instant::now() + SWEEP_TIME_MAX;
        let known = self.trials.remove(&trial);
        let clean = loop {
            let table = read_table(self.root);
            let mut left = known.as_ref().map(|trial| trial.family(&table)).unwrap_or_default();
            left.extend(self.orphans(&table));
            if left.is_empty() {
                break true;
            }
            if Instant::now() > deadline {
                break false;
            }
            // Stopped first: a process that forks as fast as it is killed is not caught otherwise.
            kill_all(&left, Signal::STOP);
            kill_all(&left, Signal::KILL);
            killed.extend(left);
            reap_orphans(&table, self.root, self.program);
            std::thread::sleep(SWEEP_PAUSE);
        };
        let (ticks, peak_bytes) = known.map_or((0, 0), |trial| (trial.ticks, trial.peak_bytes));
        Swept { killed: killed.len() as u32, cpu_s: ticks as f64 / ticks_per_second(), peak_bytes, clean }
    }

    /// Processes that were handed to PID 1 because their parent ended, and their descendants.
    fn orphans(&self, table: &Table) -> BTreeSet<i32> {
        let adopted = table
            .values()
            .filter(|process| process.parent == self.root && process.pid != self.program && !process.zombie);
        adopted.flat_map(|process| descendants(table, process.pid)).collect()
    }
}

impl Trial {
    fn family(&self, table: &Table) -> BTreeSet<i32> {
        match table.get(&self.first) {
            // The same number may belong to somebody else by now.
            Some(first) if first.started == self.started && !first.zombie => descendants(table, self.first),
            _ => BTreeSet::new(),
        }
    }
}

/// A process and everything below it, without those that have ended.
pub(crate) fn descendants(table: &Table, root: i32) -> BTreeSet<i32> {
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        let children = table.values().filter(|process| !process.zombie && family.contains(&process.parent));
        let pids: Vec<i32> = children.map(|process| process.pid).collect();
        family.extend(pids);
        if family.len() == before {
            return family;
        }
    }
}

fn total(table: &Table, pids: &BTreeSet<i32>, what: impl Fn(&Process) -> u64) -> u64 {
    pids.iter().filter_map(|pid| table.get(pid)).map(what).sum()
}

fn kill_all(pids: &BTreeSet<i32>, signal: Signal) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Collects ended orphans, but never the program: its status belongs to the supervisor's main loop.
fn reap_orphans(table: &Table, root: i32, program: i32) {
    for process in table.values().filter(|process| process.parent == root && process.pid != program) {
        let _ = rustix::process::waitpid(Pid::from_raw(process.pid), WaitOptions::NOHANG);
    }
}

/// Kills everything that descends from `root`, which may be this process, until nothing is left. Returns whether that was
/// achieved.
///
/// For cells without a name space that would end with its first process.
pub(crate) fn kill_descendants(root: i32) -> bool {
    let deadline = Instant::now() + SWEEP_TIME_MAX;
    let own = Pid::from_raw(root) == Some(rustix::process::getpid());
    loop {
        let left: BTreeSet<i32> = living(&read_table(root)).into_iter().filter(|pid| *pid != root).collect();
        if left.is_empty() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        kill_all(&left, Signal::STOP);
        kill_all(&left, Signal::KILL);
        if own {
            while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
        }
        std::thread::sleep(SWEEP_PAUSE);
    }
}

/// Kills every process of a user that belongs to one cell alone. Returns whether none is left.
pub(crate) fn kill_user(user: u32) -> bool {
    let deadline = Instant::now() + SWEEP_TIME_MAX;
    loop {
        let pids: BTreeSet<i32> = living(&read_whole_table())
            .into_iter()
            .filter(|pid| owner_of(std::path::Path::new(&format!("/proc/{pid}"))) == Some(user))
            .collect();
        if pids.is_empty() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        kill_all(&pids, Signal::KILL);
        std::thread::sleep(SWEEP_PAUSE);
    }
}

fn living(table: &Table) -> BTreeSet<i32> {
    table.values().filter(|process| !process.zombie).map(|process| process.pid).collect()
}

/// Processes and threads that this user has on the host.
pub(crate) fn processes_of_user() -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let own = rustix::process::getuid().as_raw();
    let own = std::fs::read_dir("/proc")?.flatten().filter(|entry| owner_of(&entry.path()) == Some(own));
    // A folder has two links more than it has folders in it, and each thread is one.
    let threads = own.map(|entry| {
        std::fs::metadata(entry.path().join("task")).map_or(1, |task| task.nlink().saturating_sub(2))
    });
    Ok(threads.sum())
}

fn owner_of(process: &std::path::Path) -> Option<u32> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// Everything that descends from `root`, itself included.
fn read_table(root: i32) -> Table {
    match children_of(root) {
        // Inside a name space of its own everything does.
        _ if root == 1 => read_whole_table(),
        Some(children) => {
            let mut table: Table = read_process(root).map(|process| (root, process)).into_iter().collect();
            let mut pending = children;
            while let Some(pid) = pending.pop() {
                // A process that is met again has a new parent; one look at it is enough.
                if !table.contains_key(&pid)
                    && let Some(process) = read_process(pid)
                {
                    table.insert(pid, process);
                    pending.extend(children_of(pid).unwrap_or_default());
                }
            }
            table
        }
        // This kernel keeps no lists of children.
        None => {
            let whole = read_whole_table();
            let family = descendants(&whole, root);
            let zombies = |process: &Process| process.zombie && family.contains(&process.parent);
            whole.into_iter().filter(|(pid, process)| family.contains(pid) || zombies(process)).collect()
        }
    }
}

/// The children of all threads of a process.
fn children_of(pid: i32) -> Option<Vec<i32>> {
    let mut children = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        let list = std::fs::read_to_string(thread.path().join("children")).ok()?;
        children.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Some(children)
}

fn read_whole_table() -> Table {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Table::new();
    };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| Some((pid, read_process(pid)?))).collect()
}

fn read_process(pid: i32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse_process(pid, &stat, &status)
}

/// Reads the two tables of one process. The name in `stat` may contain anything, so fields are counted from its end.
fn parse_process(pid: i32, stat: &str, status: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let kib = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        started: number(19)?,
        bytes: (kib("RssAnon:").unwrap_or(0) + kib("RssShmem:").unwrap_or(0)) * 1024,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> (i32, Process) {
        (pid, Process { pid, parent, started: 1, bytes: 10, ticks: 0, zombie: false })
    }

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 0 0 0 11 22 3 4 20 0 1 0 998877 1000 50 0";
        let status = "Name:\tx\nRssAnon:\t  2048 kB\nRssFile:\t 100 kB\nRssShmem:\t 1024 kB\n";
        let seen = parse_process(42, stat, status).unwrap();
        assert_eq!((seen.parent, seen.started, seen.ticks, seen.bytes), (7, 998_877, 40, 3 << 20));
    }

    #[test]
    fn descendants_are_found_through_generations() {
        let table: Table = [process(1, 0), process(2, 1), process(5, 2), process(9, 5), process(7, 1)].into();
        assert_eq!(descendants(&table, 2), BTreeSet::from([2, 5, 9]));
    }

    #[test]
    fn orphans_are_the_adopted_but_not_the_program() {
        let table: Table = [process(1, 0), process(2, 1), process(3, 2), process(8, 1), process(9, 8)].into();
        let watch = Watch { root: 1, program: 2, cell_bytes: 0, trials: BTreeMap::new() };
        assert_eq!(watch.orphans(&table), BTreeSet::from([8, 9]));
    }

    #[test]
    fn a_number_that_was_given_away_is_not_the_trial() {
        let table: Table = [process(1, 0), process(2, 1), process(3, 2)].into();
        let trial = Trial {
            first: 3,
            started: 99,
            limit: Limit { bytes: 1 },
            shared_bytes: 0,
            peak_bytes: 0,
            ticks: 0,
        };
        assert!(trial.family(&table).is_empty());
    }
}
