//! The three batch calls. SQS answers them entry by entry, so a call that succeeds may still have failed for some.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::limits::{MAX_ENTRIES, runs};
use super::{ATTEMPTS, Outgoing, Queue, QueueError, QueueErrorKind, convert};

/// Batch calls of one [`Queue::send`] that are under way at once.
const SENDS_AT_ONCE: usize = 16;
/// Other batch calls that are made side by side.
const CALLS_AT_ONCE: usize = 16;
/// One [`Queue::send`] takes no longer: less than the 29 s that API Gateway waits for an answer.
pub(crate) const SEND_WITHIN: Duration = Duration::from_secs(25);

/// What became of messages that were to be sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SendReport {
    /// How many SQS took.
    pub accepted: usize,
    /// Which it did not, or did not confirm ([`QueueError::may_have_happened`]), in order.
    pub failed: Vec<SendFailure>,
}

/// A message that SQS did not take, as far as is known.
#[derive(Clone, Debug, PartialEq)]
pub struct SendFailure {
    /// Its place among those to be sent.
    pub index: usize,
    /// Why.
    pub error: QueueError,
}

/// The outcome of each entry, in the order of the entries.
type PerEntry = Vec<Result<(), QueueError>>;

impl Queue {
    /// Sends them, in batches and concurrently; on a FIFO queue one batch after the other, to keep their order. It takes no
    /// longer than 25 s: see [`Queue::send_until`].
    pub async fn send(&self, messages: Vec<Outgoing>) -> SendReport {
        self.send_until(Instant::now() + SEND_WITHIN, messages).await
    }

    /// The same until `deadline`, when calls under way are given up, whose messages may have been taken. From then on, and
    /// once SQS is out of reach or gives no answer, batches not yet begun fail without a try.
    pub async fn send_until(&self, deadline: Instant, messages: Vec<Outgoing>) -> SendReport {
        let at_once = if self.is_fifo() { 1 } else { SENDS_AT_ONCE };
        let lengths = runs(messages.iter().map(Outgoing::bytes));
        let mut report = SendReport::default();
        let mut messages = messages.into_iter();
        let mut first = 0;
        let mut calls = JoinSet::new();
        let mut under_way = BTreeMap::new();
        // A name is looked up once, not by each batch in its turn.
        let mut give_up = match timeout_at(deadline, self.url()).await {
            Ok(found) => found.err(),
            Err(_) => Some(QueueError::not_begun("SQS did not tell the queue's URL in time")),
        };
        for length in lengths {
            let batch: Vec<_> = messages.by_ref().take(length).collect();
            while calls.len() >= at_once && give_up.is_none() {
                report.take(deadline, &mut calls, &mut under_way, &mut give_up).await;
            }
            match &give_up {
                Some(error) => report.add(first, vec![Err(error.clone()); length]),
                None => {
                    let queue = self.clone();
                    under_way.insert(first, length);
                    calls.spawn(async move { (first, queue.send_batch(&batch).await) });
                }
            }
            first += length;
        }
        while !under_way.is_empty() {
            report.take(deadline, &mut calls, &mut under_way, &mut give_up).await;
        }
        report.failed.sort_by_key(|failure| failure.index);
        report
    }

    async fn send_batch(&self, messages: &[Outgoing]) -> PerEntry {
        // What may have been taken is sent again only where SQS knows it again: on a standard queue it would be there twice.
        let again_if_unconfirmed = self.is_fifo();
        again(messages.len(), ATTEMPTS, again_if_unconfirmed, |indices| async move {
            let entries = indices.iter().map(|index| convert::entry(*index, &messages[*index])).collect();
            let call = self.clients.once.send_message_batch().queue_url(self.url().await?);
            let answer = call.set_entries(Some(entries)).send().await.map_err(QueueError::of_call)?;
            let taken = answer.successful.into_iter().map(|entry| entry.id).collect();
            Ok(Answered { confirmed: taken, failed: answer.failed })
        })
        .await
    }

    /// Deletes the messages of these receipt handles, ten a call, all calls at once; each call is tried again.
    pub async fn delete(&self, receipt_handles: &[&str]) -> PerEntry {
        in_batches(receipt_handles, |chunk| self.delete_batch(chunk, ATTEMPTS)).await
    }

    /// Deletes at most ten in one call, which is made once: for whoever has a back-off of its own.
    pub async fn delete_once(&self, receipt_handles: &[&str]) -> PerEntry {
        self.delete_batch(receipt_handles, 1).await
    }

