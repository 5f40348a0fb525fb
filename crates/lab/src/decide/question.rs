//! A scenario made of what a user knows: how many messages a day, when they come, what one takes.

use std::time::Duration;

use clap::ValueEnum;

use crate::scenario::load::Load;
use crate::scenario::{Draft, Scenario};
use twinscale_work::Wait;

/// A day, which loads are told by.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// How far a day's rate swings around its mean, and how far a minute is off the curve, where a day has a peak.
const SWING: f64 = 0.8;
const NOISE: f64 = 0.2;
/// How much more capacity than its peak needs a target may have.
const HEADROOM: f64 = 2.0;
/// Functions end after 15 minutes at the latest.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(900);
/// AWS asks for a visibility timeout of so many times the function's.
const VISIBILITY: u32 = 6;
/// When a day's messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peak {
    /// At any time alike
    Flat,
    /// Most at noon, at nine times the rate of midnight
    Noon,
    /// All at once, as from a nightly job
    Burst,
}

impl Peak {
    /// So many messages a day.
    pub fn draft(self, per_day: u64) -> Draft {
        let rate = per_day as f64 / DAY.as_secs_f64();
        let load = match self {
            Self::Flat => Load::Poisson { rate },
            Self::Noon => Load::Day { rate, swing: SWING, noise: NOISE, period: DAY },
            Self::Burst => Load::Burst,
        };
        Draft::of_load(load, Some(per_day))
    }
}

/// Gives both targets what the load asks for, where no file of the user's says otherwise: pods for its peak, and a function
/// and a queue that wait for the slowest handler.
pub fn made_fit(scenario: &mut Scenario, worker_is_given: bool, function_is_given: bool) {
    let mean = scenario.work.wait.mean() + scenario.work.cpu;
    let slowest = slowest(&scenario.work.wait) + scenario.work.cpu;
    if let (false, Some(peak)) = (worker_is_given, scenario.load.peak_rate()) {
        let slots = peak * mean.as_secs_f64() * HEADROOM;
        let pods = (slots / f64::from(scenario.eks.pod.concurrency)).ceil() as u32;
        let most = &mut scenario.eks.keda.max_replica_count;
        *most = (*most).max(pods);
    }
    if !function_is_given {
        let function = &mut scenario.lambda;
        let seconds = (slowest * 2).as_secs_f64().ceil();
        function.timeout = function.timeout.max(Duration::from_secs_f64(seconds)).min(LONGEST_TIMEOUT);
        function.visibility_timeout = function.visibility_timeout.max(function.timeout * VISIBILITY);
    }
}

/// What hardly any handler takes longer than: the slowest of a thousand.
fn slowest(wait: &Wait) -> Duration {
    (0..1000).map(|key| wait.drawn(key)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_so_many_messages_has_them_all_and_room_for_its_peak() {
        for (peak, at_least, at_most) in [(Peak::Flat, 34.0, 35.0), (Peak::Noon, 70.0, 80.0)] {
            let mut draft = peak.draft(3_000_000);
            draft.scenario.work.wait = "40s".parse().expect("a wait");
            made_fit(&mut draft.scenario, false, false);
            let scenario = draft.resolved().expect("a good scenario");
            assert_eq!(scenario.messages, 3_000_000);
            let rate = scenario.load.peak_rate().expect("it has one");
            assert!((at_least..at_most).contains(&rate), "{peak:?}: {rate}");
            // 40 s of work ten at once: four pods for each message a second, and twice that.
            assert!(f64::from(scenario.eks.keda.max_replica_count) >= rate * 8.0, "{peak:?}");
            assert_eq!((scenario.lambda.timeout.as_secs(), scenario.lambda.visibility_timeout.as_secs()), (80, 480));
        }
        assert_eq!(Peak::Burst.draft(7).resolved().expect("a burst").load, Load::Burst);
    }

    #[test]
    fn files_of_the_users_own_are_left_as_they_are() {
        let mut draft = Peak::Noon.draft(3_000_000);
        draft.scenario.work.wait = "40s".parse().expect("a wait");
        let before = draft.scenario.clone();
        made_fit(&mut draft.scenario, true, true);
        assert_eq!(draft.scenario, before);
    }
}
