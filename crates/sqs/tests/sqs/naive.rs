//! A second model of a queue, slow and plain: one list, looked through for every question. It says what the queue must
//! do where SQS leaves no choice, and whether what the queue did is allowed where SQS leaves one (which group is next,
//! the order of a standard queue).

use std::collections::BTreeMap;
use std::time::Duration;

use twinscale_sqs::model::{Attributes, Counts, Departure, Handle, HandleError, Received, Send, Sent, VISIBILITY_MAX};

/// How long a deduplication id counts.
const WINDOW: Duration = Duration::from_secs(300);

/// A message in the queue.
#[derive(Clone, Debug)]
struct Entry {
    id: u64,
    group: Option<String>,
    sequence: u64,
    sent_at: Duration,
    /// In flight or delayed until then.
    hidden_until: Option<Duration>,
    received_at: Duration,
    receives: u32,
    /// As often in other queues, before it came here.
    receives_before: u32,
    /// The handle of the last receive.
    handle: Option<Handle>,
}

/// What the queue is compared with.
pub struct Naive {
    attributes: Attributes,
    now: Duration,
    sent: u64,
    entries: Vec<Entry>,
    /// Every handle that was given, and the message that it was given for.
    given: BTreeMap<Handle, u64>,
    /// Accepted deduplication ids with the group in which they count.
    accepted: Vec<(Duration, Option<String>, String, Sent)>,
    expired: Vec<u64>,
}

