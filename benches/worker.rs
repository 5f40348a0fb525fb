//! The worker beside a hand-written loop (receive 10, delete 10, sixteen times at once) on the same SDK: messages a
//! second, CPU a message, peak memory. Each run is a process of its own against a queue in another, with the network's
//! latency put in front. Prints ratios, since they travel between machines better than seconds.
//!
//! `cargo bench --bench worker`; `MESSAGES` (30,000) sets how many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{Credentials, Region};
use aws_sdk_sqs::types::DeleteMessageBatchRequestEntry;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;
use twinscale::compare::local::sqs_server::{Options, SqsServer};
use twinscale::config::Config;
use twinscale::handler::{Handler, Outcome};
use twinscale::journal::Journal;
use twinscale::message::Message;
use twinscale::queue::{Outgoing, Queue, Tuning};
use twinscale::shutdown::Health;
use twinscale::worker::Worker;

/// Hand-written loops that run at once.
const LOOPS: usize = 16;
const TUNING: Tuning = Tuning { attempt_timeout: Duration::from_secs(25) };

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => serve().await,
        ["loop", endpoint, messages] => report(run_loop(endpoint, messages.parse().expect("a number")).await),
        ["worker", endpoint, messages, concurrency] => {
            report(run_worker(endpoint, messages.parse().expect("a number"), concurrency).await);
        }
        _ => compare().await,
    }
}

/// Every size and latency, the loop and the worker by turns.
async fn compare() {
    let messages = std::env::var("MESSAGES").map_or(30_000, |text| text.parse().expect("MESSAGES is a number"));
    println!("worker / loop: messages a second | CPU ms a 1,000 messages | peak MiB | receives and deletes a message");
    println!("latency concurrency");
    for latency in [Duration::ZERO, Duration::from_millis(10)] {
        let mut service = Child::start(&["serve"]).await;
        let endpoint = proxy(service.first_line.clone(), latency).await;
        let by_hand = measure(&mut service, &endpoint, messages, "loop", "").await;
        for concurrency in ["10", "100", "1000"] {
            let worker = measure(&mut service, &endpoint, messages, "worker", concurrency).await;
            print!("{latency:>7.0?} {concurrency:>11}");
            for (name, decimals) in [("rate", 0), ("cpu", 1), ("peak", 1), ("requests", 3)] {
                let [ours, theirs] = [&worker, &by_hand].map(|report| report[name].as_f64().expect("measured"));
                print!(" | {ours:>8.decimals$} / {theirs:>8.decimals$} = {:>5.2}", ours / theirs);
            }
            println!();
        }
    }
}

async fn measure(service: &mut Child, endpoint: &str, messages: u64, what: &str, concurrency: &str) -> Value {
    let queue = Queue::local(&service.first_line, "jobs", &TUNING).await.expect("a region is set");
    let bodies = (0..messages).map(|number| Outgoing { body: format!("{number:036}"), ..Outgoing::default() });
    assert_eq!(queue.send(bodies.collect()).await.failed, []);
    let number = messages.to_string();
    let arguments: Vec<_> =
        [what, endpoint, &number, concurrency].into_iter().filter(|text| !text.is_empty()).collect();
    let before = service.requests().await;
    let mut child = Child::start(&arguments).await;
    child._process.wait().await.expect("it ends");
    let mut report: Value = serde_json::from_str(&child.first_line).expect("a report");
    report["requests"] = json!((service.requests().await - before) / messages as f64);
    report
}

async fn serve() {
    let server = SqsServer::start(([127, 0, 0, 1], 0).into(), Options::default()).await.expect("a free port");
    server.create_queue("jobs", &[]).expect("created");
    println!("{}", server.endpoint());
    // Each line that comes asks how many receives and deletes there were so far.
    tokio::task::block_in_place(|| {
        for _ in std::io::stdin().lines() {
            let requests = server.requests("jobs").expect("a queue of ours");
            println!("{}", requests.receive.unwrap_or_default() + requests.delete.unwrap_or_default());
        }
    });
}

