//! What a handler sees, whichever host received it. Knows neither the worker nor Lambda.

use std::collections::BTreeMap;
use std::time::SystemTime;

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
}

impl Message {
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
