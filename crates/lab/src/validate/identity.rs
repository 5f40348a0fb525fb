//! Checks of who pods and KEDA's operator are: service accounts, EKS Pod Identity, IRSA, TriggerAuthentications, trust.
//!
//! Sources: EKS User Guide, "EKS Pod Identities" (an association is of one namespace and one account; the role trusts
//! `pods.eks.amazonaws.com` with `sts:AssumeRole` and `sts:TagSession`) and "IAM roles for service accounts"; KEDA,
//! "Authentication providers: AWS" (`identityOwner`).

use serde_json::Value;

use super::finding::{Findings, Place};
use super::kubernetes::{Cluster, Pod};
use super::network::{has_keys, role_of};
use super::policies::{fits, one_or_more};
use super::rule::Rule;
use super::{Inputs, list};
use crate::manifests::{Object, Template, Terraform};

/// The account of KEDA's operator as its chart makes it.
const KEDA_NAMESPACE: &str = "keda";
const KEDA_ACCOUNT: &str = "keda-operator";

pub(super) fn check(inputs: &Inputs, cluster: &Cluster, pods: &[Pod], findings: &mut Findings) {
    for pod in pods {
        check_account(pod, cluster, findings);
        if let Some(scaler) = pod.scaler {
            check_triggers(pod, scaler, cluster, findings);
        }
    }
    if let Some(shown) = &inputs.terraform {
        for pod in pods {
            check_association(pod, shown, cluster, findings);
        }
        check_keda_account(shown, findings);
        check_trust_of_terraform(shown, findings);
        for account in cluster.of_kind("ServiceAccount") {
            check_trust_in_account(account, shown, findings);
        }
    }
    if let Some(template) = &inputs.template {
        check_trust_of_template(template, findings);
    }
}

/// The name of a pod's service account.
pub(super) fn account_of<'a>(pod: &'a Pod) -> &'a str {
    pod.spec["serviceAccountName"].as_str().unwrap_or("default")
}

fn account_object<'a>(pod: &Pod, cluster: &Cluster<'a>) -> Option<&'a Object> {
    cluster.of_kind("ServiceAccount").find(|account| account.name() == account_of(pod))
}

/// A pod of an account that is not there is never made; where none is rendered, they are made elsewhere.
fn check_account(pod: &Pod, cluster: &Cluster, findings: &mut Findings) {
    let names: Vec<&str> = cluster.of_kind("ServiceAccount").map(Object::name).collect();
    // Without one it has that of its namespace, which does where it needs no identity.
    let needs_none = pod.spec["serviceAccountName"].is_null() && has_keys(pod);
    if !names.is_empty() && !names.contains(&account_of(pod)) && !needs_none {
        findings.add(
            Rule::ServiceAccount,
            pod.spec_place("serviceAccountName"),
            format!(
                "its service account is {}, which is not there: no pod is made, or it has no identity in AWS",
                account_of(pod)
            ),
            format!("write one of {}", names.join(", ")),
        );
    }
}

/// A scaler whose trigger has no credentials never scales.
fn check_triggers(pod: &Pod, scaler: &Object, cluster: &Cluster, findings: &mut Findings) {
    for index in triggers_without_keys(scaler) {
        findings.add(
            Rule::Authentication,
            Place::of(scaler, &format!("spec/triggers/{index}")),
            "a trigger has no authenticationRef: KEDA asks for keys that are not there, and would never be ready",
            "write authenticationRef, or identityOwner: operator in its metadata",
        );
    }
    for (index, trigger) in list(&scaler.json["spec"]["triggers"]).enumerate() {
        let reference = &trigger["authenticationRef"];
        let Some(name) = reference["name"].as_str().filter(|_| reference["kind"].is_null()) else { continue };
        let of_name = |auth: &&Object| auth.name() == name && auth.namespace() == scaler.namespace();
        let Some(auth) = cluster.of_kind("TriggerAuthentication").find(of_name) else {
            findings.add(
                Rule::Authentication,
                Place::of(scaler, &format!("spec/triggers/{index}/authenticationRef/name")),
                format!("a trigger names the TriggerAuthentication {name}, which is not there: KEDA would never scale"),
                "write the name of one that is in its namespace, or add it",
            );
            continue;
        };
        let identity = &auth.json["spec"]["podIdentity"];
        let without_role = account_object(pod, cluster).is_some_and(|account| role_of(account).is_none());
        if identity["identityOwner"] == "workload" && without_role {
            findings.add(
                Rule::Authentication,
                Place::of(auth, "spec/podIdentity/identityOwner"),
                format!(
                    "identityOwner is workload, and ServiceAccount/{} names no role (eks.amazonaws.com/role-arn), which is where \
                     KEDA looks: it would never scale",
                    account_of(pod)
                ),
                "write identityOwner: keda, or annotate the account",
            );
        }
    }
}

