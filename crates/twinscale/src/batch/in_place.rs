//! The first of a FIFO group that failed is tried again in place: giving it back would give back all that waits behind it,
//! and each of those would lose a receive for what its neighbour did. Attempts count against `maxReceiveCount` as receives
//! do, and then the message is rejected, so that its group goes on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Limits, Verdict};
use crate::config::Backoff;
use crate::handler::Outcome;
use crate::message::Message;

/// How a host tries again in place.
#[derive(Clone, Debug)]
pub struct InPlace {
    /// How long to wait where the handler did not say.
    pub backoff: Backoff,
    /// How often a message may be tried.
    pub max_receives: MaxReceives,
    /// What would not end before then is given back; `None`: the host holds messages for as long as it likes.
    pub until: Option<Instant>,
}

/// The queue's `maxReceiveCount`, asked for when it is first needed; none where there is no redrive policy, or where it
/// cannot be learned.
#[derive(Clone)]
pub struct MaxReceives(pub Arc<dyn Fn() -> BoxFuture<'static, Option<u32>> + Send + Sync>);

impl fmt::Debug for MaxReceives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaxReceives")
    }
}

/// What comes after a failure.
pub(super) enum Next {
    /// The host settles it so.
    Settle(Verdict),
    /// It is tried again after so long.
    Again { verdict: Verdict, wait: Duration },
}

impl InPlace {
    /// `took`: how long its handler ran.
    pub(super) async fn after(&self, message: &Message, verdict: Verdict, took: Duration) -> Next {
        let (after, reason) = match &verdict {
            Verdict::Handled(Outcome::Retry { after, reason }) => (*after, reason.clone()),
            Verdict::Panicked(panic) => (None, format!("the handler panicked: {panic}")),
            Verdict::TimedOut(limit) => (None, format!("the handler took more than {limit:?}")),
            Verdict::Handled(Outcome::Done | Outcome::Reject { .. })
            | Verdict::Duplicate
            | Verdict::Late
            | Verdict::Lost
            | Verdict::Blocked => return Next::Settle(verdict),
        };
        let attempt = message.attempt();
        if (self.max_receives.0)().await.is_some_and(|most| attempt >= most) {
            let reason = format!("attempt {attempt} failed, the last that maxReceiveCount allows: {reason}");
            return Next::Settle(Verdict::Handled(Outcome::Reject { reason }));
        }
        let wait = after.unwrap_or_else(|| self.backoff.delay(attempt, fastrand::f64()));
        if self.until.is_some_and(|until| Instant::now() + wait + took >= until) {
            return Next::Settle(verdict);
        }
        Next::Again { verdict, wait }
    }
}

/// Waits for the next attempt; `Err` with how to settle it if that does not come.
pub(super) async fn wait(
    verdict: Verdict,
    wait: Duration,
    lost: &CancellationToken,
    limits: &Limits,
) -> Result<(), Verdict> {
    let began = Instant::now();
    tokio::select! {
        () = sleep(wait) => Ok(()),
        () = lost.cancelled() => Err(Verdict::Lost),
        () = limits.draining.cancelled() => {
            // Whoever receives it next waits for the rest of the time.
            let after = Some(wait.saturating_sub(began.elapsed()));
            let reason = format!("given back while it waited for its next attempt ({})", verdict.word());
            Err(Verdict::Handled(Outcome::Retry { after, reason }))
        }
        () = limits.time_up.cancelled() => Err(verdict),
    }
}
