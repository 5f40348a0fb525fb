//! What SQS takes: sizes, characters, and how messages fit into batches.

use crate::message::{Attribute, AttributeValue};

use super::Outgoing;

/// The most bytes of a message, and of a batch (256 KiB before 2025).
pub const MAX_BYTES: usize = 1 << 20;
/// Entries of a batch call.
pub const MAX_ENTRIES: usize = 10;
/// Message attributes of a message.
pub const MAX_ATTRIBUTES: usize = 10;

/// Why SQS would refuse this body, and what to write instead; `None` if it would take it.
pub fn refusal(body: &str) -> Option<String> {
    if body.is_empty() {
        return Some("the body is empty: write at least one character".to_owned());
    }
    if body.len() > MAX_BYTES {
        return Some(format!("the body has {} bytes: write at most {MAX_BYTES}", body.len()));
    }
    let bad = body.chars().find(|c| !allowed(*c))?;
    Some(format!(
        "the body has the character U+{:04X}, which SQS does not take: encode it, as base64 for example",
        bad as u32
    ))
}

/// `#x9 | #xA | #xD | #x20–#xD7FF | #xE000–#xFFFD | #x10000–#x10FFFF` (SQS API reference, SendMessage).
pub(super) fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

impl Outgoing {
    /// Bytes that count towards [`MAX_BYTES`]: the body, and of each attribute its name, its type and its value.
    pub fn bytes(&self) -> usize {
        self.body.len()
            + self.attributes.iter().map(|(name, attribute)| attribute_bytes(name, attribute)).sum::<usize>()
    }
}

/// Bytes that one attribute adds to a message.
pub fn attribute_bytes(name: &str, attribute: &Attribute) -> usize {
    let value = match &attribute.value {
        AttributeValue::Text(text) => text.len(),
        AttributeValue::Bytes(bytes) => bytes.len(),
    };
    name.len() + attribute.data_type.len() + value
}

/// Cuts `sizes` into runs of at most [`MAX_ENTRIES`] entries and [`MAX_BYTES`] bytes, in order; gives their lengths.
pub(super) fn runs(sizes: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut runs = Vec::new();
    let mut entries = 0;
    let mut bytes = 0;
    for size in sizes {
        if entries == MAX_ENTRIES || (entries > 0 && bytes + size > MAX_BYTES) {
            runs.push(entries);
            (entries, bytes) = (0, 0);
        }
        entries += 1;
        bytes += size;
    }
    runs.extend((entries > 0).then_some(entries));
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_end_at_ten_entries_and_at_one_mebibyte() {
        assert_eq!(runs(vec![1; 25]), [10, 10, 5]);
        assert_eq!(runs([MAX_BYTES, 1, MAX_BYTES - 1, 1]), [1, 2, 1]);
        assert_eq!(runs([]), Vec::<usize>::new());
    }

    #[test]
    fn a_body_that_sqs_would_refuse_is_told_what_to_change() {
        for good in ["a", "\t\n\r", "\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}", &"x".repeat(MAX_BYTES)] {
            assert_eq!(refusal(good), None);
        }
        for (bad, named) in [("", "empty"), ("\0", "U+0000"), ("a\u{FFFE}", "U+FFFE"), ("\u{1F}", "U+001F")] {
            assert!(refusal(bad).expect("refused").contains(named));
        }
        assert!(refusal(&"é".repeat(MAX_BYTES / 2 + 1)).expect("refused").contains("1048578"));
    }
}
