//! KEDA's operator, which moves between 0 and 1 (or idle and min) and hands the HPA its metric.
//!
//! Two loops look at one queue: the operator's every `pollingInterval`, which only wakes and stops the target, and the
//! HPA's sync, which asks KEDA's adapter for the metric. [`Keda`] owns both, as a ScaledObject does.

mod modifiers;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use modifiers::ScalingModifiers;

use super::estimates::Estimates;
use super::hpa::{self, Hpa, Metric, MetricType, Replicas};
use super::{Counts, Decision, Observation, Policy, Reason, Scaler, Verdict, seconds};

/// A ScaledObject on one queue. Names and defaults are KEDA's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ScaledObjectSettings {
    /// Which KEDA it is: they read the queue differently often.
    pub version: Version,
    /// How often the operator looks (30 s). It does not govern 1 to n: that is the HPA's sync.
    #[serde(with = "seconds")]
    pub polling_interval: Duration,
    /// When the operator first looks, after the start of the run. An object that existed before has any phase: without
    /// this it is drawn.
    #[serde(rename = "firstPollSeconds", with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub first_poll: Option<Duration>,
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
    pub hpa: hpa::HpaSettings,
}

impl Default for ScaledObjectSettings {
    fn default() -> Self {
        Self {
            version: Version::default(),
            polling_interval: Duration::from_secs(30),
            first_poll: None,
            cooldown_period: Duration::from_secs(300),
            initial_cooldown_period: Duration::ZERO,
            min_replica_count: 0,
            max_replica_count: 100,
            idle_replica_count: None,
            fallback: None,
            triggers: vec![Trigger::default()],
            scaling_modifiers: None,
            hpa: hpa::HpaSettings::default(),
        }
    }
}

impl ScaledObjectSettings {
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
            let min = self.min_replica_count;
            let max = self.max_replica_count;
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

    /// Whether the operator's own loop reads the queue while the HPA does: since 2.21 only where something depends on
    /// `pollingInterval` (`IsPollingIntervalRelevant`).
    pub fn operator_reads(&self) -> bool {
        let cached = self.triggers.iter().any(|trigger| trigger.use_cached_metrics);
        let decides = self.min_replica_count == 0 || self.idle_replica_count.is_some();
        match self.version {
            Version::V2_20 => true,
            Version::V2_21 => decides || cached || self.scaling_modifiers.is_some(),
        }
    }

    /// GetQueueAttributes calls a second with nothing to do, at `floor` replicas.
    pub fn idle_reads_a_second(&self, floor: u32, estimates: &Estimates) -> f64 {
        let all = self.triggers.len() as f64;
        let live = self.triggers.iter().filter(|trigger| !trigger.use_cached_metrics).count() as f64;
        let polls = if self.operator_reads() { all / self.polling_interval.as_secs_f64() } else { 0.0 };
        // The HPA leaves 0 replicas alone.
        let syncs = if floor > 0 { live / self.sync_period(estimates).as_secs_f64() } else { 0.0 };
        polls + syncs
    }

    /// From one sync to the next: the controller's period, and what a reconcile takes.
    fn sync_period(&self, estimates: &Estimates) -> Duration {
        self.hpa.sync_period + Duration::from_secs_f64(estimates.hpa_reconcile_seconds)
    }

    /// What the HPA's metric is held against, in thousandths, and how.
    fn target(&self, index: usize) -> (u64, MetricType) {
        match &self.scaling_modifiers {
            Some(modifiers) => (modifiers.target_milli(), modifiers.metric_type),
            None => (self.triggers[index].queue_length * 1000, self.triggers[index].metric_type),
        }
    }

    fn metrics_of_an_empty_queue(&self) -> Vec<Option<Metric>> {
        let metric = |index, milli| {
            let (target_milli, kind) = self.target(index);
            Some(Metric { milli, target_milli, kind })
        };
        match &self.scaling_modifiers {
            None => (0..self.triggers.len()).map(|index| metric(index, 0)).collect(),
            Some(modifiers) => {
                let value = modifiers.value(&self.triggers, &vec![Some(0); self.triggers.len()]);
                vec![value.ok().and_then(|value| metric(0, (value * 1000.0) as u64))]
            }
        }
    }
}

