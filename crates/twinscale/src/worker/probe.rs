//! Asks the queue about itself: whether it can be reached, how long its visibility timeout is, and how often it gives out
//! a message.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::run::Ending;
use crate::config::Config;
use crate::queue::Queue;
use crate::shutdown::{Health, NotReady};

/// What SQS gives a queue that says nothing else; assumed where the queue may not be asked.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);
/// How often a worker that only serves HTTP looks whether a send has failed for want of a connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a worker has to know of its queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueFacts {
    /// The visibility timeout that messages are received with.
    pub(super) visibility: Duration,
    /// `maxReceiveCount`; `None`: there is no redrive policy, or it cannot be read.
    pub(super) max_receives: Option<u32>,
}

/// Asks until there is an answer, so that a worker that starts
/// before its queue can be reached is not ready rather than dead; a job gives up after `patience`, since nobody probes it.
///
/// # Errors
/// How it ended instead: `drain` was cancelled, or the queue did not answer in time.
pub(super) async fn ask(
    queue: &Queue,
    config: &Config,
    health: &Health,
    drain: &CancellationToken,
    patience: Option<Duration>,
) -> Result<QueueFacts, Ending> {
    let mut pace = Pace::new(1);
    let began = Instant::now();
    health.reached_queue(false);
    loop {
        // Three attempts at a name, three at the question, and the pause after them.
        health.back_within(config.attempt_timeout * 6);
        let asked = tokio::select! {
            () = drain.cancelled() => return Err(Ending::Drained),
            asked = queue.about() => asked,
        };
        let configured = config.worker.visibility_timeout;
        match asked {
            Ok(about) => {
                health.reached_queue(true);
                let visibility = configured.unwrap_or(about.visibility);
                return Ok(QueueFacts { visibility, max_receives: about.max_receives });
            }
            Err(error) if !error.is_retryable() => {
                tracing::warn!(%error, "the queue does not tell its visibility timeout and its redrive policy: allow \
                    sqs:GetQueueAttributes, or set VISIBILITY_TIMEOUT_SECS; 30 s are assumed otherwise");
                let visibility = configured.unwrap_or(DEFAULT_VISIBILITY);
                return Ok(QueueFacts { visibility, max_receives: None });
            }
            Err(error) => tracing::warn!(%error, "the queue does not answer"),
        }
        if patience.is_some_and(|long| began.elapsed() >= long) {
            tracing::error!("the queue has not answered for EXIT_WHEN_IDLE_SECS: this job gives up");
            return Err(Ending::Unreachable);
        }
        tokio::select! {
            () = drain.cancelled() => return Err(Ending::Drained),
            () = sleep(pace.failed(fastrand::f64())) => {}
        }
    }
}

/// Keeps readiness true for a worker that makes no receives which would show it.
pub(super) async fn watch(queue: &Queue, config: &Config, health: &Health, drain: &CancellationToken) {
    while ask(queue, config, health, drain, None).await.is_ok() {
        health.waiting();
        // A refusal is an answer too: the queue is in reach, and each send says what is wrong.
        health.reached_queue(true);
        while health.ready() != Err(NotReady::Unreachable) {
            tokio::select! {
                () = drain.cancelled() => return,
                () = sleep(LOOK_EVERY) => {}
            }
        }
    }
}
