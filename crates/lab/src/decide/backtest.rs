//! Last week again: the load that was recorded, simulated with the settings as they are, beside what was observed then. How far
//! they are apart says whether to believe what the simulator makes of other settings.

use serde::{Deserialize, Serialize};

use crate::run::{Sample, Target};
use crate::scenario::Scenario;
use crate::scenario::recorded::{RecordedMetric, Values};
use crate::simulate;
use crate::target::TargetKind;

/// What was observed, and what the simulator makes of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backtest {
    /// Where it was observed.
    pub target: TargetKind,
    /// Each thing that was observed.
    pub compared: Vec<Compared>,
    /// Metrics of the file that nothing is made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_used: Vec<String>,
}

/// One thing over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// What it is.
    pub aspect: Aspect,
    /// When, in seconds since the load began.
    pub t: Vec<f64>,
    /// What was recorded for that time.
    pub observed: Vec<f64>,
    /// What the simulator came to.
    pub simulated: Vec<f64>,
    /// The mean of `observed`.
    pub observed_mean: f64,
    /// The mean of `simulated`.
    pub simulated_mean: f64,
    /// The mean of the differences, without their signs.
    pub off: f64,
}

impl Compared {
    /// How far off, as a share of what was observed; `None` where nothing was.
    pub fn deviation(&self) -> Option<f64> {
        (self.observed_mean > 0.0).then(|| self.off / self.observed_mean)
    }
}

/// What a metric tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Pods, or concurrent invocations.
    Capacity,
    /// The age of the oldest message in the queue, in seconds.
    OldestAge,
    /// How long an invocation took, in seconds.
    Duration,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// None of the metrics is known.
    #[error(
        "none of its metrics ({0}) is ConcurrentExecutions, replicas of a Deployment, ApproximateAgeOfOldestMessage or Duration"
    )]
    NoMetric(String),
    /// Nothing says on which target it was observed.
    #[error("it does not tell where it was observed: write --observed-on eks or lambda")]
    NoTarget,
    /// It is of another time than the load.
    #[error("{0} has no point in the time of the load: are both of the same days, and both with dates?")]
    NoOverlap(String),
}

impl Aspect {
    /// By the owner's name, as CloudWatch, kube-state-metrics and exporters write it.
    fn of(name: &str) -> Option<Self> {
        let plain = name.to_lowercase().replace('_', "");
        let has = |part: &str| plain.contains(part);
        match () {
            () if has("concurrentexecutions") || has("replicas") => Some(Self::Capacity),
            () if has("approximateageofoldestmessage") => Some(Self::OldestAge),
            () if has("duration") => Some(Self::Duration),
            () => None,
        }
    }

    /// A value of a metric in our unit: CloudWatch counts durations in milliseconds.
    fn scale(self) -> f64 {
        match self {
            Self::Duration => 1e-3,
            Self::Capacity | Self::OldestAge => 1.0,
        }
    }
}

/// Where the metrics were observed, as far as their names tell.
fn target_of(metrics: &[RecordedMetric]) -> Option<TargetKind> {
    metrics.iter().find_map(|metric| match metric.name.to_lowercase() {
        name if name.contains("concurrentexecutions") => Some(TargetKind::Lambda),
        name if name.contains("replicas") => Some(TargetKind::Eks),
        _ => None,
    })
}

/// Simulates the scenario as it is, and holds it against the metrics. `began` is when the load did, by the metrics' clock.
///
/// # Errors
/// There is nothing to compare.
pub(crate) fn backtest(
    scenario: &Scenario,
    began: f64,
    metrics: &[RecordedMetric],
    on: Option<TargetKind>,
) -> Result<Backtest, BacktestError> {
    let known: Vec<(Aspect, &RecordedMetric)> =
        metrics.iter().filter_map(|metric| Some((Aspect::of(&metric.name)?, metric))).collect();
    let names = |of: &mut dyn Iterator<Item = &RecordedMetric>| of.map(|m| m.name.clone()).collect::<Vec<_>>();
    if known.is_empty() {
        return Err(BacktestError::NoMetric(names(&mut metrics.iter()).join(", ")));
    }
    let kind = on.or_else(|| target_of(metrics)).ok_or(BacktestError::NoTarget)?;
    let target = simulate::run_target(kind, scenario);
    let mut compared = Vec::new();
    let mut not_used = names(&mut metrics.iter().filter(|metric| Aspect::of(&metric.name).is_none()));
    for (aspect, metric) in known {
        match simulated(aspect, kind, scenario, &target) {
            Some(simulated) => compared.push(held(aspect, metric, began, &simulated)?),
            None => not_used.push(metric.name.clone()),
        }
    }
    Ok(Backtest { target: kind, compared, not_used })
}

