//! How messages are settled, on both hosts: events in, calls out. It knows no SQS, no clock and no chance: `now` is the time
//! since the host began, and answers are told to it entry by entry.
//!
//! ```text
//! held ─► (extended while held) ─► wish ─┬► Delete ─────► call ─┬► confirmed: settled
//!                                        ├► GiveBack ───► call ─┤► lost: another owner settles it
//!                                        └► DeadLetter ─► call ─┘► failed: held, extended, and tried again
//! ```
//!
//! What was not confirmed is not settled. All calls but extensions pass one [`Gate`], so that what fails is tried again at
//! a bounded rate however much waits for it.

mod gate;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use gate::{Gate, wait};

/// Names one receive of a message while its host holds it.
pub(crate) type Key = u64;

/// SQS lets nobody hold a message for longer, extensions included.
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(12 * 3600);
/// Entries of a call.
const MAX_ENTRIES: usize = 10;

/// For how long a message is hidden that shall come again `after`, and has been held for so long: SQS counts in whole seconds,
/// and in 12 hours from the receive.
pub(crate) fn hidden_for(after: Duration, held: Duration) -> Duration {
    let most = LONGEST_LEASE.saturating_sub(held + Duration::from_secs(1));
    Duration::from_secs(after.min(most).as_secs_f64().ceil() as u64)
}

/// What shall become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// It is finished.
    Delete,
    /// Visible again after so long.
    GiveBack(Duration),
    /// To the dead-letter queue, and deleted once that has taken it.
    DeadLetter,
}

/// A batch call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) kind: CallKind,
    /// The messages it names, and how long each becomes invisible where the call changes that.
    pub(crate) entries: Vec<(Key, Duration)>,
}

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Delete,
    GiveBack,
    DeadLetter,
    Extend,
}

/// What an answer says of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// It is named as successful.
    Confirmed,
    /// The message has another owner by now, or is gone.
    Lost,
    /// Not confirmed, and what is wrong can pass.
    Failed,
    /// The same call fails for ever.
    Refused,
}

/// How a message ended for its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Deleted or given back, as SQS confirmed.
    Settled,
    /// The dead-letter queue has it. Where the host deletes, that comes next, and another fate with it.
    Taken,
    /// The dead-letter queue has not taken it: it is still held, and its host wishes anew.
    NotTaken,
    /// Another owner has it, or may have it: not settled by this host.
    Lost,
    /// SQS refuses for good: it comes again by itself.
    Unsettled,
}

/// When leases are extended, and by how much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heartbeat {
    /// A lease is extended at this age at the latest.
    pub(crate) every: Duration,
    /// To this.
    pub(crate) visibility: Duration,
}

#[derive(Debug)]
struct Lease {
    received: Duration,
    /// The next extension is due.
    extend_at: Duration,
    /// Others may get it then, as far as is known: no extension counts that was not confirmed.
    visible_at: Duration,
    /// It is being extended, to then.
    extending: Option<Duration>,
    lost: bool,
    state: LeaseState,
    /// It waits in the list of its wish.
    listed: bool,
    /// Failures of its own, inside calls that succeeded for others.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeaseState {
    Handling,
    Waiting(Wish),
    Calling(Wish),
}

/// Everything that a host holds.
#[derive(Debug)]
pub(crate) struct Settling {
    heartbeat: Option<Heartbeat>,
    linger: Duration,
    /// Lambda deletes for its functions.
    deletes: bool,
    held: HashMap<Key, Lease>,
    to_delete: VecDeque<Key>,
    to_give_back: VecDeque<Key>,
    to_dead_letters: VecDeque<Key>,
    /// Who failed alone, and when it is their turn again.
    again: Vec<(Duration, Key)>,
    delete_due: Option<Duration>,
    next_look: Option<Duration>,
    gate: Gate,
    fates: Vec<(Key, Fate)>,
}

