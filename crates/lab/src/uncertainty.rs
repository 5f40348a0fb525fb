//! What the estimates of the models may do to a verdict: the same scenario with other values from their ranges.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cost::{self, Prices};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::simulate;
use crate::target::TargetKind;
use twinscale_scaling::estimates::Estimates;
use twinscale_work::{mix, unit};

/// In how many draws which target was ahead.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// Draws of the estimates, each with other luck too.
    pub draws: u64,
    /// Draws in which a target failed, and nothing was compared.
    pub failed: u64,
    /// Draws in which this target had the lower bill.
    pub cheaper: BTreeMap<TargetKind, u64>,
    /// Draws in which this target drained first.
    pub faster: BTreeMap<TargetKind, u64>,
    /// Draws that were asked for beside, and not made: it was told to stop.
    #[serde(default, skip_serializing_if = "is_none")]
    pub left_out: u64,
}

/// Values of the estimates from their ranges: the same for the same seed.
pub fn drawn_estimates(seed: u64) -> Estimates {
    // Any number serves that tells this chance from the chance of the work, which has the same seed.
    let seed = mix(seed ^ 0x6573_7469);
    let mut n = 0_u64;
    Estimates::drawn(|| {
        n += 1;
        unit(mix(seed ^ n))
    })
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// Simulates both targets with `draws` draws of the estimates, as many as there are until `stop` is true. Each target may have
/// settings of its own.
pub fn uncertainty(each: &[(TargetKind, &Scenario)], draws: u64, prices: &Prices, stop: &AtomicBool) -> Uncertainty {
    let one = |draw| {
        let of = |(kind, scenario): &(TargetKind, &Scenario)| came_to(*kind, scenario, draw, prices, stop);
        simulate::unless_stopped(stop, || each.iter().map(of).collect())
    };
    let drawn: Vec<Option<Vec<(TargetKind, f64, f64)>>> = (0..draws).into_par_iter().filter_map(one).collect();
    let made = drawn.len() as u64;
    let mut found = Uncertainty { draws: made, left_out: draws - made, ..Uncertainty::default() };
    for targets in drawn {
        let Some(targets) = targets else {
            found.failed += 1;
            continue;
        };
        let least = |of: fn(&(TargetKind, f64, f64)) -> f64| targets.iter().min_by(|a, b| of(a).total_cmp(&of(b)));
        for (counts, first) in [(&mut found.cheaper, least(|t| t.1)), (&mut found.faster, least(|t| t.2))] {
            if let Some((kind, ..)) = first {
                *counts.entry(*kind).or_default() += 1;
            }
        }
    }
    found
}

/// A month's bill and the time to drain; `None` if the target failed.
fn came_to(
    kind: TargetKind,
    scenario: &Scenario,
    draw: u64,
    prices: &Prices,
    stop: &AtomicBool,
) -> Option<(TargetKind, f64, f64)> {
    let mut scenario = scenario.with_luck(draw);
    scenario.estimates = drawn_estimates(scenario.seed);
    let run = Run::simulated(&scenario, [(kind, simulate::target_until(kind, &scenario, stop))].into());
    if run.failure(kind).is_some() {
        return None;
    }
    let drained = run.targets.get(kind)?.drain_seconds?;
    Some((kind, cost::bill(kind, &run, prices)?.month_usd, drained))
}

impl Uncertainty {
    /// How sure the verdict is, as a sentence.
    pub fn told(&self) -> String {
        let ahead = |counts: &BTreeMap<TargetKind, u64>, word: &str| {
            let (kind, most) = counts.iter().max_by_key(|(_, count)| **count)?;
            Some(format!("{} is {word} in {most} of {} draws", kind.title(), self.draws))
        };
        let told: Vec<_> =
            [ahead(&self.cheaper, "cheaper"), ahead(&self.faster, "first to drain")].into_iter().flatten().collect();
        let failed = match self.failed {
            0 => String::new(),
            n => format!("; in {n} of them a target fails"),
        };
        let left_out = self.told_left_out();
        match told.is_empty() {
            true if self.draws == 0 => format!("How sure that is was not drawn{left_out}."),
            true => {
                format!("In every one of {} draws of what had to be estimated a target fails{left_out}.", self.draws)
            }
            false => {
                format!(
                    "With what had to be estimated drawn from its range, {}{failed}{left_out}.",
                    told.join(", and ")
                )
            }
        }
    }

    /// What a sentence ends with where draws were left out.
    pub(crate) fn told_left_out(&self) -> String {
        match self.left_out {
            0 => String::new(),
            n => format!("; it was told to stop before {n} draws more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::prices;

    #[test]
    fn every_draw_is_counted_once_and_the_same_seed_draws_the_same() {
        let scenario = Scenario { messages: 60, ..Scenario::default() }.checked().expect("a good scenario");
        let both = TargetKind::all().iter().map(|kind| (*kind, &scenario)).collect::<Vec<_>>();
        let prices = prices::read(None).expect("built in");
        let never = AtomicBool::new(false);
        let found = uncertainty(&both, 10, &prices, &never);
        assert_eq!((found.cheaper.values().sum::<u64>() + found.failed, found.draws), (10, 10));
        assert_eq!(found, uncertainty(&both, 10, &prices, &never));
        assert!(found.told().contains("Lambda is cheaper in 10 of 10 draws"), "{}", found.told());
        assert_ne!(drawn_estimates(1), drawn_estimates(2));
        assert_eq!(drawn_estimates(3).mistakes(), []);
    }

    #[test]
    fn what_is_told_to_stop_says_how_many_draws_it_lacks() {
        let scenario = Scenario { messages: 60, ..Scenario::default() };
        let both = TargetKind::all().iter().map(|kind| (*kind, &scenario)).collect::<Vec<_>>();
        let found = uncertainty(&both, 10, &prices::read(None).expect("built in"), &AtomicBool::new(true));
        assert_eq!((found.draws, found.left_out), (0, 10));
        assert_eq!(found.told(), "How sure that is was not drawn; it was told to stop before 10 draws more.");
    }

    #[test]
    fn a_target_that_fails_in_a_draw_wins_nothing_there() {
        let mut scenario = Scenario { messages: 5, ..Scenario::default() };
        scenario.work.wait = "40s".parse().expect("a wait");
        let scenario = scenario.checked().expect("a good scenario");
        let both = TargetKind::all().iter().map(|kind| (*kind, &scenario)).collect::<Vec<_>>();
        let found = uncertainty(&both, 3, &prices::read(None).expect("built in"), &AtomicBool::new(false));
        assert_eq!((found.failed, found.cheaper.len()), (3, 0));
        assert!(found.told().contains("In every one of 3 draws"), "{}", found.told());
    }
}
