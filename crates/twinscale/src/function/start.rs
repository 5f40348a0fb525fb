//! The function's process, from its settings to its last invocation.

use std::process::ExitCode;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};

use super::invoke::{Function, RawEvent};
use crate::config::{Config, Host};
use crate::context::{Context, Error};
use crate::handler::Handler;
use crate::journal::Journal;
use crate::queue::Tuning;
use crate::start;

/// Runs the function behind an SQS event source mapping (`ReportBatchItemFailures` on), until Lambda ends its
/// environment; with several invocations at once where Managed Instances ask for them.
///
/// `handler` is called once, when the environment starts; an error of its own is told and fails the initialisation.
pub fn main<H: Handler>(handler: impl AsyncFnOnce(&Context) -> Result<H, Error>) -> ExitCode {
    main_with(Config::default(), handler)
}

/// As [`main`], with settings of the code's own; the environment wins.
pub fn main_with<H: Handler>(config: Config, handler: impl AsyncFnOnce(&Context) -> Result<H, Error>) -> ExitCode {
    let (runtime, context) = match start::begin(Host::Function, config) {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let served = runtime.block_on(async {
        let function = make(&context, handler).await?;
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<RawEvent>| {
            let function = function.clone();
            async move { answer(&function, &event.payload, &event.context).await }
        }))
        .await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => start::failed(&error),
    }
}

pub(crate) async fn make<H: Handler>(
    context: &Context,
    handler: impl AsyncFnOnce(&Context) -> Result<H, Error>,
) -> Result<Arc<Function<H>>, Error> {
    let journal = journal(context.config());
    let function = Function::new(handler(context).await?, context.config(), journal.clone());
    journal.ready();
    Ok(Arc::new(function))
}

pub(crate) async fn answer<H: Handler>(
    function: &Function<H>,
    event: &RawEvent,
    context: &lambda_runtime::Context,
) -> Result<aws_lambda_events::sqs::SqsBatchResponse, Diagnostic> {
    let answer = function.handle(event, context.deadline()).await;
    answer.map_err(|unnamed| Diagnostic {
        error_type: "RecordWithoutMessageId".to_owned(),
        error_message: unnamed.to_string(),
    })
}

fn journal(config: &Config) -> Journal {
    let Some(queue) = config.journal_queue_url.clone() else { return Journal::off() };
    // The log stream is the one name that Lambda gives an execution environment.
    let who = std::env::var("AWS_LAMBDA_LOG_STREAM_NAME").unwrap_or_else(|_| format!("process-{}", std::process::id()));
    Journal::to(queue, Tuning { attempt_timeout: config.attempt_timeout }, "function", &who)
}