/// The triggers of a scaler without any credentials: then KEDA asks for keys that are not there (KEDA's
/// `pkg/scalers/aws/aws_common.go`: without a pod identity the owner is the pod, unless `identityOwner: operator`).
fn triggers_without_keys(scaler: &Object) -> Vec<usize> {
    let without = |trigger: &Value| {
        let metadata = &trigger["metadata"];
        let of_aws = trigger["type"].as_str().is_some_and(|kind| kind.starts_with("aws-"));
        let keys = metadata.as_object().into_iter().flatten().any(|(name, _)| name.starts_with("awsAccessKey"));
        of_aws && trigger["authenticationRef"].is_null() && metadata["identityOwner"] != "operator" && !keys
    };
    list(&scaler.json["spec"]["triggers"]).enumerate().filter(|(_, trigger)| without(trigger)).map(|(i, _)| i).collect()
}

/// A pod has a role by an association of its namespace and account, or by its account's annotation.
fn check_association(pod: &Pod, shown: &Terraform, cluster: &Cluster, findings: &mut Findings) {
    let associations = shown.resources("aws_eks_pod_identity_association");
    let Some(account) = account_object(pod, cluster) else { return };
    if associations.is_empty() || role_of(account).is_some() || has_keys(pod) {
        return;
    }
    // Of another namespace is the rule `namespace`'s.
    if !associations.iter().any(|association| association.text("service_account") == Some(account.name())) {
        findings.add(
            Rule::PodIdentity,
            pod.spec_place("serviceAccountName"),
            format!(
                "terraform gives no role to its service account {}: its pods would have no credentials, and every call to AWS \
                 would fail",
                account.name()
            ),
            "write an aws_eks_pod_identity_association of its namespace and account",
        );
    }
}

/// The role that may count and nothing else is the operator's.
fn check_keda_account(shown: &Terraform, findings: &mut Findings) {
    for association in shown.resources("aws_eks_pod_identity_association") {
        let of_role = association.text("role_arn").and_then(|arn| arn.rsplit('/').next());
        let policies = shown.resources("aws_iam_role_policy");
        let of_this = policies.iter().filter(|policy| of_role.is_some() && policy.text("role") == of_role);
        let actions: Vec<Value> = of_this
            .filter_map(|policy| policy.document("policy"))
            .flat_map(|document| one_or_more(&document["Statement"]))
            .flat_map(|statement| one_or_more(&statement["Action"]))
            .filter(|action| action.as_str().is_some_and(|action| action.starts_with("sqs:")))
            .collect();
        let counts_only = !actions.is_empty() && actions.iter().all(|action| action == "sqs:GetQueueAttributes");
        let namespace = association.text("namespace");
        let account = association.text("service_account");
        if counts_only && (namespace, account) != (Some(KEDA_NAMESPACE), Some(KEDA_ACCOUNT)) {
            findings.add(
                Rule::KedaAccount,
                Place::of_terraform(shown, association.address),
                format!(
                    "the role that counts the queue is {}/{}'s, and KEDA's chart runs its operator as \
                     {KEDA_NAMESPACE}/{KEDA_ACCOUNT}: elsewhere KEDA has no credentials",
                    namespace.unwrap_or("no namespace"),
                    account.unwrap_or("nobody")
                ),
                "write keda_namespace and keda_service_account as your KEDA has them, and then ignore this rule",
            );
        }
    }
}

