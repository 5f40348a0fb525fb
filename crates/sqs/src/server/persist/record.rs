//! A line of the log.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::content::Payload;
use crate::model::{Message, Send};

/// The version of the format, and of the rules by which the model answers: a log of another one would be read wrongly.
pub(super) const VERSION: u32 = 1;

/// Messages by number that have left a queue and not come to another, with the number of the queue that they left.
pub(in crate::server) type Transit = BTreeMap<u64, Left>;

/// A message that has left a queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::server) struct Left {
    /// The queue's number.
    pub queue: u64,
    /// As it left.
    pub message: Message<Payload>,
}

/// What a line says. `Q` is the state of a queue: borrowed when it is written.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::server) enum Record<Q> {
    /// The first line.
    Began(Began),
    /// A queue as it is: a new one, or one of a picture.
    Queue(Box<KeptQueue<Q>>),
    /// Of a picture: what was between two queues.
    InTransit(Transit),
    /// A call to a queue's model.
    Called {
        /// The queue's number.
        queue: u64,
        /// The server's time.
        at: Duration,
        /// Which.
        call: LoggedCall,
    },
    /// `SetQueueAttributes` and its like.
    Changed {
        /// The queue's number.
        queue: u64,
        /// The server's time.
        at: Duration,
        /// What was given.
        attributes: BTreeMap<String, String>,
    },
    /// All tags of a queue from now on.
    Tagged {
        /// The queue's number.
        queue: u64,
        /// All of them.
        tags: BTreeMap<String, String>,
    },
    /// A queue was deleted.
    Deleted {
        /// Its number.
        queue: u64,
    },
    /// A dead letter had no queue to go to.
    Dropped {
        /// The message's number.
        message: u64,
    },
}

/// What is true of the whole log.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::server) struct Began {
    /// [`VERSION`].
    pub version: u32,
    /// Message ids and receipt handles are made with it.
    pub seed: u64,
    /// When the server's time was zero, since 1970.
    pub epoch: Duration,
    /// The server's time when this was written.
    pub at: Duration,
    /// Of the queues.
    pub account: String,
    /// No message and no queue has this number or a higher one.
    pub next: u64,
}

/// A queue.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::server) struct KeptQueue<Q> {
    /// Its number.
    pub number: u64,
    /// Its ARN, with region and name.
    pub arn: String,
    /// When it was created.
    pub created: Duration,
    /// When it was last changed.
    pub modified: Duration,
    /// Its attributes as they were set, and defaults.
    pub attributes: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its messages.
    pub state: Q,
}

/// A call that changed a queue. Handles are in their bits.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::server) enum LoggedCall {
    /// `send`.
    Send(Send<Payload>),
    /// `admit`.
    Admit(Message<Payload>),
    /// `receive`.
    Receive {
        /// At most.
        max: usize,
        /// Hidden for.
        visibility: Option<Duration>,
        /// The handles that it brought, which it has to bring again.
        brought: Vec<u64>,
    },
    /// `renew`.
    Renew {
        /// Of the message.
        handle: u64,
        /// Hidden for.
        visibility: Option<Duration>,
    },
    /// `delete`.
    Delete {
        /// Of the message.
        handle: u64,
    },
    /// `change_visibility`.
    ChangeVisibility {
        /// Of the message.
        handle: u64,
        /// Hidden for.
        timeout: Duration,
    },
    /// `withdraw`.
    Withdraw {
        /// At most.
        max: usize,
    },
    /// `purge`.
    Purge,
}
