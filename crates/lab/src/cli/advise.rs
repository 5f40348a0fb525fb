//! `twinscale advise`: kind settings, by simulation.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use super::output;
use super::search::Search;
use crate::advise::patch::{Patch, PatchError, manifests, patch};
use crate::advise::{ADVICE_SCHEMA, Advice, Advised, FilePatch, Goal, advise, with};
use crate::manifests::{Manifest, ManifestError, deployed};
use crate::report::{advice as report, html};
use crate::scenario::Scenario;
use crate::target::TargetKind;

/// Search the settings of both targets by simulation: the cheapest that meet a goal
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twinscale advise --scenario default --target 'p95<30s'
  twinscale advise --scenario my.toml --target 'drain<5m' --nodes m7g.large --control-plane-share 0.1
  twinscale advise --handler-times out/run.json --scaled-object so.yaml --deployment d.yaml --template t.yaml --write

It tries queueLength, CONCURRENCY, minReplicaCount, maxReplicaCount, pollingInterval and behavior of the worker, and
MemorySize, FUNCTION_CONCURRENCY, BatchSize with its window, MaximumConcurrency and provisioned pollers of the function,
all with the same messages. What it prints last is the change of your files as a diff; --write makes it, and leaves comments
and layout as they are. docs/advice.md shows how to read it.

Exit codes: 0 one target or both meet the goal, 1 nothing does (what came nearest is shown), 64 bad input.")]
pub(super) struct Advise {
    /// What has to be met: p50, p90, p95, p99 or drain, below a time
    #[arg(long, default_value = "p95<30s", value_name = "GOAL")]
    target: Goal,
    /// Change the files: those of --scaled-object, --deployment and --template, or else this project's below here
    #[arg(long)]
    write: bool,
    #[command(flatten)]
    search: Search,
}

impl Advise {
    /// Searches both targets, and prints and writes what it found.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let (scenario, prices) = self.search.read()?;
        let bar = self.search.bar("settings");
        let told = |more, done| {
            bar.inc_length(more);
            bar.inc(done);
        };
        let search = |kind| advise(&scenario, kind, self.target, self.search.seeds, &prices, &told);
        let targets: Vec<Advice> = TargetKind::all().iter().copied().map(search).collect();
        bar.finish_and_clear();
        let mut patches = Vec::new();
        for advice in &targets {
            patches.extend(self.patches(&scenario, advice)?);
        }
        let met = targets.iter().any(|advice| advice.best.is_some());
        let advised = Advised {
            schema: ADVICE_SCHEMA.to_owned(),
            goal: self.target,
            seeds: self.search.seeds,
            region: prices.region.clone(),
            prices_date: prices.date.clone(),
            scenario: scenario.clone(),
            targets,
            patches: patches.iter().map(|patch| FilePatch { file: patch.file.clone(), diff: patch.diff() }).collect(),
        };
        if self.write {
            for patch in &patches {
                output::write_file(Path::new(&patch.file), &patch.after)?;
                eprintln!("twinscale: wrote {}", patch.file);
            }
        }
        self.search.report(&advised, "advice", html::advice_page, [report::text, report::markdown])?;
        Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// What the best settings of a target change in its files.
    fn patches(&self, scenario: &Scenario, advice: &Advice) -> Result<Vec<Patch>, CommandError> {
        let best = advice.best.as_ref().and_then(|best| with(scenario, advice.target, &best.changes));
        let Some(best) = best else { return Ok(Vec::new()) };
        let mut patches = Vec::new();
        for kind in manifests(advice.target) {
            let (file, text) = self.text(*kind)?;
            match patch(*kind, &file, &text, &best) {
                Ok(patch) if patch.before != patch.after => patches.push(patch),
                Ok(_) => {}
                Err(PatchError::Manifest(error)) => return Err(error.into()),
                Err(error) if self.write => {
                    return Err(CommandError::Flag { flag: "--write", what: error.to_string() });
                }
                Err(error) => eprintln!("twinscale: {error}"),
            }
        }
        Ok(patches)
    }

    /// The user's file of that kind, or this project's: as it lies below here, or as it came with the program.
    fn text(&self, kind: Manifest) -> Result<(String, String), CommandError> {
        let (own, text) = deployed(kind);
        let path = self.search.overrides.manifest(kind).unwrap_or_else(|| PathBuf::from(own));
        let given = self.search.overrides.manifest(kind).is_some();
        let file = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok((file, text)),
            Err(_) if !given && !self.write => Ok((file, text.to_owned())),
            Err(error) => Err(ManifestError::unreadable(&file, &error).into()),
        }
    }
}
