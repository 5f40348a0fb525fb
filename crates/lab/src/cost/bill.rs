//! Lines of a bill, from a target's usage.

use serde::{Deserialize, Serialize};

use super::{Hosting, Options, Price, Prices};
use crate::run::{Run, Target};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale::unstable::function::log_bytes;

const DAY: f64 = 86_400.0;
const DAYS: f64 = 30.0;
/// A long poll: what an idle consumer asks in.
const POLL: f64 = 20.0;
/// What Lambda itself logs of an invocation, in JSON: `platform.start` and `platform.report` (an estimate: the fields of its
/// documentation; the function's name is in none of them).
const PLATFORM_LOG_BYTES: f64 = 480.0;
/// Pods that a kubelet takes at most, however little they ask for.
const MOST_PODS: f64 = 110.0;
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
    pub month: Vec<BillLine>,
    /// The sum of the month.
    pub month_usd: f64,
    /// The month's sum a million messages done.
    pub usd_per_million: f64,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BillLine {
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
    /// Why the price may be wrong, where something speaks against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// The line that the cluster costs whatever the queue does.
pub const CONTROL_PLANE: &str = "EKS control plane";

/// A target's bill; `None` if it did not run, if the run does not know all that it used, or if the prices lack its instances:
/// a line that is left out would make the target cheaper without a word.
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
    let pod_seconds = target.usage.pod_seconds?;
    let queue_reads = target.usage.queue_reads? as f64;
    let scenario = &run.scenario;
    let days = Days::of(scenario, target, options)?;
    let minimum = f64::from(scenario.eks.floor());
    let mut lines = Lines { prices, options, lines: Vec::new() };
    lines.pods(&days, pod_seconds, minimum)?;
    let control_plane = if options.extended_support { &prices.eks_extended_support } else { &prices.eks_control_plane };
    lines.add(CONTROL_PLANE, DAYS * 24.0 * options.control_plane_share, control_plane);
    let idle_polls = days.idle * minimum / POLL;
    let idle_reads = days.idle * scenario.eks.idle_reads_a_second(&scenario.estimates);
    lines.queue(&days, idle_polls, Some(queue_reads + idle_reads))?;
    let bytes = days.attempts()? * options.log_bytes;
    lines.logs(days.month(bytes), &prices.logs);
    Some(lines.total(&days))
}

/// The function's bill; `None` if the run has no such target, or settings that this version does not know.
fn bill_lambda(run: &Run, prices: &Prices) -> Option<Bill> {
    let options = &prices.options;
    let target = run.targets.get(TargetKind::Lambda)?;
    let scenario = &run.scenario;
    let days = Days::of(scenario, target, options)?;
    let mut lines = Lines { prices, options, lines: Vec::new() };
    let duration = if options.arm { &prices.lambda_arm } else { &prices.lambda_x86 };
    match target.usage.instance_seconds {
        // Managed Instances are billed by the instance.
        Some(seconds) => lines.managed_instances(&days, seconds)?,
        None => lines.add("Lambda duration", days.month(target.usage.gb_seconds?), duration),
    }
    let invocations = target.usage.invocations?;
    lines.add("Lambda requests", days.month(invocations as f64), &prices.lambda_requests);
    let provisioned = scenario.lambda.mapping.provisioned.as_ref().map(|pollers| f64::from(pollers.minimum_pollers));
    if let Some(minimum) = provisioned {
        let busy = target.usage.poller_seconds?;
        let hours = match options.poller_unit > 1.0 {
            // By the mean of the run: what its peaks add is not known.
            true => {
                let in_units = |pollers: f64| (pollers / options.poller_unit).ceil() * options.poller_unit;
                let length = days.length.max(1.0);
                (in_units(busy / length) * length + in_units(minimum) * days.idle) / 3600.0
            }
            false => (busy + days.idle * minimum) / 3600.0,
        };
        lines.add("Provisioned pollers", days.month(hours), &prices.poller);
    }
    let idle_polls = days.idle * f64::from(scenario.lambda.mapping.idle_pollers()) / POLL;
    lines.queue(&days, idle_polls, None)?;
    let metrics = if options.function_metrics { days.metrics_bytes(invocations)? } else { 0.0 };
    let each = PLATFORM_LOG_BYTES + metrics;
    let bytes = days.attempts()? * options.log_bytes + invocations as f64 * each;
    lines.logs(days.month(bytes), &prices.lambda_logs);
    Some(lines.total(&days))
}

