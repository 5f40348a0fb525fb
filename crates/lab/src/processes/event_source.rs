//! The event source mapping: polls the queue, invokes the function with batches, deletes what it finished.
//!
//! ```text
//! policy ─► limit ─► pollers: receive ─► event ─► DeployedFunction::invoke ─► kept ─► delete
//! ```
//!
//! Each concurrent batch is one poller, which polls again when its batch is settled: five of them at first, as many as
//! the policy allows later.

pub mod event;
pub mod partial;
pub mod poll;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::environment::InvocationFailure;
use super::lambda::DeployedFunction;
use super::timeline;
use partial::{Kept, kept};
use poll::{PolledQueue, Received};
use twinscale_scaling::estimates::Estimates;
use twinscale_scaling::event_source::{EventSource, MappingSettings};
use twinscale_scaling::{Counts, Decision, Observation, Policy};
use twinscale_sqs::clock::Clock;
use twinscale_work::{Wait, mix};

/// The long poll of Lambda's pollers, on the wire.
const WAIT_SECS: u64 = 20;
/// A poller waits this long after a call that failed, in scenario time.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// What the mapping reads, and what it does with it.
pub struct Source {
    /// URL of the queue, at the embedded server.
    pub queue_url: String,
    /// Its ARN, as the records carry it.
    pub queue_arn: String,
    /// Batch size, window, partial responses, and how it scales.
    pub settings: MappingSettings,
    /// Message groups of a FIFO queue.
    pub groups: Option<u32>,
    /// The function that is invoked.
    pub function: Arc<DeployedFunction>,
    /// What the policy takes that is not published.
    pub estimates: Estimates,
    /// From a receive to the function's start.
    pub delivery: Wait,
    /// Chance of the deliveries.
    pub seed: u64,
    /// The queue's counts, which the policy sees.
    pub counts: Arc<dyn Fn() -> Option<Counts> + Send + Sync>,
    /// Scenario time; the policy starts at its zero.
    pub clock: Clock,
}

/// A mapping that runs. Dropping it cancels its pollers, and with them their invocations.
pub struct Mapping {
    shared: Arc<MappingShared>,
    stopping: CancellationToken,
    running: AbortOnDropHandle<()>,
}

struct MappingShared {
    queue: PolledQueue,
    source: Source,
    policy: Mutex<EventSource>,
    limit: watch::Sender<u32>,
    under_way: AtomicU32,
    begun: AtomicU64,
}

impl Mapping {
    /// Starts polling. What the policy decides goes to `decisions`, with the moment. Call it inside a Tokio runtime.
    pub fn start(source: Source, decisions: mpsc::UnboundedSender<(Duration, Decision)>) -> Self {
        let policy = EventSource::new(source.settings.clone(), source.groups, &source.estimates);
        let shared = Arc::new(MappingShared {
            queue: PolledQueue::at(&source.queue_url),
            limit: watch::Sender::new(policy.limit()),
            policy: Mutex::new(policy),
            under_way: AtomicU32::new(0),
            begun: AtomicU64::new(0),
            source,
        });
        let stopping = CancellationToken::new();
        let running = AbortOnDropHandle::new(tokio::spawn(run(shared.clone(), decisions, stopping.clone())));
        Self { shared, stopping, running }
    }

    /// Invocations under way.
    pub fn under_way(&self) -> u32 {
        self.shared.under_way.load(Ordering::Relaxed)
    }

    /// Concurrent batches that the policy allows now.
    pub fn limit(&self) -> u32 {
        *self.shared.limit.borrow()
    }

    /// Stops polling, as disabling a mapping does, and waits until the batches under way are settled.
    pub async fn stop(self) {
        self.stopping.cancel();
        // It ends when the last poller has; it cannot panic without them.
        let _ = self.running.await;
    }
}

