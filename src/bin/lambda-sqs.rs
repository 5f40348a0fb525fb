//! The function behind an SQS event source mapping (`ReportBatchItemFailures` on). Runs on `provided.al2023`, and with
//! several invocations at once where Lambda Managed Instances ask for them.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, Error, LambdaEvent, service_fn};
use twinscale::config::{Config, ConfigErrors};
use twinscale::function::{Event, Function};
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
    telemetry::start(config.log.json, &config.log.filter)?;
    let journal = journal(&config);
    let function = Arc::new(Function::new(workload::handler(config.work.clone()), &config, journal.clone()));
    journal.ready();
    lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Event>| {
        let function = function.clone();
        async move {
            let answer = function.handle(&event.payload, event.context.deadline()).await;
            answer.map_err(|unnamed| Diagnostic {
                error_type: "RecordWithoutMessageId".to_owned(),
                error_message: unnamed.to_string(),
            })
        }
    }))
    .await?;
    Ok(ExitCode::SUCCESS)
}

fn journal(config: &Config) -> Journal {
    let Some(queue) = config.journal_queue_url.clone() else { return Journal::off() };
    // The log stream is the one name that Lambda gives an execution environment.
    let who = std::env::var("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_default();
    Journal::to(queue, Tuning { attempt_timeout: config.attempt_timeout }, "function", &who)
}
