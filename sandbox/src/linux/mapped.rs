//! Mapping machine code that this program compiled earlier.

use rustix::fs::{FileType, Mode, OFlags};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::Path;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Maps a precompiled component if the file is one that this user wrote, that nobody else can write, and whose content has
/// the digest that was noted when it was written. The error says which of these fails.
pub(crate) fn component(engine: &Engine, path: &Path, digest: &[u8]) -> io::Result<Component> {
    let refused = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    let is_ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_mode & 0o7777 == 0o600
        && stat.st_nlink == 1;
    if !is_ours {
        return Err(refused("it is not a private file of this user"));
    }
    let mut file = File::from(file);
    let mut hasher = Sha256::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            got => hasher.update(&piece[..got]),
        }
    }
    if hasher.finalize().as_slice() != digest {
        return Err(refused("its content changed since it was written"));
    }
    // The open descriptor rather than the path, so that what is mapped is what was looked at.
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: the bytes are the output of `Engine::precompile_component` of this program and this version of wasmtime (which
    // checks its own header as well): their digest was noted when they were written and has just been compared. Only this
    // user can write the file, it is replaced by renaming and never written again in place, so that it does not change
    // while it is mapped.
    unsafe { Component::deserialize_file(engine, opened) }.map_err(io::Error::other)
}
