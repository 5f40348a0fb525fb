//! What kept a target from being faster: the setting that did, with its arithmetic.

use std::fmt;

use twinscale_scaling::event_source::EventSource;

use super::{Cause, Failure, Run};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use crate::written::seconds;

/// Latencies of so many times the work are waiting, and not work.
const WAITED: f64 = 3.0;

/// The setting, or the behaviour, that a target ran into.
#[derive(Clone, Debug, PartialEq)]
pub enum Limit {
    /// As many hosts as are allowed do less than the load asks for.
    Capacity {
        /// What allows no more.
        bound: Bound,
        /// What they do.
        throughput: Throughput,
        /// Messages a second at the load's peak; `None` where all came at once.
        peak: Option<f64>,
    },
    /// The groups of a FIFO queue go one message after the other.
    MessageGroups {
        /// How many there are, and how long a message takes.
        throughput: Throughput,
        /// As above.
        peak: Option<f64>,
    },
    /// The way up took most of the time.
    ScaleUp {
        /// Pods at the highest.
        pods: u32,
        /// When that was reached, in seconds since the first send.
        after: f64,
        /// How long the run took.
        of: f64,
    },
    /// The mapping adds so much a minute.
    Ramp {
        /// Batches at the start.
        start: u32,
        /// Batches more a minute.
        per_minute: u32,
        /// When the highest number of invocations was reached.
        after: f64,
        /// Invocations at the highest.
        invocations: u32,
    },
    /// The function is ended before its work is done.
    Timeout {
        /// The function's timeout.
        timeout: String,
        /// The least that the handler takes.
        handler: String,
    },
}

/// What allows no more hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The ScaledObject's or the ScaledJob's.
    MaxReplicaCount,
    /// `ScalingConfig.MaximumConcurrency`.
    MaximumConcurrency,
    /// `ReservedConcurrentExecutions`.
    ReservedConcurrency,
    /// The account's concurrent executions.
    AccountConcurrency,
    /// `MaximumPollers`, ten batches each.
    MaximumPollers,
    /// What a mapping in standard mode goes up to.
    Mapping,
}

/// `hosts × at_once ÷ seconds`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throughput {
    /// Pods, invocations or message groups.
    pub hosts: u32,
    /// Messages that one works on at once.
    pub at_once: u32,
    /// How long one message takes there.
    pub seconds: f64,
}

impl Throughput {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        f64::from(self.hosts) * f64::from(self.at_once) / self.seconds.max(1e-6)
    }
}

impl Run {
    /// What kept this target from being faster; `None` where nothing that is known did.
    pub fn limit(&self, kind: TargetKind) -> Option<Limit> {
        let target = self.targets.get(kind)?;
        match self.failure(kind) {
            Some(Failure::NothingDone { cause: Some(Cause::Timeout { timeout, handler }), .. }) => {
                return Some(Limit::Timeout { timeout, handler });
            }
            Some(Failure::NothingDone { .. } | Failure::Lost { .. } | Failure::DeadLetters { .. }) => return None,
            Some(Failure::Cut { .. }) | None => {}
        }
        // How long a service's own handler takes stands in no scenario.
        if self.scenario.service.is_some() {
            return None;
        }
        let (bound, throughput) = highest(&self.scenario, kind);
        let peak = self.scenario.load.peak_rate();
        if let Some(groups) = self.scenario.queue.message_groups() {
            let alone = Throughput { hosts: groups, at_once: 1, ..throughput };
            if alone.rate() < throughput.rate() && peak.is_none_or(|peak| peak > alone.rate()) {
                return Some(Limit::MessageGroups { throughput: alone, peak });
            }
        }
        let whole = target.drain_seconds.or(target.samples.last().map(|sample| sample.t))?;
        let top = target.samples.iter().max_by(|a, b| a.capacity.cmp(&b.capacity).then(b.t.total_cmp(&a.t)))?;
        let full = target.peak_capacity >= throughput.hosts;
        if peak.is_none_or(|peak| peak > throughput.rate()) && full && top.t * 2.0 < whole {
            return Some(Limit::Capacity { bound, throughput, peak });
        }
        let pod = &self.scenario.eks.pod;
        let lingers = match kind {
            TargetKind::Eks => (pod.receive_linger + pod.delete_linger).as_secs_f64(),
            TargetKind::Lambda => self.scenario.lambda.mapping.window.as_secs_f64(),
        };
        let normal = WAITED * throughput.seconds + lingers;
        let waited = target.latency_seconds.is_some_and(|latency| latency.p95 > normal);
        if !waited || top.t <= 0.0 {
            return None;
        }
        match kind {
            TargetKind::Eks => Some(Limit::ScaleUp { pods: target.peak_capacity, after: top.t, of: whole }),
            TargetKind::Lambda => {
                let mapping = mapping(&self.scenario);
                let start = mapping.limit();
                let per_minute = mapping.ramp();
                let invocations = target.peak_capacity;
                // A ramp that allowed far more than was used kept nothing from being faster.
                let used = f64::from(invocations) * 2.0 >= ramped(start, per_minute, top.t);
                used.then_some(Limit::Ramp { start, per_minute, after: top.t, invocations })
            }
        }
    }
}

