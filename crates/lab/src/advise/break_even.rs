//! Break-even: over six decades of the rate, kind target is cheaper, and where that changes.

use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Asker, Interval, Progress, lucky, month_usd, simulated};
use crate::cost::Prices;
use crate::scenario::Scenario;
use crate::scenario::load::{Arrival, Load};
use crate::simulate;
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
    /// Rates at which a target failed: they have no bills to compare.
    #[serde(default)]
    pub left_out: Vec<f64>,
    /// Rates that were not simulated with every seed: it was told to stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_reached: Vec<f64>,
    /// The lowest rate at kind the cheaper target changes; `None` if in no seed it does within the curve.
    pub rate: Option<Interval>,
    /// Seeds in kind it changes.
    #[serde(default)]
    pub crossings: u64,
}

impl BreakEven {
    /// The rates at which the cheaper target changes, by the means of both bills.
    pub(crate) fn crossings_of_means(&self) -> Vec<f64> {
        let costs: Vec<_> =
            self.curve.iter().map(|point| (point.rate, (point.eks_usd.mean, point.lambda_usd.mean))).collect();
        costs.windows(2).filter_map(crossing).collect()
    }

    /// The cheaper target at the lowest rate, hence below the break-even.
    pub fn cheaper_below(&self) -> TargetKind {
        Self::cheaper_at(self.curve.first())
    }

