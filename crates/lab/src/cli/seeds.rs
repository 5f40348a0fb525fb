//! `--seeds`: the same scenario with other luck, as many times as asked for, on all processors.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use crate::run::{Run, Seeds};
use crate::scenario::Scenario;
use crate::simulate;

/// Simulates the scenario with `seeds` seeds from its own on: the first seed's run, with what all of them came to. Once `stop`
/// is true, with what those came to that are done.
pub(super) fn simulate(scenario: &Scenario, seeds: u64, stop: &AtomicBool) -> Run {
    let mut run = simulate::run_until(scenario, stop);
    if seeds > 1 && !stop.load(Ordering::Relaxed) {
        let one = |n| simulate::unless_stopped(stop, || luck(scenario, n, stop));
        let others: Vec<Run> = (1..seeds).into_par_iter().filter_map(one).collect();
        if (others.len() as u64) < seeds - 1 {
            run.warnings.push(format!("told to stop after {} of {seeds} seeds", others.len() + 1));
        }
        for (kind, target) in run.targets.iter_mut() {
            let same = others.iter().filter_map(|run| run.targets.get(kind));
            let seeds = Seeds::of(&std::iter::once(&*target).chain(same).collect::<Vec<_>>());
            target.seeds = Some(seeds);
        }
    }
    run
}

/// The scenario with the seed `n` further on. Its decisions are dropped: nobody reads those of thousands of runs.
fn luck(scenario: &Scenario, n: u64, stop: &AtomicBool) -> Run {
    let mut run = simulate::run_until(&scenario.with_luck(n), stop);
    for (_, target) in run.targets.iter_mut() {
        target.decisions = Vec::new();
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_in_their_luck_and_agree_on_the_scenario() {
        let scenario = Scenario { messages: 50, ..Scenario::default() };
        let never = AtomicBool::new(false);
        let simulate = |scenario: &Scenario, seeds| super::simulate(scenario, seeds, &never);
        let run = simulate(&scenario, 5);
        assert_eq!(run, simulate(&scenario, 5));
        for (name, target) in run.targets.iter() {
            let seeds = target.seeds.as_ref().expect("there are five");
            let drained = seeds.figures[&crate::run::SeedFigure::DrainSeconds];
            assert_eq!((seeds.count, drained.of), (5, 5), "{name}");
            assert!(drained.low < drained.high, "{name}: other luck makes other runs: {drained:?}");
        }
        assert_eq!(
            simulate(&scenario, 1).targets,
            crate::simulate::run(&scenario).targets,
            "one seed is the plain run"
        );
    }

    #[test]
    fn what_is_told_to_stop_keeps_what_it_has() {
        let scenario = Scenario { messages: 50, ..Scenario::default() };
        let run = simulate(&scenario, 5, &AtomicBool::new(true));
        for (kind, target) in run.targets.iter() {
            assert!(target.drain_seconds.is_none() && target.seeds.is_none(), "{kind}");
        }
        assert!(run.warnings.iter().any(|told| told.contains("EKS was told to stop: ")), "{:?}", run.warnings);
        assert!(run.failures().iter().all(Option::is_some), "it has no winner");
    }
}
