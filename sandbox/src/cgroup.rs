//! Control groups for cells and trials: version 2 where memory is delegated there, else version 1.
//!
//! A group's name carries process id and start time of its maker, so that groups of a process that was killed can be told
//! from those of one that lives, and swept. Nothing here signals a process that is not listed in a group of ours.

use crate::policy::Limits;
use rustix::process::{Pid, Signal};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Length of the processor time window.
const CPU_PERIOD_US: f64 = 100_000.0;
/// A group can be busy for a moment after its last process has ended.
const REMOVE_TIME_MAX: Duration = Duration::from_secs(2);
const REMOVE_PAUSE: Duration = Duration::from_millis(2);
/// Groups that are looked at for those of the dead, nearest to the root first. A large host has some hundreds.
const SWEEP_FOLDERS_MAX: usize = 4096;
/// Every group of ours starts with this.
const PREFIX: &str = "ansatz-";

/// Where groups can be made, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// One tree per controller: `memory` and `pids`, and `cpu`, `cpuacct` where present.
    V1(BTreeMap<&'static str, PathBuf>),
    /// One tree for all.
    V2(PathBuf),
}

/// Controllers that version 1 is asked for; the first two are indispensable.
const V1_CONTROLLERS: [&str; 4] = ["memory", "pids", "cpu", "cpuacct"];

impl Hierarchy {
    /// Finds where this process may make groups, from the text of `/proc/self/mountinfo` and `/proc/self/cgroup`.
    /// Says what is missing otherwise.
    pub(crate) fn find(mountinfo: &str, own: &str) -> Result<Self, String> {
        let mounts: Vec<GroupMount<'_>> = mountinfo.lines().filter_map(parse_mount).collect();
        Self::find_v2(&mounts, own).or_else(|_| Self::find_v1(&mounts, own))
    }

    fn find_v2(mounts: &[GroupMount<'_>], own: &str) -> Result<Self, String> {
        let unified =
            mounts.iter().find(|mount| mount.kind == "cgroup2").ok_or("no version 2 tree is mounted")?;
        let path = own
            .lines()
            .find_map(|line| line.strip_prefix("0::"))
            .ok_or("this process is in no version 2 group")?;
        let own = unified.folder_of(path);
        // The nearest one above in which groups can be made as things are; a service manager keeps such a place for each user.
        let ready = own.ancestors().take_while(|dir| dir.starts_with(unified.at)).find(|dir| is_ready(dir));
        if let Some(dir) = ready {
            return Ok(Self::V2(dir.to_owned()));
        }
        match delegate(&own) {
            Ok(()) => Ok(Self::V2(own)),
            Err(error) => {
                Err(format!("version 2 does not delegate memory and pids to {}: {error}", own.display()))
            }
        }
    }

    fn find_v1(mounts: &[GroupMount<'_>], own: &str) -> Result<Self, String> {
        let mut found = BTreeMap::new();
        for name in V1_CONTROLLERS {
            let has = |list: &str| list.split(',').any(|each| each == name);
            let Some(mount) = mounts.iter().find(|mount| mount.kind == "cgroup" && has(mount.options)) else {
                continue;
            };
            let path = own.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':');
                fields.next()?;
                has(fields.next()?).then(|| fields.next())?
            });
            let dirs = [mount.folder_of(path.unwrap_or("/")), mount.at.to_owned()];
            if let Some(dir) = dirs.into_iter().find(|dir| writable(dir)) {
                found.insert(name, dir);
            }
        }
        for needed in ["memory", "pids"] {
            if !found.contains_key(needed) {
                return Err(format!(
                    "no writable control group for {needed} (neither version 2 nor version 1)"
                ));
            }
        }
        Ok(Self::V1(found))
    }

    fn bases(&self) -> Vec<&Path> {
        match self {
            Self::V1(dirs) => {
                let mut bases: Vec<&Path> = dirs.values().map(PathBuf::as_path).collect();
                bases.dedup();
                bases
            }
            Self::V2(dir) => vec![dir],
        }
    }

    /// Whether processor time can be limited.
    pub(crate) fn limits_cpu(&self) -> bool {
        match self {
            Self::V1(dirs) => dirs.contains_key("cpu"),
            Self::V2(dir) => fs::read_to_string(dir.join("cgroup.subtree_control"))
                .is_ok_and(|list| list.split_ascii_whitespace().any(|each| each == "cpu")),
        }
    }

    /// Removes groups whose maker is gone, with whatever still runs in them. Returns how many were removed.
    ///
    /// Looks through the whole tree: the process that was killed may have lived in another group than this one.
    pub(crate) fn sweep(&self, own: &Owner) -> usize {
        let mut roots: Vec<PathBuf> = self.bases().into_iter().map(root_of).collect();
        roots.sort();
        roots.dedup();
        roots.into_iter().map(|root| sweep_tree(root, own)).sum()
    }

    fn at(&self, relative: &str) -> Dirs {
        match self {
            Self::V1(bases) => {
                Dirs::V1(bases.iter().map(|(name, base)| (*name, base.join(relative))).collect())
            }
            Self::V2(base) => Dirs::V2(base.join(relative)),
        }
    }
}

