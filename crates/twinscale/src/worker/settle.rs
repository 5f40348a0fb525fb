//! Settles messages: one task owns every lease, hears what happens, and makes the calls that follow from it.
//!
//! ```text
//! received ─► lease ─► (extended while held) ─► ended ─┬► Done ──────► delete, ten a call
//!                                                      ├► Retry, late ► visible again, later or now
//!                                                      └► Reject ────► dead-letter queue ─► delete
//! ```

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

use super::adapt::Adaptive;
use super::calls::{self, Answer};
use super::leases::{Extension, Key, Lease, Leases, Next, key};
use super::room::Room;
use crate::batch::{Event, GoOn, InHand, Verdict};
use crate::config::Backoff;
use crate::handler::Outcome;
use crate::journal::{Journal, Times};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::queue::{DeadLetters, MAX_ENTRIES, Queue, QueueError};

/// Events looked at in one turn.
const EVENTS_A_TURN: usize = 128;
/// Finished messages that wait for their delete; above that, no more are received, so that an outage of deletes alone
/// cannot fill the memory.
const MOST_UNDELETED: usize = 2_000;
/// What is left at the end gets this long: a batch call and its repetition.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
/// SQS's longest visibility timeout.
const LONGEST_VISIBILITY: Duration = Duration::from_secs(43_200);

/// All that can happen to the settling task.
#[derive(Debug)]
pub(super) enum Happened {
    /// Messages came, and are about to be handled.
    Received(Vec<InHand>),
    /// Messages came that nobody will handle, since the worker is draining.
    Unwanted(Vec<Message>),
    /// A handler began or ended.
    Handled(Event),
}

impl From<Event> for Happened {
    fn from(event: Event) -> Self {
        Self::Handled(event)
    }
}

/// What the worker has done with messages, when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Handlers that were aborted since time was up.
    pub(super) aborted: usize,
    /// Messages that could not be settled: they come again after their visibility timeout.
    pub(super) unsettled: usize,
}

pub(super) struct Settler {
    pub(super) queue: Queue,
    pub(super) dead_letters: Arc<DeadLetters>,
    pub(super) room: Arc<Room>,
    pub(super) leases: Leases,
    pub(super) backoff: Backoff,
    pub(super) delete_linger: Duration,
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    /// `None`: the limit stays what `CONCURRENCY` says.
    pub(super) adaptive: Option<Adaptive>,
    pub(super) pending: Pending,
}

/// What waits for its call.
#[derive(Debug, Default)]
pub(super) struct Pending {
    deletes: Vec<Key>,
    deletes_due: Option<Instant>,
    /// In delete calls under way.
    deleting: usize,
    delete_failures: u32,
    returns: Vec<(Arc<Message>, Duration)>,
    rejects: Vec<(Arc<Message>, String)>,
    /// Groups that wait behind a rejected message.
    waiting: HashMap<Key, GoOn>,
    /// Places of ended messages that are not given back to the room yet.
    owed: usize,
    /// Handlers that ended, and the time they took, which the room was not told of yet.
    handled: (usize, Duration),
    tally: Tally,
}

