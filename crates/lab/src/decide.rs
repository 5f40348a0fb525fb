//! The decision: which target a queue should have. Both are tuned by [`advise`](crate::advise) to the same goal, run with
//! what was found, priced, and held against other rates and other values of what the models had to estimate. Pure: the same
//! question gives the same answer.

mod backtest;
mod flip;
mod question;

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::advise::{Advice, Asker, Goal, Progress, advise, thinned, with};
use crate::contest::{Lower, lower};
use crate::cost::{self, Prices};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::simulate;
use crate::target::TargetKind;
use crate::uncertainty::{Uncertainty, uncertainty};

pub(crate) use backtest::backtest;
pub use backtest::{Aspect, Backtest, BacktestError, Compared};
pub use flip::{Flip, Flips};
pub(crate) use question::DAY;
pub use question::{Peak, made_fit};

/// The version of what `decide` writes; a reader refuses another.
pub const DECISION_SCHEMA: &str = "twinscale/decision/1";

/// A load of more messages is thinned for the run with the chosen settings, too.
const WHOLE: u64 = 5_000_000;
/// Messages that all draws of the estimates simulate on one target.
const DRAWN_MESSAGES: u64 = 2_000_000;

/// What `twinscale decide` found: `decision.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// [`DECISION_SCHEMA`].
    pub schema: String,
    /// What had to be met.
    pub goal: Goal,
    /// Which target.
    pub choice: Choice,
    /// EKS, then Lambda: each with the best settings that were found for it.
    pub contenders: Vec<Contender>,
    /// At which rates the cheaper one changes, with these settings.
    pub flips: Flips,
    /// What other values of the estimates do to the bills.
    pub uncertainty: Uncertainty,
    /// What was observed beside what the simulator makes of the same load; absent unless it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtest: Option<Backtest>,
    /// What it was told to stop before, sentence by sentence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Seeds that the search's intervals are made of.
    pub seeds: u64,
    /// Where the prices hold.
    pub region: String,
    /// When they were read.
    pub prices_date: String,
    /// The scenario with the chosen settings of both targets.
    #[serde(deserialize_with = "crate::run::whole_scenario")]
    pub scenario: Scenario,
}

impl Decided {
    /// One target, if it took part.
    pub fn contender(&self, kind: TargetKind) -> Option<&Contender> {
        self.contenders.iter().find(|contender| contender.target == kind)
    }
}

/// Which target it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Both meet the goal, and this one costs less.
    Cheaper(TargetKind),
    /// This one alone meets the goal.
    Alone(TargetKind),
    /// Both meet the goal, and cost the same.
    Either,
    /// Nothing that was tried meets the goal.
    Neither,
    /// It was told to stop before both were searched, and not both meet the goal so far.
    Open,
}

/// One target with the settings that were found for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// Which target.
    pub target: TargetKind,
    /// What the search found, and how.
    pub advice: Advice,
    /// It did its work within the goal.
    pub meets: bool,
    /// The goal's figure of the run with these settings, in scenario seconds; null where that run failed.
    pub seconds: Option<f64>,
    /// A month's bill of that run, likewise.
    pub month_usd: Option<f64>,
    /// What most of the bill is for.
    pub most_of_it: Option<Item>,
    /// What kept it from being faster, with its arithmetic; null where nothing did.
    pub limit: Option<String>,
    /// Why the run failed.
    pub failure: Option<String>,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What is billed.
    pub item: String,
    /// A month of it.
    pub usd: f64,
}

/// How far the decision is.
#[derive(Clone, Debug)]
pub enum Reached<'a> {
    /// Of a search, or of the sweep over rates.
    Simulated(Progress),
    /// One target is tuned.
    Tuned(&'a Advice),
    /// Both ran with their settings: the answer but for how sure it is.
    Chosen(Choice, &'a [Contender]),
}

/// Is told how far the decision is.
pub type Heard<'a> = &'a (dyn Fn(Reached) + Sync);

/// How much is simulated.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Seeds that the search's intervals are made of.
    pub seeds: u64,
    /// Draws of the models' estimates.
    pub draws: u64,
}

