//! Lines of a bill, from a target's usage.

use serde::{Deserialize, Serialize};

use super::{Hosting, Options, Price, Prices};
use crate::run::{Run, Target};
use crate::scenario::Scenario;
use crate::target::TargetKind;

const DAY: f64 = 86_400.0;
const DAYS: f64 = 30.0;
/// A long poll: what an idle consumer asks in.
const POLL: f64 = 20.0;
/// Pollers of an idle mapping in standard mode.
const IDLE_POLLERS: f64 = 2.0;
/// What a node keeps for itself and for the cluster's own pods (an estimate: kubelet, system, daemons).
const ALLOCATABLE: f64 = 0.9;

/// What one target costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bill {
    /// Where the prices hold.
    pub region: String,
    /// When they were read.
    pub prices_date: String,
    /// Thirty days, each with this run in it and idle for the rest.
    pub month: Vec<Line>,
    /// The sum of the month.
    pub month_usd: f64,
    /// The month's sum a million messages done.
    pub usd_per_million: f64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// What is billed.
    pub item: String,
    /// How much in the month.
    pub quantity: f64,
    /// Of what.
    pub unit: String,
    /// USD.
    pub usd: f64,
    /// Where the price was read.
    pub source: String,
}

/// A target's bill; `None` if it did not run, or if the run does not know what it used.
pub fn bill(kind: TargetKind, run: &Run, prices: &Prices) -> Option<Bill> {
    match kind {
        TargetKind::Eks => bill_eks(run, prices),
        TargetKind::Lambda => bill_lambda(run, prices),
    }
}

/// The worker's bill; `None` if the run has no such target, or settings that this version does not know.
fn bill_eks(run: &Run, prices: &Prices) -> Option<Bill> {
    let options = &prices.options;
    let target = run.targets.get(TargetKind::Eks)?;
    target.usage.pod_seconds?;
    let scenario = &run.scenario;
    let days = Days::of(scenario, target, options);
    let minimum = f64::from(scenario.eks.floor());
    let mut lines = Lines { prices, options, lines: Vec::new() };
    lines.pods(&days, minimum);
    lines.add("EKS control plane", DAYS * 24.0 * options.control_plane_share, &prices.eks_control_plane);
    let idle_polls = days.idle * minimum / POLL;
    // The HPA reads too, unless it gets what the operator saw, and never at no replicas.
    let keda = &scenario.eks.keda;
    let poll = keda.polling_interval.as_secs_f64();
    let sync = keda.hpa.sync_period.as_secs_f64();
    let reads_a_second = 1.0 / poll.max(1.0) + if minimum > 0.0 { 1.0 / sync.max(1.0) } else { 0.0 };
    let reads = target.usage.queue_reads.unwrap_or(0) as f64 + days.idle * reads_a_second;
    lines.queue(&days, idle_polls, Some(reads));
    Some(lines.total(&days))
}

/// The function's bill; `None` if the run has no such target, or settings that this version does not know.
fn bill_lambda(run: &Run, prices: &Prices) -> Option<Bill> {
    let options = &prices.options;
    let target = run.targets.get(TargetKind::Lambda)?;
    // Managed Instances are billed by the instance.
    target.usage.gb_seconds.or(target.usage.instance_seconds)?;
    let scenario = &run.scenario;
    let days = Days::of(scenario, target, options);
    let mut lines = Lines { prices, options, lines: Vec::new() };
    let duration = if options.arm { &prices.lambda_arm } else { &prices.lambda_x86 };
    match target.usage.instance_seconds {
        Some(seconds) => lines.managed_instances(&days, seconds),
        None => lines.add("Lambda duration", days.month(target.usage.gb_seconds.unwrap_or(0.0)), duration),
    }
    lines.add("Lambda requests", days.month(target.usage.invocations.unwrap_or(0) as f64), &prices.lambda_requests);
    let provisioned = scenario.lambda.mapping.provisioned.as_ref().map(|pollers| f64::from(pollers.minimum_pollers));
    if let Some(minimum) = provisioned {
        let hours = (target.usage.poller_seconds.unwrap_or(0.0) + days.idle * minimum) / 3600.0;
        lines.add("Provisioned pollers", days.month(hours), &prices.poller);
    }
    let idle_polls = days.idle * provisioned.map_or(IDLE_POLLERS, |pollers| pollers * 10.0) / POLL;
    lines.queue(&days, idle_polls, None);
    Some(lines.total(&days))
}

