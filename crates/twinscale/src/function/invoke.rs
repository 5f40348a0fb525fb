//! One invocation: a batch through the handler, settled before the deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use aws_lambda_events::sqs::SqsBatchResponse;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::batch::{self, InPlace, Limits};
use crate::config::{Backoff, Config};
use crate::handler::Handler;
use crate::idempotency::Idempotency;
use crate::journal::Journal;
use crate::message::{Message, TimeUp};
use crate::telemetry;

use super::emf::Seen;
pub use super::records::{Batch, RawEvent, Record, Unnamed, decode};
pub use super::response::{Open, failures};
use super::settle::FunctionSettler;

/// One function: it lives as long as its execution environment.
pub struct Function<H> {
    handler: Arc<H>,
    concurrency: usize,
    handler_timeout: Option<Duration>,
    margin: Duration,
    backoff: Backoff,
    unwrap_sns: bool,
    idempotency: Option<Idempotency>,
    settler: FunctionSettler,
    journal: Journal,
    metrics: bool,
    /// The last flush of the journal took too long.
    journal_fails: AtomicBool,
}

/// The journal and spans get this long of an invocation that is otherwise done: every second is billed.
const FLUSH_WITHIN: Duration = Duration::from_secs(2);
/// And where they took longer the last time, this.
const GLANCE: Duration = Duration::from_millis(50);

impl<H: Handler> Function<H> {
    /// Makes no AWS client: only failures and the journal need one, and they make it when first needed, or when a batch
    /// takes long, so that a cold start does not pay for it.
    pub fn new(handler: H, config: &Config, journal: Journal) -> Self {
        Self {
            handler: Arc::new(handler),
            concurrency: config.function.concurrency,
            handler_timeout: config.handler_timeout,
            margin: config.function.deadline_margin,
            backoff: config.backoff,
            unwrap_sns: config.unwrap_sns,
            idempotency: Idempotency::of(&config.idempotency),
            settler: FunctionSettler::new(config),
            journal,
            metrics: config.function.metrics,
            journal_fails: AtomicBool::new(false),
        }
    }

    /// Handles one event. `deadline` is when Lambda kills the environment; a margin before it, what has not finished is
    /// given back.
    ///
    /// # Errors
    /// [`Unnamed`] if a record has no `messageId`; nothing was handled then, and Lambda keeps the whole batch.
    pub async fn handle(&self, event: &RawEvent, deadline: SystemTime) -> Result<SqsBatchResponse, Unnamed> {
        let received = SystemTime::now();
        let batch = decode(event)?;
        let mut open = Open::all(&batch);
        let mut seen = Seen::default();
        seen.metrics.received.add(batch.records.len() as u64);
        seen.metrics.in_flight.set(batch.records.len() as u64);
        let time_up = CancellationToken::new();
        let left = deadline.duration_since(received).unwrap_or_default();
        let work = left.saturating_sub(self.margin);
        let limits = Limits {
            concurrency: Arc::new(Semaphore::new(self.concurrency)),
            handler_timeout: self.handler_timeout,
            time_up: time_up.clone(),
            unwrap_sns: self.unwrap_sns,
            idempotency: self.idempotency.clone(),
            ends: TimeUp::default(),
            draining: CancellationToken::new(),
            in_place: Some(InPlace {
                backoff: self.backoff,
                max_receives: self.settler.max_receives(batch.source_arn.as_deref()),
                until: Some(Instant::now() + work),
            }),
            waits_for_store: false,
            last_receive: None,
        };
        limits.ends.at(Instant::now() + work);
        let (events, ended) = mpsc::unbounded_channel();
        let handling = batch::run(&self.handler, runnable(&batch), batch.is_fifo(), &limits, events);
        let watching = (&self.journal, &mut seen);
        let settling = self.settler.settle(batch.source_arn.as_deref(), ended, received, &mut open, watching);
        // A batch that has taken half its time may have to be given back, and the margin may be too short for a first call.
        // Boxed: the SDK's futures are large, and most batches need none of them.
        let preparing = async {
            sleep(work / 2).await;
            Box::pin(self.settler.prepare(batch.source_arn.as_deref())).await;
            std::future::pending().await
        };
        let clock = async {
            sleep(work).await;
            time_up.cancel();
            // Most of the margin is for settling what was cut off; the rest is for the answer itself.
            sleep(self.margin.min(left).mul_f64(0.75)).await;
        };
        tokio::select! {
            biased;
            _ = async { tokio::join!(handling, settling) } => {}
            () = clock => tracing::warn!("time was up before the batch was settled"),
            () = preparing => {}
        }
        let response = failures(&batch, &open);
        if self.metrics {
            seen.write(received);
        }
        self.flush(deadline).await;
        Ok(response)
    }

    /// The environment is frozen once it has answered, so the journal is written and spans are exported before; but not
    /// past the deadline.
    async fn flush(&self, deadline: SystemTime) {
        let left = deadline.duration_since(SystemTime::now()).unwrap_or_default() / 2;
        let left = left.min(if self.journal_fails.load(Ordering::Relaxed) { GLANCE } else { FLUSH_WITHIN });
        let (written, ()) = tokio::join!(timeout(left, self.journal.flush()), telemetry::flush(left));
        self.journal_fails.store(written.is_err(), Ordering::Relaxed);
        if written.is_err() {
            tracing::warn!("the journal was not written in time");
        }
    }
}

/// The messages to handle: all that decoded, but on a FIFO queue none behind a record of its group that did not.
fn runnable(batch: &Batch) -> Vec<Arc<Message>> {
    let mut bad: Vec<Option<&str>> = Vec::new();
    let mut messages = Vec::with_capacity(batch.records.len());
    for record in &batch.records {
        match &record.message {
            Err(error) => {
                tracing::error!(id = record.id, %error, "a record cannot be decoded and is left to be retried");
                bad.push(record.group.as_deref());
            }
            Ok(message) => {
                let group = record.group.as_deref();
                let behind_a_bad_one = batch.is_fifo() && bad.iter().any(|bad| bad.is_none() || *bad == group);
                if !behind_a_bad_one {
                    messages.push(message.clone());
                }
            }
        }
    }
    messages
}