/// Decides, and gives the run of both targets with the settings that were found. Once `stop` is true, it decides by what there
/// is, and says what it left out.
pub fn decide(
    scenario: &Scenario,
    goal: Goal,
    effort: Effort,
    prices: &Prices,
    heard: Heard,
    stop: &AtomicBool,
) -> (Decided, Run) {
    let simulated = |progress| heard(Reached::Simulated(progress));
    let by = Asker { told: &simulated, stop };
    let tuned = |kind: &TargetKind| {
        let advice = advise(scenario, *kind, goal, effort.seeds, prices, by);
        heard(Reached::Tuned(&advice));
        advice
    };
    let advice: Vec<Advice> = TargetKind::all().iter().map(tuned).collect();
    let settled = settled(scenario, &advice);
    let run = played(&settled, stop);
    let cut = stop.load(Ordering::Relaxed);
    let of = |advice| if cut { sought(advice) } else { contender(advice, &run, goal, prices) };
    let contenders: Vec<Contender> = advice.into_iter().map(of).collect();
    let choice = match choice(&contenders) {
        Choice::Alone(_) | Choice::Neither if cut => Choice::Open,
        choice => choice,
    };
    heard(Reached::Chosen(choice, &contenders));
    let flips = flip::flips(&settled, prices, by);
    let uncertainty = drawn(&settled, effort.draws, prices, stop);
    let mut left_out = Vec::new();
    if cut {
        left_out
            .push("It was told to stop: the figures are the search's, and not of a run of the whole load.".to_owned());
        let told =
            |c: &Contender| c.advice.left_out.iter().map(|told| format!("{}: {told}", c.target.title())).collect();
        left_out.extend(contenders.iter().flat_map::<Vec<_>, _>(told));
    }
    if !flips.not_reached.is_empty() {
        left_out.push(format!("It was told to stop before {} of the other rates.", flips.not_reached.len()));
    }
    let decided = Decided {
        schema: DECISION_SCHEMA.to_owned(),
        goal,
        choice,
        contenders,
        flips,
        uncertainty,
        backtest: None,
        left_out,
        seeds: effort.seeds,
        region: prices.region.clone(),
        prices_date: prices.date.clone(),
        scenario: settled,
    };
    (decided, run)
}

/// The scenario with the best settings of both targets, or with what came nearest to the goal.
fn settled(scenario: &Scenario, all: &[Advice]) -> Scenario {
    let mut settled = scenario.clone();
    for advice in all {
        let found = advice.best.as_ref().or(advice.nearest.as_ref());
        // Where every candidate failed, the scenario's own settings show why.
        let Some(with) = found.and_then(|found| with(scenario, advice.target, &found.changes)) else { continue };
        match advice.target {
            TargetKind::Eks => settled.eks = with.eks,
            TargetKind::Lambda => settled.lambda = with.lambda,
        }
    }
    settled
}

/// Both targets with these settings, on the whole load where that is not too much.
fn played(scenario: &Scenario, stop: &AtomicBool) -> Run {
    let thin = thinned(scenario, WHOLE);
    let one = |kind: &TargetKind| (*kind, thin.whole(simulate::target_until(*kind, &thin.scenario, stop)));
    let targets: Vec<_> = TargetKind::all().par_iter().map(one).collect();
    let mut run = Run::simulated(scenario, targets.into_iter().collect());
    if thin.factor > 1.0 {
        run.warnings.push(format!(
            "one message in {:.0} was simulated, at the same rates for a shorter time, and counted up to the whole",
            thin.factor
        ));
    }
    run
}

fn contender(advice: Advice, run: &Run, goal: Goal, prices: &Prices) -> Contender {
    let target = advice.target;
    let failure = run.failure(target).map(|why| why.to_string());
    let done = run.targets.get(target).filter(|_| failure.is_none());
    let seconds = done.and_then(|done| goal.figure(done));
    let bill = done.and_then(|_| cost::bill(target, run, prices));
    let line = bill.as_ref().and_then(|bill| bill.month.iter().max_by(|a, b| a.usd.total_cmp(&b.usd)));
    let within = seconds.is_some_and(|seconds| seconds <= goal.within.as_secs_f64());
    Contender {
        target,
        meets: within,
        seconds,
        month_usd: bill.as_ref().map(|bill| bill.month_usd),
        most_of_it: line.map(|line| Item { item: line.item.clone(), usd: line.usd }),
        limit: run.limit(target).map(|limit| limit.to_string()),
        failure,
        advice,
    }
}

/// What the search found of a target, where no run with these settings was awaited.
fn sought(advice: Advice) -> Contender {
    let found = advice.best.as_ref().or(advice.nearest.as_ref());
    Contender {
        target: advice.target,
        meets: advice.best.is_some(),
        seconds: found.map(|found| found.seconds.mean),
        month_usd: found.map(|found| found.usd.mean),
        most_of_it: None,
        limit: None,
        failure: None,
        advice,
    }
}

fn choice(contenders: &[Contender]) -> Choice {
    let mut meet: Vec<(TargetKind, f64)> =
        contenders.iter().filter(|c| c.meets).filter_map(|c| Some((c.target, c.month_usd?))).collect();
    meet.sort_by(|a, b| a.1.total_cmp(&b.1));
    match meet[..] {
        [] => Choice::Neither,
        [(only, _)] => Choice::Alone(only),
        [(_, less), (_, more), ..] if lower(less, more) == Lower::Neither => Choice::Either,
        [(cheaper, _), ..] => Choice::Cheaper(cheaper),
    }
}

/// Which target has the lower bill, with other values of what the models had to estimate.
fn drawn(scenario: &Scenario, draws: u64, prices: &Prices, stop: &AtomicBool) -> Uncertainty {
    let thin = thinned(scenario, DRAWN_MESSAGES / draws.max(1));
    let mut prices = prices.clone();
    // A part of the load is a stretch of the month, which is made of such stretches.
    prices.options.even_load |= thin.factor > 1.0;
    let each: Vec<_> = TargetKind::all().iter().map(|kind| (*kind, &thin.scenario)).collect();
    uncertainty(&each, draws, &prices, stop)
}

#[cfg(test)]
mod tests;
