//! The numbers behind the pictures, as columns, thinned out so that a page stays small however long the run was.

use serde::Serialize;

use super::super::figures::{seconds, title};
use crate::compare::run::{Decision, Run, Sample, Target};

/// Points of a line at most: more than a wide screen has columns.
const POINTS: usize = 2000;
/// Marks at most; changes of capacity come before looks that changed nothing.
const MARKS: usize = 800;

/// What the page's script draws.
#[derive(Serialize)]
pub struct Data {
    /// Whether states will come over server-sent events.
    pub live: bool,
    series: Vec<Series>,
}

/// One target of one run.
#[derive(Serialize)]
struct Series {
    label: String,
    t: Vec<f64>,
    backlog: Vec<u64>,
    capacity: Vec<u32>,
    /// Messages that the capacity could work on at once.
    slots: Vec<u64>,
    /// Messages worked on.
    used: Vec<u64>,
    latency: Columns,
    /// Share in percent, and the latency within which so many were done.
    percentiles: Vec<(u8, f64)>,
    marks: Vec<Mark>,
}

#[derive(Serialize)]
struct Columns {
    x: Vec<f64>,
    y: Vec<f64>,
}

#[derive(Serialize)]
struct Mark {
    t: f64,
    from: u32,
    to: u32,
    tip: String,
}

/// The series of all runs, in their order.
pub fn data(runs: &[Run], live: bool) -> Data {
    let many = runs.len() > 1;
    let mut series = Vec::new();
    for (n, run) in runs.iter().enumerate() {
        for (name, target) in run.targets.iter() {
            let label = if many { format!("{}. {}", n + 1, title(name)) } else { title(name).to_owned() };
            series.push(one(label, target));
        }
    }
    Data { live, series }
}

fn one(label: String, target: &Target) -> Series {
    let samples = thinned(&target.samples);
    let at_once = u64::from(target.in_host_concurrency);
    let slots = |s: &Sample| u64::from(s.capacity) * at_once;
    let latency = target.latency_seconds;
    let percentile = |share, at: Option<f64>| Some((share, at?));
    Series {
        label: label.clone(),
        t: samples.iter().map(|s| s.t).collect(),
        backlog: samples.iter().map(|s| s.visible + s.in_flight).collect(),
        capacity: samples.iter().map(|s| s.capacity).collect(),
        slots: samples.iter().map(slots).collect(),
        used: samples.iter().map(|s| s.in_flight.min(slots(s))).collect(),
        latency: ecdf(target),
        percentiles: [
            percentile(50, latency.map(|l| l.p50)),
            percentile(95, latency.map(|l| l.p95)),
            percentile(99, latency.map(|l| l.p99)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        marks: chosen(&target.decisions).map(|decision| mark(&label, decision)).collect(),
    }
}

/// Of every group of neighbours the one with the highest backlog, and the very last: peaks are what people look for.
fn thinned(samples: &[Sample]) -> Vec<Sample> {
    let group = samples.len().div_ceil(POINTS).max(1);
    let mut kept: Vec<Sample> =
        samples.chunks(group).filter_map(|c| c.iter().max_by_key(|s| s.visible + s.in_flight)).copied().collect();
    if let Some(last) = samples.last().filter(|last| kept.last() != Some(last)) {
        kept.push(*last);
    }
    kept
}

/// Cumulative share of messages, in percent, by latency.
fn ecdf(target: &Target) -> Columns {
    let total: u64 = target.latency_histogram.iter().map(|bucket| bucket.count).sum();
    let (mut x, mut y, mut sum) = (vec![0.0], vec![0.0], 0);
    for bucket in &target.latency_histogram {
        sum += bucket.count;
        x.push(bucket.le);
        y.push((sum as f64 / total as f64 * 10_000.0).round() / 100.0);
    }
    if total == 0 { Columns { x: Vec::new(), y: Vec::new() } } else { Columns { x, y } }
}

/// The decisions that get a mark: all of them, or the changes first when there are too many.
pub fn chosen(decisions: &[Decision]) -> impl Iterator<Item = &Decision> {
    let changes = decisions.iter().filter(|d| d.from != d.to).count();
    let room = MARKS.saturating_sub(changes);
    let every = (decisions.len() - changes).div_ceil(room.max(1)).max(1);
    let mut looks = 0;
    decisions.iter().filter(move |decision| {
        if decision.from != decision.to {
            return true;
        }
        looks += 1;
        room > 0 && looks % every == 0
    })
}

fn mark(label: &str, decision: &Decision) -> Mark {
    let Decision { t, from, to, by, .. } = decision;
    let change = if from == to { format!("stays at {to}") } else { format!("{from} → {to}") };
    let reason = decision.reason.as_deref().unwrap_or("reason unknown");
    let mut tip = format!("{label}, {}: {change}\n{by}: {reason}", seconds(*t));
    if !decision.detail.is_empty() {
        tip.push('\n');
        tip.push_str(&decision.detail);
    }
    Mark { t: *t, from: *from, to: *to, tip }
}
