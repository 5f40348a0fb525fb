//! The Horizontal Pod Autoscaler (autoscaling/v2), which moves between 1 and n replicas.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;

/// What the HPA is told by its object and by the flags of its controller. Defaults are Kubernetes'.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// `--horizontal-pod-autoscaler-sync-period` (15 s).
    #[serde(rename = "syncPeriodSeconds", with = "seconds")]
    pub sync_period: Duration,
    /// When the first sync after the start of the run happens. The HPA's phase is independent of the load's; the
    /// default is one whole period.
    #[serde(rename = "firstSyncSeconds", with = "seconds")]
    pub first_sync: Duration,
    /// `--horizontal-pod-autoscaler-tolerance` (0.1): no change while the metric is within this share of its target.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization` (300 s).
    #[serde(rename = "downscaleStabilizationSeconds", with = "seconds")]
    pub downscale_stabilization: Duration,
    /// `spec.behavior`. `None`, KEDA's default, takes another path in the controller than an empty one does.
    pub behavior: Option<Behavior>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            first_sync: Duration::from_secs(15),
            tolerance: 0.1,
            downscale_stabilization: Duration::from_secs(300),
            behavior: None,
        }
    }
}

impl Settings {
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
