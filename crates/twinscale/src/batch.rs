//! Runs messages through the handler, for both hosts: order within a group, time left, panics, one [`Verdict`] each.
//!
//! It starts every message as a task of its own and answers as each one ends, so that a slow message holds nothing
//! up. It does not know queues: the host turns each verdict into deletes, visibility changes and responses.

mod in_place;
mod once;
mod one;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::handler::{Handler, Outcome};
use crate::idempotency::Idempotency;
use crate::message::{Message, TimeUp};

pub use in_place::{InPlace, MaxReceives};

/// How a message ended, before the host settles it.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The handler answered.
    Handled(Outcome),
    /// Its effect has happened already (idempotency), so it was not handled. Settled as done.
    Duplicate,
    /// The handler panicked, with this message. Settled as a retry.
    Panicked(String),
    /// The handler overran its own timeout and was aborted. Settled as a retry.
    TimedOut(Duration),
    /// Time was up before the handler answered (it was aborted) or began. Given back with visibility 0.
    Late,
    /// Another owner has the message by now or may have it: the handler was aborted, or never began. Not settled.
    Lost,
    /// An earlier message of its FIFO group did not finish, so this one was not started. Given back.
    Blocked,
}

impl Verdict {
    /// One word, for journals, logs and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Handled(Outcome::Done) => "done",
            Self::Handled(Outcome::Retry { .. }) => "retry",
            Self::Handled(Outcome::Reject { .. }) => "reject",
            Self::Duplicate => "duplicate",
            Self::Panicked(_) => "panic",
            Self::TimedOut(_) => "timeout",
            Self::Late => "late",
            Self::Lost => "lost",
            Self::Blocked => "blocked",
        }
    }

    /// Writes to the log what somebody may want to know of.
    pub(crate) fn tell(&self, message: &Message) {
        let id = &message.id;
        let receive_count = message.receive_count;
        let attempt = message.attempt();
        match self {
            Self::Handled(Outcome::Done) | Self::Duplicate | Self::Lost => {}
            Self::Handled(Outcome::Reject { reason }) => tracing::warn!(id, receive_count, reason, "rejected"),
            Self::Handled(Outcome::Retry { reason, .. }) => {
                tracing::info!(id, receive_count, attempt, reason, "to be retried");
            }
            Self::Panicked(panic) => tracing::error!(id, receive_count, attempt, panic, "the handler panicked"),
            Self::TimedOut(limit) => tracing::warn!(id, receive_count, attempt, ?limit, "the handler took too long"),
            Self::Late | Self::Blocked => tracing::info!(id, receive_count, verdict = ?self, "given back"),
        }
    }
}

/// What bounds and surrounds the handling of messages inside one host.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Handlers that run at once. Closed when no further one shall start: what has not begun ends [`Verdict::Late`].
    pub concurrency: Arc<Semaphore>,
    /// A handler that takes longer is aborted.
    pub handler_timeout: Option<Duration>,
    /// Cancelled when time is up: the Lambda deadline less a margin, or the end of the worker's drain budget.
    pub time_up: CancellationToken,
    /// When that is, once it is known: what a message tells of its time left.
    pub ends: TimeUp,
    /// Cancelled when the host begins to stop: nothing waits for a further attempt any more.
    pub draining: CancellationToken,
    /// How the first of a FIFO group is tried again; `None`: it is given back, and its group with it.
    pub in_place: Option<InPlace>,
    /// A store of keys that fails is waited for; else the message is retried.
    pub waits_for_store: bool,
    /// Where a message that must not be given back, since it is its last receive, still begins once [`Self::concurrency`] is
    /// closed.
    pub last_receive: Option<LastReceive>,
    /// Show the handler the notification inside an SNS envelope.
    pub unwrap_sns: bool,
    /// Messages whose effect has happened are not handled again.
    pub idempotency: Option<Idempotency>,
}

/// What begins though nothing else does any more: given back, it would be a dead letter that nobody has tried.
#[derive(Clone, Debug)]
pub struct LastReceive {
    /// `maxReceiveCount` of the queue.
    pub max_receives: u32,
    /// Handlers that run at once.
    pub concurrency: Arc<Semaphore>,
}

impl LastReceive {
    /// Whether this is the last receive of `message`.
    pub fn is_of(&self, message: &Message) -> bool {
        message.receive_count >= self.max_receives
    }
}

/// Something that happened to a message.
#[derive(Debug)]
pub enum MessageEvent {
    /// Its handler is about to run.
    Started(Arc<Message>),
    /// Its handler failed, and will be called again in place: it is the first of its group.
    Again {
        /// What failed.
        message: Arc<Message>,
        /// How.
        verdict: Verdict,
        /// What waits behind it.
        behind: Vec<Arc<Message>>,
    },
    /// It has ended: no task of ours holds it any more.
    Ended(Arc<Message>, Verdict, Option<GoOn>),
}

