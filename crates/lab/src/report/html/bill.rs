//! The bill: a bar of its parts for each target, on one scale, and the lines with the unit prices behind them.

use maud::{Markup, html};

use super::super::figures::{bills, count, usd};
use super::picture::Color;
use super::tables::wide;
use crate::cost::{Bill, BillLine, Prices};
use crate::run::Run;
use crate::target::TargetKind;

/// A month of such days.
pub(super) fn bill(run: &Run, name: &str, prices: &Prices) -> Markup {
    let bills = bills(run, prices);
    let most = bills.iter().flatten().map(|bill| bill.month_usd).fold(f64::MIN_POSITIVE, f64::max);
    html! {
        h2 { "The bill: thirty days, each with this run in it" }
        p class="soft" {
            (name) "; prices of " (prices.region) ", " (prices.date) ". A cluster's control plane counts in full; \
             other workloads on it would share that line."
        }
        @for ((kind, _), bill) in run.targets.iter().zip(&bills) {
            @match bill {
                Some(bill) => (one(kind, name, bill, most)),
                None => p { (kind.title()) ": no bill, since the target failed, or the run does not know what was used." },
            }
        }
    }
}

/// The parts of a bar, in the colour of their target: each paler than the one before, so that neighbours differ.
fn shade(part: usize) -> f64 {
    [1.0, 0.7, 0.45, 0.85, 0.6, 0.35][part % 6]
}

fn one(kind: TargetKind, name: &str, bill: &Bill, most: f64) -> Markup {
    let title = kind.title();
    let month = usd(bill.month_usd);
    let own = format!("--own: {}", Color::of(kind).variable());
    let table = html! {
        thead {
            tr {
                th scope="col" { "item" }
                th scope="col" { "quantity" }
                th scope="col" class="text" { "unit" }
                th scope="col" class="text" { "unit price" }
                th scope="col" { "USD a month" }
                th scope="col" class="text" { "price from" }
            }
        }
        tbody {
            @for (n, line) in bill.month.iter().enumerate() {
                tr {
                    th scope="row" { span class="swatch" style={ "opacity:" (shade(n)) } {} (line.item) }
                    td { (count(line.quantity.round() as u64)) }
                    td class="text" { (line.unit) }
                    td class="text" { (unit_price(line)) }
                    td { (format!("{:.2}", line.usd)) }
                    td class="text soft" {
                        (line.source) @if let Some(doubt) = &line.doubt { "; in doubt: " (doubt) }
                    }
                }
            }
            tr {
                th scope="row" { "total" }
                td {} td {} td {}
                td { b { (format!("{:.2}", bill.month_usd)) } }
                td {}
            }
        }
    };
    html! {
        div style=(own) {
            h3 { (title) ": " (month) " a month, " (usd(bill.usd_per_million)) " a million messages" }
            div class="bar" role="img" aria-label={ (title) ": " (month) " a month, line by line in the table below" } {
                @for (n, line) in bill.month.iter().enumerate() {
                    @let width = format!("{:.2}", line.usd / most * 100.0);
                    i style={ "width:" (width) "%;opacity:" (shade(n)) } title=(line.item) {}
                }
            }
            (wide(&format!("The bill of {title}, {name}"), table))
        }
    }
}

/// What one unit comes to in this bill: over all tiers, and less what is free.
fn unit_price(line: &BillLine) -> String {
    match line.usd / line.quantity {
        unknown if !unknown.is_finite() => "–".to_owned(),
        small if small < 0.001 => format!("${:.2} a million", small * 1e6),
        price => format!("${price:.5}"),
    }
}
