//! The break-even for a terminal and for a pull request.

use std::fmt::Write as _;

use super::figures::usd;
use crate::advise::{BreakEven, Interval, Point};

/// Writes the curve, with a bar for the worker's share of both bills, and where it crosses the middle.
pub fn text(found: &BreakEven) -> String {
    let mut out = format!(
        "{:>11}  {:>30}  {:>30}  {:<20}\n",
        "messages/s", "EKS, month", "Lambda, month", "EKS ← cheaper → Lambda"
    );
    for point in &found.curve {
        let eks = range(&point.eks_usd);
        let lambda = range(&point.lambda_usd);
        let _ = writeln!(out, "{:>11}  {eks:>30}  {lambda:>30}  {}", rate(point.rate), bar(point));
    }
    let _ = writeln!(out, "\n{}", verdict(found));
    lacks(found).iter().for_each(|told| out.push_str(&format!("{told}\n")));
    let _ = writeln!(
        out,
        "Prices of {}, {}; where each was read stands in the price file.",
        found.region, found.prices_date
    );
    out
}

/// Writes the curve as a Markdown table.
pub fn markdown(found: &BreakEven) -> String {
    let mut out = "| messages/s | EKS, month | Lambda, month |\n|---:|---:|---:|\n".to_owned();
    for point in &found.curve {
        let _ = writeln!(out, "| {} | {} | {} |", rate(point.rate), range(&point.eks_usd), range(&point.lambda_usd));
    }
    let _ = writeln!(out, "\n{}", verdict(found));
    lacks(found).iter().for_each(|told| out.push_str(&format!("\n> {told}\n")));
    out
}

/// What the curve has no points of, sentence by sentence.
pub fn lacks(found: &BreakEven) -> Vec<String> {
    let all = found.curve.len() + found.left_out.len() + found.not_reached.len();
    let listed = |rates: &[f64]| rates.iter().map(|at| rate(*at)).collect::<Vec<_>>().join(", ");
    let failed = (!found.left_out.is_empty())
        .then(|| format!("A target failed at {} messages/s: there is nothing to compare.", listed(&found.left_out)));
    let stopped = (!found.not_reached.is_empty()).then(|| {
        let missing = found.not_reached.len();
        format!("It was told to stop before {missing} of {all} rates: {} messages/s.", listed(&found.not_reached))
    });
    failed.into_iter().chain(stopped).collect()
}

/// Where the cheaper target changes, in words.
fn verdict(found: &BreakEven) -> String {
    let first = found.cheaper_below().service();
    let other = found.cheaper_above().service();
    let again = if found.changes_again() { ", until it changes again further up" } else { "" };
    match found.rate {
        Some(at) => format!(
            "Below {} messages/s {first} is cheaper, above it {other}{again} (95 %: {} to {}, {} of {} seeds cross).",
            rate(at.mean),
            rate(at.low),
            rate(at.high),
            found.crossings,
            found.seeds
        ),
        None if found.curve.is_empty() => "At no rate there is a bill of both targets to compare.".to_owned(),
        None if !found.not_reached.is_empty() => format!("{first} is cheaper at every rate that was reached."),
        None => format!(
            "{first} is cheaper at every rate from {} to {} messages/s: there is no break-even.",
            found.curve.first().map_or_else(String::new, |p| rate(p.rate)),
            found.curve.last().map_or_else(String::new, |p| rate(p.rate))
        ),
    }
}

fn rate(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.3}") } else { format!("{rate:.0}") }
}

fn range(interval: &Interval) -> String {
    format!("{} ({} to {})", usd(interval.mean), usd(interval.low), usd(interval.high))
}

/// Twenty places: how far the worker's share of both bills reaches.
fn bar(point: &Point) -> String {
    let share = point.eks_usd.mean / (point.eks_usd.mean + point.lambda_usd.mean);
    let filled = (share * 20.0).round().clamp(0.0, 20.0) as usize;
    (0..20)
        .map(|at| {
            if at == 10 {
                '│'
            } else if at < filled {
                '█'
            } else {
                '·'
            }
        })
        .collect()
}
