//! The routes behind a function URL, API Gateway or a load balancer: a process of its own on Lambda.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::to_bytes;
use axum::http::Response;
use lambda_http::{Request, service_fn};
use tower::ServiceExt;

use super::router;
use crate::config::{Config, Host};
use crate::context::Error;
use crate::queue::{Queue, Tuning};
use crate::shutdown::Health;
use crate::{start, telemetry};

/// Spans get this long before an answer goes out.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// Serves `/send`, and what else the worker answers over HTTP, as a Lambda function.
pub fn main() -> ExitCode {
    main_with(Config::default())
}

/// As [`main`], with settings of the code's own; the environment wins.
pub fn main_with(config: Config) -> ExitCode {
    let (runtime, context) = match start::begin(Host::HttpFunction, config) {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let served = runtime.block_on(async {
        let routes = routes(context.config()).await?;
        lambda_http::run_concurrent(service_fn(move |request| answer(routes.clone(), request))).await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => start::failed(&error),
    }
}

pub(crate) async fn routes(config: &Config) -> Result<Router, Error> {
    let queue = match &config.queue_url {
        Some(url) if config.http.send => {
            Some(Queue::connect(url, &Tuning { attempt_timeout: config.attempt_timeout }).await?)
        }
        // One binary for every host learns only from its first HTTP event that it needs one.
        None if config.http.send => {
            return Err("QUEUE_URL is not set: write the URL or the name of the queue, or SEND=off".into());
        }
        Some(_) | None => None,
    };
    Ok(router::router(&config.http, queue, Health::default()))
}

pub(crate) async fn answer(routes: Router, request: Request) -> Result<Response<String>, Error> {
    let (head, body) = routes.oneshot(request).await?.into_parts();
    // Every route answers text or JSON. A string can be shared between invocations; axum's own body cannot.
    let body = String::from_utf8_lossy(&to_bytes(body, usize::MAX).await?).into_owned();
    telemetry::flush(FLUSH_WITHIN).await;
    Ok(Response::from_parts(head, body))
}
