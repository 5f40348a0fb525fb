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
        check_attached(shown, findings);
        for (at, values) in queues::resources(shown, "aws_sqs_queue_policy") {
            check_open(&at, &document(&values["policy"]), findings);
        }
    }
    if let Some(template) = &inputs.template {
        let is_queue = |resource: &Value| {
            resource_of(resource).is_some_and(|name| template["Resources"][name]["Type"] == "AWS::SQS::Queue")
        };
        check_width(&of_template(template), is_queue, findings);
        check_managed(template, findings);
        for (name, resource) in template["Resources"].as_object().into_iter().flatten() {
            if resource["Type"] == "AWS::SQS::QueuePolicy" {
                check_open(name, &resource["Properties"]["PolicyDocument"], findings);
            }
        }
    }
}

/// A queue's own policy that lets everybody do something.
fn check_open(at: &str, document: &Value, findings: &mut Findings) {
    let everybody = |principal: &Value| principal == "*" || list(&principal["AWS"]).iter().any(|aws| aws == "*");
    let open = list(&document["Statement"]).into_iter().find(|statement| {
        statement["Effect"] == "Allow" && everybody(&statement["Principal"]) && statement["Condition"].is_null()
    });
    if let Some(statement) = open {
        let actions = &statement["Action"];
        findings.error("permission", at, format!("it allows {actions} to everybody: name a principal, or a condition"));
    }
}

/// Managed policies on SQS reach every queue of the account.
fn check_attached(shown: &Value, findings: &mut Findings) {
    for (at, values) in queues::resources(shown, "aws_iam_role_policy_attachment") {
        let policy = values["policy_arn"].as_str().unwrap_or_default();
        let managed =
            policy.split("::aws:policy/").nth(1).is_some_and(|name| name.to_ascii_lowercase().contains("sqs"));
        if managed {
            findings.error(
                "permission",
                at,
                format!("{policy} reaches every queue of the account: write the permissions out"),
            );
        }
    }
}

/// A policy that is JSON in a text.
fn document(policy: &Value) -> Value {
    policy.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
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
    let of_pods = queues::resources(shown, "aws_eks_pod_identity_association")
        .filter(|(_, values)| {
            cluster.of_kind("ServiceAccount").any(|account| account["metadata"]["name"] == values["service_account"])
        })
        .filter_map(|(_, values)| values["role_arn"].as_str());
    let by_irsa = cluster
        .of_kind("ServiceAccount")
        .filter_map(|account| account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"].as_str());
    let of_pods: Vec<&str> = of_pods.chain(by_irsa).filter_map(|arn| arn.rsplit('/').next()).collect();
    for pod in cluster.pods().iter().filter(|pod| pod.trigger().is_some()) {
        let url = pod.environment.get("QUEUE_URL");
        let queues = queues::of_terraform(shown);
        let Some(queue) = queues.iter().find(|queue| queue.url.as_ref() == url) else { continue };
        let counts =
            |s: &&Statement| s.allows("sqs:GetQueueAttributes", &queue.key) && !of_pods.contains(&s.role.as_str());
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
    let inline = queues::resources(shown, "aws_iam_role_policy");
    let own = queues::resources(shown, "aws_iam_policy");
    inline
        .chain(own)
        .flat_map(|(at, values)| {
            statements(&at, values["role"].as_str().unwrap_or_default(), &document(&values["policy"]))
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
        if matches!(resource["Type"].as_str(), Some("AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy")) {
            found.extend(statements(name, name, &resource["Properties"]["PolicyDocument"]));
        }
    }
    found
}

fn statements(at: &str, role: &str, document: &Value) -> Vec<Statement> {
    let allowed = list(&document["Statement"]).into_iter().filter(|statement| statement["Effect"] == "Allow");
    allowed
        .map(|statement| Statement {
            at: format!("{at} {}", statement["Sid"].as_str().unwrap_or_default()).trim_end().to_owned(),
            role: role.to_owned(),
            actions: but(&statement, "Action").iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
            resources: but(&statement, "Resource"),
        })
        .collect()
}

/// The values of `Action` or `Resource`; everything, where the statement names exceptions (`NotAction`).
fn but(statement: &Value, field: &str) -> Vec<Value> {
    if statement[format!("Not{field}")].is_null() { list(&statement[field]) } else { vec!["*".into()] }
}

/// IAM writes one value without its list.
fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}
