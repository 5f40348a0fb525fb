//! `twinscale compare`: one scenario through both targets.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::CommandError;
use super::aws::DeployedFlags;
use super::live::{Live, Terms};
use super::output::{self, Format};
use super::pricing::Pricing;
use super::progress::Bars;
use super::seeds;
use super::service::OwnService;
use super::stop::{STOPPED, stop_flag, stopping};
use crate::advise::Goal;
use crate::cost::Prices;
use crate::fargate::{slower_on_fargate, start_as_priced};
use crate::manifests::{Given, Manifest};
use crate::processes;
use crate::run::{self, Bucket, Engine, Run};
use crate::scenario::{Draft, Scenario};
use crate::target::TargetKind;
use crate::uncertainty::uncertainty;
use twinscale_work::{Empirical, Wait, format_duration, parse_duration};

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
    /// The longest load that is sent in real time: what lasts longer is refused
    #[arg(long, default_value = "1h", value_name = "TIME", value_parser = duration)]
    patience: Duration,
    /// Which target to run
    #[arg(long, value_parser = Selection::parser(), default_value = BOTH)]
    target: Selection,
    /// Write run.json and report.html into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Keep every sample and look of a long run in run.json
    #[arg(long, requires = "out")]
    full: bool,
    /// What the page holds the targets to: p50, p90, p95, p99 or drain, below a time (p95<30s)
    #[arg(long, value_name = "GOAL")]
    goal: Option<Goal>,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Run both targets at once, as a race, and show it in a browser on this port of loopback [default port: a free one]
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0", require_equals = true)]
    live: Option<u16>,
    /// Simulate with this many seeds, and add medians and 95 % intervals to the first seed's run
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    seeds: u64,
    /// Draw what the models had to estimate from its range so many times, and say whether the verdict survives it
    /// [without N: 100]
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "100", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    uncertainty: Option<u64>,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    service: OwnService,
    #[command(flatten)]
    pricing: Pricing,
    #[command(flatten)]
    deployed: DeployedFlags,
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
    #[command(flatten)]
    pub(super) given: Given,
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

    /// Whether they say what a message takes.
    pub(super) fn tells_work(&self) -> bool {
        self.work.is_some() || self.handler_times.is_some()
    }

    /// The scenario with these in it, before what it leaves out follows from its load, and warnings about what the model
    /// does not cover.
    pub(super) fn draft(&self, name: &str) -> Result<(Draft, Vec<String>), CommandError> {
        let mut draft = Draft::read(name)?;
        let warnings = self.put_into(&mut draft)?;
        Ok((draft, warnings))
    }

    /// Puts these in the place of what the draft says, and gives warnings about what the model does not cover.
    pub(super) fn put_into(&self, draft: &mut Draft) -> Result<Vec<String>, CommandError> {
        let scenario = &mut draft.scenario;
        let mut warnings = Vec::new();
        if let (Some(flag), None) = (self.given.of_template(), &self.template) {
            return Err(CommandError::Flag { flag, what: "it is about a template: add --template FILE".to_owned() });
        }
        for (kind, path) in [
            (Manifest::ScaledObject, &self.scaled_object),
            (Manifest::Deployment, &self.deployment),
            (Manifest::Template, &self.template),
        ] {
            if let Some(path) = path {
                warnings.extend(scenario.read_manifest(kind, path, &self.given)?);
            }
        }
        scenario.seed = self.seed.unwrap_or(scenario.seed);
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
        draft.messages = self.messages.or(draft.messages);
        draft.limit = self.limit.or(draft.limit);
        Ok(warnings)
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
        let (mut draft, mut warnings) = self.overrides.draft(&self.scenario)?;
        self.service.put_into(&mut draft, self.overrides.messages)?;
        let prices = self.pricing.read()?;
        let pods = self.target.0.contains(&TargetKind::Eks);
        // Real time is not spent on it: there it is only said.
        if self.engine == Engine::Simulated {
            warnings.extend(start_as_priced(&mut draft, &prices).filter(|_| pods));
        }
        let scenario = draft.resolved()?;
        if scenario.service.is_some() && self.engine != Engine::Local {
            let what = "a service of one's own is run by the local engine alone: leave --engine out, and feed what it measured \
                        to the others with --handler-times run.json";
            return Err(CommandError::Flag { flag: "--engine", what: what.to_owned() });
        }
        if self.seeds > 1 && self.engine != Engine::Simulated {
            let what = "only the simulated engine has other luck at no cost: add --engine simulated".to_owned();
            return Err(CommandError::Flag { flag: "--seeds", what });
        }
        if self.uncertainty.is_some() && (self.engine != Engine::Simulated || self.target.0.len() < 2) {
            let what = "it draws what the simulated engine had to estimate, for both targets: write --engine simulated, and \
                        no --target";
            return Err(CommandError::Flag { flag: "--uncertainty", what: what.to_owned() });
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
        self.can_wait_for(&scenario)?;
        let modelled = self.engine != Engine::Aws && pods;
        warnings.extend(slower_on_fargate(&scenario, &prices).filter(|_| modelled));
        let stopped = Cell::new(false);
        let run = match self.engine {
            Engine::Local => self.locally(&scenario, &prices, warnings, &stopped)?,
            Engine::Simulated => {
                let stop = stop_flag()?;
                let mut run = self.simulated(&scenario, warnings, stop)?;
                let each: Vec<_> = self.target.0.iter().map(|kind| (*kind, &scenario)).collect();
                run.uncertainty = self.uncertainty.map(|draws| uncertainty(&each, draws, &prices, stop));
                if let Some(none) = run.uncertainty.take_if(|found| found.draws == 0) {
                    run.warnings.push(none.told());
                }
                stopped.set(stop.load(Ordering::Relaxed));
                run
            }
            Engine::Aws => {
                let mut run = self.deployed(&scenario, &prices, &stopped)?;
                run.warnings.splice(0..0, warnings);
                run
            }
        };
        if let Some(folder) = &self.out {
            output::write(&run, &prices, self.goal, folder, self.full)?;
        }
        output::print(std::slice::from_ref(&run), &prices, self.format)?;
        Ok(match all_done(&run) {
            _ if stopped.get() => ExitCode::from(STOPPED),
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }

    /// Refuses a load that takes longer in real time than whoever asks may expect.
    fn can_wait_for(&self, scenario: &Scenario) -> Result<(), CommandError> {
        let speed = match self.engine {
            Engine::Simulated => return Ok(()),
            Engine::Local if self.speed > 0.0 => self.speed,
            // A speed that makes no sense is refused by the engine.
            Engine::Local | Engine::Aws => 1.0,
        };
        let seconds = scenario.load.length(scenario.messages).as_secs_f64() / speed;
        let lasts = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        if lasts <= self.patience {
            return Ok(());
        }
        let whole = format_duration(Duration::from_secs(lasts.as_secs()));
        let what = format!(
            "sending the load alone takes {whole} in real time: write --engine simulated, which takes seconds, or --patience {whole} \
             to wait for it"
        );
        Err(CommandError::Flag { flag: "--patience", what })
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
        self.deployed.run(scenario, prices, &self.target.0, stopping(|| stopped.set(true)))
    }

    fn simulated(&self, scenario: &Scenario, warnings: Vec<String>, stop: &AtomicBool) -> Result<Run, CommandError> {
        let flag = |flag, what: &str| Err(CommandError::Flag { flag, what: what.to_owned() });
        if self.speed != 1.0 {
            return flag("--speed", "leave it out: the simulated engine goes as fast as it can");
        }
        if self.live.is_some() {
            return flag("--live", "leave it out: the simulated engine is done before a page could be opened");
        }
        let mut run = seeds::simulate(scenario, self.seeds, stop);
        run.targets.retain(|kind| self.target.0.contains(&kind));
        run.warnings.splice(0..0, warnings);
        Ok(run)
    }

    fn locally(
        &self,
        scenario: &Scenario,
        prices: &Prices,
        warnings: Vec<String>,
        stopped: &Cell<bool>,
    ) -> Result<Run, CommandError> {
        let options = processes::Options {
            speed: self.speed,
            bin_dir: self.bin_dir.clone(),
            logs: self.logs.clone(),
            targets: self.target.0.clone(),
            at_once: self.live.is_some(),
            ..processes::Options::default()
        };
        let broken = |error| CommandError::Local(processes::LocalError::from(error));
        let runtime = tokio::runtime::Runtime::new().map_err(broken)?;
        let mut bars = Bars::default();
        runtime.block_on(async {
            let mut live = match self.live {
                Some(port) => Some(
                    Live::start(port, scenario, &options, Terms { prices: prices.clone(), goal: self.goal })
                        .await
                        .map_err(broken)?,
                ),
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
            let mut run = {
                let mut running = pin!(processes::run(scenario, &options, &mut show));
                tokio::select! {
                    run = &mut running => run?,
                    () = stopping(|| stopped.set(true)) => {
                        options.stop.cancel();
                        running.await?
                    }
                }
            };
            run.warnings.splice(0..0, warnings);
            if let Some(live) = live {
                live.finish(&run).await;
            }
            Ok(run)
        })
    }
}

/// Whether every target did what it was asked to.
fn all_done(run: &Run) -> bool {
    run.failures().iter().all(Option::is_none)
}
