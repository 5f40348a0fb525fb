//! The worker in process, with handlers that misbehave: what becomes of each message.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use twinscale::unstable::journal::Journal;
use twinscale::unstable::metrics::Metrics;
use twinscale::unstable::queue::{Outgoing, Queue, REJECT_REASON, Tuning};
use twinscale::unstable::shutdown::Health;
use twinscale::unstable::worker::{Ending, Worker};
use twinscale::{AttributeValue, Message};
use twinscale::{Config, Host};
use twinscale::{Handler, Outcome};

use super::eventually;
use super::sqs::{Fault, Sqs};

/// Does what the body says, and keeps what it was given.
#[derive(Clone, Default)]
pub(super) struct Obedient {
    seen: Arc<Mutex<Vec<(String, u32)>>>,
    running: Arc<AtomicUsize>,
}

/// Counts a handler out when it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Obedient {
    pub(super) fn seen(&self) -> Vec<(String, u32)> {
        self.seen.lock().expect("no panic").clone()
    }

    pub(super) fn times(&self, body: &str) -> usize {
        self.seen().iter().filter(|(seen, _)| seen == body).count()
    }
}

impl Handler for Obedient {
    async fn handle(&self, message: &Message) -> Outcome {
        self.seen.lock().expect("no panic").push((message.body.clone(), message.attempt()));
        self.running.fetch_add(1, Ordering::SeqCst);
        let what = message.body.split('-').next().unwrap_or_default();
        match what {
            "poison" => Outcome::Retry { after: Some(Duration::ZERO), reason: "poison".into() },
            "retry" if message.attempt() == 1 => Outcome::Retry { after: Some(Duration::ZERO), reason: "told".into() },
            "later" if message.attempt() == 1 => {
                Outcome::Retry { after: Some(Duration::from_millis(900)), reason: "told".into() }
            }
            "reject" => Outcome::reject("told to"),
            // Mended meanwhile: a message that was rejected once is handled.
            "mend" if !message.attributes.contains_key(REJECT_REASON) => Outcome::reject("told to"),
            "panic" if message.attempt() == 1 => panic!("told to"),
            "hang" if message.attempt() == 1 => std::future::pending().await,
            "stuck" if message.attempt() == 1 => {
                let _counted = Counted(self.running.clone());
                std::future::pending().await
            }
            "block" => {
                std::thread::sleep(Duration::from_secs(12));
                Outcome::Done
            }
            "brief" => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Outcome::Done
            }
            "slow" => {
                tokio::time::sleep(Duration::from_millis(3200)).await;
                Outcome::Done
            }
            "long" => {
                tokio::time::sleep(Duration::from_millis(8500)).await;
                Outcome::Done
            }
            _ => Outcome::Done,
        }
    }
}

/// A worker in this process, with no backoff and a short poll; dropping it aborts it.
pub(super) struct Running {
    pub(super) handler: Obedient,
    health: Health,
    metrics: Arc<Metrics>,
    drain: CancellationToken,
    worker: AbortOnDropHandle<Ending>,
}

pub(super) async fn start(sqs: &Sqs, variables: &[(&str, &str)]) -> Running {
    let mut all: HashMap<&str, &str> =
        [("QUEUE_URL", "jobs"), ("WAIT_TIME_SECS", "1"), ("BACKOFF_BASE_SECS", "0"), ("BACKOFF_MAX_SECS", "0")].into();
    all.extend(variables.iter().copied());
    let config =
        Config::default().read(Host::Worker, &|name| all.get(name).map(|value| (*value).to_owned())).expect("valid");
    let queue = connect(sqs, all["QUEUE_URL"]).await;
    let handler = Obedient::default();
    let health = Health::default();
    let drain = CancellationToken::new();
    let metrics = Arc::<Metrics>::default();
    let worker = Worker {
        handler: handler.clone(),
        queue,
        config,
        journal: Journal::off(),
        health: health.clone(),
        metrics: metrics.clone(),
    };
    let worker = AbortOnDropHandle::new(tokio::spawn(worker.run(drain.clone())));
    Running { handler, health, metrics, drain, worker }
}

/// Tests share one environment, so the endpoint is told by hand.
async fn connect(sqs: &Sqs, queue: &str) -> Queue {
    let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
    Queue::local(&sqs.endpoint, queue, &tuning).await.expect("a region is set")
}

impl Running {
    async fn drained(self) -> Ending {
        self.drain.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.worker).await.expect("in time").expect("no panic")
    }
}

