//! The queue as a pure state machine: `now` is an argument, the payload is generic, nothing waits and nothing is sent.
//!
//! It keeps the rules of SQS (facts: the SQS developer guide and API model): visibility, delay, receive count, redrive
//! to a dead-letter queue, retention, the in-flight limit, and for FIFO queues group locks and deduplication. The
//! local engine serves it over HTTP with bodies as payload; the simulator calls it with `()`.
//!
//! One slab holds the messages (`slab`), and a receipt handle is a slot with its generation, so current, stale and
//! forged handles are told apart without a table of handles. One heap holds the timers of delay and visibility
//! (`timers`); every call first lets what is due happen. What leaves by itself (dead letters, expired messages) waits
//! in [`Queue::departures`] for whoever owns the queue; what is received and deleted is returned by those calls.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

mod deduplication;
mod groups;
mod slab;
mod timers;
mod types;

pub use types::{Attributes, Counts, Departure, HandleError, Message, OverLimit, Received, Send, Sent, VISIBILITY_MAX};

use deduplication::Deduplication;
use groups::Groups;
use slab::{Slab, State};
use timers::Timers;

pub use slab::Handle;

/// A standard or FIFO queue of payloads `P`.
pub struct Queue<P> {
    attributes: Attributes,
    slab: Slab<P>,
    timers: Timers,
    order: Order,
    counts: Counts,
    sequence: u64,
    departed: Vec<Departure<P>>,
}

/// Which visible message is next.
enum Order {
    /// As they became visible. An entry whose message has gone meanwhile no longer matches its slot's generation.
    Standard(VecDeque<Handle>),
    /// The oldest of a group that nobody holds.
    Fifo(Box<(Groups, Deduplication)>),
}

impl<P: Clone> Queue<P> {
    /// An empty queue.
    pub fn new(attributes: Attributes) -> Self {
        let order = match attributes.fifo {
            false => Order::Standard(VecDeque::new()),
            true => Order::Fifo(Box::default()),
        };
        Self {
            attributes,
            slab: Slab::default(),
            timers: Timers::default(),
            order,
            counts: Counts::default(),
            sequence: 0,
            departed: Vec::new(),
        }
    }

    /// The settings in force.
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Changes settings. Messages already delayed or in flight keep their timers; retention counts at once. Whether it
    /// is a FIFO queue never changes.
    pub fn set_attributes(&mut self, attributes: Attributes) {
        self.attributes = Attributes { fifo: self.attributes.fifo, ..attributes };
    }

    /// Takes a message in. A FIFO queue accepts a duplicate within five minutes but keeps only the first, whose id and
    /// sequence are returned.
    pub fn send(&mut self, now: Duration, send: Send<P>) -> Sent {
        self.advance(now);
        let sent = Sent { id: send.id, sequence: self.sequence + 1, duplicate: false };
        if let (Order::Fifo(fifo), Some(key)) = (&mut self.order, &send.deduplication) {
            let scope = if self.attributes.deduplicate_by_group { send.group.as_deref() } else { None };
            if let Some(first) = fifo.1.check(now, scope, key, sent) {
                return Sent { duplicate: true, ..first };
            }
        }
        let delay = send.delay.unwrap_or(self.attributes.delay);
        let message = Message {
            id: send.id,
            payload: send.payload,
            group: send.group,
            deduplication: send.deduplication,
            sent_at: now,
            first_received_at: None,
            received_at: None,
            receives: 0,
        };
        self.insert(now, message, delay);
        sent
    }

    /// Takes in a message that left another queue, by redrive or by a move task. It keeps its id, and on a standard
    /// queue the time it was sent, from which retention counts; its receives start anew.
    pub fn admit(&mut self, now: Duration, message: Message<P>) {
        self.advance(now);
        let sent_at = if self.attributes.fifo { now } else { message.sent_at };
        let fresh = Message { sent_at, first_received_at: None, received_at: None, receives: 0, ..message };
        self.insert(now, fresh, Duration::ZERO);
    }