/// Looks when the policy is due, and keeps as many pollers as it has ever allowed; those above the limit wait.
async fn run(
    shared: Arc<MappingShared>,
    decisions: mpsc::UnboundedSender<(Duration, Decision)>,
    stopping: CancellationToken,
) {
    let mut pollers = JoinSet::new();
    let mut started = 0;
    loop {
        let limit = *shared.limit.borrow();
        for place in started..limit {
            pollers.spawn(poll_for_ever(shared.clone(), place, stopping.clone()));
        }
        started = started.max(limit);
        let due = shared.policy().due();
        tokio::select! {
            biased;
            () = stopping.cancelled() => break,
            _ = shared.source.clock.sleep_until(due) => {}
        }
        let decision = shared.look();
        if decision.from != decision.to {
            shared.limit.send_replace(decision.to);
        }
        // The run may have stopped listening; the mapping goes on.
        let _ = decisions.send((shared.source.clock.now(), decision));
    }
    while pollers.join_next().await.is_some() {}
}

async fn poll_for_ever(shared: Arc<MappingShared>, place: u32, stopping: CancellationToken) {
    let mut limit = shared.limit.subscribe();
    loop {
        let allowed = async { limit.wait_for(|limit| *limit > place).await.is_ok() };
        let batch = async {
            if !allowed.await {
                return Vec::new();
            }
            shared.gather().await
        };
        // A poll may be cut off when the mapping is disabled: the embedded queue then keeps its messages.
        let batch = tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            batch = batch => batch,
        };
        shared.invoke(batch).await;
    }
}

impl MappingShared {
    fn policy(&self) -> std::sync::MutexGuard<'_, EventSource> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) -> Decision {
        let under_way = self.under_way.load(Ordering::Relaxed);
        let seen = Observation { queue: (self.source.counts)(), replicas: under_way, ready: under_way };
        timeline::tick(&mut *self.policy(), self.source.clock.now(), &seen)
    }

    /// Receives until the batch is full, its window has passed, or, without a window, something came.
    async fn gather(&self) -> Vec<Received> {
        let clock = &self.source.clock;
        let settings = &self.source.settings;
        let size = settings.batch_size as usize;
        let mut batch = self.receive(size, WAIT_SECS).await;
        if batch.is_empty() || settings.window.is_zero() {
            return batch;
        }
        let end = clock.now() + settings.window;
        while batch.len() < size {
            let left = end.saturating_sub(clock.now());
            if left.is_zero() {
                break;
            }
            // Whole seconds on the wire: the window may be overrun by less than one. (Lambda overruns it by up to 20.)
            let more = self.receive(size - batch.len(), left.as_secs_f64().ceil() as u64).await;
            batch.extend(more);
        }
        batch
    }

    async fn receive(&self, max: usize, wait_secs: u64) -> Vec<Received> {
        match self.queue.receive(max, wait_secs).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "polling again soon");
                self.source.clock.sleep(AFTER_FAILURE).await;
                Vec::new()
            }
        }
    }

    async fn invoke(&self, batch: Vec<Received>) {
        let source = &self.source;
        let mut rest = batch.as_slice();
        for (event, count) in event::events(batch.iter().map(|message| event::record(message, &source.queue_arn))) {
            let (these, others) = rest.split_at(count);
            rest = others;
            let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
            source.clock.sleep(source.delivery.drawn(mix(source.seed ^ mix(begun ^ 0x6465_6c69)))).await;
            self.under_way.fetch_add(1, Ordering::Relaxed);
            let invoked = source.function.invoke(Bytes::from(event)).await;
            let ids: Vec<_> = these.iter().map(|message| message.message_id.as_str()).collect();
            let kept = kept(&invoked.answer, &ids, source.settings.report_batch_item_failures);
            if let Kept::All(reason) = &kept {
                tracing::warn!(request_id = invoked.request_id, reason, "the batch stays in the queue");
                self.policy().failed(invoked.answer == Err(InvocationFailure::Throttled));
            }
            let finished = these.iter().filter(|message| match &kept {
                Kept::None => true,
                Kept::Some(ids) => !ids.contains(&message.message_id),
                Kept::All(_) => false,
            });
            let finished: Vec<_> = finished.map(|message| message.receipt_handle.as_str()).collect();
            let undeleted = self.queue.delete(&finished).await;
            if undeleted > 0 {
                tracing::warn!(undeleted, "messages that are finished will come again");
            }
            // The poller and the concurrency are still taken; the environment itself is real, and idle already.
            source.clock.sleep(Duration::from_secs_f64(source.estimates.batch_overhead_seconds)).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
