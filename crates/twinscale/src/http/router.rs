//! The routes: what anybody may call, and what the platform asks.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::config::{Host, HttpConfig};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::shutdown::Health;
use crate::telemetry;

pub use super::accept::accept;
pub use super::request::{Refused, read as read_send};
pub use super::serve::{Bound, bind};

/// The most bytes of a request to `/send`; Lambda lets fewer through.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// Answers `GET /` and, unless `SEND=off` or there is no queue to send to, `POST /send`.
pub fn public(config: &HttpConfig, queue: Option<Queue>, health: Health, host: Host) -> Router {
    let mut router = Router::new().route("/", get(async || "Hello from Twinscale\n"));
    if let Some(queue) = queue.filter(|_| config.send) {
        let sender = super::send::Sender::new(queue, health, config, host);
        router = router.route("/send", post(super::send::send).with_state(sender));
    }
    told(router.layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES)), "there is nothing here: try / or /send")
}

/// Answers `GET /healthz` and `/readyz`.
pub fn health(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(alive).with_state(health.clone()))
        .route("/readyz", get(ready).with_state(health))
}

/// Answers `GET /healthz`, `/readyz` and `/metrics` (Prometheus).
pub fn admin(of: Health, metrics: Arc<Metrics>) -> Router {
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4")];
    let metrics = get(async move || (content_type, metrics.prometheus() + &telemetry::prometheus()));
    told(health(of).route("/metrics", metrics), "there is nothing here: try /healthz, /readyz or /metrics")
}

/// Says what to ask for instead.
pub(super) fn told(router: Router, nothing_here: &'static str) -> Router {
    router
        .method_not_allowed_fallback(async || wrong(StatusCode::METHOD_NOT_ALLOWED, "use GET, or POST for /send"))
        .fallback(async move || wrong(StatusCode::NOT_FOUND, nothing_here))
}

async fn alive(State(health): State<Health>) -> Response {
    if health.alive() {
        (StatusCode::OK, "alive\n").into_response()
    } else {
        wrong(StatusCode::SERVICE_UNAVAILABLE, "the poll loop is stuck: restart this process")
    }
}

async fn ready(State(health): State<Health>) -> Response {
    match health.ready() {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(why) => wrong(StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

/// The one shape of every error: `{"error": "what to change"}`.
pub(super) fn wrong(status: StatusCode, what_to_change: impl ToString) -> Response {
    (status, axum::Json(json!({ "error": what_to_change.to_string() }))).into_response()
}
