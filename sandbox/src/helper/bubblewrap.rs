//! The same cell with bubblewrap's walls: the helper becomes `bwrap`, which starts the helper once more as PID 1 inside.
//!
//! What bubblewrap does not do by itself is asked of it or done inside: it is never started as root, gets no environment,
//! leaves no reaper of its own inside (its memory would tell what the host shows), masks what we mask, makes the root
//! read-only, and allows no further user name spaces. Limits, Landlock and the system call list are ours.

use super::open_restricted;
use super::order::{INSIDE_ID, Order, TreeKind};
use super::sequence::{ETC, FOLDERS, LINKS, PROC_MASKED, PROC_READ_ONLY};
use crate::linux;
use rustix::fs::{CWD, MemfdFlags, Mode};
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, mount, mount_change, move_mount};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::{IntoRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where trees are put for the moment in which bubblewrap, as an ordinary user, takes them over.
const STAGES: [&str; 4] = ["/mnt", "/media", "/srv", "/opt"];
/// Where the helper and the libraries that it is linked with lie inside.
const INSIDE: &str = "/.cell";

/// Puts trees (and the helper's own files) where any user may reach them, in a mount name space of this process.
pub(crate) fn stage(trees: Vec<Option<OwnedFd>>) -> io::Result<()> {
    let own: Vec<OwnedFd> =
        own_files()?.iter().map(|file| open_restricted(file, TreeKind::File)).collect::<io::Result<_>>()?;
    linux::unshare(rustix::thread::UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let at = stage_place()?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", at, "tmpfs", flags, Some(c"size=1m,nr_inodes=1024,mode=0755"))?;
    for (index, tree) in trees.into_iter().flatten().enumerate() {
        attach(&tree, &at.join(index.to_string()))?;
    }
    own.iter().enumerate().try_for_each(|(index, tree)| attach(tree, &at.join(format!("own-{index}"))))
}

fn stage_place() -> io::Result<&'static Path> {
    let found = STAGES.iter().map(Path::new).find(|place| place.is_dir());
    found.ok_or_else(|| io::Error::other("the host has none of the usual folders to stage mounts in"))
}

fn attach(tree: &OwnedFd, at: &Path) -> io::Result<()> {
    let stat = rustix::fs::fstat(tree)?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        rustix::fs::mkdir(at, Mode::RWXU)?;
    } else {
        std::fs::write(at, "")?;
    }
    Ok(move_mount(tree, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?)
}

/// Becomes bubblewrap; returns why not.
pub(crate) fn become_it(program: &Path, order: &Order, staged: bool) -> io::Error {
    match prepare(order, staged) {
        Ok(arguments) => Command::new(program).arg0("bwrap").args(arguments).env_clear().exec(),
        Err(error) => error,
    }
}

fn prepare(order: &Order, staged: bool) -> io::Result<Vec<OsString>> {
    let own = own_files()?;
    let texts = ETC.iter().map(|(_, text)| inherited(text)).collect::<io::Result<Vec<i32>>>()?;
    let sources =
        Sources { trees: order.trees.iter().map(|tree| tree.source.clone()).collect(), own: own.clone() };
    let sources = if staged { sources.staged(stage_place()?) } else { sources };
    let masked = |path: &&&str| Path::new(path).symlink_metadata().is_ok();
    let exists = Exists {
        masked: PROC_MASKED.iter().filter(masked).copied().collect(),
        read_only: PROC_READ_ONLY.iter().filter(masked).copied().collect(),
    };
    let mut all = arguments(order, &sources, &texts, &exists);
    all.extend(command_inside(&own).into_iter().map(OsString::from));
    Ok(all)
}

/// Where bubblewrap finds what it is to show.
struct Sources {
    trees: Vec<PathBuf>,
    own: Vec<PathBuf>,
}

impl Sources {
    fn staged(self, at: &Path) -> Self {
        let trees = (0..self.trees.len()).map(|index| at.join(index.to_string())).collect();
        let own = (0..self.own.len()).map(|index| at.join(format!("own-{index}"))).collect();
        Self { trees, own }
    }
}

/// Kernel tables that this host has.
struct Exists {
    masked: Vec<&'static str>,
    read_only: Vec<&'static str>,
}

/// Everything before the command. `texts` are descriptors of the generated files in `/etc`.
fn arguments(order: &Order, sources: &Sources, texts: &[i32], exists: &Exists) -> Vec<OsString> {
    let limits = &order.limits;
    let id = INSIDE_ID.to_string();
    let mut all = Arguments::default();
    for flag in ["user", "pid", "net", "ipc", "uts", "cgroup"] {
        all.push(&[&format!("--unshare-{flag}")]);
    }
    all.push(&["--disable-userns", "--uid", &id, "--gid", &id, "--hostname", &order.name]);
    all.push(&["--new-session", "--die-with-parent", "--as-pid-1", "--cap-drop", "ALL", "--clearenv"]);
    for folder in FOLDERS.iter().filter(|folder| !["/proc", "/dev", "/out", "/tmp"].contains(folder)) {
        all.push(&["--perms", "0755", "--dir", folder]);
    }
    for ((path, _), descriptor) in ETC.iter().zip(texts) {
        all.push(&["--perms", "0644", "--file", &descriptor.to_string(), path]);
    }
    all.scratch("/tmp", limits.tmp_bytes);
    all.push(&["--perms", "0755", "--tmpfs", "/dev"]);
    for (tree, source) in order.trees.iter().zip(&sources.trees) {
        let how = if tree.kind == TreeKind::Device { "--dev-bind" } else { "--ro-bind" };
        all.bind(how, source, &tree.target);
    }
    for (source, target) in sources.own.iter().zip(targets_inside(&sources.own)) {
        all.bind("--ro-bind", source, &target);
    }
    for (at, to) in LINKS {
        all.push(&["--symlink", to, at]);
    }
    all.scratch("/dev/shm", limits.shm_bytes);
    all.scratch("/out", limits.out_bytes);
    all.push(&["--proc", "/proc"]);
    for path in &exists.masked {
        if Path::new(path).is_dir() {
            all.push(&["--perms", "0555", "--size", "4096", "--tmpfs", path, "--remount-ro", path]);
        } else {
            all.push(&["--dev-bind", "/dev/null", path]);
        }
    }
    // Always, not only where a test says that they can be written.
    for path in &exists.read_only {
        all.push(&["--ro-bind", path, path]);
    }
    all.push(&["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"]);
    all.0
}

#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn push(&mut self, each: &[&str]) {
        self.0.extend(each.iter().map(OsString::from));
    }

    fn bind(&mut self, how: &str, source: &Path, target: &Path) {
        self.0.extend([OsString::from(how), source.into(), target.into()]);
    }

    fn scratch(&mut self, at: &str, bytes: u64) {
        self.push(&["--perms", "0700", "--size", &bytes.to_string(), "--tmpfs", at]);
    }
}

