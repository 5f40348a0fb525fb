//! `twinscale sqs`: the embedded queue, served for development.

use std::process::ExitCode;

use super::CommandError;
use twinscale::unstable::shutdown::Shutdown;
pub use twinscale_sqs::cli::Serve as Sqs;

/// Serves until it is told to stop.
pub(super) fn serve(sqs: &Sqs) -> Result<ExitCode, CommandError> {
    let broken = |what: String| CommandError::Flag { flag: "sqs", what };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| broken(error.to_string()))?;
    runtime.block_on(async {
        let (_server, lines) = sqs.start().await.map_err(|error| broken(error.to_string()))?;
        lines.iter().for_each(|line| println!("{line}"));
        let stop = Shutdown::on_signals().map_err(|error| broken(error.to_string()))?;
        stop.drain.cancelled().await;
        Ok(ExitCode::SUCCESS)
    })
}
