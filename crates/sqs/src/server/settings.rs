//! A queue's attributes as SQS names them: checked when set, kept as given, printed when asked.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::content::MAX_BYTES;
use super::error::{Code, Error};
use crate::model::Attributes;

/// The attributes of one queue that a user can set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Longest message, in bytes.
    pub maximum_message_size: usize,
    /// How long a receive waits that does not say.
    pub receive_wait: Duration,
    /// FIFO: the body's SHA-256 is the deduplication id of a message that has none.
    pub content_based_deduplication: bool,
    /// Where dead letters go.
    pub dead_letters: Option<RedrivePolicy>,
    /// What the queue does by itself.
    pub queue: Attributes,
    /// As given by users, and defaults.
    raw: BTreeMap<String, String>,
}

/// `RedrivePolicy`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RedrivePolicy {
    /// The dead-letter queue.
    pub dead_letter_target_arn: String,
    max_receive_count: Value,
}

impl RedrivePolicy {
    /// The receive count that a message may reach: a number, or a number as text; 1 to 1,000.
    fn max_receive_count(&self) -> Option<u32> {
        let count = match &self.max_receive_count {
            Value::String(text) => text.parse().ok()?,
            other => other.as_u64()?,
        };
        u32::try_from(count).ok().filter(|count| (1..=1000).contains(count))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RedriveAllowPolicy {
    redrive_permission: String,
    #[serde(default)]
    source_queue_arns: Vec<String>,
}

/// Number attributes, their range and their default.
const NUMBERS: &[(&str, u64, u64, u64)] = &[
    ("VisibilityTimeout", 0, 43_200, 30),
    ("DelaySeconds", 0, 900, 0),
    ("MessageRetentionPeriod", 60, 1_209_600, 345_600),
    ("MaximumMessageSize", 1_024, MAX_BYTES as u64, MAX_BYTES as u64),
    ("ReceiveMessageWaitTimeSeconds", 0, 20, 0),
    ("KmsDataKeyReusePeriodSeconds", 60, 86_400, 300),
];

/// Attributes that the queue counts or knows by itself.
pub(super) const COMPUTED: [&str; 6] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
];

/// Attributes that a user can set, or that are there once set.
const SETTABLE: [&str; 15] = [
    "VisibilityTimeout",
    "DelaySeconds",
    "MessageRetentionPeriod",
    "MaximumMessageSize",
    "ReceiveMessageWaitTimeSeconds",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "SqsManagedSseEnabled",
    "Policy",
    "RedrivePolicy",
    "RedriveAllowPolicy",
    "FifoQueue",
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

fn unknown(name: &str) -> Error {
    Error::new(Code::InvalidAttributeName, format!("Unknown Attribute {name}."))
}

fn bad_value(name: &str) -> Error {
    Error::new(Code::InvalidAttributeValue, format!("Invalid value for the parameter {name}."))
}

impl Settings {
    /// A new queue's, defaults where nothing is given.
    pub(super) fn new(fifo: bool, given: &BTreeMap<String, String>) -> Result<Self, Error> {
        let mut raw = BTreeMap::from([("SqsManagedSseEnabled".to_owned(), "true".to_owned())]);
        for (name, _, _, default) in NUMBERS.iter().filter(|(name, ..)| !name.starts_with("Kms")) {
            raw.insert((*name).to_owned(), default.to_string());
        }
        if fifo {
            for (name, value) in [
                ("FifoQueue", "true"),
                ("ContentBasedDeduplication", "false"),
                ("DeduplicationScope", "queue"),
                ("FifoThroughputLimit", "perQueue"),
            ] {
                raw.insert(name.to_owned(), value.to_owned());
            }
        }
        Self::of(fifo, raw)?.changed(given)
    }

    /// As [`all`](Self::all) once told them.
    pub(super) fn kept(attributes: BTreeMap<String, String>) -> Result<Self, Error> {
        let fifo = attributes.get("FifoQueue").is_some_and(|value| value == "true");
        Self::of(fifo, attributes)
    }

    /// With these attributes set; one that is bad changes nothing.
    pub(super) fn changed(&self, given: &BTreeMap<String, String>) -> Result<Self, Error> {
        let fifo = self.queue.fifo;
        let set = |name: &str, value: &str| given.get(name).is_some_and(|given| given == value);
        if given.get("KmsMasterKeyId").is_some_and(|key| !key.is_empty()) && set("SqsManagedSseEnabled", "true") {
            let message = "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE.";
            return Err(Error::new(Code::InvalidAttributeName, message));
        }
        let mut raw = self.raw.clone();
        for (name, value) in given {
            check(fifo, name, value)?;
            let removes = value.is_empty();
            match removes {
                true => drop(raw.remove(name)),
                false => drop(raw.insert(name.clone(), value.clone())),
            }
        }
        // A key ends SQS's own encryption, and the other way round.
        if set("SqsManagedSseEnabled", "true") {
            raw.remove("KmsMasterKeyId");
        }
        match raw.contains_key("KmsMasterKeyId") {
            true => drop(raw.insert("SqsManagedSseEnabled".to_owned(), "false".to_owned())),
            false => drop(raw.remove("KmsDataKeyReusePeriodSeconds")),
        }
        let is = |name: &str, value: &str| raw.get(name).is_some_and(|v| v == value);
        if is("FifoThroughputLimit", "perMessageGroupId") && !is("DeduplicationScope", "messageGroup") {
            return Err(bad_value("FifoThroughputLimit"));
        }
        Self::of(fifo, raw)
    }

    fn of(fifo: bool, raw: BTreeMap<String, String>) -> Result<Self, Error> {
        let number = |name: &str| -> u64 {
            let default = NUMBERS.iter().find(|(n, ..)| *n == name).map_or(0, |(.., default)| *default);
            raw.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
        };
        let seconds = |name: &str| Duration::from_secs(number(name));
        let is = |name: &str, value: &str| raw.get(name).is_some_and(|v| v == value);
        let dead_letters = raw.get("RedrivePolicy").map(|text| redrive_policy(text)).transpose()?;
        Ok(Self {
            maximum_message_size: number("MaximumMessageSize") as usize,
            receive_wait: seconds("ReceiveMessageWaitTimeSeconds"),
            content_based_deduplication: is("ContentBasedDeduplication", "true"),
            queue: Attributes {
                fifo,
                visibility_timeout: seconds("VisibilityTimeout"),
                delay: seconds("DelaySeconds"),
                retention: seconds("MessageRetentionPeriod"),
                max_receive_count: dead_letters.as_ref().and_then(RedrivePolicy::max_receive_count),
                deduplicate_by_group: is("DeduplicationScope", "messageGroup"),
                ..Attributes::default()
            },
            dead_letters,
            raw,
        })
    }

    /// The first of the given attributes that differs from the queue's, for `CreateQueue` of a queue that exists.
    pub(super) fn difference<'a>(&self, given: &'a BTreeMap<String, String>) -> Option<&'a str> {
        given.iter().find(|(name, value)| self.raw.get(*name) != Some(value)).map(|(name, _)| name.as_str())
    }

