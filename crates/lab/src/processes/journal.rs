//! What the hosts of a service write down of each message: how its handler ended, and how long it took.

use std::time::Duration;

use serde::Deserialize;

/// A record of a message, as far as the books of a run want it. Times are milliseconds of the machine's clock.
#[derive(Debug, Deserialize)]
pub struct Record {
    /// The message id.
    pub id: String,
    /// Of which receive.
    pub receive_count: u32,
    /// When its handler began; null if it never did.
    pub started: Option<u64>,
    /// When it ended.
    pub finished: u64,
    /// How.
    pub outcome: Outcome,
}

/// How an attempt at a message ended, in the journal's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The handler is done with it.
    Done,
    /// Its effect had happened already.
    Duplicate,
    /// The handler wants it again.
    Retry,
    /// The handler will never want it.
    Reject,
    /// The handler panicked.
    Panic,
    /// The handler overran its own timeout.
    Timeout,
    /// Time was up before it ended.
    Late,
    /// Another owner has it by now.
    Lost,
    /// A message before it in its group failed.
    Blocked,
}

impl Outcome {
    /// Whether the handler asked for the message again, or failed so that it comes again.
    pub fn is_retry(self) -> bool {
        match self {
            Self::Retry | Self::Panic | Self::Timeout => true,
            Self::Done | Self::Duplicate | Self::Reject | Self::Late | Self::Lost | Self::Blocked => false,
        }
    }
}

impl Record {
    /// A record of a message; `None` for the other records of a journal.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// How long its handler took; `None` if it never began.
    pub fn took(&self) -> Option<Duration> {
        self.started.map(|started| Duration::from_millis(self.finished.saturating_sub(started)))
    }
}
