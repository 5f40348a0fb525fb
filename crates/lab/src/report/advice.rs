//! Advice for a terminal and for a pull request.

use std::fmt::Write as _;

use super::figures::usd;
use crate::advise::{Advice, Advised, Interval, Measured};

/// Writes the advice as plain text.
pub fn text(advised: &Advised) -> String {
    let mut out = String::new();
    for advice in &advised.targets {
        let _ = writeln!(out, "{}: {} settings tried for {}", advice.target.title(), advice.tried, advised.goal);
        let _ = writeln!(out, "  as it is  {}", figures(advised, &advice.now));
        let (word, shown) = shown(advice);
        let _ = writeln!(out, "  {word:<8}  {}", figures(advised, shown));
        for change in &shown.changes {
            let _ = writeln!(out, "            {}: {}: {} -> {}", change.file, change.field, change.from, change.to);
        }
        let _ = writeln!(out, "  cheapest for each speed:");
        for measured in &advice.front {
            let _ = writeln!(out, "            {}   {}", figures(advised, measured), changes(measured));
        }
        out.push('\n');
    }
    for patch in &advised.patches {
        let _ = writeln!(out, "{}", patch.diff);
    }
    let _ = writeln!(
        out,
        "A month is thirty days, each with the scenario once in it. In brackets: 95 % intervals over {} seeds.",
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
        let (word, shown) = shown(advice);
        let rows =
            [("as it is", &advice.now), (word, shown)].into_iter().chain(advice.front.iter().map(|m| ("front", m)));
        for (word, measured) in rows {
            let (seconds, money) = (interval(&measured.seconds, " s"), interval(&measured.usd, ""));
            let _ =
                writeln!(out, "| {}, {word} | {seconds} | {money} | {} |", advice.target.title(), changes(measured));
        }
    }
    for patch in &advised.patches {
        let _ = writeln!(out, "\n```diff\n{}```", patch.diff);
    }
    out
}

/// The best, or what came nearest where nothing meets the goal.
fn shown(advice: &Advice) -> (&'static str, &Measured) {
    match &advice.best {
        Some(best) => ("best", best),
        None => ("nothing meets it; nearest", &advice.nearest),
    }
}

fn figures(advised: &Advised, measured: &Measured) -> String {
    let money = &measured.usd;
    let seconds = interval(&measured.seconds, " s");
    format!(
        "{} a month ({} to {}), {} {seconds}",
        usd(money.mean),
        usd(money.low),
        usd(money.high),
        advised.goal.figure
    )
}

fn changes(measured: &Measured) -> String {
    let changes: Vec<String> = measured.changes.iter().map(|c| format!("{} {}", c.field, c.to)).collect();
    if changes.is_empty() { "as it is".to_owned() } else { changes.join(", ") }
}

fn interval(interval: &Interval, unit: &str) -> String {
    format!("{:.2}{unit} ({:.2} to {:.2})", interval.mean, interval.low, interval.high)
}
