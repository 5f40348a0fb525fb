//! One paragraph in plain words: which target won, on what, and by how much. Made of the numbers alone.

use super::figures::{count, seconds, title};
use crate::compare::run::{Run, Target};

/// The verdict on a run.
pub fn verdict(run: &Run) -> String {
    let targets: Vec<_> = run.targets.iter().collect();
    match targets[..] {
        [] => "Nothing ran.".to_owned(),
        [one] => alone(one),
        [a, b, ..] => [Some(drained(a, b)), tail(a, b), Some(spent(a, b)), Some(safety(&[a, b]))]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
    }
}

type Named<'a> = (&'static str, &'a Target);

fn alone((name, target): Named) -> String {
    let name = title(name);
    let drained = match target.drain_seconds {
        Some(drain) => {
            format!("{name} was done with {} messages after {}.", count(target.messages.sent), seconds(drain))
        }
        None => format!("{name} did not drain: {} of {}.", count(target.messages.done), count(target.messages.sent)),
    };
    format!("{drained} {} {}", capacity((name, target)), safety(&[(name_of(name), target)]))
}

fn name_of(title: &str) -> &'static str {
    if title == "Lambda" { "lambda" } else { "eks" }
}

fn drained(a: Named, b: Named) -> String {
    match (a.1.drain_seconds, b.1.drain_seconds) {
        (Some(x), Some(y)) => {
            let ((first, fast), (second, slow)) = if x <= y { ((a, x), (b, y)) } else { ((b, y), (a, x)) };
            let (first, second) = (title(first.0), title(second.0));
            if slow - fast < 0.05 * slow {
                return format!(
                    "Both drained at about the same time: {first} after {}, {second} after {}.",
                    seconds(fast),
                    seconds(slow)
                );
            }
            let factor = slow / fast.max(1e-3);
            format!(
                "{first} drained first, after {}; {second} took {}, {factor:.1} times as long.",
                seconds(fast),
                seconds(slow)
            )
        }
        (Some(x), None) => format!("{} drained after {}; {} did not drain.", title(a.0), seconds(x), title(b.0)),
        (None, Some(y)) => format!("{} drained after {}; {} did not drain.", title(b.0), seconds(y), title(a.0)),
        (None, None) => "Neither target drained.".to_owned(),
    }
}

fn tail(a: Named, b: Named) -> Option<String> {
    let (x, y) = (a.1.latency_seconds?, b.1.latency_seconds?);
    let better = if x.p95 <= y.p95 { a } else { b };
    Some(format!(
        "Of a hundred messages, 95 were done within {} on {} and within {} on {}: {} has the shorter tail.",
        seconds(x.p95),
        title(a.0),
        seconds(y.p95),
        title(b.0),
        title(better.0),
    ))
}

fn capacity((name, target): (&str, &Target)) -> String {
    let unit = if name == "Lambda" { "concurrent invocations" } else { "pods" };
    let at_once = match target.in_host_concurrency {
        1 => "each with one message at a time".to_owned(),
        n => format!("each with up to {n} messages at once"),
    };
    format!("{name} peaked at {} {unit}, {at_once}.", count(target.peak_capacity.into()))
}

fn spent(a: Named, b: Named) -> String {
    let requests = |(name, target): Named| {
        let each = target.requests.per_message(target.messages.sent)?;
        Some(format!("{} {each:.2}", title(name)))
    };
    let mut out = format!("{} {}", capacity((title(a.0), a.1)), capacity((title(b.0), b.1)));
    if let (Some(x), Some(y)) = (requests(a), requests(b)) {
        out.push_str(&format!(" SQS requests a message: {x}, {y}."));
    }
    out
}

fn safety(targets: &[Named]) -> String {
    let mut lost = Vec::new();
    for (name, target) in targets {
        match target.messages.lost {
            Some(0) => {}
            Some(n) => lost.push(format!("{} lost {}", title(name), count(n))),
            None => lost.push(format!("whether {} lost any is not known", title(name))),
        }
    }
    if lost.is_empty() { "No message was lost.".to_owned() } else { format!("Mind: {}.", lost.join(", ")) }
}
