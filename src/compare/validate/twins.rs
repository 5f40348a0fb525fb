//! Checks that both targets have what they are to share.

use serde_json::Value;

use super::function::Function;
use super::kubernetes::Pod;
use super::queues::Queue;
use super::{Environment, Findings, Inputs, number, text};

/// What belongs to a host and not to the workload.
const OF_THE_HOST: &[&str] = &["WORK_CPU_LIMIT"];

pub(super) fn check(
    inputs: &Inputs,
    pods: &[Pod],
    function: Option<&Function>,
    in_terraform: &[Queue],
    in_template: &[Queue],
    findings: &mut Findings,
) {
    let worker = pods.iter().find(|pod| pod.receives());
    let hosts = worker.map(|pod| (&pod.at, &pod.environment)).into_iter();
    let hosts: Vec<(&String, &Environment)> = hosts.chain(function.map(|f| (&f.at, &f.environment))).collect();
    if let Some(settings) = &inputs.settings {
        for (at, environment) in &hosts {
            check_handler(at, environment, &settings["handler"], findings);
        }
        check_queues(in_terraform, &settings["queue"], findings);
        check_queues(in_template, &settings["queue"], findings);
    }
    if let [(one, its), (other, theirs)] = hosts[..] {
        for (name, value) in
            its.iter().filter(|(name, _)| name.starts_with("WORK_") && !OF_THE_HOST.contains(&name.as_str()))
        {
            if theirs.get(name) != Some(value) {
                let theirs = theirs.get(name).map_or("nothing", String::as_str);
                findings.error(
                    "twins",
                    other,
                    format!("{name} is {theirs}, and {one} has {value}: two different workloads"),
                );
            }
        }
    }
    check_same(in_terraform, in_template, findings);
    if let Some(pod) = worker {
        check_url(pod, in_terraform, findings);
    }
}

fn check_handler(at: &str, environment: &Environment, wanted: &Value, findings: &mut Findings) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let wanted = text(value).unwrap_or_default();
        let has = environment.get(name);
        if has != Some(&wanted) {
            let has = has.map_or("missing", String::as_str);
            findings.error("twins", at, format!("{name} is {has}, and the shared settings say {wanted}"));
        }
    }
}

/// The queue that is consumed is the one with a redrive policy.
fn consumed(queues: &[Queue]) -> Option<(&Queue, Option<&Queue>)> {
    let queue = queues.iter().find(|queue| queue.dead_letter.is_some())?;
    Some((queue, queues.iter().find(|dead| Some(&dead.key) == queue.dead_letter.as_ref())))
}

fn check_queues(queues: &[Queue], wanted: &Value, findings: &mut Findings) {
    let Some((queue, dead)) = consumed(queues) else { return };
    let has = [
        ("visibility_timeout_seconds", &queue.at, Some(queue.visibility)),
        ("max_receive_count", &queue.at, queue.max_receive_count),
        ("retention_seconds", &queue.at, Some(queue.retention)),
        ("dead_letter_retention_seconds", dead.map_or(&queue.at, |dead| &dead.at), dead.map(|dead| dead.retention)),
    ];
    for (name, at, has) in has {
        if let (Some(has), Some(wanted)) = (has, number(&wanted[name]))
            && has != wanted
        {
            findings.error("twins", at, format!("{name} is {has}, and the shared settings say {wanted}"));
        }
    }
}

fn check_same(in_terraform: &[Queue], in_template: &[Queue], findings: &mut Findings) {
    let (Some((eks, _)), Some((lambda, _))) = (consumed(in_terraform), consumed(in_template)) else { return };
    if eks.visibility != lambda.visibility {
        let message = format!("visibility timeout: {} s here, {} s in {}", lambda.visibility, eks.visibility, eks.at);
        findings.error("twins", &lambda.at, message);
    }
    if eks.max_receive_count != lambda.max_receive_count {
        let count = |queue: &Queue| queue.max_receive_count.unwrap_or_default();
        let message = format!("maxReceiveCount: {} here, {} in {}", count(lambda), count(eks), eks.at);
        findings.error("twins", &lambda.at, message);
    }
}

/// The overlay must name a queue that terraform made, once terraform knows its URL.
fn check_url(pod: &Pod, in_terraform: &[Queue], findings: &mut Findings) {
    let known: Vec<&str> = in_terraform.iter().filter_map(|queue| queue.url.as_deref()).collect();
    let url = pod.environment.get("QUEUE_URL").map(String::as_str).unwrap_or_default();
    if !known.is_empty() && !known.contains(&url) {
        findings.error(
            "twins",
            &pod.at,
            format!("QUEUE_URL is {url}, which terraform did not make: write its output kustomize_target to the overlay again"),
        );
    }
}
