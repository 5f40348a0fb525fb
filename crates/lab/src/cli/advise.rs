//! `twinscale advise`: kind settings, by simulation.

use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;

use super::CommandError;
use super::output;
use super::patches::Patches;
use super::search::{self, Search};
use super::stop::{STOPPED, stop_flag};
use crate::advise::{ADVICE_SCHEMA, Advice, Advised, Asker, FilePatch, Goal, Progress, advise, survives, with};
use crate::report::figures::usd;
use crate::report::{advice as report, html};
use crate::target::TargetKind;

/// Draws of the models' estimates that the choice between both targets has to survive.
const DRAWS: u64 = 20;

/// Search the settings of both targets by simulation: the cheapest that meet a goal
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twinscale advise --scenario default --goal 'p95<30s'
  twinscale advise --scenario my.toml --goal 'drain<5m' --nodes m7g.large --control-plane-share 0.1
  twinscale advise --handler-times out/run.json --scaled-object so.yaml --deployment d.yaml --template t.yaml --write

It tries a pod's cpu and memory, queueLength, CONCURRENCY, minReplicaCount, maxReplicaCount, pollingInterval and behavior of the worker, and
MemorySize, FUNCTION_CONCURRENCY, BatchSize with its window, MaximumConcurrency and provisioned pollers of the function,
all with the same messages. A long load is thinned, and what was left out is said. What it prints last is the change of your files as a diff; --write makes it, and leaves comments
and layout as they are. docs/advice.md shows how to read it.

Exit codes: 0 one target or both meet the goal, 1 nothing does (what came nearest is shown), 64 bad input, 130 stopped, with\nwhat there was.")]
pub(super) struct Advise {
    /// What has to be met: p50, p90, p95, p99 or drain, below a time
    #[arg(long = "goal", alias = "target", default_value = "p95<30s", value_name = "GOAL")]
    goal: Goal,
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
        if scenario.eks.job.is_some() {
            let what = "the search is over a ScaledObject's settings, and this is a ScaledJob, which compare --engine simulated \
                        runs: give a ScaledObject, or a scenario without eks.job";
            return Err(CommandError::Flag { flag: "--scaled-object", what: what.to_owned() });
        }
        let bar = search::bar("settings");
        let told = |progress| match progress {
            Progress::Ahead(more) => bar.inc_length(more),
            Progress::Done => bar.inc(1),
            Progress::Look { target, candidates, cheapest } => {
                let found = cheapest.map_or_else(
                    || format!("none meets {} yet", self.goal),
                    |best| format!("the cheapest that meets {} costs {} a month", self.goal, usd(best.usd.mean)),
                );
                bar.suspend(|| eprintln!("twinscale: {}: {candidates} settings looked at; {found}", target.title()));
            }
        };
        let stop = stop_flag()?;
        let by = Asker { told: &told, stop };
        let search = |kind| advise(&scenario, kind, self.goal, self.search.seeds, &prices, by);
        let targets: Vec<Advice> = TargetKind::all().iter().copied().map(search).collect();
        let uncertainty = survives(&scenario, &targets, DRAWS, &prices, stop);
        bar.finish_and_clear();
        let mut patches = Patches::default();
        for advice in &targets {
            let best = advice.best.as_ref().and_then(|best| with(&scenario, advice.target, &best.changes));
            if let Some(best) = best {
                patches.put(&self.search.overrides, advice.target, &best, self.write)?;
            }
        }
        let Patches { made: mut patches, left } = patches;
        patches.retain(|patch| patch.before != patch.after);
        let met = targets.iter().any(|advice| advice.best.is_some());
        let advised = Advised {
            schema: ADVICE_SCHEMA.to_owned(),
            goal: self.goal,
            seeds: self.search.seeds,
            region: prices.region.clone(),
            prices_date: prices.date.clone(),
            scenario: scenario.clone(),
            targets,
            uncertainty,
            patches: patches.iter().map(|patch| FilePatch { file: patch.file.clone(), diff: patch.diff() }).collect(),
        };
        let stopped = stop.load(Ordering::Relaxed);
        if self.write && stopped {
            eprintln!("twinscale: --write: no file was changed, since the search was told to stop");
        } else if self.write {
            for patch in &patches {
                output::write_file(Path::new(&patch.file), &patch.after)?;
                eprintln!("twinscale: wrote {}", patch.file);
            }
        }
        self.search.destination.report(&advised, "advice", html::advice_page, [report::text, report::markdown])?;
        left.iter().for_each(|error| eprintln!("twinscale: {error}"));
        if self.write && !stopped && !left.is_empty() {
            let what = "not everything that is advised was written: see above".to_owned();
            return Err(CommandError::Flag { flag: "--write", what });
        }
        Ok(match met {
            _ if stopped => ExitCode::from(STOPPED),
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
