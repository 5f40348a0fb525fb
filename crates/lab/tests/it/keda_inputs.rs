//! What `make keda` records: the scenarios as a ScaledObject, the environment of a pod, queues, and messages with their times.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use twinscale_lab::manifests::{Given, Manifest};
use twinscale_lab::processes::hosts::{self, Address, Place};
use twinscale_lab::scenario::Scenario;
use twinscale_scaling::keda::{ScaledObjectSettings, Trigger};
use twinscale_sqs::clock::Clock;
use twinscale_work::{Wait, body};

/// A load that takes longer than this is not recorded, since real time is all that real KEDA has.
const AN_HOUR: Duration = Duration::from_secs(3600);

const ARN: &str = "arn:aws:sqs:us-east-1:000000000000:";

/// The name of the environment variable with the folder where the inputs go.
const FOLDER: &str = "KEDA_INPUTS";

/// A scenario of `scenarios/`, and its text.
struct Recordable {
    scenario: Scenario,
    text: String,
}

/// Those whose load ends within an hour.
fn recordable() -> Vec<Recordable> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios"));
    let read = |file: PathBuf| Recordable {
        scenario: Scenario::read(&file.display().to_string()).expect("a scenario").checked().expect("a good one"),
        text: std::fs::read_to_string(&file).expect("a file"),
    };
    let files = folder.read_dir().expect("the scenarios").map(|entry| entry.expect("a scenario").path());
    let short = |one: &Recordable| one.scenario.arrivals().all(|arrival| arrival.at <= AN_HOUR);
    files.map(read).filter(short).collect()
}

/// The `spec` of a ScaledObject with these settings, whose queue is at this URL.
fn spec(keda: &ScaledObjectSettings, queue_url: &str, endpoint: &str) -> Value {
    let trigger = |trigger: &Trigger| {
        json!({
            "type": "aws-sqs-queue",
            "metricType": trigger.metric_type,
            "useCachedMetrics": trigger.use_cached_metrics,
            "metadata": {
                "queueURL": queue_url,
                "awsRegion": "us-east-1",
                "awsEndpoint": endpoint,
                "queueLength": trigger.queue_length.to_string(),
                "activationQueueLength": trigger.activation_queue_length.to_string(),
                "scaleOnInFlight": trigger.scale_on_in_flight.to_string(),
                "scaleOnDelayed": trigger.scale_on_delayed.to_string(),
            },
            "authenticationRef": { "name": "keda" },
        })
    };
    let mut spec = json!({
        "scaleTargetRef": { "name": "worker" },
        "pollingInterval": keda.polling_interval.as_secs(),
        "cooldownPeriod": keda.cooldown_period.as_secs(),
        "minReplicaCount": keda.min_replica_count,
        "maxReplicaCount": keda.max_replica_count,
        "triggers": keda.triggers.iter().map(trigger).collect::<Vec<_>>(),
    });
    if let Some(behavior) = &keda.hpa.behavior {
        spec["advanced"] = json!({ "horizontalPodAutoscalerConfig": { "behavior": behavior } });
    }
    if let Some(idle) = keda.idle_replica_count {
        spec["idleReplicaCount"] = idle.into();
    }
    spec
}

