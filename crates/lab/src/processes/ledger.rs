//! Who says done: the queue. Every message's fate and every request, as the embedded queue saw them, in scenario time.
//!
//! It is told what happens at one target's queue and dead-letter queue, and knows no process. A message of the handler
//! that ships is known by the number in its body, and what became of it by its luck. One of a service's own is known by
//! its id, and what became of it by the journal.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::journal::Outcome;
use crate::run::{Attempts, Bucket, Flow, FlowBooks, Latency, Messages, Requests, histogram, latencies};
use twinscale_sqs::server::{Bill, Event};
use twinscale_work::{Fate, Work};

/// How far a target is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Accepted by the queue.
    pub sent: u64,
    /// Deleted and not rejected.
    pub done: u64,
    /// In the dead-letter queue, and in no other.
    pub rejected: u64,
    /// Those of them that SQS moved there.
    pub redriven: u64,
    /// Past their retention.
    pub expired: u64,
}

impl Tally {
    /// Messages whose fate is still open.
    pub fn open(&self) -> u64 {
        self.sent - self.done - self.rejected - self.expired
    }
}

/// The books of one target.
pub struct Ledger {
    source: OutcomeSource,
    books: Mutex<LedgerBooks>,
    tally: watch::Sender<Tally>,
}

/// What tells a retry from a give-back and from a duplicate.
pub enum OutcomeSource {
    /// The same luck as the hosts draw.
    Luck(Work),
    /// What the hosts write down.
    Journal,
}

#[derive(Default)]
struct LedgerBooks {
    messages: HashMap<u64, MessageHistory>,
    tally: Tally,
    /// Deliveries that ended in no delete.
    ends: Vec<DeliveryEnd>,
    /// Outcomes by message and receive, from the journal.
    outcomes: HashMap<(u64, u32), Outcome>,
    /// Messages that came into the dead-letter queue from a consumer.
    dead_letters: u64,
    /// What is deleted, rejected or not, as far as that is known before the end.
    flow: FlowBooks,
    handler_times: Vec<Duration>,
    first_send: Option<Duration>,
    last_delete: Option<Duration>,
    requests: Counts,
    /// `requests` as they stood at the last delete.
    until_last_delete: Counts,
}

struct MessageHistory {
    sent: Duration,
    /// The delivery under way, or the last one.
    receive_count: u32,
    /// The last change of visibility during it.
    visibility: Option<Duration>,
    rejected: bool,
    closed: bool,
    /// From its send to its delete.
    latency: Option<Duration>,
}

/// A delivery that ended in no delete.
#[derive(Clone, Copy, Debug)]
struct DeliveryEnd {
    number: u64,
    receive_count: u32,
    visibility: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts([u64; 5]);

/// What the books say at the end.
#[derive(Clone, Debug)]
pub struct Closed {
    /// How messages ended.
    pub messages: Messages,
    /// Requests from the first send to the last delete.
    pub requests: Requests,
    /// Sent to done.
    pub latency: Option<Latency>,
    /// The distribution behind `latency`.
    pub histogram: Vec<Bucket>,
    /// The same over time.
    pub flow: Flow,
    /// How long handlers took, every attempt counted.
    pub handler_times: Vec<Bucket>,
    /// All of them together.
    pub handler_time: Duration,
    /// What a service's own handler did; `None` where it was the one that ships.
    pub attempts: Option<Attempts>,
    /// When the first message was accepted.
    pub first_send: Option<Duration>,
    /// When the last message was deleted.
    pub last_delete: Option<Duration>,
    /// What does not add up.
    pub warnings: Vec<String>,
}

impl Ledger {
    /// Empty books.
    pub fn new(source: OutcomeSource) -> Self {
        Self { source, books: Mutex::default(), tally: watch::Sender::new(Tally::default()) }
    }

    /// Whether messages are known by their ids, and their outcomes by the journal.
    pub fn follows_the_journal(&self) -> bool {
        matches!(self.source, OutcomeSource::Journal)
    }

    /// Notes what happened to message `number`.
    pub fn note(&self, now: Duration, number: u64, event: Event) {
        let mut books = self.books();
        books.note(now, number, event);
        let tally = books.tally;
        drop(books);
        self.tally.send_if_modified(|seen| {
            let changed = *seen != tally;
            *seen = tally;
            changed
        });
    }

    /// Notes that a consumer sent message `number` to the dead-letter queue; its delete then closes it. Where messages
    /// are known by their ids, it has another one there, and the journal tells.
    pub fn rejected(&self, number: u64) {
        let mut books = self.books();
        books.dead_letters += 1;
        if let Some(record) = books.messages.get_mut(&number).filter(|_| !self.follows_the_journal()) {
            record.rejected = true;
        }
    }

