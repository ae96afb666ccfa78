//! One writer per run: an exclusive lock on `journal.lock`, which names the process that holds it.

use crate::error::{JournalError, JournalErrorKind};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

const FILE_NAME: &str = "journal.lock";

/// A killed writer's last children may hold the lock for an instant longer than it lives; waiting half a second
/// lets `resume` follow a kill at once.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// The lock, held until dropped or until the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct WriterLock {
    _file: File,
}

impl WriterLock {
    pub(crate) fn take(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(FILE_NAME);
        let io = |error| JournalError::io(&path, error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        let mut tries = TRIES;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries > 1 => {
                    tries -= 1;
                    std::thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(JournalError::new(&path, JournalErrorKind::Held { pid: holder(&mut file) }));
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        }
        file.set_len(0).map_err(io)?;
        writeln!(file, "{}", std::process::id()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
