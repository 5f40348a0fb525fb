//! Published measurements, and what the simulator makes of the same scenarios: `tests/calibration/published.toml`. With
//! WRITE_CALIBRATION set, the page of them is written.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use twinscale_lab::cost::prices;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::simulate;

use crate::keda;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    source: Vec<Source>,
    figure: Vec<Figure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    id: String,
    title: String,
    url: String,
    note: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Figure {
    source: String,
    what: String,
    published: f64,
    bound: f64,
    kind: Option<Kind>,
    /// None where no scenario can say it.
    scenario: Option<String>,
    /// Why it is not met.
    missed: Option<String>,
}

/// What is read of a run.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    ColdStarts,
    SecondsToThePeak,
    MinutesToDrain,
    Peak,
    P50Ms,
    P90Ms,
    P99Ms,
    MessagesASecond,
    AddedInAMinute,
    EmptyReceivesAMinute,
    /// The mean of what was under way from the first to the last send; in percent of the same without what is thrown.
    ConcurrencyLostToThrows,
    UsdOf100Million,
}

impl Kind {
    fn of(self, scenario: &Scenario) -> f64 {
        let target = &simulate::run_lambda(scenario);
        let latency = target.latency_seconds.unwrap_or_default();
        let drain = target.drain_seconds.unwrap_or(f64::NAN);
        // The mapping's limit rises for a while yet after what it is used for.
        let near = f64::from(target.samples.iter().map(|s| s.capacity).max().unwrap_or_default()) * 0.98;
        match self {
            Self::ColdStarts => target.usage.cold_starts.unwrap_or_default() as f64,
            Self::SecondsToThePeak => {
                target.samples.iter().find(|s| f64::from(s.capacity) >= near).map_or(f64::NAN, |s| s.t)
            }
            Self::MinutesToDrain => drain / 60.0,
            Self::Peak => f64::from(target.peak_capacity),
            Self::P50Ms => latency.p50 * 1000.0,
            Self::P90Ms => latency.p90 * 1000.0,
            Self::P99Ms => latency.p99 * 1000.0,
            Self::MessagesASecond => target.messages.done as f64 / drain,
            Self::AddedInAMinute => {
                let at = |second: f64| target.samples.iter().rfind(|s| s.t <= second).map_or(0, |s| s.capacity);
                f64::from(at(61.0)) - f64::from(at(1.0))
            }
            Self::EmptyReceivesAMinute => {
                target.requests.empty_receive.map_or(f64::NAN, |count| count as f64) / drain * 60.0
            }
            Self::ConcurrencyLostToThrows => {
                let load = scenario.load.length(scenario.messages).as_secs_f64();
                let sending = target.samples.iter().filter(|s| s.t <= load);
                let (sum, count) =
                    sending.fold((0.0, 0.0), |(sum, count), s| (sum + f64::from(s.capacity), count + 1.0));
                sum / count
            }
            Self::UsdOf100Million => {
                let prices = prices::read(None).expect("built in");
                let times = 100e6 / target.messages.done as f64;
                let gb = target.usage.gb_seconds.unwrap_or(0.0);
                let invocations = target.usage.invocations.unwrap_or(0);
                prices.lambda_x86.of(gb * times, false) + prices.lambda_requests.of(invocations as f64 * times, false)
            }
        }
    }
}

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).to_owned()
}

fn published() -> Published {
    let path = root().join("tests/calibration/published.toml");
    toml::from_str(&std::fs::read_to_string(path).expect("it is there")).expect("it is read")
}

