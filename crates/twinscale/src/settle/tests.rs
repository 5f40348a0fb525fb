use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const HEARTBEAT: Heartbeat = Heartbeat { every: Duration::from_secs(15), visibility: Duration::from_secs(30) };
const LINGER: Duration = Duration::from_secs(1);

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A service that answers as it is told, after some time, and the host's side of the story.
struct Play {
    settling: Settling,
    now: Duration,
    /// Calls that are not answered yet, and when they were made.
    under_way: Vec<(Duration, Call)>,
    /// The messages that SQS confirmed, and the call that did it.
    confirmed: BTreeMap<Key, CallKind>,
    fates: BTreeMap<Key, Vec<Fate>>,
    over: BTreeSet<Key>,
    /// When settle calls began.
    begun: Vec<Duration>,
}

impl Play {
    fn new(settling: Settling) -> Self {
        Self {
            settling,
            now: Duration::ZERO,
            under_way: Vec::new(),
            confirmed: BTreeMap::new(),
            fates: BTreeMap::new(),
            over: BTreeSet::new(),
            begun: Vec::new(),
        }
    }

    fn worker() -> Self {
        Self::new(Settling::of_worker(Some(HEARTBEAT), LINGER))
    }

    fn handled(&mut self, keys: std::ops::Range<Key>, wish: Wish) {
        for key in keys {
            self.settling.hold(key, self.now);
            self.settling.wish(key, wish, self.now);
        }
    }

    /// Makes the calls that are due, and checks each.
    fn turn(&mut self) {
        let (calls, over) = self.settling.calls(self.now);
        self.over.extend(over);
        for call in calls {
            assert!((1..=10).contains(&call.entries.len()));
            if call.kind != CallKind::Extend {
                self.begun.push(self.now);
                for (key, _) in &call.entries {
                    let again = self.confirmed.get(key);
                    let goes_on = again == Some(&CallKind::DeadLetter) && call.kind == CallKind::Delete;
                    assert!(again.is_none() || goes_on, "{key} is settled twice: {again:?}, then {:?}", call.kind);
                    let other = self.under_way.iter().any(|(_, c)| c.kind != CallKind::Extend && names(c, *key));
                    assert!(!other, "{key} is in two calls at once");
                }
            }
            for (key, _) in &call.entries {
                let back = |c: &Call| c.kind == CallKind::GiveBack || call.kind == CallKind::GiveBack;
                let races = self.under_way.iter().any(|(_, c)| back(c) && names(c, *key));
                assert!(!races, "{key} is given back and extended at once");
            }
            self.under_way.push((self.now, call));
        }
        for (key, fate) in self.settling.fates() {
            match fate {
                Fate::Settled => assert!(self.confirmed.contains_key(&key), "{key} was not confirmed"),
                Fate::Taken => assert_eq!(self.confirmed.get(&key), Some(&CallKind::DeadLetter), "{key}"),
                Fate::NotTaken => {
                    self.settling.wish(key, Wish::GiveBack(secs(1.0)), self.now);
                    self.turn();
                }
                Fate::Lost | Fate::Unsettled => {}
            }
            self.fates.entry(key).or_default().push(fate);
        }
    }

    /// Answers one call.
    fn answer(&mut self, nth: usize, mut reply: impl FnMut(Key) -> Reply) {
        let (_, call) = self.under_way.remove(nth);
        let replies: Vec<_> = call.entries.iter().map(|(key, _)| (*key, reply(*key))).collect();
        if call.kind != CallKind::Extend {
            for (key, _) in replies.iter().filter(|(_, reply)| *reply == Reply::Confirmed) {
                self.confirmed.insert(*key, call.kind);
            }
        }
        self.over.extend(self.settling.answered(call.kind, &replies, self.now, 0.0));
        self.turn();
    }

