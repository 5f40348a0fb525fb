//! The report for a terminal: one table, a sparkline a target, the timeline of decisions.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use super::figures::{figures, seconds, sparkline, title};
use crate::compare::run::{Run, Target};

/// Writes the report as plain text, without colour.
pub fn text(run: &Run) -> String {
    let mut out = String::new();
    let names: Vec<&str> = run.targets.iter().map(|(name, _)| title(name)).collect();
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(std::iter::once(heading(run)).chain(names.iter().map(|n| (*n).to_owned())));
    for figure in figures(run) {
        table.add_row(std::iter::once(figure.name.to_owned()).chain(figure.values));
    }
    for at in 1..=names.len() {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let _ = writeln!(out, "{table}");
    for (name, target) in run.targets.iter() {
        let _ = writeln!(out, "\n{}: backlog until drained\n  {}", title(name), sparkline(target, 60));
        decisions(&mut out, target);
    }
    for warning in &run.warnings {
        let _ = writeln!(out, "\nnote: {warning}");
    }
    out
}

fn heading(run: &Run) -> String {
    let name = run.scenario.get("name").and_then(|n| n.as_str()).unwrap_or("scenario");
    match run.speed {
        Some(speed) if speed != 1.0 => format!("{name}, {} at speed {speed}", run.engine),
        _ => format!("{name}, {}", run.engine),
    }
}

/// The changes of capacity; looks that changed nothing are in run.json.
fn decisions(out: &mut String, target: &Target) {
    for decision in target.decisions.iter().filter(|d| d.from != d.to) {
        let reason = decision.reason.as_deref().unwrap_or("reason unknown");
        let (t, from, to) = (seconds(decision.t), decision.from, decision.to);
        let _ = write!(out, "  {t:>9}  {from:>4} → {to:<4}  {:<22}  {reason}", decision.by);
        let _ = match decision.detail.as_str() {
            "" => writeln!(out),
            detail => writeln!(out, ": {detail}"),
        };
    }
}
