//! The routes behind a function URL, API Gateway or a load balancer: a process of its own on Lambda.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::to_bytes;
use axum::http::Response;
use axum::http::uri::{PathAndQuery, Uri};
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt, service_fn};
use tokio::time::Instant;
use tower::ServiceExt;

use super::router;
use super::send::AnswerBy;
use crate::config::{Config, Host, OPEN_FRONT};
use crate::context::Error;
use crate::queue::{Queue, SEND_WITHIN, Tuning};
use crate::shutdown::Health;
use crate::{start, telemetry};

/// Spans get this long before an answer goes out.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);
/// And this is left for the way back.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

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
    // One binary for every host learns only from its first HTTP event that it is this one.
    if config.http.front_stands_open() {
        return Err(format!("SEND_TOKEN: {OPEN_FRONT}").into());
    }
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
    let health = Health::default();
    Ok(router::public(&config.http, queue, health.clone(), Host::HttpFunction).merge(router::health(health)))
}

pub(crate) async fn answer(routes: Router, mut request: Request) -> Result<Response<String>, Error> {
    strip_stage(&mut request)?;
    if let Some(context) = request.lambda_context_ref() {
        let left = context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        let left = left.saturating_sub(FLUSH_WITHIN + ANSWER_MARGIN).min(SEND_WITHIN);
        request.extensions_mut().insert(AnswerBy(Instant::now() + left));
    }
    let (head, body) = routes.oneshot(request).await?.into_parts();
    // Every route answers text or JSON. A string can be shared between invocations; axum's own body cannot.
    let body = String::from_utf8_lossy(&to_bytes(body, usize::MAX).await?).into_owned();
    telemetry::flush(FLUSH_WITHIN).await;
    Ok(Response::from_parts(head, body))
}

/// A stage of API Gateway stands in front of the path: `/prod/send`. Routes know nothing of it.
fn strip_stage(request: &mut Request) -> Result<(), Error> {
    let stage = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.stage.as_deref(),
        Some(RequestContext::ApiGatewayV2(context)) => context.stage.as_deref(),
        // A load balancer has none, nor has what lambda_http may know one day.
        _ => None,
    };
    let Some(path) = stage.and_then(|stage| request.uri().path().strip_prefix('/')?.strip_prefix(stage)) else {
        return Ok(());
    };
    if !(path.is_empty() || path.starts_with('/')) {
        return Ok(());
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let stripped: PathAndQuery = format!("/{}{query}", path.trim_start_matches('/')).parse()?;
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(stripped);
    *request.uri_mut() = Uri::from_parts(parts)?;
    Ok(())
}