/// A text as an unnamed file that the next program inherits. Returns its number.
fn inherited(text: &str) -> io::Result<i32> {
    let mut file = std::fs::File::from(rustix::fs::memfd_create("text", MemfdFlags::CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
    Ok(OwnedFd::from(file).into_raw_fd())
}

/// The files that this executable consists of: itself, the loader, its libraries.
fn own_files() -> io::Result<Vec<PathBuf>> {
    let files = mapped_programs(&std::fs::read_to_string("/proc/self/maps")?);
    if files.is_empty() {
        Err(io::Error::other("the kernel does not tell what this program consists of"))
    } else {
        Ok(files)
    }
}

/// The files that are mapped as code, the executable itself first.
fn mapped_programs(maps: &str) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let code = maps.lines().filter_map(|line| {
        let mut fields = line.splitn(6, ' ');
        let rights = fields.nth(1)?;
        let path = fields.nth(3)?.trim_start();
        (rights.contains('x') && path.starts_with('/')).then(|| PathBuf::from(path))
    });
    code.filter(|path| seen.insert(path.clone())).collect()
}

fn is_loader(file: &Path) -> bool {
    file.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| name.starts_with("ld-") || name.starts_with("ld."))
}

/// Where the helper's files lie inside, in the same order: by number, since two could have the same name.
fn targets_inside(own: &[PathBuf]) -> Vec<PathBuf> {
    (0..own.len()).map(|index| Path::new(INSIDE).join(index.to_string())).collect()
}

