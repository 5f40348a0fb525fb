//! The report for a terminal: the verdict, one table, a sparkline a target, the timeline of decisions.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use console::{Style, StyledObject};

use super::figures::{Figure, changes, doubts, figures, heading, over_seeds, printable, seconds, seeds, sparkline};
use super::verdict::verdict;
use crate::cost::Prices;
use crate::run::{Decision, Run, Target};
use crate::target::TargetKind;

/// Writes the report as plain text, with colour for a terminal that is to have it.
pub fn text(run: &Run, prices: &Prices, color: bool) -> String {
    let paint = |kind: TargetKind| Style::new().color256(kind.color()).bold().force_styling(color);
    let mut out = table(run, &heading(run), figures(run, prices));
    if let Some(seeds) = seeds(run) {
        let heading = format!("over {seeds} seeds: median (95 % interval)");
        let _ = write!(out, "\n{}", table(run, &heading, over_seeds(run)));
    }
    let _ = writeln!(out, "\n{}", verdict(run, prices).join("\n"));
    for (kind, target) in run.targets.iter() {
        let name: StyledObject<&str> = paint(kind).apply_to(kind.title());
        let line = paint(kind).apply_to(sparkline(target, 60));
        let _ = writeln!(out, "\n{name}: backlog until drained\n  {line}");
        decisions(&mut out, target);
    }
    for doubt in doubts(run, prices) {
        let _ = writeln!(out, "\nin doubt: {}", printable(&doubt));
    }
    for warning in &run.warnings {
        let _ = writeln!(out, "\nnote: {}", printable(warning));
    }
    out
}

fn table(run: &Run, heading: &str, figures: Vec<Figure>) -> String {
    let names = run.targets.iter().map(|(kind, _)| kind.title().to_owned());
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(std::iter::once(heading.to_owned()).chain(names));
    for figure in figures {
        table.add_row(std::iter::once(figure.name).chain(figure.values));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// The changes of capacity, as many as there is room for; they and the looks that changed nothing are all in run.json.
fn decisions(out: &mut String, target: &Target) {
    let (first, left_out, last) = changes(target);
    first.into_iter().for_each(|change| decision(out, change));
    if left_out > 0 {
        let _ = writeln!(out, "               … {left_out} changes more, in run.json …");
    }
    last.into_iter().for_each(|change| decision(out, change));
}

fn decision(out: &mut String, decision: &Decision) {
    let reason = decision.word();
    let t = seconds(decision.t);
    let Decision { from, to, by, .. } = decision;
    let _ = write!(out, "  {t:>11}  {from:>4} → {to:<4}  {by:<22}  {reason}");
    let _ = match decision.detail.as_str() {
        "" => writeln!(out),
        detail => writeln!(out, ": {}", printable(detail)),
    };
}
