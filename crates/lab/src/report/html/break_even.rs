//! `break-even.html`: the bill of both targets over the rate, and where the cheaper one changes, shaded by how sure that is.

use maud::{Markup, html};

use super::super::break_even::lacks;
use super::super::figures::{printable, usd};
use super::advice::interval;
use super::picture::{Axis, Color, Data, Line, Look, Mark, Picture, Stretch, Unit, all, data_table, panel};
use super::sections::scenario;
use super::tables::wide;
use super::{Section, whole};
use crate::advise::{BreakEven, Interval, Point};
use crate::target::TargetKind;

const ID: &str = "curve";
const HEADING: &str = "The bill over the rate";

/// The page of what `twinscale break-even` found.
pub fn break_even_page(found: &BreakEven) -> String {
    let mut data = Data::default();
    draw(found, &mut data);
    let about = "a month of an even load on each target, with the interval over the seeds around it; shaded: where the cheaper \
                 target changes, in 95 % of the seeds";
    let sections = vec![
        Section { id: "summary", html: summary(found) },
        Section { id: "pictures", html: html! { (panel(ID, HEADING, about)) (data_table(ID, HEADING)) } },
        Section { id: "rates", html: rates(found) },
        Section { id: "scenario", html: scenario(&found.scenario, &printable(&found.scenario.name)) },
    ];
    whole(&printable(&format!("Twinscale: break-even of {}", found.scenario.name)), sections, &data, "")
}

fn draw(found: &BreakEven, data: &mut Data) {
    let x = data.column(found.curve.iter().map(|point| point.rate).collect());
    let line = |kind: TargetKind, of: fn(&Point) -> Interval| Line {
        label: kind.title().to_owned(),
        color: Color::of(kind),
        x,
        y: all(found.curve.iter().map(|point| of(point).mean)),
        low: all(found.curve.iter().map(|point| of(point).low.max(f64::MIN_POSITIVE))),
        high: all(found.curve.iter().map(|point| of(point).high)),
        ..Line::default()
    };
    let span = |rate: Interval| Stretch {
        from: rate.low,
        to: rate.high,
        color: Color::Plain,
        at: Some(rate.mean),
        label: format!("{} messages/s", rounded(rate.mean)),
    };
    let mark = |rate: Interval| Mark {
        x: rate.mean,
        y: cost_at(&found.curve, rate.mean),
        color: Color::Plain,
        look: Look::Full,
        text: "",
        tip: told(found),
    };
    data.add(Picture {
        id: ID.to_owned(),
        x: Axis { label: "messages per second", log: true, ..Axis::default() },
        y: Axis { label: "a month", unit: Unit::Usd, log: true, ..Axis::default() },
        lines: vec![line(TargetKind::Eks, |p| p.eks_usd), line(TargetKind::Lambda, |p| p.lambda_usd)],
        spans: found.rate.map(span).into_iter().collect(),
        marks: found.rate.map(mark).into_iter().collect(),
        ..Picture::default()
    });
}

fn summary(found: &BreakEven) -> Markup {
    let below = found.cheaper_below();
    let above = found.cheaper_above();
    let card = |kind: TargetKind, told: String| {
        html! {
            article class="card" style={ "--own: " (Color::of(kind).variable()) } {
                h2 { (kind.title()) }
                p class="big" { (told) }
                p { "is where it is the cheaper one" }
            }
        }
    };
    html! {
        p class="verdict" { (told(found)) }
        @if let Some(rate) = found.rate {
            div class="cards" {
                (card(below, format!("below {} messages/s", rounded(rate.mean))))
                (card(above, format!("above {} messages/s", rounded(rate.mean))))
            }
        }
        p class="soft" {
            "An even load all month; mean and 95 % confidence interval over " (found.seeds) " seeds, of which "
            (found.crossings) " cross; prices of " (found.region) ", " (found.prices_date) "."
        }
        @for told in lacks(found) { p class="note" { (told) } }
    }
}

fn told(found: &BreakEven) -> String {
    let Some(rate) = found.rate else {
        if found.curve.is_empty() || !found.not_reached.is_empty() {
            return "No break-even was found among the rates that were reached.".to_owned();
        }
        return format!("{} is cheaper at every rate: there is no break-even.", found.cheaper_below().title());
    };
    let again = if found.changes_again() { ", until that changes again further up" } else { "" };
    format!(
        "From {} messages per second on (95 %: {} to {}) {} is cheaper{again}.",
        rounded(rate.mean),
        rounded(rate.low),
        rounded(rate.high),
        found.cheaper_above().title(),
    )
}

fn rates(found: &BreakEven) -> Markup {
    let table = html! {
        thead {
            tr {
                th scope="col" { "messages per second" }
                @for kind in TargetKind::all() { th scope="col" class="text" { (kind.title()) ", USD a month (95 %)" } }
            }
        }
        tbody {
            @for point in &found.curve {
                tr {
                    th scope="row" { (rounded(point.rate)) }
                    @for kind in TargetKind::all() { td class="text" { (interval(&usd_of(point, *kind), usd)) } }
                }
            }
        }
    };
    html! { h2 { "Rates" } (wide("rates", table)) }
}

fn usd_of(point: &Point, kind: TargetKind) -> Interval {
    match kind {
        TargetKind::Eks => point.eks_usd,
        TargetKind::Lambda => point.lambda_usd,
    }
}

/// What the function costs at a rate, on a straight line between the logarithms of two points of the curve.
fn cost_at(curve: &[Point], rate: f64) -> f64 {
    let above = curve.iter().position(|point| point.rate >= rate).unwrap_or(curve.len().saturating_sub(1)).max(1);
    let (Some(a), Some(b)) = (curve.get(above - 1), curve.get(above)) else { return 1.0 };
    let share = (rate / a.rate).ln() / (b.rate / a.rate).ln();
    (a.lambda_usd.mean.ln() + share * (b.lambda_usd.mean / a.lambda_usd.mean).ln()).exp()
}

/// A rate with three digits.
fn rounded(rate: f64) -> String {
    let decimals = (2.0 - rate.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{rate:.decimals$}")
}
