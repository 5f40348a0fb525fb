//! The same scenario with other luck: medians over the seeds, and the range that 95 % of them are in.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{Sample, Target};

/// Points of a band over time: enough for a picture, and the same few for a run of a minute and of a day.
const POINTS: usize = 240;

/// What a target came to over several seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seeds {
    /// How many seeds, the run's own among them.
    pub count: u64,
    /// What the seeds have of each figure. A seed that has no such figure is left out of it.
    pub figures: BTreeMap<SeedFigure, Band>,
    /// Messages that wait or are worked on, by scenario seconds.
    pub backlog: Columns,
    /// Pods, or invocations under way, by scenario seconds.
    pub capacity: Columns,
    /// Share of the messages done, in percent, by seconds from sent to done.
    pub latency: Columns,
}

/// One figure over the seeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// Half of the seeds are below.
    pub median: f64,
    /// The 2.5th percentile of the seeds, by nearest rank.
    pub low: f64,
    /// The 97.5th.
    pub high: f64,
    /// Seeds that have the figure.
    pub of: u64,
}

/// A band along an axis, column by column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Columns {
    /// Where, ascending.
    pub x: Vec<f64>,
    /// The median there.
    pub median: Vec<f64>,
    /// The lower end there.
    pub low: Vec<f64>,
    /// The upper end there.
    pub high: Vec<f64>,
}

/// A figure that is compared over the seeds. The names are those of `run.json`, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum SeedFigure {
    /// [`Target::drain_seconds`].
    DrainSeconds,
    /// [`Target::floor_seconds`].
    FloorSeconds,
    /// [`Usage::gb_seconds`](super::Usage::gb_seconds).
    GbSeconds,
    /// The median of the latency.
    #[serde(rename = "latency_p50_seconds")]
    LatencyP50Seconds,
    /// The 95th percentile of the latency.
    #[serde(rename = "latency_p95_seconds")]
    LatencyP95Seconds,
    /// The 99th percentile of the latency.
    #[serde(rename = "latency_p99_seconds")]
    LatencyP99Seconds,
    /// [`Target::peak_capacity`].
    PeakCapacity,
    /// [`Usage::pod_seconds`](super::Usage::pod_seconds).
    PodSeconds,
    /// [`Requests::per_message`](super::Requests::per_message).
    RequestsPerMessage,
}

impl SeedFigure {
    /// The figure of one seed; `None` if it has none.
    fn of(self, target: &Target) -> Option<f64> {
        match self {
            Self::DrainSeconds => target.drain_seconds,
            Self::FloorSeconds => target.floor_seconds,
            Self::GbSeconds => target.usage.gb_seconds,
            Self::LatencyP50Seconds => target.latency_seconds.map(|latency| latency.p50),
            Self::LatencyP95Seconds => target.latency_seconds.map(|latency| latency.p95),
            Self::LatencyP99Seconds => target.latency_seconds.map(|latency| latency.p99),
            Self::PeakCapacity => Some(f64::from(target.peak_capacity)),
            Self::PodSeconds => target.usage.pod_seconds,
            Self::RequestsPerMessage => target.requests.per_message(target.messages.sent),
        }
    }
}

impl Seeds {
    /// Of the same target, once a seed.
    pub fn of(targets: &[&Target]) -> Self {
        let figures = SeedFigure::value_variants().iter().filter_map(|figure| {
            let values = targets.iter().filter_map(|target| figure.of(target)).collect();
            Some((*figure, Band::of(values)?))
        });
        Self {
            count: targets.len() as u64,
            figures: figures.collect(),
            backlog: over_time(targets, |sample| Target::backlog(sample) as f64),
            capacity: over_time(targets, |sample| f64::from(sample.capacity)),
            latency: shares(targets),
        }
    }
}

impl Band {
    /// Of one value a seed; `None` of none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| values[((values.len() as f64 * share).ceil() as usize).saturating_sub(1).min(last)];
        Some(Self { median: at(0.5), low: at(0.025), high: at(0.975), of: values.len() as u64 })
    }
}

impl Columns {
    fn push(&mut self, x: f64, values: Vec<f64>) {
        let Some(band) = Band::of(values) else { return };
        self.x.push(x);
        self.median.push(band.median);
        self.low.push(band.low);
        self.high.push(band.high);
    }
}

