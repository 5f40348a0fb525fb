//! Rejected messages go to the dead-letter queue now, with the reason as an attribute, on both hosts alike.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};

use tokio::sync::OnceCell;

use super::limits::allowed;
use super::{MAX_ATTRIBUTES, MAX_BYTES, Outgoing, Queue, QueueError, attribute_bytes};
use crate::message::{Attribute, AttributeValue, Message};

/// The attribute that carries the reason of a reject.
pub const REJECT_REASON: &str = "RejectReason";
/// A longer reason is cut: it is for people, and every 64 KiB of a message is billed.
const MAX_REASON_BYTES: usize = 4096;

/// The dead-letter queue of a queue: the one configured, else the one that the redrive policy names, learned when the
/// first message is rejected.
#[derive(Debug)]
pub struct DeadLetters {
    source: Queue,
    configured: Option<String>,
    found: OnceCell<Queue>,
}

impl DeadLetters {
    /// Makes no call. `configured` is a URL or a name.
    pub fn of(source: Queue, configured: Option<String>) -> Self {
        Self { source, configured, found: OnceCell::new() }
    }

    /// Sends each message with the reason of its reject; the outcomes are in the same order. A message may be deleted
    /// from its own queue only if it was taken here.
    pub async fn send(&self, rejected: &[(&Message, &str)]) -> Vec<Result<(), QueueError>> {
        let queue = match self.queue().await {
            Ok(queue) => queue,
            Err(error) => return vec![Err(error); rejected.len()],
        };
        let report = queue.send(rejected.iter().map(|(message, reason)| outgoing(message, reason)).collect()).await;
        let mut results = vec![Ok(()); rejected.len()];
        for failure in report.failed {
            results[failure.index] = Err(failure.error);
        }
        results
    }

    async fn queue(&self) -> Result<&Queue, QueueError> {
        let find = || async {
            if let Some(configured) = &self.configured {
                let queue = self.source.other(configured);
                if queue.is_fifo() != self.source.is_fifo() {
                    let wrong = format!(
                        "DLQ_URL={configured} is not of the kind of {}: write a {} queue",
                        self.source.name(),
                        if self.source.is_fifo() { "FIFO" } else { "standard" }
                    );
                    return Err(QueueError::refused("DeadLetterQueueOfOtherKind", wrong));
                }
                return Ok(queue);
            }
            let advice = "a message was rejected, and there is nowhere to send it: set DLQ_URL, or give the queue a \
                          redrive policy";
            let named = self.source.dead_letter_queue().await?;
            named.ok_or_else(|| QueueError::refused("NoDeadLetterQueue", advice))
        };
        self.found.get_or_try_init(find).await
    }
}

/// The receive's own: two rejected messages never become one, whatever their senders thought of ids and whatever scope
/// the dead-letter queue has for them, nor does one that is moved back and rejected again; our own repetition is one.
fn deduplication_id(message: &Message) -> String {
    let mut receive = DefaultHasher::new();
    receive.write(message.receipt_handle.as_bytes());
    format!("{}-{:016x}", message.id, receive.finish())
}

/// The rejected message as it is sent: all of it, its group included, and the reason, which is shortened or left out
/// where a message has no room for it, since rejecting never fails for want of space.
pub(super) fn outgoing(message: &Message, reason: &str) -> Outgoing {
    let mut rejected = Outgoing {
        body: message.body.clone(),
        group_id: message.group_id.clone(),
        deduplication_id: message.deduplication_id.as_ref().map(|_| deduplication_id(message)),
        attributes: message.attributes.clone(),
        trace_header: message.trace_header.clone(),
        delay: None,
    };
    add_reason(&mut rejected.attributes, message.body.len(), reason);
    rejected
}

