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
mod thinned;

use std::sync::atomic::AtomicBool;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::cost::{self, Prices};
use crate::run::{Failure, Run};
use crate::scenario::Scenario;
use crate::simulate;
use crate::target::TargetKind;
use crate::uncertainty::{Uncertainty, drawn_estimates, uncertainty};
use thinned::Thinned;
use twinscale_work::mix;

pub(crate) use break_even::around;
pub use break_even::{BREAK_EVEN_SCHEMA, BreakEven, Point, break_even};
pub use candidates::{Candidate, Change};
pub(crate) use candidates::{NONE as NO_BEHAVIOR, SHORT as SHORT_BEHAVIOR, short_behavior};
pub use goal::Goal;
pub use interval::Interval;
pub(crate) use thinned::thinned;

/// Seeds of the first look at every candidate; those that lead are looked at with all seeds.
const FIRST_LOOK: u64 = 2;
/// Messages that a target's first look may simulate in all, and its last: on two cores of today seconds, and without an
/// optimizing compiler less than a minute.
const FIRST_MESSAGES: u64 = 4_000_000;
const LAST_MESSAGES: u64 = 4_000_000;
/// A long load is thinned to about so many messages for one simulation of the last look.
pub(crate) const LAST_LOAD: u64 = 200_000;
/// What a second in which nothing comes takes to simulate, in messages: scalers look and samples are taken all the same.
const IDLE_SECOND: f64 = 0.2;
/// Candidates that each look has at least.
const FEWEST: usize = 4;
/// A figure is better if it is lower by this share: less is luck.
pub(crate) const BETTER: f64 = 0.01;

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
    /// The scenario as it is; `None` if it fails.
    pub now: Option<Measured>,
    /// Why it fails, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now_fails: Option<String>,
    /// The cheapest that meets the goal, which is the scenario as it is where nothing is better; `None` if no candidate
    /// meets it.
    pub best: Option<Measured>,
    /// The fastest by the goal's figure: what came nearest when none meets it; `None` if every candidate failed.
    pub nearest: Option<Measured>,
    /// Candidates that no other beats in both cost and time, cheapest first.
    pub front: Vec<Measured>,
    /// What every candidate came to that did not fail, by the longest look at it.
    #[serde(default)]
    pub looked_at: Vec<Measured>,
    /// How many candidates were tried.
    pub tried: usize,
    /// Candidates whose run was cut, or that failed otherwise: they have no figures to compare.
    #[serde(default)]
    pub failed: usize,
    /// What the search left out, sentence by sentence.
    #[serde(default)]
    pub left_out: Vec<String>,
}

impl Advice {
    /// Nothing that was tried is better than the scenario as it is.
    pub fn stays(&self) -> bool {
        self.best.as_ref().is_some_and(|best| best.changes.is_empty())
    }
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
    /// What the models' estimates may do to the choice between the best of both targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<Uncertainty>,
    /// What the best settings change in the files that deploy them.
    #[serde(default)]
    pub patches: Vec<FilePatch>,
}

impl Advised {
    /// The target whose best setting is the cheapest; `None` if nothing meets the goal.
    pub fn winner(&self) -> Option<&Advice> {
        let month = |advice: &&Advice| advice.best.as_ref().map_or(f64::INFINITY, |best| best.usd.mean);
        let met = self.targets.iter().filter(|advice| advice.best.is_some());
        met.min_by(|a, b| month(a).total_cmp(&month(b)))
    }
}

/// The change of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePatch {
    /// Its path.
    pub file: String,
    /// A unified diff.
    pub diff: String,
}

/// How far a search is.
#[derive(Clone, Debug)]
pub enum Progress {
    /// So many simulations more are ahead.
    Ahead(u64),
    /// One is done.
    Done,
    /// A look at one target's candidates is over.
    Look {
        /// Which target.
        target: TargetKind,
        /// How many were looked at.
        candidates: usize,
        /// The cheapest that meets the goal so far.
        cheapest: Option<Measured>,
    },
}

