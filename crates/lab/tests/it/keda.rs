//! The simulator against recordings of a real KEDA and a real HPA: `tests/keda/traces`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use twinscale_lab::manifests::{Given, Manifest};
use twinscale_lab::run::Target;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::simulate;

/// A change of the replicas: when it was seen, from, to.
type Change = (f64, i64, i64);

/// What a recording tells of itself, in seconds since the first send. Where it has no phases, the scenario beside it has them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct End {
    drained: Option<f64>,
    ended: f64,
    keda: Option<String>,
    first_poll: Option<f64>,
    first_sync: Option<f64>,
}

fn end(trace: &Path) -> End {
    let text = std::fs::read_to_string(trace.join("end.json")).expect("end.json");
    serde_json::from_str(&text).expect("JSON")
}

/// Those of the repository, or those that `make keda` has just recorded elsewhere.
fn traces() -> Vec<PathBuf> {
    let own = || concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/keda/traces").to_owned();
    let folder = PathBuf::from(std::env::var("KEDA_TRACES").unwrap_or_else(|_| own()));
    let mut traces: Vec<_> =
        folder.read_dir().expect("the traces").map(|entry| entry.expect("a trace").path()).collect();
    traces.sort();
    traces
}

fn recorded(trace: &Path) -> Vec<Change> {
    let text = std::fs::read_to_string(trace.join("changes.csv")).expect("changes.csv");
    let number = |field: Option<&str>| field.and_then(|field| field.parse::<f64>().ok()).expect("a number");
    text.lines()
        .skip(1)
        .map(|line| {
            let mut fields = line.split(',');
            (number(fields.next()), number(fields.next()) as i64, number(fields.next()) as i64)
        })
        .collect()
}

/// With the luck of the recordings, whose workers had the seed 1.
fn simulated(trace: &Path) -> Target {
    let mut scenario = Scenario::read(&trace.join("scenario.toml").display().to_string()).expect("a scenario");
    scenario
        .read_manifest(Manifest::ScaledObject, &trace.join("scaledobject.yaml"), &Given::default())
        .expect("a ScaledObject");
    scenario.seed = 1;
    let end = end(trace);
    if let Some(version) = end.keda {
        let (version, _patch) = version.rsplit_once('.').expect("three numbers");
        let version = serde_json::from_value(version.into()).expect("a version that differs here, or not");
        scenario.eks.keda.version = version;
        scenario.eks.keda.first_poll = end.first_poll.map(Duration::from_secs_f64);
        scenario.eks.keda.hpa.first_sync = end.first_sync.map(Duration::from_secs_f64);
    }
    simulate::run_eks(&scenario.checked().expect("a good scenario"))
}

/// Those until the recording ended.
fn changes(target: &Target, ended: f64) -> Vec<Change> {
    let changed = target.decisions.iter().filter(|decision| decision.from != decision.to && decision.t <= ended);
    changed.map(|decision| (decision.t, decision.from.into(), decision.to.into())).collect()
}

/// The counts that a loop sees may differ by a few messages. Recordings of 2.20.2 have a change at the first whole second
/// after it; the others have it when it came, and the HPA's own period drifts by less than a second in minutes.
#[test]
fn decisions_are_those_of_real_keda_and_the_real_hpa_at_the_same_second() {
    let mut differ = Vec::new();
    let traces = traces();
    assert!(!traces.is_empty());
    for trace in &traces {
        let end = end(trace);
        let real = recorded(trace);
        let ours = changes(&simulated(trace), end.ended);
        let earliest = if end.keda.is_some() { -1.0 } else { -0.1 };
        let near = |(real, ours): (&Change, &Change)| {
            (earliest..=1.1).contains(&(real.0 - ours.0))
                && (real.1 - ours.1).abs() <= 1
                && (real.2 - ours.2).abs() <= 1
        };
        let same = real.len() == ours.len() && real.iter().zip(&ours).all(near);
        if !same {
            differ.push(format!("{}:\n  real {real:?}\n  ours {ours:?}", trace.display()));
        }
    }
    assert!(differ.is_empty(), "{} of {} traces differ:\n{}", differ.len(), traces.len(), differ.join("\n"));
}

/// `end.json` is written 20 s after the last pod above the floor was gone, or when the recording was cut.
#[test]
fn queues_drain_when_they_did() {
    for trace in traces() {
        let end = end(&trace);
        let ours = simulated(&trace).drain_seconds.filter(|drained| *drained <= end.ended);
        match (end.drained, ours) {
            (None, None) => {}
            (Some(real), Some(ours)) => {
                assert!((real - ours).abs() <= 0.05 * real + 2.0, "{}: real {real}, ours {ours}", trace.display());
            }
            (real, ours) => panic!("{}: real {real:?}, ours {ours:?}", trace.display()),
        }
    }
}

#[test]
fn the_phases_are_drawn_by_the_seed_and_those_that_are_given_stay() {
    let first = |seed, given: Option<Duration>| {
        let mut scenario = Scenario::read("article").expect("built in");
        (scenario.seed, scenario.eks.keda.hpa.first_sync) = (seed, given);
        let target = simulate::run_eks(&scenario.checked().expect("a good scenario"));
        target.decisions.iter().find(|decision| decision.by == twinscale_scaling::Scaler::Hpa.into()).expect("a sync").t
    };
    let drawn: Vec<f64> = (0..20).map(|seed| first(seed, None)).collect();
    let least = drawn.iter().copied().fold(f64::MAX, f64::min);
    let most = drawn.iter().copied().fold(0.0, f64::max);
    assert!(least < 3.0 && (12.0..15.1).contains(&most), "over the whole period: {drawn:?}");
    assert!((0..20).all(|seed| (first(seed, Some(Duration::from_secs(7))) - 7.0).abs() < 1e-9));
}

/// Of each trace: its name, how many changes it has, and the largest difference in seconds and in replicas.
pub fn differences() -> Vec<(String, usize, f64, i64)> {
    let one = |trace: PathBuf| {
        let real = recorded(&trace);
        let ours = changes(&simulated(&trace), end(&trace).ended);
        let pairs = || real.iter().zip(&ours);
        let seconds = pairs().map(|(real, ours)| (real.0 - ours.0).abs()).fold(0.0, f64::max);
        let replicas = pairs().map(|(real, ours)| (real.2 - ours.2).abs()).max().unwrap_or(0);
        let name = trace.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        (name, real.len(), seconds, replicas)
    };
    traces().into_iter().map(one).collect()
}
