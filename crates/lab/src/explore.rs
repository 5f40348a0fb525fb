//! Exploring a workload: a list of knobs, what they come to as a scenario and prices, and a run of that which ends early
//! when nobody waits for it any more. It serves nothing and draws nothing.

mod knobs;
mod turned;

use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::advise::thinned;
use crate::run::Run;
use crate::simulate;

pub use knobs::{Control, Form, Heading, KNOBS, Knob};
pub use turned::{Beginning, Positions, Turned, WrongSetting, not_written};

/// About so many messages are simulated for the quick answer: some 50 ms on one core of today.
const QUICK: u64 = 100_000;

/// How much of a load is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// A long load thinned, as the advice thins it, and reckoned up to the whole.
    Quick,
    /// All of it.
    Whole,
}

/// A run of what was turned.
#[derive(Clone, Debug)]
pub struct Explored {
    /// On both targets.
    pub run: Run,
    /// For each simulated message there are so many; 1 where all were simulated.
    pub factor: f64,
}

/// Simulates what was turned; once `stop` is true, what there is has no meaning.
pub fn explored(turned: &Turned, part: Part, stop: &AtomicBool) -> Explored {
    match part {
        Part::Whole => Explored { run: simulate::run_until(&turned.scenario, stop), factor: 1.0 },
        Part::Quick => {
            let thin = thinned(&turned.scenario, QUICK);
            let mut run = simulate::run_until(&thin.scenario, stop);
            run.scenario = turned.scenario.clone();
            for (_, target) in run.targets.iter_mut() {
                *target = thin.whole(std::mem::take(target));
            }
            Explored { run, factor: thin.factor }
        }
    }
}
