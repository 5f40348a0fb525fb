//! The EKS target: workers as pods, scaled by KEDA and the HPA, until the queue is drained.

use std::time::Duration;

use super::client::Client;
use super::hosts::{self, Place};
use super::pods::Deployment;
use super::queues::Queues;
use super::sender::Way;
use super::stage::{Scene, Stage};
use super::tail::{self, Tail};
use super::target::{Ending, target};
use super::timeline::Timeline;
use super::{LocalError, sender};
use crate::run::{Target, Usage};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale_scaling::Observation;
use twinscale_scaling::keda::Keda;

/// How long processes may take to come up, by the machine's clock.
const UP_WITHIN: Duration = Duration::from_secs(30);

/// Runs the scenario on pods, and says what the reader should be warned of.
pub async fn run(scenario: &Scenario, place: &Place, stage: &Stage<'_>) -> Result<(Target, Vec<String>), LocalError> {
    let queues = Queues::start(scenario, scenario.queue.visibility_timeout, place.clock).await?;
    let sender = match place.service {
        Some(_) => None,
        None => Some(Deployment::new(hosts::sender(queues.address(), place), place.clock)),
    };
    let pods = Deployment::new(hosts::pod(scenario, queues.address(), place)?, place.clock);
    let minimum = scenario.eks.floor();
    pods.scale(minimum);
    if let Some(sender) = &sender {
        sender.scale(1);
        sender.all_ready(UP_WITHIN).await.map_err(LocalError::NotUp)?;
    }
    pods.all_ready(UP_WITHIN).await.map_err(LocalError::NotUp)?;
    let address = sender.as_ref().and_then(|sender| sender.addresses().first().copied());
    let client = address.map(Client::new);
    let way = match (&client, &place.service) {
        (_, Some(service)) => Way::Queue(&queues, &service.bodies),
        (Some(client), None) => Way::Http(client),
        (None, None) => return Err(LocalError::NotUp("the sender".to_owned())),
    };
    stage.ready().await;
    let timeline = Timeline::begin(place.clock);
    let before = pods.pod_time(timeline.origin());

    let mut policy = Keda::new(scenario.eks.keda.clone(), minimum, scenario.phases(), &scenario.estimates);
    let observe = || {
        let queue = scenario.eks.metric_is_readable(timeline.now()).then(|| queues.counts());
        Observation { queue, replicas: pods.replicas(), ready: pods.ready() }
    };
    let scaling = timeline.control(&mut policy, observe, |replicas| pods.scale(replicas));
    let sampling = timeline.sample(|| (queues.counts(), pods.replicas()));
    let load = sender::send(scenario, &way, &timeline);
    let meanwhile = async { tokio::join!(scaling, sampling).0 };
    let capacity = || pods.replicas();
    let scene = Scene { target: TargetKind::Eks, scenario, ledger: queues.ledger(), timeline: &timeline };
    let (drained, mut warnings) = stage.play(scene, load, meanwhile, capacity).await;

    let at = timeline.now();
    let left = queues.counts();
    let replicas = pods.replicas();
    timeline.finish(at, left, replicas);
    timeline.was_late(pods.late(timeline.origin()));
    let lived = pods.pod_time(place.clock.now()).saturating_sub(before);
    let tail = if drained {
        tail::idle(&mut policy, at, replicas, minimum, scenario.eks.pod.wait_time)
    } else {
        Tail::default()
    };
    let pod_seconds = (lived + tail.capacity_time).as_secs_f64();
    let ending = Ending {
        drained,
        left,
        tail,
        tail_simulated: drained && replicas > minimum,
        usage: Usage { pod_seconds: Some(pod_seconds), queue_reads: Some(policy.queue_reads()), ..Usage::default() },
        in_host_concurrency: scenario.eks.pod.concurrency,
        unavailable: TargetKind::Eks.meaningless(),
    };
    warnings.extend(pods.warnings());
    if drained {
        // What workers still have for their journals they write when they end.
        pods.end().await;
    }
    let (target, told) = target(queues.ledger(), &timeline, ending);
    warnings.extend(told);
    Ok((target, warnings))
}
