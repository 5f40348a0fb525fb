//! A queue of a template: its attributes, with SQS's own defaults.

use std::time::Duration;

use super::node::{Node, Span, Tree};
use super::reader::Reader;

/// What SQS has where nothing is written.
pub(super) const VISIBILITY: Duration = Duration::from_secs(30);
pub(super) const RETENTION: Duration = Duration::from_secs(345_600);

/// A queue as a template or terraform declares it.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    /// Name of its resource, or its address in terraform.
    pub name: String,
    /// What other resources call it: its resource in a template, its ARN in a state, its address in a plan.
    pub key: String,
    /// `QueueName`, if it is written; `${AWS::StackName}` where it is known once it is deployed.
    pub own_name: Option<String>,
    /// Its URL, where it is known.
    pub url: Option<String>,
    /// Line of the resource.
    pub line: u64,
    /// Line of its visibility timeout, if one is written.
    pub visibility_line: Option<u64>,
    /// `VisibilityTimeout` (30 s).
    pub visibility: Duration,
    /// `MessageRetentionPeriod` (4 days).
    pub retention: Duration,
    /// `FifoQueue` (false).
    pub fifo: bool,
    /// `maxReceiveCount` of its redrive policy; `None` without one.
    pub max_receive_count: Option<u32>,
    /// What other resources call its dead-letter queue.
    pub dead_letter: Option<String>,
    /// Whose dead-letter queue it may be, if that is written.
    pub redrive_allow: Option<RedriveAllow>,
    /// The KMS key that it is encrypted with, unless SQS has its own.
    pub kms_key: Option<String>,
}

/// Which queues may name a queue as their dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RedriveAllow {
    /// Every queue of the account.
    All,
    /// None.
    Nobody,
    /// These, by their ARN.
    Queues(Vec<String>),
}

impl RedriveAllow {
    /// Reads `RedriveAllowPolicy`; `None` where it says nothing that is known here.
    pub(super) fn read(policy: &Node) -> Option<Self> {
        let arns = policy.get("sourceQueueArns").map(Node::elements).unwrap_or_default();
        match policy.get("redrivePermission").and_then(Node::text)? {
            "allowAll" => Some(Self::All),
            "denyAll" => Some(Self::Nobody),
            "byQueue" => Some(Self::Queues(arns.iter().filter_map(Node::symbol).map(str::to_owned).collect())),
            _ => None,
        }
    }
}

/// Reads a queue; what SQS refuses is a mistake.
pub(super) fn read(name: &str, resource: &Node, reader: &mut Reader) -> Queue {
    let empty = Node { line: resource.line, tag: None, span: Span::default(), tree: Tree::Null };
    let properties = resource.get("Properties").unwrap_or(&empty);
    let mut fields = reader.fields(properties, name);
    let seconds = |value: Option<u32>, default| value.map_or(default, |value| Duration::from_secs(value.into()));
    let visibility = seconds(fields.within(reader, "VisibilityTimeout", 0..=43_200), VISIBILITY);
    let retention = seconds(fields.within(reader, "MessageRetentionPeriod", 60..=1_209_600), RETENTION);
    let mut fifo = false;
    fields.switch(reader, "FifoQueue", &mut fifo);
    let mut queue = Queue {
        name: name.to_owned(),
        key: name.to_owned(),
        own_name: properties.get("QueueName").and_then(Node::symbol).map(str::to_owned),
        url: None,
        line: resource.line,
        visibility_line: properties.get("VisibilityTimeout").map(|node| node.line),
        visibility,
        retention,
        fifo,
        max_receive_count: None,
        dead_letter: None,
        redrive_allow: None,
        kms_key: fields.take("KmsMasterKeyId").and_then(Node::symbol).map(str::to_owned),
    };
    if let Some(node) = fields.take("QueueName")
        && let Some(text) = node.text()
        && text.ends_with(".fifo") != fifo
    {
        let what = "is refused: FifoQueue: true and a name that ends in .fifo go together";
        reader.mistake(node.line, format_args!("{name}.QueueName: '{text}' {what}"));
    }
    if let Some(node) = fields.take("RedrivePolicy") {
        read_redrive(node, &mut queue, reader);
    }
    queue.redrive_allow = fields.take("RedriveAllowPolicy").and_then(RedriveAllow::read);
    for field in ["DelaySeconds", "ReceiveMessageWaitTimeSeconds", "FifoThroughputLimit"] {
        if let Some(node) = fields.take(field).filter(|node| node.text() != Some("0")) {
            reader.warn(node.line, format_args!("{} is not covered by the model", fields.path_of(field)));
        }
    }
    queue
}

/// A redrive policy: a mapping, or the same as JSON in a text.
fn read_redrive(node: &Node, queue: &mut Queue, reader: &mut Reader) {
    let path = format!("{}.RedrivePolicy", queue.name);
    let parsed = node.symbol().map(serde_json::from_str);
    let parsed = match parsed {
        Some(Ok(value)) => Some(Node::from_json(node.line, &value)),
        Some(Err(error)) if node.text().is_some() => {
            return reader.mistake(node.line, format_args!("{path} is no JSON: {error}"));
        }
        // What is unknown in it stands where a number belongs: the reader says what is missing.
        Some(Err(_)) | None => None,
    };
    let mut fields = reader.fields(parsed.as_ref().unwrap_or(node), &path);
    queue.max_receive_count = fields.within(reader, "maxReceiveCount", 1..=1000);
    let dead_letter = fields.take("deadLetterTargetArn").and_then(Node::symbol);
    queue.dead_letter =
        dead_letter.map(|text| match text.strip_prefix("${").and_then(|rest| rest.split_once(['.', '}'])) {
            Some((resource, _)) => resource.to_owned(),
            None => text.to_owned(),
        });
}