/// Batches that a mapping allows so many seconds after it had messages.
fn ramped(start: u32, per_minute: u32, seconds: f64) -> f64 {
    f64::from(start) + f64::from(per_minute) * seconds / 60.0
}

/// The mapping as it is before the load.
fn mapping(scenario: &Scenario) -> EventSource {
    EventSource::new(scenario.lambda.mapping.clone(), scenario.queue.message_groups(), &scenario.estimates)
}

/// All the hosts that a target may have, and what bounds them.
fn highest(scenario: &Scenario, kind: TargetKind) -> (Bound, Throughput) {
    let wait = scenario.work.wait.mean().as_secs_f64();
    let cpu = scenario.work.cpu.as_secs_f64();
    // Messages that compute share the host's processors, and each has one at most.
    let slot = |at_once: u32, vcpu: f64| (wait + cpu / vcpu.min(1.0)).max(cpu * f64::from(at_once) / vcpu);
    match kind {
        TargetKind::Eks => {
            let pod = &scenario.eks.pod;
            let hosts = match &scenario.eks.job {
                Some(job) => job.max_replica_count.unwrap_or(100),
                None => scenario.eks.keda.max_replica_count,
            };
            let throughput =
                Throughput { hosts, at_once: pod.concurrency, seconds: slot(pod.concurrency, pod.cpu_limit) };
            (Bound::MaxReplicaCount, throughput)
        }
        TargetKind::Lambda => {
            let function = &scenario.lambda;
            let allowed = &function.mapping;
            let mapping = match (allowed.maximum_concurrency, allowed.provisioned) {
                (Some(_), _) => Bound::MaximumConcurrency,
                (None, Some(_)) => Bound::MaximumPollers,
                (None, None) => Bound::Mapping,
            };
            let mut bounds = vec![
                (mapping, self::mapping(scenario).maximum()),
                (Bound::AccountConcurrency, function.account_concurrency),
            ];
            bounds.extend(function.reserved_concurrency.map(|most| (Bound::ReservedConcurrency, most)));
            let least = bounds.into_iter().min_by_key(|(_, most)| *most);
            let (bound, hosts) = least.unwrap_or((Bound::AccountConcurrency, function.account_concurrency));
            let at_once = function.in_host_concurrency.min(allowed.batch_size);
            let vcpu = f64::from(function.memory_mb) / 1769.0;
            (bound, Throughput { hosts, at_once, seconds: slot(at_once, vcpu) })
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::MaxReplicaCount => "maxReplicaCount",
            Self::MaximumConcurrency => "MaximumConcurrency",
            Self::ReservedConcurrency => "ReservedConcurrentExecutions",
            Self::AccountConcurrency => "the account's concurrent executions",
            Self::MaximumPollers => "MaximumPollers",
            Self::Mapping => "what a mapping goes up to",
        })
    }
}

impl Bound {
    fn hosts(self) -> &'static str {
        match self {
            Self::MaxReplicaCount => TargetKind::Eks.units(),
            Self::MaximumConcurrency
            | Self::ReservedConcurrency
            | Self::AccountConcurrency
            | Self::MaximumPollers
            | Self::Mapping => TargetKind::Lambda.units(),
        }
    }
}

/// A number with as many digits as it needs.
fn short(number: f64) -> String {
    if number >= 10.0 { format!("{number:.0}") } else { format!("{}", (number * 100.0).round() / 100.0) }
}

