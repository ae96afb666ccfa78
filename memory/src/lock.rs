//! One process at a time in the store: an exclusive lock on `memory.lock`, which names the process that holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

const PAUSE: Duration = Duration::from_millis(20);

/// The outcome of asking for the lock.
pub(crate) enum Asked {
    /// It is ours until dropped.
    Ours(Lock),
    /// Another process has it: its id, when it could be read.
    Held(Option<u32>),
}

/// The lock, held until dropped or until the process ends, however it ends.
pub(crate) struct Lock {
    _file: File,
}

/// Asks for the lock, waiting at most about `wait`.
pub(crate) fn ask(folder: &Path, wait: Duration) -> io::Result<Asked> {
    let path = folder.join("memory.lock");
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if waited < wait => {
                std::thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(TryLockError::WouldBlock) => return Ok(Asked::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())?;
    Ok(Asked::Ours(Lock { _file: file }))
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
