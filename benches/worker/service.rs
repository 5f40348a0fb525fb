//! The embedded queue in a process of its own, which also says when a backlog was begun and when it was drained.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};
use twinscale_sqs::server::SqsServer;

use crate::network;

/// No run takes longer.
const LONGEST_RUN: Duration = Duration::from_secs(300);

pub struct Service {
    /// Where clients reach it: across the network.
    pub endpoint: String,
    /// There and back.
    pub latency: Duration,
    lines: Lines<BufReader<ChildStdout>>,
    stdin: ChildStdin,
    _process: Child,
}

impl Service {
    pub async fn start(latency: Duration) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("known"))
            .arg("serve")
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let endpoint = lines.next_line().await.expect("readable").expect("it says where it listens");
        let endpoint = network::distant(endpoint, latency).await;
        Self { endpoint, latency, lines, stdin: process.stdin.take().expect("piped"), _process: process }
    }

    /// Puts messages into the empty queue.
    pub async fn fill(&mut self, messages: usize) {
        self.ask(&format!("fill {messages}")).await;
    }

    /// Returns when the first message was received.
    pub async fn begun(&mut self) {
        self.ask("begun").await;
    }

    /// Returns when the last message was deleted: seconds since the first was received, and receives and deletes.
    pub async fn drained(&mut self) -> (f64, u64) {
        let answer = self.ask("drained").await;
        (answer["seconds"].as_f64().expect("a number"), answer["requests"].as_u64().expect("a number"))
    }

    /// Receives of any kind so far, empty ones included.
    pub async fn receives(&mut self) -> u64 {
        self.ask("receives").await.as_u64().expect("a number")
    }

    async fn ask(&mut self, question: &str) -> Value {
        self.stdin.write_all(format!("{question}\n").as_bytes()).await.expect("it reads");
        let line = timeout(LONGEST_RUN, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{question}: not within {LONGEST_RUN:?}"));
        serde_json::from_str(&line.expect("readable").expect("it answers")).expect("JSON")
    }
}

/// The service's own process: answers one line for each that it reads.
pub async fn serve() {
    let server = SqsServer::start().await.expect("a free port");
    server.create_queue("jobs", &[]).expect("created");
    println!("{}", server.endpoint());
    let mut filled = 0_u64;
    let mut began = Instant::now();
    while let Some(line) = tokio::task::block_in_place(|| std::io::stdin().lines().next()) {
        let line = line.expect("readable");
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("fill", messages) => {
                filled = messages.parse().expect("a number");
                // Another queue of that name: what is left of an earlier client's polls cannot take from it.
                let old = json!({ "QueueUrl": server.url("jobs") });
                server.call("DeleteQueue", old.to_string().as_bytes()).await.expect("it is there");
                server.create_queue("jobs", &[]).expect("created");
                fill(&server, filled).await;
                json!(filled)
            }
            ("begun", _) => {
                until(|| server.counts("jobs").expect("ours").visible < filled).await;
                began = Instant::now();
                json!(true)
            }
            ("drained", _) => {
                until(|| {
                    let counts = server.counts("jobs").expect("ours");
                    counts.visible + counts.in_flight == 0
                })
                .await;
                json!({ "seconds": began.elapsed().as_secs_f64(), "requests": requests(&server) })
            }
            _ => {
                let requests = server.requests("jobs").expect("ours");
                json!(requests.receive + requests.empty_receive)
            }
        };
        println!("{answer}");
    }
}

async fn fill(server: &SqsServer, messages: u64) {
    for first in (0..messages).step_by(10) {
        let entries = (first..messages.min(first + 10))
            .map(|number| json!({ "Id": number.to_string(), "MessageBody": json!({ "id": number }).to_string() }));
        let batch = json!({ "QueueUrl": server.url("jobs"), "Entries": entries.collect::<Vec<_>>() });
        server.call("SendMessageBatch", batch.to_string().as_bytes()).await.expect("it takes them");
    }
}

fn requests(server: &SqsServer) -> u64 {
    let requests = server.requests("jobs").expect("ours");
    requests.receive + requests.delete
}

async fn until(mut reached: impl FnMut() -> bool) {
    while !reached() {
        sleep(Duration::from_millis(1)).await;
    }
}
