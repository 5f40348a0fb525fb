//! The bill: what a run's usage costs, line by line, for the run and for a month of such days. Pure: (run, prices) -> bill.

mod bill;
pub mod offers;
pub mod prices;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use bill::{Bill, BillLine, CONTROL_PLANE, bill};

/// The prices of one region, each with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The region, as AWS names it.
    pub region: String,
    /// When the newest of them was read.
    pub date: String,
    /// A request of a standard queue.
    pub sqs_standard: Price,
    /// What a fair queue adds to a request of a standard queue.
    pub sqs_fair: Price,
    /// A request of a FIFO queue.
    pub sqs_fifo: Price,
    /// A GB-second on x86.
    pub lambda_x86: Price,
    /// A GB-second on arm.
    pub lambda_arm: Price,
    /// An invocation.
    pub lambda_requests: Price,
    /// An hour of a provisioned poller.
    pub poller: Price,
    /// An hour of an EKS control plane.
    pub eks_control_plane: Price,
    /// The same, of a version of Kubernetes that is in extended support.
    pub eks_extended_support: Price,
    /// Auto Mode's fee on a USD of nodes.
    pub eks_auto_mode: Price,
    /// A vCPU-hour on Fargate.
    pub fargate_vcpu: Price,
    /// A GB-hour on Fargate.
    pub fargate_memory: Price,
    /// A GB of logs taken in.
    pub logs: Price,
    /// A GB of a function's logs taken in.
    pub lambda_logs: Price,
    /// A dashboard of CloudWatch, a month.
    pub dashboard: Price,
    /// Lambda's fee on a USD of Managed Instances.
    pub managed_instances_fee: Price,
    /// On-demand nodes.
    pub instances: BTreeMap<String, Instance>,
    /// Where `instances` were read.
    pub instances_source: String,
    /// How a bill is made of them; flags win over a file's.
    #[serde(default)]
    pub options: Options,
}

/// The price of one thing, which may fall with the quantity of a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// What is counted.
    pub unit: String,
    /// So many a month cost nothing.
    #[serde(default)]
    pub free: f64,
    /// In order; the last has no end.
    pub tiers: Vec<Tier>,
    /// Where it was read.
    pub source: String,
    /// Why it may be wrong, where something speaks against it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// A price up to a quantity.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The quantity of a month at which the next tier begins.
    pub up_to: Option<f64>,
    /// USD a unit.
    pub usd: f64,
}

impl Price {
    /// What `quantity` of a month costs.
    pub fn of(&self, quantity: f64, free_tier: bool) -> f64 {
        let quantity = if free_tier { (quantity - self.free).max(0.0) } else { quantity };
        let mut from = 0.0;
        let mut usd = 0.0;
        for tier in &self.tiers {
            let to = tier.up_to.unwrap_or(f64::INFINITY);
            usd += (quantity.min(to) - from).max(0.0) * tier.usd;
            from = to;
        }
        usd
    }
}

/// A node that pods are packed on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// On demand.
    pub usd_per_hour: f64,
    /// vCPUs in all.
    pub vcpu: f64,
    /// Memory in all.
    pub memory_gib: f64,
}

/// How the bill is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Takes the free tiers off (false).
    pub free_tier: bool,
    /// Where pods run.
    pub hosting: Hosting,
    /// This workload's share of the control plane: 1 if the cluster serves nothing else (1).
    pub control_plane_share: f64,
    /// The function runs on arm (true: what this project deploys).
    pub arm: bool,
    /// What Lambda Managed Instances run on: a key of [`Prices::instances`].
    pub managed_instance: String,
    /// Bytes that the handler logs per attempt at a message, on both targets (0).
    pub log_bytes: f64,
    /// `FUNCTION_METRICS`: the function writes its metrics into its log, once an invocation (true: what the library does).
    pub function_metrics: bool,
    /// The cluster's version of Kubernetes is in extended support (false).
    pub extended_support: bool,
    /// Nodes are EKS Auto Mode's (false).
    pub auto_mode: bool,
    /// A standard queue with message groups, which SQS then serves fairly (false).
    pub fair_queue: bool,
    /// Dashboards of CloudWatch that each target has (0).
    pub dashboards: f64,
    /// Provisioned pollers are billed in units of so many (1).
    pub poller_unit: f64,
    /// The run is a stretch of an even load, and the month is made of such stretches; otherwise every day has the run
    /// once, and is idle for the rest (false).
    pub even_load: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            free_tier: false,
            hosting: Hosting::Fargate,
            control_plane_share: 1.0,
            arm: true,
            managed_instance: "m7g.large".to_owned(),
            log_bytes: 0.0,
            function_metrics: true,
            extended_support: false,
            auto_mode: false,
            fair_queue: false,
            dashboards: 0.0,
            poller_unit: 1.0,
            even_load: false,
        }
    }
}

impl Options {
    /// The type of node that pods are packed on, if they are.
    pub fn node(&self) -> Option<&str> {
        match &self.hosting {
            Hosting::Fargate => None,
            Hosting::Nodes { instance, .. } => Some(instance),
        }
    }
}

/// Where pods run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hosting {
    /// Each pod is billed by itself.
    #[default]
    Fargate,
    /// Pods are packed on nodes of one type.
    Nodes {
        /// A key of [`Prices::instances`].
        instance: String,
        /// What Spot takes off the on-demand price, 0 to 1; it is a market price, so no file has it.
        spot_discount: f64,
    },
}

#[cfg(test)]
mod tests;
