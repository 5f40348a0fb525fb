//! Settles what the response alone cannot: visibility of what comes again, and dead letters.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;

use super::emf::Seen;
use super::response::Open;
use crate::batch::{Event, GoOn, Verdict};
use crate::config::{Backoff, Config};
use crate::handler::Outcome;
use crate::journal::{Journal, Times};
use crate::message::Message;
use crate::queue::{DeadLetters, Kind, Queue, QueueError, Tuning};

/// What ended since the last look is settled in one go, at most so many.
const AT_ONCE: usize = 100;

/// Reaches the queues that events come from, each when first needed.
pub(super) struct Settler {
    queue_url: Option<String>,
    dlq_url: Option<String>,
    tuning: Tuning,
    backoff: Backoff,
    /// One event source is usual; a function may have several.
    sources: Mutex<HashMap<String, Arc<Source>>>,
}

struct Source {
    queue: Queue,
    dead_letters: DeadLetters,
}

/// What ended, sorted by what it needs.
#[derive(Default)]
struct Ended {
    comes_again: Vec<(Arc<Message>, Duration)>,
    rejected: Vec<(Arc<Message>, String, Option<GoOn>)>,
}

impl Ended {
    fn is_empty(&self) -> bool {
        self.comes_again.is_empty() && self.rejected.is_empty()
    }
}

/// What calls have settled.
#[derive(Default)]
struct Settled {
    /// Ids that the dead-letter queue took.
    dead_letters: Vec<String>,
    /// Messages that had another owner by then.
    lost_leases: u64,
}

/// Ends with the calls under way; never, if there are none.
async fn under_way<F: Future<Output = Settled>>(settling: &mut Option<Pin<Box<F>>>) -> Settled {
    match settling {
        Some(settling) => settling.await,
        None => std::future::pending().await,
    }
}

