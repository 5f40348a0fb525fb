//! What the function costs above the smallest program that `lambda_runtime` allows: cold start (exec to the first
//! `next`), and the round trip of a batch of ten messages without work.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::Bytes;
use serde_json::json;
use twinscale::compare::local::environment::{Environment, Settings};
use twinscale::workload::body;

const STARTS: usize = 100;
const INVOCATIONS: usize = 3000;

#[tokio::main]
async fn main() {
    let folder = Path::new(env!("CARGO_BIN_EXE_lambda-sqs")).parent().expect("it is in a folder").to_owned();
    let cargo = Command::new(env!("CARGO")).args(["build", "--release", "--example", "smallest_function"]).status();
    assert!(cargo.is_ok_and(|status| status.success()), "the smallest function cannot be built");
    let ours = settings(folder.join("lambda-sqs"));
    let smallest = settings(folder.join("examples/smallest_function"));
    // The two take turns, so that whatever else the machine does meets both alike.
    let (mut our_starts, mut smallest_starts) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        our_starts.push(start(&ours).await.init());
        smallest_starts.push(start(&smallest).await.init());
    }
    report("exec to the first next", &mut our_starts, &mut smallest_starts);

    let (our_host, smallest_host) = (start(&ours).await, start(&smallest).await);
    let event = batch_of_ten();
    let (mut our_trips, mut smallest_trips) = (Vec::new(), Vec::new());
    for _ in 0..INVOCATIONS {
        our_trips.push(round_trip(&our_host, &event).await);
        smallest_trips.push(round_trip(&smallest_host, &event).await);
    }
    report("batch of 10 without work", &mut our_trips, &mut smallest_trips);
}

fn settings(program: PathBuf) -> Arc<Settings> {
    let variables = [("WORK_WAIT", "0ms"), ("LOG_LEVEL", "info")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Arc::new(Settings { program, variables, ..Settings::default() })
}

async fn start(settings: &Arc<Settings>) -> Environment {
    Environment::start(settings).await.unwrap_or_else(|failure| panic!("{failure}"))
}

async fn round_trip(environment: &Environment, event: &Bytes) -> Duration {
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

fn report(what: &str, ours: &mut [Duration], smallest: &mut [Duration]) {
    let (our, least) = (median(ours), median(smallest));
    let ratio = our.as_secs_f64() / least.as_secs_f64();
    println!("{what}: lambda-sqs {our:.1?}, smallest {least:.1?} (medians of {}), {ratio:.2} times", ours.len());
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
