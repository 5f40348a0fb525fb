//! Checks that both targets have what they are to share.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::finding::{Findings, Place};
use super::kubernetes::Pod;
use super::queues::{PlacedQueue, dead_letter_of};
use super::rule::Rule;
use super::{Environment, Inputs, number, text};
use crate::manifests::Function;

/// Whether a setting belongs to the handler, which both hosts run, and not to a host.
fn is_shared(name: &str) -> bool {
    let of_handler = name.starts_with("WORK_") || name.starts_with("BACKOFF_") || name == "HANDLER_TIMEOUT_MS";
    of_handler && name != "WORK_CPU_LIMIT"
}

/// A host of the handler.
struct Twin<'a> {
    name: String,
    environment: &'a Environment,
    /// Whether it may have variables that no file tells.
    has_more: bool,
    /// Where one of its variables is set.
    place: Box<dyn Fn(&str) -> Place + 'a>,
}

pub(super) fn check(
    inputs: &Inputs,
    pods: &[Pod],
    function: Option<&Function>,
    in_terraform: &[PlacedQueue],
    in_template: &[PlacedQueue],
    findings: &mut Findings,
) {
    let worker = pods.iter().find(|pod| pod.receives());
    let on_eks = worker.map(|pod| Twin {
        name: pod.owner.called(),
        environment: &pod.environment,
        has_more: pod.has_variables_elsewhere(),
        place: Box::new(|name| pod.variable_place(name)),
    });
    let on_lambda = inputs.template.as_ref().zip(function).map(|(template, function)| Twin {
        name: function.name.clone(),
        environment: &function.environment,
        has_more: false,
        place: Box::new(|name| Place::of_function(template, function, &format!("Environment/Variables/{name}"))),
    });
    let twins: Vec<Twin> = on_eks.into_iter().chain(on_lambda).collect();
    if let Some(settings) = &inputs.settings {
        for twin in &twins {
            check_handler(twin, &settings["handler"], findings);
        }
        check_queues(in_terraform, &settings["queue"], findings);
        check_queues(in_template, &settings["queue"], findings);
    }
    if let [one, other] = &twins[..] {
        let names = one.environment.keys().chain(other.environment.keys());
        for name in names.filter(|name| is_shared(name)).collect::<BTreeSet<&String>>() {
            let its = one.environment.get(name);
            let theirs = other.environment.get(name);
            let untold = [(one, its), (other, theirs)].iter().any(|(twin, value)| twin.has_more && value.is_none());
            if its != theirs && !untold {
                let told = |value: Option<&String>| value.map_or_else(|| "not set".to_owned(), String::clone);
                findings.add(
                    Rule::Twins,
                    (other.place)(name),
                    format!(
                        "{name} is {} here, and {} in {}: two different workloads",
                        told(theirs),
                        told(its),
                        one.name
                    ),
                    "write the same for both, in deploy/settings.yaml",
                );
            }
        }
    }
    check_same(in_terraform, in_template, findings);
    if let Some(pod) = worker {
        let known = inputs.terraform.as_ref().map(|terraform| terraform.urls()).unwrap_or_default();
        check_url(pod, &known, findings);
    }
}

fn check_handler(twin: &Twin, wanted: &Value, findings: &mut Findings) {
    for (name, value) in wanted.as_object().into_iter().flatten() {
        let Some(wanted) = text(value) else { continue };
        let has = twin.environment.get(name);
        if has != Some(&wanted) && !(twin.has_more && has.is_none()) {
            let has = has.map_or("missing", String::as_str);
            let what = format!("{name} is {has}, and the shared settings say {wanted}");
            findings.add(
                Rule::Twins,
                (twin.place)(name),
                what,
                format!("write {wanted}, or change the shared settings"),
            );
        }
    }
}

/// The queue that is consumed is the one with a redrive policy.
fn consumed(queues: &[PlacedQueue]) -> Option<&PlacedQueue> {
    queues.iter().find(|queue| queue.dead_letter.is_some())
}

fn check_queues(queues: &[PlacedQueue], wanted: &Value, findings: &mut Findings) {
    let Some(queue) = consumed(queues) else { return };
    let dead = dead_letter_of(queue, queues);
    let seconds = |duration: Duration| Some(duration.as_secs());
    let mut compare = |name: &str, of: &PlacedQueue, has: Option<u64>| {
        if let (Some(has), Some(wanted)) = (has, number(&wanted[name]))
            && has != wanted
        {
            let what = format!("{name} is {has}, and the shared settings say {wanted}");
            findings.add(Rule::Twins, of.place.clone(), what, format!("write {wanted}, or change the shared settings"));
        }
    };
    compare("visibility_timeout_seconds", queue, seconds(queue.visibility));
    compare("max_receive_count", queue, queue.max_receive_count.map(u64::from));
    compare("retention_seconds", queue, seconds(queue.retention));
    if let Some(dead) = dead {
        compare("dead_letter_retention_seconds", dead, seconds(dead.retention));
    }
}

fn check_same(in_terraform: &[PlacedQueue], in_template: &[PlacedQueue], findings: &mut Findings) {
    let (Some(eks), Some(lambda)) = (consumed(in_terraform), consumed(in_template)) else { return };
    let fix = "write the same for both, in deploy/settings.yaml";
    if eks.visibility != lambda.visibility {
        let its = lambda.visibility.as_secs();
        let theirs = eks.visibility.as_secs();
        let what = format!("visibility timeout: {its} s here, {theirs} s in {}", eks.name);
        findings.add(Rule::Twins, lambda.place.clone(), what, fix);
    }
    if eks.fifo != lambda.fifo {
        let kind = |fifo| if fifo { "a FIFO queue" } else { "a standard queue" };
        let what = format!("it is {} and {} {}: two different workloads", kind(lambda.fifo), eks.name, kind(eks.fifo));
        findings.add(Rule::Fifo, lambda.place.clone(), what, "make both of one kind");
    }
    // A plan does not know it yet.
    if let (Some(theirs), Some(its)) = (eks.max_receive_count, lambda.max_receive_count)
        && theirs != its
    {
        let what = format!("maxReceiveCount: {its} here, {theirs} in {}", eks.name);
        findings.add(Rule::Twins, lambda.place.clone(), what, fix);
    }
}

/// The overlay must name a queue that terraform made, once terraform knows its URL.
fn check_url(pod: &Pod, known: &[String], findings: &mut Findings) {
    let Some(url) = pod.known("QUEUE_URL") else { return };
    if !known.is_empty() && !known.contains(url) {
        findings.add(
            Rule::Twins,
            pod.variable_place("QUEUE_URL"),
            format!("QUEUE_URL is {url}, which terraform did not make"),
            "write its output kustomize_target to the overlay again",
        );
    }
}
