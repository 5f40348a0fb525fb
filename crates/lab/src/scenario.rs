//! One workload and both targets, as resolved: every setting that an engine needs, defaults included.
//!
//! A scenario is a TOML file; what it leaves out is the `default` scenario's, whose scaling numbers are read from the
//! manifests that this project deploys.

use std::sync::LazyLock;
use std::time::Duration;

use crate::manifests::{self, Given, Manifest};
use serde::{Deserialize, Serialize};

use crate::scenario::load::{Arrivals, Load};
use twinscale::{Backoff, FunctionConfig, WorkerConfig};
use twinscale_scaling::estimates::Estimates;
use twinscale_scaling::{event_source, keda, scaled_job};
use twinscale_work::{Empirical, Wait, Work, duration_text, mix, unit};

mod draft;
pub mod load;
mod managed;
mod nodes;
pub(crate) mod recorded;
mod service;

pub use draft::Draft;
pub use managed::Managed;
pub use nodes::{Nodes, Provisioner};
pub use service::Service;

/// One workload and both targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// What reports call it; a file that does not say is called by its own name.
    #[serde(default)]
    pub name: String,
    /// Seed of all chance: work, outcomes, arrivals, delays.
    pub seed: u64,
    /// Messages sent in all. A file may leave it to a load that has a length of its own.
    pub messages: u64,
    /// Bytes of a message's body; 36 is a UUID's, and the least.
    pub body_bytes: u64,
    /// When they are sent.
    pub load: Load,
    /// What a message costs, and how often it fails.
    pub work: Work,
    /// A service of one's own, which then does the work; only the local engine runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
    /// The queue that both targets have, each its own.
    pub queue: Queue,
    /// The worker on EKS.
    pub eks: Eks,
    /// The function on Lambda.
    pub lambda: Lambda,
    /// What is not published about the scalers: values from their ranges.
    #[serde(skip_serializing_if = "is_default")]
    pub estimates: Estimates,
    /// A run that has not drained by then ends, and has no bill and no winner. What leaves it out gets as long as its load
    /// and its work take.
    #[serde(with = "duration_text")]
    pub limit: Duration,
}

fn is_default(estimates: &Estimates) -> bool {
    *estimates == Estimates::default()
}

/// The scenarios that come with the program.
const BUILT_IN: &[(&str, &str)] = &[
    ("article", include_str!("../assets/scenarios/article.toml")),
    ("default", include_str!("../assets/scenarios/default.toml")),
    ("burst", include_str!("../assets/scenarios/burst.toml")),
    ("ramp", include_str!("../assets/scenarios/ramp.toml")),
    ("onoff", include_str!("../assets/scenarios/onoff.toml")),
    ("day", include_str!("../assets/scenarios/day.toml")),
    ("long", include_str!("../assets/scenarios/long.toml")),
    ("failures", include_str!("../assets/scenarios/failures.toml")),
    ("fifo", include_str!("../assets/scenarios/fifo.toml")),
];

/// Why there is no scenario to run.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The name is none of ours, and no file either.
    #[error("there is no scenario '{name}': write one of {known}, or the path of a TOML file ({error})")]
    Unknown {
        /// As asked for.
        name: String,
        /// The built-in names.
        known: String,
        /// Why it could not be read as a file.
        error: std::io::Error,
    },
    /// The file is no scenario; the error gives line and field.
    #[error("scenario '{name}': {error}")]
    Malformed {
        /// Name or path.
        name: String,
        /// Where, and what was expected.
        error: Box<toml::de::Error>,
    },
    /// The recorded load cannot be read.
    #[error("{file}{}: {what}", .line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Recorded {
        /// Path of the CSV.
        file: String,
        /// Where, counted from 1.
        line: Option<usize>,
        /// What is wrong, and what to write instead.
        what: String,
    },
    /// The settings contradict each other or are out of range.
    #[error("scenario '{name}':\n{}", .mistakes.iter().map(|(field, what)| format!("  {field}: {what}")).collect::<Vec<_>>().join("\n"))]
    Mistaken {
        /// Name or path.
        name: String,
        /// Field and what to write instead.
        mistakes: Vec<(String, String)>,
    },
}

