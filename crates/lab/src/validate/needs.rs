//! Checks that the roles of the twins allow what receiving, settling, sending, journal and table need.
//!
//! Sources: SQS Developer Guide, "Amazon SQS API permissions" (an action on one message covers its batch call) and "Key
//! management" (a consumer needs `kms:Decrypt`, a sender `kms:GenerateDataKey` and `kms:Decrypt`); Lambda Developer Guide,
//! "Creating and configuring an Amazon SQS event source mapping" (the poller acts by the function's role).
//! A role that the files do not show whole is not judged.

use serde_json::Value;

use super::finding::{Findings, Place};
use super::identity::account_of;
use super::kubernetes::{Cluster, Pod};
use super::network::role_of;
use super::permissions::resource_of;
use super::policies::{self, Statement, fits};
use super::rule::Rule;
use super::{Environment, Inputs, list};
use crate::manifests::{Function, Queue, Template, Terraform};

/// Actions on one resource, and what fails without them.
struct Requirement<'a> {
    actions: &'static [&'static str],
    /// What policies call it.
    target: Needed<'a>,
    what_for: &'static str,
}

/// What a need is about.
enum Needed<'a> {
    Queue(&'a Queue),
    /// A table, by its name.
    Table(&'a str),
}

const CONSUME: &[&str] =
    &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes"];
const SEND: &[&str] = &["sqs:SendMessage"];
const REMEMBER: &[&str] = &["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"];
/// The managed policy of AWS that every function may have, and that is about its log alone.
const OF_LOGS: &str = "AWSLambdaBasicExecutionRole";

pub(super) fn check(
    inputs: &Inputs,
    cluster: &Cluster,
    pods: &[Pod],
    function: Option<&Function>,
    findings: &mut Findings,
) {
    // A plan knows no policy yet.
    if let Some(shown) = inputs.terraform.as_ref().filter(|shown| !shown.is_plan()) {
        let statements = policies::of_terraform(shown);
        for pod in pods {
            check_pod(pod, shown, &statements, cluster, findings);
        }
    }
    if let Some(template) = &inputs.template {
        check_functions(template, function, findings);
    }
}

fn check_pod(pod: &Pod, shown: &Terraform, all: &[Statement], cluster: &Cluster, findings: &mut Findings) {
    let Some(role) = role_of_pod(pod, shown, cluster) else { return };
    // What is attached to it is another resource, or AWS's.
    let attached = shown.resources("aws_iam_role_policy_attachment");
    let itself = shown.resources("aws_iam_role").into_iter().find(|own| own.text("name") == Some(&role));
    let managed = itself.is_some_and(|own| list(&own.values["managed_policy_arns"]).next().is_some());
    if managed || attached.iter().any(|attachment| attachment.text("role") == Some(&role)) {
        return;
    }
    let own: Vec<&Statement> = all.iter().filter(|statement| statement.role == role).collect();
    let queues = shown.queues();
    let by_url = |variable: &str| {
        let url = pod.environment.get(variable)?;
        queues.iter().find(|queue| queue.url.as_ref() == Some(url))
    };
    let needs = needs(&pod.environment, pod.receives(), &by_url);
    let place = own.first().map_or_else(|| pod.place(), |statement| statement.place.clone());
    judge(&needs, &own, &role, &place, findings);
}

/// The role that a pod has in AWS, by its name.
fn role_of_pod(pod: &Pod, shown: &Terraform, cluster: &Cluster) -> Option<String> {
    let name = account_of(pod);
    let account = cluster.of_kind("ServiceAccount").find(|account| account.name() == name);
    let annotated = account.and_then(role_of).map(str::to_owned);
    let associations = shown.resources("aws_eks_pod_identity_association");
    let associated = associations.iter().find(|association| association.text("service_account") == Some(name));
    let arn = annotated.or_else(|| associated?.text("role_arn").map(str::to_owned))?;
    arn.rsplit('/').next().map(str::to_owned)
}

/// What a host needs by its settings.
fn needs<'a>(
    environment: &'a Environment,
    receives: bool,
    queue_of: &dyn Fn(&str) -> Option<&'a Queue>,
) -> Vec<Requirement<'a>> {
    let mut needs = Vec::new();
    let mut need = |actions, target: Option<Needed<'a>>, what_for| {
        needs.extend(target.map(|target| Requirement { actions, target, what_for }));
    };
    let work = queue_of("QUEUE_URL").map(Needed::Queue);
    if !receives {
        need(SEND, work, "/send would answer that nothing was accepted");
        return needs;
    }
    need(CONSUME, work, "messages could not be received, or not be settled");
    need(
        SEND,
        queue_of("DLQ_URL").map(Needed::Queue),
        "rejected messages could not be put aside, and would come again",
    );
    need(SEND, queue_of("JOURNAL_QUEUE_URL").map(Needed::Queue), "the journal would stay empty");
    let table = environment.get("IDEMPOTENCY_TABLE").filter(|table| !table.is_empty());
    need(REMEMBER, table.map(|table| Needed::Table(table)), "no message could be claimed, and none would be done");
    needs
}

