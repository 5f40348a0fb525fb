//! What is in a queue, for tests to look at.

use std::collections::BTreeMap;
use std::time::Duration;

use uuid::Uuid;

use super::SqsServer;
use super::content::Attribute;
use super::error::Error;
use crate::model::Place;

/// A message in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its `MessageId`.
    pub id: Uuid,
    /// Its text.
    pub body: String,
    /// Its user attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// `MessageGroupId`.
    pub group: Option<String>,
    /// `ApproximateReceiveCount`.
    pub receive_count: u32,
    /// How long ago it was sent.
    pub age: Duration,
    /// Visible, in flight or delayed.
    pub place: Place,
}

impl SqsServer {
    /// The messages that are in a queue, the oldest first. To look at them changes nothing.
    ///
    /// # Errors
    /// When there is no queue of that name.
    pub fn messages(&self, queue: &str) -> Result<Vec<Seen>, Error> {
        let hosted = self.state.find(self.state.region(), Some(queue))?;
        Ok(self.state.with(&hosted, |inner, now| {
            let messages = inner.queue.messages(now);
            let seen = messages.map(|(place, message)| Seen {
                id: self.state.tickets.message_id(message.id),
                body: message.payload.content.body.to_string(),
                attributes: message.payload.content.attributes.clone(),
                group: message.group.as_deref().map(str::to_owned),
                receive_count: message.receives,
                age: now.saturating_sub(message.sent_at),
                place,
            });
            seen.collect()
        }))
    }
}
