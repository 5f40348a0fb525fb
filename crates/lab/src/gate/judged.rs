//! What each side of a change comes to under a scenario, and what of it is refused.

use std::fmt;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use super::{CostIncrease, Demand, Pair};
use crate::advise::{BETTER, Goal, Interval, LAST_LOAD, Portion, Reckoned, month_usd, reckoned};
use crate::report::figures::{seconds, usd};
use crate::run::{Decision, Target};
use crate::scenario::Scenario;
use crate::target::TargetKind;

/// One target under one scenario, before and after the change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The scenario's name.
    pub scenario: String,
    /// The target whose settings differ.
    pub target: TargetKind,
    /// As the base has it; `None` where there is nothing to compare with.
    pub before: Option<Achieved>,
    /// As the change has it.
    pub after: Achieved,
    /// Where the decisions of the first seed part; `None` if they do not.
    pub parting: Option<Parting>,
    /// What is refused.
    pub refused: Vec<Refusal>,
}

/// What a target comes to under a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Achieved {
    /// The goal's figure, in scenario seconds; `None` if a run failed.
    pub seconds: Option<Interval>,
    /// A month's bill; `None` if a run failed.
    pub usd: Option<Interval>,
    /// The whole interval is within the goal.
    pub meets: bool,
    /// Why a run failed.
    pub failure: Option<String>,
    /// What kept the first seed's run from being faster.
    pub limit: Option<String>,
    /// Highest capacity of the first seed's run.
    pub peak_capacity: u32,
    /// Changes of capacity in it.
    pub changes: u64,
}

/// The first decisions that differ; a side has none if it decided nothing more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parting {
    /// The base's.
    pub before: Option<Decision>,
    /// The change's.
    pub after: Option<Decision>,
}

/// Why a change may not pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Refusal {
    /// It does not do its work any more, or not at all.
    Fails {
        /// What went wrong.
        why: String,
    },
    /// It misses the goal, which it met before, or misses it by more.
    Goal {
        /// What has to be met.
        goal: Goal,
        /// The figure as it was.
        before: Option<Interval>,
        /// The figure as it is.
        after: Interval,
    },
    /// It costs more than it may.
    Cost {
        /// A month's bill as it was.
        before: f64,
        /// As it is.
        after: f64,
        /// What it may grow by.
        most: CostIncrease,
    },
}

impl Judged {
    /// What is refused, sentence by sentence.
    pub fn reasons(&self) -> Vec<String> {
        let limited = self.after.limit.as_ref();
        let limited = limited.map(|limit| format!("; {} is limited by {limit}", self.target.title()));
        let told = |refusal: &Refusal| {
            let limited = match refusal {
                Refusal::Fails { .. } | Refusal::Goal { .. } => limited.as_deref().unwrap_or_default(),
                Refusal::Cost { .. } => "",
            };
            format!("{}, {}: {refusal}{limited}.", self.scenario, self.target.title())
        };
        self.refused.iter().map(told).collect()
    }

    /// A goal that is missed, as it was before.
    pub(super) fn still_missed(&self, goal: Goal) -> Option<String> {
        if self.after.meets || !self.refused.iter().all(|refusal| matches!(refusal, Refusal::Cost { .. })) {
            return None;
        }
        let what = self.target.title();
        let now = self.after.told(goal);
        Some(format!("{}, {what}: {goal} is missed now as before: {now}", self.scenario))
    }
}

impl Achieved {
    /// The goal's figure, or why there is none.
    pub fn told(&self, goal: Goal) -> String {
        match (&self.seconds, &self.failure) {
            (Some(figure), _) => format!("{} {}", goal.figure, interval(figure, seconds)),
            (None, Some(why)) => format!("it fails, since {why}"),
            (None, None) => "it has no such figure".to_owned(),
        }
    }
}

/// A mean with its interval, where it has a width.
pub(crate) fn interval(interval: &Interval, write: fn(f64) -> String) -> String {
    let Interval { mean, low, high } = interval;
    match write(*low) == write(*high) {
        true => write(*mean),
        false => format!("{} ({} to {})", write(*mean), write(*low), write(*high)),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails { why } => write!(to, "it fails: {why}"),
            Self::Goal { goal, before, after } => {
                let now = interval(after, seconds);
                write!(to, "{} is {now}, which misses {goal}", goal.figure)?;
                before.as_ref().map_or(Ok(()), |before| write!(to, "; before, it was {}", interval(before, seconds)))
            }
            Self::Cost { before, after, most } => {
                let more = (after / before - 1.0) * 100.0;
                write!(
                    to,
                    "a month costs {}, {more:.1} % more than {} before, where {most} is allowed",
                    usd(*after),
                    usd(*before)
                )
            }
        }
    }
}

