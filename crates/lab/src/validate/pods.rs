//! Checks of one pod: its environment, its grace period, and the scaler's idea of it.

use std::time::Duration;

use serde_json::Value;

use crate::manifests::quantity;
use twinscale::{Config, WorkerConfig};

use super::finding::{Findings, Place};
use super::kubernetes::{Cluster, Pod, SECRET};
use super::queues::PlacedQueue;
use super::rule::Rule;
use super::{cpu_told, number, settings};
use crate::manifests::Object;

/// Time to flush deletes and give back what is left, after the drain budget.
const SETTLE: Duration = Duration::from_secs(5);

/// What a worker takes beside the bodies in hand, in MiB.
const BESIDE_BODIES_MIB: u64 = 48;

pub(super) fn check(pod: &Pod, cluster: &Cluster, queues: &[PlacedQueue], findings: &mut Findings) {
    settings::check(&pod.environment, &|name| pod.variable_place(name), findings);
    settings::check_image(pod, findings);
    let maps: Vec<&str> = cluster.of_kind("ConfigMap").map(Object::name).collect();
    settings::check_config_maps(pod, &maps, findings);
    let config = match Config::default().read(twinscale::Host::Worker, &|name| pod.setting(name)) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors.0 {
                findings.setting(pod.variable_place(&error.variable), &error);
            }
            return;
        }
    };
    super::network::check(pod, cluster, findings);
    settings::check_resources(pod, findings);
    if !pod.receives() {
        if pod.scaler.is_some() {
            let what = "RECEIVE is off, and KEDA scales it by a queue that it never reads";
            findings.add(
                Rule::ReceiveOff,
                pod.variable_place("RECEIVE"),
                what,
                "leave RECEIVE out, or the ScaledObject",
            );
        }
        return;
    }
    settings::check_end(pod, findings);
    check_grace_period(pod, &config, findings);
    check_cpu(pod, findings);
    check_memory(pod, &config.worker, findings);
    if let Some(scaler) = pod.scaler {
        check_scaler(pod, scaler, &config.worker, findings);
        check_evictions(pod, scaler, &config.worker, queues, findings);
    } else if cluster.of_kind("ScaledObject").next().is_some() {
        findings.add(
            Rule::NoScaler,
            pod.place(),
            "it receives, and no ScaledObject scales it",
            format!("write a ScaledObject with scaleTargetRef.name {}", pod.owner.name()),
        );
    }
}

fn check_grace_period(pod: &Pod, config: &Config, findings: &mut Findings) {
    let worker = &config.worker;
    let grace = Duration::from_secs(number(&pod.spec["terminationGracePeriodSeconds"]).unwrap_or(30));
    let least = worker.wait_time + worker.drain_budget + SETTLE;
    if grace < least {
        findings.add(
            Rule::GracePeriod,
            pod.spec_place("terminationGracePeriodSeconds"),
            format!(
                "terminationGracePeriodSeconds is {} s, and SIGKILL would end messages in hand: a receive under way takes up to \
                 WAIT_TIME_SECS = {} s, the drain DRAIN_BUDGET_MS = {} s, settling {} s",
                grace.as_secs(),
                worker.wait_time.as_secs(),
                worker.drain_budget.as_secs_f64(),
                SETTLE.as_secs()
            ),
            format!("write {} or more", least.as_secs_f64().ceil()),
        );
    }
    if let Some(handler) = config.handler_timeout.filter(|handler| *handler > worker.drain_budget) {
        findings.add(
            Rule::DrainBudget,
            pod.variable_place("DRAIN_BUDGET_MS"),
            format!(
                "DRAIN_BUDGET_MS is {} and HANDLER_TIMEOUT_MS {}: a message may still be worked on when the drain ends",
                worker.drain_budget.as_millis(),
                handler.as_millis()
            ),
            format!("write DRAIN_BUDGET_MS={} or more", handler.as_millis()),
        );
    }
}

fn check_cpu(pod: &Pod, findings: &mut Findings) {
    let Some(limit) = limit(pod, "cpu") else { return };
    if let Some(told) = cpu_told(&pod.environment).filter(|told| (limit - told).abs() > 0.001) {
        findings.add(
            Rule::CpuLimit,
            pod.variable_place("WORK_CPU_LIMIT"),
            format!(
                "resources.limits.cpu is {limit} and WORK_CPU_LIMIT {told}: the handler that ships would compute as if it had \
                 them"
            ),
            "write the same",
        );
    }
}

