//! Checks that what is to be in one namespace is, and that identities are bound to accounts that exist.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Inputs;
use super::finding::{Findings, Place};
use super::kubernetes::Cluster;
use super::rule::Rule;
use crate::manifests::{Object, Terraform};

/// Kinds that are in no namespace.
const OF_THE_CLUSTER: [&str; 3] = ["Namespace", "ClusterRole", "ClusterRoleBinding"];

pub(super) fn check(inputs: &Inputs, cluster: &Cluster, findings: &mut Findings) {
    let named: BTreeSet<&str> = inputs.kubernetes.iter().filter_map(Object::namespace).collect();
    if let Some(others) = named.first() {
        for object in inputs.kubernetes.iter().filter(|object| object.namespace().is_none()) {
            if !OF_THE_CLUSTER.contains(&object.kind()) {
                findings.add(
                    Rule::Namespace,
                    Place::of(object, "metadata/name"),
                    format!("it has no namespace, and other objects have {others}"),
                    "list the component that adds it before the one that sets the namespace (target)",
                );
            }
        }
    }
    if let Some(shown) = &inputs.terraform {
        check_accounts(shown, cluster, findings);
    }
}

/// An identity of AWS that terraform gives to a service account.
struct BoundAccount<'a> {
    /// Address of the association, or of the role.
    at: &'a str,
    namespace: String,
    account: String,
}

/// Roles are bound to a namespace and an account by name: in another namespace a pod has no credentials at all.
fn check_accounts(shown: &Terraform, cluster: &Cluster, findings: &mut Findings) {
    let associations = shown.resources("aws_eks_pod_identity_association").into_iter().filter_map(|association| {
        let namespace = association.text("namespace")?.to_owned();
        Some(BoundAccount {
            at: association.address,
            namespace,
            account: association.text("service_account")?.to_owned(),
        })
    });
    let trusted = shown.resources("aws_iam_role").into_iter().filter_map(|role| {
        let policy: Value = role.document("assume_role_policy")?;
        let equals = policy["Statement"][0]["Condition"]["StringEquals"].as_object()?.clone();
        let subject = equals.iter().find(|(key, _)| key.ends_with(":sub"))?.1.as_str()?.to_owned();
        let (namespace, account) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        Some(BoundAccount { at: role.address, namespace: namespace.to_owned(), account: account.to_owned() })
    });
    let bound: Vec<BoundAccount> = associations.chain(trusted).collect();
    for account in cluster.of_kind("ServiceAccount") {
        let Some(own) = account.namespace() else { continue };
        let name = account.name();
        let of_name: Vec<&BoundAccount> = bound.iter().filter(|bound| bound.account == name).collect();
        if let (Some(first), false) = (of_name.first(), of_name.iter().any(|bound| bound.namespace == own)) {
            findings.add(
                Rule::Namespace,
                Place::of(account, "metadata/namespace"),
                format!(
                    "it is in the namespace {own}, and {} gives its role to {}/{name}: its pods would have no credentials",
                    first.at, first.namespace
                ),
                "write terraform's output kustomize_target to the overlay again",
            );
        }
    }
}
