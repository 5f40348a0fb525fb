//! KEDA's operator, which moves between 0 and 1 (or idle and min) and hands the HPA its metric.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{hpa, seconds};

/// A ScaledObject on one queue. Names and defaults are KEDA's (2.20).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// How often the operator looks (30 s). It does not govern 1 to n: that is the HPA's sync.
    #[serde(with = "seconds")]
    pub polling_interval: Duration,
    /// When the operator first looks, after the start of the run. An object that existed before has any phase.
    #[serde(rename = "firstPollSeconds", with = "seconds")]
    pub first_poll: Duration,
    /// How long the queue must have been inactive before the operator scales to 0 or idle (300 s).
    #[serde(with = "seconds")]
    pub cooldown_period: Duration,
    /// The same while the object has never been active (0 s).
    #[serde(with = "seconds")]
    pub initial_cooldown_period: Duration,
    /// Replicas to go down to (0). The HPA's own minimum is at least 1.
    pub min_replica_count: u32,
    /// Replicas to go up to (100).
    pub max_replica_count: u32,
    /// Replicas while inactive, below `minReplicaCount`; only 0 works in practice (KEDA issue 2314).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_replica_count: Option<u32>,
    /// What to do when the queue cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// The `aws-sqs-queue` triggers; all of them look at the scenario's queue.
    pub triggers: Vec<Trigger>,
    /// `advanced.horizontalPodAutoscalerConfig` and the flags of the HPA's controller.
    pub hpa: hpa::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            polling_interval: Duration::from_secs(30),
            first_poll: Duration::ZERO,
            cooldown_period: Duration::from_secs(300),
            initial_cooldown_period: Duration::ZERO,
            min_replica_count: 0,
            max_replica_count: 100,
            idle_replica_count: None,
            fallback: None,
            triggers: vec![Trigger::default()],
            hpa: hpa::Settings::default(),
        }
    }
}

impl Settings {
    /// What is wrong with these settings: the field, and what to write instead. Empty when all is well.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = self.hpa.mistakes();
        if self.polling_interval < Duration::from_secs(1) {
            mistakes.push(("pollingInterval", "write 1 or more seconds".to_owned()));
        }
        if self.max_replica_count == 0 {
            mistakes.push(("maxReplicaCount", "0 replicas can never work: write 1 or more".to_owned()));
        }
        if self.min_replica_count > self.max_replica_count {
            let (min, max) = (self.min_replica_count, self.max_replica_count);
            mistakes.push(("minReplicaCount", format!("{min} is above maxReplicaCount {max}")));
        }
        if self.idle_replica_count.is_some_and(|idle| idle >= self.min_replica_count) {
            mistakes.push(("idleReplicaCount", "write a number below minReplicaCount".to_owned()));
        }
        if self.triggers.is_empty() {
            mistakes.push(("triggers", "none: write at least one aws-sqs-queue trigger".to_owned()));
        }
        if self.triggers.iter().any(|t| t.queue_length == 0) {
            mistakes.push(("queueLength", "0 messages a replica: write 1 or more".to_owned()));
        }
        mistakes
    }
}

/// An `aws-sqs-queue` trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    /// Messages a replica (5).
    pub queue_length: u64,
    /// Active if there are strictly more messages than this (0).
    pub activation_queue_length: u64,
    /// Counts messages that a consumer holds (true).
    pub scale_on_in_flight: bool,
    /// Counts messages that are delayed (false).
    pub scale_on_delayed: bool,
    /// The HPA gets what the operator saw at its last poll, instead of a look of its own (false).
    pub use_cached_metrics: bool,
    /// How the HPA reads the metric.
    pub metric_type: MetricType,
}

impl Default for Trigger {
    fn default() -> Self {
        Self {
            queue_length: 5,
            activation_queue_length: 0,
            scale_on_in_flight: true,
            scale_on_delayed: false,
            use_cached_metrics: false,
            metric_type: MetricType::AverageValue,
        }
    }
}

/// How the HPA reads an external metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetricType {
    /// Messages a replica.
    #[default]
    AverageValue,
    /// Messages in all; scaled by the ratio to the target.
    Value,
}

/// `fallback`: what replaces the metric after too many failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fallback {
    /// In effect when more failures than this came in a row. The operator's and the HPA's looks both count.
    pub failure_threshold: u32,
    /// Replicas to stand at meanwhile.
    pub replicas: u32,
    /// How `replicas` and the current count are combined.
    #[serde(default)]
    pub behavior: FallbackBehavior,
}

/// How a [`Fallback`] uses the current replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FallbackBehavior {
    /// `replicas`, whatever runs.
    #[default]
    Static,
    /// What runs.
    CurrentReplicas,
    /// The higher of the two.
    CurrentReplicasIfHigher,
    /// The lower of the two.
    CurrentReplicasIfLower,
}
