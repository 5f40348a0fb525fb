//! The Horizontal Pod Autoscaler (autoscaling/v2), which moves between 1 and n replicas.
//!
//! The order of one sync, as in `pkg/controller/podautoscaler/horizontal.go` of Kubernetes: replicas outside min..max
//! are brought inside without a look at the metric; the metric gives a desired count; that is stabilized by earlier
//! recommendations, then limited. Two paths do the last two steps: `limits::without_behavior` while `behavior` is nil
//! (1, 4, 8, 16 …) and `limits::with_behavior` while it is set, even to the defaults (1, 5, 10, 20 …).

mod limits;

use std::cmp::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Reason, Verdict, seconds};

/// What the HPA is told by its object and by the flags of its controller. Defaults are Kubernetes'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct HpaSettings {
    /// `--horizontal-pod-autoscaler-sync-period` (15 s).
    #[serde(rename = "syncPeriodSeconds", with = "seconds")]
    pub sync_period: Duration,
    /// When the first sync after the start of the run happens. The HPA's phase is independent of the load's: without this
    /// it is drawn.
    #[serde(rename = "firstSyncSeconds", with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub first_sync: Option<Duration>,
    /// `--horizontal-pod-autoscaler-tolerance` (0.1): no change while the metric is within this share of its target.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization` (300 s).
    #[serde(rename = "downscaleStabilizationSeconds", with = "seconds")]
    pub downscale_stabilization: Duration,
    /// `spec.behavior`. `None`, KEDA's default, takes another path in the controller than an empty one does.
    pub behavior: Option<Behavior>,
}

impl Default for HpaSettings {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            first_sync: None,
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
            behavior: None,
        }
    }
}

impl HpaSettings {
    /// What is wrong with these settings: the field, and what to write instead. Empty when all is well.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if self.sync_period.is_zero() {
            mistakes.push(("syncPeriodSeconds", "0 would never end: write a number above 0".to_owned()));
        }
        if !(0.0..1.0).contains(&self.tolerance) {
            mistakes.push(("tolerance", format!("{}: write a number from 0 to below 1", self.tolerance)));
        }
        for rules in self.behavior.iter().flat_map(|b| [&b.scale_up, &b.scale_down]) {
            if rules.stabilization_window.is_some_and(|w| w > Duration::from_secs(3600)) {
                mistakes.push(("stabilizationWindowSeconds", "write 0 to 3600".to_owned()));
            }
            if rules.tolerance.is_some_and(|t| !(0.0..1.0).contains(&t)) {
                mistakes.push(("tolerance", "write a number from 0 to below 1".to_owned()));
            }
            for policy in rules.policies.iter().flatten() {
                if policy.value == 0 {
                    mistakes.push(("value", "a policy of 0: write 1 or more, or selectPolicy: Disabled".to_owned()));
                }
                if policy.period.is_zero() || policy.period > Duration::from_secs(1800) {
                    mistakes.push(("periodSeconds", "write 1 to 1800".to_owned()));
                }
            }
        }
        mistakes
    }
}

/// `spec.behavior`; what it leaves out is filled in by the API's defaults.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Behavior {
    /// Upwards: by default the larger of 4 pods and 100 % in 15 s, with no stabilization.
    pub scale_up: Rules,
    /// Downwards: by default 100 % in 15 s, with the controller's stabilization window.
    pub scale_down: Rules,
}

/// The rules for one direction; a field that is `None` has the API's default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Rules {
    /// How long past recommendations hold this one back.
    #[serde(rename = "stabilizationWindowSeconds", with = "seconds::option", skip_serializing_if = "Option::is_none")]
    pub stabilization_window: Option<Duration>,
    /// Which policy decides when there are several: the largest change by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub select_policy: Option<SelectPolicy>,
    /// How fast replicas may change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<ScalingPolicy>>,
    /// Tolerance in this direction (beta); the controller's by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

/// Which of several policies decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SelectPolicy {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// None: this direction is switched off.
    Disabled,
}

/// A change of at most `value` pods, or percent, in `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScalingPolicy {
    /// What `value` counts.
    #[serde(rename = "type")]
    pub unit: Unit,
    /// Pods or percent, above 0.
    pub value: u32,
    /// The period that the change may not exceed `value` in, 1 s to 30 min.
    #[serde(rename = "periodSeconds", with = "seconds")]
    pub period: Duration,
}

