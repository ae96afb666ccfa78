//! What reaches a run from outside while it goes on: the wish to stop, and steering.
//!
//! First wish: "finish with what there is", second: "now". Only somebody at a terminal who asks again means the second one:
//! whoever cancels, leaves or shuts down wants what there is, however often it is said. Steering waits in a queue until the
//! dispatcher takes it.

use ansatz_core::steer::Steer;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// Shared between whoever hears the user and the dispatcher.
#[derive(Debug, Default)]
pub struct Control {
    wishes: AtomicU8,
    /// Filled by front ends, emptied by the dispatcher.
    steering: Mutex<Vec<Steer>>,
    notify: Notify,
    steered: Notify,
}

impl Control {
    /// Asks to stop; the second call asks to drop everything.
    pub fn ask(&self) {
        self.wishes.fetch_add(1, Ordering::SeqCst);
        self.wake();
    }

    /// Asks to finish with what there is; asking again changes nothing.
    pub fn finish(&self) {
        self.wishes.fetch_max(1, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        self.notify.notify_waiters();
        self.notify.notify_one();
    }

    /// Whether the run should finish with what there is.
    pub fn asked(&self) -> bool {
        self.wishes.load(Ordering::SeqCst) > 0
    }

    /// Whether everything should be dropped.
    pub fn urgent(&self) -> bool {
        self.wishes.load(Ordering::SeqCst) > 1
    }

    /// Waits for a wish.
    pub async fn wished(&self) {
        while !self.asked() {
            self.notify.notified().await;
        }
    }

    /// Steers the run. What came of it is an event of the run.
    pub fn steer(&self, steer: Steer) {
        self.steering.lock().unwrap_or_else(PoisonError::into_inner).push(steer);
        self.steered.notify_one();
    }

    /// Takes what waits.
    pub fn take_steering(&self) -> Vec<Steer> {
        std::mem::take(&mut *self.steering.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until something may be there to take.
    pub async fn steered(&self) {
        self.steered.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::Control;

    #[test]
    fn finishing_is_wished_once_however_often_it_is_said() {
        let control = Control::default();
        assert!(!control.asked());
        (0..3).for_each(|_| control.finish());
        assert!(control.asked() && !control.urgent());
        // Whoever presses Ctrl-C after that means it.
        control.ask();
        assert!(control.urgent());
        control.finish();
        assert!(control.urgent(), "what was urgent stays so");
    }
}