/// A run, and the idle rest of its day.
struct Days<'a> {
    scenario: &'a Scenario,
    target: &'a Target,
    /// Seconds of a day that the run does not fill.
    idle: f64,
    /// Such days in a month: fewer than 30 when the run is longer than a day.
    a_month: f64,
}

impl<'a> Days<'a> {
    fn of(scenario: &'a Scenario, target: &'a Target, options: &Options) -> Self {
        let last = target.samples.last().map(|sample| sample.t);
        let length = target.floor_seconds.or(target.drain_seconds).or(last).unwrap_or(0.0);
        if options.even_load && length > 0.0 {
            return Self { scenario, target, idle: 0.0, a_month: DAYS * DAY / length };
        }
        Self { scenario, target, idle: (DAY - length).max(0.0), a_month: DAYS * DAY / length.max(DAY) }
    }

    fn month(&self, a_day: f64) -> f64 {
        a_day * self.a_month
    }
}

struct Lines<'a> {
    prices: &'a Prices,
    options: &'a Options,
    lines: Vec<Line>,
}

impl Lines<'_> {
    fn add(&mut self, item: &str, quantity: f64, price: &Price) {
        self.lines.push(Line {
            item: item.to_owned(),
            quantity,
            unit: price.unit.clone(),
            usd: price.of(quantity, self.options.free_tier),
            source: price.source.clone(),
        });
    }

    /// Nodes, or what Lambda's Managed Instances run on, by the hour.
    fn instances(&mut self, item: String, name: &str, hours: f64, discount: f64) -> f64 {
        let Some(instance) = self.prices.instances.get(name) else { return 0.0 };
        let usd = hours * instance.usd_per_hour * (1.0 - discount);
        let source = self.prices.instances_source.clone();
        self.lines.push(Line { item, quantity: hours, unit: "hour".to_owned(), usd, source });
        usd
    }

    /// Lambda Managed Instances: EC2 by the hour, never fewer than three, and Lambda's fee on it.
    fn managed_instances(&mut self, days: &Days<'_>, seconds: f64) {
        let name = self.options.managed_instance.clone();
        let managed = days.scenario.lambda.managed.as_ref();
        let least =
            managed.map_or(0, |managed| managed.min_environments.div_ceil(managed.environments_per_instance.max(1)));
        let minimum = f64::from(least.max(3));
        let hours = days.month((seconds + days.idle * minimum) / 3600.0);
        let usd = self.instances(format!("Managed Instances, {name}"), &name, hours, 0.0);
        self.add("Managed Instances fee", usd, &self.prices.managed_instances_fee);
    }

    /// Pods by themselves on Fargate, or packed on nodes as many as are needed at each moment.
    fn pods(&mut self, days: &Days<'_>, minimum: f64) {
        let pod = &days.scenario.eks.pod;
        let vcpu = pod.cpu_limit;
        let gib = f64::from(pod.memory_mib) / 1024.0;
        let pods = days.target.usage.pod_seconds.unwrap_or(0.0) + days.idle * minimum;
        match &self.options.hosting {
            Hosting::Fargate => {
                // Fargate adds 256 MiB for the kubelet and rounds up to what it sells.
                let (vcpu, gib) = fargate(vcpu, gib + 0.25);
                self.add("Fargate vCPU", days.month(pods * vcpu / 3600.0), &self.prices.fargate_vcpu);
                self.add("Fargate memory", days.month(pods * gib / 3600.0), &self.prices.fargate_memory);
            }
            Hosting::Nodes { instance, spot_discount } => {
                let Some(node) = self.prices.instances.get(instance) else { return };
                let by_cpu = (node.vcpu * ALLOCATABLE / vcpu.max(0.001)).floor();
                let by_memory = (node.memory_gib * ALLOCATABLE / gib.max(0.001)).floor();
                let a_node = by_cpu.min(by_memory).max(1.0);
                let nodes = |pods: f64| (pods / a_node).ceil();
                let pairs = days.target.samples.windows(2);
                let packed = pairs.map(|pair| nodes(pair[0].capacity.into()) * (pair[1].t - pair[0].t));
                // Where the run had nodes of its own, these; otherwise as many as its pods need at each moment.
                let busy = days.target.usage.instance_seconds.unwrap_or_else(|| packed.sum());
                let hours = days.month((busy + days.idle * nodes(minimum)) / 3600.0);
                self.instances(format!("{instance}, {a_node} pods a node"), instance, hours, *spot_discount);
            }
        }
    }

    /// Requests to SQS. Empty receives and what KEDA reads stand by themselves: they are the price of waiting.
    fn queue(&mut self, days: &Days<'_>, idle_polls: f64, keda_reads: Option<f64>) {
        let price = if days.scenario.queue.fifo { &self.prices.sqs_fifo } else { &self.prices.sqs_standard };
        let requests = &days.target.requests;
        let used = [requests.send, requests.receive, requests.delete, requests.change_visibility];
        let used: u64 = used.iter().flatten().sum();
        let empty = requests.empty_receive.unwrap_or(0) as f64 + idle_polls;
        let mut parts = vec![("SQS requests", used as f64), ("SQS empty receives", empty)];
        parts.extend(keda_reads.map(|reads| ("SQS GetQueueAttributes by KEDA", reads)));
        // One free tier for all of them: the lines share it in their order.
        let mut before = 0.0;
        for (item, a_day) in parts {
            let quantity = days.month(a_day);
            let (all, earlier) = (before + quantity, before);
            let free = self.options.free_tier;
            let usd = price.of(all, free) - price.of(earlier, free);
            before = all;
            let (unit, source) = (price.unit.clone(), price.source.clone());
            self.lines.push(Line { item: item.to_owned(), quantity, unit, usd, source });
        }
    }

    fn total(mut self, days: &Days<'_>) -> Bill {
        let done = days.month(days.target.messages.done as f64);
        if self.options.log_bytes > 0.0 {
            self.add("CloudWatch Logs", done * self.options.log_bytes / 1e9, &self.prices.logs);
        }
        let month_usd = self.lines.iter().map(|line| line.usd).sum();
        Bill {
            region: self.prices.region.clone(),
            prices_date: self.prices.date.clone(),
            month: self.lines,
            month_usd,
            usd_per_million: if done > 0.0 { month_usd / done * 1e6 } else { 0.0 },
        }
    }
}