/// Who waits for a search.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Is told how far it is.
    pub told: &'a (dyn Fn(Progress) + Sync),
    /// Once it is true, the search ends with what it has.
    pub stop: &'a AtomicBool,
}

impl Asker<'_> {
    /// Somebody who hears nothing, and waits for the end.
    pub fn patiently() -> Self {
        static NEVER: AtomicBool = AtomicBool::new(false);
        Self { told: &|_| (), stop: &NEVER }
    }
}

/// What one search may cost: which candidates, on how much of the load.
struct Plan {
    /// Indices of the candidates of the first look, the scenario's own among them.
    first: Vec<usize>,
    first_load: Thinned,
    first_seeds: u64,
    /// Candidates of the last look.
    leaders: usize,
    last_load: Thinned,
    left_out: Vec<String>,
}

impl Plan {
    fn of(scenario: &Scenario, candidates: usize, own: usize, seeds: u64) -> Self {
        let all = candidates.max(1) as u64;
        let first_load = thinned(scenario, FIRST_MESSAGES / all);
        let once = effort(&first_load.scenario);
        let first_seeds = if all * once * FIRST_LOOK <= FIRST_MESSAGES { FIRST_LOOK } else { 1 };
        let room = ((FIRST_MESSAGES / (once * first_seeds)) as usize).clamp(FEWEST, candidates.max(FEWEST));
        let few = room.min(candidates);
        // Drawn from the grid, always the same ones: every setting has its values among them, whatever their order.
        let mut first: Vec<usize> = (0..candidates).collect();
        first.sort_by_key(|at| mix(*at as u64));
        first.truncate(few);
        first.extend((!first.contains(&own)).then_some(own));
        first.sort_unstable();
        let last_load = thinned(scenario, LAST_LOAD);
        let leaders = (LAST_MESSAGES / (effort(&last_load.scenario) * seeds.max(1))) as usize;
        let mut left_out = Vec::new();
        if first.len() < candidates {
            left_out.push(format!("{} of {candidates} settings were tried, drawn from the grid.", first.len()));
        }
        if last_load.factor > 1.0 {
            let length = last_load.scenario.load.length(last_load.scenario.messages).as_secs_f64() / 60.0;
            left_out.push(format!(
                "The load was thinned to one message in {:.0} for the first look and one in {:.0} for the last ({length:.0} \
                 min at the same rates); bills are reckoned up to the whole.",
                first_load.factor, last_load.factor
            ));
        }
        Self { first, first_load, first_seeds, leaders: leaders.max(FEWEST), last_load, left_out }
    }

    #[cfg(test)]
    fn messages(&self, seeds: u64) -> u64 {
        let first = self.first.len() as u64 * self.first_seeds * self.first_load.scenario.messages;
        first + (self.leaders as u64 + 1) * seeds * self.last_load.scenario.messages
    }
}

/// What one simulation takes, in messages.
fn effort(scenario: &Scenario) -> u64 {
    let idle = scenario.load.length(scenario.messages).as_secs_f64() * IDLE_SECOND;
    scenario.messages.max(1) + idle as u64
}

