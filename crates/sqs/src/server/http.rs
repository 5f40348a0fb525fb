//! Both of SQS's protocols over HTTP, on one port. JSON: `X-Amz-Target` names the action, the body is its JSON. Query:
//! `Action` names it, in a form or in the address; the answer is XML.

use std::borrow::Cow;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::error::{Code, Error};
use super::faults::{FaultKind, Faults};
use super::hosted::Hosted;
use super::query::{Node, Query};
use super::state::State;
use super::{holding, moves, queues, receive, send, tags, xml};

/// A request of more bytes is not read: ten messages of 1 MiB in all, with JSON's escapes or a form's.
const MAX_REQUEST: usize = 8 << 20;

/// Where requests come in.
pub(super) struct Http {
    /// The server.
    pub state: Arc<State>,
    /// What it listens at.
    pub address: SocketAddr,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Bytes of bodies at most, of all requests together.
    pub memory: usize,
    /// Bytes of bodies that are held now.
    pub held: AtomicUsize,
}

/// How a client speaks to SQS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// AWS JSON 1.0: SDKs since late 2023.
    Json,
    /// Forms and XML: those before.
    Query,
}

impl Protocol {
    /// JSON says so by its target or its content type; all else is the protocol that came first.
    fn of(head: &Parts) -> Self {
        let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/x-amz-json");
        match head.headers.contains_key(TARGET) || head.headers.get(CONTENT_TYPE).is_some_and(is_json) {
            true => Self::Json,
            false => Self::Query,
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/x-amz-json-1.0",
            Self::Query => "text/xml",
        })
    }
}

const TARGET: &str = "x-amz-target";

/// What an action is asked with.
#[derive(Clone, Copy)]
pub(super) enum Parameters<'a> {
    /// The body of a JSON request.
    Json(&'a [u8]),
    /// Those of a Query request.
    Query(&'a Node<'a>),
}

/// One request.
pub(super) struct Call<'a> {
    /// The server.
    pub state: Arc<State>,
    /// The fault plan.
    pub faults: Arc<Faults>,
    action: &'a str,
    host: &'a str,
    parameters: Parameters<'a>,
    id: Uuid,
    /// `X-Amzn-Trace-Id`: the trace header of what it sends.
    pub trace: Option<&'a str>,
    /// The region that it is signed for.
    signed_for: Option<&'a str>,
}

impl<'a> Call<'a> {
    /// A request for `action`.
    pub(super) fn new(state: Arc<State>, action: &'a str, host: &'a str, parameters: Parameters<'a>, id: Uuid) -> Self {
        Self { faults: state.faults(), state, action, host, parameters, id, trace: None, signed_for: None }
    }

    /// With what the request's headers say.
    fn headed(self, head: &'a Parts) -> Self {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        Self { trace: text("x-amzn-trace-id"), signed_for: text("authorization").and_then(signed_for), ..self }
    }

    /// The region whose queues it is about.
    pub(super) fn region(&self) -> &str {
        self.state.regions.of(self.signed_for)
    }

    /// The queue of that URL, path or name.
    pub(super) fn find(&self, url: Option<&str>) -> Result<Arc<Hosted>, Error> {
        self.state.find(self.region(), url)
    }

