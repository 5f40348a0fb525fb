//! Lambda Managed Instances: execution environments on EC2 instances of one's own, each with several invocations at once.
//!
//! Published are the start (three environments on three instances), that it scales asynchronously on the saturation of
//! processors and of concurrency, and that invocations are refused when the traffic more than doubles within five
//! minutes. So this model keeps twice what the last five minutes' peak needs of either; how often it looks is an
//! estimate.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Decision, Observation, Policy, Reason, Scaler};

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
    /// Invocations that one environment takes at once, and its vCPUs.
    slots: u32,
    vcpu: f64,
    wanted: u32,
    /// Invocations under way, and vCPUs that were kept busy, at each look.
    peaks: VecDeque<(Duration, u32, f64)>,
    /// Processor time that was asked for since the last look.
    computing: Duration,
    next: Duration,
}

impl ManagedInstances {
    /// A function that was published with `minimum` environments of `slots` invocations and `vcpu` vCPUs each.
    pub fn new(minimum: u32, maximum: u32, slots: u32, vcpu: f64) -> Self {
        let peaks = VecDeque::new();
        let computing = Duration::ZERO;
        Self { minimum, maximum, slots, vcpu, wanted: minimum, peaks, computing, next: LOOK }
    }

    /// An invocation begins that will compute for so long on one vCPU.
    pub fn computes(&mut self, time: Duration) {
        self.computing += time;
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
        let mut since = Duration::ZERO;
        while self.next <= now {
            self.next += LOOK;
            since += LOOK;
        }
        let busy = std::mem::take(&mut self.computing).as_secs_f64() / since.max(LOOK).as_secs_f64();
        self.peaks.retain(|(at, ..)| *at + MEMORY > now);
        self.peaks.push_back((now, seen.replicas, busy));
        let peak = self.peaks.iter().map(|(_, peak, _)| *peak).max().unwrap_or(0);
        let busiest = self.peaks.iter().map(|(.., busy)| *busy).fold(0.0, f64::max);
        let by_slots = (u64::from(peak) * HEADROOM).div_ceil(u64::from(self.slots.max(1)));
        let by_vcpu = (busiest * HEADROOM as f64 / self.vcpu).ceil() as u64;
        let needed = by_slots.max(by_vcpu);
        let to = u32::try_from(needed).unwrap_or(u32::MAX).clamp(self.minimum, self.maximum);
        let reason = match needed {
            n if n > u64::from(self.maximum) => Reason::MaxExecutionEnvironments,
            n if n < u64::from(self.minimum) => Reason::MinExecutionEnvironments,
            n if n > by_slots => Reason::CpuUtilization,
            _ => Reason::ConcurrencySaturation,
        };
        let detail = format!(
            "twice a peak of {peak} invocations, {} in an environment, and of {busiest:.1} vCPUs, {} in each",
            self.slots, self.vcpu
        );
        let from = std::mem::replace(&mut self.wanted, to);
        Decision { by: Scaler::ManagedInstances, from, to, reason, detail }
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
        let mut policy = ManagedInstances::new(3, 20, 8, 1.0);
        assert_eq!(policy.wanted(), 3);
        assert_eq!(look(&mut policy, 0), 3);
        assert_eq!(look(&mut policy, 12), 3, "24 slots are three environments");
        assert_eq!(look(&mut policy, 24), 6);
        assert_eq!(look(&mut policy, 500), 20);
        let after: Vec<u32> = (0..40).map(|_| look(&mut policy, 0)).collect();
        assert_eq!((after[28], after[29]), (20, 3), "a peak is forgotten after five minutes");
    }

    #[test]
    fn processors_that_are_busy_want_environments_of_their_own() {
        let mut policy = ManagedInstances::new(3, 20, 8, 2.0);
        // 90 s of computing in 10 s keep nine vCPUs busy: twice that are nine environments, where slots want three.
        policy.computes(Duration::from_secs(90));
        let decision = policy.tick(policy.due(), &Observation { replicas: 12, ..Observation::default() });
        assert_eq!((decision.to, decision.reason), (9, Reason::CpuUtilization));
        assert_eq!(look(&mut policy, 0), 9, "remembered for five minutes");
    }
}
