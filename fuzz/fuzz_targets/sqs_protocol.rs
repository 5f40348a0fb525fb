//! Whatever is sent to the embedded queue, it answers with JSON, and its queue keeps counting right.
//!
//! The input is a list of requests: one line each, action and body with a space between. `@` stands for the last receipt
//! handle, so that the fuzzer can hold, delete and give back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twinscale_sqs::server::SqsServer;

fuzz_target!(|input: &str| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let server = SqsServer::start().await;
        let server = server.expect("a free port");
        server.create_queue("q", &[("VisibilityTimeout", "0")]).expect("a new queue");
        let mut handle = String::new();
        for (action, body) in input.lines().take(50).filter_map(|line| line.split_once(' ')) {
            // A long poll would only wait.
            if body.contains("WaitTimeSeconds") || body.contains("\\u") {
                continue;
            }
            let answer = server.call(action, body.replace('@', &handle).as_bytes()).await;
            let answer = answer.unwrap_or_else(|error| error.json());
            let answer = String::from_utf8(answer).expect("UTF-8");
            assert!(answer.starts_with('{') && answer.ends_with('}'), "{answer}");
            if let Some((_, rest)) = answer.split_once("\"ReceiptHandle\":\"") {
                handle = rest.chars().take_while(|c| *c != '"').collect();
            }
        }
        if let Ok(counts) = server.counts("q") {
            assert!(counts.visible + counts.in_flight + counts.delayed <= 500, "more than was sent: {counts:?}");
        }
    });
});
