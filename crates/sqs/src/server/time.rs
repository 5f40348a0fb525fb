//! The server's time: its clock, and what was added to it by hand.

use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::Clock;

/// Scenario time of one server.
#[derive(Debug)]
pub(super) struct Time {
    clock: Clock,
    /// Nanoseconds.
    ahead: AtomicU64,
    advanced: Notify,
}

impl Time {
    /// What `clock` tells.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, ahead: AtomicU64::new(0), advanced: Notify::new() }
    }

    /// Since the clock was made.
    pub(super) fn now(&self) -> Duration {
        self.clock.now() + self.ahead()
    }

    fn ahead(&self) -> Duration {
        Duration::from_nanos(self.ahead.load(Ordering::Acquire))
    }

    /// It is `by` later from now on; who sleeps and is due wakes.
    pub(super) fn advance(&self, by: Duration) {
        self.ahead.fetch_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX), Ordering::AcqRel);
        self.advanced.notify_waiters();
    }

    /// Sleeps until then.
    pub(super) async fn sleep_until(&self, at: Duration) {
        loop {
            let mut advanced = pin!(self.advanced.notified());
            advanced.as_mut().enable();
            let ahead = self.ahead();
            tokio::select! {
                _ = self.clock.sleep_until(at.saturating_sub(ahead)) => return,
                () = advanced => {}
            }
        }
    }

    /// Sleeps for so long.
    pub(super) async fn sleep(&self, time: Duration) {
        self.sleep_until(self.now() + time).await;
    }
}
