//! The figures that every report shows, in one order and with one spelling.

use crate::cost::{Bill, Prices, bill};
use crate::run::{Band, Decision, Run, Target};

/// One row of the comparison: what it is, and its value for each target, in the order of [`Run::targets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What is measured, with its unit.
    pub name: String,
    /// One value a target; a dash where the target has none.
    pub values: Vec<String>,
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

/// The share of its capacity that a target worked with, until the end of its samples: what is left idled.
pub fn in_use(target: &Target) -> Option<f64> {
    let room = |capacity: u32| f64::from(capacity) * f64::from(target.in_host_concurrency);
    let (mut used, mut paid) = (0.0, 0.0);
    for pair in target.samples.windows(2) {
        let (room, seconds) = (room(pair[0].capacity), pair[1].t - pair[0].t);
        used += room.min(pair[0].in_flight as f64) * seconds;
        paid += room * seconds;
    }
    (paid > 0.0).then_some(used / paid)
}

/// The comparison, row by row. Rows that say nothing for any target are left out.
pub fn figures(run: &Run, prices: &Prices) -> Vec<Figure> {
    let mut figures = measured(run);
    let bills = bills(run, prices);
    let mut money = |name: &str, of: fn(&Bill) -> f64| {
        let values = bills.iter().map(|bill| bill.as_ref().map_or("–".to_owned(), |bill| usd(of(bill))));
        figures.push(Figure { name: name.to_owned(), values: values.collect() });
    };
    if bills.iter().any(Option::is_some) {
        money("a month of such days", |bill| bill.month_usd);
        money("a million messages", |bill| bill.usd_per_million);
    }
    figures
}

/// Medians over the seeds and the range that 95 % of them are in, row by row; none after a run with one seed.
pub fn over_seeds(run: &Run) -> Vec<Figure> {
    type Row = (&'static str, &'static str, fn(f64) -> String);
    let whole = |n: f64| count(n.round() as u64);
    let rows: &[Row] = &[
        ("drain_seconds", "drained after", seconds),
        ("floor_seconds", "at the floor after", seconds),
        ("latency_p50_seconds", "latency p50", seconds),
        ("latency_p95_seconds", "latency p95", seconds),
        ("latency_p99_seconds", "latency p99", seconds),
        ("peak_capacity", "peak capacity", whole),
        ("requests_per_message", "SQS requests a message", |n| format!("{n:.3}")),
        ("pod_seconds", "pod seconds", whole),
        ("gb_seconds", "GB seconds", |n| format!("{n:.1}")),
    ];
    let row = |(key, name, write): &Row| {
        let band = |target: &Target| target.seeds.as_ref()?.figures.get(*key).copied();
        let told = |Band { median, low, high, .. }| format!("{} ({} to {})", write(median), write(low), write(high));
        let values: Vec<_> = run.targets.iter().map(|(_, target)| band(target).map(told)).collect();
        shown(name, values)
    };
    rows.iter().filter_map(row).collect()
}

/// How many seeds the run has figures of.
pub fn seeds(run: &Run) -> Option<u64> {
    run.targets.iter().find_map(|(_, target)| target.seeds.as_ref()).map(|seeds| seeds.count)
}

/// A row, if any target has a value for it.
fn shown(name: &str, values: Vec<Option<String>>) -> Option<Figure> {
    let known = values.iter().any(Option::is_some);
    let values = values.into_iter().map(|value| value.unwrap_or_else(|| "–".to_owned())).collect();
    known.then(|| Figure { name: name.to_owned(), values })
}

fn measured(run: &Run) -> Vec<Figure> {
    type Row = (&'static str, fn(&Target) -> Option<String>);
    let rows: &[Row] = &[
        ("messages done", |t| Some(format!("{} of {}", count(t.messages.done), count(t.messages.sent)))),
        ("lost", |t| t.messages.lost.map(count)),
        ("unaccounted", |t| t.messages.unaccounted.map(count)),
        ("rejected", |t| (t.messages.rejected > 0).then(|| count(t.messages.rejected))),
        ("retried", |t| t.messages.retried.filter(|n| *n > 0).map(count)),
        ("duplicates", |t| t.messages.duplicates.filter(|n| *n > 0).map(count)),
        ("drained after", |t| t.drain_seconds.filter(|_| t.messages.done > 0).map(seconds)),
        ("at the floor after", |t| t.floor_seconds.map(seconds)),
        ("latency p50", |t| t.latency_seconds.map(|l| seconds(l.p50))),
        ("latency p95", |t| t.latency_seconds.map(|l| seconds(l.p95))),
        ("latency p99", |t| t.latency_seconds.map(|l| seconds(l.p99))),
        ("peak capacity", |t| Some(count(t.peak_capacity.into()))),
        ("at once in each", |t| Some(count(t.in_host_concurrency.into()))),
        ("capacity in use", |t| in_use(t).map(|share| format!("{:.0} %", share * 100.0))),
        ("SQS requests a message", |t| t.requests.per_message(t.messages.sent).map(|n| format!("{n:.3}"))),
        ("empty receives", |t| t.requests.empty_receive.map(count)),
        ("pod seconds", |t| t.usage.pod_seconds.map(|s| count(s.round() as u64))),
        ("GB seconds", |t| t.usage.gb_seconds.map(|s| format!("{s:.1}"))),
        ("invocations", |t| t.usage.invocations.map(count)),
        ("cold starts", |t| t.usage.cold_starts.map(count)),
        ("overhead of the machine", |t| t.overhead_seconds.map(|s| format!("{s:.2} s"))),
    ];
    let row = |(name, value): &Row| shown(name, run.targets.iter().map(|(_, target)| value(target)).collect());
    rows.iter().filter_map(row).collect()
}

/// Scenario seconds for people.
pub fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

/// Money, exact to the cent, or to two digits where it is less.
pub fn usd(usd: f64) -> String {
    match usd.abs() {
        small if small > 0.0 && small < 0.01 => format!("${usd:.1e}"),
        small if small < 1000.0 => format!("${usd:.2}"),
        _ => format!("${}", count(usd.round().max(0.0) as u64)),
    }
}

/// A count with its thousands apart.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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
