//! `twinscale compare`: one scenario through both targets.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use tokio::signal::unix::{SignalKind, signal};

use super::aws::Deployed;
use super::live::Live;
use super::output::{self, Format};
use super::pricing::Pricing;
use super::progress::Bars;
use super::seeds;
use super::service::OwnService;
use super::{CommandError, STOPPED};
use crate::cost::Prices;
use crate::manifests::Manifest;
use crate::processes;
use crate::run::{self, Bucket, Engine, Run};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale_work::{Empirical, Wait, parse_duration};

/// Run one workload through EKS with KEDA and through Lambda, and compare them
#[derive(Args, Debug)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  twinscale compare --scenario article --speed 10 --out out
  twinscale compare --messages 5000 --work uniform:200ms-1s --concurrency 20 --target eks
  twinscale compare --scenario my.toml --scaled-object so.yaml --deployment d.yaml --template template.yaml
  twinscale compare --service target/release/orders --bodies orders.jsonl --env WAREHOUSE_URL=http://127.0.0.1:9000
  twinscale compare --engine aws --from-terraform --from-stack twinscale-lambda --messages 1000 --out out
  twinscale compare --engine aws --target lambda --from-stack twinscale-lambda --cloudwatch --out out

All times in the report are scenario seconds: with --speed 10 a minute of the scenario takes six seconds.
What the flags and the files say wins over the scenario. docs/scenarios.md shows how to write one."
)]
pub struct Compare {
    /// A built-in scenario (article, default, burst, ramp, onoff, day, long, failures, fifo), or a TOML file
    #[arg(long, default_value = "default", value_name = "NAME|FILE")]
    scenario: String,
    /// Where it runs
    #[arg(long, value_enum, default_value_t = Engine::Local)]
    engine: Engine,
    /// How many times faster than scenario time
    #[arg(long, default_value_t = 1.0, value_name = "N")]
    speed: f64,
    /// Which target to run
    #[arg(long, value_parser = Selection::parser(), default_value = BOTH)]
    target: Selection,
    /// Write run.json and report.html into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Show the run in a browser while it goes on, on this port of loopback [default port: a free one]
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    live: Option<u16>,
    /// Simulate with so many seeds, and add medians and 95 % intervals to the first seed's run
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    service: OwnService,
    #[command(flatten)]
    pricing: Pricing,
    #[command(flatten)]
    deployed: Deployed,
    /// Folder of the binaries twinscale-worker, lambda-sqs and lambda-http [default: beside this program]
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Keep what the processes print in this folder
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

/// What wins over the scenario.
#[derive(Args, Debug)]
#[command(next_help_heading = "Instead of what the scenario says")]
pub(super) struct Overrides {
    /// Messages sent in all
    #[arg(long, value_name = "N")]
    messages: Option<u64>,
    /// Time that a message waits: 10ms, uniform:1s-2.5s, lognormal:1.5s,0.4 (median, sigma)
    #[arg(long, value_name = "TIME")]
    work: Option<Wait>,
    /// Times that handlers took, as an earlier run measured them, in place of wait and processor time
    #[arg(long, value_name = "RUN.JSON", conflicts_with = "work")]
    handler_times: Option<PathBuf>,
    /// Messages worked on at once in a pod, and in a function's batch
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Seed of all chance
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Scenario time after which a run that has not drained ends: 30m, 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    limit: Option<Duration>,
    /// Your KEDA ScaledObject: what it leaves out has KEDA's default
    #[arg(long, value_name = "FILE")]
    scaled_object: Option<PathBuf>,
    /// Your worker's Deployment
    #[arg(long, value_name = "FILE")]
    deployment: Option<PathBuf>,
    /// Your SAM or CloudFormation template with the function and its queue
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
}

/// What `--target` is without a value of its own.
const BOTH: &str = "both";

/// The targets to run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Selection(BTreeSet<TargetKind>);

impl Selection {
    /// Reads the name of a target, or [`BOTH`].
    fn parser() -> impl TypedValueParser<Value = Self> {
        let names = TargetKind::all().iter().map(|kind| kind.name()).chain([BOTH]);
        PossibleValuesParser::new(names).map(|text| {
            let named = |kind: &TargetKind| text == kind.name() || text == BOTH;
            Self(TargetKind::all().iter().copied().filter(named).collect())
        })
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "write a number with its unit: 90s, 30m, 2h".to_owned())
}

impl Overrides {
    /// The user's file of that kind.
    pub(super) fn manifest(&self, kind: Manifest) -> Option<PathBuf> {
        match kind {
            Manifest::ScaledObject => self.scaled_object.clone(),
            Manifest::Deployment => self.deployment.clone(),
            Manifest::Template => self.template.clone(),
        }
    }

