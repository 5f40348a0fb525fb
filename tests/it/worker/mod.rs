//! The worker: in process against a queue service that fails on demand, and as a real process that is told to stop.

mod adaptive;
pub mod attacked;
mod connections;
mod http;
mod outcomes;
pub mod process;
mod send_attacked;
pub mod sqs;

use std::time::Duration;

/// Waits until `condition` holds; fails the test if it does not within ten seconds.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(60), waiting).await.is_ok(), "never: {what}");
}
