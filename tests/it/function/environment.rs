//! Real `lambda-sqs` processes in execution environments: answers, limits, crashes, reuse, billing.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use twinscale_lab::processes::environment::{ExecutionEnvironment, InvocationFailure, Settings};
use twinscale_lab::processes::lambda::DeployedFunction;
use twinscale_work::Fate;
use twinscale_work::{Wait, Work, body};

use super::{deploy, event, eventually, id, named_by, record, with};
use crate::worker::sqs::{Fault, Sqs};

const LAMBDA_SQS: &str = "lambda-sqs";

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid as i32), signal).expect("the process is ours and runs");
}

/// Invokes `function`, and sends `which` to its process once it is at work.
async fn signal_in_the_middle(function: &Arc<DeployedFunction>, which: Signal) -> InvocationFailure {
    let invoking = tokio::spawn({
        let function = function.clone();
        async move { function.invoke(event([record(1)])).await }
    });
    eventually("the function is at work", || !function.busy_pids().is_empty()).await;
    for pid in function.busy_pids() {
        signal(pid, which);
    }
    invoking.await.expect("no panic").answer.expect_err("it cannot answer")
}

#[tokio::test]
async fn a_real_function_answers_as_the_workload_draws() {
    let function = deploy(LAMBDA_SQS, &[("WORK_WAIT", "1ms"), ("WORK_RETRY_SHARE", "0.4")], Settings::default());
    let work = Work { retry_share: 0.4, ..Work::default() };
    let drawn: Vec<_> = (0..10).filter(|number| work.draw(*number, 1).fate != Fate::Done).map(id).collect();
    assert!((1..10).contains(&drawn.len()), "the seed draws both");
    assert_eq!(named_by(&function.invoke(event((0..10).map(record))).await), drawn);
}

