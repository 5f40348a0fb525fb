//! Agreement: the local engine (real processes) and the simulator (virtual time) tell the same story of one scenario.
//!
//! Drain times are within 5 %, and p95 within 10 %. Decisions are equal but for one tick or one step at a threshold: one
//! replica, or what the mapping's ramp adds in a look. Runs that differ are repeated at half the speed, down to real
//! time, which halves what a disturbance of the machine is worth in scenario time; the bounds stay.
//! `make agreement-small`, a stage of CI, runs this; `make agreement` runs the scenarios in full size and real time, and writes
//! docs/agreement.md.

use std::time::Duration;

use twinscale_lab::run::{Decision, Target};
use twinscale_lab::scenario::Scenario;
use twinscale_lab::scenario::load::Load;
use twinscale_lab::simulate;

use crate::local::{on_eks, on_lambda, scenario, the_machine};

const ATTEMPTS: u32 = 4;
const DRAIN_WITHIN: f64 = 0.05;
const P95_WITHIN: f64 = 0.10;
/// Looks of the HPA, and of the mapping, in scenario seconds.
const TICK: [f64; 2] = [15.0, 1.0];
/// One replica, and what the mapping's ramp adds in a look (300 concurrent batches a minute).
const STEP: [u32; 2] = [1, 5];

/// A scenario, small enough for a test, and how fast it may go.
type Case = (&'static str, fn(&mut Scenario), f64);

const CASES: &[Case] = &[
    ("burst", |s| s.messages = 500, 6.0),
    ("ramp", |s| (s.messages, s.load) = (600, Load::Ramp { from: 1.0, to: 20.0, over: secs(45) }), 6.0),
    ("onoff", |s| (s.messages, s.load) = (600, Load::OnOff { rate: 20.0, on: secs(20), off: secs(20) }), 6.0),
    ("long", |_| (), 20.0),
    ("failures", |s| s.messages = 1000, 6.0),
    ("fifo", |s| s.messages = 300, 6.0),
];

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, so it wants the machine for itself: make agreement-small"]
async fn the_local_engine_and_the_simulator_agree() {
    let _machine = the_machine().await;
    let full = std::env::var("AGREEMENT_SPEED").ok();
    let full = full.map(|speed| speed.parse().expect("AGREEMENT_SPEED is a number"));
    // In real time a target leaves the machine to the other most of the time.
    let (eks, lambda) = match full {
        Some(_) => tokio::join!(cases(0, full), cases(1, full)),
        None => (cases(0, full).await, cases(1, full).await),
    };
    let (rows, wrong): (Vec<_>, Vec<_>) = eks.into_iter().zip(lambda).flat_map(|(eks, lambda)| [eks, lambda]).unzip();
    let table = rows.concat();
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}\n{table}", wrong.join("\n"));
    if let Ok(path) = std::env::var("AGREEMENT_TABLE") {
        let machine = std::env::var("AGREEMENT_MACHINE").unwrap_or_default();
        std::fs::write(&path, page(&machine, &table)).expect("the page can be written");
    }
}

/// Runs one target through all scenarios: rows for the table, and what differs by more than the bounds.
async fn cases(at: usize, full: Option<f64>) -> Vec<(String, Vec<String>)> {
    let target = ["EKS", "Lambda"][at];
    let mut rows = Vec::new();
    for (name, smaller, speed) in CASES {
        let mut scenario = scenario(name);
        if full.is_none() {
            smaller(&mut scenario);
        }
        let scenario = scenario.checked().expect("it can run");
        let (row, wrong) = agree(&scenario, at, full.unwrap_or(*speed)).await;
        let row = format!("| {name} | {target} | {row} |\n");
        eprint!("{row}");
        rows.push((row, wrong.into_iter().map(|wrong| format!("{name}, {target}: {wrong}")).collect()));
    }
    rows
}

/// Runs one target in both engines until they agree, a few times at most. A row for the table, and what differs by more than
/// the bounds.
async fn agree(scenario: &Scenario, at: usize, mut speed: f64) -> (String, Vec<String>) {
    let simulated = if at == 0 { simulate::run_eks(scenario) } else { simulate::run_lambda(scenario) };
    for attempt in 1.. {
        let local = match at {
            0 => on_eks(scenario.clone(), speed).await,
            _ => on_lambda(scenario.clone(), speed).await,
        };
        let wrong = differences(&local, &simulated, at);
        if wrong.is_empty() || attempt == ATTEMPTS {
            return (row(&local, &simulated, TICK[at], scenario.messages, speed), wrong);
        }
        let late = local.overhead_seconds.unwrap_or_default();
        eprintln!("{}, timers {late:.2} s late at speed {speed}, once more: {wrong:?}", scenario.name);
        // No slower than real time.
        speed = (speed / 2.0).max(speed.min(1.0));
    }
    unreachable!("the last attempt returns")
}

