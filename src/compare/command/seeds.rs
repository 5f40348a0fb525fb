//! `--seeds`: the same scenario with other luck, as many times as asked for, on all processors.

use std::fmt::Write as _;

use rayon::prelude::*;

use crate::compare::report::figures::title;
use crate::compare::run::{Run, Target};
use crate::compare::scenario::Scenario;
use crate::compare::sim;

type Row = (&'static str, fn(&Target) -> Option<f64>);

const ROWS: &[Row] = &[
    ("drained after, s", |t| t.drain_seconds),
    ("latency p50, s", |t| t.latency_seconds.map(|l| l.p50)),
    ("latency p95, s", |t| t.latency_seconds.map(|l| l.p95)),
    ("latency p99, s", |t| t.latency_seconds.map(|l| l.p99)),
    ("peak capacity", |t| Some(f64::from(t.peak_capacity))),
    ("SQS requests a message", |t| t.requests.per_message(t.messages.sent)),
];

/// Simulates the scenario with `seeds` seeds from its own on, in the order of the seeds.
pub fn simulate(scenario: &Scenario, seeds: u64) -> Vec<Run> {
    let seeds: Vec<u64> = (0..seeds).map(|n| scenario.seed + n).collect();
    let with = |seed: &u64| {
        let mut scenario = scenario.clone();
        (scenario.seed, scenario.work.seed) = (*seed, *seed);
        sim::run(&scenario)
    };
    seeds.par_iter().map(with).collect()
}

/// The median of each figure, and the range that 95 % of the runs are in; one line a figure and target.
pub fn summary(runs: &[Run]) -> String {
    let mut out = format!("Over {} seeds: median (95 % of the runs are between)", runs.len());
    let Some(first) = runs.first() else { return out };
    for (name, _) in first.targets.iter() {
        for (figure, of) in ROWS {
            let targets = runs.iter().flat_map(|run| run.targets.iter().filter(|(other, _)| *other == name));
            let mut values: Vec<f64> = targets.filter_map(|(_, target)| of(target)).collect();
            values.sort_by(f64::total_cmp);
            if values.is_empty() {
                continue;
            }
            let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
            let (median, low, high) = (at(0.5), at(0.025), at(0.975));
            let _ = write!(out, "\n  {:<11} {figure:<23} {median:>9.2} ({low:.2} to {high:.2})", title(name));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_in_their_luck_and_agree_on_the_scenario() {
        let scenario = Scenario { messages: 50, ..Scenario::default() };
        let runs = simulate(&scenario, 3);
        assert_eq!(runs, simulate(&scenario, 3));
        let drained: Vec<_> = runs.iter().map(|run| run.targets.eks.as_ref().and_then(|t| t.drain_seconds)).collect();
        assert_ne!(drained[0], drained[1]);
        let summary = summary(&runs);
        assert_eq!(summary.lines().count(), 1 + 2 * ROWS.len(), "{summary}");
    }
}
