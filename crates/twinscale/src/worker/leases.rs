//! What this worker holds. A lease belongs to the settling task alone, and a message is settled only while no extension
//! of its lease is under way, so that the two can never race. Knows no SQS: it says what to extend, and is told how
//! that went.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::batch::Verdict;
use crate::message::Message;

/// Names a message while it is held: one message may be held twice, after its lease was lost and it came again.
pub(super) type Key = usize;

pub(super) fn key(message: &Arc<Message>) -> Key {
    Arc::as_ptr(message) as Key
}

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
    /// Tells the handler to stop, since another owner has the message or may have it.
    lost: CancellationToken,
    /// The next extension is due.
    extend_at: Instant,
    /// Others may get it then, as far as we know: no extension is counted that was not answered.
    visible_at: Instant,
    /// It is being extended, to then.
    extending: Option<Instant>,
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

/// What came of an extension.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extension {
    Granted,
    /// SQS was out of reach, or failed: it is tried again as long as the lease lasts.
    Failed,
    /// The message has another owner by now.
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

    /// Cancels `lost` once another owner has the message, or may have it.
    pub(super) fn hold(
        &mut self,
        message: Arc<Message>,
        lost: CancellationToken,
        received: Instant,
        received_at: SystemTime,
    ) {
        let (extend_at, visible_at) = match self.heartbeat {
            Some(heartbeat) => (received + heartbeat.old_enough(), received + heartbeat.visibility),
            None => (received, received),
        };
        let (started, extending, ended) = (None, None, None);
        self.keep(Lease { message, received, received_at, started, lost, extend_at, visible_at, extending, ended });
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
            Some(lease) if lease.lost.is_cancelled() => {
                self.held.remove(&key);
                Next::Lost
            }
            Some(lease) if lease.extending.is_some() => {
                lease.ended = Some(verdict);
                Next::Wait
            }
            Some(_) => Next::Settle(verdict),
            None => Next::Lost,
        }
    }

    /// Ends the lease, unless it is being extended. What is settled afterwards cannot race with an extension.
    pub(super) fn revoke(&mut self, key: Key) -> Option<Lease> {
        if self.held.get(&key)?.extending.is_some() { None } else { self.held.remove(&key) }
    }

    /// When to look for leases to extend.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_look
    }

    /// Leases to extend now, and by how much. Looked for at intervals, so that many fit into one call. Those that are over
    /// are lost: no extension was granted in time, or the 12 hours are over.
    pub(super) fn extendable(&mut self, now: Instant) -> Vec<(Arc<Message>, Duration)> {
        let (Some(heartbeat), Some(look)) = (self.heartbeat, self.next_look) else { return Vec::new() };
        if now < look {
            return Vec::new();
        }
        let (mut due, mut next_look) = (Vec::new(), now + heartbeat.look_every());
        for lease in self.held.values_mut().filter(|lease| !lease.lost.is_cancelled()) {
            if lease.visible_at <= now {
                lease.lost.cancel();
                continue;
            }
            next_look = next_look.min(lease.visible_at);
            let left = LONGEST_LEASE.saturating_sub(now - lease.received);
            let wanted = heartbeat.visibility.min(Duration::from_secs(left.as_secs()));
            if lease.extending.is_none() && lease.extend_at <= now && lease.visible_at < now + wanted {
                lease.extending = Some(now + wanted);
                lease.extend_at = now + heartbeat.old_enough();
                due.push((lease.message.clone(), wanted));
            }
        }
        self.next_look = (!self.held.is_empty()).then_some(next_look);
        due
    }

    /// An extension was answered. A verdict that came meanwhile is due.
    pub(super) fn extended(&mut self, key: Key, extension: Extension) -> Option<(Arc<Message>, Verdict)> {
        let lease = self.held.get_mut(&key)?;
        let to = lease.extending.take()?;
        match extension {
            Extension::Granted => lease.visible_at = to,
            Extension::Failed => lease.extend_at = Instant::now(),
            Extension::Lost => lease.lost.cancel(),
        }
        let verdict = lease.ended.take()?;
        Some((lease.message.clone(), verdict))
    }
}

