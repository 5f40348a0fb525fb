//! `twinscale decide`: EKS or Lambda, in five lines.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;
use indicatif::ProgressBar;

use super::CommandError;
use super::compare::Overrides;
use super::output::{self, Format};
use super::pricing::Pricing;
use super::search::{self, Destination};
use super::stop::{STOPPED, stop_flag};
use crate::advise::{Goal, Progress};
use crate::cost::Prices;
use crate::decide::{Backtest, Choice, Contender, Decided, Effort, Peak, Reached, backtest, decide, made_fit};
use crate::fargate::start_as_priced;
use crate::manifests::{Manifest, quantity};
use crate::report::figures::{printable, usd};
use crate::report::{decision as report, html};
use crate::scenario::{Draft, Scenario, recorded};
use crate::target::TargetKind;

/// Say which target a queue should have, in five lines: which, by how much, what limits the other, where it flips, how sure
#[derive(Args, Debug)]
#[command(
    group = clap::ArgGroup::new("asked").required(true).args(["per_day", "load", "scenario"]),
    after_help = "\
Examples:
  twinscale decide --per-day 3M --peak noon --work 400ms --fail 5% --goal 'p95<5s'
  twinscale decide --load last-week.csv --handler-times run.json --nodes m7g.large --control-plane-share 0.1
  twinscale decide --load last-week.json --observed --work 400ms --template template.yaml --out answer

Both targets are tuned to the goal as advise does, then run with what was found, and priced. --out writes the page, decision.json,
run.json and scenario.toml, from which compare and advise go on. docs/decide.md tells what is assumed, and how it is reckoned.

Exit codes: 0 there is an answer, 1 nothing that was tried meets the goal, 64 bad input, 130 stopped, with what there was."
)]
pub(super) struct Decide {
    /// Messages a day: 3M, 250k, 86400
    #[arg(long, value_name = "N", value_parser = messages, conflicts_with = "messages")]
    per_day: Option<u64>,
    /// When they come
    #[arg(long, value_enum, default_value_t = Peak::Noon, conflicts_with_all = ["load", "scenario"])]
    peak: Peak,
    /// What was recorded, from CloudWatch, Prometheus or a log: docs/decide.md shows how to get it
    #[arg(long, value_name = "FILE")]
    load: Option<PathBuf>,
    /// What a target did with that load: its capacity, the age of its oldest message, how long it took. Shows how far the
    /// simulator is from it, with your files as they are [without FILE: that of --load]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    observed: Option<Option<PathBuf>>,
    /// Where that was, if its metrics do not tell
    #[arg(long, value_name = "TARGET", requires = "observed")]
    observed_on: Option<TargetKind>,
    /// A built-in scenario, or a TOML file
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Option<String>,
    /// Share of attempts that fail and come again: 5% or 0.05
    #[arg(long, value_name = "SHARE", value_parser = share)]
    fail: Option<f64>,
    /// What has to be met: p50, p90, p95, p99 or drain, below a time
    #[arg(long, default_value = "p95<30s", value_name = "GOAL")]
    goal: Goal,
    /// Seeds that the search's intervals are made of
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    seeds: u64,
    /// Draws of what the models had to estimate, which say how sure the answer is
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    draws: u64,
    /// Print decision.json: --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    destination: Destination,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    pricing: Pricing,
}

/// Why a flag's value is none.
#[derive(Debug, thiserror::Error)]
enum FlagError {
    #[error("write a whole number of messages: 3M, 250k, 86400")]
    Messages,
    #[error("write a share from 0 to 1: 5% or 0.05")]
    Share,
}

fn messages(text: &str) -> Result<u64, FlagError> {
    let whole = |count: &f64| count.fract() == 0.0 && (1.0..=1e12).contains(count);
    quantity(text).filter(whole).map(|count| count as u64).ok_or(FlagError::Messages)
}

fn share(text: &str) -> Result<f64, FlagError> {
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0),
        None => text.trim().parse(),
    };
    share.ok().filter(|share| (0.0..=1.0).contains(share)).ok_or(FlagError::Share)
}

