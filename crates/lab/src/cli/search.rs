//! What `advise` and `break-even` have in common: a scenario, seeds, prices, progress, and a result in three forms.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::CommandError;
use super::compare::Overrides;
use super::output::{self, Format};
use super::pricing::Pricing;
use crate::cost::Prices;
use crate::fargate::start_as_priced;
use crate::scenario::Scenario;

/// Flags of a search by simulation.
#[derive(Args, Debug)]
pub(super) struct Search {
    /// A built-in scenario, or a TOML file
    #[arg(long, default_value = "default", value_name = "NAME|FILE")]
    scenario: String,
    /// Seeds that intervals are made of
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(2..=1000))]
    pub seeds: u64,
    #[command(flatten)]
    pub destination: Destination,
    #[command(flatten)]
    pub overrides: Overrides,
    #[command(flatten)]
    pricing: Pricing,
}

/// Where what was found goes.
#[derive(Args, Debug)]
pub(super) struct Destination {
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Write the result and its page into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

impl Search {
    /// The scenario and the prices.
    pub(super) fn read(&self) -> Result<(Scenario, Prices), CommandError> {
        let prices = self.pricing.read()?;
        let (mut draft, mut warnings) = self.overrides.draft(&self.scenario)?;
        warnings.extend(start_as_priced(&mut draft, &prices));
        let scenario = draft.resolved()?;
        warnings.iter().for_each(|warning| eprintln!("twinscale: {warning}"));
        Ok((scenario, prices))
    }
}

/// A progress bar on standard error; hidden when that is no terminal.
pub(super) fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{prefix:>12} {bar:30.cyan/dim} {pos}/{len}  {eta} left");
    // The template is ours; if it were wrong, the plain bar would serve.
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_prefix(what);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

impl Destination {
    /// Writes the result and its page into the folder, if there is one, and prints it as text or Markdown with one of
    /// these.
    pub(super) fn report<R: Serialize>(
        &self,
        result: &R,
        name: &str,
        page: impl FnOnce(&R) -> String,
        [text, markdown]: [fn(&R) -> String; 2],
    ) -> Result<(), CommandError> {
        if let Some(folder) = &self.out {
            output::write_json(result, folder, &format!("{name}.json"))?;
            output::write_file(&folder.join(format!("{name}.html")), &page(result))?;
        }
        output::say(
            match self.format {
                Format::Json => output::json(result),
                Format::Text => text(result),
                Format::Markdown => markdown(result),
            }
            .trim_end(),
        )
    }
}
