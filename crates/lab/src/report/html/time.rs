//! The pictures over time, one below the other on one axis: what comes and goes, the backlog, latency, and of each target
//! its capacity with what is used of it and every decision about it.

use maud::{Markup, html};

use super::super::figures::{count, in_use};
use super::View;
use super::looks::groups;
use super::picture::{Axis, Color, Data, Line, Picture, Unit, all, data_table, panel};
use crate::run::{Columns, Flow, Run, Sample, Target};
use crate::target::TargetKind;

/// Points of a line at most, on a page with one or two targets: more than a wide screen has columns.
const POINTS: usize = 1500;
/// Decisions of a target at most.
const DECISIONS: usize = 400;

/// A load whose highest rate is so many times that of what is done is a burst.
const BURST: f64 = 10.0;

/// One target of one run.
pub(super) struct Series<'a> {
    /// Place of its run, from 0.
    pub run: usize,
    pub kind: TargetKind,
    /// Its title; with the number of its run where there are several.
    pub label: String,
    pub target: &'a Target,
}

/// Every target of every run, in their order.
pub(super) fn series(runs: &[Run]) -> Vec<Series<'_>> {
    runs.iter().enumerate().flat_map(|(run, of)| of_run(run, of, runs.len())).collect()
}

fn of_run(run: usize, of: &Run, runs: usize) -> Vec<Series<'_>> {
    let named = of.targets.iter().map(|(kind, target)| {
        let title = kind.title();
        let label = if runs > 1 { format!("{}. {title}", run + 1) } else { title.to_owned() };
        Series { run, kind, label, target }
    });
    named.collect()
}

/// How many decisions each target may have: a page of many runs stays as small as one of two.
fn room(series: &[Series]) -> usize {
    (2 * DECISIONS / series.len().max(2)).max(10)
}

/// The name of a target's picture of capacity.
fn slots_id(at: usize) -> String {
    format!("slots-{at}")
}

/// The places of the pictures, in their order, and their data as tables after them.
pub(super) fn figures(view: View) -> Markup {
    let all = series(view.runs);
    let room = room(&all);
    let mut panels = vec![
        ("flow".to_owned(), "Messages per second".to_owned(), "sent, and done".to_owned()),
        ("backlog".to_owned(), "Backlog".to_owned(), "messages that wait or are worked on".to_owned()),
        ("p95".to_owned(), "Latency".to_owned(), "95 % of those done just then took less (sent to done)".to_owned()),
    ];
    for (at, series) in all.iter().enumerate() {
        let units = series.kind.units();
        let used = in_use(series.target).map_or(String::new(), |share| format!("; {:.0} % in use", share * 100.0));
        let about = format!("messages that its {units} have room for at once{used}");
        panels.push((slots_id(at), format!("Slots of {}", series.label), about));
    }
    html! {
        h2 { "Over time" }
        div class="panels" { @for (id, heading, about) in &panels { (panel(id, heading, about)) } }
        p class="soft" {
            "Drag to zoom in, double-click to zoom out: all pictures follow. Above the slots: ▲ more capacity was asked for, \
             ▼ less, ○ a look that left it as it was. A number is so many decisions in one place; choose it to see each. \
             The arrow keys go from mark to mark."
            @for series in &all { (left_out(series, room)) }
        }
        div class="tables" { @for (id, heading, _) in &panels { (data_table(id, heading)) } }
    }
}

/// What the marks of a target do not show.
fn left_out(series: &Series, room: usize) -> String {
    let all = series.target.decisions.len();
    let (groups, looks) = groups(series.target, room);
    match (groups.len() < all, looks < all) {
        (false, _) => String::new(),
        (true, false) => format!(" {}: looks in a row that came to the same share a mark.", series.label),
        (true, true) => {
            let looks = count(looks as u64);
            let all = count(all as u64);
            format!(" {}: the marks stand for {looks} of {all} looks.", series.label)
        }
    }
}