    async fn delete_batch(&self, receipt_handles: &[&str], attempts: u32) -> PerEntry {
        again(receipt_handles.len(), attempts, true, |indices| async move {
            let entry = |index: &usize| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(receipt_handles[*index]).build().expect("id and handle are set")
            };
            let entries = indices.iter().map(entry).collect();
            let call = self.clients.once.delete_message_batch().queue_url(self.url().await?);
            let answer = call.set_entries(Some(entries)).send().await.map_err(QueueError::of_call)?;
            let gone = answer.successful.into_iter().map(|entry| entry.id).collect();
            Ok(Answered { confirmed: gone, failed: answer.failed })
        })
        .await
    }

    /// Sets how long each message stays invisible from now on, ten a call, all calls at once; zero gives it back. Each
    /// call is tried again.
    pub async fn change_visibility(&self, changes: &[(&str, Duration)]) -> PerEntry {
        in_batches(changes, |chunk| self.change_visibility_batch(chunk, ATTEMPTS)).await
    }

    /// The same for at most ten in one call, which is made once: for whoever has a back-off of its own.
    pub async fn change_visibility_once(&self, changes: &[(&str, Duration)]) -> PerEntry {
        self.change_visibility_batch(changes, 1).await
    }

    async fn change_visibility_batch(&self, changes: &[(&str, Duration)], attempts: u32) -> PerEntry {
        again(changes.len(), attempts, true, |indices| async move {
            let entry = |index: &usize| {
                let (receipt_handle, visibility) = changes[*index];
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                let entry = entry.receipt_handle(receipt_handle).visibility_timeout(visibility.as_secs() as i32);
                entry.build().expect("id and handle are set")
            };
            let entries = indices.iter().map(entry).collect();
            let call = self.clients.once.change_message_visibility_batch().queue_url(self.url().await?);
            let answer = call.set_entries(Some(entries)).send().await.map_err(QueueError::of_call)?;
            let changed = answer.successful.into_iter().map(|entry| entry.id).collect();
            Ok(Answered { confirmed: changed, failed: answer.failed })
        })
        .await
    }
}

impl SendReport {
    fn add(&mut self, first: usize, results: PerEntry) {
        for (place, result) in results.into_iter().enumerate() {
            match result {
                Ok(()) => self.accepted += 1,
                Err(error) => self.failed.push(SendFailure { index: first + place, error }),
            }
        }
    }

    /// Waits for the end of one of the calls; at the deadline, gives all up.
    async fn take(
        &mut self,
        deadline: Instant,
        calls: &mut JoinSet<(usize, PerEntry)>,
        under_way: &mut BTreeMap<usize, usize>,
        give_up: &mut Option<QueueError>,
    ) {
        match timeout_at(deadline, calls.join_next()).await {
            Ok(Some(Ok((first, results)))) => {
                under_way.remove(&first);
                if let Some(Err(error)) = results.first().filter(|r| r.as_ref().is_err_and(no_answer)) {
                    *give_up = Some(error.before_the_call());
                }
                self.add(first, results);
            }
            // One panicked, which is ours to fix: what it was to send may have been taken, as at the deadline.
            Ok(None | Some(Err(_))) | Err(_) => {
                calls.abort_all();
                *give_up =
                    Some(QueueError::not_begun("SQS is too slow for this many messages in one request: send fewer"));
                for (first, length) in std::mem::take(under_way) {
                    self.add(first, vec![Err(QueueError::too_late(SEND_WITHIN)); length]);
                }
            }
        }
    }
}

/// Whether SQS was out of reach, or did not answer at all.
fn no_answer(error: &QueueError) -> bool {
    match error.kind {
        QueueErrorKind::Unreachable => true,
        QueueErrorKind::Unconfirmed => *error != QueueError::unnamed(),
        QueueErrorKind::Retryable | QueueErrorKind::Denied | QueueErrorKind::Refused => false,
    }
}

/// What a batch call that succeeded says of its entries. An entry that it names nowhere is not confirmed.
struct Answered {
    confirmed: Vec<String>,
    failed: Vec<BatchResultErrorEntry>,
}

/// Ten entries per call, [`CALLS_AT_ONCE`] calls side by side; the outcomes in the order of the entries.
async fn in_batches<'a, T, F: Future<Output = PerEntry>>(entries: &'a [T], call: impl Fn(&'a [T]) -> F) -> PerEntry {
    let calls: Vec<F> = entries.chunks(MAX_ENTRIES).map(call).collect();
    stream::iter(calls).buffered(CALLS_AT_ONCE).collect::<Vec<_>>().await.into_iter().flatten().collect()
}

/// Makes a batch call, and again, up to `attempts` times in all, for the entries that failed and may yet succeed.
/// Only what an answer confirms by name has succeeded.
async fn again<C, F>(entries: usize, attempts: u32, again_if_unconfirmed: bool, call: C) -> PerEntry
where
    C: Fn(Vec<usize>) -> F,
    F: Future<Output = Result<Answered, QueueError>>,
{
    let mut results = vec![Err(QueueError::unnamed()); entries];
    let mut left: Vec<usize> = (0..entries).collect();
    for attempt in 1..=attempts {
        match call(left.clone()).await {
            Ok(answer) => {
                left.iter().for_each(|index| results[*index] = Err(QueueError::unnamed()));
                let place = |id: &str| id.parse().ok().filter(|index| left.contains(index));
                answer.failed.iter().for_each(|entry| {
                    if let Some(index) = place(entry.id()) {
                        results[index] = Err(QueueError::of_entry(entry));
                    }
                });
                answer.confirmed.iter().filter_map(|id| place(id)).for_each(|index| results[index] = Ok(()));
            }
            Err(error) => left.iter().for_each(|index| results[*index] = Err(error.clone())),
        }
        left.retain(|index| {
            let failed = results[*index].as_ref().err();
            failed.is_some_and(|error| error.is_retryable() && (again_if_unconfirmed || !error.may_have_happened()))
        });
        if left.is_empty() {
            break;
        }
        if attempt < attempts {
            // Full jitter, as AWS advises: 0 to 50 ms, then 0 to 100 ms.
            sleep(Duration::from_millis(fastrand::u64(0..=(25 << attempt)))).await;
        }
    }
    results
}
