//! What happened: one [`Run`] from every engine, read by every report. Versioned JSON, all times in scenario seconds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use clap::ValueEnum;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use twinscale_scaling::{Reason, Scaler};

use crate::scenario::Scenario;
use crate::target::TargetKind;
use crate::uncertainty::Uncertainty;

mod failure;
mod flow;
mod limit;
mod seeds;
mod thinned;

pub use failure::{Cause, Failure};
pub use flow::{Flow, FlowBooks};
pub use limit::{Bound, Limit, Throughput};
pub use seeds::{Band, Columns, SeedFigure, Seeds};
pub use thinned::room;

/// Why a run in which every message failed has no time to drain: failed is not done.
pub const NOTHING_DONE: &str = "not one message was done";

/// The version of this schema; a reader refuses another.
pub const SCHEMA: &str = "twinscale/run/1";

/// One scenario, run through one engine on one or both targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`SCHEMA`].
    pub schema: String,
    /// What ran it.
    pub engine: Engine,
    /// The scenario as resolved: every setting that was in force, defaults included.
    #[serde(deserialize_with = "whole_scenario")]
    pub scenario: Scenario,
    /// How many times faster than scenario time the run went; null in virtual time and on AWS.
    pub speed: Option<f64>,
    /// The targets that ran.
    pub targets: Targets,
    /// What the models' estimates may do to the verdict, by the prices of that day; null unless it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty: Option<Uncertainty>,
    /// What the reader should know before trusting a figure.
    pub warnings: Vec<String>,
}

impl Run {
    /// A run in virtual time, without a warning.
    pub fn simulated(scenario: &Scenario, targets: Targets) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            engine: Engine::Simulated,
            scenario: scenario.clone(),
            speed: None,
            targets,
            uncertainty: None,
            warnings: Vec::new(),
        }
    }
}

/// Reads a scenario that leaves nothing out. What a run does not tell was not in force: a default in its place would make
/// another bill without a word.
pub(crate) fn whole_scenario<'de, D: Deserializer<'de>>(from: D) -> Result<Scenario, D::Error> {
    let told = serde_json::Value::deserialize(from)?;
    let scenario = Scenario::deserialize(&told).map_err(|error| D::Error::custom(format!("scenario: {error}")))?;
    let whole = serde_json::to_value(&scenario).map_err(D::Error::custom)?;
    match missing(&whole, &told) {
        Some(path) => Err(D::Error::custom(format!("scenario{path} is missing"))),
        None => Ok(scenario),
    }
}

/// The path of the first field of `whole` that `told` has not.
fn missing(whole: &serde_json::Value, told: &serde_json::Value) -> Option<String> {
    let fields = whole.as_object()?;
    fields.iter().find_map(|(name, value)| match told.get(name) {
        Some(told) => missing(value, told).map(|path| format!(".{name}{path}")),
        None => Some(format!(".{name}")),
    })
}

/// What runs a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Real worker and function processes on this machine, against the embedded queue
    Local,
    /// The same policies and the same queue in virtual time: the same seed gives the same bytes
    Simulated,
    /// Targets that are deployed, on AWS or on an emulator of it
    Aws,
}

impl fmt::Display for Engine {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Local => "local",
            Self::Simulated => "simulated",
            Self::Aws => "aws",
        })
    }
}

/// The targets that ran, in the order of [`TargetKind`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Targets(BTreeMap<TargetKind, Target>);

impl Targets {
    /// Every target that ran.
    pub fn iter(&self) -> impl Iterator<Item = (TargetKind, &Target)> {
        self.0.iter().map(|(kind, target)| (*kind, target))
    }

