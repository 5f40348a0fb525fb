//! The settling task: it alone knows every message in hand, hears what happens, and makes the calls that follow from it.
//! What follows is [`Settling`]'s to say; here are the messages, the log, and what the rest of the worker is told.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::adapt::Adaptive;
use super::room::Room;
use crate::batch::{GoOn, InHand, MessageEvent, Verdict};
use crate::calls::{self, CallAnswer, Named};
use crate::config::Backoff;
use crate::handler::Outcome;
use crate::journal::{Journal, Times};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::queue::{DeadLetters, Queue};
use crate::settle::{Fate, Key, Settling, Wish, hidden_for};
use crate::shutdown::Health;

/// Events looked at in one turn.
const EVENTS_A_TURN: usize = 128;
/// Finished messages that wait for their delete; above that, no more are received.
const MOST_UNDELETED: usize = 2_000;
/// What is left at the end gets this long: a batch call and its repetition.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// All that can happen to the settling task.
#[derive(Debug)]
pub(super) enum Happened {
    /// Messages came, and are about to be handled.
    Received(Vec<InHand>),
    /// Messages came that nobody will handle, since the worker is draining.
    Unwanted(Vec<Message>),
    /// A handler began or ended.
    Handled(MessageEvent),
}

impl From<MessageEvent> for Happened {
    fn from(event: MessageEvent) -> Self {
        Self::Handled(event)
    }
}

/// What the worker has done with messages, when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Handlers that were aborted since time was up.
    pub(super) aborted: usize,
    /// Messages that could not be settled: they come again after their visibility timeout.
    pub(super) unsettled: usize,
}

pub(super) struct WorkerSettler {
    pub(super) queue: Queue,
    pub(super) dead_letters: Arc<DeadLetters>,
    pub(super) room: Arc<Room>,
    pub(super) health: Health,
    pub(super) settling: Settling,
    pub(super) backoff: Backoff,
    pub(super) journal: Journal,
    pub(super) metrics: Arc<Metrics>,
    /// `None`: the limit stays what `CONCURRENCY` says.
    pub(super) adaptive: Option<Adaptive>,
    pub(super) hand: MessagesInHand,
}

/// The messages in hand, and what the room has not been told of yet.
#[derive(Debug)]
pub(super) struct MessagesInHand {
    began: Instant,
    held: HashMap<Key, HeldMessage>,
    /// Places of messages that need none any more.
    owed: usize,
    /// Bytes of bodies that are dropped.
    dropped: usize,
    /// Handlers that ended, and the time they took.
    handled: (usize, Duration),
    tally: Tally,
}

impl MessagesInHand {
    pub(super) fn empty() -> Self {
        let held = HashMap::new();
        let tally = Tally::default();
        Self { began: Instant::now(), held, owed: 0, dropped: 0, handled: (0, Duration::ZERO), tally }
    }
}

#[derive(Debug)]
struct HeldMessage {
    message: Arc<Message>,
    bytes: usize,
    received_at: SystemTime,
    started: Option<(Instant, SystemTime)>,
    /// Tells the handler to stop, since another owner has the message or may have it.
    lost: CancellationToken,
    /// Its place in the room was given back.
    paid: bool,
    /// Why it is rejected.
    reason: String,
    /// The rest of its group waits behind its reject.
    go_on: Option<GoOn>,
}

