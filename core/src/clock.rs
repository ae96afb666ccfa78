//! Time as an argument: nobody but the root package reads the real clock.

use std::sync::Mutex;
use std::time::Duration;

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment of this process; never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Seconds since 1970-01-01 UTC; for display and ids only.
    fn unix_seconds(&self) -> u64;
}

/// A clock that is moved by hand.
#[derive(Debug, Default)]
pub struct ManualClock(Mutex<Duration>);

impl ManualClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn unix_seconds(&self) -> u64 {
        self.monotonic().as_secs()
    }
}
