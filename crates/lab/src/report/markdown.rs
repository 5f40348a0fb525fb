//! The report for a pull request.

use std::fmt::Write as _;

use super::figures::{Figure, changes, doubts, figures, heading, over_seeds, printable, seconds, seeds};
use super::verdict::verdict;
use crate::cost::Prices;
use crate::run::{Decision, Run};

/// Writes the verdict, the comparison and the changes of capacity as Markdown.
pub fn markdown(run: &Run, prices: &Prices) -> String {
    let mut out = format!("{}\n\n", verdict(run, prices).join(" "));
    table(&mut out, run, &heading(run), figures(run, prices));
    if let Some(seeds) = seeds(run) {
        out.push('\n');
        table(&mut out, run, &format!("over {seeds} seeds: median (95 % interval)"), over_seeds(run));
    }
    for (kind, target) in run.targets.iter() {
        let name = kind.title();
        let (first, left_out, last) = changes(target);
        let count = first.len() + left_out + last.len();
        let _ = writeln!(out, "\n<details><summary>{name}: {count} changes of capacity</summary>\n");
        let _ = writeln!(out, "| at | capacity | by | why |\n|---:|---|---|---|");
        first.into_iter().for_each(|change| decision(&mut out, change));
        if left_out > 0 {
            let _ = writeln!(out, "| … | {left_out} changes more | | in run.json |");
        }
        last.into_iter().for_each(|change| decision(&mut out, change));
        out.push_str("\n</details>\n");
    }
    for doubt in doubts(run, prices) {
        let _ = writeln!(out, "\n> In doubt: {}", cell(&doubt));
    }
    for warning in &run.warnings {
        let _ = writeln!(out, "\n> {}", cell(warning));
    }
    out
}

fn decision(out: &mut String, decision: &Decision) {
    let t = seconds(decision.t);
    let Decision { from, to, by, .. } = decision;
    let why = cell(&format!("{} {}", decision.word(), decision.detail));
    let _ = writeln!(out, "| {t} | {from} → {to} | {by} | {} |", why.trim_end());
}

fn table(out: &mut String, run: &Run, heading: &str, figures: Vec<Figure>) {
    let names: Vec<&str> = run.targets.iter().map(|(kind, _)| kind.title()).collect();
    let _ = writeln!(out, "| {} | {} |", cell(heading), names.join(" | "));
    let _ = writeln!(out, "|---|{}", "---:|".repeat(names.len()));
    for figure in figures {
        let _ = writeln!(out, "| {} | {} |", figure.name, figure.values.join(" | "));
    }
}

/// Text that stays within its cell, and is no HTML.
pub(super) fn cell(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|")
}