impl WorkerSettler {
    /// Runs until every sender of `happened` is gone, then settles what is left.
    pub(super) async fn run(mut self, mut happened: UnboundedReceiver<Happened>) -> Tally {
        let mut calls = JoinSet::new();
        let mut turn = Vec::with_capacity(EVENTS_A_TURN);
        loop {
            let due = self.settling.next().map(|due| self.hand.began + due);
            tokio::select! {
                Some(answer) = calls.join_next() => self.answered(answer),
                heard = happened.recv_many(&mut turn, EVENTS_A_TURN) => {
                    if heard == 0 {
                        break;
                    }
                    turn.drain(..).for_each(|event| self.hear(event));
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            self.turn(&mut calls);
        }
        self.settling.hurry();
        let _ = timeout(FLUSH_WITHIN, self.flush(&mut calls)).await;
        self.hand.tally.unsettled += self.settling.unsettled();
        self.hand.tally
    }

    async fn flush(&mut self, calls: &mut JoinSet<CallAnswer>) {
        loop {
            self.turn(calls);
            let due = self.settling.next().filter(|_| self.settling.unsettled() > 0);
            let due = due.map(|due| self.hand.began + due);
            tokio::select! {
                Some(answer) = calls.join_next() => self.answered(answer),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                else => return,
            }
        }
    }

    fn now(&self) -> Duration {
        self.hand.began.elapsed()
    }

    /// Makes the calls that are due, and tells the rest of the worker how things are.
    fn turn(&mut self, calls: &mut JoinSet<CallAnswer>) {
        self.ended();
        let (due, over) = self.settling.calls(self.now());
        over.into_iter().for_each(|key| self.stop(key));
        for call in due {
            let entries = call.entries.into_iter().filter_map(|(key, hidden)| {
                let held = self.hand.held.get(&key)?;
                Some(Named { key, message: held.message.clone(), hidden, reason: held.reason.clone() })
            });
            calls.spawn(calls::make(call.kind, self.queue.clone(), self.dead_letters.clone(), entries.collect()));
        }
        self.ended();
        self.health.settles(!self.settling.keeps_failing());
        self.room.pause(self.settling.is_failing());
        self.pay_room();
        self.metrics.in_flight.set(self.settling.len() as u64);
    }

    fn hear(&mut self, happened: Happened) {
        match happened {
            Happened::Received(messages) => {
                self.metrics.received.add(messages.len() as u64);
                messages.into_iter().for_each(|(message, lost)| self.hold(message, lost, false));
            }
            Happened::Unwanted(messages) => {
                self.metrics.received.add(messages.len() as u64);
                for message in messages {
                    let message = Arc::new(message);
                    self.hold(message.clone(), CancellationToken::new(), true);
                    self.give_back(&message, Duration::ZERO);
                }
            }
            Happened::Handled(MessageEvent::Started(message)) => {
                if let Some(held) = self.hand.held.get_mut(&message.here.key) {
                    held.started = Some((Instant::now(), SystemTime::now()));
                }
                if let Some(age) = message.sent_at.and_then(|sent| sent.elapsed().ok()) {
                    self.metrics.age_at_start_seconds.observe(age);
                }
            }
            Happened::Handled(MessageEvent::Again { message, verdict, behind }) => {
                self.record(&message, &verdict);
                verdict.tell(&message);
                // Whoever waits for its turn leaves its place to others.
                behind.iter().chain([&message]).for_each(|message| self.pay(message.here.key));
            }
            Happened::Handled(MessageEvent::Ended(message, verdict, go_on)) => {
                self.record(&message, &verdict);
                self.pay(message.here.key);
                if let Some(held) = self.hand.held.get_mut(&message.here.key) {
                    held.go_on = go_on;
                }
                self.settle(message, verdict);
            }
        }
    }

    fn hold(&mut self, message: Arc<Message>, lost: CancellationToken, paid: bool) {
        let key = message.here.key;
        let bytes = message.bytes();
        self.settling.hold(key, self.now());
        let received_at = SystemTime::now();
        let started = None;
        let reason = String::new();
        let go_on = None;
        let held = HeldMessage { message, bytes, received_at, started, lost, paid, reason, go_on };
        self.hand.held.insert(key, held);
    }

    fn pay(&mut self, key: Key) {
        if let Some(held) = self.hand.held.get_mut(&key).filter(|held| !held.paid) {
            held.paid = true;
            self.hand.owed += 1;
        }
    }

    fn record(&mut self, message: &Arc<Message>, verdict: &Verdict) {
        self.metrics.ended(verdict.word());
        let Some(held) = self.hand.held.get_mut(&message.here.key) else { return };
        let started = held.started.take();
        if let Some((started, _)) = started {
            let time = started.elapsed();
            self.metrics.handler_seconds.observe(time);
            self.hand.handled.0 += 1;
            self.hand.handled.1 += time;
            if let Some(adaptive) = &mut self.adaptive {
                let failed = matches!(verdict.word(), "retry" | "panic" | "timeout");
                self.room.change(adaptive.ended(time, failed));
            }
        }
        self.hand.tally.aborted += usize::from(*verdict == Verdict::Late && started.is_some());
        if self.journal.is_on() {
            let received = held.received_at;
            let started = started.map(|(_, at)| at);
            self.journal.message(message, Times { received, started, finished: SystemTime::now() }, verdict.word());
        }
    }

    fn settle(&mut self, message: Arc<Message>, verdict: Verdict) {
        let key = message.here.key;
        let now = self.now();
        verdict.tell(&message);
        match verdict {
            Verdict::Handled(Outcome::Done) | Verdict::Duplicate => {
                self.drop_body(message);
                self.settling.wish(key, Wish::Delete, now);
            }
            Verdict::Handled(Outcome::Reject { reason }) => {
                if let Some(held) = self.hand.held.get_mut(&key) {
                    held.reason = reason;
                }
                self.settling.wish(key, Wish::DeadLetter, now);
            }
            Verdict::Handled(Outcome::Retry { after, .. }) => self.retry(&message, after),
            Verdict::Panicked(_) | Verdict::TimedOut(_) => self.retry(&message, None),
            Verdict::Late | Verdict::Blocked => self.give_back(&message, Duration::ZERO),
            Verdict::Lost => self.settling.forget(key),
        }
    }

    /// Only its names are needed from now on.
    fn drop_body(&mut self, message: Arc<Message>) {
        let key = message.here.key;
        let Some(held) = self.hand.held.remove(&key) else { return };
        self.hand.dropped += held.bytes;
        drop(held.message);
        self.hand.held.insert(key, HeldMessage { message: message.without_body(), bytes: 0, ..held });
    }

    fn retry(&mut self, message: &Arc<Message>, after: Option<Duration>) {
        let after = after.unwrap_or_else(|| self.backoff.delay(message.attempt(), fastrand::f64()));
        let held = self.settling.held_for(message.here.key, self.now());
        self.give_back(message, hidden_for(after, held));
    }

    fn give_back(&mut self, message: &Arc<Message>, after: Duration) {
        let now = self.now();
        self.settling.wish(message.here.key, Wish::GiveBack(after), now);
    }

    fn answered(&mut self, answer: Result<CallAnswer, tokio::task::JoinError>) {
        let Ok(answer) = answer else { return };
        let now = self.now();
        let over = self.settling.answered(answer.kind, &answer.replies, now, fastrand::f64());
        over.into_iter().for_each(|key| self.stop(key));
    }

    fn stop(&mut self, key: Key) {
        if let Some(held) = self.hand.held.get(&key) {
            held.lost.cancel();
        }
    }

    /// What became of messages since the last turn.
    fn ended(&mut self) {
        for (key, fate) in self.settling.fates() {
            match fate {
                Fate::Taken => {
                    let Some(held) = self.hand.held.get_mut(&key) else { continue };
                    held.go_on.take().map(|go_on| go_on.send(()));
                    let message = held.message.clone();
                    self.drop_body(message);
                }
                Fate::NotTaken => {
                    // Its group hears of it by the sender being dropped.
                    let Some(held) = self.hand.held.get_mut(&key) else { continue };
                    held.go_on = None;
                    let message = held.message.clone();
                    self.retry(&message, None);
                }
                Fate::Settled | Fate::Lost | Fate::Unsettled => self.gone(key, fate),
            }
        }
    }

    fn gone(&mut self, key: Key, fate: Fate) {
        self.pay(key);
        let Some(held) = self.hand.held.remove(&key) else { return };
        self.hand.dropped += held.bytes;
        let id = &held.message.id;
        let receive_count = held.message.receive_count;
        match fate {
            Fate::Lost => {
                self.metrics.lost_lease.add(1);
                tracing::warn!(id, receive_count, "not settled: its lease is lost, and another owner may have it");
            }
            Fate::Unsettled => {
                self.hand.tally.unsettled += 1;
                tracing::warn!(id, receive_count, "not settled: SQS refuses, and the message may come again");
            }
            Fate::Settled | Fate::Taken | Fate::NotTaken => {}
        }
    }

    fn pay_room(&mut self) {
        let (count, time) = std::mem::take(&mut self.hand.handled);
        self.room.handled(count, time);
        self.room.dropped(std::mem::take(&mut self.hand.dropped));
        if self.hand.owed > 0 && self.settling.unsettled() < MOST_UNDELETED {
            self.room.free(std::mem::take(&mut self.hand.owed));
        }
    }
}