    /// Hands up to `max` messages to a receiver, appended to `out`, hidden for `visibility` (the queue's, if `None`),
    /// and says how many.
    ///
    /// A message that was received as often as the redrive policy allows departs instead. On a FIFO queue a receive
    /// brings as many of one group as it can, and locks the group.
    ///
    /// # Errors
    /// [`OverLimit`] on a standard queue with as many messages in flight as are allowed; a FIFO queue brings nothing.
    pub fn receive(
        &mut self,
        now: Duration,
        max: usize,
        visibility: Option<Duration>,
        out: &mut Vec<Received<P>>,
    ) -> Result<usize, OverLimit> {
        self.advance(now);
        let room = self.attributes.in_flight_limit.saturating_sub(self.counts.in_flight);
        if room == 0 && !self.attributes.fifo {
            return Err(OverLimit);
        }
        let max = max.min(usize::try_from(room).unwrap_or(usize::MAX));
        let until = now.saturating_add(visibility.unwrap_or(self.attributes.visibility_timeout));
        let most_receives = self.attributes.max_receive_count.unwrap_or(u32::MAX);
        let (mut opened, mut taken) = (None, 0);
        while taken < max {
            let Some(slot) = self.next_visible(&mut opened) else { break };
            if self.slab.message(slot).receives >= most_receives {
                let message = self.remove(slot);
                self.departed.push(Departure::DeadLetter(message));
            } else {
                out.push(self.hand_out(now, until, slot));
                taken += 1;
            }
        }
        Ok(taken)
    }

    /// Deletes the message that `handle` holds, and returns it. `None`: it was deleted already, or (standard queues)
    /// somebody else has received it since; SQS calls both a success.
    ///
    /// # Errors
    /// [`HandleError::Invalid`] for a handle that this queue never gave; on a FIFO queue [`HandleError::Expired`] when
    /// the visibility timeout is over, since another may hold the group.
    pub fn delete(&mut self, now: Duration, handle: Handle) -> Result<Option<Message<P>>, HandleError> {
        self.advance(now);
        let fifo = self.attributes.fifo;
        match self.slab.look(handle) {
            slab::Look::Held(slot) => Ok(Some(self.remove(slot))),
            slab::Look::Visible(slot) if !fifo => Ok(Some(self.remove(slot))),
            slab::Look::Visible(_) => Err(HandleError::Expired),
            slab::Look::Superseded if fifo => Err(HandleError::Expired),
            slab::Look::Superseded | slab::Look::Gone => Ok(None),
            slab::Look::Never => Err(HandleError::Invalid),
        }
    }

    /// Hides the message for `timeout` from now; zero gives it back at once. The handle stays the same.
    ///
    /// # Errors
    /// Tells apart a message that is not in flight, one that is gone or with somebody else, a forged handle, and a
    /// timeout that would keep it for more than 12 hours after it was received.
    pub fn change_visibility(&mut self, now: Duration, handle: Handle, timeout: Duration) -> Result<(), HandleError> {
        self.advance(now);
        let slot = match self.slab.look(handle) {
            slab::Look::Held(slot) => slot,
            slab::Look::Visible(_) if self.attributes.fifo => return Err(HandleError::Expired),
            slab::Look::Visible(_) => return Err(HandleError::NotInFlight),
            slab::Look::Superseded | slab::Look::Gone => return Err(HandleError::Gone),
            slab::Look::Never => return Err(HandleError::Invalid),
        };
        let until = now.saturating_add(timeout);
        let received_at = self.slab.message(slot).received_at.unwrap_or(now);
        if until > received_at.saturating_add(VISIBILITY_MAX) {
            return Err(HandleError::TooLong);
        }
        self.slab.set(slot, State::InFlight, until);
        self.timers.push(until, handle);
        self.advance(now);
        Ok(())
    }

    /// The message that `handle` holds, if it still does.
    pub fn held(&self, handle: Handle) -> Option<&Message<P>> {
        match self.slab.look(handle) {
            slab::Look::Held(slot) => Some(self.slab.message(slot)),
            _ => None,
        }
    }

    /// Hands a message to its holder once more, under the same handle and hidden anew: the answer to a FIFO receive that
    /// is asked again because the first answer was lost.
    pub fn renew(&mut self, now: Duration, handle: Handle, visibility: Option<Duration>) -> Option<Received<P>> {
        let timeout = visibility.unwrap_or(self.attributes.visibility_timeout);
        self.change_visibility(now, handle, timeout).ok()?;
        let slab::Look::Held(slot) = self.slab.look(handle) else { return None };
        let (message, sequence) = (self.slab.message(slot).clone(), self.slab.place(slot).sequence);
        Some(Received { handle, sequence, message })
    }

    /// Takes up to `max` visible messages out without receiving them, for a move task.
    pub fn withdraw(&mut self, now: Duration, max: usize, out: &mut Vec<Message<P>>) -> usize {
        self.advance(now);
        let before = out.len();
        let mut opened = None;
        while out.len() - before < max {
            let Some(slot) = self.next_visible(&mut opened) else { break };
            out.push(self.remove(slot));
        }
        out.len() - before
    }

    /// Drops every message, those in flight included.
    pub fn purge(&mut self, now: Duration) {
        self.advance(now);
        while let Some(slot) = self.slab.oldest() {
            self.remove(slot);
        }
    }

