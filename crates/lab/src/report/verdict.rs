//! One paragraph in plain words: which target won, on what, and by how much. Made of the numbers alone.

use super::figures::{bills, count, seconds, usd};
use crate::cost::{Bill, Prices};
use crate::run::{Failure, Run, Target};
use crate::target::TargetKind;

#[cfg(test)]
mod tests;

/// Two figures that differ by less than this share of the higher one are called equal.
const TIE: f64 = 0.05;

/// A target, and what it costs.
struct Side<'a> {
    kind: TargetKind,
    name: &'static str,
    target: &'a Target,
    bill: Option<Bill>,
    failure: Option<Failure>,
}

/// The verdict on a run, sentence by sentence.
pub fn verdict(run: &Run, prices: &Prices) -> Vec<String> {
    let sides = run.targets.iter().zip(bills(run, prices)).zip(run.failures());
    let sides: Vec<_> = sides
        .map(|(((kind, target), bill), failure)| Side { kind, name: kind.title(), target, bill, failure })
        .collect();
    let failed: Vec<String> = sides.iter().filter_map(failed).collect();
    let sentences = match &sides[..] {
        [] => vec!["Nothing ran.".to_owned()],
        // What did not do its work has no time and no price that could be compared.
        some if !failed.is_empty() => {
            let mut told = vec![if some.len() > 1 { "There is no winner." } else { "There is no verdict." }.to_owned()];
            told.extend(failed);
            for side in some.iter().filter(|side| side.failure.is_none()) {
                told.extend([ended(side), tail_of(side), costs(side)]);
            }
            told.extend(some.iter().map(capacity));
            told.push(safety(some));
            told
        }
        [one] => vec![ended(one), tail_of(one), capacity(one), costs(one), safety(&sides)],
        [a, b] => vec![
            winners(a, b),
            drained(a, b),
            tail(a, b),
            money(a, b),
            capacity(a),
            capacity(b),
            requests(a, b),
            luck(&sides),
            safety(&sides),
        ],
        // More than two are told one by one: nothing here says which of three won.
        more => {
            let each = more.iter().flat_map(|side| [ended(side), tail_of(side), costs(side), capacity(side)]);
            each.chain([luck(more), safety(more)]).collect()
        }
    };
    sentences.into_iter().filter(|sentence| !sentence.is_empty()).collect()
}

/// Why a target is out of the contest.
fn failed(side: &Side) -> Option<String> {
    side.failure.as_ref().map(|why| format!("{} failed: {why}.", side.name))
}

/// Which of two figures is the lower one.
#[derive(Clone, Copy, PartialEq)]
enum Lower {
    First,
    Second,
    Neither,
}

fn lower(x: f64, y: f64) -> Lower {
    match (x - y).abs() <= TIE * x.max(y) {
        true => Lower::Neither,
        false if x < y => Lower::First,
        false => Lower::Second,
    }
}

/// What each target won on: a target that drained beats one that did not.
fn winners(a: &Side, b: &Side) -> String {
    let drain = |side: &Side| side.target.drain_seconds.unwrap_or(f64::MAX);
    let tails = a.target.latency_seconds.zip(b.target.latency_seconds);
    let cost = a.bill.as_ref().zip(b.bill.as_ref());
    let contests = [
        (Some(lower(drain(a), drain(b))), "time to drain"),
        (tails.map(|(x, y)| lower(x.p95, y.p95)), "latency"),
        (cost.map(|(x, y)| lower(x.month_usd, y.month_usd)), "cost"),
    ];
    let won = |who: Lower| contests.iter().filter(|(w, _)| *w == Some(who)).map(|(_, what)| *what).collect::<Vec<_>>();
    let (first, second) = (won(Lower::First), won(Lower::Second));
    match (first.is_empty(), second.is_empty()) {
        (true, true) => "Neither target beat the other.".to_owned(),
        (false, true) => format!("{} won on {}.", a.name, listed(&first)),
        (true, false) => format!("{} won on {}.", b.name, listed(&second)),
        _ => format!("{} won on {}, {} on {}.", a.name, listed(&first), b.name, listed(&second)),
    }
}

fn listed(words: &[&str]) -> String {
    match words {
        [most @ .., last] if !most.is_empty() => format!("{} and {last}", most.join(", ")),
        _ => words.concat(),
    }
}

/// `x times as …`, as exactly as it matters.
fn times(more: f64, less: f64) -> String {
    match more / less.max(f64::MIN_POSITIVE) {
        factor if factor < 10.0 => format!("{factor:.1} times"),
        factor if factor < 1e6 => format!("{} times", count(factor.round() as u64)),
        _ => "more than a million times".to_owned(),
    }
}

