//! How long messages took, from the fastest to the slowest.

use maud::{Markup, html};

use super::super::figures::seconds;
use super::View;
use super::picture::{Axis, Color, Data, Line, Look, Mark, Picture, Unit, all, data_table, panel};
use super::time::{Series, series};
use crate::run::{Columns, Target};

const ID: &str = "latency";
const HEADING: &str = "Latency of all messages";

/// The place of the picture.
pub(super) fn figure() -> Markup {
    let about = "share of the messages that were done within a time, from sent to done";
    html! { (panel(ID, HEADING, about)) (data_table(ID, HEADING)) }
}

/// Adds what is drawn.
pub(super) fn draw(view: View, data: &mut Data) {
    let mut picture = Picture {
        id: ID.to_owned(),
        x: Axis { label: "sent to done", unit: Unit::Seconds, log: true, ..Axis::default() },
        y: Axis { label: "% of messages", max: Some(100.0), ..Axis::default() },
        ..Picture::default()
    };
    for Series { run, kind, label, target } in &series(view.runs) {
        let color = Color::of(*kind);
        let (x, y) = shares(target);
        let x = data.column(x);
        picture.lines.push(Line {
            label: label.clone(),
            color,
            dash: *run,
            x,
            y: all(y),
            step: true,
            ..Line::default()
        });
        picture.marks.extend(percentiles(label, color, target));
        if let Some(seeds) = &target.seeds {
            let Columns { x, median, low, high } = &seeds.latency;
            let x = data.column(x.clone());
            let y = all(median.iter().copied());
            let label = format!("{label}, {} seeds", seeds.count);
            let low = all(low.iter().copied());
            let high = all(high.iter().copied());
            picture.lines.push(Line { label, color, dash: 3, x, y, low, high, step: true, fill: false });
        }
    }
    if let Some(goal) = view.goal.filter(|goal| goal.is_of_latency()) {
        let at = goal.within.as_secs_f64();
        let x = data.column(vec![at * 0.9999, at * 1.0001]);
        let label = format!("goal: {goal}");
        picture.lines.push(Line { label, color: Color::Goal, dash: 1, x, y: all([0.0, 100.0]), ..Line::default() });
    }
    data.add(picture);
}

/// Cumulative share of messages, in percent, by latency. A logarithmic axis has no zero: it begins a millisecond up.
fn shares(target: &Target) -> (Vec<f64>, Vec<f64>) {
    let total: f64 = target.latency_histogram.iter().map(|bucket| bucket.count as f64).sum();
    let Some(first) = target.latency_histogram.first().filter(|_| total > 0.0) else { return Default::default() };
    let mut x = vec![(first.le * 0.9).max(0.001)];
    let mut y = vec![0.0];
    let mut sum = 0.0;
    for bucket in &target.latency_histogram {
        sum += bucket.count as f64;
        x.push(bucket.le.max(0.001_1));
        y.push((sum / total * 10_000.0).round() / 100.0);
    }
    (x, y)
}

fn percentiles(label: &str, color: Color, target: &Target) -> Vec<Mark> {
    let Some(latency) = target.latency_seconds else { return Vec::new() };
    let mark = |(share, text, x): (u8, &'static str, f64)| {
        let tip = format!("{label}: {share} % of the messages were done within {}", seconds(x));
        Mark { x: x.max(0.001), y: share.into(), color, look: Look::Full, text, tip }
    };
    [(50, "p50", latency.p50), (95, "p95", latency.p95), (99, "p99", latency.p99)].map(mark).into()
}
