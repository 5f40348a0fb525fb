//! The only room that knows the SQS client: send, receive, delete, change visibility, look up.
//!
//! Batch calls are cut by SQS's limits and made concurrently; entries that failed inside a successful answer are tried
//! again when that can help. It knows no handler and decides nothing about messages.

mod batches;
mod convert;
mod dead_letters;
mod error;
mod limits;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use aws_config::ConfigLoader;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Builder;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::types::QueueAttributeName as Name;
use serde::Deserialize;
use tokio::sync::OnceCell;

use crate::aws;
use crate::message::{Attribute, Message};

pub(crate) use batches::SEND_WITHIN;
pub use batches::{SendFailure, SendReport};
pub use dead_letters::{DeadLetters, REJECT_REASON};
pub use error::{QueueError, QueueErrorKind};
pub use limits::{MAX_ATTRIBUTES, MAX_BYTES, MAX_ENTRIES, attribute_bytes, refusal};

/// Attempts at one call, the first included, where the SDK makes them for us.
const ATTEMPTS: u32 = 3;
/// A TCP connection that takes longer will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A call that does not wait for messages answers within this, or is tried again.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// One queue, reached by URL or by name. Cheap to clone: clones share connections and credentials.
#[derive(Clone, Debug)]
pub struct Queue {
    clients: Arc<Clients>,
    url_or_name: Arc<str>,
    url: Arc<OnceCell<String>>,
}

#[derive(Debug)]
struct Clients {
    /// For calls that answer at once: the SDK tries again.
    call: Client,
    /// The same, made once: for batch calls, of which only some entries may have to be tried again, or none.
    once: Client,
    /// For receives, which the receiver itself paces: a try again behind its back would hide an outage.
    receive: Client,
}

/// What bounds a call.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// One attempt at a call may take this long; above the long poll, or the poll would be cut.
    pub attempt_timeout: Duration,
}

/// A message to be sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outgoing {
    /// The body; [`refusal`] tells what SQS takes.
    pub body: String,
    /// Needed on a FIFO queue; on a standard one it makes the queue fair between groups.
    pub group_id: Option<String>,
    /// FIFO: within five minutes, a second message with this id is accepted and not delivered.
    pub deduplication_id: Option<String>,
    /// Message attributes, at most [`MAX_ATTRIBUTES`].
    pub attributes: BTreeMap<String, Attribute>,
    /// `AWSTraceHeader`.
    pub trace_header: Option<String>,
    /// Invisible for this long at first, at most 900 s; not on FIFO queues.
    pub delay: Option<Duration>,
}

/// How many messages a queue has, as SQS estimates it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// `ApproximateNumberOfMessages`.
    pub visible: u64,
    /// `ApproximateNumberOfMessagesNotVisible`.
    pub in_flight: u64,
    /// `ApproximateNumberOfMessagesDelayed`.
    pub delayed: u64,
}

/// What a queue says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// `VisibilityTimeout`.
    pub visibility: Duration,
    /// `maxReceiveCount` of its redrive policy; `None`: it has none.
    pub max_receives: Option<u32>,
}

#[derive(Deserialize)]
struct RedrivePolicy {
    #[serde(rename = "deadLetterTargetArn")]
    arn: String,
    /// A number, or a number as text: SQS takes both.
    #[serde(rename = "maxReceiveCount")]
    most: serde_json::Value,
}

impl RedrivePolicy {
    fn of(attributes: &HashMap<Name, String>) -> Result<Option<Self>, QueueError> {
        let Some(text) = attributes.get(&Name::RedrivePolicy) else { return Ok(None) };
        let wrong = |error| QueueError::refused("RedrivePolicyNotUnderstood", format!("{text}: {error}"));
        serde_json::from_str(text).map(Some).map_err(wrong)
    }

    fn max_receives(&self) -> Option<u32> {
        let text = self.most.as_str().map(str::to_owned).unwrap_or_else(|| self.most.to_string());
        text.parse().ok()
    }
}

impl Queue {
    /// Reads region, credentials and endpoint as every AWS SDK does. Makes no call: a name is looked up when first
    /// needed. Fails where no region is set.
    pub async fn connect(url_or_name: &str, tuning: &Tuning) -> Result<Self, QueueError> {
        Self::load(ConfigLoader::default(), url_or_name, tuning).await
    }

    /// A queue of a local service, which takes any credentials.
    pub async fn local(endpoint: &str, url_or_name: &str, tuning: &Tuning) -> Result<Self, QueueError> {
        Self::load(aws::local(endpoint), url_or_name, tuning).await
    }