impl Scenario {
    /// Reads a built-in scenario by name, or a file by path, as [`Draft`] does, with what follows from its load. Check it
    /// with [`Scenario::checked`].
    ///
    /// # Errors
    /// Neither such a name nor a readable file, or a file that is no scenario.
    pub fn read(name: &str) -> Result<Self, ScenarioError> {
        Ok(Draft::read(name)?.filled())
    }

    /// Settings of this scenario that only the simulated engine follows, each with what the others do instead.
    pub fn only_simulated(&self) -> Vec<(&'static str, &'static str)> {
        let lambda = &self.lambda;
        let all = [
            (self.eks.nodes.is_some(), "eks.nodes", "pods start after eks.pod.start_delay, whatever the nodes are"),
            (lambda.reserved_concurrency.is_some(), "lambda.reserved_concurrency", "nothing is throttled"),
            (lambda.account_concurrency != 1000, "lambda.account_concurrency", "nothing is throttled"),
            (!lambda.deploy_every.is_zero(), "lambda.deploy_every", "nothing is deployed during the run"),
            (!lambda.low_traffic_wait.is_zero(), "lambda.low_traffic_wait", "a batch waits as long as its window"),
            (self.eks.job.is_some(), "eks.job", "the ScaledObject of eks.keda scales pods that stay"),
            (self.work.throw_share > 0.0, "work.throw_share", "what a handler throws fails its message alone"),
            (lambda.managed.is_some(), "lambda.managed", "an environment takes one invocation at a time"),
        ];
        all.into_iter().filter_map(|(set, field, instead)| set.then_some((field, instead))).collect()
    }

