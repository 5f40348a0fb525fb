//! The order to stop, and the state of the host: two signals in, two answers out. Knows neither queue nor HTTP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// What the process has been told.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled by the first SIGTERM or SIGINT: receive no more, finish what is in hand, stop.
    pub drain: CancellationToken,
    /// Cancelled by the second: stop now.
    pub force: CancellationToken,
}

impl Shutdown {
    /// Listens for signals from now on. Fails where the handlers cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::default();
        let told = shutdown.clone();
        tokio::spawn(async move {
            for token in [told.drain, told.force] {
                tokio::select! {
                    _ = terminate.recv() => (),
                    _ = interrupt.recv() => (),
                }
                token.cancel();
            }
        });
        Ok(shutdown)
    }
}

/// How the process is, for `/healthz` and `/readyz`.
///
/// Liveness is the poll loop's promise to show itself again within some time. A loop that waits for room promises
/// nothing, since being full of long messages is progress; an SQS outage touches readiness only.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    born: Instant,
    /// Milliseconds after `born` by which the loop shows itself again; `u64::MAX` = no promise.
    due: AtomicU64,
    reachable: AtomicBool,
    draining: AtomicBool,
    settles: AtomicBool,
    store: AtomicBool,
}

/// Why the process is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// It has been told to stop.
    #[error("draining")]
    Draining,
    /// The last call to SQS failed, or none has succeeded yet.
    #[error("SQS cannot be reached")]
    Unreachable,
    /// What was handled cannot be settled: nothing is received until it can.
    #[error("messages that were handled cannot be deleted or given back: look at the log for what SQS says")]
    Unsettled,
    /// The idempotency table fails: nothing is handled until it answers.
    #[error("the idempotency table fails: look at the log for what it says")]
    Store,
}

impl Default for Health {
    fn default() -> Self {
        Self(Arc::new(Inner {
            born: Instant::now(),
            due: AtomicU64::new(u64::MAX),
            reachable: AtomicBool::new(true),
            draining: AtomicBool::new(false),
            settles: AtomicBool::new(true),
            store: AtomicBool::new(true),
        }))
    }
}

impl Health {
    /// The loop shows itself, and will again within `time`.
    pub fn back_within(&self, time: Duration) {
        let due = (self.0.born.elapsed() + time).as_millis().min(u128::from(u64::MAX - 1)) as u64;
        self.0.due.store(due, Ordering::Relaxed);
    }

    /// The loop waits for something that may rightly take any time: room, or the end of work in hand.
    pub fn waiting(&self) {
        self.0.due.store(u64::MAX, Ordering::Relaxed);
    }

    /// Notes whether the last call to SQS came through.
    pub fn reached_queue(&self, reached: bool) {
        self.0.reachable.store(reached, Ordering::Relaxed);
    }

    /// Notes whether what was handled can be settled.
    pub fn settles(&self, settles: bool) {
        self.0.settles.store(settles, Ordering::Relaxed);
    }

    /// Notes whether the idempotency store answers.
    pub fn store_answers(&self, answers: bool) {
        self.0.store.store(answers, Ordering::Relaxed);
    }

    /// Not ready from now on.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the poll loop keeps its promise.
    pub fn alive(&self) -> bool {
        self.0.born.elapsed().as_millis() <= u128::from(self.0.due.load(Ordering::Relaxed))
    }

    /// Whether this process can do its work, and if not, why.
    pub fn ready(&self) -> Result<(), NotReady> {
        if self.0.draining.load(Ordering::Relaxed) {
            Err(NotReady::Draining)
        } else if !self.0.reachable.load(Ordering::Relaxed) {
            Err(NotReady::Unreachable)
        } else if !self.0.settles.load(Ordering::Relaxed) {
            Err(NotReady::Unsettled)
        } else if !self.0.store.load(Ordering::Relaxed) {
            Err(NotReady::Store)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_does_not_come_back_in_time_is_not_alive_and_one_that_waits_for_room_is() {
        let health = Health::default();
        health.back_within(Duration::from_secs(30));
        tokio::time::advance(Duration::from_secs(29)).await;
        assert!(health.alive());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!health.alive());
        health.waiting();
        assert!(health.alive());
    }

    #[test]
    fn an_outage_and_draining_touch_readiness_but_not_liveness() {
        let health = Health::default();
        assert_eq!(health.ready(), Ok(()));
        health.reached_queue(false);
        assert_eq!(health.ready(), Err(NotReady::Unreachable));
        health.drain();
        assert_eq!(health.ready(), Err(NotReady::Draining));
        assert!(health.alive());
    }
}
