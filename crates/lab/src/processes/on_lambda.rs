//! The Lambda target: a function behind an event source mapping, until the queue is drained.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::client::Client;
use super::event_source::{Mapping, Source};
use super::front::Front;
use super::hosts::{self, Place};
use super::lambda::DeployedFunction;
use super::queues::Queues;
use super::sender::Way;
use super::stage::{Scene, Stage};
use super::tail::Tail;
use super::target::{Ending, target};
use super::timeline::Timeline;
use super::{LocalError, sender};
use crate::run::{Decision, Target, Usage};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale_scaling::event_source::MappingSettings;
use twinscale_scaling::{Reason, Scaler};
use twinscale_sqs::clock::Clock;

/// Runs the scenario on Lambda, and says what the reader should be warned of.
pub async fn run(scenario: &Scenario, place: &Place, stage: &Stage<'_>) -> Result<(Target, Vec<String>), LocalError> {
    let queues = Queues::start(scenario, scenario.lambda.visibility_timeout, place.clock).await?;
    let queues = Arc::new(queues);
    let front = match place.service {
        Some(_) => None,
        None => Some(Front::bind(DeployedFunction::new(hosts::front(scenario, queues.address(), place))).await?),
    };
    let client = front.as_ref().map(|front| Client::new(front.address()));
    let way = match (&client, &place.service) {
        (_, Some(service)) => Way::Queue(&queues, &service.bodies),
        (Some(client), None) => {
            // Warms the sender up, so that the load does not wait for it.
            if !client.is_ok("/").await {
                return Err(LocalError::NotUp("lambda-http did not answer GET /".to_owned()));
            }
            Way::Http(client)
        }
        (None, None) => return Err(LocalError::NotUp("the sender".to_owned())),
    };
    let function = DeployedFunction::new(hosts::function(scenario, queues.address(), place)?);
    stage.ready().await;
    let timeline = Timeline::begin(place.clock);
    let (decisions, decided) = mpsc::unbounded_channel();
    let mapping = Mapping::start(source(scenario, place, &queues, function.clone()), decisions);
    timeline.decided(Duration::ZERO, enabled(mapping.limit()));
    let capacity = || mapping.under_way();
    let recording = record(&timeline, decided);
    let sampling = timeline.sample(|| (queues.counts(), mapping.under_way()));
    let load = sender::send(scenario, &way, &timeline);
    let meanwhile = async { tokio::join!(recording, sampling).0 };
    let scene = Scene { target: TargetKind::Lambda, scenario, ledger: queues.ledger(), timeline: &timeline };
    let (drained, mut warnings) = stage.play(scene, load, meanwhile, capacity).await;
    let left = queues.counts();
    mapping.stop().await;
    let at = timeline.now();
    timeline.finish(at, left, 0);
    function.handler_times().into_iter().for_each(|took| queues.ledger().handled(took));
    let used = function.usage();
    let usage = Usage {
        gb_seconds: Some(used.gb_seconds(scenario.lambda.memory_mb)),
        invocations: Some(used.invocations),
        cold_starts: Some(used.cold_starts),
        poller_seconds: poller_seconds(&scenario.lambda.mapping, &timeline.told().decisions, at),
        ..Usage::default()
    };
    let ending = Ending {
        drained,
        left,
        // With the last invocation over nothing is left that costs.
        tail: Tail { floor: Some(at), ..Tail::default() },
        tail_simulated: false,
        usage,
        in_host_concurrency: scenario.lambda.in_host_concurrency,
        unavailable: TargetKind::Lambda.meaningless(),
    };
    let (target, told) = target(queues.ledger(), &timeline, ending);
    warnings.extend(told);
    Ok((target, warnings))
}

fn source(scenario: &Scenario, place: &Place, queues: &Arc<Queues>, function: Arc<DeployedFunction>) -> Source {
    let counts = {
        let queues = queues.clone();
        move || Some(queues.counts())
    };
    Source {
        queue_url: queues.address().queue_url.clone(),
        queue_arn: queues.address().queue_arn.clone(),
        settings: scenario.lambda.mapping.clone(),
        groups: scenario.queue.message_groups(),
        function,
        estimates: scenario.estimates.clone(),
        delivery: scenario.delivery(),
        seed: scenario.seed,
        counts: Arc::new(counts),
        // Its zero is the start of the load, like the timeline's.
        clock: Clock::new(place.clock.speed()),
    }
}

/// Provisioned pollers × time until `end`: as many as each decision left. `None` in standard mode.
fn poller_seconds(mapping: &MappingSettings, decisions: &[Decision], end: Duration) -> Option<f64> {
    let until = decisions.iter().skip(1).map(|decision| decision.t).chain([end.as_secs_f64()]);
    let spans = decisions.iter().zip(until);
    spans.map(|(decision, until)| Some(f64::from(mapping.pollers(decision.to)?) * (until - decision.t))).sum()
}

/// The mapping's first decision is made when it is enabled: its first pollers.
fn enabled(limit: u32) -> twinscale_scaling::Decision {
    let detail = "concurrent batches when it is enabled".to_owned();
    twinscale_scaling::Decision { by: Scaler::EventSourceMapping, from: 0, to: limit, reason: Reason::Enabled, detail }
}

async fn record(
    timeline: &Timeline,
    mut decided: mpsc::UnboundedReceiver<(Duration, twinscale_scaling::Decision)>,
) -> Infallible {
    while let Some((at, decision)) = decided.recv().await {
        timeline.decided(at, decision);
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinscale_scaling::event_source::Provisioned;

    #[test]
    fn provisioned_pollers_are_paid_for_from_decision_to_decision() {
        let decided = |at: u64, limit| Decision::at(Duration::from_secs(at), enabled(limit));
        let decisions = [decided(0, 20), decided(10, 50), decided(30, 20)];
        let mapping = MappingSettings { provisioned: Some(Provisioned::default()), ..MappingSettings::default() };
        let end = Duration::from_secs(40);
        assert_eq!(poller_seconds(&mapping, &decisions, end), Some(2.0 * 10.0 + 5.0 * 20.0 + 2.0 * 10.0));
        assert_eq!(poller_seconds(&MappingSettings::default(), &decisions, end), None);
    }
}
