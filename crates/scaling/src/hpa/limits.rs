//! How far one sync may go: the controller's two paths, side by side.

use std::time::Duration;

use super::{Behavior, Hpa, Rules, ScalingPolicy, SelectPolicy, Settings, Unit, ceil};

/// What stabilization and limits made of a desired count.
pub(super) struct Limit {
    /// After stabilization, before the limits.
    pub stabilized: u32,
    /// The word for a stabilization that changed something.
    pub stabilization: &'static str,
    /// After the limits.
    pub to: u32,
    /// Which limit held, or `DesiredWithinRange`.
    pub reason: &'static str,
}

/// `normalizeDesiredReplicas`: upwards at most `max(2 × current, 4)`; downwards as far as the highest recommendation of
/// the stabilization window, that many at once.
pub(super) fn without_behavior(hpa: &Hpa, now: Duration, current: u32, desired: u32) -> Limit {
    let window = hpa.settings.downscale_stabilization;
    let recent = hpa.recommendations.iter().filter(|(at, _)| *at + window >= now).map(|(_, n)| *n);
    let stabilized = recent.fold(desired, u32::max);
    let doubled = current.saturating_mul(2).max(4);
    let (upper, too_many) = if hpa.max > doubled { (doubled, "ScaleUpLimit") } else { (hpa.max, "TooManyReplicas") };
    let (to, reason) = match stabilized {
        n if n < hpa.min => (hpa.min, "TooFewReplicas"),
        n if n > upper => (upper, too_many),
        n => (n, "DesiredWithinRange"),
    };
    Limit { stabilized, stabilization: "ScaleDownStabilized", to, reason }
}

/// `normalizeDesiredReplicasWithBehaviors`: a window for each direction, then the policies of the direction taken.
pub(super) fn with_behavior(hpa: &Hpa, behavior: &Behavior, now: Duration, current: u32, desired: u32) -> Limit {
    let (up_window, down_window) = windows(&hpa.settings, behavior);
    let within = |window: Duration| {
        hpa.recommendations.iter().filter(move |(at, _)| *at + window > now).map(|(_, replicas)| *replicas)
    };
    let up = within(up_window).fold(desired, u32::min);
    let down = within(down_window).fold(desired, u32::max);
    let stabilized = current.max(up).min(down);
    let stabilization = if desired >= current { "ScaleUpStabilized" } else { "ScaleDownStabilized" };

    let change = Change { now, current, added: &hpa.added, removed: &hpa.removed };
    let (to, reason) = match stabilized.cmp(&current) {
        std::cmp::Ordering::Greater => {
            let limit = change.up_limit(&behavior.scale_up).max(current);
            let (upper, word) = if hpa.max > limit { (limit, "ScaleUpLimit") } else { (hpa.max, "TooManyReplicas") };
            if stabilized > upper { (upper, word) } else { (stabilized, "DesiredWithinRange") }
        }
        std::cmp::Ordering::Less => {
            let limit = change.down_limit(&behavior.scale_down).min(current);
            let (lower, word) = if hpa.min < limit { (limit, "ScaleDownLimit") } else { (hpa.min, "TooFewReplicas") };
            if stabilized < lower { (lower, word) } else { (stabilized, "DesiredWithinRange") }
        }
        std::cmp::Ordering::Equal => (stabilized, "DesiredWithinRange"),
    };
    Limit { stabilized, stabilization, to, reason }
}

/// The stabilization windows, upwards and downwards, with the API's defaults.
fn windows(settings: &Settings, behavior: &Behavior) -> (Duration, Duration) {
    (
        behavior.scale_up.stabilization_window.unwrap_or(Duration::ZERO),
        behavior.scale_down.stabilization_window.unwrap_or(settings.downscale_stabilization),
    )
}

/// Older recommendations than this no longer matter.
pub(super) fn longest_window(settings: &Settings, behavior: &Behavior) -> Duration {
    let (up, down) = windows(settings, behavior);
    up.max(down)
}

/// Older changes than this no longer matter.
pub(super) fn longest_period(behavior: &Behavior) -> Duration {
    let policies = up_policies(&behavior.scale_up).iter().chain(down_policies(&behavior.scale_down));
    policies.map(|p| p.period).max().unwrap_or_default()
}

const FIFTEEN: Duration = Duration::from_secs(15);
const UP: &[ScalingPolicy] = &[
    ScalingPolicy { unit: Unit::Pods, value: 4, period: FIFTEEN },
    ScalingPolicy { unit: Unit::Percent, value: 100, period: FIFTEEN },
];
const DOWN: &[ScalingPolicy] = &[ScalingPolicy { unit: Unit::Percent, value: 100, period: FIFTEEN }];

fn up_policies(rules: &Rules) -> &[ScalingPolicy] {
    rules.policies.as_deref().unwrap_or(UP)
}

fn down_policies(rules: &Rules) -> &[ScalingPolicy] {
    rules.policies.as_deref().unwrap_or(DOWN)
}

/// The replicas now and the changes that led there.
struct Change<'a> {
    now: Duration,
    current: u32,
    added: &'a [(Duration, u32)],
    removed: &'a [(Duration, u32)],
}

impl Change<'_> {
    fn up_limit(&self, rules: &Rules) -> u32 {
        let proposals = up_policies(rules).iter().map(|policy| {
            let start = self.at_start(policy.period);
            match policy.unit {
                Unit::Pods => start.saturating_add(policy.value),
                Unit::Percent => ceil(f64::from(start) * (1.0 + f64::from(policy.value) / 100.0)),
            }
        });
        match rules.select_policy.unwrap_or_default() {
            SelectPolicy::Max => proposals.max().unwrap_or(self.current),
            SelectPolicy::Min => proposals.min().unwrap_or(self.current),
            SelectPolicy::Disabled => self.current,
        }
    }

    fn down_limit(&self, rules: &Rules) -> u32 {
        let proposals = down_policies(rules).iter().map(|policy| {
            let start = self.at_start(policy.period);
            match policy.unit {
                Unit::Pods => start.saturating_sub(policy.value),
                // Truncated, and never below 0.
                Unit::Percent => (f64::from(start) * (1.0 - f64::from(policy.value) / 100.0)) as u32,
            }
        });
        // The largest change downwards is the lowest count.
        match rules.select_policy.unwrap_or_default() {
            SelectPolicy::Max => proposals.min().unwrap_or(self.current),
            SelectPolicy::Min => proposals.max().unwrap_or(self.current),
            SelectPolicy::Disabled => self.current,
        }
    }

    /// Replicas when the period began. A change counts only if it is strictly newer: one of exactly 15 s ago is free.
    fn at_start(&self, period: Duration) -> u32 {
        let recent = |changes: &[(Duration, u32)]| -> u32 {
            changes.iter().filter(|(at, _)| *at + period > self.now).map(|(_, n)| *n).sum()
        };
        (self.current + recent(self.removed)).saturating_sub(recent(self.added))
    }
}
