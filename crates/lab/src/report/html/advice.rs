//! `advice.html`: cost over time of everything that was tried, with what there is now, the best, and the front; which target
//! wins; and the change of the files.

use maud::{Markup, html};

use super::super::figures::{count, printable, seconds, usd};
use super::picture::{Axis, Color, Data, Line, Look, Mark, Picture, Unit, all, data_table, panel};
use super::sections::scenario;
use super::tables::wide;
use super::{Section, whole};
use crate::advise::{Advice, Advised, FilePatch, Interval, Measured};

const ID: &str = "front";
const HEADING: &str = "Cost and time";

/// The page of what `twinscale advise` found.
pub fn advice_page(advised: &Advised) -> String {
    let mut data = Data::default();
    draw(advised, &mut data);
    let about = "each point is one setting: faint ones were tried, full ones are on the front, which no other setting beats in \
                 both; a square is the scenario as it is, a ring around a point the best that meets the goal";
    let sections = vec![
        Section { id: "summary", html: summary(advised) },
        Section { id: "pictures", html: html! { (panel(ID, HEADING, about)) (data_table(ID, HEADING)) } },
        Section { id: "diff", html: patches(&advised.patches) },
        Section { id: "settings", html: html! { @for advice in &advised.targets { (settings(advice)) } } },
        Section { id: "words", html: words(advised) },
        Section { id: "scenario", html: scenario(&advised.scenario, &printable(&advised.scenario.name)) },
    ];
    let title = format!("Twinscale: advice for {}, {}", advised.scenario.name, advised.goal);
    whole(&printable(&title), sections, &data, "")
}

fn draw(advised: &Advised, data: &mut Data) {
    let mut picture = Picture {
        id: ID.to_owned(),
        x: Axis { label: "the goal's figure", unit: Unit::Seconds, log: true, ..Axis::default() },
        y: Axis { label: "a month", unit: Unit::Usd, log: true, ..Axis::default() },
        ..Picture::default()
    };
    for advice in &advised.targets {
        front(data, &mut picture, advice);
    }
    let costs = || picture.marks.iter().map(|mark| mark.y);
    let lowest = costs().fold(f64::INFINITY, f64::min);
    let highest = costs().fold(0.0, f64::max);
    let goal = advised.goal.within.as_secs_f64();
    // A hair apart: points at one place along the axis would be one point.
    let x = data.column(vec![goal * 0.9999, goal * 1.0001]);
    let label = format!("goal: {}", advised.goal);
    let y = all([lowest, highest]);
    picture.lines.push(Line { label, color: Color::Goal, dash: 1, x, y, ..Line::default() });
    data.add(picture);
}

fn front(data: &mut Data, picture: &mut Picture, advice: &Advice) {
    let color = Color::of(advice.target);
    let title = advice.target.title();
    // A line needs its points in the order of its axis: the front goes from cheap to fast.
    let points: Vec<&Measured> = advice.front.iter().rev().collect();
    let x = data.column(points.iter().map(|m| m.seconds.mean).collect());
    let y = all(points.iter().map(|m| m.usd.mean));
    let label = format!("{title}, the front");
    picture.lines.push(Line { label, color, x, y, step: false, ..Line::default() });
    let mut put = |measured: &Measured, what: &str, text: &'static str, look: Look| {
        let tip = format!("{title}, {what}: {}\n{}", cost_and_time(measured), changes(measured));
        picture.marks.push(Mark { x: measured.seconds.mean, y: measured.usd.mean, color, look, text, tip });
    };
    // What is drawn last lies on top.
    advice.looked_at.iter().for_each(|m| put(m, "tried", "", Look::Faint));
    for measured in &points {
        let (what, look) = match measured.meets {
            true => ("on the front", Look::Full),
            false => ("on the front, and misses the goal", Look::Hollow),
        };
        put(measured, what, "", look);
    }
    advice.now.iter().for_each(|m| put(m, "as it is", "now", Look::Now));
    let best = advice.best.as_ref().filter(|_| !advice.stays());
    best.iter().for_each(|m| put(m, "the cheapest that meets the goal", "best", Look::Best));
}

fn summary(advised: &Advised) -> Markup {
    let winner = advised.winner();
    html! {
        p class="verdict" style=[winner.map(|advice| format!("--own: {}", Color::of(advice.target).variable()))] {
            (headline(advised))
        }
        div class="cards" { @for advice in &advised.targets { (card(advised, advice, winner)) } }
    }
}

