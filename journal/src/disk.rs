//! The two calls on which durability rests, behind a trait so that tests can make them fail.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A file that is appended to.
pub(crate) trait Disk: Send {
    /// Appends all bytes; they survive the end of this process.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything appended so far survives the end of power.
    fn sync(&mut self) -> io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Makes names inside a folder durable: a new file is only found after a power loss when its folder was synced.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other systems cannot open a folder as a file and order renames by themselves.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