/// The floor: what the SDK itself costs.
async fn run_loop(endpoint: &str, messages: u64) -> (u64, Duration) {
    let client = bare_client(endpoint).await;
    let url = client.get_queue_url().queue_name("jobs").send().await.expect("it answers").queue_url.expect("a URL");
    let (began, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut loops = tokio::task::JoinSet::new();
    for _ in 0..LOOPS {
        let (client, url, done) = (client.clone(), url.clone(), done.clone());
        loops.spawn(async move {
            while done.load(Ordering::Relaxed) < messages {
                let receive = client.receive_message().queue_url(&url).max_number_of_messages(10).wait_time_seconds(1);
                let received = receive.send().await.expect("it answers").messages.unwrap_or_default();
                let entries = received.iter().enumerate().map(|(index, message)| {
                    let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                    entry.set_receipt_handle(message.receipt_handle.clone()).build().expect("complete")
                });
                let entries: Vec<_> = entries.collect();
                if !entries.is_empty() {
                    let delete = client.delete_message_batch().queue_url(&url).set_entries(Some(entries));
                    assert_eq!(delete.send().await.expect("it answers").failed, []);
                }
                done.fetch_add(received.len() as u64, Ordering::Relaxed);
            }
        });
    }
    while done.load(Ordering::Relaxed) < messages {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (messages, began.elapsed())
}

/// The SDK as its documentation sets it up, with the HTTP client that the worker has.
async fn bare_client(endpoint: &str) -> Client {
    let tls = Provider::Rustls(CryptoMode::Ring);
    let shared = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().tls_provider(tls).build_https())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "local"))
        .load()
        .await;
    Client::new(&shared)
}

struct Counting {
    done: Arc<AtomicU64>,
}

impl Handler for Counting {
    async fn handle(&self, _: &Message) -> Outcome {
        self.done.fetch_add(1, Ordering::Relaxed);
        Outcome::Done
    }
}

async fn run_worker(endpoint: &str, messages: u64, concurrency: &str) -> (u64, Duration) {
    let queue = Queue::local(endpoint, "jobs", &TUNING).await.expect("a region is set");
    let variables = [("QUEUE_URL", "jobs"), ("WAIT_TIME_SECS", "1"), ("CONCURRENCY", concurrency)];
    let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
    let config = Config::for_worker(&lookup).expect("valid");
    let (done, drain) = (Arc::new(AtomicU64::new(0)), CancellationToken::new());
    let handler = Counting { done: done.clone() };
    let worker =
        Worker { handler, queue, config, journal: Journal::off(), health: Health::default(), metrics: Arc::default() };
    let began = Instant::now();
    let working = tokio::spawn(worker.run(drain.clone()));
    while done.load(Ordering::Relaxed) < messages {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let elapsed = began.elapsed();
    drain.cancel();
    working.await.expect("no panic");
    (messages, elapsed)
}

/// Prints the figures of this process, from its first instruction on.
fn report((messages, elapsed): (u64, Duration)) {
    let read = |path: &str| std::fs::read_to_string(path).expect("Linux has it");
    let stat = read("/proc/self/stat");
    let fields: Vec<_> = stat.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
    // utime and stime in ticks of 10 ms, fields 14 and 15 of proc(5).
    let ticks: f64 = fields[11..=12].iter().map(|field| field.parse::<f64>().expect("a number")).sum();
    let status = read("/proc/self/status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak").trim();
    let peak: f64 = peak.trim_end_matches(" kB").parse().expect("a number");
    let rate = messages as f64 / elapsed.as_secs_f64();
    println!("{}", json!({ "rate": rate, "cpu": ticks * 10.0 / (messages as f64 / 1000.0), "peak": peak / 1024.0 }));
}

/// This program again, in another role.
struct Child {
    first_line: String,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
    _process: tokio::process::Child,
}

impl Child {
    async fn start(arguments: &[&str]) -> Self {
        let mut process = tokio::process::Command::new(std::env::current_exe().expect("known"))
            .args(arguments)
            .kill_on_drop(true)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let first_line = lines.next_line().await.expect("readable").expect("it says something");
        Self { first_line, lines, stdin: process.stdin.take().expect("piped"), _process: process }
    }

    /// Receives and deletes so far.
    async fn requests(&mut self) -> f64 {
        self.stdin.write_all(b"\n").await.expect("it reads");
        let line = self.lines.next_line().await.expect("readable").expect("it answers");
        line.parse().expect("a number")
    }
}

/// A network that takes `latency` for the way there and back; none is no proxy at all.
async fn proxy(endpoint: String, latency: Duration) -> String {
    if latency.is_zero() {
        return endpoint;
    }
    let target = endpoint.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&target).await.expect("the service listens");
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(delay(near_in, far_out, latency / 2));
            tokio::spawn(delay(far_in, near_out, latency / 2));
        }
    });
    format!("http://{address}")
}

async fn delay(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, by: Duration) {
    let (late, mut due) = tokio::sync::mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let _ = late.send((tokio::time::Instant::now() + by, buffer[..read].to_vec()));
    }
}