#[tokio::test]
async fn what_is_done_is_deleted_in_tens_and_the_rest_after_a_linger() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", 0..25).await;
    let running = start(&sqs, &[("CONCURRENCY", "50")]).await;
    eventually("all are deleted", || sqs.left("jobs") == 0).await;
    let sizes: Vec<_> =
        sqs.calls("DeleteMessageBatch").iter().map(|call| call["Entries"].as_array().map(Vec::len)).collect();
    assert_eq!(sizes, [Some(10), Some(10), Some(5)]);
    assert_eq!(running.drained().await, Ending::Drained);
}

#[tokio::test]
async fn a_retry_comes_again_after_its_delay_and_a_panic_ends_its_own_message_alone() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", ["retry", "panic", "later", "done"]).await;
    let running = start(&sqs, &[]).await;
    let began = Instant::now();
    eventually("all are done", || sqs.left("jobs") == 0).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "0.9 s are rounded up to a second");
    for (body, times) in [("retry", 2), ("panic", 2), ("later", 2), ("done", 1)] {
        assert_eq!(running.handler.times(body), times, "{body}");
    }
    assert_eq!(sqs.left("dead"), 0);
}

#[tokio::test]
async fn a_handler_that_overruns_its_timeout_is_aborted_and_its_message_retried() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", ["hang", "done"]).await;
    let running = start(&sqs, &[("HANDLER_TIMEOUT_MS", "50")]).await;
    eventually("all are done", || sqs.left("jobs") == 0).await;
    assert_eq!(running.handler.times("hang"), 2);
}

#[tokio::test]
async fn a_reject_goes_to_the_dead_letter_queue_with_its_reason_and_is_deleted() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", ["reject", "done"]).await;
    let running = start(&sqs, &[]).await;
    eventually("both are settled", || sqs.left("jobs") == 0).await;
    let dead = sqs.receive_all("dead").await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body, "reject");
    assert_eq!(dead[0].attributes[REJECT_REASON].value, AttributeValue::Text("told to".to_owned()));
    assert_eq!(running.handler.times("reject"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_messages_are_moved_back_by_a_task_that_names_the_queue_and_handled() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", ["mend-1", "mend-2"]).await;
    let running = start(&sqs, &[]).await;
    eventually("both are rejected", || sqs.left("dead") == 2 && sqs.left("jobs") == 0).await;
    let call = |action: &str, body: Value| {
        let addr = sqs.endpoint.trim_start_matches("http://").to_owned();
        let body = body.to_string();
        let head = format!("POST / HTTP/1.1\r\nHost: sqs\r\nConnection: close\r\nX-Amz-Target: AmazonSQS.{action}\r\n");
        super::process::exchange(&addr, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    };
    let arn = |queue: &str| format!("arn:aws:sqs:us-east-1:000000000000:{queue}");
    // Nobody moved them there, so that a task cannot tell where they came from.
    assert!(call("StartMessageMoveTask", json!({ "SourceArn": arn("dead") })).starts_with("HTTP/1.1 200"));
    let failed =
        || call("ListMessageMoveTasks", json!({ "SourceArn": arn("dead") })).contains("CouldNotDetermineMessageSource");
    eventually("the task has failed", failed).await;
    assert_eq!(sqs.left("dead"), 2);
    let named = json!({ "SourceArn": arn("dead"), "DestinationArn": arn("jobs") });
    assert!(call("StartMessageMoveTask", named).starts_with("HTTP/1.1 200"));
    let handled = || running.handler.times("mend-1") == 2 && running.handler.times("mend-2") == 2;
    eventually("both are handled", || handled() && sqs.left("jobs") == 0 && sqs.left("dead") == 0).await;
}

#[tokio::test]
async fn a_reject_that_the_dead_letter_queue_does_not_take_is_kept_and_tried_again() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", ["reject"]).await;
    let mut calls = 0;
    sqs.script(move |action, _| {
        calls += usize::from(action == "SendMessageBatch");
        (action == "SendMessageBatch" && calls == 1).then_some(Fault::Error(400, "AccessDenied"))
    });
    let running = start(&sqs, &[]).await;
    eventually("it is settled", || sqs.left("jobs") == 0).await;
    assert_eq!((running.handler.times("reject"), sqs.left("dead")), (2, 1));
}

#[tokio::test]
async fn an_entry_that_failed_in_a_delete_that_succeeded_is_deleted_again_and_not_handled_again() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", 0..10).await;
    let mut deletes = 0;
    sqs.script(move |action, _| {
        deletes += usize::from(action == "DeleteMessageBatch");
        (action == "DeleteMessageBatch" && deletes <= 5).then_some(Fault::Entry(0, "InternalError"))
    });
    let running = start(&sqs, &[]).await;
    eventually("all are deleted", || sqs.left("jobs") == 0).await;
    assert_eq!(running.handler.seen().len(), 10, "each was handled once");
    assert!(sqs.calls("DeleteMessageBatch").len() >= 6);
}