#[tokio::test]
async fn on_a_fifo_queue_a_failure_takes_the_rest_of_its_group_along() {
    // No next attempt comes before the deadline, or a head would be tried again in place until it is done.
    let backoff = [("BACKOFF_BASE_SECS", "43200"), ("BACKOFF_MAX_SECS", "43200"), ("BACKOFF_SEED", "1")];
    let variables = [&[("WORK_WAIT", "1ms"), ("WORK_RETRY_SHARE", "0.3")][..], &backoff].concat();
    let function = deploy(LAMBDA_SQS, &variables, Settings::default());
    let work = Work { retry_share: 0.3, ..Work::default() };
    let group = |number: u64| ["a", "b", "c"][(number % 3) as usize];
    let fifo = |number: u64| {
        let mut record = record(number);
        record["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:q.fifo".into();
        record["attributes"]["MessageGroupId"] = group(number).into();
        record
    };
    let mut failed_groups = HashSet::new();
    let expected: Vec<_> = (0..10)
        .filter(|number| {
            let fails = work.draw(*number, 1).fate != Fate::Done;
            let takes = fails && failed_groups.insert(group(*number));
            takes || failed_groups.contains(group(*number))
        })
        .map(id)
        .collect();
    assert!((1..10).contains(&expected.len()), "the seed draws both");
    assert_eq!(named_by(&function.invoke(event((0..10).map(fifo))).await), expected);

    // Group b comes first with a record that cannot be decoded: the rest of b must wait for it.
    let mut bad = fifo(1);
    bad["body"] = json!(1);
    let quiet = deploy(LAMBDA_SQS, &[("WORK_WAIT", "1ms")], Settings::default());
    let records = [bad, fifo(4), fifo(3), fifo(7)];
    assert_eq!(named_by(&quiet.invoke(event(records)).await), [id(1), id(4), id(7)]);
}

#[tokio::test]
async fn the_deadline_in_the_middle_of_a_batch_gives_back_what_is_slow() {
    let wait = "uniform:0ms-4s";
    let work = Work { wait: wait.parse::<Wait>().expect("a wait"), ..Work::default() };
    let settings = Settings { timeout: Duration::from_secs(3), ..Settings::default() };
    let function = deploy(LAMBDA_SQS, &[("WORK_WAIT", wait), ("DEADLINE_MARGIN_MS", "1000")], settings);
    // Two seconds are left for work; what is drawn near that may go either way.
    let drawn = |number: &u64| work.draw(*number, 1).wait.as_secs_f64();
    let numbers: Vec<_> = (0..40).filter(|number| !(1.4..2.3).contains(&drawn(number))).take(10).collect();
    let slow: Vec<_> = numbers.iter().filter(|number| drawn(number) > 2.0).map(|number| id(*number)).collect();
    assert!((1..10).contains(&slow.len()), "the seed draws both");
    let invoked = function.invoke(event(numbers.iter().map(|number| record(*number)))).await;
    assert_eq!(named_by(&invoked), slow);
}

#[tokio::test]
async fn a_slow_first_call_to_the_queue_does_not_miss_the_give_back_at_the_deadline() {
    let sqs = Sqs::start(Duration::from_secs(60), 10).await;
    sqs.script(|action, _| (action == "GetQueueUrl").then_some(Fault::Slow(Duration::from_secs(1))));
    sqs.send("jobs", [body(1, 1)]).await;
    let mut held = record(1);
    held["receiptHandle"] = sqs.receive_all("jobs").await.remove(0).receipt_handle.into();
    held["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:jobs".into();
    let variables = [
        ("WORK_WAIT", "30s"),
        ("AWS_ENDPOINT_URL", sqs.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ];
    let settings = Settings { timeout: Duration::from_secs(4), ..Settings::default() };
    let function = deploy(LAMBDA_SQS, &variables, settings);
    assert_eq!(named_by(&function.invoke(event([held])).await), [id(1)]);
    assert_eq!(sqs.counts("jobs").visible, 1, "given back before the answer");
}

#[tokio::test]
async fn a_record_without_message_id_is_an_error_of_the_function_which_lives_on() {
    let function = deploy(LAMBDA_SQS, &[("WORK_WAIT", "1ms")], Settings::default());
    let failure = function.invoke(event([json!({ "body": "x" })])).await.answer.expect_err("it fails");
    assert!(
        matches!(&failure, InvocationFailure::Function { kind, .. } if kind == "RecordWithoutMessageId"),
        "{failure}"
    );
    assert!(function.invoke(event([record(1)])).await.answer.is_ok());
    let no_event = function.invoke("{}".into()).await.answer.expect_err("no records");
    assert!(matches!(no_event, InvocationFailure::Function { .. }), "{no_event}");
    assert_eq!(function.usage().cold_starts, 1);
}

#[tokio::test]
async fn a_killed_environment_fails_its_invocation_and_the_next_starts_cold() {
    let function = deploy(LAMBDA_SQS, &[("WORK_WAIT", "30s")], Settings::default());
    let failure = signal_in_the_middle(&function, Signal::SIGKILL).await;
    assert!(matches!(&failure, InvocationFailure::Crashed(how) if how.contains('9')), "{failure}");
    assert_eq!(function.environments(), 0);
    assert!(function.invoke(event([])).await.answer.is_ok());
    let usage = function.usage();
    assert_eq!((usage.invocations, usage.failed, usage.cold_starts), (2, 1, 2));
}

#[tokio::test]
async fn a_function_that_answers_too_late_is_killed() {
    let settings = Settings { timeout: Duration::from_millis(800), ..Settings::default() };
    let function = deploy(LAMBDA_SQS, &[("WORK_WAIT", "30s"), ("DEADLINE_MARGIN_MS", "0")], settings);
    let began = Instant::now();
    // Stopped, it cannot even give back what it has not finished.
    let failure = signal_in_the_middle(&function, Signal::SIGSTOP).await;
    assert_eq!(failure, InvocationFailure::TimedOut(Duration::from_millis(800)));
    assert_eq!(failure.to_string(), "Task timed out after 0.80 seconds");
    assert!(began.elapsed() >= Duration::from_millis(800));
    assert_eq!(function.environments(), 0);
}

#[tokio::test]
async fn an_environment_that_does_not_come_up_fails_the_invocation() {
    let misconfigured = deploy(LAMBDA_SQS, &[("FUNCTION_CONCURRENCY", "0")], Settings::default());
    let failure = misconfigured.invoke(event([record(1)])).await.answer.expect_err("no such concurrency");
    assert!(matches!(&failure, InvocationFailure::Init(how) if how.contains("64")), "{failure}");
    let missing = deploy("/nowhere/bootstrap", &[], Settings::default());
    let failure = missing.invoke(event([record(1)])).await.answer.expect_err("no such program");
    assert!(matches!(&failure, InvocationFailure::Init(how) if how.contains("/nowhere/bootstrap")), "{failure}");
}

#[tokio::test]
async fn an_idle_environment_is_used_again_and_reclaimed_later() {
    let settings = Settings { idle_reclaim: Duration::from_millis(500), ..Settings::default() };
    let function = deploy(LAMBDA_SQS, &[("WORK_WAIT", "50ms")], settings);
    let (first, second) = tokio::join!(function.invoke(event([record(1)])), function.invoke(event([record(2)])));
    assert!(first.init.is_some() && second.init.is_some(), "two at once take two environments");
    assert_eq!(first.billed, ceil_to_millis(first.init.unwrap_or_default() + first.duration));
    let third = function.invoke(event([record(3)])).await;
    assert_eq!((third.init, third.billed), (None, ceil_to_millis(third.duration)));
    assert!(third.billed >= Duration::from_millis(50));
    assert_eq!((function.environments(), function.usage().cold_starts), (2, 2));
    eventually("idle environments are reclaimed", || function.environments() == 0).await;
}

fn ceil_to_millis(duration: Duration) -> Duration {
    Duration::from_millis(duration.as_nanos().div_ceil(1_000_000) as u64)
}

#[tokio::test]
async fn a_managed_instance_runs_invocations_at_once_in_one_process() {
    let settings = Settings { max_concurrency: 4, ..Settings::default() };
    let settings = Arc::new(with(LAMBDA_SQS, &[("WORK_WAIT", "400ms")], settings));
    let environment = ExecutionEnvironment::start(&settings).await.expect("it starts");
    let began = Instant::now();
    let invoke = |number| environment.invoke(event([record(number)]));
    let answers = tokio::join!(invoke(1), invoke(2), invoke(3), invoke(4));
    for answer in [answers.0, answers.1, answers.2, answers.3] {
        let answer: Value = serde_json::from_slice(&answer.1.expect("it answers")).expect("JSON");
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }
    assert!(began.elapsed() < Duration::from_millis(1200), "one after the other takes 1.6 s");
}
