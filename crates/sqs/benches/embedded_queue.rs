//! The embedded queue must never be the bottleneck: messages received and deleted a second, in batches of 10 over 16
//! connections, client included. Beside it the same client against a bare hyper server that answers the same bytes
//! without looking at the request: the ratio says what the queue itself costs.
//!
//! `cargo bench --bench embedded_queue`; `MESSAGES` (300,000) sets how many, `MESSAGES_A_SECOND_MIN` fails it below that.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use twinscale_sqs::model;
use twinscale_sqs::server::{Options, SqsServer};

const CONNECTIONS: usize = 16;
const BATCH: usize = 10;
const ROUNDS: usize = 3;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let messages: usize = number("MESSAGES").unwrap_or(300_000);
    pure(messages * 4);
    let server =
        SqsServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), Options::default()).await.expect("a free port");
    let url = server.create_queue("bench", &[("VisibilityTimeout", "600")]).expect("a new queue");
    let (mut best, mut best_bare) = (0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        send(server.address(), &url, messages).await;
        let sent = rate(messages, began);
        let began = Instant::now();
        let (got, received, deleted) = drain(server.address(), &url, usize::MAX).await;
        let drained = rate(got, began);
        assert_eq!(got, messages, "every message is received once");
        assert_eq!(server.counts("bench").expect("exists"), Default::default(), "and deleted");
        // The bare server takes turns with the queue, so that whatever else the machine does meets both alike.
        let bare = echo(received, deleted).await;
        let began = Instant::now();
        let (got, ..) = drain(bare, &url, messages / BATCH / CONNECTIONS).await;
        let bare = rate(got, began);
        println!(
            "sent {sent:>9.0}/s   received and deleted {drained:>9.0}/s   the same from a bare server {bare:>9.0}/s"
        );
        (best, best_bare) = (best.max(drained), best_bare.max(bare));
    }
    println!("best of {ROUNDS}: {best:.0} messages/s, {:.2} of a bare server", best / best_bare);
    if let Some(least) = number("MESSAGES_A_SECOND_MIN") {
        assert!(best >= least as f64, "{best:.0} messages/s is below {least}");
    }
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn rate(messages: usize, began: Instant) -> f64 {
    messages as f64 / began.elapsed().as_secs_f64()
}

/// The state machine alone, as the simulator uses it: send one, receive in tens, delete each.
fn pure(messages: usize) {
    let mut queue = model::Queue::new(model::Attributes::default());
    let mut out = Vec::with_capacity(BATCH);
    let began = Instant::now();
    for id in 0..messages as u64 {
        let now = std::time::Duration::from_micros(id);
        queue.send(now, model::Send { id, payload: (), ..model::Send::default() });
        if id as usize % BATCH == BATCH - 1 {
            queue.receive(now, BATCH, None, &mut out).expect("under the limit");
            for received in out.drain(..) {
                queue.delete(now, received.handle).expect("its own handle");
            }
        }
    }
    println!(
        "the state machine alone, sent, received and deleted: {:.2} million messages/s",
        rate(messages, began) / 1e6
    );
}

async fn send(address: SocketAddr, url: &str, messages: usize) {
    let mut connections = JoinSet::new();
    let entries: Vec<String> = (0..BATCH).map(|i| format!(r#"{{"Id":"{i}","MessageBody":"{:064}"}}"#, i)).collect();
    let body = format!(r#"{{"QueueUrl":"{url}","Entries":[{}]}}"#, entries.join(","));
    let batches = messages.div_ceil(BATCH);
    for nth in 0..CONNECTIONS {
        let (request, share) = (request("SendMessageBatch", &body), (batches + nth) / CONNECTIONS);
        connections.spawn(async move {
            let mut client = Client::connect(address).await;
            for _ in 0..share {
                client.ask(&request).await;
            }
        });
    }
    connections.join_all().await;
}

/// Receives and deletes until a receive is empty, or so many rounds a connection. Returns messages, and one answer of
/// each kind.
async fn drain(address: SocketAddr, url: &str, rounds: usize) -> (usize, Vec<u8>, Vec<u8>) {
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let receive = request("ReceiveMessage", &format!(r#"{{"QueueUrl":"{url}","MaxNumberOfMessages":{BATCH}}}"#));
        let url = url.to_owned();
        connections.spawn(async move {
            let mut client = Client::connect(address).await;
            let (mut got, mut received, mut deleted, mut body) = (0, Vec::new(), Vec::new(), String::new());
            for _ in 0..rounds {
                client.ask(&receive).await;
                let count = delete_body(&mut body, &url, client.body());
                if count == 0 {
                    break;
                }
                if received.is_empty() {
                    received = client.body().to_vec();
                }
                client.ask(&request("DeleteMessageBatch", &body)).await;
                if deleted.is_empty() {
                    deleted = client.body().to_vec();
                }
                got += count;
            }
            (got, received, deleted)
        });
    }
    let all = connections.join_all().await;
    let got = all.iter().map(|(got, ..)| got).sum();
    let (_, received, deleted) = all.into_iter().max_by_key(|(got, ..)| *got).expect("there are connections");
    (got, received, deleted)
}

/// Writes a delete of every receipt handle in `answer`, and returns how many there are.
fn delete_body(body: &mut String, url: &str, answer: &[u8]) -> usize {
    body.clear();
    body.push_str(r#"{"QueueUrl":""#);
    body.push_str(url);
    body.push_str(r#"","Entries":["#);
    let answer = std::str::from_utf8(answer).expect("JSON is UTF-8");
    let mut count = 0;
    for handle in answer.split(r#""ReceiptHandle":""#).skip(1) {
        let handle = handle.split('"').next().expect("a handle ends");
        let comma = if count > 0 { "," } else { "" };
        body.push_str(comma);
        body.push_str(r#"{"Id":""#);
        body.push(char::from(b'a' + count as u8));
        body.push_str(r#"","ReceiptHandle":""#);
        body.push_str(handle);
        body.push_str(r#""}"#);
        count += 1;
    }
    body.push_str("]}");
    count
}

fn request(action: &str, body: &str) -> Vec<u8> {
    format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.{action}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A client that knows just enough HTTP/1.1.
struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    body: std::ops::Range<usize>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, buffer: Vec::with_capacity(16 << 10), body: 0..0 }
    }

    async fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("the server reads");
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..head]).expect("headers are ASCII");
            assert!(text.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
            let length = text.split("content-length: ").nth(1).expect("a length").split("\r\n").next();
            let length: usize = length.and_then(|length| length.parse().ok()).expect("a number");
            self.body = head + 4..head + 4 + length;
            if self.buffer.len() >= self.body.end {
                return;
            }
        }
    }

    fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }
}

/// A server that reads requests and answers with those bytes, whatever is asked.
async fn echo(received: Vec<u8>, deleted: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (received, deleted) = (Bytes::from(received), Bytes::from(deleted));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let (received, deleted) = (received.clone(), deleted.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let is_receive = request.headers().get("x-amz-target").is_some_and(|t| t == "AmazonSQS.ReceiveMessage");
                let answer = if is_receive { received.clone() } else { deleted.clone() };
                async move {
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(Response::new(Full::new(answer)))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}
