//! `advice.html` and `break-even.html`: cost over time as the front of both targets, and cost over the rate.

use std::fmt::Write as _;

use super::super::figures::{printable, seconds, usd};
use super::picture::{Axis, Data, Line, Mark, Picture, Unit, section};
use super::{Section, escape, whole};
use crate::advise::{Advice, Advised, BreakEven, Interval, Measured, Point};
use crate::scenario::Scenario;
use crate::target::TargetKind;

/// The page of what `twinscale advise` found.
pub fn advice_page(advised: &Advised) -> String {
    let mut data = Data::default();
    let mut picture = Picture {
        id: "front".to_owned(),
        x: Axis { label: "the goal's figure", unit: Unit::Seconds, log: true, ..Axis::default() },
        y: Axis { label: "USD a month", unit: Unit::Usd, log: true, ..Axis::default() },
        ..Picture::default()
    };
    for (color, advice) in advised.targets.iter().enumerate() {
        front(&mut data, &mut picture, color, advice);
    }
    let goal = advised.goal.within.as_secs_f64();
    let costs = || picture.marks.iter().map(|mark| mark.y);
    let ends = [costs().fold(f64::INFINITY, f64::min), costs().fold(0.0, f64::max)];
    // A hair apart: points at one place along the axis would be one point.
    let x = data.column(vec![goal * 0.9999, goal * 1.0001]);
    picture.lines.push(Line {
        label: "the goal".to_owned(),
        color: 4,
        x,
        y: ends.into(),
        dashed: true,
        ..Line::default()
    });
    data.add(picture);
    let caption = "Settings that no others beat in both cost and time, by the mean of the seeds. Full marks meet the goal with \
        their whole interval, hollow ones do not; each says what it changes. The dashed line is the goal.";
    let sections = vec![
        ("summary", advice_summary(advised)),
        ("pictures", section("front", "Cost and time: the front of both targets", caption)),
        ("settings", advised.targets.iter().map(settings).collect()),
        ("scenario", scenario(&advised.scenario)),
    ];
    page("advice", &advised.scenario, sections, &data)
}

fn front(data: &mut Data, picture: &mut Picture, color: usize, advice: &Advice) {
    let label = advice.target.title();
    // A line needs its points in the order of its axis: the front goes from cheap to fast.
    let points: Vec<&Measured> = advice.front.iter().rev().collect();
    let x = data.column(points.iter().map(|m| m.seconds.mean).collect());
    let y = points.iter().map(|m| m.usd.mean).collect();
    picture.lines.push(Line { label: label.to_owned(), color, x, y, ..Line::default() });
    for (what, measured) in
        [("as it is", Some(&advice.now)), ("the cheapest that meets the goal", advice.best.as_ref())]
            .into_iter()
            .filter_map(|(what, measured)| Some((what, measured?)))
            .chain(points.iter().map(|point| ("on the front", *point)))
    {
        let (x, y) = (measured.seconds.mean, measured.usd.mean);
        let tip = format!("{label}, {what}: {}\n{}", cost_and_time(measured), changes(measured));
        picture.marks.push(Mark { x, y, color, look: !measured.meets, tip });
    }
}

fn advice_summary(advised: &Advised) -> String {
    let mut out = String::new();
    for advice in &advised.targets {
        let told = match &advice.best {
            Some(best) => format!("{} meets {} at {}", advice.target.title(), advised.goal, cost_and_time(best)),
            None => format!(
                "Nothing that was tried on {} meets {}; the nearest is {}",
                advice.target.title(),
                advised.goal,
                cost_and_time(&advice.nearest)
            ),
        };
        let now = cost_and_time(&advice.now);
        let _ = write!(out, "<p class=\"verdict\">{}. As it is: {}.</p>", escape(&told), escape(&now));
    }
    let tried: usize = advised.targets.iter().map(|advice| advice.tried).sum();
    let _ = write!(
        out,
        "<p class=\"soft\">{tried} settings tried by simulation; mean and 95 % confidence interval over {} seeds; prices of \
         {}, {}.</p>",
        advised.seeds,
        escape(&advised.region),
        escape(&advised.prices_date)
    );
    out
}

/// The front as a table, with the scenario's own settings and the best before it.
fn settings(advice: &Advice) -> String {
    let rows = [("now", Some(&advice.now)), ("best", advice.best.as_ref())];
    let rows = rows.into_iter().filter_map(|(what, measured)| Some((what, measured?)));
    let rows = rows.chain(advice.front.iter().map(|point| ("front", point)));
    let row = |(what, m): (&str, &Measured)| {
        let meets = if m.meets { "yes" } else { "no" };
        [what.to_owned(), interval(&m.usd, usd), interval(&m.seconds, seconds), meets.to_owned(), changes(m)]
    };
    let heads = ["", "USD a month (95 %)", "goal's figure (95 %)", "meets it", "changes"];
    format!("<h2>{}</h2>{}", advice.target.title(), table(advice.target.title(), &heads, rows.map(row)))
}