fn check_trust_of_terraform(shown: &Terraform, findings: &mut Findings) {
    let associations = shown.resources("aws_eks_pod_identity_association");
    for role in shown.resources("aws_iam_role") {
        let Some(policy) = role.document("assume_role_policy") else { continue };
        let arn = role.text("arn");
        let is_associated = associations.iter().any(|association| arn.is_some() && association.text("role_arn") == arn);
        let needed = ["sts:AssumeRole", "sts:TagSession"];
        let lacks = needed.into_iter().find(|action| !trusts(&policy, "pods.eks.amazonaws.com", action));
        if let Some(action) = lacks.filter(|_| is_associated) {
            findings.add(
                Rule::Trust,
                Place::of_terraform(shown, role.address),
                format!(
                    "pods.eks.amazonaws.com may not {action} it: the pods of its association would have no credentials"
                ),
                "write both sts:AssumeRole and sts:TagSession, for the principal Service: pods.eks.amazonaws.com",
            );
        }
    }
}

/// A role that an account names trusts that account (IRSA), by a condition on the token's subject.
fn check_trust_in_account(account: &Object, shown: &Terraform, findings: &mut Findings) {
    let (Some(named), Some(namespace)) = (role_of(account), account.namespace()) else { return };
    let roles = shown.resources("aws_iam_role");
    let Some(role) = roles.iter().find(|role| role.text("arn") == Some(named)) else { return };
    let Some(policy) = role.document("assume_role_policy") else { return };
    let subject = format!("system:serviceaccount:{namespace}:{}", account.name());
    let conditions = one_or_more(&policy["Statement"]);
    let of_operators = |statement: &Value| {
        let equals = ["StringEquals", "StringLike"].map(|operator| statement["Condition"][operator].clone());
        let entries = equals.iter().filter_map(Value::as_object).flatten();
        let subjects = entries.filter(|(key, _)| key.ends_with(":sub"));
        subjects.flat_map(|(_, value)| one_or_more(value)).collect::<Vec<Value>>()
    };
    let trusted: Vec<Value> = conditions.iter().flat_map(of_operators).collect();
    let fits_subject = |pattern: &Value| pattern.as_str().is_some_and(|pattern| fits(pattern, &subject));
    if !trusted.is_empty() && !trusted.iter().any(fits_subject) {
        findings.add(
            Rule::Trust,
            Place::of_terraform(shown, role.address),
            format!(
                "{} names it, and it trusts others than {subject}: the pods would have no credentials",
                account.called()
            ),
            format!("write {subject} in the condition on the token's subject"),
        );
    }
}

/// Roles of functions trust Lambda (Lambda Developer Guide, "Defining Lambda function permissions with an execution role").
fn check_trust_of_template(template: &Template, findings: &mut Findings) {
    let resolved = template.to_json();
    let resources = &resolved["Resources"];
    for (name, resource) in resources.as_object().into_iter().flatten() {
        let Some(role) = super::permissions::resource_of(&resource["Properties"]["Role"]) else { continue };
        let is_function =
            matches!(resource["Type"].as_str(), Some("AWS::Lambda::Function" | "AWS::Serverless::Function"));
        let policy = &resources[role]["Properties"]["AssumeRolePolicyDocument"];
        if is_function && policy.is_object() && !trusts(policy, "lambda.amazonaws.com", "sts:AssumeRole") {
            findings.add(
                Rule::Trust,
                Place::of_resource(template, role, "Properties/AssumeRolePolicyDocument"),
                format!("lambda.amazonaws.com may not sts:AssumeRole it: Lambda refuses {name}"),
                "write the principal Service: lambda.amazonaws.com with sts:AssumeRole",
            );
        }
    }
}

/// Whether a role's policy lets a service do an action.
fn trusts(policy: &Value, service: &str, action: &str) -> bool {
    let covers = |statement: &Value| {
        let services = one_or_more(&statement["Principal"]["Service"]);
        let mut actions = one_or_more(&statement["Action"]).into_iter();
        statement["Effect"] == "Allow"
            && services.iter().any(|own| own == service)
            && actions.any(|own| {
                own.as_str().is_some_and(|own| fits(&own.to_ascii_lowercase(), &action.to_ascii_lowercase()))
            })
    };
    one_or_more(&policy["Statement"]).iter().any(covers)
}
