//! CloudFormation's functions, worked out as far as a template can be without an account.
//!
//! A value is known, left out (`AWS::NoValue`), or unknown: then its node says what is missing, and whoever needs the
//! value complains. A reference to a resource is unknown too, and keeps its name as the text `${Jobs.Arn}`.

use std::collections::BTreeMap;

use super::node::{Node, Span, Tree, Unknown};

/// Whether a condition holds, or why that is not known.
type Holds = Result<bool, Vec<String>>;

/// Works out the functions of one template.
pub(super) struct Resolver<'a> {
    pub template: &'a Node,
    /// Parameters and their values, as the command line has them.
    pub given: BTreeMap<&'a str, &'a str>,
}

impl Resolver<'_> {
    /// The template with its Resources, Globals and Outputs worked out; resources whose condition is false are left out.
    pub(super) fn whole(&self) -> Node {
        let entries = self.template.entries().iter().map(|(section, node)| {
            let resolved = match section.as_str() {
                "Resources" => {
                    let all = node.entries().iter().filter_map(|(name, resource)| {
                        let made = self.is_made(resource);
                        let mut resolved = self.resolve(resource).filter(|_| made != Ok(false))?;
                        // What is decided needs no condition any more.
                        if let (Ok(_), Tree::Map(entries)) = (made, &mut resolved.tree) {
                            entries.retain(|(field, _)| field != "Condition");
                        }
                        Some((name.clone(), resolved))
                    });
                    Node { tree: Tree::Map(all.collect()), ..node.clone() }
                }
                "Globals" | "Outputs" => self.children(node),
                _ => node.clone(),
            };
            (section.clone(), resolved)
        });
        Node { tree: Tree::Map(entries.collect()), ..self.template.clone() }
    }

    /// Whether a resource is made at all: its condition, if it has one, holds.
    pub(super) fn is_made(&self, resource: &Node) -> Holds {
        resource.get("Condition").and_then(Node::text).map_or(Ok(true), |name| self.named(name, 0))
    }

    /// A node with every function in it worked out; `None` is `AWS::NoValue`.
    fn resolve(&self, node: &Node) -> Option<Node> {
        let Some((function, argument)) = call(node) else { return Some(self.children(node)) };
        let line = node.line;
        let parts = argument.elements();
        Some(match function {
            "Ref" => match argument.text()? {
                "AWS::NoValue" => return None,
                name => self.reference(line, name),
            },
            "GetAtt" => {
                let parts = || parts.iter().filter_map(Node::text).collect::<Vec<_>>().join(".");
                self.reference(line, &argument.text().map_or_else(parts, str::to_owned))
            }
            "Sub" => match (argument.text(), parts) {
                (Some(text), _) => self.substitute(line, text, &[]),
                (None, [text]) => self.substitute(line, text.text()?, &[]),
                (None, [text, variables]) => self.substitute(line, text.text()?, variables.entries()),
                (None, _) => self.unknown(node, Vec::new()),
            },
            "If" => match parts {
                [condition, then, otherwise] => match self.named(condition.text().unwrap_or_default(), 0) {
                    Ok(holds) => return self.resolve(if holds { then } else { otherwise }),
                    Err(why) => self.unknown(node, why),
                },
                _ => self.unknown(node, vec!["Fn::If takes a condition and two values".to_owned()]),
            },
            "FindInMap" => self.find_in_map(node, parts),
            "Join" => match parts {
                [between, list] => self.join(node, between, list),
                _ => self.unknown(node, Vec::new()),
            },
            "Select" => self.select(node, parts),
            "Split" => match parts {
                [between, text] => match (between.text(), self.resolve(text)?.text()) {
                    (Some(between), Some(text)) => {
                        let elements = text.split(between).map(|part| Node::scalar(line, part)).collect();
                        Node { line, tag: None, span: Span::default(), tree: Tree::List(elements) }
                    }
                    _ => self.unknown(node, why_of(&self.resolve(text)?)),
                },
                _ => self.unknown(node, Vec::new()),
            },
            "ImportValue" => {
                let export = self.resolve(&argument)?;
                let named = export.symbol().unwrap_or("this").to_owned();
                self.unknown(node, vec![format!("the export {named} is another stack's: write the value itself")])
            }
            // Names of conditions stand in policies and resources too, and are no values.
            "Condition" => self.children(node),
            _ => self.unknown(node, vec![format!("Fn::{function} is worked out when the template is deployed")]),
        })
    }

    fn children(&self, node: &Node) -> Node {
        let tree = match &node.tree {
            Tree::List(elements) => Tree::List(elements.iter().filter_map(|element| self.resolve(element)).collect()),
            Tree::Map(entries) => {
                let resolved = |(name, node): &(String, Node)| Some((name.clone(), self.resolve(node)?));
                Tree::Map(entries.iter().filter_map(resolved).collect())
            }
            Tree::Scalar(text) if text.contains("{{resolve:") => return self.dynamic(node.line, text),
            Tree::Null | Tree::Scalar(_) | Tree::Literal(_) | Tree::Unknown(_) => node.tree.clone(),
        };
        Node { tree, ..node.clone() }
    }

    /// `{{resolve:ssm:/app/memory:1}}` and the like: known where the command line has the name.
    fn dynamic(&self, line: u64, text: &str) -> Node {
        let named = text.strip_prefix("{{resolve:").and_then(|rest| rest.strip_suffix("}}"));
        let name = named.and_then(|rest| rest.split(':').nth(1)).unwrap_or(text);
        match self.given.get(name) {
            Some(value) => Node::scalar(line, *value),
            None => {
                let why = format!("{text} is looked up when the template is deployed: write --parameter {name}=VALUE");
                Node {
                    line,
                    tag: None,
                    span: Span::default(),
                    tree: Tree::Unknown(Unknown { text: Some(text.to_owned()), why: vec![why], call: None }),
                }
            }
        }
    }

    /// A function that makes no text of what is known.
    fn unknown(&self, node: &Node, why: Vec<String>) -> Node {
        let call = Some(Box::new(Node { line: node.line, ..node.clone() }));
        Node {
            line: node.line,
            tag: None,
            span: Span::default(),
            tree: Tree::Unknown(Unknown { text: None, why, call }),
        }
    }

    /// A parameter's value, or `${Name}` for what is not known.
    fn reference(&self, line: u64, name: &str) -> Node {
        if let Some(known) = self.parameter(line, name) {
            return known;
        }
        let unknown = Unknown { text: Some(format!("${{{name}}}")), why: vec![self.why(name)], call: None };
        Node { line, tag: None, span: Span::default(), tree: Tree::Unknown(unknown) }
    }

    fn parameter(&self, line: u64, name: &str) -> Option<Node> {
        let declared = self.template.at(&["Parameters", name]);
        let kind = declared.and_then(|declared| declared.get("Type")).and_then(Node::text).unwrap_or_default();
        let value = match (self.given.get(name), declared) {
            (Some(value), _) => Node::scalar(line, *value),
            // The default of such a parameter is the name of what is stored, and not the value.
            (None, Some(_)) if kind.starts_with("AWS::SSM::") => return None,
            (None, Some(declared)) => Node { line, ..declared.get("Default")?.clone() },
            (None, None) => return None,
        };
        if kind != "CommaDelimitedList" && !kind.starts_with("List<") {
            return Some(value);
        }
        let elements = value.text()?.split(',').map(|element| Node::scalar(line, element.trim())).collect();
        Some(Node { tree: Tree::List(elements), ..value })
    }

    fn why(&self, name: &str) -> String {
        let resource = name.split('.').next().unwrap_or(name);
        if let Some(declared) = self.template.at(&["Parameters", name]) {
            let ssm = declared.get("Type").and_then(Node::text).is_some_and(|kind| kind.starts_with("AWS::SSM::"));
            let what = if ssm { "is read from SSM when the template is deployed" } else { "has no default" };
            return format!("the parameter {name} {what}: write --parameter {name}=VALUE");
        }
        if name.starts_with("AWS::") {
            return format!("{name} is known when the template is deployed: write --parameter {name}=VALUE");
        }
        match self.template.at(&["Resources", resource]) {
            Some(_) => format!("{name} is known once it is deployed: write the value itself"),
            None => format!("the template has no parameter and no resource {resource}"),
        }
    }

    /// Replaces `${Name}` where its value is known; `${!Name}` is the text `${Name}`.
    fn substitute(&self, line: u64, text: &str, variables: &[(String, Node)]) -> Node {
        let mut out = String::new();
        let mut why = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                out.push_str("${");
                rest = after;
                break;
            };
            rest = after;
            let own = variables.iter().find(|(variable, _)| variable == name).and_then(|(_, node)| self.resolve(node));
            let value = match name.strip_prefix('!') {
                Some(literal) => Node::scalar(line, format!("${{{literal}}}")),
                None => own.unwrap_or_else(|| self.reference(line, name)),
            };
            why.extend(why_of(&value));
            out.push_str(value.symbol().unwrap_or_default());
        }
        out.push_str(rest);
        made_of(line, out, why)
    }

    fn join(&self, node: &Node, between: &Node, list: &Node) -> Node {
        let Some(list) = self.resolve(list) else { return self.unknown(node, Vec::new()) };
        let parts: Option<Vec<&str>> = list.elements().iter().map(Node::symbol).collect();
        let why: Vec<String> = list.elements().iter().flat_map(why_of).collect();
        match (parts, between.text(), &list.tree) {
            (Some(parts), Some(between), Tree::List(_)) => made_of(node.line, parts.join(between), why),
            _ => self.unknown(node, why_of(&list)),
        }
    }

    fn select(&self, node: &Node, parts: &[Node]) -> Node {
        let [index, list] = parts else { return self.unknown(node, Vec::new()) };
        let (Some(index), Some(list)) = (self.resolve(index), self.resolve(list)) else {
            return self.unknown(node, Vec::new());
        };
        let at = index.text().and_then(|text| text.parse::<usize>().ok());
        match at.and_then(|at| list.elements().get(at)) {
            Some(element) => Node { line: node.line, ..element.clone() },
            None if matches!(list.tree, Tree::Unknown(_)) => self.unknown(node, why_of(&list)),
            None => self.unknown(node, vec!["Fn::Select names no element of its list".to_owned()]),
        }
    }

    fn find_in_map(&self, node: &Node, parts: &[Node]) -> Node {
        let keys: Vec<Node> = parts.iter().take(3).filter_map(|part| self.resolve(part)).collect();
        let why: Vec<String> = keys.iter().flat_map(why_of).collect();
        let texts: Vec<&str> = keys.iter().filter_map(Node::text).collect();
        let [map, first, second] = texts[..] else { return self.unknown(node, why) };
        // With a language extension the fourth says what there is instead.
        let otherwise = parts.get(3).and_then(|more| more.get("DefaultValue"));
        match self.template.at(&["Mappings", map, first, second]).or(otherwise) {
            Some(value) => Node { line: node.line, ..self.children(value) },
            None => self.unknown(node, vec![format!("Mappings has no {map}.{first}.{second}")]),
        }
    }

    /// Whether a condition of this name holds. CloudFormation refuses one that needs itself.
    fn named(&self, name: &str, depth: u32) -> Holds {
        match self.template.at(&["Conditions", name]) {
            Some(condition) if depth < 50 => self.holds(condition, depth + 1),
            Some(_) => Err(vec![format!("the condition {name} needs itself")]),
            None => Err(vec![format!("the template has no condition {name}")]),
        }
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, condition: &Node, depth: u32) -> Holds {
        let Some((function, argument)) = call(condition) else {
            return Err(vec!["a condition is a Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition".to_owned()]);
        };
        let arguments = argument.elements();
        match function {
            "Equals" => {
                let [a, b] = arguments else { return Err(vec!["Fn::Equals takes two values".to_owned()]) };
                let a = self.resolve(a);
                let b = self.resolve(b);
                let why: Vec<String> = [&a, &b].into_iter().flatten().flat_map(why_of).collect();
                let symbol = |node: &Option<Node>| node.as_ref().and_then(Node::symbol).map(str::to_owned);
                match symbol(&a).zip(symbol(&b)) {
                    Some((a, b)) if a == b => Ok(true),
                    Some(_) if why.is_empty() => Ok(false),
                    Some(_) | None => Err(why),
                }
            }
            "Not" => match arguments {
                [one] => self.holds(one, depth).map(|holds| !holds),
                _ => Err(vec!["Fn::Not takes one condition".to_owned()]),
            },
            "And" => self.all(arguments, depth, false),
            "Or" => self.all(arguments, depth, true),
            "Condition" => self.named(argument.text().unwrap_or_default(), depth),
            other => Err(vec![format!("Fn::{other} is no condition that is known here")]),
        }
    }

    /// Fn::Or, where one that holds `decides`; Fn::And, where one that does not.
    fn all(&self, conditions: &[Node], depth: u32, decides: bool) -> Holds {
        let each: Vec<Holds> = conditions.iter().map(|condition| self.holds(condition, depth)).collect();
        if each.contains(&Ok(decides)) {
            return Ok(decides);
        }
        let why: Vec<String> = each.into_iter().filter_map(Result::err).flatten().collect();
        if why.is_empty() { Ok(!decides) } else { Err(why) }
    }
}

/// The function that a node calls, in the short form (`!Ref x`) or the long one (`{Ref: x}`, `{Fn::Sub: x}`).
fn call(node: &Node) -> Option<(&str, Node)> {
    if let Some(tag) = &node.tag {
        return Some((tag, Node { tag: None, ..node.clone() }));
    }
    match node.entries() {
        [(name, argument)] if name == "Ref" || name == "Condition" && argument.text().is_some() => {
            Some((name, argument.clone()))
        }
        [(name, argument)] => Some((name.strip_prefix("Fn::")?, argument.clone())),
        _ => None,
    }
}

/// A text of which parts may be unknown.
fn made_of(line: u64, text: String, why: Vec<String>) -> Node {
    let tree =
        if why.is_empty() { Tree::Scalar(text) } else { Tree::Unknown(Unknown { text: Some(text), why, call: None }) };
    Node { line, tag: None, span: Span::default(), tree }
}

/// Why a value is not known; nothing if it is.
fn why_of(node: &Node) -> Vec<String> {
    match &node.tree {
        Tree::Unknown(unknown) => unknown.why.clone(),
        Tree::Null | Tree::Scalar(_) | Tree::Literal(_) | Tree::List(_) | Tree::Map(_) => Vec::new(),
    }
}
