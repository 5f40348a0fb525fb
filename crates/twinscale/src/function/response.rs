//! The partial batch response: which messages Lambda must keep.
//!
//! Whatever it names is delivered again, and everything else is deleted. So a message counts as failed until it is
//! known to be finished.

use std::collections::{HashMap, HashSet};

use aws_lambda_events::sqs::SqsBatchResponse;

use super::records::Batch;

/// Counts, by message id, the records that are not finished. One id may come twice in a batch of a standard queue.
#[derive(Debug)]
pub struct Open<'a>(HashMap<&'a str, u32>);

impl<'a> Open<'a> {
    /// Nothing is finished yet.
    pub fn all(batch: &'a Batch) -> Self {
        let mut open = HashMap::with_capacity(batch.records.len());
        for record in &batch.records {
            *open.entry(record.id.as_str()).or_default() += 1;
        }
        Self(open)
    }

    /// One record of this id is done, or was taken by the dead-letter queue.
    pub fn finish(&mut self, id: &str) {
        if let Some(count) = self.0.get_mut(id) {
            *count -= 1;
        }
    }

    fn is_open(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(|count| *count > 0)
    }
}

/// Names what is still open, in the order of the batch. On a FIFO queue, the first failure of a group takes the rest of
/// its group with it, so that they come again in order; a failed record whose group cannot be read takes all after it.
pub fn failures(batch: &Batch, open: &Open) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let mut named = HashSet::new();
    let mut failed_groups = HashSet::new();
    let mut all_failed = false;
    for record in &batch.records {
        let group = record.group.as_deref();
        let after_failure = batch.is_fifo() && (all_failed || group.is_some_and(|group| failed_groups.contains(group)));
        if !after_failure && !open.is_open(&record.id) {
            continue;
        }
        match group {
            Some(group) => {
                failed_groups.insert(group);
            }
            None => all_failed = true,
        }
        if named.insert(record.id.as_str()) {
            response.add_failure(record.id.as_str());
        }
    }
    response
}
