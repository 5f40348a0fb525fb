//! One pod: a worker that receives what it has room for, works on it, and settles it.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::Event;
use super::virtual_time::{Held, VirtualTime, draw};
use crate::scenario::Pod as Settings;
use twinscale_work::Fate;
use twinscale_work::Work;

/// What all pods of a run have in common.
pub(super) struct Kind {
    pub settings: Settings,
    /// The work, with the pod's share of processors.
    pub work: Work,
    pub visibility: Duration,
    pub max_receives: u32,
    pub fifo: bool,
    /// Pods are jobs, which end.
    pub jobs: bool,
    /// A job's share of messages, where it has one.
    pub messages: Option<u32>,
    pub seed: u64,
}

impl Kind {
    fn capacity(&self) -> u32 {
        self.settings.concurrency + self.settings.prefetch
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PodState {
    Starting,
    Ready,
    /// After SIGTERM.
    Draining,
    Gone,
}

/// A place in which one message is worked on.
#[derive(Clone, Copy, Debug)]
struct WorkPlace {
    held: Held,
    /// When its computing part ends: until then it shares the processors.
    computes_until: Duration,
}

/// A pod's worker.
pub(super) struct SimulatedPod {
    pub state: PodState,
    pub born: Duration,
    /// When it became Ready.
    pub ready_at: Option<Duration>,
    /// The node it stands on; none while it waits for one, or where nodes are not modelled.
    pub node: Option<u32>,
    index: u32,
    /// Messages that it may still receive: a job's share, or as many as there are.
    left: u64,
    /// Held and not begun.
    waiting: VecDeque<Held>,
    /// The first of a FIFO group that failed: held until its next attempt, with all that waits behind it.
    resting: Vec<(Duration, Held)>,
    places: Vec<Option<WorkPlace>>,
    free: Vec<u32>,
    /// When it last received a message, or became Ready.
    received_at: Duration,
    /// When the long poll under way began.
    polling_since: Option<Duration>,
    poll_over_planned: bool,
    lingering: bool,
    linger_epoch: u32,
    deletes: Vec<Held>,
    flush_epoch: u32,
    heartbeat_planned: bool,
    /// It will not live to the end of its drain budget.
    killed: bool,
}

impl SimulatedPod {
    pub(super) fn new(index: u32, born: Duration, kind: &Kind) -> Self {
        let places = kind.settings.concurrency;
        Self {
            state: PodState::Starting,
            born,
            ready_at: None,
            node: None,
            index,
            left: kind.messages.map_or(u64::MAX, u64::from),
            waiting: VecDeque::new(),
            resting: Vec::new(),
            places: vec![None; places as usize],
            free: (0..places).rev().collect(),
            received_at: Duration::ZERO,
            polling_since: None,
            poll_over_planned: false,
            lingering: false,
            linger_epoch: 0,
            deletes: Vec::new(),
            flush_epoch: 0,
            heartbeat_planned: false,
            killed: false,
        }
    }

    /// It is Ready: from now on it receives.
    pub(super) fn start(&mut self, now: Duration) {
        (self.state, self.ready_at, self.received_at) = (PodState::Ready, Some(now), now);
    }

    fn running(&self) -> u32 {
        self.places.len() as u32 - self.free.len() as u32
    }

    fn room(&self, kind: &Kind) -> u32 {
        let in_hand = self.running() + self.waiting.len() as u32;
        let paid = if kind.fifo { self.in_hand().filter(|held| held.paid).count() as u32 } else { 0 };
        let free = kind.capacity().saturating_sub(in_hand - paid);
        u64::from(free).min(self.left) as u32
    }

    fn in_hand(&self) -> impl Iterator<Item = &Held> {
        self.places.iter().flatten().map(|place| &place.held).chain(&self.waiting)
    }

    /// A long poll of this pod is under way.
    pub(super) fn polls(&self) -> bool {
        self.polling_since.is_some()
    }

    /// A draining pod, or a job that has had its share, with nothing left to do.
    pub(super) fn has_drained(&self) -> bool {
        let ends = self.state == PodState::Draining || self.left == 0 && self.state == PodState::Ready;
        ends && self.running() == 0 && self.waiting.is_empty() && self.resting.is_empty() && !self.polls()
    }

    /// Receives as long as there are messages and room for a good request. True if a long poll now waits.
    pub(super) fn ask(&mut self, stage: &mut VirtualTime, kind: &Kind) -> bool {
        loop {
            let room = self.room(kind);
            if self.state != PodState::Ready || self.polls() || room == 0 {
                return false;
            }
            if u64::from(room) < u64::from(kind.settings.receive_min_room.min(kind.capacity())).min(self.left) {
                if !self.lingering {
                    self.lingering = true;
                    let event = Event::Linger { pod: self.index, epoch: self.linger_epoch };
                    stage.agenda.plan(stage.now + kind.settings.receive_linger, event);
                }
                return false;
            }
            if !self.receive(stage, kind) {
                return true;
            }
        }
    }

    /// Has waited long enough for more room: asks for what there is. True if a long poll now waits.
    pub(super) fn linger_over(&mut self, epoch: u32, stage: &mut VirtualTime, kind: &Kind) -> bool {
        if !self.lingering || epoch != self.linger_epoch || self.state != PodState::Ready || self.room(kind) == 0 {
            return false;
        }
        if self.receive(stage, kind) { self.ask(stage, kind) } else { true }
    }

    /// One receive for the room there is. False if it brought nothing and goes on as a long poll.
    fn receive(&mut self, stage: &mut VirtualTime, kind: &Kind) -> bool {
        self.lingering = false;
        self.linger_epoch += 1;
        if self.take(stage, kind) {
            return true;
        }
        self.polling_since = Some(stage.now);
        self.plan_poll_over(stage, kind);
        false
    }

    /// Answers the long poll under way, if there are messages. False if there are none.
    pub(super) fn answer(&mut self, stage: &mut VirtualTime, kind: &Kind) -> bool {
        if self.take(stage, kind) {
            self.polling_since = None;
            return true;
        }
        false
    }

    fn take(&mut self, stage: &mut VirtualTime, kind: &Kind) -> bool {
        let room = self.room(kind);
        let waiting = &mut self.waiting;
        let count = stage.receive(room, |held| waiting.push_back(held));
        if count == 0 {
            return false;
        }
        self.left -= count as u64;
        self.received_at = stage.now;
        if self.state == PodState::Draining {
            self.give_back_waiting(stage, kind);
        }
        self.begin(stage, kind);
        self.plan_heartbeat(stage, kind);
        true
    }

    /// Begins as many messages as there are places; on a FIFO queue one of a group at a time, in order.
    fn begin(&mut self, stage: &mut VirtualTime, kind: &Kind) {
        while let Some(place) = self.free.pop() {
            let Some(mut held) = self.next_to_begin(kind) else {
                self.free.push(place);
                return;
            };
            let wait = draw(&kind.work, &mut held);
            let computes_until = stage.now + self.computing(stage.now, kind);
            self.places[place as usize] = Some(WorkPlace { held, computes_until });
            stage.books.handled(computes_until + wait - stage.now);
            stage.agenda.plan(computes_until + wait, Event::Finished { pod: self.index, place });
        }
    }

    fn next_to_begin(&mut self, kind: &Kind) -> Option<Held> {
        if !kind.fifo {
            return self.waiting.pop_front();
        }
        let busy = |group| {
            let mut held = self.places.iter().flatten().map(|place| &place.held);
            held.any(|held| held.group == group) || self.resting.iter().any(|(_, held)| held.group == group)
        };
        let next = self.waiting.iter().position(|held| !busy(held.group))?;
        self.waiting.remove(next)
    }

    fn computing(&self, now: Duration, kind: &Kind) -> Duration {
        if kind.work.cpu.is_zero() {
            return Duration::ZERO;
        }
        let others = self.places.iter().flatten().filter(|place| place.computes_until > now).count();
        kind.work.stretched(others as u32 + 1)
    }

    /// A message has been handled: settles it and begins the next.
    pub(super) fn finished(&mut self, place: u32, stage: &mut VirtualTime, kind: &Kind) {
        let Some(WorkPlace { held, .. }) = self.places[place as usize].take() else { return };
        self.free.push(place);
        match held.fate {
            Fate::Retry | Fate::Throw if kind.fifo && self.state == PodState::Ready => self.rest(held, stage, kind),
            Fate::Retry | Fate::Throw => stage.retry(&kind.work, kind.settings.backoff(), &held, Duration::ZERO),
            Fate::Done => self.settle(held, stage, kind),
            Fate::Reject => {
                stage.reject();
                self.settle(held, stage, kind);
            }
        }
        self.begin(stage, kind);
        if self.state != PodState::Ready || self.has_drained() {
            self.flush(stage);
        }
    }

    /// The first of a FIFO group has failed: it is tried again in place, or rejected where `maxReceiveCount` allows no more.
    fn rest(&mut self, mut held: Held, stage: &mut VirtualTime, kind: &Kind) {
        if held.attempt() >= kind.max_receives {
            held.fate = Fate::Reject;
            stage.reject();
            return self.settle(held, stage, kind);
        }
        let again = stage.now + held.pause(&kind.work, kind.settings.backoff());
        (held.failures, held.paid) = (held.failures + 1, true);
        // Whoever waits for its turn leaves its place to others.
        self.waiting.iter_mut().filter(|behind| behind.group == held.group).for_each(|behind| behind.paid = true);
        self.resting.push((again, held));
        stage.agenda.plan(again, Event::Again { pod: self.index });
    }

    /// Those whose pause is over are tried again, before what waits behind them.
    pub(super) fn again(&mut self, stage: &mut VirtualTime, kind: &Kind) {
        let (due, rest) = self.resting.iter().partition(|(at, _)| *at <= stage.now);
        let due: Vec<(Duration, Held)> = due;
        self.resting = rest;
        due.into_iter().rev().for_each(|(_, held)| self.waiting.push_front(held));
        self.begin(stage, kind);
    }

    fn settle(&mut self, held: Held, stage: &mut VirtualTime, kind: &Kind) {
        self.deletes.push(held);
        if self.deletes.len() == 10 || kind.settings.delete_linger.is_zero() {
            self.flush(stage);
        } else if self.deletes.len() == 1 {
            let event = Event::Flush { pod: self.index, epoch: self.flush_epoch };
            stage.agenda.plan(stage.now + kind.settings.delete_linger, event);
        }
    }

    /// The oldest delete has waited long enough.
    pub(super) fn flush_due(&mut self, epoch: u32, stage: &mut VirtualTime) {
        if epoch == self.flush_epoch {
            self.flush(stage);
        }
    }

    fn flush(&mut self, stage: &mut VirtualTime) {
        self.flush_epoch += 1;
        if !self.deletes.is_empty() {
            stage.delete(&self.deletes, 0);
            self.deletes.clear();
        }
    }

    /// SIGTERM: no new receive starts, what has not begun is given back, the rest goes on until SIGKILL after `grace`.
    pub(super) fn terminate(&mut self, grace: Duration, stage: &mut VirtualTime, kind: &Kind) {
        self.state = PodState::Draining;
        self.lingering = false;
        self.give_back_waiting(stage, kind);
        self.begin(stage, kind);
        self.flush(stage);
        self.killed = grace < kind.settings.drain_budget;
        let budget = kind.settings.drain_budget.min(grace);
        stage.agenda.plan(stage.now + budget, Event::DrainOver { pod: self.index });
    }

    /// The drain budget is spent: work in hand is aborted, then given back. A pod that was killed before that
    /// gives nothing back: its messages stay hidden until their visibility ends.
    pub(super) fn drain_over(&mut self, stage: &mut VirtualTime) {
        self.polling_since = None;
        let running = self.places.iter_mut().filter_map(|place| place.take().map(|place| place.held));
        let rest: Vec<Held> = running.chain(self.waiting.drain(..)).collect();
        self.free = (0..self.places.len() as u32).rev().collect();
        if !self.killed {
            stage.give_back(&rest, Duration::ZERO);
            self.flush(stage);
        }
        self.deletes.clear();
    }

    /// What is on its last receive stays: given back, it would be a dead letter that nobody has tried.
    fn give_back_waiting(&mut self, stage: &mut VirtualTime, kind: &Kind) {
        // Whoever receives it next waits for the rest of the time.
        for (at, held) in std::mem::take(&mut self.resting) {
            stage.retry_after(&held, at.saturating_sub(stage.now));
        }
        let (back, last) = self.waiting.drain(..).partition(|held: &Held| held.receives < kind.max_receives);
        let back: Vec<Held> = back;
        self.waiting = VecDeque::from(last);
        if !back.is_empty() {
            stage.give_back(&back, Duration::ZERO);
        }
    }

    /// The pod is no more; only its index stays.
    pub(super) fn forget(&mut self) {
        self.state = PodState::Gone;
        (self.waiting, self.places, self.free, self.deletes) = Default::default();
        self.resting.clear();
    }

    /// One event a pod at most: it looks anew at how long the present poll has gone on.
    fn plan_poll_over(&mut self, stage: &mut VirtualTime, kind: &Kind) {
        if !self.poll_over_planned {
            self.poll_over_planned = true;
            stage.agenda.plan(stage.now + poll(kind), Event::PollOver { pod: self.index });
        }
    }

    /// Counts the poll as an empty receive if it is over, and starts the next, unless the pod drains.
    pub(super) fn poll_over(&mut self, stage: &mut VirtualTime, kind: &Kind) {
        self.poll_over_planned = false;
        let Some(since) = self.polling_since else { return };
        let over = since + poll(kind);
        if over <= stage.now {
            stage.books.requests.empty_receive += u64::from(stage.books.first_send.is_some());
            let idled = stage.now >= self.received_at + kind.settings.exit_when_idle;
            if kind.jobs && idled && self.running() == 0 && self.waiting.is_empty() && self.resting.is_empty() {
                self.left = 0;
            }
            self.polling_since = (self.state == PodState::Ready && self.left > 0).then_some(stage.now);
        }
        if let Some(since) = self.polling_since {
            self.poll_over_planned = true;
            stage.agenda.plan(since + poll(kind), Event::PollOver { pod: self.index });
        }
    }

    fn plan_heartbeat(&mut self, stage: &mut VirtualTime, kind: &Kind) {
        if !self.heartbeat_planned {
            self.heartbeat_planned = true;
            stage.agenda.plan(stage.now + kind.visibility / 2, Event::Heartbeat { pod: self.index });
        }
    }

    /// Extends what has been held for half the visibility timeout, and looks again when the next will have been.
    pub(super) fn heartbeat(&mut self, stage: &mut VirtualTime, kind: &Kind) {
        self.heartbeat_planned = false;
        let half = kind.visibility / 2;
        let mut extended = 0_u64;
        let mut oldest = None;
        let resting = self.resting.iter_mut().map(|(_, held)| held);
        let working = self.places.iter_mut().flatten().map(|place| &mut place.held);
        for held in working.chain(&mut self.waiting).chain(resting) {
            if held.renewed + half <= stage.now {
                stage.extend(held, kind.visibility);
                extended += 1;
            }
            oldest = Some(oldest.map_or(held.renewed, |oldest: Duration| oldest.min(held.renewed)));
        }
        stage.books.requests.change_visibility += extended.div_ceil(10);
        if let Some(oldest) = oldest {
            self.heartbeat_planned = true;
            stage.agenda.plan(oldest + half, Event::Heartbeat { pod: self.index });
        }
    }
}

/// A short poll asks again at once; as fast as SQS answers is taken to be every 10 ms.
fn poll(kind: &Kind) -> Duration {
    kind.settings.wait_time.max(Duration::from_millis(10))
}
