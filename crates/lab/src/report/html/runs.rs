//! The pictures of runs: backlog, capacity with its decisions, latency, and how much of the capacity was used.

use super::super::figures::{in_use, seconds};
use super::looks::groups;
use super::picture::{Axis, Data, Line, Mark, Picture, Unit, figure, section};
use crate::run::{Columns, Run, Sample, Target};

/// Points of a line at most, on a page with one or two targets: more than a wide screen has columns.
const POINTS: usize = 1500;
/// Marks of a target at most.
const MARKS: usize = 400;

/// One target of one run.
pub(super) struct Series<'a> {
    pub label: String,
    pub target: &'a Target,
}

/// Every target of every run, in their order.
pub(super) fn series(runs: &[Run]) -> Vec<Series<'_>> {
    let named = runs.iter().enumerate().flat_map(|(n, run)| {
        run.targets.iter().map(move |(kind, target)| {
            let label = if runs.len() > 1 { format!("{}. {}", n + 1, kind.title()) } else { kind.title().to_owned() };
            Series { label, target }
        })
    });
    named.collect()
}

/// How many marks each target may have: a page of many runs stays as small as one of two.
fn room(series: &[Series]) -> usize {
    (2 * MARKS / series.len().max(2)).max(10)
}

/// The figures that [`data`] fills.
pub(super) fn figures(runs: &[Run]) -> String {
    let series = series(runs);
    let room = room(&series);
    let shown = |series: &Series| {
        let all = series.target.decisions.len();
        let (groups, looks) = groups(series.target, room);
        let left = match (groups.len() < all, looks < all) {
            (false, _) => return String::new(),
            (true, false) => "looks in a row that came to the same share a mark".to_owned(),
            (true, true) => format!("the marks stand for {looks} of {all} looks"),
        };
        format!(" {}: {left}.", series.label)
    };
    let left_out: String = series.iter().map(shown).collect();
    let mut out = section(
        "backlog",
        "The backlog",
        "Messages that wait or are worked on. Drag to zoom in, double-click to zoom out.",
    );
    out.push_str(&section(
        "capacity",
        "Capacity, and every decision about it",
        &format!(
            "Pods, or invocations under way. Full marks changed the capacity, hollow ones are looks that left it as it \
             was; each says what was seen, what was decided, and why. The arrow keys go from mark to mark.{left_out}"
        ),
    ));
    out.push_str(&section(
        "latency",
        "Latency",
        "Share of the messages that were done within a time, from sent to done. The marks are p50, p95 and p99.",
    ));
    out.push_str("<h2>Capacity used and wasted</h2>");
    for (n, Series { label, target }) in series.iter().enumerate() {
        let share = in_use(target).map_or(String::new(), |share| {
            format!(" {:.0} % was used, {:.0} % idled.", share * 100.0, (1.0 - share) * 100.0)
        });
        let caption =
            format!("{label}: messages that there is room for at once, and that are worked on: the gap idles.{share}");
        out.push_str(&figure(&format!("use-{n}"), &caption));
    }
    out
}

