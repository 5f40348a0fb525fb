//! SNS envelopes (opt-in, `UNWRAP_SNS`): a topic that delivers to a queue without raw message delivery wraps each
//! notification in JSON. The handler then sees the notification; the host keeps the envelope, so that what is rejected
//! can be moved back as it came.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;

use crate::message::{Attribute, AttributeValue, Message};

/// <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>
#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    #[serde(rename = "TopicArn")]
    topic_arn: String,
    #[serde(rename = "Message")]
    message: String,
    #[serde(rename = "MessageAttributes", default)]
    attributes: BTreeMap<String, EnvelopeAttribute>,
}

#[derive(Deserialize)]
struct EnvelopeAttribute {
    #[serde(rename = "Type")]
    data_type: String,
    #[serde(rename = "Value")]
    value: String,
}

/// The notification inside `message`, with the envelope's attributes and all else of the message; `None` where it is
/// no envelope, as with raw message delivery.
pub(crate) fn open(message: &Message) -> Option<Message> {
    if !message.body.trim_start().starts_with('{') {
        return None;
    }
    let envelope: Envelope = serde_json::from_str(&message.body).ok()?;
    if envelope.kind != "Notification" || !envelope.topic_arn.starts_with("arn:") {
        return None;
    }
    let mut attributes = message.attributes.clone();
    attributes.extend(envelope.attributes.into_iter().map(|(name, attribute)| (name, attribute.into())));
    Some(Message { body: envelope.message, attributes, ..message.clone() })
}

impl From<EnvelopeAttribute> for Attribute {
    fn from(from: EnvelopeAttribute) -> Self {
        let bytes = from.data_type.starts_with("Binary").then(|| BASE64.decode(&from.value).ok()).flatten();
        let value = bytes.map_or(AttributeValue::Text(from.value), AttributeValue::Bytes);
        Self { data_type: from.data_type, value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(body: &str) -> Message {
        let own = Attribute { data_type: "String".to_owned(), value: AttributeValue::Text("own".to_owned()) };
        let attributes = [("own".to_owned(), own)].into();
        Message { id: "m-1".to_owned(), body: body.to_owned(), receive_count: 3, attributes, ..Message::default() }
    }

    #[test]
    fn a_notification_is_taken_out_of_its_envelope_with_its_attributes() {
        let body = r#"{ "Type": "Notification", "MessageId": "22b80b92", "TopicArn": "arn:aws:sns:us-west-2:123456789012:MyTopic",
            "Subject": "s", "Message": "{\"order\": 1}", "Timestamp": "2012-05-02T00:54:06.655Z", "SignatureVersion": "1",
            "Signature": "EXAMPLE", "SigningCertURL": "https://sns…", "UnsubscribeURL": "https://sns…",
            "MessageAttributes": { "kind": { "Type": "String", "Value": "new" }, "raw": { "Type": "Binary", "Value": "AP8=" } } }"#;
        let opened = open(&with(body)).expect("an envelope");
        assert_eq!((opened.body.as_str(), opened.id.as_str(), opened.receive_count), (r#"{"order": 1}"#, "m-1", 3));
        assert_eq!(opened.attributes["kind"].value, AttributeValue::Text("new".to_owned()));
        assert_eq!(opened.attributes["raw"].value, AttributeValue::Bytes(vec![0, 255]));
        assert_eq!(opened.attributes["own"].value, AttributeValue::Text("own".to_owned()));
    }

    #[test]
    fn what_is_no_envelope_is_left_alone() {
        for body in [
            "",
            "text",
            "{",
            "[]",
            r#"{"order": 1}"#,
            r#"{"Type": "Notification", "Message": "no topic"}"#,
            r#"{"Type": "Other", "TopicArn": "arn:aws:sns:x", "Message": "m"}"#,
            r#"{"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": {"not": "text"}}"#,
        ] {
            assert_eq!(open(&with(body)), None, "{body}");
        }
    }
}