/// Controllers that version 2 is asked for; the first two are indispensable.
const V2_CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// The group into which the processes of a delegated group move, because only groups without processes may have limited
/// children.
const RESIDENTS: &str = "ansatz-residents";
/// Moving every resident takes a few rounds when some of them fork meanwhile.
const MOVES_MAX: usize = 10;

fn has(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|each| each == name)
}

/// Whether limited children can be made in a version 2 group, and processes moved into them.
fn is_ready(dir: &Path) -> bool {
    let active = fs::read_to_string(dir.join("cgroup.subtree_control")).unwrap_or_default();
    V2_CONTROLLERS[..2].iter().all(|name| has(&active, name))
        && writable(dir)
        && writable(&dir.join("cgroup.procs"))
}

/// Switches the controllers on for the children of a version 2 group. For that it must hold no processes itself, so those that
/// are there move into a child.
fn delegate(dir: &Path) -> io::Result<()> {
    if !writable(dir) {
        return Err(io::Error::other("it belongs to somebody else"));
    }
    let available = fs::read_to_string(dir.join("cgroup.controllers")).unwrap_or_default();
    if let Some(lacking) = V2_CONTROLLERS[..2].iter().find(|name| !has(&available, name)) {
        return Err(io::Error::other(format!("it has no {lacking} controller")));
    }
    let wanted: Vec<String> =
        V2_CONTROLLERS.iter().filter(|name| has(&available, name)).map(|name| format!("+{name}")).collect();
    let switch = || write(dir, "cgroup.subtree_control", &wanted.join(" "));
    match switch() {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            make_room(dir)?;
            switch()
        }
        other => other,
    }
}

/// Moves the processes of a group into a child of it.
fn make_room(dir: &Path) -> io::Result<()> {
    let residents = dir.join(RESIDENTS);
    match fs::create_dir(&residents) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for _ in 0..MOVES_MAX {
        let members = fs::read_to_string(dir.join("cgroup.procs"))?;
        if members.trim().is_empty() {
            return Ok(());
        }
        for pid in members.lines() {
            // Those that have ended meanwhile cannot be moved and need not be.
            let _ = write(&residents, "cgroup.procs", pid);
        }
    }
    Err(io::Error::other("its processes cannot be moved aside"))
}

/// The top of the tree that a group lies in: the last folder upwards that is a group.
fn root_of(base: &Path) -> PathBuf {
    let groups = base.ancestors().take_while(|folder| folder.join("cgroup.procs").exists());
    groups.last().unwrap_or(base).to_owned()
}

