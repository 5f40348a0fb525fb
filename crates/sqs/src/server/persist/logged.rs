//! A queue whose calls are written down, if the server keeps its queues. It is called as the queue itself is.

use std::sync::Arc;
use std::time::Duration;

use super::super::content::Payload;
use super::record::{Left, LoggedCall, Record};
use super::{Log, Transit};
use crate::model::{
    Attributes, Counts, Departure, Handle, HandleError, Message, OverLimit, Place, Queue, Received, Send, Sent,
};

/// A queue of a server.
pub(in crate::server) struct LoggedQueue {
    queue: Queue<Payload>,
    /// Its number among the server's queues.
    number: u64,
    log: Option<Arc<Log>>,
}

impl LoggedQueue {
    /// That queue, under its number.
    pub(in crate::server) fn new(queue: Queue<Payload>, number: u64, log: Option<Arc<Log>>) -> Self {
        Self { queue, number, log }
    }

    /// What a picture shows.
    pub(in crate::server) fn state(&self) -> &Queue<Payload> {
        &self.queue
    }

    fn note(&self, at: Duration, call: impl FnOnce() -> LoggedCall) {
        if let Some(log) = &self.log {
            log.append(&Record::Called { queue: self.number, at, call: call() });
        }
    }

    /// It was deleted: what others still do with it is not written.
    pub(in crate::server) fn end(&mut self) {
        if let Some(log) = self.log.take() {
            log.append(&Record::Deleted { queue: self.number });
        }
    }

    /// As [`Queue::send`].
    pub(in crate::server) fn send(&mut self, now: Duration, send: Send<Payload>) -> Sent {
        let kept = self.log.is_some().then(|| send.clone());
        let sent = self.queue.send(now, send);
        if let Some(send) = kept.filter(|_| !sent.duplicate) {
            self.note(now, || LoggedCall::Send(send));
        }
        sent
    }

    /// As [`Queue::admit`].
    pub(in crate::server) fn admit(&mut self, now: Duration, message: Message<Payload>) {
        if let Some(log) = &self.log {
            let mut written = log.written();
            written.in_transit.remove(&message.id);
            written.append(&Record::Called { queue: self.number, at: now, call: LoggedCall::Admit(message.clone()) });
        }
        self.queue.admit(now, message);
    }

    /// As [`Queue::receive`].
    pub(in crate::server) fn receive(
        &mut self,
        now: Duration,
        max: usize,
        visibility: Option<Duration>,
        out: &mut Vec<Received<Payload>>,
    ) -> Result<usize, OverLimit> {
        let changes = self.log.is_some() && !self.queue.is_idle(now);
        let before = out.len();
        let taken = self.queue.receive(now, max, visibility, out)?;
        if changes {
            let brought = out[before..].iter().map(|one| one.handle.to_bits()).collect();
            self.note(now, || LoggedCall::Receive { max, visibility, brought });
        }
        Ok(taken)
    }

    /// As [`Queue::renew`].
    pub(in crate::server) fn renew(
        &mut self,
        now: Duration,
        handle: Handle,
        visibility: Option<Duration>,
    ) -> Option<Received<Payload>> {
        let renewed = self.queue.renew(now, handle, visibility)?;
        self.note(now, || LoggedCall::Renew { handle: handle.to_bits(), visibility });
        Some(renewed)
    }

    /// As [`Queue::delete`].
    pub(in crate::server) fn delete(
        &mut self,
        now: Duration,
        handle: Handle,
    ) -> Result<Option<Message<Payload>>, HandleError> {
        let deleted = self.queue.delete(now, handle)?;
        if deleted.is_some() {
            self.note(now, || LoggedCall::Delete { handle: handle.to_bits() });
        }
        Ok(deleted)
    }

    /// As [`Queue::change_visibility`].
    pub(in crate::server) fn change_visibility(
        &mut self,
        now: Duration,
        handle: Handle,
        timeout: Duration,
    ) -> Result<&Message<Payload>, HandleError> {
        let message = self.queue.change_visibility(now, handle, timeout)?;
        if let Some(log) = &self.log {
            let call = LoggedCall::ChangeVisibility { handle: handle.to_bits(), timeout };
            log.append(&Record::Called { queue: self.number, at: now, call });
        }
        Ok(message)
    }

    /// As [`Queue::withdraw`].
    pub(in crate::server) fn withdraw(&mut self, now: Duration, max: usize, out: &mut Vec<Message<Payload>>) -> usize {
        let before = out.len();
        let withdrawn = self.queue.withdraw(now, max, out);
        self.note(now, || LoggedCall::Withdraw { max });
        self.leave(&out[before..]);
        withdrawn
    }

