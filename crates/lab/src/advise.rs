//! Advice: the cheapest settings that meet a goal, and the rate at kind the cheaper target changes, by simulation.
//!
//! The search is fair: both targets search their concurrency inside a host, a host's memory is never less than its
//! messages need, and work's computing part is stretched by the share that the host has. Every candidate meets the same
//! messages with the same luck (common random numbers), so that differences are the settings' own.

mod break_even;
mod candidates;
mod goal;
mod interval;
pub mod patch;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cost::{self, Prices};
use crate::run::{Engine, Run, SCHEMA};
use crate::scenario::Scenario;
use crate::simulate;
use crate::target::TargetKind;

pub use break_even::{BREAK_EVEN_SCHEMA, BreakEven, Point, break_even};
pub use candidates::{Candidate, Change};
pub use goal::Goal;
pub use interval::Interval;

/// Seeds of the first look at every candidate; those that lead are looked at with all seeds.
const FIRST_LOOK: u64 = 2;

/// What a candidate came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// What it changes.
    pub changes: Vec<Change>,
    /// The goal's figure, in scenario seconds.
    pub seconds: Interval,
    /// A month's bill.
    pub usd: Interval,
    /// Every seed drained, and the whole interval is within the goal.
    pub meets: bool,
}

/// The advice for one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// Which target.
    pub target: TargetKind,
    /// The scenario as it is.
    pub now: Measured,
    /// The cheapest that meets the goal; `None` if no candidate does.
    pub best: Option<Measured>,
    /// The fastest by the goal's figure: what came nearest when none meets it.
    pub nearest: Measured,
    /// Candidates that no other beats in both cost and time, cheapest first.
    pub front: Vec<Measured>,
    /// How many candidates were tried.
    pub tried: usize,
}

/// The version of what `advise` writes; a reader refuses another.
pub const ADVICE_SCHEMA: &str = "twinscale/advice/1";

/// What `twinscale advise` found: `advice.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advised {
    /// [`ADVICE_SCHEMA`].
    pub schema: String,
    /// What had to be met.
    pub goal: Goal,
    /// Seeds that the intervals are made of.
    pub seeds: u64,
    /// Where the prices hold.
    pub region: String,
    /// When they were read.
    pub prices_date: String,
    /// The scenario that the search began at, as resolved.
    #[serde(deserialize_with = "crate::run::whole_scenario")]
    pub scenario: Scenario,
    /// EKS, then Lambda.
    pub targets: Vec<Advice>,
    /// What the best settings change in the files that deploy them.
    #[serde(default)]
    pub patches: Vec<FilePatch>,
}

/// The change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePatch {
    /// Its path.
    pub file: String,
    /// A unified diff.
    pub diff: String,
}

/// Is told how many simulations were added to those ahead, and how many are done.
pub type Told<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Searches the settings of one target by simulation with `seeds` seeds.
pub fn advise(scenario: &Scenario, kind: TargetKind, goal: Goal, seeds: u64, prices: &Prices, told: Told) -> Advice {
    let measure = |candidate: &Candidate, seeds: u64| {
        let measured = measured(candidate, kind, goal, seeds.max(1), prices);
        told(0, 1);
        measured
    };
    let candidates = candidates::around(scenario, kind);
    told(candidates.len() as u64 + 1, 0);
    let first: Vec<Measured> = candidates.par_iter().map(|candidate| measure(candidate, FIRST_LOOK)).collect();
    let leading: Vec<&Candidate> = leaders(&first, goal).into_iter().map(|leader| &candidates[leader]).collect();
    told(leading.len() as u64, 0);
    let again: Vec<Measured> = leading.par_iter().map(|candidate| measure(candidate, seeds)).collect();
    let now = measure(&Candidate { scenario: scenario.clone(), changes: Vec::new() }, seeds);
    let best = again.iter().filter(|m| m.meets).min_by(|a, b| a.usd.mean.total_cmp(&b.usd.mean)).cloned();
    let front = front(&again).into_iter().map(|at| again[at].clone()).collect();
    let nearest = again.iter().chain([&now]).min_by(|a, b| a.seconds.high.total_cmp(&b.seconds.high));
    let nearest = nearest.unwrap_or(&now).clone();
    Advice { target: kind, now, best, nearest, front, tried: candidates.len() }
}

/// The scenario with these changes, kind the search has tried.
pub fn with(scenario: &Scenario, kind: TargetKind, changes: &[Change]) -> Option<Scenario> {
    let mut tried = candidates::around(scenario, kind).into_iter();
    tried.find(|candidate| candidate.changes == changes).map(|candidate| candidate.scenario)
}

fn measured(candidate: &Candidate, kind: TargetKind, goal: Goal, seeds: u64, prices: &Prices) -> Measured {
    let (mut seconds, mut usd, mut drained) = (Vec::new(), Vec::new(), true);
    for seed in 0..seeds {
        let mut scenario = candidate.scenario.clone();
        scenario.seed += seed;
        scenario.work.seed = scenario.seed;
        let run = simulated(&scenario, kind);
        let target = run.targets.iter().next().map(|(_, target)| target);
        drained &= target.is_some_and(|target| target.drain_seconds.is_some());
        seconds.push(target.and_then(|target| goal.figure(target)).unwrap_or(scenario.limit.as_secs_f64()));
        usd.push(month_usd(&run, kind, prices));
    }
    let seconds = Interval::of(&seconds);
    let meets = drained && seconds.high <= goal.within.as_secs_f64();
    Measured { changes: candidate.changes.clone(), seconds, usd: Interval::of(&usd), meets }
}