    /// When messages are sent, in order of time: the same for the same seed.
    pub fn arrivals(&self) -> Arrivals<'_> {
        // Any number serves that tells this chance from the chance of the work, which has the same seed.
        let seed = mix(self.seed ^ 0x6c6f_6164);
        let mut n = 0_u64;
        self.load.arrivals(self.messages, move || {
            n += 1;
            unit(mix(seed ^ n))
        })
    }

    /// Where KEDA's polls and the HPA's syncs stand when the load begins: the same for the same seed.
    pub fn phases(&self) -> keda::Phases {
        // Any numbers serve, as with the arrivals.
        let phase = |loop_of: u64| unit(mix(self.seed ^ loop_of));
        keda::Phases { poll: phase(0x706f_6c6c), sync: phase(0x7379_6e63) }
    }

    /// From a message's receive by a poller of the mapping to the function's start.
    pub fn delivery(&self) -> Wait {
        let estimates = &self.estimates;
        let (p50, p90, p99) = if self.queue.fifo {
            let p50 = estimates.delivery_fifo_p50_seconds;
            let p99 = estimates.delivery_fifo_p99_seconds;
            // Not published: on the straight line of the logarithms.
            (p50, p50 * libm::pow(p99 / p50, 0.41), p99)
        } else {
            (estimates.delivery_p50_seconds, estimates.delivery_p90_seconds, estimates.delivery_p99_seconds)
        };
        // The fastest are taken to be half the median, the slowest double the last that is published.
        let shares = [(p50 / 2.0, 0), (p50, 500), (p90, 400), (p99, 90), (p99 * 2.0, 10)];
        let points = shares.map(|(seconds, of_a_thousand)| (Duration::from_secs_f64(seconds), of_a_thousand));
        Empirical::of(points).map_or(Wait::Constant(Duration::from_secs_f64(p50)), Wait::Empirical)
    }

    /// The same with other luck: the seed `n` further on.
    pub fn with_luck(&self, n: u64) -> Self {
        let mut scenario = self.clone();
        scenario.seed = self.seed.wrapping_add(n);
        scenario.work.seed = scenario.seed;
        scenario
    }

    /// Refuses what cannot run, naming every field that is wrong, and gives the work the scenario's seed.
    ///
    /// # Errors
    /// [`ScenarioError::Mistaken`].
    pub fn checked(mut self) -> Result<Self, ScenarioError> {
        self.work.seed = self.seed;
        let mistakes = self.mistakes();
        if mistakes.is_empty() { Ok(self) } else { Err(ScenarioError::Mistaken { name: self.name, mistakes }) }
    }

    fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        let mut within = |room: &str, found: Vec<(&'static str, String)>| {
            mistakes.extend(found.into_iter().map(|(field, what)| (format!("{room}{field}"), what)));
        };
        within("load.", self.load.mistakes());
        within("work.", self.work.mistakes());
        within("service.", self.service.iter().flat_map(Service::mistakes).collect());
        within("eks.keda.", self.eks.keda.mistakes());
        within("estimates.", self.estimates.mistakes());
        within("eks.metric_outages.", self.eks.metric_outages.iter().flat_map(Outage::mistakes).collect());
        within("lambda.mapping.", self.lambda.mapping.mistakes());
        within("eks.job.", self.eks.job.iter().flat_map(scaled_job::ScaledJobSettings::mistakes).collect());
        let floor = self.eks.floor();
        within("eks.nodes.", self.eks.nodes.iter().flat_map(|nodes| nodes.mistakes(floor)).collect());
        let memory = self.lambda.memory_mb;
        within("lambda.managed.", self.lambda.managed.iter().flat_map(|managed| managed.mistakes(memory)).collect());
        let pod = &self.eks.pod;
        let reserved = f64::from(self.lambda.reserved_concurrency.unwrap_or(1));
        let ranges: &[(&'static str, f64, f64, f64)] = &[
            ("messages", self.messages as f64, 1.0, 1e12),
            ("body_bytes", self.body_bytes as f64, 36.0, 1_048_576.0),
            ("limit", self.limit.as_secs_f64(), 1.0, 366.0 * 86_400.0),
            ("queue.groups", f64::from(self.queue.groups), 1.0, 1e6),
            ("queue.visibility_timeout", self.queue.visibility_timeout.as_secs_f64(), 1.0, 43_200.0),
            ("queue.max_receive_count", f64::from(self.queue.max_receive_count), 1.0, 1000.0),
            ("queue.retention", self.queue.retention.as_secs_f64(), 60.0, 14.0 * 86_400.0),
            ("eks.pod.concurrency", f64::from(pod.concurrency), 1.0, 10_000.0),
            ("eks.pod.prefetch", f64::from(pod.prefetch), 0.0, 10_000.0),
            ("eks.pod.receive_min_room", f64::from(pod.receive_min_room), 1.0, 10.0),
            ("eks.pod.wait_time", pod.wait_time.as_secs_f64(), 0.0, 20.0),
            ("eks.pod.cpu_limit", pod.cpu_limit, 0.001, 1024.0),
            ("eks.pod.cpu_request", pod.cpu_request, 0.0, 1024.0),
            ("eks.pod.backoff_base", pod.backoff_base.as_secs_f64(), 0.0, pod.backoff_max.as_secs_f64().min(43_200.0)),
            ("eks.pod.backoff_max", pod.backoff_max.as_secs_f64(), 0.0, 43_200.0),
            (
                "lambda.backoff_base",
                self.lambda.backoff_base.as_secs_f64(),
                0.0,
                self.lambda.backoff_max.as_secs_f64().min(43_200.0),
            ),
            ("lambda.backoff_max", self.lambda.backoff_max.as_secs_f64(), 0.0, 43_200.0),
            ("lambda.memory_mb", f64::from(self.lambda.memory_mb), 128.0, 32_768.0),
            ("lambda.timeout", self.lambda.timeout.as_secs_f64(), 1.0, 900.0),
            ("lambda.visibility_timeout", self.lambda.visibility_timeout.as_secs_f64(), 1.0, 43_200.0),
            // A reservation must leave 100 executions to the rest of the account.
            (
                "lambda.reserved_concurrency",
                reserved,
                1.0,
                (f64::from(self.lambda.account_concurrency) - 100.0).max(1.0),
            ),
            ("lambda.account_concurrency", f64::from(self.lambda.account_concurrency), 1.0, 1e6),
            ("lambda.low_traffic_wait", self.lambda.low_traffic_wait.as_secs_f64(), 0.0, 20.0),
            ("lambda.in_host_concurrency", f64::from(self.lambda.in_host_concurrency), 1.0, 10_000.0),
        ];
        for (field, value, least, most) in ranges {
            if !(*least..=*most).contains(value) {
                within("", vec![(*field, format!("{value}: write {least} to {most}"))]);
            }
        }
        if let Some(recorded) = self.load.recorded_messages().filter(|recorded| *recorded < self.messages) {
            let advice = format!("{}: the recorded load has only {recorded}", self.messages);
            within("", vec![("messages", advice)]);
        }
        if (1..1000).contains(&self.lambda.deploy_every.as_millis()) {
            within("", vec![("lambda.deploy_every", "write 1s or more, or 0s for none".to_owned())]);
        }
        if self.queue.fifo && self.lambda.mapping.batch_size > 10 {
            within("", vec![("lambda.mapping.BatchSize", "a FIFO queue allows 10".to_owned())]);
        }
        mistakes
    }
}

