//! KEDA's operator, which moves between 0 and 1 (or idle and min) and hands the HPA its metric.
//!
//! Two loops look at one queue: the operator's every `pollingInterval`, which only wakes and stops the target, and the
//! HPA's sync, which asks KEDA's adapter for the metric. [`Keda`] owns both, as a ScaledObject does.

mod modifiers;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use modifiers::ScalingModifiers;

use super::hpa::{self, Hpa, Metric, MetricType, Replicas};
use super::{Counts, Decision, Observation, Policy, seconds};

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
    /// `advanced.scalingModifiers`: one metric in place of those of the triggers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scaling_modifiers: Option<ScalingModifiers>,
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
            scaling_modifiers: None,
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
        mistakes.extend(self.scaling_modifiers.iter().flat_map(|modifiers| modifiers.mistakes(&self.triggers)));
        mistakes
    }
}

/// An `aws-sqs-queue` trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Trigger {
    /// What `scalingModifiers` call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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
            name: None,
            queue_length: 5,
            activation_queue_length: 0,
            scale_on_in_flight: true,
            scale_on_delayed: false,
            use_cached_metrics: false,
            metric_type: MetricType::AverageValue,
        }
    }
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

/// A ScaledObject at work: the operator's loop, and the HPA that it made.
#[derive(Clone, Debug)]
pub struct Keda {
    settings: Settings,
    hpa: Hpa,
    /// `spec.replicas` of the target.
    replicas: u32,
    next_poll: Duration,
    next_sync: Duration,
    last_active: Option<Duration>,
    /// Failures in a row, a trigger.
    failures: Vec<u32>,
    /// What the last poll saw, a trigger; the inner `None` is a failure.
    cached: Vec<Option<Option<u64>>>,
    reads: u64,
}

impl Keda {
    /// A ScaledObject made at time zero on a target that has `replicas`.
    pub fn new(settings: Settings, replicas: u32) -> Self {
        let hpa = Hpa::new(settings.hpa.clone(), settings.min_replica_count, settings.max_replica_count);
        let triggers = settings.triggers.len();
        Self {
            hpa,
            replicas,
            next_poll: settings.first_poll,
            next_sync: settings.hpa.first_sync,
            last_active: None,
            failures: vec![0; triggers],
            cached: vec![None; triggers],
            reads: 0,
            settings,
        }
    }

    /// GetQueueAttributes calls so far: they are billed.
    pub fn queue_reads(&self) -> u64 {
        self.reads
    }

    /// The replicas asked for last.
    pub fn replicas(&self) -> u32 {
        self.replicas
    }

    /// One round of the operator's loop.
    fn poll(&mut self, now: Duration, seen: &Observation) -> (u32, &'static str, String) {
        let (mut active, mut failed, mut total) = (false, false, 0);
        let mut reads = Vec::with_capacity(self.settings.triggers.len());
        for index in 0..self.settings.triggers.len() {
            self.reads += 1;
            let read = seen.queue.map(|counts| self.settings.triggers[index].total(counts));
            self.cached[index] = Some(read);
            self.note(index, read.is_some());
            reads.push(read);
            match read {
                Some(read) => {
                    total = total.max(read);
                    active |= read > self.settings.triggers[index].activation_queue_length;
                }
                None => {
                    failed = true;
                    active |= self.falls_back(index);
                }
            }
        }
        let (from, min) = (self.replicas, self.settings.min_replica_count);
        let mut detail = if failed { "the queue could not be read".to_owned() } else { format!("{total} messages") };
        if let (Some(modifiers), false) = (&self.settings.scaling_modifiers, failed) {
            let value = modifiers.value(&self.settings.triggers, &reads).unwrap_or(0.0);
            active = value > modifiers.activation_target;
            detail = format!("{value} by the formula");
        }
        if active {
            return self.while_active(now, failed, detail);
        }
        match (&self.settings.fallback, self.settings.idle_replica_count) {
            (None, _) if failed => (from, "KEDAScalerFailed", detail),
            (Some(fallback), _) if failed && fallback.replicas != 0 => (from, "KEDAScalerFailed", detail),
            (_, Some(idle)) if from > idle => self.after_cooldown(now, idle, detail),
            (_, None) if from > 0 && min == 0 => self.after_cooldown(now, 0, detail),
            (_, None) if from < min => (min, "ScalerNotActive", detail),
            _ => (from, "ScalerNotActive", detail),
        }
    }

    fn while_active(&mut self, now: Duration, failed: bool, detail: String) -> (u32, &'static str, String) {
        let (from, min) = (self.replicas, self.settings.min_replica_count);
        let idle_below_min = self.settings.idle_replica_count.is_some() && from < min;
        if from == 0 || idle_below_min {
            self.last_active = Some(now);
            return (min.max(1), "Activated", detail);
        }
        // A trigger that fails beside an active one keeps the time of the last activity where it was.
        if !failed {
            self.last_active = Some(now);
        }
        (from, "ScalerActive", detail)
    }

