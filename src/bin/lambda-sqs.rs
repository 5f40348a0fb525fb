//! The function behind an SQS event source mapping (`ReportBatchItemFailures` on). Runs on `provided.al2023`, and with
//! several invocations at once where Lambda Managed Instances ask for them.

use std::process::ExitCode;

use lambda_runtime::Error;
use twinscale::config::{Config, ConfigErrors};
use twinscale::function::{self, Function};
use twinscale::journal::Journal;
use twinscale::queue::Tuning;
use twinscale::{telemetry, workload};

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let config = match Config::from_env(&|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return Ok(ExitCode::from(ConfigErrors::EXIT_CODE));
        }
    };
    telemetry::start(config.log.json, &config.log.filter, config.log.collector())?;
    let journal = journal(&config);
    let function = Function::new(workload::handler(config.work.clone()), &config, journal.clone());
    journal.ready();
    function::serve(function).await?;
    Ok(ExitCode::SUCCESS)
}

fn journal(config: &Config) -> Journal {
    let Some(queue) = config.journal_queue_url.clone() else { return Journal::off() };
    // The log stream is the one name that Lambda gives an execution environment.
    let who = std::env::var("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_default();
    Journal::to(queue, Tuning { attempt_timeout: config.attempt_timeout }, "function", &who)
}
