//! What goes into a queue, what comes out, and its settings.

use std::sync::Arc;
use std::time::Duration;

use super::Handle;

/// The longest that a message can be hidden after it was received.
pub const VISIBILITY_MAX: Duration = Duration::from_secs(43_200);

/// A queue's settings, with SQS's defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub struct Attributes {
    /// Order within a group, and deduplication.
    pub fifo: bool,
    /// How long a received message is hidden.
    pub visibility_timeout: Duration,
    /// How long a sent message is hidden.
    pub delay: Duration,
    /// How long a message is kept from when it was sent.
    pub retention: Duration,
    /// A message received this often is a dead letter when it would be received again; `None` without a redrive policy.
    pub max_receive_count: Option<u32>,
    /// Messages in flight at most.
    pub in_flight_limit: u64,
    /// FIFO: a deduplication id counts within its group only (`DeduplicationScope` = `messageGroup`).
    pub deduplicate_by_group: bool,
}

impl Default for Attributes {
    fn default() -> Self {
        Self {
            fifo: false,
            visibility_timeout: Duration::from_secs(30),
            delay: Duration::ZERO,
            retention: Duration::from_secs(345_600),
            max_receive_count: None,
            in_flight_limit: 120_000,
            deduplicate_by_group: false,
        }
    }
}

/// A message on its way into a queue.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub struct Send<P> {
    /// The sender's number for it, kept when it moves to another queue. The queue does not need it to be unique.
    pub id: u64,
    /// Whatever the owner keeps with it.
    pub payload: P,
    /// Hidden for this long; the queue's delay if `None`.
    pub delay: Option<Duration>,
    /// The message group: decides the order on a FIFO queue, only carried along on a standard one.
    pub group: Option<Arc<str>>,
    /// The deduplication id; only FIFO queues look at it.
    pub deduplication: Option<Arc<str>>,
}

/// The answer to a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub struct Sent {
    /// The id of the message that the queue keeps: the first one's, for a duplicate.
    pub id: u64,
    /// Its place in the order of all sends to this queue.
    pub sequence: u64,
    /// Not taken in: the same was sent within five minutes.
    pub duplicate: bool,
}

/// A message with its history in this queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub struct Message<P> {
    /// The sender's number.
    pub id: u64,
    /// What the owner keeps with it.
    pub payload: P,
    /// The message group.
    pub group: Option<Arc<str>>,
    /// The deduplication id.
    pub deduplication: Option<Arc<str>>,
    /// When it was sent.
    pub sent_at: Duration,
    /// When it was first received.
    pub first_received_at: Option<Duration>,
    /// When it was last received.
    pub received_at: Option<Duration>,
    /// How often it was received, in the queues it was a dead letter of too: `ApproximateReceiveCount`.
    pub receives: u32,
    /// How many of `receives` were in other queues. This queue's redrive policy does not count them.
    pub receives_before: u32,
}

/// How a message stands in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It can be received (on a FIFO queue: when nothing of its group is ahead of it).
    Visible,
    /// A receiver holds it.
    InFlight {
        /// Visible again then.
        until: Duration,
    },
    /// It was sent with a delay.
    Delayed {
        /// Visible then.
        until: Duration,
    },
}

/// A message handed to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received<P> {
    /// What the receiver deletes it by.
    pub handle: Handle,
    /// Its place in the order of all sends.
    pub sequence: u64,
    /// The message, this receive counted.
    pub message: Message<P>,
}

/// A message that left by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub enum Departure<P> {
    /// Received as often as the redrive policy allows: goes to the dead-letter queue.
    DeadLetter(Message<P>),
    /// Older than the retention period: dropped.
    Expired(Message<P>),
}

/// As many messages are in flight as SQS allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many messages in flight: delete some, or let their visibility timeout end")]
pub struct OverLimit;

/// Why a receipt handle does not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandleError {
    /// This queue never gave it.
    #[error("the receipt handle is not one of this queue's")]
    Invalid,
    /// FIFO: its visibility timeout is over.
    #[error("the receipt handle has expired")]
    Expired,
    /// Its message was deleted.
    #[error("the message does not exist")]
    Gone,
    /// The message would be hidden for more than 12 hours in all.
    #[error("the message would be hidden for more than 12 hours after it was received")]
    TooLong,
}

/// A queue's approximate counts, as `GetQueueAttributes` names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub struct Counts {
    /// `ApproximateNumberOfMessages`.
    pub visible: u64,
    /// `ApproximateNumberOfMessagesNotVisible`.
    pub in_flight: u64,
    /// `ApproximateNumberOfMessagesDelayed`.
    pub delayed: u64,
}
