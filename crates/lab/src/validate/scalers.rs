//! Checks that what scales a worker is one, is there, and is switched on.

use super::finding::{Findings, Place};
use super::kubernetes::Cluster;
use super::rule::Rule;
use crate::manifests::Object;

pub(super) fn check(cluster: &Cluster, findings: &mut Findings) {
    for scaler in cluster.of_kind("ScaledObject").chain(cluster.of_kind("ScaledJob")) {
        check_paused(scaler, findings);
    }
    let scaled = || cluster.of_kind("ScaledObject");
    for scaler in scaled() {
        check_target(scaler, cluster, findings);
    }
    let hpas = || cluster.of_kind("HorizontalPodAutoscaler");
    let all = || scaled().chain(hpas());
    for (index, scaler) in all().enumerate() {
        if let Some(first) = all().take(index).find(|first| target_of(first) == target_of(scaler)) {
            findings.add(
                Rule::TwoScalers,
                Place::of(scaler, "spec/scaleTargetRef/name"),
                format!(
                    "{} scales {} too: KEDA's webhook refuses it, and without the webhook each undoes what the other decides",
                    first.called(),
                    target_of(scaler).name
                ),
                "keep one, with the triggers of both",
            );
        }
    }
}

/// What a scaler scales.
#[derive(PartialEq)]
struct ScaleTarget<'a> {
    namespace: Option<&'a str>,
    kind: &'a str,
    name: &'a str,
}

/// KEDA and Kubernetes take a Deployment where no kind is written.
fn target_of(scaler: &Object) -> ScaleTarget<'_> {
    let target = &scaler.json["spec"]["scaleTargetRef"];
    ScaleTarget {
        namespace: scaler.namespace(),
        kind: target["kind"].as_str().unwrap_or("Deployment"),
        name: target["name"].as_str().unwrap_or_default(),
    }
}

/// A ScaledObject scales a target of its own namespace (KEDA, "ScaledObject specification": scaleTargetRef).
fn check_target(scaler: &Object, cluster: &Cluster, findings: &mut Findings) {
    let target = target_of(scaler);
    let mut deployments = cluster.of_kind("Deployment").peekable();
    if target.kind != "Deployment" || deployments.peek().is_none() {
        return;
    }
    let of_name: Vec<&Object> = deployments.filter(|deployment| deployment.name() == target.name).collect();
    let what = match of_name.first() {
        None => format!("there is no Deployment {}: nothing would be scaled", target.name),
        Some(first) if !of_name.iter().any(|deployment| deployment.namespace() == target.namespace) => {
            let own = target.namespace.unwrap_or("none");
            let theirs = first.namespace().unwrap_or("none");
            format!("it is in the namespace {own}, and Deployment/{} in {theirs}: nothing would be scaled", target.name)
        }
        Some(_) => return,
    };
    let fix = "write the name of the worker's Deployment, and its namespace";
    findings.add(Rule::ScaleTarget, Place::of(scaler, "spec/scaleTargetRef/name"), what, fix);
}

/// KEDA's annotations that stop it (KEDA, "Pausing autoscaling").
fn check_paused(scaler: &Object, findings: &mut Findings) {
    let annotations = &scaler.json["metadata"]["annotations"];
    for (name, value) in annotations.as_object().into_iter().flatten() {
        let Some(paused) = name.strip_prefix("autoscaling.keda.sh/") else { continue };
        let stops = match paused {
            "paused-replicas" => true,
            "paused" | "paused-scale-in" | "paused-scale-out" => value == "true",
            _ => false,
        };
        if stops {
            findings.add(
                Rule::Paused,
                Place::of(scaler, "metadata/annotations"),
                format!("the annotation {name} stops KEDA: the number of pods does not follow the queue"),
                "leave it out",
            );
        }
    }
}

/// A budget that lets no pod go while there are as few as there may be: `kubectl drain` and upgrades of nodes would wait
/// for ever. Both fields round up (Kubernetes, "Specifying a Disruption Budget for your Application").
pub(super) fn check_budget(budget: &Object, least: u64, who: &str, findings: &mut Findings) {
    let spec = &budget.json["spec"];
    let of = |field: &str| {
        let text = super::text(&spec[field])?;
        match text.strip_suffix('%') {
            Some(percent) => Some((percent.parse::<u64>().ok()? * least).div_ceil(100)),
            None => text.parse().ok(),
        }
    };
    let (field, may_go) = match (of("minAvailable"), of("maxUnavailable")) {
        (Some(stay), _) => ("minAvailable", least.saturating_sub(stay)),
        (None, Some(go)) => ("maxUnavailable", go),
        (None, None) => return,
    };
    if may_go == 0 {
        findings.add(
            Rule::DisruptionBudget,
            Place::of(budget, &format!("spec/{field}")),
            format!("{who} may have {least} pods, and then it lets none go: nodes cannot be drained, and upgrades wait for ever"),
            "write maxUnavailable: 50%, or 1",
        );
    }
}

/// The least number of pods that a Deployment may have while it runs.
pub(super) fn least_pods(owner: &Object, scaler: Option<&Object>) -> u64 {
    let least = match scaler {
        Some(scaler) => super::number(&scaler.json["spec"]["minReplicaCount"]),
        None => super::number(&owner.json["spec"]["replicas"]),
    };
    least.unwrap_or(1).max(1)
}
