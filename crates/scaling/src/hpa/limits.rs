//! How far one sync may go: the controller's two paths, side by side.

use std::time::Duration;

use super::{Behavior, Hpa, HpaSettings, Reason, Rules, ScalingPolicy, SelectPolicy, Unit};

/// What stabilization and limits made of a desired count.
pub(super) struct Limit {
    /// After stabilization, before the limits.
    pub stabilized: u32,
    /// The word for a stabilization that changed something.
    pub stabilization: Reason,
    /// After the limits.
    pub to: u32,
    /// Which limit held, or `DesiredWithinRange`.
    pub reason: Reason,
}

/// `normalizeDesiredReplicas`: upwards at most `max(2 × current, 4)`; downwards as far as the highest recommendation of
/// the stabilization window, that many at once.
pub(super) fn without_behavior(hpa: &Hpa, now: Duration, current: u32, desired: u32) -> Limit {
    let window = hpa.settings.downscale_stabilization;
    // `timestamp.Before(now - window)` is too old, and the clock of a controller never reads the same time twice: what is
    // exactly as old as the window has left it.
    let recent = hpa.recommendations.iter().filter(|(at, _)| *at + window > now).map(|(_, n)| *n);
    let stabilized = recent.fold(desired, u32::max);
    let doubled = current.saturating_mul(2).max(4);
    let (upper, too_many) =
        if hpa.max > doubled { (doubled, Reason::ScaleUpLimit) } else { (hpa.max, Reason::TooManyReplicas) };
    let (to, reason) = match stabilized {
        n if n < hpa.min => (hpa.min, Reason::TooFewReplicas),
        n if n > upper => (upper, too_many),
        n => (n, Reason::DesiredWithinRange),
    };
    Limit { stabilized, stabilization: Reason::ScaleDownStabilized, to, reason }
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
    let stabilization = if desired >= current { Reason::ScaleUpStabilized } else { Reason::ScaleDownStabilized };

    let change = Change { now, current, added: &hpa.added, removed: &hpa.removed };
    let (to, reason) = match stabilized.cmp(&current) {
        std::cmp::Ordering::Greater => {
            let limit = change.up_limit(&behavior.scale_up).max(current);
            let (upper, word) =
                if hpa.max > limit { (limit, Reason::ScaleUpLimit) } else { (hpa.max, Reason::TooManyReplicas) };
            if stabilized > upper { (upper, word) } else { (stabilized, Reason::DesiredWithinRange) }
        }
        std::cmp::Ordering::Less => {
            let limit = change.down_limit(&behavior.scale_down).min(current);
            let (lower, word) =
                if hpa.min < limit { (limit, Reason::ScaleDownLimit) } else { (hpa.min, Reason::TooFewReplicas) };
            if stabilized < lower { (lower, word) } else { (stabilized, Reason::DesiredWithinRange) }
        }
        std::cmp::Ordering::Equal => (stabilized, Reason::DesiredWithinRange),
    };
    Limit { stabilized, stabilization, to, reason }
}

/// The stabilization windows, upwards and downwards, with the API's defaults.
fn windows(settings: &HpaSettings, behavior: &Behavior) -> (Duration, Duration) {
    (
        behavior.scale_up.stabilization_window.unwrap_or(Duration::ZERO),
        behavior.scale_down.stabilization_window.unwrap_or(settings.downscale_stabilization),
    )
}

/// Older recommendations than this no longer matter.
pub(super) fn longest_window(settings: &HpaSettings) -> Duration {
    let Some(behavior) = &settings.behavior else { return settings.downscale_stabilization };
    let (up, down) = windows(settings, behavior);
    up.max(down)
}

/// The longest period of the policies upwards.
pub(super) fn longest_up(behavior: &Behavior) -> Duration {
    up_policies(&behavior.scale_up).iter().map(|policy| policy.period).max().unwrap_or_default()
}

/// The longest period of the policies downwards.
pub(super) fn longest_down(behavior: &Behavior) -> Duration {
    down_policies(&behavior.scale_down).iter().map(|policy| policy.period).max().unwrap_or_default()
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
            let value = i64::from(policy.value);
            match policy.unit {
                Unit::Pods => start + value,
                Unit::Percent => (start as f64 * (1.0 + value as f64 / 100.0)).ceil() as i64,
            }
        });
        self.selected(rules, proposals.clone().max(), proposals.min())
    }

    fn down_limit(&self, rules: &Rules) -> u32 {
        let proposals = down_policies(rules).iter().map(|policy| {
            let start = self.at_start(policy.period);
            let value = i64::from(policy.value);
            match policy.unit {
                Unit::Pods => start - value,
                Unit::Percent => (start as f64 * (1.0 - value as f64 / 100.0)) as i64,
            }
        });
        // The largest change downwards is the lowest count.
        self.selected(rules, proposals.clone().min(), proposals.max())
    }

    fn selected(&self, rules: &Rules, largest: Option<i64>, smallest: Option<i64>) -> u32 {
        let chosen = match rules.select_policy.unwrap_or_default() {
            SelectPolicy::Max => largest,
            SelectPolicy::Min => smallest,
            SelectPolicy::Disabled => None,
        };
        chosen.map_or(self.current, |count| u32::try_from(count.max(0)).unwrap_or(u32::MAX))
    }

    /// Replicas when the period began, below 0 where more was added since than there is. A change counts only if it is
    /// strictly newer: one of exactly 15 s ago is free.
    fn at_start(&self, period: Duration) -> i64 {
        let recent = |changes: &[(Duration, u32)]| -> i64 {
            changes.iter().filter(|(at, _)| *at + period > self.now).map(|(_, n)| i64::from(*n)).sum()
        };
        i64::from(self.current) + recent(self.removed) - recent(self.added)
    }
}
