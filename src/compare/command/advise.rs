//! `twinscale advise` and `twinscale break-even`: which settings, and which target, by simulation.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::CommandError;
use super::compare::Overrides;
use super::output::{self, Format};
use crate::compare::advise::{
    ADVICE_SCHEMA, Advice, Advised, BreakEven as Curve, Goal, Interval, Measured, Which, advise, break_even,
};
use crate::compare::cost::{Hosting, Options, Prices};
use crate::compare::prices;
use crate::compare::report::html;

/// Search the settings of both targets by simulation: the cheapest that meet a goal
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  twinscale advise --scenario default --target 'p95<30s'

A month is thirty days, each with the scenario once in it and idle for the rest. Every price has its source in
prices/us-east-1.toml.")]
pub struct Advise {
    /// A built-in scenario, or a TOML file
    #[arg(long, default_value = "default", value_name = "NAME|FILE")]
    scenario: String,
    /// What has to be met: p50, p90, p95, p99 or drain, below a time
    #[arg(long, default_value = "p95<30s", value_name = "GOAL")]
    target: Goal,
    #[command(flatten)]
    common: Common,
}

/// Sweep the rate over six decades: from which rate on are pods cheaper than the function
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  twinscale break-even --scenario default --control-plane-share 0.1")]
pub struct BreakEven {
    /// A built-in scenario, or a TOML file
    #[arg(long, default_value = "default", value_name = "NAME|FILE")]
    scenario: String,
    #[command(flatten)]
    common: Common,
}

#[derive(Args, Debug)]
struct Common {
    #[command(flatten)]
    overrides: Overrides,
    /// Seeds that intervals are made of
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    seeds: u64,
    /// A price file in place of the one that comes with the program
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Pack pods on nodes of this type in place of Fargate, for example m7g.large
    #[arg(long, value_name = "TYPE")]
    nodes: Option<String>,
    /// This workload's share of the EKS control plane, 0 to 1
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    control_plane_share: f64,
    /// Take the free tiers off
    #[arg(long)]
    free_tier: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write advice.json and advice.html, or break-even.json and break-even.html, into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Common {
    /// Writes the result and its page into the folder, if there is one, and prints it.
    fn report<T: Serialize>(
        &self,
        result: &T,
        name: &str,
        page: fn(&T) -> String,
        text: impl Fn() -> String,
    ) -> Result<(), CommandError> {
        if let Some(folder) = &self.out {
            output::write_json(result, folder, &format!("{name}.json"))?;
            output::write_file(&folder.join(format!("{name}.html")), &page(result))?;
        }
        match self.format {
            Format::Json => output::say(output::json(result).trim_end()),
            Format::Text | Format::Markdown => output::say(text().trim_end()),
        }
    }

    fn priced(&self) -> Result<(Prices, Options), CommandError> {
        let flag = |flag, what: String| CommandError::Flag { flag, what };
        let prices = prices::read(self.prices.as_deref()).map_err(|error| flag("--prices", error.to_string()))?;
        if !(0.0..=1.0).contains(&self.control_plane_share) {
            return Err(flag("--control-plane-share", "write a number from 0 to 1".to_owned()));
        }
        let mut options = Options { free_tier: self.free_tier, ..Options::default() };
        options.control_plane_share = self.control_plane_share;
        if let Some(instance) = &self.nodes {
            if !prices.instances.contains_key(instance) {
                let known = prices.instances.keys().cloned().collect::<Vec<_>>().join(", ");
                return Err(flag("--nodes", format!("no price for '{instance}': write one of {known}")));
            }
            options.hosting = Hosting::Nodes { instance: instance.clone(), spot_discount: 0.0 };
        }
        Ok((prices, options))
    }
}

impl Advise {
    /// Searches both targets, and prints and writes what it found.
    pub fn run(&self) -> Result<ExitCode, CommandError> {
        let (prices, options) = self.common.priced()?;
        let (scenario, warnings) = self.common.overrides.resolve(&self.scenario)?;
        warnings.iter().for_each(|warning| eprintln!("twinscale: {warning}"));
        let search = |which| advise(&scenario, which, self.target, self.common.seeds, &prices, &options);
        let advised = Advised {
            schema: ADVICE_SCHEMA.to_owned(),
            goal: self.target,
            seeds: self.common.seeds,
            region: prices.region.clone(),
            prices_date: prices.date.clone(),
            scenario: serde_json::to_value(&scenario).unwrap_or_default(),
            targets: [Which::Eks, Which::Lambda].map(search).into(),
        };
        let text = || advised.targets.iter().map(told).collect::<Vec<_>>().join("\n");
        self.common.report(&advised, "advice", html::advice_page, text)?;
        let met = advised.targets.iter().any(|advice| advice.best.is_some());
        Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl BreakEven {
    /// Sweeps the rate, and prints and writes the curve.
    pub fn run(&self) -> Result<ExitCode, CommandError> {
        let (prices, options) = self.common.priced()?;
        let (scenario, warnings) = self.common.overrides.resolve(&self.scenario)?;
        warnings.iter().for_each(|warning| eprintln!("twinscale: {warning}"));
        let found = break_even(&scenario, self.common.seeds, &prices, &options);
        self.common.report(&found, "break-even", html::break_even_page, || curve(&found))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The curve and its crossing as text.
fn curve(found: &Curve) -> String {
    let mut text = "messages/s   EKS USD/month            Lambda USD/month\n".to_owned();
    for point in &found.curve {
        let _ = writeln!(text, "{:>10.3}   {:<24} {}", point.rate, usd(&point.eks_usd), usd(&point.lambda_usd));
    }
    text.push_str(&match found.rate {
        Some(rate) => format!(
            "From {:.3} messages/s on (95 %: {:.3} to {:.3}) pods are cheaper than the function.",
            rate.mean, rate.low, rate.high
        ),
        None => "The cheaper target is the same at every rate.".to_owned(),
    });
    text
}

/// The advice for one target as text.
fn told(advice: &Advice) -> String {
    let name = if advice.target == Which::Eks { "EKS" } else { "Lambda" };
    let mut text = format!("{name}: {} settings tried\n  now   {}\n", advice.tried, figures(&advice.now));
    match &advice.best {
        None => text.push_str("  best  none meets the goal\n"),
        Some(best) => {
            let _ = writeln!(text, "  best  {}", figures(best));
            for change in &best.changes {
                let _ = writeln!(text, "        {}: {}: {} -> {}", change.file, change.field, change.from, change.to);
            }
        }
    }
    text.push_str("  cheapest for each speed:\n");
    for measured in &advice.front {
        let changes: Vec<String> = measured.changes.iter().map(|c| format!("{} {}", c.field, c.to)).collect();
        let _ = writeln!(text, "        {}   {}", figures(measured), changes.join(", "));
    }
    text
}

fn figures(measured: &Measured) -> String {
    let seconds = &measured.seconds;
    format!("{} a month, {:.1} s ({:.1} to {:.1})", usd(&measured.usd), seconds.mean, seconds.low, seconds.high)
}

fn usd(interval: &Interval) -> String {
    format!("{:.2} USD ({:.2} to {:.2})", interval.mean, interval.low, interval.high)
}
