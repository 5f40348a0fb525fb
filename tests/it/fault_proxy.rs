//! A proxy between a client and the embedded queue that lets calls fail as networks and services do. What goes wrong
//! inside SQS (throttling, entries of a batch, a message delivered twice) is the embedded server's own fault plan; here
//! is what happens on the way, and answers that a test writes itself.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;
use twinscale_work::{mix, unit};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// An error for the whole call, with its HTTP status, in AWS's shape. The queue hears nothing of it.
    Error(u16, &'static str),
    /// An error for one entry of a batch call, which is then left out of it.
    Entry(usize, &'static str),
    /// This with status 200 in place of an answer; the queue hears nothing of it.
    Answer(&'static str),
    /// It has its effect, but the answer names only the first of those for whom it succeeded.
    NamesOne,
    /// No answer ever; the queue hears nothing of it.
    Hang,
    /// The queue hears of it only after so long.
    Slow(Duration),
    /// The connection is closed without an answer; the queue hears nothing of it.
    Drop,
    /// The connection is reset (RST); the queue hears nothing of it.
    Reset,
    /// It has its effect, but the connection is closed without an answer.
    Lost,
    /// It has its effect, but the connection is closed in the middle of the answer.
    Cut,
    /// The answer comes in pieces over so long.
    Trickle(Duration),
    /// The queue hears it twice; the answer is the second.
    Twice,
    /// A receive is answered with the messages of the receive before, once more: the same delivery, twice.
    Replay,
    /// Bytes of message attributes come as no base64; in one answer alone, the first that has some.
    Garble,
}

/// Decides over a call, by its action and its JSON.
pub type Strike = Box<dyn FnMut(&str, &Value) -> Option<Fault> + Send>;

/// A share of all calls that go wrong in one of these ways, drawn from a seed: the nth call of an action has the same
/// luck in every run. (Which process makes it is the scheduler's to say.)
pub fn seeded(seed: u64, share: f64, faults: &'static [Fault]) -> Strike {
    let mut calls: BTreeMap<String, u64> = BTreeMap::new();
    Box::new(move |action, _| {
        let nth = calls.entry(action.to_owned()).or_default();
        *nth += 1;
        let luck = mix(seed ^ mix(*nth) ^ action.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))));
        (unit(luck) < share).then(|| faults[(unit(mix(luck)) * faults.len() as f64) as usize])
    })
}

/// The proxy; dropping it closes its port and its connections.
pub struct FaultProxy {
    pub endpoint: String,
    inner: Arc<Inner>,
    _serving: AbortOnDropHandle<()>,
}

struct Inner {
    to: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    strike: Mutex<Strike>,
    /// Calls, and those that were struck, by the name of the fault.
    tally: Mutex<(u64, BTreeMap<String, u64>)>,
    /// The last receive that brought messages, until it is replayed.
    received: Mutex<Option<Bytes>>,
    garbled: AtomicBool,
}

impl FaultProxy {
    /// Listens on a free port and hands calls on to the queue at `to`.
    pub async fn start(to: SocketAddr, strike: Strike) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let client = Client::builder(TokioExecutor::new()).build_http();
        let strike = Mutex::new(strike);
        let (tally, received, garbled) = Default::default();
        let inner = Arc::new(Inner { to, client, strike, tally, received, garbled });
        let serving = AbortOnDropHandle::new(tokio::spawn(accept(listener, inner.clone())));
        Self { endpoint, inner, _serving: serving }
    }

    /// Calls so far, and how many of them were struck by what.
    pub fn tally(&self) -> (u64, BTreeMap<String, u64>) {
        self.inner.tally.lock().expect("no panic").clone()
    }
}

