//! All queues of a server, and what happens between them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

use super::content::Payload;
use super::error::{Code, Error};
use super::faults::Faults;
use super::hosted::{Bill, Hosted, Inner};
use super::persist::{Began, Log, Record};
use super::tickets::Tickets;
use super::time::Time;
use super::{Options, Regions};
use crate::model::{Departure, Message};

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

/// Queues by region and name.
pub(super) type Queues = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Hosted>>>;

/// Everything that a request may need.
pub(super) struct State {
    /// Scenario time.
    pub clock: Arc<Time>,
    /// When the clock read zero, since 1970.
    pub epoch: Duration,
    /// Whose queues a request is about.
    pub regions: Regions,
    /// The account of every queue.
    pub account: String,
    /// Ids and receipt handles.
    pub tickets: Tickets,
    /// Who keeps books.
    pub watch: Option<Arc<dyn Watch>>,
    /// Where calls are written down.
    pub log: Option<Arc<Log>>,
    faults: RwLock<Arc<Faults>>,
    queues: RwLock<Queues>,
    next: AtomicU64,
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl State {
    /// No queues yet; the beginning of a log that will be read goes on.
    pub(super) fn new(options: Options, log: Option<Arc<Log>>, began: Option<&Began>) -> Self {
        let Options { clock, regions, account, seed, faults, watch, persist: _, body_timeout: _, memory: _ } = options;
        let clock = Arc::new(Time::new(clock));
        Self {
            epoch: began.map_or_else(|| since_1970().saturating_sub(clock.now()), |began| began.epoch),
            clock,
            regions,
            account,
            tickets: Tickets::new(began.map_or(seed, |began| began.seed)),
            watch,
            log,
            faults: RwLock::new(Arc::new(faults)),
            queues: RwLock::default(),
            next: AtomicU64::new(began.map_or(1, |began| began.next)),
        }
    }

    /// A number that no other message or queue of this server has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// No number so far is this or higher.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// That number is taken.
    pub(super) fn seen(&self, number: u64) {
        self.next.fetch_max(number + 1, Ordering::Relaxed);
    }

    /// It is now, but not before `last`.
    pub(super) fn goes_on_from(&self, last: Duration) {
        let now = since_1970().saturating_sub(self.epoch).max(last);
        self.clock.advance(now.saturating_sub(self.clock.now()));
    }

    /// What was done so far outlives the process, if the server keeps its queues.
    pub(super) fn flush(&self) -> Result<(), Error> {
        self.log.as_ref().map_or(Ok(()), |log| log.flush())
    }

    /// Adds a queue, unless there is one of its name: then that one is returned.
    pub(super) fn host(&self, hosted: Arc<Hosted>) -> Arc<Hosted> {
        let mut queues = self.queues_mut();
        match queues.entry(hosted.region().into()).or_default().entry(hosted.name.clone()) {
            Entry::Occupied(existing) => existing.get().clone(),
            Entry::Vacant(free) => {
                if let Some(log) = &self.log {
                    log.append(&Record::Queue(Box::new(hosted.kept(&hosted.lock()))));
                }
                free.insert(hosted).clone()
            }
        }
    }

    /// Takes a queue away: polls that wait for it end.
    pub(super) fn unhost(&self, hosted: &Hosted) {
        let mut queues = self.queues_mut();
        if let Some(queues) = queues.get_mut(hosted.region()) {
            queues.remove(&hosted.name);
        }
        let mut inner = hosted.lock();
        inner.deleted = true;
        inner.queue.end();
        hosted.arrived.notify_waiters();
    }

    /// The faults in force.
    pub(super) fn faults(&self) -> Arc<Faults> {
        self.faults.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other faults in force.
    pub(super) fn set_faults(&self, faults: Faults) {
        *self.faults.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(faults);
    }

    /// All queues.
    pub(super) fn queues(&self) -> RwLockReadGuard<'_, Queues> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// All queues, to add or take one away.
    pub(super) fn queues_mut(&self) -> RwLockWriteGuard<'_, Queues> {
        self.queues.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue of that name.
    pub(super) fn named(&self, region: &str, name: &str) -> Option<Arc<Hosted>> {
        self.queues().get(region)?.get(name).cloned()
    }

    /// The region of calls that say none.
    pub(super) fn region(&self) -> &str {
        self.regions.of(None)
    }

    /// The queue of that URL, path or name.
    pub(super) fn find(&self, region: &str, url: Option<&str>) -> Result<Arc<Hosted>, Error> {
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| Error::missing("QueueUrl"))?;
        let name = url.trim_end_matches('/').rsplit('/').next().unwrap_or(url);
        self.named(region, name).ok_or_else(Error::no_queue)
    }

    /// The queue of that ARN.
    pub(super) fn find_arn(&self, arn: &str) -> Option<Arc<Hosted>> {
        let [_, _, _, region, _, name] = *arn.split(':').collect::<Vec<_>>() else { return None };
        self.named(region, name).filter(|hosted| *hosted.arn == *arn)
    }

    /// The ARN of a queue of that name.
    pub(super) fn arn(&self, region: &str, name: &str) -> String {
        format!("arn:aws:sqs:{region}:{}:{name}", self.account)
    }

    /// The URL of a queue at that host.
    pub(super) fn url_at(&self, host: &str, name: &str) -> String {
        format!("http://{host}/{}/{name}", self.account)
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
        let departures = inner.queue.departures();
        let to = inner.settings.dead_letters.as_ref().map(|policy| policy.dead_letter_target_arn.clone());
        drop(inner);
        for departure in departures {
            match departure {
                Departure::Expired(message) => self.tell(now, hosted, message.id, &message.payload, Event::Expired),
                Departure::DeadLetter(message) => {
                    self.tell(now, hosted, message.id, &message.payload, Event::Redriven);
                    match to.as_deref().and_then(|arn| self.find_arn(arn)) {
                        Some(target) => self.carry(&target, message, Some(hosted.arn.clone())),
                        None => self.drop_in_transit(message.id),
                    }
                }
            }
        }
    }

    /// A dead letter has nowhere to go.
    fn drop_in_transit(&self, message: u64) {
        if let Some(log) = &self.log {
            log.dropped(message);
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

    /// Counts a request that carried this many bytes.
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
        let region = |arn: &str| arn.split(':').nth(3).map(str::to_owned);
        if region(arn) != region(source) {
            return Err(bad("Dead-letter queue must be in the same region as the source."));
        }
        let inner = target.lock();
        if inner.settings.queue.fifo != fifo {
            return Err(bad("Dead-letter queue must be same type of queue as the source."));
        }
        match inner.settings.allows_dead_letters_of(source) {
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