/// A version of KEDA, as far as versions differ here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// Up to 2.20: both loops read the queue, and a metric that fails is forgotten by the cache.
    #[serde(rename = "2.20")]
    V2_20,
    /// Since 2.21: where the operator has nothing to decide it uses what the HPA's sync has read (kedacore/keda#7999).
    #[default]
    #[serde(rename = "2.21")]
    V2_21,
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

/// Where the two loops stand when a run starts, as shares of their periods, 0 to 1. Chance, and so an argument; what the
/// settings say goes before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phases {
    /// Of the operator's polls.
    pub poll: f64,
    /// Of the HPA's syncs.
    pub sync: f64,
}

/// A ScaledObject at work: the operator's loop, and the HPA that it made.
#[derive(Clone, Debug)]
pub struct Keda {
    settings: ScaledObjectSettings,
    hpa: Hpa,
    /// `spec.replicas` of the target.
    replicas: u32,
    next_poll: Duration,
    next_sync: Duration,
    sync_period: Duration,
    /// In whole seconds, as the object's status keeps it.
    last_active: Option<Duration>,
    /// Failures in a row, a trigger.
    failures: Vec<u32>,
    /// What the last poll made of each trigger for `useCachedMetrics`, in thousandths, fallback included; the inner `None`
    /// is a failure. The outer `None` is no record: then the HPA's sync reads live.
    cached: Vec<Option<Option<u64>>>,
    /// The HPA's last sync got no metric: its `ScalingActive` is false.
    unread: bool,
    /// What that sync saw would make the object active.
    seen_active: bool,
    reads: u64,
}

/// What one look at a trigger came to, in thousandths of a message.
#[derive(Clone, Copy)]
enum Observed {
    Read(u64),
    FallenBack(u64),
    Failed,
}

impl Observed {
    fn milli(self) -> Option<u64> {
        match self {
            Self::Read(milli) | Self::FallenBack(milli) => Some(milli),
            Self::Failed => None,
        }
    }
}