    async fn load(loader: ConfigLoader, url_or_name: &str, tuning: &Tuning) -> Result<Self, QueueError> {
        let shared = aws::load(loader).await;
        if shared.region().is_none() {
            return Err(QueueError::refused("NoRegion", "no AWS region is configured: set AWS_REGION"));
        }
        let timeouts = |attempt| {
            let connect = CONNECT_TIMEOUT.min(attempt);
            TimeoutConfig::builder().connect_timeout(connect).operation_attempt_timeout(attempt).build()
        };
        let attempt = tuning.attempt_timeout;
        let call = Builder::from(&shared)
            .timeout_config(timeouts(attempt.min(CALL_TIMEOUT)))
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(Duration::from_secs(1)));
        let receive = Builder::from(&shared).timeout_config(timeouts(attempt)).retry_config(RetryConfig::disabled());
        let once = call.clone().retry_config(RetryConfig::disabled());
        let clients = Clients {
            call: Client::from_conf(call.build()),
            once: Client::from_conf(once.build()),
            receive: Client::from_conf(receive.build()),
        };
        Ok(Self::new(Arc::new(clients), url_or_name))
    }

    /// Another queue over the same connections.
    pub fn other(&self, url_or_name: &str) -> Self {
        Self::new(self.clients.clone(), url_or_name)
    }

    fn new(clients: Arc<Clients>, url_or_name: &str) -> Self {
        let url = url_or_name.contains("://").then(|| url_or_name.to_owned());
        Self { clients, url_or_name: url_or_name.into(), url: Arc::new(OnceCell::new_with(url)) }
    }

    /// The name: the last part of the URL.
    pub fn name(&self) -> &str {
        self.url_or_name.rsplit('/').next().unwrap_or_default()
    }

    /// Whether it is a FIFO queue, which the name tells.
    pub fn is_fifo(&self) -> bool {
        self.name().ends_with(".fifo")
    }

    /// Looks the URL up where only the name is known, which later calls need not do again.
    pub async fn find(&self) -> Result<(), QueueError> {
        self.url().await.map(drop)
    }

    async fn url(&self) -> Result<&str, QueueError> {
        let look_up = || async {
            let answer = self.clients.call.get_queue_url().queue_name(&*self.url_or_name).send().await;
            let url = answer.map_err(QueueError::of_call)?.queue_url;
            url.ok_or_else(|| QueueError::refused("NoQueueUrl", "GetQueueUrl answered without a URL"))
        };
        self.url.get_or_try_init(look_up).await.map(String::as_str)
    }

    /// Receives up to `max` (at most 10) messages, waiting up to `wait` for the first. One attempt, never retried: a
    /// receive whose answer is lost holds its messages for their visibility timeout. `visibility`: unset = the queue's.
    pub async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Option<Duration>,
    ) -> Result<Vec<Message>, QueueError> {
        let answer = self
            .clients
            .receive
            .receive_message()
            .queue_url(self.url().await?)
            .max_number_of_messages(max.clamp(1, MAX_ENTRIES) as i32)
            .wait_time_seconds(wait.as_secs() as i32)
            .set_visibility_timeout(visibility.map(|visibility| visibility.as_secs() as i32))
            .set_message_system_attribute_names(Some(convert::wanted_system_attributes()))
            .message_attribute_names("All")
            .send()
            .await
            .map_err(QueueError::of_call)?;
        let whole = |message| {
            let lacks =
                |what| tracing::error!(queue = self.name(), what, "SQS has handed out a message without it: left");
            convert::message(message).map_err(lacks).ok()
        };
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(whole).collect())
    }

    /// How many messages there are.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        let visible = Name::ApproximateNumberOfMessages;
        let in_flight = Name::ApproximateNumberOfMessagesNotVisible;
        let delayed = Name::ApproximateNumberOfMessagesDelayed;
        let found = self.attributes(&[visible.clone(), in_flight.clone(), delayed.clone()]).await?;
        // A queue whose count is not told is not an empty one.
        let count = |name: &Name| {
            let told = found.get(name).and_then(|text| text.parse().ok());
            told.ok_or_else(|| QueueError::refused("NotCounted", format!("the answer has no {}", name.as_str())))
        };
        Ok(Depth { visible: count(&visible)?, in_flight: count(&in_flight)?, delayed: count(&delayed)? })
    }

    /// What the queue says of itself.
    pub async fn about(&self) -> Result<About, QueueError> {
        let found = self.attributes(&[Name::VisibilityTimeout, Name::RedrivePolicy]).await?;
        let seconds = found.get(&Name::VisibilityTimeout).and_then(|text| text.parse().ok());
        // 30 s is what SQS gives a queue that says nothing.
        let visibility = Duration::from_secs(seconds.unwrap_or(30));
        let policy = RedrivePolicy::of(&found).unwrap_or_else(|error| {
            tracing::warn!(%error, "messages are tried again without a limit of attempts");
            None
        });
        Ok(About { visibility, max_receives: policy.and_then(|policy| policy.max_receives()) })
    }

    /// The queue that this one's redrive policy names, if it has one.
    pub async fn dead_letter_queue(&self) -> Result<Option<Self>, QueueError> {
        let found = self.attributes(&[Name::RedrivePolicy]).await?;
        // SQS requires it to be in the same account and region, so the name is enough.
        let policy = RedrivePolicy::of(&found)?;
        Ok(policy.and_then(|policy| policy.arn.rsplit(':').next().map(|name| self.other(name))))
    }

    async fn attributes(&self, names: &[Name]) -> Result<HashMap<Name, String>, QueueError> {
        let call = self.clients.call.get_queue_attributes().queue_url(self.url().await?);
        let answer = call.set_attribute_names(Some(names.to_vec())).send().await.map_err(QueueError::of_call)?;
        Ok(answer.attributes.unwrap_or_default())
    }
}
