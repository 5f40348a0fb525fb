//! Settles what the response alone cannot: visibility of what comes again, and dead letters. What follows from what is
//! [`Settling`]'s to say, as on the worker; Lambda holds the leases and deletes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::emf::Seen;
use super::response::Open;
use super::sources::Sources;
use crate::batch::{GoOn, MaxReceives, MessageEvent, Verdict};
use crate::calls::{self, CallAnswer, Named};
use crate::config::{Backoff, Config};
use crate::handler::Outcome;
use crate::journal::{Journal, Times};
use crate::message::Message;
use crate::settle::{Call, Fate, Key, LONGEST_LEASE, Reply, Settling, Wish, hidden_for};

/// Events looked at in one turn.
const EVENTS_A_TURN: usize = 100;
/// Once all have ended, calls get this long: what is not given back by then comes after its visibility timeout, and every
/// second is billed.
const SETTLE_WITHIN: Duration = Duration::from_secs(5);
/// `MaximumBatchingWindowInSeconds` is no longer: a mapping may hold what it has received for that long.
const LONGEST_BATCH_WINDOW: Duration = Duration::from_secs(300);

pub(super) struct FunctionSettler {
    sources: Arc<Sources>,
    backoff: Backoff,
}

/// A message that a call settles.
struct SettledMessage {
    message: Arc<Message>,
    /// Why it is rejected, where it is.
    reason: String,
    go_on: Option<GoOn>,
}

/// One invocation's messages that are not settled by the response alone.
struct UnsettledBatch<'a> {
    settling: Settling,
    held: HashMap<Key, SettledMessage>,
    calls: JoinSet<CallAnswer>,
    began: Instant,
    backoff: Backoff,
    source: (Arc<Sources>, Option<&'a str>),
}

impl FunctionSettler {
    pub(super) fn new(config: &Config) -> Self {
        Self { sources: Arc::new(Sources::new(config)), backoff: config.backoff }
    }

    /// Makes the client and finds the queue, so that later calls need not.
    pub(super) async fn prepare(&self, source_arn: Option<&str>) {
        let found = async { self.sources.source(source_arn).await?.queue.find().await };
        if let Err(error) = found.await {
            tracing::warn!(%error, "the queue of the event source is not found");
        }
    }

    pub(super) fn max_receives(&self, source_arn: Option<&str>) -> MaxReceives {
        self.sources.max_receives(source_arn)
    }

    /// Follows a batch until it has ended and is settled, and finishes in `open` what Lambda may delete.
    pub(super) async fn settle(
        &self,
        source_arn: Option<&str>,
        mut events: UnboundedReceiver<MessageEvent>,
        received: SystemTime,
        open: &mut Open<'_>,
        (journal, seen): (&Journal, &mut Seen),
    ) {
        let mut hand = UnsettledBatch {
            settling: Settling::of_function(),
            held: HashMap::new(),
            calls: JoinSet::new(),
            began: Instant::now(),
            backoff: self.backoff,
            source: (self.sources.clone(), source_arn),
        };
        let mut started: HashMap<Key, SystemTime> = HashMap::new();
        let mut turn = Vec::new();
        let mut all_ended = None;
        loop {
            let due = hand.settling.next().map(|due| hand.began + due);
            let give_up = all_ended.map(|at: Instant| at + SETTLE_WITHIN);
            // Events are read while calls are under way, so that their times are right.
            tokio::select! {
                count = events.recv_many(&mut turn, EVENTS_A_TURN), if all_ended.is_none() => {
                    all_ended = (count == 0).then(Instant::now);
                    for event in turn.drain(..) {
                        let mut record = |message: &Message, verdict: &Verdict| {
                            let started = started.remove(&message.here.key);
                            let times = Times { received, started, finished: SystemTime::now() };
                            journal.message(message, times, verdict.word());
                            seen.ended(message, times, verdict.word());
                        };
                        match event {
                            MessageEvent::Started(message) => drop(started.insert(message.here.key, SystemTime::now())),
                            MessageEvent::Again { message, verdict, behind: _ } => {
                                record(&message, &verdict);
                                verdict.tell(&message);
                            }
                            MessageEvent::Ended(message, verdict, go_on) => {
                                record(&message, &verdict);
                                verdict.tell(&message);
                                hand.ended(message, verdict, go_on, open);
                            }
                        }
                    }
                }
                Some(Ok(answer)) = hand.calls.join_next() => hand.answered(&answer),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => {
                    let left = hand.settling.len();
                    tracing::warn!(left, "not settled in time: these come again after their visibility timeout");
                    return;
                }
            }
            seen.metrics.lost_lease.add(hand.turn(open));
            if all_ended.is_some() && hand.settling.len() == 0 {
                return;
            }
        }
    }
}