/// The queue's attributes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// A FIFO queue: messages are spread over `groups`.
    pub fifo: bool,
    /// Message groups of a FIFO queue.
    pub groups: u32,
    /// `VisibilityTimeout` of the worker's queue.
    #[serde(with = "duration_text")]
    pub visibility_timeout: Duration,
    /// `maxReceiveCount` of the redrive policy.
    pub max_receive_count: u32,
    /// `MessageRetentionPeriod`.
    #[serde(with = "duration_text")]
    pub retention: Duration,
    /// How old the counts are that scaling sees: on AWS up to a minute and more, in the embedded queue none.
    #[serde(with = "duration_text")]
    pub counts_staleness: Duration,
}

impl Queue {
    /// Message groups, if it is a FIFO queue.
    pub fn message_groups(&self) -> Option<u32> {
        self.fifo.then_some(self.groups)
    }
}

/// The worker and what scales it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Eks {
    /// The ScaledObject, and the HPA that KEDA makes of it.
    pub keda: keda::ScaledObjectSettings,
    /// A ScaledJob, in place of the ScaledObject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<scaled_job::ScaledJobSettings>,
    /// When the queue's counts cannot be read: KEDA then does what its `fallback` says. Messages come and go meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metric_outages: Vec<Outage>,
    /// One pod.
    pub pod: Pod,
    /// The nodes that pods stand on; without them there is always room for one more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Nodes>,
}

/// A time in which GetQueueAttributes fails for the scaler: a permission taken away, a throttle, an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// Its begin, from the start of the run.
    #[serde(with = "duration_text")]
    pub from: Duration,
    /// Its end.
    #[serde(with = "duration_text")]
    pub until: Duration,
}

impl Outage {
    fn mistakes(&self) -> Vec<(&'static str, String)> {
        let reversed = self.from >= self.until;
        reversed.then(|| ("until", "write a time after from".to_owned())).into_iter().collect()
    }
}

impl Eks {
    /// Whether the scaler can read the queue's counts at that time.
    pub fn metric_is_readable(&self, now: Duration) -> bool {
        !self.metric_outages.iter().any(|outage| (outage.from..outage.until).contains(&now))
    }

    /// GetQueueAttributes calls a second while there is nothing to do.
    pub fn idle_reads_a_second(&self, estimates: &Estimates) -> f64 {
        match &self.job {
            Some(job) => job.triggers.len() as f64 / job.polling_interval.as_secs_f64(),
            None => self.keda.idle_reads_a_second(self.floor(), estimates),
        }
    }

