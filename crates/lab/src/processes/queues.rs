//! The queue, the dead-letter queue and the journal of one target, served for its processes and watched for the ledger.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::LocalError;
use super::hosts::Address;
use super::journal::Record;
use super::ledger::{Ledger, OutcomeSource};
use crate::scenario::Scenario;
use twinscale_scaling::Counts;
use twinscale_sqs::clock::Clock;
use twinscale_sqs::server::{Bill, Event, Options, Regions, SqsServer, Watch};
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
        let name = format!("twinscale{suffix}");
        let dlq = format!("twinscale-dlq{suffix}");
        let source = match scenario.service {
            Some(_) => OutcomeSource::Journal,
            None => OutcomeSource::Luck(scenario.work.clone()),
        };
        let ledger = Arc::new(Ledger::new(source));
        let watch = Arc::new(QueueWatcher { ledger: ledger.clone(), dlq: dlq.clone(), clock });
        // Whatever region the service signs for.
        let regions = Regions::One("us-east-1".to_owned());
        let options = Options { clock, regions, seed: scenario.seed, watch: Some(watch), ..Options::default() };
        let server = SqsServer::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), options).await?;

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
        let endpoint = server.endpoint();
        let queue_arn = server.arn(&name);
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

    /// Sends bodies in batches of ten, to the message group if there is one. Returns the first failure.
    pub async fn send(&self, bodies: &[String], group: Option<&str>) -> Result<(), String> {
        for batch in batches(bodies) {
            let entry = |(at, body): (usize, &String)| match group {
                None => serde_json::json!({ "Id": at.to_string(), "MessageBody": body }),
                Some(group) => serde_json::json!({
                    "Id": at.to_string(), "MessageBody": body, "MessageGroupId": group,
                    "MessageDeduplicationId": uuid::Uuid::new_v4().to_string(),
                }),
            };
            let entries: Vec<_> = batch.iter().enumerate().map(entry).collect();
            let call = serde_json::json!({ "QueueUrl": self.address.queue_url, "Entries": entries }).to_string();
            let answer = self.server.call("SendMessageBatch", call.as_bytes()).await.map_err(|error| error.message)?;
            let answer: serde_json::Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
            if let Some(failed) = answer["Failed"].as_array().and_then(|failed| failed.first()) {
                return Err(format!("SQS would refuse a body: {failed}"));
            }
        }
        Ok(())
    }

    /// Live counts of the queue.
    pub fn counts(&self) -> Counts {
        // The queue lives as long as this does, unless a process of the run deleted it, and then it is empty.
        self.server.counts(&self.name).unwrap_or_default()
    }
}

/// As many bodies as one SendMessageBatch takes: ten, and 1 MiB.
fn batches(bodies: &[String]) -> Vec<&[String]> {
    let mut batches = Vec::new();
    let mut rest = bodies;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fit = rest.iter().take(10).take_while(|body| {
            bytes += body.len();
            bytes <= 1 << 20
        });
        let (batch, left) = rest.split_at(fit.count().max(1));
        batches.push(batch);
        rest = left;
    }
    batches
}

/// Writes what happens at the queues into one ledger.
struct QueueWatcher {
    ledger: Arc<Ledger>,
    dlq: String,
    clock: Clock,
}

impl QueueWatcher {
    fn journal(&self, record: &str) {
        let Some(record) = Record::read(record) else { return };
        if let Some(took) = record.took() {
            self.ledger.handled(took.mul_f64(self.clock.speed()));
        }
        if self.ledger.follows_the_journal() {
            self.ledger.outcome(number(&record.id), record.receive_count, record.outcome);
        }
    }
}

impl Watch for QueueWatcher {
    fn message(&self, now: Duration, queue: &str, id: uuid::Uuid, body: &str, event: Event) {
        if queue == JOURNAL {
            if event == Event::Sent {
                self.journal(body);
            }
            return;
        }
        let number = if self.ledger.follows_the_journal() { number(&id.to_string()) } else { number(body) };
        if queue != self.dlq {
            self.ledger.note(now, number, event);
        } else if event == Event::Sent {
            // Nobody works on dead letters during a run.
            self.ledger.rejected(number);
        }
    }

    fn request(&self, _: Duration, queue: &str, action: Bill, billed: u64) {
        // The journal is ours, and no part of what a target costs.
        if queue != JOURNAL {
            self.ledger.request(action, billed);
        }
    }
}