fn drained(a: &Side, b: &Side) -> String {
    let (Some(x), Some(y)) = (a.target.drain_seconds, b.target.drain_seconds) else {
        return match (a.target.drain_seconds, b.target.drain_seconds) {
            (None, None) => "Neither target drained.".to_owned(),
            _ => format!("{} {}", ended(a), ended(b)),
        };
    };
    let ((fast, short), (slow, long)) = if x <= y { ((a.name, x), (b.name, y)) } else { ((b.name, y), (a.name, x)) };
    let (short_text, long_text) = (seconds(short), seconds(long));
    match lower(x, y) {
        Lower::Neither => {
            format!("Both drained at about the same time: {fast} after {short_text}, {slow} after {long_text}.")
        }
        _ => format!("{fast} drained after {short_text}; {slow} took {long_text}, {} as long.", times(long, short)),
    }
}

fn ended(side: &Side) -> String {
    let (name, messages) = (side.name, &side.target.messages);
    match side.target.drain_seconds {
        Some(drain) => format!("{name} was done with {} messages after {}.", count(messages.sent), seconds(drain)),
        None => {
            format!("{name} did not drain: {} of {} messages were done.", count(messages.done), count(messages.sent))
        }
    }
}

fn tail_of(side: &Side) -> String {
    let told =
        |latency: crate::run::Latency| format!("Of a hundred messages, 95 were done within {}.", seconds(latency.p95));
    side.target.latency_seconds.map(told).unwrap_or_default()
}

fn tail(a: &Side, b: &Side) -> String {
    let Some((x, y)) = a.target.latency_seconds.zip(b.target.latency_seconds) else {
        return [a, b].map(tail_of).into_iter().find(|told| !told.is_empty()).unwrap_or_default();
    };
    let (x_text, y_text) = (seconds(x.p95), seconds(y.p95));
    format!("Of a hundred messages, 95 were done within {x_text} on {} and within {y_text} on {}.", a.name, b.name)
}

fn costs(side: &Side) -> String {
    match &side.bill {
        Some(bill) => format!("A month of such days costs {}{}.", usd(bill.month_usd), largest(bill)),
        None => format!("What {} costs is not known.", side.name),
    }
}

fn money(a: &Side, b: &Side) -> String {
    let (Some(x), Some(y)) = (&a.bill, &b.bill) else {
        return [a, b]
            .map(|side| if side.bill.is_none() { costs(side) } else { String::new() })
            .join(" ")
            .trim()
            .to_owned();
    };
    let ((cheap, less), (dear, more)) =
        if x.month_usd <= y.month_usd { ((a.name, x), (b.name, y)) } else { ((b.name, y), (a.name, x)) };
    let (low, high) = (usd(less.month_usd), usd(more.month_usd));
    match lower(x.month_usd, y.month_usd) {
        Lower::Neither => format!("A month of such days costs about the same: {low} on {cheap}, {high} on {dear}."),
        _ => format!(
            "A month of such days costs {low} on {cheap} and {high} on {dear}, {} as much{}.",
            times(more.month_usd, less.month_usd),
            largest(more)
        ),
    }
}

/// The line that makes up most of a bill.
fn largest(bill: &Bill) -> String {
    match bill.month.iter().max_by(|a, b| a.usd.total_cmp(&b.usd)) {
        Some(line) if line.usd > 0.0 => format!(", of which {} are for {}", usd(line.usd), line.item),
        _ => String::new(),
    }
}

fn capacity(side: &Side) -> String {
    let at_once = match side.target.in_host_concurrency {
        1 => "each with one message at a time".to_owned(),
        n => format!("each with up to {n} messages at once"),
    };
    let (peak, units) = (count(side.target.peak_capacity.into()), side.kind.units());
    format!("{} peaked at {peak} {units}, {at_once}.", side.name)
}

fn requests(a: &Side, b: &Side) -> String {
    let each = |side: &Side| side.target.requests.per_message(side.target.messages.sent);
    let Some((x, y)) = each(a).zip(each(b)) else { return String::new() };
    format!("SQS requests a message: {} {x:.2}, {} {y:.2}.", a.name, b.name)
}

/// How far the seeds are apart, where there are several.
fn luck(sides: &[Side]) -> String {
    let told = sides.iter().filter_map(|side| {
        let seeds = side.target.seeds.as_ref()?;
        let band = seeds.figures.get("drain_seconds")?;
        Some((seeds.count, format!("{} in {} to {}", side.name, seconds(band.low), seconds(band.high))))
    });
    let told: Vec<_> = told.collect();
    let Some((count, _)) = told.first() else { return String::new() };
    let ranges: Vec<_> = told.iter().map(|(_, range)| range.as_str()).collect();
    format!("Of {count} seeds, 95 % drained: {}.", ranges.join(", "))
}

fn safety(sides: &[Side]) -> String {
    let told = sides.iter().filter_map(|side| match side.target.messages.lost {
        Some(0) => None,
        Some(n) => Some(format!("{} lost {}", side.name, count(n))),
        None => Some(format!("whether {} lost any is not known", side.name)),
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { "No message was lost.".to_owned() } else { format!("Mind: {}.", told.join(", ")) }
}