    /// Pods while there is nothing to do.
    pub fn floor(&self) -> u32 {
        match &self.job {
            Some(job) => job.min_replica_count,
            None => self.keda.idle_replica_count.unwrap_or(self.keda.min_replica_count),
        }
    }
}

/// One pod: the worker's settings (as in its environment) and its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pod {
    /// `CONCURRENCY`: messages worked on at once.
    pub concurrency: u32,
    /// `PREFETCH`: messages held beyond that.
    pub prefetch: u32,
    /// `RECEIVE_MIN_ROOM`.
    pub receive_min_room: u32,
    /// `RECEIVE_LINGER_MS`.
    #[serde(with = "duration_text")]
    pub receive_linger: Duration,
    /// `WAIT_TIME_SECS`.
    #[serde(with = "duration_text")]
    pub wait_time: Duration,
    /// `EXIT_WHEN_IDLE_SECS`: a job's pod ends at the first empty answer that comes this long after its last message.
    #[serde(with = "duration_text")]
    pub exit_when_idle: Duration,
    /// `DELETE_LINGER_MS`.
    #[serde(with = "duration_text")]
    pub delete_linger: Duration,
    /// `BACKOFF_BASE_SECS`, in whole seconds: a retry waits between 0 and min(max, base x 2^(attempt - 1)).
    #[serde(with = "duration_text")]
    pub backoff_base: Duration,
    /// `BACKOFF_MAX_SECS`.
    #[serde(with = "duration_text")]
    pub backoff_max: Duration,
    /// `DRAIN_BUDGET_MS`.
    #[serde(with = "duration_text")]
    pub drain_budget: Duration,
    /// `terminationGracePeriodSeconds`: SIGKILL comes this long after SIGTERM.
    #[serde(with = "duration_text")]
    pub grace_period: Duration,
    /// `resources.limits.cpu`, in vCPUs.
    pub cpu_limit: f64,
    /// `resources.limits.memory`, in MiB.
    pub memory_mib: u32,
    /// `resources.requests.cpu` of all containers, in vCPUs: what is packed and paid.
    pub cpu_request: f64,
    /// `resources.requests.memory` of all containers, in MiB, likewise.
    pub memory_request_mib: u32,
    /// From the decision to a ready pod, on a node that is there and has the image (1 to 3 s: Kubernetes' own objective
    /// is 5 s at the 99th percentile). What nodes and images add is in [`Nodes`].
    pub start_delay: Wait,
}

/// The function and what invokes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lambda {
    /// The event source mapping.
    pub mapping: event_source::MappingSettings,
    /// Memory in MB; 1,769 MB is one vCPU.
    pub memory_mb: u32,
    /// The function's timeout.
    #[serde(with = "duration_text")]
    pub timeout: Duration,
    /// `VisibilityTimeout` of the function's queue: at least six times its timeout.
    #[serde(with = "duration_text")]
    pub visibility_timeout: Duration,
    /// `FUNCTION_CONCURRENCY`: messages of a batch worked on at once.
    pub in_host_concurrency: u32,
    /// `BACKOFF_BASE_SECS`, in whole seconds: a retry waits between 0 and min(max, base x 2^(attempt - 1)).
    #[serde(with = "duration_text")]
    pub backoff_base: Duration,
    /// `BACKOFF_MAX_SECS`.
    #[serde(with = "duration_text")]
    pub backoff_max: Duration,
    /// `DEADLINE_MARGIN_MS`.
    #[serde(with = "duration_text")]
    pub deadline_margin: Duration,
    /// Sandbox placement and code download before the process starts.
    #[serde(with = "duration_text")]
    pub placement: Duration,
    /// Initialisation of the process (facts: 14 ms); the local engine measures its own.
    #[serde(with = "duration_text")]
    pub init: Duration,
    /// How long an idle execution environment is kept; AWS does not say.
    #[serde(with = "duration_text")]
    pub idle_reclaim: Duration,
    /// `ReservedConcurrentExecutions`: invocations beyond it are throttled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved_concurrency: Option<u32>,
    /// Concurrent executions of the account in this region, all for this function (1,000).
    pub account_concurrency: u32,
    /// A deployment so often: it starts every environment anew (0: none).
    #[serde(with = "duration_text")]
    pub deploy_every: Duration,
    /// With a batching window and low traffic, how long a batch may wait even if the window is shorter: AWS says up to
    /// 20 s (0: no longer than the window).
    #[serde(with = "duration_text")]
    pub low_traffic_wait: Duration,
    /// The function runs on Managed Instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed: Option<Managed>,
}