fn add_reason(attributes: &mut BTreeMap<String, Attribute>, body_bytes: usize, reason: &str) {
    // A message that was moved back from the dead-letter queue brings the old one.
    attributes.remove(REJECT_REASON);
    if attributes.len() >= MAX_ATTRIBUTES {
        return;
    }
    let used = body_bytes + attributes.iter().map(|(name, attribute)| attribute_bytes(name, attribute)).sum::<usize>();
    let overhead = REJECT_REASON.len() + "String".len();
    let room = MAX_BYTES.saturating_sub(used + overhead).min(MAX_REASON_BYTES);
    let text: String = reason.chars().map(|c| if allowed(c) { c } else { char::REPLACEMENT_CHARACTER }).collect();
    let text = &text[..text.floor_char_boundary(room)];
    // SQS takes no empty attribute.
    if !text.is_empty() {
        let value = AttributeValue::Text(text.to_owned());
        attributes.insert(REJECT_REASON.to_owned(), Attribute { data_type: "String".to_owned(), value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason_of(sent: &Outgoing) -> Option<&str> {
        match &sent.attributes.get(REJECT_REASON)?.value {
            AttributeValue::Text(text) => Some(text),
            AttributeValue::Bytes(_) => None,
        }
    }

    fn text(value: &str) -> Attribute {
        Attribute { data_type: "String".to_owned(), value: AttributeValue::Text(value.to_owned()) }
    }

    #[test]
    fn a_rejected_message_keeps_its_group_and_gains_the_reason() {
        let message = Message {
            id: "m".to_owned(),
            body: "b".to_owned(),
            group_id: Some("g".to_owned()),
            deduplication_id: Some("d".to_owned()),
            trace_header: Some("Root=1".to_owned()),
            attributes: [("a".to_owned(), text("1")), (REJECT_REASON.to_owned(), text("old"))].into(),
            ..Message::default()
        };
        let sent = outgoing(&message, "no such\0 customer");
        assert_eq!(sent.group_id.as_deref(), Some("g"));
        assert_eq!(sent.trace_header.as_deref(), Some("Root=1"));
        assert_eq!(sent.attributes["a"], text("1"));
        assert_eq!(reason_of(&sent), Some("no such\u{FFFD} customer"));
    }

    #[test]
    fn each_receive_of_a_fifo_message_is_a_dead_letter_of_its_own_and_its_repetition_is_the_same() {
        let received = |id: &str, receipt_handle: &str| Message {
            id: id.to_owned(),
            receipt_handle: receipt_handle.to_owned(),
            group_id: Some("g".to_owned()),
            deduplication_id: Some("by content".to_owned()),
            ..Message::default()
        };
        let of = |id, handle| outgoing(&received(id, handle), "why").deduplication_id.expect("FIFO");
        assert_eq!(of("m1", "r1"), of("m1", "r1"));
        assert_ne!(of("m1", "r1"), of("m2", "r1"));
        assert_ne!(of("m1", "r1"), of("m1", "r2"));
        let id = of("0bd3a94c-ec0d-4a9b-9a4e-2d8a2a9e4f2a", "r1");
        assert!(id.len() <= 128, "{id}");
        assert_eq!(outgoing(&Message::default(), "why").deduplication_id, None);
    }

    #[test]
    fn a_message_without_room_is_rejected_with_less_of_a_reason_or_none() {
        let overhead = REJECT_REASON.len() + "String".len();
        let full = |free: usize| Message { body: "x".repeat(MAX_BYTES - overhead - free), ..Message::default() };
        let cut = outgoing(&full(3), "né né");
        assert_eq!(reason_of(&cut), Some("né"));
        assert_eq!(cut.bytes(), MAX_BYTES);
        assert_eq!(reason_of(&outgoing(&full(0), "why")), None);
        assert_eq!(reason_of(&outgoing(&Message::default(), "")), None);
        let ten = (0..10).map(|n| (n.to_string(), text("1"))).collect();
        let crowded = outgoing(&Message { attributes: ten, ..Message::default() }, "why");
        assert_eq!((crowded.attributes.len(), reason_of(&crowded)), (10, None));
        let long = outgoing(&Message::default(), &"y".repeat(9000));
        assert_eq!(reason_of(&long).map(str::len), Some(MAX_REASON_BYTES));
    }
}
