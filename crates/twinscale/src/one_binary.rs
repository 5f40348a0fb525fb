//! One binary for every host: it looks where it is, and on Lambda at the shape of each event.

use std::process::ExitCode;

use aws_lambda_events::sqs::SqsBatchResponse;
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, service_fn as http_service};
use lambda_runtime::{Diagnostic, LambdaEvent, Service, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::OnceCell;

use crate::config::{Config, Host};
use crate::context::{Context, Error};
use crate::function::{self, invoke::RawEvent};
use crate::handler::Handler;
use crate::{http, start, worker};

/// Runs `handler` on the host that this process is on: as the worker, or, where `AWS_LAMBDA_RUNTIME_API` says that it is
/// Lambda, as the function for SQS events and as the HTTP function for HTTP events, whichever each event is.
///
/// `handler` is called once, when the settings are read; an error of its own is told and ends the process.
pub fn main<H: Handler>(handler: impl AsyncFnOnce(&Context) -> Result<H, Error>) -> ExitCode {
    main_with(Config::default(), handler)
}

/// As [`main`], with settings of the code's own; the environment wins.
pub fn main_with<H: Handler>(config: Config, handler: impl AsyncFnOnce(&Context) -> Result<H, Error>) -> ExitCode {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        on_lambda(config, handler)
    } else {
        worker::main_with(config, handler)
    }
}

fn on_lambda<H: Handler>(config: Config, handler: impl AsyncFnOnce(&Context) -> Result<H, Error>) -> ExitCode {
    let (runtime, context) = match start::begin(Host::Function, config) {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let served = runtime.block_on(async {
        let function = function::make(&context, handler).await?;
        // HTTP events need the queue that `/send` sends to; a function behind a queue alone never does.
        let routes = std::sync::Arc::new(OnceCell::new());
        let config = std::sync::Arc::new(context.config().clone());
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
            let function = function.clone();
            let routes = routes.clone();
            let config = config.clone();
            async move {
                let LambdaEvent { payload, context } = event;
                match shape(&payload)? {
                    Shape::Sqs(event) => function::answer(&function, &event, &context).await.map(HostAnswer::Batch),
                    Shape::Http(request) => {
                        let made = routes.get_or_try_init(|| http::routes(&config)).await;
                        let made = made.map_err(|error| diagnostic("QueueUnreachable", error))?.clone();
                        let answer = http_service(move |request| http::answer(made.clone(), request));
                        let response = Adapter::from(answer).call(LambdaEvent::new(*request, context)).await;
                        response.map(HostAnswer::Http).map_err(|error| diagnostic("Http", error))
                    }
                }
            }
        }))
        .await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => start::failed(&error),
    }
}

enum Shape {
    Sqs(RawEvent),
    Http(Box<LambdaRequest>),
}

#[derive(Serialize)]
#[serde(untagged)]
enum HostAnswer<R> {
    Batch(SqsBatchResponse),
    Http(R),
}

/// What tells an SQS event from an HTTP event: `Records` from `requestContext`.
#[derive(Deserialize)]
struct Marks {
    #[serde(rename = "Records")]
    records: Option<serde::de::IgnoredAny>,
    #[serde(rename = "requestContext")]
    request_context: Option<serde::de::IgnoredAny>,
}

fn shape(event: &RawValue) -> Result<Shape, Diagnostic> {
    let unreadable = |error| diagnostic("UnknownEvent", error);
    let marks: Marks = serde_json::from_str(event.get()).map_err(unreadable)?;
    if marks.records.is_some() {
        serde_json::from_str(event.get()).map(Shape::Sqs).map_err(unreadable)
    } else if marks.request_context.is_some() {
        serde_json::from_str(event.get()).map(Box::new).map(Shape::Http).map_err(unreadable)
    } else {
        Err(diagnostic("UnknownEvent", "neither an SQS event (Records) nor an HTTP event (requestContext)"))
    }
}

fn diagnostic(kind: &str, error: impl ToString) -> Diagnostic {
    Diagnostic { error_type: kind.to_owned(), error_message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape_of(event: &str) -> Result<Shape, Diagnostic> {
        shape(&RawValue::from_string(event.to_owned()).expect("JSON"))
    }

    #[test]
    fn an_event_is_known_by_its_shape_and_another_is_refused() {
        assert!(matches!(shape_of(r#"{"Records": []}"#), Ok(Shape::Sqs(_))));
        let url = r#"{"version":"2.0","routeKey":"$default","rawPath":"/","rawQueryString":"","headers":{},"isBase64Encoded":false,
            "requestContext":{"accountId":"1","apiId":"a","domainName":"d","domainPrefix":"d","http":{"method":"GET",
            "path":"/","protocol":"HTTP/1.1","sourceIp":"1.1.1.1","userAgent":"x"},"requestId":"r","routeKey":"$default",
            "stage":"$default","time":"12/Mar/2020:19:03:58 +0000","timeEpoch":1583348638390}}"#;
        assert!(matches!(shape_of(url), Ok(Shape::Http(_))));
        let refused = shape_of(r#"{"detail-type": "Scheduled Event"}"#).err().expect("refused");
        assert!(refused.error_message.contains("Records"), "{refused:?}");
    }
}