impl Pod {
    /// How long retries wait.
    pub fn backoff(&self) -> Backoff {
        Backoff { base: self.backoff_base, max: self.backoff_max }
    }
}

impl Lambda {
    /// How long retries wait.
    pub fn backoff(&self) -> Backoff {
        Backoff { base: self.backoff_base, max: self.backoff_max }
    }
}

impl Default for Scenario {
    /// What this project deploys, with the article's workload.
    fn default() -> Self {
        DEPLOYED.clone()
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            fifo: false,
            groups: 10,
            visibility_timeout: Duration::from_secs(180),
            max_receive_count: 10,
            retention: Duration::from_secs(345_600),
            counts_staleness: Duration::ZERO,
        }
    }
}

impl Default for Eks {
    /// What this project deploys.
    fn default() -> Self {
        DEPLOYED.eks.clone()
    }
}

impl Default for Pod {
    /// What this project deploys.
    fn default() -> Self {
        DEPLOYED.eks.pod.clone()
    }
}

impl Pod {
    /// A pod of a Deployment that says nothing: the worker's own defaults.
    pub(crate) fn unset() -> Self {
        let worker = WorkerConfig::default();
        let backoff = Backoff::default();
        let count = |places: usize| u32::try_from(places).expect("a default of this project");
        Self {
            concurrency: count(worker.concurrency),
            // A worker that chooses by itself holds nothing while its handlers take longer than a receive.
            prefetch: worker.prefetch.map_or(0, count),
            receive_min_room: count(worker.receive_min_room),
            receive_linger: worker.receive_linger,
            wait_time: worker.wait_time,
            exit_when_idle: Duration::from_secs(30),
            delete_linger: worker.delete_linger,
            backoff_base: backoff.base,
            backoff_max: backoff.max,
            drain_budget: worker.drain_budget,
            grace_period: Duration::from_secs(60),
            cpu_limit: 1.0,
            memory_mib: 256,
            cpu_request: 1.0,
            memory_request_mib: 256,
            start_delay: Wait::Constant(Duration::from_secs(2)),
        }
    }
}

impl Default for Lambda {
    /// What this project deploys.
    fn default() -> Self {
        DEPLOYED.lambda.clone()
    }
}

