//! Which function of a template a queue invokes, by which mapping, and which queue that is.

use super::node::{Node, Tree};
use super::reader::Reader;

/// A function and the mapping by which a queue invokes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct InvokedFunction<'a> {
    /// Name of the function's resource.
    pub name: &'a str,
    pub function: &'a Node,
    /// The mapping's properties.
    pub mapping: &'a Node,
    /// The resource of the mapping, or the event's name where SAM has it in the function.
    pub event: MappingPlace<'a>,
}

/// Where a mapping stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum MappingPlace<'a> {
    /// Among the function's own events (SAM).
    Own(&'a str),
    /// A resource of its own.
    Resource(&'a str),
}

impl InvokedFunction<'_> {
    /// Path of the mapping's properties, as messages call it.
    pub(super) fn path(&self) -> String {
        match self.event {
            MappingPlace::Own(event) => format!("{}.Events.{event}", self.name),
            MappingPlace::Resource(name) => name.to_owned(),
        }
    }
}

/// The resources of a template.
pub(super) type Resources<'a> = &'a [(String, Node)];

/// Type of a resource or of an event.
pub(super) fn kind(node: &Node) -> &str {
    node.get("Type").and_then(Node::text).unwrap_or_default()
}

/// Every function that a queue of SQS invokes, in the order of the file.
pub(super) fn invoked<'a>(resources: Resources<'a>, reader: &mut Reader) -> Vec<InvokedFunction<'a>> {
    let mut found = Vec::new();
    for (name, resource) in resources {
        match kind(resource) {
            "AWS::Serverless::Function" => {
                let events = resource.at(&["Properties", "Events"]);
                for (event, node) in events.map(Node::entries).unwrap_or_default() {
                    if let Tree::Unknown(unknown) = &node.tree {
                        reader.unknown(node.line, &format!("{name}.Events.{event}"), &unknown.why);
                    }
                    if let ("SQS", Some(mapping)) = (kind(node), node.get("Properties")) {
                        found.push(InvokedFunction {
                            name,
                            function: resource,
                            mapping,
                            event: MappingPlace::Own(event),
                        });
                    }
                }
            }
            "AWS::Lambda::EventSourceMapping" => {
                let Some(mapping) = resource.get("Properties").filter(|mapping| is_of_queue(mapping, resources)) else {
                    continue;
                };
                let target = mapping.get("FunctionName").and_then(Node::symbol).unwrap_or_default();
                match function_of(target, resources) {
                    Some((name_of, function)) => {
                        found.push(InvokedFunction {
                            name: name_of,
                            function,
                            mapping,
                            event: MappingPlace::Resource(name),
                        });
                    }
                    None => reader.warn(
                        mapping.line,
                        format_args!("{name}: its function '{target}' is in no resource of this template"),
                    ),
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether a mapping is of a queue: those of streams and topics have a position to start at, or a source of another kind.
fn is_of_queue(mapping: &Node, resources: Resources) -> bool {
    let of_others = ["StartingPosition", "SelfManagedEventSource", "Queues", "Topics"];
    if of_others.iter().any(|field| mapping.get(field).is_some_and(|node| node.tree != Tree::Null)) {
        return false;
    }
    let source = mapping.get("EventSourceArn").and_then(Node::symbol).unwrap_or_default();
    let service = source.split(':').nth(2).filter(|_| source.starts_with("arn:"));
    let of_other_kind = named_first(source)
        .and_then(|name| resources.iter().find(|(resource, _)| resource == name))
        .is_some_and(|(_, resource)| kind(resource) != "AWS::SQS::Queue");
    !of_other_kind && service.is_none_or(|service| service == "sqs")
}

/// The resource in `${Jobs}`, `${Jobs.Arn}` and `${Jobs.Arn}:live`.
fn named_first(text: &str) -> Option<&str> {
    text.strip_prefix("${")?.split(['.', '}']).next()
}

/// `AWS::Region` has the separator of ARNs in it.
fn without_colons(text: &str) -> String {
    text.replace("${AWS::", "${AWS.")
}

/// A function by what a mapping calls it: a reference to it, to a version or an alias of it, its name, or its ARN, each with
/// or without a qualifier.
fn function_of<'a>(target: &str, resources: Resources<'a>) -> Option<(&'a str, &'a Node)> {
    let mut target = target.to_owned();
    // An alias of an alias cannot be: a few steps reach the function, and no circle.
    for _ in 0..4 {
        if let Some(name) = named_first(&target)
            && let Some((name, node)) = resources.iter().find(|(resource, _)| resource == name)
        {
            match kind(node) {
                "AWS::Lambda::Alias" | "AWS::Lambda::Version" => {
                    node.at(&["Properties", "FunctionName"])?.symbol()?.clone_into(&mut target);
                    continue;
                }
                "AWS::Lambda::Function" | "AWS::Serverless::Function" => return Some((name, node)),
                _ => return None,
            }
        }
        let plain = without_colons(&target);
        let qualified = plain.split_once(":function:").map_or(plain.as_str(), |(_, name)| name);
        let name = qualified.split(':').next().unwrap_or(qualified);
        return resources
            .iter()
            .find(|(_, node)| is_function_named(node, name))
            .map(|(name, node)| (name.as_str(), node));
    }
    None
}

fn is_function_named(node: &Node, name: &str) -> bool {
    let of_function = matches!(kind(node), "AWS::Lambda::Function" | "AWS::Serverless::Function");
    let own = node.at(&["Properties", "FunctionName"]).and_then(Node::symbol).map(without_colons);
    of_function && own.is_some_and(|own| own == name)
}

/// Whether the command line means this function.
pub(super) fn is_called(invoked: &InvokedFunction, name: &str) -> bool {
    invoked.name == name || is_function_named(invoked.function, name)
}

/// The queue that a mapping reads: by a reference to it, or by an ARN that ends in its name.
pub(super) fn queue_of<'a>(mapping: &Node, resources: Resources<'a>) -> Option<(&'a str, &'a Node)> {
    // SAM calls it Queue, CloudFormation EventSourceArn.
    let source = ["Queue", "EventSourceArn"].iter().find_map(|field| mapping.get(field).and_then(Node::symbol))?;
    let plain = without_colons(source);
    let last = plain.rsplit(':').next().unwrap_or(&plain);
    let queues = || resources.iter().filter(|(_, node)| kind(node) == "AWS::SQS::Queue");
    let named = |name: &str| queues().find(|(resource, _)| resource == name);
    let own = |node: &Node| node.at(&["Properties", "QueueName"]).and_then(Node::symbol).map(without_colons);
    let by_reference = named_first(source).and_then(named);
    let by_attribute = || named_first(last).filter(|_| last.ends_with(".QueueName}")).and_then(named);
    let by_name = || queues().find(|(_, node)| own(node).is_some_and(|own| own == last));
    let found = by_reference.or_else(by_attribute).or_else(by_name)?;
    Some((found.0.as_str(), &found.1))
}
