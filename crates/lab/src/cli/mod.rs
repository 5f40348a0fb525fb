//! The command line of `twinscale`: one file per subcommand. It reads, calls the other rooms, writes, and decides nothing.

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cost::prices::PricesError;
use crate::manifests::ManifestError;
use crate::processes::LocalError;
use crate::scenario::ScenarioError;
use crate::validate::{self, Validate};

mod advise;
mod aws;
mod break_even;
mod compare;
mod decide;
mod explore;
mod gate;
mod live;
mod new;
mod output;
mod patches;
mod prices;
mod pricing;
mod progress;
mod report;
mod search;
mod seeds;
mod service;
mod shell;
mod sqs;
mod stop;

pub use compare::Compare;
pub use output::{Format, ReadError};
pub use report::Report;
pub use sqs::Sqs;

/// `EX_USAGE` of sysexits.h: what was asked for cannot be.
pub const BAD_INPUT: u8 = 64;
/// `EX_SOFTWARE` of sysexits.h: it could be, and went wrong.
const BROKEN: u8 = 70;

/// One SQS message handler, two ways to scale it: EKS with KEDA, and Lambda. Which one, for your workload?
#[derive(Debug, Parser)]
#[command(name = "twinscale", version = env!("TWINSCALE_VERSION"), arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Twinscale {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  twinscale decide --per-day 3M --work 400ms --goal 'p95<5s'    EKS or Lambda, in five lines
  twinscale compare --scenario article --speed 10 --out out     1,000 messages through both targets, as real processes
  twinscale compare --work lognormal:2s,0.5 --concurrency 20    your message takes 2 s, a pod works on 20 at once
  twinscale compare --scaled-object scaledobject.yaml           with your own KEDA settings
  twinscale report a/run.json b/run.json --out page             two runs on one page

Exit codes: 0 all went well, 1 a target did not do its work, 64 bad input, 70 something broke, 130 stopped.";

#[derive(Debug, Subcommand)]
enum Command {
    Compare(Box<Compare>),
    Decide(Box<decide::Decide>),
    Advise(Box<advise::Advise>),
    BreakEven(Box<break_even::BreakEven>),
    Gate(Box<gate::Gate>),
    Explore(Box<explore::Explore>),
    Report(Report),
    Prices(prices::PricesOf),
    Sqs(Sqs),
    Validate(Validate),
    New(new::New),
    Completions(shell::Completions),
    Man(shell::Man),
}

/// Why a command ended before it was done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No such scenario, or a mistake in it.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A mistake in a manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file that cannot be read or is no run.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The price file cannot be read.
    #[error(transparent)]
    Prices(#[from] PricesError),
    /// AWS's offer files cannot be read.
    #[error(transparent)]
    Offers(#[from] crate::cost::offers::OffersError),
    /// `validate` could not read something.
    #[error(transparent)]
    Validate(#[from] validate::ValidateError),
    /// `gate` could not read something.
    #[error(transparent)]
    Gate(#[from] crate::gate::GateError),
    /// A project cannot be written.
    #[error(transparent)]
    Scaffold(#[from] crate::scaffold::ScaffoldError),
    /// Flags that contradict each other or are out of range.
    #[error("{flag}: {what}")]
    Flag {
        /// The flag, with its dashes.
        flag: &'static str,
        /// What is wrong, and what to write.
        what: String,
    },
    /// The local engine could not run.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The deployed targets could not be used.
    #[error(transparent)]
    Aws(#[from] crate::deployed::AwsError),
    /// The page could not be served.
    #[error("--port {port}: the page cannot be served: {error}")]
    Serve {
        /// The port that was asked for.
        port: u16,
        /// Why.
        error: io::Error,
    },
    /// A result could not be written.
    #[error("cannot write {what}: {error}")]
    Write {
        /// Path, or standard output.
        what: String,
        /// Why.
        error: io::Error,
    },
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Local(
                LocalError::Speed(_)
                | LocalError::SpeedOfService(_)
                | LocalError::Missing { .. }
                | LocalError::Service(_),
            ) => BAD_INPUT,
            Self::Local(_) | Self::Write { .. } | Self::Serve { .. } => BROKEN,
            _ => BAD_INPUT,
        }
    }
}

impl Twinscale {
    /// Reads the arguments, runs the command, and says what went wrong on standard error.
    pub fn run() -> ExitCode {
        let cli = match Self::try_parse() {
            Ok(cli) => cli,
            Err(error) => {
                // Nobody is left to tell if this cannot be printed.
                let _ = error.print();
                return if error.use_stderr() { BAD_INPUT.into() } else { ExitCode::SUCCESS };
            }
        };
        let done = match cli.command {
            Command::Compare(compare) => compare.run(),
            Command::Decide(decide) => decide.run(),
            Command::Advise(advise) => advise.run(),
            Command::BreakEven(sweep) => sweep.run(),
            Command::Gate(gate) => gate.run(),
            Command::Explore(explore) => explore.run(),
            Command::Report(report) => report.run(),
            Command::Prices(prices) => prices.run(),
            Command::Sqs(sqs) => sqs::serve(&sqs),
            Command::New(new) => new.run(),
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
            Command::Validate(validate) => validate.run(&mut io::stdout().lock()).map_err(CommandError::from),
        };
        done.unwrap_or_else(|error| {
            eprintln!("twinscale: {error}");
            error.exit_code().into()
        })
    }
}
