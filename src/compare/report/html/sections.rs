//! The parts of the page that are text and tables, readable without any script.

use std::fmt::Write as _;

use super::super::figures::{count, figures, seconds, title};
use super::super::verdict::verdict;
use super::data::chosen;
use crate::compare::cost::{Bill, Options, Prices, bill_eks, bill_lambda};
use crate::compare::run::{Run, Target};

/// A part of the page: its id, and what is in it.
pub type Section = (&'static str, String);

/// All parts, in the order of the page. While a run goes on, there is no verdict yet.
pub fn sections(runs: &[Run], prices: &Prices, live: bool) -> Vec<Section> {
    let bills = |run| if live { String::new() } else { bill(run, prices) };
    let summary = if live { runs.iter().map(so_far).collect() } else { summary(runs) };
    vec![
        ("summary", summary),
        ("figures", runs.iter().map(|run| figures_table(run, runs.len() > 1)).collect()),
        ("pictures", pictures(runs)),
        ("bills", runs.iter().map(bills).collect()),
        ("decisions", runs.iter().enumerate().map(|(n, run)| decisions(run, n, runs.len())).collect()),
        ("scenario", runs.iter().enumerate().map(|(n, run)| scenario(run, n, runs.len())).collect()),
    ]
}

/// Text as HTML.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What a run is called.
pub fn name(run: &Run) -> String {
    let name = run.scenario.get("name").and_then(|name| name.as_str()).unwrap_or("scenario");
    match run.speed {
        Some(speed) if speed != 1.0 => format!("{name}, {} at speed {speed}", run.engine),
        _ => format!("{name}, {}", run.engine),
    }
}

fn summary(runs: &[Run]) -> String {
    let mut out = String::new();
    for (n, run) in runs.iter().enumerate() {
        let number = if runs.len() > 1 { format!("<b>{}. {}.</b> ", n + 1, escape(&name(run))) } else { String::new() };
        let _ = write!(out, "<p class=\"verdict\">{number}{}</p>", escape(&verdict(run)));
        for warning in &run.warnings {
            let _ = write!(out, "<p class=\"note\">Note: {}</p>", escape(warning));
        }
    }
    out
}

fn so_far(run: &Run) -> String {
    let mut out = String::from("<p class=\"verdict\" role=\"status\">The run goes on.");
    for (target, what) in run.targets.iter() {
        let (done, sent) = (count(what.messages.done), count(what.messages.sent));
        let _ = write!(out, " {}: {done} of {sent} messages done.", escape(title(target)));
    }
    out + "</p>"
}

fn figures_table(run: &Run, many: bool) -> String {
    let caption = if many { escape(&name(run)) } else { "all times in scenario seconds".to_owned() };
    let mut out = format!("<div class=\"wide\"><table><caption class=\"soft\">{caption}</caption><thead><tr><th></th>");
    for (target, _) in run.targets.iter() {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(title(target)));
    }
    out.push_str("</tr></thead><tbody>");
    for figure in figures(run) {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(figure.name));
        for value in figure.values {
            let _ = write!(out, "<td>{}</td>", escape(&value));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

fn pictures(runs: &[Run]) -> String {
    let mut out = String::new();
    out.push_str(&picture(
        "backlog",
        "The backlog",
        "Messages that wait or are worked on. Drag to zoom in, double-click to zoom out.",
    ));
    out.push_str(&picture(
        "capacity",
        "Capacity, and every decision about it",
        "Pods, or invocations under way. Full marks changed the capacity, hollow ones are looks that left it as it was; \
         each says what was seen, what was decided, and why.",
    ));
    out.push_str(&picture(
        "latency",
        "Latency",
        "Share of the messages that were done within a time, from sent to done. The marks are p50, p95 and p99.",
    ));
    out.push_str("<h2>Capacity used and wasted</h2>");
    let targets = runs.iter().flat_map(|run| run.targets.iter());
    for (n, (target, _)) in targets.enumerate() {
        let caption = "Messages that there is room for at once, and that are worked on: the gap is what idles.";
        out.push_str(&figure(&format!("use-{n}"), &format!("{}: {caption}", title(target))));
    }
    out
}

fn picture(id: &str, heading: &str, caption: &str) -> String {
    format!("<h2>{heading}</h2>{}", figure(id, caption))
}

fn figure(id: &str, caption: &str) -> String {
    format!(
        "<figure><div class=\"chart\" id=\"{id}\" role=\"group\" aria-label=\"{0}\"></div><figcaption>{0}</figcaption>\
         <details data-for=\"{id}\"><summary>The same as a table</summary><div class=\"wide\"><table>\
         <thead></thead><tbody></tbody></table></div></details></figure>",
        escape(caption)
    )
}

/// A month of such days: a bar of its parts for each target, on one scale, and the lines with the prices behind them.
fn bill(run: &Run, prices: &Prices) -> String {
    let options = Options::default();
    let bills: Vec<(&str, Bill)> =
        [("eks", bill_eks(run, prices, &options)), ("lambda", bill_lambda(run, prices, &options))]
            .into_iter()
            .filter_map(|(target, bill)| Some((title(target), bill?)))
            .collect();
    let most = bills.iter().map(|(_, bill)| bill.month_usd).fold(f64::MIN_POSITIVE, f64::max);
    let mut out = format!(
        "<h2>The bill: thirty days, each with this run in it</h2><p class=\"soft\">{}; prices of {}, {}. \
         A cluster's control plane counts in full; other workloads on it would share that line.</p>",
        escape(&name(run)),
        escape(&prices.region),
        escape(&prices.date)
    );
    for (target, bill) in &bills {
        let _ = write!(
            out,
            "<h3>{target}: ${:.2} a month, ${:.2} a million messages</h3><div class=\"bar\" role=\"img\" \
             aria-label=\"{target}: ${:.2} a month\">",
            bill.month_usd, bill.usd_per_million, bill.month_usd
        );
        for (n, line) in bill.month.iter().enumerate() {
            let (share, item) = (line.usd / most * 100.0, escape(&line.item));
            let _ = write!(out, "<i style=\"width:{share:.2}%;background:var(--c{})\" title=\"{item}\"></i>", n % 6);
        }
        out.push_str(
            "</div><div class=\"wide\"><table><thead><tr><th scope=\"col\">item</th><th scope=\"col\">quantity</th>\
             <th scope=\"col\" class=\"text\">unit</th><th scope=\"col\">USD a month</th><th scope=\"col\" class=\"text\">price from\
             </th></tr></thead><tbody>",
        );
        for (n, line) in bill.month.iter().enumerate() {
            let _ = write!(
                out,
                "<tr><th scope=\"row\"><span class=\"swatch\" style=\"background:var(--c{})\"></span>{}</th><td>{}</td>\
                 <td class=\"text\">{}</td><td>{:.2}</td><td class=\"text soft\">{}</td></tr>",
                n % 6,
                escape(&line.item),
                count(line.quantity.round() as u64),
                escape(&line.unit),
                line.usd,
                escape(&line.source)
            );
        }
        out.push_str("</tbody></table></div>");
    }
    out
}

fn decisions(run: &Run, n: usize, runs: usize) -> String {
    let mut out = String::new();
    for (target, what) in run.targets.iter() {
        let number = if runs > 1 { format!("{}. ", n + 1) } else { String::new() };
        let changes = what.decisions.iter().filter(|d| d.from != d.to).count();
        let heading = format!("{number}{}: {changes} changes of capacity", escape(title(target)));
        let _ = write!(out, "<details open><summary>{heading}</summary>");
        out.push_str(&decision_table(what, true));
        let _ = write!(out, "</details><details><summary>{number}{}: every look</summary>", escape(title(target)));
        out.push_str(&decision_table(what, false));
        out.push_str("</details>");
    }
    format!("<h2>Decisions</h2>{out}")
}

fn decision_table(target: &Target, only_changes: bool) -> String {
    let mut out = String::from(
        "<div class=\"wide\"><table><thead><tr><th scope=\"col\">at</th><th scope=\"col\">from</th><th scope=\"col\">to</th>\
         <th scope=\"col\" class=\"text\">who</th><th scope=\"col\" class=\"text\">why</th>\
         <th scope=\"col\" class=\"text\">what was seen</th></tr></thead><tbody>",
    );
    for decision in chosen(&target.decisions).filter(|d| !only_changes || d.from != d.to) {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"text\">{}</td><td class=\"text\">{}</td>\
             <td class=\"text\">{}</td></tr>",
            seconds(decision.t),
            decision.from,
            decision.to,
            escape(&decision.by),
            escape(decision.reason.as_deref().unwrap_or("unknown")),
            escape(&decision.detail),
        );
    }
    out.push_str("</tbody></table></div>");
    out
}

fn scenario(run: &Run, n: usize, runs: usize) -> String {
    let number = if runs > 1 { format!("{}. ", n + 1) } else { String::new() };
    let json = serde_json::to_string_pretty(&run.scenario).unwrap_or_default();
    let mut out = format!(
        "<details><summary>{number}The scenario, with every setting that was in force</summary><pre>{}</pre></details>",
        escape(&json)
    );
    for (target, what) in run.targets.iter() {
        for (field, reason) in &what.unavailable {
            let (target, field, reason) = (escape(title(target)), escape(field), escape(reason));
            let _ = write!(out, "<p class=\"note\">{target}: {field} is not known: {reason}</p>");
        }
    }
    out
}