/// The manifests that this project deploys, read once: the scaling numbers are not typed twice.
static DEPLOYED: LazyLock<Scenario> = LazyLock::new(|| {
    let function = FunctionConfig::default();
    let mut scenario = Scenario {
        name: "default".to_owned(),
        seed: 1,
        messages: 1000,
        body_bytes: 36,
        load: Load::default(),
        work: Work::default(),
        service: None,
        queue: Queue::default(),
        eks: Eks {
            keda: keda::ScaledObjectSettings::default(),
            job: None,
            metric_outages: Vec::new(),
            pod: Pod::unset(),
            nodes: None,
        },
        lambda: Lambda {
            mapping: event_source::MappingSettings::default(),
            memory_mb: 128,
            timeout: Duration::from_secs(3),
            visibility_timeout: Duration::from_secs(30),
            in_host_concurrency: u32::try_from(function.concurrency).expect("a default of this project"),
            backoff_base: Backoff::default().base,
            backoff_max: Backoff::default().max,
            deadline_margin: function.deadline_margin,
            placement: Duration::from_millis(100),
            init: Duration::from_millis(14),
            idle_reclaim: Duration::from_secs(600),
            reserved_concurrency: None,
            account_concurrency: 1000,
            deploy_every: Duration::ZERO,
            low_traffic_wait: Duration::ZERO,
            managed: None,
        },
        estimates: Estimates::default(),
        limit: Duration::from_secs(3600),
    };
    for kind in [Manifest::ScaledObject, Manifest::Deployment, Manifest::Template] {
        let (file, text) = manifests::deployed(kind);
        let read = scenario.take_manifest(kind, file, text, &Given::default());
        // Compiled in, and read by a test: this can only fail for whoever has just edited the file.
        read.unwrap_or_else(|error| panic!("this project's own manifest cannot be read: {error}"));
    }
    scenario
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_can_run() {
        for (name, _) in BUILT_IN {
            let scenario = Scenario::read(name).expect(name).checked().expect(name);
            assert_eq!(scenario.name, *name);
        }
    }

    #[test]
    fn the_default_is_what_this_project_deploys() {
        let Scenario { eks, lambda, queue, .. } = Scenario::read("default").expect("default");
        assert_eq!((eks.keda.min_replica_count, eks.keda.max_replica_count), (1, 15));
        assert_eq!((eks.keda.triggers[0].queue_length, eks.pod.concurrency), (10, 10));
        assert!(eks.keda.hpa.behavior.is_some());
        assert!(lambda.mapping.report_batch_item_failures);
        assert_eq!((lambda.memory_mb, lambda.timeout.as_secs()), (512, 30));
        assert_eq!((lambda.visibility_timeout.as_secs(), queue.max_receive_count), (180, 10));
    }

    #[test]
    fn our_own_manifests_hold_nothing_that_the_model_does_not_cover() {
        let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/assets"));
        for (kind, file) in [
            (Manifest::ScaledObject, "eks/base/scaledobject.yaml"),
            (Manifest::Deployment, "eks/base/deployment.yaml"),
            (Manifest::Template, "sam/template.yaml"),
        ] {
            let mut warnings =
                Scenario::default().read_manifest(kind, &root.join(file), &Given::default()).expect(file);
            // kustomize makes these maps; the settings that the model has stand in the Deployment itself.
            warnings.retain(|warning| !warning.contains("envFrom: the ConfigMap"));
            assert_eq!(warnings, [""; 0], "{file}");
        }
    }

    #[test]
    fn a_scenario_is_written_as_it_is_read() {
        let scenario = Scenario::read("article").expect("article");
        let text = toml::to_string(&scenario).expect("a scenario is TOML");
        assert_eq!(toml::from_str::<Scenario>(&text).expect("reads"), scenario);
    }

    #[test]
    fn a_bad_scenario_names_its_field() {
        let refused = |text: &str| {
            let scenario = toml::from_str::<Scenario>(text).map_err(|e| e.to_string());
            scenario.and_then(|s| s.checked().map_err(|e| e.to_string())).expect_err(text)
        };
        for (text, named) in [
            ("mesages = 5", "mesages"),
            ("messages = 0", "messages: 0: write 1"),
            ("messages = -5", "messages"),
            ("[work]\nwait = 'soon'", "write constant:10ms"),
            ("[work]\nretry_share = nan", "work.retry_share"),
            ("[eks.keda]\nminReplicaCount = 9\nmaxReplicaCount = 2", "eks.keda.minReplicaCount"),
            ("[eks.pod]\nconcurrency = 0", "eks.pod.concurrency"),
            ("[lambda.mapping]\nBatchSize = 100", "lambda.mapping.MaximumBatchingWindowInSeconds"),
            ("[queue]\nvisibility_timeout = '13h'", "queue.visibility_timeout"),
        ] {
            let error = refused(text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
