//! `/send` under attack: large nonsense, a queue that hangs, answers lost on the way, pages of other sites.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Process, exchange, post};
use super::sqs::{Fault, Sqs};

const LAMBDA_WITHIN: Duration = Duration::from_secs(30);

fn told(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").expect("a head and a body").1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_nonsense_costs_little_more_memory_than_its_bytes() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    assert!(post(&addr, r#"{"messages": 10}"#).contains(r#""accepted":10"#));
    let before = worker.peak_memory_mib();
    let list = format!("[{}]", vec![r#"{"":0}"#; 1_100_000].join(","));
    assert!(list.len() > 7_600_000);
    let keys = format!("{{{}}}", vec![r#""":0"#; 1_500_000].join(","));
    for (body, status) in [
        (list.clone(), 400),
        (format!(r#"{{"bodies":{list}}}"#), 422),
        (format!(r#"{{"messages":{list}}}"#), 422),
        (format!(r#"{{"group_id":{list},"messages":1}}"#), 422),
        (format!(r#"{{"bodies":{}}}"#, list.replace(r#"{"":0}"#, r#""x""#)), 422),
        (keys, 422),
    ] {
        let answer = post(&addr, &body);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{body:.30}: {answer:.300}");
        assert!(answer.len() < 1000, "{answer:.300}");
    }
    let grown = worker.peak_memory_mib() - before;
    println!("{before} MiB, and {grown} more");
    assert!(grown <= 48, "{grown} MiB for requests of 7.7 MB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_hangs_is_told_in_time_with_what_is_sent_failed_and_unknown() {
    for hangs_at in [0, 300] {
        let sqs = Sqs::start(Duration::from_secs(30), 5).await;
        let mut calls = 0;
        sqs.script(move |action, _| {
            calls += usize::from(action == "SendMessageBatch");
            (action == "SendMessageBatch" && calls > hangs_at).then_some(Fault::Hang)
        });
        let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off"), ("QUEUE_URL", "jobs")]);
        let addr = worker.addr().await;
        let began = Instant::now();
        let answer =
            tokio::task::spawn_blocking(move || post(&addr, r#"{"messages": 10000}"#)).await.expect("no panic");
        assert!(began.elapsed() < LAMBDA_WITHIN, "{:?}", began.elapsed());
        let told = told(&answer);
        let count = |name: &str| told[name].as_array().expect("a list").len();
        let accepted = told["accepted"].as_u64().expect("a number") as usize;
        assert_eq!(accepted + count("failed") + count("unknown"), 10_000);
        assert_eq!(accepted, sqs.counts("jobs").visible as usize);
        assert!((1..=160).contains(&count("unknown")), "{} may have been taken", count("unknown"));
        assert_eq!(accepted, hangs_at * 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_double_nothing_and_are_told_as_unknown() {
    for (queue, fault) in
        [("jobs", Fault::Lost), ("jobs", Fault::Cut), ("jobs.fifo", Fault::Lost), ("jobs.fifo", Fault::Cut)]
    {
        let sqs = Sqs::start(Duration::from_secs(30), 5).await;
        let mut calls = 0;
        sqs.script(move |action, _| {
            calls += usize::from(action == "SendMessageBatch");
            (action == "SendMessageBatch" && calls == 1).then_some(fault)
        });
        let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off"), ("QUEUE_URL", queue)]);
        let answer = post(&worker.addr().await, r#"{"messages": 10, "group_id": "g"}"#);
        let told = told(&answer);
        let unknown = told["unknown"].as_array().expect("a list").len() as u64;
        assert_eq!(
            (told["accepted"].as_u64().expect("a number") + unknown, &told["failed"]),
            (10, &Value::Array(vec![]))
        );
        // With its deduplication id, a message of a FIFO queue is sent again, and is there once.
        assert_eq!(unknown, if queue == "jobs" { 10 } else { 0 }, "{answer}");
        assert_eq!(answer.starts_with("HTTP/1.1 504"), queue == "jobs", "{answer}");
        assert_eq!(sqs.left(queue), 10, "{queue}, {fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_cannot_send_through_a_worker_on_loopback() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    let from = |origin: &str| {
        let head = format!("POST /send HTTP/1.1\r\nHost: w\r\nConnection: close\r\nOrigin: {origin}\r\n");
        exchange(&addr, &format!("{head}Content-Type: text/plain\r\nContent-Length: 14\r\n\r\n{{\"messages\":1}}"))
    };
    for origin in ["https://evil.example", "null", "http://localhost.evil.example"] {
        assert!(from(origin).starts_with("HTTP/1.1 403"), "{origin}");
    }
    assert_eq!(sqs.left("jobs"), 0);
    assert!(from("http://localhost:8080").starts_with("HTTP/1.1 200"));
    assert_eq!(sqs.left("jobs"), 1);
}
