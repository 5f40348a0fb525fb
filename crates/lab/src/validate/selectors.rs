//! Checks that what selects pods selects those that it is about.

use serde_json::Value;

use super::finding::{Findings, Place};
use super::kubernetes::{Cluster, Pod, selects};
use super::rule::Rule;
use super::scalers::{check_budget, least_pods};
use crate::manifests::Object;

/// Kinds that select pods, and where their selector stands.
const SELECTING: [(&str, &str); 3] =
    [("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector"), ("PodMonitor", "selector")];

pub(super) fn check(cluster: &Cluster, pods: &[Pod], findings: &mut Findings) {
    for owner in cluster.of_kind("Deployment") {
        let spec = &owner.json["spec"];
        if !selects(&spec["selector"], &spec["template"]["metadata"]["labels"]) {
            findings.add(
                Rule::Selector,
                Place::of(owner, "spec/selector/matchLabels"),
                "its selector does not select its own pods: the API server refuses it",
                "write the labels of its template",
            );
        }
    }
    let labels: Vec<&Value> = cluster.all().filter_map(pod_labels).collect();
    for (kind, field) in SELECTING {
        for object in cluster.of_kind(kind) {
            let selector = &object.json["spec"][field];
            if !labels.is_empty() && !labels.iter().any(|labels| selects(selector, labels)) {
                findings.add(
                    Rule::Selector,
                    Place::of(object, &format!("spec/{field}/matchLabels")),
                    "it selects no pod that is rendered beside it: it does nothing",
                    "write the labels of the pods that it is about",
                );
            }
        }
    }
    for pod in pods.iter().filter(|pod| pod.owner.kind() == "Deployment") {
        let of_pod = |budget: &&Object| selects(&budget.json["spec"]["selector"], pod.labels);
        for budget in cluster.of_kind("PodDisruptionBudget").filter(of_pod) {
            check_budget(budget, least_pods(pod.owner, pod.scaler), &pod.owner.called(), findings);
        }
    }
}

/// Labels of the pods that an object makes, of any kind that makes some.
fn pod_labels(object: &Object) -> Option<&Value> {
    let spec = &object.json["spec"];
    let templates = [&spec["template"], &spec["jobTargetRef"]["template"], &spec["jobTemplate"]["spec"]["template"]];
    let template = templates.into_iter().find(|template| template["spec"]["containers"].is_array())?;
    Some(&template["metadata"]["labels"])
}