/// Simulates both sides, and refuses what is wrong now and was not, or is worse.
pub(super) fn judged(pair: &Pair, demand: &Demand) -> Judged {
    let Pair { scenario, target, before, after } = pair;
    let before = before.as_ref().map(|scenario| looked_at(scenario, *target, demand));
    let (after, now) = looked_at(after, *target, demand);
    let parting = before.as_ref().and_then(|(_, then)| parting(then, &now));
    let before = before.map(|(before, _)| before);
    let refused = refused(before.as_ref(), &after, demand);
    Judged { scenario: scenario.clone(), target: *target, before, after, parting, refused }
}

/// What a target comes to, and the first seed's run of it.
fn looked_at(scenario: &Scenario, kind: TargetKind, demand: &Demand) -> (Achieved, Target) {
    let mut figures = Vec::new();
    let mut bills = Vec::new();
    let mut first = None;
    let mut failure = None;
    let never = AtomicBool::new(false);
    for seed in 0..demand.seeds.max(1) {
        let Reckoned { run, failure: failed } =
            reckoned(scenario, kind, seed, Portion { most: LAST_LOAD, stop: &never });
        let target = run.targets.get(kind).cloned().unwrap_or_default();
        figures.extend(demand.goal.figure(&target));
        bills.extend(month_usd(&run, kind, demand.prices));
        let limit = run.limit(kind).map(|limit| limit.to_string());
        first.get_or_insert((target, limit));
        failure = failed.map(|failure| failure.to_string());
        if failure.is_some() {
            break;
        }
    }
    let (target, limit) = first.unwrap_or_default();
    let whole = |values: &[f64]| {
        (failure.is_none() && values.len() as u64 == demand.seeds.max(1)).then(|| Interval::of(values))
    };
    let seconds = whole(&figures);
    let usd = whole(&bills);
    let achieved = Achieved {
        meets: seconds.is_some_and(|figure| figure.high <= demand.goal.within.as_secs_f64()),
        seconds,
        usd,
        failure,
        limit,
        peak_capacity: target.peak_capacity,
        changes: target.changes().count() as u64,
    };
    (achieved, target)
}

fn refused(before: Option<&Achieved>, after: &Achieved, demand: &Demand) -> Vec<Refusal> {
    let mut all = Vec::new();
    let failed_before = before.is_some_and(|before| before.failure.is_some());
    if let Some(why) = after.failure.as_ref().filter(|_| !failed_before) {
        all.push(Refusal::Fails { why: why.clone() });
    }
    if let Some(figure) = after.seconds.filter(|_| !after.meets && !failed_before) {
        let had = before.and_then(|before| before.seconds);
        let met = before.is_some_and(|before| before.meets);
        let worse = had.is_none_or(|had| figure.mean > had.mean * (1.0 + BETTER));
        if met || worse {
            all.push(Refusal::Goal { goal: demand.goal, before: had, after: figure });
        }
    }
    let bills = before.and_then(|before| before.usd).zip(after.usd);
    if let (Some((had, has)), Some(most)) = (bills, demand.max_cost_increase)
        && has.mean > had.mean * (1.0 + most.0)
    {
        all.push(Refusal::Cost { before: had.mean, after: has.mean, most });
    }
    all
}

/// Where two runs with the same luck begin to decide otherwise.
fn parting(before: &Target, after: &Target) -> Option<Parting> {
    let mut old = before.changes();
    let mut new = after.changes();
    loop {
        let same =
            |a: &Decision, b: &Decision| (a.t, a.from, a.to, a.by, a.reason) == (b.t, b.from, b.to, b.by, b.reason);
        match (old.next(), new.next()) {
            (None, None) => return None,
            (Some(a), Some(b)) if same(a, b) => {}
            (before, after) => return Some(Parting { before: before.cloned(), after: after.cloned() }),
        }
    }
}