impl Keda {
    /// A ScaledObject on a target that has `replicas`. It stood there before time zero, and its queue was empty: the cache
    /// holds that, and the HPA has recommended what follows from it.
    pub fn new(settings: ScaledObjectSettings, replicas: u32, phases: Phases, estimates: &Estimates) -> Self {
        let mut hpa = Hpa::new(settings.hpa.clone(), settings.min_replica_count, settings.max_replica_count);
        let sync_period = settings.sync_period(estimates);
        let next_poll = settings.first_poll.unwrap_or_else(|| settings.polling_interval.mul_f64(phases.poll));
        let next_sync = settings.hpa.first_sync.unwrap_or_else(|| sync_period.mul_f64(phases.sync));
        let empty: Vec<Option<Metric>> = settings.metrics_of_an_empty_queue();
        hpa.has_synced(next_sync, sync_period, Replicas { spec: replicas, status: replicas, ready: replicas }, &empty);
        let triggers = settings.triggers.len();
        Self {
            hpa,
            replicas,
            next_poll,
            next_sync,
            sync_period,
            last_active: None,
            failures: vec![0; triggers],
            cached: vec![Some(Some(0)); triggers],
            unread: false,
            seen_active: false,
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
    fn poll(&mut self, now: Duration, seen: &Observation) -> Verdict {
        let from = self.replicas;
        let min = self.settings.min_replica_count;
        if !self.settings.operator_reads() && !self.unread {
            let reason = if self.seen_active { Reason::ScalerActive } else { Reason::ScalerNotActive };
            return Verdict::new(from.max(min), reason, "as the HPA's sync has read it (KEDA 2.21)");
        }
        let mut active = false;
        let mut failed = false;
        let mut fallen_back = None;
        let mut total = 0;
        let mut reads = Vec::with_capacity(self.settings.triggers.len());
        for index in 0..self.settings.triggers.len() {
            let read = self.read(index, seen);
            let observed = self.observed(index, read, seen);
            self.cached[index] = Some(observed.milli());
            reads.push(read);
            match observed {
                Observed::Read(milli) => {
                    total = total.max(milli / 1000);
                    active |= self.is_active(index, observed);
                }
                Observed::FallenBack(milli) => {
                    fallen_back = Some(milli);
                    active |= self.is_active(index, observed);
                }
                Observed::Failed => failed = true,
            }
        }
        let unread = failed || fallen_back.is_some();
        let mut detail = if unread { "the queue could not be read".to_owned() } else { format!("{total} messages") };
        if let Some(modifiers) = &self.settings.scaling_modifiers {
            let value = match fallen_back {
                Some(milli) => milli as f64 / 1000.0,
                None => modifiers.value(&self.settings.triggers, &reads).unwrap_or(0.0),
            };
            active = !failed && value > modifiers.activation_target;
            if !unread {
                detail = format!("{value} by the formula");
            }
        }
        if active {
            return self.while_active(now, failed, detail);
        }
        match (&self.settings.fallback, self.settings.idle_replica_count) {
            (None, _) if failed => Verdict::new(from, Reason::KEDAScalerFailed, detail),
            (Some(fallback), _) if failed && fallback.replicas != 0 => {
                Verdict::new(from, Reason::KEDAScalerFailed, detail)
            }
            (_, Some(idle)) if from > idle => self.after_cooldown(now, idle, detail),
            (_, None) if from > 0 && min == 0 => self.after_cooldown(now, 0, detail),
            (_, None) if from < min => Verdict::new(min, Reason::ScalerNotActive, detail),
            _ => Verdict::new(from, Reason::ScalerNotActive, detail),
        }
    }

    /// A trigger that falls back is active, whatever it would have said.
    fn is_active(&self, index: usize, observed: Observed) -> bool {
        match observed {
            Observed::Read(milli) => milli / 1000 > self.settings.triggers[index].activation_queue_length,
            Observed::FallenBack(_) => true,
            Observed::Failed => false,
        }
    }

    fn while_active(&mut self, now: Duration, failed: bool, detail: String) -> Verdict {
        let from = self.replicas;
        let min = self.settings.min_replica_count;
        let idle_below_min = self.settings.idle_replica_count.is_some() && from < min;
        // `lastActiveTime` of the status is a `metav1.Time`: whole seconds.
        let active_at = Some(Duration::from_secs(now.as_secs()));
        if from == 0 || idle_below_min {
            self.last_active = active_at;
            return Verdict::new(min.max(1), Reason::Activated, detail);
        }
        // A trigger that fails beside an active one keeps the time of the last activity where it was.
        if !failed {
            self.last_active = active_at;
        }
        Verdict::new(from, Reason::ScalerActive, detail)
    }

    /// Straight to `to`, from any count, once the last activity is the cooldown ago. KEDA tests
    /// `LastActiveTime.Add(cooldown).Before(time.Now())`: in whole seconds against a clock that has gone on, so that the poll
    /// which is exactly the cooldown later is late enough.
    fn after_cooldown(&self, now: Duration, to: u32, detail: String) -> Verdict {
        let over = match self.last_active {
            Some(last) => last + self.settings.cooldown_period <= now,
            None => self.settings.initial_cooldown_period <= now,
        };
        if over {
            Verdict::new(to, Reason::Deactivated, detail)
        } else {
            Verdict::new(self.replicas, Reason::CooldownPeriod, detail)
        }
    }

    /// One sync of the HPA, with the metrics as KEDA's adapter answers.
    fn sync(&mut self, now: Duration, seen: &Observation) -> Verdict {
        let replicas = Replicas { spec: self.replicas, status: seen.replicas, ready: seen.ready };
        let metrics = if self.replicas == 0 { Vec::new() } else { self.metrics(seen) };
        self.unread = metrics.iter().all(Option::is_none);
        self.hpa.sync(now, replicas, &metrics)
    }

    fn metrics(&mut self, seen: &Observation) -> Vec<Option<Metric>> {
        let triggers = self.settings.triggers.len();
        let mut reads = Vec::with_capacity(triggers);
        let mut observed = Vec::with_capacity(triggers);
        for index in 0..triggers {
            let cached = if self.settings.triggers[index].use_cached_metrics { self.cached[index] } else { None };
            let read = cached.unwrap_or_else(|| self.read(index, seen).map(|messages| messages * 1000));
            reads.push(read.map(|milli| milli / 1000));
            observed.push(self.observed(index, read.map(|milli| milli / 1000), seen));
        }
        self.seen_active = observed.iter().enumerate().any(|(index, observed)| self.is_active(index, *observed));
        let failed = observed.iter().any(|observed| matches!(observed, Observed::Failed));
        let fallen_back = observed.iter().find_map(|observed| match observed {
            Observed::FallenBack(milli) => Some(*milli),
            Observed::Read(_) | Observed::Failed => None,
        });
        // Up to 2.20 an error clears the scalers of the object, and their records with them.
        if failed && self.settings.version == Version::V2_20 {
            self.cached.fill(None);
        }
        let Some(modifiers) = &self.settings.scaling_modifiers else {
            return (0..triggers).map(|index| self.metric(index, observed[index].milli()?)).collect();
        };
        // `composite-metric`: what the formula makes of all triggers, or what the fallback does when one fails.
        let value = || modifiers.value(&self.settings.triggers, &reads).ok().map(|value| (value * 1000.0) as u64);
        let milli = fallen_back.or_else(|| if failed { None } else { value() });
        vec![milli.and_then(|milli| self.metric(0, milli))]
    }

    fn metric(&self, index: usize, milli: u64) -> Option<Metric> {
        let (target_milli, kind) = self.settings.target(index);
        Some(Metric { milli, target_milli, kind })
    }

    fn read(&mut self, index: usize, seen: &Observation) -> Option<u64> {
        self.reads += 1;
        seen.queue.map(|counts| self.settings.triggers[index].total(counts))
    }

    /// KEDA's `GetMetricsWithFallback`. Both loops count failures into the same number, so a fallback comes sooner than
    /// `pollingInterval` suggests; and a cached record that is the fallback's own counts as a success.
    fn observed(&mut self, index: usize, read: Option<u64>, seen: &Observation) -> Observed {
        if let Some(messages) = read {
            self.failures[index] = 0;
            return Observed::Read(messages.saturating_mul(1000));
        }
        self.failures[index] = self.failures[index].saturating_add(1);
        let falls_back = self.settings.fallback.as_ref().is_some_and(|f| self.failures[index] > f.failure_threshold);
        let milli = if falls_back { self.fallback_milli(index, seen) } else { None };
        milli.map_or(Observed::Failed, Observed::FallenBack)
    }

    /// The metric that makes the HPA stand at the replicas of the fallback.
    fn fallback_milli(&self, index: usize, seen: &Observation) -> Option<u64> {
        let fallback = self.settings.fallback.as_ref()?;
        let replicas = match fallback.behavior {
            FallbackBehavior::Static => fallback.replicas,
            FallbackBehavior::CurrentReplicas => self.replicas,
            FallbackBehavior::CurrentReplicasIfHigher => fallback.replicas.max(self.replicas),
            FallbackBehavior::CurrentReplicasIfLower => fallback.replicas.min(self.replicas),
        };
        let (target_milli, kind) = self.settings.target(index);
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
        let verdict = if polls { self.poll(now, seen) } else { self.sync(now, seen) };
        let next = if polls { &mut self.next_poll } else { &mut self.next_sync };
        let period = if polls { self.settings.polling_interval } else { self.sync_period };
        // Each loop keeps its phase, and skips what an engine that was late has missed.
        while *next <= now {
            *next += period;
        }
        self.replicas = verdict.to;
        verdict.by(if polls { Scaler::Keda } else { Scaler::Hpa }, from)
    }
}

#[cfg(test)]
mod tests;
