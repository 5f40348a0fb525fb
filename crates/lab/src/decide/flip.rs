//! At which rate of the load the other target becomes the cheaper one.

use serde::{Deserialize, Serialize};

use super::question::DAY;
use crate::advise::{Asker, BreakEven, around};
use crate::cost::Prices;
use crate::scenario::Scenario;
use crate::scenario::load::Load;
use crate::target::TargetKind;

/// Seeds that the bills of each rate are the mean of.
const SEEDS: u64 = 2;

/// The rates that were tried, and where the cheaper target changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flips {
    /// The load's own mean rate, in messages a second.
    pub own_rate: f64,
    /// The lowest rate with a bill for both targets, likewise.
    pub from: f64,
    /// The highest.
    pub to: f64,
    /// The cheaper target at the lowest of them; null if no rate has a bill for both.
    pub cheaper_at_lowest: Option<TargetKind>,
    /// Where it changes, from the lowest rate to the highest.
    pub at: Vec<Flip>,
    /// Rates that were left out: it was told to stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_reached: Vec<f64>,
}

/// One change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Messages a second at which both cost the same.
    pub rate: f64,
    /// The cheaper target from there on.
    pub to: TargetKind,
}

impl Flips {
    /// The change that is nearest to the load's own rate.
    pub fn nearest(&self) -> Option<Flip> {
        let far = |flip: &Flip| (flip.rate / self.own_rate).ln().abs();
        self.at.iter().min_by(|a, b| far(a).total_cmp(&far(b))).copied()
    }
}

/// Sweeps the rate around the load's own, with its shape.
pub(super) fn flips(scenario: &Scenario, prices: &Prices, by: Asker) -> Flips {
    let own_rate = mean_rate(scenario);
    let found = around(scenario, own_rate, SEEDS, prices, by);
    let ends = |point: Option<&crate::advise::Point>| point.map_or(own_rate, |point| point.rate);
    Flips {
        own_rate,
        from: ends(found.curve.first()),
        to: ends(found.curve.last()),
        cheaper_at_lowest: found.curve.first().map(|_| found.cheaper_below()),
        at: changes(&found),
        not_reached: found.not_reached,
    }
}

/// Messages a second, over the whole length of the load.
fn mean_rate(scenario: &Scenario) -> f64 {
    // Where chance draws the arrivals, the length is a bound and not the mean.
    if let Load::Day { rate, .. } | Load::Poisson { rate } = scenario.load {
        return rate;
    }
    let length = match scenario.load.length(scenario.messages).as_secs_f64() {
        // Of a load that comes all at once: a day.
        0.0 => DAY.as_secs_f64(),
        seconds => seconds,
    };
    scenario.messages as f64 / length
}

/// Where the means of both bills cross.
fn changes(found: &BreakEven) -> Vec<Flip> {
    let mut cheaper = found.cheaper_below();
    let mut at = Vec::new();
    for rate in found.crossings_of_means() {
        cheaper = cheaper.other();
        at.push(Flip { rate, to: cheaper });
    }
    at
}
