//! The loop: receive, run, settle, until it is told to drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::adapt::Adaptive;
use super::ahead::Ahead;
use super::receive::Receiver;
use super::room::Room;
use super::settle::{Happened, MessagesInHand, Tally, WorkerSettler};
use crate::batch::{self, InPlace, LastReceive, Limits, MaxReceives};
use crate::config::{Config, ConfigErrors, WorkerConfig};
use crate::handler::Handler;
use crate::idempotency::Idempotency;
use crate::journal::Journal;
use crate::message::{Message, TimeUp};
use crate::metrics::Metrics;
use crate::queue::{DeadLetters, Queue};
use crate::settle::{Heartbeat, Settling};
use crate::shutdown::Health;

/// A handler that blocks its thread cannot be aborted: after the budget, the worker waits this long for it and leaves.
const ABORT_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AT_STORE_EVERY: Duration = Duration::from_millis(250);

/// How a worker ended, by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Everything in hand was finished or given back: 0.
    Drained,
    /// The drain budget ran out before a handler ended; its message was given back: 75 (`EX_TEMPFAIL`).
    BudgetExceeded,
    /// A job (`EXIT_WHEN_IDLE_SECS`) whose queue has answered nothing for that long: 69 (`EX_UNAVAILABLE`).
    Unreachable,
    /// What was handled could not be settled, and comes again: 75 too.
    Unsettled,
    /// What is set contradicts what the queue says of itself: 64 (`EX_USAGE`).
    Contradicted,
    /// A second signal came: 130, as shells have it for SIGINT.
    Forced,
}

impl Ending {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Drained => 0,
            Self::BudgetExceeded | Self::Unsettled => 75,
            Self::Unreachable => 69,
            Self::Contradicted => ConfigErrors::EXIT_CODE,
            Self::Forced => 130,
        }
    }
}

/// What a worker works with.
#[derive(Debug)]
pub struct Worker<H> {
    /// Handles the messages.
    pub handler: H,
    /// Where they come from.
    pub queue: Queue,
    /// All settings.
    pub config: Config,
    /// Where records go.
    pub journal: Journal,
    /// What `/healthz` and `/readyz` tell.
    pub health: Health,
    /// What `/metrics` tells.
    pub metrics: Arc<Metrics>,
}

impl<H: Handler> Worker<H> {
    /// Receives and handles until `drain` is cancelled, or until it has idled for `EXIT_WHEN_IDLE_SECS`, then drains.
    pub async fn run(self, drain: CancellationToken) -> Ending {
        let settings = &self.config.worker;
        let drain = drain.child_token();
        let told = tokio::spawn(announce(drain.clone(), self.health.clone()));
        let _told = AbortOnDropHandle::new(told);
        let patience = settings.exit_when_idle;
        let asked = super::probe::ask(&self.queue, &self.config, &self.health, &drain, patience).await;
        let known = match asked {
            Ok(known) => known,
            Err(ending) => return ending,
        };
        let visibility = known.visibility;
        let max_receives = known.max_receives;
        if let Some(every) = settings.heartbeat_every.filter(|every| settings.heartbeat && *every >= visibility) {
            tracing::error!(
                "HEARTBEAT_MS={}: write less than the queue's visibility timeout, {visibility:?}: messages would be given out \
                 again before they are extended",
                every.as_millis()
            );
            return Ending::Contradicted;
        }
        let idempotency = Idempotency::of(&self.config.idempotency);
        let limits = Limits {
            concurrency: Arc::new(Semaphore::new(settings.concurrency)),
            handler_timeout: self.config.handler_timeout,
            time_up: CancellationToken::new(),
            unwrap_sns: self.config.unwrap_sns,
            idempotency: idempotency.clone(),
            ends: TimeUp::default(),
            draining: drain.clone(),
            // Without a heartbeat nothing is held for longer than its visibility timeout.
            in_place: settings.heartbeat.then(|| InPlace {
                backoff: self.config.backoff,
                max_receives: MaxReceives(Arc::new(move || Box::pin(std::future::ready(max_receives)))),
                until: None,
            }),
            waits_for_store: settings.heartbeat,
            last_receive: max_receives.map(|max_receives| LastReceive {
                max_receives,
                concurrency: Arc::new(Semaphore::new(settings.concurrency)),
            }),
        };
        let _store =
            idempotency.map(|store| AbortOnDropHandle::new(tokio::spawn(watch_store(store, self.health.clone()))));
        let _clock =
            AbortOnDropHandle::new(tokio::spawn(run_down(drain.clone(), limits.clone(), settings.drain_budget)));
        // In a FIFO group the messages behind are held in any case; and one of the two limits follows the handlers.
        let follows = settings.prefetch.is_none() && !self.queue.is_fifo() && !settings.adaptive_concurrency;
        let ahead = follows.then(|| Ahead::new(settings.concurrency));
        let capacity = settings.concurrency + settings.prefetch.unwrap_or_default();
        let most = ahead.as_ref().map_or(capacity, Ahead::most_in_hand);
        let room = Arc::new(Room::new(
            capacity,
            ahead,
            settings.receive_min_room,
            settings.receive_linger,
            settings.most_bytes,
        ));
        let (happened, happenings) = mpsc::unbounded_channel();
        let settling = AbortOnDropHandle::new(tokio::spawn(self.settler(room.clone(), visibility).run(happenings)));

        let handler = Arc::new(self.handler);
        let ordered = self.queue.is_fifo();
        let batches = TaskTracker::new();
        let receiver = Receiver {
            queue: self.queue,
            room,
            health: self.health,
            most,
            wait_time: settings.wait_time,
            attempt_timeout: self.config.attempt_timeout,
            visibility: settings.visibility_timeout,
            exit_when_idle: settings.exit_when_idle,
            batches: batches.clone(),
        };
        let receives = AtomicU64::new(1);
        let named = |mut message: Message| {
            message.here.key = receives.fetch_add(1, Ordering::Relaxed);
            message
        };
        let hand_on = |messages: Vec<Message>| {
            let in_hand = |message| (Arc::new(named(message)), CancellationToken::new());
            let messages: Vec<_> = messages.into_iter().map(in_hand).collect();
            // The settling task ends after all others, so it hears everything.
            let _ = happened.send(Happened::Received(messages.clone()));
            for lane in batch::lanes(&handler, messages, ordered, &limits, &happened) {
                batches.spawn(lane);
            }
        };
        let give_back = |messages: Vec<Message>| {
            drop(happened.send(Happened::Unwanted(messages.into_iter().map(named).collect())));
        };
        let answered = receiver.run(&drain, limits.last_receive.clone(), hand_on, give_back).await;

        batches.close();
        let stuck = tokio::select! {
            () = batches.wait() => false,
            () = async { limits.time_up.cancelled().await; sleep(ABORT_WITHIN).await } => true,
        };
        drop(happened);
        if stuck {
            tracing::error!("a handler blocks its thread and cannot be aborted: its message comes again by itself");
            let _ = timeout(ABORT_WITHIN, settling).await;
            return Ending::BudgetExceeded;
        }
        let tally = match settling.await {
            Ok(tally) => tally,
            Err(error) => {
                tracing::error!(%error, "settling has ended by itself: what was in hand comes again by itself");
                return Ending::Unsettled;
            }
        };
        match ending(tally) {
            Ending::Drained if !answered => Ending::Unreachable,
            ending => ending,
        }
    }