impl Settler {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            queue_url: config.queue_url.clone(),
            dlq_url: config.dlq_url.clone(),
            tuning: Tuning { attempt_timeout: config.attempt_timeout },
            backoff: config.backoff,
            sources: Mutex::default(),
        }
    }

    /// Makes the client and finds the queue, so that later calls need not.
    pub(super) async fn prepare(&self, source_arn: Option<&str>) {
        let found = async { self.source(source_arn).await?.queue.find().await };
        if let Err(error) = found.await {
            tracing::warn!(%error, "the queue of the event source is not found");
        }
    }

    /// Follows a batch until it has ended, and finishes in `open` what Lambda may delete.
    pub(super) async fn settle(
        &self,
        source_arn: Option<&str>,
        mut events: UnboundedReceiver<Event>,
        received: SystemTime,
        open: &mut Open<'_>,
        (journal, seen): (&Journal, &mut Seen),
    ) {
        let mut started: HashMap<String, SystemTime> = HashMap::new();
        let (mut some, mut ended, mut all_ended) = (Vec::new(), Ended::default(), false);
        let mut settling = None;
        loop {
            if settling.is_none() && !ended.is_empty() {
                // Boxed: the SDK's futures are large, and most batches need none of them.
                settling = Some(Box::pin(self.settle_ended(source_arn, std::mem::take(&mut ended))));
            }
            // Events are read while calls are under way, so that their times are right.
            tokio::select! {
                count = events.recv_many(&mut some, AT_ONCE), if !all_ended => {
                    all_ended = count == 0;
                    for event in some.drain(..) {
                        match event {
                            Event::Started(message) => {
                                started.insert(message.id.clone(), SystemTime::now());
                            }
                            Event::Ended(message, verdict, go_on) => {
                                let started = started.remove(&message.id);
                                let times = Times { received, started, finished: SystemTime::now() };
                                journal.message(&message, times, verdict.word());
                                seen.ended(&message, times, verdict.word());
                                self.sort(message, verdict, go_on, open, &mut ended);
                            }
                        }
                    }
                }
                settled = under_way(&mut settling) => {
                    settling = None;
                    settled.dead_letters.iter().for_each(|id| open.finish(id));
                    seen.metrics.lost_lease.add(settled.lost_leases);
                }
            }
            if all_ended && settling.is_none() && ended.is_empty() {
                return;
            }
        }
    }

    fn sort(
        &self,
        message: Arc<Message>,
        verdict: Verdict,
        go_on: Option<GoOn>,
        open: &mut Open<'_>,
        ended: &mut Ended,
    ) {
        let (id, receive_count) = (&message.id, message.receive_count);
        let after = match verdict {
            Verdict::Handled(Outcome::Done) | Verdict::Duplicate => {
                open.finish(id);
                return;
            }
            Verdict::Handled(Outcome::Reject { reason }) => {
                tracing::warn!(id, receive_count, reason, "rejected");
                ended.rejected.push((message, reason, go_on));
                return;
            }
            Verdict::Handled(Outcome::Retry { after, reason }) => {
                tracing::info!(id, receive_count, reason, "to be retried");
                after
            }
            Verdict::Panicked(panic) => {
                tracing::error!(id, receive_count, panic, "the handler panicked");
                None
            }
            Verdict::TimedOut(limit) => {
                tracing::warn!(id, receive_count, ?limit, "the handler took too long");
                None
            }
            // Lambda holds the leases, so that none is lost while a handler runs.
            Verdict::Late | Verdict::Blocked | Verdict::Lost => {
                tracing::info!(id, receive_count, ?verdict, "given back");
                Some(Duration::ZERO)
            }
        };
        let after = after.unwrap_or_else(|| self.backoff(&message));
        ended.comes_again.push((message, after));
    }

    async fn settle_ended(&self, source_arn: Option<&str>, mut ended: Ended) -> Settled {
        let mut settled = Settled::default();
        let source = match self.source(source_arn).await {
            Ok(source) => source,
            Err(error) => {
                tracing::warn!(%error, "visibility timeouts stay as they are");
                return settled;
            }
        };
        let rejected: Vec<_> =
            ended.rejected.iter().map(|(message, reason, _)| (&**message, reason.as_str())).collect();
        if !rejected.is_empty() {
            let taken = source.dead_letters.send(&rejected).await;
            for ((message, _, go_on), taken) in ended.rejected.into_iter().zip(taken) {
                match taken {
                    Ok(()) => {
                        go_on.map(|go_on| go_on.send(()));
                        settled.dead_letters.push(message.id.clone());
                    }
                    Err(error) => {
                        tracing::error!(id = message.id, %error, "a rejected message is retried instead");
                        let after = self.backoff(&message);
                        ended.comes_again.push((message, after));
                    }
                }
            }
        }
        let known = ended.comes_again.iter().filter(|(message, _)| !message.receipt_handle.is_empty());
        let changes: Vec<_> = known.map(|(m, after)| (m.receipt_handle.as_str(), rounded_up(*after))).collect();
        for error in source.queue.change_visibility(&changes).await.into_iter().filter_map(Result::err) {
            settled.lost_leases += u64::from(error.lost_lease());
            tracing::warn!(%error, "a visibility timeout stays as it is");
        }
        settled
    }

    fn backoff(&self, message: &Message) -> Duration {
        let receives = message.receive_count;
        self.backoff.delay(receives, fastrand::f64())
    }

    /// The queue of this ARN: `QUEUE_URL` where it has the same name, else looked up by name.
    async fn source(&self, arn: Option<&str>) -> Result<Arc<Source>, QueueError> {
        let name = arn.and_then(|arn| arn.rsplit(':').next()).unwrap_or_default();
        let configured = self.queue_url.as_deref();
        let configured = configured.filter(|url| name.is_empty() || url.rsplit('/').next() == Some(name));
        let url_or_name = configured.unwrap_or(name);
        if url_or_name.is_empty() {
            let reason = "the event names no queue: set QUEUE_URL".to_owned();
            return Err(QueueError { code: "NoQueue".to_owned(), reason, kind: Kind::Refused });
        }
        let sources = || self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = sources().get(url_or_name) {
            return Ok(source.clone());
        }
        let queue = Queue::connect(url_or_name, &self.tuning).await?;
        let dead_letters = DeadLetters::of(queue.clone(), self.dlq_url.clone());
        let source = Arc::new(Source { queue, dead_letters });
        Ok(sources().entry(url_or_name.to_owned()).or_insert(source).clone())
    }
}

/// SQS counts in seconds, and a message may not come before its time; 12 hours are the most that it takes.
fn rounded_up(after: Duration) -> Duration {
    Duration::from_secs((after.as_secs_f64().ceil() as u64).min(43_200))
}
