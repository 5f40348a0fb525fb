//! The worker's HTTP routes behind API Gateway or a function URL.

use std::process::ExitCode;
use std::time::Duration;

use axum::body::to_bytes;
use axum::http::Response;
use lambda_http::{Error, Request, service_fn};
use tower::ServiceExt;
use twinscale::config::{Config, ConfigErrors};
use twinscale::queue::{Queue, Tuning};
use twinscale::shutdown::Health;
use twinscale::{http, telemetry};

/// Spans get this long before an answer goes out.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<ExitCode, Error> {
    let config = match Config::for_http_function(&|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(mistakes) => {
            eprintln!("{mistakes}");
            return Ok(ExitCode::from(ConfigErrors::EXIT_CODE));
        }
    };
    telemetry::start(config.log.json, &config.log.filter, config.log.collector())?;
    let queue = match &config.queue_url {
        Some(url) if config.http.send => {
            Some(Queue::connect(url, &Tuning { attempt_timeout: config.attempt_timeout }).await?)
        }
        _ => None,
    };
    let router = http::router(&config.http, queue, Health::default());
    lambda_http::run_concurrent(service_fn(move |request: Request| {
        let router = router.clone();
        async move {
            let (head, body) = router.oneshot(request).await?.into_parts();
            // Every route answers text or JSON. A string can be shared between invocations; axum's own body cannot.
            let body = String::from_utf8_lossy(&to_bytes(body, usize::MAX).await?).into_owned();
            telemetry::flush(FLUSH_WITHIN).await;
            Ok::<_, Error>(Response::from_parts(head, body))
        }
    }))
    .await?;
    Ok(ExitCode::SUCCESS)
}