    /// Every target that ran, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (TargetKind, &mut Target)> {
        self.0.iter_mut().map(|(kind, target)| (*kind, target))
    }

    /// One target; `None` if it did not run.
    pub fn get(&self, kind: TargetKind) -> Option<&Target> {
        self.0.get(&kind)
    }

    /// One target, which is made if it is not there.
    pub fn entry(&mut self, kind: TargetKind) -> &mut Target {
        self.0.entry(kind).or_default()
    }

    /// Takes one target out.
    pub fn remove(&mut self, kind: TargetKind) -> Option<Target> {
        self.0.remove(&kind)
    }

    /// Keeps these targets only.
    pub fn retain(&mut self, keep: impl Fn(TargetKind) -> bool) {
        self.0.retain(|kind, _| keep(*kind));
    }
}

impl FromIterator<(TargetKind, Target)> for Targets {
    fn from_iter<T: IntoIterator<Item = (TargetKind, Target)>>(targets: T) -> Self {
        Self(targets.into_iter().collect())
    }
}

impl<const N: usize> From<[(TargetKind, Target); N]> for Targets {
    fn from(targets: [(TargetKind, Target); N]) -> Self {
        Self(targets.into())
    }
}

/// What one target did with the scenario.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// How messages ended.
    pub messages: Messages,
    /// First send to last delete; null if the queue never drained, or if nothing was done.
    pub drain_seconds: Option<f64>,
    /// First send to the moment at which the last pod above the minimum is gone, or the last invocation over; null if it
    /// never came.
    pub floor_seconds: Option<f64>,
    /// True when the idle tail after `drain_seconds` was computed from the policy in virtual time, not waited for.
    pub floor_simulated: bool,
    /// Sent to done (deleted).
    pub latency_seconds: Option<Latency>,
    /// The distribution behind `latency_seconds`: counts by upper bound in seconds, ascending.
    pub latency_histogram: Vec<Bucket>,
    /// How long handlers took, of every attempt that ended: counts by upper bound, like `latency_histogram`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handler_seconds_histogram: Vec<Bucket>,
    /// What a service's own handler did, by its journal; absent where the handler was the one that ships.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Attempts>,
    /// What came in and what was done over time; absent in runs of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<Flow>,
    /// At least one a scenario second.
    pub samples: Vec<Sample>,
    /// Capacity × time of all samples; absent unless some of them were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_seconds: Option<f64>,
    /// Every look of a scaler at the queue, whether it asked for another capacity or not, with what explains it.
    pub decisions: Vec<Decision>,
    /// Highest number of pods, or of concurrent invocations.
    pub peak_capacity: u32,
    /// Messages that one unit of capacity works on at once, and how many it takes at a time.
    pub in_host_concurrency: u32,
    /// SQS requests from the first send to the last delete.
    pub requests: Requests,
    /// What is billed.
    pub usage: Usage,
    /// Highest delay of timers, sends and pod starts on this machine, in scenario seconds: the local engine's error bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead_seconds: Option<f64>,
    /// What the same scenario came to with other luck; absent after a run with one seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Seeds>,
    /// Fields that are null because this engine or target cannot know them, each with the reason.
    pub unavailable: BTreeMap<String, String>,
}

impl Target {
    /// The decisions that asked for another capacity.
    pub fn changes(&self) -> impl Iterator<Item = &Decision> {
        self.decisions.iter().filter(|decision| decision.from != decision.to)
    }

    /// The backlog: messages that could be received, and those that a consumer holds.
    pub fn backlog(sample: &Sample) -> u64 {
        sample.visible.saturating_add(sample.in_flight)
    }
}

/// How messages ended. `sent = done + rejected + lost + unaccounted` when the run has drained.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Messages {
    /// Accepted by the queue.
    pub sent: u64,
    /// Deleted after [`Outcome::Done`](twinscale::Outcome::Done).
    pub done: u64,
    /// Receives that ended in a retry. The first of a FIFO group is tried again in place, which costs none.
    pub retried: Option<u64>,
    /// Moved to the dead-letter queue, by reject or by redrive.
    pub rejected: u64,
    /// Receives of a message beyond those that its retries and give-backs explain.
    pub duplicates: Option<u64>,
    /// Neither done nor in any queue at the end.
    pub lost: Option<u64>,
    /// Not covered by the journal (AWS only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unaccounted: Option<u64>,
}

