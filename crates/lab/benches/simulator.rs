//! How fast the simulator is, as absolute figures and as a ratio to a bare binary heap that pushes and pops one event a
//! message in the same run, which takes the machine out of the figure.
//!
//! `cargo bench --bench simulator`: a few seconds, and then a day of 100 million messages on both targets, at once on two
//! cores; `DAY_MESSAGES` sets how many that day has.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use twinscale_lab::run::Target;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::scenario::load::Load;
use twinscale_lab::simulate;

/// The burst scenario: the default one with this many messages at once.
fn burst(messages: u64) -> Scenario {
    let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
    scenario.messages = messages;
    scenario.limit = Duration::from_secs(366 * 86_400);
    scenario
}

fn main() {
    let messages = 2_000_000;
    let heap = bare_heap(messages);
    println!("bare heap   {:>6.2} M events/s, pushed and popped", messages as f64 / heap.as_secs_f64() / 1e6);
    for (name, simulate) in targets() {
        let seconds = timed(&burst(messages), simulate).as_secs_f64();
        let rate = messages as f64 / seconds / 1e6;
        println!("{name:<11} {rate:>6.2} M messages/s on one core, {:.1} x a bare heap", seconds / heap.as_secs_f64());
    }
    let sizes = [250_000, 500_000, 1_000_000, 2_000_000, 4_000_000];
    for (name, simulate) in targets() {
        let times = sizes.map(|size| timed(&burst(size), simulate).as_secs_f64());
        println!("{name:<11} time grows with messages to the power of {:.2} (1 is linear)", slope(&sizes, &times));
    }
    day(std::env::var("DAY_MESSAGES").map_or(100_000_000, |text| text.parse().expect("DAY_MESSAGES is a number")));
}

type Simulate = fn(&Scenario) -> Target;

fn targets() -> [(&'static str, Simulate); 2] {
    [("eks", simulate::run_eks), ("lambda", simulate::run_lambda)]
}

/// The better of two runs: the first also warms up.
fn timed(scenario: &Scenario, simulate: Simulate) -> Duration {
    let once = || {
        let began = Instant::now();
        let target = simulate(scenario);
        assert_eq!(target.messages.done, scenario.messages, "every message is done");
        began.elapsed()
    };
    once().min(once())
}

/// Pushes and pops `events` events on a heap of as many as a burst has in flight.
fn bare_heap(events: u64) -> Duration {
    let began = Instant::now();
    let mut heap: BinaryHeap<Reverse<(Duration, u64)>> = (0..150).map(|n| Reverse((Duration::ZERO, n))).collect();
    for n in 0..events {
        let Some(Reverse((at, _))) = heap.pop() else { return Duration::ZERO };
        heap.push(Reverse((at + Duration::from_nanos(1_000_000_000 + (n * 7_919) % 1_500_000_000), n)));
    }
    black_box(heap);
    began.elapsed()
}

/// The slope of a straight line through the logarithms, by least squares.
fn slope(sizes: &[u64], times: &[f64]) -> f64 {
    let points: Vec<(f64, f64)> =
        sizes.iter().zip(times).map(|(size, time)| ((*size as f64).ln(), time.ln())).collect();
    let n = points.len() as f64;
    let mx = points.iter().map(|p| p.0).sum::<f64>() / n;
    let my = points.iter().map(|p| p.1).sum::<f64>() / n;
    points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>() / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>()
}

/// A day of this many messages of 100 ms on both targets, on two cores.
fn day(messages: u64) {
    let mut scenario = Scenario::read("day").expect("built in");
    scenario.messages = messages;
    let Load::Day { rate, noise, .. } = &mut scenario.load else { panic!("a day") };
    (*rate, *noise) = (messages as f64 / 86_400.0, 0.0);
    scenario.limit = Duration::from_secs(48 * 3600);
    scenario.work.wait = "uniform:50ms-150ms".parse().expect("a wait");
    scenario.eks.keda.max_replica_count = 100;
    let began = Instant::now();
    let run = simulate::run(&scenario.checked().expect("it can run"));
    let took = began.elapsed().as_secs_f64();
    for (name, target) in run.targets.iter() {
        let done = target.messages.done;
        let peak = target.peak_capacity;
        println!("day {name:<7} {done} messages done, peak {peak}, p95 {:?}", target.latency_seconds.map(|l| l.p95));
    }
    println!("day         {took:.0} s for both targets, {} MiB at most", peak_mib());
}

/// The most memory that this process has had.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}