    /// The parameters as the action's shape.
    pub(super) fn parse<T: Deserialize<'a>>(&self) -> Result<T, Error> {
        let body = match self.parameters {
            Parameters::Json(body) => body.trim_ascii_start(),
            Parameters::Query(parameters) => return parameters.read(),
        };
        // serde would take a list for the fields in order, which SQS does not.
        let body = if body.is_empty() { b"{}" } else { body };
        if body[0] != b'{' {
            return Err(Error::new(Code::Serialization, "the body must be a JSON object"));
        }
        serde_json::from_slice(body).map_err(|error| Error::new(Code::Serialization, error.to_string()))
    }

    /// The answer, as the protocol writes it.
    pub(super) fn write(&self, answer: &impl Serialize) -> Result<Vec<u8>, Error> {
        let written = match self.parameters {
            Parameters::Json(_) => serde_json::to_vec(answer).map_err(|error| error.to_string()),
            Parameters::Query(_) => xml::answer(self.action, self.id, answer).map_err(|error| error.to_string()),
        };
        written.map_err(|error| Error::new(Code::InternalError, error))
    }

    /// The URL of a queue at the host that the client asked.
    pub(super) fn url(&self, name: &str) -> String {
        self.state.url_at(self.host, name)
    }

    /// Fault plan: an error if this entry of a batch has to fail.
    pub(super) fn spared(&self) -> Result<(), Error> {
        match self.faults.draw(self.action, |kind| kind == FaultKind::Partial) {
            None => Ok(()),
            Some(_) => Err(Error::new(Code::InternalError, "fault plan: this entry fails")),
        }
    }

    /// Does it. What it did is kept before it is answered, if the server keeps its queues.
    pub(super) async fn answer(&self) -> Result<Vec<u8>, Error> {
        let answer = self.act().await;
        self.state.flush()?;
        answer
    }

    async fn act(&self) -> Result<Vec<u8>, Error> {
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
            other => {
                let (code, message) = match self.parameters {
                    Parameters::Json(_) => (Code::UnknownOperation, format!("there is no SQS action {other:?}")),
                    Parameters::Query(_) => {
                        (Code::InvalidAction, format!("The action {other} is not valid for this endpoint."))
                    }
                };
                return Err(Error::new(code, message));
            }
        };
        self.write(&value(self)?)
    }
}

/// The region in `Credential=KEY/DATE/REGION/sqs/aws4_request`.
fn signed_for(authorization: &str) -> Option<&str> {
    let (_, scope) = authorization.split_once("Credential=")?;
    scope.split('/').nth(2).filter(|region| is_region(region))
}

/// Whether it could be a region's name: `us-east-1`.
pub(super) fn is_region(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A new request's id.
pub(super) fn request_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}

/// Answers one HTTP request.
pub(super) async fn serve(http: Arc<Http>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
    let (head, body) = request.into_parts();
    let protocol = Protocol::of(&head);
    let id = request_id();
    let (result, cut) = match answer(&http, &head, body, protocol, id).await {
        Ok((answer, cut)) => (Ok(answer), cut),
        Err(error) => (Err(error), false),
    };
    Ok(respond(protocol, id, result, cut))
}

/// The bytes of the answer, and whether the fault plan cuts them off.
async fn answer(
    http: &Http,
    head: &Parts,
    body: Incoming,
    protocol: Protocol,
    id: Uuid,
) -> Result<(Vec<u8>, bool), Error> {
    let forms = head.uri.query().unwrap_or_default().as_bytes();
    match head.method {
        Method::POST => {}
        Method::GET if protocol == Protocol::Query && !forms.is_empty() => {}
        Method::GET => {
            let message = "GET is answered with an Action alone, /?Action=ListQueues for example";
            return Err(Error::new(Code::NotFound, message));
        }
        _ => return Err(Error::new(Code::MethodNotAllowed, format!("{} is no method of SQS: use POST", head.method))),
    }
    let mut held = BodyMemory { http, bytes: 0 };
    let body = match tokio::time::timeout(http.body_timeout, held.read(body)).await {
        Ok(body) => body?,
        Err(_) => {
            let message = format!("the request's body did not arrive in {:?}", http.body_timeout);
            return Err(Error::new(Code::RequestTimeout, message));
        }
    };
    let state = http.state.clone();
    let host = host(head, http.address);
    match protocol {
        Protocol::Json => {
            let target = head.headers.get(TARGET).and_then(|target| target.to_str().ok());
            let action = target.and_then(|target| target.strip_prefix("AmazonSQS.")).ok_or_else(|| {
                let message = "the header X-Amz-Target must name an action, AmazonSQS.SendMessage for example";
                Error::new(Code::UnknownOperation, message)
            })?;
            do_or_fail(Call::new(state, action, &host, Parameters::Json(&body), id).headed(head)).await
        }
        Protocol::Query => {
            let query = Query::parse(head.uri.path(), &[forms, &body])?;
            do_or_fail(Call::new(state, &query.action, &host, Parameters::Query(&query.parameters), id).headed(head))
                .await
        }
    }
}

