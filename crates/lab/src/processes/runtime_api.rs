//! The Lambda Runtime API of one execution environment, as the custom runtimes guide documents it: `next`, `response`,
//! `error`, `init/error`. One server and one port an environment, since `AWS_LAMBDA_RUNTIME_API` is a host and a port.
//!
//! It holds no process and no time limit: [`ExecutionEnvironment`](super::environment::ExecutionEnvironment) owns those.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use twinscale::unstable::http::accept;
use uuid::Uuid;

/// The largest event and the largest buffered response of a synchronous invocation: 6 MB.
pub const MAX_PAYLOAD: usize = 6 << 20;

const PREFIX: &str = "/2018-06-01/runtime/";

/// Where an execution environment is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The process has not asked for an invocation yet.
    Initializing,
    /// It asked for its first invocation: initialisation is over.
    Ready,
    /// It reported an initialisation error, in these words.
    InitError(String),
    /// Its process has ended, in these words.
    Exited(String),
}

/// What a function answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvocationAnswer {
    /// It posted to `response`.
    Response(Bytes),
    /// It posted to `error`, or its response was too large.
    Error {
        /// `errorType`, for example `Runtime.ExitError`.
        kind: String,
        /// `errorMessage`.
        message: String,
    },
}

/// One invocation on its way to the process.
struct Invocation {
    request_id: String,
    event: Bytes,
    deadline: SystemTime,
}

struct RuntimeShared {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<Invocation>>,
    in_hand: Mutex<HashMap<String, oneshot::Sender<InvocationAnswer>>>,
    phase: watch::Sender<Phase>,
    function_arn: String,
}

/// A running Runtime API; dropping it closes the port and every connection.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<RuntimeShared>,
    invocations: mpsc::UnboundedSender<Invocation>,
    _server: AbortOnDropHandle<()>,
}