/// Which target wins, in one sentence.
fn headline(advised: &Advised) -> String {
    let Some(winner) = advised.winner() else {
        return format!("Nothing that was tried meets {} on any target.", advised.goal);
    };
    let of = |advice: &Advice| advice.best.as_ref().map(|best| usd(best.usd.mean));
    let others = advised.targets.iter().filter(|other| other.target != winner.target);
    let others = others.map(|other| match of(other) {
        Some(usd) => format!("{} needs {usd}", other.target.title()),
        None if other.tried == 0 => format!("{} was not tried", other.target.title()),
        None => format!("{} meets it with no setting that was tried", other.target.title()),
    });
    let others: Vec<_> = others.collect();
    let rest = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let costs = of(winner).unwrap_or_default();
    format!("{} meets {} for {costs} a month{rest}.", winner.target.title(), advised.goal)
}

fn card(advised: &Advised, advice: &Advice, winner: Option<&Advice>) -> Markup {
    let wins = winner.is_some_and(|winner| winner.target == advice.target);
    let own = format!("--own: {}", Color::of(advice.target).variable());
    let shown = advice.best.as_ref().or(advice.nearest.as_ref());
    html! {
        article class={ "card" @if wins { " wins" } } style=(own) {
            h2 { (advice.target.title()) @if wins { span class="badge" { "wins" } } }
            @match shown {
                Some(shown) => {
                    p class="big" { (usd(shown.usd.mean)) " " small { "a month" } }
                    @if advice.best.is_none() { p { "Nothing that was tried meets " (advised.goal) "; this comes nearest." } }
                    dl {
                        dt { (advised.goal.figure) }
                        dd { (interval(&shown.seconds, seconds)) }
                        dt { "change" }
                        dd { @if advice.stays() { "none: nothing that was tried is better" } @else { (changes(shown)) } }
                    }
                },
                None if advice.tried == 0 => p { "Nothing was tried." },
                None => p { "Everything that was tried failed." },
            }
            dl {
                dt { "as it is" }
                dd {
                    @match (&advice.now, &advice.now_fails) {
                        (Some(now), _) => (cost_and_time(now)),
                        (None, Some(why)) => { "it fails, since " (why) },
                        (None, None) => "not tried",
                    }
                }
            }
        }
    }
}

/// The change of each file.
fn patches(patches: &[FilePatch]) -> Markup {
    let class = |line: &str| match line.as_bytes().first() {
        Some(b'+') => "added",
        Some(b'-') => "removed",
        _ => "same",
    };
    html! {
        h2 { "The change" }
        @if patches.is_empty() { p { "No file changes." } }
        @for patch in patches {
            h3 { (printable(&patch.file)) }
            pre class="diff" tabindex="0" {
                @for line in patch.diff.lines() { span class=(class(line)) { (printable(line)) } "\n" }
            }
        }
    }
}

/// The front as a table, with the scenario's own settings and the best before it.
fn settings(advice: &Advice) -> Markup {
    let title = advice.target.title();
    let row = |what: &str, m: &Measured| {
        html! {
            tr {
                th scope="row" { (what) }
                td class="text" { (interval(&m.usd, usd)) }
                td class="text" { (interval(&m.seconds, seconds)) }
                td class="text" { @if m.meets { "yes" } @else { "no" } }
                td class="text" { (changes(m)) }
            }
        }
    };
    let table = html! {
        thead {
            tr {
                td {}
                @for head in ["USD a month (95 %)", "goal's figure (95 %)", "meets it", "changes"] {
                    th scope="col" class="text" { (head) }
                }
            }
        }
        tbody {
            @if let Some(now) = &advice.now { (row("now", now)) }
            @if let Some(best) = &advice.best { (row("best", best)) }
            @for measured in &advice.front { (row("front", measured)) }
        }
    };
    html! { h2 { (title) } (wide(title, table)) }
}

fn words(advised: &Advised) -> Markup {
    let tried: usize = advised.targets.iter().map(|advice| advice.tried).sum();
    html! {
        h2 { "In words" }
        @if let Some(uncertainty) = &advised.uncertainty { p { (uncertainty.told()) } }
        @for advice in &advised.targets {
            @for told in &advice.left_out { p class="note" { (advice.target.title()) ": " (told) } }
        }
        p class="soft" {
            (count(tried as u64)) " settings tried by simulation; mean and 95 % confidence interval over " (advised.seeds)
            " seeds; prices of " (advised.region) ", " (advised.prices_date) "."
        }
    }
}

fn cost_and_time(measured: &Measured) -> String {
    format!("{} a month, {}", interval(&measured.usd, usd), interval(&measured.seconds, seconds))
}

/// A mean, and its interval where that is more than the last digit.
pub(super) fn interval(interval: &Interval, write: fn(f64) -> String) -> String {
    let mean = write(interval.mean);
    let low = write(interval.low);
    let high = write(interval.high);
    if low == high { mean } else { format!("{mean} ({low} to {high})") }
}

fn changes(measured: &Measured) -> String {
    let changes: Vec<_> = measured.changes.iter().map(|c| format!("{} {} → {}", c.field, c.from, c.to)).collect();
    if changes.is_empty() { "no change".to_owned() } else { changes.join("; ") }
}
