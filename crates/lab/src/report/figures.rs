//! The figures that every report shows, in one order and with one spelling.

use std::fmt;

use crate::cost::{Bill, Prices, bill};
use crate::run::{Band, Decision, Run, SeedFigure, Target, room};
pub use crate::written::{count, seconds};

/// One row of the comparison: what it is, and its value for each target, in the order of [`Run::targets`].
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What is measured, with its unit.
    pub name: String,
    /// One value a target; a dash where the target has none.
    pub values: Vec<String>,
    /// The same as numbers, in the unit that the values were written from.
    pub amounts: Vec<Option<f64>>,
}

/// How far a figure is from what it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// What it is.
    pub now: f64,
    /// What it was, in the same unit.
    pub before: f64,
}

impl fmt::Display for Difference {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = (self.now / self.before - 1.0) * 100.0;
        match percent {
            _ if self.now == self.before => to.write_str("same"),
            // From nothing, no share can be told.
            unknown if !unknown.is_finite() => to.write_str("new"),
            small if small.abs() < 0.5 => to.write_str("same"),
            large if large >= 900.0 => write!(to, "× {:.0}", self.now / self.before),
            more if more > 0.0 => write!(to, "+{more:.0} %"),
            less => write!(to, "−{:.0} %", less.abs()),
        }
    }
}

/// What a run is called.
pub fn heading(run: &Run) -> String {
    let name = &run.scenario.name;
    match run.speed {
        Some(speed) if speed != 1.0 => printable(&format!("{name}, {} at speed {speed}", run.engine)),
        _ => printable(&format!("{name}, {}", run.engine)),
    }
}

/// Text from a file without what would steer a terminal.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Thirty days of each target, each day with the run in it, in the order of [`Run::targets`]. `None` where the run
/// does not know what was used, or where the target failed: half a day's work has no price that can be compared.
pub fn bills(run: &Run, prices: &Prices) -> Vec<Option<Bill>> {
    let priced = |kind| if run.failure(kind).is_some() { None } else { bill(kind, run, prices) };
    run.targets.iter().map(|(kind, _)| priced(kind)).collect()
}

/// The share of its capacity in which handlers worked, until the end of its samples: what is left idled. Time in handlers
/// over messages that there was room for at once × time; `None` where handlers were not timed.
pub fn in_use(target: &Target) -> Option<f64> {
    let paid = target.capacity_seconds.unwrap_or_else(|| room(&target.samples)) * f64::from(target.in_host_concurrency);
    // Samples are a second apart, so that short work may seem to take a little more than there was.
    (paid > 0.0).then_some((target.usage.handler_seconds? / paid).min(1.0))
}

/// The comparison, row by row. Rows that say nothing for any target are left out.
pub fn figures(run: &Run, prices: &Prices) -> Vec<Figure> {
    let mut figures = measured(run);
    let bills = bills(run, prices);
    let mut money = |name: &str, of: fn(&Bill) -> f64| {
        let amounts = bills.iter().map(|bill| Amount::of(bill.as_ref().map(of), usd));
        figures.extend(shown(name, amounts.collect()));
    };
    money("a month of such days", |bill| bill.month_usd);
    money("a million messages", |bill| bill.usd_per_million);
    figures
}

/// Prices that may be wrong and make up a hundredth of a bill or more, each with the reason.
pub fn doubts(run: &Run, prices: &Prices) -> Vec<String> {
    let mut told = Vec::new();
    for bill in bills(run, prices).iter().flatten() {
        for line in bill.month.iter().filter(|line| line.usd * 100.0 >= bill.month_usd && line.usd > 0.0) {
            let doubt = line.doubt.as_ref().map(|doubt| format!("the price of {}: {doubt}", line.item));
            told.extend(doubt.filter(|doubt| !told.contains(doubt)));
        }
    }
    told
}