    /// Lets time pass, from one due moment to the next; each call is answered `late` after it was made.
    fn run(&mut self, time: Duration, late: Duration, mut reply: impl FnMut(CallKind, Key) -> Reply) {
        let end = self.now + time;
        self.turn();
        loop {
            let answer = self.under_way.iter().map(|(made, _)| *made + late).min();
            let Some(next) = [answer, self.settling.next()].into_iter().flatten().min().filter(|next| *next <= end)
            else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            let due = self.under_way.iter().position(|(made, _)| *made + late <= self.now);
            match due {
                Some(nth) => {
                    let kind = self.under_way[nth].1.kind;
                    self.answer(nth, |key| reply(kind, key));
                }
                None => self.turn(),
            }
        }
    }

    fn calls_in_the_busiest_second(&self) -> usize {
        let within = |from: &Duration| self.begun.iter().filter(|at| *from <= **at && **at < *from + secs(1.0)).count();
        self.begun.iter().map(within).max().unwrap_or_default()
    }
}

fn names(call: &Call, key: Key) -> bool {
    call.entries.iter().any(|(named, _)| *named == key)
}

#[test]
fn what_is_finished_is_deleted_in_tens_and_the_rest_after_the_linger() {
    let mut play = Play::worker();
    play.handled(0..25, Wish::Delete);
    play.turn();
    let sizes = |play: &Play| play.under_way.iter().map(|(_, call)| call.entries.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&play), [10, 10]);
    assert_eq!(play.settling.next(), Some(LINGER));
    play.now = LINGER;
    play.turn();
    assert_eq!(sizes(&play), [10, 10, 5]);
}

#[test]
fn while_deletes_fail_few_calls_are_made_nothing_more_is_received_and_every_lease_is_extended() {
    for late in [0.0, 0.05, 5.0] {
        let mut play = Play::worker();
        play.handled(0..400, Wish::Delete);
        play.run(
            secs(1.0),
            secs(late),
            |kind, _| if kind == CallKind::Extend { Reply::Confirmed } else { Reply::Failed },
        );
        let at_first = play.begun.len();
        let failing = |kind, _| if kind == CallKind::Extend { Reply::Confirmed } else { Reply::Failed };
        play.run(secs(300.0), secs(late), failing);
        assert!(play.settling.is_failing() && play.settling.keeps_failing());
        assert!(play.begun.len() - at_first <= 80, "{} calls in 300 s", play.begun.len() - at_first);
        assert!(play.over.is_empty() && play.fates.is_empty(), "no lease is lost, and nothing is settled");
        assert_eq!(play.settling.len(), 400);
        play.run(secs(60.0), secs(0.05), |_, _| Reply::Confirmed);
        assert!(!play.settling.is_failing());
        assert_eq!((play.settling.len(), play.fates.len()), (0, 400));
        assert!(play.fates.values().all(|fates| *fates == [Fate::Settled]));
    }
}

#[test]
fn an_entry_that_fails_among_others_waits_alone_and_longer_each_time() {
    let mut play = Play::worker();
    play.handled(0..10, Wish::Delete);
    play.run(secs(60.0), secs(0.01), |_, key| if key == 3 { Reply::Failed } else { Reply::Confirmed });
    assert_eq!((play.settling.len(), play.fates.len()), (1, 9));
    assert!(play.begun.len() < 20, "{}", play.begun.len());
}

#[test]
fn a_dead_letter_is_deleted_once_it_was_taken_and_given_back_if_it_was_not() {
    let mut play = Play::worker();
    play.handled(0..2, Wish::DeadLetter);
    let taken = |kind, key| if kind == CallKind::DeadLetter && key == 1 { Reply::Failed } else { Reply::Confirmed };
    play.run(secs(10.0), secs(0.1), taken);
    assert_eq!(play.fates[&0], [Fate::Taken, Fate::Settled]);
    assert_eq!(play.fates[&1], [Fate::NotTaken, Fate::Settled]);
    assert_eq!((play.confirmed[&0], play.confirmed[&1]), (CallKind::Delete, CallKind::GiveBack));
}

