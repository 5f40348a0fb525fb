//! The queues that events come from, each reached when first needed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::batch::MaxReceives;
use crate::config::Config;
use crate::queue::{DeadLetters, Queue, QueueError, QueueErrorKind, Tuning};

/// A queue that does not tell its redrive policy by then has none, this once.
const POLICY_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Sources {
    queue_url: Option<String>,
    dlq_url: Option<String>,
    tuning: Tuning,
    /// One event source is usual; a function may have several.
    reached: Mutex<HashMap<String, Arc<Source>>>,
}

/// One queue.
pub(super) struct Source {
    pub(super) queue: Queue,
    pub(super) dead_letters: Arc<DeadLetters>,
    max_receives: OnceCell<Option<u32>>,
}

impl Sources {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            queue_url: config.queue_url.clone(),
            dlq_url: config.dlq_url.clone(),
            tuning: Tuning { attempt_timeout: config.attempt_timeout },
            reached: Mutex::default(),
        }
    }

    /// The queue of this ARN: `QUEUE_URL` where it has the same name, else looked up by name.
    pub(super) async fn source(&self, arn: Option<&str>) -> Result<Arc<Source>, QueueError> {
        let name = arn.and_then(|arn| arn.rsplit(':').next()).unwrap_or_default();
        let configured = self.queue_url.as_deref();
        let configured = configured.filter(|url| name.is_empty() || url.rsplit('/').next() == Some(name));
        let url_or_name = configured.unwrap_or(name);
        if url_or_name.is_empty() {
            let reason = "the event names no queue: set QUEUE_URL".to_owned();
            return Err(QueueError { code: "NoQueue".to_owned(), reason, kind: QueueErrorKind::Refused });
        }
        let reached = || self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = reached().get(url_or_name) {
            return Ok(source.clone());
        }
        let queue = Queue::connect(url_or_name, &self.tuning).await?;
        let dead_letters = Arc::new(DeadLetters::of(queue.clone(), self.dlq_url.clone()));
        let source = Arc::new(Source { queue, dead_letters, max_receives: OnceCell::new() });
        Ok(reached().entry(url_or_name.to_owned()).or_insert(source).clone())
    }

    /// Asks for the `maxReceiveCount` of this queue when it is first needed.
    pub(super) fn max_receives(self: &Arc<Self>, arn: Option<&str>) -> MaxReceives {
        let sources = self.clone();
        let arn = arn.map(str::to_owned);
        MaxReceives(Arc::new(move || {
            let sources = sources.clone();
            let arn = arn.clone();
            Box::pin(async move {
                let asking = async { sources.source(arn.as_deref()).await?.max_receives().await };
                match timeout(POLICY_WITHIN, asking).await {
                    Ok(Ok(most)) => most,
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "the queue does not tell its redrive policy: allow sqs:GetQueueAttributes");
                        None
                    }
                    Err(_) => None,
                }
            })
        }))
    }
}

impl Source {
    async fn max_receives(&self) -> Result<Option<u32>, QueueError> {
        self.max_receives.get_or_try_init(async || Ok(self.queue.about().await?.max_receives)).await.copied()
    }
}