/// What Fargate sells: 0.25 vCPU with 0.5 to 2 GB, then doubling; memory in whole GB.
fn fargate(vcpu: f64, gb: f64) -> (f64, f64) {
    let sizes = [(0.25, 0.5, 2.0), (0.5, 1.0, 4.0), (1.0, 2.0, 8.0), (2.0, 4.0, 16.0), (4.0, 8.0, 30.0)];
    let larger = [(8.0, 16.0, 60.0), (16.0, 32.0, 120.0)];
    let mut all = sizes.into_iter().chain(larger);
    match all.find(|(cpu, _, most)| *cpu >= vcpu && *most >= gb) {
        Some((cpu, least, _)) if gb <= least => (cpu, least),
        Some((cpu, _, _)) => (cpu, gb.ceil()),
        None => (16.0, 120.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_rounded_up_to_what_fargate_sells() {
        let table = [
            ((0.25, 0.5), (0.25, 0.5)),
            ((0.25, 0.75), (0.25, 1.0)),
            ((1.0, 0.5), (1.0, 2.0)),
            ((1.0, 8.25), (2.0, 9.0)),
            ((3.0, 4.0), (4.0, 8.0)),
        ];
        for ((cpu, gb), expected) in table {
            assert_eq!(fargate(cpu, gb), expected, "{cpu} vCPU, {gb} GB");
        }
    }
}
