//! The client of the benches: it sends, receives and deletes as fast as it can, over connections that know just enough HTTP/1.1.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

pub const CONNECTIONS: usize = 16;
pub const BATCH: usize = 10;

const SIGNED: &str = "authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0\r\n";

/// How the client speaks.
#[derive(Clone, Copy)]
pub enum Protocol {
    Json,
    Query,
}

/// What it speaks to.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// Of the queue.
    pub url: String,
    pub protocol: Protocol,
    /// With a header such as SDKs send, by which servers of many services know which one is meant.
    pub signed: bool,
}

/// Messages a second.
pub fn rate(messages: usize, began: Instant) -> f64 {
    messages as f64 / began.elapsed().as_secs_f64()
}

/// Sends so many messages.
pub async fn send(target: &Target, messages: usize) {
    let mut connections = JoinSet::new();
    let address = target.address;
    let url = &target.url;
    let body = match target.protocol {
        Protocol::Json => {
            let entries: Vec<String> =
                (0..BATCH).map(|i| format!(r#"{{"Id":"{i}","MessageBody":"{i:064}"}}"#)).collect();
            format!(r#"{{"QueueUrl":"{url}","Entries":[{}]}}"#, entries.join(","))
        }
        Protocol::Query => {
            let name = "SendMessageBatchRequestEntry";
            let entries: Vec<String> =
                (0..BATCH).map(|i| format!("&{name}.{0}.Id={i}&{name}.{0}.MessageBody={i:064}", i + 1)).collect();
            format!("{}{}", form("SendMessageBatch", url), entries.concat())
        }
    };
    let batches = messages.div_ceil(BATCH);
    for nth in 0..CONNECTIONS {
        let request = request(target, "SendMessageBatch", &body);
        let share = (batches + nth) / CONNECTIONS;
        connections.spawn(async move {
            let mut client = Client::connect(address).await;
            for _ in 0..share {
                client.ask(&request).await;
            }
        });
    }
    connections.join_all().await;
}

/// Receives and deletes until a receive is empty, or this many rounds per connection are over. Returns messages, and one answer of
/// each kind.
pub async fn drain(target: &Target, rounds: usize) -> (usize, Vec<u8>, Vec<u8>) {
    let mut connections = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let address = target.address;
        let url = &target.url;
        let receive = match target.protocol {
            Protocol::Json => format!(r#"{{"QueueUrl":"{url}","MaxNumberOfMessages":{BATCH}}}"#),
            Protocol::Query => format!("{}&MaxNumberOfMessages={BATCH}", form("ReceiveMessage", url)),
        };
        let receive = request(target, "ReceiveMessage", &receive);
        let target = target.clone();
        connections.spawn(async move {
            let mut client = Client::connect(address).await;
            let mut got = 0;
            let mut received = Vec::new();
            let mut deleted = Vec::new();
            let mut body = String::new();
            for _ in 0..rounds {
                client.ask(&receive).await;
                let count = delete_body(&mut body, &target, client.body());
                if count == 0 {
                    break;
                }
                if received.is_empty() {
                    received = client.body().to_vec();
                }
                client.ask(&request(&target, "DeleteMessageBatch", &body)).await;
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
fn delete_body(body: &mut String, target: &Target, answer: &[u8]) -> usize {
    let Target { url, protocol, .. } = target;
    let answer = std::str::from_utf8(answer).expect("an answer is UTF-8");
    let (before, after) = match protocol {
        Protocol::Json => (r#""ReceiptHandle":""#, '"'),
        Protocol::Query => ("<ReceiptHandle>", '<'),
    };
    body.clear();
    match protocol {
        Protocol::Json => write!(body, r#"{{"QueueUrl":"{url}","Entries":["#),
        Protocol::Query => write!(body, "{}", form("DeleteMessageBatch", url)),
    }
    .expect("a String takes all");
    let mut count = 0;
    for handle in answer.split(before).skip(1) {
        let handle = handle.split(after).next().expect("a handle ends");
        let comma = if count > 0 { "," } else { "" };
        count += 1;
        let name = "DeleteMessageBatchRequestEntry";
        match protocol {
            Protocol::Json => write!(body, r#"{comma}{{"Id":"{count}","ReceiptHandle":"{handle}"}}"#),
            Protocol::Query => write!(body, "&{name}.{count}.Id={count}&{name}.{count}.ReceiptHandle={handle}"),
        }
        .expect("a String takes all");
    }
    if let Protocol::Json = protocol {
        body.push_str("]}");
    }
    count
}

/// The beginning of a form. A queue's URL has `:` and `/` to encode, as SDKs do.
fn form(action: &str, url: &str) -> String {
    let url = url.replace(':', "%3A").replace('/', "%2F");
    format!("Action={action}&Version=2012-11-05&QueueUrl={url}")
}

pub fn request(target: &Target, action: &str, body: &str) -> Vec<u8> {
    let headers = match target.protocol {
        Protocol::Json => format!("content-type: application/x-amz-json-1.0\r\nx-amz-target: AmazonSQS.{action}"),
        Protocol::Query => "content-type: application/x-www-form-urlencoded; charset=utf-8".to_owned(),
    };
    let length = body.len();
    let signed = if target.signed { SIGNED } else { "" };
    format!("POST / HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n{signed}content-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A client that knows just enough HTTP/1.1.
pub struct Client {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    body: std::ops::Range<usize>,
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { address, stream: connected(address).await, buffer: Vec::with_capacity(16 << 10), body: 0..0 }
    }

    pub async fn ask(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("the server reads");
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            let Some(head) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.buffer[..head]).expect("headers are ASCII");
            assert!(text.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.buffer));
            let header = |wanted: &str| {
                let mut headers = text.lines().filter_map(|line| line.split_once(": "));
                headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value)
            };
            let length: usize = header("content-length").and_then(|length| length.parse().ok()).expect("a length");
            let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
            self.body = head + 4..head + 4 + length;
            if self.buffer.len() >= self.body.end {
                if closes {
                    self.stream = connected(self.address).await;
                }
                return;
            }
        }
    }

    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.clone()]
    }
}

async fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");
    stream
}
