//! What a target did over time: samples, scaling decisions, and how late our own timers were.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::run::{Decision, Sample};
use twinscale_scaling::{self, Counts, Observation, Policy};
use twinscale_sqs::clock::Clock;

/// Scenario time between two samples.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// A look that is later than this is made at the moment that it is.
const LATE: Duration = Duration::from_secs(1);

/// Lets a policy look, at the time at which that was due unless the machine was very late.
pub fn tick(policy: &mut (impl Policy + ?Sized), now: Duration, seen: &Observation) -> twinscale_scaling::Decision {
    let due = policy.due();
    policy.tick(if now.saturating_sub(due) < LATE { due } else { now }, seen)
}

/// The story of one target, counted from the start of its load.
pub struct Timeline {
    clock: Clock,
    origin: Duration,
    told: Mutex<TimelineRecords>,
}

/// What a timeline holds.
#[derive(Clone, Debug, Default)]
pub struct TimelineRecords {
    /// At least one a scenario second.
    pub samples: Vec<Sample>,
    /// Every look, whether it changed the capacity or not.
    pub decisions: Vec<Decision>,
    /// The highest delay of a timer, a send, or the start of a pod, in scenario time.
    pub late: Duration,
}

impl Timeline {
    /// A timeline whose zero is now.
    pub fn begin(clock: Clock) -> Self {
        Self { clock, origin: clock.now(), told: Mutex::default() }
    }

    /// Scenario time since the start of the load.
    pub fn now(&self) -> Duration {
        self.clock.now().saturating_sub(self.origin)
    }

    /// The timeline's zero by its clock.
    pub fn origin(&self) -> Duration {
        self.origin
    }

    /// Sleeps until `at`, and notes how late it woke.
    pub async fn sleep_until(&self, at: Duration) {
        self.was_late(self.clock.sleep_until(self.origin + at).await);
    }

    /// Notes that something was so late as only this machine is.
    pub fn was_late(&self, late: Duration) {
        let mut told = self.told();
        told.late = told.late.max(late);
    }

    /// Samples the queue and the capacity for as long as it is polled, on an even grid: a sample that is taken late
    /// keeps its place, and its error is within the lateness that the run reports.
    pub async fn sample(&self, look: impl Fn() -> (Counts, u32)) -> Infallible {
        let mut at = Duration::ZERO;
        loop {
            self.sleep_until(at).await;
            let (counts, capacity) = look();
            self.push(at, counts, capacity);
            at += SAMPLE_EVERY;
        }
    }

    /// Samples what the grid still lacks until `end`, where the run ended with these figures, and the end itself.
    pub fn finish(&self, end: Duration, counts: Counts, capacity: u32) {
        let taken = u32::try_from(self.told().samples.len()).unwrap_or(u32::MAX);
        let missing = (taken..).map(|index| SAMPLE_EVERY.saturating_mul(index)).take_while(|at| *at < end);
        missing.chain([end]).for_each(|at| self.push(at, counts, capacity));
    }

    fn push(&self, now: Duration, counts: Counts, capacity: u32) {
        let sample = Sample { t: now.as_secs_f64(), visible: counts.visible, in_flight: counts.in_flight, capacity };
        self.told().samples.push(sample);
    }

    /// Notes what a look came to.
    pub fn decided(&self, now: Duration, decision: twinscale_scaling::Decision) {
        self.told().decisions.push(Decision::at(now, decision));
    }

    /// Lets `policy` resize a target whenever a look is due, for as long as it is polled.
    ///
    /// The policy is given the time at which it was due, not the moment of a loaded machine at which we woke, so that
    /// windows of exactly one period stay exact; the record has the moment itself.
    pub async fn control<P: Policy>(
        &self,
        policy: &mut P,
        look: impl Fn() -> Observation,
        resize: impl Fn(u32),
    ) -> Infallible {
        loop {
            let due = policy.due();
            self.sleep_until(due).await;
            let decision = tick(policy, self.now(), &look());
            if decision.from != decision.to {
                resize(decision.to);
            }
            self.decided(self.now(), decision);
        }
    }

    /// What has been told so far.
    pub fn told(&self) -> MutexGuard<'_, TimelineRecords> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
