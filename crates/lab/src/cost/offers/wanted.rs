//! Which product of which offer is which line of a price file.

use std::fmt;

use super::read::Product;
use crate::cost::{Price, Prices, Tier};

/// What a product is to a price file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sought {
    /// One of its lines.
    Line(PriceLine),
    /// Auto Mode's fee on one type of instance, of which a line is made.
    AutoMode(String),
    /// A type of node.
    Instance(String),
}

/// A line of the price file that one product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PriceLine {
    SqsStandard,
    SqsFair,
    SqsFifo,
    LambdaX86,
    LambdaArm,
    LambdaRequests,
    Poller,
    EksControlPlane,
    EksExtendedSupport,
    FargateVcpu,
    FargateMemory,
    Logs,
    LambdaLogs,
    Dashboard,
    /// Lambda's fee on Managed Instances: the same share everywhere, and in no offer file by a name that is published.
    ManagedInstancesFee,
}

const ALL: [PriceLine; 15] = [
    PriceLine::SqsStandard,
    PriceLine::SqsFair,
    PriceLine::SqsFifo,
    PriceLine::LambdaX86,
    PriceLine::LambdaArm,
    PriceLine::LambdaRequests,
    PriceLine::Poller,
    PriceLine::EksControlPlane,
    PriceLine::EksExtendedSupport,
    PriceLine::FargateVcpu,
    PriceLine::FargateMemory,
    PriceLine::Logs,
    PriceLine::LambdaLogs,
    PriceLine::Dashboard,
    PriceLine::ManagedInstancesFee,
];

impl PriceLine {
    /// Every such line.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter()
    }

    /// Its place in a price file.
    pub(super) fn price(self, prices: &mut Prices) -> &mut Price {
        match self {
            Self::SqsStandard => &mut prices.sqs_standard,
            Self::SqsFair => &mut prices.sqs_fair,
            Self::SqsFifo => &mut prices.sqs_fifo,
            Self::LambdaX86 => &mut prices.lambda_x86,
            Self::LambdaArm => &mut prices.lambda_arm,
            Self::LambdaRequests => &mut prices.lambda_requests,
            Self::Poller => &mut prices.poller,
            Self::EksControlPlane => &mut prices.eks_control_plane,
            Self::EksExtendedSupport => &mut prices.eks_extended_support,
            Self::FargateVcpu => &mut prices.fargate_vcpu,
            Self::FargateMemory => &mut prices.fargate_memory,
            Self::Logs => &mut prices.logs,
            Self::LambdaLogs => &mut prices.lambda_logs,
            Self::Dashboard => &mut prices.dashboard,
            Self::ManagedInstancesFee => &mut prices.managed_instances_fee,
        }
    }

    /// AWS has extended support as what it adds to an hour, and the price file as the whole hour.
    pub(super) fn in_our_units(self, tiers: &[Tier], control_plane: &Price) -> Vec<Tier> {
        let hour = control_plane.tiers.first().map_or(0.0, |tier| tier.usd);
        let more = if self == Self::EksExtendedSupport { hour } else { 0.0 };
        tiers.iter().map(|tier| Tier { up_to: tier.up_to, usd: tier.usd + more }).collect()
    }
}

/// What a product is in this region.
pub(super) fn sought(product: &Product, region: &str, base: &Prices) -> Option<Sought> {
    let about = &product.attributes;
    let usage = |name: &str| is_usage(&about.usage_type, name);
    // CloudWatch's dashboards belong to no region.
    if usage("DashboardsUsageHour") {
        return Some(Sought::Line(PriceLine::Dashboard));
    }
    if about.region_code != region {
        return None;
    }
    let node = |prefix: &str, suffix: &str| {
        let plain = about.usage_type.split_once(prefix).map(|(_, rest)| rest)?;
        let name = plain.strip_suffix(suffix)?;
        base.instances.contains_key(name).then(|| name.to_owned())
    };
    match about.group.as_str() {
        "SQS-APIRequest-Tier1" => match about.queue_type.as_str() {
            "Standard" => return Some(Sought::Line(PriceLine::SqsStandard)),
            "Fair" => return Some(Sought::Line(PriceLine::SqsFair)),
            fifo if fifo.starts_with("FIFO") => return Some(Sought::Line(PriceLine::SqsFifo)),
            _ => return None,
        },
        "AWS-Lambda-Duration" => return Some(Sought::Line(PriceLine::LambdaX86)),
        "AWS-Lambda-Duration-ARM" => return Some(Sought::Line(PriceLine::LambdaArm)),
        "AWS-Lambda-Requests" => return Some(Sought::Line(PriceLine::LambdaRequests)),
        "AWS-Lambda-SQS-Event-Poller-Unit-Duration" => return Some(Sought::Line(PriceLine::Poller)),
        _ => {}
    }
    let by_usage = [
        ("AmazonEKS-Hours:perCluster", PriceLine::EksControlPlane),
        ("AmazonEKS-Hours:extendedSupport", PriceLine::EksExtendedSupport),
        ("Fargate-vCPU-Hours:perCPU", PriceLine::FargateVcpu),
        ("Fargate-GB-Hours", PriceLine::FargateMemory),
        ("DataProcessing-Bytes", PriceLine::Logs),
        ("VendedLog-Bytes", PriceLine::LambdaLogs),
    ];
    if let Some((_, line)) = by_usage.into_iter().find(|(name, _)| usage(name)) {
        return Some(Sought::Line(line));
    }
    if let Some(name) = node("EKS-Auto:", "-management-hours") {
        return Some(Sought::AutoMode(name));
    }
    let on_demand = product.product_family.starts_with("Compute Instance")
        && about.operating_system == "Linux"
        && about.tenancy == "Shared"
        && about.pre_installed_sw == "NA"
        && about.capacity_status == "Used";
    node("BoxUsage:", "").filter(|name| on_demand && *name == about.instance_type).map(Sought::Instance)
}

/// A usage type is a name, in most regions behind a short form of the region: `EU-Request`, `USE1-VendedLog-Bytes`.
fn is_usage(usage_type: &str, name: &str) -> bool {
    let Some(region) = usage_type.strip_suffix(name) else { return false };
    let short =
        |region: &str| !region.is_empty() && region.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    region.is_empty() || region.strip_suffix('-').is_some_and(short)
}

impl fmt::Display for Sought {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(to, "{line}"),
            Self::AutoMode(instance) => write!(to, "eks_auto_mode of {instance}"),
            Self::Instance(instance) => write!(to, "instances.{instance}"),
        }
    }
}

impl fmt::Display for PriceLine {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::SqsStandard => "sqs_standard",
            Self::SqsFair => "sqs_fair",
            Self::SqsFifo => "sqs_fifo",
            Self::LambdaX86 => "lambda_x86",
            Self::LambdaArm => "lambda_arm",
            Self::LambdaRequests => "lambda_requests",
            Self::Poller => "poller",
            Self::EksControlPlane => "eks_control_plane",
            Self::EksExtendedSupport => "eks_extended_support",
            Self::FargateVcpu => "fargate_vcpu",
            Self::FargateMemory => "fargate_memory",
            Self::Logs => "logs",
            Self::LambdaLogs => "lambda_logs",
            Self::Dashboard => "dashboard",
            Self::ManagedInstancesFee => "managed_instances_fee",
        })
    }
}