impl RuntimeApi {
    /// Binds a free port of the loopback interface and serves the API there.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn bind(function_arn: String) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (invocations, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(RuntimeShared {
            waiting: tokio::sync::Mutex::new(waiting),
            in_hand: Mutex::default(),
            phase: watch::Sender::new(Phase::Initializing),
            function_arn,
        });
        let server = AbortOnDropHandle::new(tokio::spawn(serve(listener, shared.clone())));
        Ok(Self { address, shared, invocations, _server: server })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` must say.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Follows the life of the environment.
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.shared.phase.subscribe()
    }

    /// For the owner of the process, to be called when it has ended.
    pub fn exit_reporter(&self) -> impl FnOnce(String) + Send + use<> {
        let shared = self.shared.clone();
        move |how| shared.fail(Phase::Exited(how))
    }

    /// Hands `event` to whichever `next` asks first; the answer comes by the receiver. Returns the request id too.
    pub fn invoke(&self, event: Bytes, deadline: SystemTime) -> (String, oneshot::Receiver<InvocationAnswer>) {
        let request_id = Uuid::new_v4().to_string();
        let (answer, answered) = oneshot::channel();
        self.shared.in_hand().insert(request_id.clone(), answer);
        // The receiving half lives in `shared`, so that it outlives this sender.
        let _ = self.invocations.send(Invocation { request_id: request_id.clone(), event, deadline });
        (request_id, answered)
    }
}

impl RuntimeShared {
    fn in_hand(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<InvocationAnswer>>> {
        self.in_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first failure is the one that explains the rest.
    fn fail(&self, failure: Phase) {
        self.phase.send_if_modified(|phase| {
            let alive = matches!(phase, Phase::Initializing | Phase::Ready);
            if alive {
                *phase = failure;
            }
            alive
        });
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Initializing;
            if first {
                *phase = Phase::Ready;
            }
            first
        });
        let Some(invocation) = self.waiting.lock().await.recv().await else {
            // The environment is being taken down; its process has nothing left to ask for.
            return std::future::pending().await;
        };
        let deadline = invocation.deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Response::builder()
            .header(CONTENT_TYPE, "application/json")
            .header("lambda-runtime-aws-request-id", &invocation.request_id)
            .header("lambda-runtime-deadline-ms", deadline.as_millis().to_string())
            .header("lambda-runtime-invoked-function-arn", &self.function_arn)
            .header("lambda-runtime-trace-id", trace_id(deadline.as_secs()))
            .body(Full::new(invocation.event))
            .unwrap_or_default()
    }

    async fn post(&self, path: &str, headers: &HeaderMap, body: Incoming) -> Response<Full<Bytes>> {
        let body = Limited::new(body, MAX_PAYLOAD).collect().await.map(|body| body.to_bytes());
        if path == "init/error" {
            self.fail(Phase::InitError(describe(headers, &body.unwrap_or_default())));
            return status(StatusCode::ACCEPTED, "OK");
        }
        let Some((request_id, what)) = path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/')) else {
            return refusal(StatusCode::NOT_FOUND, "InvalidPath", "no such path in the Runtime API");
        };
        if !matches!(what, "response" | "error") {
            return refusal(StatusCode::NOT_FOUND, "InvalidPath", "no such path in the Runtime API");
        }
        let Some(to) = self.in_hand().remove(request_id) else {
            return refusal(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        };
        let (answer, response) = match (body, what) {
            (Err(_), _) => {
                let kind = "Function.ResponseSizeTooLarge";
                let message = "Response payload size exceeded maximum allowed payload size (6291556 bytes).";
                let answer = InvocationAnswer::Error { kind: kind.to_owned(), message: message.to_owned() };
                (answer, refusal(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message))
            }
            (Ok(body), "response") => (InvocationAnswer::Response(body), status(StatusCode::ACCEPTED, "OK")),
            (Ok(body), _) => (error_answer(headers, &body), status(StatusCode::ACCEPTED, "OK")),
        };
        // Whoever invoked may have given up: it timed out.
        let _ = to.send(answer);
        response
    }
}

async fn serve(listener: TcpListener, shared: Arc<RuntimeShared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(&listener) => {
                let shared = shared.clone();
                let service = service_fn(move |request| route(shared.clone(), request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn route(shared: Arc<RuntimeShared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
    Ok(match (&head.method, path) {
        (&Method::GET, "invocation/next") => shared.next().await,
        (&Method::POST, path) => shared.post(path, &head.headers, body).await,
        _ => refusal(StatusCode::NOT_FOUND, "InvalidPath", "no such path in the Runtime API"),
    })
}

/// An X-Ray trace header: a new root for each invocation, not sampled.
fn trace_id(epoch_secs: u64) -> String {
    let chance = Uuid::new_v4().as_u128();
    let root = chance >> 32;
    let parent = (chance as u64) ^ epoch_secs;
    format!("Root=1-{epoch_secs:08x}-{root:024x};Parent={parent:016x};Sampled=0")
}

fn error_answer(headers: &HeaderMap, body: &[u8]) -> InvocationAnswer {
    #[derive(Default, serde::Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    struct Diagnostic {
        error_type: String,
        error_message: String,
    }
    let said: Diagnostic = serde_json::from_slice(body).unwrap_or_default();
    let header = headers.get("lambda-runtime-function-error-type").and_then(|value| value.to_str().ok());
    let kind = if said.error_type.is_empty() { header.unwrap_or("Unknown").to_owned() } else { said.error_type };
    InvocationAnswer::Error { kind, message: said.error_message }
}

fn describe(headers: &HeaderMap, body: &[u8]) -> String {
    match error_answer(headers, body) {
        InvocationAnswer::Error { kind, message } => format!("{kind}: {message}"),
        InvocationAnswer::Response(_) => String::new(),
    }
}

fn status(code: StatusCode, text: &str) -> Response<Full<Bytes>> {
    json(code, &serde_json::json!({ "status": text }))
}

fn refusal(code: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    json(code, &serde_json::json!({ "errorType": kind, "errorMessage": message }))
}

fn json(code: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    let body = Full::new(Bytes::from(body.to_string()));
    Response::builder().status(code).header(CONTENT_TYPE, "application/json").body(body).unwrap_or_default()
}
