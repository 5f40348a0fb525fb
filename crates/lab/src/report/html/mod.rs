//! `report.html`: one self-contained page with pictures, drawn by uPlot, which is embedded. No network, no account.
//!
//! # Pictures of other data, in another page
//!
//! Data goes in as a [`View`]: the runs, their prices and a goal if there is one.
//!
//! ```text
//! View ─┬► page        the finished report, one file
//!       ├► live_page   the same, which follows the server-sent events `state` and `done` at `events`
//!       ├► served_page the same with controls above it and a script of its own
//!       └► state       new data for a page that is open: one line of JSON
//! ```
//!
//! Markup is maud's, which escapes whatever it is given. In the page, `pictures.draw(data)` (draw.js) draws, and
//! `twinscale.show(state)` (page.js) takes such a state, already parsed, and redraws everything: titles,
//! cards, tables and pictures. What is zoomed stays zoomed. A script of [`served_page`] needs nothing else:
//! `twinscale.show(await (await fetch("simulate", { method: "POST", body })).json())`.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::figures::heading;
use crate::advise::Goal;
use crate::cost::Prices;
use crate::run::Run;
use picture::Data;
use sections::sections;

mod advice;
mod backtest;
mod bill;
mod break_even;
mod cards;
mod decision;
mod distribution;
mod looks;
mod picture;
mod sections;
mod tables;
mod time;

const LOCALE: &str = include_str!("locale.js");
const DRAW: &str = include_str!("draw.js");
const PAGE: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
const UPLOT: &str = include_str!("uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("uplot/uPlot.min.css");

pub use advice::advice_page;
pub use break_even::break_even_page;
pub use decision::decision_page;

/// What a page shows.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The runs, in their order.
    pub runs: &'a [Run],
    /// What they are billed by.
    pub prices: &'a Prices,
    /// What has to be met, if anything.
    pub goal: Option<Goal>,
}

impl<'a> View<'a> {
    /// Runs and their prices, without anything beside them.
    pub fn of(runs: &'a [Run], prices: &'a Prices) -> Self {
        Self { runs, prices, goal: None }
    }

    fn title(&self) -> String {
        let names: Vec<_> = self.runs.iter().map(heading).collect();
        format!("Twinscale: {}", names.join("; "))
    }
}

/// What a run is called beside the others of its page.
fn name(runs: &[Run], n: usize) -> String {
    if runs.len() > 1 { format!("{}. {}", n + 1, heading(&runs[n])) } else { heading(&runs[n]) }
}

/// How far the runs of a view are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They go on: there is no verdict yet.
    Going,
    /// They are over.
    Finished,
}

/// A part of a page.
struct Section {
    id: &'static str,
    html: Markup,
}

/// What an open page is sent: all of it anew, so that a viewer who missed some is right after the next one.
#[derive(Serialize)]
struct State {
    title: String,
    sections: BTreeMap<&'static str, String>,
    data: Data,
}

/// The page of finished runs.
pub fn page(view: View) -> String {
    whole(&view.title(), sections(view, Standing::Finished), &data(view, Standing::Finished), "")
}

/// A page of a run that goes on: it follows the server-sent events beside it.
pub fn live_page(view: View) -> String {
    whole(&view.title(), sections(view, Standing::Going), &data(view, Standing::Going), "")
}

/// The page of finished runs with `controls` (HTML, trusted) above them, and a script (trusted) that calls
/// `twinscale.show` with a [`state`] when it has a new one.
pub fn served_page(view: View, controls: String, script: &str) -> String {
    let mut sections = sections(view, Standing::Finished);
    sections.insert(0, Section { id: "controls", html: PreEscaped(controls) });
    whole(&view.title(), sections, &data(view, Standing::Finished), script)
}

/// What an open page is sent, as one line of JSON.
pub fn state(view: View, standing: Standing) -> String {
    // While a run goes on, the places of its pictures stay as they are, and what is open in them, until their last captions
    // come.
    let sections = sections(view, standing).into_iter();
    let sections = sections.filter(|section| standing == Standing::Finished || section.id != "pictures");
    let state = State {
        title: view.title(),
        sections: sections.map(|section| (section.id, section.html.into_string())).collect(),
        data: data(view, standing),
    };
    json(&state)
}

/// What is drawn.
fn data(view: View, standing: Standing) -> Data {
    let mut data = Data::default();
    data.live = standing == Standing::Going;
    time::draw(view, &mut data);
    distribution::draw(view, &mut data);
    data
}

/// Numbers and texts in lists and maps, which all have a JSON form.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("maps with text as keys, and no number that JSON lacks")
}

fn whole(title: &str, sections: Vec<Section>, data: &Data, script: &str) -> String {
    // Inside a script element, only `</` and `<!--` could end or change it.
    let data = json(data).replace('<', "\\u003c");
    let raw = |text: &str| PreEscaped(text.to_owned());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="icon" href="data:,";
                style { (raw(UPLOT_STYLE)) "\n" (raw(STYLE)) }
            }
            body {
                header { h1 { (title) } }
                main { @for section in sections { section id=(section.id) { (section.html) } "\n" } }
                footer class="soft" {
                    "Times are scenario seconds. Colours are told apart by colour-blind eyes, and lines differ by their dashes \
                     too. Made by twinscale " (env!("CARGO_PKG_VERSION")) "; pictures by uPlot (MIT)."
                }
                script type="application/json" id="data" { (raw(&data)) }
                @for part in [LOCALE, UPLOT, DRAW, PAGE, script] { script { (raw(part)) } "\n" }
            }
        }
    };
    page.into_string()
}