impl Settler {
    /// Runs until every sender of `happened` is gone, then settles what is left.
    pub(super) async fn run(mut self, mut happened: UnboundedReceiver<Happened>) -> Tally {
        let mut calls = JoinSet::new();
        let mut turn = Vec::with_capacity(EVENTS_A_TURN);
        loop {
            let due = self.next_due();
            tokio::select! {
                Some(answer) = calls.join_next() => self.answered(answer),
                heard = happened.recv_many(&mut turn, EVENTS_A_TURN) => {
                    if heard == 0 {
                        break;
                    }
                    turn.drain(..).for_each(|event| self.hear(event));
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.start_calls(&mut calls, Instant::now());
            self.pay_room();
            self.metrics.in_flight.set(self.leases.len() as u64);
        }
        let _ = timeout(FLUSH_WITHIN, self.flush(&mut calls)).await;
        self.pending.tally.unsettled += self.pending.deletes.len() + self.pending.deleting;
        self.pending.tally
    }

    async fn flush(&mut self, calls: &mut JoinSet<Answer>) {
        loop {
            let now = Instant::now();
            self.pending.deletes_due = self.pending.deletes_due.map(|_| now);
            self.start_calls(calls, now);
            match calls.join_next().await {
                Some(answer) => self.answered(answer),
                None => break,
            }
        }
    }

    fn hear(&mut self, happened: Happened) {
        match happened {
            Happened::Received(messages) => {
                self.metrics.received.add(messages.len() as u64);
                let (now, at) = (Instant::now(), SystemTime::now());
                messages.into_iter().for_each(|(message, lost)| self.leases.hold(message, lost, now, at));
            }
            Happened::Unwanted(messages) => {
                self.metrics.received.add(messages.len() as u64);
                for message in messages {
                    self.give_back(Arc::new(message), Duration::ZERO);
                }
            }
            Happened::Handled(Event::Started(message)) => {
                self.leases.started(&message);
                if let Some(age) = message.sent_at.and_then(|sent| sent.elapsed().ok()) {
                    self.metrics.age_at_start_seconds.observe(age);
                }
            }
            Happened::Handled(Event::Ended(message, verdict, go_on)) => {
                self.pending.owed += 1;
                self.pending.waiting.extend(go_on.map(|go_on| (key(&message), go_on)));
                self.record(&message, &verdict);
                self.settle(message, verdict);
            }
        }
    }

    fn record(&mut self, message: &Arc<Message>, verdict: &Verdict) {
        self.metrics.ended(verdict.word());
        let Some(lease) = self.leases.get(key(message)) else { return };
        if let Some((started, _)) = lease.started {
            let time = started.elapsed();
            self.metrics.handler_seconds.observe(time);
            self.pending.handled.0 += 1;
            self.pending.handled.1 += time;
            if let Some(adaptive) = &mut self.adaptive {
                let failed = matches!(verdict.word(), "retry" | "panic" | "timeout");
                self.room.change(adaptive.ended(time, failed));
            }
        }
        self.pending.tally.aborted += usize::from(*verdict == Verdict::Late && lease.started.is_some());
        if self.journal.is_on() {
            let (received, started) = (lease.received_at, lease.started.map(|(_, at)| at));
            self.journal.message(message, Times { received, started, finished: SystemTime::now() }, verdict.word());
        }
    }

    fn settle(&mut self, message: Arc<Message>, verdict: Verdict) {
        let key = key(&message);
        let verdict = match self.leases.ended(key, verdict) {
            Next::Settle(verdict) => verdict,
            Next::Wait => return,
            Next::Lost => {
                self.pending.waiting.remove(&key);
                return self.not_ours(&message);
            }
        };
        let (id, receive_count) = (&message.id, message.receive_count);
        match verdict {
            Verdict::Handled(Outcome::Done) | Verdict::Duplicate => self.delete(key),
            Verdict::Handled(Outcome::Reject { reason }) => {
                tracing::warn!(id, receive_count, reason, "rejected");
                self.pending.rejects.push((message, reason));
            }
            Verdict::Handled(Outcome::Retry { after, reason }) => {
                tracing::info!(id, receive_count, reason, "to be retried");
                self.retry(message, after);
            }
            Verdict::Panicked(panic) => {
                tracing::error!(id, receive_count, panic, "the handler panicked");
                self.retry(message, None);
            }
            Verdict::TimedOut(limit) => {
                tracing::warn!(id, receive_count, ?limit, "the handler took too long");
                self.retry(message, None);
            }
            Verdict::Late | Verdict::Blocked => {
                tracing::info!(id, receive_count, ?verdict, "given back");
                self.leases.revoke(key);
                self.give_back(message, Duration::ZERO);
            }
            Verdict::Lost => {
                self.leases.revoke(key);
                self.not_ours(&message);
            }
        }
    }

    /// Another owner settles it, or the next one does.
    fn not_ours(&mut self, message: &Message) {
        self.metrics.lost_lease.add(1);
        let (id, receive_count) = (&message.id, message.receive_count);
        tracing::warn!(id, receive_count, "not settled: its lease is lost, and another owner may have it");
    }

    fn delete(&mut self, key: Key) {
        self.pending.deletes.push(key);
        self.pending.deletes_due.get_or_insert_with(|| Instant::now() + self.delete_linger);
    }

    fn retry(&mut self, message: Arc<Message>, after: Option<Duration>) {
        let lease = self.leases.revoke(key(&message));
        let receives = message.receive_count;
        let after = after.unwrap_or_else(|| self.backoff.delay(receives, fastrand::f64()));
        // SQS counts in seconds, and in 12 hours from the receive: what is left of them is the most it takes.
        let held = lease.map(|lease| lease.received.elapsed()).unwrap_or_default();
        let most = LONGEST_VISIBILITY.saturating_sub(held + Duration::from_secs(1));
        self.give_back(message, Duration::from_secs(after.min(most).as_secs_f64().ceil() as u64));
    }

    /// In the next turn, with no linger: the delay counts from the call, and whoever waits for the message waits too.
    fn give_back(&mut self, message: Arc<Message>, after: Duration) {
        self.pending.returns.push((message, after));
    }

    fn next_due(&self) -> Option<Instant> {
        [self.pending.deletes_due, self.leases.next_look()].into_iter().flatten().min()
    }

    fn start_calls(&mut self, calls: &mut JoinSet<Answer>, now: Instant) {
        self.start_deletes(calls, now);
        for chunk in std::mem::take(&mut self.pending.returns).chunks(MAX_ENTRIES) {
            calls.spawn(calls::give_back(self.queue.clone(), chunk.to_vec()));
        }
        if !self.pending.rejects.is_empty() {
            let rejects = std::mem::take(&mut self.pending.rejects);
            calls.spawn(calls::reject(self.dead_letters.clone(), rejects));
        }
        for chunk in self.leases.extendable(now).chunks(MAX_ENTRIES) {
            calls.spawn(calls::extend(self.queue.clone(), chunk.to_vec()));
        }
    }

    /// Starts deletes as soon as there are ten, or when the linger of the first is over.
    fn start_deletes(&mut self, calls: &mut JoinSet<Answer>, now: Instant) {
        let due = self.pending.deletes_due.is_some_and(|due| due <= now);
        while self.pending.deletes.len() >= MAX_ENTRIES || (due && !self.pending.deletes.is_empty()) {
            let keys: Vec<_> = self.pending.deletes.drain(..self.pending.deletes.len().min(MAX_ENTRIES)).collect();
            let (mut leases, mut extending) = (Vec::with_capacity(keys.len()), Vec::new());
            for key in keys {
                match self.leases.revoke(key) {
                    Some(lease) => leases.push(lease),
                    None => extending.push(key),
                }
            }
            if !leases.is_empty() {
                self.pending.deleting += leases.len();
                calls.spawn(calls::delete(self.queue.clone(), leases));
            }
            if !extending.is_empty() {
                // Their turn comes when the extension has been answered.
                self.pending.deletes.extend(extending);
                self.pending.deletes_due = Some(now + self.delete_linger.max(Duration::from_millis(20)));
                return;
            }
        }
        if self.pending.deletes.is_empty() {
            self.pending.deletes_due = None;
        } else if due {
            self.pending.deletes_due = Some(now + self.delete_linger);
        }
    }

    fn answered(&mut self, answer: Result<Answer, tokio::task::JoinError>) {
        let Ok(answer) = answer else { return };
        match answer {
            Answer::Deleted(results) => self.deleted(results),
            Answer::Returned(results) => {
                for (message, error) in results.into_iter().filter_map(|(m, r)| r.err().map(|error| (m, error))) {
                    let (id, receive_count) = (&message.id, message.receive_count);
                    tracing::warn!(id, receive_count, %error, "not given back: it comes after its visibility timeout");
                    self.unsettled(&error);
                }
            }
            Answer::Rejected(results) => {
                for (key, result) in results {
                    self.rejected(key, result);
                }
            }
            Answer::Extended(results) => {
                for (message, result) in results {
                    self.extended(&message, result);
                }
            }
        }
    }

    fn deleted(&mut self, results: Vec<(Lease, Result<(), QueueError>)>) {
        self.pending.deleting -= results.len();
        let mut retry = false;
        for (lease, result) in results {
            let Err(error) = result else { continue };
            let id = &lease.message.id;
            if error.is_retryable() {
                retry = true;
                tracing::warn!(id, %error, "not deleted: it is tried again");
                self.pending.deletes.push(key(&lease.message));
                self.leases.keep(lease);
            } else {
                tracing::warn!(id, %error, "not deleted: the message may come again");
                self.unsettled(&error);
            }
        }
        if retry {
            let wait = Duration::from_millis(250 << self.pending.delete_failures.min(5));
            self.pending.deletes_due = Some(Instant::now() + wait.mul_f64(0.5 + fastrand::f64() / 2.0));
            self.pending.delete_failures += 1;
        } else {
            self.pending.delete_failures = 0;
        }
    }

    fn unsettled(&mut self, error: &QueueError) {
        if error.lost_lease() {
            self.metrics.lost_lease.add(1);
        } else {
            self.pending.tally.unsettled += 1;
        }
    }

    fn rejected(&mut self, key: Key, result: Result<(), QueueError>) {
        // Where it was not taken, the group hears of it by the sender being dropped.
        let go_on = self.pending.waiting.remove(&key);
        let Err(error) = result else {
            go_on.map(|go_on| go_on.send(()));
            return self.delete(key);
        };
        let Some(message) = self.leases.get(key).map(|lease| lease.message.clone()) else { return };
        let (id, receive_count) = (&message.id, message.receive_count);
        tracing::error!(id, receive_count, %error, "not sent to the dead-letter queue: it is retried instead");
        self.settle(message, Verdict::Handled(Outcome::retry("the dead-letter queue did not take it")));
    }

    fn extended(&mut self, message: &Arc<Message>, result: Result<(), QueueError>) {
        let (id, receive_count) = (&message.id, message.receive_count);
        let extension = match result {
            Ok(()) => Extension::Granted,
            Err(error) => {
                let lost = error.lost_lease();
                tracing::warn!(id, receive_count, %error, lost, "its lease was not extended");
                if lost { Extension::Lost } else { Extension::Failed }
            }
        };
        if let Some((message, verdict)) = self.leases.extended(key(message), extension) {
            self.settle(message, verdict);
        }
    }

    fn pay_room(&mut self) {
        let (count, time) = std::mem::take(&mut self.pending.handled);
        self.room.handled(count, time);
        if self.pending.owed > 0 && self.pending.deletes.len() + self.pending.deleting < MOST_UNDELETED {
            self.room.free(std::mem::take(&mut self.pending.owed));
        }
    }
}
