//! A ScaledJob: instead of scaling a Deployment, KEDA starts a Job for each message or few, and never stops one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::keda::{self, Trigger};
use super::{Decision, Observation, Policy, Reason, Scaler, seconds};

/// A ScaledJob on one queue. Names and defaults are KEDA's, but for `messagesPerJob`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledJobSettings {
    /// How often the operator looks (30 s).
    #[serde(with = "seconds")]
    pub polling_interval: Duration,
    /// When the operator first looks, after the start of the run; without this it is drawn.
    #[serde(rename = "firstPollSeconds", with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub first_poll: Option<Duration>,
    /// Jobs that always run (0).
    pub min_replica_count: u32,
    /// Jobs at most (100, also where it is left out).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_replica_count: Option<u32>,
    /// `scalingStrategy`.
    pub strategy: Strategy,
    /// The `aws-sqs-queue` triggers; all of them look at the scenario's queue, and the highest decides.
    pub triggers: Vec<Trigger>,
    /// Messages that one job handles before it ends; without it as many as there are, as this project's worker does. A
    /// job with nothing in hand also ends when a long poll brings none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_job: Option<u32>,
}

impl Default for ScaledJobSettings {
    fn default() -> Self {
        Self {
            polling_interval: Duration::from_secs(30),
            first_poll: None,
            min_replica_count: 0,
            max_replica_count: None,
            strategy: Strategy::Default,
            triggers: vec![Trigger::default()],
            messages_per_job: None,
        }
    }
}

impl ScaledJobSettings {
    /// What is wrong with these settings: the field, and what to write instead. Empty when all is well.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let object = keda::ScaledObjectSettings {
            polling_interval: self.polling_interval,
            min_replica_count: self.min_replica_count,
            max_replica_count: self.max_replica_count.unwrap_or(100),
            triggers: self.triggers.clone(),
            ..keda::ScaledObjectSettings::default()
        };
        let mut mistakes = object.mistakes();
        if self.messages_per_job == Some(0) {
            mistakes.push(("messagesPerJob", "0: write 1 or more, or leave it out".to_owned()));
        }
        if let Strategy::Custom { running_share, .. } = self.strategy
            && !(0.0..=100.0).contains(&running_share)
        {
            mistakes.push(("strategy", format!("runningShare {running_share}: write a share, 0 to 1")));
        }
        mistakes
    }
}

/// A ScaledJob at work. In an [`Observation`], `replicas` are the jobs that are not finished, `ready` those with a pod
/// that runs; [`Decision::to`] is how many unfinished jobs there are when the new ones are made.
#[derive(Clone, Debug)]
pub struct ScaledJob {
    settings: ScaledJobSettings,
    next: Duration,
    reads: u64,
}

impl ScaledJob {
    /// A ScaledJob whose first poll comes after `phase`, 0 to 1, of its interval, unless the settings say when.
    pub fn new(settings: ScaledJobSettings, phase: f64) -> Self {
        let next = settings.first_poll.unwrap_or_else(|| settings.polling_interval.mul_f64(phase));
        Self { next, settings, reads: 0 }
    }

    /// GetQueueAttributes calls so far: they are billed.
    pub fn queue_reads(&self) -> u64 {
        self.reads
    }
}

impl Policy for ScaledJob {
    fn due(&self) -> Duration {
        self.next
    }

    fn tick(&mut self, now: Duration, seen: &Observation) -> Decision {
        self.reads += self.settings.triggers.len() as u64;
        while self.next <= now {
            self.next += self.settings.polling_interval;
        }
        let from = seen.replicas;
        let pending = seen.replicas.saturating_sub(seen.ready);
        let read = |trigger: &Trigger| seen.queue.map_or(0, |counts| trigger.total(counts));
        let metrics = || self.settings.triggers.iter().map(|trigger| (read(trigger), trigger));
        let active = metrics().any(|(messages, trigger)| messages > trigger.activation_queue_length);
        let messages = metrics().map(|(messages, _)| messages).max().unwrap_or(0);
        let wanted = metrics().map(|(messages, trigger)| messages.div_ceil(trigger.queue_length.max(1))).max();
        let made = jobs_to_create(&self.settings, messages, wanted.unwrap_or(0), from, pending, active);
        let reason = match (seen.queue, active, made) {
            (None, ..) => Reason::KEDAScalerFailed,
            (_, _, 1..) => Reason::KEDAJobsCreated,
            (_, true, 0) => Reason::ScalerActive,
            (_, false, 0) => Reason::ScalerNotActive,
        };
        let detail = format!("{messages} messages, {from} unfinished jobs, {pending} of them pending");
        Decision { by: Scaler::Keda, from, to: from.saturating_add(made), reason, detail }
    }
}

