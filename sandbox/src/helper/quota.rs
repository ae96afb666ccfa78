//! How much a cell's writable folders hold, looked at by the supervisor where the file system does not hold them to it.

use super::order::{Order, Places, Watched};
use crate::collect;
use rustix::fs::{Mode, OFlags, StatVfs};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// Names in scratch: as many as in a scratch file system of ours.
use super::sequence::TMP_INODES;
/// Deeper nesting than this is an attack, not a result.
const DEPTH_MAX: usize = 64;
/// When the disk has less room than this, something fills it in ways that a walk does not see.
const ROOM_BYTES_MIN: u64 = 128 << 20;

/// What a folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) bytes: u64,
    pub(crate) names: u64,
    pub(crate) depth: usize,
}

/// Holds the writable folders to their limits.
#[derive(Debug)]
pub(crate) struct Quota {
    watched: Watched,
    folders: Vec<(OwnedFd, Room)>,
}

impl Quota {
    /// Opens the folders; `None` where there is nothing to watch.
    pub(crate) fn new(order: &Order) -> std::io::Result<Option<Self>> {
        let Order { limits, watched, places: Places { out, tmp }, .. } = order;
        if !watched.names && !watched.bytes {
            return Ok(None);
        }
        let room = |bytes, names| Room { bytes, names, depth: DEPTH_MAX };
        let folders = [
            (open(out)?, room(limits.out_bytes, limits.out_inodes)),
            (open(tmp)?, room(limits.tmp_bytes, TMP_INODES)),
        ];
        Ok(Some(Self { watched: *watched, folders: folders.into() }))
    }

    /// Whether a folder holds more than it may.
    pub(crate) fn is_over(&self) -> bool {
        self.folders.iter().any(|(folder, room)| {
            let seen = rustix::fs::fstatvfs(folder);
            if self.watched.bytes {
                !collect::fits(folder.as_fd(), room) || seen.is_ok_and(|seen| free(&seen) < ROOM_BYTES_MIN)
            } else {
                seen.is_ok_and(|seen| seen.f_files.saturating_sub(seen.f_ffree) > room.names)
            }
        })
    }
}

fn free(seen: &StatVfs) -> u64 {
    seen.f_bavail.saturating_mul(seen.f_frsize)
}

fn open(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
