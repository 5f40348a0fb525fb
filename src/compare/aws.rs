//! Real queues of deployed targets: sends the scenario's load, samples the queues, drains the journal.
//!
//! It needs the queues' URLs and nothing else: no Kubernetes API, no CloudWatch. What queues and journal cannot tell is
//! null in the run and named in `unavailable`. Nothing is purged, and a queue that is not empty is refused unless asked
//! for, since its messages would be counted with ours.

mod books;

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep, sleep_until};

use crate::compare::run::{Run, SCHEMA, Target, Targets};
use crate::compare::scenario::Scenario;
use crate::queue::{Depth, Outgoing, Queue, QueueError, Tuning};
use crate::workload::body;
use books::Books;

/// One look at a queue each second: the run format asks for that much.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// Once the queue is empty, its last records arrive within the hosts' journal linger; a minute forgives a slow count.
const SETTLE: Duration = Duration::from_secs(60);
/// USD for a million requests, standard queues (us-east-1, Mar 2026).
const USD_PER_MILLION: f64 = 0.40;

/// What is deployed, and what is allowed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The worker's queue; `None` leaves the target out.
    pub eks_queue: Option<String>,
    /// The function's queue; `None` leaves the target out.
    pub lambda_queue: Option<String>,
    /// The journal of the worker, or of both: its records name their host.
    pub eks_journal: Option<String>,
    /// The journal of the function.
    pub lambda_journal: Option<String>,
    /// Where SQS is; `None` = AWS, or `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// Go on although a queue holds messages of somebody else.
    pub not_empty: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// `eks` or `lambda`.
    pub target: &'static str,
    /// Accepted by the queue.
    pub sent: u64,
    /// Ended, by the journal.
    pub ended: u64,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No target was given.
    #[error("there is no target: give --eks-queue-url or --lambda-queue-url")]
    NoTarget,
    /// Without a journal nobody knows which messages are done.
    #[error("{target} has no journal: deploy it with one, and give --journal-queue-url")]
    NoJournal {
        /// `eks` or `lambda`.
        target: &'static str,
    },
    /// Messages that are not ours would be counted with ours.
    #[error("{name} holds {messages} messages: wait until it is empty, or allow it with --not-empty")]
    NotEmpty {
        /// The queue's name.
        name: String,
        /// How many.
        messages: u64,
    },
    /// SQS said no.
    #[error("{url}: {error}")]
    Queue {
        /// The queue.
        url: String,
        /// What it said.
        error: QueueError,
    },
}

/// What the run will cost in SQS requests, roughly, in USD: send, receive, delete, and as much again for the journal.
pub fn estimate(scenario: &Scenario, options: &Options) -> f64 {
    let targets = u32::from(options.eks_queue.is_some()) + u32::from(options.lambda_queue.is_some());
    let pieces = scenario.body_bytes.div_ceil(65_536).max(1) as f64;
    // Batches of ten: 0.3 requests a message and as many for its record; Lambda receives what it gets, so twice that.
    let requests = scenario.messages as f64 * f64::from(targets) * (0.6 * pieces + 0.6);
    requests * USD_PER_MILLION / 1e6
}

