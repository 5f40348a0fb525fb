//! The first screen: a card for each target, with the winner in its colour, and one sentence.

use maud::{Markup, html};

use super::super::figures::{Difference, bills, count, seconds, usd};
use super::super::headline::{Headline, headline};
use super::picture::Color;
use super::{Standing, View, name};
use crate::cost::Bill;
use crate::run::{Failure, Run, Target};
use crate::target::TargetKind;

/// What a card is made of.
struct Card<'a> {
    kind: TargetKind,
    target: &'a Target,
    bill: Option<Bill>,
    failure: Option<Failure>,
    limit: Option<String>,
    wins: bool,
    /// The same target of the first run, where this is another run.
    before: Option<Before<'a>>,
}

/// What a run is compared with.
struct Before<'a> {
    target: &'a Target,
    month_usd: Option<f64>,
}

/// The cards of every run, each with its sentence.
pub(super) fn cards(view: View, standing: Standing) -> Markup {
    html! {
        @for (n, run) in view.runs.iter().enumerate() {
            @if view.runs.len() > 1 { h2 { (name(view.runs, n)) } }
            @match standing {
                Standing::Going => (going(run)),
                Standing::Finished => (finished(view, run, (n > 0).then_some(&view.runs[0]))),
            }
        }
    }
}

fn finished(view: View, run: &Run, first: Option<&Run>) -> Markup {
    let Headline { winner, told } = headline(run, view.prices, view.goal);
    let of_first = first.map(|first| (first, bills(first, view.prices)));
    let before = |kind| {
        let (first, bills) = of_first.as_ref()?;
        let at = first.targets.iter().position(|(other, _)| other == kind)?;
        let month_usd = bills[at].as_ref().map(|bill| bill.month_usd);
        Some(Before { target: first.targets.get(kind)?, month_usd })
    };
    let cards = run.targets.iter().zip(bills(run, view.prices)).map(|((kind, target), bill)| Card {
        kind,
        target,
        bill,
        failure: run.failure(kind),
        limit: run.limit(kind).map(|limit| limit.to_string()),
        wins: winner == Some(kind),
        before: before(kind),
    });
    let notes = run.warnings.len();
    html! {
        p class="verdict" style=[winner.map(own_color)] {
            (told)
            @if notes > 0 { " " a href="#words" { (notes) @if notes == 1 { " note" } @else { " notes" } } }
        }
        div class="cards" { @for card in cards { (one(view, &card)) } }
    }
}

/// The colour of a target, for what is inside.
fn own_color(kind: TargetKind) -> String {
    format!("--own: {}", Color::of(kind).variable())
}

fn one(view: View, card: &Card) -> Markup {
    let Card { kind, target, failure, before, .. } = card;
    let class = if card.wins { "card wins" } else { "card" };
    let month = card.bill.as_ref().map(|bill| bill.month_usd);
    let messages = &target.messages;
    html! {
        article class=(class) style=(own_color(*kind)) {
            h2 {
                (kind.title())
                @if card.wins { span class="badge" { "wins" } }
                @if failure.is_some() { span class="badge" { "failed" } }
            }
            p class="big" {
                @match month {
                    Some(month) => { (usd(month)) " " small { "a month" } },
                    None => { "–" " " small { "no bill" } },
                }
                (difference(month, before.as_ref().and_then(|before| before.month_usd)))
            }
            @if let Some(failure) = failure { p { (failure.to_string()) } }
            dl {
                (latency(view, card))
                dt { "done" }
                dd {
                    (count(messages.done)) " of " (count(messages.sent))
                    @if let Some(drain) = target.drain_seconds.filter(|_| messages.done > 0) {
                        " in " (seconds(drain))
                        (difference(Some(drain), before.as_ref().and_then(|before| before.target.drain_seconds)))
                    }
                }
                dt { "limited by" }
                dd { (card.limit.as_deref().unwrap_or("nothing that shows")) }
            }
        }
    }
}

/// The goal's figure against the goal, or p95 where there is none.
fn latency(view: View, card: &Card) -> Markup {
    let p95 = |target: &Target| target.latency_seconds.map(|latency| latency.p95);
    let figure = |target: &Target| view.goal.map_or_else(|| p95(target), |goal| goal.figure(target));
    let name = view.goal.map_or("p95".to_owned(), |goal| goal.figure.to_string());
    let now = figure(card.target);
    html! {
        dt { (name) }
        dd {
            (now.map_or("–".to_owned(), seconds))
            (difference(now, card.before.as_ref().and_then(|before| figure(before.target))))
            @if let (Some(goal), Some(now)) = (view.goal, now) {
                @let within = goal.within.as_secs_f64();
                @let most = within.max(now).max(f64::MIN_POSITIVE) * 1.05;
                @let told = if now <= within { "met" } else { "missed" };
                span class={ "goal " (told) } { ", goal " (seconds(within)) ": " (told) }
                div class="against" aria-hidden="true" {
                    i style={ "width:" (format!("{:.1}", now / most * 100.0)) "%" } {}
                    b style={ "left:" (format!("{:.1}", within / most * 100.0)) "%" } {}
                }
            }
        }
    }
}

/// How far a figure is from that of the first run.
fn difference(now: Option<f64>, before: Option<f64>) -> Markup {
    let told = now.zip(before).map(|(now, before)| Difference { now, before }.to_string());
    html! { @if let Some(told) = told { " " span class="difference" { (told) } } }
}

/// A race: how far each is.
fn going(run: &Run) -> Markup {
    html! {
        p class="verdict" { "The run goes on." }
        div class="cards" {
            @for (kind, target) in run.targets.iter() { (so_far(run, kind, target)) }
        }
    }
}

fn so_far(run: &Run, kind: TargetKind, target: &Target) -> Markup {
    let messages = &target.messages;
    let all = run.scenario.messages.max(messages.sent).max(1);
    let last = target.samples.last();
    let p95 = target.flow.as_ref().and_then(|flow| flow.p95_seconds.iter().rev().find_map(|p95| *p95));
    let share = messages.done as f64 / all as f64 * 100.0;
    html! {
        article class="card" style=(own_color(kind)) {
            h2 { (kind.title()) }
            p class="big" { (count(messages.done)) " " small { "of " (count(all)) " done" } }
            div class="against" aria-hidden="true" { i style={ "width:" (format!("{share:.1}")) "%" } {} }
            dl {
                dt { "at" } dd { (last.map_or("–".to_owned(), |sample| seconds(sample.t))) }
                dt { "backlog" } dd { (last.map_or("–".to_owned(), |sample| count(Target::backlog(sample)))) }
                dt { "p95 just now" } dd { (p95.map_or("–".to_owned(), seconds)) }
                dt { (kind.units()) } dd { (last.map_or("–".to_owned(), |sample| count(sample.capacity.into()))) }
            }
        }
    }
}
