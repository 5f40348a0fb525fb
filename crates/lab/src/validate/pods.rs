//! Checks of one pod: its environment, its grace period, and the scaler's idea of it.

use std::time::Duration;

use serde_json::Value;

use twinscale::{Config, WorkerConfig};

use super::kubernetes::{Cluster, Pod};
use super::queues::Queue;
use super::{Findings, cpu_told, lookup, number};

/// Time to flush deletes and give back what is left, after the drain budget.
const SETTLE: Duration = Duration::from_secs(5);

pub(super) fn check(pod: &Pod, cluster: &Cluster, queues: &[Queue], findings: &mut Findings) {
    let config = match Config::default().read(twinscale::Host::Worker, &lookup(&pod.environment)) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors.0 {
                findings.error("environment", &pod.at, error.to_string());
            }
            return;
        }
    };
    super::egress::check(pod, cluster, findings);
    if !pod.receives() {
        return;
    }
    check_grace_period(pod, &config, findings);
    check_cpu(pod, findings);
    if pod.scaler.is_some() {
        check_scaler(pod, cluster, &config.worker, findings);
        check_evictions(pod, &config.worker, queues, findings);
    } else if cluster.of_kind("ScaledObject").next().is_some() {
        findings.warning("no-scaler", &pod.at, "it receives, and no ScaledObject scales it");
    }
}

fn check_grace_period(pod: &Pod, config: &Config, findings: &mut Findings) {
    let worker = &config.worker;
    let grace = Duration::from_secs(number(&pod.spec["terminationGracePeriodSeconds"]).unwrap_or(30));
    let least = worker.wait_time + worker.drain_budget + SETTLE;
    if grace < least {
        findings.error(
            "grace-period",
            &pod.at,
            format!(
                "terminationGracePeriodSeconds is {} s: write {} or more, or SIGKILL ends messages in hand (a receive under \
                 way takes up to WAIT_TIME_SECS = {} s, the drain DRAIN_BUDGET_MS = {} s, settling {} s)",
                grace.as_secs(),
                least.as_secs(),
                worker.wait_time.as_secs(),
                worker.drain_budget.as_secs_f64(),
                SETTLE.as_secs()
            ),
        );
    }
    if let Some(handler) = config.handler_timeout.filter(|handler| *handler > worker.drain_budget) {
        findings.error(
            "drain-budget",
            &pod.at,
            format!(
                "DRAIN_BUDGET_MS is {} and HANDLER_TIMEOUT_MS {}: a message may still be worked on when the drain ends",
                worker.drain_budget.as_millis(),
                handler.as_millis()
            ),
        );
    }
}

fn check_cpu(pod: &Pod, findings: &mut Findings) {
    let Some(limit) = pod.container["resources"]["limits"].get("cpu").and_then(vcpus) else { return };
    if let Some(told) = cpu_told(&pod.environment).filter(|told| (limit - told).abs() > 0.001) {
        findings.error(
            "cpu-limit",
            &pod.at,
            format!("resources.limits.cpu is {limit} and WORK_CPU_LIMIT {told}: write the same"),
        );
    }
}

fn check_scaler(pod: &Pod, cluster: &Cluster, worker: &WorkerConfig, findings: &mut Findings) {
    if pod.replicas.is_some() && pod.scaler.is_some_and(|scaler| scaler["kind"] == "ScaledObject") {
        findings.warning(
            "replicas",
            &pod.at,
            "spec.replicas resets what the HPA decided, with every apply: leave it out",
        );
    }
    check_authentication(pod, cluster, findings);
    let Some(trigger) = pod.trigger() else {
        findings.warning("no-trigger", &pod.at, "its scaler has no aws-sqs-queue trigger");
        return;
    };
    let metadata = &trigger["metadata"];
    let counted = match metadata["queueURLFromEnv"].as_str() {
        Some(variable) => pod.environment.get(variable).map(String::as_str),
        None => metadata["queueURL"].as_str(),
    };
    let consumed = pod.environment.get("QUEUE_URL").map(String::as_str);
    if counted != consumed {
        findings.error(
            "scaled-queue",
            &pod.at,
            format!(
                "KEDA counts {} and the pod consumes {}",
                counted.unwrap_or("no queue"),
                consumed.unwrap_or("none")
            ),
        );
    }
    let length = number(&metadata["queueLength"]).unwrap_or(5);
    let (works, holds) = (worker.concurrency as u64, (worker.concurrency + worker.prefetch.unwrap_or_default()) as u64);
    if length > holds || length * 2 < works {
        findings.error(
            "queue-length",
            &pod.at,
            format!(
                "queueLength is {length} and a pod works on CONCURRENCY = {works} messages at once and holds {holds}: write {}, \
                 or KEDA keeps {}",
                works,
                if length > holds { "too few pods" } else { "pods that are half idle" }
            ),
        );
    }
}

/// A scaler whose trigger names what is not there never scales.
fn check_authentication(pod: &Pod, cluster: &Cluster, findings: &mut Findings) {
    let triggers = pod.scaler.and_then(|scaler| scaler["spec"]["triggers"].as_array()).into_iter().flatten();
    for reference in triggers.map(|trigger| &trigger["authenticationRef"]).filter(|r| r["kind"].is_null()) {
        let Some(name) = reference["name"].as_str() else { continue };
        if !cluster.of_kind("TriggerAuthentication").any(|auth| auth["metadata"]["name"] == name) {
            let message =
                format!("a trigger names the TriggerAuthentication {name}, which is not there: KEDA would never scale");
            findings.error("authentication", &pod.at, message);
        }
    }
}

/// A give-back counts as a receive: each time a pod goes, what it had fetched in advance comes closer to the
/// dead-letter queue without having been tried.
fn check_evictions(pod: &Pod, worker: &WorkerConfig, queues: &[Queue], findings: &mut Findings) {
    let of_pod = queues.iter().find(|queue| queue.url.as_ref() == pod.environment.get("QUEUE_URL"));
    let Some(limit) = of_pod.and_then(|queue| queue.max_receive_count) else { return };
    // `auto` holds what the handlers get done within a receive: they have had it before the pod goes.
    let Some(prefetch @ 1..) = worker.prefetch else { return };
    // A roll-out moves every pod once; each step of a scale-down may hit the same message again.
    let likely = 1 + scale_down_steps(pod.scaler);
    if limit < likely + 3 {
        findings.warning(
            "prefetch-evictions",
            &pod.at,
            format!(
                "PREFETCH is {prefetch} and maxReceiveCount {limit}: a roll-out and a scale-down may give a message back {likely} times \
                 untried, which leaves fewer than three attempts; write PREFETCH=auto or a higher maxReceiveCount"
            ),
        );
    }
}

/// Steps from the maximum to the minimum by the fastest scale-down policy.
fn scale_down_steps(scaler: Option<&Value>) -> u64 {
    let Some(spec) = scaler.map(|scaler| &scaler["spec"]) else { return 0 };
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

/// `1`, `"500m"`, `"1.5"` as vCPUs.
fn vcpus(value: &Value) -> Option<f64> {
    let text = super::text(value)?;
    match text.strip_suffix('m') {
        Some(milli) => milli.parse::<f64>().ok().map(|milli| milli / 1000.0),
        None => text.parse().ok(),
    }
}