    /// How many messages are visible, in flight and delayed.
    pub fn counts(&mut self, now: Duration) -> Counts {
        self.advance(now);
        self.counts
    }

    /// When time alone next makes a message visible; retention is left out, it only takes messages away.
    pub fn due(&mut self) -> Option<Duration> {
        self.timers.next(&self.slab)
    }

    /// Messages that left by themselves since the last call: dead letters, for the owner to [`admit`](Self::admit)
    /// where the redrive policy says, and expired ones.
    pub fn departures(&mut self) -> std::vec::Drain<'_, Departure<P>> {
        self.departed.drain(..)
    }

    /// True when [`departures`](Self::departures) has something.
    pub fn has_departures(&self) -> bool {
        !self.departed.is_empty()
    }

    /// Lets happen what is due by `now`: delays and visibility timeouts end, old messages expire.
    fn advance(&mut self, now: Duration) {
        while let Some(slot) = self.timers.pop_due(now, &self.slab) {
            self.count(slot, -1);
            let held = self.slab.state(slot) == State::InFlight;
            self.slab.set(slot, State::Visible, now);
            self.count(slot, 1);
            match &mut self.order {
                Order::Standard(ready) => ready.push_back(self.slab.handle(slot)),
                Order::Fifo(fifo) => fifo.0.visible(self.slab.place(slot), held, |s| self.slab.is_visible(s)),
            }
        }
        while let Some(slot) = self.slab.oldest() {
            if self.slab.message(slot).sent_at.saturating_add(self.attributes.retention) > now {
                break;
            }
            let message = self.remove(slot);
            self.departed.push(Departure::Expired(message));
        }
    }

    fn insert(&mut self, now: Duration, message: Message<P>, delay: Duration) {
        self.sequence += 1;
        let state = if delay.is_zero() { State::Visible } else { State::Delayed };
        let group = match (&mut self.order, &message.group) {
            (Order::Fifo(fifo), name) => fifo.0.find(name.clone().unwrap_or_else(|| Arc::from(""))),
            (Order::Standard(_), _) => 0,
        };
        let slot = self.slab.insert(message, self.sequence, group);
        self.slab.set(slot, state, now.saturating_add(delay));
        self.count(slot, 1);
        let handle = self.slab.handle(slot);
        if state == State::Delayed {
            self.timers.push(now.saturating_add(delay), handle);
        }
        match &mut self.order {
            Order::Standard(ready) if state == State::Visible => ready.push_back(handle),
            Order::Standard(_) => {}
            Order::Fifo(fifo) => fifo.0.arrived(self.slab.place(slot), |s| self.slab.is_visible(s)),
        }
    }

    fn next_visible(&mut self, opened: &mut Option<u32>) -> Option<u32> {
        match &mut self.order {
            Order::Standard(ready) => loop {
                let handle = ready.pop_front()?;
                if let Some(slot) = self.slab.visible(handle) {
                    return Some(slot);
                }
            },
            Order::Fifo(fifo) => fifo.0.next(opened, |s| self.slab.is_visible(s)),
        }
    }

    /// `slot` is visible and no longer among those that wait their turn.
    fn hand_out(&mut self, now: Duration, until: Duration, slot: u32) -> Received<P> {
        self.count(slot, -1);
        let handle = self.slab.receive(slot, until);
        self.count(slot, 1);
        if let Order::Fifo(fifo) = &mut self.order {
            fifo.0.taken(self.slab.place(slot));
        }
        self.timers.push(until, handle);
        self.timers.compact(self.counts.in_flight + self.counts.delayed, &self.slab);
        let sequence = self.slab.place(slot).sequence;
        let message = self.slab.message_mut(slot);
        message.receives += 1;
        message.received_at = Some(now);
        message.first_received_at.get_or_insert(now);
        Received { handle, sequence, message: message.clone() }
    }

    fn remove(&mut self, slot: u32) -> Message<P> {
        self.count(slot, -1);
        let (state, place) = (self.slab.state(slot), self.slab.place(slot));
        let message = self.slab.remove(slot);
        if let Order::Fifo(fifo) = &mut self.order {
            fifo.0.removed(place, state == State::InFlight, |s| self.slab.is_visible(s));
        }
        message
    }

    fn count(&mut self, slot: u32, by: i64) {
        let count = match self.slab.state(slot) {
            State::Visible => &mut self.counts.visible,
            State::InFlight => &mut self.counts.in_flight,
            State::Delayed => &mut self.counts.delayed,
            State::Free => return,
        };
        *count = count.saturating_add_signed(by);
    }
}