/// The part of the server's memory that one request's body takes, until it is answered.
struct BodyMemory<'a> {
    http: &'a Http,
    bytes: usize,
}

impl BodyMemory<'_> {
    /// Reads a body to its end. One that comes in one piece, as most do, is not copied.
    async fn read(&mut self, mut body: Incoming) -> Result<Bytes, Error> {
        let mut first = Bytes::new();
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Error::new(Code::Serialization, "the request was cut off"))?;
            let Ok(data) = frame.into_data() else { continue };
            self.bytes += data.len();
            let held = self.http.held.fetch_add(data.len(), Ordering::Relaxed) + data.len();
            if self.bytes > MAX_REQUEST {
                return Err(Error::new(Code::RequestTooLarge, "the request is larger than 8 MiB"));
            }
            if held > self.http.memory {
                let message = format!("requests of more than {} bytes are here already: try again", self.http.memory);
                return Err(Error::new(Code::ServiceUnavailable, message));
            }
            match (first.is_empty(), all.is_empty()) {
                (true, _) => first = data,
                (false, true) => {
                    all.extend_from_slice(&first);
                    all.extend_from_slice(&data);
                }
                (false, false) => all.extend_from_slice(&data),
            }
        }
        Ok(if all.is_empty() { first } else { all.into() })
    }
}

impl Drop for BodyMemory<'_> {
    fn drop(&mut self) {
        self.http.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Does what is asked, unless the fault plan says otherwise.
async fn do_or_fail(call: Call<'_>) -> Result<(Vec<u8>, bool), Error> {
    let fault = call.faults.draw(call.action, |kind| !matches!(kind, FaultKind::Partial | FaultKind::Duplicate));
    match fault {
        Some(FaultKind::Throttled) => return Err(Error::new(Code::RequestThrottled, "Rate exceeded")),
        Some(FaultKind::ServerError) => return Err(Error::new(Code::InternalError, "fault plan: this request fails")),
        Some(FaultKind::Slow(by)) => {
            call.state.clock.sleep(by).await;
        }
        Some(FaultKind::Cut | FaultKind::Partial | FaultKind::Duplicate) | None => {}
    }
    Ok((call.answer().await?, fault == Some(FaultKind::Cut)))
}

/// The host that the client asked, port included: queue URLs begin with it.
fn host(head: &Parts, address: SocketAddr) -> Cow<'_, str> {
    let authority = head.uri.authority().map(|authority| authority.as_str());
    let header = || head.headers.get(HOST).and_then(|host| host.to_str().ok()).filter(|host| !host.is_empty());
    authority.or_else(header).map_or_else(|| address.to_string().into(), Cow::Borrowed)
}

fn respond(protocol: Protocol, id: Uuid, result: Result<Vec<u8>, Error>, cut: bool) -> Response<AnswerBody> {
    let (status, bytes, error) = match result {
        Ok(bytes) => (StatusCode::OK, bytes, None),
        Err(error) => {
            let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let bytes = match protocol {
                Protocol::Json => error.json(),
                Protocol::Query => xml::error(&error, id),
            };
            (status, bytes, Some(error.code))
        }
    };
    let mut response = Response::new(AnswerBody { left: bytes.into(), cut });
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, protocol.content_type());
    headers.insert("x-amzn-requestid", header(id));
    if let Some(code) = error.filter(|_| protocol == Protocol::Json) {
        // What SDKs that speak JSON make the older protocol's code of (`awsQueryCompatible`).
        let error = HeaderValue::from_str(&format!("{};{}", code.query(), code.fault()));
        headers.extend(error.ok().map(|error| (HeaderName::from_static("x-amzn-query-error"), error)));
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

/// An id's text is always a header value.
fn header(id: Uuid) -> HeaderValue {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An answer, whole or cut off in the middle.
pub(super) struct AnswerBody {
    left: Bytes,
    cut: bool,
}

impl Body for AnswerBody {
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