/// The page of what `twinscale break-even` found.
pub fn break_even_page(found: &BreakEven) -> String {
    let mut data = Data::default();
    let x = data.column(found.curve.iter().map(|point| point.rate).collect());
    let line = |color, kind: TargetKind, of: fn(&Point) -> Interval| {
        let column = |part: fn(Interval) -> f64| found.curve.iter().map(|point| part(of(point))).collect();
        let (y, low, high) = (column(|i| i.mean), column(|i| i.low.max(f64::MIN_POSITIVE)), column(|i| i.high));
        Line { label: kind.title().to_owned(), color, x, y, low, high, ..Line::default() }
    };
    let mut picture = Picture {
        id: "curve".to_owned(),
        x: Axis { label: "messages a second", log: true, ..Axis::default() },
        y: Axis { label: "USD a month", unit: Unit::Usd, log: true, ..Axis::default() },
        lines: vec![line(0, TargetKind::Eks, |p| p.eks_usd), line(1, TargetKind::Lambda, |p| p.lambda_usd)],
        ..Picture::default()
    };
    let told = match found.rate {
        Some(rate) => format!(
            "From {} messages a second on (95 %: {} to {}) {}{}.",
            rounded(rate.mean),
            rounded(rate.low),
            rounded(rate.high),
            match found.cheaper_above() {
                TargetKind::Eks => "pods are cheaper than the function",
                TargetKind::Lambda => "the function is cheaper than pods",
            },
            if found.changes_again() { ", until that changes again further up" } else { "" }
        ),
        None => "The cheaper target is the same at every rate.".to_owned(),
    };
    if let Some(rate) = found.rate {
        let y = cost_at(&found.curve, rate.mean);
        picture.marks.push(Mark { x: rate.mean, y, color: 2, look: false, tip: told.clone() });
        let x = data.column(vec![rate.low, rate.high]);
        let label = "break-even, 95 %".to_owned();
        picture.lines.push(Line { label, color: 2, x, y: vec![y, y], ..Line::default() });
    }
    data.add(picture);
    let summary = format!(
        "<p class=\"verdict\">{told}</p><p class=\"soft\">An even load all month; mean and 95 % confidence interval over {} \
         seeds; prices of {}, {}.</p>",
        found.seeds,
        escape(&found.region),
        escape(&found.prices_date)
    );
    let caption = "A month of an even load on each target, with the interval over the seeds around it. The mark is where the \
        cheaper target changes.";
    let row = |p: &Point| [rounded(p.rate), interval(&p.eks_usd, usd), interval(&p.lambda_usd, usd)];
    let heads = ["messages a second", "EKS (KEDA), USD a month (95 %)", "Lambda, USD a month (95 %)"];
    let sections = vec![
        ("summary", summary),
        ("pictures", section("curve", "The bill over the rate", caption)),
        ("rates", format!("<h2>Rates</h2>{}", table("rates", &heads, found.curve.iter().map(row)))),
        ("scenario", scenario(&found.scenario)),
    ];
    page("break-even", &found.scenario, sections, &data)
}

/// What the function costs at a rate, on a straight line between the logarithms of two points of the curve.
fn cost_at(curve: &[Point], rate: f64) -> f64 {
    let above = curve.iter().position(|point| point.rate >= rate).unwrap_or(curve.len().saturating_sub(1)).max(1);
    let (Some(a), Some(b)) = (curve.get(above - 1), curve.get(above)) else { return 1.0 };
    let share = (rate / a.rate).ln() / (b.rate / a.rate).ln();
    (a.lambda_usd.mean.ln() + share * (b.lambda_usd.mean / a.lambda_usd.mean).ln()).exp()
}

fn page(what: &str, of: &Scenario, sections: Vec<Section>, data: &Data) -> String {
    whole(&printable(&format!("Twinscale: {what} for {}", of.name)), sections, data)
}

fn scenario(of: &Scenario) -> String {
    let json = serde_json::to_string_pretty(of).unwrap_or_default();
    let summary = "The scenario, with every setting that was in force";
    format!("<details><summary>{summary}</summary><pre tabindex=\"0\">{}</pre></details>", escape(&json))
}

fn cost_and_time(measured: &Measured) -> String {
    format!("{} a month, {}", interval(&measured.usd, usd), interval(&measured.seconds, seconds))
}

fn interval(interval: &Interval, write: fn(f64) -> String) -> String {
    format!("{} ({} to {})", write(interval.mean), write(interval.low), write(interval.high))
}

fn changes(measured: &Measured) -> String {
    let changes: Vec<_> = measured.changes.iter().map(|c| format!("{} {} → {}", c.field, c.from, c.to)).collect();
    if changes.is_empty() { "no change".to_owned() } else { changes.join("; ") }
}

/// A rate with three digits.
fn rounded(rate: f64) -> String {
    let decimals = (2.0 - rate.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{rate:.decimals$}")
}

fn table<const N: usize>(label: &str, heads: &[&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut out =
        format!("<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{label}\"><table><thead><tr>");
    for head in heads {
        let _ = match *head {
            "" => write!(out, "<td></td>"),
            head => write!(out, "<th scope=\"col\" class=\"text\">{head}</th>"),
        };
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td class=\"text\">{}</td>", escape(&cell));
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
}
