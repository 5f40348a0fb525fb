//! The embedded queue must never be the bottleneck: messages received and deleted a second, in batches of 10 over 16
//! connections, client included. Beside it the same client against a bare hyper server that answers the same bytes
//! without looking at the request: the ratio says what the queue itself costs. And the same by the Query protocol.
//!
//! With `peers`: beside what others use for it, start, memory and speed in one run (`peers/setup.sh` installs them).
//!
//! `cargo bench --bench embedded_queue`; `MESSAGES` (300,000) sets how many, `MESSAGES_A_SECOND_MIN` fails it below that.

#![allow(unreachable_pub)]

mod load;
mod peers;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use load::{BATCH, CONNECTIONS, Protocol, Target, drain, rate, send};
use tokio::net::TcpListener;
use twinscale_sqs::model;
use twinscale_sqs::server::SqsServer;

const ROUNDS: usize = 3;

#[tokio::main(worker_threads = 2)]
async fn main() {
    if std::env::args().any(|argument| argument == "peers") {
        return peers::compare().await;
    }
    let messages: usize = number("MESSAGES").unwrap_or(300_000);
    pure(messages * 4);
    let server = SqsServer::start().await.expect("a free port");
    let url = server.create_queue("bench", &[("VisibilityTimeout", "600")]).expect("a new queue");
    let json = Target { address: server.address(), url, protocol: Protocol::Json, signed: false };
    let query = Target { protocol: Protocol::Query, ..json.clone() };
    let mut best = 0.0_f64;
    let mut best_bare = 0.0_f64;
    let mut best_query = 0.0_f64;
    let mut json_time = Duration::ZERO;
    let mut query_time = Duration::ZERO;
    for _ in 0..ROUNDS {
        // The other protocol and the bare server take turns, so that whatever else the machine does meets all alike.
        let began = processor_time();
        let (sent, drained, received, deleted) = round(&server, &json, messages).await;
        let between = processor_time();
        let (query_sent, query_drained, ..) = round(&server, &query, messages).await;
        json_time += between - began;
        query_time += processor_time() - between;
        let bare = Target { address: echo(received, deleted).await, ..json.clone() };
        let began = Instant::now();
        let (got, ..) = drain(&bare, messages / BATCH / CONNECTIONS).await;
        let bare = rate(got, began);
        println!(
            "JSON: sent {sent:>9.0}/s, received and deleted {drained:>9.0}/s   Query: {query_sent:>9.0}/s, {query_drained:>9.0}/s   the same as JSON from a bare server {bare:>9.0}/s"
        );
        best = best.max(drained);
        best_bare = best_bare.max(bare);
        best_query = best_query.max(query_drained);
    }
    println!("best of {ROUNDS}: {best:.0} messages/s, {:.2} of a bare server", best / best_bare);
    println!("by the Query protocol: {best_query:.0} messages/s, {:.2} of JSON", best_query / best);
    // Which other work on the machine hardly changes.
    let each = |time: Duration| time.as_secs_f64() * 1e6 / (ROUNDS * messages) as f64;
    println!(
        "processor time a message, sent, received and deleted, client included: JSON {:.1} µs, Query {:.1} µs, {:.2} of Query's",
        each(json_time),
        each(query_time),
        json_time.as_secs_f64() / query_time.as_secs_f64()
    );
    if let Some(least) = number("MESSAGES_A_SECOND_MIN") {
        assert!(best >= least as f64, "{best:.0} messages/s is below {least}");
    }
}

/// What this process has used so far, in hundredths of a second; nothing where there is no `/proc`.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets: user and system time are the 12th and 13th.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    Duration::from_millis(10 * fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>())
}

/// Sends so many messages, then receives and deletes them. Returns the rates of both, and one answer of each kind.
async fn round(server: &SqsServer, target: &Target, messages: usize) -> (f64, f64, Vec<u8>, Vec<u8>) {
    let began = Instant::now();
    send(target, messages).await;
    let sent = rate(messages, began);
    let began = Instant::now();
    let (got, received, deleted) = drain(target, usize::MAX).await;
    let drained = rate(got, began);
    assert_eq!(got, messages, "every message is received once");
    assert_eq!(server.counts("bench").expect("exists"), Default::default(), "and deleted");
    (sent, drained, received, deleted)
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
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

/// A server that reads requests and answers with those bytes, whatever is asked.
async fn echo(received: Vec<u8>, deleted: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let received = Bytes::from(received);
    let deleted = Bytes::from(deleted);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            let received = received.clone();
            let deleted = deleted.clone();
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
