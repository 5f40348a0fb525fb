//! What batch calls share: entries are checked together, then succeed or fail one by one.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::{Deserialize, Deserializer, Serialize};

use super::error::{Code, Error};

const MAX_ENTRIES: usize = 10;

/// Text that is borrowed from the request unless it has escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// The text, if it is there.
pub(super) fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|text| text.0.as_ref())
}

/// A list that may be `null`, as some SDKs write one that is not there.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A batch request.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound(deserialize = "E: Deserialize<'de>"))]
pub(super) struct Batch<'a, E> {
    /// The queue.
    #[serde(borrow, default)]
    pub queue_url: Option<Text<'a>>,
    /// The entries.
    #[serde(default = "Vec::new", deserialize_with = "list")]
    pub entries: Vec<E>,
}

/// An entry of a batch.
pub(super) trait Entry {
    /// What its outcome is named by.
    fn id(&self) -> &str;
}

/// An entry that failed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Failed {
    id: String,
    sender_fault: bool,
    code: String,
    message: String,
}

impl Failed {
    /// The entry of that id failed for that reason.
    pub(super) fn new(id: String, error: Error) -> Self {
        Self { id, sender_fault: error.code.is_senders(), code: error.code.query(), message: error.message }
    }
}

/// An entry that succeeded and has nothing to tell.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Done<'a> {
    /// Which.
    pub id: &'a str,
}

/// The answer to a batch.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outcome<S> {
    /// Entries that succeeded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub successful: Vec<S>,
    /// Entries that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failed>,
}

/// Refuses a batch as a whole: none, too many, or entries that cannot be told apart.
pub(super) fn check<E: Entry>(entries: Vec<E>) -> Result<Vec<E>, Error> {
    if entries.is_empty() {
        return Err(Error::new(
            Code::EmptyBatchRequest,
            "There should be at least one SendMessageBatchRequestEntry in the request.",
        ));
    }
    if entries.len() > MAX_ENTRIES {
        let message = format!("Maximum number of entries per request are 10. You have sent {}.", entries.len());
        return Err(Error::new(Code::TooManyEntriesInBatchRequest, message));
    }
    let mut ids = HashSet::with_capacity(entries.len());
    for entry in &entries {
        let id = entry.id();
        if !((1..=80).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')) {
            let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.";
            return Err(Error::new(Code::InvalidBatchEntryId, message));
        }
        if !ids.insert(id) {
            return Err(Error::new(Code::BatchEntryIdsNotDistinct, format!("Id {id} repeated.")));
        }
    }
    Ok(entries)
}

/// A sequence number as FIFO queues write it: 20 digits.
pub(super) fn sequence_number(sequence: u64) -> String {
    format!("{:020}", 18_849_496_460_467_696_128_u128 + u128::from(sequence) * 256)
}