/// Where the rest of a FIFO group waits behind a rejected message: sent once the dead-letter queue has taken it, dropped
/// if it has not. The message is then retried, and its group stops.
pub type GoOn = oneshot::Sender<()>;

/// A message, and what is cancelled once another owner has it, or may have it: its handler stops then.
pub type InHand = (Arc<Message>, CancellationToken);

/// Runs `messages`, which nobody else can get meanwhile, and sends what happens to each of them to `events`, as whatever
/// the host makes of an [`MessageEvent`]; returns when all have ended, and ends them when it is dropped.
pub async fn run<H: Handler, E: From<MessageEvent> + Send + 'static>(
    handler: &Arc<H>,
    messages: Vec<Arc<Message>>,
    ordered: bool,
    limits: &Limits,
    events: mpsc::UnboundedSender<E>,
) {
    let mut tasks = JoinSet::new();
    let never = CancellationToken::new();
    let messages = messages.into_iter().map(|message| (message, never.clone())).collect();
    for lane in lanes(handler, messages, ordered, limits, &events) {
        tasks.spawn(lane);
    }
    drop(events);
    while tasks.join_next().await.is_some() {}
}

/// What [`run`] runs, for a host that keeps tasks of its own: each is a message, or what belongs to a group.
///
/// Messages with a group id, when `ordered`, run one after the other within their group; the first that does not end
/// [`Outcome::Done`] or [`Outcome::Reject`] blocks the rest of its group, so that order is kept on redelivery.
pub fn lanes<H: Handler, E: From<MessageEvent> + Send + 'static>(
    handler: &Arc<H>,
    messages: Vec<InHand>,
    ordered: bool,
    limits: &Limits,
    events: &mpsc::UnboundedSender<E>,
) -> impl Iterator<Item = impl Future<Output = ()> + Send + use<H, E>> {
    let mut lanes: Vec<Vec<InHand>> = Vec::with_capacity(messages.len());
    let mut lane_of_group: HashMap<String, usize> = HashMap::new();
    for message in messages {
        match message.0.group_id.as_ref().filter(|_| ordered) {
            Some(group) => {
                let lane = *lane_of_group.entry(group.clone()).or_insert_with(|| {
                    lanes.push(Vec::new());
                    lanes.len() - 1
                });
                lanes[lane].push(message);
            }
            None => lanes.push(vec![message]),
        }
    }
    lanes.into_iter().map(move |lane| run_lane(handler.clone(), lane, ordered, limits.clone(), events.clone()))
}

async fn run_lane<H: Handler, E: From<MessageEvent>>(
    handler: Arc<H>,
    lane: Vec<InHand>,
    ordered: bool,
    limits: Limits,
    events: mpsc::UnboundedSender<E>,
) {
    let mut blocked = false;
    let mut lane = lane.into_iter();
    while let Some((message, lost)) = lane.next() {
        let verdict = if blocked {
            Verdict::Blocked
        } else {
            let in_place = limits.in_place.as_ref().filter(|_| ordered);
            run_one(&handler, &message, &lost, &limits, in_place, lane.as_slice(), &events).await
        };
        blocked |= !matches!(verdict, Verdict::Handled(Outcome::Done | Outcome::Reject { .. }) | Verdict::Duplicate);
        let waits = ordered && matches!(verdict, Verdict::Handled(Outcome::Reject { .. }));
        let (go_on, gone_on) = waits.then(oneshot::channel).unzip();
        // A closed receiver means that the host is gone, and with it all interest in the verdict.
        let _ = events.send(MessageEvent::Ended(message, verdict, go_on).into());
        if let Some(gone_on) = gone_on {
            blocked = tokio::select! {
                taken = gone_on => taken.is_err(),
                () = limits.time_up.cancelled() => true,
            };
        }
    }
}

/// Runs a message, and again in place as long as that is due.
async fn run_one<H: Handler, E: From<MessageEvent>>(
    handler: &Arc<H>,
    message: &Arc<Message>,
    lost: &CancellationToken,
    limits: &Limits,
    in_place: Option<&InPlace>,
    behind: &[InHand],
    events: &mpsc::UnboundedSender<E>,
) -> Verdict {
    loop {
        let began = Instant::now();
        let verdict = one::run(handler, message, lost, limits, events).await;
        let Some(in_place) = in_place else { return verdict };
        let (verdict, wait) = match in_place.after(message, verdict, began.elapsed()).await {
            in_place::Next::Settle(verdict) => return verdict,
            in_place::Next::Again { verdict, wait } => (verdict, wait),
        };
        let behind = behind.iter().map(|(message, _)| message.clone()).collect();
        let again = MessageEvent::Again { message: message.clone(), verdict: verdict.clone(), behind };
        let _ = events.send(again.into());
        if let Err(verdict) = in_place::wait(verdict, wait, lost, limits).await {
            return verdict;
        }
        message.here.failed();
    }
}
