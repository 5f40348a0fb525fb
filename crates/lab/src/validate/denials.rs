//! Checks that a queue's own policy does not shut out who consumes it: a `Deny` wins over every `Allow` (IAM User Guide,
//! "Policy evaluation logic").

use serde_json::Value;

use super::Inputs;
use super::finding::{Findings, Place};
use super::policies::{fits, one_or_more};
use super::rule::Rule;

/// What both twins do with a queue.
const NEEDED: [&str; 4] =
    ["sqs:receivemessage", "sqs:deletemessage", "sqs:changemessagevisibility", "sqs:getqueueattributes"];

pub(super) fn check(inputs: &Inputs, findings: &mut Findings) {
    if let Some(shown) = &inputs.terraform {
        for policy in shown.resources("aws_sqs_queue_policy") {
            let place = Place::of_terraform(shown, policy.address);
            check_policy(place, &policy.document("policy").unwrap_or_default(), findings);
        }
    }
    if let Some(template) = &inputs.template {
        for (name, resource) in template.to_json()["Resources"].as_object().into_iter().flatten() {
            if resource["Type"] == "AWS::SQS::QueuePolicy" {
                let place = Place::of_resource(template, name, "Properties/PolicyDocument");
                check_policy(place, &resource["Properties"]["PolicyDocument"], findings);
            }
        }
    }
}

fn check_policy(place: Place, document: &Value, findings: &mut Findings) {
    let denies = one_or_more(&document["Statement"]).into_iter().find(shuts_out);
    if let Some(statement) = denies {
        let name = statement["Sid"].as_str().map_or_else(String::new, |sid| format!(" ({sid})"));
        findings.add(
            Rule::QueuePolicy,
            place,
            format!("it denies the consumer what it needs{name}, and a Deny wins over what its role allows"),
            "name whom it denies, or the condition: Bool aws:SecureTransport \"false\" denies plain HTTP alone",
        );
    }
}

/// Whether a statement denies everybody, or everybody who comes by TLS. Other conditions are not judged.
fn shuts_out(statement: &Value) -> bool {
    let principal = &statement["Principal"];
    let everybody = *principal == "*" || one_or_more(&principal["AWS"]).iter().any(|aws| aws == "*");
    let actions = one_or_more(&statement["Action"]);
    let denies = |needed: &str| {
        actions.iter().filter_map(Value::as_str).any(|action| fits(&action.to_ascii_lowercase(), needed))
    };
    let by_tls = |value: &Value| *value == "true" || *value == Value::Bool(true);
    let condition = &statement["Condition"];
    let always = condition.is_null() || by_tls(&condition["Bool"]["aws:SecureTransport"]);
    statement["Effect"] == "Deny" && everybody && always && NEEDED.into_iter().any(denies)
}