fn input(Recordable { scenario, text }: &Recordable, endpoint: &str) -> Value {
    let name = &scenario.name;
    let suffix = if scenario.queue.fifo { ".fifo" } else { "" };
    let queue = format!("{name}{suffix}");
    let dead = format!("{name}-dead{suffix}");
    let journal = format!("{name}-journal");
    let url = |queue: &str| format!("{endpoint}/000000000000/{queue}");
    let at = Address {
        endpoint: endpoint.to_owned(),
        queue_url: url(&queue),
        queue_arn: format!("{ARN}{queue}"),
        dlq_url: url(&dead),
        journal_url: url(&journal),
    };
    let place =
        Place { bin_dir: "".into(), folder: "".into(), keep_logs: false, clock: Clock::new(1.0), service: None };
    let pod = hosts::pod(scenario, &at, &place).expect("a pod");
    let Wait::Constant(start_delay) = pod.start_delay else {
        panic!("{name}: pods of a recording start after one time")
    };
    let attributes = |mut more: Value| {
        if scenario.queue.fifo {
            more["FifoQueue"] = "true".into();
        }
        more
    };
    let redrive = json!({
        "deadLetterTargetArn": format!("{ARN}{dead}"),
        "maxReceiveCount": scenario.queue.max_receive_count,
    });
    let queues = json!([
        { "name": journal, "attributes": { "MessageRetentionPeriod": "60" } },
        { "name": dead, "attributes": attributes(json!({})) },
        { "name": queue, "attributes": attributes(json!({
            "VisibilityTimeout": scenario.queue.visibility_timeout.as_secs().to_string(),
            "RedrivePolicy": redrive.to_string(),
        })) },
    ]);
    json!({
        "name": name,
        "scenario": text,
        "queue": queue,
        "queues": queues,
        "scaledObject": spec(&scenario.eks.keda, &at.queue_url, endpoint),
        "environment": pod.variables.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "startDelay": start_delay.as_secs_f64(),
        "gracePeriod": pod.grace_period.as_secs(),
        "floor": scenario.eks.keda.idle_replica_count.unwrap_or(scenario.eks.keda.min_replica_count),
        "limit": scenario.limit.as_secs_f64(),
        "sends": sends(scenario),
    })
}

/// Batches of ten at most, each of one message group.
fn sends(scenario: &Scenario) -> Vec<Value> {
    let mut sends = Vec::new();
    let mut next = 0;
    for arrival in scenario.arrivals() {
        // A batch has one group here, and messages of different groups stay in order of their numbers.
        let at_once = if scenario.queue.fifo { 1 } else { 10 };
        for first in (next..next + arrival.count).step_by(at_once) {
            let numbers = first..(first + at_once as u64).min(next + arrival.count);
            let group = if scenario.queue.fifo {
                format!("group-{}", first % u64::from(scenario.queue.groups))
            } else {
                String::new()
            };
            sends.push(json!({
                "at": arrival.at.as_secs_f64(),
                "first": first,
                "group": group,
                "bodies": numbers.map(|number| body(scenario.seed, number)).collect::<Vec<_>>(),
            }));
        }
        next += arrival.count;
    }
    sends
}

/// What is applied to the cluster is what is simulated.
#[test]
fn the_scaled_object_of_each_scenario_says_what_the_scenario_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = recordable();
    assert!(all.len() >= 8, "all but the day: {}", all.len());
    for Recordable { scenario, .. } in all {
        let name = &scenario.name;
        let url = "http://127.0.0.1:1/000000000000/q";
        let object = json!({
            "apiVersion": "keda.sh/v1alpha1",
            "kind": "ScaledObject",
            "metadata": { "name": "worker" },
            "spec": spec(&scenario.eks.keda, url, "http://127.0.0.1:1"),
        });
        let file = folder.path().join("scaledobject.yaml");
        std::fs::write(&file, object.to_string()).expect("written");
        let mut read = Scenario::default();
        read.read_manifest(Manifest::ScaledObject, &file, &Given::default()).expect("a ScaledObject");
        assert_eq!(read.eks.keda, scenario.eks.keda, "{name}");
        let messages: usize =
            sends(&scenario).iter().map(|send| send["bodies"].as_array().expect("bodies").len()).sum();
        assert_eq!(messages as u64, scenario.messages, "{name}");
    }
}

/// `make keda` runs this before it records.
#[test]
#[ignore = "writes the inputs of `make keda`"]
fn write() {
    let folder = std::env::var(FOLDER).expect("KEDA_INPUTS names a folder");
    let endpoint = std::env::var("KEDA_QUEUE").expect("KEDA_QUEUE is the embedded queue's URL");
    std::fs::create_dir_all(&folder).expect("the folder");
    for one in recordable() {
        let file = Path::new(&folder).join(format!("{}.json", one.scenario.name));
        std::fs::write(file, input(&one, &endpoint).to_string()).expect("written");
    }
}
