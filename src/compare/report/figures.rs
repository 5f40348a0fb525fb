//! The figures that every report shows, in one order and with one spelling.

use crate::compare::run::{Run, Target};

/// One row of the comparison: what it is, and its value for each target, in the order of [`Run::targets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    /// What is measured, with its unit.
    pub name: &'static str,
    /// One value a target; a dash where the target has none.
    pub values: Vec<String>,
}

/// How a target is called in reports.
pub fn title(target: &str) -> &str {
    match target {
        "eks" => "EKS (KEDA)",
        "lambda" => "Lambda",
        other => other,
    }
}

/// The comparison, row by row. Rows that say nothing for any target are left out.
pub fn figures(run: &Run) -> Vec<Figure> {
    type Row = (&'static str, fn(&Target) -> Option<String>);
    let rows: &[Row] = &[
        ("messages done", |t| Some(format!("{} of {}", count(t.messages.done), count(t.messages.sent)))),
        ("lost", |t| t.messages.lost.map(count)),
        ("unaccounted", |t| t.messages.unaccounted.map(count)),
        ("rejected", |t| (t.messages.rejected > 0).then(|| count(t.messages.rejected))),
        ("retried", |t| t.messages.retried.filter(|n| *n > 0).map(count)),
        ("duplicates", |t| t.messages.duplicates.filter(|n| *n > 0).map(count)),
        ("drained after", |t| t.drain_seconds.map(seconds)),
        ("at the floor after", |t| t.floor_seconds.map(seconds)),
        ("latency p50", |t| t.latency_seconds.map(|l| seconds(l.p50))),
        ("latency p95", |t| t.latency_seconds.map(|l| seconds(l.p95))),
        ("latency p99", |t| t.latency_seconds.map(|l| seconds(l.p99))),
        ("peak capacity", |t| Some(count(t.peak_capacity.into()))),
        ("at once in each", |t| Some(count(t.in_host_concurrency.into()))),
        ("SQS requests a message", |t| t.requests.per_message(t.messages.sent).map(|n| format!("{n:.3}"))),
        ("empty receives", |t| t.requests.empty_receive.map(count)),
        ("pod seconds", |t| t.usage.pod_seconds.map(|s| count(s.round() as u64))),
        ("GB seconds", |t| t.usage.gb_seconds.map(|s| format!("{s:.1}"))),
        ("invocations", |t| t.usage.invocations.map(count)),
        ("cold starts", |t| t.usage.cold_starts.map(count)),
        ("overhead of the machine", |t| t.overhead_seconds.map(|s| format!("{s:.2} s"))),
    ];
    let row = |(name, value): &Row| {
        let values: Vec<_> = run.targets.iter().map(|(_, target)| value(target)).collect();
        let known = values.iter().any(Option::is_some);
        known.then(|| Figure { name, values: values.into_iter().map(|v| v.unwrap_or_else(|| "–".into())).collect() })
    };
    rows.iter().filter_map(row).collect()
}

/// Scenario seconds for people.
pub fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
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
        *column = (*column).max(Some(sample.visible + sample.in_flight));
    }
    // There may be fewer samples than columns: what was last seen holds until the next.
    let mut last = 0;
    let hold = |seen: Option<u64>| {
        last = seen.unwrap_or(last);
        last
    };
    let columns: Vec<u64> = columns.into_iter().map(hold).collect();
    let highest = columns.iter().max().copied().unwrap_or_default().max(1);
    columns.iter().map(|n| BLOCKS[(n * 7).div_ceil(highest) as usize]).collect()
}
