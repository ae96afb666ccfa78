//! A cell that is a container: what ends it, counts it and clears it away.

use super::client::Client;
use super::door::Door;
use crate::backend::{Cleared, Hold};
use crate::cgroup::{Counters, Tally};
use crate::slot::Slot;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A container in the engine's store. Dropped, it is removed with everything that runs in it.
#[derive(Debug)]
pub(super) struct Stored {
    client: Arc<Client>,
    id: String,
    removed: bool,
}

impl Stored {
    /// Takes over a container that has just been made.
    pub(super) fn new(client: Arc<Client>, id: String) -> Self {
        Self { client, id, removed: false }
    }

    /// Its id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    fn remove(&mut self) -> bool {
        self.removed = self.removed || self.client.remove(&self.id).is_ok();
        self.removed
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Time for containers that are being cleared away to be gone before their launcher is.
const LEAVING_TIME_MAX: Duration = Duration::from_secs(5);

/// Containers of a launcher that have been killed and not been cleared away yet.
///
/// A program that ends right after it has killed its cells would leave them in the engine's store.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Leaving {
    fn change(&self, change: impl FnOnce(&mut usize)) {
        change(&mut self.count.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until none is left, within limits.
    pub(super) fn wait(&self) {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_timeout_while(count, LEAVING_TIME_MAX, |count| *count > 0));
    }
}

/// A container whose first process, our supervisor, has come in.
#[derive(Debug)]
pub(super) struct Container {
    init: OwnedFd,
    uid: u32,
    tally: Option<Tally>,
    counted: Mutex<Counters>,
    left: Mutex<Left>,
    leaving: Arc<Leaving>,
    killed: AtomicBool,
}

/// What has to be cleared away at the end.
#[derive(Debug)]
struct Left {
    stored: Option<Stored>,
    slot: Option<Slot>,
    _door: Door,
}

impl Container {
    pub(super) fn new(
        stored: Stored,
        init: OwnedFd,
        uid: u32,
        tally: Option<Tally>,
        slot: Option<Slot>,
        door: Door,
        leaving: Arc<Leaving>,
    ) -> Self {
        let left = Left { stored: Some(stored), slot, _door: door };
        Self {
            init,
            uid,
            tally,
            counted: Mutex::default(),
            left: Mutex::new(left),
            leaving,
            killed: AtomicBool::new(false),
        }
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.init, PollFlags::IN)], Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

impl Hold for Container {
    fn over(&self) -> BorrowedFd<'_> {
        self.init.as_fd()
    }

    fn kill(&self) {
        if self.is_over() {
            return;
        }
        if !self.killed.swap(true, Ordering::Relaxed) {
            self.leaving.change(|count| *count += 1);
        }
        self.counters();
        // An ordinary user may not signal the users of its own containers; their engine may.
        if pidfd_send_signal(&self.init, Signal::KILL).is_err()
            && let Some(stored) = &self.left().stored
        {
            stored.client.kill_soon(&stored.id);
        }
    }

    fn uid(&self) -> u32 {
        self.uid
    }

    /// The engine removes the group soon after the end, so what was seen last is kept.
    fn counters(&self) -> Counters {
        let seen = self.tally.as_ref().and_then(Tally::read);
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = seen {
            *counted = seen;
        }
        *counted
    }

    fn clear(&self) -> Cleared {
        let cpu_s = self.counters().cpu_s;
        let mut left = self.left();
        let removed = left.stored.take().is_none_or(|mut stored| stored.remove());
        let clean = removed && self.is_over();
        if self.killed.swap(true, Ordering::Relaxed) {
            self.leaving.change(|count| *count = count.saturating_sub(1));
        }
        match left.slot.take() {
            // Its user is never given away again.
            Some(slot) if !clean => slot.quarantine(),
            other => drop(other),
        }
        Cleared { clean, cpu_s }
    }
}