/// Says what a role lacks.
fn judge(needs: &[Requirement], own: &[&Statement], role: &str, place: &Place, findings: &mut Findings) {
    for Requirement { actions, target, what_for } in needs {
        let allows = |action: &str| {
            own.iter().any(|statement| statement.allows(action) && reaches(&statement.resources, target))
        };
        let lacks: Vec<&str> = actions.iter().copied().filter(|action| !allows(action)).collect();
        let name = match target {
            Needed::Queue(queue) => queue.name.as_str(),
            Needed::Table(table) => table,
        };
        if !lacks.is_empty() {
            let what = format!("{role} may not {} on {name}: {what_for}", lacks.join(", "));
            findings.add(Rule::MissingPermission, place.clone(), what, format!("allow it on the ARN of {name}"));
        }
        let Needed::Queue(Queue { kms_key: Some(key), .. }) = target else { continue };
        // The key of AWS for SQS lets everybody who may use the queue.
        if key.is_empty() || key.ends_with("alias/aws/sqs") {
            continue;
        }
        let of_key: &[&str] =
            if *actions == CONSUME { &["kms:Decrypt"] } else { &["kms:GenerateDataKey", "kms:Decrypt"] };
        let may =
            |action: &str| own.iter().any(|statement| statement.allows(action) && may_be(&statement.resources, key));
        let lacks: Vec<&str> = of_key.iter().copied().filter(|action| !may(action)).collect();
        if !lacks.is_empty() {
            let what = format!("{name} is encrypted with {key}, and {role} may not {}: {what_for}", lacks.join(", "));
            findings.add(Rule::KmsPermission, place.clone(), what, "allow it on the ARN of the key");
        }
    }
}

/// Whether some of a statement's resources are, or may be, what is needed.
fn reaches(resources: &[Value], target: &Needed) -> bool {
    resources.iter().any(|resource| match target {
        Needed::Queue(queue) => match (resource.as_str(), resource_of(resource)) {
            (Some(arn), _) if queue.key.starts_with("arn:") => fits(arn, &queue.key),
            // In a template the ARN of a queue is known by its name alone.
            (Some(arn), _) => may_be_named(arn, queue),
            (None, Some(name)) => name == queue.key,
            (None, None) => resource["Fn::Sub"].as_str().is_none_or(|text| may_be_named(text, queue)),
        },
        Needed::Table(table) => match resource.as_str() {
            Some(arn) => {
                arn.rsplit('/').next().is_some_and(|name| fits(name, table.rsplit('/').next().unwrap_or(table)))
            }
            None => true,
        },
    })
}

/// Whether an ARN may be a queue's: by the end of both, unless the queue's name is known once it is deployed.
fn may_be_named(arn: &str, queue: &Queue) -> bool {
    let plain = |text: &str| text.replace("${AWS::", "${AWS.");
    let arn = plain(arn);
    let last = arn.rsplit(':').next().unwrap_or(&arn);
    queue.own_name.as_deref().is_none_or(|name| fits(last, &plain(name)))
}

/// Whether a statement may be about a key: a reference or an alias may.
fn may_be(resources: &[Value], key: &str) -> bool {
    let is_arn = |text: &str| text.contains(":key/");
    resources.iter().any(|resource| match resource.as_str() {
        Some(arn) if is_arn(arn) && is_arn(key) => fits(arn, key),
        Some(_) | None => true,
    })
}

fn check_functions(template: &Template, consumer: Option<&Function>, findings: &mut Findings) {
    let resolved = template.to_json();
    let statements = policies::of_template(template, &resolved);
    let queues = template.consumer().queues;
    for (name, resource) in resolved["Resources"].as_object().into_iter().flatten() {
        let is_function =
            matches!(resource["Type"].as_str(), Some("AWS::Lambda::Function" | "AWS::Serverless::Function"));
        let Some(role) = resource_of(&resource["Properties"]["Role"]).filter(|_| is_function) else { continue };
        let Some(own) = statements_of(&resolved, role, &statements) else { continue };
        let variables = &resource["Properties"]["Environment"]["Variables"];
        let by_reference = |variable: &str| {
            let name = resource_of(&variables[variable])?;
            queues.iter().find(|queue| queue.name == name)
        };
        let is_consumer = consumer.filter(|consumer| consumer.name == *name);
        let own_queue = is_consumer.and_then(|consumer| consumer.queue.as_ref());
        let queue_of = |variable: &str| {
            if variable == "QUEUE_URL" { own_queue.or_else(|| by_reference(variable)) } else { by_reference(variable) }
        };
        let table = resource_of(&variables["IDEMPOTENCY_TABLE"]).unwrap_or_default().to_owned();
        let environment = Environment::from([("IDEMPOTENCY_TABLE".to_owned(), table)]);
        let needs = needs(&environment, is_consumer.is_some(), &queue_of);
        let place = Place::of_resource(template, role, "Properties/Policies");
        judge(&needs, &own, role, &place, findings);
    }
}

/// What a role of the template allows; `None` where a policy that the template does not show whole is a part of it.
fn statements_of<'a>(resolved: &Value, role: &str, all: &'a [Statement]) -> Option<Vec<&'a Statement>> {
    let resource = &resolved["Resources"][role];
    let is_role = resource["Type"] == "AWS::IAM::Role";
    let elsewhere = list(&resource["Properties"]["ManagedPolicyArns"])
        .any(|arn| !arn.as_str().or_else(|| arn["Fn::Sub"].as_str()).is_some_and(|arn| arn.ends_with(OF_LOGS)));
    let attached = resolved["Resources"].as_object().into_iter().flatten().any(|(_, other)| {
        let is_policy = matches!(
            other["Type"].as_str(),
            Some("AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy" | "AWS::IAM::RolePolicy")
        );
        is_policy && other.to_string().contains(&format!("\"{role}\""))
    });
    let whole = is_role && !elsewhere && !attached;
    whole.then(|| all.iter().filter(|statement| statement.role == role).collect())
}
