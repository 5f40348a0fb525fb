//! The routes.

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::config::HttpConfig;
use crate::queue::Queue;
use crate::shutdown::Health;

pub use super::request::{Refused, read as read_send};
pub use super::serve::{Bound, bind};

/// A request to `/send` may have so many bytes; Lambda lets fewer through.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// Answers `GET /`, `/healthz`, `/readyz` and, unless `SEND=off` or there is no queue to send to, `POST /send`.
pub fn router(config: &HttpConfig, queue: Option<Queue>, health: Health) -> Router {
    let mut router = Router::new()
        .route("/", get(async || "Hello from Twinscale\n"))
        .route("/healthz", get(alive).with_state(health.clone()))
        .route("/readyz", get(ready).with_state(health.clone()));
    if let Some(queue) = queue.filter(|_| config.send) {
        let (limit, token) = (config.send_limit, config.send_token.as_deref().map(Into::into));
        let sender = super::send::Sender { queue, health, limit, token };
        router = router.route("/send", post(super::send::send).with_state(sender));
    }
    router
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .method_not_allowed_fallback(async || wrong(StatusCode::METHOD_NOT_ALLOWED, "use GET, or POST for /send"))
        .fallback(async || wrong(StatusCode::NOT_FOUND, "there is nothing here: try /, /send, /healthz or /readyz"))
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
