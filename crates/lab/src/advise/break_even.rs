//! Break-even: over six decades of the rate, kind target is cheaper, and where that changes.

use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Interval, Told, month_usd, simulated};
use crate::cost::Prices;
use crate::scenario::Scenario;
use crate::scenario::load::Load;
use crate::target::TargetKind;

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
    #[serde(deserialize_with = "crate::run::whole_scenario")]
    pub scenario: Scenario,
    /// From the lowest rate to the highest.
    pub curve: Vec<Point>,
    /// The lowest rate at kind the cheaper target changes; `None` if in no seed it does within the curve.
    pub rate: Option<Interval>,
    /// Seeds in kind it changes.
    #[serde(default)]
    pub crossings: u64,
}

impl BreakEven {
    /// The cheaper target at the lowest rate, hence below the break-even.
    pub fn cheaper_below(&self) -> TargetKind {
        Self::cheaper_at(self.curve.first())
    }

    /// The cheaper target just above the break-even.
    pub fn cheaper_above(&self) -> TargetKind {
        match self.cheaper_below() {
            TargetKind::Eks => TargetKind::Lambda,
            TargetKind::Lambda => TargetKind::Eks,
        }
    }

    /// Whether the cheaper target changes a second time, further up.
    pub fn changes_again(&self) -> bool {
        self.rate.is_some() && Self::cheaper_at(self.curve.last()) == self.cheaper_below()
    }

    fn cheaper_at(point: Option<&Point>) -> TargetKind {
        if point.is_some_and(|point| point.eks_usd.mean < point.lambda_usd.mean) {
            TargetKind::Eks
        } else {
            TargetKind::Lambda
        }
    }
}

/// Sweeps the rate of an even load with the scenario's settings; both targets may have as much capacity as they need, since
/// a bill of what did not keep up would be too small.
pub fn break_even(scenario: &Scenario, seeds: u64, prices: &Prices, told: Told) -> BreakEven {
    sweep(scenario, STEPS, seeds, prices, told)
}

fn sweep(scenario: &Scenario, steps: u32, seeds: u64, prices: &Prices, told: Told) -> BreakEven {
    let mut prices = prices.clone();
    prices.options.even_load = true;
    let jobs: Vec<(u32, u64)> = (0..steps).flat_map(|step| (0..seeds.max(1)).map(move |seed| (step, seed))).collect();
    told(jobs.len() as u64, 0);
    let costs: Vec<(f64, f64)> = jobs
        .par_iter()
        .map(|(step, seed)| {
            let scenario = at_rate(scenario, rate(*step), *seed);
            let usd = |kind| month_usd(&simulated(&scenario, kind), kind, &prices);
            let both = (usd(TargetKind::Eks), usd(TargetKind::Lambda));
            told(0, 1);
            both
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
        scenario: scenario.clone(),
        curve: curve.collect(),
        crossings: crossings.len() as u64,
        rate: (!crossings.is_empty()).then(|| Interval::of(&crossings)),
    }
}

fn rate(step: u32) -> f64 {
    LOWEST * 10_f64.powf(f64::from(step) / 2.0)
}

/// The scenario under an even load, long enough to tell and short enough to simulate.
fn at_rate(scenario: &Scenario, rate: f64, seed: u64) -> Scenario {
    let mut scenario = scenario.clone();
    let seconds = (30_000.0 / rate).clamp(1800.0, 86_400.0);
    scenario.load = Load::Poisson { rate };
    scenario.messages = (rate * seconds).round().max(1.0) as u64;
    scenario.limit = Duration::from_secs(4 * 86_400);
    scenario.seed += seed;
    scenario.work.seed = scenario.seed;
    scenario.eks.keda.max_replica_count = 10_000;
    scenario.lambda.mapping.maximum_concurrency = None;
    scenario
}

/// Where the other target becomes the cheaper one, on a straight line between the logarithms of two rates.
fn crossing(costs: &[(f64, f64)]) -> Option<f64> {
    let ratio = |at: usize| (costs[at].0 / costs[at].1).ln();
    let at = (1..costs.len()).find(|at| (ratio(at - 1) > 0.0) != (ratio(*at) > 0.0))?;
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
        let other_way = super::crossing(&[(0.1, 10.0), (10.0, 0.1)]).expect("they cross");
        assert!((other_way - LOWEST * 10_f64.powf(0.25)).abs() < 1e-9, "{other_way}");
    }

    #[test]
    fn the_break_even_is_where_two_bills_made_by_hand_are_equal() {
        // Waits of 100 ms, ten in a batch one after the other: an invocation of 1 s with 512 MB for ten messages.
        let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
        scenario.work.wait = "100ms".parse().expect("a wait");
        scenario.lambda.in_host_concurrency = 1;
        let prices = crate::cost::prices::read(None).expect("built in");
        // Up to 100 messages a second.
        let found = sweep(&scenario, 11, 2, &prices, &|_, _| ());
        let rate = found.rate.expect("they cross").mean;
        assert_eq!(found.crossings, 2);
        // Up to a few messages a second one pod is enough: control plane, one Fargate pod of 1 vCPU and 2 GB and its
        // reads cost the same at every rate, and so does each message on Lambda, a message an invocation.
        let hours = 720.0;
        let fixed = hours * (0.10 + 0.04048 + 2.0 * 0.004445);
        let low = found.curve[0];
        assert!((low.eks_usd.mean / fixed - 1.0).abs() < 0.02, "{} for {fixed}", low.eks_usd.mean);
        let point = found.curve.iter().find(|point| point.rate > 0.9).expect("a rate of 1");
        let messages = point.rate * hours * 3600.0;
        // 100 ms of half a GB, an invocation, three requests; and the long polls of two idle pollers at least.
        let a_message = 0.1 * 0.5 * 0.0000133334 + 0.20e-6 + 3.0 * 0.40e-6;
        let by_hand = messages * a_message + 2.0 * hours * 180.0 * 0.40e-6;
        assert!((point.lambda_usd.mean / by_hand - 1.0).abs() < 0.15, "{point:?} for {by_hand}");
        // Between the two rates around it, the cheaper one changes.
        let cheaper = |point: &&Point| point.eks_usd.mean < point.lambda_usd.mean;
        let below = found.curve.iter().rfind(|point| point.rate < rate).expect("a point below");
        let above = found.curve.iter().find(|point| point.rate > rate).expect("a point above");
        assert!(!cheaper(&below) && cheaper(&above), "{rate}: {below:?} {above:?}");
    }
}
