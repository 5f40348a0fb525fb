//! Checks that nobody may do more than a queue needs, and that KEDA may count it.

use serde_json::Value;

use super::finding::{Findings, Place};
use super::kubernetes::Cluster;
use super::policies::{self, Statement, one_or_more};
use super::rule::Rule;
use super::{Inputs, list};
use crate::manifests::{Template, Terraform};

pub(super) fn check(inputs: &Inputs, cluster: &Cluster, findings: &mut Findings) {
    if let Some(shown) = &inputs.terraform {
        let statements = policies::of_terraform(shown);
        let known: Vec<String> = shown.queues().into_iter().map(|queue| queue.key).collect();
        let is_queue = |resource: &Value| resource.as_str().is_some_and(|arn| known.iter().any(|k| k == arn));
        check_width(&statements, is_queue, findings);
        check_keda(shown, &statements, cluster, findings);
        check_attached(shown, findings);
        for policy in shown.resources("aws_sqs_queue_policy") {
            let place = Place::of_terraform(shown, policy.address);
            check_open(place, &policy.document("policy").unwrap_or_default(), findings);
        }
    }
    if let Some(template) = &inputs.template {
        let resolved = template.to_json();
        let is_queue = |resource: &Value| {
            resource_of(resource).is_some_and(|name| resolved["Resources"][name]["Type"] == "AWS::SQS::Queue")
        };
        check_width(&policies::of_template(template, &resolved), is_queue, findings);
        check_managed(template, &resolved, findings);
        for (name, resource) in resolved["Resources"].as_object().into_iter().flatten() {
            if resource["Type"] == "AWS::SQS::QueuePolicy" {
                let place = Place::of_resource(template, name, "Properties/PolicyDocument");
                check_open(place, &resource["Properties"]["PolicyDocument"], findings);
            }
        }
    }
}

/// The logical name in `{"Ref": "X"}` or `{"Fn::GetAtt": ["X", "Arn"]}`.
pub(super) fn resource_of(reference: &Value) -> Option<&str> {
    let attribute = &reference["Fn::GetAtt"];
    let of_text = || attribute.as_str().and_then(|text| text.split('.').next());
    reference["Ref"].as_str().or_else(|| attribute[0].as_str()).or_else(of_text)
}

/// A queue's own policy that lets everybody do something.
fn check_open(place: Place, document: &Value, findings: &mut Findings) {
    let everybody = |principal: &Value| principal == "*" || one_or_more(&principal["AWS"]).iter().any(|aws| aws == "*");
    let open = one_or_more(&document["Statement"]).into_iter().find(|statement| {
        statement["Effect"] == "Allow" && everybody(&statement["Principal"]) && statement["Condition"].is_null()
    });
    if let Some(statement) = open {
        let what = format!("it allows {} to everybody", statement["Action"]);
        findings.add(Rule::Permission, place, what, "name a principal, or a condition");
    }
}

/// A managed policy on SQS reaches every queue of the account.
fn is_wide(policy: &str) -> bool {
    policy.split(":aws:policy/").nth(1).unwrap_or(policy).to_ascii_lowercase().contains("sqs")
}

fn check_attached(shown: &Terraform, findings: &mut Findings) {
    for attachment in shown.resources("aws_iam_role_policy_attachment") {
        if let Some(policy) = attachment.text("policy_arn").filter(|arn| arn.contains(":aws:policy/") && is_wide(arn)) {
            let what = format!("{policy} reaches every queue of the account");
            let place = Place::of_terraform(shown, attachment.address);
            findings.add(Rule::Permission, place, what, "write the permissions out");
        }
    }
}

fn check_width(statements: &[Statement], is_queue: impl Fn(&Value) -> bool, findings: &mut Findings) {
    for statement in statements.iter().filter(|statement| statement.touches_sqs()) {
        if let Some(action) = statement.actions.iter().find(|action| action.contains('*')) {
            let what = format!("it allows {action}");
            findings.add(Rule::Permission, statement.place.clone(), what, "name the actions that are needed");
        }
        if let Some(resource) = statement.resources.iter().find(|resource| !is_queue(resource)) {
            let what = format!("it reaches {resource}, which is wider than its queue");
            findings.add(Rule::Permission, statement.place.clone(), what, "name the queue's ARN");
        }
    }
}

/// KEDA counts as its operator, by a role of its own: the worker's must not be the only one that may count.
fn check_keda(shown: &Terraform, statements: &[Statement], cluster: &Cluster, findings: &mut Findings) {
    let by_pod_identity =
        cluster.of_kind("TriggerAuthentication").any(|auth| auth.json["spec"]["podIdentity"]["provider"] == "aws");
    if !by_pod_identity || statements.is_empty() {
        return;
    }
    let associations = shown.resources("aws_eks_pod_identity_association");
    let of_pods = associations
        .iter()
        .filter(|association| {
            let account = association.text("service_account");
            cluster.of_kind("ServiceAccount").any(|own| Some(own.name()) == account)
        })
        .filter_map(|association| association.text("role_arn"));
    let by_irsa = cluster
        .of_kind("ServiceAccount")
        .filter_map(|account| account.json["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].as_str());
    let of_pods: Vec<&str> = of_pods.chain(by_irsa).filter_map(|arn| arn.rsplit('/').next()).collect();
    let queues = shown.queues();
    for pod in cluster.pods().iter().filter(|pod| pod.trigger().is_some()) {
        let url = pod.environment.get("QUEUE_URL");
        let Some(queue) = queues.iter().find(|queue| queue.url.as_ref() == url) else { continue };
        let may_count =
            |s: &Statement| s.allows_on("sqs:GetQueueAttributes", &queue.key) && !of_pods.contains(&s.role.as_str());
        if !statements.iter().any(may_count) {
            findings.add(
                Rule::KedaRole,
                pod.scaler_place("spec/triggers"),
                format!("no role of KEDA's operator may sqs:GetQueueAttributes on {}: it would never scale", queue.key),
                "allow it to a role of its own, which is bound to the operator's service account",
            );
        }
    }
}

fn check_managed(template: &Template, resolved: &Value, findings: &mut Findings) {
    for (name, resource) in resolved["Resources"].as_object().into_iter().flatten() {
        let properties = &resource["Properties"];
        let mut named = list(&properties["ManagedPolicyArns"]).chain(list(&properties["Policies"]));
        if let Some(policy) = named.find_map(|policy| policy.as_str().filter(|policy| is_wide(policy))) {
            let what = format!("{policy} reaches every queue of the account");
            let place = Place::of_resource(template, name, "Properties");
            findings.add(Rule::Permission, place, what, "write the role out");
        }
        let consumes = properties["Events"].as_object().is_some_and(|e| e.values().any(|event| event["Type"] == "SQS"));
        // SAM's own policy for a poller allows what the handler needs.
        let polls = list(&properties["Policies"]).any(|policy| !policy["SQSPollerPolicy"].is_null());
        if consumes && properties["Role"].is_null() && !polls {
            findings.add(
                Rule::Permission,
                Place::of_resource(template, name, "Properties"),
                "it has no Role, so SAM makes one that reads every queue of the account and may not change visibility",
                "write the role out, or SAM's SQSPollerPolicy",
            );
        }
    }
}
