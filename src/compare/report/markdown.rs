//! The report for a pull request.

use std::fmt::Write as _;

use super::figures::{figures, seconds, title};
use crate::compare::run::Run;

/// Writes the comparison and the decisions as Markdown tables.
pub fn markdown(run: &Run) -> String {
    let mut out = String::new();
    let names: Vec<&str> = run.targets.iter().map(|(name, _)| title(name)).collect();
    let name = run.scenario.get("name").and_then(|n| n.as_str()).unwrap_or("scenario");
    let _ = writeln!(out, "| {name}, {} | {} |", run.engine, names.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(names.len()));
    for figure in figures(run) {
        let _ = writeln!(out, "| {} | {} |", figure.name, figure.values.join(" | "));
    }
    for (name, target) in run.targets.iter() {
        let _ = writeln!(out, "\n| {}: at | capacity | by | why |\n|---:|---|---|---|", title(name));
        for decision in target.decisions.iter().filter(|d| d.from != d.to) {
            let reason = decision.reason.as_deref().unwrap_or("unknown");
            let (t, from, to, by) = (seconds(decision.t), decision.from, decision.to, &decision.by);
            let _ = writeln!(out, "| {t} | {from} → {to} | {by} | {reason} {} |", decision.detail.replace('|', "\\|"));
        }
    }
    for warning in &run.warnings {
        let _ = writeln!(out, "\n> {warning}");
    }
    out
}
