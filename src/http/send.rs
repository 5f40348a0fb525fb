//! `POST /send`: puts messages on the queue, in batches of ten and concurrently.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::request::{Refused, read};
use super::wrong;
use crate::queue::{Kind, Queue, SendReport};
use crate::shutdown::Health;

/// A client that has not sent its body by then is slow, or holds a connection on purpose.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// What `/send` needs.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) queue: Queue,
    pub(super) health: Health,
    pub(super) limit: usize,
    pub(super) token: Option<Arc<str>>,
}

pub(super) async fn send(State(sender): State<Sender>, request: Request<Body>) -> Response {
    if !allowed(request.headers(), sender.token.as_deref()) {
        let mut answer = wrong(StatusCode::UNAUTHORIZED, "send the header 'Authorization: Bearer …' with SEND_TOKEN");
        answer.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
        return answer;
    }
    let body = match timeout(BODY_WITHIN, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return wrong(rejection.status(), rejection.body_text()),
        Err(_) => return wrong(StatusCode::REQUEST_TIMEOUT, "the body took more than 10 s: send it faster"),
    };
    match read(&body, sender.limit, sender.queue.is_fifo()) {
        Err(Refused::NotJson(why)) => wrong(StatusCode::BAD_REQUEST, why),
        Err(Refused::Wrong(why)) => wrong(StatusCode::UNPROCESSABLE_ENTITY, why),
        Ok(messages) => {
            drop(body);
            // A task of its own: a client that goes away does not stop a send halfway.
            let queue = sender.queue.clone();
            match tokio::spawn(async move { queue.send(messages).await }).await {
                Ok(report) => answer(&report, &sender.health),
                Err(_) => wrong(StatusCode::INTERNAL_SERVER_ERROR, "the send was broken off: look at the log"),
            }
        }
    }
}

/// Whether the bearer token is right, compared in constant time; no token asks for nothing.
fn allowed(headers: &HeaderMap, token: Option<&str>) -> bool {
    let Some(token) = token else { return true };
    let given =
        headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.split_once(' '));
    given.is_some_and(|(scheme, given)| {
        scheme.eq_ignore_ascii_case("bearer") && bool::from(given.trim().as_bytes().ct_eq(token.as_bytes()))
    })
}

/// 200 as soon as one message was taken; 503 where trying again can help, 502 where SQS refused.
fn answer(report: &SendReport, health: &Health) -> Response {
    let failed: Vec<_> = report
        .failed
        .iter()
        .map(|failure| {
            let error = &failure.error;
            json!({ "index": failure.index, "code": error.code, "reason": error.reason, "retryable": error.is_retryable() })
        })
        .collect();
    let mut body = json!({ "accepted": report.accepted, "failed": failed });
    let first = report.failed.first().map(|failure| &failure.error);
    let status = match first {
        Some(error) if report.accepted == 0 => {
            body["error"] = json!(error.to_string());
            tracing::warn!(code = error.code, reason = error.reason, failed = report.failed.len(), "nothing was sent");
            if error.is_retryable() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY }
        }
        _ => StatusCode::OK,
    };
    if first.is_some_and(|error| error.kind == Kind::Unreachable) {
        health.reached_queue(false);
    }
    (status, axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_bearer_token_opens_send_when_there_is_one() {
        let with = |value: &str| HeaderMap::from_iter([(AUTHORIZATION, value.parse().expect("a header value"))]);
        assert!(allowed(&HeaderMap::new(), None));
        assert!(allowed(&with("Bearer secret"), Some("secret")));
        assert!(allowed(&with("bearer secret"), Some("secret")));
        for value in ["Bearer secre", "Bearer secret2", "Basic secret", "secret", "Bearer"] {
            assert!(!allowed(&with(value), Some("secret")), "{value}");
        }
        assert!(!allowed(&HeaderMap::new(), Some("secret")));
    }
}
