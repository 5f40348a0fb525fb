//! A queue as one line: `orders:dlq=orders-dead,maxReceiveCount=3,VisibilityTimeout=60`.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::SqsServer;
use super::error::Error;

/// A queue to make, with its dead-letter queue. A name that ends in `.fifo` makes a FIFO queue, with content-based
/// deduplication unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedQueue {
    name: String,
    attributes: BTreeMap<String, String>,
    dead_letters: Option<DeadLetters>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct DeadLetters {
    queue: String,
    max_receive_count: String,
}

/// Why a line is no queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoQueue {
    /// No name before the colon.
    #[error("a queue needs a name: NAME or NAME:dlq=NAME,maxReceiveCount=N,ATTRIBUTE=VALUE")]
    Nameless,
    /// No value.
    #[error("{0:?} is no setting: it needs a value, VisibilityTimeout=60 for example")]
    Valueless(String),
    /// Two values.
    #[error("{0} is set twice")]
    Twice(String),
    /// One of the two that belong together.
    #[error("dlq and maxReceiveCount belong together: dlq=orders-dead,maxReceiveCount=3")]
    HalfRedrive,
}

impl WantedQueue {
    /// A queue of that name with these settings: `dlq`, `maxReceiveCount`, and attributes as SQS names them (a small first
    /// letter will do).
    ///
    /// # Errors
    /// When the name is empty, a setting is there twice, or only one of `dlq` and `maxReceiveCount`.
    pub fn new(name: &str, settings: impl IntoIterator<Item = (String, String)>) -> Result<Self, NoQueue> {
        if name.is_empty() {
            return Err(NoQueue::Nameless);
        }
        let mut attributes = BTreeMap::new();
        let mut dlq = None;
        let mut max_receive_count = None;
        for (key, value) in settings {
            let before = match key.as_str() {
                "dlq" => dlq.replace(value),
                "maxReceiveCount" => max_receive_count.replace(value),
                attribute => attributes.insert(capital(attribute), value),
            };
            if before.is_some() {
                return Err(NoQueue::Twice(key));
            }
        }
        let dead_letters = match (dlq, max_receive_count) {
            (Some(queue), Some(max_receive_count)) => Some(DeadLetters { queue, max_receive_count }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(NoQueue::HalfRedrive),
        };
        Ok(Self { name: name.to_owned(), attributes, dead_letters })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its dead-letter queue.
    pub fn dead_letter_queue(&self) -> Option<&str> {
        self.dead_letters.as_ref().map(|dead_letters| dead_letters.queue.as_str())
    }
}

impl FromStr for WantedQueue {
    type Err = NoQueue;

    fn from_str(line: &str) -> Result<Self, NoQueue> {
        let (name, settings) = line.split_once(':').unwrap_or((line, ""));
        let settings = settings.split(',').filter(|setting| !setting.is_empty()).map(|setting| {
            let (key, value) = setting.split_once('=').ok_or_else(|| NoQueue::Valueless(setting.to_owned()))?;
            Ok((key.to_owned(), value.to_owned()))
        });
        Self::new(name, settings.collect::<Result<Vec<_>, _>>()?)
    }
}

/// SQS's attributes begin with a capital letter.
fn capital(attribute: &str) -> String {
    let mut letters = attribute.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

impl SqsServer {
    /// Makes a queue and its dead-letter queue, or finds them. Returns the queue's URL.
    ///
    /// # Errors
    /// As `CreateQueue`.
    pub fn make(&self, wanted: &WantedQueue) -> Result<String, Error> {
        let mut attributes = fifo(&wanted.name);
        attributes.extend(wanted.attributes.clone());
        if let Some(DeadLetters { queue, max_receive_count }) = &wanted.dead_letters {
            self.create(queue, fifo(queue))?;
            let policy =
                serde_json::json!({ "deadLetterTargetArn": self.arn(queue), "maxReceiveCount": max_receive_count });
            attributes.insert("RedrivePolicy".to_owned(), policy.to_string());
        }
        self.create(&wanted.name, attributes)
    }
}

fn fifo(name: &str) -> BTreeMap<String, String> {
    let attributes = ["FifoQueue", "ContentBasedDeduplication"].map(|name| (name.to_owned(), "true".to_owned()));
    if name.ends_with(".fifo") { attributes.into() } else { BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_queue_its_dead_letter_queue_and_attributes() {
        let wanted: WantedQueue =
            "orders:dlq=orders-dead,maxReceiveCount=3,visibilityTimeout=60".parse().expect("a queue");
        assert_eq!((wanted.name(), wanted.dead_letter_queue()), ("orders", Some("orders-dead")));
        assert_eq!(wanted.attributes, BTreeMap::from([("VisibilityTimeout".to_owned(), "60".to_owned())]));
        assert_eq!("orders".parse::<WantedQueue>().expect("a queue").attributes, BTreeMap::new());
    }

    #[test]
    fn what_is_no_queue_is_named() {
        let refused = |line: &str| line.parse::<WantedQueue>().expect_err(line);
        assert_eq!(refused(":dlq=x,maxReceiveCount=1"), NoQueue::Nameless);
        assert_eq!(refused("q:VisibilityTimeout"), NoQueue::Valueless("VisibilityTimeout".to_owned()));
        assert_eq!(refused("q:DelaySeconds=1,delaySeconds=2"), NoQueue::Twice("delaySeconds".to_owned()));
        assert_eq!(refused("q:dlq=x"), NoQueue::HalfRedrive);
        assert_eq!(refused("q:maxReceiveCount=3"), NoQueue::HalfRedrive);
    }
}
