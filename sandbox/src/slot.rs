//! User ids for the cells of a root process: one of its own for each cell that lives, so that no two can touch each other.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Cells that one process may have at a time.
const SLOTS: u32 = 128;
/// Ids from here to 2^31 belong to nobody by convention: above those of people, services, containers and name spaces.
pub(crate) const WIDE_BASE: u32 = 0x7000_0000;
/// Processes are told apart by this many ids in the wide range.
const WIDE_PROCESSES: u32 = 1 << 21;
/// Where only 16 bits of ids are mapped (a container), the range that dynamic services use is the least likely to clash.
const NARROW_BASE: u32 = 61_184;
const NARROW_SPAN: u32 = 4_000;

/// Hands out user ids.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    base: u32,
    wide: bool,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

/// A user id that nobody else has until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) uid: u32,
    number: u32,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

impl Slots {
    /// Ids for the process `pid`, given what `/proc/self/uid_map` says.
    pub(crate) fn new(pid: u32, uid_map: &str) -> Self {
        let wide = maps(uid_map, WIDE_BASE, WIDE_BASE - 1 + SLOTS * (WIDE_PROCESSES - 1));
        let base = if wide {
            WIDE_BASE + (pid % WIDE_PROCESSES) * SLOTS
        } else {
            NARROW_BASE + pid.wrapping_mul(SLOTS) % NARROW_SPAN
        };
        Self { base, wide, taken: Arc::default() }
    }

    /// The next free id, or `None` when all are in use.
    pub(crate) fn take(&self) -> Option<Slot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = (0..SLOTS).find(|number| !taken.contains(number))?;
        taken.insert(number);
        let uid = if self.wide {
            self.base + number
        } else {
            NARROW_BASE + (self.base - NARROW_BASE + number) % NARROW_SPAN
        };
        Some(Slot { uid, number, taken: Arc::clone(&self.taken) })
    }
}

impl Slot {
    /// Never hands this id out again: processes that nobody could kill still hold it.
    pub(crate) fn quarantine(self) {
        std::mem::forget(self);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// Whether a line of the map covers all ids from `low` to `high`.
fn maps(uid_map: &str, low: u32, high: u32) -> bool {
    uid_map.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(inside)), Some(Ok(_)), Some(Ok(count))) = (fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        inside <= u64::from(low) && u64::from(high) < inside + count
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "         0          0 4294967295\n";

    #[test]
    fn cells_that_live_at_once_have_different_ids_and_give_them_back() {
        let slots = Slots::new(77, WHOLE);
        let first = slots.take().unwrap();
        let second = slots.take().unwrap();
        assert_ne!(first.uid, second.uid);
        let freed = first.uid;
        drop(first);
        assert_eq!(slots.take().unwrap().uid, freed);
    }

    #[test]
    fn no_more_cells_than_slots() {
        let slots = Slots::new(1, WHOLE);
        let held: Vec<_> = (0..SLOTS).map(|_| slots.take().unwrap()).collect();
        assert!(slots.take().is_none());
        let ids: BTreeSet<_> = held.iter().map(|slot| slot.uid).collect();
        assert_eq!(ids.len(), SLOTS as usize);
    }

    #[test]
    fn a_container_with_sixteen_bits_gets_ids_that_exist_there() {
        let slots = Slots::new(123_456, "0 100000 65536\n");
        let held: Vec<_> = (0..SLOTS).map(|_| slots.take().unwrap()).collect();
        assert!(held.iter().all(|slot| (NARROW_BASE..NARROW_BASE + NARROW_SPAN).contains(&slot.uid)));
    }

    #[test]
    fn every_process_id_stays_below_two_to_the_thirty_one() {
        let slots = Slots::new(WIDE_PROCESSES - 1, WHOLE);
        let held: Vec<_> = (0..SLOTS).map(|_| slots.take().unwrap()).collect();
        assert!(held.iter().all(|slot| slot.uid < 1 << 31));
    }
}