/// Searches the settings of one target by simulation with `seeds` seeds: a first look at all that there is time for, and a
/// longer one at those that lead. Told to stop, it advises by what it has looked at.
pub fn advise(scenario: &Scenario, kind: TargetKind, goal: Goal, seeds: u64, prices: &Prices, by: Asker) -> Advice {
    let Asker { told, stop } = by;
    let candidates = candidates::around(scenario, kind);
    let own = candidates.iter().position(|candidate| candidate.changes.is_empty()).unwrap_or(0);
    let plan = Plan::of(scenario, candidates.len(), own, seeds);
    let look = |chosen: &[usize], seeds: u64, most: u64| -> Vec<Option<Result<Measured, String>>> {
        told(Progress::Ahead(chosen.len() as u64));
        let one = |at: &usize| {
            let measure = || measured(&candidates[*at], kind, goal, seeds.max(1), prices, Portion { most, stop });
            let measured = simulate::unless_stopped(stop, measure);
            told(Progress::Done);
            measured
        };
        let all: Vec<_> = chosen.par_iter().map(one).collect();
        let cheapest = cheapest(all.iter().flatten().flatten()).cloned();
        told(Progress::Look { target: kind, candidates: chosen.len(), cheapest });
        all
    };
    let first = look(&plan.first, plan.first_seeds, plan.first_load.scenario.messages);
    let tried = first.iter().flatten().count();
    let failed = first.iter().flatten().filter(|measured| measured.is_err()).count();
    let by_place = plan.first.iter().zip(&first);
    let compared: Vec<(usize, &Measured)> =
        by_place.filter_map(|(at, measured)| Some((*at, measured.as_ref()?.as_ref().ok()?))).collect();
    let mut chosen = leaders(&compared, goal);
    chosen.retain(|at| *at != own);
    chosen.truncate(plan.leaders);
    chosen.push(own);
    let mut again = look(&chosen, seeds, plan.last_load.scenario.messages);
    let unseen = again.iter().filter(|measured| measured.is_none()).count();
    for (at, measured) in chosen.iter().zip(&mut again).filter(|(_, measured)| measured.is_none()) {
        *measured = plan.first.iter().position(|first| first == at).and_then(|place| first[place].clone());
    }
    let (now, now_fails) = match again.pop().flatten() {
        Some(Ok(now)) => (Some(now), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    let mut again: Vec<Measured> = again.into_iter().flatten().flatten().collect();
    again.extend(now.clone());
    let looked_at = first.iter().enumerate().filter(|(at, _)| !chosen.contains(&plan.first[*at]));
    let looked_at = looked_at.filter_map(|(_, measured)| measured.as_ref()?.as_ref().ok());
    let looked_at = looked_at.chain(&again).cloned().collect();
    let front = front(&again.iter().collect::<Vec<_>>()).into_iter().map(|at| again[at].clone()).collect();
    let nearest = again.iter().min_by(|a, b| a.seconds.high.total_cmp(&b.seconds.high)).cloned();
    let mut best = cheapest(&again).cloned();
    if let (Some(now), Some(found)) = (&now, &best)
        && now.meets
        && found.usd.mean > now.usd.mean * (1.0 - BETTER)
    {
        best = Some(now.clone());
    }
    let mut left_out = plan.left_out;
    left_out.extend(stopped(tried, plan.first.len(), unseen));
    if failed > 0 {
        left_out.push(format!("{failed} settings had runs that were cut or failed, and are in no comparison."));
    }
    Advice { target: kind, now, now_fails, best, nearest, front, looked_at, tried, failed, left_out }
}

/// What a search that was told to stop has not looked at.
fn stopped(tried: usize, of: usize, unseen: usize) -> Option<String> {
    match (tried, unseen) {
        (0, _) => Some("It was told to stop before a setting was tried.".to_owned()),
        (tried, _) if tried < of => Some(format!(
            "It was told to stop after {tried} of {of} settings, before the longer look at those that lead: the rest is not \
             known, and intervals are of few seeds."
        )),
        (_, 0) => None,
        (_, unseen) => Some(format!(
            "It was told to stop before the longer look at {unseen} of the settings that lead: their intervals are of few \
             seeds."
        )),
    }
}

/// How often the best of one target is cheaper than the best of the other, with other values of what the models had to
/// estimate. `None` unless both have one.
pub fn survives(
    scenario: &Scenario,
    all: &[Advice],
    draws: u64,
    prices: &Prices,
    stop: &AtomicBool,
) -> Option<Uncertainty> {
    let best = |advice: &Advice| {
        let best = with(scenario, advice.target, &advice.best.as_ref()?.changes)?;
        Some((advice.target, thinned(&best, LAST_LOAD / 2)))
    };
    let all: Vec<_> = all.iter().map(best).collect::<Option<_>>()?;
    // A part of the load has a bill of its own, in the same proportion but for what is paid while nothing comes: the month
    // is made of such stretches.
    let mut prices = prices.clone();
    prices.options.even_load |= all.iter().any(|(_, thin)| thin.factor > 1.0);
    let each: Vec<_> = all.iter().map(|(kind, thin)| (*kind, &thin.scenario)).collect();
    (each.len() > 1).then(|| uncertainty(&each, draws, &prices, stop))
}

/// The cheapest that meets the goal.
fn cheapest<'a>(all: impl IntoIterator<Item = &'a Measured>) -> Option<&'a Measured> {
    all.into_iter().filter(|m| m.meets).min_by(|a, b| a.usd.mean.total_cmp(&b.usd.mean))
}

