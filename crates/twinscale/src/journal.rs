//! An optional journal: one record a message, and one when a process is ready and when it stops, to a queue of its own.
//!
//! The comparison on AWS reads it, since no queue tells who handled a message and when. Without `JOURNAL_QUEUE_URL` it
//! is off and costs nothing; a journal that fails is logged and never fails a message.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::message::Message;
use crate::queue::{Outgoing, Queue, QueueError, Tuning};

/// Records that wait for their journal; more are dropped, since a journal may not take a host's memory.
const MAX_WAITING: usize = 10_000;
/// Records sent in one go: ten full batch calls.
const MAX_AT_ONCE: usize = 100;
/// A record waits this long for others.
const LINGER: Duration = Duration::from_millis(500);

/// Where records go. Clones write to the same journal.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    writer: Option<mpsc::Sender<JournalCommand>>,
    host: &'static str,
    who: Arc<str>,
}

#[derive(Debug)]
enum JournalCommand {
    Record(String),
    Flush(oneshot::Sender<()>),
}

/// One record. Times are milliseconds since 1970.
#[derive(Debug, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum JournalRecord<'a> {
    Ready { at: u64, host: &'static str, who: &'a str },
    Stopped { at: u64, host: &'static str, who: &'a str },
    Message(MessageRecord<'a>),
}

#[derive(Debug, Serialize)]
struct MessageRecord<'a> {
    id: &'a str,
    receive_count: u32,
    /// The receive count, and attempts in place since.
    attempt: u32,
    sent: Option<u64>,
    received: u64,
    started: Option<u64>,
    finished: u64,
    outcome: &'static str,
    host: &'static str,
    who: &'a str,
}

/// When things happened to a message.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The host received it.
    pub received: SystemTime,
    /// Its handler began; `None` if it never did.
    pub started: Option<SystemTime>,
    /// It ended.
    pub finished: SystemTime,
}

impl Journal {
    /// The journal that is off.
    pub fn off() -> Self {
        Self::default()
    }

    /// A journal in the (standard) queue `url_or_name`, reached when there is something to write. `host` is `worker`
    /// or `function`, `who` the pod or execution environment. Call it inside a Tokio runtime.
    pub fn to(url_or_name: String, tuning: Tuning, host: &'static str, who: &str) -> Self {
        let (writer, entries) = mpsc::channel(MAX_WAITING);
        tokio::spawn(write(entries, url_or_name, tuning));
        Self { writer: Some(writer), host, who: who.into() }
    }

    /// Whether anybody reads records.
    pub fn is_on(&self) -> bool {
        self.writer.is_some()
    }

    /// The process is ready.
    pub fn ready(&self) {
        self.record(|who| JournalRecord::Ready { at: millis(SystemTime::now()), host: self.host, who });
    }

    /// The process stops. Lambda kills environments without notice, so functions never write this.
    pub fn stopped(&self) {
        self.record(|who| JournalRecord::Stopped { at: millis(SystemTime::now()), host: self.host, who });
    }

    /// A message ended: `done`, `duplicate`, `retry`, `reject`, `panic`, `timeout`, `late`, `lost` or `blocked`.
    pub fn message(&self, message: &Message, times: Times, outcome: &'static str) {
        self.record(|who| {
            JournalRecord::Message(MessageRecord {
                id: &message.id,
                receive_count: message.receive_count,
                attempt: message.attempt(),
                sent: message.sent_at.map(millis),
                received: millis(times.received),
                started: times.started.map(millis),
                finished: millis(times.finished),
                outcome,
                host: self.host,
                who,
            })
        });
    }

    /// Returns when every record written so far was sent, or given up.
    pub async fn flush(&self) {
        let Some(writer) = &self.writer else { return };
        let (done, flushed) = oneshot::channel();
        if writer.send(JournalCommand::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    fn record<'a>(&'a self, make: impl FnOnce(&'a str) -> JournalRecord<'a>) {
        let Some(writer) = &self.writer else { return };
        let Ok(text) = serde_json::to_string(&make(&self.who)) else { return };
        if writer.try_send(JournalCommand::Record(text)).is_err() {
            tracing::warn!("the journal is too slow: a record was dropped");
        }
    }
}

/// Gathers records and sends them; a flush ends the gathering.
async fn write(mut entries: mpsc::Receiver<JournalCommand>, url_or_name: String, tuning: Tuning) {
    let mut queue = None;
    while let Some(first) = entries.recv().await {
        let mut records = Vec::new();
        let mut flushes = Vec::new();
        let mut next = Some(first);
        let gathering = async {
            while let Some(entry) = next.take() {
                match entry {
                    JournalCommand::Record(record) => records.push(record),
                    JournalCommand::Flush(done) => {
                        flushes.push(done);
                        return;
                    }
                }
                if records.len() < MAX_AT_ONCE {
                    next = entries.recv().await;
                }
            }
        };
        // Elapsed or not: what was gathered is sent. `recv` loses nothing when it is dropped.
        let _ = timeout(LINGER, gathering).await;
        if !records.is_empty()
            && let Err(error) = send(&mut queue, &url_or_name, &tuning, records).await
        {
            tracing::warn!(%error, "the journal lost records");
        }
        for flushed in flushes {
            let _ = flushed.send(());
        }
    }
}

async fn send(
    queue: &mut Option<Queue>,
    url_or_name: &str,
    tuning: &Tuning,
    records: Vec<String>,
) -> Result<(), QueueError> {
    let queue = match queue {
        Some(queue) => queue,
        None => queue.insert(Queue::connect(url_or_name, tuning).await?),
    };
    let report = queue.send(records.into_iter().map(|body| Outgoing { body, ..Outgoing::default() }).collect()).await;
    report.failed.into_iter().next().map_or(Ok(()), |failure| Err(failure.error))
}

fn millis(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
