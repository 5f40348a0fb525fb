//! The three batch calls. SQS answers them entry by entry, so a call that succeeds may still have failed for some.

use std::time::Duration;

use aws_sdk_sqs::types::{
    BatchResultErrorEntry, ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::limits::{MAX_ENTRIES, runs};
use super::{ATTEMPTS, Kind, Outgoing, Queue, QueueError, convert};

/// Batch calls of one [`Queue::send`] that are under way at once.
const SENDS_AT_ONCE: usize = 16;
/// Batches not begun by then fail without a try: less than the 30 s that API Gateway waits for an answer.
const BEGIN_WITHIN: Duration = Duration::from_secs(20);

/// What became of messages that were to be sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SendReport {
    /// How many SQS took.
    pub accepted: usize,
    /// Which it did not, in order.
    pub failed: Vec<SendFailure>,
}

/// A message that SQS did not take.
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
    /// Sends them, in batches and concurrently; on a FIFO queue one batch after the other, to keep their order. Once
    /// SQS is out of reach or 20 s have gone by, batches not yet begun fail without a try, so that the answer comes in
    /// bounded time.
    pub async fn send(&self, messages: Vec<Outgoing>) -> SendReport {
        let at_once = if self.is_fifo() { 1 } else { SENDS_AT_ONCE };
        let lengths = runs(messages.iter().map(Outgoing::bytes));
        let mut report = SendReport::default();
        let (mut messages, mut first, mut calls) = (messages.into_iter(), 0, JoinSet::new());
        // A name is looked up once, not by each batch in its turn.
        let (mut give_up, began) = (self.url().await.err(), Instant::now());
        for length in lengths {
            let batch: Vec<_> = messages.by_ref().take(length).collect();
            while calls.len() >= at_once {
                report.take(calls.join_next().await, &mut give_up);
            }
            if began.elapsed() > BEGIN_WITHIN && give_up.is_none() {
                let reason = "SQS is too slow to take so many messages in one go: send fewer".to_owned();
                give_up = Some(QueueError { code: "Timeout".to_owned(), reason, kind: Kind::Retryable });
            }
            match &give_up {
                Some(error) => report.add(first, vec![Err(error.clone()); length]),
                None => {
                    let queue = self.clone();
                    calls.spawn(async move { (first, queue.send_batch(&batch).await) });
                }
            }
            first += length;
        }
        while !calls.is_empty() {
            report.take(calls.join_next().await, &mut give_up);
        }
        report.failed.sort_by_key(|failure| failure.index);
        report
    }

    async fn send_batch(&self, messages: &[Outgoing]) -> PerEntry {
        again(messages.len(), |indices| async move {
            let entries = indices.iter().map(|index| convert::entry(*index, &messages[*index])).collect();
            let call = self.clients.call.send_message_batch().queue_url(self.url().await?);
            let answer = call.set_entries(Some(entries)).send().await.map_err(QueueError::of_call)?;
            Ok(answer.failed)
        })
        .await
    }

    /// Deletes the messages of these receipt handles, ten a call.
    pub async fn delete(&self, receipt_handles: &[&str]) -> PerEntry {
        let mut results = Vec::with_capacity(receipt_handles.len());
        for chunk in receipt_handles.chunks(MAX_ENTRIES) {
            results.extend(self.delete_batch(chunk).await);
        }
        results
    }

    async fn delete_batch(&self, receipt_handles: &[&str]) -> PerEntry {
        again(receipt_handles.len(), |indices| async move {
            let entry = |index: &usize| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(receipt_handles[*index]).build().expect("id and handle are set")
            };
            let entries = indices.iter().map(entry).collect();
            let call = self.clients.call.delete_message_batch().queue_url(self.url().await?);
            let answer = call.set_entries(Some(entries)).send().await.map_err(QueueError::of_call)?;
            Ok(answer.failed)
        })
        .await
    }

    /// Sets how long each message stays invisible from now on, ten a call; zero gives it back.
    pub async fn change_visibility(&self, changes: &[(&str, Duration)]) -> PerEntry {
        let mut results = Vec::with_capacity(changes.len());
        for chunk in changes.chunks(MAX_ENTRIES) {
            results.extend(self.change_visibility_batch(chunk).await);
        }
        results
    }

    async fn change_visibility_batch(&self, changes: &[(&str, Duration)]) -> PerEntry {
        again(changes.len(), |indices| async move {
            let entry = |index: &usize| {
                let (receipt_handle, visibility) = changes[*index];
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                let entry = entry.receipt_handle(receipt_handle).visibility_timeout(visibility.as_secs() as i32);
                entry.build().expect("id and handle are set")
            };
            let entries = indices.iter().map(entry).collect();
            let call = self.clients.call.change_message_visibility_batch().queue_url(self.url().await?);
            let answer = call.set_entries(Some(entries)).send().await.map_err(QueueError::of_call)?;
            Ok(answer.failed)
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

    fn take(
        &mut self,
        ended: Option<Result<(usize, PerEntry), tokio::task::JoinError>>,
        give_up: &mut Option<QueueError>,
    ) {
        // A panic in a send is ours to fix, not to count; a cancelled one means that the process is ending.
        let Some(Ok((first, results))) = ended else { return };
        if let Some(Err(error)) = results.first().filter(|r| r.as_ref().is_err_and(|e| e.kind == Kind::Unreachable)) {
            *give_up = Some(error.clone());
        }
        self.add(first, results);
    }
}

/// Makes a batch call, and again for the entries that failed inside a successful answer and may yet succeed. The
/// SDK already tries failed calls again, so their error goes to every entry that the call named.
async fn again<C, F>(entries: usize, call: C) -> PerEntry
where
    C: Fn(Vec<usize>) -> F,
    F: Future<Output = Result<Vec<BatchResultErrorEntry>, QueueError>>,
{
    let mut results = vec![Ok(()); entries];
    let mut left: Vec<usize> = (0..entries).collect();
    for attempt in 1..=ATTEMPTS {
        if left.is_empty() {
            break;
        }
        let failed = match call(left.clone()).await {
            Ok(failed) => failed,
            Err(error) => {
                left.iter().for_each(|index| results[*index] = Err(error.clone()));
                break;
            }
        };
        left.iter().for_each(|index| results[*index] = Ok(()));
        left.clear();
        for entry in &failed {
            let Some(index) = entry.id().parse().ok().filter(|index| *index < entries) else { continue };
            let error = QueueError::of_entry(entry);
            if error.is_retryable() {
                left.push(index);
            }
            results[index] = Err(error);
        }
        if !left.is_empty() && attempt < ATTEMPTS {
            // Full jitter, as AWS advises: 0 to 50 ms, then 0 to 100 ms.
            sleep(Duration::from_millis(fastrand::u64(0..=(25 << attempt)))).await;
        }
    }
    results
}