/// The scenario with these changes, which the search has tried.
pub fn with(scenario: &Scenario, kind: TargetKind, changes: &[Change]) -> Option<Scenario> {
    let mut tried = candidates::around(scenario, kind).into_iter();
    tried.find(|candidate| candidate.changes == changes).map(|candidate| candidate.scenario)
}

/// What of a load is simulated.
#[derive(Clone, Copy)]
pub(crate) struct Portion<'a> {
    /// About so many messages.
    pub most: u64,
    /// Once it is true, what there is has no meaning.
    pub stop: &'a AtomicBool,
}

/// What a candidate came to.
///
/// # Errors
/// Why one of its runs failed: what was cut has no figures that could be compared.
fn measured(
    candidate: &Candidate,
    kind: TargetKind,
    goal: Goal,
    seeds: u64,
    prices: &Prices,
    part: Portion,
) -> Result<Measured, String> {
    let mut seconds = Vec::new();
    let mut usd = Vec::new();
    for seed in 0..seeds {
        let Reckoned { run, failure } = reckoned(&candidate.scenario, kind, seed, part);
        if let Some(failure) = failure {
            return Err(failure.to_string());
        }
        let target = run.targets.get(kind).ok_or("the target did not run")?;
        seconds.push(goal.figure(target).ok_or("the run has no such figure")?);
        usd.push(month_usd(&run, kind, prices).ok_or("the run has no bill")?);
    }
    let seconds = Interval::of(&seconds);
    let meets = seconds.high <= goal.within.as_secs_f64();
    Ok(Measured { changes: candidate.changes.clone(), seconds, usd: Interval::of(&usd), meets })
}

/// A run of one target on a part of its load, reckoned up to the whole.
pub(crate) struct Reckoned {
    /// The run; of a failed one the figures are of the part.
    pub run: Run,
    /// Why it has no figures to compare.
    pub failure: Option<Failure>,
}

/// Simulates one target with the luck of the seed `seed` further on, on a part of its load.
pub(crate) fn reckoned(scenario: &Scenario, kind: TargetKind, seed: u64, part: Portion) -> Reckoned {
    let scenario = lucky(scenario, seed);
    let thin = thinned(&scenario, part.most);
    let mut run = simulated(&thin.scenario, kind, part.stop);
    let failure = run.failure(kind);
    if failure.is_none() {
        run.scenario = scenario;
        run.targets = run.targets.remove(kind).map(|target| (kind, thin.whole(target))).into_iter().collect();
    }
    Reckoned { run, failure }
}

/// The scenario with other luck, and with other values of what the models had to estimate: an interval over seeds covers
/// both. The first seed has the scenario's own.
fn lucky(scenario: &Scenario, seed: u64) -> Scenario {
    let mut scenario = scenario.with_luck(seed);
    if seed > 0 {
        scenario.estimates = drawn_estimates(scenario.seed);
    }
    scenario
}

/// One target of the scenario, in virtual time.
fn simulated(scenario: &Scenario, kind: TargetKind, stop: &AtomicBool) -> Run {
    Run::simulated(scenario, [(kind, simulate::target_until(kind, scenario, stop))].into())
}

