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

pub use types::{
    Attributes, Counts, Departure, HandleError, Message, OverLimit, Place, Received, Send, Sent, VISIBILITY_MAX,
};

use deduplication::Deduplication;
use groups::{Groups, Opened};
use slab::{MessageState, Slab};
use timers::Timers;

pub use slab::Handle;

/// A standard or FIFO queue of payloads `P`.
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
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
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
enum Order {
    /// As they became visible. An entry whose message has gone meanwhile no longer matches its slot's generation.
    Standard(VecDeque<Handle>),
    /// The oldest of a group, if nobody holds one before it.
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
    pub fn set_attributes(&mut self, now: Duration, attributes: Attributes) {
        self.advance(now);
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
            receives_before: 0,
        };
        self.insert(now, message, delay);
        sent
    }

    /// Takes in a dead letter of another queue. It keeps its id and its receive count, and on a standard queue the time
    /// it was sent, from which retention counts.
    pub fn admit(&mut self, now: Duration, message: Message<P>) {
        self.advance(now);
        let sent_at = if self.attributes.fifo { now } else { message.sent_at };
        let admitted = Message { sent_at, receives_before: message.receives, ..message };
        self.insert(now, admitted, Duration::ZERO);
    }

    /// Hands up to `max` messages to a receiver, appended to `out`, hidden for `visibility` (the queue's, if `None`),
    /// and says how many.
    ///
    /// A message that was received as often as the redrive policy allows departs instead. On a FIFO queue a receive
    /// brings as many of one group as it can, up to the first that somebody holds; what it brings locks those behind.
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
        let mut opened = None;
        let mut taken = 0;
        while taken < max {
            let Some(slot) = self.next_visible(&mut opened) else { break };
            let message = self.slab.message(slot);
            if message.receives - message.receives_before >= most_receives {
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
            slab::Look::Superseded(_) if fifo => Err(HandleError::Expired),
            slab::Look::Superseded(_) | slab::Look::Gone => Ok(None),
            slab::Look::Never => Err(HandleError::Invalid),
        }
    }

    /// Hides the message for `timeout` from now, zero shows it at once, and returns it. The handle stays the same.
    ///
    /// As SQS, it takes a handle whose visibility timeout is over: the message is in flight again, under that handle if
    /// nobody has received it since, else under its receiver's. So success does not say who holds the message.
    ///
    /// # Errors
    /// [`HandleError::Gone`] when the message is deleted, [`HandleError::Invalid`] for a handle that this queue never
    /// gave, [`HandleError::TooLong`] when the message would be hidden for more than 12 hours after it was received.
    pub fn change_visibility(
        &mut self,
        now: Duration,
        handle: Handle,
        timeout: Duration,
    ) -> Result<&Message<P>, HandleError> {
        self.advance(now);
        let slot = match self.slab.look(handle) {
            slab::Look::Held(slot) | slab::Look::Visible(slot) | slab::Look::Superseded(slot) => slot,
            slab::Look::Gone => return Err(HandleError::Gone),
            slab::Look::Never => return Err(HandleError::Invalid),
        };
        let until = now.saturating_add(timeout);
        let received_at = self.slab.message(slot).received_at.unwrap_or(now);
        if until > received_at.saturating_add(VISIBILITY_MAX) {
            return Err(HandleError::TooLong);
        }
        match self.slab.state(slot) {
            MessageState::InFlight => self.slab.set(slot, MessageState::InFlight, until),
            // It is shown already.
            MessageState::Visible if timeout.is_zero() => return Ok(self.slab.message(slot)),
            MessageState::Visible => {
                self.count(slot, -1);
                self.slab.set(slot, MessageState::InFlight, until);
                self.count(slot, 1);
                if let Order::Fifo(fifo) = &mut self.order {
                    fifo.0.taken(self.slab.turn(slot));
                }
            }
            MessageState::Delayed | MessageState::Free => unreachable!("it was received, and is not gone"),
        }
        self.timers.push(until, self.slab.handle(slot));
        self.advance(now);
        Ok(self.slab.message(slot))
    }

    /// Hands a message to its holder once more, under the same handle and hidden anew: the answer to a FIFO receive that
    /// is asked again because the first answer was lost.
    pub fn renew(&mut self, now: Duration, handle: Handle, visibility: Option<Duration>) -> Option<Received<P>> {
        let timeout = visibility.unwrap_or(self.attributes.visibility_timeout);
        self.advance(now);
        let slab::Look::Held(slot) = self.slab.look(handle) else { return None };
        self.change_visibility(now, handle, timeout).ok()?;
        let message = self.slab.message(slot).clone();
        let sequence = self.slab.turn(slot).sequence;
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

    /// Drops every message, those in flight included, and forgets their deduplication ids.
    pub fn purge(&mut self, now: Duration) {
        self.advance(now);
        if let Order::Fifo(fifo) = &mut self.order {
            fifo.1 = Deduplication::default();
        }
        while let Some(slot) = self.slab.oldest() {
            self.remove(slot);
        }
    }

    /// How many messages are visible, in flight and delayed.
    pub fn counts(&mut self, now: Duration) -> Counts {
        self.advance(now);
        self.counts
    }

    /// What is in the queue, the oldest first, and how each message stands.
    pub fn messages(&mut self, now: Duration) -> impl Iterator<Item = (Place, &Message<P>)> {
        self.advance(now);
        self.slab.by_age().map(|slot| {
            let place = match self.slab.state(slot) {
                MessageState::Visible | MessageState::Free => Place::Visible,
                MessageState::Delayed => Place::Delayed { until: self.slab.until(slot) },
                MessageState::InFlight => Place::InFlight { until: self.slab.until(slot) },
            };
            (place, self.slab.message(slot))
        })
    }

    /// True when a receive at `now` would look at no message, and so change nothing.
    pub fn is_idle(&mut self, now: Duration) -> bool {
        self.advance(now);
        match &self.order {
            Order::Standard(ready) => ready.is_empty(),
            Order::Fifo(fifo) => fifo.0.is_idle(),
        }
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

    /// Lets happen what is due by `now`, in the order of time: delays and visibility timeouts end, old messages expire.
    /// So how often it is called changes nothing.
    fn advance(&mut self, now: Duration) {
        loop {
            let expires = |slot| (slot, self.slab.message(slot).sent_at.saturating_add(self.attributes.retention));
            let expired = self.slab.oldest().map(expires).filter(|(_, at)| *at <= now);
            self.show_due(expired.map_or(now, |(_, at)| at));
            let Some((slot, _)) = expired else { return };
            let message = self.remove(slot);
            self.departed.push(Departure::Expired(message));
        }
    }

    /// Ends delays and visibility timeouts.
    fn show_due(&mut self, now: Duration) {
        while let Some(slot) = self.timers.pop_due(now, &self.slab) {
            self.count(slot, -1);
            let held = self.slab.state(slot) == MessageState::InFlight;
            self.slab.set(slot, MessageState::Visible, now);
            self.count(slot, 1);
            match &mut self.order {
                Order::Standard(ready) => ready.push_back(self.slab.handle(slot)),
                Order::Fifo(fifo) => fifo.0.visible(self.slab.turn(slot), held, |s| self.slab.is_visible(s)),
            }
        }
    }

    fn insert(&mut self, now: Duration, message: Message<P>, delay: Duration) {
        self.sequence += 1;
        let state = if delay.is_zero() { MessageState::Visible } else { MessageState::Delayed };
        let group = match (&mut self.order, &message.group) {
            (Order::Fifo(fifo), name) => fifo.0.find(name.clone().unwrap_or_else(|| Arc::from(""))),
            (Order::Standard(_), _) => 0,
        };
        let slot = self.slab.insert(message, self.sequence, group);
        self.slab.set(slot, state, now.saturating_add(delay));
        self.count(slot, 1);
        let handle = self.slab.handle(slot);
        if state == MessageState::Delayed {
            self.timers.push(now.saturating_add(delay), handle);
        }
        match &mut self.order {
            Order::Standard(ready) if state == MessageState::Visible => ready.push_back(handle),
            Order::Standard(_) => {}
            Order::Fifo(fifo) => fifo.0.arrived(self.slab.turn(slot), |s| self.slab.is_visible(s)),
        }
    }

    fn next_visible(&mut self, opened: &mut Option<Opened>) -> Option<u32> {
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
            fifo.0.taken(self.slab.turn(slot));
        }
        self.timers.push(until, handle);
        self.timers.compact(self.counts.in_flight + self.counts.delayed, &self.slab);
        let sequence = self.slab.turn(slot).sequence;
        let message = self.slab.message_mut(slot);
        message.receives += 1;
        message.received_at = Some(now);
        message.first_received_at.get_or_insert(now);
        Received { handle, sequence, message: message.clone() }
    }

    fn remove(&mut self, slot: u32) -> Message<P> {
        self.count(slot, -1);
        let state = self.slab.state(slot);
        let turn = self.slab.turn(slot);
        let message = self.slab.remove(slot);
        if let Order::Fifo(fifo) = &mut self.order {
            fifo.0.removed(turn, state == MessageState::InFlight, |s| self.slab.is_visible(s));
        }
        message
    }

    fn count(&mut self, slot: u32, by: i64) {
        let count = match self.slab.state(slot) {
            MessageState::Visible => &mut self.counts.visible,
            MessageState::InFlight => &mut self.counts.in_flight,
            MessageState::Delayed => &mut self.counts.delayed,
            MessageState::Free => return,
        };
        *count = count.saturating_add_signed(by);
    }
}
