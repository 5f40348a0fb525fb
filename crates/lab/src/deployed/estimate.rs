//! What a run will cost, roughly, before it begins.

use crate::cost::Prices;
use crate::run::Target;
use crate::scenario::Scenario;
use crate::simulate;
use crate::target::TargetKind;

/// The most messages that are simulated; more are scaled up from these.
const SIMULATED: u64 = 20_000;
/// A record of the journal is sent, received and deleted, in batches of ten.
const JOURNAL: f64 = 0.3;

/// USD for the targets that will run, together; `None` if the simulator does not know what one would use: what the simulator says that the scenario uses, at the prices of the bill, free
/// tiers apart. Pods are left out: their nodes are there and paid for already.
pub fn estimate(scenario: &Scenario, prices: &Prices, targets: impl IntoIterator<Item = TargetKind>) -> Option<f64> {
    let simulated = Scenario { messages: scenario.messages.min(SIMULATED), ..scenario.clone() };
    let scale = scenario.messages as f64 / simulated.messages.max(1) as f64;
    let sqs = if scenario.queue.fifo { &prices.sqs_fifo } else { &prices.sqs_standard };
    let of_queue = |target: &Target| {
        let requests = &target.requests;
        let counts =
            [requests.send, requests.receive, requests.empty_receive, requests.delete, requests.change_visibility];
        let of_work = counts.into_iter().sum::<Option<u64>>()?;
        let journal = prices.sqs_standard.of(JOURNAL * scenario.messages as f64, false);
        Some(sqs.of(of_work as f64 * scale, false) + journal)
    };
    let usd = |kind| {
        let target = simulate::run_target(kind, &simulated);
        let usage = &target.usage;
        let own = match (kind, usage.instance_seconds) {
            (TargetKind::Eks, _) => sqs.of(usage.queue_reads? as f64 * scale, false),
            // Instances are there and paid for already, like nodes.
            (TargetKind::Lambda, Some(_)) => prices.lambda_requests.of(usage.invocations? as f64 * scale, false),
            (TargetKind::Lambda, None) => {
                let duration = prices.lambda_arm.of(usage.gb_seconds? * scale, false);
                duration + prices.lambda_requests.of(usage.invocations? as f64 * scale, false)
            }
        };
        Some(of_queue(&target)? + own)
    };
    targets.into_iter().map(usd).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::prices::read;

    #[test]
    fn the_estimate_follows_targets_messages_and_prices() {
        let prices = read(None).expect("ours");
        let scenario = Scenario { messages: 2000, ..Scenario::default() };
        let estimate = |scenario: &Scenario, prices: &Prices, kinds: &[TargetKind]| {
            estimate(scenario, prices, kinds.iter().copied()).expect("the simulator knows")
        };
        let eks = estimate(&scenario, &prices, &[TargetKind::Eks]);
        let lambda = estimate(&scenario, &prices, &[TargetKind::Lambda]);
        let both = estimate(&scenario, &prices, &[TargetKind::Eks, TargetKind::Lambda]);
        assert!(eks > 0.0 && lambda > eks, "Lambda's duration costs more than requests: {eks} {lambda}");
        assert!((eks + lambda - both).abs() < 1e-12);
        let more = Scenario { messages: 200_000, ..scenario.clone() };
        let hundredfold = 100.0 * lambda;
        let more = estimate(&more, &prices, &[TargetKind::Lambda]);
        assert!((more / hundredfold - 1.0).abs() < 0.2, "{hundredfold} {more}");
        let mut free = prices;
        for price in [&mut free.sqs_standard, &mut free.lambda_arm, &mut free.lambda_requests] {
            price.tiers.iter_mut().for_each(|tier| tier.usd = 0.0);
        }
        assert_eq!(estimate(&scenario, &free, TargetKind::all()), 0.0);
    }
}