/// What a month of such days costs.
pub(crate) fn month_usd(run: &Run, kind: TargetKind, prices: &Prices) -> Option<f64> {
    cost::bill(kind, run, prices).map(|bill| bill.month_usd)
}

/// Those worth a longer look, the most promising first: the ten cheapest within or near the goal, and the front.
fn leaders(first: &[(usize, &Measured)], goal: Goal) -> Vec<usize> {
    let mut near: Vec<_> =
        first.iter().filter(|(_, m)| m.seconds.mean <= goal.within.as_secs_f64() * 1.05).copied().collect();
    near.sort_by(|a, b| a.1.usd.mean.total_cmp(&b.1.usd.mean));
    near.truncate(10);
    let measured: Vec<&Measured> = first.iter().map(|(_, measured)| *measured).collect();
    let front: Vec<usize> = front(&measured).into_iter().map(|at| first[at].0).collect();
    // Alternately, so that both are among the few that there may be time for.
    let mut order = Vec::new();
    for n in 0..near.len().max(front.len()) {
        let pair = [near.get(n).map(|(at, _)| *at), front.len().checked_sub(n + 1).map(|from_fast| front[from_fast])];
        order.extend(pair.into_iter().flatten().filter(|at| !order.contains(at)).collect::<Vec<_>>());
    }
    let mut seen = std::collections::BTreeSet::new();
    order.retain(|at| seen.insert(*at));
    order
}

