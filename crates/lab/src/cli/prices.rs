//! `twinscale prices`: a price file for another region.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use super::output;
use crate::cost::offers::{Priced, priced};
use crate::cost::prices;

/// Make a price file for a region from the offer files of AWS's Price List that you have downloaded
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  curl -o offers/AWSLambda.json https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AWSLambda/current/eu-west-1/index.json
  twinscale prices --from offers --region eu-west-1 > prices/eu-west-1.toml
  twinscale decide --per-day 3M --work 400ms --prices prices/eu-west-1.toml

AWSLambda, AWSQueueService, AmazonEKS, AmazonECS, AmazonEC2 and AmazonCloudWatch have all that is needed. Every line that no file
has is named, and has the price of the file that it began with, with a doubt that reports repeat.

Exit codes: 0 every line was found, 1 some are missing and are named, 64 bad input.")]
pub(super) struct PricesOf {
    /// The folder with the offer files, as they were downloaded: every .json in it is read
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The region, as AWS names it: eu-west-1
    #[arg(long, value_name = "REGION")]
    region: String,
    /// The price file that says which lines and instances there are [default: prices/us-east-1.toml]
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
}

impl PricesOf {
    /// Reads the offer files, and prints the price file.
    pub(super) fn run(&self) -> Result<ExitCode, CommandError> {
        let base = prices::read(self.base.as_deref())?;
        let Priced { prices, missing, read } = priced(&self.from, &self.region, &base)?;
        read.iter().for_each(|file| eprintln!("twinscale: read {file}"));
        for line in &missing {
            eprintln!("twinscale: {line}: not found for {}", self.region);
        }
        let wrong = |error: toml::ser::Error| CommandError::Write {
            what: "to standard output".to_owned(),
            error: std::io::Error::other(error),
        };
        let text = toml::to_string(&prices).map_err(wrong)?;
        output::say(&format!("# Prices in USD, made by twinscale prices from AWS's Price List.\n{}", text.trim_end()))?;
        Ok(if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
