//! Checks that NetworkPolicies let a pod reach what it needs, and be reached by its Service.
//!
//! Where a policy of a type selects a pod, all that no rule of that type names is shut (Kubernetes, "Network Policies").

use serde_json::Value;

use super::finding::{Findings, Place};
use super::kubernetes::{Cluster, Pod, SECRET, selects};
use super::rule::Rule;
use super::{list, number};
use crate::manifests::Object;

pub(super) fn check(pod: &Pod, cluster: &Cluster, findings: &mut Findings) {
    // No policy holds a pod on the host's network.
    if pod.spec["hostNetwork"] == true {
        return;
    }
    check_egress(pod, cluster, findings);
    check_ingress(pod, cluster, findings);
}

fn check_egress(pod: &Pod, cluster: &Cluster, findings: &mut Findings) {
    let policies = policies(pod, cluster, "Egress");
    let Some(first) = policies.first() else { return };
    let rules = || policies.iter().flat_map(|policy| list(&policy.json["spec"]["egress"]));
    let mut by_name = None;
    for (name, value) in &pod.environment {
        let Some((host, port)) = host_and_port(value) else { continue };
        if host == "127.0.0.1" || host == "localhost" {
            continue;
        }
        if !host.starts_with(|c: char| c.is_ascii_digit() || c == '[') {
            by_name = Some(host);
        }
        if !rules().any(|rule| lets_out(rule, "TCP", port)) {
            findings.add(
                Rule::Egress,
                pod.variable_place(name),
                format!("{name} names port {port} of {host}, and {} lets nothing out to it", first.called()),
                "patch its spec.egress in your overlay",
            );
        }
    }
    let place = || Place::of(first, "spec/egress");
    if let Some(host) = by_name.filter(|_| !rules().any(|rule| lets_out(rule, "UDP", 53))) {
        let what = format!("it lets no question to DNS out of {}, which looks up {host}", pod.owner.called());
        findings.add(Rule::Egress, place(), what, "write a rule for port 53 of UDP and TCP");
    }
    if needs_agent(pod, cluster) && !rules().any(lets_to_agent) {
        let what = format!(
            "it shuts {} off from the agent on its node, which has its credentials: every call to AWS would fail",
            pod.owner.called()
        );
        let fix = "write a rule for port 80 to 169.254.170.23/32 and fd00:ec2::23/128 (EKS Pod Identity)";
        findings.add(Rule::Egress, place(), what, fix);
    }
}

/// Whether a pod gets its credentials from its node: it is on AWS, has no keys, and its account names no role (IRSA's are
/// fetched from STS). Addresses: EKS User Guide, "EKS Pod Identity restrictions" and "agent setup".
fn needs_agent(pod: &Pod, cluster: &Cluster) -> bool {
    let on_aws = pod.environment.get("QUEUE_URL").is_some_and(|url| url.contains(".amazonaws.com"));
    let account = pod.spec["serviceAccountName"].as_str().unwrap_or("default");
    let account = cluster.of_kind("ServiceAccount").find(|own| own.name() == account);
    on_aws && account.is_some_and(|account| role_of(account).is_none()) && !has_keys(pod)
}

/// Whether a pod's credentials are in its environment, or may be: those of a Secret are not known here.
pub(super) fn has_keys(pod: &Pod) -> bool {
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
    let of_secret = list(&pod.container["envFrom"]).any(|source| !source["secretRef"].is_null());
    of_secret || keys.into_iter().any(|variable| pod.environment.contains_key(variable))
}

/// The role that a service account names (IRSA).
pub(super) fn role_of(account: &Object) -> Option<&str> {
    account.json["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].as_str()
}

/// What a Service sends on has to be let in.
fn check_ingress(pod: &Pod, cluster: &Cluster, findings: &mut Findings) {
    let policies = policies(pod, cluster, "Ingress");
    let Some(first) = policies.first() else { return };
    let is_of_pod = |service: &&Object| {
        let selector = service.json["spec"]["selector"].as_object();
        selector.is_some_and(|selector| selector.iter().all(|(label, value)| pod.labels.get(label) == Some(value)))
    };
    for service in cluster.of_kind("Service").filter(is_of_pod) {
        for port in list(&service.json["spec"]["ports"]) {
            let target = port.get("targetPort").unwrap_or(&port["port"]);
            let of_container = list(&pod.container["ports"])
                .find(|own| own["name"] == *target || number(&own["containerPort"]) == number(target));
            let Some(own) = of_container else { continue };
            let number = number(&own["containerPort"]).unwrap_or_default();
            let lets_in =
                |open: &Value| open["port"].is_string() && open["port"] == own["name"] || opens(open, "TCP", number);
            let mut rules = policies.iter().flat_map(|policy| list(&policy.json["spec"]["ingress"]));
            if !rules.any(|rule| rule["ports"].is_null() || list(&rule["ports"]).any(lets_in)) {
                findings.add(
                    Rule::Ingress,
                    Place::of(first, "spec/ingress"),
                    format!(
                        "{} sends on to port {target} of {}, and it lets nobody in there",
                        service.called(),
                        pod.owner.called()
                    ),
                    "write a rule for the port in spec.ingress",
                );
            }
        }
    }
}

/// The policies of a type that select a pod. Without `policyTypes` a policy is one of Ingress, and of Egress where it has
/// such rules.
fn policies<'a>(pod: &Pod, cluster: &Cluster<'a>, kind: &str) -> Vec<&'a Object> {
    let is_of_kind = |policy: &&Object| {
        let spec = &policy.json["spec"];
        match spec["policyTypes"].as_array() {
            Some(kinds) => kinds.iter().any(|own| own == kind),
            None => kind == "Ingress" || !spec["egress"].is_null(),
        }
    };
    let selecting = |policy: &&Object| selects(&policy.json["spec"]["podSelector"], pod.labels);
    cluster.of_kind("NetworkPolicy").filter(selecting).filter(is_of_kind).collect()
}

/// A rule without ports lets every port out. To whom, is not judged: addresses of names are not known here.
fn lets_out(rule: &Value, protocol: &str, port: u64) -> bool {
    // The one that is for the identity's agent alone.
    let to_the_node = list(&rule["to"]).any(is_on_node);
    !to_the_node && (rule["ports"].is_null() || list(&rule["ports"]).any(|open| opens(open, protocol, port)))
}

/// Whether a rule lets a pod reach port 80 of the addresses that are its node's own.
fn lets_to_agent(rule: &Value) -> bool {
    let to_agent = rule["to"].is_null() || list(&rule["to"]).any(is_on_node);
    to_agent && (rule["ports"].is_null() || list(&rule["ports"]).any(|open| opens(open, "TCP", 80)))
}

/// Whether one entry of a rule's ports opens a port. Without a protocol it is TCP's, without a port all of them.
fn opens(open: &Value, protocol: &str, port: u64) -> bool {
    let from = number(&open["port"]).unwrap_or_default();
    let within = open["port"].is_null() || (from..=number(&open["endPort"]).unwrap_or(from)).contains(&port);
    within && open["protocol"].as_str().unwrap_or("TCP") == protocol
}

fn is_on_node(peer: &Value) -> bool {
    let cidr = peer["ipBlock"]["cidr"].as_str().unwrap_or_default();
    cidr.starts_with("169.254.") || cidr.starts_with("fd00:ec2::")
}

/// Of a URL such as `postgres://user:pass@db.orders:5432/x`, where its scheme or itself tells the port.
fn host_and_port(text: &str) -> Option<(&str, u64)> {
    if text == SECRET {
        return None;
    }
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
