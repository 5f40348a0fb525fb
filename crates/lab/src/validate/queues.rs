//! The queues of a terraform state and of a template, in one shape, and what is checked of each.

use serde_json::Value;

use super::{Findings, number};

/// A queue, wherever it was read.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// Its address in terraform, or its logical name in the template.
    pub at: String,
    /// What other resources call it: its ARN, or its logical name. Empty when a plan does not know it yet.
    pub key: String,
    /// Its URL, where it is known.
    pub url: Option<String>,
    /// `VisibilityTimeout`, in seconds.
    pub visibility: u64,
    /// `MessageRetentionPeriod`, in seconds.
    pub retention: u64,
    /// `maxReceiveCount` of its redrive policy.
    pub max_receive_count: Option<u64>,
    /// The key of its dead-letter queue.
    pub dead_letter: Option<String>,
}

/// SQS's own defaults, in seconds.
const VISIBILITY: u64 = 30;
const RETENTION: u64 = 345_600;

/// The queues of `terraform show -json`.
///
/// A plan knows no ARN yet: there a queue is called by its address, and its dead-letter queue is the one that its redrive
/// policy refers to.
pub(super) fn of_terraform(shown: &Value) -> Vec<Queue> {
    resources(shown, "aws_sqs_queue")
        .map(|(at, values)| {
            let key = values["arn"].as_str().unwrap_or(&at).to_owned();
            let redrive = values["redrive_policy"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
            let redrive = redrive.unwrap_or_default();
            Queue {
                key,
                url: values["url"].as_str().map(str::to_owned),
                visibility: number(&values["visibility_timeout_seconds"]).unwrap_or(VISIBILITY),
                retention: number(&values["message_retention_seconds"]).unwrap_or(RETENTION),
                max_receive_count: number(&redrive["maxReceiveCount"]),
                dead_letter: redrive["deadLetterTargetArn"]
                    .as_str()
                    .map(str::to_owned)
                    .or_else(|| planned_dead_letter(shown, &at)),
                at,
            }
        })
        .collect()
}

/// The queue that a planned queue's redrive policy refers to, by its address. In a module's configuration addresses begin
/// at the module.
fn planned_dead_letter(shown: &Value, at: &str) -> Option<String> {
    let (mut module, mut inside, mut path) = (&shown["configuration"]["root_module"], at, String::new());
    while let Some((called, rest)) = inside.strip_prefix("module.").and_then(|rest| rest.split_once('.')) {
        // `module.NAME[0]` is a call of NAME.
        let name = called.split('[').next().unwrap_or(called);
        module = &module["module_calls"][name]["module"];
        path.push_str(&format!("module.{called}."));
        inside = rest;
    }
    let queue = module["resources"].as_array()?.iter().find(|resource| resource["address"] == inside)?;
    let references = queue["expressions"]["redrive_policy"]["references"].as_array()?;
    let named = references.iter().filter_map(|reference| reference.as_str()?.strip_suffix(".arn"));
    named.into_iter().find(|name| name.starts_with("aws_sqs_queue.")).map(|name| format!("{path}{name}"))
}

/// The queue URLs that terraform knows: those of its queues, and of its outputs.
pub(super) fn urls_of_terraform(shown: &Value) -> Vec<String> {
    let output = [&shown["queue_url"], &shown["values"]["outputs"]["queue_url"]];
    let output = output.into_iter().filter_map(|output| output["value"].as_str().map(str::to_owned));
    of_terraform(shown).into_iter().filter_map(|queue| queue.url).chain(output).collect()
}

/// Resources of one type in a state or a plan, child modules included: address and values.
pub(super) fn resources<'a>(shown: &'a Value, kind: &'a str) -> impl Iterator<Item = (String, &'a Value)> {
    let values = if shown["values"].is_object() { &shown["values"] } else { &shown["planned_values"] };
    let mut modules = vec![&values["root_module"]];
    let mut found = Vec::new();
    while let Some(module) = modules.pop() {
        found.extend(module["resources"].as_array().into_iter().flatten());
        modules.extend(module["child_modules"].as_array().into_iter().flatten());
    }
    found
        .into_iter()
        .filter(move |resource| resource["type"] == kind)
        .map(|resource| (resource["address"].as_str().unwrap_or_default().to_owned(), &resource["values"]))
}

/// The queues of a resolved template.
pub(super) fn of_template(template: &Value) -> Vec<Queue> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter(|(_, resource)| resource["Type"] == "AWS::SQS::Queue")
        .map(|(name, resource)| {
            let properties = &resource["Properties"];
            let redrive = &properties["RedrivePolicy"];
            Queue {
                at: name.clone(),
                key: name.clone(),
                url: None,
                visibility: number(&properties["VisibilityTimeout"]).unwrap_or(VISIBILITY),
                retention: number(&properties["MessageRetentionPeriod"]).unwrap_or(RETENTION),
                max_receive_count: number(&redrive["maxReceiveCount"]),
                dead_letter: resource_of(&redrive["deadLetterTargetArn"]).map(str::to_owned),
            }
        })
        .collect()
}

/// The logical name in `{"Ref": "X"}` or `{"Fn::GetAtt": ["X", "Arn"]}`.
pub(super) fn resource_of(reference: &Value) -> Option<&str> {
    let attribute = &reference["Fn::GetAtt"];
    let of_text = || attribute.as_str().and_then(|text| text.split('.').next());
    reference["Ref"].as_str().or_else(|| attribute[0].as_str()).or_else(of_text)
}

pub(super) fn check(queues: &[Queue], findings: &mut Findings) {
    for queue in queues {
        if let Some(count) = queue.max_receive_count.filter(|count| *count < 5) {
            findings.error(
                "max-receive-count",
                &queue.at,
                format!(
                    "maxReceiveCount is {count}: write 5 or more. A throttled batch, a deadline and a pod that is stopped count as \
                     receives too, and would fill the dead-letter queue with healthy messages"
                ),
            );
        }
        let dead = queue.dead_letter.as_ref().and_then(|key| queues.iter().find(|dead| dead.key == *key));
        if let Some(dead) = dead.filter(|dead| dead.retention <= queue.retention) {
            findings.error(
                "dead-letter-retention",
                &dead.at,
                format!(
                    "it keeps messages {} s and {} keeps them {} s: a moved message keeps the date of its first send, so it may \
                     expire as soon as it arrives; write more",
                    dead.retention, queue.at, queue.retention
                ),
            );
        }
    }
}