    /// Straight to `to`, from any count, once the last activity is more than the cooldown ago.
    fn after_cooldown(&self, now: Duration, to: u32, detail: String) -> (u32, &'static str, String) {
        let over = match self.last_active {
            Some(last) => now > last + self.settings.cooldown_period,
            None => now > self.settings.initial_cooldown_period,
        };
        if over { (to, "Deactivated", detail) } else { (self.replicas, "CooldownPeriod", detail) }
    }

    /// One sync of the HPA, with the metrics as KEDA's adapter answers.
    fn sync(&mut self, now: Duration, seen: &Observation) -> (u32, &'static str, String) {
        let replicas = Replicas { spec: self.replicas, status: seen.replicas, ready: seen.ready };
        let metrics: Vec<Option<Metric>> = match self.settings.triggers.len() {
            _ if self.replicas == 0 => Vec::new(),
            triggers if self.settings.scaling_modifiers.is_none() => {
                (0..triggers).map(|index| self.metric(index, seen)).collect()
            }
            _ => vec![self.composite(seen)],
        };
        let verdict = self.hpa.sync(now, replicas, &metrics);
        (verdict.to, verdict.reason, verdict.detail)
    }

    fn read(&mut self, index: usize, seen: &Observation) -> Option<u64> {
        let cached = if self.settings.triggers[index].use_cached_metrics { self.cached[index] } else { None };
        let read = cached.unwrap_or_else(|| {
            self.reads += 1;
            seen.queue.map(|counts| self.settings.triggers[index].total(counts))
        });
        self.note(index, read.is_some());
        read
    }

    /// `composite-metric`: what the formula makes of all triggers, or what the fallback does when one fails.
    fn composite(&mut self, seen: &Observation) -> Option<Metric> {
        let reads: Vec<_> = (0..self.settings.triggers.len()).map(|index| self.read(index, seen)).collect();
        let modifiers = self.settings.scaling_modifiers.as_ref()?;
        let (target_milli, kind) = (modifiers.target_milli(), modifiers.metric_type);
        let milli = match reads.iter().position(Option::is_none) {
            None => (modifiers.value(&self.settings.triggers, &reads).ok()? * 1000.0) as u64,
            Some(failed) if self.falls_back(failed) => self.fallback_milli(target_milli, kind, seen)?,
            Some(_) => return None,
        };
        Some(Metric { milli, target_milli, kind })
    }

    fn metric(&mut self, index: usize, seen: &Observation) -> Option<Metric> {
        let read = self.read(index, seen);
        let trigger = &self.settings.triggers[index];
        let (target_milli, kind) = (trigger.queue_length * 1000, trigger.metric_type);
        let milli = match read {
            Some(total) => total.saturating_mul(1000),
            None if self.falls_back(index) => self.fallback_milli(target_milli, kind, seen)?,
            None => return None,
        };
        Some(Metric { milli, target_milli, kind })
    }

    /// Both loops count into the same number, so a fallback comes sooner than `pollingInterval` suggests.
    fn note(&mut self, index: usize, read: bool) {
        self.failures[index] = if read { 0 } else { self.failures[index].saturating_add(1) };
    }

    fn falls_back(&self, index: usize) -> bool {
        self.settings.fallback.as_ref().is_some_and(|f| self.failures[index] > f.failure_threshold)
    }

    /// The metric that makes the HPA stand at the replicas of the fallback.
    fn fallback_milli(&self, target_milli: u64, kind: MetricType, seen: &Observation) -> Option<u64> {
        let fallback = self.settings.fallback.as_ref()?;
        let replicas = match fallback.behavior {
            FallbackBehavior::Static => fallback.replicas,
            FallbackBehavior::CurrentReplicas => seen.replicas,
            FallbackBehavior::CurrentReplicasIfHigher => fallback.replicas.max(seen.replicas),
            FallbackBehavior::CurrentReplicasIfLower => fallback.replicas.min(seen.replicas),
        };
        let milli = target_milli * u64::from(replicas);
        match kind {
            MetricType::AverageValue => Some(milli),
            MetricType::Value => milli.checked_div(seen.ready.into()),
        }
    }
}

impl Trigger {
    /// The metric: one number for activation and for scaling.
    pub(super) fn total(&self, counts: Counts) -> u64 {
        let in_flight = if self.scale_on_in_flight { counts.in_flight } else { 0 };
        let delayed = if self.scale_on_delayed { counts.delayed } else { 0 };
        counts.visible + in_flight + delayed
    }
}

impl Policy for Keda {
    fn due(&self) -> Duration {
        self.next_poll.min(self.next_sync)
    }

    fn tick(&mut self, now: Duration, seen: &Observation) -> Decision {
        let from = self.replicas;
        // The operator first: what it has just woken, the HPA sees.
        let polls = self.next_poll <= self.next_sync;
        let (to, reason, detail) = if polls { self.poll(now, seen) } else { self.sync(now, seen) };
        let next = if polls { &mut self.next_poll } else { &mut self.next_sync };
        let period = if polls { self.settings.polling_interval } else { self.settings.hpa.sync_period };
        // Each loop keeps its phase, and skips what an engine that was late has missed.
        while *next <= now {
            *next += period;
        }
        self.replicas = to;
        Decision { by: if polls { "keda" } else { "hpa" }, from, to, reason, detail }
    }
}

#[cfg(test)]
mod tests;
