//! `--seeds`: the same scenario with other luck, as many times as asked for, on all processors.

use rayon::prelude::*;

use crate::run::{Run, Seeds};
use crate::scenario::Scenario;
use crate::simulate;

/// Simulates the scenario with `seeds` seeds from its own on: the first seed's run, with what all of them came to.
pub(super) fn simulate(scenario: &Scenario, seeds: u64) -> Run {
    let mut run = simulate::run(scenario);
    if seeds > 1 {
        let others: Vec<Run> = (1..seeds).into_par_iter().map(|n| luck(scenario, n)).collect();
        for (kind, target) in run.targets.iter_mut() {
            let same = others.iter().filter_map(|run| run.targets.get(kind));
            let seeds = Seeds::of(&std::iter::once(&*target).chain(same).collect::<Vec<_>>());
            target.seeds = Some(seeds);
        }
    }
    run
}

/// The scenario with the seed `n` further on. Its decisions are dropped: nobody reads those of thousands of runs.
fn luck(scenario: &Scenario, n: u64) -> Run {
    let mut scenario = scenario.clone();
    scenario.seed = scenario.seed.wrapping_add(n);
    scenario.work.seed = scenario.seed;
    let mut run = simulate::run(&scenario);
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
        let run = simulate(&scenario, 5);
        assert_eq!(run, simulate(&scenario, 5));
        for (name, target) in run.targets.iter() {
            let seeds = target.seeds.as_ref().expect("there are five");
            let drained = seeds.figures["drain_seconds"];
            assert_eq!((seeds.count, drained.of), (5, 5), "{name}");
            assert!(drained.low < drained.high, "{name}: other luck makes other runs: {drained:?}");
        }
        assert_eq!(simulate(&scenario, 1).targets, simulate::run(&scenario).targets, "one seed is the plain run");
    }
}
