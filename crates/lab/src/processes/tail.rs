//! The idle tail of a run: from the last delete until capacity is back at its minimum.
//!
//! Nothing happens in it but looks at an empty queue, which the policy can make in virtual time. Waiting for it would
//! cost 300 s and more, the HPA's stabilization window.

use std::time::Duration;

use crate::run::{Decision, Sample};
use twinscale_scaling::{Counts, Observation, Policy};

/// A tail longer than this has no end: the floor stays unknown. KEDA's cooldown may be set to a day.
const LIMIT: Duration = Duration::from_secs(2 * 86_400);

/// The idle tail of a target.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// When capacity was back at its minimum; `None` if it never was.
    pub floor: Option<Duration>,
    /// Capacity × time.
    pub capacity_time: Duration,
    /// Every look.
    pub decisions: Vec<Decision>,
    /// One a second.
    pub samples: Vec<Sample>,
}

/// Lets `policy` look at an empty queue from `now` on, with `capacity` units, until the last above `minimum` is gone.
///
/// A unit that is told to end first waits for its long poll of at most `poll`. Those of several began at different times,
/// taken to be even: a unit waits half of it, and the last of n for n / (n + 1) of it.
pub fn idle(policy: &mut impl Policy, now: Duration, mut capacity: u32, minimum: u32, poll: Duration) -> Tail {
    let mut tail = Tail::default();
    let mut at = now;
    let mut gone = now;
    while capacity > minimum && at < now + LIMIT {
        let next = policy.due().max(at);
        tail.capacity_time += (next - at) * capacity;
        tail.sample(at, next, capacity);
        at = next;
        let seen = Observation { queue: Some(Counts::default()), replicas: capacity, ready: capacity };
        let decision = policy.tick(policy.due(), &seen);
        if decision.from != decision.to {
            let ended = capacity.saturating_sub(decision.to);
            tail.capacity_time += poll / 2 * ended;
            gone = gone.max(at + poll.mul_f64(f64::from(ended) / f64::from(ended + 1)));
            capacity = decision.to;
        }
        tail.decisions.push(Decision::at(at, decision));
    }
    if capacity <= minimum {
        let gone = gone.max(at);
        tail.sample(at, gone, capacity);
        tail.floor = Some(gone);
        tail.samples.push(Sample { t: gone.as_secs_f64(), visible: 0, in_flight: 0, capacity });
    }
    tail
}

impl Tail {
    fn sample(&mut self, from: Duration, to: Duration, capacity: u32) {
        let whole_seconds = from.as_secs() + 1..=to.as_secs();
        let sample = |t| Sample { t: t as f64, visible: 0, in_flight: 0, capacity };
        self.samples.extend(whole_seconds.map(sample));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinscale_scaling;

    /// Halves the replicas every 15 s.
    struct Halving(Duration);

    impl Policy for Halving {
        fn due(&self) -> Duration {
            self.0
        }

        fn tick(&mut self, now: Duration, seen: &Observation) -> twinscale_scaling::Decision {
            self.0 = now + Duration::from_secs(15);
            let to = seen.replicas.div_ceil(2);
            twinscale_scaling::Decision {
                by: twinscale_scaling::Scaler::Hpa,
                from: seen.replicas,
                to,
                reason: twinscale_scaling::Reason::DesiredWithinRange,
                detail: String::new(),
            }
        }
    }

    #[test]
    fn the_tail_ends_at_the_floor_and_adds_up_capacity_and_samples() {
        let tail = idle(&mut Halving(Duration::from_secs(30)), Duration::from_secs(20), 4, 1, Duration::ZERO);
        assert_eq!(tail.floor, Some(Duration::from_secs(45)));
        assert_eq!(tail.capacity_time, Duration::from_secs(10 * 4 + 15 * 2));
        assert_eq!(tail.decisions.iter().map(|d| (d.from, d.to)).collect::<Vec<_>>(), [(4, 2), (2, 1)]);
        assert!(tail.samples.is_sorted_by(|a, b| b.t - a.t <= 1.0 && a.t <= b.t));
        assert_eq!(tail.samples.last().map(|sample| (sample.t, sample.capacity)), Some((45.0, 1)));
        let polling =
            idle(&mut Halving(Duration::from_secs(30)), Duration::from_secs(20), 4, 1, Duration::from_secs(20));
        assert_eq!(polling.floor, Some(Duration::from_secs(55)), "the last but one waits for half its poll");
        assert!(polling.samples.is_sorted_by(|a, b| b.t - a.t <= 1.0 && a.t <= b.t), "{:?}", polling.samples);
    }

    #[test]
    fn a_target_at_its_minimum_has_no_tail() {
        let tail = idle(&mut Halving(Duration::from_secs(30)), Duration::from_secs(20), 1, 1, Duration::ZERO);
        assert_eq!((tail.floor, tail.capacity_time), (Some(Duration::from_secs(20)), Duration::ZERO));
    }

    #[test]
    fn the_floor_is_reached_when_the_last_unit_has_ended_its_long_poll() {
        let tail = idle(&mut Halving(Duration::from_secs(30)), Duration::from_secs(20), 4, 1, Duration::from_secs(20));
        // Two end at 30 s and one at 45 s, which is gone half a poll later.
        assert_eq!(tail.floor, Some(Duration::from_secs(55)));
        assert_eq!(tail.capacity_time, Duration::from_secs(10 * 4 + 15 * 2 + 3 * 10));
    }

    #[test]
    fn a_floor_that_is_never_reached_is_unknown() {
        assert_eq!(idle(&mut Halving(Duration::ZERO), Duration::ZERO, 2, 0, Duration::ZERO).floor, None);
    }
}
