//! Checks of who may do what on which queue.

use serde_json::Value;

use super::kubernetes::Cluster;
use super::queues::{self, resource_of};
use super::{Findings, Inputs};

/// An `Allow` statement and where it stands.
struct Statement {
    at: String,
    role: String,
    actions: Vec<String>,
    resources: Vec<Value>,
}

impl Statement {
    fn touches_sqs(&self) -> bool {
        self.actions.iter().any(|action| action.to_ascii_lowercase().starts_with("sqs:") || action == "*")
    }

    fn allows(&self, action: &str, arn: &str) -> bool {
        self.actions.iter().any(|a| a.eq_ignore_ascii_case(action)) && self.resources.iter().any(|r| r == arn)
    }
}

pub(super) fn check(inputs: &Inputs, cluster: &Cluster, findings: &mut Findings) {
    if let Some(shown) = &inputs.terraform {
        let statements = of_terraform(shown);
        let known: Vec<String> = queues::of_terraform(shown).into_iter().map(|queue| queue.key).collect();
        check_width(
            &statements,
            |resource| resource.as_str().is_some_and(|arn| known.iter().any(|k| k == arn)),
            findings,
        );
        check_keda(shown, &statements, cluster, findings);
    }
    if let Some(template) = &inputs.template {
        let is_queue = |resource: &Value| {
            resource_of(resource).is_some_and(|name| template["Resources"][name]["Type"] == "AWS::SQS::Queue")
        };
        check_width(&of_template(template), is_queue, findings);
        check_managed(template, findings);
    }
}

fn check_width(statements: &[Statement], is_queue: impl Fn(&Value) -> bool, findings: &mut Findings) {
    for statement in statements.iter().filter(|statement| statement.touches_sqs()) {
        if let Some(action) = statement.actions.iter().find(|action| action.contains('*')) {
            findings.error(
                "permission",
                &statement.at,
                format!("it allows {action}: name the actions that are needed"),
            );
        }
        if let Some(resource) = statement.resources.iter().find(|resource| !is_queue(resource)) {
            findings.error(
                "permission",
                &statement.at,
                format!("it reaches {resource}, which is wider than its queue"),
            );
        }
    }
}

/// KEDA counts as its operator, by a role of its own: the worker's must not be the only one that may count.
fn check_keda(shown: &Value, statements: &[Statement], cluster: &Cluster, findings: &mut Findings) {
    let by_pod_identity =
        cluster.of_kind("TriggerAuthentication").any(|auth| auth["spec"]["podIdentity"]["provider"] == "aws");
    if !by_pod_identity || statements.is_empty() {
        return;
    }
    let of_pods: Vec<String> = queues::resources(shown, "aws_eks_pod_identity_association")
        .filter(|(_, values)| {
            cluster.of_kind("ServiceAccount").any(|account| account["metadata"]["name"] == values["service_account"])
        })
        .filter_map(|(_, values)| Some(values["role_arn"].as_str()?.rsplit('/').next()?.to_owned()))
        .collect();
    for pod in cluster.pods().iter().filter(|pod| pod.trigger().is_some()) {
        let url = pod.environment.get("QUEUE_URL");
        let queues = queues::of_terraform(shown);
        let Some(queue) = queues.iter().find(|queue| queue.url.as_ref() == url) else { continue };
        let counts = |s: &&Statement| s.allows("sqs:GetQueueAttributes", &queue.key) && !of_pods.contains(&s.role);
        if !statements.iter().any(|statement| counts(&statement)) {
            findings.error(
                "keda-role",
                &pod.at,
                format!("no role of KEDA's operator may sqs:GetQueueAttributes on {}: it would never scale", queue.key),
            );
        }
    }
}

/// Managed policies on SQS reach every queue of the account.
fn check_managed(template: &Value, findings: &mut Findings) {
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        let properties = &resource["Properties"];
        let named = properties["ManagedPolicyArns"].as_array().into_iter().flatten();
        let of_function = properties["Policies"].as_array().into_iter().flatten();
        let wide = named
            .chain(of_function)
            .filter_map(Value::as_str)
            .find(|policy| policy.to_ascii_lowercase().contains("sqs"));
        if let Some(policy) = wide {
            findings.error(
                "permission",
                name,
                format!("{policy} reaches every queue of the account: write the role out"),
            );
        }
        let consumes = properties["Events"].as_object().is_some_and(|e| e.values().any(|event| event["Type"] == "SQS"));
        if consumes && properties["Role"].is_null() {
            findings.error(
                "permission",
                name,
                "it has no Role, so SAM makes one that reads every queue of the account and may not change visibility",
            );
        }
    }
}

fn of_terraform(shown: &Value) -> Vec<Statement> {
    let policies = queues::resources(shown, "aws_iam_role_policy");
    policies
        .flat_map(|(at, values)| {
            let document =
                values["policy"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            statements(&at, values["role"].as_str().unwrap_or_default(), &document)
        })
        .collect()
}

fn of_template(template: &Value) -> Vec<Statement> {
    let mut found = Vec::new();
    for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
        for policy in resource["Properties"]["Policies"].as_array().into_iter().flatten() {
            let document = if policy["PolicyDocument"].is_object() { &policy["PolicyDocument"] } else { policy };
            found.extend(statements(name, name, document));
        }
    }
    found
}

fn statements(at: &str, role: &str, document: &Value) -> Vec<Statement> {
    let all = document["Statement"].as_array().cloned().unwrap_or_default();
    let allowed = all.into_iter().filter(|statement| statement["Effect"] == "Allow");
    allowed
        .map(|statement| Statement {
            at: format!("{at} {}", statement["Sid"].as_str().unwrap_or_default()).trim_end().to_owned(),
            role: role.to_owned(),
            actions: list(&statement["Action"]).iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
            resources: list(&statement["Resource"]),
        })
        .collect()
}

/// IAM writes one value without its list.
fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}