/// Bodies in hand take half as much again while they are decoded: 50, 118 and 192 MiB were the most that workers took with
/// `MAX_IN_HAND_MIB` 16, 64 and 128, and a handler's own memory comes on top.
fn check_memory(pod: &Pod, worker: &WorkerConfig, findings: &mut Findings) {
    let Some(limit) = limit(pod, "memory") else { return };
    let limit = limit as u64 >> 20;
    let in_hand = (worker.most_bytes >> 20) as u64;
    let needed = BESIDE_BODIES_MIB + in_hand * 3 / 2;
    if limit < needed {
        findings.add(
            Rule::MemoryLimit,
            pod.container_place("resources/limits/memory"),
            format!(
                "resources.limits.memory is {limit} MiB, and with MAX_IN_HAND_MIB = {in_hand} the worker alone takes up to \
                 {needed}: large messages would end the pod"
            ),
            "raise the one or lower the other",
        );
    }
}

fn check_scaler(pod: &Pod, scaler: &Object, worker: &WorkerConfig, findings: &mut Findings) {
    if !pod.owner.json["spec"]["replicas"].is_null() && scaler.kind() == "ScaledObject" {
        findings.add(
            Rule::Replicas,
            Place::of(pod.owner, "spec/replicas"),
            "spec.replicas resets what the HPA decided, with every apply",
            "leave it out",
        );
    }
    let Some((index, trigger)) = pod.trigger() else {
        let what = "its scaler has no aws-sqs-queue trigger, so that nothing looks at the queue";
        findings.add(Rule::NoTrigger, pod.scaler_place("spec/triggers"), what, "write one");
        return;
    };
    let at = |field: &str| pod.scaler_place(&format!("spec/triggers/{index}/metadata/{field}"));
    let metadata = &trigger["metadata"];
    let counted = match metadata["queueURLFromEnv"].as_str() {
        Some(variable) => pod.environment.get(variable).map(String::as_str),
        None => metadata["queueURL"].as_str(),
    };
    let consumed = pod.environment.get("QUEUE_URL").map(String::as_str);
    if counted != consumed && consumed != Some(SECRET) {
        let counted = counted.unwrap_or("no queue");
        findings.add(
            Rule::ScaledQueue,
            at("queueURLFromEnv"),
            format!("KEDA counts {counted} and the pod consumes {}", consumed.unwrap_or("none")),
            "write queueURLFromEnv: QUEUE_URL",
        );
    }
    let length = number(&metadata["queueLength"]).unwrap_or(5);
    let works = worker.concurrency as u64;
    let holds = (worker.concurrency + worker.prefetch.unwrap_or_default()) as u64;
    if length > holds || length * 2 < works {
        findings.add(
            Rule::QueueLength,
            at("queueLength"),
            format!(
                "queueLength is {length}, and a pod works on CONCURRENCY = {works} messages at once and holds {holds}: KEDA \
                 would keep {}",
                if length > holds { "too few pods" } else { "pods that are half idle" }
            ),
            format!("write {works}"),
        );
    }
}

/// A give-back counts as a receive: each time a pod goes, what it had fetched in advance comes closer to the
/// dead-letter queue without having been tried.
fn check_evictions(pod: &Pod, scaler: &Object, worker: &WorkerConfig, queues: &[PlacedQueue], findings: &mut Findings) {
    let of_pod = queues.iter().find(|queue| queue.url.is_some() && queue.url.as_ref() == pod.known("QUEUE_URL"));
    let Some(limit) = of_pod.and_then(|queue| queue.max_receive_count) else { return };
    // `auto` holds what the handlers get done within a receive: they have had it before the pod goes.
    let Some(prefetch @ 1..) = worker.prefetch else { return };
    // A roll-out moves every pod once; each step of a scale-down may hit the same message again.
    let likely = 1 + scale_down_steps(scaler);
    if u64::from(limit) < likely + 3 {
        findings.add(
            Rule::PrefetchEvictions,
            pod.variable_place("PREFETCH"),
            format!(
                "PREFETCH is {prefetch} and maxReceiveCount {limit}: a roll-out and a scale-down may give a message back \
                 {likely} times untried, which leaves fewer than three attempts"
            ),
            "write PREFETCH=auto or a higher maxReceiveCount",
        );
    }
}

/// Steps from the maximum to the minimum by the fastest scale-down policy.
fn scale_down_steps(scaler: &Object) -> u64 {
    let spec: &Value = &scaler.json["spec"];
    let least = number(&spec["minReplicaCount"]).unwrap_or(0);
    let mut pods = number(&spec["maxReplicaCount"]).unwrap_or(100);
    let policies = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["policies"];
    let Some(policies) = policies.as_array() else { return 1 };
    let mut steps = 0;
    while pods > least && steps < 100 {
        let removed = policies.iter().filter_map(|policy| {
            let value = number(&policy["value"])?;
            Some(if policy["type"] == "Percent" { (pods * value).div_ceil(100) } else { value })
        });
        pods = pods.saturating_sub(removed.max().unwrap_or(pods).max(1));
        steps += 1;
    }
    steps
}

/// A limit of the container, as the API server reads it.
fn limit(pod: &Pod, of: &str) -> Option<f64> {
    quantity(&super::text(&pod.container["resources"]["limits"][of])?)
}