#[tokio::test]
async fn a_message_held_for_longer_than_its_visibility_timeout_is_extended_and_handled_once() {
    // A lease that bears a machine that stands still for two seconds.
    let sqs = Sqs::start(Duration::from_secs(4), 5).await;
    sqs.send("jobs", ["long-1", "long-2"]).await;
    let running = start(&sqs, &[]).await;
    eventually("both are done", || sqs.left("jobs") == 0).await;
    assert_eq!(running.handler.seen().len(), 2);
    let extensions = sqs.calls("ChangeMessageVisibilityBatch");
    assert!(extensions.len() >= 4, "every two seconds or sooner: {extensions:?}");
    assert!(extensions.iter().all(|call| call["Entries"].as_array().is_some_and(|entries| entries.len() == 2)));
}

#[tokio::test]
async fn a_message_that_another_owner_has_by_now_is_not_settled() {
    let sqs = Sqs::start(Duration::from_secs(1), 5).await;
    sqs.send("jobs", ["slow"]).await;
    let mut extensions = 0;
    sqs.script(move |action, _| {
        extensions += usize::from(action == "ChangeMessageVisibilityBatch");
        // The first extension comes too late: it is answered after the timeout is over.
        (action == "ChangeMessageVisibilityBatch" && extensions == 1)
            .then_some(Fault::Slow(Duration::from_millis(1500)))
    });
    let running = start(&sqs, &[("CONCURRENCY", "1")]).await;
    eventually("it is done", || sqs.left("jobs") == 0).await;
    assert_eq!(running.handler.times("slow"), 2, "it came again, and the second owner settled it");
    assert_eq!(sqs.calls("DeleteMessageBatch").len(), 1);
}

#[tokio::test]
async fn the_handler_of_a_message_that_another_owner_has_by_now_is_stopped() {
    let sqs = Sqs::start(Duration::from_secs(1), 5).await;
    sqs.send("jobs", ["stuck"]).await;
    let mut extensions = 0;
    sqs.script(move |action, _| {
        extensions += usize::from(action == "ChangeMessageVisibilityBatch");
        (action == "ChangeMessageVisibilityBatch" && extensions == 1)
            .then_some(Fault::Slow(Duration::from_millis(1500)))
    });
    let running = start(&sqs, &[("CONCURRENCY", "2")]).await;
    eventually("it is done", || sqs.left("jobs") == 0).await;
    eventually("the first handler is gone", || running.handler.running.load(Ordering::SeqCst) == 1).await;
    eventually("it is counted", || running.metrics.lost_lease.get() == 1).await;
    assert_eq!(sqs.calls("DeleteMessageBatch").len(), 1, "by the second owner");
    assert_eq!(running.drained().await, Ending::Drained, "nothing had to be aborted at the end");
}

#[tokio::test]
async fn the_handler_of_a_message_whose_lease_runs_out_in_an_outage_is_stopped() {
    let sqs = Sqs::start(Duration::from_secs(1), 5).await;
    sqs.send("jobs", ["stuck"]).await;
    sqs.script(|action, _| {
        (action == "ChangeMessageVisibilityBatch").then_some(Fault::Error(503, "ServiceUnavailable"))
    });
    let running = start(&sqs, &[("CONCURRENCY", "2"), ("DELETE_LINGER_MS", "0")]).await;
    eventually("the next owner has done it", || sqs.left("jobs") == 0).await;
    eventually("the first handler is gone", || running.handler.running.load(Ordering::SeqCst) == 1).await;
    eventually("it is counted", || running.metrics.lost_lease.get() == 1).await;
    assert!(!sqs.calls("ChangeMessageVisibilityBatch").is_empty());
    assert_eq!(sqs.calls("DeleteMessageBatch").len(), 1, "by the next owner");
    assert_eq!(running.drained().await, Ending::Drained, "nothing had to be aborted at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_holds_up_neither_its_lease_nor_another_message() {
    // A lease that bears a machine that stands still for four seconds.
    let sqs = Sqs::start(Duration::from_secs(8), 5).await;
    for body in ["brief", "block"] {
        sqs.send_to_group("jobs.fifo", "a", body).await;
    }
    let running = start(&sqs, &[("QUEUE_URL", "jobs.fifo"), ("CONCURRENCY", "4")]).await;
    eventually("it blocks", || running.handler.times("block") == 1).await;
    sqs.send_to_group("jobs.fifo", "b", "beside").await;
    eventually("the others are done", || running.handler.times("beside") == 1 && sqs.left("jobs.fifo") <= 1).await;
    eventually("all are done", || sqs.left("jobs.fifo") == 0).await;
    assert_eq!((running.handler.times("block"), running.metrics.lost_lease.get()), (1, 0), "its lease was extended");
}

#[tokio::test]
async fn a_retry_does_not_wait_for_the_linger_of_deletes() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", ["later", "retry", "done"]).await;
    let running = start(&sqs, &[("DELETE_LINGER_MS", "60000")]).await;
    let twice = |body| running.handler.times(body) == 2;
    eventually("both came again", || twice("later") && twice("retry")).await;
    assert!(sqs.calls("DeleteMessageBatch").is_empty(), "deletes still wait for others");
}

