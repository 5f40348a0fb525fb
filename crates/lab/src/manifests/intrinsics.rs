//! CloudFormation's functions, as far as a template can be resolved without an account: parameters have their defaults,
//! conditions are worked out, and references to resources become their names.

use super::node::{Node, Tree};

/// Resolves every function below `node` that can be; what cannot keeps its tag. `None` is `AWS::NoValue`.
pub(super) fn resolve(node: &Node, template: &Node) -> Option<Node> {
    let Some((function, argument)) = call(node) else { return Some(children(node, template)) };
    let scalar = |text: String| Some(Node::scalar(node.line, text));
    match function {
        "Ref" => match argument.text()? {
            "AWS::NoValue" => None,
            name => Some(parameter(name, template).unwrap_or_else(|| unresolved_or_name(node, name, template))),
        },
        "GetAtt" => match argument.text() {
            Some(text) => scalar(text.to_owned()),
            None => scalar(argument.elements().iter().filter_map(Node::text).collect::<Vec<_>>().join(".")),
        },
        "Sub" => {
            let text = argument.text().or_else(|| argument.elements().first().and_then(Node::text))?;
            scalar(substitute(text, template))
        }
        "If" => {
            let [condition, then, otherwise] = argument.elements() else { return Some(node.clone()) };
            let named = template.at(&["Conditions", condition.text()?])?;
            resolve(if holds(named, template) { then } else { otherwise }, template)
        }
        _ => Some(node.clone()),
    }
}

/// Whether a resource is made at all: its condition, if it has one, holds.
pub(super) fn is_made(resource: &Node, template: &Node) -> bool {
    let Some(condition) = resource.get("Condition").and_then(Node::text) else { return true };
    template.at(&["Conditions", condition]).is_none_or(|named| holds(named, template))
}

/// The function that a node calls, in the short form (`!Ref x`) or the long one (`{Ref: x}`, `{Fn::Sub: x}`).
fn call(node: &Node) -> Option<(&str, &Node)> {
    if let Some(tag) = &node.tag {
        return Some((tag, node));
    }
    match node.entries() {
        [(name, argument)] if name == "Ref" || name == "Condition" => Some((name, argument)),
        [(name, argument)] => Some((name.strip_prefix("Fn::")?, argument)),
        _ => None,
    }
}

fn children(node: &Node, template: &Node) -> Node {
    let tree = match &node.tree {
        Tree::List(elements) => Tree::List(elements.iter().filter_map(|e| resolve(e, template)).collect()),
        Tree::Map(entries) => {
            let resolved = |(name, node): &(String, Node)| Some((name.clone(), resolve(node, template)?));
            Tree::Map(entries.iter().filter_map(resolved).collect())
        }
        scalar => scalar.clone(),
    };
    Node { tree, ..node.clone() }
}

fn parameter(name: &str, template: &Node) -> Option<Node> {
    template.at(&["Parameters", name, "Default"]).cloned()
}

/// A parameter without a default stays as it is, for whoever needs its value to complain; a resource is its name.
fn unresolved_or_name(node: &Node, name: &str, template: &Node) -> Node {
    let parameter = template.at(&["Parameters", name]).is_some();
    if parameter { node.clone() } else { Node::scalar(node.line, name) }
}

/// Replaces `${Name}` where the parameter has a default; others stay.
fn substitute(text: &str, template: &Node) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            return out + "${" + after;
        };
        match parameter(name, template).as_ref().and_then(Node::text) {
            Some(value) => out.push_str(value),
            None => out.push_str(&format!("${{{name}}}")),
        }
        rest = after;
    }
    out + rest
}

/// Works a condition out. What cannot be compared is false.
fn holds(condition: &Node, template: &Node) -> bool {
    let Some((function, argument)) = call(condition) else { return condition.text() == Some("true") };
    let arguments = argument.elements();
    match function {
        "Equals" => {
            let [a, b] = arguments else { return false };
            let (a, b) = (resolve(a, template), resolve(b, template));
            a.as_ref().and_then(Node::text).is_some_and(|a| b.as_ref().and_then(Node::text) == Some(a))
        }
        "Not" => !arguments.iter().any(|c| holds(c, template)),
        "And" => arguments.iter().all(|c| holds(c, template)),
        "Or" => arguments.iter().any(|c| holds(c, template)),
        "Condition" => {
            let named = argument.text().and_then(|name| template.at(&["Conditions", name]));
            named.is_some_and(|named| holds(named, template))
        }
        _ => false,
    }
}