fn sweep_tree(root: PathBuf, own: &Owner) -> usize {
    let mut removed = 0;
    let mut pending = VecDeque::from([root]);
    for _ in 0..SWEEP_FOLDERS_MAX {
        let Some(folder) = pending.pop_front() else { break };
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| Owner::is_gone(name, own)) {
                removed += usize::from(remove_tree(&entry.path()).is_ok());
            } else {
                pending.push_back(entry.path());
            }
        }
    }
    removed
}

/// Who makes groups: a process id, its start time and its pid name space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: u32,
    started: u64,
    space: String,
}

impl Owner {
    /// This process.
    pub(crate) fn current() -> Self {
        let pid = std::process::id();
        let space = fs::read_link("/proc/self/ns/pid")
            .map(|link| link.to_string_lossy().into_owned())
            .unwrap_or_default();
        let space = space.chars().filter(char::is_ascii_digit).collect();
        Self { pid, started: start_time(pid).unwrap_or(0), space }
    }

    /// The name of a group or folder of this process.
    pub(crate) fn group(&self, number: u64, name: &str) -> String {
        format!("{PREFIX}{}-{}-{}-{number}-{name}", self.pid, self.started, self.space)
    }

    /// Whether a folder name is one of ours in this pid name space whose maker no longer runs.
    pub(crate) fn is_gone(name: &str, own: &Self) -> bool {
        let Some(rest) = name.strip_prefix(PREFIX) else { return false };
        let mut fields = rest.splitn(4, '-');
        let (Some(Ok(pid)), Some(Ok(started)), Some(space)) =
            (fields.next().map(str::parse::<u32>), fields.next().map(str::parse::<u64>), fields.next())
        else {
            return false;
        };
        space == own.space && start_time(pid) != Some(started)
    }
}

/// When a process started, in clock ticks since boot; with its id it names a process for good.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

struct GroupMount<'a> {
    root: &'a str,
    at: &'a Path,
    kind: &'a str,
    options: &'a str,
}

impl GroupMount<'_> {
    fn folder_of(&self, path: &str) -> PathBuf {
        let below = path.strip_prefix(self.root.trim_end_matches('/')).unwrap_or("");
        self.at.join(below.trim_start_matches('/'))
    }
}

fn parse_mount(line: &str) -> Option<GroupMount<'_>> {
    let (left, right) = line.split_once(" - ")?;
    let mut right = right.split(' ');
    let kind = right.next().filter(|kind| kind.starts_with("cgroup"))?;
    let options = right.nth(1)?;
    let mut left = left.split(' ').skip(3);
    Some(GroupMount { root: left.next()?, at: Path::new(left.next()?), kind, options })
}

fn writable(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
}

/// What a group is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) pids: u64,
    pub(crate) cpus: Option<f64>,
}

impl From<&Limits> for GroupLimits {
    fn from(limits: &Limits) -> Self {
        // The helper and PID 1 live in the group, too.
        Self { memory_bytes: limits.memory_bytes, pids: limits.pids + 2, cpus: limits.cpus }
    }
}

/// What a group has counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counters {
    pub(crate) oom_kills: u64,
    pub(crate) pids_refused: u64,
    pub(crate) cpu_s: f64,
    pub(crate) memory_peak_bytes: u64,
}

