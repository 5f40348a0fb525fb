//! A ScaledJob: instead of scaling a Deployment, KEDA starts a Job for each message or few, and never stops one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;

/// The part of a ScaledJob that decides how many jobs are made. Names and defaults are KEDA's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// How often the operator looks (30 s).
    #[serde(with = "seconds")]
    pub polling_interval: Duration,
    /// Jobs that always run (0).
    pub min_replica_count: u32,
    /// Jobs at most (100, also where it is left out).
    pub max_replica_count: Option<u32>,
    /// `scalingStrategy`.
    pub strategy: Strategy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            polling_interval: Duration::from_secs(30),
            min_replica_count: 0,
            max_replica_count: None,
            strategy: Strategy::Default,
        }
    }
}

/// How running jobs are taken off the jobs that the queue asks for. Where messages in flight count (SQS' default) use
/// `default`; with `scaleOnInFlight: false` use `accurate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// Jobs to make now: `metric` messages at `target` a job, `running` unfinished jobs of which `pending` have no pod that
/// runs or has succeeded (a subset).
pub fn jobs_to_create(settings: &Settings, metric: u64, target: u64, running: u32, pending: u32, active: bool) -> u32 {
    let min = i64::from(settings.min_replica_count);
    let (running, pending) = (i64::from(running), i64::from(pending));
    if running < min {
        return (min - running) as u32;
    }
    if !active && min == 0 {
        return 0;
    }
    let slots = settings.max_replica_count.map_or(100, |max| i64::from(max) - min);
    let wanted = i64::try_from(metric.div_ceil(target.max(1))).unwrap_or(i64::MAX).min(slots);
    let above_min = running - min;
    let mut ceiling = i64::try_from(metric).unwrap_or(i64::MAX);
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
        let settings = Settings { max_replica_count: Some(20), strategy, ..Settings::default() };
        jobs_to_create(&settings, messages, 1, running, pending, messages > 0)
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
        let settings = Settings { min_replica_count: 3, ..Settings::default() };
        assert_eq!(jobs_to_create(&settings, 0, 1, 1, 0, false), 2);
        assert_eq!(
            jobs_to_create(&settings, 10, 1, 3, 0, false),
            10,
            "the minimum does not count against the messages"
        );
    }

    #[test]
    fn a_job_may_take_several_messages_and_nothing_is_made_while_inactive() {
        let settings = Settings::default();
        assert_eq!(jobs_to_create(&settings, 11, 5, 0, 0, true), 3);
        assert_eq!(jobs_to_create(&settings, 11, 5, 0, 0, false), 0);
        assert_eq!(jobs_to_create(&settings, 1_000_000, 5, 0, 0, true), 100, "100 where no maximum is set");
    }
}
