//! The Lambda host, in process and as real processes behind the local Runtime API.

mod attacked;
mod environment;
mod host;
mod http;
mod mapping;

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use serde_json::{Value, json};
use twinscale_lab::processes::environment::Settings;
use twinscale_lab::processes::lambda::{DeployedFunction, Invoked};
use twinscale_work::body;

/// The record of message `number`, as an event source mapping writes it.
pub fn record(number: u64) -> Value {
    json!({
        "messageId": id(number),
        "receiptHandle": format!("handle-{number}"),
        "body": body(1, number),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1545082649183",
            "SenderId": "000000000000",
            "ApproximateFirstReceiveTimestamp": "1545082649185"
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "awsRegion": "us-east-1"
    })
}

fn id(number: u64) -> String {
    format!("message-{number}")
}

pub fn event(records: impl IntoIterator<Item = Value>) -> Bytes {
    Bytes::from(json!({ "Records": records.into_iter().collect::<Vec<_>>() }).to_string())
}

/// The ids that a partial batch response names, in order.
pub fn named(answer: &[u8]) -> Vec<String> {
    let answer: Value = serde_json::from_slice(answer).expect("the response is JSON");
    let failures = answer["batchItemFailures"].as_array().expect("a list").iter();
    failures.map(|failure| failure["itemIdentifier"].as_str().expect("an id").to_owned()).collect()
}

pub fn named_by(invoked: &Invoked) -> Vec<String> {
    named(invoked.answer.as_ref().expect("the function answered"))
}

/// Deploys one of our functions, with nothing of SQS in reach.
pub fn deploy(program: &str, variables: &[(&str, &str)], settings: Settings) -> Arc<DeployedFunction> {
    DeployedFunction::new(with(program, variables, settings))
}

fn with(program: &str, variables: &[(&str, &str)], settings: Settings) -> Settings {
    let out_of_reach = [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("LOG_LEVEL", "off"),
    ];
    let variables = out_of_reach.iter().chain(variables).map(|(name, value)| ((*name).into(), (*value).into()));
    Settings { program: crate::workload(program), variables: variables.collect(), ..settings }
}

/// Waits until `so`, for ten seconds at most.
async fn eventually(what: &str, so: impl Fn() -> bool) {
    for _ in 0..6000 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within a minute: {what}");
}