#[derive(Debug)]
enum Dirs {
    V1(BTreeMap<&'static str, PathBuf>),
    V2(PathBuf),
}

impl Dirs {
    fn counters(&self) -> Counters {
        match self {
            Self::V1(dirs) => {
                let (memory, pids) = (&dirs["memory"], &dirs["pids"]);
                Counters {
                    oom_kills: keyed(memory, "memory.oom_control", "oom_kill"),
                    pids_refused: keyed(pids, "pids.events", "max"),
                    cpu_s: dirs.get("cpuacct").map_or(0.0, |dir| number(dir, "cpuacct.usage") as f64 / 1e9),
                    memory_peak_bytes: number(memory, "memory.max_usage_in_bytes"),
                }
            }
            Self::V2(dir) => Counters {
                oom_kills: keyed(dir, "memory.events", "oom_kill"),
                pids_refused: keyed(dir, "pids.events", "max"),
                cpu_s: keyed(dir, "cpu.stat", "usage_usec") as f64 / 1e6,
                memory_peak_bytes: number(dir, "memory.peak"),
            },
        }
    }
}

/// The counters of a group that somebody else has made and will remove.
#[derive(Debug)]
pub(crate) struct Tally(Dirs);

impl Tally {
    /// The group that a process is in; `None` where this process cannot see it.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Self::find(&mounts, &groups)
    }

    fn find(mountinfo: &str, groups: &str) -> Option<Self> {
        let mounts: Vec<GroupMount<'_>> = mountinfo.lines().filter_map(parse_mount).collect();
        let mut dirs = BTreeMap::new();
        for name in V1_CONTROLLERS {
            let has = |list: &str| list.split(',').any(|each| each == name);
            let path = groups.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                has(fields.next()?).then(|| fields.next())?
            });
            let mount = mounts.iter().find(|mount| mount.kind == "cgroup" && has(mount.options));
            if let (Some(mount), Some(path)) = (mount, path) {
                dirs.insert(name, mount.folder_of(path));
            }
        }
        if dirs.contains_key("memory") && dirs.contains_key("pids") {
            return Some(Self(Dirs::V1(dirs)));
        }
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        let unified = mounts.iter().find(|mount| mount.kind == "cgroup2")?;
        Some(Self(Dirs::V2(unified.folder_of(path))))
    }

    /// Whether the group holds its processes to these limits: an engine may take them and do nothing.
    pub(crate) fn holds(&self, limits: GroupLimits) -> bool {
        let (memory, pids) = match &self.0 {
            Dirs::V1(dirs) => {
                (number(&dirs["memory"], "memory.limit_in_bytes"), number(&dirs["pids"], "pids.max"))
            }
            Dirs::V2(dir) => (number(dir, "memory.max"), number(dir, "pids.max")),
        };
        // No limit reads as a word, which is no number, or as a number beyond every machine.
        (1..=limits.memory_bytes).contains(&memory) && (1..=limits.pids).contains(&pids)
    }

    /// What has been counted so far; `None` once the group is gone.
    pub(crate) fn read(&self) -> Option<Counters> {
        let counters = self.0.counters();
        let dir = match &self.0 {
            Dirs::V1(dirs) => &dirs["memory"],
            Dirs::V2(dir) => dir,
        };
        // Looked at last: a group that is still there now was there while it was read.
        dir.is_dir().then_some(counters)
    }
}

/// A group of ours. Dropping it does not remove it: removal can fail, and the owner has to know.
#[derive(Debug)]
pub(crate) struct Group {
    hierarchy: Hierarchy,
    path: String,
    dirs: Dirs,
    /// Version 2 allows processes in leaves only.
    members: Dirs,
}

impl Group {
    /// Makes the group of a cell.
    pub(crate) fn cell(hierarchy: &Hierarchy, path: String, limits: GroupLimits) -> io::Result<Self> {
        let dirs = hierarchy.at(&path);
        let members = match hierarchy {
            Hierarchy::V1(_) => hierarchy.at(&path),
            Hierarchy::V2(_) => hierarchy.at(&format!("{path}/zygote")),
        };
        let group = Self { hierarchy: hierarchy.clone(), path, dirs, members };
        group.make(limits).inspect_err(|_| drop(group.remove()))?;
        Ok(group)
    }