    /// One attribute as it was set; `Err` if there is no such attribute.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Error> {
        match SETTABLE.contains(&name) {
            true => Ok(self.raw.get(name).map(String::as_str)),
            false => Err(unknown(name)),
        }
    }

    /// All attributes that are set.
    pub(super) fn all(&self) -> impl Iterator<Item = (&String, &String)> {
        self.raw.iter()
    }

    /// True when this queue's `RedriveAllowPolicy` lets `source` use it for dead letters.
    pub(super) fn allows_dead_letters_of(&self, source: &str) -> bool {
        let Some(policy) = self.raw.get("RedriveAllowPolicy") else { return true };
        let Ok(policy) = serde_json::from_str::<RedriveAllowPolicy>(policy) else { return true };
        match policy.redrive_permission.as_str() {
            "denyAll" => false,
            "byQueue" => policy.source_queue_arns.iter().any(|arn| arn == source),
            _ => true,
        }
    }
}

fn redrive_policy(text: &str) -> Result<RedrivePolicy, Error> {
    let bad = |reason: &str| Error::value(text, "RedrivePolicy", reason);
    let policy: RedrivePolicy = serde_json::from_str(text)
        .map_err(|_| bad("Redrive policy is not a JSON map with deadLetterTargetArn and maxReceiveCount."))?;
    match policy.max_receive_count() {
        Some(_) => Ok(policy),
        None => Err(bad("Invalid value for maxReceiveCount, valid values are from 1 to 1000 both inclusive.")),
    }
}