async fn accept(listener: TcpListener, inner: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                connections.spawn(serve(stream, inner.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, inner: Arc<Inner>) {
    let reset = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let reset = reset.clone();
        move |request| {
            let inner = inner.clone();
            let reset = reset.clone();
            Box::pin(async move { inner.answer(request, &reset).await.ok_or("the connection is closed") })
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let _ = poll_fn(|context| connection.poll_without_shutdown(context)).await;
    if reset.load(Ordering::Relaxed) {
        // Closed with unsent data thrown away, the kernel sends RST.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, &'static str>>;

impl Inner {
    /// `None` closes the connection.
    async fn answer(&self, request: Request<Incoming>, reset: &AtomicBool) -> Option<Answer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        let action = target.rsplit('.').next().unwrap_or_default();
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let fault = (self.strike.lock().expect("no panic"))(action, &asked);
        self.count(fault);
        match fault {
            Some(Fault::Error(status, code)) => return Some(error(status, code)),
            Some(Fault::Entry(index, code)) => return self.without_entry(&head.headers, asked, index, code).await,
            Some(Fault::Answer(text)) => return Some(respond(StatusCode::OK, whole(text.into()))),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Drop) => return None,
            Some(Fault::Reset) => {
                reset.store(true, Ordering::Relaxed);
                return None;
            }
            Some(Fault::Replay) => {
                let before = self.received.lock().expect("no panic").take().filter(|_| action == "ReceiveMessage");
                if let Some(before) = before {
                    return Some(respond(StatusCode::OK, whole(before)));
                }
            }
            Some(Fault::Slow(time)) => sleep(time).await,
            Some(Fault::Twice) => drop(self.forward(&head.headers, body.clone()).await?),
            _ => {}
        }
        let (status, answer) = self.forward(&head.headers, body).await?;
        if action == "ReceiveMessage" && answer.len() > 2 {
            *self.received.lock().expect("no panic") = Some(answer.clone());
        }
        Some(match fault {
            Some(Fault::Lost) => return None,
            Some(Fault::Cut) => {
                let mut cut = respond(status, in_pieces(answer.slice(..answer.len() / 2), Duration::ZERO, true));
                cut.headers_mut().insert(CONTENT_LENGTH, answer.len().into());
                cut
            }
            Some(Fault::Trickle(time)) => respond(status, in_pieces(answer, time, false)),
            Some(Fault::NamesOne) => respond(status, whole(first_alone(&answer))),
            Some(Fault::Garble) => respond(status, whole(self.garbled_once(answer))),
            _ => respond(status, whole(answer)),
        })
    }

    fn garbled_once(&self, answer: Bytes) -> Bytes {
        let text = String::from_utf8_lossy(&answer);
        let garbled = text.replace(r#""BinaryValue":""#, r#""BinaryValue":"?"#);
        if garbled == text || self.garbled.swap(true, Ordering::Relaxed) { answer } else { garbled.into() }
    }

    fn count(&self, fault: Option<Fault>) {
        let mut tally = self.tally.lock().expect("no panic");
        tally.0 += 1;
        if let Some(fault) = fault {
            let name = match fault {
                Fault::Error(_, code) => code.to_owned(),
                fault => format!("{fault:?}").split('(').next().unwrap_or_default().to_owned(),
            };
            *tally.1.entry(name).or_default() += 1;
        }
    }

    async fn without_entry(&self, head: &HeaderMap, mut asked: Value, index: usize, code: &str) -> Option<Answer> {
        let entries = asked["Entries"].as_array_mut().expect("a batch");
        let entry = entries.remove(index.min(entries.len() - 1));
        let failed = json!({ "Id": entry["Id"], "Code": code, "SenderFault": false });
        let mut answer = json!({ "Successful": [] });
        if !entries.is_empty() {
            let (_, others) = self.forward(head, asked.to_string().into()).await?;
            answer = serde_json::from_slice(&others).expect("JSON");
        }
        match answer["Failed"].as_array_mut() {
            Some(others) => others.push(failed),
            None => answer["Failed"] = json!([failed]),
        }
        Some(respond(StatusCode::OK, whole(answer.to_string().into())))
    }

    async fn forward(&self, head: &HeaderMap, body: Bytes) -> Option<(StatusCode, Bytes)> {
        let mut request = Request::post(format!("http://{}", self.to));
        let headers = request.headers_mut()?;
        *headers = head.clone();
        headers.remove(CONTENT_LENGTH);
        let answer = self.client.request(request.body(Full::from(body)).ok()?).await.ok()?;
        Some((answer.status(), answer.into_body().collect().await.ok()?.to_bytes()))
    }
}

fn first_alone(answer: &[u8]) -> Bytes {
    let mut answer: Value = serde_json::from_slice(answer).expect("JSON");
    answer["Successful"].as_array_mut().expect("a batch").truncate(1);
    answer.to_string().into()
}

fn error(status: u16, code: &str) -> Answer {
    let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "told to" });
    respond(StatusCode::from_u16(status).expect("a status"), whole(body.to_string().into()))
}

fn respond(status: StatusCode, body: UnsyncBoxBody<Bytes, &'static str>) -> Answer {
    let response = Response::builder().status(status).header(CONTENT_TYPE, "application/x-amz-json-1.0");
    response.body(body).expect("complete")
}

fn whole(bytes: Bytes) -> UnsyncBoxBody<Bytes, &'static str> {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Eight pieces over `time`; then the end, or a broken connection.
fn in_pieces(bytes: Bytes, time: Duration, broken: bool) -> UnsyncBoxBody<Bytes, &'static str> {
    let size = bytes.len().div_ceil(8).max(1);
    let pieces = stream::unfold(bytes, move |mut left| async move {
        // Also lets hyper write what came before.
        sleep((time / 8).max(Duration::from_millis(1))).await;
        match left.is_empty() {
            true => broken.then(|| (Err("cut"), left)),
            false => Some((Ok(Frame::data(left.split_to(size.min(left.len())))), left)),
        }
    });
    BodyExt::boxed_unsync(StreamBody::new(pieces))
}