/// What the value of a [`ScalingPolicy`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Pods.
    Pods,
    /// Percent of the replicas at the start of the period.
    Percent,
}

/// One external metric, as KEDA's adapter answers the HPA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The value in thousandths: KEDA keeps that precision.
    pub milli: u64,
    /// The target, in thousandths too.
    pub target_milli: u64,
    /// How value and target are compared.
    pub kind: MetricType,
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

/// The replicas at a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas {
    /// `spec.replicas`: what was asked for last.
    pub spec: u32,
    /// `status.replicas`: those that exist, Pending ones included.
    pub status: u32,
    /// Those that are Running and Ready.
    pub ready: u32,
}

/// The autoscaler of one target: its settings and what it remembers between syncs.
#[derive(Clone, Debug)]
pub struct Hpa {
    settings: HpaSettings,
    min: u32,
    max: u32,
    /// Raw recommendations, neither stabilized nor limited: 1,000 messages at 5 a replica hold 200 for the whole window.
    recommendations: Vec<(Duration, u32)>,
    /// Changes upwards that were made, for the policies of `behavior`.
    added: Vec<(Duration, u32)>,
    /// Changes downwards that were made.
    removed: Vec<(Duration, u32)>,
}

/// How long the controller has run before the time zero of its caller: the longest window that the API allows.
const BEFORE: Duration = Duration::from_secs(3600);

impl Hpa {
    /// An autoscaler between `min` (raised to 1: KEDA owns 0) and `max`.
    pub fn new(settings: HpaSettings, min: u32, max: u32) -> Self {
        Self { settings, min: min.max(1), max, recommendations: Vec::new(), added: Vec::new(), removed: Vec::new() }
    }

    /// Lets it have synced every `period` before the one at `first`, each time with these metrics: an object that stood
    /// there before the load has a history, and a window upwards reads it. At 0 replicas it recommended nothing.
    pub fn has_synced(&mut self, first: Duration, period: Duration, replicas: Replicas, metrics: &[Option<Metric>]) {
        let desired = if replicas.spec == 0 { None } else { self.desired(replicas, metrics) };
        self.recommendations = match desired {
            Some((desired, _)) => {
                let ages = (1..).map(|n| period.saturating_mul(n));
                let times = ages.map_while(|age| (BEFORE + first).checked_sub(age));
                times.map(|at| (at, desired)).collect()
            }
            // What it noted when the object was made, too long ago to matter.
            None => vec![(Duration::ZERO, replicas.spec)],
        };
        self.forget(BEFORE + first);
    }

    /// One sync. A metric that could not be read is `None`.
    pub fn sync(&mut self, now: Duration, replicas: Replicas, metrics: &[Option<Metric>]) -> Verdict {
        let now = BEFORE + now;
        let current = replicas.spec;
        if self.recommendations.is_empty() {
            self.recommendations.push((now, current));
        }
        if current == 0 {
            return Verdict::new(0, Reason::ScalingDisabled, "the HPA leaves 0 replicas alone");
        }
        let verdict = if current > self.max {
            Verdict::new(
                self.max,
                Reason::TooManyReplicas,
                format!("{current} replicas are above the maximum {}", self.max),
            )
        } else if current < self.min {
            Verdict::new(
                self.min,
                Reason::TooFewReplicas,
                format!("{current} replicas are below the minimum {}", self.min),
            )
        } else {
            match self.desired(replicas, metrics) {
                Some((desired, detail)) => self.limited(now, current, desired, &detail),
                None => Verdict::new(current, Reason::FailedGetExternalMetric, "no metric: replicas stay"),
            }
        };
        self.remember(now, current, verdict.to);
        verdict
    }

    /// The replicas that the metrics ask for, the highest of them, and the arithmetic. `None` if none could be read, or
    /// if some could not and the others would scale down.
    fn desired(&self, replicas: Replicas, metrics: &[Option<Metric>]) -> Option<(u32, String)> {
        let best = metrics.iter().flatten().map(|metric| self.desired_by(replicas, metric)).max_by_key(|(n, _)| *n)?;
        let all_read = metrics.iter().all(Option::is_some);
        (all_read || best.0 >= replicas.spec).then_some(best)
    }

