//! How late the machine is: a beat beside what is tested.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

const BEAT: Duration = Duration::from_millis(20);

/// What comes of `work`, and how late a beat was at worst meanwhile.
pub async fn beside<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut worst = Duration::ZERO;
    let beat = async {
        loop {
            let due = Instant::now() + BEAT;
            sleep_until(due).await;
            worst = worst.max(due.elapsed());
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = beat => unreachable!("it beats on"),
    };
    (done, worst)
}
