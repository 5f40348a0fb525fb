//! The page of a decision: its five lines before the run with the chosen settings.

use maud::{Markup, html};

use super::super::decision::lines;
use super::super::figures::printable;
use super::backtest::backtest;
use super::sections::sections;
use super::{Section, Standing, View, data, whole};
use crate::cost::Prices;
use crate::decide::Decided;
use crate::run::Run;

/// The answer, and then what the page of a run shows.
pub fn decision_page(decided: &Decided, run: &Run, prices: &Prices) -> String {
    let view = View { goal: Some(decided.goal), ..View::of(std::slice::from_ref(run), prices) };
    let mut data = data(view, Standing::Finished);
    let mut parts = vec![Section { id: "answer", html: answer(decided) }];
    if let Some(found) = &decided.backtest {
        parts.push(Section { id: "backtest", html: backtest(found, &mut data) });
    }
    parts.extend(sections(view, Standing::Finished));
    let title = format!("Twinscale: EKS or Lambda for {}, {}", decided.scenario.name, decided.goal);
    whole(&printable(&title), parts, &data, "")
}

fn answer(decided: &Decided) -> Markup {
    html! {
        h2 { "The answer" }
        dl { @for (asks, told) in lines(decided) { dt { b { (asks) } } dd { (told) } } }
        @for told in &decided.left_out { p class="note" { (told) } }
        @for contender in &decided.contenders {
            @let found = contender.advice.best.as_ref().or(contender.advice.nearest.as_ref());
            @let changes = found.into_iter().flat_map(|found| &found.changes);
            @let changes: Vec<_> = changes.map(|c| format!("{} {} → {}", c.field, c.from, c.to)).collect();
            p class="soft" {
                (contender.target.title()) ": " (contender.advice.tried) " settings tried; below it runs with: "
                @if changes.is_empty() { "no change" } @else { (changes.join("; ")) } "."
            }
        }
    }
}