/// What each seed's last sample said, on an even grid up to the longest run's end.
fn over_time(targets: &[&Target], value: fn(&Sample) -> f64) -> Columns {
    let end = targets.iter().filter_map(|target| target.samples.last()).map(|sample| sample.t).fold(0.0, f64::max);
    let mut next = vec![0; targets.len()];
    let mut columns = Columns::default();
    for point in 0..=POINTS {
        let t = end * point as f64 / POINTS as f64;
        let seen = targets.iter().zip(&mut next).filter_map(|(target, next)| {
            *next += target.samples[*next..].iter().take_while(|sample| sample.t <= t).count();
            Some(value(target.samples.get(next.checked_sub(1)?)?))
        });
        let seen = seen.collect();
        columns.push(t, seen);
    }
    columns
}

/// The share of messages done within each bound of the histograms, which are the same bounds for every seed.
fn shares(targets: &[&Target]) -> Columns {
    let mut bounds: Vec<f64> = targets.iter().flat_map(|t| t.latency_histogram.iter().map(|b| b.le)).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let mut seeds: Vec<_> = targets.iter().filter_map(|target| Cumulated::of(target)).collect();
    let mut columns = Columns::default();
    for bound in bounds {
        columns.push(bound, seeds.iter_mut().map(|seed| seed.percent_within(bound)).collect());
    }
    columns
}

/// A histogram that is read from its lowest bucket up.
struct Cumulated<'a> {
    target: &'a Target,
    next: usize,
    sum: f64,
    total: f64,
}

impl<'a> Cumulated<'a> {
    fn of(target: &'a Target) -> Option<Self> {
        let total: f64 = target.latency_histogram.iter().map(|bucket| bucket.count as f64).sum();
        (total > 0.0).then_some(Self { target, next: 0, sum: 0.0, total })
    }

    fn percent_within(&mut self, bound: f64) -> f64 {
        for bucket in self.target.latency_histogram[self.next..].iter().take_while(|bucket| bucket.le <= bound) {
            self.sum += bucket.count as f64;
            self.next += 1;
        }
        self.sum / self.total * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bucket;
    use super::*;

    #[test]
    fn a_band_holds_95_of_100_seeds_and_the_median_is_in_the_middle() {
        let band = Band::of((1..=200).rev().map(f64::from).collect()).expect("there are values");
        assert_eq!(band, Band { median: 100.0, low: 5.0, high: 195.0, of: 200 });
        assert_eq!(Band::of(vec![7.0]), Some(Band { median: 7.0, low: 7.0, high: 7.0, of: 1 }));
        assert_eq!(Band::of(Vec::new()), None);
    }

    #[test]
    fn figures_keep_their_names_and_their_order_in_run_json() {
        let band = Band::of(vec![1.0]).expect("a value");
        let all: BTreeMap<_, _> = SeedFigure::value_variants().iter().map(|figure| (*figure, band)).collect();
        let names: Vec<_> = SeedFigure::value_variants().iter().map(json).collect();
        assert!(names.is_sorted(), "{names:?}");
        assert!(names.contains(&"\"latency_p95_seconds\"".to_owned()), "{names:?}");
        assert_eq!(serde_json::from_str::<BTreeMap<SeedFigure, Band>>(&json(&all)).expect("read back"), all);
    }

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).expect("JSON")
    }

    #[test]
    fn a_seed_that_has_ended_stays_as_it_was_and_shares_are_exact_at_every_bound() {
        let seed = |end: u32, le: f64| Target {
            samples: (0..=end)
                .map(|t| Sample { t: t.into(), visible: u64::from(end - t), ..Sample::default() })
                .collect(),
            latency_histogram: vec![Bucket { le: 1.0, count: 1 }, Bucket { le, count: 3 }],
            drain_seconds: Some(end.into()),
            ..Target::default()
        };
        let targets = [seed(10, 2.0), seed(20, 2.0), seed(240, 4.0)];
        let seeds = Seeds::of(&targets.each_ref());
        assert_eq!((seeds.count, seeds.figures[&SeedFigure::DrainSeconds].median), (3, 20.0));
        assert!(!seeds.figures.contains_key(&SeedFigure::PodSeconds), "no seed has it");
        let at = |t: usize| (seeds.backlog.x[t], seeds.backlog.low[t], seeds.backlog.median[t], seeds.backlog.high[t]);
        assert_eq!(at(0), (0.0, 10.0, 20.0, 240.0));
        assert_eq!(at(15), (15.0, 0.0, 5.0, 225.0));
        assert_eq!((seeds.latency.x, seeds.latency.low), (vec![1.0, 2.0, 4.0], vec![25.0, 25.0, 100.0]));
    }
}
