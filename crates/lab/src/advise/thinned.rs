//! A long load, made short enough to try many settings on it: the same rates for less time. What it came to is then
//! reckoned up to the whole.

use std::time::Duration;

use crate::run::{Decision, Requests, Sample, Target, Usage};
use crate::scenario::Scenario;
use crate::scenario::load::{Arrival, Load};

/// A load is not made shorter than this: scalers look every 15 to 30 s and remember for minutes.
const SHORTEST: Duration = Duration::from_secs(20 * 60);

/// A scenario with a part of its load.
pub(crate) struct Thinned {
    /// With fewer messages, in less time.
    pub scenario: Scenario,
    /// For one of its messages there are so many in the whole.
    pub factor: f64,
    /// What the whole load takes longer.
    longer: Duration,
}

/// The scenario with about `most` messages, where its load can be shortened: a day's curve is squeezed, an even load is cut.
pub(crate) fn thinned(scenario: &Scenario, most: u64) -> Thinned {
    let whole = scenario.load.length(scenario.messages);
    let by_length = whole.as_secs_f64() / SHORTEST.as_secs_f64();
    let factor = (scenario.messages as f64 / most.max(1) as f64).min(by_length);
    let mut thin = scenario.clone();
    if factor > 1.5 && squeeze(&mut thin, factor) {
        let factor = scenario.messages as f64 / thin.messages as f64;
        let longer = whole.saturating_sub(thin.load.length(thin.messages));
        return Thinned { scenario: thin, factor, longer };
    }
    Thinned { scenario: scenario.clone(), factor: 1.0, longer: Duration::ZERO }
}

/// False for a load whose size is its shape.
fn squeeze(scenario: &mut Scenario, factor: f64) -> bool {
    let fewer = |count: u64| ((count as f64 / factor).round() as u64).max(1);
    match &mut scenario.load {
        Load::Burst | Load::Ramp { .. } => return false,
        Load::Steady { .. } | Load::Poisson { .. } => {}
        Load::Day { period, .. } => *period = period.div_f64(factor),
        Load::OnOff { rate, on, .. } => {
            let in_a_cycle = (on.as_secs_f64() * *rate).floor().max(1.0) as u64;
            // Whole cycles, or the quiet part would be missing.
            scenario.messages = (fewer(scenario.messages) / in_a_cycle).max(1) * in_a_cycle;
            return true;
        }
        Load::Recorded { rows, .. } => {
            let mut sent = 0_u64;
            let mut thin = 0_u64;
            let squeezed = rows.iter().map(|row| {
                sent += row.count;
                let upto = (sent as f64 / factor).round() as u64;
                let count = upto - std::mem::replace(&mut thin, upto);
                Arrival { at: row.at.div_f64(factor), count }
            });
            *rows = squeezed.collect();
            scenario.messages = rows.iter().map(|row| row.count).sum();
            return scenario.messages > 0;
        }
    }
    scenario.messages = fewer(scenario.messages);
    true
}

impl Thinned {
    /// What the whole load would have come to: as much more of everything, at the same latencies.
    pub(crate) fn whole(&self, target: Target) -> Target {
        if self.factor <= 1.0 {
            return target;
        }
        let count = |n: u64| (n as f64 * self.factor).round() as u64;
        let more = |n: Option<u64>| n.map(count);
        let longer = |seconds: Option<f64>| seconds.map(|s| s + self.longer.as_secs_f64());
        let messages = &target.messages;
        let requests = &target.requests;
        let usage = &target.usage;
        let time = |seconds: Option<f64>| seconds.map(|s| s * self.factor);
        Target {
            messages: crate::run::Messages {
                sent: count(messages.sent),
                done: count(messages.done),
                retried: more(messages.retried),
                rejected: count(messages.rejected),
                duplicates: more(messages.duplicates),
                lost: more(messages.lost),
                unaccounted: more(messages.unaccounted),
            },
            requests: Requests {
                send: more(requests.send),
                receive: more(requests.receive),
                empty_receive: more(requests.empty_receive),
                delete: more(requests.delete),
                change_visibility: more(requests.change_visibility),
            },
            usage: Usage {
                pod_seconds: time(usage.pod_seconds),
                gb_seconds: time(usage.gb_seconds),
                handler_seconds: time(usage.handler_seconds),
                invocations: more(usage.invocations),
                cold_starts: more(usage.cold_starts),
                poller_seconds: time(usage.poller_seconds),
                instance_seconds: time(usage.instance_seconds),
                queue_reads: more(usage.queue_reads),
            },
            drain_seconds: longer(target.drain_seconds),
            floor_seconds: longer(target.floor_seconds),
            samples: target.samples.iter().map(|sample| Sample { t: sample.t * self.factor, ..*sample }).collect(),
            decisions: target.decisions.iter().map(|one| Decision { t: one.t * self.factor, ..one.clone() }).collect(),
            ..target
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{bill, prices};
    use crate::run::Run;
    use crate::simulate;
    use crate::target::TargetKind;

    #[test]
    fn a_thinned_day_costs_what_the_whole_one_costs_and_waits_as_long() {
        let text = "messages = 432000\nload = { shape = 'day', rate = 5.0, swing = 0.8 }\nwork = { wait = '2s' }";
        let mut scenario: Scenario = toml::from_str(text).expect("a scenario");
        scenario.limit = Duration::from_secs(30 * 3600);
        let scenario = scenario.checked().expect("a good one");
        let thin = thinned(&scenario, 40_000);
        assert!((10.0..12.0).contains(&thin.factor) && thin.scenario.messages <= 40_000, "{}", thin.factor);
        let prices = prices::read(None).expect("built in");
        for kind in TargetKind::all().iter().copied() {
            let run = |target| Run::simulated(&scenario, [(kind, target)].into());
            let whole = run(simulate::run_target(kind, &scenario));
            let reckoned = run(thin.whole(simulate::run_target(kind, &thin.scenario)));
            let usd = |run: &Run| bill(kind, run, &prices).expect("it ran").month_usd;
            assert!((usd(&reckoned) / usd(&whole) - 1.0).abs() < 0.05, "{kind:?}: {} {}", usd(&reckoned), usd(&whole));
            let p95 = |run: &Run| run.targets.get(kind).and_then(|t| t.latency_seconds).expect("done").p95;
            assert!((p95(&reckoned) / p95(&whole) - 1.0).abs() < 0.1, "{kind:?}: {} {}", p95(&reckoned), p95(&whole));
        }
    }

    #[test]
    fn a_burst_and_what_is_short_stay_whole() {
        let burst = Scenario { messages: 5_000_000, ..Scenario::default() };
        assert_eq!((thinned(&burst, 1000).factor, thinned(&burst, 1000).scenario.messages), (1.0, 5_000_000));
        let short = Scenario { messages: 600, load: Load::Steady { rate: 1.0 }, ..Scenario::default() };
        assert_eq!(thinned(&short, 10).scenario, short);
    }
}
