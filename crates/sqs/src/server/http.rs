//! The SQS JSON protocol over HTTP: `X-Amz-Target` names the action, the body is its JSON.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::{Code, Error};
use super::faults::{FaultKind, Faults};
use super::state::State;
use super::{holding, moves, queues, receive, send, tags};

/// A request of more bytes is not read: ten messages of 1 MiB in all, with JSON's escapes.
const MAX_REQUEST: usize = 8 << 20;
const JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");

/// One request.
pub(super) struct Call<'a> {
    /// The server.
    pub state: Arc<State>,
    /// The fault plan.
    pub faults: Arc<Faults>,
    action: &'a str,
    host: &'a str,
    body: &'a [u8],
}

impl<'a> Call<'a> {
    /// A request for `action`.
    pub(super) fn new(state: Arc<State>, action: &'a str, host: &'a str, body: &'a [u8]) -> Self {
        Self { faults: state.faults(), state, action, host, body }
    }

    /// The body as the action's shape.
    pub(super) fn parse<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        // serde would take a list for the fields in order, which SQS does not.
        let body = self.body.trim_ascii_start();
        let body = if body.is_empty() { b"{}" } else { body };
        if body[0] != b'{' {
            return Err(Error::new(Code::Serialization, "the body must be a JSON object"));
        }
        serde_json::from_slice(body).map_err(|error| Error::new(Code::Serialization, error.to_string()))
    }

    /// The URL of a queue at the host that the client asked.
    pub(super) fn url(&self, name: &str) -> String {
        queues::url_at(self.host, name)
    }

    /// Fault plan: an error if this entry of a batch has to fail.
    pub(super) fn spared(&self) -> Result<(), Error> {
        match self.faults.draw(self.action, |kind| kind == FaultKind::Partial) {
            None => Ok(()),
            Some(_) => Err(Error::new(Code::InternalError, "fault plan: this entry fails")),
        }
    }

    /// Does it.
    pub(super) async fn answer(&self) -> Result<Vec<u8>, Error> {
        let value: fn(&Call<'_>) -> Result<Value, Error> = match self.action {
            "SendMessage" => return send::send(self),
            "SendMessageBatch" => return send::send_batch(self),
            "ReceiveMessage" => return receive::receive(self).await,
            "DeleteMessage" => return holding::delete(self),
            "DeleteMessageBatch" => return holding::delete_batch(self),
            "ChangeMessageVisibility" => return holding::change_visibility(self),
            "ChangeMessageVisibilityBatch" => return holding::change_visibility_batch(self),
            "GetQueueAttributes" => queues::attributes,
            "SetQueueAttributes" => queues::set_attributes,
            "CreateQueue" => queues::create,
            "DeleteQueue" => queues::delete,
            "GetQueueUrl" => queues::url,
            "ListQueues" => queues::list,
            "ListDeadLetterSourceQueues" => queues::dead_letter_sources,
            "PurgeQueue" => queues::purge,
            "TagQueue" => tags::tag,
            "UntagQueue" => tags::untag,
            "ListQueueTags" => tags::list,
            "AddPermission" => tags::add_permission,
            "RemovePermission" => tags::remove_permission,
            "StartMessageMoveTask" => moves::start,
            "ListMessageMoveTasks" => moves::list,
            "CancelMessageMoveTask" => moves::cancel,
            other => return Err(Error::new(Code::UnknownOperation, format!("there is no SQS action {other:?}"))),
        };
        value(self).map(|value| json(&value))
    }
}

/// A value as JSON.
pub(super) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Answers one HTTP request.
pub(super) async fn serve(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    let (head, body) = request.into_parts();
    if head.method == Method::GET {
        return Ok(respond(StatusCode::OK, Ok(b"{}".to_vec()), false));
    }
    let body = match Limited::new(body, MAX_REQUEST).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            let error = Error::new(Code::Serialization, "the request was cut off, or is larger than 8 MiB");
            return Ok(respond(StatusCode::PAYLOAD_TOO_LARGE, Err(error), false));
        }
    };
    let action = match action(&head.headers) {
        Ok(action) => action,
        Err(error) => return Ok(respond(StatusCode::BAD_REQUEST, Err(error), false)),
    };
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let call = Call::new(state, action, host, &body);
    let fault = call.faults.draw(action, |kind| !matches!(kind, FaultKind::Partial | FaultKind::Duplicate));
    let result = match fault {
        Some(FaultKind::Throttled) => Err(Error::new(Code::RequestThrottled, "Rate exceeded")),
        Some(FaultKind::ServerError) => Err(Error::new(Code::InternalError, "fault plan: this request fails")),
        Some(FaultKind::Slow(by)) => {
            call.state.clock.sleep(by).await;
            call.answer().await
        }
        _ => call.answer().await,
    };
    let status = result.as_ref().err().map_or(200, |error| error.code.status());
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok(respond(status, result, fault == Some(FaultKind::Cut)))
}

fn action(headers: &HeaderMap) -> Result<&str, Error> {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| target.strip_prefix("AmazonSQS.")).ok_or_else(|| {
        Error::new(
            Code::UnknownOperation,
            "the header X-Amz-Target must name an action, AmazonSQS.SendMessage for example: use an SDK of 2024 or later, which speaks JSON to SQS",
        )
    })
}

fn respond(status: StatusCode, result: Result<Vec<u8>, Error>, cut: bool) -> Response<Answer> {
    let error = result.as_ref().err().map(|error| {
        let fault = if error.code.is_senders() { "Sender" } else { "Receiver" };
        format!("{};{fault}", error.code.query())
    });
    let bytes = Bytes::from(result.unwrap_or_else(|error| error.json()));
    let mut response = Response::new(Answer { left: bytes, cut });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert("x-amzn-requestid", request_id());
    if let Some(error) = error.and_then(|error| HeaderValue::from_str(&error).ok()) {
        headers.insert("x-amzn-query-error", error);
    }
    response
}

/// A new id; its text is always a header value.
fn request_id() -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An answer, whole or cut off in the middle.
pub(super) struct Answer {
    left: Bytes,
    cut: bool,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.cut && self.left.len() < 2 {
            return Poll::Ready(Some(Err(std::io::Error::other("fault plan: the answer is cut"))));
        }
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let upto = if self.cut { self.left.len() / 2 } else { self.left.len() };
        let data = self.left.split_to(upto);
        if self.cut {
            self.left.truncate(1);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty() && !self.cut
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
