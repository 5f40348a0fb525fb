//! IAM's policies: their statements, and what those allow.
//!
//! Names of actions are matched without case and with `*` and `?`, resources with both (IAM User Guide, "IAM JSON policy
//! elements: Action", "Resource"). What a statement leaves to conditions is taken as allowed.

use serde_json::Value;

use super::finding::Place;
use crate::manifests::{Template, Terraform};

/// An `Allow` statement and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub place: Place,
    /// The role that has it, by its name in terraform or its resource in the template.
    pub role: String,
    pub actions: Vec<String>,
    pub resources: Vec<Value>,
}

impl Statement {
    pub(super) fn touches_sqs(&self) -> bool {
        self.actions.iter().any(|action| action.to_ascii_lowercase().starts_with("sqs:") || action == "*")
    }

    /// Whether it allows an action, on whatever it names.
    pub(super) fn allows(&self, action: &str) -> bool {
        self.actions.iter().any(|pattern| fits(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase()))
    }

    /// Whether it allows an action on this resource, by its ARN.
    pub(super) fn allows_on(&self, action: &str, arn: &str) -> bool {
        self.allows(action) && self.resources.iter().filter_map(Value::as_str).any(|pattern| fits(pattern, arn))
    }
}

/// Whether a text fits a pattern with `*` and `?`.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => {
            let rest = text.char_indices().nth(before.chars().count()).map_or("", |(at, _)| &text[at..]);
            let head = &text[..text.len() - rest.len()];
            equal(before, head)
                && (0..=rest.len()).filter(|at| rest.is_char_boundary(*at)).any(|at| fits(after, &rest[at..]))
        }
        None => equal(pattern, text),
    }
}

fn equal(pattern: &str, text: &str) -> bool {
    pattern.chars().count() == text.chars().count()
        && pattern.chars().zip(text.chars()).all(|(p, t)| p == '?' || p == t)
}

/// The statements of roles' and other policies in terraform. A role tells its policies itself; those that are resources
/// too are read there.
pub(super) fn of_terraform(shown: &Terraform) -> Vec<Statement> {
    let policies = [shown.resources("aws_iam_role_policy"), shown.resources("aws_iam_policy")].concat();
    let found = policies.iter().flat_map(|policy| {
        let document = policy.document("policy").unwrap_or_default();
        statements(&Place::of_terraform(shown, policy.address), policy.text("role").unwrap_or_default(), &document)
    });
    let mut found: Vec<Statement> = found.collect();
    for role in shown.resources("aws_iam_role") {
        let Some(name) = role.text("name") else { continue };
        if policies.iter().any(|policy| policy.text("role") == Some(name)) {
            continue;
        }
        for inline in super::list(&role.values["inline_policy"]) {
            let document =
                inline["policy"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            found.extend(statements(&Place::of_terraform(shown, role.address), name, &document));
        }
    }
    found
}

/// The statements of roles, functions and policies in a template.
pub(super) fn of_template(template: &Template, resolved: &Value) -> Vec<Statement> {
    let mut found = Vec::new();
    for (name, resource) in resolved["Resources"].as_object().into_iter().flatten() {
        for (index, policy) in super::list(&resource["Properties"]["Policies"]).enumerate() {
            let document = if policy["PolicyDocument"].is_object() { &policy["PolicyDocument"] } else { policy };
            let place = Place::of_resource(template, name, &format!("Properties/Policies/{index}"));
            found.extend(statements(&place, name, document));
        }
        if matches!(resource["Type"].as_str(), Some("AWS::IAM::Policy" | "AWS::IAM::ManagedPolicy")) {
            let place = Place::of_resource(template, name, "Properties/PolicyDocument");
            found.extend(statements(&place, name, &resource["Properties"]["PolicyDocument"]));
        }
    }
    found
}

fn statements(place: &Place, role: &str, document: &Value) -> Vec<Statement> {
    let allowed = one_or_more(&document["Statement"]).into_iter().filter(|statement| statement["Effect"] == "Allow");
    allowed
        .map(|statement| Statement {
            place: Place {
                at: format!("{} {}", place.at, statement["Sid"].as_str().unwrap_or_default()).trim_end().to_owned(),
                ..place.clone()
            },
            role: role.to_owned(),
            actions: but(&statement, "Action").iter().filter_map(|a| a.as_str().map(str::to_owned)).collect(),
            resources: but(&statement, "Resource"),
        })
        .collect()
}

/// The values of `Action` or `Resource`; everything, where the statement names exceptions (`NotAction`).
fn but(statement: &Value, field: &str) -> Vec<Value> {
    if statement[format!("Not{field}")].is_null() { one_or_more(&statement[field]) } else { vec!["*".into()] }
}

/// IAM writes one value without its list.
pub(super) fn one_or_more(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns_have_stars_and_question_marks() {
        for (pattern, text, right) in [
            ("sqs:receivemessage", "sqs:receivemessage", true),
            ("sqs:*", "sqs:receivemessage", true),
            ("sqs:receive*", "sqs:receivemessage", true),
            ("sqs:*message*", "sqs:changemessagevisibility", true),
            ("*", "kms:decrypt", true),
            ("kms:*", "sqs:receivemessage", false),
            ("sqs:receive", "sqs:receivemessage", false),
            ("arn:aws:sqs:?:1:*-dead", "arn:aws:sqs:x:1:jobs-dead", true),
            ("arn:aws:sqs:?:1:*-dead", "arn:aws:sqs:xy:1:jobs-dead", false),
            ("arn:aws:sqs:*:1:jobs", "arn:aws:sqs:us-east-1:1:jobs-dead", false),
        ] {
            assert_eq!(fits(pattern, text), right, "{pattern} {text}");
        }
    }
}