fn ours(figure: &Figure) -> f64 {
    let Some((kind, text)) = figure.kind.zip(figure.scenario.as_ref()) else { return f64::NAN };
    let scenario: Scenario = toml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", figure.what));
    let scenario = scenario.checked().expect(&figure.what);
    let ours = kind.of(&scenario);
    match kind {
        Kind::ConcurrencyLostToThrows => {
            let mut without = scenario;
            without.work.throw_share = 0.0;
            (1.0 - ours / kind.of(&without)) * 100.0
        }
        Kind::ColdStarts
        | Kind::SecondsToThePeak
        | Kind::MinutesToDrain
        | Kind::Peak
        | Kind::P50Ms
        | Kind::P90Ms
        | Kind::P99Ms
        | Kind::MessagesASecond
        | Kind::AddedInAMinute
        | Kind::EmptyReceivesAMinute
        | Kind::UsdOf100Million => ours,
    }
}

#[test]
fn every_published_figure_is_met_within_its_bound_or_says_why_not() {
    let published = published();
    let measured: Vec<f64> = published.figure.iter().map(ours).collect();
    if std::env::var_os("WRITE_CALIBRATION").is_some() {
        std::fs::write(root().join("docs/calibration.md"), page(&published, &measured)).expect("docs/calibration.md");
    }
    let page = std::fs::read_to_string(root().join("docs/calibration.md")).expect("make calibration writes it");
    let mut wrong = Vec::new();
    for (figure, ours) in published.figure.iter().zip(&measured) {
        let off = ours / figure.published - 1.0;
        assert!(page.contains(&figure.what), "docs/calibration.md lacks '{}': make calibration", figure.what);
        // A run that has no such figure is off by more than any bound.
        let within = off.abs() <= figure.bound;
        match (&figure.missed, within) {
            (None, false) => {
                wrong.push(format!("{}: {ours:.1} for {}, {:+.0} %", figure.what, figure.published, off * 100.0))
            }
            (Some(_), true) => wrong.push(format!("{}: it is met, so its `missed` has to go", figure.what)),
            (Some(_), false) | (None, true) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn page(published: &Published, measured: &[f64]) -> String {
    let mut out = String::from(
        "# Calibration\n\nWhat others measured, or AWS publishes, and what the simulator says of the same. `make calibration` writes this \
         page; a test holds each figure to its bound. Parameters that AWS does not publish are in `crates/scaling/src/estimates.rs`, each with its \
         range and its data.\n\n## Lambda\n",
    );
    for source in &published.source {
        let _ = write!(
            out,
            "\n[{}]({}): {}.\n\n| figure | published | simulated | off | bound |\n|---|---:|---:|---:|---:|\n",
            source.title, source.url, source.note
        );
        let figures = published.figure.iter().zip(measured).filter(|(figure, _)| figure.source == source.id);
        for (figure, ours) in figures.clone() {
            if ours.is_nan() {
                let _ = writeln!(out, "| {} | {} | – | – | missed |", figure.what, short(figure.published));
                continue;
            }
            let off = (ours / figure.published - 1.0) * 100.0;
            let bound = match &figure.missed {
                Some(_) => "missed".to_owned(),
                None => format!("{:.0} %", figure.bound * 100.0),
            };
            let _ = writeln!(
                out,
                "| {} | {} | {} | {off:+.0} % | {bound} |",
                figure.what,
                short(figure.published),
                short(*ours)
            );
        }
        for (figure, _) in figures {
            if let Some(why) = &figure.missed {
                let _ = write!(out, "\nMissed: {}: {why}.\n", figure.what);
            }
        }
    }
    out.push_str(
        "\n## KEDA and the HPA\n\nRecordings of real ones (`tests/keda`), and when the simulator makes the same changes of replicas. A \
         change is recorded up to a second after it, so that as much of each difference is the recording's. Names end in KEDA's \
         version; without one it is 2.20.2.\n\n\
         | trace | changes | largest difference in time | largest in replicas |\n|---|---:|---:|---:|\n",
    );
    for (name, changes, seconds, replicas) in keda::differences() {
        let _ = writeln!(out, "| {name} | {changes} | {seconds:.1} s | {replicas} |");
    }
    out
}

fn short(number: f64) -> String {
    if number >= 100.0 { format!("{number:.0}") } else { format!("{}", (number * 100.0).round() / 100.0) }
}
