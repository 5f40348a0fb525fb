//! Checks that both targets have what they are to share.

use std::collections::BTreeSet;

use serde_json::Value;

use super::function::Function;
use super::kubernetes::Pod;
use super::queues::{Queue, urls_of_terraform};
use super::{Environment, Findings, Inputs, number, text};

/// Whether a setting belongs to the handler, which both hosts run, and not to a host.
fn is_shared(name: &str) -> bool {
    let of_handler = name.starts_with("WORK_") || name.starts_with("BACKOFF_") || name == "HANDLER_TIMEOUT_MS";
    of_handler && name != "WORK_CPU_LIMIT"
}

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
        let names: BTreeSet<&String> = its.keys().chain(theirs.keys()).filter(|name| is_shared(name)).collect();
        for name in names.into_iter().filter(|name| its.get(*name) != theirs.get(*name)) {
            let value = |of: &Environment| of.get(name).map_or("not set", String::as_str).to_owned();
            let (its, theirs) = (value(its), value(theirs));
            let message = format!("{name} is {theirs} here, and {its} in {one}: two different workloads");
            findings.error("twins", other, message);
        }
    }
    check_same(in_terraform, in_template, findings);
    if let Some(pod) = worker {
        let known = inputs.terraform.as_ref().map(urls_of_terraform).unwrap_or_default();
        check_url(pod, &known, findings);
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
    // A plan does not know it yet.
    if let (Some(theirs), Some(its)) = (eks.max_receive_count, lambda.max_receive_count)
        && theirs != its
    {
        findings.error("twins", &lambda.at, format!("maxReceiveCount: {its} here, {theirs} in {}", eks.at));
    }
}

/// The overlay must name a queue that terraform made, once terraform knows its URL.
fn check_url(pod: &Pod, known: &[String], findings: &mut Findings) {
    let url = pod.environment.get("QUEUE_URL").map(String::as_str).unwrap_or_default();
    if !known.is_empty() && !known.iter().any(|known| known == url) {
        findings.error(
            "twins",
            &pod.at,
            format!("QUEUE_URL is {url}, which terraform did not make: write its output kustomize_target to the overlay again"),
        );
    }
}
