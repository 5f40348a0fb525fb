//! What both targets have in common: virtual time, the queue, the load that arrives, samples and books.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::agenda::{Agenda, Event};
use super::books::{Books, billed};
use crate::run::{Decision, Sample};
use crate::scenario::Scenario;
use crate::scenario::load::Arrivals;
use twinscale::Backoff;
use twinscale_scaling::{self, Counts, Observation};
use twinscale_sqs::model::{Attributes, Departure, Handle, Queue, Received, Send};
use twinscale_work::{Fate, Work};

const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// With nothing moving for this long nothing ever will: no message is hidden for more than 12 hours.
const STUCK_AFTER: Duration = Duration::from_secs(13 * 3600);

/// A message that a consumer holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub handle: Handle,
    /// Its number in the load: its luck is drawn from it.
    pub number: u64,
    pub receives: u32,
    /// Attempts that failed since it was received: the first of a FIFO group is tried again in place.
    pub failures: u32,
    /// It no longer takes room in its worker.
    pub paid: bool,
    pub group: u32,
    pub fate: Fate,
    /// When its visibility was last set.
    pub renewed: Duration,
}

/// Virtual time and what is shared in it.
pub(super) struct VirtualTime<'a> {
    pub now: Duration,
    pub agenda: Agenda,
    pub books: Books,
    pub samples: Vec<Sample>,
    pub decisions: Vec<Decision>,
    pub peak: u32,
    queue: Queue<u32>,
    body_bytes: u64,
    groups: Vec<Arc<str>>,
    arrivals: std::iter::Peekable<Arrivals<'a>>,
    staleness: Duration,
    /// Counts of the past, as long as scaling still sees them.
    past: VecDeque<(Duration, Counts)>,
    brought: Vec<Received<u32>>,
    /// Requests that moved a message, at a sample, and since when their number is what it is.
    moved: (u64, Duration),
}

impl<'a> VirtualTime<'a> {
    pub(super) fn new(scenario: &'a Scenario, visibility_timeout: Duration) -> Self {
        let queue = &scenario.queue;
        let groups = if queue.fifo { queue.groups } else { 0 };
        let attributes = Attributes {
            fifo: queue.fifo,
            visibility_timeout,
            retention: queue.retention,
            max_receive_count: Some(queue.max_receive_count),
            ..Attributes::default()
        };
        let mut stage = Self {
            now: Duration::ZERO,
            agenda: Agenda::default(),
            books: Books::new(),
            samples: Vec::new(),
            decisions: Vec::new(),
            peak: 0,
            queue: Queue::new(attributes),
            body_bytes: scenario.body_bytes,
            groups: (0..groups).map(|group| Arc::from(format!("group-{group}"))).collect(),
            arrivals: scenario.arrivals().peekable(),
            staleness: queue.counts_staleness,
            past: VecDeque::new(),
            brought: Vec::new(),
            moved: (0, Duration::ZERO),
        };
        stage.plan_arrival();
        stage.agenda.plan(Duration::ZERO, Event::Sample);
        stage
    }

    /// Every message was sent and has met its fate.
    pub(super) fn is_over(&mut self) -> bool {
        self.books.open() == 0 && self.arrivals.peek().is_none()
    }

    /// Everything was sent, messages are open, and for long nothing has moved.
    pub(super) fn is_stuck(&mut self) -> bool {
        self.now > self.moved.1 + STUCK_AFTER && self.books.open() > 0 && self.arrivals.peek().is_none()
    }

    /// Sends what the load sends now, in batches of 10.
    pub(super) fn arrive(&mut self) {
        let Some(arrival) = self.arrivals.next() else { return };
        for number in (self.books.sent..).take(arrival.count as usize) {
            let group = if self.groups.is_empty() { 0 } else { (number % self.groups.len() as u64) as u32 };
            let name = self.groups.get(group as usize).cloned();
            self.queue.send(self.now, Send { id: number, payload: group, group: name, ..Send::default() });
        }
        self.books.sent(self.now, arrival.count);
        let whole = arrival.count / 10;
        let rest = (arrival.count % 10) as usize;
        let last = if rest > 0 { billed(rest, self.body_bytes) } else { 0 };
        self.books.requests.send += whole * billed(10, self.body_bytes) + last;
        self.plan_arrival();
    }

    fn plan_arrival(&mut self) {
        if let Some(next) = self.arrivals.peek() {
            self.agenda.plan(next.at, Event::Arrive);
        }
    }

    /// Samples the queue and the capacity, and plans the next sample.
    pub(super) fn sample(&mut self, capacity: u32) {
        let counts = self.counts();
        let t = self.now.as_secs_f64();
        self.samples.push(Sample { t, visible: counts.visible, in_flight: counts.in_flight, capacity });
        if !self.staleness.is_zero() {
            self.past.push_back((self.now, counts));
            while self.past.get(1).is_some_and(|(at, _)| *at + self.staleness <= self.now) {
                self.past.pop_front();
            }
        }
        let moved = self.books.requests.moving();
        if moved != self.moved.0 {
            self.moved = (moved, self.now);
        }
        self.agenda.plan(self.now + SAMPLE_EVERY, Event::Sample);
    }