/// Indices of what nothing else beats in both cost and time, cheapest first.
fn front(all: &[&Measured]) -> Vec<usize> {
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
            let advice = advise(&scenario, kind, goal, 3, &prices, Asker::patiently());
            let best = advice.best.expect("60 s can be met");
            assert!(best.meets && best.seconds.high <= 60.0);
            assert!(advice.now.as_ref().is_none_or(|now| best.usd.mean <= now.usd.mean || !now.meets), "{kind:?}");
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
        let advice = |kind| advise(&scenario, kind, goal, 2, &prices, Asker::patiently());
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
        let waits =
            advise(&scenario, TargetKind::Lambda, goal, 2, &prices, Asker::patiently()).best.expect("20 s can be met");
        let waits = with(&scenario, TargetKind::Lambda, &waits.changes).expect("tried");
        assert_eq!(waits.lambda.memory_mb, 128);
    }

    #[test]
    fn a_day_of_three_million_messages_is_searched_on_a_small_part_of_it() {
        let text = "messages = 3000000\nload = { shape = 'day', rate = 34.72, swing = 0.8 }\nwork = { wait = '400ms' }";
        let mut scenario: Scenario = toml::from_str(text).expect("a scenario");
        scenario.limit = std::time::Duration::from_secs(30 * 3600);
        for kind in TargetKind::all().iter().copied() {
            let candidates = candidates::around(&scenario, kind);
            let own = candidates.iter().position(|candidate| candidate.changes.is_empty()).expect("it is there");
            let plan = Plan::of(&scenario, candidates.len(), own, 5);
            assert!(plan.messages(5) <= 12_000_000, "{kind:?}: {}", plan.messages(5));
            assert!(plan.first.contains(&own) && plan.first.len() > 50, "{kind:?}: {}", plan.first.len());
            assert!(plan.left_out.iter().any(|told| told.contains("was thinned to one message in")), "{kind:?}");
        }
        // A quiet day is as long as a busy one.
        let load = crate::scenario::load::Load::Poisson { rate: 0.005 };
        let quiet = Scenario { messages: 432, load, ..Scenario::default() };
        let plan = Plan::of(&quiet, 1000, 0, 5);
        assert!((50..300).contains(&plan.first.len()) && plan.leaders < 100, "{} {}", plan.first.len(), plan.leaders);
        // What is small is searched whole.
        let small = Scenario { messages: 200, ..Scenario::default() };
        assert_eq!(Plan::of(&small, 300, 0, 5).left_out, [""; 0]);
    }

    #[test]
    fn what_was_cut_is_compared_with_nothing() {
        let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
        // Five pods at most need ten times as long as there is.
        (scenario.messages, scenario.limit) = (3000, std::time::Duration::from_secs(60));
        let goal: Goal = "p95<1h".parse().expect("a goal");
        let prices = prices::read(None).expect("built in");
        let advice = advise(&scenario, TargetKind::Eks, goal, 2, &prices, Asker::patiently());
        assert!(advice.now.is_none() && advice.now_fails.is_some_and(|why| why.contains("when the run ended")));
        assert!(advice.failed > 0 && advice.left_out.iter().any(|told| told.contains("were cut or failed")));
        assert!(advice.front.iter().chain(&advice.best).all(|m| m.usd.mean.is_finite()));
    }

    #[test]
    fn what_is_told_to_stop_advises_by_what_it_has_looked_at() {
        let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
        scenario.messages = 100;
        let goal: Goal = "p95<60s".parse().expect("a goal");
        let prices = prices::read(None).expect("built in");
        let stop = AtomicBool::new(false);
        let settings = std::sync::Mutex::new(0);
        let looks = std::sync::Mutex::new(0);
        let stops_after = |most: usize, last: usize| {
            stop.store(false, std::sync::atomic::Ordering::Relaxed);
            (*settings.lock().expect("whole"), *looks.lock().expect("whole")) = (0, 0);
            let told = |progress| {
                let (counted, most) = match progress {
                    Progress::Done => (&settings, most),
                    Progress::Look { .. } => (&looks, last),
                    Progress::Ahead(_) => return,
                };
                let mut counted = counted.lock().expect("whole");
                *counted += 1;
                stop.fetch_or(*counted >= most, std::sync::atomic::Ordering::Relaxed);
            };
            advise(&scenario, TargetKind::Lambda, goal, 3, &prices, Asker { told: &told, stop: &stop })
        };
        let early = stops_after(10, 9);
        assert!((1..30).contains(&early.tried) && early.looked_at.len() <= early.tried, "{}", early.tried);
        assert!(early.left_out[0].starts_with(&format!("It was told to stop after {} of ", early.tried)));
        // After the first look every setting has figures, and the best of them is the advice.
        let later = stops_after(usize::MAX, 1);
        assert!(later.best.as_ref().is_some_and(|best| best.meets) && later.now.is_some(), "{:?}", later.best);
        assert!(later.left_out[0].contains("before the longer look at"), "{:?}", later.left_out);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let never = advise(&scenario, TargetKind::Eks, goal, 3, &prices, Asker { told: &|_| (), stop: &stop });
        assert_eq!((never.tried, never.best, never.now, never.failed), (0, None, None, 0));
    }

    #[test]
    fn where_nothing_is_better_the_advice_is_to_leave_it() {
        let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
        scenario.messages = 100;
        let goal: Goal = "p95<60s".parse().expect("a goal");
        let prices = prices::read(None).expect("built in");
        let first =
            advise(&scenario, TargetKind::Lambda, goal, 2, &prices, Asker::patiently()).best.expect("60 s can be met");
        let improved = with(&scenario, TargetKind::Lambda, &first.changes).expect("tried");
        let again = advise(&improved, TargetKind::Lambda, goal, 2, &prices, Asker::patiently());
        assert!(again.stays(), "{:?}", again.best);
    }

    #[test]
    fn a_goal_that_nothing_meets_gets_no_best() {
        let mut scenario = Scenario::read("article").and_then(Scenario::checked).expect("built in");
        scenario.messages = 20;
        let goal: Goal = "p50<10ms".parse().expect("a goal");
        let prices = prices::read(None).expect("built in");
        assert!(advise(&scenario, TargetKind::Lambda, goal, 2, &prices, Asker::patiently()).best.is_none());
    }
}