    fn settler(&self, room: Arc<Room>, visibility: Duration) -> WorkerSettler {
        let settings = &self.config.worker;
        let adaptive =
            settings.adaptive_concurrency.then(|| Adaptive::new(settings.concurrency_floor, settings.concurrency));
        if let Some(adaptive) = &adaptive {
            room.change(adaptive.limit() as isize - settings.concurrency as isize);
        }
        WorkerSettler {
            queue: self.queue.clone(),
            dead_letters: Arc::new(DeadLetters::of(self.queue.clone(), self.config.dlq_url.clone())),
            room,
            health: self.health.clone(),
            settling: Settling::of_worker(heartbeat(settings, visibility), settings.delete_linger),
            backoff: self.config.backoff,
            journal: self.journal.clone(),
            metrics: self.metrics.clone(),
            adaptive,
            hand: MessagesInHand::empty(),
        }
    }
}

/// Serves only HTTP (`RECEIVE=off`): watches that the queue can be reached, until `drain`.
pub async fn stand_by(queue: &Queue, config: &Config, health: &Health, drain: &CancellationToken) {
    super::probe::watch(queue, config, health, drain).await;
    health.drain();
}

async fn announce(drain: CancellationToken, health: Health) {
    drain.cancelled().await;
    health.drain();
    tracing::info!("draining: no further receive starts");
}

/// Lets readiness tell whether the store of keys answers.
async fn watch_store(store: Idempotency, health: Health) {
    loop {
        health.store_answers(store.answers());
        sleep(LOOK_AT_STORE_EVERY).await;
    }
}

/// Closes the door to handlers when draining begins, and ends those that run when the budget is spent.
async fn run_down(drain: CancellationToken, limits: Limits, budget: Duration) {
    drain.cancelled().await;
    limits.concurrency.close();
    limits.ends.at(Instant::now() + budget);
    sleep(budget).await;
    limits.time_up.cancel();
}

fn heartbeat(settings: &WorkerConfig, visibility: Duration) -> Option<Heartbeat> {
    let every = settings.heartbeat_every.unwrap_or(visibility / 2);
    (settings.heartbeat && !every.is_zero() && !visibility.is_zero()).then_some(Heartbeat { every, visibility })
}

fn ending(tally: Tally) -> Ending {
    let Tally { aborted, unsettled } = tally;
    if unsettled > 0 {
        tracing::warn!(unsettled, "these messages come again after their visibility timeout");
    }
    if aborted > 0 {
        tracing::warn!(aborted, "the drain budget was exceeded: messages were given back unfinished");
        return Ending::BudgetExceeded;
    }
    if unsettled > 0 { Ending::Unsettled } else { Ending::Drained }
}