impl UnsettledBatch<'_> {
    fn ended(&mut self, message: Arc<Message>, verdict: Verdict, go_on: Option<GoOn>, open: &mut Open<'_>) {
        let mut reason = String::new();
        let key = message.here.key;
        let wish = match verdict {
            Verdict::Handled(Outcome::Done) | Verdict::Duplicate => return open.finish(&message.id),
            Verdict::Handled(Outcome::Reject { reason: why }) => {
                reason = why;
                Wish::DeadLetter
            }
            Verdict::Handled(Outcome::Retry { after, .. }) => self.again(&message, after),
            Verdict::Panicked(_) | Verdict::TimedOut(_) => self.again(&message, None),
            // Lambda holds the leases, so that none is lost while a handler runs.
            Verdict::Late | Verdict::Blocked | Verdict::Lost => Wish::GiveBack(Duration::ZERO),
        };
        // A record without a handle cannot be changed: it comes after its visibility timeout.
        if wish != Wish::DeadLetter && message.receipt_handle.is_empty() {
            return;
        }
        let now = self.began.elapsed();
        self.settling.hold(key, now);
        self.settling.wish(key, wish, now);
        self.held.insert(key, SettledMessage { message, reason, go_on });
    }

    fn again(&self, message: &Message, after: Option<Duration>) -> Wish {
        let after = after.unwrap_or_else(|| self.backoff.delay(message.attempt(), fastrand::f64()));
        // Who comes for the first time has told when, unless clocks differ; others may have waited in the mapping for as long as
        // it gathers.
        let told = message.here.received_at.and_then(|at| at.elapsed().ok()).filter(|held| *held < LONGEST_LEASE);
        let held = told.unwrap_or_else(|| self.began.elapsed() + LONGEST_BATCH_WINDOW);
        Wish::GiveBack(hidden_for(after, held))
    }

    /// Makes the calls that are due; says how many messages had another owner.
    fn turn(&mut self, open: &mut Open<'_>) -> u64 {
        let mut lost = 0;
        loop {
            for (key, fate) in self.settling.fates() {
                match fate {
                    Fate::Taken => {
                        let Some(held) = self.held.remove(&key) else { continue };
                        held.go_on.map(|go_on| go_on.send(()));
                        open.finish(&held.message.id);
                    }
                    Fate::NotTaken => {
                        // Its group hears of it by the sender being dropped.
                        let Some(held) = self.held.get_mut(&key) else { continue };
                        held.go_on = None;
                        let message = held.message.clone();
                        let wish = self.again(&message, None);
                        let now = self.began.elapsed();
                        self.settling.wish(key, wish, now);
                    }
                    Fate::Lost => lost += u64::from(self.held.remove(&key).is_some()),
                    Fate::Settled | Fate::Unsettled => drop(self.held.remove(&key)),
                }
            }
            let (calls, _) = self.settling.calls(self.began.elapsed());
            if calls.is_empty() {
                return lost;
            }
            calls.into_iter().for_each(|call| self.make(call));
        }
    }

    fn make(&mut self, call: Call) {
        let kind = call.kind;
        let named = call.entries.into_iter().filter_map(|(key, hidden)| {
            let held = self.held.get(&key)?;
            Some(Named { key, message: held.message.clone(), hidden, reason: held.reason.clone() })
        });
        let (named, (sources, arn)): (Vec<_>, _) = (named.collect(), self.source.clone());
        let arn = arn.map(str::to_owned);
        self.calls.spawn(async move {
            match sources.source(arn.as_deref()).await {
                Ok(source) => calls::make(kind, source.queue.clone(), source.dead_letters.clone(), named).await,
                Err(error) => {
                    tracing::warn!(%error, "visibility timeouts stay as they are");
                    let replies = named.iter().map(|named| (named.key, Reply::Refused)).collect();
                    CallAnswer { kind, replies }
                }
            }
        });
    }

    fn answered(&mut self, answer: &CallAnswer) {
        let now = self.began.elapsed();
        // Nobody's lease is extended here, so that nobody's is found to be over.
        let _ = self.settling.answered(answer.kind, &answer.replies, now, fastrand::f64());
    }
}
