//! The embedded queue behind a front that keeps every call and fails on demand: a test may answer any call itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;
use twinscale::compare::local::sqs_server::{Options, SqsServer};
use twinscale::compare::scaling::Counts;
use twinscale::message::Message;
use twinscale::queue::{Outgoing, Queue, Tuning};

/// What a call answers instead of the truth.
pub enum Fault {
    /// An error for the whole call, with its HTTP status.
    Error(u16, &'static str),
    /// An error for one entry of a batch call, which is then left out of it.
    Entry(usize, &'static str),
    /// No answer for this long, then the truth.
    Slow(Duration),
}

type Script = Box<dyn FnMut(&str, &Value) -> Option<Fault> + Send>;

/// The service; dropping it closes the port.
pub struct Sqs {
    pub endpoint: String,
    front: Arc<Front>,
    _serving: AbortOnDropHandle<()>,
}

struct Front {
    server: SqsServer,
    client: Client<HttpConnector, Full<Bytes>>,
    calls: Mutex<Vec<(String, Value)>>,
    script: Mutex<Option<Script>>,
}

impl Sqs {
    /// Serves `jobs` (dead letters to `dead` after `max_receives`) and the same pair with `.fifo`.
    pub async fn start(visibility: Duration, max_receives: u32) -> Self {
        let server = SqsServer::start(([127, 0, 0, 1], 0).into(), Options::default()).await.expect("a free port");
        for suffix in ["", ".fifo"] {
            let fifo: &[(&str, &str)] = if suffix.is_empty() { &[] } else { &[("FifoQueue", "true")] };
            server.create_queue(&format!("dead{suffix}"), fifo).expect("created");
            let dead = server.arn(&format!("dead{suffix}"));
            let policy = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": max_receives }).to_string();
            let visibility = visibility.as_secs().to_string();
            let attributes = [("VisibilityTimeout", visibility.as_str()), ("RedrivePolicy", policy.as_str())];
            server.create_queue(&format!("jobs{suffix}"), &[&attributes, fifo].concat()).expect("created");
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let front = Arc::new(Front { server, client, calls: Mutex::default(), script: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let router = axum::Router::new().fallback(serve).with_state(front.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { endpoint, front, _serving: AbortOnDropHandle::new(serving) }
    }

    /// Answers calls by `script` first, from now on.
    pub fn script(&self, script: impl FnMut(&str, &Value) -> Option<Fault> + Send + 'static) {
        *self.front.script.lock().expect("no panic") = Some(Box::new(script));
    }

    pub async fn send(&self, queue: &str, bodies: impl IntoIterator<Item = impl ToString>) {
        let outgoing = |body: String| Outgoing { body, ..Outgoing::default() };
        let messages = bodies.into_iter().map(|body| outgoing(body.to_string())).collect();
        assert_eq!(self.queue(queue).await.send(messages).await.failed, []);
    }

    pub async fn send_to_group(&self, queue: &str, group: &str, body: &str) {
        let (group_id, deduplication_id) = (Some(group.to_owned()), Some(body.to_owned()));
        let message = Outgoing { body: body.to_owned(), group_id, deduplication_id, ..Outgoing::default() };
        assert_eq!(self.queue(queue).await.send(vec![message]).await.failed, []);
    }

    pub fn counts(&self, queue: &str) -> Counts {
        self.front.server.counts(queue).expect("a queue of ours")
    }

    /// Messages in the queue, whatever their state.
    pub fn left(&self, queue: &str) -> u64 {
        let counts = self.counts(queue);
        counts.visible + counts.in_flight + counts.delayed
    }

    /// Receives everything visible, as another consumer would.
    pub async fn receive_all(&self, queue: &str) -> Vec<Message> {
        let (queue, mut all) = (self.queue(queue).await, Vec::new());
        loop {
            let some = queue.receive(10, Duration::ZERO, None).await.expect("received");
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    /// Every call of this action so far.
    pub fn calls(&self, action: &str) -> Vec<Value> {
        let calls = self.front.calls.lock().expect("no panic");
        calls.iter().filter(|(name, _)| name == action).map(|(_, call)| call.clone()).collect()
    }

    /// Past the front, so that nothing is kept and nothing fails.
    async fn queue(&self, name: &str) -> Queue {
        let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
        Queue::local(&self.front.server.endpoint(), name, &tuning).await.expect("a region is set")
    }
}

async fn serve(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().expect("text");
    let action = target.rsplit('.').next().expect("never empty").to_owned();
    let mut request: Value = serde_json::from_slice(&body).expect("JSON");
    front.calls.lock().expect("no panic").push((action.clone(), request.clone()));
    let fault = front.script.lock().expect("no panic").as_mut().and_then(|script| script(&action, &request));
    let mut failed = None;
    match fault {
        Some(Fault::Error(status, code)) => {
            let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "told to" });
            return (StatusCode::from_u16(status).expect("a status"), axum::Json(body)).into_response();
        }
        Some(Fault::Entry(index, code)) => {
            let entries = request["Entries"].as_array_mut().expect("a batch");
            let entry = entries.remove(index);
            failed = Some(json!({ "Id": entry["Id"], "Code": code, "SenderFault": false }));
            if entries.is_empty() {
                return axum::Json(json!({ "Successful": [], "Failed": [failed] })).into_response();
            }
        }
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        None => {}
    }
    let (status, answer) = front.forward(headers, &request).await;
    let Some(failed) = failed else { return (status, answer).into_response() };
    let mut answer: Value = serde_json::from_slice(&answer).expect("JSON");
    match answer["Failed"].as_array_mut() {
        Some(others) => others.push(failed),
        None => answer["Failed"] = json!([failed]),
    }
    axum::Json(answer).into_response()
}

impl Front {
    async fn forward(&self, mut headers: HeaderMap, request: &Value) -> (StatusCode, Bytes) {
        headers.remove(header::CONTENT_LENGTH);
        let mut forwarded = Request::post(self.server.endpoint());
        *forwarded.headers_mut().expect("complete") = headers;
        let forwarded = forwarded.body(Full::from(request.to_string())).expect("complete");
        let answer = self.client.request(forwarded).await.expect("the server answers");
        let status = answer.status();
        (status, Body::new(answer.into_body()).collect().await.expect("a whole answer").to_bytes())
    }
}
