//! Checks that what is to be in one namespace is, and that identities are bound to accounts that exist.

use std::collections::BTreeSet;

use serde_json::Value;

use super::kubernetes::Cluster;
use super::queues::resources;
use super::{Findings, Inputs};

/// Kinds that are in no namespace.
const OF_THE_CLUSTER: [&str; 3] = ["Namespace", "ClusterRole", "ClusterRoleBinding"];

pub(super) fn check(inputs: &Inputs, cluster: &Cluster, findings: &mut Findings) {
    let named: BTreeSet<&str> = inputs.kubernetes.iter().filter_map(namespace).collect();
    if let Some(others) = named.first() {
        for object in inputs.kubernetes.iter().filter(|object| namespace(object).is_none()) {
            let kind = object["kind"].as_str().unwrap_or_default();
            if !OF_THE_CLUSTER.contains(&kind) {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let message = format!(
                    "it has no namespace, and other objects have {others}: list the component that adds it before the one \
                     that sets the namespace (target)"
                );
                findings.error("namespace", format!("{kind}/{name}"), message);
            }
        }
    }
    if let Some(shown) = &inputs.terraform {
        check_accounts(shown, cluster, findings);
    }
}

/// Roles are bound to a namespace and an account by name: in another namespace a pod has no credentials at all.
fn check_accounts(shown: &Value, cluster: &Cluster, findings: &mut Findings) {
    let associations = resources(shown, "aws_eks_pod_identity_association").filter_map(|(at, values)| {
        Some((at, values["namespace"].as_str()?.to_owned(), values["service_account"].as_str()?.to_owned()))
    });
    let trusted = resources(shown, "aws_iam_role").filter_map(|(at, values)| {
        let policy: Value = serde_json::from_str(values["assume_role_policy"].as_str()?).ok()?;
        let equals = policy["Statement"][0]["Condition"]["StringEquals"].as_object()?.clone();
        let subject = equals.iter().find(|(key, _)| key.ends_with(":sub"))?.1.as_str()?.to_owned();
        let (namespace, account) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        Some((at, namespace.to_owned(), account.to_owned()))
    });
    let bound: Vec<_> = associations.chain(trusted).collect();
    for account in cluster.of_kind("ServiceAccount") {
        let name = account["metadata"]["name"].as_str().unwrap_or_default();
        let Some(own) = namespace(account) else { continue };
        let of_name: Vec<_> = bound.iter().filter(|(_, _, account)| account == name).collect();
        if let (Some((at, theirs, _)), false) = (of_name.first(), of_name.iter().any(|(_, ns, _)| ns == own)) {
            let message = format!(
                "it is in the namespace {own}, and {at} gives its role to {theirs}/{name}: its pods would have no credentials; \
                 write terraform's output kustomize_target to the overlay again"
            );
            findings.error("namespace", format!("ServiceAccount/{name}"), message);
        }
    }
}

fn namespace(object: &Value) -> Option<&str> {
    object["metadata"]["namespace"].as_str()
}