impl Settling {
    /// For a host that deletes: each delete waits `linger` for nine others. Without a heartbeat nothing is extended.
    pub(crate) fn of_worker(heartbeat: Option<Heartbeat>, linger: Duration) -> Self {
        Self {
            heartbeat,
            linger,
            deletes: true,
            held: HashMap::new(),
            to_delete: VecDeque::new(),
            to_give_back: VecDeque::new(),
            to_dead_letters: VecDeque::new(),
            again: Vec::new(),
            delete_due: None,
            next_look: None,
            gate: Gate::open(),
            fates: Vec::new(),
        }
    }

    /// For a host whose messages somebody else holds and deletes.
    pub(crate) fn of_function() -> Self {
        Self { deletes: false, ..Self::of_worker(None, Duration::ZERO) }
    }

    /// A message came.
    pub(crate) fn hold(&mut self, key: Key, now: Duration) {
        let mut extend_at = Duration::MAX;
        let mut visible_at = Duration::MAX;
        if let Some(heartbeat) = self.heartbeat {
            (extend_at, visible_at) = (now + heartbeat.old_enough(), now + heartbeat.visibility);
            self.next_look.get_or_insert(now + heartbeat.look_every());
        }
        let extending = None;
        let lost = false;
        let state = LeaseState::Handling;
        let listed = false;
        let failures = 0;
        let held = Lease { received: now, extend_at, visible_at, extending, lost, state, listed, failures };
        self.held.insert(key, held);
    }

    /// How many messages are held.
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many messages are handled and wait for their call, or for its answer.
    pub(crate) fn unsettled(&self) -> usize {
        self.held.values().filter(|held| held.state != LeaseState::Handling).count()
    }

    /// For how long it has been held.
    pub(crate) fn held_for(&self, key: Key, now: Duration) -> Duration {
        self.held.get(&key).map(|held| now.saturating_sub(held.received)).unwrap_or_default()
    }

    /// Nothing more should be received: calls fail.
    pub(crate) fn is_failing(&self) -> bool {
        self.gate.is_failing()
    }

    /// Not ready: calls fail again and again.
    pub(crate) fn keeps_failing(&self) -> bool {
        self.gate.keeps_failing()
    }

    /// No delete waits for others any more.
    pub(crate) fn hurry(&mut self) {
        self.linger = Duration::ZERO;
        self.delete_due = self.delete_due.map(|_| Duration::ZERO);
    }

    /// The message was handled. Nothing is done about one that another owner has, or may have.
    pub(crate) fn wish(&mut self, key: Key, wish: Wish, now: Duration) {
        let Some(held) = self.held.get_mut(&key).filter(|held| held.state == LeaseState::Handling) else { return };
        if held.lost {
            return self.end(key, Fate::Lost);
        }
        held.state = LeaseState::Waiting(wish);
        self.list(key, now);
    }

    /// Ends what nobody settles: its lease is over.
    pub(crate) fn forget(&mut self, key: Key) {
        self.end(key, Fate::Lost);
    }

    fn end(&mut self, key: Key, fate: Fate) {
        if self.held.remove(&key).is_some() {
            self.fates.push((key, fate));
        }
    }

    /// Lets it wait for its call. One that is being extended is not given back at the same time: the two could race.
    fn list(&mut self, key: Key, now: Duration) {
        let Some(held) = self.held.get_mut(&key).filter(|held| !held.listed) else { return };
        let LeaseState::Waiting(wish) = held.state else { return };
        match wish {
            Wish::GiveBack(_) if held.extending.is_some() => return,
            Wish::GiveBack(_) => self.to_give_back.push_back(key),
            Wish::DeadLetter => self.to_dead_letters.push_back(key),
            Wish::Delete => {
                self.to_delete.push_back(key);
                self.delete_due.get_or_insert(now + self.linger);
            }
        }
        held.listed = true;
    }

