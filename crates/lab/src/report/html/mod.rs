//! `report.html`: one self-contained page with pictures, drawn by uPlot, which is embedded. No network, no account.

use serde::Serialize;

use super::figures::heading;
use crate::cost::Prices;
use crate::run::Run;
use picture::Data;

mod advice;
mod bill;
mod looks;
mod picture;
mod runs;
mod sections;

const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
const UPLOT: &str = include_str!("uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("uplot/uPlot.min.css");

pub use advice::{advice_page, break_even_page};

/// A part of a page: its id, and what is in it.
type Section = (&'static str, String);

/// What a live page is sent: all of it anew, so that a viewer who missed some is right after the next one.
#[derive(Serialize)]
struct State {
    title: String,
    sections: serde_json::Map<String, serde_json::Value>,
    data: Data,
}

/// The page of these runs, in their order.
pub fn page(runs: &[Run], prices: &Prices) -> String {
    whole(&title(runs), sections::sections(runs, prices, false), &runs::data(runs, false))
}

/// A page of a run that goes on: it follows the server-sent events beside it.
pub fn live_page(run: &Run, prices: &Prices) -> String {
    let runs = std::slice::from_ref(run);
    whole(&title(runs), sections::sections(runs, prices, true), &runs::data(runs, true))
}

/// What is sent to live pages, as one line of JSON: the run so far, or the finished one.
pub fn live_state(run: &Run, prices: &Prices, finished: bool) -> String {
    let runs = std::slice::from_ref(run);
    // The places of the pictures stay as they are, and what is open in them, until their last captions come.
    let sections = sections::sections(runs, prices, !finished).into_iter();
    let sections = sections.filter(|(id, _)| finished || *id != "pictures");
    let state = State {
        title: title(runs),
        sections: sections.map(|(id, html)| (id.to_owned(), html.into())).collect(),
        data: runs::data(runs, !finished),
    };
    serde_json::to_string(&state).unwrap_or_default()
}

fn title(runs: &[Run]) -> String {
    let names: Vec<_> = runs.iter().map(heading).collect();
    format!("Twinscale: {}", names.join("; "))
}

/// Text as HTML.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn whole(title: &str, sections: Vec<Section>, data: &Data) -> String {
    let title = escape(title);
    let section = |(id, html)| format!("<section id=\"{id}\">{html}</section>\n");
    let body: String = sections.into_iter().map(section).collect();
    // Inside a script element, only `</` and `<!--` could end or change it.
    let data = serde_json::to_string(data).unwrap_or_default().replace('<', "\\u003c");
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{UPLOT_STYLE}\n{STYLE}</style></head>\n\
         <body><header><h1>{title}</h1></header>\n<main>\n{body}</main>\n<footer class=\"soft\">Times are scenario \
         seconds. Colours are Okabe and Ito's, which colour-blind eyes tell apart; lines differ by their dashes too. Made by \
         twinscale {version}; pictures by uPlot (MIT).</footer>\n\
         <script type=\"application/json\" id=\"data\">{data}</script>\n<script>{UPLOT}</script>\n\
         <script>{SCRIPT}</script>\n</body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
    )
}