#[tokio::test]
async fn on_a_fifo_queue_a_reject_that_is_not_taken_stops_its_group_alone() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    for body in ["reject-a0", "done-a1", "done-a2", "reject-b0", "done-b1"] {
        sqs.send_to_group("jobs.fifo", &body[body.len() - 2..body.len() - 1], body).await;
    }
    let mut refusals = 0;
    sqs.script(move |action, call| {
        // Three times, since an entry that failed is sent again at once.
        let entries = call["Entries"].as_array().filter(|_| action == "SendMessageBatch" && refusals < 3)?;
        let place = entries.iter().position(|entry| entry["MessageBody"] == "reject-a0")?;
        refusals += 1;
        Some(Fault::Entry(place, "InternalError"))
    });
    let running = start(&sqs, &[("QUEUE_URL", "jobs.fifo")]).await;
    eventually("all are settled", || sqs.left("jobs.fifo") == 0).await;
    let of = |group: &str| {
        let seen = running.handler.seen().into_iter().map(|(body, _)| body);
        seen.filter(|body| body.contains(group)).collect::<Vec<_>>()
    };
    assert_eq!(of("-a"), ["reject-a0", "reject-a0", "done-a1", "done-a2"]);
    assert_eq!(of("-b"), ["reject-b0", "done-b1"]);
    assert_eq!(sqs.left("dead.fifo"), 2);
}

#[tokio::test]
async fn on_a_fifo_queue_groups_keep_their_order_through_retries() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    for number in 0..6 {
        for group in ["a", "b"] {
            let what = if number == 2 { "retry" } else { "done" };
            sqs.send_to_group("jobs.fifo", group, &format!("{what}-{group}{number}")).await;
        }
    }
    let running = start(&sqs, &[("QUEUE_URL", "jobs.fifo")]).await;
    eventually("all are done", || sqs.left("jobs.fifo") == 0).await;
    for group in ["a", "b"] {
        let numbers: Vec<_> = running
            .handler
            .seen()
            .iter()
            .filter_map(|(body, _)| body.split_once('-')?.1.strip_prefix(group)?.parse::<u32>().ok())
            .collect();
        assert_eq!(numbers, [0, 1, 2, 2, 3, 4, 5], "group {group}");
    }
}

#[tokio::test]
async fn a_worker_takes_no_more_than_it_has_room_for() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", (0..40).map(|number| format!("slow-{number}"))).await;
    let running = start(&sqs, &[("CONCURRENCY", "5"), ("PREFETCH", "2")]).await;
    eventually("it is full", || running.handler.running.load(Ordering::SeqCst) == 5).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((sqs.counts("jobs").in_flight, running.handler.running.load(Ordering::SeqCst)), (7, 5));
    assert!(running.health.alive(), "being full of long messages is progress");
}

#[tokio::test]
async fn throttled_calls_lose_nothing() {
    let sqs = Sqs::start(Duration::from_secs(30), 50).await;
    sqs.send("jobs", 0..200).await;
    let mut calls = 0;
    sqs.script(move |_, _: &Value| {
        calls += 1;
        (calls % 4 == 0).then_some(Fault::Error(400, "ThrottlingException"))
    });
    let running = start(&sqs, &[("CONCURRENCY", "50")]).await;
    eventually("all are done", || sqs.left("jobs") == 0).await;
    assert_eq!((running.handler.seen().len(), sqs.left("dead")), (200, 0));
}

#[tokio::test]
async fn an_outage_of_sends_is_told_in_bounded_time() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let queue = connect(&sqs, "jobs").await;
    let endpoint = sqs.endpoint.clone();
    drop(sqs);
    let began = Instant::now();
    let messages = (0..1000).map(|n| Outgoing { body: n.to_string(), ..Default::default() });
    let report = queue.send(messages.collect()).await;
    assert_eq!((report.accepted, report.failed.len()), (0, 1000), "{endpoint} is gone");
    assert!(began.elapsed() < Duration::from_secs(10));
}
