//! `POST /send`: puts messages on the queue, in batches of ten and concurrently.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::time::timeout;
use tracing::Instrument;

use super::request::{Refused, read};
use super::router::wrong;
use crate::message::{Attribute, AttributeValue};
use crate::queue::{Kind, MAX_BYTES, Outgoing, Queue, SendReport, attribute_bytes};
use crate::shutdown::Health;
use crate::trace::{self, TRACEPARENT, TraceContext};

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
    let caller = caller(request.headers());
    let body = match timeout(BODY_WITHIN, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return wrong(rejection.status(), rejection.body_text()),
        Err(_) => return wrong(StatusCode::REQUEST_TIMEOUT, "the body took more than 10 s: send it faster"),
    };
    match read(&body, sender.limit, sender.queue.is_fifo()) {
        Err(Refused::NotJson(why)) => wrong(StatusCode::BAD_REQUEST, why),
        Err(Refused::Wrong(why)) => wrong(StatusCode::UNPROCESSABLE_ENTITY, why),
        Ok(mut messages) => {
            drop(body);
            let (span, context) = trace::sending(caller, SystemTime::now(), || fastrand::u64(..));
            messages.iter_mut().for_each(|message| carry(message, &context));
            // A task of its own: a client that goes away does not stop a send halfway.
            let queue = sender.queue.clone();
            match tokio::spawn(async move { queue.send(messages).await }.instrument(span)).await {
                Ok(report) => answer(&report, &sender.health),
                Err(_) => wrong(StatusCode::INTERNAL_SERVER_ERROR, "the send was broken off: look at the log"),
            }
        }
    }
}

/// The span that asked for it: W3C's header, or the one that API Gateway and Lambda send.
fn caller(headers: &HeaderMap) -> Option<TraceContext> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let w3c = header(TRACEPARENT).and_then(TraceContext::from_traceparent);
    w3c.or_else(|| header("x-amzn-trace-id").and_then(TraceContext::from_xray))
}

/// Lets a message carry its trace, in both notations. X-Ray's costs no space; the attribute is left out where there is
/// no room for it.
fn carry(message: &mut Outgoing, context: &TraceContext) {
    message.trace_header = Some(context.xray());
    let value = AttributeValue::Text(context.traceparent());
    let attribute = Attribute { data_type: "String".to_owned(), value };
    if message.bytes() + attribute_bytes(TRACEPARENT, &attribute) <= MAX_BYTES {
        message.attributes.insert(TRACEPARENT.to_owned(), attribute);
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
    fn every_message_carries_the_trace_of_the_caller_and_a_full_one_in_the_header_alone() {
        let w3c = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let xray = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1";
        for (name, value) in [("traceparent", w3c), ("x-amzn-trace-id", xray)] {
            let headers = HeaderMap::from_iter([(name.parse().expect("a name"), value.parse().expect("a value"))]);
            let context = caller(&headers).expect("there is one");
            let mut message = Outgoing { body: "b".to_owned(), ..Outgoing::default() };
            carry(&mut message, &context);
            assert_eq!(message.trace_header.as_deref(), Some(xray));
            assert_eq!(message.attributes[TRACEPARENT].value, AttributeValue::Text(w3c.to_owned()));
            let mut full = Outgoing { body: "x".repeat(MAX_BYTES), ..Outgoing::default() };
            carry(&mut full, &context);
            assert_eq!((full.trace_header.as_deref(), full.bytes()), (Some(xray), MAX_BYTES));
        }
        assert_eq!(caller(&HeaderMap::new()), None);
    }

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
