//! The calls that settle messages, each a task of its own, so that a slow one holds nothing up.

use std::sync::Arc;
use std::time::Duration;

use super::leases::{Key, Lease, key};
use crate::message::Message;
use crate::queue::{DeadLetters, Queue, QueueError};

/// What came of a call, entry by entry.
#[derive(Debug)]
pub(super) enum Answer {
    /// Deletes.
    Deleted(Vec<(Lease, Result<(), QueueError>)>),
    /// Messages made visible again, now or later.
    Returned(Vec<(Arc<Message>, Result<(), QueueError>)>),
    /// Messages sent to the dead-letter queue.
    Rejected(Vec<(Key, Result<(), QueueError>)>),
    /// Leases extended.
    Extended(Vec<(Arc<Message>, Result<(), QueueError>)>),
}

pub(super) async fn delete(queue: Queue, leases: Vec<Lease>) -> Answer {
    let handles: Vec<_> = leases.iter().map(|lease| lease.message.receipt_handle.as_str()).collect();
    let results = queue.delete(&handles).await;
    Answer::Deleted(leases.into_iter().zip(results).collect())
}

pub(super) async fn give_back(queue: Queue, messages: Vec<(Arc<Message>, Duration)>) -> Answer {
    let results = change_visibility(&queue, &messages).await;
    Answer::Returned(messages.into_iter().map(|(message, _)| message).zip(results).collect())
}

pub(super) async fn extend(queue: Queue, messages: Vec<(Arc<Message>, Duration)>) -> Answer {
    let results = change_visibility(&queue, &messages).await;
    Answer::Extended(messages.into_iter().map(|(message, _)| message).zip(results).collect())
}

async fn change_visibility(queue: &Queue, messages: &[(Arc<Message>, Duration)]) -> Vec<Result<(), QueueError>> {
    let changes: Vec<_> = messages.iter().map(|(message, time)| (message.receipt_handle.as_str(), *time)).collect();
    queue.change_visibility(&changes).await
}

pub(super) async fn reject(dead_letters: Arc<DeadLetters>, messages: Vec<(Arc<Message>, String)>) -> Answer {
    let rejected: Vec<_> = messages.iter().map(|(message, reason)| (&**message, reason.as_str())).collect();
    let results = dead_letters.send(&rejected).await;
    Answer::Rejected(messages.iter().map(|(message, _)| key(message)).zip(results).collect())
}
