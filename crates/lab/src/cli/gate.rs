//! `twinscale gate`: what a change of settings does, and whether it may.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use super::output::{self, Format};
use super::pricing::Pricing;
use crate::advise::Goal;
use crate::gate::checkout::{Checkout, GitError, Revision};
use crate::gate::{CostIncrease, Demand, GateError, GivenPaths, gate};
use crate::manifests::Given;
use crate::report::gate as report;
use crate::scenario::Draft;

/// What a change of ScaledObject, Deployment or template does to latency, bill and scaling, and whether it may
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twinscale gate --base origin/main --goal 'p95<5s' --max-cost-increase 10%
  twinscale gate --base v1.4.0 --head HEAD --goal 'drain<5m' --scenario scenarios/black-friday.toml --format markdown

It compares the files in the work tree (or of --head) with those at the commit where this branch left --base, by simulation
under each scenario of scenarios/*.toml, with the same messages and the same luck. A change fails if a target misses a goal
that it met, or misses it by more than it did, if it fails its work, or if a month costs more than it may. docs/gate.md has a
workflow for GitHub.

Exit codes: 0 it passes, 1 it fails (the reasons are printed), 64 something cannot be read.")]
pub(super) struct Gate {
    /// The branch or commit that the change is for
    #[arg(long, value_name = "REF")]
    base: String,
    /// The commit to judge [default: the files as they lie in the work tree]
    #[arg(long, value_name = "REF")]
    head: Option<String>,
    /// What has to be met: p50, p90, p95, p99 or drain, below a time
    #[arg(long, value_name = "GOAL")]
    goal: Goal,
    /// What a month may cost more than before, on each target [default: the bill is shown, and decides nothing]
    #[arg(long, value_name = "PERCENT")]
    max_cost_increase: Option<CostIncrease>,
    /// A built-in scenario, or a TOML file (may be given again) [default: each of scenarios/*.toml]
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Vec<String>,
    /// Your KEDA ScaledObject or ScaledJob [default: eks/base/scaledobject.yaml, or the only one below eks/]
    #[arg(long, value_name = "FILE")]
    scaled_object: Option<PathBuf>,
    /// Your worker's Deployment [default: eks/base/deployment.yaml, or the only one below eks/]
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,
    /// Your SAM or CloudFormation template [default: sam/template.yaml, or template.yaml]
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// Seeds that intervals are made of
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    seeds: u64,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pricing: Pricing,
}

impl Gate {
    /// Judges the change, and prints what it found.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let prices = self.pricing.read()?;
        let checkout = Checkout::around(Path::new(".")).map_err(GateError::from)?;
        let head = self.head.as_ref().map_or(Ok(Revision::WorkTree), |name| checkout.commit("--head", name));
        let head = head.map_err(GateError::from)?;
        let base = checkout.fork(&self.base, &head).map_err(GateError::from)?;
        let paths = self.paths(&checkout, &head)?;
        let drafts = self.drafts(&checkout)?;
        let demand = Demand {
            goal: self.goal,
            max_cost_increase: self.max_cost_increase,
            seeds: self.seeds,
            prices: &prices,
            given: &self.given,
        };
        let gated = gate(&checkout, &base, &head, &paths, &drafts, &demand)?;
        let told = match self.format {
            Format::Text => report::text(&gated),
            Format::Json => output::json(&gated),
            Format::Markdown => report::markdown(&gated),
        };
        output::say(told.trim_end())?;
        Ok(if gated.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The paths that were given, which have to be there.
    fn paths(&self, checkout: &Checkout, head: &Revision) -> Result<GivenPaths, GateError> {
        let path = |flag, given: &Option<PathBuf>| -> Result<Option<String>, GateError> {
            let Some(given) = given else { return Ok(None) };
            let path = checkout.path(given)?;
            match checkout.read(head, &path)? {
                Some(_) => Ok(Some(path)),
                None => Err(GateError::NoFile { flag, file: format!("{path} in {head}") }),
            }
        };
        Ok(GivenPaths {
            scaled_object: path("--scaled-object", &self.scaled_object)?,
            deployment: path("--deployment", &self.deployment)?,
            template: path("--template", &self.template)?,
        })
    }

    /// The scenarios that were named, or those of the repository's work tree.
    fn drafts(&self, checkout: &Checkout) -> Result<Vec<Draft>, GateError> {
        let named = match self.scenario.is_empty() {
            false => self.scenario.clone(),
            true => own_scenarios(checkout)?,
        };
        named.iter().map(|name| Ok(Draft::read(name)?)).collect()
    }
}

fn own_scenarios(checkout: &Checkout) -> Result<Vec<String>, GateError> {
    let paths = checkout.files(&Revision::WorkTree, &["scenarios"])?;
    let mut named = Vec::new();
    for path in paths.iter().filter(|path| path.ends_with(".toml")) {
        let path = checkout.root().join(path);
        // What was deleted and not yet committed is still on git's list.
        if path.exists() {
            let text = path.to_str().ok_or_else(|| GitError::NoText(path.display().to_string()))?;
            named.push(text.to_owned());
        }
    }
    if named.is_empty() { Err(GateError::NoScenario(checkout.root().to_owned())) } else { Ok(named) }
}
