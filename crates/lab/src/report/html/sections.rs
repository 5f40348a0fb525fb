//! The parts of the page, in their order: the answer, the pictures, the tables, and the text last.

use maud::{Markup, html};

use super::super::verdict::verdict;
use super::bill::bill;
use super::cards::cards;
use super::tables::{decisions, tables};
use super::{Section, Standing, View, distribution, name, time};
use crate::cost::Prices;
use crate::run::Run;
use crate::scenario::Scenario;

/// All parts, in the order of the page. While a run goes on, there are neither bills nor a verdict.
pub(super) fn sections(view: View, standing: Standing) -> Vec<Section> {
    let View { runs, prices, .. } = view;
    let finished = |part: Markup| match standing {
        Standing::Going => html! {},
        Standing::Finished => part,
    };
    vec![
        Section { id: "summary", html: cards(view, standing) },
        Section { id: "pictures", html: html! { (time::figures(view)) (distribution::figure()) } },
        Section { id: "figures", html: tables(view) },
        Section {
            id: "bills",
            html: finished(html! { @for (n, run) in runs.iter().enumerate() { (bill(run, &name(runs, n), prices)) } }),
        },
        Section { id: "decisions", html: decisions(runs) },
        Section { id: "words", html: finished(words(runs, prices)) },
        Section {
            id: "scenario",
            html: html! { @for (n, run) in runs.iter().enumerate() { (of_run(run, &name(runs, n))) } },
        },
    ]
}

/// The verdict in words, and what to know before trusting a figure.
fn words(runs: &[Run], prices: &Prices) -> Markup {
    html! {
        h2 { "In words" }
        @for (n, run) in runs.iter().enumerate() {
            p { @if runs.len() > 1 { b { (name(runs, n)) ". " } } (verdict(run, prices).join(" ")) }
            @for warning in &run.warnings { p class="note" { "Note: " (warning) } }
        }
    }
}

/// The settings of a run, and what it cannot know.
fn of_run(run: &Run, name: &str) -> Markup {
    html! {
        (scenario(&run.scenario, name))
        @for (kind, target) in run.targets.iter() {
            @for (field, reason) in &target.unavailable {
                p class="note" { (kind.title()) ": " (field) " is not known: " (reason) }
            }
        }
    }
}

/// A scenario as JSON, folded.
pub(super) fn scenario(of: &Scenario, name: &str) -> Markup {
    // A scenario is made of numbers, texts and maps with text keys: it has a JSON form.
    let json = serde_json::to_string_pretty(of).unwrap_or_default();
    html! {
        details {
            summary { (name) ": the scenario, with every setting that was in force" }
            pre tabindex="0" { (json) }
        }
    }
}
