//! Checks that a pod's NetworkPolicy lets it reach what its settings name.

use serde_json::Value;

use super::kubernetes::{Cluster, Pod};
use super::{Findings, number};

pub(super) fn check(pod: &Pod, cluster: &Cluster, findings: &mut Findings) {
    // No policy holds a pod on the host's network.
    if pod.spec["hostNetwork"] == true {
        return;
    }
    let policies: Vec<&Value> = cluster
        .of_kind("NetworkPolicy")
        .filter(|policy| selects(&policy["spec"]["podSelector"], pod.labels))
        .filter(|policy| list(&policy["spec"]["policyTypes"]).any(|kind| kind == "Egress"))
        .collect();
    if policies.is_empty() {
        return;
    }
    for (name, value) in &pod.environment {
        let Some((host, port)) = host_and_port(value) else { continue };
        let open = policies.iter().flat_map(|policy| list(&policy["spec"]["egress"])).any(|rule| lets_out(rule, port));
        if !open && host != "127.0.0.1" && host != "localhost" {
            let policy = policies[0]["metadata"]["name"].as_str().unwrap_or_default();
            let message = format!(
                "{name} names port {port} of {host}, and NetworkPolicy/{policy} lets nothing out to it: patch spec.egress in your \
                 overlay"
            );
            findings.error("egress", &pod.at, message);
        }
    }
}

fn selects(selector: &Value, labels: &Value) -> bool {
    selector["matchLabels"].as_object().into_iter().flatten().all(|(label, value)| labels.get(label) == Some(value))
}

/// A rule without ports lets every port out. To whom, is not judged: addresses of names are not known here.
fn lets_out(rule: &Value, port: u64) -> bool {
    let ports: Vec<&Value> = list(&rule["ports"]).collect();
    let within = |open: &&&Value| {
        let from = number(&open["port"]).unwrap_or_default();
        open["port"].is_null() || (from..=number(&open["endPort"]).unwrap_or(from)).contains(&port)
    };
    // The one that is for the identity's agent alone.
    let to_the_node = list(&rule["to"]).any(|to| to["ipBlock"]["cidr"].as_str().is_some_and(is_link_local));
    !to_the_node && (ports.is_empty() || ports.iter().any(|open| within(&open)))
}

fn is_link_local(cidr: &str) -> bool {
    cidr.starts_with("169.254.") || cidr.starts_with("fd00:ec2::")
}

/// Of a URL such as `postgres://user:pass@db.orders:5432/x`, where its scheme or itself tells the port.
fn host_and_port(text: &str) -> Option<(&str, u64)> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, default_port(scheme)?),
    };
    (!host.is_empty()).then_some((host, port))
}

fn default_port(scheme: &str) -> Option<u64> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "postgres" | "postgresql" => Some(5432),
        "mysql" => Some(3306),
        "redis" | "rediss" => Some(6379),
        "mongodb" => Some(27017),
        "amqp" => Some(5672),
        "amqps" => Some(5671),
        _ => None,
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_tell_host_and_port_and_other_texts_nothing() {
        for (text, expected) in [
            ("https://sqs.us-east-1.amazonaws.com/1/q", Some(("sqs.us-east-1.amazonaws.com", 443))),
            ("postgres://app:secret@db.orders/x", Some(("db.orders", 5432))),
            ("http://[fd00::1]:9000/", Some(("[fd00::1]", 9000))),
            ("http://[fd00::1]/", Some(("[fd00::1]", 80))),
            ("uniform:1s-2.5s", None),
            ("own://somewhere", None),
        ] {
            assert_eq!(host_and_port(text), expected, "{text}");
        }
    }
}
