//! Whatever the calls: the queue does what a second, naive model of it does, FIFO included, and loses no message.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use twinscale_sqs::model::{Attributes, Departure, Handle, HandleError, Message, Queue, Received, Send};

use super::naive::Naive;

#[derive(Clone, Debug)]
enum Call {
    Send {
        delay: Option<u64>,
        group: u8,
        id: u8,
    },
    Admit {
        group: u8,
        receives: u32,
    },
    Receive {
        max: usize,
        visibility: u64,
    },
    /// By any handle that was ever given, those of the newest messages first.
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
    Withdraw {
        max: usize,
    },
    Purge,
}

fn call() -> impl Strategy<Value = Call> {
    let timeout = || prop_oneof![8 => 0..6_u64, 1 => Just(43_200)];
    prop_oneof![
        8 => (prop::option::of(0..3_u64), 0..3_u8, 0..40_u8).prop_map(|(delay, group, id)| Call::Send { delay, group, id }),
        1 => (0..3_u8, 1..4_u32).prop_map(|(group, receives)| Call::Admit { group, receives }),
        8 => (1..11_usize, 0..5_u64).prop_map(|(max, visibility)| Call::Receive { max, visibility }),
        6 => (0..12_usize).prop_map(|which| Call::Delete { which }),
        6 => (0..12_usize, timeout()).prop_map(|(which, timeout)| Call::ChangeVisibility { which, timeout }),
        6 => prop_oneof![6 => 0..4_u64, 1 => 0..200_u64].prop_map(|time| Call::Pass { time }),
        1 => (0..4_usize).prop_map(|max| Call::Withdraw { max }),
        1 => Just(Call::Purge),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let counts = (prop::option::of(1..4_u32), prop_oneof![Just(120_000_u64), 1..6_u64]);
    let times = (0..2_u64, prop_oneof![Just(345_600_u64), 60..300_u64]);
    (any::<bool>(), any::<bool>(), counts, times).prop_map(
        |(fifo, deduplicate_by_group, (max_receive_count, in_flight_limit), (delay, retention))| Attributes {
            fifo,
            deduplicate_by_group,
            max_receive_count,
            in_flight_limit,
            delay: secs(delay),
            retention: secs(retention),
            ..Attributes::default()
        },
    )
}

/// The queue beside the naive one.
struct Both {
    attributes: Attributes,
    queue: Queue<()>,
    naive: Naive,
    now: Duration,
    next: u64,
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

impl Both {
    fn new(attributes: Attributes) -> Self {
        let queue = Queue::new(attributes.clone());
        let naive = Naive::new(attributes.clone());
        Self { attributes, queue, naive, now: Duration::ZERO, next: 1 }
    }

    fn apply(&mut self, call: &Call) {
        self.at(self.now);
        match *call {
            Call::Send { delay, group, id } => self.send(delay, group, id),
            Call::Admit { group, receives } => self.admit(group, receives),
            Call::Receive { max, visibility } => drop(self.receive(max, visibility)),
            Call::Delete { which } => {
                let Some(handle) = self.naive.handles().rev().nth(which) else { return };
                self.delete(handle);
            }
            Call::ChangeVisibility { which, timeout } => {
                let Some(handle) = self.naive.handles().rev().nth(which) else { return };
                let changed = self.queue.change_visibility(self.now, handle, secs(timeout));
                assert_eq!(changed.map(|message| message.id), self.naive.change_visibility(handle, secs(timeout)));
            }
            Call::Pass { time } => self.at(self.now + secs(time)),
            Call::Withdraw { max } => {
                let mut out = Vec::new();
                assert_eq!(self.queue.withdraw(self.now, max, &mut out), out.len());
                let ids: Vec<_> = out.iter().map(|message| message.id).collect();
                self.naive.withdraw(max, &ids);
            }
            Call::Purge => {
                self.queue.purge(self.now);
                self.naive.purge();
            }
        }
        assert_eq!(self.queue.counts(self.now), self.naive.counts(), "after {call:?}");
        assert_eq!(self.queue.due(), self.naive.due(), "after {call:?}");
    }

    /// Time passes; what is older than the retention period leaves.
    fn at(&mut self, now: Duration) {
        self.now = now;
        self.naive.pass(now);
        self.queue.counts(now);
        self.naive.check_expired(self.queue.departures().collect());
    }

    fn group(&self, group: u8) -> Option<Arc<str>> {
        self.attributes.fifo.then(|| Arc::from(group.to_string()))
    }

    fn send(&mut self, delay: Option<u64>, group: u8, id: u8) {
        let deduplication = self.attributes.fifo.then(|| Arc::from(id.to_string()));
        let delay = delay.map(secs);
        let send = Send { id: self.next, payload: (), delay, group: self.group(group), deduplication };
        self.next += 1;
        let expected = self.naive.send(&send);
        assert_eq!(self.queue.send(self.now, send), expected);
    }

    fn admit(&mut self, group: u8, receives: u32) {
        let id = self.next;
        let group = self.group(group);
        self.next += 1;
        self.naive.admit(id, group.as_deref(), receives);
        let sent_at = self.now;
        let received_at = Some(self.now);
        let receives_before = 0;
        let message = Message {
            id,
            payload: (),
            group,
            deduplication: None,
            sent_at,
            first_received_at: received_at,
            received_at,
            receives,
            receives_before,
        };
        self.queue.admit(self.now, message);
    }

    fn receive(&mut self, max: usize, visibility: u64) -> Vec<Received<()>> {
        let mut out = Vec::new();
        let full = self.naive.counts().in_flight >= self.attributes.in_flight_limit;
        match self.queue.receive(self.now, max, Some(secs(visibility)), &mut out) {
            Ok(count) => assert_eq!(count, out.len()),
            Err(_) => assert!(full && !self.attributes.fifo && out.is_empty()),
        }
        let left = self.queue.departures().collect();
        self.naive.receive(max, secs(visibility), &out, left);
        // Hidden for no time, it is visible at once.
        self.at(self.now);
        out
    }

    fn delete(&mut self, handle: Handle) {
        let deleted = self.queue.delete(self.now, handle);
        assert_eq!(deleted.map(|message| message.map(|message| message.id)), self.naive.delete(handle));
    }

    /// When all timeouts are over, everything that was sent and not deleted comes out.
    fn drain(&mut self) {
        self.at(self.now + secs(50_000));
        while self.naive.len() > 0 {
            let before = self.naive.len();
            for received in self.receive(10, 600) {
                self.delete(received.handle);
            }
            assert!(self.naive.len() < before, "{before} messages do not come out");
        }
        assert_eq!(self.queue.counts(self.now), Default::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_and_a_naive_second_model_agree(
        attributes in attributes(),
        calls in prop::collection::vec(call(), 0..120),
    ) {
        let mut both = Both::new(attributes);
        calls.iter().for_each(|call| both.apply(call));
        both.drain();
    }
}

/// The bodies' numbers, in the order in which they were brought.
fn ids(received: &[Received<()>]) -> Vec<u64> {
    received.iter().map(|one| one.message.id).collect()
}

/// A FIFO queue with `count` messages of one group, all of them received at 0 s for 30 s.
fn held_group(count: u64) -> (Queue<()>, Vec<Handle>) {
    let mut queue = Queue::new(Attributes { fifo: true, ..Attributes::default() });
    for id in 1..=count {
        let deduplication = Some(Arc::from(id.to_string()));
        queue.send(secs(0), Send { id, payload: (), delay: None, group: Some(Arc::from("g")), deduplication });
    }
    let mut out = Vec::new();
    queue.receive(secs(0), 10, Some(secs(30)), &mut out).expect("a FIFO queue is never over its limit");
    (queue, out.iter().map(|received| received.handle).collect())
}

fn received_at(queue: &mut Queue<()>, at: u64) -> Vec<u64> {
    let mut out = Vec::new();
    queue.receive(secs(at), 10, Some(secs(30)), &mut out).expect("a FIFO queue is never over its limit");
    out.iter().map(|received| received.message.id).collect()
}

#[test]
fn a_head_that_is_given_back_is_received_while_its_follower_is_held() {
    let (mut queue, handles) = held_group(2);
    queue.send(
        secs(0),
        Send { id: 3, group: Some(Arc::from("g")), deduplication: Some(Arc::from("3")), ..Send::default() },
    );
    assert_eq!(received_at(&mut queue, 1), [0_u64; 0]);
    queue.change_visibility(secs(1), handles[0], Duration::ZERO).expect("held");
    assert_eq!(received_at(&mut queue, 1), [1], "the second is held, and locks the third");
    queue.delete(secs(2), handles[1]).expect("held");
    assert_eq!(received_at(&mut queue, 2), [0_u64; 0], "the first is held again");
}

#[test]
fn a_follower_that_is_given_back_waits_for_its_head() {
    let (mut queue, handles) = held_group(2);
    queue.change_visibility(secs(1), handles[1], Duration::ZERO).expect("held");
    assert_eq!(received_at(&mut queue, 1), [0_u64; 0]);
    queue.delete(secs(2), handles[0]).expect("held");
    assert_eq!(received_at(&mut queue, 2), [2]);
}

#[test]
fn what_has_expired_before_an_extended_message_comes_back() {
    let (mut queue, handles) = held_group(3);
    queue.change_visibility(secs(10), handles[2], secs(60)).expect("held");
    assert_eq!(received_at(&mut queue, 31), [1, 2]);
}

/// AWS: recorded by LocalStack, test_change_message_visibility_after_visibility_timeout_expiration (200),
/// test_terminate_visibility_timeout_after_receive (the superseded handle ends the next receiver's timeout), and
/// test_change_visibility_on_deleted_message_raises_invalid_parameter_value.
#[test]
fn an_expired_and_a_superseded_handle_change_the_visibility_and_that_of_a_deleted_message_does_not() {
    let mut queue = Queue::new(Attributes::default());
    queue.send(secs(0), Send { id: 1, payload: (), ..Send::default() });
    let mut first = Vec::new();
    let mut second = Vec::new();
    queue.receive(secs(0), 1, Some(secs(1)), &mut first).expect("under the limit");
    let changed = queue.change_visibility(secs(2), first[0].handle, secs(2)).map(|message| message.id);
    assert_eq!(changed, Ok(1));
    assert_eq!(queue.counts(secs(3)).in_flight, 1, "it is hidden again");
    queue.receive(secs(4), 1, Some(secs(30)), &mut second).expect("under the limit");
    assert_eq!(ids(&second), [1]);
    queue.change_visibility(secs(5), first[0].handle, Duration::ZERO).expect("the first handle is superseded");
    assert_eq!(queue.counts(secs(5)).visible, 1);
    queue.delete(secs(6), second[0].handle).expect("its own");
    assert_eq!(queue.change_visibility(secs(6), second[0].handle, secs(9)).err(), Some(HandleError::Gone));
}

#[test]
fn a_message_expires_after_its_retention_even_in_flight() {
    let mut queue = Queue::new(Attributes { retention: secs(60), ..Attributes::default() });
    for id in 0..2 {
        queue.send(secs(id), Send { id, ..Send::default() });
    }
    let mut out: Vec<Received<()>> = Vec::new();
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
    let mut change = |timeout| queue.change_visibility(secs(10), out[0].handle, timeout).err();
    assert_eq!(change(secs(43_191)), Some(HandleError::TooLong));
    assert_eq!(change(secs(43_190)), None);
    assert_eq!(queue.delete(secs(11), Handle::from_bits(u64::MAX)), Err(HandleError::Invalid));
}