/// A value that holds from that time on.
type Level = (f64, f64);

/// What the simulator came to over time; `None` where the target has no such thing.
fn simulated(aspect: Aspect, kind: TargetKind, scenario: &Scenario, target: &Target) -> Option<Vec<Level>> {
    match (aspect, kind) {
        (Aspect::Capacity, _) => Some(target.samples.iter().map(|sample| (sample.t, sample.capacity.into())).collect()),
        (Aspect::OldestAge, _) => Some(oldest(scenario, &target.samples)),
        (Aspect::Duration, TargetKind::Lambda) => {
            let gib = f64::from(scenario.lambda.memory_mb) / 1024.0;
            let invocations = target.usage.invocations.filter(|count| *count > 0)? as f64;
            Some(vec![(0.0, target.usage.gb_seconds? / gib / invocations)])
        }
        (Aspect::Duration, TargetKind::Eks) => None,
    }
}

/// The age of the oldest message at each sample, if messages end in the order in which they came.
fn oldest(scenario: &Scenario, samples: &[Sample]) -> Vec<Level> {
    let mut coming = scenario.arrivals().peekable();
    let mut ending = scenario.arrivals();
    let first = coming.peek().map_or(0.0, |arrival| arrival.at.as_secs_f64());
    let mut came = 0_u64;
    let mut upto = 0_u64;
    let mut sent_at = 0.0;
    let age = |sample: &Sample| {
        while let Some(arrival) = coming.next_if(|arrival| arrival.at.as_secs_f64() - first <= sample.t) {
            came += arrival.count;
        }
        let open = Target::backlog(sample);
        let ended = came.saturating_sub(open);
        while upto <= ended {
            let Some(arrival) = ending.next() else { break };
            upto += arrival.count;
            sent_at = arrival.at.as_secs_f64() - first;
        }
        (sample.t, if open == 0 { 0.0 } else { (sample.t - sent_at).max(0.0) })
    };
    samples.iter().map(age).collect()
}