    /// When to ask for [`Self::calls`] again, if nothing else happens.
    pub(crate) fn next(&self) -> Option<Duration> {
        let immediate = !self.to_give_back.is_empty();
        let full = self.to_delete.len() >= MAX_ENTRIES;
        let settle = if immediate || full { Some(Duration::ZERO) } else { self.delete_due };
        let settle = settle.and_then(|due| Some(self.gate.next()?.max(due)));
        let rejects = (!self.to_dead_letters.is_empty()).then_some(Duration::ZERO);
        let again = self.again.iter().map(|(due, _)| *due).min();
        [settle, rejects, again, self.next_look].into_iter().flatten().min()
    }

    /// How messages ended since the last time.
    pub(crate) fn fates(&mut self) -> Vec<(Key, Fate)> {
        std::mem::take(&mut self.fates)
    }

    /// The calls to make now, and the messages whose leases were found to be over.
    pub(crate) fn calls(&mut self, now: Duration) -> (Vec<Call>, Vec<Key>) {
        let due: Vec<_> = self.again.extract_if(.., |(due, _)| *due <= now).collect();
        due.into_iter().for_each(|(_, key)| self.list(key, now));
        let (mut calls, over) = self.extensions(now);
        while !self.to_dead_letters.is_empty() {
            self.begin(CallKind::DeadLetter, &mut calls);
        }
        while !self.to_give_back.is_empty() && self.gate.enter(now) {
            if !self.begin(CallKind::GiveBack, &mut calls) {
                self.gate.leave();
            }
        }
        let due = |due: Option<Duration>| due.is_some_and(|due| due <= now);
        while (self.to_delete.len() >= MAX_ENTRIES || (due(self.delete_due) && !self.to_delete.is_empty()))
            && self.gate.enter(now)
        {
            if !self.begin(CallKind::Delete, &mut calls) {
                self.gate.leave();
            }
        }
        if self.to_delete.is_empty() {
            self.delete_due = None;
        }
        (calls, over)
    }

