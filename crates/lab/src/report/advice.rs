//! Advice for a terminal and for a pull request.

use std::fmt::Write as _;

use super::figures::{seconds, usd};
use crate::advise::{Advice, Advised, Interval, Measured};

/// Writes the advice as plain text.
pub fn text(advised: &Advised) -> String {
    let mut out = String::new();
    for advice in &advised.targets {
        let _ = writeln!(out, "{}: {} settings tried for {}", advice.target.title(), advice.tried, advised.goal);
        for (word, told) in lines(advised, advice) {
            let _ = writeln!(out, "  {word:<8}  {told}");
        }
        for change in shown(advice).into_iter().flat_map(|measured| &measured.changes) {
            let _ = writeln!(out, "            {}: {}: {} -> {}", change.file, change.field, change.from, change.to);
        }
        if !advice.front.is_empty() {
            let _ = writeln!(out, "  cheapest for each speed:");
        }
        for measured in &advice.front {
            let _ = writeln!(out, "            {}   {}", figures(advised, measured), changes(measured));
        }
        for told in &advice.left_out {
            let _ = writeln!(out, "  {told}");
        }
        out.push('\n');
    }
    if let Some(uncertainty) = &advised.uncertainty {
        let _ = writeln!(out, "{}\n", uncertainty.told());
    }
    for patch in &advised.patches {
        let _ = writeln!(out, "{}", patch.diff);
    }
    let _ = writeln!(
        out,
        "A month is thirty days, each with the scenario once in it. In brackets: 95 % intervals over {} seeds, each with other \
         values of what the models had to estimate.",
        advised.seeds
    );
    let _ = writeln!(
        out,
        "Prices of {}, {}; where each was read stands in the price file.",
        advised.region, advised.prices_date
    );
    out
}

/// Writes the advice as Markdown.
pub fn markdown(advised: &Advised) -> String {
    let mut out =
        format!("| {} | {} | USD a month | changes |\n|---|---:|---:|---|\n", advised.goal, advised.goal.figure);
    for advice in &advised.targets {
        let rows = [("as it is", advice.now.as_ref()), (word(advice), shown(advice))];
        let rows = rows.into_iter().filter_map(|(word, measured)| Some((word, measured?)));
        let rows = rows.chain(advice.front.iter().map(|m| ("front", m)));
        for (word, measured) in rows {
            let time = interval(&measured.seconds, seconds);
            let money = interval(&measured.usd, |usd| format!("{usd:.2}"));
            let _ = writeln!(out, "| {}, {word} | {time} | {money} | {} |", advice.target.title(), changes(measured));
        }
    }
    for advice in &advised.targets {
        let told = advice.now_fails.iter().map(|why| format!("as it is, it fails: {why}"));
        for told in told.chain(advice.left_out.iter().cloned()) {
            let _ = writeln!(out, "\n> {}: {told}", advice.target.title());
        }
    }
    if let Some(uncertainty) = &advised.uncertainty {
        let _ = writeln!(out, "\n{}", uncertainty.told());
    }
    for patch in &advised.patches {
        let _ = writeln!(out, "\n```diff\n{}```", patch.diff);
    }
    out
}

/// The scenario as it is, and what the search found.
fn lines(advised: &Advised, advice: &Advice) -> Vec<(&'static str, String)> {
    let now = match (&advice.now, &advice.now_fails) {
        (Some(now), _) => figures(advised, now),
        (None, Some(why)) => format!("fails: {why}"),
        (None, None) => "was not tried".to_owned(),
    };
    let found = match shown(advice) {
        Some(_) if advice.stays() => "as it is: nothing that was tried is better".to_owned(),
        Some(measured) => figures(advised, measured),
        None if advice.tried == 0 => "not known".to_owned(),
        None => "none: every setting that was tried failed".to_owned(),
    };
    vec![("as it is", now), (word(advice), found)]
}

fn word(advice: &Advice) -> &'static str {
    match &advice.best {
        Some(_) => "best",
        None if advice.tried == 0 => "best",
        None => "nothing meets it; nearest",
    }
}

/// The best, or what came nearest where nothing meets the goal.
fn shown(advice: &Advice) -> Option<&Measured> {
    advice.best.as_ref().or(advice.nearest.as_ref())
}

fn figures(advised: &Advised, measured: &Measured) -> String {
    let money = &measured.usd;
    let time = interval(&measured.seconds, seconds);
    format!("{} a month ({} to {}), {} {time}", usd(money.mean), usd(money.low), usd(money.high), advised.goal.figure)
}

fn changes(measured: &Measured) -> String {
    let changes: Vec<String> = measured.changes.iter().map(|c| format!("{} {}", c.field, c.to)).collect();
    if changes.is_empty() { "as it is".to_owned() } else { changes.join(", ") }
}

fn interval(interval: &Interval, write: fn(f64) -> String) -> String {
    format!("{} ({} to {})", write(interval.mean), write(interval.low), write(interval.high))
}
