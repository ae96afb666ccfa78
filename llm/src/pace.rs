//! Time as an argument of the patient caller: its waits can be lived through or leapt over.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A wait.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where time comes from.
pub trait Pace: Send + Sync {
    /// Time since some fixed moment; never goes backwards.
    fn now(&self) -> Duration;

    /// Waits.
    fn sleep(&self, time: Duration) -> Wait<'_>;
}

/// Real time.
pub struct RealPace(Instant);

impl Default for RealPace {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Pace for RealPace {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) -> Wait<'_> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// Time that waiting alone moves: for tests.
#[derive(Default)]
pub struct Leaps(Mutex<Duration>);

impl Pace for Leaps {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, time: Duration) -> Wait<'_> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += time;
        Box::pin(std::future::ready(()))
    }
}