struct Sum<'a>(&'a Throughput, &'static str, Option<f64>);

impl fmt::Display for Sum<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Throughput { hosts, at_once, seconds }, name, peak) = self;
        let rate = short(self.0.rate());
        write!(to, "{hosts} {name} × {at_once} ÷ {} s = {rate} messages/s", short(*seconds))?;
        match peak {
            Some(peak) => write!(to, ", the load peaks at {}", short(*peak)),
            None => to.write_str(", and all messages came at once"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { bound, throughput, peak } => {
                write!(to, "{bound}: {}", Sum(throughput, bound.hosts(), *peak))
            }
            Self::MessageGroups { throughput, peak } => {
                write!(to, "the number of message groups: {}", Sum(throughput, "groups", *peak))
            }
            Self::ScaleUp { pods, after, of } => {
                write!(to, "how fast it scales up: {pods} pods after {} of {}", seconds(*after), seconds(*of))
            }
            Self::Ramp { start, per_minute, after, invocations } => {
                let allowed = ramped(*start, *per_minute, *after);
                write!(
                    to,
                    "the mapping's ramp: {start} + {per_minute} a minute × {} = {allowed:.0} batches, when it peaked at \
                     {invocations} invocations",
                    seconds(*after)
                )
            }
            Self::Timeout { timeout, handler } => {
                write!(to, "the function's timeout: {timeout}, where the handler takes {handler}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate;

    fn limit(text: &str, kind: TargetKind) -> String {
        let scenario: Scenario = toml::from_str(text).expect(text);
        let run = simulate::run(&scenario.checked().expect(text));
        run.limit(kind).map(|limit| limit.to_string()).unwrap_or_default()
    }

    #[test]
    fn the_setting_that_was_in_the_way_is_named_with_its_arithmetic() {
        let steady = "messages = 60000\nload = { shape = 'steady', rate = 500.0 }\nwork = { wait = '400ms' }\n";
        assert_eq!(
            limit(steady, TargetKind::Eks),
            "maxReplicaCount: 15 pods × 10 ÷ 0.4 s = 375 messages/s, the load peaks at 500"
        );
        let few = format!("{steady}[lambda.mapping]\nMaximumConcurrency = 10\n");
        assert_eq!(
            limit(&few, TargetKind::Lambda),
            "MaximumConcurrency: 10 concurrent invocations × 10 ÷ 0.4 s = 250 messages/s, the load peaks at 500"
        );
        let reserved = format!("{steady}[lambda]\nreserved_concurrency = 5\n[lambda.mapping]\nBatchSize = 10\n");
        assert!(limit(&reserved, TargetKind::Lambda).starts_with("ReservedConcurrentExecutions: 5 "));
        let burst = "messages = 20000\n[work]\nwait = '1s'\n[lambda.mapping]\nBatchSize = 1\n";
        assert!(limit(burst, TargetKind::Lambda).starts_with("the mapping's ramp: 5 + 300 a minute × "));
        assert!(limit("messages = 500\n[work]\nwait = '1s'\n", TargetKind::Eks).starts_with("how fast it scales up: "));
        let groups = format!("{steady}[queue]\nfifo = true\ngroups = 20\n");
        assert_eq!(
            limit(&groups, TargetKind::Eks),
            "the number of message groups: 20 groups × 1 ÷ 0.4 s = 50 messages/s, the load peaks at 500"
        );
        let long = "messages = 5\nwork = { wait = '40s' }\n";
        assert_eq!(limit(long, TargetKind::Lambda), "the function's timeout: 30s, where the handler takes 40s");
        // A ramp that was never used up is in nobody's way.
        let late = "messages = 600\nload = { shape = 'steady', rate = 1.0 }\nwork = { wait = 'uniform:100ms-10s' }\n\
                    [lambda.mapping]\nMaximumConcurrency = 2\nBatchSize = 1\n";
        assert!(!limit(late, TargetKind::Lambda).contains("ramp"), "{}", limit(late, TargetKind::Lambda));
        // What keeps up with its load is limited by nothing.
        let calm = "messages = 600\nload = { shape = 'steady', rate = 1.0 }\nwork = { wait = '400ms' }\n";
        assert_eq!(limit(calm, TargetKind::Eks), "");
        assert_eq!(limit(calm, TargetKind::Lambda), "");
    }
}
