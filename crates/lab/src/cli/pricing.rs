//! What the bill is made of: the price file, and flags that win over it.

use std::path::PathBuf;

use clap::Args;

use super::CommandError;
use crate::cost::prices;
use crate::cost::{Hosting, Prices};

/// The bill's flags, the same for every command that shows money.
#[derive(Args, Debug)]
#[command(next_help_heading = "The bill")]
pub(super) struct Pricing {
    /// Prices in the form of prices/us-east-1.toml [default: that file]
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Pack pods on nodes of this type in place of Fargate, for example m7g.large
    #[arg(long, value_name = "TYPE")]
    nodes: Option<String>,
    /// What Spot takes off the nodes' on-demand price, 0 to 1
    #[arg(long, value_name = "SHARE", requires = "nodes")]
    spot_discount: Option<f64>,
    /// This workload's share of the EKS control plane, 0 to 1 [default: 1]
    #[arg(long, value_name = "SHARE")]
    control_plane_share: Option<f64>,
    /// The function runs on x86 in place of arm
    #[arg(long)]
    x86: bool,
    /// Bytes that your handler logs per attempt at a message, on both targets [default: 0]
    #[arg(long, value_name = "BYTES")]
    log_bytes: Option<u32>,
    /// The function writes no metrics into its log (FUNCTION_METRICS=off)
    #[arg(long)]
    no_function_metrics: bool,
    /// The cluster's version of Kubernetes is in extended support
    #[arg(long)]
    extended_support: bool,
    /// The nodes are EKS Auto Mode's, with its fee
    #[arg(long, requires = "nodes")]
    auto_mode: bool,
    /// The queue has message groups that SQS serves fairly
    #[arg(long)]
    fair_queue: bool,
    /// Dashboards of CloudWatch that each target has [default: 0]
    #[arg(long, value_name = "N")]
    dashboards: Option<u32>,
    /// Take the free tiers off
    #[arg(long)]
    free_tier: bool,
}

impl Pricing {
    /// The prices, with the flags in their options.
    pub(super) fn read(&self) -> Result<Prices, CommandError> {
        let mut prices = prices::read(self.prices.as_deref())?;
        let share = |flag, share: f64| match share {
            0.0..=1.0 => Ok(share),
            _ => Err(CommandError::Flag { flag, what: format!("{share}: write a number from 0 to 1") }),
        };
        let options = &mut prices.options;
        options.free_tier |= self.free_tier;
        options.arm &= !self.x86;
        options.function_metrics &= !self.no_function_metrics;
        options.extended_support |= self.extended_support;
        options.auto_mode |= self.auto_mode;
        options.fair_queue |= self.fair_queue;
        options.dashboards = self.dashboards.map_or(options.dashboards, f64::from);
        options.log_bytes = self.log_bytes.map_or(options.log_bytes, f64::from);
        if let Some(own) = self.control_plane_share {
            options.control_plane_share = share("--control-plane-share", own)?;
        }
        if let Some(instance) = &self.nodes {
            let spot_discount = share("--spot-discount", self.spot_discount.unwrap_or(0.0))?;
            options.hosting = Hosting::Nodes { instance: instance.clone(), spot_discount };
        }
        let instances =
            [("--nodes", prices.options.node()), ("--prices", Some(prices.options.managed_instance.as_str()))];
        for (flag, instance) in instances {
            let Some(unknown) = instance.filter(|instance| !prices.instances.contains_key(*instance)) else { continue };
            let known = prices.instances.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(CommandError::Flag { flag, what: format!("no price for '{unknown}': write one of {known}") });
        }
        Ok(prices)
    }
}
