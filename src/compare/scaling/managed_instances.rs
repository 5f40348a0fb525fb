//! Lambda Managed Instances: execution environments on EC2 instances of one's own, each with several invocations at once.
//!
//! Published are the start (three environments on three instances), that it scales asynchronously on saturation, and
//! that invocations are refused when the traffic more than doubles within five minutes. So this model keeps twice what
//! the last five minutes' peak needs; how often it looks is an estimate. Saturation of processors is not modelled.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Decision, Observation, Policy};

/// How often it looks (estimate).
const LOOK: Duration = Duration::from_secs(10);
/// How long a peak is remembered: the five minutes in which traffic may double.
const MEMORY: Duration = Duration::from_secs(300);
/// How much of the peak it is ready for.
const HEADROOM: u64 = 2;

/// The environments of one function. In an [`Observation`], `replicas` is the peak of invocations under way since the
/// last look; [`Decision::to`] is how many environments should be there.
#[derive(Clone, Debug)]
pub struct ManagedInstances {
    minimum: u32,
    maximum: u32,
    /// Invocations that one environment takes at once.
    slots: u32,
    wanted: u32,
    peaks: VecDeque<(Duration, u32)>,
    next: Duration,
}

impl ManagedInstances {
    /// A function that was published with `minimum` environments of `slots` invocations each.
    pub fn new(minimum: u32, maximum: u32, slots: u32) -> Self {
        Self { minimum, maximum, slots, wanted: minimum, peaks: VecDeque::new(), next: LOOK }
    }

    /// How many environments should be there now.
    pub fn wanted(&self) -> u32 {
        self.wanted
    }
}

impl Policy for ManagedInstances {
    fn due(&self) -> Duration {
        self.next
    }

    fn tick(&mut self, now: Duration, seen: &Observation) -> Decision {
        while self.next <= now {
            self.next += LOOK;
        }
        self.peaks.retain(|(at, _)| *at + MEMORY > now);
        self.peaks.push_back((now, seen.replicas));
        let peak = self.peaks.iter().map(|(_, peak)| *peak).max().unwrap_or(0);
        let needed = (u64::from(peak) * HEADROOM).div_ceil(u64::from(self.slots.max(1)));
        let to = u32::try_from(needed).unwrap_or(u32::MAX).clamp(self.minimum, self.maximum);
        let reason = match needed {
            n if n > u64::from(self.maximum) => "MaxExecutionEnvironments",
            n if n < u64::from(self.minimum) => "MinExecutionEnvironments",
            _ => "ConcurrencySaturation",
        };
        let detail = format!("twice a peak of {peak} invocations, {} in an environment", self.slots);
        let from = std::mem::replace(&mut self.wanted, to);
        Decision { by: "managed-instances", from, to, reason, detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(policy: &mut ManagedInstances, under_way: u32) -> u32 {
        let now = policy.due();
        policy.tick(now, &Observation { replicas: under_way, ..Observation::default() }).to
    }

    #[test]
    fn it_keeps_twice_the_peak_of_five_minutes_within_its_bounds() {
        let mut policy = ManagedInstances::new(3, 20, 8);
        assert_eq!(policy.wanted(), 3);
        assert_eq!(look(&mut policy, 0), 3);
        assert_eq!(look(&mut policy, 12), 3, "24 slots are three environments");
        assert_eq!(look(&mut policy, 24), 6);
        assert_eq!(look(&mut policy, 500), 20);
        let after: Vec<u32> = (0..40).map(|_| look(&mut policy, 0)).collect();
        assert_eq!((after[28], after[29]), (20, 3), "a peak is forgotten after five minutes");
    }
}