/// A run, and the idle rest of its day.
struct Days<'a> {
    scenario: &'a Scenario,
    target: &'a Target,
    /// Seconds of the run, its way back to the floor included.
    length: f64,
    /// Seconds of a day that the run does not fill.
    idle: f64,
    /// Such days in a month: fewer than 30 when the run is longer than a day.
    a_month: f64,
}

impl<'a> Days<'a> {
    /// `None` for a run that does not know how long it took.
    fn of(scenario: &'a Scenario, target: &'a Target, options: &Options) -> Option<Self> {
        let last = target.samples.last().map(|sample| sample.t);
        let length = target.floor_seconds.or(target.drain_seconds).or(last)?;
        if options.even_load && length > 0.0 {
            return Some(Self { scenario, target, length, idle: 0.0, a_month: DAYS * DAY / length });
        }
        let idle = (DAY - length).max(0.0);
        Some(Self { scenario, target, length, idle, a_month: DAYS * DAY / length.max(DAY) })
    }

    /// Attempts at messages: what is logged per message is logged again for each.
    fn attempts(&self) -> Option<f64> {
        let messages = &self.target.messages;
        Some((messages.done + messages.rejected + messages.retried?) as f64)
    }

    /// What the function's metrics take in the log of a mean invocation.
    fn metrics_bytes(&self, invocations: u64) -> Option<f64> {
        if invocations == 0 {
            return Some(0.0);
        }
        let batch = (self.attempts()? / invocations as f64).max(1.0);
        // Between two sizes of a batch the line grows evenly.
        let below = batch.floor();
        let above = batch.ceil();
        let bytes = |messages: f64| log_bytes(messages as usize) as f64;
        Some(bytes(below) + (bytes(above) - bytes(below)) * (batch - below))
    }

    fn month(&self, a_day: f64) -> f64 {
        a_day * self.a_month
    }
}

struct Lines<'a> {
    prices: &'a Prices,
    options: &'a Options,
    lines: Vec<BillLine>,
}