impl Messages {
    /// Messages that have not met their fate, as far as it is known.
    pub fn open(&self) -> u64 {
        let ended = self.done + self.rejected + self.lost.unwrap_or(0) + self.unaccounted.unwrap_or(0);
        self.sent.saturating_sub(ended)
    }
}

/// Attempts of handlers at messages, by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// All that ended: done, retried or rejected.
    pub handled: u64,
    /// Those that ended in a retry, a panic or the handler's own timeout.
    pub retries: u64,
    /// Those that ended in a reject.
    pub rejects: u64,
}

/// Percentiles of one distribution, in scenario seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
}

/// Sums up the latencies of the messages that were done: percentiles by nearest rank, and the histogram behind them.
///
/// A bucket ends at a whole number of milliseconds with two significant digits, so that it is at most 10 % wide.
pub fn latencies(mut all: Vec<Duration>) -> (Option<Latency>, Vec<Bucket>) {
    all.sort_unstable();
    let Some(max) = all.last() else { return (None, Vec::new()) };
    let at = |percent: usize| all[(all.len() * percent).div_ceil(100).max(1) - 1].as_secs_f64();
    let summary = Latency { p50: at(50), p90: at(90), p95: at(95), p99: at(99), max: max.as_secs_f64() };
    (Some(summary), histogram(all.iter().map(|latency| (*latency, 1))))
}

/// Counts of times by bucket.
pub fn histogram(times: impl IntoIterator<Item = (Duration, u64)>) -> Vec<Bucket> {
    let mut buckets: BTreeMap<u128, u64> = BTreeMap::new();
    for (time, count) in times {
        *buckets.entry(two_digits(time.as_nanos().div_ceil(1_000_000))).or_default() += count;
    }
    buckets.into_iter().map(|(ms, count)| Bucket { le: ms as f64 / 1000.0, count }).collect()
}

/// Rounds up to two significant digits.
fn two_digits(value: u128) -> u128 {
    let step = step(value);
    value.div_ceil(step) * step
}

/// One in the second significant digit.
fn step(value: u128) -> u128 {
    10_u128.pow(value.checked_ilog10().unwrap_or(0).saturating_sub(1))
}

/// The edges of a histogram's buckets, gaps included, and the counts between each and the one before it: what a
/// distribution function is drawn through.
pub fn edges(histogram: &[Bucket]) -> Vec<(Duration, u64)> {
    let mut edges: Vec<(u128, u64)> = Vec::new();
    for bucket in histogram {
        let upper = (bucket.le.max(0.0) * 1000.0).round() as u128;
        // Just below, a power of ten has one digit less: 100 ms ends a bucket that begins at 99 ms.
        let lower = upper.saturating_sub(step(upper.saturating_sub(1)));
        if edges.last().is_none_or(|(before, _)| *before < lower) {
            edges.push((lower, 0));
        }
        edges.push((upper, bucket.count));
    }
    edges.into_iter().map(|(ms, count)| (Duration::from_millis(ms as u64), count)).collect()
}

/// One bucket of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Upper bound, inclusive, in scenario seconds.
    pub le: f64,
    /// Messages in this bucket alone.
    pub count: u64,
}

/// One look at the queue and the capacity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Scenario seconds since the first send.
    pub t: f64,
    /// Messages that could be received.
    pub visible: u64,
    /// Messages that a consumer holds.
    pub in_flight: u64,
    /// Pods that exist, or invocations under way.
    pub capacity: u32,
}