/// Medians over the seeds and the range that 95 % of them are in, row by row; none after a run with one seed.
pub fn over_seeds(run: &Run) -> Vec<Figure> {
    type Row = (SeedFigure, &'static str, fn(f64) -> String);
    let rows: &[Row] = &[
        (SeedFigure::DrainSeconds, "drained after", seconds),
        (SeedFigure::FloorSeconds, "at the floor after", seconds),
        (SeedFigure::LatencyP50Seconds, "latency p50", seconds),
        (SeedFigure::LatencyP95Seconds, "latency p95", seconds),
        (SeedFigure::LatencyP99Seconds, "latency p99", seconds),
        (SeedFigure::PeakCapacity, "peak capacity", whole),
        (SeedFigure::RequestsPerMessage, "SQS requests per message", |n| format!("{n:.3}")),
        (SeedFigure::PodSeconds, "pod seconds", whole),
        (SeedFigure::GbSeconds, "GB seconds", tenths),
    ];
    let row = |(key, name, write): &Row| {
        let band = |target: &Target| target.seeds.as_ref()?.figures.get(key).copied();
        let told = |Band { median, low, high, .. }: Band| Amount {
            number: median,
            text: format!("{} ({} to {})", write(median), write(low), write(high)),
        };
        shown(name, run.targets.iter().map(|(_, target)| band(target).map(told)).collect())
    };
    rows.iter().filter_map(row).collect()
}

/// How many seeds the run has figures of.
pub fn seeds(run: &Run) -> Option<u64> {
    run.targets.iter().find_map(|(_, target)| target.seeds.as_ref()).map(|seeds| seeds.count)
}

/// A value, and how it is written.
struct Amount {
    number: f64,
    text: String,
}

impl Amount {
    fn of(number: Option<f64>, write: fn(f64) -> String) -> Option<Self> {
        number.map(|number| Self { number, text: write(number) })
    }

    fn count(number: Option<u64>) -> Option<Self> {
        Self::of(number.map(|number| number as f64), whole)
    }
}

/// A row, if any target has a value for it.
fn shown(name: &str, amounts: Vec<Option<Amount>>) -> Option<Figure> {
    amounts.iter().any(Option::is_some).then(|| Figure {
        name: name.to_owned(),
        amounts: amounts.iter().map(|amount| amount.as_ref().map(|amount| amount.number)).collect(),
        values: amounts.into_iter().map(|amount| amount.map_or("–".to_owned(), |amount| amount.text)).collect(),
    })
}

fn measured(run: &Run) -> Vec<Figure> {
    type Row = (&'static str, fn(&Target) -> Option<Amount>);
    let rows: &[Row] = &[
        ("messages done", |t| {
            let done = t.messages.done;
            let sent = t.messages.sent;
            Some(Amount { number: done as f64, text: format!("{} of {}", count(done), count(sent)) })
        }),
        ("lost", |t| Amount::count(t.messages.lost)),
        ("unaccounted", |t| Amount::count(t.messages.unaccounted)),
        ("rejected", |t| Amount::count(Some(t.messages.rejected).filter(|n| *n > 0))),
        ("retried", |t| Amount::count(t.messages.retried.filter(|n| *n > 0))),
        ("duplicates", |t| Amount::count(t.messages.duplicates.filter(|n| *n > 0))),
        ("drained after", |t| Amount::of(t.drain_seconds.filter(|_| t.messages.done > 0), seconds)),
        ("at the floor after", |t| Amount::of(t.floor_seconds, seconds)),
        ("latency p50", |t| Amount::of(t.latency_seconds.map(|l| l.p50), seconds)),
        ("latency p95", |t| Amount::of(t.latency_seconds.map(|l| l.p95), seconds)),
        ("latency p99", |t| Amount::of(t.latency_seconds.map(|l| l.p99), seconds)),
        ("peak capacity", |t| Amount::count(Some(t.peak_capacity.into()))),
        ("at once in each", |t| Amount::count(Some(t.in_host_concurrency.into()))),
        ("capacity in use", |t| Amount::of(in_use(t), |share| format!("{:.0} %", share * 100.0))),
        ("SQS requests per message", |t| Amount::of(t.requests.per_message(t.messages.sent), |n| format!("{n:.3}"))),
        ("empty receives", |t| Amount::count(t.requests.empty_receive)),
        ("pod seconds", |t| Amount::of(t.usage.pod_seconds, whole)),
        ("GB seconds", |t| Amount::of(t.usage.gb_seconds, tenths)),
        ("invocations", |t| Amount::count(t.usage.invocations)),
        ("cold starts", |t| Amount::count(t.usage.cold_starts)),
        ("overhead of the machine", |t| Amount::of(t.overhead_seconds, seconds)),
    ];
    let row = |(name, amount): &Row| shown(name, run.targets.iter().map(|(_, target)| amount(target)).collect());
    rows.iter().filter_map(row).collect()
}

fn whole(number: f64) -> String {
    count(number.round().max(0.0) as u64)
}

/// A number to a tenth, its thousands apart.
fn tenths(number: f64) -> String {
    let tenths = (number * 10.0).round().max(0.0) as u64;
    format!("{}.{}", count(tenths / 10), tenths % 10)
}

/// Money, exact to the cent, or to two digits where it is less.
pub fn usd(usd: f64) -> String {
    match usd.abs() {
        small if small > 0.0 && small < 0.01 => format!("${usd:.1e}"),
        small if small < 1000.0 => format!("${usd:.2}"),
        _ => format!("${}", count(usd.round().max(0.0) as u64)),
    }
}

/// The backlog (visible and in flight) over time as one line of blocks.
pub fn sparkline(target: &Target, width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let end = target.drain_seconds.or(target.samples.last().map(|s| s.t)).unwrap_or_default();
    let mut columns = vec![None; width];
    for sample in target.samples.iter().filter(|s| s.t <= end) {
        let at = (sample.t / end.max(f64::MIN_POSITIVE) * (width - 1) as f64) as usize;
        let column = &mut columns[at.min(width - 1)];
        *column = (*column).max(Some(Target::backlog(sample)));
    }
    // There may be fewer samples than columns: what was last seen holds until the next.
    let mut last = 0;
    let hold = |seen: Option<u64>| {
        last = seen.unwrap_or(last);
        last
    };
    let columns: Vec<u64> = columns.into_iter().map(hold).collect();
    let highest = columns.iter().max().copied().unwrap_or_default().max(1);
    columns.iter().map(|n| BLOCKS[(*n as f64 / highest as f64 * 7.0).ceil() as usize]).collect()
}
/// Changes of capacity that a text has room for, at the start of a run and at its end.
const FIRST: usize = 40;
const LAST: usize = 10;

/// The changes of capacity that a text shows: the first, how many are left out after them, and the last.
pub fn changes(target: &Target) -> (Vec<&Decision>, usize, Vec<&Decision>) {
    let mut first: Vec<&Decision> = target.changes().collect();
    if first.len() <= FIRST + LAST {
        return (first, 0, Vec::new());
    }
    let last = first.split_off(first.len() - LAST);
    let left_out = first.len() - FIRST;
    first.truncate(FIRST);
    (first, left_out, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_two_units_at_most_and_carry_what_they_round() {
        for (time, text) in [
            (0.0, "0 ms"),
            (0.25, "250 ms"),
            (0.9999, "1.0 s"),
            (34.04, "34.0 s"),
            (59.96, "1 min"),
            (148.8, "2 min 29 s"),
            (3599.7, "1 h"),
            (5040.0, "1 h 24 min"),
            (86_399.0, "1 d"),
            (183_600.0, "2 d 3 h"),
            (-90.0, "−1 min 30 s"),
        ] {
            assert_eq!(seconds(time), text, "{time}");
        }
        assert!(seconds(f64::MAX).ends_with(" h"), "{}", seconds(f64::MAX));
        assert_eq!(tenths(1234.56), "1,234.6");
    }

    #[test]
    fn a_difference_is_a_share_of_what_was_before() {
        let told = |now, before| Difference { now, before }.to_string();
        assert_eq!(told(112.0, 100.0), "+12 %");
        assert_eq!(told(97.0, 100.0), "−3 %");
        assert_eq!(told(100.1, 100.0), "same");
        assert_eq!(told(4000.0, 100.0), "× 40");
        assert_eq!((told(0.0, 0.0), told(5.0, 0.0)), ("same".to_owned(), "new".to_owned()));
    }
}
