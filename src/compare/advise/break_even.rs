//! Break-even: over six decades of the rate, which target is cheaper, and where that changes.

use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Interval, Which, month_usd, simulated};
use crate::compare::cost::{Options, Prices};
use crate::compare::load::Load;
use crate::compare::scenario::Scenario;

/// Messages a second at the lower end, and steps: half a decade each, over six decades.
const LOWEST: f64 = 0.001;
const STEPS: u32 = 13;

/// One rate of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Messages a second.
    pub rate: f64,
    /// A month of the worker on EKS.
    pub eks_usd: Interval,
    /// A month of the function.
    pub lambda_usd: Interval,
}

/// The version of what `break-even` writes; a reader refuses another.
pub const BREAK_EVEN_SCHEMA: &str = "twinscale/break-even/1";

/// The curve, and where its lines cross: `break-even.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakEven {
    /// [`BREAK_EVEN_SCHEMA`].
    pub schema: String,
    /// Seeds that the intervals are made of.
    pub seeds: u64,
    /// Where the prices hold.
    pub region: String,
    /// When they were read.
    pub prices_date: String,
    /// The scenario whose rate was changed, as resolved.
    pub scenario: serde_json::Value,
    /// From the lowest rate to the highest.
    pub curve: Vec<Point>,
    /// The lowest rate from which on the worker is cheaper; `None` if no seed has one within the curve.
    pub rate: Option<Interval>,
}

/// Sweeps the rate of an even load with the scenario's settings; the worker may have as many pods as it needs.
pub fn break_even(scenario: &Scenario, seeds: u64, prices: &Prices, options: &Options) -> BreakEven {
    let options = Options { even_load: true, ..options.clone() };
    let jobs: Vec<(u32, u64)> = (0..STEPS).flat_map(|step| (0..seeds.max(1)).map(move |seed| (step, seed))).collect();
    let costs: Vec<(f64, f64)> = jobs
        .par_iter()
        .map(|(step, seed)| {
            let scenario = at_rate(scenario, rate(*step), *seed);
            let usd = |which| month_usd(&simulated(&scenario, which), which, prices, &options);
            (usd(Which::Eks), usd(Which::Lambda))
        })
        .collect();
    let by_step: Vec<&[(f64, f64)]> = costs.chunks(seeds.max(1) as usize).collect();
    let curve = by_step.iter().enumerate().map(|(step, costs)| Point {
        rate: rate(step as u32),
        eks_usd: Interval::of(&costs.iter().map(|cost| cost.0).collect::<Vec<_>>()),
        lambda_usd: Interval::of(&costs.iter().map(|cost| cost.1).collect::<Vec<_>>()),
    });
    let crossings: Vec<f64> = (0..seeds.max(1) as usize)
        .filter_map(|seed| crossing(&by_step.iter().map(|costs| costs[seed]).collect::<Vec<_>>()))
        .collect();
    BreakEven {
        schema: BREAK_EVEN_SCHEMA.to_owned(),
        seeds,
        region: prices.region.clone(),
        prices_date: prices.date.clone(),
        scenario: serde_json::to_value(scenario).unwrap_or_default(),
        curve: curve.collect(),
        rate: (!crossings.is_empty()).then(|| Interval::of(&crossings)),
    }
}

fn rate(step: u32) -> f64 {
    LOWEST * 10_f64.powf(f64::from(step) / 2.0)
}

/// The scenario under an even load, long enough to tell and short enough to simulate.
fn at_rate(scenario: &Scenario, rate: f64, seed: u64) -> Scenario {
    let mut scenario = scenario.clone();
    let seconds = (100_000.0 / rate).clamp(3600.0, 86_400.0);
    scenario.load = Load::Poisson { rate };
    scenario.messages = (rate * seconds).round().max(1.0) as u64;
    scenario.limit = Duration::from_secs(4 * 86_400);
    scenario.seed += seed;
    scenario.work.seed = scenario.seed;
    scenario.eks.keda.max_replica_count = 10_000;
    scenario
}

/// Where the worker becomes the cheaper one, on a straight line between the logarithms of two rates.
fn crossing(costs: &[(f64, f64)]) -> Option<f64> {
    let ratio = |at: usize| (costs[at].0 / costs[at].1).ln();
    let at = (1..costs.len()).find(|at| ratio(at - 1) > 0.0 && ratio(*at) <= 0.0)?;
    let (before, after) = (ratio(at - 1), ratio(at));
    let share = before / (before - after);
    Some(LOWEST * 10_f64.powf((at as f64 - 1.0 + share) / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crossing_is_where_the_two_lines_meet() {
        // Equal at the second step and half a step further: from 10 to 1 over 1 to 10, met half-way.
        let crossing = crossing(&[(10.0, 0.1), (10.0, 1.0), (10.0, 100.0)]).expect("they cross");
        assert!((crossing - LOWEST * 10_f64.powf(0.75)).abs() < 1e-9, "{crossing}");
        assert_eq!(super::crossing(&[(10.0, 1.0), (10.0, 2.0)]), None);
    }
}
