//! Tags and permissions: kept and shown, never enforced.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::error::{Code, Error};
use super::http::Call;
use super::queues::change;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TagRequest {
    queue_url: Option<String>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "super::batch::list")]
    tag_keys: Vec<String>,
    #[serde(default)]
    label: Option<String>,
    #[serde(default, rename = "AWSAccountIds", deserialize_with = "super::batch::list")]
    aws_account_ids: Vec<String>,
    #[serde(default, deserialize_with = "super::batch::list")]
    actions: Vec<String>,
}

const MAX_TAGS: usize = 50;
const MAX_ACTIONS: usize = 7;
const ACTIONS: [&str; 10] = [
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "PurgeQueue",
    "SetQueueAttributes",
];

/// Checks tags that are to be set.
pub(super) fn check(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    let invalid = |message: String| Err(Error::new(Code::InvalidParameterValue, message));
    for (key, value) in tags {
        if !(1..=128).contains(&key.chars().count()) || key.to_ascii_lowercase().starts_with("aws:") {
            return invalid(format!("Tag key '{key}' is invalid: 1 to 128 characters, and not beginning with aws:"));
        }
        if value.chars().count() > 256 {
            return invalid(format!("The value of tag '{key}' is longer than 256 characters."));
        }
    }
    if tags.len() > MAX_TAGS {
        return invalid(format!("Too many tags: {}, and {MAX_TAGS} are allowed.", tags.len()));
    }
    Ok(())
}

/// `TagQueue`.
pub(super) fn tag(call: &Call<'_>) -> Result<Value, Error> {
    let request: TagRequest = call.parse()?;
    let hosted = call.find(request.queue_url.as_deref())?;
    let tags = request.tags.filter(|tags| !tags.is_empty()).ok_or_else(|| Error::missing("Tags"))?;
    let mut inner = hosted.lock();
    let mut all = inner.tags.clone();
    all.extend(tags);
    check(&all)?;
    inner.tags = all;
    inner.queue.tagged(&inner.tags);
    Ok(json!({}))
}

/// `UntagQueue`.
pub(super) fn untag(call: &Call<'_>) -> Result<Value, Error> {
    let request: TagRequest = call.parse()?;
    let hosted = call.find(request.queue_url.as_deref())?;
    if request.tag_keys.is_empty() {
        return Err(Error::missing("TagKeys"));
    }
    let mut inner = hosted.lock();
    inner.tags.retain(|key, _| !request.tag_keys.contains(key));
    inner.queue.tagged(&inner.tags);
    Ok(json!({}))
}

/// `ListQueueTags`.
pub(super) fn list(call: &Call<'_>) -> Result<Value, Error> {
    let hosted = call.find(call.parse::<TagRequest>()?.queue_url.as_deref())?;
    let inner = hosted.lock();
    Ok(if inner.tags.is_empty() { json!({}) } else { json!({ "Tags": inner.tags }) })
}

/// `AddPermission`: a statement of that label in the queue's policy.
pub(super) fn add_permission(call: &Call<'_>) -> Result<Value, Error> {
    let request: TagRequest = call.parse()?;
    let hosted = call.find(request.queue_url.as_deref())?;
    let label = request.label.filter(|label| !label.is_empty()).ok_or_else(|| Error::missing("Label"))?;
    if label.len() > 80 || !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(Error::value(
            &label,
            "Label",
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.",
        ));
    }
    if request.aws_account_ids.is_empty() {
        return Err(Error::missing("AWSAccountIds"));
    }
    if request.actions.is_empty() {
        return Err(Error::missing("Actions"));
    }
    if request.actions.len() > MAX_ACTIONS {
        let message = format!("{} Actions were found, maximum allowed is {MAX_ACTIONS}.", request.actions.len());
        return Err(Error::new(Code::OverLimit, message));
    }
    if let Some(action) = request.actions.iter().find(|action| !ACTIONS.contains(&action.as_str())) {
        return Err(Error::value(
            format!("SQS:{action}"),
            "ActionName",
            "Please refer to the appropriate WSDL for a list of valid actions.",
        ));
    }
    let mut statements = statements(hosted.lock().settings.get("Policy")?);
    if statements.iter().any(|statement| statement["Sid"] == label.as_str()) {
        return Err(Error::value(&label, "Label", "Already exists."));
    }
    let users = request.aws_account_ids.iter().map(|id| format!("arn:aws:iam::{id}:root")).collect();
    let actions = request.actions.iter().map(|action| format!("SQS:{action}")).collect();
    statements.push(json!({
        "Sid": label, "Effect": "Allow", "Principal": { "AWS": one_or_many(users) }, "Action": one_or_many(actions),
        "Resource": &*hosted.arn,
    }));
    set_policy(call, &hosted, statements)
}

/// `RemovePermission`.
pub(super) fn remove_permission(call: &Call<'_>) -> Result<Value, Error> {
    let request: TagRequest = call.parse()?;
    let hosted = call.find(request.queue_url.as_deref())?;
    let label = request.label.filter(|label| !label.is_empty()).ok_or_else(|| Error::missing("Label"))?;
    let mut statements = statements(hosted.lock().settings.get("Policy")?);
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != label.as_str());
    if statements.len() == before {
        return Err(Error::value(&label, "Label", "can't find label."));
    }
    set_policy(call, &hosted, statements)
}

/// AWS writes a list of one as a single string.
fn one_or_many(mut strings: Vec<String>) -> Value {
    match strings.len() {
        1 => strings.remove(0).into(),
        _ => strings.into(),
    }
}

fn statements(policy: Option<&str>) -> Vec<Value> {
    let policy: Value = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    policy["Statement"].as_array().cloned().unwrap_or_default()
}

fn set_policy(call: &Call<'_>, hosted: &super::hosted::Hosted, statements: Vec<Value>) -> Result<Value, Error> {
    let policy = match statements.is_empty() {
        true => String::new(),
        false => json!({ "Version": "2008-10-17", "Id": format!("{}/SQSDefaultPolicy", hosted.arn), "Statement": statements })
            .to_string(),
    };
    change(&call.state, hosted, &BTreeMap::from([("Policy".to_owned(), policy)]))?;
    Ok(json!({}))
}