impl Heartbeat {
    /// A quarter of the interval: a lease is extended between three quarters of it and all of it.
    fn look_every(&self) -> Duration {
        self.every / 4
    }

    /// At this age a look finds it due.
    fn old_enough(&self) -> Duration {
        self.every - self.look_every()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Outcome;

    const HEARTBEAT: Heartbeat = Heartbeat { every: Duration::from_secs(15), visibility: Duration::from_secs(30) };

    fn held(leases: &mut Leases) -> Arc<Message> {
        let message = Arc::new(Message::default());
        leases.hold(message.clone(), CancellationToken::new(), Instant::now(), SystemTime::now());
        message
    }

    async fn after(leases: &mut Leases, time: Duration) -> Vec<(Arc<Message>, Duration)> {
        tokio::time::advance(time).await;
        leases.extendable(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_extended_before_half_of_it_has_passed_and_again_after_that() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        let (began, mut extended) = (Instant::now(), Vec::new());
        while began.elapsed() < Duration::from_secs(60) {
            if !after(&mut leases, Duration::from_millis(250)).await.is_empty() {
                extended.push(began.elapsed());
                leases.extended(key(&message), Extension::Granted);
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
        assert!(after(&mut leases, HEARTBEAT.look_every()).await.is_empty(), "one extension at a time");
        assert_eq!(leases.extended(key(&message), Extension::Granted).map(|(_, verdict)| verdict), Some(done.clone()));
        assert_eq!(leases.ended(key(&message), done.clone()), Next::Settle(done));
        assert!(leases.revoke(key(&message)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_lease_is_neither_extended_nor_settled() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        assert_eq!(after(&mut leases, HEARTBEAT.every).await.len(), 1);
        leases.extended(key(&message), Extension::Lost);
        assert!(after(&mut leases, HEARTBEAT.every).await.is_empty());
        assert_eq!(leases.ended(key(&message), Verdict::Late), Next::Lost);
        assert!(leases.get(key(&message)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_extension_is_tried_again_and_the_lease_is_lost_when_none_was_granted_in_time() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        let lost = leases.held[&key(&message)].lost.clone();
        let (began, mut tries) = (Instant::now(), 0);
        while !lost.is_cancelled() {
            tokio::time::advance(leases.next_look().expect("it is held") - Instant::now()).await;
            if !leases.extendable(Instant::now()).is_empty() {
                tries += 1;
                leases.extended(key(&message), Extension::Failed);
            }
        }
        assert_eq!(began.elapsed(), HEARTBEAT.visibility, "others may have it from now on");
        assert!(tries >= 4, "{tries} tries");
        assert_eq!(leases.ended(key(&message), Verdict::Handled(Outcome::Done)), Next::Lost);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_lost_though_its_extension_is_still_under_way_and_a_late_answer_changes_nothing() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        let lost = leases.held[&key(&message)].lost.clone();
        assert_eq!(after(&mut leases, HEARTBEAT.every).await.len(), 1);
        assert!(after(&mut leases, HEARTBEAT.every).await.is_empty());
        assert!(lost.is_cancelled());
        leases.extended(key(&message), Extension::Granted);
        assert!(after(&mut leases, HEARTBEAT.every).await.is_empty());
        assert_eq!(leases.ended(key(&message), Verdict::Lost), Next::Lost);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_held_for_more_than_twelve_hours() {
        let mut leases = Leases::new(Some(HEARTBEAT));
        let message = held(&mut leases);
        let (lost, began) = (leases.held[&key(&message)].lost.clone(), Instant::now());
        let mut longest = Duration::ZERO;
        while !lost.is_cancelled() {
            tokio::time::advance(leases.next_look().expect("it is held") - Instant::now()).await;
            for (_, wanted) in leases.extendable(Instant::now()) {
                longest = longest.max(began.elapsed() + wanted);
                leases.extended(key(&message), Extension::Granted);
            }
        }
        assert!(longest <= LONGEST_LEASE && began.elapsed() == longest, "{longest:?}");
        assert_eq!(leases.ended(key(&message), Verdict::Lost), Next::Lost);
    }
}
