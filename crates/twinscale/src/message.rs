//! What a handler sees, whichever host received it. Knows neither the worker nor Lambda.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// One SQS message, as a [`Handler`](crate::handler::Handler) sees it on either host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// SQS `MessageId`: the same on every receive of this message, another after a resend by the producer.
    pub id: String,
    /// Names this receive to SQS; a later receive has another handle.
    pub receipt_handle: String,
    /// The body as sent.
    pub body: String,
    /// `ApproximateReceiveCount`: 1 on the first delivery; a give-back (visibility 0) counts as a receive.
    pub receive_count: u32,
    /// `SentTimestamp`, if the queue told it.
    pub sent_at: Option<SystemTime>,
    /// `MessageGroupId`: on a FIFO queue, messages of one group are handled in order; a fair queue may set it too.
    pub group_id: Option<String>,
    /// `MessageDeduplicationId` of a FIFO message.
    pub deduplication_id: Option<String>,
    /// `AWSTraceHeader`: the X-Ray trace of the sender.
    pub trace_header: Option<String>,
    /// The sender's message attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// What its host knows of this receive.
    pub(crate) here: Here,
}

/// What a host knows of a message while it holds it. It is no part of what was sent: all are equal.
#[derive(Debug, Default)]
pub(crate) struct Here {
    /// Names this receive inside the host; 0 outside of one.
    pub(crate) key: u64,
    /// When SQS gave it out, where somebody else received it and it is known.
    pub(crate) received_at: Option<SystemTime>,
    attempt: Mutex<Attempt>,
}

#[derive(Clone, Debug, Default)]
struct Attempt {
    /// Attempts of this receive before this one.
    before: u32,
    handler_ends: Option<Instant>,
    time_up: TimeUp,
}

/// When time is up for all that a host has in hand: told once it is known. Clones are told together.
#[derive(Clone, Debug, Default)]
pub struct TimeUp(Arc<OnceLock<Instant>>);

impl TimeUp {
    /// It is known now.
    pub fn at(&self, when: Instant) {
        // The first word stands.
        let _ = self.0.set(when);
    }
}

impl Clone for Here {
    fn clone(&self) -> Self {
        Self { key: self.key, received_at: self.received_at, attempt: Mutex::new(self.attempt().clone()) }
    }
}

impl PartialEq for Here {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Here {
    fn attempt(&self) -> MutexGuard<'_, Attempt> {
        self.attempt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its handler begins.
    pub(crate) fn begins(&self, handler_timeout: Option<Duration>, time_up: &TimeUp) {
        let mut attempt = self.attempt();
        attempt.handler_ends = handler_timeout.map(|timeout| Instant::now() + timeout);
        attempt.time_up = time_up.clone();
    }

    /// Its handler failed, and will be called again without another receive.
    pub(crate) fn failed(&self) {
        self.attempt().before += 1;
    }
}

impl Message {
    /// Which attempt at this message this is, from 1: the receive count, and what was tried again in place since (on a
    /// FIFO queue a host tries the first of a group again without giving it back).
    pub fn attempt(&self) -> u32 {
        self.receive_count.saturating_add(self.here.attempt().before)
    }

    /// The time that is left to handle it before the handler is aborted: what is left of `HANDLER_TIMEOUT_MS`, of the drain
    /// budget once the worker drains, or of the function's deadline less its margin, whichever is least. `None` where
    /// nothing limits it, as in a test or in a worker without a handler timeout that is not draining.
    pub fn time_left(&self) -> Option<Duration> {
        let attempt = self.here.attempt();
        let ends = [attempt.handler_ends, attempt.time_up.0.get().copied()];
        ends.into_iter().flatten().min().map(|end| end.saturating_duration_since(Instant::now()))
    }

    /// Bytes that it takes in memory, nearly: what was sent.
    pub(crate) fn bytes(&self) -> usize {
        let value = |attribute: &Attribute| match &attribute.value {
            AttributeValue::Text(text) => text.len(),
            AttributeValue::Bytes(bytes) => bytes.len(),
        };
        self.body.len() + self.attributes.iter().map(|(name, attribute)| name.len() + value(attribute)).sum::<usize>()
    }

    /// What settling it takes: all but what was sent, where nobody else holds it any more.
    pub(crate) fn without_body(self: Arc<Self>) -> Arc<Self> {
        let light = match Arc::try_unwrap(self) {
            Ok(own) => Self { body: String::new(), attributes: BTreeMap::new(), ..own },
            Err(shared) => Self {
                id: shared.id.clone(),
                receipt_handle: shared.receipt_handle.clone(),
                receive_count: shared.receive_count,
                here: shared.here.clone(),
                ..Self::default()
            },
        };
        Arc::new(light)
    }

    /// A message with that body, received for the first time, for tests of a handler.
    pub fn new(body: impl Into<String>) -> Self {
        Self { body: body.into(), receive_count: 1, ..Self::default() }
    }
}

/// A message attribute. SQS types are `String`, `Number` and `Binary`, each with an optional `.label`.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// The declared type, label included, for example `Number.int`.
    pub data_type: String,
    /// The value: text for `String` and `Number`, bytes for `Binary`.
    pub value: AttributeValue,
}

/// The value of an [`Attribute`].
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// A `String` or `Number` attribute.
    Text(String),
    /// A `Binary` attribute.
    Bytes(Vec<u8>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_left_is_the_least_of_all_limits_and_follows_a_drain_that_begins_meanwhile() {
        let message = Message::new("b");
        assert_eq!((message.time_left(), message.attempt()), (None, 1));
        let time_up = TimeUp::default();
        message.here.begins(None, &time_up);
        assert_eq!(message.time_left(), None);
        message.here.begins(Some(Duration::from_secs(10)), &time_up);
        tokio::time::advance(Duration::from_secs(3)).await;
        assert_eq!(message.time_left(), Some(Duration::from_secs(7)));
        let seen = message.clone();
        time_up.at(Instant::now() + Duration::from_secs(5));
        assert_eq!(seen.time_left(), Some(Duration::from_secs(5)), "a copy is told too");
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(message.time_left(), Some(Duration::ZERO));
    }

    #[test]
    fn attempts_count_receives_and_what_was_tried_again_in_place() {
        let message = Message { receive_count: 2, ..Message::new("b") };
        message.here.failed();
        message.here.failed();
        assert_eq!(message.attempt(), 4);
    }
}