fn differences(local: &Target, simulated: &Target, at: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let counts = |t: &Target| (t.messages.done, t.messages.rejected, t.messages.retried, t.messages.lost);
    if counts(local) != counts(simulated) {
        wrong.push(format!("messages: local {:?}, simulated {:?}", local.messages, simulated.messages));
    }
    let p95 = |t: &Target| t.latency_seconds.map(|latency| latency.p95);
    for (what, l, s, within) in [
        ("drained", local.drain_seconds, simulated.drain_seconds, DRAIN_WITHIN),
        ("p95", p95(local), p95(simulated), P95_WITHIN),
    ] {
        let off = apart(l, s);
        if off.is_none_or(|off| off.abs() > within) {
            wrong.push(format!("{what}: local {l:?}, simulated {s:?}, of {within} allowed"));
        }
    }
    let steps = unexplained(&local.decisions, &simulated.decisions, at);
    if !steps.is_empty() {
        let of = |t: &Target| t.decisions.iter().map(|d| format!("{:.1}:{}", d.t, d.to)).collect::<Vec<_>>().join(" ");
        wrong.push(format!("steps at {steps:?}: local {}\n  simulated {}", of(local), of(simulated)));
    }
    wrong
}

fn apart(local: Option<f64>, simulated: Option<f64>) -> Option<f64> {
    Some(simulated? / local? - 1.0)
}

/// Ticks at which one engine has a capacity that the other has not had within a tick before or after, give or take a step.
fn unexplained(a: &[Decision], b: &[Decision], at: usize) -> Vec<f64> {
    let tick = TICK[at];
    let step = STEP[at];
    let last = a.iter().chain(b).map(|decision| decision.t).fold(0.0, f64::max);
    let ticks = (last / tick) as u32 + 2;
    let times = (0..ticks).map(|n| (f64::from(n) + 0.5) * tick);
    times.filter(|t| !(near(*t, a, b, tick, step) && near(*t, b, a, tick, step))).collect()
}

fn near(t: f64, a: &[Decision], b: &[Decision], tick: f64, step: u32) -> bool {
    let here = capacity(a, t);
    let around = [t - tick, t, t + tick].map(|t| capacity(b, t));
    let least = around.iter().min();
    let most = around.iter().max();
    least.is_some_and(|least| here + step >= *least) && most.is_some_and(|most| here <= most + step)
}

/// What the last decision before `t` asked for; before the first, what that one found.
fn capacity(decisions: &[Decision], t: f64) -> u32 {
    let before = decisions.iter().take_while(|decision| decision.t <= t).last();
    before.map(|decision| decision.to).or(decisions.first().map(|decision| decision.from)).unwrap_or_default()
}

fn row(local: &Target, simulated: &Target, tick: f64, messages: u64, speed: f64) -> String {
    let p95 = |t: &Target| t.latency_seconds.map(|latency| latency.p95);
    let pair = |l: Option<f64>, s: Option<f64>| match (l, s) {
        (Some(l), Some(s)) => format!("{l:.1} | {s:.1} | {:+.1} %", (s / l - 1.0) * 100.0),
        _ => format!("{l:?} | {s:?} | –"),
    };
    let equal = |d: &Decision| {
        simulated
            .decisions
            .iter()
            .any(|other| other.to == d.to && other.from == d.from && (other.t - d.t).abs() < tick / 2.0)
    };
    let decisions: Vec<_> = local.decisions.iter().filter(|decision| decision.from != decision.to).collect();
    let same = decisions.iter().filter(|decision| equal(decision)).count();
    format!(
        "{messages} | {} | {} | {same} of {} | {:.2} | {speed}",
        pair(local.drain_seconds, simulated.drain_seconds),
        pair(p95(local), p95(simulated)),
        decisions.len(),
        local.overhead_seconds.unwrap_or_default(),
    )
}

fn page(machine: &str, table: &str) -> String {
    format!(
        "# Agreement\n\nEvery scenario below ran through real processes (the local engine) and through virtual time (the simulator). Bounds,\n\
         kept by `tests/it/agreement.rs`: drain time within 5 %, p95 within 10 %, decisions equal but for one tick or one step at a\n\
         threshold. KEDA and the HPA look every 15 s, and a step is a replica; the event source mapping looks every second, and a\n\
         step is what its ramp adds in a look (5 batches). Both engines draw the same luck: how long each attempt at a message\n\
         works, how it ends, and how long a retry waits (`BACKOFF_SEED`).\n\n\
         \"Decisions\" counts the changes of the local run that the simulator made at the same tick with the same figures. \"Late\" is\n\
         how late the machine's timers and sends were at most, in scenario seconds: the error bar of the local figures. (A burst of\n\
         10,000 messages takes seconds to send, and who is sent later waits less; the simulator sends it at once.) Runs that differ by\n\
         more are repeated, at half the speed unless that is real time already, three times at most.\n\n\
         Measured on {machine}; both targets ran at once.\n\
         `make agreement` writes this page anew, in full size and real time; `make agreement-small` holds smaller sizes to the same\n\
         bounds in three minutes, and is a stage of CI. It is no part of `make test`: beside other tests timers are late.\n\n\
         | scenario | target | messages | drained, s: local | simulated | apart | p95, s: local | simulated | apart | decisions | late, s | speed |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n{table}"
    )
}
