//! Decodes the records of an SQS event one by one, so that a bad one fails alone.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use aws_lambda_events::sqs::{SqsMessage, SqsMessageAttribute};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::message::{Attribute, AttributeValue, Here, Message};

/// An SQS event whose records are not decoded yet.
#[derive(Debug, Deserialize)]
pub struct RawEvent {
    /// The records, as they came.
    #[serde(rename = "Records")]
    pub records: Vec<Box<RawValue>>,
}

/// A record that cannot be named in a partial batch response, so that only failing the batch keeps its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {0} of the event has no messageId and cannot be reported alone, so the whole batch fails")]
pub struct Unnamed(pub usize);

/// One record.
#[derive(Debug)]
pub struct Record {
    /// Its `messageId`.
    pub id: String,
    /// Its message group, as far as it can be read.
    pub group: Option<String>,
    /// The message, or why there is none.
    pub message: Result<Arc<Message>, String>,
}

/// The records of one event.
#[derive(Debug)]
pub struct Batch {
    /// The queue that they come from (`eventSourceARN` of the first that has one).
    pub source_arn: Option<String>,
    /// In the order of the event.
    pub records: Vec<Record>,
}

impl Batch {
    /// Whether it comes from a FIFO queue, which its name tells.
    pub fn is_fifo(&self) -> bool {
        self.source_arn.as_ref().is_some_and(|arn| arn.ends_with(".fifo"))
    }
}

/// Decodes an event.
///
/// # Errors
/// [`Unnamed`] if a record has no `messageId`: the function must then fail.
pub fn decode(event: &RawEvent) -> Result<Batch, Unnamed> {
    let mut batch = Batch { source_arn: None, records: Vec::with_capacity(event.records.len()) };
    for (place, raw) in event.records.iter().enumerate() {
        let (record, arn) = decode_one(raw, place as u64).ok_or(Unnamed(place))?;
        batch.source_arn = batch.source_arn.or(arn);
        batch.records.push(record);
    }
    Ok(batch)
}

fn decode_one(raw: &RawValue, key: u64) -> Option<(Record, Option<String>)> {
    let error = match serde_json::from_str::<SqsMessage>(raw.get()) {
        Ok(SqsMessage { body: None, .. }) => "it has no body".to_owned(),
        Ok(mut decoded) => {
            let id = decoded.message_id.take().filter(|id| !id.is_empty())?;
            let arn = decoded.event_source_arn.take();
            let mut message = message(id.clone(), decoded);
            // One id may come twice in a batch of a standard queue.
            message.here.key = key;
            return Some((Record { id, group: message.group_id.clone(), message: Ok(Arc::new(message)) }, arn));
        }
        Err(error) => error.to_string(),
    };
    let loose: Value = serde_json::from_str(raw.get()).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let id = text(&loose["messageId"]).filter(|id| !id.is_empty())?;
    let record = Record { id, group: text(&loose["attributes"]["MessageGroupId"]), message: Err(error) };
    Some((record, text(&loose["eventSourceARN"])))
}

fn message(id: String, from: SqsMessage) -> Message {
    let mut system = from.attributes;
    let time = |name: &str| {
        let millis = system.get(name)?.parse().ok()?;
        UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    };
    let sent_at = time("SentTimestamp");
    let first_received_at = time("ApproximateFirstReceiveTimestamp");
    let receive_count = system.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let mut here = Here::default();
    here.received_at = first_received_at.filter(|_| receive_count == 1);
    Message {
        id,
        receipt_handle: from.receipt_handle.unwrap_or_default(),
        body: from.body.unwrap_or_default(),
        receive_count,
        sent_at,
        group_id: system.remove("MessageGroupId"),
        deduplication_id: system.remove("MessageDeduplicationId"),
        trace_header: system.remove("AWSTraceHeader"),
        attributes: from.message_attributes.into_iter().map(|(name, value)| (name, attribute(value))).collect(),
        here,
    }
}

fn attribute(from: SqsMessageAttribute) -> Attribute {
    let value = match (from.string_value, from.binary_value) {
        (None, Some(bytes)) => AttributeValue::Bytes(bytes.to_vec()),
        (text, _) => AttributeValue::Text(text.unwrap_or_default()),
    };
    Attribute { data_type: from.data_type.unwrap_or_else(|| "String".to_owned()), value }
}
