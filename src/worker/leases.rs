//! What this worker holds. A lease belongs to the settling task alone, and a message is settled only while no extension
//! of its lease is under way, so that the two can never race. Knows no SQS: it says what to extend, and is told how
//! that went.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::batch::Verdict;
pub(super) use crate::batch::{Key, key};
use crate::message::Message;

/// SQS lets nobody hold a message for longer, extensions included.
const LONGEST_LEASE: Duration = Duration::from_secs(12 * 3600);

/// When leases are extended, and by how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    /// A lease is extended at this age at the latest.
    pub(super) every: Duration,
    /// To this.
    pub(super) visibility: Duration,
}

/// A message held, and what is known of it.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) message: Arc<Message>,
    pub(super) received: Instant,
    pub(super) received_at: SystemTime,
    pub(super) started: Option<(Instant, SystemTime)>,
    extended: Instant,
    extending: bool,
    lost: bool,
    /// It ended while it was being extended.
    ended: Option<Verdict>,
}

/// What to do about a message that has ended.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Settle it so.
    Settle(Verdict),
    /// Not yet: its lease is being extended.
    Wait,
    /// Nothing: it has another owner by now.
    Lost,
}

#[derive(Debug)]
pub(super) struct Leases {
    held: HashMap<Key, Lease>,
    heartbeat: Option<Heartbeat>,
    next_look: Option<Instant>,
}

impl Leases {
    /// Without a heartbeat nothing is extended.
    pub(super) fn new(heartbeat: Option<Heartbeat>) -> Self {
        Self { held: HashMap::new(), heartbeat, next_look: None }
    }

    pub(super) fn hold(&mut self, message: Arc<Message>, received: Instant, received_at: SystemTime) {
        let (extending, lost, ended, started) = (false, false, None, None);
        let lease = Lease { message, received, received_at, started, extended: received, extending, lost, ended };
        self.keep(lease);
    }

    /// Takes a lease back that was to be settled and was not.
    pub(super) fn keep(&mut self, lease: Lease) {
        if let Some(heartbeat) = self.heartbeat {
            self.next_look.get_or_insert(Instant::now() + heartbeat.look_every());
        }
        self.held.insert(key(&lease.message), lease);
    }

