//! What the function costs above the smallest program that `lambda_runtime` allows: cold start (exec to the first
//! `next`), the round trip of a batch of ten messages without work, and the size of the stripped binary, as deployed.
//!
//! The two take turns, so that whatever else the machine does meets both alike. Of a loaded machine the smallest time
//! says most, of a quiet one the median: both are printed.
//!
//! `cargo bench --bench function`; `STARTS` (200) and `INVOCATIONS` (3,000) set how often.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::json;
use twinscale_lab::processes::environment::{ExecutionEnvironment, Settings};
use twinscale_work::body;

#[tokio::main]
async fn main() {
    let folder = Path::new(env!("CARGO_BIN_EXE_lambda-sqs")).parent().expect("it is in a folder").to_owned();
    // As `sam build` does: with the idempotency table.
    build(&["-p", "twinscale-service", "--features", "dynamodb", "--bin", "lambda-sqs"]);
    build(&["--example", "smallest_function"]);
    let ours = folder.join("lambda-sqs");
    let smallest = folder.join("examples/smallest_function");
    let sizes = [&ours, &smallest].map(|file| std::fs::metadata(file).expect("built").len() as f64 / 1e6);
    println!("size: lambda-sqs {:.1} MB, smallest {:.1} MB: {:.2} times", sizes[0], sizes[1], sizes[0] / sizes[1]);

    let programs = [settings(ours), settings(smallest)];
    let mut starts = [Vec::new(), Vec::new()];
    for turn in 0..setting("STARTS", 200) {
        for which in in_turn(turn) {
            starts[which].push(start(&programs[which]).await.init());
        }
    }
    report("exec to the first next", starts);

    let hosts = [start(&programs[0]).await, start(&programs[1]).await];
    let event = batch_of_ten();
    let mut trips = [Vec::new(), Vec::new()];
    for turn in 0..setting("INVOCATIONS", 3000) {
        for which in in_turn(turn) {
            trips[which].push(round_trip(&hosts[which], &event).await);
        }
    }
    report("batch of 10 without work", trips);
}

fn build(what: &[&str]) {
    let cargo = Command::new(env!("CARGO")).args(["build", "--release", "--locked"]).args(what).status();
    assert!(cargo.is_ok_and(|status| status.success()), "not built: {what:?}");
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Which of the two goes first changes each time.
fn in_turn(turn: usize) -> [usize; 2] {
    if turn.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

fn settings(program: PathBuf) -> Arc<Settings> {
    let variables = [("WORK_WAIT".to_owned(), "0ms".to_owned())].to_vec();
    Arc::new(Settings { program, variables, ..Settings::default() })
}

async fn start(settings: &Arc<Settings>) -> ExecutionEnvironment {
    ExecutionEnvironment::start(settings).await.unwrap_or_else(|failure| panic!("{failure}"))
}

async fn round_trip(environment: &ExecutionEnvironment, event: &Bytes) -> Duration {
    let began = Instant::now();
    let answer = environment.invoke(event.clone()).await.1.expect("it answers");
    assert_eq!(&answer[..], br#"{"batchItemFailures":[]}"#);
    began.elapsed()
}

fn batch_of_ten() -> Bytes {
    let records: Vec<_> = (0..10)
        .map(|number| {
            json!({
                "messageId": body(2, number),
                "receiptHandle": "x".repeat(180),
                "body": body(1, number),
                "attributes": { "ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183" },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders",
                "awsRegion": "us-east-1"
            })
        })
        .collect();
    Bytes::from(json!({ "Records": records }).to_string())
}

fn report(what: &str, [mut ours, mut smallest]: [Vec<Duration>; 2]) {
    ours.sort();
    smallest.sort();
    for (which, place) in [("least", 0), ("median", ours.len() / 2)] {
        let our = ours[place];
        let least = smallest[place];
        let ratio = our.as_secs_f64() / least.as_secs_f64();
        let more = (our.as_secs_f64() - least.as_secs_f64()) * 1e6;
        println!(
            "{what}, {which} of {}: lambda-sqs {our:.1?}, smallest {least:.1?}: {ratio:.2} times, {more:+.0} µs",
            ours.len()
        );
    }
}
