//! The parts of the page that are text and tables, readable without any script.

use std::fmt::Write as _;

use super::super::figures::{Figure, count, figures, heading, over_seeds, seeds};
use super::super::verdict::verdict;
use super::bill::bill;
use super::looks::groups;
use super::{Section, escape, runs};
use crate::cost::Prices;
use crate::run::{Run, Target};

/// Rows of a target's table of changes at most.
const ROWS: usize = 100;

/// All parts, in the order of the page. While a run goes on, there is no verdict yet.
pub(super) fn sections(runs: &[Run], prices: &Prices, live: bool) -> Vec<Section> {
    let bills = |run| if live { String::new() } else { bill(run, prices) };
    let summary = if live { runs.iter().map(so_far).collect() } else { summary(runs, prices) };
    vec![
        ("summary", summary),
        ("figures", runs.iter().map(|run| tables(run, prices)).collect()),
        ("pictures", runs::figures(runs)),
        ("bills", runs.iter().map(bills).collect()),
        ("decisions", runs.iter().enumerate().map(|(n, run)| decisions(run, n, runs.len())).collect()),
        ("scenario", runs.iter().enumerate().map(|(n, run)| scenario(run, n, runs.len())).collect()),
    ]
}

fn summary(runs: &[Run], prices: &Prices) -> String {
    let mut out = String::new();
    for (n, run) in runs.iter().enumerate() {
        let number =
            if runs.len() > 1 { format!("<b>{}. {}.</b> ", n + 1, escape(&heading(run))) } else { String::new() };
        let _ = write!(out, "<p class=\"verdict\">{number}{}</p>", escape(&verdict(run, prices).join(" ")));
        for warning in &run.warnings {
            let _ = write!(out, "<p class=\"note\">Note: {}</p>", escape(warning));
        }
    }
    out
}

fn so_far(run: &Run) -> String {
    let mut out = String::from("<p class=\"verdict\" role=\"status\">The run goes on.");
    for (kind, what) in run.targets.iter() {
        let (done, sent) = (count(what.messages.done), count(what.messages.sent));
        let _ = write!(out, " {}: {done} of {sent} messages done.", escape(kind.title()));
    }
    out + "</p>"
}

fn tables(run: &Run, prices: &Prices) -> String {
    let mut out = table(run, &heading(run), figures(run, prices));
    if let Some(seeds) = seeds(run) {
        let caption = format!("Over {seeds} seeds: median (95 % interval)");
        out.push_str(&table(run, &caption, over_seeds(run)));
    }
    out
}

fn table(run: &Run, caption: &str, figures: Vec<Figure>) -> String {
    let caption = escape(caption);
    let mut out = format!(
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\"><table><caption class=\"soft\">\
         {caption}</caption><thead><tr><td></td>"
    );
    for (kind, _) in run.targets.iter() {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(kind.title()));
    }
    out.push_str("</tr></thead><tbody>");
    for figure in figures {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(&figure.name));
        for value in figure.values {
            let _ = write!(out, "<td>{}</td>", escape(&value));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

fn decisions(run: &Run, n: usize, runs: usize) -> String {
    let mut out = String::new();
    for (kind, what) in run.targets.iter() {
        let number = if runs > 1 { format!("{}. ", n + 1) } else { String::new() };
        let (changes, looks) = (count(what.changes().count() as u64), count(what.decisions.len() as u64));
        let heading = format!("{number}{}: {changes} changes of capacity in {looks} looks", escape(kind.title()));
        let _ = write!(out, "<details open><summary>{heading}</summary>{}</details>", changes_table(what, &heading));
    }
    format!("<h2>Decisions</h2>{out}")
}

/// The changes; every look is in the table of the capacity's picture.
fn changes_table(target: &Target, label: &str) -> String {
    let mut out = format!(
        "<div class=\"wide\" role=\"region\" tabindex=\"0\" aria-label=\"{label}\"><table><thead><tr>\
         <th scope=\"col\">at</th><th scope=\"col\">from</th><th scope=\"col\">to</th>\
         <th scope=\"col\" class=\"text\">who</th><th scope=\"col\" class=\"text\">why</th>\
         <th scope=\"col\" class=\"text\">what was seen</th></tr></thead><tbody>"
    );
    let changes = Target { decisions: target.changes().cloned().collect(), ..Target::default() };
    for group in groups(&changes, ROWS).0 {
        let ((at, from, to), (reason, detail)) = (group.when(), group.why());
        let (by, reason, detail) = (escape(&group.last.by), escape(&reason), escape(&detail));
        let _ = write!(
            out,
            "<tr><td>{at}</td><td>{from}</td><td>{to}</td><td class=\"text\">{by}</td><td class=\"text\">{reason}</td>\
             <td class=\"text\">{detail}</td></tr>"
        );
    }
    out.push_str("</tbody></table></div>");
    out
}

fn scenario(run: &Run, n: usize, runs: usize) -> String {
    let number = if runs > 1 { format!("{}. ", n + 1) } else { String::new() };
    let json = serde_json::to_string_pretty(&run.scenario).unwrap_or_default();
    let mut out = format!(
        "<details><summary>{number}The scenario, with every setting that was in force</summary><pre tabindex=\"0\">{}</pre></details>",
        escape(&json)
    );
    for (kind, what) in run.targets.iter() {
        for (field, reason) in &what.unavailable {
            let (target, field, reason) = (escape(kind.title()), escape(field), escape(reason));
            let _ = write!(out, "<p class=\"note\">{target}: {field} is not known: {reason}</p>");
        }
    }
    out
}
