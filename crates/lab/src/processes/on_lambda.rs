//! The Lambda target: a function behind an event source mapping, until the queue is drained.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::client::Client;
use super::event_source::{Mapping, Source};
use super::front::Front;
use super::hosts::{self, Place};
use super::lambda::Function;
use super::queues::Queues;
use super::sender::Way;
use super::stage::{Scene, Stage};
use super::tail::Tail;
use super::target::{Ending, target};
use super::timeline::Timeline;
use super::{LocalError, sender};
use crate::run::{Target, Usage};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale_sqs::clock::Clock;

/// Runs the scenario on Lambda, and says what the reader should be warned of.
pub async fn run(
    scenario: &Scenario,
    place: &Place,
    stage: &mut Stage<'_>,
) -> Result<(Target, Vec<String>), LocalError> {
    let queues = Queues::start(scenario, scenario.lambda.visibility_timeout, place.clock).await?;
    let queues = Arc::new(queues);
    let front = match place.service {
        Some(_) => None,
        None => Some(Front::bind(Function::new(hosts::front(scenario, queues.address(), place))).await?),
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
    let function = Function::new(hosts::function(scenario, queues.address(), place)?);
    let timeline = Timeline::begin(place.clock);
    let (decisions, decided) = mpsc::unbounded_channel();
    let mapping = Mapping::start(source(scenario, place, &queues, function.clone()), decisions);
    timeline.decided(Duration::ZERO, &enabled(mapping.limit()));
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

fn source(scenario: &Scenario, place: &Place, queues: &Arc<Queues>, function: Arc<Function>) -> Source {
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
        counts: Arc::new(counts),
        // Its zero is the start of the load, like the timeline's.
        clock: Clock::new(place.clock.speed()),
    }
}

/// The mapping's first decision is made when it is enabled: so many pollers.
fn enabled(limit: u32) -> twinscale_scaling::Decision {
    let detail = "concurrent batches when it is enabled".to_owned();
    twinscale_scaling::Decision { by: "event-source-mapping", from: 0, to: limit, reason: "Enabled", detail }
}

async fn record(
    timeline: &Timeline,
    mut decided: mpsc::UnboundedReceiver<(Duration, twinscale_scaling::Decision)>,
) -> Infallible {
    while let Some((at, decision)) = decided.recv().await {
        timeline.decided(at, &decision);
    }
    std::future::pending().await
}
