//! Taking results out of a cell's `/out`, and clearing it. Everything below that folder was made by code we distrust.
//!
//! Works from a descriptor of the folder, by plain names, one path component at a time: no link is followed, nothing but a
//! regular file with one name is read, no more than allowed is read, and no depth of nesting overflows anything.

use crate::helper::Room;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

/// Longest path component.
const NAME_BYTES_MAX: usize = 128;
/// Most components of a path.
const NAME_DEPTH_MAX: usize = 8;
/// Entries that one removal touches at most: a writer that adds faster than we remove must not hold us forever.
const STEPS_MAX: u32 = 2_000_000;

/// A result that was not taken, and why.
#[derive(Debug, thiserror::Error)]
#[error("result `{}`", name.escape_debug())]
pub struct CollectError {
    name: String,
    #[source]
    kind: CollectErrorKind,
}

/// Why a result was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CollectErrorKind {
    /// The name holds something other than letters, digits, dot, dash and underscore, or starts with a dot or a dash.
    #[error("not a plain name")]
    BadName,
    /// There is no such file.
    #[error("was not written")]
    NotFound,
    /// A link, a folder, a pipe or anything else that is not a regular file.
    #[error("is not a regular file")]
    NotRegular,
    /// The file has more than one name.
    #[error("has {0} names")]
    Linked(u64),
    /// The file is larger than the caller takes.
    #[error("has {bytes} bytes, more than the {max} allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// The folder changed faster than it could be cleared.
    #[error("does not hold still")]
    Unstable,
    /// The operating system refused.
    #[error(transparent)]
    System(#[from] io::Error),
}

impl CollectError {
    /// Why it was not taken.
    pub fn kind(&self) -> &CollectErrorKind {
        &self.kind
    }
}

impl From<Errno> for CollectErrorKind {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NotFound,
            // A link where a file or folder was expected, a folder opened as a file, a socket.
            Errno::LOOP | Errno::NOTDIR | Errno::ISDIR | Errno::NXIO | Errno::XDEV => Self::NotRegular,
            other => Self::System(other.into()),
        }
    }
}

/// Reads one file below `out`.
pub(crate) fn collect(out: BorrowedFd<'_>, relative: &str, bytes_max: u64) -> Result<Vec<u8>, CollectError> {
    take(out, relative, bytes_max).map_err(|kind| CollectError { name: relative.into(), kind })
}

/// Removes everything below `folder`.
pub(crate) fn empty(folder: BorrowedFd<'_>) -> Result<(), CollectErrorKind> {
    let here = rustix::io::fcntl_dupfd_cloexec(folder, 3)?;
    Clearing { here, above: Vec::new(), steps: 0 }.run()
}

/// Whether what lies below `folder` keeps to its limits. A folder that does not hold still is looked at again next time.
pub(crate) fn fits(folder: BorrowedFd<'_>, room: &Room) -> bool {
    let mut used = Used::default();
    used.walk(folder, room, 0).unwrap_or(true)
}

/// What a walk has seen.
#[derive(Default)]
struct Used {
    bytes: u64,
    names: u64,
}

