//! One paragraph in plain words: which target won, on what, and by how much. Made of the numbers alone.

use super::figures::{bills, count, seconds, usd};
use crate::contest::{Lower, lower};
use crate::cost::{Bill, CONTROL_PLANE, Prices};
use crate::run::{Failure, Messages, Run, SeedFigure, Target};
use crate::target::TargetKind;
use crate::uncertainty::Uncertainty;

#[cfg(test)]
mod tests;

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
            told.push(control_plane(some));
            told.extend(some.iter().map(capacity));
            told.extend(some.iter().filter(|side| side.failure.is_some()).map(|side| limited(run, side)));
            told.push(safety(some));
            told
        }
        [one] => {
            vec![
                ended(one),
                tail_of(one),
                capacity(one),
                limited(run, one),
                costs(one),
                control_plane(&sides),
                safety(&sides),
            ]
        }
        [a, b] => vec![
            winners(a, b),
            drained(a, b),
            tail(a, b),
            money(a, b),
            control_plane(&sides),
            capacity(a),
            capacity(b),
            loser(a, b).map(|side| limited(run, side)).unwrap_or_default(),
            requests(a, b),
            luck(&sides),
            run.uncertainty.as_ref().map(Uncertainty::told).unwrap_or_default(),
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
    let first = won(Lower::First);
    let second = won(Lower::Second);
    match (&first[..], &second[..]) {
        ([], []) => "Neither target beat the other.".to_owned(),
        (on, []) => format!("{} won on {}.", a.name, listed(on)),
        ([], on) => format!("{} won on {}.", b.name, listed(on)),
        (on, others) => format!("{} won on {}, {} on {}.", a.name, listed(on), b.name, listed(others)),
    }
}

/// Which of the two was clearly slower: to drain, or else for its messages.
fn loser<'a, 'b>(a: &'b Side<'a>, b: &'b Side<'a>) -> Option<&'b Side<'a>> {
    let slower = |x: Option<f64>, y: Option<f64>| match lower(x?, y?) {
        Lower::First => Some(b),
        Lower::Second => Some(a),
        Lower::Neither => None,
    };
    let p95 = |side: &Side| side.target.latency_seconds.map(|latency| latency.p95);
    slower(a.target.drain_seconds, b.target.drain_seconds).or_else(|| slower(p95(a), p95(b)))
}

/// What kept a target from being faster.
fn limited(run: &Run, side: &Side) -> String {
    let limit = run.limit(side.kind);
    limit.map(|limit| format!("{} is limited by {limit}.", side.name)).unwrap_or_default()
}

/// The cluster's own price, which is paid whatever the queue does.
fn control_plane(sides: &[Side]) -> String {
    let line = |side: &Side| side.bill.as_ref()?.month.iter().find(|line| line.item == CONTROL_PLANE).cloned();
    let told = sides.iter().filter_map(|side| {
        let line = line(side)?;
        let hours = 30.0 * 24.0;
        let share = line.quantity / hours * 100.0;
        Some(format!(
            "In that, {} are for {share:.0} % of the cluster's control plane (--control-plane-share).",
            usd(line.usd)
        ))
    });
    told.collect::<Vec<_>>().join(" ")
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
    let (x, y) = match (a.target.drain_seconds, b.target.drain_seconds) {
        (Some(x), Some(y)) => (x, y),
        (None, None) => return "Neither target drained.".to_owned(),
        (Some(_), None) | (None, Some(_)) => return format!("{} {}", ended(a), ended(b)),
    };
    let ((fast, short), (slow, long)) = if x <= y { ((a.name, x), (b.name, y)) } else { ((b.name, y), (a.name, x)) };
    let short_text = seconds(short);
    let long_text = seconds(long);
    match lower(x, y) {
        Lower::Neither => {
            format!("Both drained at about the same time: {fast} after {short_text}, {slow} after {long_text}.")
        }
        Lower::First | Lower::Second => {
            format!("{fast} drained after {short_text}; {slow} took {long_text}, {} as long.", times(long, short))
        }
    }
}