    fn desired_by(&self, replicas: Replicas, metric: &Metric) -> (u32, String) {
        let value = metric.milli as f64;
        let target = metric.target_milli as f64;
        let messages = Thousands(metric.milli / 1000);
        let of = target / 1000.0;
        match metric.kind {
            MetricType::AverageValue => {
                // Pending pods count; with none the ratio is infinite or NaN, and neither is within the tolerance.
                if self.tolerates(value / (target * f64::from(replicas.status))) {
                    let n = replicas.status;
                    return (n, format!("{messages} messages / {of} is within the tolerance of {n}"));
                }
                let desired = ceil(value / target);
                (desired, format!("{messages} messages / {of} = {} desired", Thousands(desired.into())))
            }
            MetricType::Value => {
                let ratio = value / target;
                if self.tolerates(ratio) {
                    return (replicas.spec, format!("{messages} of {of} messages is within the tolerance"));
                }
                let desired = ceil(ratio * f64::from(replicas.ready));
                let ready = replicas.ready;
                (desired, format!("{messages} / {of} messages x {ready} ready = {desired} desired"))
            }
        }
    }

    /// Newer controllers' rule, which counts exactly 1.1 as tolerated; before 1.33 rounding made it scale.
    fn tolerates(&self, ratio: f64) -> bool {
        let behavior = self.settings.behavior.as_ref();
        let up = behavior.and_then(|b| b.scale_up.tolerance).unwrap_or(self.settings.tolerance);
        let down = behavior.and_then(|b| b.scale_down.tolerance).unwrap_or(self.settings.tolerance);
        (1.0 - down..=1.0 + up).contains(&ratio)
    }

    /// Stabilizes and limits `desired`, and notes it, raw, for later syncs.
    fn limited(&mut self, now: Duration, current: u32, desired: u32, detail: &str) -> Verdict {
        let limit = match &self.settings.behavior {
            None => limits::without_behavior(self, now, current, desired),
            Some(behavior) => limits::with_behavior(self, behavior, now, current, desired),
        };
        self.recommendations.push((now, desired));
        let stabilized = limit.stabilized != desired;
        // The HPA reports both conditions; the one that explains an unchanged count is the stabilization.
        let reason = if stabilized && limit.to == current { limit.stabilization } else { limit.reason };
        let held = if stabilized {
            format!(", held at {} by earlier recommendations", Thousands(limit.stabilized.into()))
        } else {
            String::new()
        };
        let cut = if limit.to == limit.stabilized { String::new() } else { format!(", limited to {}", limit.to) };
        Verdict::new(limit.to, reason, format!("{detail}{held}{cut}"))
    }

    /// Keeps the change for the policies (only while `behavior` is set), and forgets what is too old to matter.
    fn remember(&mut self, now: Duration, from: u32, to: u32) {
        if let Some(behavior) = &self.settings.behavior {
            match to.cmp(&from) {
                Ordering::Greater => store(&mut self.added, now, to - from, limits::longest_up(behavior)),
                Ordering::Less => store(&mut self.removed, now, from - to, limits::longest_down(behavior)),
                Ordering::Equal => {}
            }
        }
        self.forget(now);
    }

    /// Drops recommendations that no window reaches; the newest stays, as the controller's list is never empty again.
    fn forget(&mut self, now: Duration) {
        let window = limits::longest_window(&self.settings);
        let newest = self.recommendations.iter().map(|(at, _)| *at).max();
        self.recommendations.retain(|(at, _)| *at + window > now || Some(*at) == newest);
    }
}

/// `storeScaleEvent`: each direction has a list of its own, in which a change overwrites the last that is older than the
/// longest period of **that** direction's policies. So a policy downwards may no longer see a change upwards of its period.
fn store(events: &mut Vec<(Duration, u32)>, now: Duration, change: u32, longest: Duration) {
    match events.iter().rposition(|(at, _)| *at + longest < now) {
        Some(outdated) => events[outdated] = (now, change),
        None => events.push((now, change)),
    }
}

/// Rounds up to a count; what is too large for one is as many as there can be.
fn ceil(value: f64) -> u32 {
    value.ceil() as u32
}

/// A number written with commas: 1,000.
struct Thousands(u64);

impl std::fmt::Display for Thousands {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            n if n < 1000 => write!(f, "{n}"),
            n => write!(f, "{},{:03}", Thousands(n / 1000), n % 1000),
        }
    }
}

#[cfg(test)]
mod tests;