    /// Makes the group of a trial below a cell's.
    pub(crate) fn leaf(&self, name: &str, limits: GroupLimits) -> io::Result<Self> {
        let path = format!("{}/{name}", self.path);
        let (dirs, members) = (self.hierarchy.at(&path), self.hierarchy.at(&path));
        let leaf = Self { hierarchy: self.hierarchy.clone(), path, dirs, members };
        leaf.make_leaf(limits, true).inspect_err(|_| drop(leaf.remove()))?;
        Ok(leaf)
    }

    fn make(&self, limits: GroupLimits) -> io::Result<()> {
        // Not the whole cell for one trial: what is over the cell's own limit is the trial that grew.
        self.make_leaf(limits, false)?;
        if let (Dirs::V2(dir), Dirs::V2(members)) = (&self.dirs, &self.members) {
            let cpu = if self.hierarchy.limits_cpu() { " +cpu" } else { "" };
            write(dir, "cgroup.subtree_control", &format!("+memory +pids{cpu}"))?;
            fs::create_dir(members)?;
        }
        Ok(())
    }

    fn make_leaf(&self, limits: GroupLimits, whole: bool) -> io::Result<()> {
        self.each(|dir| match fs::create_dir(dir) {
            // Two controllers may share one tree.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        })?;
        let quota = limits.cpus.map(|cpus| (cpus * CPU_PERIOD_US).round());
        match &self.dirs {
            Dirs::V1(dirs) => {
                write(&dirs["memory"], "memory.limit_in_bytes", &limits.memory_bytes.to_string())?;
                // Absent where swap is not accounted.
                let swap =
                    write(&dirs["memory"], "memory.memsw.limit_in_bytes", &limits.memory_bytes.to_string());
                swap.or_else(absent_is_fine)?;
                write(&dirs["pids"], "pids.max", &limits.pids.to_string())?;
                if let (Some(dir), Some(quota)) = (dirs.get("cpu"), quota) {
                    write(dir, "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
                    write(dir, "cpu.cfs_quota_us", &quota.to_string())?;
                }
                Ok(())
            }
            Dirs::V2(dir) => {
                write(dir, "memory.max", &limits.memory_bytes.to_string())?;
                write(dir, "memory.swap.max", "0").or_else(absent_is_fine)?;
                // A trial that has lost one process of several would go on with half of its work.
                write(dir, "memory.oom.group", if whole { "1" } else { "0" }).or_else(absent_is_fine)?;
                write(dir, "pids.max", &limits.pids.to_string())?;
                match quota {
                    Some(quota) => {
                        write(dir, "cpu.max", &format!("{quota} {CPU_PERIOD_US}")).or_else(absent_is_fine)
                    }
                    None => Ok(()),
                }
            }
        }
    }

    fn each(&self, mut action: impl FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
        match &self.dirs {
            Dirs::V1(dirs) => dirs.values().try_for_each(|dir| action(dir)),
            Dirs::V2(dir) => action(dir),
        }
    }

    /// Moves a process into the group.
    pub(crate) fn add(&self, pid: Pid) -> io::Result<()> {
        let pid = pid.as_raw_nonzero().to_string();
        match &self.members {
            Dirs::V1(dirs) => dirs.values().try_for_each(|dir| write(dir, "cgroup.procs", &pid)),
            Dirs::V2(dir) => write(dir, "cgroup.procs", &pid),
        }
    }

    /// What has been counted so far. Processes that were killed for memory are those of the group itself: a trial's are counted
    /// in the trial's group alone.
    pub(crate) fn counters(&self) -> Counters {
        let mut seen = self.dirs.counters();
        if let Dirs::V2(_) = &self.dirs {
            let members = self.members.counters();
            seen.oom_kills = members.oom_kills;
            // Where the limit is, or where the process was that was refused: kernels differ.
            seen.pids_refused = seen.pids_refused.max(members.pids_refused);
        }
        seen
    }

    /// Kills everything in the group until nothing is left. Returns how many processes that were, and whether all are gone.
    pub(crate) fn kill(&self) -> (u32, bool) {
        if let Dirs::V2(dir) = &self.dirs {
            // Everything below as well, in one go.
            let _ = write(dir, "cgroup.kill", "1");
        }
        let dir = match &self.members {
            Dirs::V1(dirs) => &dirs["pids"],
            Dirs::V2(dir) => dir,
        };
        kill_members(dir)
    }

    /// Removes the group and those below it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut result = Ok(());
        let _ = self.each(|dir| {
            result = remove_tree(dir).and(std::mem::replace(&mut result, Ok(())));
            Ok(())
        });
        result
    }
}

/// Kills the members of one group folder.
fn kill_members(dir: &Path) -> (u32, bool) {
    let mut killed = std::collections::BTreeSet::new();
    let deadline = Instant::now() + REMOVE_TIME_MAX;
    // No more forks: what forks as fast as it is killed is not caught otherwise. Where this fails the loop below still ends.
    let _ = write(dir, "pids.max", "0");
    let _ = write(dir, "cgroup.kill", "1");
    loop {
        let Ok(members) = fs::read_to_string(dir.join("cgroup.procs")) else {
            return (killed.len() as u32, true);
        };
        let pids: Vec<i32> =
            members.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 0).collect();
        if pids.is_empty() {
            return (killed.len() as u32, true);
        }
        if Instant::now() > deadline {
            return (killed.len() as u32, false);
        }
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        killed.extend(pids);
        std::thread::sleep(REMOVE_PAUSE);
    }
}

/// Removes a group folder and its children, killing what is left in them. Groups are at most two levels deep.
fn remove_tree(dir: &Path) -> io::Result<()> {
    let children = fs::read_dir(dir).map(|entries| entries.flatten().filter(|entry| entry.path().is_dir()));
    for child in children.into_iter().flatten() {
        remove_one(&child.path())?;
    }
    remove_one(dir)
}

fn remove_one(dir: &Path) -> io::Result<()> {
    let deadline = Instant::now() + REMOVE_TIME_MAX;
    loop {
        match fs::remove_dir(dir) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => {
                kill_members(dir);
                std::thread::sleep(REMOVE_PAUSE);
            }
        }
    }
}