#[test]
fn a_lease_is_extended_before_half_of_it_has_passed_and_is_over_when_no_extension_was_confirmed_in_time() {
    let mut play = Play::worker();
    play.settling.hold(1, play.now);
    let mut extended = Vec::new();
    while play.now < secs(60.0) {
        play.now += secs(0.25);
        play.turn();
        while !play.under_way.is_empty() {
            extended.push(play.now);
            play.answer(0, |_| Reply::Confirmed);
        }
    }
    let gaps = extended.windows(2).map(|pair| pair[1] - pair[0]).chain(extended.first().copied());
    assert!(gaps.clone().all(|gap| gap <= HEARTBEAT.every && gap >= HEARTBEAT.every / 2), "{extended:?}");
    assert!(extended.len() >= 4);
    let last = *extended.last().expect("four");
    let mut tries = 0;
    while play.over.is_empty() {
        play.now = play.settling.next().expect("it is held");
        play.turn();
        while !play.under_way.is_empty() {
            tries += 1;
            play.answer(0, |_| Reply::Failed);
        }
    }
    assert_eq!(play.now, last + HEARTBEAT.visibility, "others may have it from now on");
    assert!(tries >= 4, "{tries} tries");
    play.settling.wish(1, Wish::Delete, play.now);
    assert_eq!(play.settling.fates(), [(1, Fate::Lost)], "it is not settled any more");
}

#[test]
fn a_lost_lease_stops_its_handler_and_a_late_answer_changes_nothing() {
    let mut play = Play::worker();
    play.settling.hold(1, play.now);
    play.now = HEARTBEAT.every;
    play.turn();
    assert_eq!(play.under_way.len(), 1);
    play.now = HEARTBEAT.visibility;
    play.turn();
    assert!(play.over.contains(&1), "its extension is still under way");
    play.answer(0, |_| Reply::Confirmed);
    play.settling.wish(1, Wish::GiveBack(Duration::ZERO), play.now);
    assert_eq!(play.settling.fates(), [(1, Fate::Lost)]);
}

/// AWS accepts ChangeMessageVisibility with a handle that has expired, and with one that was superseded.
#[test]
fn an_extension_that_is_confirmed_when_the_lease_is_over_does_not_bring_it_back() {
    let mut play = Play::worker();
    play.settling.hold(1, play.now);
    play.now = HEARTBEAT.every;
    play.turn();
    assert_eq!(play.under_way.len(), 1);
    play.now = HEARTBEAT.visibility;
    play.answer(0, |_| Reply::Confirmed);
    assert_eq!(play.over, [1].into(), "the answer comes before the next look");
    play.settling.wish(1, Wish::GiveBack(Duration::ZERO), play.now);
    assert_eq!(play.settling.fates(), [(1, Fate::Lost)]);
}

#[test]
fn nothing_is_held_for_more_than_twelve_hours() {
    let mut play = Play::worker();
    play.settling.hold(1, play.now);
    let mut longest = Duration::ZERO;
    while play.over.is_empty() {
        play.now = play.settling.next().expect("it is held");
        play.turn();
        while !play.under_way.is_empty() {
            longest = longest.max(play.now + play.under_way[0].1.entries[0].1);
            play.answer(0, |_| Reply::Confirmed);
        }
    }
    assert!(longest <= LONGEST_LEASE && play.now == longest, "{longest:?}");
}

#[test]
fn what_comes_again_is_hidden_for_no_longer_than_is_left_of_twelve_hours() {
    let hour = |hours: u64| Duration::from_secs(3600 * hours);
    assert_eq!(hidden_for(Duration::from_millis(900), secs(5.0)), secs(1.0), "rounded up");
    assert_eq!(hidden_for(Duration::ZERO, hour(1)), Duration::ZERO);
    assert_eq!(hidden_for(hour(12), secs(600.0)), hour(12) - secs(601.0));
    assert!(hidden_for(hour(12), secs(600.4)) + secs(600.4) < hour(12), "the part of a second too");
    assert_eq!(hidden_for(hour(2), hour(13)), Duration::ZERO);
}

