//! Who holds a GPU, across all processes of a host: one lock file for each.
//!
//! The kernel's lock on the file is the truth, and the kernel takes it back when its holder dies; what is written inside (holder,
//! token, quarantine) is for the next holder to read. The folder is shared by all users, like `/tmp`: a hostile local user can
//! keep GPUs from us that way, and nothing more.

use super::nvml::GpuId;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Places for the folder, best first; the first that can be used is taken by every process of a user.
const PLACES: [&str; 3] = ["/run/lock", "/dev/shm", "/tmp"];
const NAME: &str = "ansatz-gpu";
/// Largest content that is read; our own is far below.
const BYTES_MAX: u64 = 4096;
/// Letters of a reason that are kept.
const REASON_MAX: usize = 500;

/// What a lock file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// The fencing token of the last lease; each lease has a higher one.
    pub(super) token: u64,
    /// The process that holds or held it.
    pub(super) holder: u32,
    /// Why it is put aside, if it is.
    pub(super) quarantine: Option<Quarantine>,
}

/// Why a GPU is not given to anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Quarantine {
    /// In words.
    pub(super) reason: String,
    /// The boot in which it happened: a restart resets the device.
    pub(super) boot: String,
    /// Where it ends by itself as soon as nobody computes there any more: the memory that may still be in use then.
    pub(super) idle_bytes: Option<u64>,
}

impl Quarantine {
    pub(super) fn new(reason: &str, idle_bytes: Option<u64>) -> Self {
        Self { reason: reason.chars().take(REASON_MAX).collect(), boot: boot(), idle_bytes }
    }

    /// Whether the machine was started anew since.
    pub(super) fn is_over(&self) -> bool {
        self.boot != boot()
    }
}

/// The folder of lock files.
pub(super) fn folder() -> io::Result<PathBuf> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for place in PLACES {
        match shared(&Path::new(place).join(NAME)) {
            Ok(folder) => return Ok(folder),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Makes the folder for everybody, or takes the one that is there.
fn shared(folder: &Path) -> io::Result<PathBuf> {
    match rustix::fs::mkdir(folder, Mode::from_raw_mode(0o1777)) {
        // The mode again, past the mask of this process.
        Ok(()) => rustix::fs::chmod(folder, Mode::from_raw_mode(0o1777))?,
        Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    let found = folder.symlink_metadata()?;
    let usable = found.is_dir() && rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok();
    if usable { Ok(folder.to_owned()) } else { Err(io::Error::other("not a folder that can be used")) }
}

/// The kernel's id of the time since the last start.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// A GPU that this process holds. Dropping it lets go.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    pub(super) record: Record,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// Another lease lives; this process holds it.
    Held(u32),
    /// The file cannot be used.
    Broken(io::Error),
}

impl Lock {
    /// Takes the lock of a GPU. Never waits.
    pub(super) fn take(folder: &Path, id: &GpuId) -> Result<Self, Refused> {
        let file = open(&folder.join(format!("{id}.lock"))).map_err(Refused::Broken)?;
        match file.try_lock() {
            Ok(()) => {
                let record = read(&file).unwrap_or_default();
                Ok(Self { file, record })
            }
            Err(TryLockError::WouldBlock) => Err(Refused::Held(read(&file).unwrap_or_default().holder)),
            Err(TryLockError::Error(error)) => Err(Refused::Broken(error)),
        }
    }

    /// Writes what the next holder shall know.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let bytes = serde_json::to_vec(&self.record)?;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(&bytes)
    }
}

/// Opens a lock file, never through a link, never anything but a plain file with one name.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let everybody = Mode::from_raw_mode(0o666);
    let descriptor = match rustix::fs::open(path, flags, Mode::empty()) {
        // Made in a second step: in a shared folder the kernel may refuse to open a stranger's file with the wish to make it.
        Err(rustix::io::Errno::NOENT) => {
            match rustix::fs::open(path, flags | OFlags::CREATE | OFlags::EXCL, everybody) {
                Ok(made) => {
                    rustix::fs::fchmod(&made, everybody)?;
                    made
                }
                Err(rustix::io::Errno::EXIST) => rustix::fs::open(path, flags, Mode::empty())?,
                Err(errno) => return Err(errno.into()),
            }
        }
        other => other?,
    };
    let file = File::from(descriptor);
    let found = file.metadata()?;
    if found.is_file() && found.nlink() == 1 {
        Ok(file)
    } else {
        Err(io::Error::other(format!("{} is not a plain file", path.display())))
    }
}

fn read(mut file: &File) -> io::Result<Record> {
    let mut text = String::new();
    file.rewind()?;
    file.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> GpuId {
        GpuId::new("GPU-1").unwrap()
    }

    #[test]
    fn one_holder_at_a_time_and_the_other_learns_who() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Lock::take(folder.path(), &id()).unwrap();
        first.record = Record { token: 7, holder: 4711, quarantine: None };
        first.write().unwrap();
        assert!(matches!(Lock::take(folder.path(), &id()), Err(Refused::Held(4711))));
        drop(first);
        assert_eq!(Lock::take(folder.path(), &id()).unwrap().record.token, 7);
    }

    #[test]
    fn a_holder_that_died_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // The file is all that is left of it.
        std::fs::write(folder.path().join("GPU-1.lock"), r#"{"token":3,"holder":1}"#).unwrap();
        assert_eq!(Lock::take(folder.path(), &id()).unwrap().record.token, 3);
    }

    #[test]
    fn nonsense_in_the_file_is_like_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for nonsense in ["", "{", "\u{0}\u{0}", "[true]", "{\"token\":-1}"] {
            std::fs::write(folder.path().join("GPU-1.lock"), nonsense).unwrap();
            assert_eq!(Lock::take(folder.path(), &id()).unwrap().record, Record::default());
        }
    }

    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        std::os::unix::fs::symlink(&victim, folder.path().join("GPU-1.lock")).unwrap();
        assert!(matches!(Lock::take(folder.path(), &id()), Err(Refused::Broken(_))));
        std::fs::remove_file(folder.path().join("GPU-1.lock")).unwrap();
        std::fs::hard_link(&victim, folder.path().join("GPU-1.lock")).unwrap();
        assert!(matches!(Lock::take(folder.path(), &id()), Err(Refused::Broken(_))));
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
    }

    #[test]
    fn a_restart_ends_a_quarantine() {
        let mut quarantine = Quarantine::new("Xid 79", None);
        assert!(!quarantine.is_over());
        quarantine.boot = "another".into();
        assert!(quarantine.is_over());
    }

    #[test]
    fn the_shared_folder_is_for_everybody() {
        let temp = tempfile::tempdir().unwrap();
        let folder = shared(&temp.path().join(NAME)).unwrap();
        assert_eq!(folder.metadata().unwrap().mode() & 0o7777, 0o1777);
        assert!(shared(&folder).is_ok());
        std::fs::write(temp.path().join("file"), "").unwrap();
        assert!(shared(&temp.path().join("file")).is_err());
    }
}