impl Decide {
    /// Decides, and prints and writes the answer.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        // The parser does not ask for --load beside --per-day, which excludes it.
        if let (Some(_), None) = (&self.observed, &self.load) {
            let what = "it is held against what --load makes the simulator do: write --load FILE".to_owned();
            return Err(CommandError::Flag { flag: "--observed", what });
        }
        let prices = self.pricing.read()?;
        let scenario = self.scenario(&prices)?;
        let backtest = self.backtest(&scenario)?;
        let bar = search::bar("simulated");
        let effort = Effort { seeds: self.seeds, draws: self.draws };
        let stop = stop_flag()?;
        let heard = |stage: Reached| tell(&bar, self.goal, stage);
        let (mut decided, run) = decide(&scenario, self.goal, effort, &prices, &heard, stop);
        bar.finish_and_clear();
        decided.backtest = backtest;
        run.warnings.iter().for_each(|warning| eprintln!("twinscale: {warning}"));
        let page = |decided: &Decided| html::decision_page(decided, &run, &prices);
        self.destination().report(&decided, "decision", page, [report::text, report::markdown])?;
        if let Some(folder) = &self.destination.out {
            output::write_run(&run, folder, false)?;
            write_scenario(&decided.scenario, folder)?;
            let folder = folder.display();
            eprintln!("twinscale: wrote {folder}/decision.html, decision.json, run.json and scenario.toml");
        }
        Ok(match decided.choice {
            _ if stop.load(Ordering::Relaxed) => ExitCode::from(STOPPED),
            Choice::Cheaper(_) | Choice::Alone(_) | Choice::Either => ExitCode::SUCCESS,
            Choice::Neither | Choice::Open => ExitCode::FAILURE,
        })
    }

    fn destination(&self) -> Destination {
        let format = if self.json { Format::Json } else { self.destination.format };
        Destination { format, out: self.destination.out.clone() }
    }

    /// What was observed beside what the simulator makes of that load.
    fn backtest(&self, scenario: &Scenario) -> Result<Option<Backtest>, CommandError> {
        let (Some(load), Some(observed)) = (&self.load, &self.observed) else { return Ok(None) };
        let metrics = recorded::observed(observed.as_ref().unwrap_or(load))?;
        let began = recorded::recording(load)?.began;
        let found = backtest(scenario, began, &metrics, self.observed_on)
            .map_err(|error| CommandError::Flag { flag: "--observed", what: error.to_string() })?;
        for name in &found.not_used {
            eprintln!("twinscale: --observed: nothing is made of the metric '{}'", printable(name));
        }
        Ok(Some(found))
    }

    /// The scenario that is asked about. What is made of a number of messages or of a recording is given room for it.
    fn scenario(&self, prices: &Prices) -> Result<Scenario, CommandError> {
        let mut draft = match (self.per_day, &self.load, &self.scenario) {
            (Some(per_day), ..) => self.peak.draft(per_day),
            (None, Some(file), _) => Draft::recorded(file)?,
            (None, None, Some(name)) => Draft::read(name)?,
            (None, None, None) => {
                let what = "say how many messages come: --per-day 3M, or --load FILE with what was recorded".to_owned();
                return Err(CommandError::Flag { flag: "--per-day", what });
            }
        };
        let warnings = self.overrides.put_into(&mut draft)?;
        warnings.iter().for_each(|warning| eprintln!("twinscale: {warning}"));
        if self.scenario.is_none() && !self.overrides.tells_work() {
            let what = "say what a message takes: --work 400ms, or --handler-times run.json with what was measured";
            return Err(CommandError::Flag { flag: "--work", what: what.to_owned() });
        }
        let scenario = &mut draft.scenario;
        if let Some(fail) = self.fail {
            scenario.work.retry_share = fail;
        }
        if self.scenario.is_none() {
            let given = |kind| self.overrides.manifest(kind).is_some();
            made_fit(scenario, given(Manifest::ScaledObject), given(Manifest::Template));
        }
        if scenario.eks.job.is_some() {
            let what = "the search is over a ScaledObject's settings, and this is a ScaledJob: give a ScaledObject, or a \
                        scenario without eks.job";
            return Err(CommandError::Flag { flag: "--scaled-object", what: what.to_owned() });
        }
        let starts = start_as_priced(&mut draft, prices);
        starts.iter().for_each(|warning| eprintln!("twinscale: {warning}"));
        Ok(draft.resolved()?)
    }
}

/// Says on standard error how far it is, with what is known so far.
fn tell(bar: &ProgressBar, goal: Goal, stage: Reached) {
    match stage {
        Reached::Simulated(Progress::Ahead(more)) => bar.inc_length(more),
        Reached::Simulated(Progress::Done) => bar.inc(1),
        Reached::Simulated(Progress::Look { target, candidates, cheapest }) => {
            let found = cheapest.map_or_else(
                || format!("none meets {goal} yet"),
                |best| format!("the cheapest that meets {goal} costs {} a month", usd(best.usd.mean)),
            );
            bar.suspend(|| eprintln!("twinscale: {}: {candidates} settings looked at; {found}", target.title()));
        }
        Reached::Tuned(_) => {}
        Reached::Chosen(choice, contenders) => {
            bar.suspend(|| eprintln!("twinscale: so far: {}", so_far(choice, contenders)))
        }
    }
}

fn so_far(choice: Choice, contenders: &[Contender]) -> String {
    let each = |c: &Contender| {
        let month = c.month_usd.map_or_else(|| "fails".to_owned(), |month| format!("{} a month", usd(month)));
        format!("{} {month}", c.target.title())
    };
    let figures = contenders.iter().map(each).collect::<Vec<_>>().join(", ");
    let word = match choice {
        Choice::Cheaper(kind) | Choice::Alone(kind) => kind.title(),
        Choice::Either => "either",
        Choice::Neither => "neither",
        Choice::Open => "open",
    };
    format!("{word} ({figures}); next: other rates, and how sure that is")
}

/// Writes the scenario in the form that `--scenario` reads.
fn write_scenario(scenario: &Scenario, folder: &Path) -> Result<(), CommandError> {
    let path = folder.join("scenario.toml");
    let wrong = |error: toml::ser::Error| CommandError::Write {
        what: path.display().to_string(),
        error: std::io::Error::other(error),
    };
    output::write_file(&path, &toml::to_string(scenario).map_err(wrong)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, count) in [("3M", 3_000_000), ("250k", 250_000), ("86400", 86_400), ("1.5M", 1_500_000)] {
            assert_eq!(messages(text).expect(text), count);
        }
        for text in ["3m", "0", "-5", "much", "1.5", ""] {
            assert!(messages(text).is_err(), "{text}");
        }
        for (text, value) in [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("100 %", 1.0)] {
            assert!((share(text).expect(text) - value).abs() < 1e-12, "{text}");
        }
        for text in ["5", "101%", "-1%", "some", "NaN"] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
