//! The figures as tables: of one run with a column a target, of several with a table a target and a column a run.

use maud::{Markup, html};

use super::super::figures::{Difference, Figure, count, figures, heading, over_seeds, seeds};
use super::looks::groups;
use super::{View, name};
use crate::run::{Run, Target};
use crate::target::TargetKind;

/// Rows of a target's table of changes at most.
const ROWS: usize = 100;

/// A table in a region that scrolls by itself.
pub(super) fn wide(label: &str, table: Markup) -> Markup {
    html! { div class="wide" role="region" tabindex="0" aria-label=(label) { table { (table) } } }
}

/// The figures of every run.
pub(super) fn tables(view: View) -> Markup {
    html! {
        h2 { "Figures" }
        @match view.runs {
            [run] => (of_one(run, &heading(run), &figures(run, view.prices))),
            runs => { @for kind in TargetKind::all() { (of_several(view, runs, *kind)) } },
        }
        @for (n, run) in view.runs.iter().enumerate() {
            @if let Some(seeds) = seeds(run) {
                @let caption = format!("{}, {seeds} seeds: median (95 % interval)", name(view.runs, n));
                (of_one(run, &caption, &over_seeds(run)))
            }
        }
    }
}

fn of_one(run: &Run, caption: &str, figures: &[Figure]) -> Markup {
    let table = html! {
        caption class="soft" { (caption) }
        thead { tr { td {} @for (kind, _) in run.targets.iter() { th scope="col" { (kind.title()) } } } }
        tbody {
            @for figure in figures {
                tr { th scope="row" { (figure.name) } @for value in &figure.values { td { (value) } } }
            }
        }
    };
    wide(caption, table)
}

/// One target in every run that has it: what is after the first column says how far it is from that.
fn of_several(view: View, runs: &[Run], kind: TargetKind) -> Markup {
    let has = |run: &&Run| run.targets.get(kind).is_some();
    let having: Vec<(usize, &Run)> = runs.iter().enumerate().filter(|(_, run)| has(run)).collect();
    let columns: Vec<Vec<Figure>> = having.iter().map(|(_, run)| of_kind(run, view, kind)).collect();
    let mut names: Vec<&str> = Vec::new();
    for figure in columns.iter().flatten() {
        if !names.contains(&figure.name.as_str()) {
            names.push(&figure.name);
        }
    }
    let cell = |column: &[Figure], name: &str| {
        let figure = column.iter().find(|figure| figure.name == name);
        figure.map(|figure| (figure.values.concat(), figure.amounts.first().copied().flatten()))
    };
    let title = kind.title();
    let table = html! {
        caption class="soft" { (title) }
        thead {
            tr { td {} @for (n, _) in &having { th scope="col" { (name(runs, *n)) } } }
        }
        tbody {
            @for name in names {
                @let first = columns.first().and_then(|column| cell(column, name)).and_then(|(_, amount)| amount);
                tr {
                    th scope="row" { (name) }
                    @for (at, column) in columns.iter().enumerate() {
                        td {
                            @if let Some((text, amount)) = cell(column, name) {
                                (text)
                                @if let (true, Some(now), Some(before)) = (at > 0, amount, first) {
                                    " " span class="difference" { (Difference { now, before }) }
                                }
                            } @else { "–" }
                        }
                    }
                }
            }
        }
    };
    html! { @if !having.is_empty() { (wide(title, table)) } }
}

/// The figures of one target of a run.
fn of_kind(run: &Run, view: View, kind: TargetKind) -> Vec<Figure> {
    let Some(at) = run.targets.iter().position(|(other, _)| other == kind) else { return Vec::new() };
    let only = |figure: Figure| Figure {
        values: figure.values.get(at).cloned().into_iter().collect(),
        amounts: figure.amounts.get(at).copied().into_iter().collect(),
        ..figure
    };
    figures(run, view.prices).into_iter().map(only).collect()
}

/// The changes of capacity of every target.
pub(super) fn decisions(runs: &[Run]) -> Markup {
    html! {
        h2 { "Decisions" }
        @for (n, run) in runs.iter().enumerate() {
            @for (kind, target) in run.targets.iter() { (changes(&numbered(runs, n, kind.title()), target)) }
        }
    }
}

/// The title of one target, with the number of its run where there are several.
fn numbered(runs: &[Run], n: usize, title: &str) -> String {
    if runs.len() > 1 { format!("{}. {title}", n + 1) } else { title.to_owned() }
}

/// The changes of one target; every look is in the table of its slots.
fn changes(title: &str, target: &Target) -> Markup {
    let number = count(target.changes().count() as u64);
    let looks = count(target.decisions.len() as u64);
    let label = format!("{title}: {number} changes of capacity in {looks} looks");
    let changes = Target { decisions: target.changes().cloned().collect(), ..Target::default() };
    let table = html! {
        thead {
            tr {
                th scope="col" { "at" }
                th scope="col" { "from" }
                th scope="col" { "to" }
                th scope="col" class="text" { "who" }
                th scope="col" class="text" { "why" }
                th scope="col" class="text" { "what was seen" }
            }
        }
        tbody {
            @for group in groups(&changes, ROWS).0 {
                @let (at, from, to) = group.when();
                @let (reason, detail) = group.why();
                tr {
                    td { (at) }
                    td { (from) }
                    td { (to) }
                    td class="text" { (group.last.by) }
                    td class="text" { (reason) }
                    td class="text" { (detail) }
                }
            }
        }
    };
    html! { details { summary { (label) } (wide(&label, table)) } }
}
