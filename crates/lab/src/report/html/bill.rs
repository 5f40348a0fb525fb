//! The bill: a bar of its parts for each target, on one scale, and the lines with the unit prices behind them.

use std::fmt::Write as _;

use super::super::figures::{bills, count, heading, usd};
use super::escape;
use crate::cost::{Bill, Line, Prices};
use crate::run::Run;

/// A month of such days.
pub(super) fn bill(run: &Run, prices: &Prices) -> String {
    let bills = bills(run, prices);
    let most = bills.iter().flatten().map(|bill| bill.month_usd).fold(f64::MIN_POSITIVE, f64::max);
    let mut out = format!(
        "<h2>The bill: thirty days, each with this run in it</h2><p class=\"soft\">{}; prices of {}, {}. \
         A cluster's control plane counts in full; other workloads on it would share that line.</p>",
        escape(&heading(run)),
        escape(&prices.region),
        escape(&prices.date)
    );
    for ((kind, _), bill) in run.targets.iter().zip(bills) {
        match bill {
            Some(bill) => one(&mut out, kind.title(), &bill, most),
            None => {
                let _ = write!(out, "<p>{}: the run does not know what was used.</p>", kind.title());
            }
        }
    }
    out
}

fn one(out: &mut String, target: &str, bill: &Bill, most: f64) {
    let (month, million) = (usd(bill.month_usd), usd(bill.usd_per_million));
    let _ = write!(
        out,
        "<h3>{target}: {month} a month, {million} a million messages</h3><div class=\"bar\" role=\"img\" \
         aria-label=\"{target}: {month} a month, line by line in the table below\">"
    );
    for (n, line) in bill.month.iter().enumerate() {
        let (share, item) = (line.usd / most * 100.0, escape(&line.item));
        let _ = write!(out, "<i class=\"c{}\" style=\"width:{share:.2}%\" title=\"{item}\"></i>", n % 6);
    }
    let _ = write!(
        out,
        "</div><div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"The bill of {target}\"><table><thead><tr>\
         <th scope=\"col\">item</th><th scope=\"col\">quantity</th><th scope=\"col\" class=\"text\">unit</th>\
         <th scope=\"col\" class=\"text\">unit price</th><th scope=\"col\">USD a month</th>\
         <th scope=\"col\" class=\"text\">price from</th></tr></thead><tbody>"
    );
    for (n, line) in bill.month.iter().enumerate() {
        let _ = write!(
            out,
            "<tr><th scope=\"row\"><span class=\"swatch c{}\"></span>{}</th><td>{}</td><td class=\"text\">{}</td>\
             <td class=\"text\">{}</td><td>{:.2}</td><td class=\"text soft\">{}</td></tr>",
            n % 6,
            escape(&line.item),
            count(line.quantity.round() as u64),
            escape(&line.unit),
            unit_price(line),
            line.usd,
            escape(&line.source)
        );
    }
    let _ = write!(
        out,
        "<tr><th scope=\"row\">total</th><td></td><td></td><td></td><td><b>{:.2}</b></td><td></td></tr></tbody></table></div>",
        bill.month_usd
    );
}

/// What one unit comes to in this bill: over all tiers, and less what is free.
fn unit_price(line: &Line) -> String {
    match line.usd / line.quantity {
        unknown if !unknown.is_finite() => "–".to_owned(),
        small if small < 0.001 => format!("${:.2} a million", small * 1e6),
        price => format!("${price:.5}"),
    }
}