    pub(super) fn started(&mut self, message: &Arc<Message>) {
        if let Some(lease) = self.held.get_mut(&key(message)) {
            lease.started = Some((Instant::now(), SystemTime::now()));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn get(&self, key: Key) -> Option<&Lease> {
        self.held.get(&key)
    }

    pub(super) fn ended(&mut self, key: Key, verdict: Verdict) -> Next {
        match self.held.get_mut(&key) {
            Some(lease) if lease.extending => {
                lease.ended = Some(verdict);
                Next::Wait
            }
            Some(lease) if lease.lost => {
                self.held.remove(&key);
                Next::Lost
            }
            Some(_) => Next::Settle(verdict),
            None => Next::Lost,
        }
    }

    /// Ends the lease, unless it is being extended. What is settled afterwards cannot race with an extension.
    pub(super) fn revoke(&mut self, key: Key) -> Option<Lease> {
        if self.held.get(&key)?.extending { None } else { self.held.remove(&key) }
    }

    /// When to look for leases to extend.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Leases to extend now, and by how much. Looked for at intervals, so that many fit into one call. Messages whose 12
    /// hours are over go to `lost`.
    pub(super) fn extendable(&mut self, now: Instant, lost: &mut Vec<Arc<Message>>) -> Vec<(Arc<Message>, Duration)> {
        let (Some(heartbeat), Some(look)) = (self.heartbeat, self.next_look) else { return Vec::new() };
        if now < look {
            return Vec::new();
        }
        self.next_look = (!self.held.is_empty()).then(|| now + heartbeat.look_every());
        let old_enough = heartbeat.every - heartbeat.look_every();
        let mut due = Vec::new();
        for lease in self.held.values_mut() {
            let left = LONGEST_LEASE.saturating_sub(now - lease.received);
            let wanted = heartbeat.visibility.min(Duration::from_secs(left.as_secs()));
            if lease.extending || lease.lost || now - lease.extended < old_enough {
                continue;
            }
            if wanted.is_zero() {
                lease.lost = true;
                lost.push(lease.message.clone());
            } else {
                lease.extending = true;
                lease.extended = now;
                due.push((lease.message.clone(), wanted));
            }
        }
        due
    }

    /// An extension was answered; `lost` if the message has another owner by now. A verdict that came meanwhile is due.
    pub(super) fn extended(&mut self, key: Key, lost: bool) -> Option<(Arc<Message>, Verdict)> {
        let lease = self.held.get_mut(&key)?;
        lease.extending = false;
        lease.lost |= lost;
        let verdict = lease.ended.take()?;
        Some((lease.message.clone(), verdict))
    }
}

impl Heartbeat {
    /// A quarter of the interval: a lease is extended between three quarters of it and all of it.
    fn look_every(&self) -> Duration {
        self.every / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Outcome;

    const HEARTBEAT: Heartbeat = Heartbeat { every: Duration::from_secs(15), visibility: Duration::from_secs(30) };

    fn held(leases: &mut Leases) -> Arc<Message> {
        let message = Arc::new(Message::default());
        leases.hold(message.clone(), Instant::now(), SystemTime::now());
        message
    }

    async fn after(leases: &mut Leases, time: Duration) -> Vec<(Arc<Message>, Duration)> {
        tokio::time::advance(time).await;
        leases.extendable(Instant::now(), &mut Vec::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_extended_before_half_of_it_has_passed_and_again_after_that() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        let (began, mut extended) = (Instant::now(), Vec::new());
        while began.elapsed() < Duration::from_secs(60) {
            if !after(&mut leases, Duration::from_millis(250)).await.is_empty() {
                extended.push(began.elapsed());
                leases.extended(key(&message), false);
            }
        }
        let mut last = Duration::ZERO;
        assert!(extended.len() >= 4, "{extended:?}");
        for at in extended {
            assert!(at - last <= HEARTBEAT.every && at - last >= HEARTBEAT.every / 2, "{at:?} after {last:?}");
            last = at;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_ends_while_it_is_being_extended_is_settled_after_the_answer_and_never_before() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        let done = Verdict::Handled(Outcome::Done);
        assert_eq!(after(&mut leases, HEARTBEAT.every).await.len(), 1);
        assert!(leases.revoke(key(&message)).is_none());
        assert_eq!(leases.ended(key(&message), done.clone()), Next::Wait);
        assert!(after(&mut leases, HEARTBEAT.every).await.is_empty(), "one extension at a time");
        assert_eq!(leases.extended(key(&message), false).map(|(_, verdict)| verdict), Some(done.clone()));
        assert_eq!(leases.ended(key(&message), done.clone()), Next::Settle(done));
        assert!(leases.revoke(key(&message)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_is_neither_extended_nor_settled() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        assert_eq!(after(&mut leases, HEARTBEAT.every).await.len(), 1);
        leases.extended(key(&message), true);
        assert!(after(&mut leases, HEARTBEAT.every).await.is_empty());
        assert_eq!(leases.ended(key(&message), Verdict::Late), Next::Lost);
        assert!(leases.get(key(&message)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_for_more_than_twelve_hours() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        let ten_before = LONGEST_LEASE - Duration::from_secs(10);
        assert_eq!(after(&mut leases, ten_before).await[0].1, Duration::from_secs(10));
        leases.extended(key(&message), false);
        tokio::time::advance(HEARTBEAT.visibility).await;
        let mut lost = Vec::new();
        assert!(leases.extendable(Instant::now(), &mut lost).is_empty());
        assert_eq!(lost.len(), 1, "its handler stops");
        assert_eq!(leases.ended(key(&message), Verdict::Lost), Next::Lost);
    }
}