/// What may happen next.
#[derive(Clone, Debug)]
enum Step {
    Receive(u8),
    Handled(u8, Wish),
    Wait(u32),
    /// Which of the calls under way is answered, and how: an index into the replies for each entry.
    Answer(u8, Vec<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let wish = prop_oneof![
        4 => Just(Wish::Delete),
        2 => (0..5u64).prop_map(|seconds| Wish::GiveBack(Duration::from_secs(seconds))),
        1 => Just(Wish::DeadLetter),
    ];
    prop_oneof![
        1 => (1..15u8).prop_map(Step::Receive),
        4 => (any::<u8>(), wish).prop_map(|(nth, wish)| Step::Handled(nth, wish)),
        3 => (1..4_000u32).prop_map(Step::Wait),
        4 => (any::<u8>(), prop::collection::vec(0..10u8, 10)).prop_map(|(nth, replies)| Step::Answer(nth, replies)),
    ]
}

fn drawn(reply: u8) -> Reply {
    match reply {
        0..=3 => Reply::Confirmed,
        4..=7 => Reply::Failed,
        8 => Reply::Lost,
        _ => Reply::Refused,
    }
}

/// Each look for leases to extend found it in a call, until its lease was over.
#[test]
fn a_give_back_that_fails_slowly_keeps_its_lease() {
    for late in (4_000..5_000).step_by(7).chain([4_469]) {
        let mut play = Play::worker();
        play.handled(0..1, Wish::GiveBack(Duration::ZERO));
        let failing = |kind, _| if kind == CallKind::Extend { Reply::Confirmed } else { Reply::Failed };
        play.run(secs(600.0), Duration::from_millis(late), failing);
        assert!(play.over.is_empty() && play.settling.len() == 1, "answers after {late} ms");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// `turn` checks that nothing is settled twice, or without a confirmation, and that no two calls race.
    #[test]
    fn whatever_comes_nothing_is_settled_twice_or_unconfirmed(
        worker in any::<bool>(),
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut play = if worker { Play::worker() } else { Play::new(Settling::of_function()) };
        let mut received = 0;
        let mut handling = Vec::new();
        for step in steps {
            match step {
                Step::Receive(count) => for _ in 0..count {
                    play.settling.hold(received, play.now);
                    handling.push(received);
                    received += 1;
                },
                Step::Handled(nth, wish) => if !handling.is_empty() {
                    let key = handling.remove(usize::from(nth) % handling.len());
                    play.settling.wish(key, wish, play.now);
                },
                Step::Wait(millis) => play.now += Duration::from_millis(millis.into()),
                Step::Answer(nth, replies) => if !play.under_way.is_empty() {
                    let nth = usize::from(nth) % play.under_way.len();
                    let mut replies = replies.into_iter().cycle();
                    play.answer(nth, |_| drawn(replies.next().expect("a cycle")));
                },
            }
            play.turn();
        }
        // Then all goes well: everything that was handled ends.
        let keys = handling.len();
        play.run(secs(120.0), secs(0.01), |_, _| Reply::Confirmed);
        prop_assert!(play.settling.len() <= keys, "{} are held, {keys} are handled", play.settling.len());
        for (key, fates) in &play.fates {
            let ends = fates.iter().filter(|fate| !matches!(fate, Fate::Taken | Fate::NotTaken)).count();
            prop_assert!(ends <= 1, "{key} ended twice: {fates:?}");
        }
    }

    /// However many wait, and however answers come while nothing succeeds.
    #[test]
    fn whatever_fails_calls_are_few_and_leases_are_kept(
        waiting in 1..2_000u64,
        late in 0..5_000u64,
        back in any::<bool>(),
    ) {
        let mut play = Play::worker();
        let wish = if back { Wish::GiveBack(Duration::ZERO) } else { Wish::Delete };
        play.handled(0..waiting, wish);
        let failing = |kind, _| if kind == CallKind::Extend { Reply::Confirmed } else { Reply::Failed };
        play.run(secs(10.0), Duration::from_millis(late), failing);
        // The first failure ends what was begun side by side.
        let first = play.begun.len().min(64);
        play.begun.drain(..first);
        play.run(secs(60.0), Duration::from_millis(late), failing);
        prop_assert!(play.calls_in_the_busiest_second() <= 8, "{}", play.calls_in_the_busiest_second());
        prop_assert!(play.over.is_empty() && play.settling.len() == waiting as usize);
        prop_assert!(play.settling.is_failing());
    }
}
