//! Whatever the calls: no message is lost, none is held by two at once, and a group keeps its order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use twinscale_sqs::model::{Attributes, Departure, Handle, HandleError, Queue, Send};

#[derive(Clone, Debug)]
enum Call {
    Send {
        delay: u64,
        group: u8,
        copy: bool,
    },
    Receive {
        max: usize,
        visibility: u64,
    },
    /// By any handle that was ever given, the newest first.
    Delete {
        which: usize,
    },
    ChangeVisibility {
        which: usize,
        timeout: u64,
    },
    Pass {
        time: u64,
    },
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (0..3_u64, 0..3_u8, prop::bool::weighted(0.1)).prop_map(|(delay, group, copy)| Call::Send { delay, group, copy }),
        4 => (1..11_usize, 0..5_u64).prop_map(|(max, visibility)| Call::Receive { max, visibility }),
        3 => (0..12_usize).prop_map(|which| Call::Delete { which }),
        2 => (0..12_usize, 0..6_u64).prop_map(|(which, timeout)| Call::ChangeVisibility { which, timeout }),
        2 => (0..4_u64).prop_map(|time| Call::Pass { time }),
    ]
}

/// A message that is in the queue, as the model knows it.
struct Known {
    group: u8,
    /// Its last handle, and until when it is hidden.
    held: Option<(Handle, Duration)>,
    receives: u32,
}

