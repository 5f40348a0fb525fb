//! Which settings differ between two scenarios, each by its path.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::advise::Change;
use crate::scenario::Scenario;

/// The settings that `file` changes.
pub(crate) fn changed(file: &str, before: &Scenario, after: &Scenario) -> Vec<Change> {
    let mut all = Vec::new();
    let json = |scenario| serde_json::to_value(scenario).unwrap_or(Value::Null);
    walk("", &json(before), &json(after), &mut |field, from, to| {
        all.push(Change { file: file.to_owned(), field: field.to_owned(), from: told(from), to: told(to) });
    });
    all
}

fn walk(path: &str, before: &Value, after: &Value, tell: &mut impl FnMut(&str, &Value, &Value)) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(&path, &before[name], &after[name], tell);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (n, (old, new)) in old.iter().zip(new).enumerate() {
                walk(&format!("{path}[{n}]"), old, new, tell);
            }
        }
        _ => tell(path, before, after),
    }
}

fn told(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_setting_that_differs_is_told_by_its_path() {
        let before = Scenario::default();
        let mut after = before.clone();
        after.eks.keda.max_replica_count = 3;
        after.eks.keda.triggers[0].queue_length = 7;
        after.eks.keda.idle_replica_count = Some(0);
        after.lambda.timeout = Duration::from_secs(90);
        let all: Vec<String> = changed("f.yaml", &before, &after)
            .into_iter()
            .map(|Change { file, field, from, to }| format!("{file}: {field}: {from} -> {to}"))
            .collect();
        assert_eq!(
            all,
            [
                "f.yaml: eks.keda.idleReplicaCount: none -> 0",
                "f.yaml: eks.keda.maxReplicaCount: 15 -> 3",
                "f.yaml: eks.keda.triggers[0].queueLength: 10 -> 7",
                "f.yaml: lambda.timeout: 30s -> 90s",
            ]
        );
        assert_eq!(changed("f.yaml", &before, &before), []);
    }
}
