//! The queue and the dead-letter queue of one target, served for its processes and watched for the ledger.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::LocalError;
use super::clock::Clock;
use super::hosts::Address;
use super::ledger::Ledger;
use super::sqs_server::{Bill, Event, Options, SqsServer, Watch};
use crate::compare::scaling::Counts;
use crate::compare::scenario::Scenario;
use crate::workload::number;

/// A server with two queues. Dropping it closes both.
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
        let watch = Arc::new(Books { ledger: ledger.clone(), dlq: dlq.clone() });
        let options = Options { clock, seed: scenario.seed, watch: Some(watch), ..Options::default() };
        let server = SqsServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), options).await?;

        let fifo: &[(&str, &str)] = if scenario.queue.fifo { &[("FifoQueue", "true")] } else { &[] };
        let create = |name: &str, attributes: &[(&str, &str)]| {
            let refused = |error: super::sqs_server::Error| LocalError::Queue(error.message);
            server.create_queue(name, &[fifo, attributes].concat()).map_err(refused)
        };
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
        let address = Address { endpoint: server.endpoint(), queue_url, queue_arn: server.arn(&name), dlq_url };
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

/// Writes what happens at the two queues into one ledger.
struct Books {
    ledger: Arc<Ledger>,
    dlq: String,
}

impl Watch for Books {
    fn message(&self, now: Duration, queue: &str, body: &str, event: Event) {
        match (queue == self.dlq, event) {
            (true, Event::Sent) => self.ledger.rejected(number(body)),
            // Nobody works on dead letters during a run.
            (true, _) => {}
            (false, event) => self.ledger.note(now, number(body), event),
        }
    }

    fn request(&self, _: Duration, _: &str, action: Bill, billed: u64) {
        self.ledger.request(action, billed);
    }
}
