//! `twinscale report`: runs that were written before, on one page.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use super::output::{self, Format};
use super::pricing::Pricing;
use crate::advise::Goal;
use crate::report::html::View;

/// Show runs again, or several on one page, whatever engine and day they are from
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  twinscale report before/run.json after/run.json --out page    writes page/report.html, and prints both"
)]
pub struct Report {
    /// The runs, in the order in which to show them
    #[arg(required = true, value_name = "RUN.JSON")]
    runs: Vec<PathBuf>,
    /// Write report.html with all of them into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What the page holds them to: p50, p90, p95, p99 or drain, below a time (p95<30s)
    #[arg(long, value_name = "GOAL")]
    goal: Option<Goal>,
    #[command(flatten)]
    pricing: Pricing,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Report {
    /// Reads the runs, prints them, and writes the page.
    pub fn run(&self) -> Result<ExitCode, CommandError> {
        let runs = self.runs.iter().map(|path| output::read(path)).collect::<Result<Vec<_>, _>>()?;
        let prices = self.pricing.read()?;
        if let Some(folder) = &self.out {
            std::fs::create_dir_all(folder)
                .map_err(|error| CommandError::Write { what: folder.display().to_string(), error })?;
            output::write_page(View { goal: self.goal, ..View::of(&runs, &prices) }, folder)?;
        }
        output::print(&runs, &prices, self.format)?;
        Ok(ExitCode::SUCCESS)
    }
}