    /// The scenario with these in it, checked, and warnings about what the model does not cover.
    pub(super) fn resolve(&self, name: &str) -> Result<(Scenario, Vec<String>), CommandError> {
        let mut scenario = Scenario::read(name)?;
        let mut warnings = Vec::new();
        for (kind, path) in [
            (Manifest::ScaledObject, &self.scaled_object),
            (Manifest::Deployment, &self.deployment),
            (Manifest::Template, &self.template),
        ] {
            if let Some(path) = path {
                warnings.extend(scenario.read_manifest(kind, path)?);
            }
        }
        scenario.messages = self.messages.unwrap_or(scenario.messages);
        scenario.seed = self.seed.unwrap_or(scenario.seed);
        scenario.limit = self.limit.unwrap_or(scenario.limit);
        if let Some(wait) = &self.work {
            scenario.work.wait = wait.clone();
        }
        if let Some(path) = &self.handler_times {
            let measured = output::read(path)?;
            // What was measured holds the computing too.
            (scenario.work.wait, scenario.work.cpu) = (handler_times(&measured, path)?, Duration::ZERO);
            let attempts = measured.targets.iter().filter_map(|(_, target)| target.attempts);
            let all = attempts.reduce(|a, b| run::Attempts {
                handled: a.handled + b.handled,
                retries: a.retries + b.retries,
                rejects: a.rejects + b.rejects,
            });
            if let Some(all) = all.filter(|all| all.handled > 0) {
                scenario.work.retry_share = all.retries as f64 / all.handled as f64;
                scenario.work.reject_share = all.rejects as f64 / all.handled as f64;
            }
        }
        if let Some(concurrency) = self.concurrency {
            (scenario.eks.pod.concurrency, scenario.lambda.in_host_concurrency) = (concurrency, concurrency);
        }
        Ok((scenario.checked()?, warnings))
    }
}

/// The distribution of handler times in a run, of both targets together. Journals count in milliseconds: less than one is one.
fn handler_times(run: &Run, path: &Path) -> Result<Wait, CommandError> {
    let mut histogram: Vec<Bucket> = Vec::new();
    run.targets.iter().for_each(|(_, target)| histogram.extend(&target.handler_seconds_histogram));
    let times =
        histogram.iter().map(|bucket| (Duration::from_secs_f64(bucket.le.clamp(0.001, 86_400.0)), bucket.count));
    match Empirical::of(run::edges(&run::histogram(times))) {
        Some(measured) => Ok(Wait::Empirical(measured)),
        None => Err(CommandError::Flag {
            flag: "--handler-times",
            what: format!(
                "{} has no handler_seconds_histogram: write a run of --engine local or simulated, or of --engine aws with --journal-queue-url",
                path.display()
            ),
        }),
    }
}

impl Compare {
    /// Runs the scenario, prints the report, and writes the files.
    pub fn run(&self) -> Result<ExitCode, CommandError> {
        let (mut scenario, mut warnings) = self.overrides.resolve(&self.scenario)?;
        self.service.put_into(&mut scenario, self.overrides.messages)?;
        let scenario = scenario.checked()?;
        if scenario.service.is_some() && self.engine != Engine::Local {
            let what = "a service of one's own is run by the local engine alone: leave --engine out, and feed what it measured \
                        to the others with --handler-times run.json";
            return Err(CommandError::Flag { flag: "--engine", what: what.to_owned() });
        }
        let prices = self.pricing.read()?;
        if self.seeds > 1 && self.engine != Engine::Simulated {
            let what = "only the simulated engine has other luck at no cost: add --engine simulated".to_owned();
            return Err(CommandError::Flag { flag: "--seeds", what });
        }
        if self.engine == Engine::Local && self.target.0.contains(&TargetKind::Eks) && scenario.eks.job.is_some() {
            let what =
                "a ScaledJob (eks.job) is run by the simulated engine alone: write --engine simulated".to_owned();
            return Err(CommandError::Flag { flag: "--engine", what });
        }
        if self.engine == Engine::Local {
            let only = scenario.only_simulated();
            warnings.extend(only.iter().map(|(field, instead)| format!("{field} is only simulated: here {instead}")));
        }
        if let Some(flag) = self.deployed.given().filter(|_| self.engine != Engine::Aws) {
            return Err(CommandError::Flag { flag, what: "it is about deployed targets: add --engine aws".to_owned() });
        }
        let stopped = Cell::new(false);
        let run = match self.engine {
            Engine::Local => self.locally(&scenario, &prices, warnings)?,
            Engine::Simulated => self.simulated(&scenario, warnings)?,
            Engine::Aws => {
                let mut run = self.deployed(&scenario, &prices, &stopped)?;
                run.warnings.splice(0..0, warnings);
                run
            }
        };
        if let Some(folder) = &self.out {
            output::write(&run, &prices, folder)?;
        }
        output::print(std::slice::from_ref(&run), &prices, self.format)?;
        Ok(match all_done(&run) {
            _ if stopped.get() => ExitCode::from(STOPPED),
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    fn deployed(&self, scenario: &Scenario, prices: &Prices, stopped: &Cell<bool>) -> Result<Run, CommandError> {
        let flag = |flag, what: &str| Err(CommandError::Flag { flag, what: what.to_owned() });
        if self.speed != 1.0 {
            return flag("--speed", "leave it out: what is deployed goes at its own speed");
        }
        if self.live.is_some() {
            return flag(
                "--live",
                "leave it out: the page follows the local engine only; bars show this one's progress",
            );
        }
        let stop = async {
            told_to_stop().await;
            stopped.set(true);
            eprintln!("twinscale: told to stop: what there is follows; once more ends it at once, without");
            tokio::spawn(async {
                told_to_stop().await;
                std::process::exit(STOPPED.into());
            });
        };
        self.deployed.run(scenario, prices, &self.target.0, stop)
    }

    fn simulated(&self, scenario: &Scenario, warnings: Vec<String>) -> Result<Run, CommandError> {
        let flag = |flag, what: &str| Err(CommandError::Flag { flag, what: what.to_owned() });
        if self.speed != 1.0 {
            return flag("--speed", "leave it out: the simulated engine goes as fast as it can");
        }
        if self.live.is_some() {
            return flag("--live", "leave it out: the simulated engine is done before a page could be opened");
        }
        let mut run = seeds::simulate(scenario, self.seeds);
        run.targets.retain(|kind| self.target.0.contains(&kind));
        run.warnings.splice(0..0, warnings);
        Ok(run)
    }

    fn locally(&self, scenario: &Scenario, prices: &Prices, warnings: Vec<String>) -> Result<Run, CommandError> {
        let options = processes::Options {
            speed: self.speed,
            bin_dir: self.bin_dir.clone(),
            logs: self.logs.clone(),
            targets: self.target.0.clone(),
        };
        let broken = |error| CommandError::Local(processes::LocalError::from(error));
        let runtime = tokio::runtime::Runtime::new().map_err(broken)?;
        let mut bars = Bars::default();
        runtime.block_on(async {
            let mut live = match self.live {
                Some(port) => Some(Live::start(port, scenario, &options, prices.clone()).await.map_err(broken)?),
                None => None,
            };
            if let Some(live) = &live {
                eprintln!("live: http://{}/", live.address);
            }
            let mut show = |progress: processes::Progress| {
                if let Some(live) = &mut live {
                    live.show(&progress);
                }
                bars.show(&progress);
            };
            let mut run = tokio::select! {
                // The first to be ready wins; dropping the run ends its processes.
                run = processes::run(scenario, &options, &mut show) => run?,
                () = told_to_stop() => return Err(CommandError::Interrupted),
            };
            run.warnings.splice(0..0, warnings);
            if let Some(live) = live {
                live.finish(&run).await;
            }
            Ok(run)
        })
    }
}

/// Waits for SIGINT (Ctrl-C) or SIGTERM.
async fn told_to_stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// Whether every target did what it was asked to.
fn all_done(run: &Run) -> bool {
    run.failures().iter().all(Option::is_none)
}
