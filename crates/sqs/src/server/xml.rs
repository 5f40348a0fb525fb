//! Answers of the Query protocol. A writer of its own, since all there is are elements with text, and names that differ
//! from JSON's.

use serde::Serialize;
use uuid::Uuid;

use super::error::Error;

mod elements;

use elements::{ElementPlace, Elements, NoXml};

const HEAD: &str = "<?xml version=\"1.0\"?>";
const NAMESPACE: &str = "http://queue.amazonaws.com/doc/2012-11-05/";

/// Actions that answer nothing: they have no `…Result`.
const WITHOUT_RESULT: [&str; 9] = [
    "AddPermission",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "DeleteQueue",
    "PurgeQueue",
    "RemovePermission",
    "SetQueueAttributes",
    "TagQueue",
    "UntagQueue",
];

/// The answer of `action`: the elements of what would be JSON.
pub(super) fn answer(action: &str, request_id: Uuid, value: &impl Serialize) -> Result<Vec<u8>, NoXml> {
    let mut out = String::with_capacity(4096);
    for part in [HEAD, "<", action, "Response xmlns=\"", NAMESPACE, "\">"] {
        out.push_str(part);
    }
    if !WITHOUT_RESULT.contains(&action) {
        for part in ["<", action, "Result>"] {
            out.push_str(part);
        }
        value.serialize(Elements { out: &mut out, action, place: ElementPlace::Root })?;
        for part in ["</", action, "Result>"] {
            out.push_str(part);
        }
    }
    element(&mut out, "ResponseMetadata", |out| leaf(out, "RequestId", &request_id.to_string()));
    for part in ["</", action, "Response>"] {
        out.push_str(part);
    }
    Ok(out.into_bytes())
}

/// A refusal.
pub(super) fn error(error: &Error, request_id: Uuid) -> Vec<u8> {
    let mut out = format!("{HEAD}<ErrorResponse xmlns=\"{NAMESPACE}\">");
    element(&mut out, "Error", |out| {
        leaf(out, "Type", error.code.fault());
        leaf(out, "Code", &error.code.query());
        leaf(out, "Message", &error.message);
        out.push_str("<Detail/>");
    });
    leaf(&mut out, "RequestId", &request_id.to_string());
    out.push_str("</ErrorResponse>");
    out.into_bytes()
}

fn element(out: &mut String, name: &str, inside: impl FnOnce(&mut String)) {
    open(out, name);
    inside(out);
    close(out, name);
}

fn open(out: &mut String, name: &str) {
    for part in ["<", name, ">"] {
        out.push_str(part);
    }
}

fn close(out: &mut String, name: &str) {
    for part in ["</", name, ">"] {
        out.push_str(part);
    }
}

fn leaf(out: &mut String, name: &str, text: &str) {
    element(out, name, |out| escape(out, text));
}

/// Text as XML has it. A carriage return is escaped, since readers make a line feed of it, and the MD5 would not hold;
/// what XML cannot say, which only an error may repeat, becomes a replacement character.
fn escape(out: &mut String, text: &str) {
    // Most text is found plain by its bytes alone; U+FFFE and U+FFFF begin with 0xEF.
    if !text.bytes().any(|byte| matches!(byte, ..0x20 | b'&' | b'<' | b'>' | b'"' | 0xEF)) {
        out.push_str(text);
        return;
    }
    let mut from = 0;
    for (at, c) in text.char_indices() {
        let escaped = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\r' => "&#xD;",
            '\t' | '\n' => continue,
            '\0'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => "\u{FFFD}",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(escaped);
        from = at + c.len_utf8();
    }
    out.push_str(&text[from..]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::error::Code;
    use super::*;

    fn show(action: &str, value: &serde_json::Value) -> String {
        String::from_utf8(answer(action, Uuid::nil(), value).expect("elements and text")).expect("UTF-8")
    }

    /// The shape of the examples in AWS's API reference.
    #[test]
    fn answers_have_the_names_of_the_query_protocol() {
        let tail = "<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata>";
        let wrap = |action: &str, inside: &str| {
            format!(
                "<?xml version=\"1.0\"?><{action}Response xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">{inside}{tail}</{action}Response>"
            )
        };
        for (action, value, inside) in [
            ("DeleteMessage", json!({}), ""),
            ("ReceiveMessage", json!({}), "<ReceiveMessageResult></ReceiveMessageResult>"),
            (
                "ReceiveMessage",
                json!({ "Messages": [{ "Body": "<a>&\r\n", "Attributes": { "SenderId": "x" },
                    "MessageAttributes": { "n": { "DataType": "String", "StringValue": "v" } } }] }),
                "<ReceiveMessageResult><Message><Attribute><Name>SenderId</Name><Value>x</Value></Attribute>\
                 <Body>&lt;a&gt;&amp;&#xD;\n</Body><MessageAttribute><Name>n</Name><Value><DataType>String</DataType>\
                 <StringValue>v</StringValue></Value></MessageAttribute></Message></ReceiveMessageResult>",
            ),
            (
                "DeleteMessageBatch",
                json!({ "Successful": [{ "Id": "a" }], "Failed": [{ "Id": "b", "SenderFault": true }] }),
                "<DeleteMessageBatchResult><BatchResultErrorEntry><Id>b</Id><SenderFault>true</SenderFault></BatchResultErrorEntry>\
                 <DeleteMessageBatchResultEntry><Id>a</Id></DeleteMessageBatchResultEntry></DeleteMessageBatchResult>",
            ),
            (
                "ListQueues",
                json!({ "QueueUrls": ["u", "v"] }),
                "<ListQueuesResult><QueueUrl>u</QueueUrl><QueueUrl>v</QueueUrl></ListQueuesResult>",
            ),
            (
                "ListDeadLetterSourceQueues",
                json!({ "queueUrls": ["u"] }),
                "<ListDeadLetterSourceQueuesResult><QueueUrl>u</QueueUrl></ListDeadLetterSourceQueuesResult>",
            ),
            (
                "ListQueueTags",
                json!({ "Tags": { "k": "v" } }),
                "<ListQueueTagsResult><Tag><Key>k</Key><Value>v</Value></Tag></ListQueueTagsResult>",
            ),
            (
                "ListMessageMoveTasks",
                json!({ "Results": [{ "StartedTimestamp": 5 }] }),
                "<ListMessageMoveTasksResult><ListMessageMoveTasksResultEntry><StartedTimestamp>5</StartedTimestamp>\
                 </ListMessageMoveTasksResultEntry></ListMessageMoveTasksResult>",
            ),
        ] {
            assert_eq!(show(action, &value), wrap(action, inside));
        }
    }

    #[test]
    fn an_error_is_well_formed_whatever_it_repeats() {
        let error = super::error(&Error::new(Code::InvalidParameterValue, "\u{0}<\u{FFFF}"), Uuid::nil());
        let expected = "<Error><Type>Sender</Type><Code>InvalidParameterValue</Code><Message>\u{FFFD}&lt;\u{FFFD}</Message><Detail/></Error>";
        assert!(String::from_utf8(error).expect("UTF-8").contains(expected));
    }
}