/// How running jobs are taken off the jobs that the queue asks for. Where messages in flight count (SQS' default) use
/// `default`; with `scaleOnInFlight: false` use `accurate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Strategy {
    /// What the queue asks for, less the jobs that run.
    #[default]
    Default,
    /// Less a fixed number, and less a share of the jobs that run.
    Custom {
        /// `customScalingQueueLengthDeduction`.
        deduction: u32,
        /// `customScalingRunningJobPercentage`.
        running_share: f64,
    },
    /// For queues that take a message out of the count when it is received: less only the pending jobs.
    Accurate,
    /// Fills all free slots whatever the ratio, so that no message waits for its turn.
    Eager,
}

/// Jobs to make now: for `messages` that ask for `wanted` jobs (messages / target, rounded up), with `running` unfinished
/// jobs of which `pending` have no pod that runs or has succeeded (a subset). KEDA's `scale_jobs.go`.
fn jobs_to_create(
    settings: &ScaledJobSettings,
    messages: u64,
    wanted: u64,
    running: u32,
    pending: u32,
    active: bool,
) -> u32 {
    let min = i64::from(settings.min_replica_count);
    let running = i64::from(running);
    let pending = i64::from(pending);
    if running < min {
        return (min - running) as u32;
    }
    if !active && min == 0 {
        return 0;
    }
    let slots = settings.max_replica_count.map_or(100, |max| i64::from(max) - min);
    let wanted = i64::try_from(wanted).unwrap_or(i64::MAX).min(slots);
    let above_min = running - min;
    let mut ceiling = i64::try_from(messages).unwrap_or(i64::MAX);
    let effective = match settings.strategy {
        Strategy::Default => wanted - above_min,
        Strategy::Custom { deduction, running_share } => {
            let share = (above_min as f64 * running_share) as i64;
            (wanted - i64::from(deduction) - share).min(slots)
        }
        Strategy::Accurate if wanted + above_min - pending > slots => slots - above_min,
        Strategy::Accurate => wanted - pending,
        Strategy::Eager => {
            ceiling = slots;
            (slots - above_min - pending).min(wanted)
        }
    };
    effective.max(0).min(ceiling) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(strategy: Strategy, messages: u64, running: u32, pending: u32) -> u32 {
        let settings = ScaledJobSettings { max_replica_count: Some(20), strategy, ..ScaledJobSettings::default() };
        jobs_to_create(&settings, messages, messages, running, pending, messages > 0)
    }

    #[test]
    fn each_strategy_takes_off_what_it_says() {
        let custom = Strategy::Custom { deduction: 2, running_share: 0.5 };
        // (messages, running, pending) -> default, custom, accurate, eager
        let table = [
            ((10, 0, 0), [10, 8, 10, 10]),
            ((10, 4, 0), [6, 6, 10, 10]),
            ((10, 4, 2), [6, 6, 8, 10]),
            ((30, 15, 0), [5, 11, 5, 5]),
            ((30, 15, 5), [5, 11, 5, 0]),
            ((3, 5, 5), [0, 0, 0, 3]),
            ((0, 5, 0), [0, 0, 0, 0]),
        ];
        for ((messages, running, pending), expected) in table {
            let seen = [Strategy::Default, custom, Strategy::Accurate, Strategy::Eager]
                .map(|strategy| created(strategy, messages, running, pending));
            assert_eq!(seen, expected, "{messages} messages, {running} running, {pending} pending");
        }
    }

    #[test]
    fn jobs_below_the_minimum_are_made_first_and_forced_active() {
        let settings = ScaledJobSettings { min_replica_count: 3, ..ScaledJobSettings::default() };
        assert_eq!(jobs_to_create(&settings, 0, 0, 1, 0, false), 2);
        assert_eq!(
            jobs_to_create(&settings, 10, 10, 3, 0, false),
            10,
            "the minimum does not count against the messages"
        );
    }

    #[test]
    fn a_job_may_take_several_messages_and_nothing_is_made_while_inactive() {
        let settings = ScaledJobSettings::default();
        assert_eq!(jobs_to_create(&settings, 11, 3, 0, 0, true), 3);
        assert_eq!(jobs_to_create(&settings, 11, 3, 0, 0, false), 0);
        assert_eq!(jobs_to_create(&settings, 1_000_000, 200_000, 0, 0, true), 100, "100 where no maximum is set");
    }
}
