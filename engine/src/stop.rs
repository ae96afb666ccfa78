//! The user's wish to stop: first time "finish with what there is", second time "now".

use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Notify;

/// Shared between whoever hears the user and the dispatcher.
#[derive(Debug, Default)]
pub struct Stop {
    wishes: AtomicU8,
    notify: Notify,
}

impl Stop {
    /// Asks to stop; the second call asks to drop everything.
    pub fn ask(&self) {
        self.wishes.fetch_add(1, Ordering::SeqCst);
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
}