impl Used {
    /// Adds what lies in a folder and below it. Returns whether it is within the limits so far; no deeper than allowed, so
    /// this recursion has an end.
    fn walk(&mut self, folder: BorrowedFd<'_>, room: &Room, depth: usize) -> Result<bool, CollectErrorKind> {
        if depth > room.depth {
            return Ok(false);
        }
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            self.names += 1;
            // Blocks are what a disk really gives; they come in pieces of 512 bytes.
            self.bytes += (stat.st_blocks as u64).saturating_mul(512);
            if self.names > room.names || self.bytes > room.bytes {
                return Ok(false);
            }
            if FileType::from_raw_mode(stat.st_mode).is_dir() {
                let Ok(below) = open_child(folder, name) else { continue };
                if !self.walk(below.as_fd(), room, depth + 1)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Removes a file or a whole folder below `out`. What is not there needs no removal.
pub(crate) fn remove(out: BorrowedFd<'_>, relative: &str) -> Result<(), CollectError> {
    match clear(out, relative) {
        Ok(()) | Err(CollectErrorKind::NotFound) => Ok(()),
        Err(kind) => Err(CollectError { name: relative.into(), kind }),
    }
}

fn resolve() -> ResolveFlags {
    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV
}

fn check_name(relative: &str) -> Result<(), CollectErrorKind> {
    let plain = |part: &str| {
        (1..=NAME_BYTES_MAX).contains(&part.len())
            && !part.starts_with(['.', '-'])
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
    };
    let parts: Vec<&str> = relative.split('/').collect();
    if parts.len() <= NAME_DEPTH_MAX && parts.iter().all(|part| plain(part)) {
        Ok(())
    } else {
        Err(CollectErrorKind::BadName)
    }
}

fn take(out: BorrowedFd<'_>, relative: &str, bytes_max: u64) -> Result<Vec<u8>, CollectErrorKind> {
    check_name(relative)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::openat2(out, relative, flags, Mode::empty(), resolve())?;
    let stat = rustix::fs::fstat(&file)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(CollectErrorKind::NotRegular);
    }
    if stat.st_nlink != 1 {
        return Err(CollectErrorKind::Linked(stat.st_nlink as u64));
    }
    let bytes = stat.st_size as u64;
    if bytes > bytes_max {
        return Err(CollectErrorKind::TooLarge { bytes, max: bytes_max });
    }
    let mut taken = Vec::with_capacity(bytes as usize);
    // One byte more than allowed: the file may have grown since it was measured.
    std::fs::File::from(file).take(bytes_max.saturating_add(1)).read_to_end(&mut taken)?;
    if taken.len() as u64 > bytes_max {
        return Err(CollectErrorKind::TooLarge { bytes: taken.len() as u64, max: bytes_max });
    }
    Ok(taken)
}

fn clear(out: BorrowedFd<'_>, relative: &str) -> Result<(), CollectErrorKind> {
    check_name(relative)?;
    let (folder, name) = match relative.rsplit_once('/') {
        Some((folder, name)) => (open_folder(out, folder)?, name),
        None => (rustix::io::fcntl_dupfd_cloexec(out, 3)?, relative),
    };
    let name = CString::new(name).map_err(|_| CollectErrorKind::BadName)?;
    match rustix::fs::unlinkat(&folder, &name, AtFlags::empty()) {
        Ok(()) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    Clearing { here: open_child(folder.as_fd(), &name)?, above: Vec::new(), steps: 0 }.run()?;
    rustix::fs::unlinkat(&folder, &name, AtFlags::REMOVEDIR).map_err(Into::into)
}

fn open_folder(out: BorrowedFd<'_>, relative: &str) -> Result<OwnedFd, CollectErrorKind> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(out, relative, flags, Mode::empty(), resolve())?)
}

/// Opens a folder by name, making it accessible first where its maker has locked it.
fn open_child(folder: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, CollectErrorKind> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(folder, name, flags | OFlags::RDONLY, Mode::empty()) {
        Err(Errno::ACCESS) => {}
        other => return Ok(other?),
    }
    let handle = rustix::fs::openat(folder, name, flags | OFlags::PATH, Mode::empty())?;
    // Through the handle, so that no link can be put in its place.
    rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU)?;
    Ok(rustix::fs::openat(&handle, ".", flags | OFlags::RDONLY, Mode::empty())?)
}

/// Which folder a descriptor is, whatever its name.
type Identity = (u64, u64);

fn identity(folder: BorrowedFd<'_>) -> Result<Identity, CollectErrorKind> {
    let stat = rustix::fs::fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// Empties a folder. One descriptor and a list of names serve any depth: it goes down by name and up by `..`, making sure that
/// it comes out where it went in.
struct Clearing {
    here: OwnedFd,
    above: Vec<(Identity, CString)>,
    steps: u32,
}

impl Clearing {
    fn run(mut self) -> Result<(), CollectErrorKind> {
        loop {
            if let Some(name) = self.unlink_until_folder()? {
                let below = open_child(self.here.as_fd(), &name)?;
                self.above.push((identity(self.here.as_fd())?, name));
                self.here = below;
            } else if !self.go_up()? {
                return Ok(());
            }
        }
    }

    /// Unlinks what is here. Returns the first folder that is not empty.
    fn unlink_until_folder(&mut self) -> Result<Option<CString>, CollectErrorKind> {
        for entry in Dir::read_from(&self.here)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.count()?;
            match rustix::fs::unlinkat(&self.here, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::ISDIR | Errno::PERM) => {}
                Err(errno) => return Err(errno.into()),
            }
            match rustix::fs::unlinkat(&self.here, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => return Ok(Some(name.to_owned())),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }

    /// Leaves an empty folder and removes it. Returns whether there was one above.
    fn go_up(&mut self) -> Result<bool, CollectErrorKind> {
        let Some((expected, name)) = self.above.pop() else { return Ok(false) };
        self.count()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::openat(&self.here, "..", flags, Mode::empty())?;
        if identity(parent.as_fd())? != expected {
            return Err(CollectErrorKind::Unstable);
        }
        self.here = parent;
        match rustix::fs::unlinkat(&self.here, &name, AtFlags::REMOVEDIR) {
            // Somebody has put something new in: it is met again when this folder is read again.
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    fn count(&mut self) -> Result<(), CollectErrorKind> {
        self.steps += 1;
        if self.steps > STEPS_MAX { Err(CollectErrorKind::Unstable) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn with_out(test: impl FnOnce(&std::path::Path, BorrowedFd<'_>)) {
        let temp = tempfile::tempdir().unwrap();
        let out = rustix::fs::open(temp.path(), OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        test(temp.path(), out.as_fd());
    }

    fn check(prepare: impl FnOnce(&std::path::Path), name: &str, expected: &str) {
        with_out(|dir, out| {
            prepare(dir);
            let said = match collect(out, name, 10) {
                Ok(bytes) => format!("ok {}", String::from_utf8_lossy(&bytes)),
                Err(error) => error.kind().to_string(),
            };
            assert_eq!(said, expected, "{name}");
        });
    }

    #[test]
    fn a_regular_file_is_read() {
        check(|dir| fs::write(dir.join("pred.npy"), "values").unwrap(), "pred.npy", "ok values");
        check(
            |dir| {
                fs::create_dir(dir.join("t1")).unwrap();
                fs::write(dir.join("t1/m.bin"), "m").unwrap();
            },
            "t1/m.bin",
            "ok m",
        );
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused() {
        check(|dir| symlink("/etc/passwd", dir.join("a.csv")).unwrap(), "a.csv", "is not a regular file");
        check(|dir| symlink("..", dir.join("model")).unwrap(), "model/x", "is not a regular file");
        check(|dir| fs::create_dir(dir.join("a.csv")).unwrap(), "a.csv", "is not a regular file");
        check(
            |dir| {
                let mode = Mode::from_raw_mode(0o600);
                rustix::fs::mknodat(rustix::fs::CWD, dir.join("fifo"), FileType::Fifo, mode, 0).unwrap();
            },
            "fifo",
            "is not a regular file",
        );
    }

    #[test]
    fn a_file_with_two_names_is_refused() {
        check(
            |dir| {
                fs::write(dir.join("a"), "x").unwrap();
                fs::hard_link(dir.join("a"), dir.join("b")).unwrap();
            },
            "a",
            "has 2 names",
        );
    }

    #[test]
    fn size_is_capped_before_reading() {
        check(
            |dir| fs::File::create(dir.join("big")).unwrap().set_len(1 << 40).unwrap(),
            "big",
            "has 1099511627776 bytes, more than the 10 allowed",
        );
    }

    #[test]
    fn names_are_plain() {
        for name in ["-rf", ".hidden", "..", "a/../b", "/etc/passwd", "a b", "a\nb", "", "a//b", "\u{e9}"] {
            check(|_| (), name, "not a plain name");
        }
        check(|_| (), &"x".repeat(129), "not a plain name");
        check(|_| (), "a-b_c.1", "was not written");
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed() {
        with_out(|dir, out| {
            let top = dir.join("t1");
            fs::create_dir(&top).unwrap();
            let mut here = rustix::fs::open(&top, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty()).unwrap();
            for _ in 0..5_000 {
                rustix::fs::mkdirat(&here, "d", Mode::RWXU).unwrap();
                here = rustix::fs::openat(&here, "d", OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())
                    .unwrap();
            }
            remove(out, "t1").unwrap();
            assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
        });
    }

    #[test]
    fn locked_folders_and_links_are_removed_and_what_links_point_at_stays() {
        with_out(|dir, out| {
            let outside = tempfile::tempdir().unwrap();
            fs::write(outside.path().join("keep"), "k").unwrap();
            fs::create_dir_all(dir.join("t/a/b/c")).unwrap();
            fs::write(dir.join("t/a/b/c/f"), "x").unwrap();
            symlink(outside.path(), dir.join("t/a/link")).unwrap();
            for locked in ["t/a/b/c", "t/a/b", "t/a"] {
                fs::set_permissions(dir.join(locked), fs::Permissions::from_mode(0o000)).unwrap();
            }
            remove(out, "t").unwrap();
            assert_eq!(fs::read_dir(dir).unwrap().count(), 0);
            assert!(outside.path().join("keep").exists());
        });
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        with_out(|_, out| remove(out, "nothing").unwrap());
    }
}
