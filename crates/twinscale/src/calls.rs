//! The calls that settle messages, for both hosts, each a task of its own, so that a slow one holds nothing up. Each is made once, within a
//! limit in time, and says what came of it in one line: who tries again, and when, is [`crate::settle`]'s to say.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::message::Message;
use crate::queue::{DeadLetters, Queue, QueueError};
use crate::settle::{CallKind, Key, Reply};

/// A call that takes longer has failed, whatever holds it up: credentials that do not come, a name that is looked up.
const LIMIT: Duration = Duration::from_secs(10);

/// The messages that a call names.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) key: Key,
    pub(crate) message: Arc<Message>,
    /// For how long it shall be invisible, where that is what the call changes.
    pub(crate) hidden: Duration,
    /// Why it is rejected, where it is.
    pub(crate) reason: String,
}

/// What came of a call, entry by entry.
#[derive(Debug)]
pub(crate) struct CallAnswer {
    pub(crate) kind: CallKind,
    pub(crate) replies: Vec<(Key, Reply)>,
}

pub(crate) async fn make(
    kind: CallKind,
    queue: Queue,
    dead_letters: Arc<DeadLetters>,
    named: Vec<Named>,
) -> CallAnswer {
    let call = async {
        match kind {
            CallKind::Delete => {
                let handles: Vec<_> = named.iter().map(|named| named.message.receipt_handle.as_str()).collect();
                queue.delete_once(&handles).await
            }
            CallKind::GiveBack | CallKind::Extend => {
                let change = |named: &Named| (named.message.receipt_handle.clone(), named.hidden);
                let changes: Vec<_> = named.iter().map(change).collect();
                let changes: Vec<_> = changes.iter().map(|(handle, hidden)| (handle.as_str(), *hidden)).collect();
                queue.change_visibility_once(&changes).await
            }
            CallKind::DeadLetter => {
                let rejected: Vec<_> = named.iter().map(|named| (&*named.message, named.reason.as_str())).collect();
                dead_letters.send(&rejected).await
            }
        }
    };
    let results = timeout(LIMIT, call).await.unwrap_or_else(|_| vec![Err(QueueError::too_late(LIMIT)); named.len()]);
    tell(kind, &named, &results);
    let replies = named.iter().zip(&results).map(|(named, result)| (named.key, reply(result)));
    CallAnswer { kind, replies: replies.collect() }
}

fn reply(result: &Result<(), QueueError>) -> Reply {
    match result {
        Ok(()) => Reply::Confirmed,
        Err(error) if error.lost_lease() => Reply::Lost,
        Err(error) if error.can_pass() => Reply::Failed,
        Err(_) => Reply::Refused,
    }
}

/// One line per call, with the first of its failures.
fn tell(kind: CallKind, named: &[Named], results: &[Result<(), QueueError>]) {
    let failed: Vec<_> = named.iter().zip(results).filter_map(|(n, r)| Some((n, r.as_ref().err()?))).collect();
    let Some((first, error)) = failed.first() else { return };
    let id = &first.message.id;
    let failed = failed.len();
    let of = named.len();
    match kind {
        CallKind::Delete => tracing::warn!(id, failed, of, %error, "not deleted"),
        CallKind::GiveBack => tracing::warn!(id, failed, of, %error, "not given back"),
        CallKind::Extend => tracing::warn!(id, failed, of, %error, "leases were not extended"),
        CallKind::DeadLetter => {
            tracing::error!(id, failed, of, %error, "not sent to the dead-letter queue: retried instead");
        }
    }
}
