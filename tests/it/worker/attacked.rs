//! The worker under attack: each fault that once lost messages, doubled effects or spun, for as long as it lasted.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use twinscale_work::body;

use super::eventually;
use super::outcomes::start;
use super::process::{Process, exchange, get};
use super::sqs::{Fault, Sqs};

/// What a call may be answered with for a while, though nothing is wrong with its messages.
const PASSING: [Fault; 7] = [
    Fault::Error(403, "ExpiredToken"),
    Fault::Error(400, "AccessDenied"),
    Fault::Error(403, "RequestTimeTooSkewed"),
    Fault::Error(408, "RequestTimeout"),
    Fault::Error(400, "ThrottlingException"),
    Fault::Answer("{}"),
    Fault::Drop,
];
const MESSAGES: u64 = 200;
const MAX_RECEIVES: u32 = 3;
/// A lease that is not extended is over after this.
const VISIBILITY: Duration = Duration::from_secs(2);

/// A switch that a test holds, and its script reads.
fn switch() -> (Arc<AtomicBool>, impl Fn() -> bool) {
    let on = Arc::new(AtomicBool::new(true));
    let read = on.clone();
    (on, move || read.load(Ordering::Relaxed))
}

fn entries(calls: &[Value]) -> usize {
    calls.iter().map(|call| call["Entries"].as_array().map_or(0, Vec::len)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deletes_that_fail_for_a_while_cost_no_message_a_receive_and_few_calls_and_lines() {
    join_all(PASSING.map(deletes_fail_for_a_while)).await;
}

async fn deletes_fail_for_a_while(fault: Fault) {
    let sqs = Sqs::start(VISIBILITY, MAX_RECEIVES).await;
    sqs.send("jobs", 0..MESSAGES).await;
    let (failing, fails) = switch();
    sqs.script(move |action, _| (action == "DeleteMessageBatch" && fails()).then_some(fault));
    let began = Instant::now();
    let worker = Process::start(&sqs.endpoint, &[("CONCURRENCY", "40"), ("DELETE_LINGER_MS", "20")]);
    worker.says("cannot be deleted").await;
    let receives = sqs.calls("ReceiveMessage").len();
    let held = sqs.counts("jobs").in_flight as usize;
    assert!(held > 10, "{fault:?}: {held} wait for their deletes");
    // A lease is extended each second or sooner: that is longer than all receives would take that a message has.
    let extensions = || entries(&sqs.calls("ChangeMessageVisibilityBatch"));
    eventually("leases are kept", || extensions() >= held * 2 * (MAX_RECEIVES as usize + 1)).await;
    let deletes = sqs.calls("DeleteMessageBatch").len();
    let log = worker.log();
    let lasted = began.elapsed();
    let told = log.lines().filter(|line| line.contains("not deleted")).count();
    println!("{fault:?}: {deletes} deletes and {} lines of log in {lasted:?}", log.lines().count());
    assert!(deletes as f64 <= 20.0 + 2.0 * lasted.as_secs_f64(), "{fault:?}: {deletes} deletes in {lasted:?}");
    assert!((1..=deletes).contains(&told), "{fault:?}: {told} lines for {deletes} deletes");
    assert!(log.lines().count() <= told + 5, "{fault:?}: {log}");
    assert_eq!(sqs.calls("ReceiveMessage").len(), receives, "{fault:?}: nothing more is received");
    failing.store(false, Ordering::Relaxed);
    eventually("all are deleted", || sqs.left("jobs") == 0).await;
    let counted = (
        worker.counter("twinscale_messages_received_total").await,
        worker.counter("twinscale_messages_done_total").await,
    );
    assert_eq!(counted, (MESSAGES, MESSAGES), "{fault:?}: each is received once, and handled once");
    assert_eq!(sqs.left("dead"), 0, "{fault:?}");
    worker.says("200 OK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_cannot_be_deleted_when_the_worker_stops_are_no_exit_of_0() {
    let sqs = Sqs::start(Duration::from_secs(60), 10).await;
    sqs.send("jobs", 0..5).await;
    sqs.script(|action, _| (action == "DeleteMessageBatch").then_some(Fault::Error(403, "ExpiredToken")));
    let mut worker = Process::start(&sqs.endpoint, &[]);
    worker.says("cannot be deleted").await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.exit_code().await, Some(75));
    assert_eq!(sqs.left("jobs"), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reject_is_deleted_only_when_the_answer_names_its_dead_letter() {
    for (fault, dead) in [(Fault::Answer("{}"), 20), (Fault::NamesOne, 29)] {
        let sqs = Sqs::start(Duration::from_secs(30), 100).await;
        sqs.send("jobs", 0..20).await;
        let mut struck = false;
        sqs.script(move |action, _| {
            let strikes = action == "SendMessageBatch" && !std::mem::replace(&mut struck, action == "SendMessageBatch");
            strikes.then_some(fault)
        });
        let _worker = Process::start(&sqs.endpoint, &[("WORK_REJECT_SHARE", "1"), ("BACKOFF_MAX_SECS", "1")]);
        eventually("all are settled", || sqs.left("jobs") == 0).await;
        let letters = sqs.receive_all("dead").await;
        let bodies: std::collections::BTreeSet<_> = letters.iter().map(|letter| letter.body.as_str()).collect();
        assert_eq!(bodies.len(), 20, "{fault:?}: none is lost");
        assert!(letters.len() <= dead, "{fault:?}: {} dead letters", letters.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fifo_message_that_is_moved_back_and_rejected_again_is_a_dead_letter_again() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    for group in ["a", "b", "c", "d", "e"] {
        sqs.send_to_group("jobs.fifo", group, &format!("reject-{group}")).await;
    }
    let running = start(&sqs, &[("QUEUE_URL", "jobs.fifo")]).await;
    eventually("all are rejected", || sqs.left("jobs.fifo") == 0 && sqs.left("dead.fifo") == 5).await;
    let arn = |queue: &str| format!("arn:aws:sqs:us-east-1:000000000000:{queue}");
    let body = json!({ "SourceArn": arn("dead.fifo"), "DestinationArn": arn("jobs.fifo") }).to_string();
    let head = "POST / HTTP/1.1\r\nHost: sqs\r\nConnection: close\r\nX-Amz-Target: AmazonSQS.StartMessageMoveTask";
    let request = format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = exchange(sqs.endpoint.trim_start_matches("http://"), &request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    eventually("all are handled again", || running.handler.seen().len() == 10).await;
    eventually("all are dead letters again", || sqs.left("jobs.fifo") == 0 && sqs.left("dead.fifo") == 5).await;
}

#[tokio::test]
async fn a_fifo_message_that_always_fails_is_the_only_dead_letter_of_its_group() {
    let sqs = Sqs::start(Duration::from_secs(30), 4).await;
    let bodies: Vec<_> = (0..10).map(|n| format!("{}-{n}", if n == 0 { "poison" } else { "done" })).collect();
    for body in &bodies {
        sqs.send_to_group("jobs.fifo", "a", body).await;
    }
    let running = start(&sqs, &[("QUEUE_URL", "jobs.fifo")]).await;
    eventually("all are settled", || sqs.left("jobs.fifo") == 0).await;
    let seen: Vec<_> = running.handler.seen().into_iter().map(|(body, _)| body).collect();
    let expected: Vec<_> = bodies[..1].iter().cycle().take(3).chain(&bodies).cloned().collect();
    assert_eq!(seen, expected, "the first four times, and then each of the others once, in order");
    let dead = sqs.receive_all("dead.fifo").await;
    assert_eq!(dead.iter().map(|letter| letter.body.as_str()).collect::<Vec<_>>(), ["poison-0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_answer_that_comes_early_is_followed_by_a_pause() {
    let at_once = |action: &str, _: &Value| (action == "ReceiveMessage").then_some(Fault::Answer("{}"));
    for (wait, script) in [("0", None), ("20", Some(at_once))] {
        let sqs = Sqs::start(Duration::from_secs(30), 5).await;
        if let Some(script) = script {
            sqs.script(script);
        }
        let began = Instant::now();
        let _worker = Process::start(&sqs.endpoint, &[("WAIT_TIME_SECS", wait), ("CONCURRENCY", "100")]);
        eventually("it has asked four times", || sqs.calls("ReceiveMessage").len() >= 4).await;
        assert!(began.elapsed() >= Duration::from_secs(3), "WAIT_TIME_SECS={wait}: once a second at most");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_hangs_holds_up_neither_messages_nor_the_end() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.create("journal");
    sqs.send("jobs", 0..50).await;
    sqs.script(|_, call| {
        let journals = ["QueueUrl", "QueueName"]
            .iter()
            .any(|name| call[name].as_str().is_some_and(|queue| queue.ends_with("journal")));
        journals.then_some(Fault::Hang)
    });
    let mut worker = Process::start(&sqs.endpoint, &[("JOURNAL_QUEUE_URL", "journal"), ("DRAIN_BUDGET_MS", "1000")]);
    eventually("all are done", || sqs.left("jobs") == 0).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.exit_code().await, Some(0));
    assert!(worker.log().contains("the journal was not written in time"), "{}", worker.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(feature = "dynamodb")]
async fn an_idempotency_table_that_is_denied_stops_receiving_and_makes_no_dead_letters() {
    let sqs = Sqs::start(VISIBILITY, MAX_RECEIVES).await;
    sqs.send("jobs", 0..MESSAGES).await;
    let (failing, fails) = switch();
    // A table that grants every claim, once it answers.
    sqs.script(move |action, _| match action {
        "PutItem" | "UpdateItem" | "DeleteItem" if fails() => Some(Fault::Error(400, "AccessDeniedException")),
        "PutItem" | "UpdateItem" | "DeleteItem" => Some(Fault::Answer("{}")),
        _ => None,
    });
    let began = Instant::now();
    let worker = Process::start(&sqs.endpoint, &[("IDEMPOTENCY_TABLE", "keys")]);
    worker.says("idempotency table fails").await;
    eventually("it is full", || sqs.counts("jobs").in_flight >= 10).await;
    let held = sqs.counts("jobs").in_flight as usize;
    let extensions = || entries(&sqs.calls("ChangeMessageVisibilityBatch"));
    eventually("leases are kept", || extensions() >= held * 2 * (MAX_RECEIVES as usize + 1)).await;
    assert_eq!(sqs.counts("jobs").in_flight as usize, held, "nothing more is received");
    let asked = sqs.calls("PutItem").len();
    let lasted = began.elapsed();
    println!("{asked} claims and {} lines of log in {lasted:?}", worker.log().lines().count());
    assert!(asked as f64 <= held as f64 * (4.0 + lasted.as_secs_f64()), "{asked} claims for {held} in {lasted:?}");
    failing.store(false, Ordering::Relaxed);
    eventually("all are done", || sqs.left("jobs") == 0).await;
    assert_eq!(worker.counter("twinscale_messages_received_total").await, MESSAGES, "no receive was lost for it");
    assert_eq!(worker.counter("twinscale_messages_done_total").await, MESSAGES);
    assert_eq!(sqs.left("dead"), 0);
    worker.says("200 OK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_neither_messages_nor_the_end() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", 0..MESSAGES).await;
    // The pipe stays open, and full. All that any library says is more than it takes, and than may wait for it.
    let noisy = [("RUST_LOG", "trace"), ("CONCURRENCY", "40")];
    let mut worker = Process::start_with(&sqs.endpoint, &noisy, |_| Stdio::piped());
    eventually("all are done", || sqs.left("jobs") == 0).await;
    let addr = worker.admin().await;
    let dropped = || get(&addr, "/metrics").contains("twinscale_log_lines_dropped_total 0\n");
    eventually("lines are dropped and counted", || !dropped()).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.exit_code().await, Some(0));
}

/// The limit of the pods that we deploy, in MiB.
pub fn deployed_limit() -> u64 {
    let manifest = include_str!("../../../eks/base/deployment.yaml");
    let limits = manifest.split_once("limits:").expect("there are limits").1;
    let limit = limits.lines().find_map(|line| line.trim().strip_prefix("memory: ")?.strip_suffix("Mi"));
    limit.expect("a limit of memory in Mi").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_fit_into_the_memory_of_the_pods_that_we_deploy() {
    let limit = deployed_limit();
    let sqs = Sqs::start(Duration::from_secs(5), 100).await;
    let padding = "x".repeat((1 << 20) - 1000);
    sqs.send_large("jobs", (0..limit + 10).map(|number| format!("{} {padding}", body(1, number)))).await;
    // All that it takes on are in hand at once, and then all that it has done wait for their deletes.
    for (wait, fault) in [("60s", None), ("1ms", Some(Fault::Error(403, "ExpiredToken")))] {
        sqs.script(move |action, _| fault.filter(|_| action == "DeleteMessageBatch"));
        let worker = Process::start(&sqs.endpoint, &[("WORK_WAIT", wait), ("CONCURRENCY", "300")]);
        let mut held = 0;
        let mut since = Instant::now();
        eventually("it takes no more", || {
            let now = sqs.counts("jobs").in_flight;
            if now != std::mem::replace(&mut held, now) {
                since = Instant::now();
            }
            held >= 10 && since.elapsed() >= Duration::from_secs(2)
        })
        .await;
        let peak = worker.peak_memory_mib();
        println!("handlers of {wait}, deletes {fault:?}: {held} messages of 1 MiB held, {peak} MiB at most of {limit}");
        assert!(peak < limit, "{peak} MiB of {limit}, with {held} messages in hand");
    }
}