/// What is drawn.
pub(super) fn data(runs: &[Run], live: bool) -> Data {
    let all = series(runs);
    let (points, marks) = ((2 * POINTS / all.len().max(2)).max(100), room(&all));
    let end = all.iter().filter_map(|s| s.target.samples.last()).map(|sample| sample.t).fold(1.0, f64::max);
    let time = || Axis { label: "time", unit: Unit::Seconds, max: Some(end), ..Axis::default() };
    let over_time = |id: String, label, low| Picture {
        id,
        x: time(),
        y: Axis { label, ..Axis::default() },
        sync: "time",
        low,
        ..Picture::default()
    };
    let mut data = Data::default();
    data.live = live;
    let mut backlog = over_time("backlog".to_owned(), "messages", false);
    let mut capacity = over_time("capacity".to_owned(), "capacity", false);
    let mut latency = Picture {
        id: "latency".to_owned(),
        x: Axis { label: "sent to done", unit: Unit::Seconds, ..Axis::default() },
        y: Axis { label: "% of messages", max: Some(100.0), ..Axis::default() },
        ..Picture::default()
    };
    let mut uses = Vec::new();
    let slots = |target: &Target, s: &Sample| f64::from(s.capacity) * f64::from(target.in_host_concurrency);
    let most =
        all.iter().flat_map(|s| s.target.samples.iter().map(|sample| slots(s.target, sample))).fold(1.0, f64::max);
    for (color, Series { label, target }) in all.iter().enumerate() {
        let samples = thinned(&target.samples, points);
        let times = data.column(samples.iter().map(|sample| sample.t).collect());
        let line = |y: Vec<f64>| Line { label: label.clone(), color, x: times, y, ..Line::default() };
        let each = |value: &dyn Fn(&Sample) -> f64| samples.iter().map(|sample| value(sample)).collect::<Vec<_>>();
        backlog.lines.push(Line { fill: true, ..line(each(&|s| Target::backlog(s) as f64)) });
        capacity.lines.push(Line { step: true, ..line(each(&|s| f64::from(s.capacity))) });
        capacity.marks.extend(groups(target, marks).0.into_iter().map(|group| {
            let (x, y) = (group.first.t, f64::from(group.first.to));
            Mark { x, y, color, look: !group.changed(), tip: group.tip(label) }
        }));
        let (x, y) = ecdf(target);
        let x = data.column(x);
        latency.lines.push(Line { label: label.clone(), color, x, y, step: true, ..Line::default() });
        latency.marks.extend(percentiles(label, color, target));
        if let Some(seeds) = &target.seeds {
            for (picture, columns) in
                [(&mut backlog, &seeds.backlog), (&mut capacity, &seeds.capacity), (&mut latency, &seeds.latency)]
            {
                picture.lines.push(band(&mut data, &format!("{label}, {} seeds", seeds.count), color, columns));
            }
        }
        let room = each(&|s| slots(target, s));
        let used = each(&|s| slots(target, s).min(s.in_flight as f64));
        let stepped = |label: &str, color, y| Line {
            label: label.to_owned(),
            color,
            x: times,
            y,
            step: true,
            fill: true,
            ..Line::default()
        };
        let mut picture = over_time(format!("use-{color}"), "messages", true);
        picture.y.max = Some(most * 1.05);
        picture.lines = vec![Line { dashed: true, ..stepped("room for", 4, room) }, stepped("worked on", color, used)];
        uses.push(picture);
    }
    [backlog, capacity, latency].into_iter().chain(uses).for_each(|picture| data.add(picture));
    data
}

/// The median over the seeds as a dashed line, with 95 % of the seeds around it.
fn band(data: &mut Data, label: &str, color: usize, columns: &Columns) -> Line {
    let Columns { x, median, low, high } = columns.clone();
    let x = data.column(x);
    Line { label: label.to_owned(), color, x, y: median, low, high, step: true, dashed: true, ..Line::default() }
}

/// Of every group of neighbours those with the highest backlog and the highest capacity, and the very first and last:
/// peaks are what people look for, and none is flattened.
fn thinned(samples: &[Sample], points: usize) -> Vec<&Sample> {
    if samples.len() <= points {
        return samples.iter().collect();
    }
    let peaks = |group: &'_ [Sample]| {
        let peak = |of: fn(&Sample) -> u64| (0..group.len()).max_by_key(|at| (of(&group[*at]), std::cmp::Reverse(*at)));
        [peak(Target::backlog), peak(|s| s.capacity.into())].map(Option::unwrap_or_default)
    };
    let size = samples.len().div_ceil(points / 2);
    let groups = samples.chunks(size).enumerate();
    let mut kept: Vec<usize> = groups.flat_map(|(n, group)| peaks(group).map(|at| n * size + at)).collect();
    kept.extend([0, samples.len() - 1]);
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|at| &samples[at]).collect()
}

/// Cumulative share of messages, in percent, by latency.
fn ecdf(target: &Target) -> (Vec<f64>, Vec<f64>) {
    let total: f64 = target.latency_histogram.iter().map(|bucket| bucket.count as f64).sum();
    if total == 0.0 {
        return Default::default();
    }
    let (mut x, mut y, mut sum) = (vec![0.0], vec![0.0], 0.0);
    for bucket in &target.latency_histogram {
        sum += bucket.count as f64;
        x.push(bucket.le);
        y.push((sum / total * 10_000.0).round() / 100.0);
    }
    (x, y)
}

fn percentiles(label: &str, color: usize, target: &Target) -> Vec<Mark> {
    let Some(latency) = target.latency_seconds else { return Vec::new() };
    let mark = |(share, x): (u8, f64)| {
        let tip = format!("{label}: {share} % of the messages were done within {}", seconds(x));
        Mark { x, y: share.into(), color, look: false, tip }
    };
    [(50, latency.p50), (95, latency.p95), (99, latency.p99)].map(mark).into()
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
