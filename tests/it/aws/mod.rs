//! The aws engine against what a test can deploy: the embedded queue, real workers and functions, and the APIs of AWS and
//! Kubernetes as far as the engine asks them, served on loopback.

mod apis;
mod cluster;
mod deployed;
mod emulator;
mod refused;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use twinscale_sqs::server::{Options, Regions, SqsServer};

/// The embedded queue with `eks`, `lambda`, and a journal for both.
async fn queues() -> SqsServer {
    // Whatever the region of the machine's own configuration is.
    queues_of(Regions::One("us-east-1".to_owned())).await
}

async fn queues_of(regions: Regions) -> SqsServer {
    let options = Options { regions, ..Options::default() };
    let server = SqsServer::start_at(([127, 0, 0, 1], 0).into(), options).await.expect("a free port");
    for name in ["eks", "lambda", "journal"] {
        server.create_queue(name, &[]).expect("created");
    }
    server
}

/// Messages that wait in a queue.
fn visible(server: &SqsServer, name: &str) -> u64 {
    server.counts(name).expect("a queue of ours").visible
}

/// `twinscale compare --engine aws`, with nothing of the machine's own AWS configuration.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(crate::twinscale());
    command.args(["compare", "--engine", "aws"]).args(args).env_remove("AWS_ENDPOINT_URL").envs([
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    command
}

async fn run(mut command: Command) -> Output {
    let running = tokio::task::spawn_blocking(move || command.output().expect("twinscale starts"));
    running.await.expect("no panic")
}

fn run_json(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("run.json")).expect("run.json was written");
    serde_json::from_str(&text).expect("JSON")
}

/// docs/run-json.md: null means that it cannot be known, and `unavailable` names it; what is named is null.
fn assert_nulls_are_named(target: &Value) {
    let named = target["unavailable"].as_object().expect("an object");
    let mut nulls = Vec::new();
    for (field, value) in target.as_object().expect("an object") {
        match value {
            Value::Null => nulls.push(field.clone()),
            Value::Object(inner) if field != "unavailable" => {
                let below = inner.iter().filter(|(_, value)| value.is_null());
                nulls.extend(below.map(|(name, _)| format!("{field}.{name}")));
            }
            _ => {}
        }
    }
    if target["decisions"].as_array().expect("a list").iter().any(|decision| decision["reason"].is_null()) {
        nulls.push("decisions.reason".to_owned());
    }
    let unnamed: Vec<_> = nulls.iter().filter(|null| !named.contains_key(*null)).collect();
    assert!(unnamed.is_empty(), "null without a reason: {unnamed:?}");
    let known: Vec<_> = named.keys().filter(|name| *name != "decisions.reason" && !nulls.contains(name)).collect();
    assert!(known.is_empty(), "named and not null: {known:?}");
    assert!(named.values().all(|why| why.as_str().is_some_and(|why| !why.is_empty())));
}
