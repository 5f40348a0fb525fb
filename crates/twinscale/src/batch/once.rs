//! Handles a message only where nobody else has its key, and writes down what became of it.

use std::time::SystemTime;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use super::{Limits, Verdict};
use crate::handler::Outcome;
use crate::idempotency::{Claim, Held, Idempotency, StoreError};

/// Claims `key`, runs `handling` while the claim holds, and records or releases it. The record is written before the
/// message is settled: a message is never deleted on the strength of an effect that nobody knows of.
pub(super) async fn run(
    idempotency: &Idempotency,
    key: &str,
    limits: &Limits,
    handling: impl Future<Output = Verdict>,
) -> Verdict {
    let claimed = tokio::select! {
        biased;
        claimed = idempotency.claim(key, SystemTime::now()) => claimed,
        // A claim that is granted after all ends with its lease.
        () = limits.time_up.cancelled() => return Verdict::Late,
    };
    let held = match claimed {
        Ok(Claim::Granted(held)) => held,
        Ok(Claim::Done) => return Verdict::Duplicate,
        Ok(Claim::InProgress(rest)) => {
            let reason = "another holder has its idempotency key in progress".to_owned();
            return Verdict::Handled(Outcome::Retry { after: Some(rest), reason });
        }
        Err(error @ StoreError::BadKey(_)) => return Verdict::Handled(Outcome::reject(error.to_string())),
        Err(error) => return Verdict::Handled(Outcome::retry(error.to_string())),
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

/// Renews the claim for as long as it can be; ends with the error once another holder has it.
async fn keep(idempotency: Idempotency, held: Held) -> StoreError {
    loop {
        sleep(idempotency.renew_every()).await;
        match idempotency.renew(&held, SystemTime::now()).await {
            Ok(()) => {}
            Err(error @ StoreError::ClaimOver) => return error,
            Err(error) => tracing::warn!(%error, "a claim was not renewed; it is tried again"),
        }
    }
}
