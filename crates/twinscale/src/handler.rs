//! The contract between a message and the code that handles it. Knows no host, no queue, no AWS.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use crate::message::Message;

/// The code that a user of this project writes. It runs unchanged in the worker and in the function.
///
/// A handler may be called again for the same message (SQS delivers at least once), and its future may be dropped
/// at any `.await` when time is up: the message is then given back.
pub trait Handler: Send + Sync + 'static {
    /// Handles one message and says what becomes of it. A panic counts as [`Outcome::Retry`].
    fn handle(&self, message: &Message) -> impl Future<Output = Outcome> + Send;

    /// Where idempotency is on, messages with the same key have their effect once. The SQS message id unless told
    /// otherwise; an id of the business, such as an order's, also covers a producer that sends twice.
    fn idempotency_key<'a>(&self, message: &'a Message) -> Cow<'a, str> {
        message.id.as_str().into()
    }
}

/// What becomes of a message. It means the same on both hosts.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The message is finished: the worker deletes it, the function leaves it out of `batchItemFailures`.
    Done,
    /// Deliver it again: visibility is set to `after`, or to a jittered exponential backoff from the receive count.
    Retry {
        /// When it should be visible again; at most what is left of SQS's 12 hours.
        after: Option<Duration>,
        /// Why, for logs and the journal.
        reason: String,
    },
    /// It can never succeed: sent to the dead-letter queue now, with the reason as an attribute, then deleted.
    Reject {
        /// Why, for whoever reads the dead-letter queue.
        reason: String,
    },
}

impl Outcome {
    /// Retry with the host's own backoff.
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry { after: None, reason: reason.into() }
    }

    /// Reject for good.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject { reason: reason.into() }
    }
}