struct Model {
    queue: Queue<()>,
    now: Duration,
    fifo: bool,
    most_receives: Option<u32>,
    live: BTreeMap<u64, Known>,
    handles: Vec<(Handle, u64)>,
    next: u64,
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Model {
    fn new(fifo: bool, most_receives: Option<u32>) -> Self {
        let attributes = Attributes { fifo, max_receive_count: most_receives, ..Attributes::default() };
        Self {
            queue: Queue::new(attributes),
            now: Duration::ZERO,
            fifo,
            most_receives,
            live: BTreeMap::new(),
            handles: Vec::new(),
            next: 1,
        }
    }

    fn apply(&mut self, call: &Call) {
        match *call {
            Call::Send { delay, group, copy } => self.send(delay, group, copy),
            Call::Receive { max, visibility } => self.receive(max, visibility),
            Call::Delete { which } => self.delete(which),
            Call::ChangeVisibility { which, timeout } => self.change_visibility(which, timeout),
            Call::Pass { time } => self.now += secs(time),
        }
        let counts = self.queue.counts(self.now);
        let total = counts.visible + counts.in_flight + counts.delayed;
        assert_eq!(total, self.live.len() as u64, "the queue holds other messages than were sent and not deleted");
        let hidden = self.live.values().filter(|known| known.held.is_some_and(|(_, until)| until > self.now)).count();
        assert_eq!(counts.in_flight, hidden as u64);
    }

    fn send(&mut self, delay: u64, group: u8, copy: bool) {
        let id = self.next;
        let copy = copy && self.fifo && self.now < secs(200) && id > 1;
        let deduplication: Arc<str> = if copy { (id - 1).to_string() } else { id.to_string() }.into();
        let delay = (!self.fifo).then(|| secs(delay));
        let group_name = self.fifo.then(|| Arc::from(group.to_string()));
        let send = Send { id, payload: (), delay, group: group_name, deduplication: Some(deduplication) };
        let sent = self.queue.send(self.now, send);
        assert_eq!(sent.duplicate, copy);
        if !copy {
            self.next += 1;
            self.live.insert(id, Known { group, held: None, receives: 0 });
        }
    }

    fn receive(&mut self, max: usize, visibility: u64) {
        let mut out = Vec::new();
        let count = self.queue.receive(self.now, max, Some(secs(visibility)), &mut out).expect("under the limit");
        assert!(count == out.len() && count <= max);
        let departed: Vec<_> = self.queue.departures().collect();
        for departure in departed {
            let Departure::DeadLetter(message) = departure else { panic!("nothing is old enough to expire") };
            let known = self.live.remove(&message.id).expect("a dead letter was in the queue");
            assert_eq!(Some(known.receives), self.most_receives, "it was not received often enough");
        }
        for (nth, received) in out.iter().enumerate() {
            let id = received.message.id;
            if self.fifo {
                self.check_order(id, out[..nth].iter().map(|earlier| earlier.message.id).collect());
            }
            let known = self.live.get_mut(&id).expect("what is received was sent and not deleted");
            assert!(known.held.is_none_or(|(_, until)| until <= self.now), "{id} has two holders");
            known.receives += 1;
            assert_eq!(received.message.receives, known.receives);
            known.held = Some((received.handle, self.now + secs(visibility)));
            self.handles.push((received.handle, id));
        }
    }

    /// All earlier messages of its group must be in the same receive, before it.
    fn check_order(&self, id: u64, before: Vec<u64>) {
        let group = self.live[&id].group;
        for earlier in self.live.range(..id).filter(|(_, known)| known.group == group).map(|(id, _)| id) {
            assert!(before.contains(earlier), "{id} was received while {earlier} of its group was not deleted");
        }
    }

    fn handle(&self, which: usize) -> Option<(Handle, u64)> {
        self.handles.iter().rev().nth(which).copied()
    }

    /// The message, if this is the last handle that was given for it.
    fn current(&self, handle: Handle, id: u64) -> Option<&Known> {
        self.live.get(&id).filter(|known| known.held.is_some_and(|(last, _)| last == handle))
    }

    fn delete(&mut self, which: usize) {
        let Some((handle, id)) = self.handle(which) else { return };
        let current = self.current(handle, id).and_then(|known| known.held);
        let expired = current.is_some_and(|(_, until)| until <= self.now);
        match self.queue.delete(self.now, handle) {
            Ok(Some(message)) => {
                assert!(current.is_some() && message.id == id && !(self.fifo && expired));
                self.live.remove(&id);
            }
            Ok(None) => assert!(current.is_none(), "{id} was not deleted by its own handle"),
            Err(error) => assert!(self.fifo && error == HandleError::Expired && self.live.contains_key(&id)),
        }
    }

    fn change_visibility(&mut self, which: usize, timeout: u64) {
        let Some((handle, id)) = self.handle(which) else { return };
        let holds = self.current(handle, id).and_then(|known| known.held).is_some_and(|(_, until)| until > self.now);
        let changed = self.queue.change_visibility(self.now, handle, secs(timeout));
        assert_eq!(changed.is_ok(), holds, "{changed:?}");
        if holds {
            self.live.get_mut(&id).expect("held").held = Some((handle, self.now + secs(timeout)));
        }
    }

    /// When all timeouts are over, everything that was sent and not deleted comes out.
    fn drain(&mut self) {
        self.now += secs(1000);
        while !self.live.is_empty() {
            let before = self.live.len();
            self.receive(10, 600);
            for which in 0..10.min(self.handles.len()) {
                self.delete(which);
            }
            assert!(self.live.len() < before, "{before} messages are lost");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_message_is_lost_or_held_twice_and_groups_keep_their_order(
        fifo: bool,
        most_receives in prop::option::of(1..4_u32),
        calls in prop::collection::vec(call(), 0..120),
    ) {
        let mut model = Model::new(fifo, most_receives);
        calls.iter().for_each(|call| model.apply(call));
        model.drain();
    }

    #[test]
    fn time_alone_brings_every_hidden_message_back_when_due_says(calls in prop::collection::vec(call(), 0..60)) {
        let mut model = Model::new(false, None);
        calls.iter().for_each(|call| model.apply(call));
        let mut hidden = u64::MAX;
        while let Some(due) = model.queue.due() {
            model.now = model.now.max(due);
            let counts = model.queue.counts(model.now);
            prop_assert!(counts.in_flight + counts.delayed < hidden, "due() named a moment at which nothing happens");
            hidden = counts.in_flight + counts.delayed;
        }
        prop_assert_eq!(model.queue.counts(model.now).visible, model.live.len() as u64);
    }
}

#[test]
fn a_message_expires_after_its_retention_even_in_flight() {
    let mut queue = Queue::new(Attributes { retention: secs(60), ..Attributes::default() });
    for id in 0..2 {
        queue.send(secs(id), Send { id, ..Send::default() });
    }
    let mut out: Vec<twinscale_sqs::model::Received<()>> = Vec::new();
    queue.receive(secs(2), 1, Some(secs(600)), &mut out).expect("under the limit");
    assert_eq!(queue.counts(secs(60)).in_flight, 0);
    assert_eq!(queue.counts(secs(60)).visible, 1);
    assert!(matches!(queue.departures().next(), Some(Departure::Expired(message)) if message.id == 0));
    assert_eq!(queue.delete(secs(60), out[0].handle), Ok(None));
}

#[test]
fn a_dead_letter_keeps_the_age_it_came_with() {
    let attributes = Attributes { max_receive_count: Some(1), ..Attributes::default() };
    let mut queue = Queue::new(attributes);
    let mut dead = Queue::new(Attributes { retention: secs(100), ..Attributes::default() });
    queue.send(secs(0), Send { id: 1, payload: (), ..Send::default() });
    let mut out = Vec::new();
    queue.receive(secs(10), 1, Some(Duration::ZERO), &mut out).expect("under the limit");
    assert_eq!(queue.receive(secs(50), 1, None, &mut out), Ok(0));
    dead.send(secs(40), Send { id: 2, payload: (), ..Send::default() });
    for departure in queue.departures() {
        let Departure::DeadLetter(message) = departure else { panic!("it is not old") };
        dead.admit(secs(50), message);
    }
    assert_eq!(dead.counts(secs(99)).visible, 2);
    assert_eq!(dead.counts(secs(100)).visible, 1, "the dead letter was sent at 0");
}

#[test]
fn the_in_flight_limit_refuses_standard_receives_and_starves_fifo_ones() {
    for fifo in [false, true] {
        let mut queue = Queue::new(Attributes { fifo, in_flight_limit: 2, ..Attributes::default() });
        for id in 0..3_u64 {
            let group = fifo.then(|| Arc::from(id.to_string()));
            let deduplication = fifo.then(|| Arc::from(id.to_string()));
            queue.send(secs(0), Send { id, payload: (), delay: None, group, deduplication });
        }
        let mut out = Vec::new();
        assert_eq!(queue.receive(secs(0), 10, None, &mut out), Ok(2));
        assert_eq!(queue.receive(secs(0), 10, None, &mut out).ok(), fifo.then_some(0));
    }
}

#[test]
fn visibility_ends_twelve_hours_after_the_receive_at_most() {
    let mut queue = Queue::new(Attributes::default());
    queue.send(secs(0), Send { id: 1, payload: (), ..Send::default() });
    let mut out = Vec::new();
    queue.receive(secs(0), 1, None, &mut out).expect("under the limit");
    assert_eq!(queue.change_visibility(secs(10), out[0].handle, secs(43_191)), Err(HandleError::TooLong));
    assert_eq!(queue.change_visibility(secs(10), out[0].handle, secs(43_190)), Ok(()));
    assert_eq!(queue.delete(secs(11), Handle::from_bits(u64::MAX)), Err(HandleError::Invalid));
}