fn write(dir: &Path, file: &str, text: &str) -> io::Result<()> {
    // Opened without O_CREAT: a missing control file is an answer.
    let naming =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", dir.join(file).display()));
    let mut open = fs::OpenOptions::new().write(true).open(dir.join(file)).map_err(naming)?;
    io::Write::write_all(&mut open, text.as_bytes()).map_err(naming)
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

fn number(dir: &Path, file: &str) -> u64 {
    fs::read_to_string(dir.join(file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn keyed(dir: &Path, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(dir.join(file)).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok());
    value.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, names: &[(&str, &str)]) {
        fs::create_dir_all(dir).unwrap();
        for (name, text) in names {
            fs::write(dir.join(name), text).unwrap();
        }
    }

    #[test]
    fn version_two_is_taken_where_memory_is_delegated() {
        let temp = tempfile::tempdir().unwrap();
        let own = temp.path().join("user/app");
        files(&own, &[("cgroup.subtree_control", "cpu memory pids\n"), ("cgroup.procs", "")]);
        let mounts = format!("30 20 0:26 / {} rw - cgroup2 cgroup2 rw", temp.path().display());
        assert_eq!(Hierarchy::find(&mounts, "0::/user/app\n").unwrap(), Hierarchy::V2(own));
    }

    #[test]
    fn the_nearest_place_that_is_ready_is_taken() {
        let temp = tempfile::tempdir().unwrap();
        let service = temp.path().join("user/service");
        for (dir, active) in
            [("", "cpu memory pids"), ("user/service", "memory pids"), ("user/service/app", "")]
        {
            files(&temp.path().join(dir), &[("cgroup.subtree_control", active), ("cgroup.procs", "")]);
        }
        let mounts = format!("30 20 0:26 / {} rw - cgroup2 cgroup2 rw", temp.path().display());
        assert_eq!(Hierarchy::find(&mounts, "0::/user/service/app\n").unwrap(), Hierarchy::V2(service));
    }

    #[test]
    fn controllers_are_switched_on_where_they_are_delegated() {
        let temp = tempfile::tempdir().unwrap();
        let own = temp.path().join("service");
        let controls = [
            ("cgroup.subtree_control", ""),
            ("cgroup.controllers", "cpuset cpu memory pids"),
            ("cgroup.procs", "7\n"),
        ];
        files(&own, &controls);
        files(temp.path(), &[("cgroup.subtree_control", "cpu")]);
        let mounts = format!("30 20 0:26 / {} rw - cgroup2 cgroup2 rw", temp.path().display());
        assert_eq!(Hierarchy::find(&mounts, "0::/service\n").unwrap(), Hierarchy::V2(own.clone()));
        assert_eq!(fs::read_to_string(own.join("cgroup.subtree_control")).unwrap(), "+memory +pids +cpu");
        files(&own, &[("cgroup.subtree_control", ""), ("cgroup.controllers", "hugetlb")]);
        let why = Hierarchy::find(&mounts, "0::/service\n").unwrap_err();
        assert!(why.contains("no writable control group for memory"), "{why}");
    }

    #[test]
    fn residents_move_into_a_child() {
        let temp = tempfile::tempdir().unwrap();
        // A plain file does not empty itself as the kernel's would, so this gives up after having moved them.
        files(temp.path(), &[("cgroup.procs", "11\n12\n")]);
        files(&temp.path().join(RESIDENTS), &[("cgroup.procs", "")]);
        assert!(make_room(temp.path()).is_err());
        let moved = fs::read_to_string(temp.path().join(RESIDENTS).join("cgroup.procs")).unwrap();
        assert!(moved.contains("12"), "{moved}");
        files(temp.path(), &[("cgroup.procs", "")]);
        make_room(temp.path()).unwrap();
    }

    #[test]
    fn a_hybrid_host_falls_back_to_version_one() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        files(&at("unified"), &[("cgroup.subtree_control", "")]);
        for name in ["memory/outer/app", "pids"] {
            files(&at(name), &[]);
        }
        let mounts = format!(
            "1 0 0:1 / {0}/unified rw - cgroup2 cgroup2 rw\n2 0 0:2 /outer {0}/memory/outer rw - cgroup cgroup rw,memory\n3 0 0:3 / {0}/pids rw - cgroup cgroup rw,pids\n",
            temp.path().display()
        );
        let own = "9:pids:/\n4:memory:/outer/app\n0::/\n";
        let expected = BTreeMap::from([("memory", at("memory/outer/app")), ("pids", at("pids"))]);
        assert_eq!(Hierarchy::find(&mounts, own).unwrap(), Hierarchy::V1(expected));
    }

    #[test]
    fn a_host_without_groups_is_told_apart_by_what_is_missing() {
        let why = Hierarchy::find("", "").unwrap_err();
        assert!(why.contains("memory"), "{why}");
    }

    #[test]
    fn limits_are_written_in_the_words_of_version_two() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("cell");
        let controls = ["memory.max", "memory.swap.max", "memory.oom.group", "pids.max", "cpu.max"]
            .map(|name| (name, ""));
        files(&dir, &controls);
        let hierarchy = Hierarchy::V2(temp.path().to_owned());
        let (dirs, members) = (hierarchy.at("cell"), hierarchy.at("cell"));
        let group = Group { hierarchy, path: "cell".into(), dirs, members };
        group.make_leaf(GroupLimits { memory_bytes: 4096, pids: 9, cpus: Some(1.5) }, true).unwrap();
        let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
        assert_eq!((read("memory.max"), read("pids.max")), ("4096".into(), "9".into()));
        assert_eq!(read("memory.oom.group"), "1");
        assert_eq!((read("cpu.max"), read("memory.swap.max")), ("150000 100000".into(), "0".into()));
    }

    #[test]
    fn counters_are_read_by_key() {
        let temp = tempfile::tempdir().unwrap();
        let events = [
            ("memory.events", "low 0\noom 1\noom_kill 3\n"),
            ("pids.events", "max 7\n"),
            ("memory.peak", "55\n"),
        ];
        files(temp.path(), &events);
        let hierarchy = Hierarchy::V2(temp.path().to_owned());
        let (dirs, members) = (hierarchy.at(""), hierarchy.at(""));
        let group = Group { hierarchy, path: String::new(), dirs, members };
        let counters = group.counters();
        assert_eq!((counters.oom_kills, counters.pids_refused, counters.memory_peak_bytes), (3, 7, 55));
    }

    #[test]
    fn the_group_of_another_process_is_read_in_both_versions() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        files(&at("memory/pod/x"), &[("memory.oom_control", "under_oom 0\noom_kill 2\n")]);
        files(&at("pids/pod/x"), &[("pids.events", "max 3\n")]);
        let limits = [("memory.max", "4096\n"), ("pids.max", "max\n")];
        files(&at("unified/pod/y"), &[("memory.events", "oom_kill 5\n"), limits[0], limits[1]]);
        let mounts = format!(
            "1 0 0:1 / {0}/unified rw - cgroup2 cgroup2 rw\n2 0 0:2 / {0}/memory rw - cgroup cgroup rw,memory\n3 0 0:3 / {0}/pids rw - cgroup cgroup rw,pids\n",
            temp.path().display()
        );
        let one = Tally::find(&mounts, "9:pids:/pod/x\n4:memory:/pod/x\n0::/pod/x\n").unwrap();
        let counters = one.read().unwrap();
        assert_eq!((counters.oom_kills, counters.pids_refused), (2, 3));
        let two = Tally::find(&mounts, "0::/pod/y\n").unwrap();
        assert_eq!(two.read().unwrap().oom_kills, 5);
        let asked = |pids| GroupLimits { memory_bytes: 4096, pids, cpus: None };
        assert!(!two.holds(asked(9)), "no limit on processes");
        fs::write(at("unified/pod/y/pids.max"), "9\n").unwrap();
        assert!(two.holds(asked(9)) && !two.holds(asked(8)));
        fs::remove_dir_all(at("unified/pod/y")).unwrap();
        assert_eq!(two.read(), None);
    }

    #[test]
    fn the_dead_are_found_in_other_parts_of_the_tree() {
        let temp = tempfile::tempdir().unwrap();
        let own = Owner::current();
        let dead = Owner { started: own.started + 1, ..own.clone() };
        for group in ["", "mine", "other"] {
            files(&temp.path().join(group), &[("cgroup.procs", "")]);
        }
        let (left, living) =
            (temp.path().join("other").join(dead.group(1, "x")), temp.path().join(own.group(2, "y")));
        fs::create_dir_all(left.join("trial-1")).unwrap();
        fs::create_dir(&living).unwrap();
        assert_eq!(Hierarchy::V2(temp.path().join("mine")).sweep(&own), 1);
        assert!(!left.exists() && living.exists());
    }

    #[test]
    fn only_groups_of_the_dead_are_swept() {
        let own = Owner::current();
        assert!(!Owner::is_gone(&own.group(1, "x"), &own));
        let dead = Owner { started: own.started + 1, ..own.clone() };
        assert!(Owner::is_gone(&dead.group(1, "x-y"), &own));
        let elsewhere = Owner { space: "1".into(), ..dead };
        assert!(!Owner::is_gone(&elsewhere.group(1, "x"), &own));
        assert!(!Owner::is_gone("ansatz-of-somebody-else", &own) && !Owner::is_gone("docker", &own));
    }
}