/// Adds what is drawn.
pub(super) fn draw(view: View, data: &mut Data) {
    let all_series = series(view.runs);
    let points = (2 * POINTS / all_series.len().max(2)).max(100);
    let end = end_of(&all_series);
    let over_time = |id: &str, unit, log, bare| Picture {
        id: id.to_owned(),
        x: Axis { label: "time", unit: Unit::Seconds, max: Some(end), bare, ..Axis::default() },
        y: Axis { label: "", unit, log, ..Axis::default() },
        sync: "time",
        low: true,
        ..Picture::default()
    };
    let mut flow = over_time("flow", Unit::Number, false, true);
    let mut backlog = over_time("backlog", Unit::Number, false, true);
    let mut latency = over_time("p95", Unit::Seconds, true, true);
    let mut slots = Vec::new();
    let most = all_series.iter().flat_map(|s| s.target.samples.iter().map(|sample| room_at(s.target, sample)));
    let most = most.fold(1.0, f64::max);
    let mut loads: Vec<(f64, &[u64])> = Vec::new();
    let mut loaded = Vec::new();
    for (at, series) in all_series.iter().enumerate() {
        let Series { run, kind, label, target } = series;
        let color = Color::of(*kind);
        let line = |x, y| Line { label: label.clone(), color, dash: *run, x, y, ..Line::default() };
        if let Some(of) = &target.flow {
            let x = data.column(of.times().collect());
            // Targets of one run have the same load, and so have most runs.
            if !loads.iter().any(|had| *had == sending(of)) {
                loads.push(sending(of));
                let label = if *run > 0 { format!("{}. sent", run + 1) } else { "sent".to_owned() };
                let y = per_second(of, &of.sent);
                loaded.push(Line { label, color: Color::Load, dash: *run, x, y, fill: true, ..Line::default() });
            }
            flow.lines.push(line(x, per_second(of, &of.done)));
            latency.lines.push(line(x, of.p95_seconds.clone()));
        }
        let samples = thinned(&target.samples, points);
        let times = data.column(samples.iter().map(|sample| sample.t).collect());
        let each = |value: &dyn Fn(&Sample) -> f64| all(samples.iter().map(|sample| value(sample)));
        backlog.lines.push(line(times, each(&|s| Target::backlog(s) as f64)));
        let mut picture = over_time(&slots_id(at), Unit::Number, false, at + 1 < all_series.len());
        picture.y.max = Some(most);
        let used = each(&|s| room_at(target, s).min(s.in_flight as f64));
        picture.lines = vec![
            Line { step: true, label: "room for".to_owned(), ..line(times, each(&|s| room_at(target, s))) },
            Line {
                label: "in use".to_owned(),
                color,
                dash: 1,
                x: times,
                y: used,
                step: true,
                fill: true,
                ..Line::default()
            },
        ];
        picture.lane = groups(target, room(&all_series)).0.iter().map(|group| group.decided(label, color)).collect();
        if let Some(seeds) = &target.seeds {
            let label = format!("{label}, {} seeds", seeds.count);
            backlog.lines.push(band(data, &label, color, &seeds.backlog, 1.0));
            let at_once = f64::from(target.in_host_concurrency);
            picture.lines.push(band(data, &label, color, &seeds.capacity, at_once));
        }
        slots.push(picture);
    }
    if let Some(goal) = view.goal.filter(|goal| goal.is_of_latency()) {
        let within = goal.within.as_secs_f64();
        let x = data.column(vec![0.0, end]);
        let y = all([within, within]);
        latency.lines.push(Line {
            label: format!("goal: {goal}"),
            color: Color::Goal,
            dash: 1,
            x,
            y,
            ..Line::default()
        });
    }
    // A load that comes all at once must not press what is done flat.
    let highest = |lines: &[Line]| lines.iter().flat_map(|line| line.y.iter().flatten()).copied().fold(0.0, f64::max);
    flow.y.burst = highest(&loaded) > BURST * highest(&flow.lines);
    loaded.append(&mut flow.lines);
    flow.lines = loaded;
    [flow, backlog, latency].into_iter().chain(slots).for_each(|picture| data.add(picture));
}

/// How long a window is, and what was sent in each until the last message.
fn sending(flow: &Flow) -> (f64, &[u64]) {
    let last = flow.sent.iter().rposition(|sent| *sent > 0).map_or(0, |at| at + 1);
    (flow.window_seconds, &flow.sent[..last])
}

/// When the last target is at rest.
fn end_of(series: &[Series]) -> f64 {
    series.iter().filter_map(|s| s.target.samples.last()).map(|sample| sample.t).fold(1.0, f64::max)
}

/// Messages that there is room for.
fn room_at(target: &Target, sample: &Sample) -> f64 {
    f64::from(sample.capacity) * f64::from(target.in_host_concurrency)
}

fn per_second(flow: &Flow, counts: &[u64]) -> Vec<Option<f64>> {
    all(counts.iter().map(|count| *count as f64 / flow.window_seconds))
}

/// The median over the seeds as a dashed line, with 95 % of the seeds around it; each value so many times.
fn band(data: &mut Data, label: &str, color: Color, columns: &Columns, times: f64) -> Line {
    let scaled = |values: &[f64]| all(values.iter().map(|value| value * times));
    let x = data.column(columns.x.clone());
    Line {
        label: label.to_owned(),
        color,
        dash: 3,
        x,
        y: scaled(&columns.median),
        low: scaled(&columns.low),
        high: scaled(&columns.high),
        step: true,
        ..Line::default()
    }
}

/// Of every group of neighbours those with the highest backlog and the highest capacity, and the very first and last:
/// peaks are what people look for, and none is flattened.
fn thinned(samples: &[Sample], points: usize) -> Vec<&Sample> {
    if samples.len() <= points {
        return samples.iter().collect();
    }
    let size = samples.len().div_ceil(points / 2);
    let mut kept = vec![0, samples.len() - 1];
    for (n, group) in samples.chunks(size).enumerate() {
        let highest = |of: fn(&Sample) -> u64| (0..group.len()).rev().max_by_key(|at| of(&group[*at]));
        let peaks = [highest(Target::backlog), highest(|s| s.capacity.into())];
        kept.extend(peaks.into_iter().flatten().map(|at| n * size + at));
    }
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|at| &samples[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_peaks_of_backlog_and_capacity_and_both_ends() {
        let sample = |t: u32| Sample {
            t: t.into(),
            visible: u64::from(t == 7777) * 900,
            in_flight: 1,
            capacity: u32::from(t == 7001) * 40,
        };
        let samples: Vec<_> = (0..10_000).map(sample).collect();
        let kept = thinned(&samples, 200);
        assert!(kept.len() <= 202, "{}", kept.len());
        for t in [0.0, 7001.0, 7777.0, 9999.0] {
            assert!(kept.iter().any(|sample| sample.t == t), "{t}");
        }
        assert!(kept.is_sorted_by(|a, b| a.t < b.t));
        assert_eq!(thinned(&samples[..200], 200).len(), 200, "nothing is left out where there is room");
    }
}
