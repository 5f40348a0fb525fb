//! `twinscale explore`: the report's page on loopback, with a knob for each setting that matters.

use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::net::TcpListener;

use super::CommandError;
use super::compare::Overrides;
use super::pricing::Pricing;
use super::stop::told_to_stop;
use crate::advise::Goal;
use crate::explore::Beginning;
use crate::fargate::start_as_priced;

mod loopback;
mod served;

/// Turn the settings of both targets on a page in your browser, and see at once what each does
#[derive(Args, Debug)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  twinscale explore
  twinscale explore --scenario day --goal 'p95<5s' --nodes m7g.large --control-plane-share 0.1
  twinscale explore --handler-times out/run.json --scaled-object so.yaml --deployment d.yaml --template template.yaml

Every change is simulated anew; nothing is deployed, and no file is changed: the page saves the settings as a scenario, and
as patches of your files. It is served on loopback, for as long as the program runs (Ctrl-C ends it). docs/explore.md says more."
)]
pub(super) struct Explore {
    /// A built-in scenario, or a TOML file, to begin with
    #[arg(long, default_value = "default", value_name = "NAME|FILE")]
    scenario: String,
    /// What has to be met, drawn as a line: p95<5s
    #[arg(long, value_name = "GOAL")]
    goal: Option<Goal>,
    /// The port of loopback [default: a free one]
    #[arg(long, default_value_t = 0, value_name = "PORT", hide_default_value = true)]
    port: u16,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    pricing: Pricing,
}

impl Explore {
    /// Serves until it is told to stop.
    pub(super) fn run(self: Box<Self>) -> Result<ExitCode, CommandError> {
        let Self { scenario, goal, port, overrides, pricing } = *self;
        let prices = pricing.read()?;
        let (draft, mut warnings) = overrides.draft(&scenario)?;
        // The page's own knob turns that, so that the beginning is left as it is written.
        warnings.extend(start_as_priced(&mut draft.clone(), &prices));
        warnings.iter().for_each(|warning| eprintln!("twinscale: {warning}"));
        // What cannot run as it is told before anything is served.
        draft.clone().resolved()?;
        let beginning = Beginning::new(draft, prices);
        let broken = |error: io::Error| CommandError::Serve { port, error };
        let runtime = tokio::runtime::Runtime::new().map_err(broken)?;
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(broken)?;
            let address = listener.local_addr().map_err(broken)?;
            let page = served::Page { beginning, overrides, goal };
            eprintln!("explore: http://{address}/");
            let app = served::router(Arc::new(page), address.port());
            tokio::select! {
                served = axum::serve(listener, app).into_future() => served.map_err(broken),
                () = told_to_stop() => Ok(()),
            }
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