impl Naive {
    pub fn new(attributes: Attributes) -> Self {
        let (given, entries, accepted, expired) = Default::default();
        Self { attributes, now: Duration::ZERO, sent: 0, entries, given, accepted, expired }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every handle that was given, the newest message's last.
    pub fn handles(&self) -> impl DoubleEndedIterator<Item = Handle> {
        let mut handles: Vec<_> = self.given.iter().collect();
        handles.sort_by_key(|(handle, id)| (**id, handle.to_bits()));
        handles.into_iter().map(|(handle, _)| *handle)
    }

    pub fn pass(&mut self, to: Duration) {
        self.now = to;
        for entry in &mut self.entries {
            entry.hidden_until = entry.hidden_until.filter(|until| *until > to);
        }
        let oldest = to.checked_sub(self.attributes.retention);
        let is_old = |entry: &Entry| oldest.is_some_and(|oldest| entry.sent_at <= oldest);
        self.expired.extend(self.entries.extract_if(.., |entry| is_old(entry)).map(|entry| entry.id));
    }

    pub fn send(&mut self, send: &Send<()>) -> Sent {
        let sent = Sent { id: send.id, sequence: self.sent + 1, duplicate: false };
        if let (true, Some(key)) = (self.attributes.fifo, &send.deduplication) {
            let scope = send.group.as_deref().filter(|_| self.attributes.deduplicate_by_group).map(str::to_owned);
            self.accepted.retain(|(at, ..)| *at + WINDOW > self.now);
            let first = self.accepted.iter().find(|(_, of, id, _)| *of == scope && **id == **key);
            if let Some((.., first)) = first {
                return Sent { duplicate: true, ..*first };
            }
            self.accepted.push((self.now, scope, key.to_string(), sent));
        }
        let delay = send.delay.unwrap_or(self.attributes.delay);
        self.add(send.id, send.group.as_deref(), delay, 0);
        sent
    }

    /// A dead letter of another queue comes in.
    pub fn admit(&mut self, id: u64, group: Option<&str>, receives: u32) {
        self.add(id, group, Duration::ZERO, receives);
    }

    fn add(&mut self, id: u64, group: Option<&str>, delay: Duration, receives_before: u32) {
        self.sent += 1;
        self.entries.push(Entry {
            id,
            group: group.map(str::to_owned),
            sequence: self.sent,
            sent_at: self.now,
            hidden_until: Some(self.now + delay).filter(|_| !delay.is_zero()),
            received_at: self.now,
            receives: 0,
            receives_before,
            handle: None,
        });
    }

    pub fn counts(&self) -> Counts {
        let mut visible = 0;
        let mut in_flight = 0;
        let mut delayed = 0;
        for entry in &self.entries {
            match (entry.hidden_until, entry.handle) {
                (None, _) => visible += 1,
                (Some(_), Some(_)) => in_flight += 1,
                (Some(_), None) => delayed += 1,
            }
        }
        Counts { visible, in_flight, delayed }
    }

    pub fn due(&self) -> Option<Duration> {
        self.entries.iter().filter_map(|entry| entry.hidden_until).min()
    }

    /// Visible, and on a FIFO queue not behind another of its group that is not in `taken`.
    fn may_leave(&self, entry: &Entry, taken: &[u64]) -> bool {
        let ahead = |other: &&Entry| other.group == entry.group && other.sequence < entry.sequence;
        let open = || self.entries.iter().filter(ahead).all(|other| taken.contains(&other.id));
        entry.hidden_until.is_none() && !taken.contains(&entry.id) && (!self.attributes.fifo || open())
    }

    /// Whether the queue might bring this, after these dead letters left; then it is so here too.
    pub fn receive(&mut self, max: usize, visibility: Duration, brought: &[Received<()>], left: Vec<Departure<()>>) {
        let most = self.attributes.max_receive_count.unwrap_or(u32::MAX);
        let room =
            (self.attributes.in_flight_limit - self.counts().in_flight.min(self.attributes.in_flight_limit)) as usize;
        let max = max.min(room);
        let dead: Vec<u64> = self.departed(left, most);
        let mut taken = Vec::new();
        let mut group = None;
        for received in brought {
            let id = received.message.id;
            let entry = self.entry(id).unwrap_or_else(|| panic!("{id} is not in the queue")).clone();
            assert!(entry.receives < most, "{id} was received {most} times, and is a dead letter");
            assert!(self.may_leave(&entry, &taken), "{id} is hidden, or behind one of its group");
            if self.attributes.fifo && group.as_ref().is_some_and(|group| *group != entry.group) {
                let rest = self.entries.iter().find(|e| Some(&e.group) == group.as_ref() && self.may_leave(e, &taken));
                assert!(rest.is_none(), "the receive left {rest:?} of a group, and went on to another");
            }
            assert_eq!(
                (received.sequence, received.message.receives),
                (entry.sequence, entry.receives + entry.receives_before + 1)
            );
            group = Some(entry.group);
            taken.push(id);
        }
        assert!(taken.len() <= max, "{max} were asked for, or may be in flight");
        if taken.len() < max {
            let left = self.entries.iter().find(|entry| self.may_leave(entry, &taken));
            assert!(left.is_none(), "{left:?} was not brought, though there was room");
        }
        for received in brought {
            let now = self.now;
            let handle = received.handle;
            assert!(self.given.insert(handle, received.message.id).is_none(), "a handle was given twice");
            let entry = self.entry_mut(received.message.id);
            (entry.receives, entry.received_at, entry.handle) = (entry.receives + 1, now, Some(handle));
            entry.hidden_until = Some(now + visibility).filter(|_| !visibility.is_zero());
        }
        assert!(dead.is_empty() || max > 0, "a receive that may bring nothing looks at nothing");
    }

    /// Checks what left by itself, and takes it out: dead letters that had `most` receives, in the order of their group.
    fn departed(&mut self, left: Vec<Departure<()>>, most: u32) -> Vec<u64> {
        let mut dead = Vec::new();
        for departure in left {
            match departure {
                Departure::Expired(message) => {
                    let at = self.expired.iter().position(|id| *id == message.id);
                    self.expired.remove(at.unwrap_or_else(|| panic!("{} is not old enough", message.id)));
                }
                Departure::DeadLetter(message) => {
                    let entry = self.entry(message.id).expect("a dead letter was in the queue").clone();
                    assert_eq!(entry.receives, most, "it was not received often enough");
                    assert_eq!(message.receives, entry.receives + entry.receives_before);
                    assert!(entry.hidden_until.is_none(), "a dead letter was visible");
                    self.entries.retain(|entry| entry.id != message.id);
                    dead.push(message.id);
                }
            }
        }
        dead
    }

    /// What expired must have left by now.
    pub fn check_expired(&mut self, left: Vec<Departure<()>>) {
        assert!(self.departed(left, 0).is_empty(), "nothing but a receive makes a dead letter");
        assert!(self.expired.is_empty(), "{:?} are older than the retention period", self.expired);
    }

    fn entry(&self, id: u64) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    fn entry_mut(&mut self, id: u64) -> &mut Entry {
        self.entries.iter_mut().find(|entry| entry.id == id).expect("it is in the queue")
    }

    /// The id of the message that is deleted.
    pub fn delete(&mut self, handle: Handle) -> Result<Option<u64>, HandleError> {
        let id = *self.given.get(&handle).ok_or(HandleError::Invalid)?;
        let Some(entry) = self.entry(id) else { return Ok(None) };
        let is_last = entry.handle == Some(handle);
        let hidden = entry.hidden_until.is_some();
        match (is_last, hidden, self.attributes.fifo) {
            (true, true, _) | (true, false, false) => {
                self.entries.retain(|entry| entry.id != id);
                Ok(Some(id))
            }
            (false, _, false) => Ok(None),
            (true, false, true) | (false, _, true) => Err(HandleError::Expired),
        }
    }

    /// The id of the message whose visibility changes.
    pub fn change_visibility(&mut self, handle: Handle, timeout: Duration) -> Result<u64, HandleError> {
        let id = *self.given.get(&handle).ok_or(HandleError::Invalid)?;
        let received_at = self.entry(id).ok_or(HandleError::Gone)?.received_at;
        let until = self.now + timeout;
        if until > received_at + VISIBILITY_MAX {
            return Err(HandleError::TooLong);
        }
        self.entry_mut(id).hidden_until = Some(until).filter(|_| !timeout.is_zero());
        Ok(id)
    }

    /// Whether a move task might take these out.
    pub fn withdraw(&mut self, max: usize, taken: &[u64]) {
        let mut out: Vec<u64> = Vec::new();
        for id in taken {
            let entry = self.entry(*id).expect("what is taken out was in the queue");
            assert!(self.may_leave(entry, &out), "{id} is hidden, or behind one of its group");
            out.push(*id);
        }
        assert!(out.len() == max || !self.entries.iter().any(|entry| self.may_leave(entry, &out)));
        self.entries.retain(|entry| !out.contains(&entry.id));
    }

    pub fn purge(&mut self) {
        self.entries.clear();
        self.accepted.clear();
    }
}
