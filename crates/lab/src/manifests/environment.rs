//! A container's environment, as the kubelet makes it: `envFrom` with its prefix, `env`, keys of ConfigMaps, `$(NAME)`.

use std::collections::BTreeMap;

use super::node::Node;

/// A variable of a container.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    /// Its value; `None` where only the cluster knows it: a secret's, a field of the pod, or a ConfigMap elsewhere.
    pub value: Option<Node>,
    /// Where it is set.
    pub line: u64,
}

/// The variables of a container by their names, and the ConfigMaps that are not at hand, each with its line.
pub(super) fn environment(container: &Node, maps: &[&Node]) -> (BTreeMap<String, Variable>, Vec<(u64, String)>) {
    let mut variables = BTreeMap::<String, Variable>::new();
    let mut missing = Vec::new();
    let named = |name: &str| maps.iter().find(|map| map.at(&["metadata", "name"]).and_then(Node::text) == Some(name));
    for source in container.get("envFrom").map(Node::elements).unwrap_or_default() {
        let Some(name) = source.at(&["configMapRef", "name"]).and_then(Node::text) else {
            missing.push((source.line, "envFrom: only a configMapRef is read; this one was left out".to_owned()));
            continue;
        };
        let Some(map) = named(name) else {
            let what = "is not in this file, and its settings are not read: kubectl kustomize renders both";
            missing.push((source.line, format!("envFrom: the ConfigMap {name} {what}")));
            continue;
        };
        let prefix = source.get("prefix").and_then(Node::text).unwrap_or_default();
        for (key, value) in map.get("data").map(Node::entries).unwrap_or_default() {
            variables.insert(format!("{prefix}{key}"), Variable { value: Some(value.clone()), line: value.line });
        }
    }
    for variable in container.get("env").map(Node::elements).unwrap_or_default() {
        let Some(name) = variable.get("name").and_then(Node::text) else { continue };
        let value = match (variable.get("value"), variable.at(&["valueFrom", "configMapKeyRef"])) {
            (Some(value), _) => Some(match value.text() {
                Some(text) if text.contains("$(") => Node::scalar(value.line, expanded(text, &variables)),
                Some(_) | None => value.clone(),
            }),
            (None, Some(key)) => {
                let map = key.get("name").and_then(Node::text).and_then(named);
                key.get("key").and_then(Node::text).and_then(|key| map?.at(&["data", key])).cloned()
            }
            // A variable without a value is an empty one.
            (None, None) if variable.get("valueFrom").is_none() => Some(Node::scalar(variable.line, "")),
            (None, None) => None,
        };
        variables.insert(name.to_owned(), Variable { value, line: variable.line });
    }
    (variables, missing)
}

/// `$(NAME)` of variables before this one; others stay, and `$$(NAME)` is the text itself.
fn expanded(text: &str, variables: &BTreeMap<String, Variable>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("$(") {
        let literal = before.strip_suffix('$');
        out.push_str(literal.unwrap_or(before));
        let Some((name, behind)) = after.split_once(')') else {
            rest = &rest[before.len()..];
            break;
        };
        let known = variables.get(name).and_then(|variable| variable.value.as_ref()).and_then(Node::text);
        match known.filter(|_| literal.is_none()) {
            Some(value) => out.push_str(value),
            None => out.push_str(&format!("$({name})")),
        }
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_to_earlier_variables_are_expanded_and_doubled_dollars_are_not() {
        let text = "env: [{name: A, value: \"1\"}, {name: B, value: \"$(A)-$(C)-$$(A)-$(\"}, {name: C, value: x}]";
        let container = Node::documents("t", text).expect("YAML").remove(0);
        let (variables, _) = environment(&container, &[]);
        let value = |name: &str| variables.get(name)?.value.as_ref()?.text().map(str::to_owned);
        assert_eq!(value("B").as_deref(), Some("1-$(C)-$(A)-$("));
    }
}
