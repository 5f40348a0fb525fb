//! Handles a message only where nobody else has its key, and writes down what became of it.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{Limits, Verdict};
use crate::handler::Outcome;
use crate::idempotency::{Claim, HeldKey, Idempotency, StoreError};

/// The first wait for a store that fails; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest: an outage that ends is noticed within this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What a function cannot claim comes again after one to two of these.
const STORE_PAUSE: Duration = Duration::from_secs(30);

/// Claims `key`, runs `handling` while the claim holds, and records or releases it. The record is written before the
/// message is settled: a message is never deleted on the strength of an effect that nobody knows of.
pub(super) async fn run(
    idempotency: &Idempotency,
    key: &str,
    limits: &Limits,
    lost: &CancellationToken,
    handling: impl Future<Output = Verdict>,
) -> Verdict {
    let claimed = tokio::select! {
        biased;
        claimed = claim(idempotency, key, limits) => claimed,
        // A claim that is granted after all ends with its lease.
        () = limits.time_up.cancelled() => return Verdict::Late,
        () = lost.cancelled() => return Verdict::Lost,
    };
    let held = match claimed {
        Ok(Claim::Granted(held)) => held,
        Ok(Claim::Done) => return Verdict::Duplicate,
        Ok(Claim::InProgress(rest)) => {
            let reason = "another holder has its idempotency key in progress".to_owned();
            return Verdict::Handled(Outcome::Retry { after: Some(rest), reason });
        }
        Err(error @ StoreError::BadKey(_)) => return Verdict::Handled(Outcome::reject(error.to_string())),
        Err(error) => {
            // Nobody can stop Lambda from invoking: what comes again soon would only use up its receives.
            let after = (!limits.waits_for_store).then_some(STORE_PAUSE.mul_f64(1.0 + fastrand::f64()));
            return Verdict::Handled(Outcome::Retry { after, reason: error.to_string() });
        }
    };
    // A task of its own: a handler that blocks its thread keeps its claim.
    let mut keeping = AbortOnDropHandle::new(tokio::spawn(keep(idempotency.clone(), held.clone())));
    let verdict = tokio::select! {
        biased;
        verdict = handling => verdict,
        Ok(error) = &mut keeping => Verdict::Handled(Outcome::retry(error.to_string())),
    };
    drop(keeping);
    let recorded = match verdict {
        Verdict::Handled(Outcome::Done) => idempotency.done(&held, SystemTime::now()).await,
        _ => idempotency.release(&held).await,
    };
    if let Err(error) = recorded {
        // The effect has happened all the same, so that the verdict stands; only a redelivery would not know of it.
        tracing::error!(key, %error, verdict = verdict.word(), "what became of the message was not recorded");
    }
    verdict
}

/// Asks for a key. A store that fails is asked again until it answers, where the host can hold messages meanwhile: no
/// message loses a receive for it, and a host that is full of those that wait receives no more.
async fn claim(idempotency: &Idempotency, key: &str, limits: &Limits) -> Result<Claim, StoreError> {
    let mut wait = FIRST_WAIT;
    loop {
        let error = match idempotency.claim(key, SystemTime::now()).await {
            Err(error @ StoreError::Table(_)) if limits.waits_for_store => error,
            claimed => return claimed,
        };
        tracing::warn!(%error, "the idempotency table fails: nothing is handled until it answers");
        let waited = tokio::select! {
            () = sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)) => true,
            () = limits.draining.cancelled() => false,
        };
        if !waited {
            return Err(error);
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

/// Renews the claim for as long as it can be; ends with the error once another holder has it.
async fn keep(idempotency: Idempotency, held: HeldKey) -> StoreError {
    loop {
        sleep(idempotency.renew_every()).await;
        match idempotency.renew(&held, SystemTime::now()).await {
            Ok(()) => {}
            Err(error @ StoreError::ClaimOver) => return error,
            Err(error) => tracing::warn!(%error, "a claim was not renewed; it is tried again"),
        }
    }
}
