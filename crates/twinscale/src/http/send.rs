//! `POST /send`: puts messages on the queue, in batches of ten and concurrently.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{AUTHORIZATION, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use super::request::{Refused, read};
use super::router::wrong;
use crate::config::{Host, HttpConfig};
use crate::message::{Attribute, AttributeValue};
use crate::queue::{MAX_BYTES, Outgoing, Queue, QueueErrorKind, SEND_WITHIN, SendFailure, SendReport, attribute_bytes};
use crate::shutdown::Health;
use crate::trace::{self, TRACEPARENT, TraceContext};

/// A client that has not sent its body by then is slow, or holds a connection on purpose.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// Requests that are read and sent at once: of the largest, they fit into a pod's memory. Others wait, unread.
const AT_ONCE: usize = 8;

/// When a request has to be answered, where its host knows: before the deadline of a function.
#[derive(Clone, Copy, Debug)]
pub(super) struct AnswerBy(pub(super) Instant);

/// What `/send` needs.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) queue: Queue,
    pub(super) health: Health,
    pub(super) limit: usize,
    pub(super) token: Option<Arc<str>>,
    /// Whether pages of other sites, in a browser beside this process, are refused.
    pub(super) own_site: bool,
    places: Arc<Semaphore>,
}

impl Sender {
    pub(super) fn new(queue: Queue, health: Health, config: &HttpConfig, host: Host) -> Self {
        let token = config.send_token.as_deref().map(Into::into);
        // Who has the token may call from where they like. Whoever sits in front of a function is asked instead.
        let own_site = host == Host::Worker && config.send_token.is_none();
        Self { queue, health, limit: config.send_limit, token, own_site, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

pub(super) async fn send(State(sender): State<Sender>, request: Request<Body>) -> Response {
    if !allowed(request.headers(), sender.token.as_deref()) {
        let mut answer = wrong(StatusCode::UNAUTHORIZED, "send the header 'Authorization: Bearer …' with SEND_TOKEN");
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return answer;
    }
    if let Some(origin) = request.headers().get(ORIGIN).filter(|origin| sender.own_site && !is_own_site(origin)) {
        let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
        let advice = "a page of another site may not send: call without a browser, or set a SEND_TOKEN";
        return wrong(StatusCode::FORBIDDEN, format!("{advice} (Origin: {origin})"));
    }
    let by = request.extensions().get::<AnswerBy>().map_or_else(|| Instant::now() + SEND_WITHIN, |by| by.0);
    let Ok(Ok(_place)) = timeout_at(by, sender.places.clone().acquire_owned()).await else {
        return wrong(StatusCode::SERVICE_UNAVAILABLE, "too many requests are under way: send again later");
    };
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
            match tokio::spawn(async move { queue.send_until(by, messages).await }.instrument(span)).await {
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

/// Whether a page is of this machine. A name that leads here by DNS alone is not.
fn is_own_site(origin: &HeaderValue) -> bool {
    let uri = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    uri.as_ref().and_then(Uri::host).is_some_and(|host| {
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
    })
}

/// 200 as soon as one message was taken; 504 where messages may have been taken, 503 where trying again can help, 502 where
/// SQS refused.
fn answer(report: &SendReport, health: &Health) -> Response {
    let (unknown, failed): (Vec<_>, Vec<_>) =
        report.failed.iter().partition(|failure| failure.error.may_have_happened());
    let some_are_unknown = !unknown.is_empty();
    let told = |failures: Vec<&SendFailure>| {
        let told = |failure: &SendFailure| {
            let error = &failure.error;
            // What may be in the queue already is no case for a second try.
            let retryable = error.is_retryable() && !error.may_have_happened();
            json!({ "index": failure.index, "code": error.code, "reason": error.reason, "retryable": retryable })
        };
        failures.into_iter().map(told).collect::<Vec<_>>()
    };
    let mut body = json!({ "accepted": report.accepted, "failed": told(failed), "unknown": told(unknown) });
    let first = report.failed.first().map(|failure| &failure.error);
    let status = match first {
        Some(error) if report.accepted == 0 => {
            body["error"] = json!(error.to_string());
            tracing::warn!(code = error.code, reason = error.reason, failed = report.failed.len(), "nothing was sent");
            if some_are_unknown {
                StatusCode::GATEWAY_TIMEOUT
            } else if error.is_retryable() {
                StatusCode::SERVICE_UNAVAILABLE
            } else {
                StatusCode::BAD_GATEWAY
            }
        }
        _ => StatusCode::OK,
    };
    if first.is_some_and(|error| error.kind == QueueErrorKind::Unreachable) {
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
    fn a_page_of_this_machine_is_told_from_all_others() {
        let own = |origin: &str| is_own_site(&origin.parse().expect("a header value"));
        for origin in ["http://localhost:3000", "http://127.0.0.1:8080", "http://[::1]:8080", "https://localhost"] {
            assert!(own(origin), "{origin}");
        }
        for origin in ["https://evil.example", "null", "http://localhost.evil.example", "http://127.0.0.1.nip.io", ""] {
            assert!(!own(origin), "{origin}");
        }
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
