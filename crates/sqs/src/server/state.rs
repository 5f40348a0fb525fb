//! All queues of a server, and what happens between them.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use super::content::Payload;
use super::error::{Code, Error};
use super::faults::Faults;
use super::hosted::{Bill, Hosted, Inner};
use super::tickets::Tickets;
use crate::clock::Clock;
use crate::model::{Departure, Message};

/// The account of every queue.
pub(super) const ACCOUNT: &str = "000000000000";
const CHUNK: usize = 64 << 10;

/// What happened to a message at a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Taken in from a sender.
    Sent,
    /// Handed to a receiver, for the `receive_count`th time.
    Delivered {
        /// `ApproximateReceiveCount`.
        receive_count: u32,
    },
    /// Hidden for so long from now; zero gives it back.
    Visibility(Duration),
    /// Deleted by its holder.
    Deleted,
    /// Moved to the dead-letter queue, since it was received too often.
    Redriven,
    /// Dropped after its retention.
    Expired,
}

/// Somebody who keeps books.
pub trait Watch: Send + Sync {
    /// Something happened at that queue to the message with that id and that body.
    fn message(&self, now: Duration, queue: &str, id: uuid::Uuid, body: &str, event: Event);
    /// A request that counts as `billed` of them, one for each 64 KiB.
    fn request(&self, now: Duration, queue: &str, action: Bill, billed: u64);
}

/// Everything that a request may need.
pub(super) struct State {
    /// Scenario time.
    pub clock: Clock,
    /// When the clock read zero, since 1970.
    pub epoch: Duration,
    /// The region in ARNs.
    pub region: String,
    /// Ids and receipt handles.
    pub tickets: Tickets,
    /// Who keeps books.
    pub watch: Option<Arc<dyn Watch>>,
    faults: RwLock<Arc<Faults>>,
    queues: RwLock<BTreeMap<Arc<str>, Arc<Hosted>>>,
    next: AtomicU64,
}

impl State {
    /// No queues yet.
    pub(super) fn new(clock: Clock, region: String, seed: u64, faults: Faults, watch: Option<Arc<dyn Watch>>) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            epoch: now.saturating_sub(clock.now()),
            clock,
            region,
            tickets: Tickets::new(seed),
            watch,
            faults: RwLock::new(Arc::new(faults)),
            queues: RwLock::default(),
            next: AtomicU64::new(1),
        }
    }

    /// A number that no other message or queue of this server has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The faults in force.
    pub(super) fn faults(&self) -> Arc<Faults> {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other faults in force.
    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(faults);
    }

    /// All queues, by name.
    pub(super) fn queues(&self) -> RwLockReadGuard<'_, BTreeMap<Arc<str>, Arc<Hosted>>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All queues, to add or take one away.
    pub(super) fn queues_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<Arc<str>, Arc<Hosted>>> {
        self.queues.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue of that URL, path or name.
    pub(super) fn find(&self, url: Option<&str>) -> Result<Arc<Hosted>, Error> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| Error::missing("QueueUrl"))?;
        let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or(url);
        self.queues().get(name).cloned().ok_or_else(Error::no_queue)
    }

    /// The queue of that ARN.
    pub(super) fn find_arn(&self, arn: &str) -> Option<Arc<Hosted>> {
        let name = arn.rsplit(':').next().unwrap_or(arn);
        self.queues().get(name).filter(|hosted| *hosted.arn == *arn).cloned()
    }

    /// The ARN of a queue of that name.
    pub(super) fn arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{}:{ACCOUNT}:{name}", self.region)
    }

    /// Milliseconds since 1970, as SQS writes times.
    pub(super) fn epoch_ms(&self, at: Duration) -> u128 {
        (self.epoch + at).as_millis()
    }

    /// Calls `f` on the locked queue, then wakes polls, and moves dead letters on.
    pub(super) fn with<R>(&self, hosted: &Hosted, f: impl FnOnce(&mut Inner, Duration) -> R) -> R {
        let now = self.clock.now();
        let mut inner = hosted.lock();
        let result = f(&mut inner, now);
        hosted.settle(&mut inner, now);
        self.depart(hosted, inner, now);
        result
    }

    /// Ends a call: releases the queue, and moves on what left it by itself.
    pub(super) fn depart(&self, hosted: &Hosted, mut inner: std::sync::MutexGuard<'_, Inner>, now: Duration) {
        if !inner.queue.has_departures() {
            return;
        }
        let departures: Vec<_> = inner.queue.departures().collect();
        let to = inner.settings.dead_letters.as_ref().map(|policy| policy.dead_letter_target_arn.clone());
        drop(inner);
        for departure in departures {
            match departure {
                Departure::Expired(message) => self.tell(now, hosted, message.id, &message.payload, Event::Expired),
                Departure::DeadLetter(message) => {
                    self.tell(now, hosted, message.id, &message.payload, Event::Redriven);
                    if let Some(target) = to.as_deref().and_then(|arn| self.find_arn(arn)) {
                        self.carry(&target, message, Some(hosted.arn.clone()));
                    }
                }
            }
        }
    }

    /// Puts a message from another queue into `target`.
    pub(super) fn carry(&self, target: &Hosted, message: Message<Payload>, origin: Option<Arc<str>>) {
        let payload = Payload { origin, ..message.payload };
        self.with(target, |inner, now| inner.queue.admit(now, Message { payload, ..message }));
    }

    /// Tells whoever keeps books about a message.
    pub(super) fn tell(&self, now: Duration, hosted: &Hosted, id: u64, payload: &Payload, event: Event) {
        if let Some(watch) = &self.watch {
            watch.message(now, &hosted.name, self.tickets.message_id(id), &payload.content.body, event);
        }
    }

    /// Counts a request that carried so many bytes.
    pub(super) fn bill(&self, now: Duration, hosted: &Hosted, action: Bill, bytes: usize) {
        let requests = bytes.div_ceil(CHUNK).max(1) as u64;
        hosted.billed.add(action, requests);
        if let Some(watch) = &self.watch {
            watch.request(now, &hosted.name, action, requests);
        }
    }

    /// Dead letters that name a queue which does not exist are refused when the policy is set.
    pub(super) fn check_dead_letters(&self, source: &str, fifo: bool, arn: &str) -> Result<(), Error> {
        let bad = |reason: &str| Error::value(arn, "RedrivePolicy", reason);
        let target = self.find_arn(arn).ok_or_else(|| bad("Dead letter target does not exist."))?;
        let inner = target.lock();
        if inner.settings.queue.fifo != fifo {
            return Err(bad("Dead-letter queue must be same type of queue as the source."));
        }
        match inner.settings.allows_dead_letters_of(&self.arn(source)) {
            true => Ok(()),
            false => Err(Error::new(
                Code::InvalidParameterValue,
                format!(
                    "Value {arn} for parameter RedrivePolicy is invalid. Reason: The dead-letter queue's RedriveAllowPolicy does not allow this source."
                ),
            )),
        }
    }
}