    /// Notes what a host wrote down of message `number`.
    pub fn outcome(&self, number: u64, receive_count: u32, outcome: Outcome) {
        self.books().outcomes.insert((number, receive_count), outcome);
    }

    /// Notes how long one handler took, as its host tells.
    pub fn handled(&self, took: Duration) {
        self.books().handler_times.push(took);
    }

    /// Notes a request that costs as much as `billed` of them: one for each 64 KiB that it carries.
    pub fn request(&self, action: Bill, billed: u64) {
        let mut books = self.books();
        // Pods that wait for the load ask before it comes; requests count from the first send on.
        if action != Bill::Send && books.first_send.is_none() {
            return;
        }
        books.requests.0[action as usize] += billed;
        if action == Bill::Delete {
            books.until_last_delete = books.requests;
        }
    }

    /// Follows how far the target is.
    pub fn follow(&self) -> watch::Receiver<Tally> {
        self.tally.subscribe()
    }

    /// What came in and went out over time, so far.
    pub fn flow(&self) -> Flow {
        self.books().flow.so_far()
    }

    /// When the first message was accepted.
    pub fn first_send(&self) -> Option<Duration> {
        self.books().first_send
    }

    /// When the last message so far was deleted.
    pub fn last_delete(&self) -> Option<Duration> {
        self.books().last_delete
    }

    /// Sums up, given how many messages the queue still holds. Where the journal tells, only when it was written.
    pub fn close(&self, still_queued: u64) -> Closed {
        let books = self.books();
        let (rejected, done): (Vec<_>, Vec<_>) =
            books.messages.iter().filter_map(|(number, record)| Some((*number, record, record.latency?))).partition(
                |(number, record, _)| {
                    let told = books.outcomes.get(&(*number, record.receive_count));
                    record.rejected || told == Some(&Outcome::Reject)
                },
            );
        let (latency, latency_histogram) = latencies(done.iter().map(|(_, _, latency)| *latency).collect());
        let mut flow = FlowBooks::default();
        let since_first = |at: Duration| at.saturating_sub(books.first_send.unwrap_or(at));
        books.messages.values().for_each(|record| flow.sent(since_first(record.sent), 1));
        done.iter().for_each(|(_, record, latency)| flow.done(since_first(record.sent + *latency), *latency));
        let ended = |how: DeliveryEnding| books.ends.iter().filter(|end| self.how(&books, end) == how).count() as u64;
        let rejected_by_handlers = rejected.len() as u64;
        let messages = Messages {
            sent: books.tally.sent,
            done: done.len() as u64,
            retried: Some(ended(DeliveryEnding::Retried)),
            rejected: rejected_by_handlers + books.tally.redriven,
            duplicates: Some(ended(DeliveryEnding::Unexplained)),
            lost: Some((books.tally.open() + books.tally.expired).saturating_sub(still_queued)),
            unaccounted: None,
        };
        let mut warnings = Vec::new();
        let attempts = self.follows_the_journal().then(|| books.attempts());
        if let Some(attempts) = &attempts {
            let without =
                done.iter().filter(|(n, record, _)| !books.outcomes.contains_key(&(*n, record.receive_count)));
            let without = without.count();
            if without > 0 {
                warnings.push(format!(
                    "the service's journal says nothing of {without} of {} messages that were deleted: is it built on the \
                     library, and does it keep JOURNAL_QUEUE_URL?",
                    done.len()
                ));
            }
            if books.dead_letters != attempts.rejects {
                warnings.push(format!(
                    "{} messages came into the dead-letter queue, and the journal tells of {} rejects",
                    books.dead_letters, attempts.rejects
                ));
            }
        }
        let [send, receive, empty_receive, delete, change_visibility] = books.until_last_delete.0.map(Some);
        Closed {
            messages,
            requests: Requests { send, receive, empty_receive, delete, change_visibility },
            latency,
            histogram: latency_histogram,
            flow: flow.so_far(),
            handler_time: books.handler_times.iter().sum(),
            handler_times: histogram(books.handler_times.iter().map(|took| (*took, 1))),
            attempts,
            first_send: books.first_send,
            last_delete: books.last_delete,
            warnings,
        }
    }

