//! Checks that ports, probes, addresses and Services mean the same port.

use serde_json::Value;

use super::kubernetes::{Cluster, Pod};
use super::{Findings, number};

pub(super) fn check(cluster: &Cluster, pods: &[Pod], findings: &mut Findings) {
    for pod in pods {
        check_probes(pod, findings);
    }
    for service in cluster.of_kind("Service") {
        check_service(service, cluster, findings);
    }
}

fn check_probes(pod: &Pod, findings: &mut Findings) {
    // Without ports there is no kubelet either: podman on the host's network.
    let Some(ports) = pod.container["ports"].as_array() else { return };
    let listens =
        pod.environment.get("HTTP_ADDR").and_then(|addr| addr.rsplit_once(':')?.1.parse::<u64>().ok()).unwrap_or(8080);
    if !ports.iter().any(|port| number(&port["containerPort"]) == Some(listens)) {
        findings.error(
            "ports",
            &pod.at,
            format!("HTTP_ADDR listens on {listens}, which is none of the container's ports"),
        );
    }
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let wanted = &pod.container[probe]["httpGet"]["port"];
        if !wanted.is_null() && port_of(wanted, ports) != Some(listens) {
            findings.error("ports", &pod.at, format!("{probe} asks port {wanted}, and HTTP_ADDR listens on {listens}"));
        }
    }
}

fn check_service(service: &Value, cluster: &Cluster, findings: &mut Findings) {
    let at = format!("Service/{}", service["metadata"]["name"].as_str().unwrap_or_default());
    let Some(selector) = service["spec"]["selector"].as_object() else { return };
    let selected = cluster.templates().find(|(_, template)| {
        selector.iter().all(|(label, value)| template["metadata"]["labels"].get(label) == Some(value))
    });
    let Some((owner, template)) = selected else {
        findings.error("service", at, "its selector matches no Deployment's pods: every connection would be refused");
        return;
    };
    let containers = template["spec"]["containers"].as_array().into_iter().flatten();
    let ports: Vec<Value> =
        containers.flat_map(|container| container["ports"].as_array().cloned().unwrap_or_default()).collect();
    for port in service["spec"]["ports"].as_array().into_iter().flatten() {
        let target = port.get("targetPort").unwrap_or(&port["port"]);
        let known = port_of(target, &ports);
        if !ports.iter().any(|port| known.is_some() && number(&port["containerPort"]) == known) {
            let owner = owner["metadata"]["name"].as_str().unwrap_or_default();
            findings.error("service", &at, format!("targetPort {target} is no port of Deployment/{owner}"));
        }
    }
}

/// A port by number, or by the name of one of `ports`.
fn port_of(port: &Value, ports: &[Value]) -> Option<u64> {
    number(port).or_else(|| number(&ports.iter().find(|named| named["name"] == *port)?["containerPort"]))
}