fn ended(side: &Side) -> String {
    let name = side.name;
    let messages = &side.target.messages;
    let all = count(messages.sent);
    match side.target.drain_seconds {
        Some(drain) if messages.done == messages.sent => {
            format!("{name} was done with {all} messages after {}.", seconds(drain))
        }
        Some(drain) => {
            let done = count(messages.done);
            format!(
                "{name} drained after {}: {done} of {all} messages were done{}.",
                seconds(drain),
                not_done(messages)
            )
        }
        None => {
            format!("{name} did not drain: {} of {all} messages were done{}.", count(messages.done), not_done(messages))
        }
    }
}

/// How the other messages ended.
fn not_done(messages: &Messages) -> String {
    let others = [
        (messages.rejected, "are dead letters"),
        (messages.lost.unwrap_or_default(), "were lost"),
        (messages.open(), "are open"),
    ];
    others.into_iter().filter(|(n, _)| *n > 0).map(|(n, how)| format!(", {} {how}", count(n))).collect()
}

fn tail_of(side: &Side) -> String {
    let told = |latency: crate::run::Latency| {
        format!("{}, 95 were done within {}.", of_a_hundred(&[side]), seconds(latency.p95))
    };
    side.target.latency_seconds.map(told).unwrap_or_default()
}

/// Latencies are of the messages that were done alone.
fn of_a_hundred(sides: &[&Side]) -> &'static str {
    match sides.iter().all(|side| side.target.messages.done == side.target.messages.sent) {
        true => "Of a hundred messages",
        false => "Of a hundred messages that were done",
    }
}

fn tail(a: &Side, b: &Side) -> String {
    let Some((x, y)) = a.target.latency_seconds.zip(b.target.latency_seconds) else {
        return [a, b].map(tail_of).into_iter().find(|told| !told.is_empty()).unwrap_or_default();
    };
    let x_text = seconds(x.p95);
    let y_text = seconds(y.p95);
    let all = of_a_hundred(&[a, b]);
    format!("{all}, 95 were done within {x_text} on {} and within {y_text} on {}.", a.name, b.name)
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
    let low = usd(less.month_usd);
    let high = usd(more.month_usd);
    match lower(x.month_usd, y.month_usd) {
        Lower::Neither => format!("A month of such days costs about the same: {low} on {cheap}, {high} on {dear}."),
        Lower::First | Lower::Second => format!(
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
    let peak = count(side.target.peak_capacity.into());
    let units = side.kind.units();
    format!("{} peaked at {peak} {units}, {at_once}.", side.name)
}

fn requests(a: &Side, b: &Side) -> String {
    let each = |side: &Side| side.target.requests.per_message(side.target.messages.sent);
    let Some((x, y)) = each(a).zip(each(b)) else { return String::new() };
    format!("SQS requests per message: {} {x:.2}, {} {y:.2}.", a.name, b.name)
}

/// How far the seeds are apart, where there are several.
fn luck(sides: &[Side]) -> String {
    let told = sides.iter().filter_map(|side| {
        let seeds = side.target.seeds.as_ref()?;
        let band = seeds.figures.get(&SeedFigure::DrainSeconds)?;
        Some((seeds.count, format!("{} in {} to {}", side.name, seconds(band.low), seconds(band.high))))
    });
    let told: Vec<_> = told.collect();
    let Some((count, _)) = told.first() else { return String::new() };
    let ranges: Vec<_> = told.iter().map(|(_, range)| range.as_str()).collect();
    format!("Of {count} seeds, 95 % drained: {}.", ranges.join(", "))
}

fn safety(sides: &[Side]) -> String {
    let lost = sides.iter().filter_map(|side| match side.target.messages.lost {
        Some(0) => None,
        Some(n) => Some(format!("{} lost {}", side.name, count(n))),
        None => Some(format!("whether {} lost any is not known", side.name)),
    });
    let lost: Vec<_> = lost.collect();
    let dead = sides.iter().filter(|side| side.target.messages.rejected > 0).map(|side| {
        let rejected = side.target.messages.rejected;
        format!("{} has {} dead letter{}", side.name, count(rejected), if rejected == 1 { "" } else { "s" })
    });
    let dead: Vec<_> = dead.collect();
    match (lost.is_empty(), dead.is_empty()) {
        (true, true) => "No message was lost.".to_owned(),
        (true, false) => format!("No message was lost; {}.", dead.join(", ")),
        (false, _) => format!("Mind: {}.", [lost, dead].concat().join(", ")),
    }
}