    /// How a delivery ended that did not end in a delete.
    fn how(&self, books: &LedgerBooks, end: &DeliveryEnd) -> DeliveryEnding {
        let retries = match &self.source {
            OutcomeSource::Luck(work) => work.draw(end.number, end.receive_count).fate == Fate::Retry,
            OutcomeSource::Journal => {
                let told = books.outcomes.get(&(end.number, end.receive_count));
                told.is_some_and(|outcome| outcome.is_retry())
            }
        };
        match end.visibility {
            Some(_) if retries => DeliveryEnding::Retried,
            Some(Duration::ZERO) => DeliveryEnding::GivenBack,
            Some(_) | None => DeliveryEnding::Unexplained,
        }
    }

    fn books(&self) -> MutexGuard<'_, LedgerBooks> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerBooks {
    fn note(&mut self, now: Duration, number: u64, event: Event) {
        if event == Event::Sent {
            if let Entry::Vacant(new) = self.messages.entry(number) {
                new.insert(MessageHistory::sent(now));
                self.tally.sent += 1;
                let first = *self.first_send.get_or_insert(now);
                self.flow.sent(now.saturating_sub(first), 1);
            }
            return;
        }
        let Some(record) = self.messages.get_mut(&number) else { return };
        match event {
            Event::Sent => {}
            Event::Delivered { receive_count } => {
                self.ends.extend(record.delivery_end(number));
                record.receive_count = receive_count;
                record.visibility = None;
            }
            Event::Visibility(visibility) => record.visibility = Some(visibility),
            Event::Deleted | Event::Redriven | Event::Expired if record.closed => {}
            Event::Deleted => {
                record.closed = true;
                let latency = now.saturating_sub(record.sent);
                record.latency = Some(latency);
                self.last_delete = Some(now);
                self.until_last_delete = self.requests;
                if record.rejected {
                    self.tally.rejected += 1;
                } else {
                    self.tally.done += 1;
                    self.flow.done(now.saturating_sub(self.first_send.unwrap_or(now)), latency);
                }
            }
            Event::Redriven => {
                record.closed = true;
                self.ends.extend(record.delivery_end(number));
                self.tally.rejected += 1;
                self.tally.redriven += 1;
            }
            Event::Expired => {
                record.closed = true;
                self.tally.expired += 1;
            }
        }
    }

    fn attempts(&self) -> Attempts {
        let count =
            |wanted: fn(Outcome) -> bool| self.outcomes.values().filter(|outcome| wanted(**outcome)).count() as u64;
        let done = count(|outcome| outcome == Outcome::Done);
        let retries = count(Outcome::is_retry);
        let rejects = count(|outcome| outcome == Outcome::Reject);
        Attempts { handled: done + retries + rejects, retries, rejects }
    }
}

impl MessageHistory {
    fn sent(now: Duration) -> Self {
        Self { sent: now, receive_count: 0, visibility: None, rejected: false, closed: false, latency: None }
    }

    /// The delivery under way as one that ends without a delete; `None` if there was none.
    fn delivery_end(&self, number: u64) -> Option<DeliveryEnd> {
        let Self { receive_count, visibility, .. } = *self;
        (receive_count > 0).then_some(DeliveryEnd { number, receive_count, visibility })
    }
}

/// How a delivery ended that did not end in a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeliveryEnding {
    /// The handler asked for a retry.
    Retried,
    /// The host gave it back unfinished.
    GivenBack,
    /// Its visibility ran out: a consumer died, or was too slow.
    Unexplained,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn delivered(receive_count: u32) -> Event {
        Event::Delivered { receive_count }
    }

    #[test]
    fn a_message_is_done_when_deleted_and_rejected_when_it_is_in_the_dead_letter_queue_too() {
        let ledger = Ledger::new(OutcomeSource::Luck(Work::default()));
        for number in 0..4 {
            ledger.note(secs(1), number, Event::Sent);
            ledger.note(secs(2), number, delivered(1));
        }
        ledger.note(secs(3), 0, Event::Deleted);
        ledger.rejected(1);
        assert_eq!(ledger.follow().borrow().open(), 3, "a rejected message is open until it is deleted");
        ledger.note(secs(5), 1, Event::Deleted);
        ledger.note(secs(6), 2, Event::Redriven);
        ledger.note(secs(7), 3, Event::Expired);
        let closed = ledger.close(0);
        assert_eq!(closed.messages.done, 1);
        assert_eq!(closed.messages.rejected, 2);
        assert_eq!(closed.messages.lost, Some(1));
        assert_eq!((closed.first_send, closed.last_delete), (Some(secs(1)), Some(secs(5))));
        assert_eq!(closed.latency.map(|latency| latency.max), Some(2.0));
        assert_eq!(closed.histogram.len(), 1, "rejected messages have no latency");
    }