impl Lines<'_> {
    fn add(&mut self, item: &str, quantity: f64, price: &Price) {
        self.lines.push(BillLine {
            item: item.to_owned(),
            quantity,
            unit: price.unit.clone(),
            usd: price.of(quantity, self.options.free_tier),
            source: price.source.clone(),
            doubt: price.doubt.clone(),
        });
    }

    /// Nodes, or what Lambda's Managed Instances run on, by the hour.
    fn instances(&mut self, item: String, name: &str, hours: f64, discount: f64) -> Option<f64> {
        let instance = self.prices.instances.get(name)?;
        let usd = hours * instance.usd_per_hour * (1.0 - discount);
        let source = self.prices.instances_source.clone();
        self.lines.push(BillLine { item, quantity: hours, unit: "hour".to_owned(), usd, source, doubt: None });
        Some(usd)
    }

    /// Lambda Managed Instances: EC2 by the hour, never fewer than three, and Lambda's fee on it.
    fn managed_instances(&mut self, days: &Days<'_>, seconds: f64) -> Option<()> {
        let name = self.options.managed_instance.clone();
        let managed = days.scenario.lambda.managed.as_ref();
        let least =
            managed.map_or(0, |managed| managed.min_environments.div_ceil(managed.environments_per_instance.max(1)));
        let minimum = f64::from(least.max(3));
        let hours = days.month((seconds + days.idle * minimum) / 3600.0);
        let usd = self.instances(format!("Managed Instances, {name}"), &name, hours, 0.0)?;
        self.add("Managed Instances fee", usd, &self.prices.managed_instances_fee);
        Some(())
    }

    /// Pods by what they request: by themselves on Fargate, or packed on nodes as many as are needed at each moment.
    fn pods(&mut self, days: &Days<'_>, pod_seconds: f64, minimum: f64) -> Option<()> {
        let pod = &days.scenario.eks.pod;
        let vcpu = pod.cpu_request;
        let gib = f64::from(pod.memory_request_mib) / 1024.0;
        let pods = pod_seconds + days.idle * minimum;
        match &self.options.hosting {
            Hosting::Fargate => {
                // Fargate adds 256 MiB for the kubelet and rounds up to what it sells.
                let (vcpu, gib) = fargate(vcpu, gib + 0.25);
                self.add("Fargate vCPU", days.month(pods * vcpu / 3600.0), &self.prices.fargate_vcpu);
                self.add("Fargate memory", days.month(pods * gib / 3600.0), &self.prices.fargate_memory);
            }
            Hosting::Nodes { instance, spot_discount } => {
                let node = self.prices.instances.get(instance)?;
                let by_cpu = (node.vcpu * ALLOCATABLE / vcpu.max(0.001)).floor();
                let by_memory = (node.memory_gib * ALLOCATABLE / gib.max(0.001)).floor();
                let by_request = by_cpu.min(by_memory).clamp(1.0, MOST_PODS);
                // Where the scenario has nodes of its own, it says how many pods one holds.
                let own = days.scenario.eks.nodes.as_ref().map(|nodes| f64::from(nodes.pods_per_node));
                let a_node = own.unwrap_or(by_request);
                let nodes = |pods: f64| (pods / a_node).ceil();
                let pairs = days.target.samples.windows(2);
                let packed = pairs.map(|pair| nodes(pair[0].capacity.into()) * (pair[1].t - pair[0].t));
                // Where the run had nodes of its own, these; otherwise as many as its pods need at each moment.
                let busy = days.target.usage.instance_seconds.unwrap_or_else(|| packed.sum());
                let hours = days.month((busy + days.idle * nodes(minimum)) / 3600.0);
                self.instances(format!("{instance}, {a_node} pods a node"), instance, hours, *spot_discount)?;
                if self.options.auto_mode {
                    // The fee is on the price on demand, whatever Spot takes off.
                    self.add("EKS Auto Mode", hours * node.usd_per_hour, &self.prices.eks_auto_mode);
                }
            }
        }
        Some(())
    }

    /// Requests to SQS. Empty receives and what KEDA reads stand by themselves: they are the price of waiting.
    fn queue(&mut self, days: &Days<'_>, idle_polls: f64, keda_reads: Option<f64>) -> Option<()> {
        let price = if days.scenario.queue.fifo { &self.prices.sqs_fifo } else { &self.prices.sqs_standard };
        let requests = &days.target.requests;
        let used = requests.send? + requests.receive? + requests.delete? + requests.change_visibility?;
        let empty = requests.empty_receive? as f64 + idle_polls;
        let mut parts = vec![("SQS requests", used as f64), ("SQS empty receives", empty)];
        parts.extend(keda_reads.map(|reads| ("SQS GetQueueAttributes by KEDA", reads)));
        // One free tier for all of them: the lines share it in their order.
        let mut before = 0.0;
        for (item, a_day) in parts {
            let quantity = days.month(a_day);
            let earlier = price.of(before, self.options.free_tier);
            before += quantity;
            self.lines.push(BillLine {
                item: item.to_owned(),
                quantity,
                unit: price.unit.clone(),
                usd: price.of(before, self.options.free_tier) - earlier,
                source: price.source.clone(),
                doubt: price.doubt.clone(),
            });
        }
        if self.options.fair_queue && !days.scenario.queue.fifo {
            self.add("SQS fair queue", before, &self.prices.sqs_fair);
        }
        Some(())
    }

    /// Logs of a month, in bytes.
    fn logs(&mut self, bytes: f64, price: &Price) {
        if bytes > 0.0 {
            self.add("CloudWatch Logs", bytes / 1e9, price);
        }
    }

    fn total(mut self, days: &Days<'_>) -> Bill {
        let done = days.month(days.target.messages.done as f64);
        if self.options.dashboards > 0.0 {
            self.add("CloudWatch dashboard", self.options.dashboards, &self.prices.dashboard);
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
