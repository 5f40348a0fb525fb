//! The queue, the dead-letter queue and the journal of one target, served for its processes and watched for the ledger.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::LocalError;
use super::hosts::Address;
use super::ledger::Ledger;
use crate::scenario::Scenario;
use twinscale_scaling::Counts;
use twinscale_sqs::clock::Clock;
use twinscale_sqs::server::{Bill, Event, Options, SqsServer, Watch};
use twinscale_work::number;

/// The journal of the workers: a queue that nobody receives from, since what is sent is seen.
const JOURNAL: &str = "journal";

/// A server with three queues. Dropping it closes all.
pub struct Queues {
    server: SqsServer,
    name: String,
    address: Address,
    ledger: Arc<Ledger>,
}

impl Queues {
    /// Serves the scenario's queue on a free port, with this visibility timeout.
    ///
    /// # Errors
    /// When no port can be bound, or the scenario's attributes are none that SQS would take.
    pub async fn start(scenario: &Scenario, visibility: Duration, clock: Clock) -> Result<Self, LocalError> {
        let suffix = if scenario.queue.fifo { ".fifo" } else { "" };
        let (name, dlq) = (format!("twinscale{suffix}"), format!("twinscale-dlq{suffix}"));
        let ledger = Arc::new(Ledger::new(scenario.work.clone()));
        let watch = Arc::new(Books { ledger: ledger.clone(), dlq: dlq.clone(), clock });
        let options = Options { clock, seed: scenario.seed, watch: Some(watch), ..Options::default() };
        let server = SqsServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), options).await?;

        let fifo: &[(&str, &str)] = if scenario.queue.fifo { &[("FifoQueue", "true")] } else { &[] };
        let refused = |error: twinscale_sqs::server::Error| LocalError::Queue(error.message);
        let create = |name: &str, attributes: &[(&str, &str)]| {
            server.create_queue(name, &[fifo, attributes].concat()).map_err(refused)
        };
        // The shortest retention: records are of no use once they were seen.
        let journal_url = server.create_queue(JOURNAL, &[("MessageRetentionPeriod", "60")]).map_err(refused)?;
        let dlq_url = create(&dlq, &[("MessageRetentionPeriod", "1209600")])?;
        let redrive = serde_json::json!({
            "deadLetterTargetArn": server.arn(&dlq),
            "maxReceiveCount": scenario.queue.max_receive_count,
        });
        let queue_url = create(
            &name,
            &[
                ("VisibilityTimeout", &visibility.as_secs().to_string()),
                ("MessageRetentionPeriod", &scenario.queue.retention.as_secs().to_string()),
                ("RedrivePolicy", &redrive.to_string()),
            ],
        )?;
        let (endpoint, queue_arn) = (server.endpoint(), server.arn(&name));
        let address = Address { endpoint, queue_url, queue_arn, dlq_url, journal_url };
        Ok(Self { server, name, address, ledger })
    }

    /// Where processes find the queues.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The books of the target.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Live counts of the queue.
    pub fn counts(&self) -> Counts {
        // The queue lives as long as this does, unless a process of the run deleted it, and then it is empty.
        self.server.counts(&self.name).unwrap_or_default()
    }
}

/// Writes what happens at the queues into one ledger.
struct Books {
    ledger: Arc<Ledger>,
    dlq: String,
    clock: Clock,
}

/// What the ledger wants of a journal's record of a message: milliseconds of the machine's clock.
#[derive(Deserialize)]
struct Handled {
    started: u64,
    finished: u64,
}

impl Books {
    fn journal(&self, record: &str) {
        // Other records, and messages whose handler never began, have no such times.
        let Ok(Handled { started, finished }) = serde_json::from_str(record) else { return };
        let took = Duration::from_millis(finished.saturating_sub(started));
        self.ledger.handled(took.mul_f64(self.clock.speed()));
    }
}

impl Watch for Books {
    fn message(&self, now: Duration, queue: &str, _: uuid::Uuid, body: &str, event: Event) {
        if queue == JOURNAL {
            if event == Event::Sent {
                self.journal(body);
            }
            return;
        }
        match (queue == self.dlq, event) {
            (true, Event::Sent) => self.ledger.rejected(number(body)),
            // Nobody works on dead letters during a run.
            (true, _) => {}
            (false, event) => self.ledger.note(now, number(body), event),
        }
    }

    fn request(&self, _: Duration, queue: &str, action: Bill, billed: u64) {
        // The journal is ours, and no part of what a target costs.
        if queue != JOURNAL {
            self.ledger.request(action, billed);
        }
    }
}
