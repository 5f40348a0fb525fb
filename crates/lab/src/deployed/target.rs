//! Plays one deployed target: sends the load, looks at the queue, reads the journal, until all have ended.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::books::DeployedBooks;
use super::kubernetes::Watch;
use super::load::{SendWay, send};
use super::{DeployedProgress, all, millis};
use crate::run::Target;
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale::unstable::queue::{Queue, QueueError};

/// One look at a queue each second: the run format asks for that much.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Once the queue is empty, its last records arrive within the hosts' journal linger; a minute forgives a slow count.
const SETTLE: Duration = Duration::from_secs(60);
/// A request under way when the run is ended has so long to be answered.
const LAST_REQUEST: Duration = Duration::from_secs(10);
/// A queue that has answered nothing for so long will not: the run ends with what it has.
const SILENCE: Duration = Duration::from_secs(60);

/// A target whose queues answer and are empty.
#[derive(Debug)]
pub(super) struct Deployed {
    /// Whose.
    pub target: TargetKind,
    /// Where its messages wait.
    pub queue: Queue,
    /// Where its hosts tell what they did.
    pub journal: Queue,
    /// Where its load goes in.
    pub way: SendWay,
    /// Its pods, as the Kubernetes API knows them.
    pub watch: Option<Watch>,
}

/// A target's part of the run, and when it was (milliseconds since 1970).
pub(super) struct Played {
    /// What happened.
    pub target: Target,
    /// The first send.
    pub origin: u64,
    /// The last look.
    pub end: u64,
}

impl Deployed {
    /// Plays until all has ended, the scenario's limit has passed, or `stop`.
    pub(super) async fn play(
        &self,
        scenario: &Scenario,
        stop: impl Future<Output = ()> + Clone,
        progress: &mut dyn FnMut(DeployedProgress),
        warnings: &mut Vec<String>,
    ) -> Played {
        let mut books = DeployedBooks::new(self.target, millis());
        let sent = AtomicU64::new(0);
        let began = Instant::now();
        let halt = CancellationToken::new();
        let mut sending = pin!(send(scenario, &self.way, &sent, &halt));
        let mut looking = pin!(sleep(Duration::ZERO));
        let mut reading = pin!(self.read());
        let mut stopped = pin!(stop.clone());
        let mut limit = pin!(sleep_until(began + scenario.limit));
        let mut all_sent = false;
        let mut quiet_since = None;
        let mut drained = false;
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                refused = &mut sending, if !all_sent => {
                    all_sent = true;
                    warnings.extend(refused.map(|refused| format!("{}: {refused}", self.target)));
                }
                () = &mut looking => {
                    match self.queue.depth().await {
                        Ok(depth) => {
                            books.look(millis(), depth);
                            heard = Instant::now();
                            quiet_since = (all(depth) == 0).then(|| quiet_since.unwrap_or(heard));
                        }
                        Err(error) if heard.elapsed() > SILENCE => {
                            let silence = SILENCE.as_secs();
                            warnings.push(format!("{}: ended early, no answer for {silence} s: {error}", self.target));
                            break;
                        }
                        Err(_) => {}
                    }
                    looking.set(sleep(LOOK_EVERY));
                }
                records = &mut reading => {
                    records.iter().for_each(|record| books.record(record));
                    reading.set(self.read());
                }
                () = &mut stopped => {
                    warnings.push(format!("{}: stopped before the end", self.target));
                    break;
                }
                () = &mut limit => {
                    warnings.push(format!("{}: had not drained after {} s, the scenario's limit", self.target, scenario.limit.as_secs()));
                    break;
                }
            }
            books.sent = sent.load(Ordering::Relaxed);
            progress(self.progress(scenario, &books, began));
            drained = all_sent && books.ended() >= books.sent;
            // Redriven messages leave no record: an empty queue ends the run too, a while later.
            let gone = all_sent && quiet_since.is_some_and(|since: Instant| since.elapsed() > SETTLE);
            if drained || gone {
                break;
            }
        }
        if !all_sent {
            // A request under way is waited for: what it sends is sent.
            halt.cancel();
            let _ = timeout(LAST_REQUEST, &mut sending).await;
        }
        books.sent = sent.load(Ordering::Relaxed);
        // Out of reach is not empty.
        let left = self.queue.depth().await.ok().map(all);
        drained = books.sent > 0 && (drained || all_sent && left == Some(0));
        if let Some(watch) = self.watch.as_ref().filter(|_| drained) {
            floor(watch, stop, began + scenario.limit).await;
        }
        let in_host = self.target.in_host_concurrency(scenario);
        let mut target = books.close(drained, left.unwrap_or(books.left()), in_host);
        let origin = books.origin();
        let end = millis();
        if let Some(watch) = &self.watch {
            watch.fill(&mut target, origin, end, warnings);
        }
        Played { target, origin, end }
    }

    fn progress(&self, scenario: &Scenario, books: &DeployedBooks, began: Instant) -> DeployedProgress {
        let (done, rejected) = books.tally();
        let sent = books.sent;
        let capacity = books.capacity(millis());
        DeployedProgress {
            target: self.target,
            messages: scenario.messages,
            sent,
            done,
            rejected,
            capacity,
            now: began.elapsed(),
        }
    }

    /// The next records of the journal, deleted as they are read.
    async fn read(&self) -> Vec<String> {
        match self.take().await {
            Ok(records) => records,
            // Whether it stays so, the looks at the queue beside it will tell.
            Err(_) => {
                sleep(LOOK_EVERY).await;
                Vec::new()
            }
        }
    }

    async fn take(&self) -> Result<Vec<String>, QueueError> {
        let messages = self.journal.receive(10, Duration::from_secs(10), None).await?;
        let handles: Vec<&str> = messages.iter().map(|message| message.receipt_handle.as_str()).collect();
        if !handles.is_empty() {
            // A record that stays is read again, and counted once: books know ids and attempts.
            self.journal.delete(&handles).await;
        }
        Ok(messages.into_iter().map(|message| message.body).collect())
    }
}

/// Waits until the replicas are back at what they were.
async fn floor(watch: &Watch, stop: impl Future<Output = ()>, limit: Instant) {
    let back = async {
        while !watch.at_floor() {
            sleep(LOOK_EVERY).await;
        }
        // The HPA writes its reason and its event right after it has scaled.
        sleep(LOOK_EVERY).await;
    };
    tokio::select! {
        () = back => {}
        () = stop => {}
        () = sleep_until(limit) => {}
    }
}