    /// The counts now.
    pub(super) fn counts(&mut self) -> Counts {
        self.queue.counts(self.now)
    }

    /// What a policy sees: counts as old as the scenario says.
    pub(super) fn observation(&mut self, replicas: u32, ready: u32) -> Observation {
        let counts = if self.staleness.is_zero() {
            self.counts()
        } else {
            let seen = self.past.iter().rev().find(|(at, _)| *at + self.staleness <= self.now);
            seen.map(|(_, counts)| *counts).unwrap_or_default()
        };
        Observation { queue: Some(counts), replicas, ready }
    }

    /// Notes what a look came to.
    pub(super) fn decided(&mut self, decision: twinscale_scaling::Decision) {
        self.decisions.push(Decision::at(self.now, decision));
    }

    /// When the queue by itself next makes a message visible.
    pub(super) fn queue_due(&mut self) -> Option<Duration> {
        self.queue.due()
    }

    /// One receive of up to `max` messages, each handed to `take`. Says how many it brought; none is not yet an empty
    /// receive: the long poll goes on.
    pub(super) fn receive(&mut self, max: u32, mut take: impl FnMut(Held)) -> usize {
        let mut brought = std::mem::take(&mut self.brought);
        // At the in-flight limit a long poll brings nothing.
        let count = self.queue.receive(self.now, max.min(10) as usize, None, &mut brought).unwrap_or(0);
        for Received { handle, message, .. } in brought.drain(..) {
            self.books.redelivered += u64::from(message.receives > 1);
            take(Held {
                handle,
                number: message.id,
                receives: message.receives,
                failures: 0,
                paid: false,
                group: message.payload,
                fate: Fate::Done,
                renewed: self.now,
            });
        }
        self.brought = brought;
        if count > 0 {
            self.books.requests.receive += billed(count, self.body_bytes);
        }
        self.note_departures();
        count
    }

    /// One delete request for up to 10 messages. Messages that somebody else has received since stay.
    pub(super) fn delete(&mut self, held: &[Held], idle_receives: u64) {
        for message in held {
            if let Ok(Some(deleted)) = self.queue.delete(self.now, message.handle) {
                match message.fate {
                    Fate::Reject => self.books.rejected += 1,
                    Fate::Retry | Fate::Throw => self.books.discarded += 1,
                    Fate::Done => self.books.done(self.now, self.now.saturating_sub(deleted.sent_at)),
                }
            }
        }
        self.books.deleted(self.now, idle_receives);
    }

    /// A retry: visible again after the back-off, which begins in `ahead`.
    pub(super) fn retry(&mut self, work: &Work, backoff: Backoff, held: &Held, ahead: Duration) {
        self.retry_after(held, ahead + held.pause(work, backoff));
    }

    /// A retry that is visible again after so long.
    pub(super) fn retry_after(&mut self, held: &Held, after: Duration) {
        self.books.retried += 1;
        self.books.requests.change_visibility += 1;
        // A handle that is no longer good means that somebody else has the message.
        let _ = self.queue.change_visibility(self.now, held.handle, after);
    }

    /// A reject: sent to the dead-letter queue at once; the delete follows.
    pub(super) fn reject(&mut self) {
        self.books.requests.send += billed(1, self.body_bytes);
    }

    /// Gives messages back unfinished, visible in `ahead`, ten a request.
    pub(super) fn give_back(&mut self, held: &[Held], ahead: Duration) {
        for message in held {
            if self.queue.change_visibility(self.now, message.handle, ahead).is_ok() {
                self.books.given_back += 1;
            }
        }
        self.books.requests.change_visibility += (held.len() as u64).div_ceil(10);
    }

    /// Extends the visibility of messages that are still worked on; the caller counts the requests.
    pub(super) fn extend(&mut self, held: &mut Held, visibility: Duration) {
        held.renewed = self.now;
        let _ = self.queue.change_visibility(self.now, held.handle, visibility);
    }

    /// Books what left the queue by itself.
    pub(super) fn note_departures(&mut self) {
        if !self.queue.has_departures() {
            return;
        }
        for departure in self.queue.departures() {
            match departure {
                Departure::DeadLetter(_) => {
                    self.books.rejected += 1;
                    self.books.redriven += 1;
                }
                Departure::Expired(_) => self.books.expired += 1,
            }
        }
    }
}

impl Held {
    /// Which attempt at this message this is, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.receives + self.failures
    }

    /// How long a retry waits: the hosts' own back-off, with the luck of this attempt.
    pub(super) fn pause(&self, work: &Work, backoff: Backoff) -> Duration {
        backoff.delay(self.attempt(), twinscale_work::backoff_luck(work.seed, self.number, self.attempt()))
    }
}

/// Draws the luck of one attempt: how it ends, and how long it waits beside the computing.
pub(super) fn draw(work: &Work, held: &mut Held) -> Duration {
    let drawn = work.draw(held.number, held.attempt());
    held.fate = drawn.fate;
    drawn.wait
}
