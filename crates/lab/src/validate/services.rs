//! Checks that ports, probes, addresses, monitors and Services mean the same port.

use std::net::SocketAddr;

use serde_json::Value;
use twinscale::unstable::config::HttpConfig;

use super::finding::{Findings, Place};
use super::kubernetes::{Cluster, Pod, selects, template_of};
use super::rule::Rule;
use super::{list, number};
use crate::manifests::Object;

/// What listens in our service.
struct Listener {
    variable: &'static str,
    addr: SocketAddr,
    answers: &'static [&'static str],
}

const PROBES: [&str; 3] = ["startupProbe", "readinessProbe", "livenessProbe"];

pub(super) fn check(cluster: &Cluster, pods: &[Pod], findings: &mut Findings) {
    for pod in pods {
        check_ports(pod, cluster, findings);
    }
    for service in cluster.of_kind("Service") {
        check_service(service, cluster, findings);
    }
}

/// An address that cannot be read is found with the other settings.
fn listeners(pod: &Pod) -> [Listener; 2] {
    let unset = HttpConfig::default();
    let listener = |variable: &'static str, unset, answers| {
        let addr = pod.environment.get(variable).and_then(|addr| addr.parse().ok()).unwrap_or(unset);
        Listener { variable, addr, answers }
    };
    [
        listener("HTTP_ADDR", unset.addr, &["/", "/send"]),
        listener("ADMIN_ADDR", unset.admin_addr, &["/healthz", "/readyz", "/metrics"]),
    ]
}

fn check_ports(pod: &Pod, cluster: &Cluster, findings: &mut Findings) {
    // Without ports there is no kubelet either: podman on the host's network.
    let Some(ports) = pod.container["ports"].as_array() else { return };
    let listeners = listeners(pod);
    for Listener { variable, addr, .. } in &listeners {
        let declared = ports.iter().any(|port| number(&port["containerPort"]) == Some(addr.port().into()));
        if !addr.ip().is_loopback() && !declared {
            findings.add(
                Rule::Ports,
                pod.container_place("ports"),
                format!("{variable} listens on {}, which is none of the container's ports", addr.port()),
                format!("write containerPort: {}", addr.port()),
            );
        }
    }
    let mut asks = |who: &str, place: Place, port: &Value, path: &str| {
        let Some(Listener { variable, addr, .. }) = listeners.iter().find(|listener| listener.answers.contains(&path))
        else {
            let paths: Vec<&str> = listeners.iter().flat_map(|listener| listener.answers.iter().copied()).collect();
            let what = format!("{who} asks for {path}, which nothing answers");
            return findings.add(Rule::Ports, place, what, format!("write one of {}", paths.join(", ")));
        };
        if addr.ip().is_loopback() || port_of(port, ports) != Some(addr.port().into()) {
            findings.add(
                Rule::Ports,
                place,
                format!("{who} asks port {port} for {path}, which {variable} answers, and that listens on {addr}"),
                format!("write the port of {variable}, and an address that is not loopback"),
            );
        }
    };
    for probe in PROBES {
        let get = &pod.container[probe]["httpGet"];
        if !get.is_null() {
            let place = pod.container_place(&format!("{probe}/httpGet/port"));
            asks(probe, place, &get["port"], get["path"].as_str().unwrap_or("/"));
        }
    }
    let of_pod = |monitor: &&Object| selects(&monitor.json["spec"]["selector"], pod.labels);
    for monitor in cluster.of_kind("PodMonitor").filter(of_pod) {
        for endpoint in list(&monitor.json["spec"]["podMetricsEndpoints"]) {
            let path = endpoint["path"].as_str().unwrap_or("/metrics");
            let place = Place::of(monitor, "spec/podMetricsEndpoints");
            asks(&monitor.called(), place, &endpoint["port"], path);
        }
    }
    for probe in PROBES {
        check_probe(pod, probe, findings);
    }
}

/// A probe that answers another question than it is for. `/readyz` fails while SQS does, `/healthz` while the process does
/// (Kubernetes, "Configure Liveness, Readiness and Startup Probes": a liveness probe restarts, a readiness probe does not).
fn check_probe(pod: &Pod, probe: &str, findings: &mut Findings) {
    let get = &pod.container[probe]["httpGet"];
    let place = |field: &str| pod.container_place(&format!("{probe}/httpGet/{field}"));
    if get["scheme"] == "HTTPS" {
        let what = format!("{probe} asks by HTTPS, and the worker speaks HTTP: it would fail for ever");
        findings.add(Rule::Probe, place("scheme"), what, "leave scheme out");
    }
    match (probe, get["path"].as_str().unwrap_or("/")) {
        ("readinessProbe", "/healthz") => findings.add(
            Rule::Probe,
            place("path"),
            "readinessProbe asks /healthz, which says nothing of the queue: a roll-out would go on with pods that receive nothing",
            "write path: /readyz",
        ),
        ("startupProbe" | "livenessProbe", "/readyz") => findings.add(
            Rule::Probe,
            place("path"),
            format!("{probe} asks /readyz, which fails while SQS does: an outage of SQS would restart every pod"),
            "write path: /healthz",
        ),
        _ => {}
    }
}

fn check_service(service: &Object, cluster: &Cluster, findings: &mut Findings) {
    let Some(selector) = service.json["spec"]["selector"].as_object() else { return };
    let selected = cluster.of_kind("Deployment").find(|owner| {
        let labels = &template_of(owner)["metadata"]["labels"];
        selector.iter().all(|(label, value)| labels.get(label) == Some(value))
    });
    let Some(owner) = selected else {
        findings.add(
            Rule::Service,
            Place::of(service, "spec/selector"),
            "its selector matches no Deployment's pods: every connection would be refused",
            "write the labels of the pods that serve it",
        );
        return;
    };
    let containers = list(&template_of(owner)["spec"]["containers"]);
    let ports: Vec<Value> = containers.flat_map(|container| list(&container["ports"]).cloned()).collect();
    for port in list(&service.json["spec"]["ports"]) {
        let target = port.get("targetPort").unwrap_or(&port["port"]);
        let known = port_of(target, &ports);
        if !ports.iter().any(|port| known.is_some() && number(&port["containerPort"]) == known) {
            findings.add(
                Rule::Service,
                Place::of(service, "spec/ports"),
                format!("targetPort {target} is no port of {}", owner.called()),
                "write the name or the number of one of its containers' ports",
            );
        }
    }
}

/// A port by number, or by the name of one of `ports`.
fn port_of(port: &Value, ports: &[Value]) -> Option<u64> {
    number(port).or_else(|| number(&ports.iter().find(|named| named["name"] == *port)?["containerPort"]))
}
