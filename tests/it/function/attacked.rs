//! The function under attack: what fails or hangs beside its handlers costs it neither messages nor much of its time.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use twinscale_lab::processes::environment::Settings;

use super::{deploy, event, id, named_by, record};
use crate::worker::sqs::{Fault, Sqs};

/// The records of messages that are retried, as on a queue that SQS may be asked about.
fn records(count: u64) -> impl Iterator<Item = Value> {
    (0..count).map(|number| {
        let mut record = record(number);
        record["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:jobs".into();
        record
    })
}

/// A function before `sqs`, with `variables`.
fn before(sqs: &Sqs, variables: &[(&str, &str)]) -> std::sync::Arc<twinscale_lab::processes::lambda::DeployedFunction> {
    let endpoint = [("AWS_ENDPOINT_URL", sqs.endpoint.as_str()), ("AWS_EC2_METADATA_DISABLED", "true")];
    let settings = Settings { timeout: Duration::from_secs(30), ..Settings::default() };
    deploy("lambda-sqs", &[&endpoint, variables].concat(), settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn give_backs_that_fail_or_hang_cost_few_calls_and_little_time_and_every_message_is_named() {
    for fault in
        [Fault::Error(403, "ExpiredToken"), Fault::Error(400, "ThrottlingException"), Fault::Answer("{}"), Fault::Hang]
    {
        let sqs = Sqs::start(Duration::from_secs(30), 5).await;
        sqs.script(move |action, _| (action == "ChangeMessageVisibilityBatch").then_some(fault));
        let function = before(&sqs, &[("WORK_WAIT", "1ms"), ("WORK_RETRY_SHARE", "1")]);
        let invoked = function.invoke(event(records(10))).await;
        assert_eq!(named_by(&invoked), (0..10).map(id).collect::<Vec<_>>(), "{fault:?}");
        let calls = sqs.calls("ChangeMessageVisibilityBatch").len();
        println!("{fault:?}: {calls} calls, {:?}", invoked.duration);
        assert!((1..=10).contains(&calls), "{fault:?}: {calls} calls");
        assert!(
            invoked.duration < Duration::from_secs(10),
            "{fault:?}: it was held for {:?} of 30 s",
            invoked.duration
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_give_backs_are_made_side_by_side() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.script(|action, _| {
        (action == "ChangeMessageVisibilityBatch").then_some(Fault::Slow(Duration::from_millis(400)))
    });
    let function = before(&sqs, &[("WORK_WAIT", "1ms"), ("WORK_RETRY_SHARE", "1"), ("FUNCTION_CONCURRENCY", "1000")]);
    let invoked = function.invoke(event(records(1000))).await;
    assert_eq!(named_by(&invoked).len(), 1000);
    let calls = sqs.calls("ChangeMessageVisibilityBatch");
    let named: usize = calls.iter().map(|call| call["Entries"].as_array().map_or(0, Vec::len)).sum();
    assert_eq!(named, 1000, "each within the time that settling has");
    println!("{} calls of 0.4 s in {:?}", calls.len(), invoked.duration);
    assert!(invoked.duration < Duration::from_secs(20), "{:?}: one after the other takes 40 s", invoked.duration);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_hangs_is_not_what_a_function_is_billed_for() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.create("journal");
    sqs.script(|_, _| Some(Fault::Hang));
    let function = before(&sqs, &[("WORK_WAIT", "10ms"), ("JOURNAL_QUEUE_URL", "journal")]);
    let mut times = Vec::new();
    for _ in 0..3 {
        let invoked = function.invoke(event(records(1))).await;
        assert!(named_by(&invoked).is_empty());
        times.push(invoked.duration);
    }
    println!("with a journal that hangs: {times:?}");
    assert!(times[0] < Duration::from_secs(5), "{times:?}: once it is waited for");
    assert!(times[1..].iter().all(|time| *time < Duration::from_secs(1)), "{times:?}: and then it is known");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg(feature = "dynamodb")]
async fn messages_whose_idempotency_table_is_denied_come_again_only_after_a_pause() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.script(|action, _| match action {
        "PutItem" => Some(Fault::Error(400, "AccessDeniedException")),
        _ => None,
    });
    let function = before(&sqs, &[("WORK_WAIT", "1ms"), ("IDEMPOTENCY_TABLE", "keys")]);
    let invoked = function.invoke(event(records(10))).await;
    assert_eq!(named_by(&invoked), (0..10).map(id).collect::<Vec<_>>());
    let calls = sqs.calls("ChangeMessageVisibilityBatch");
    let hidden: Vec<_> = calls.iter().flat_map(|call| call["Entries"].as_array().expect("a batch")).collect();
    assert_eq!(hidden.len(), 10);
    let pause = |entry: &&&Value| (30..=60).contains(&entry["VisibilityTimeout"].as_u64().unwrap_or_default());
    let paused = hidden.iter().filter(pause).count();
    assert_eq!(paused, 10, "{}", json!(hidden));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_retry_is_hidden_for_no_longer_than_is_left_of_twelve_hours() {
    const SIX_HOURS: Duration = Duration::from_secs(6 * 3600);
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let variables = [("BACKOFF_BASE_SECS", "43200"), ("BACKOFF_MAX_SECS", "43200"), ("BACKOFF_SEED", "1")];
    let function = before(&sqs, &[&variables[..], &[("WORK_WAIT", "1ms"), ("WORK_RETRY_SHARE", "1")]].concat());
    let first = SystemTime::now() - SIX_HOURS;
    let since = first.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis().to_string();
    let records = records(40).map(|mut record| {
        record["attributes"]["ApproximateFirstReceiveTimestamp"] = since.clone().into();
        record
    });
    let invoked = function.invoke(event(records)).await;
    assert_eq!(named_by(&invoked).len(), 40);
    let calls = sqs.calls("ChangeMessageVisibilityBatch");
    let hidden = calls.iter().flat_map(|call| call["Entries"].as_array().expect("a batch"));
    let hidden: Vec<_> = hidden.filter_map(|entry| entry["VisibilityTimeout"].as_u64()).collect();
    let most = *hidden.iter().max().expect("forty");
    assert_eq!(hidden.len(), 40);
    assert!(
        (SIX_HOURS.as_secs() - 60..SIX_HOURS.as_secs()).contains(&most),
        "{hidden:?}: some were told to wait for longer"
    );
}
