//! The event that a function gets: the records of a batch, as Lambda writes them.

use serde_json::{Map, Value, json};

use super::poll::{Received, ReceivedAttribute};
use crate::processes::runtime_api::MAX_PAYLOAD;

/// One record of an event.
pub fn record(message: &Received, queue_arn: &str) -> Value {
    let attributes: Map<String, Value> =
        message.message_attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    let mut record = json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": message.attributes,
        "messageAttributes": attributes,
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(':').nth(3).expect("an ARN of a queue names its region"),
    });
    if let Some(md5) = &message.md5_of_message_attributes {
        record["md5OfMessageAttributes"] = md5.as_str().into();
    }
    record
}

fn attribute(from: &ReceivedAttribute) -> Value {
    let mut attribute = json!({ "dataType": from.data_type, "stringListValues": [], "binaryListValues": [] });
    if let Some(text) = &from.string_value {
        attribute["stringValue"] = text.as_str().into();
    }
    if let Some(base64) = &from.binary_value {
        attribute["binaryValue"] = base64.as_str().into();
    }
    attribute
}

/// Puts records into as few events as the payload limit allows, in order. Gives each event and how many records it has.
pub fn events(records: impl IntoIterator<Item = Value>) -> Vec<(String, usize)> {
    const AROUND: usize = r#"{"Records":[]}"#.len();
    let mut events = Vec::new();
    let mut text = String::new();
    let mut count = 0;
    let mut close = |text: &mut String, count: &mut usize| {
        if *count > 0 {
            events.push((format!(r#"{{"Records":[{text}]}}"#), *count));
            text.clear();
            *count = 0;
        }
    };
    for record in records {
        let record = record.to_string();
        if AROUND + text.len() + 1 + record.len() > MAX_PAYLOAD {
            close(&mut text, &mut count);
        }
        if count > 0 {
            text.push(',');
        }
        text.push_str(&record);
        count += 1;
    }
    close(&mut text, &mut count);
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_that_exceeds_the_payload_limit_becomes_several_events_in_order() {
        let records = (0..10).map(|n| json!({ "n": n, "body": "x".repeat(1 << 20) }));
        let events = events(records);
        assert_eq!(events.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [5, 5]);
        let second: Value = serde_json::from_str(&events[1].0).expect("JSON");
        assert_eq!(second["Records"][0]["n"], 5);
        assert!(events.iter().all(|(text, _)| text.len() <= MAX_PAYLOAD));
    }
}