    #[test]
    fn a_give_back_explains_a_receive_and_an_expired_visibility_is_a_duplicate() {
        let ledger = Ledger::new(OutcomeSource::Luck(Work::default()));
        ledger.note(secs(0), 7, Event::Sent);
        ledger.note(secs(0), 7, delivered(1));
        ledger.note(secs(1), 7, Event::Visibility(Duration::ZERO));
        ledger.note(secs(1), 7, delivered(2));
        ledger.note(secs(16), 7, Event::Visibility(secs(30)));
        ledger.note(secs(46), 7, delivered(3));
        ledger.note(secs(47), 7, Event::Deleted);
        let messages = ledger.close(0).messages;
        assert_eq!((messages.retried, messages.duplicates), (Some(0), Some(1)));
    }

    #[test]
    fn a_drawn_retry_is_a_retry_whatever_its_backoff() {
        let ledger = Ledger::new(OutcomeSource::Luck(Work { retry_share: 1.0, ..Work::default() }));
        ledger.note(secs(0), 7, Event::Sent);
        for receive_count in 1..=3 {
            ledger.note(secs(1), 7, delivered(receive_count));
            ledger.note(secs(1), 7, Event::Visibility(secs(u64::from(receive_count) - 1)));
        }
        ledger.note(secs(9), 7, Event::Redriven);
        let messages = ledger.close(0).messages;
        assert_eq!((messages.retried, messages.duplicates, messages.rejected), (Some(3), Some(0), 1));
    }

    #[test]
    fn requests_count_from_the_first_send_to_the_last_delete() {
        let ledger = Ledger::new(OutcomeSource::Luck(Work::default()));
        ledger.request(Bill::EmptyReceive, 1);
        ledger.note(secs(1), 1, Event::Sent);
        ledger.request(Bill::Send, 1);
        ledger.request(Bill::Receive, 1);
        ledger.note(secs(1), 1, delivered(1));
        ledger.note(secs(2), 1, Event::Deleted);
        ledger.request(Bill::Delete, 1);
        ledger.request(Bill::EmptyReceive, 1);
        let requests = ledger.close(0).requests;
        assert_eq!(requests.per_message(1), Some(3.0));
        assert_eq!(requests.empty_receive, Some(0));
    }

    #[test]
    fn what_is_still_in_the_queue_is_not_lost() {
        let ledger = Ledger::new(OutcomeSource::Luck(Work::default()));
        (0..3).for_each(|number| ledger.note(secs(0), number, Event::Sent));
        assert_eq!(ledger.close(2).messages.lost, Some(1));
    }

    #[test]
    fn a_service_of_ones_own_is_judged_by_its_journal() {
        let ledger = Ledger::new(OutcomeSource::Journal);
        for number in 1..=3 {
            ledger.note(secs(0), number, Event::Sent);
            ledger.note(secs(0), number, delivered(1));
        }
        // 1 is done, 2 is rejected (and has another id in the dead-letter queue), 3 is retried and then done.
        ledger.note(secs(1), 1, Event::Deleted);
        ledger.rejected(77);
        ledger.note(secs(1), 2, Event::Deleted);
        ledger.note(secs(1), 3, Event::Visibility(Duration::ZERO));
        ledger.note(secs(2), 3, delivered(2));
        ledger.note(secs(3), 3, Event::Deleted);
        for (number, receives, outcome) in
            [(1, 1, Outcome::Done), (2, 1, Outcome::Reject), (3, 1, Outcome::Retry), (3, 2, Outcome::Done)]
        {
            ledger.outcome(number, receives, outcome);
        }
        let closed = ledger.close(0);
        let messages = &closed.messages;
        assert_eq!((messages.done, messages.rejected), (2, 1));
        assert_eq!((messages.retried, messages.duplicates, messages.lost), (Some(1), Some(0), Some(0)));
        assert_eq!(closed.attempts, Some(Attempts { handled: 4, retries: 1, rejects: 1 }));
        assert_eq!(closed.warnings, [""; 0]);
    }

    #[test]
    fn a_service_without_a_journal_is_warned_of() {
        let ledger = Ledger::new(OutcomeSource::Journal);
        ledger.note(secs(0), 1, Event::Sent);
        ledger.note(secs(0), 1, delivered(1));
        ledger.note(secs(1), 1, Event::Deleted);
        assert!(ledger.close(0).warnings[0].contains("says nothing of 1 of 1 messages"));
    }
}