/// The metric beside what was simulated, at the metric's own times while the load lasts.
fn held(aspect: Aspect, metric: &RecordedMetric, began: f64, simulated: &[Level]) -> Result<Compared, BacktestError> {
    let end = simulated.last().map_or(0.0, |(t, _)| *t);
    let levels: Vec<Level> =
        metric.levels().into_iter().map(|(at, value)| (at - began, value * aspect.scale())).collect();
    let steps = levels.windows(2).map(|two| two[1].0 - two[0].0);
    let period = steps.min_by(f64::total_cmp).unwrap_or(60.0);
    let whole_run = matches!(aspect, Aspect::Duration);
    let mut t = Vec::new();
    let mut observed = Vec::new();
    let mut found = Vec::new();
    for (at, value) in levels.into_iter().filter(|(at, _)| *at >= 0.0 && (whole_run || *at <= end)) {
        let width = match &metric.kind {
            Values::Scraped => 0.0,
            // CloudWatch keeps the highest of a period.
            Values::Period(_) | Values::Row | Values::Moments => period,
        };
        t.push(at);
        observed.push(value);
        found.push(highest(simulated, at, at + width));
    }
    if t.is_empty() {
        return Err(BacktestError::NoOverlap(metric.name.clone()));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let off = observed.iter().zip(&found).map(|(a, b)| (a - b).abs()).sum::<f64>() / t.len() as f64;
    Ok(Compared {
        aspect,
        observed_mean: mean(&observed),
        simulated_mean: mean(&found),
        off,
        t,
        observed,
        simulated: found,
    })
}

/// The highest level from `from` until before `to`, or the one at `from`.
fn highest(levels: &[Level], from: f64, to: f64) -> f64 {
    let start = levels.partition_point(|(t, _)| *t <= from).saturating_sub(1);
    let end = levels.partition_point(|(t, _)| *t < to).max(start + 1).min(levels.len());
    levels[start..end].iter().map(|(_, level)| *level).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::load::{Arrival, Load};
    use crate::scenario::recorded::Reading;

    /// When the load began, in seconds since 1970.
    const BEGAN: f64 = 1_764_000_000.0;

    fn week() -> Scenario {
        let row = |minute: u64| Arrival { at: Duration::from_secs(minute * 60), count: 60 + minute % 5 * 30 };
        let rows: Vec<Arrival> = (0..30).map(row).collect();
        let messages = rows.iter().map(|row| row.count).sum();
        let mut scenario = Scenario { load: Load::Recorded { file: None, rows }, messages, ..Scenario::default() };
        scenario.work.wait = "400ms".parse().expect("a wait");
        scenario.checked().expect("a good scenario")
    }

    fn metric(name: &str, kind: Values, points: impl Iterator<Item = Level>) -> RecordedMetric {
        let reading = |(t, value)| Reading { at: BEGAN + t, value, line: None, empty: false };
        RecordedMetric { name: name.to_owned(), kind, series: vec![points.map(reading).collect()] }
    }

    #[test]
    fn what_the_simulator_itself_recorded_is_met_exactly_and_what_is_doubled_is_off_by_half() {
        let scenario = week();
        let target = simulate::run_target(TargetKind::Eks, &scenario);
        let scraped = |factor: f64| {
            let points = target.samples.iter().step_by(15).map(move |s| (s.t, f64::from(s.capacity) * factor));
            metric("kube_deployment_status_replicas", Values::Scraped, points)
        };
        let test = |metrics: &[RecordedMetric]| backtest(&scenario, BEGAN, metrics, None).expect("it can be compared");
        let same = test(&[scraped(1.0), metric("up", Values::Scraped, std::iter::once((0.0, 1.0)))]);
        assert_eq!((same.target, same.not_used.as_slice()), (TargetKind::Eks, ["up".to_owned()].as_slice()));
        assert_eq!((same.compared[0].off, same.compared[0].deviation()), (0.0, Some(0.0)));
        assert!(same.compared[0].t.len() > 100, "{}", same.compared[0].t.len());
        let double = test(&[scraped(2.0)]);
        assert!((double.compared[0].deviation().expect("there are pods") - 0.5).abs() < 1e-9);
    }

    #[test]
    fn the_oldest_message_is_as_old_as_the_backlog_is_long() {
        // Two a second, and from the fifth second on none ends: at 10 s the ninth message (sent at 4.5 s) is the oldest.
        let load = Load::Steady { rate: 2.0 };
        let scenario = Scenario { load, messages: 40, ..Scenario::default() };
        let sample = |t: f64, visible: u64| Sample { t, visible, in_flight: 0, capacity: 0 };
        let ages = oldest(&scenario, &[sample(4.0, 0), sample(10.0, 12), sample(19.5, 31)]);
        assert_eq!(ages, [(4.0, 0.0), (10.0, 5.5), (19.5, 15.0)]);
    }

    #[test]
    fn ages_and_durations_of_a_function_are_compared_by_the_period() {
        let scenario = week();
        let minutes = || (0..30).map(|minute| f64::from(minute) * 60.0);
        let metrics = [
            metric("orders ApproximateAgeOfOldestMessage", Values::Period(None), minutes().map(|t| (t, 1.0))),
            metric("Duration", Values::Period(None), minutes().map(|t| (t, 400.0))),
        ];
        assert!(matches!(backtest(&scenario, BEGAN, &metrics, None), Err(BacktestError::NoTarget)));
        let found = backtest(&scenario, BEGAN, &metrics, Some(TargetKind::Lambda)).expect("it can be compared");
        let [age, duration] = &found.compared[..] else { panic!("{found:?}") };
        assert_eq!((age.aspect, duration.aspect), (Aspect::OldestAge, Aspect::Duration));
        assert!(age.simulated.iter().all(|age| (0.0..5.0).contains(age)), "{:?}", age.simulated);
        assert!(
            (0.39..0.7).contains(&duration.simulated_mean) && (duration.observed_mean - 0.4).abs() < 1e-9,
            "{duration:?}"
        );
        let later = backtest(&scenario, BEGAN + 1e6, &metrics, Some(TargetKind::Lambda));
        assert!(matches!(later, Err(BacktestError::NoOverlap(_))), "{later:?}");
        let other = [metric("up", Values::Scraped, std::iter::once((0.0, 1.0)))];
        assert!(matches!(backtest(&scenario, BEGAN, &other, None), Err(BacktestError::NoMetric(_))));
    }
}
