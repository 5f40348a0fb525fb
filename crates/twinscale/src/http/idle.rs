//! How long a connection stays on which nobody asks anything.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

/// A connection whose first request has not come by then is dropped.
pub(super) const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// A connection is kept for so long after a request: longer than by a load balancer, which would send a request into the end
/// of it otherwise, and answer its client with 502. An ALB of AWS keeps one for 60 s unless told otherwise.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(75);

/// How often a connection looks whether others wait for its place.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What one connection does.
#[derive(Debug)]
pub(super) struct Connection(Mutex<Doing>);

#[derive(Clone, Copy, Debug)]
enum Doing {
    /// Nothing was asked yet.
    New,
    /// A request is under way.
    Answering,
    /// Nothing since then.
    Idle(Instant),
}

impl Connection {
    /// Nothing was asked yet.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Doing::New))
    }

    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come.
    pub(super) fn asked(&self) {
        *self.doing() = Doing::Answering;
    }

    /// Its answer goes out.
    pub(super) fn answered(&self) {
        *self.doing() = Doing::Idle(Instant::now());
    }

    /// Returns when it has to go: nothing was asked in time, or nothing is asked while others wait for one of the `places`.
    pub(super) async fn gives_way(&self, places: &Semaphore) {
        sleep(FIRST_REQUEST_WITHIN).await;
        loop {
            match *self.doing() {
                Doing::New => return,
                Doing::Idle(since) if since.elapsed() >= FIRST_REQUEST_WITHIN && places.available_permits() == 0 => {
                    return;
                }
                Doing::Idle(_) | Doing::Answering => {}
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_asks_nothing_goes_after_ten_seconds() {
        let began = Instant::now();
        Connection::new().gives_way(&Semaphore::new(1)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_asked_stays_until_others_wait() {
        let connection = Connection::new();
        let places = Semaphore::new(1);
        connection.asked();
        connection.answered();
        assert!(timeout(HOUR, connection.gives_way(&places)).await.is_err());
        let _taken = places.try_acquire().expect("free");
        assert!(timeout(2 * FIRST_REQUEST_WITHIN, connection.gives_way(&places)).await.is_ok());
        connection.asked();
        assert!(timeout(HOUR, connection.gives_way(&places)).await.is_err(), "a request under way is never cut off");
    }
}
