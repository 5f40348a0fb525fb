//! One queue with those that wait for it.
//!
//! A long poll never has messages set aside for it: it is woken, and then receives. So a client that goes away takes
//! nothing with it. One task per queue wakes a poll when time makes a message visible; it has an alarm set only while
//! somebody waits.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::Served;
use super::moves::MoveTask;
use super::persist::{KeptQueue, LoggedQueue};
use super::settings::Settings;
use super::state::State;
use super::time::Time;
use crate::model::{Handle, Queue};

/// A queue that is served.
pub(super) struct Hosted {
    /// Its name.
    pub name: Arc<str>,
    /// Its ARN.
    pub arn: Arc<str>,
    /// Its number among the server's queues, never used again.
    pub number: u64,
    /// Requests by action, one for each 64 KiB.
    pub billed: Billed,
    /// Woken once for each poll that may find something.
    pub arrived: Notify,
    alarm: Arc<Notify>,
    inner: Mutex<Inner>,
    timer: OnceLock<AbortOnDropHandle<()>>,
}

/// What the lock of a queue guards.
pub(super) struct Inner {
    /// The state machine.
    pub queue: LoggedQueue,
    /// The attributes.
    pub settings: Settings,
    /// The tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created and last changed.
    pub created: Duration,
    /// See `created`.
    pub modified: Duration,
    /// When it was last purged.
    pub purged: Option<Duration>,
    /// Deleted: polls still waiting have to end.
    pub deleted: bool,
    /// Move tasks from this queue, the newest last.
    pub moves: Vec<Arc<MoveTask>>,
    /// FIFO receives by `ReceiveRequestAttemptId`, for five minutes.
    pub attempts: HashMap<String, (Duration, Vec<Handle>)>,
    /// Long polls.
    pub waiting: usize,
    alarm_at: Option<Duration>,
}

/// SQS requests by action. A batch call is one request for each 64 KiB of payload that it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// SendMessage and SendMessageBatch.
    pub send: u64,
    /// Receives that brought a message.
    pub receive: u64,
    /// Receives that brought none.
    pub empty_receive: u64,
    /// DeleteMessage and DeleteMessageBatch.
    pub delete: u64,
    /// ChangeMessageVisibility and its batch.
    pub change_visibility: u64,
}

/// Requests that were billed.
#[derive(Debug, Default)]
pub(super) struct Billed([AtomicU64; 5]);

/// The actions that are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bill {
    /// SendMessage and SendMessageBatch.
    Send,
    /// ReceiveMessage that brought something.
    Receive,
    /// ReceiveMessage that brought nothing.
    EmptyReceive,
    /// DeleteMessage and DeleteMessageBatch.
    Delete,
    /// ChangeMessageVisibility and its batch.
    ChangeVisibility,
}

impl Billed {
    /// Counts a request.
    pub(super) fn add(&self, action: Bill, requests: u64) {
        self.0[action as usize].fetch_add(requests, Ordering::Relaxed);
    }

    /// The counts so far.
    pub(super) fn requests(&self) -> Requests {
        let [send, receive, empty_receive, delete, change_visibility] =
            self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        Requests { send, receive, empty_receive, delete, change_visibility }
    }
}

impl Hosted {
    /// A new queue.
    pub(super) fn new(arn: String, settings: Settings, tags: BTreeMap<String, String>, state: &State) -> Arc<Self> {
        let now = state.clock.now();
        let kept = KeptQueue {
            number: state.number(),
            arn,
            created: now,
            modified: now,
            attributes: BTreeMap::new(),
            tags,
            state: Queue::new(settings.queue.clone()),
        };
        Self::restored(kept, settings, state)
    }

    /// A queue as it was, and the task that wakes its polls.
    pub(super) fn restored(kept: KeptQueue<Served>, settings: Settings, state: &State) -> Arc<Self> {
        let KeptQueue { number, arn, created, modified, attributes: _, tags, state: queue } = kept;
        let clock = state.clock.clone();
        let inner = Inner {
            queue: LoggedQueue::new(queue, number, state.log.clone()),
            settings,
            tags,
            created,
            modified,
            purged: None,
            deleted: false,
            moves: Vec::new(),
            attempts: HashMap::new(),
            waiting: 0,
            alarm_at: None,
        };
        let hosted = Arc::new(Self {
            name: arn.rsplit(':').next().unwrap_or(&arn).into(),
            arn: arn.into(),
            number,
            billed: Billed::default(),
            arrived: Notify::new(),
            alarm: Arc::default(),
            inner: Mutex::new(inner),
            timer: OnceLock::new(),
        });
        let timer = tokio::spawn(wake_in_time(Arc::downgrade(&hosted), hosted.alarm.clone(), clock));
        let _ = hosted.timer.set(AbortOnDropHandle::new(timer));
        hosted
    }

    /// Its region: the ARN has it.
    pub(super) fn region(&self) -> &str {
        self.arn.split(':').nth(3).unwrap_or(&self.arn)
    }

    /// As it is, to be written down.
    pub(super) fn kept<'a>(&self, inner: &'a Inner) -> KeptQueue<&'a Served> {
        KeptQueue {
            number: self.number,
            arn: self.arn.to_string(),
            created: inner.created,
            modified: inner.modified,
            attributes: inner.settings.all().map(|(name, value)| (name.clone(), value.clone())).collect(),
            tags: inner.tags.clone(),
            state: inner.queue.state(),
        }
    }

    /// The queue, locked.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes a poll if the call under `inner` left something for it, and sets the alarm earlier if need be.
    pub(super) fn settle(&self, inner: &mut Inner, now: Duration) {
        if inner.waiting == 0 {
            return;
        }
        if inner.queue.counts(now).visible > 0 {
            self.arrived.notify_one();
        }
        let due = inner.queue.due();
        if due.is_some_and(|due| inner.alarm_at.is_none_or(|alarm| due < alarm)) {
            self.alarm.notify_one();
        }
    }

    /// Counts a poll among those that wait, for as long as the guard lives.
    pub(super) fn wait(&self, inner: &mut Inner) -> Waiting<'_> {
        inner.waiting += 1;
        if inner.queue.due().is_some_and(|due| inner.alarm_at.is_none_or(|alarm| due < alarm)) {
            self.alarm.notify_one();
        }
        Waiting(self)
    }
}

/// A poll that waits.
pub(super) struct Waiting<'a>(&'a Hosted);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
    }
}

async fn wake_in_time(hosted: Weak<Hosted>, alarm: Arc<Notify>, clock: Arc<Time>) {
    loop {
        let at = {
            let Some(hosted) = hosted.upgrade() else { return };
            let mut inner = hosted.lock();
            let now = clock.now();
            let waited_for = inner.alarm_at.take().is_some_and(|at| at <= now);
            if inner.waiting > 0 {
                if waited_for && inner.queue.counts(now).visible > 0 {
                    hosted.arrived.notify_one();
                }
                inner.alarm_at = inner.queue.due();
            }
            inner.alarm_at
        };
        match at {
            None => alarm.notified().await,
            Some(at) => tokio::select! {
                () = clock.sleep_until(at) => {}
                () = alarm.notified() => {}
            },
        }
    }
}