/// The command that starts the helper inside. Its loader is told every library by name, so that it looks for none.
fn command_inside(own: &[PathBuf]) -> Vec<String> {
    let targets: Vec<String> =
        targets_inside(own).iter().map(|target| target.display().to_string()).collect();
    let Some(loader) = own.iter().position(|file| is_loader(file)) else {
        return vec![targets[0].clone(), crate::CELL_SUBCOMMAND.into()];
    };
    let libraries: Vec<&str> =
        (1..targets.len()).filter(|index| *index != loader).map(|index| targets[index].as_str()).collect();
    let mut command = vec![targets[loader].clone()];
    if !libraries.is_empty() {
        command.extend(["--preload".into(), libraries.join(":")]);
    }
    command.extend([targets[0].clone(), crate::CELL_SUBCOMMAND.into()]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::order::{Payload, Places, Tree, Walls, Watched};
    use crate::policy::Limits;
    use std::collections::BTreeMap;

    fn order() -> Order {
        let tree = |path: &str, kind| Tree { source: path.into(), target: path.into(), kind };
        Order {
            name: "cell".into(),
            walls: Walls::Bubblewrap { program: "/usr/bin/bwrap".into() },
            parent: 7,
            user: None,
            trees: vec![tree("/dev/null", TreeKind::Device), tree("/usr", TreeKind::Folder)],
            trees_attached: false,
            env: BTreeMap::default(),
            argv: vec!["/usr/bin/true".into()],
            cwd: "/".into(),
            limits: Limits { out_bytes: 4711, ..Limits::default() },
            places: Places::default(),
            watched: Watched::default(),
            gpu: false,
            payload: Payload::Program,
        }
    }

    fn line(order: &Order, sources: &Sources) -> String {
        let exists = Exists { masked: vec!["/proc/no-such-table"], read_only: vec!["/proc/sys"] };
        let all = arguments(order, sources, &[10, 11, 12, 13, 14], &exists);
        all.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn sources() -> Sources {
        Sources { trees: vec!["/dev/null".into(), "/usr".into()], own: vec!["/opt/ansatz".into()] }
    }

    #[test]
    fn everything_is_asked_for_that_bubblewrap_does_not_do_by_itself() {
        let said = line(&order(), &sources());
        for part in [
            "--unshare-user --unshare-pid --unshare-net --unshare-ipc --unshare-uts --unshare-cgroup --disable-userns",
            "--uid 1000 --gid 1000",
            "--new-session --die-with-parent --as-pid-1 --cap-drop ALL --clearenv",
            "--perms 0644 --file 10 /etc/passwd",
            "--dev-bind /dev/null /dev/null",
            "--ro-bind /usr /usr",
            "--ro-bind /opt/ansatz /.cell/0",
            "--perms 0700 --size 4711 --tmpfs /out",
            "--proc /proc",
            "--dev-bind /dev/null /proc/no-such-table",
            "--ro-bind /proc/sys /proc/sys",
        ] {
            assert!(said.contains(part), "{part} is missing in {said}");
        }
        assert!(said.ends_with("--remount-ro /dev --remount-ro / --chdir / --"), "{said}");
        assert!(!said.contains("--bind ") && !said.contains("--share-net"), "{said}");
    }

    #[test]
    fn staged_trees_are_taken_from_their_stage() {
        let said = line(&order(), &sources().staged(Path::new("/mnt")));
        assert!(
            said.contains("--ro-bind /mnt/1 /usr") && said.contains("--ro-bind /mnt/own-0 /.cell/0"),
            "{said}"
        );
    }

    #[test]
    fn the_parts_of_a_program_are_read_from_its_map() {
        let maps = "\
5500-5600 r--p 00000000 08:01 1   /opt/ansatz
5600-5700 r-xp 00000000 08:01 1   /opt/ansatz
7f00-7f10 r-xp 00000000 08:01 2   /usr/lib/libc.so.6
7f10-7f20 rw-p 00000000 08:01 3   /usr/lib/data
7f20-7f30 r-xp 00000000 08:01 4   /usr/lib/ld-linux-x86-64.so.2
7f30-7f40 r-xp 00000000 00:00 0   [vdso]
";
        let own = mapped_programs(maps);
        let expected = ["/opt/ansatz", "/usr/lib/libc.so.6", "/usr/lib/ld-linux-x86-64.so.2"];
        assert_eq!(own, expected.map(PathBuf::from));
        assert_eq!(command_inside(&own), ["/.cell/2", "--preload", "/.cell/1", "/.cell/0", "__cell"]);
        assert_eq!(command_inside(&own[..1]), ["/.cell/0", "__cell"]);
    }
}