    /// The cheaper target just above the break-even.
    pub fn cheaper_above(&self) -> TargetKind {
        self.cheaper_below().other()
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
/// a bill of what did not keep up would be too small. Told to stop, it has the rates that it reached.
pub fn break_even(scenario: &Scenario, seeds: u64, prices: &Prices, by: Asker) -> BreakEven {
    let even = Scenario { load: Load::Poisson { rate: 1.0 }, ..scenario.clone() };
    BreakEven { scenario: scenario.clone(), ..sweep(&even, &rates(STEPS), seeds, prices, by) }
}

/// The same with the load's own shape where it has one over time, up to ten times its own rate, which is among the rates.
pub(crate) fn around(scenario: &Scenario, own: f64, seeds: u64, prices: &Prices, by: Asker) -> BreakEven {
    let mut all = rates(STEPS);
    all.retain(|rate| *rate <= own * 10.0);
    all.push(own);
    all.sort_by(f64::total_cmp);
    sweep(scenario, &all, seeds, prices, by)
}

fn sweep(scenario: &Scenario, rates: &[f64], seeds: u64, prices: &Prices, by: Asker) -> BreakEven {
    let Asker { told, stop } = by;
    let mut prices = prices.clone();
    prices.options.even_load = true;
    let jobs: Vec<(f64, u64)> =
        rates.iter().flat_map(|rate| (0..seeds.max(1)).map(move |seed| (*rate, seed))).collect();
    told(Progress::Ahead(jobs.len() as u64));
    let costs: Vec<Option<Option<(f64, f64)>>> = jobs
        .par_iter()
        .map(|(rate, seed)| {
            let scenario = at_rate(scenario, *rate, *seed);
            let usd = |kind| {
                let run = simulated(&scenario, kind, stop);
                if run.failure(kind).is_some() { None } else { month_usd(&run, kind, &prices) }
            };
            let both = simulate::unless_stopped(stop, || usd(TargetKind::Eks).zip(usd(TargetKind::Lambda)));
            told(Progress::Done);
            both
        })
        .collect();
    let mut priced = Vec::new();
    let mut left_out = Vec::new();
    let mut not_reached = Vec::new();
    for (rate, costs) in rates.iter().zip(costs.chunks(seeds.max(1) as usize)) {
        match costs.iter().copied().collect::<Option<Option<Vec<(f64, f64)>>>>() {
            None => not_reached.push(*rate),
            // A rate at which a run failed has no bill that could be compared.
            Some(None) => left_out.push(*rate),
            Some(Some(costs)) => priced.push((*rate, costs)),
        }
    }
    let curve = priced.iter().map(|(rate, costs)| Point {
        rate: *rate,
        eks_usd: Interval::of(&costs.iter().map(|cost| cost.0).collect::<Vec<_>>()),
        lambda_usd: Interval::of(&costs.iter().map(|cost| cost.1).collect::<Vec<_>>()),
    });
    let crossings: Vec<f64> = (0..seeds.max(1) as usize)
        .filter_map(|seed| crossing(&priced.iter().map(|(rate, costs)| (*rate, costs[seed])).collect::<Vec<_>>()))
        .collect();
    BreakEven {
        schema: BREAK_EVEN_SCHEMA.to_owned(),
        seeds,
        region: prices.region.clone(),
        prices_date: prices.date.clone(),
        scenario: scenario.clone(),
        curve: curve.collect(),
        left_out,
        not_reached,
        crossings: crossings.len() as u64,
        rate: (!crossings.is_empty()).then(|| Interval::of(&crossings)),
    }
}

/// So many rates from the lowest on.
fn rates(steps: u32) -> Vec<f64> {
    (0..steps).map(|step| LOWEST * 10_f64.powf(f64::from(step) / 2.0)).collect()
}

/// The scenario at another mean rate, long enough to tell and short enough to simulate.
fn at_rate(scenario: &Scenario, rate: f64, seed: u64) -> Scenario {
    let mut scenario = lucky(scenario, seed);
    let seconds = (30_000.0 / rate).clamp(1800.0, 86_400.0);
    scenario.messages = (rate * seconds).round().max(1.0) as u64;
    scenario.load = shaped(&scenario.load, rate, seconds, scenario.messages);
    scenario.limit = Duration::from_secs(4 * 86_400);
    scenario.eks.keda.max_replica_count = 10_000;
    scenario.lambda.mapping.maximum_concurrency = None;
    scenario
}

/// The load's shape over so many seconds, where it has a shape over time; an even load in place of any other.
fn shaped(load: &Load, rate: f64, seconds: f64, messages: u64) -> Load {
    match load {
        Load::Day { swing, noise, .. } => {
            Load::Day { rate, swing: *swing, noise: *noise, period: Duration::from_secs_f64(seconds) }
        }
        Load::Recorded { rows, .. } => {
            let all: u64 = rows.iter().map(|row| row.count).sum();
            let faster = load.length(all).as_secs_f64() / seconds;
            let mut recorded = 0_u64;
            let mut sent = 0_u64;
            let row = |row: &Arrival| {
                recorded += row.count;
                let upto = (recorded as f64 / all.max(1) as f64 * messages as f64).round() as u64;
                let count = upto - std::mem::replace(&mut sent, upto);
                Arrival { at: row.at.div_f64(faster.max(f64::MIN_POSITIVE)), count }
            };
            Load::Recorded { file: None, rows: rows.iter().map(row).collect() }
        }
        Load::Burst | Load::Steady { .. } | Load::Ramp { .. } | Load::Poisson { .. } | Load::OnOff { .. } => {
            Load::Poisson { rate }
        }
    }
}

/// Where the other target becomes the cheaper one, on a straight line between the logarithms of two rates.
fn crossing(costs: &[(f64, (f64, f64))]) -> Option<f64> {
    let ratio = |at: usize| (costs[at].1.0 / costs[at].1.1).ln();
    let at = (1..costs.len()).find(|at| (ratio(at - 1) > 0.0) != (ratio(*at) > 0.0))?;
    let before = ratio(at - 1);
    let after = ratio(at);
    let share = before / (before - after);
    Some(costs[at - 1].0 * (costs[at].0 / costs[at - 1].0).powf(share))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crossing_is_where_the_two_lines_meet() {
        // Equal at the second step and half a step further: from 10 to 1 over 1 to 10, met half-way.
        let crossing = |costs: &[(f64, f64)]| {
            super::crossing(&rates(costs.len() as u32).into_iter().zip(costs.iter().copied()).collect::<Vec<_>>())
        };
        let met = crossing(&[(10.0, 0.1), (10.0, 1.0), (10.0, 100.0)]).expect("they cross");
        assert!((met - LOWEST * 10_f64.powf(0.75)).abs() < 1e-9, "{met}");
        assert_eq!(crossing(&[(10.0, 1.0), (10.0, 2.0)]), None);
        let other_way = crossing(&[(0.1, 10.0), (10.0, 0.1)]).expect("they cross");
        assert!((other_way - LOWEST * 10_f64.powf(0.25)).abs() < 1e-9, "{other_way}");
    }

    #[test]
    fn a_day_and_what_was_recorded_keep_their_shape_at_another_rate() {
        let row = |at, count| Arrival { at: Duration::from_secs(at), count };
        let recorded = Load::Recorded { file: None, rows: vec![row(0, 10), row(600, 30), row(1200, 0)] };
        let Load::Recorded { rows, .. } = shaped(&recorded, 1.0, 120.0, 120) else { panic!("it stays what it is") };
        assert_eq!(rows.iter().map(|row| row.count).collect::<Vec<_>>(), [30, 90, 0]);
        // The last message was sent within the second row.
        assert!(rows[1].at > Duration::from_secs(55) && rows[1].at < Duration::from_secs(65), "{:?}", rows[1].at);
        let day = Load::Day { rate: 5.0, swing: 0.8, noise: 0.2, period: Duration::from_secs(86_400) };
        let squeezed = shaped(&day, 2.0, 1800.0, 3600);
        assert_eq!(squeezed, Load::Day { rate: 2.0, swing: 0.8, noise: 0.2, period: Duration::from_secs(1800) });
        assert_eq!(shaped(&Load::Burst, 2.0, 1800.0, 3600), Load::Poisson { rate: 2.0 });
    }

    #[test]
    fn what_is_told_to_stop_has_the_rates_that_it_reached() {
        let even = Scenario { load: Load::Poisson { rate: 1.0 }, ..Scenario::default() };
        let prices = crate::cost::prices::read(None).expect("built in");
        let stop = std::sync::atomic::AtomicBool::new(false);
        let done = std::sync::atomic::AtomicUsize::new(0);
        let told = |progress| {
            let counts = matches!(progress, Progress::Done);
            let before = done.fetch_add(usize::from(counts), std::sync::atomic::Ordering::Relaxed);
            stop.fetch_or(before >= 4, std::sync::atomic::Ordering::Relaxed);
        };
        let found = sweep(&even, &rates(7), 2, &prices, Asker { told: &told, stop: &stop });
        assert!(!found.not_reached.is_empty() && found.left_out.is_empty(), "{:?}", found.left_out);
        assert_eq!(found.curve.len() + found.not_reached.len(), 7);
        let text = crate::report::break_even::text(&found);
        assert!(text.contains(&format!("told to stop before {} of 7 rates", found.not_reached.len())), "{text}");
    }

    #[test]
    fn the_break_even_is_where_two_bills_made_by_hand_are_equal() {
        // Waits of 100 ms, ten in a batch one after the other: an invocation of 1 s with 512 MB for ten messages.
        let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
        scenario.work.wait = "100ms".parse().expect("a wait");
        scenario.lambda.in_host_concurrency = 1;
        let prices = crate::cost::prices::read(None).expect("built in");
        let even = Scenario { load: Load::Poisson { rate: 1.0 }, ..scenario };
        // Up to 100 messages per second.
        let found = sweep(&even, &rates(11), 2, &prices, Asker::patiently());
        let rate = found.rate.expect("they cross").mean;
        assert_eq!(found.crossings, 2);
        // Up to a few messages per second one pod is enough: control plane, one Fargate pod of 0.25 vCPU and 0.5 GB and
        // its reads cost the same at every rate, and so does each message on Lambda, a message an invocation.
        let hours = 720.0;
        let fixed = hours * (0.10 + 0.25 * 0.04048 + 0.5 * 0.004445);
        let low = found.curve[0];
        assert!((low.eks_usd.mean / fixed - 1.0).abs() < 0.02, "{} for {fixed}", low.eks_usd.mean);
        let point = found.curve.iter().find(|point| point.rate > 0.9).expect("a rate of 1");
        let messages = point.rate * hours * 3600.0;
        // 100 ms of half a GB, an invocation, three requests, 1.6 KB of logs; and the long polls of two idle pollers at least.
        let a_message = 0.1 * 0.5 * 0.0000133334 + 0.20e-6 + 3.0 * 0.40e-6 + 1600.0 * 0.50e-9;
        let by_hand = messages * a_message + 2.0 * hours * 180.0 * 0.40e-6;
        assert!((point.lambda_usd.mean / by_hand - 1.0).abs() < 0.15, "{point:?} for {by_hand}");
        // Between the two rates around it, the cheaper one changes.
        let cheaper = |point: &&Point| point.eks_usd.mean < point.lambda_usd.mean;
        let below = found.curve.iter().rfind(|point| point.rate < rate).expect("a point below");
        let above = found.curve.iter().find(|point| point.rate > rate).expect("a point above");
        assert!(!cheaper(&below) && cheaper(&above), "{rate}: {below:?} {above:?}");
    }
}
