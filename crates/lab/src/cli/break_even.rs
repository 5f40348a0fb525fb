//! `twinscale break-even`: from which rate on the other target is cheaper.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;

use super::CommandError;
use super::search::{self, Search};
use super::stop::{STOPPED, stop_flag};
use crate::advise::{Asker, Progress, break_even};
use crate::report::{break_even as report, html};

/// Sweep the rate over six decades: from which rate on is the other target cheaper
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  twinscale break-even --scenario default
  twinscale break-even --scenario my.toml --control-plane-share 0.1 --nodes m7g.large --spot-discount 0.6
  twinscale break-even --work 20ms --format markdown >> $GITHUB_STEP_SUMMARY

The load is even (Poisson) at each of 13 rates from 0.001 to 1,000 messages per second, with the scenario's work and settings;
pods may be as many as they need. The control plane is most of a small bill: --control-plane-share says how much of it is
this workload's. docs/advice.md shows how to read the curve.

Exit codes: 0 found, or there is none and it says so; 64 bad input; 130 stopped, with what there was.")]
pub(super) struct BreakEven {
    #[command(flatten)]
    search: Search,
}

impl BreakEven {
    /// Sweeps the rate, and prints and writes the curve.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let (scenario, prices) = self.search.read()?;
        let bar = search::bar("rates");
        let told = |progress| match progress {
            Progress::Ahead(more) => bar.inc_length(more),
            Progress::Done => bar.inc(1),
            Progress::Look { .. } => {}
        };
        let stop = stop_flag()?;
        let found = break_even(&scenario, self.search.seeds, &prices, Asker { told: &told, stop });
        bar.finish_and_clear();
        self.search.destination.report(
            &found,
            "break-even",
            html::break_even_page,
            [report::text, report::markdown],
        )?;
        Ok(if stop.load(Ordering::Relaxed) { ExitCode::from(STOPPED) } else { ExitCode::SUCCESS })
    }
}
