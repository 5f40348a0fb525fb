//! Between SQS's types and ours.

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use aws_sdk_sqs::primitives::Blob;
use aws_sdk_sqs::types::{
    Message as SqsMessage, MessageAttributeValue, MessageSystemAttributeName as System,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, SendMessageBatchRequestEntry,
};

use super::Outgoing;
use crate::message::{Attribute, AttributeValue, Message};

/// The system attributes that a [`Message`] has room for. `All` would bring four more that nobody reads.
pub(super) fn wanted_system_attributes() -> Vec<System> {
    vec![
        System::ApproximateReceiveCount,
        System::SentTimestamp,
        System::MessageGroupId,
        System::MessageDeduplicationId,
        System::AwsTraceHeader,
    ]
}

/// A message as SQS has handed it out; the name of what it lacks, if it is none that can be handled and settled.
pub(super) fn message(from: SqsMessage) -> Result<Message, &'static str> {
    let mut system = from.attributes.unwrap_or_default();
    let sent_at = system.get(&System::SentTimestamp).and_then(|millis| millis.parse().ok());
    Ok(Message {
        id: from.message_id.ok_or("MessageId")?,
        receipt_handle: from.receipt_handle.ok_or("ReceiptHandle")?,
        body: from.body.ok_or("Body")?,
        receive_count: system.get(&System::ApproximateReceiveCount).and_then(|count| count.parse().ok()).unwrap_or(1),
        sent_at: sent_at.map(|millis| UNIX_EPOCH + Duration::from_millis(millis)),
        group_id: system.remove(&System::MessageGroupId),
        deduplication_id: system.remove(&System::MessageDeduplicationId),
        trace_header: system.remove(&System::AwsTraceHeader),
        attributes: from
            .message_attributes
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, attribute(value)))
            .collect(),
        here: Default::default(),
    })
}

fn attribute(from: MessageAttributeValue) -> Attribute {
    let value = match from.binary_value {
        Some(bytes) => AttributeValue::Bytes(bytes.into_inner()),
        None => AttributeValue::Text(from.string_value.unwrap_or_default()),
    };
    Attribute { data_type: from.data_type, value }
}

/// One entry of a batch, named by its place among all that were to be sent.
pub(super) fn entry(index: usize, from: &Outgoing) -> SendMessageBatchRequestEntry {
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(&from.body)
        .set_message_group_id(from.group_id.clone())
        .set_message_deduplication_id(from.deduplication_id.clone())
        .set_delay_seconds(from.delay.map(|delay| delay.as_secs() as i32))
        .set_message_attributes(attributes(from));
    if let Some(trace) = &from.trace_header {
        let value = MessageSystemAttributeValue::builder().data_type("String").string_value(trace).build();
        entry = entry.message_system_attributes(
            MessageSystemAttributeNameForSends::AwsTraceHeader,
            value.expect("the type is set"),
        );
    }
    entry.build().expect("id and body are set")
}

fn attributes(from: &Outgoing) -> Option<HashMap<String, MessageAttributeValue>> {
    let convert = |attribute: &Attribute| {
        let value = MessageAttributeValue::builder().data_type(&attribute.data_type);
        let value = match &attribute.value {
            AttributeValue::Text(text) => value.string_value(text),
            AttributeValue::Bytes(bytes) => value.binary_value(Blob::new(bytes.as_slice())),
        };
        value.build().expect("the type is set")
    };
    let converted: HashMap<_, _> = from.attributes.iter().map(|(name, a)| (name.clone(), convert(a))).collect();
    Some(converted).filter(|converted| !converted.is_empty())
}