    /// As [`Queue::purge`].
    pub(in crate::server) fn purge(&mut self, now: Duration) {
        self.queue.purge(now);
        self.note(now, || LoggedCall::Purge);
    }

    /// As [`Queue::set_attributes`], `given` by a user.
    pub(in crate::server) fn set_attributes(
        &mut self,
        now: Duration,
        attributes: Attributes,
        given: &std::collections::BTreeMap<String, String>,
    ) {
        self.queue.set_attributes(now, attributes);
        if let Some(log) = &self.log {
            log.append(&Record::Changed { queue: self.number, at: now, attributes: given.clone() });
        }
    }

    /// Notes the tags that the queue has now.
    pub(in crate::server) fn tagged(&self, tags: &std::collections::BTreeMap<String, String>) {
        if let Some(log) = &self.log {
            log.append(&Record::Tagged { queue: self.number, tags: tags.clone() });
        }
    }

    /// As [`Queue::departures`]. Dead letters are in transit from here until they are admitted, or dropped.
    pub(in crate::server) fn departures(&mut self) -> Vec<Departure<Payload>> {
        let departures: Vec<_> = self.queue.departures().collect();
        let dead: Vec<_> = departures.iter().filter_map(dead_letter).cloned().collect();
        self.leave(&dead);
        departures
    }

    fn leave(&self, messages: &[Message<Payload>]) {
        let Some(log) = self.log.as_ref().filter(|_| !messages.is_empty()) else { return };
        let left = |message: &Message<Payload>| (message.id, Left { queue: self.number, message: message.clone() });
        log.written().in_transit.extend(messages.iter().map(left));
    }

    /// As [`Queue::has_departures`].
    pub(in crate::server) fn has_departures(&self) -> bool {
        self.queue.has_departures()
    }

    /// As [`Queue::counts`].
    pub(in crate::server) fn counts(&mut self, now: Duration) -> Counts {
        self.queue.counts(now)
    }

    /// As [`Queue::due`].
    pub(in crate::server) fn due(&mut self) -> Option<Duration> {
        self.queue.due()
    }

    /// As [`Queue::messages`].
    pub(in crate::server) fn messages(&mut self, now: Duration) -> impl Iterator<Item = (Place, &Message<Payload>)> {
        self.queue.messages(now)
    }

    /// Does a call of the log again. `false`: it comes out otherwise than it did.
    pub(super) fn replay(&mut self, at: Duration, call: LoggedCall, in_transit: &mut Transit) -> bool {
        let mut left = Vec::new();
        let same = match call {
            LoggedCall::Send(send) => !self.queue.send(at, send).duplicate,
            LoggedCall::Admit(message) => {
                in_transit.remove(&message.id);
                self.queue.admit(at, message);
                true
            }
            LoggedCall::Receive { max, visibility, brought } => {
                let mut out = Vec::new();
                let received = self.queue.receive(at, max, visibility, &mut out);
                received.is_ok() && out.iter().map(|one| one.handle.to_bits()).eq(brought)
            }
            LoggedCall::Renew { handle, visibility } => {
                self.queue.renew(at, Handle::from_bits(handle), visibility).is_some()
            }
            LoggedCall::Delete { handle } => {
                self.queue.delete(at, Handle::from_bits(handle)).is_ok_and(|it| it.is_some())
            }
            LoggedCall::ChangeVisibility { handle, timeout } => {
                self.queue.change_visibility(at, Handle::from_bits(handle), timeout).is_ok()
            }
            LoggedCall::Withdraw { max } => {
                self.queue.withdraw(at, max, &mut left);
                true
            }
            LoggedCall::Purge => {
                self.queue.purge(at);
                true
            }
        };
        left.extend(self.queue.departures().filter_map(|departure| dead_letter(&departure).cloned()));
        in_transit.extend(left.into_iter().map(|message| (message.id, Left { queue: self.number, message })));
        same
    }

    /// Sets attributes as the log says, unwritten.
    pub(super) fn replay_attributes(&mut self, at: Duration, attributes: Attributes) {
        self.queue.set_attributes(at, attributes);
        // Settings make no dead letters.
        self.queue.departures().for_each(drop);
    }
}

fn dead_letter(departure: &Departure<Payload>) -> Option<&Message<Payload>> {
    match departure {
        Departure::DeadLetter(message) => Some(message),
        Departure::Expired(_) => None,
    }
}