/// One target of the scenario, in virtual time.
fn simulated(scenario: &Scenario, kind: TargetKind) -> Run {
    Run {
        schema: SCHEMA.to_owned(),
        engine: Engine::Simulated,
        scenario: scenario.clone(),
        speed: None,
        targets: [(kind, simulate::run_target(kind, scenario))].into(),
        warnings: Vec::new(),
    }
}

fn month_usd(run: &Run, kind: TargetKind, prices: &Prices) -> f64 {
    cost::bill(kind, run, prices).map_or(f64::INFINITY, |bill| bill.month_usd)
}

/// Those worth a second look: the front, and the ten cheapest within or near the goal.
fn leaders(first: &[Measured], goal: Goal) -> Vec<usize> {
    let mut near: Vec<usize> =
        (0..first.len()).filter(|at| first[*at].seconds.mean <= goal.within.as_secs_f64() * 1.05).collect();
    near.sort_by(|a, b| first[*a].usd.mean.total_cmp(&first[*b].usd.mean));
    near.truncate(10);
    near.extend(front(first));
    near.sort_unstable();
    near.dedup();
    near
}

/// Indices of what nothing else beats in both cost and time, cheapest first.
fn front(all: &[Measured]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| {
        let by_cost = all[*a].usd.mean.total_cmp(&all[*b].usd.mean);
        by_cost.then(all[*a].seconds.mean.total_cmp(&all[*b].seconds.mean))
    });
    let mut fastest = f64::INFINITY;
    order.retain(|at| {
        let seconds = all[*at].seconds.mean;
        let leads = seconds < fastest;
        fastest = fastest.min(seconds);
        leads
    });
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::prices;

    #[test]
    fn the_advice_is_cheaper_or_faster_than_what_there_is_and_its_front_is_a_front() {
        let mut scenario = Scenario::read("article").and_then(Scenario::checked).expect("built in");
        scenario.messages = 200;
        let prices = prices::read(None).expect("built in");
        for kind in TargetKind::all().iter().copied() {
            let goal: Goal = "p95<60s".parse().expect("a goal");
            let advice = advise(&scenario, kind, goal, 3, &prices, &|_, _| ());
            let best = advice.best.expect("60 s can be met");
            assert!(best.meets && best.seconds.high <= 60.0 && !best.changes.is_empty());
            assert!(best.usd.mean <= advice.now.usd.mean || !advice.now.meets, "{kind:?}");
            assert!(advice.front.is_sorted_by(|a, b| a.usd.mean <= b.usd.mean && a.seconds.mean > b.seconds.mean));
        }
    }

    #[test]
    fn with_work_that_computes_neither_the_smallest_memory_nor_the_largest_concurrency_wins() {
        let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
        scenario.messages = 300;
        scenario.work.wait = "10ms".parse().expect("a wait");
        scenario.work.cpu = std::time::Duration::from_secs(2);
        let goal: Goal = "p95<20s".parse().expect("a goal");
        let prices = prices::read(None).expect("built in");
        let advice = |kind| advise(&scenario, kind, goal, 2, &prices, &|_, _| ());
        let best = |kind| with(&scenario, kind, &advice(kind).best.expect("20 s can be met").changes).expect("tried");
        // A share of 128 / 1,769 of a vCPU takes 27 s for each of them.
        assert!(best(TargetKind::Lambda).lambda.memory_mb > 128);
        // Fifty at once on one vCPU take as long as one after the other: what more concurrency saves is only the wait.
        let drained = |concurrency| {
            let mut one_pod = scenario.clone();
            (one_pod.messages, one_pod.eks.pod.concurrency) = (50, concurrency);
            (one_pod.eks.keda.min_replica_count, one_pod.eks.keda.max_replica_count) = (1, 1);
            simulate::run_eks(&one_pod).drain_seconds.expect("it drains")
        };
        assert!(drained(50) > 0.9 * drained(1), "{} s and {} s", drained(50), drained(1));
        // And with a wait alone, the smallest memory is right to win.
        scenario.work.wait = "2s".parse().expect("a wait");
        scenario.work.cpu = std::time::Duration::ZERO;
        let waits = advise(&scenario, TargetKind::Lambda, goal, 2, &prices, &|_, _| ()).best.expect("20 s can be met");
        let waits = with(&scenario, TargetKind::Lambda, &waits.changes).expect("tried");
        assert_eq!(waits.lambda.memory_mb, 128);
    }

    #[test]
    fn a_goal_that_nothing_meets_gets_no_best() {
        let mut scenario = Scenario::read("article").and_then(Scenario::checked).expect("built in");
        scenario.messages = 20;
        let goal: Goal = "p50<10ms".parse().expect("a goal");
        let prices = prices::read(None).expect("built in");
        assert!(advise(&scenario, TargetKind::Lambda, goal, 2, &prices, &|_, _| ()).best.is_none());
    }
}