/// One scaling decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Scenario seconds since the first send.
    pub t: f64,
    /// Capacity before.
    pub from: u32,
    /// Capacity asked for.
    pub to: u32,
    /// Who decided.
    pub by: DecidedBy,
    /// The owner's word; null where the engine cannot know.
    pub reason: Option<Reason>,
    /// What was seen and computed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl Decision {
    /// What a scaler decided at that time.
    pub fn at(time: Duration, decided: twinscale_scaling::Decision) -> Self {
        let twinscale_scaling::Decision { by, from, to, reason, detail } = decided;
        Self { t: time.as_secs_f64(), from, to, by: by.into(), reason: Some(reason), detail }
    }

    /// The owner's word, for people.
    pub fn word(&self) -> String {
        self.reason.map_or_else(|| "reason unknown".to_owned(), |reason| reason.to_string())
    }
}

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// Not told: the capacity was seen to change.
    Observed,
    /// A scaler of the target.
    #[serde(untagged)]
    Scaler(Scaler),
}

impl From<Scaler> for DecidedBy {
    fn from(scaler: Scaler) -> Self {
        Self::Scaler(scaler)
    }
}

impl fmt::Display for DecidedBy {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Observed => to.pad("observed"),
            Self::Scaler(scaler) => to.pad(&scaler.to_string()),
        }
    }
}

/// SQS requests by action. A batch call is one request for each 64 KiB of payload that it carries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Requests {
    /// SendMessage and SendMessageBatch.
    pub send: Option<u64>,
    /// Receives that brought a message.
    pub receive: Option<u64>,
    /// Receives that brought none.
    pub empty_receive: Option<u64>,
    /// DeleteMessage and DeleteMessageBatch.
    pub delete: Option<u64>,
    /// ChangeMessageVisibility and its batch.
    pub change_visibility: Option<u64>,
}

#[cfg(test)]
impl Requests {
    /// Of a target that is known to have made none.
    pub(crate) fn none() -> Self {
        Self { send: Some(0), receive: Some(0), empty_receive: Some(0), delete: Some(0), change_visibility: Some(0) }
    }
}

impl Requests {
    /// Send, receive and delete requests per message: `requests per message` in every report.
    pub fn per_message(&self, messages: u64) -> Option<f64> {
        let total = self.send? + self.receive? + self.delete?;
        (messages > 0).then(|| total as f64 / messages as f64)
    }
}

/// What is billed, in scenario time. Null where a target has no such thing, or the engine cannot know it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Seconds of pods that exist, summed, until capacity is back at its minimum.
    pub pod_seconds: Option<f64>,
    /// Billed duration × memory.
    pub gb_seconds: Option<f64>,
    /// Seconds that handlers worked, summed over all attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handler_seconds: Option<f64>,
    /// Invocations of the function.
    pub invocations: Option<u64>,
    /// Execution environments started.
    pub cold_starts: Option<u64>,
    /// Seconds of provisioned pollers, summed.
    #[serde(default)]
    pub poller_seconds: Option<f64>,
    /// Seconds of EC2 instances, summed: of the nodes, or of Lambda Managed Instances, where the scenario has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_seconds: Option<f64>,
    /// GetQueueAttributes calls of KEDA.
    #[serde(default)]
    pub queue_reads: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_latencies_that_occurred_and_buckets_hold_every_message() {
        let (latency, buckets) = latencies((1..=200).rev().map(|n| Duration::from_millis(n * 10)).collect());
        let latency = latency.expect("there are messages");
        assert_eq!([latency.p50, latency.p90, latency.p95, latency.p99, latency.max], [1.0, 1.8, 1.9, 1.98, 2.0]);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), 200);
        assert!(buckets.is_sorted_by(|a, b| a.le < b.le));
        assert_eq!(buckets.last().map(|bucket| bucket.le), Some(2.0));
        assert_eq!(latencies(Vec::new()), (None, Vec::new()));
    }

    #[test]
    fn a_histogram_has_an_edge_on_both_sides_of_every_bucket() {
        let millis = |ms: u64| Duration::from_millis(ms);
        let buckets = histogram([(millis(10), 3), (millis(11), 2), (millis(100), 4), (millis(1210), 1)]);
        let edges = edges(&buckets);
        let expected = [(9, 0), (10, 3), (11, 2), (99, 0), (100, 4), (1200, 0), (1300, 1)];
        assert_eq!(edges, expected.map(|(ms, count)| (millis(ms), count)));
    }
}