    /// Begins a call with the first ten that wait for it; false if none of them is left to be named.
    fn begin(&mut self, kind: CallKind, calls: &mut Vec<Call>) -> bool {
        let list = match kind {
            CallKind::Delete => &mut self.to_delete,
            CallKind::GiveBack => &mut self.to_give_back,
            CallKind::DeadLetter | CallKind::Extend => &mut self.to_dead_letters,
        };
        let keys: Vec<_> = list.drain(..list.len().min(MAX_ENTRIES)).collect();
        let mut entries = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(held) = self.held.get_mut(&key) else { continue };
            held.listed = false;
            let LeaseState::Waiting(wish) = held.state else { continue };
            let hidden = match wish {
                // A delete does no harm where another owner has it, and spares the next one the work.
                Wish::Delete => Duration::ZERO,
                Wish::GiveBack(_) | Wish::DeadLetter if held.lost => {
                    self.end(key, Fate::Lost);
                    continue;
                }
                Wish::GiveBack(_) if held.extending.is_some() => continue,
                Wish::GiveBack(after) => after,
                Wish::DeadLetter => Duration::ZERO,
            };
            held.state = LeaseState::Calling(wish);
            entries.push((key, hidden));
        }
        let any = !entries.is_empty();
        calls.extend(any.then_some(Call { kind, entries }));
        any
    }

    /// Leases to extend now, looked for at intervals, so that many fit into one call; and those that are over: no extension
    /// was confirmed in time, or the 12 hours are over.
    fn extensions(&mut self, now: Duration) -> (Vec<Call>, Vec<Key>) {
        let (Some(heartbeat), Some(look)) = (self.heartbeat, self.next_look) else { return Default::default() };
        if now < look {
            return Default::default();
        }
        let mut due = Vec::new();
        let mut over = Vec::new();
        let mut next_look = now + heartbeat.look_every();
        for (key, held) in self.held.iter_mut().filter(|(_, held)| !held.lost) {
            if held.visible_at <= now {
                held.lost = true;
                over.push(*key);
                continue;
            }
            next_look = next_look.min(held.visible_at);
            let left = LONGEST_LEASE.saturating_sub(now - held.received);
            let wanted = heartbeat.visibility.min(Duration::from_secs(left.as_secs()));
            let given_back = matches!(held.state, LeaseState::Calling(Wish::GiveBack(_)));
            if held.extending.is_none() && !given_back && held.extend_at <= now && held.visible_at < now + wanted {
                held.extending = Some(now + wanted);
                held.extend_at = now + heartbeat.old_enough();
                due.push((*key, wanted));
            }
        }
        self.next_look = (!self.held.is_empty()).then_some(next_look);
        due.sort_unstable();
        over.sort_unstable();
        let calls = due.chunks(MAX_ENTRIES).map(|entries| Call { kind: CallKind::Extend, entries: entries.to_vec() });
        (calls.collect(), over)
    }

    /// A call was answered. Gives the messages whose handlers have to stop, since others have them.
    pub(crate) fn answered(
        &mut self,
        kind: CallKind,
        replies: &[(Key, Reply)],
        now: Duration,
        chance: f64,
    ) -> Vec<Key> {
        match kind {
            CallKind::Extend => self.extended(replies, now),
            CallKind::Delete | CallKind::GiveBack => {
                let any = replies.iter().any(|(_, reply)| *reply != Reply::Failed);
                if any {
                    self.gate.succeeded()
                } else {
                    self.gate.failed(now, chance)
                }
                replies.iter().for_each(|(key, reply)| self.replied(*key, *reply, any, now, chance));
                Vec::new()
            }
            CallKind::DeadLetter => {
                replies.iter().for_each(|(key, reply)| self.taken(*key, *reply, now));
                Vec::new()
            }
        }
    }

    fn replied(&mut self, key: Key, reply: Reply, others_succeeded: bool, now: Duration, chance: f64) {
        let Some(held) = self.held.get_mut(&key) else { return };
        let LeaseState::Calling(wish) = held.state else { return };
        match reply {
            Reply::Confirmed => self.end(key, Fate::Settled),
            Reply::Lost => self.end(key, Fate::Lost),
            Reply::Refused => self.end(key, Fate::Unsettled),
            Reply::Failed => {
                held.state = LeaseState::Waiting(wish);
                // It could not be extended while it was given back: that comes first now.
                if held.extend_at <= now {
                    self.next_look = Some(now);
                }
                if others_succeeded {
                    self.again.push((now + wait(held.failures, chance), key));
                    held.failures += 1;
                } else {
                    self.list(key, now);
                }
            }
        }
    }

    fn taken(&mut self, key: Key, reply: Reply, now: Duration) {
        let Some(held) = self.held.get_mut(&key).filter(|held| held.state == LeaseState::Calling(Wish::DeadLetter))
        else {
            return;
        };
        held.state = LeaseState::Handling;
        match reply {
            Reply::Confirmed if self.deletes => {
                // Whoever has it now would make a dead letter of it too.
                held.lost = false;
                self.fates.push((key, Fate::Taken));
                self.wish(key, Wish::Delete, now);
            }
            Reply::Confirmed => self.end(key, Fate::Taken),
            Reply::Lost | Reply::Failed | Reply::Refused => self.fates.push((key, Fate::NotTaken)),
        }
    }

    fn extended(&mut self, replies: &[(Key, Reply)], now: Duration) -> Vec<Key> {
        let mut over = Vec::new();
        for (key, reply) in replies {
            let Some(held) = self.held.get_mut(key) else { continue };
            let Some(to) = held.extending.take() else { continue };
            match reply {
                Reply::Confirmed if now < held.visible_at => held.visible_at = to,
                Reply::Failed => held.extend_at = now,
                // SQS extends a lease that is over too, though another owner may have the message by then.
                Reply::Confirmed | Reply::Lost | Reply::Refused => {
                    held.lost = true;
                    over.push(*key);
                }
            }
            self.list(*key, now);
        }
        over
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
