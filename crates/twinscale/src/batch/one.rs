//! One message through the handler, with all that can end it: its own end, a panic, its timeout, time up, another owner.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::{SemaphorePermit, mpsc};
use tokio::task::yield_now;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{Limits, MessageEvent, Verdict, once};
use crate::handler::{Handler, Outcome};
use crate::message::Message;
use crate::{sns, trace};

pub(super) async fn run<H: Handler, E: From<MessageEvent>>(
    handler: &Arc<H>,
    message: &Arc<Message>,
    lost: &CancellationToken,
    limits: &Limits,
    events: &mpsc::UnboundedSender<E>,
) -> Verdict {
    let _permit = tokio::select! {
        biased;
        () = limits.time_up.cancelled() => return Verdict::Late,
        permit = limits.concurrency.acquire() => match permit {
            Ok(permit) => permit,
            Err(_) => match last_permit(message, lost, limits).await {
                Ok(permit) => permit,
                Err(verdict) => return verdict,
            },
        },
        () = lost.cancelled() => return Verdict::Lost,
    };
    message.here.begins(limits.handler_timeout, &limits.ends);
    // What the host holds, and rejects, stays the envelope.
    let opened = if limits.unwrap_sns { sns::open(message) } else { None };
    let seen = opened.as_ref().unwrap_or(message);
    let handling = async {
        let _ = events.send(MessageEvent::Started(message.clone()).into());
        // The task that this wakes runs next on this thread, and no other thread takes it over. So it runs first: a handler
        // that blocks its thread would hold it up.
        yield_now().await;
        until_ended(caught(handler.handle(seen)).instrument(trace::handling(message, seen)), lost, limits).await
    };
    match &limits.idempotency {
        None => handling.await,
        Some(idempotency) => once::run(idempotency, &handler.idempotency_key(seen), limits, lost, handling).await,
    }
}

/// For a message on its last receive, as long as there is time.
async fn last_permit<'a>(
    message: &Message,
    lost: &CancellationToken,
    limits: &'a Limits,
) -> Result<SemaphorePermit<'a>, Verdict> {
    let Some(last) = limits.last_receive.as_ref().filter(|last| last.is_of(message)) else {
        return Err(Verdict::Late);
    };
    tokio::select! {
        biased;
        () = limits.time_up.cancelled() => Err(Verdict::Late),
        () = lost.cancelled() => Err(Verdict::Lost),
        permit = last.concurrency.acquire() => permit.map_err(|_| Verdict::Late),
    }
}

async fn until_ended(handling: impl Future<Output = Verdict>, lost: &CancellationToken, limits: &Limits) -> Verdict {
    // Dropped when this function returns, and only then the message is given back: so two never hold it.
    let mut handling = pin!(handling);
    let overran = async {
        match limits.handler_timeout {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        verdict = &mut handling => verdict,
        () = limits.time_up.cancelled() => Verdict::Late,
        () = lost.cancelled() => Verdict::Lost,
        () = overran => Verdict::TimedOut(limits.handler_timeout.unwrap_or_default()),
    }
}

/// Runs a handler so that its panic ends this message alone.
async fn caught(handling: impl Future<Output = Outcome>) -> Verdict {
    let mut handling = Box::pin(handling);
    let verdict = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| handling.as_mut().poll(context))) {
        Ok(poll) => poll.map(Verdict::Handled),
        Err(panic) => Poll::Ready(Verdict::Panicked(panic_text(&*panic))),
    })
    .await;
    // What a handler leaves behind may panic as it is dropped.
    match catch_unwind(AssertUnwindSafe(|| drop(handling))) {
        Ok(()) => verdict,
        Err(panic) => Verdict::Panicked(panic_text(&*panic)),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("the handler panicked").to_owned()
}