/// Runs the scenario on each target that was given, one after the other. `stop` ends it early, with what there is.
///
/// # Errors
/// Before anything is sent: a queue that is not there, not empty, or has no journal.
pub async fn run(
    scenario: &Scenario,
    options: &Options,
    stop: impl Future<Output = ()>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Run, AwsError> {
    let mut stop = pin!(stop);
    let eks = prepare("eks", options.eks_queue.as_deref(), options.eks_journal.as_deref(), options).await?;
    let lambda = prepare("lambda", options.lambda_queue.as_deref(), options.lambda_journal.as_deref(), options).await?;
    if eks.is_none() && lambda.is_none() {
        return Err(AwsError::NoTarget);
    }
    let (mut targets, mut warnings) = (Targets::default(), Vec::new());
    if let Some(deployed) = eks {
        targets.eks = Some(deployed.play(scenario, stop.as_mut(), progress, &mut warnings).await);
    }
    if let Some(deployed) = lambda {
        targets.lambda = Some(deployed.play(scenario, stop.as_mut(), progress, &mut warnings).await);
    }
    let scenario = serde_json::to_value(scenario).unwrap_or_default();
    Ok(Run { schema: SCHEMA.to_owned(), engine: "aws".to_owned(), scenario, speed: None, targets, warnings })
}

/// A target whose queues answer and are empty.
struct Deployed {
    target: &'static str,
    queue: Queue,
    journal: Queue,
}

async fn prepare(
    target: &'static str,
    queue: Option<&str>,
    journal: Option<&str>,
    options: &Options,
) -> Result<Option<Deployed>, AwsError> {
    let Some(queue) = queue else { return Ok(None) };
    let journal = journal.ok_or(AwsError::NoJournal { target })?;
    let (queue, messages) = connect(queue, options).await?;
    if messages > 0 && !options.not_empty {
        return Err(AwsError::NotEmpty { name: queue.name().to_owned(), messages });
    }
    // What the journal holds already is welcome: hosts that were there before the run said so in it.
    let (journal, _) = connect(journal, options).await?;
    Ok(Some(Deployed { target, queue, journal }))
}

/// The queue, and how many messages it holds.
async fn connect(url: &str, options: &Options) -> Result<(Queue, u64), AwsError> {
    let failed = |error| AwsError::Queue { url: url.to_owned(), error };
    let tuning = Tuning { attempt_timeout: Duration::from_secs(25) };
    let queue = match &options.endpoint {
        Some(endpoint) => Queue::local(endpoint, url, &tuning).await,
        None => Queue::connect(url, &tuning).await,
    };
    let queue = queue.map_err(failed)?;
    let messages = all(queue.depth().await.map_err(failed)?);
    Ok((queue, messages))
}

fn all(depth: Depth) -> u64 {
    depth.visible + depth.in_flight + depth.delayed
}

impl Deployed {
    async fn play(
        &self,
        scenario: &Scenario,
        stop: Pin<&mut impl Future<Output = ()>>,
        progress: &mut dyn FnMut(Progress),
        warnings: &mut Vec<String>,
    ) -> Target {
        let host = if self.target == "eks" { "worker" } else { "function" };
        let mut books = Books::new(host, millis());
        let mut sending = pin!(self.send(scenario));
        let mut looking = pin!(sleep(Duration::ZERO));
        let mut reading = pin!(self.read());
        let mut stop = stop;
        let limit = Instant::now() + scenario.limit;
        let (mut all_sent, mut quiet_since, mut drained) = (false, None, false);
        loop {
            tokio::select! {
                sent = &mut sending, if !all_sent => {
                    all_sent = true;
                    books.sent = sent.accepted;
                    warnings.extend(sent.warning.map(|warning| format!("{}: {warning}", self.target)));
                }
                () = &mut looking => {
                    if let Ok(depth) = self.queue.depth().await {
                        books.look(millis(), depth);
                        quiet_since = (all(depth) == 0).then(|| quiet_since.unwrap_or_else(Instant::now));
                    }
                    looking.set(sleep(SAMPLE_EVERY));
                }
                records = &mut reading => {
                    for record in &records {
                        books.record(record);
                    }
                    reading.set(self.read());
                }
                () = stop.as_mut() => {
                    warnings.push(format!("{}: stopped before the end", self.target));
                    break;
                }
                () = sleep_until(limit) => {
                    warnings.push(format!("{}: had not drained after {} s, the scenario's limit", self.target, scenario.limit.as_secs()));
                    break;
                }
            }
            progress(Progress { target: self.target, sent: books.sent, ended: books.ended() });
            drained = all_sent && books.ended() >= books.sent;
            // Redriven messages leave no record: an empty queue ends the run too, a while later.
            let gone = all_sent && quiet_since.is_some_and(|since: Instant| since.elapsed() > SETTLE);
            if drained || gone {
                break;
            }
        }
        let left = self.queue.depth().await.map(all).unwrap_or_default();
        let in_host =
            if self.target == "eks" { scenario.eks.pod.concurrency } else { scenario.lambda.in_host_concurrency };
        books.close(drained || left == 0, left, in_host)
    }

    /// Sends the load straight to the queue, each arrival at its time.
    async fn send(&self, scenario: &Scenario) -> Sent {
        let (began, mut next, mut sent) = (Instant::now(), 0_u64, Sent::default());
        for arrival in scenario.arrivals() {
            sleep_until(began + arrival.at).await;
            let numbers = next..next + arrival.count;
            next = numbers.end;
            let groups = u64::from(scenario.queue.groups);
            let outgoing = numbers.map(|number| Outgoing {
                body: format!("{:.<length$}", body(scenario.seed, number), length = scenario.body_bytes as usize),
                group_id: scenario.queue.fifo.then(|| format!("group-{}", number % groups)),
                deduplication_id: scenario.queue.fifo.then(|| body(scenario.seed, number)),
                ..Outgoing::default()
            });
            let report = self.queue.send(outgoing.collect()).await;
            sent.accepted += report.accepted as u64;
            if let Some(first) = report.failed.first() {
                let what = format!("{} messages were not accepted; the first: {}", report.failed.len(), first.error);
                sent.warning.get_or_insert(what);
            }
        }
        sent
    }

    /// The next records of the journal, deleted as they are read.
    async fn read(&self) -> Vec<String> {
        match self.journal.receive(10, Duration::from_secs(10), None).await {
            Ok(messages) => {
                let handles: Vec<&str> = messages.iter().map(|message| message.receipt_handle.as_str()).collect();
                if !handles.is_empty() {
                    // A record that stays is read again, and counted once: books know ids and attempts.
                    self.journal.delete(&handles).await;
                }
                messages.into_iter().map(|message| message.body).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "the journal could not be read");
                sleep(SAMPLE_EVERY).await;
                Vec::new()
            }
        }
    }
}

#[derive(Debug, Default)]
struct Sent {
    accepted: u64,
    warning: Option<String>,
}

fn millis() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_grows_with_targets_and_with_bodies() {
        let scenario = Scenario { messages: 1_000_000, ..Scenario::default() };
        let one = Options { eks_queue: Some("q".to_owned()), ..Options::default() };
        let both = Options { lambda_queue: Some("q".to_owned()), ..one.clone() };
        // 1.2 requests a message at 0.40 USD a million.
        assert!((estimate(&scenario, &one) - 0.48).abs() < 1e-9);
        assert!((estimate(&scenario, &both) - 0.96).abs() < 1e-9);
        let large = Scenario { body_bytes: 131_072, ..scenario };
        assert!((estimate(&large, &one) - 0.72).abs() < 1e-9);
    }
}
