//! What the gate found, for a terminal and for a pull request.

use std::fmt::Write as _;

use super::figures::{count, printable, seconds, usd};
use super::markdown::cell;
use crate::gate::{Achieved, Gated, Judged, interval};
use crate::run::Decision;

/// Writes it as plain text.
pub fn text(gated: &Gated) -> String {
    let mut out = format!("{}\n", headline(gated));
    for reason in &gated.reasons {
        let _ = writeln!(out, "  {}", printable(reason));
    }
    for change in &gated.changes {
        let _ = writeln!(out, "  {}: {}: {} -> {}", change.file, change.field, change.from, change.to);
    }
    for judged in &gated.judged {
        let _ = writeln!(out, "\n{}, {}", printable(&judged.scenario), judged.target.title());
        for (word, achieved) in sides(judged) {
            let _ = writeln!(
                out,
                "  {word:<6}  {}, {} a month, {}",
                achieved.told(gated.goal),
                bill(achieved),
                capacity(judged, achieved)
            );
        }
        if let Some(told) = parted(judged) {
            let _ = writeln!(out, "  {}", printable(&told));
        }
    }
    for (n, note) in gated.notes.iter().enumerate() {
        let _ = writeln!(out, "{}note: {}", if n == 0 { "\n" } else { "" }, printable(note));
    }
    let _ = writeln!(out, "\n{}", foot(gated));
    out
}

/// Writes it as Markdown.
pub fn markdown(gated: &Gated) -> String {
    let mut out = format!("**{}**\n", cell(&headline(gated)));
    for (n, reason) in gated.reasons.iter().enumerate() {
        let _ = writeln!(out, "{}- {}", if n == 0 { "\n" } else { "" }, cell(reason));
    }
    if !gated.changes.is_empty() {
        out.push_str("\n| setting | before | now | file |\n|---|---|---|---|\n");
    }
    for change in &gated.changes {
        let [field, from, to, file] = [&change.field, &change.from, &change.to, &change.file].map(|text| cell(text));
        let _ = writeln!(out, "| {field} | {from} | {to} | {file} |");
    }
    if !gated.judged.is_empty() {
        let figure = gated.goal.figure;
        let _ = writeln!(out, "\n| scenario | | {figure} | USD a month | capacity |\n|---|---|---:|---:|---|");
    }
    for judged in &gated.judged {
        for (word, achieved) in sides(judged) {
            let figure = match &achieved.seconds {
                Some(figure) => interval(figure, seconds),
                None => achieved.told(gated.goal),
            };
            let missed = if achieved.meets { "" } else { " ✗" };
            let _ = writeln!(
                out,
                "| {}, {} | {word} | {}{missed} | {} | {} |",
                cell(&judged.scenario),
                judged.target.title(),
                cell(&figure),
                bill(achieved),
                capacity(judged, achieved)
            );
        }
    }
    let parted: Vec<String> = gated.judged.iter().filter_map(parted_named).collect();
    details(&mut out, "Where the decisions of scaling part", &parted);
    details(&mut out, "Notes", &gated.notes);
    let _ = writeln!(out, "\n{}", cell(&foot(gated)));
    out
}

fn headline(gated: &Gated) -> String {
    let against = format!("{} against {}", gated.head, gated.base);
    match (gated.passed, gated.changes.is_empty() && gated.judged.is_empty()) {
        (true, true) => format!("twinscale gate: passed: {against} changes no setting that the models know"),
        (true, false) => format!("twinscale gate: passed: {against}"),
        (false, _) => format!("twinscale gate: failed: {against}"),
    }
}

fn sides(judged: &Judged) -> Vec<(&'static str, &Achieved)> {
    judged.before.iter().map(|before| ("before", before)).chain([("now", &judged.after)]).collect()
}

fn bill(achieved: &Achieved) -> String {
    achieved.usd.as_ref().map_or("–".to_owned(), |bill| interval(bill, usd))
}

fn capacity(judged: &Judged, achieved: &Achieved) -> String {
    let peak = count(achieved.peak_capacity.into());
    let changes = count(achieved.changes);
    format!("{peak} {} at most, {changes} changes", judged.target.units())
}

fn parted_named(judged: &Judged) -> Option<String> {
    parted(judged).map(|told| format!("{}, {}: {told}", judged.scenario, judged.target.title()))
}

/// Where the decisions part, as a sentence.
fn parted(judged: &Judged) -> Option<String> {
    let parting = judged.parting.as_ref()?;
    let side = |decision: &Option<Decision>| match decision {
        None => "nothing more".to_owned(),
        Some(Decision { t, from, to, by, .. }) => {
            let word = decision.as_ref().map(Decision::word).unwrap_or_default();
            format!("{} {by} {from} → {to} ({word})", seconds(*t))
        }
    };
    Some(format!("decisions part: before, {}; now, {}", side(&parting.before), side(&parting.after)))
}

fn details(out: &mut String, summary: &str, all: &[String]) {
    if all.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n<details><summary>{summary} ({})</summary>\n", all.len());
    for one in all {
        let _ = writeln!(out, "- {}", cell(one));
    }
    out.push_str("\n</details>\n");
}

fn foot(gated: &Gated) -> String {
    let more = gated.max_cost_increase.map_or(String::new(), |most| format!(", at most {most} more a month"));
    format!(
        "Asked for: {}{more}. By simulation; in brackets 95 % intervals over {} seeds. Prices of {}, {}.",
        gated.goal, gated.seeds, gated.region, gated.prices_date
    )
}