/// Attributes that are true or false.
const BOOLEANS: [&str; 3] = ["FifoQueue", "ContentBasedDeduplication", "SqsManagedSseEnabled"];

/// The attributes as they are kept: SQS takes `True` and `False` too, which Python's `str` makes of a boolean.
pub(super) fn normal(mut given: BTreeMap<String, String>) -> BTreeMap<String, String> {
    for name in BOOLEANS {
        match given.get_mut(name) {
            Some(value) if value == "True" || value == "False" => value.make_ascii_lowercase(),
            Some(_) | None => {}
        }
    }
    given
}

fn check(fifo: bool, name: &str, value: &str) -> Result<(), Error> {
    if let Some((_, least, most, _)) = NUMBERS.iter().find(|(number, ..)| *number == name) {
        let fits = value.parse::<u64>().is_ok_and(|value| (*least..=*most).contains(&value));
        return if fits { Ok(()) } else { Err(bad_value(name)) };
    }
    let one_of = |allowed: &[&str]| if allowed.contains(&value) { Ok(()) } else { Err(bad_value(name)) };
    match name {
        "FifoQueue" if fifo => match value {
            "true" => Ok(()),
            "false" => {
                let message =
                    "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.";
                Err(Error::new(Code::InvalidAttributeValue, message))
            }
            _ => Err(bad_value(name)),
        },
        "ContentBasedDeduplication" if fifo => one_of(&["true", "false"]),
        "DeduplicationScope" if fifo => one_of(&["queue", "messageGroup"]),
        "FifoThroughputLimit" if fifo => one_of(&["perQueue", "perMessageGroupId"]),
        "DeduplicationScope" | "FifoThroughputLimit" => {
            let message = format!("You can specify the {name} only when FifoQueue is set to true.");
            Err(Error::new(Code::InvalidAttributeName, message))
        }
        "SqsManagedSseEnabled" => one_of(&["true", "false"]),
        "KmsMasterKeyId" => Ok(()),
        "RedrivePolicy" if value.is_empty() => Ok(()),
        "RedrivePolicy" => redrive_policy(value).map(drop),
        "RedriveAllowPolicy" if value.is_empty() => Ok(()),
        "RedriveAllowPolicy" => match serde_json::from_str::<RedriveAllowPolicy>(value) {
            Ok(policy) if policy.source_queue_arns.len() > 10 => Err(bad_value(name)),
            Ok(policy) if ["allowAll", "denyAll"].contains(&policy.redrive_permission.as_str()) => {
                if policy.source_queue_arns.is_empty() { Ok(()) } else { Err(bad_value(name)) }
            }
            Ok(policy) if policy.redrive_permission == "byQueue" && !policy.source_queue_arns.is_empty() => Ok(()),
            _ => Err(bad_value(name)),
        },
        "Policy" if value.is_empty() || serde_json::from_str::<Value>(value).is_ok_and(|v| v.is_object()) => Ok(()),
        "Policy" => Err(bad_value(name)),
        _ => Err(unknown(name)),
    }
}
