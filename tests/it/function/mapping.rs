//! A queue, an event source mapping and real `lambda-sqs` processes together: who deletes what, and what comes again.

use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::sync::mpsc;
use twinscale::unstable::queue::REJECT_REASON;
use twinscale::{AttributeValue, Message};
use twinscale_lab::processes::environment::Settings;
use twinscale_lab::processes::event_source::{Mapping, Source};
use twinscale_lab::processes::lambda::DeployedFunction;
use twinscale_scaling::event_source;
use twinscale_sqs::clock::Clock;
use twinscale_work::body;

use super::{deploy, eventually};
use crate::worker::sqs::{Fault, Sqs};

const LAMBDA_SQS: &str = "lambda-sqs";

struct Rig {
    sqs: Arc<Sqs>,
    function: Arc<DeployedFunction>,
    _mapping: Mapping,
}

/// Sends `messages` to `jobs`, then starts a mapping on it with one function.
async fn rig(sqs: Sqs, messages: u64, variables: &[(&str, &str)], settings: event_source::MappingSettings) -> Rig {
    let sqs = Arc::new(sqs);
    sqs.send("jobs", (0..messages).map(|number| body(1, number))).await;
    let endpoint = [("AWS_ENDPOINT_URL", sqs.endpoint.as_str())];
    let variables: Vec<_> = variables.iter().chain(&endpoint).copied().collect();
    let function = deploy(LAMBDA_SQS, &variables, Settings::default());
    let source = Source {
        groups: None,
        queue_url: format!("{}/000000000000/jobs", sqs.endpoint),
        queue_arn: "arn:aws:sqs:us-east-1:000000000000:jobs".to_owned(),
        settings,
        function: function.clone(),
        counts: {
            let sqs = sqs.clone();
            Arc::new(move || Some(sqs.counts("jobs")))
        },
        estimates: twinscale_scaling::estimates::Estimates::default(),
        delivery: twinscale_lab::scenario::Scenario::default().delivery(),
        seed: 1,
        clock: Clock::new(1.0),
    };
    let (decisions, _) = mpsc::unbounded_channel();
    Rig { sqs, function, _mapping: Mapping::start(source, decisions) }
}

fn reporting() -> event_source::MappingSettings {
    event_source::MappingSettings { report_batch_item_failures: true, ..event_source::MappingSettings::default() }
}

async fn queue() -> Sqs {
    Sqs::start(Duration::from_secs(30), 100).await
}

impl Rig {
    async fn drained(&self) {
        eventually("the queue is drained", || self.sqs.left("jobs") == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_drained_in_batches_of_ten_by_five_environments() {
    let rig = rig(queue().await, 100, &[("WORK_WAIT", "300ms")], reporting()).await;
    rig.drained().await;
    let usage = rig.function.usage();
    assert_eq!((usage.invocations, usage.failed), (10, 0));
    assert_eq!((usage.cold_starts, rig.sqs.calls("DeleteMessageBatch").len()), (5, 10));
    // A function that has no failures makes no call of its own.
    for action in ["ChangeMessageVisibilityBatch", "GetQueueUrl", "GetQueueAttributes"] {
        assert!(rig.sqs.calls(action).is_empty(), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_a_killed_environment_come_again_and_none_is_lost() {
    let sqs = Sqs::start(Duration::from_secs(1), 100).await;
    let rig = rig(sqs, 30, &[("WORK_WAIT", "400ms")], reporting()).await;
    eventually("a batch is under way", || !rig.function.busy_pids().is_empty()).await;
    kill(Pid::from_raw(rig.function.busy_pids()[0] as i32), Signal::SIGKILL).expect("it runs");
    rig.drained().await;
    assert_eq!(rig.sqs.left("dead"), 0);
    let usage = rig.function.usage();
    assert_eq!(usage.failed, 1);
    assert!(usage.invocations >= 4, "{usage:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_come_again_after_their_backoff_and_the_rest_of_their_batch_does_not() {
    let variables = [("WORK_WAIT", "1ms"), ("WORK_RETRY_SHARE", "0.4"), ("BACKOFF_BASE_SECS", "0")];
    let rig = rig(queue().await, 20, &variables, reporting()).await;
    rig.drained().await;
    let changes: Vec<_> = rig.sqs.calls("ChangeMessageVisibilityBatch");
    assert!(!changes.is_empty());
    let deleted: usize = rig.sqs.calls("DeleteMessageBatch").iter().map(entries).sum();
    assert_eq!(deleted, 20, "each once");
    assert_eq!(rig.function.usage().failed, 0, "a partial failure is no failure of the function");
}

fn entries(call: &Value) -> usize {
    call["Entries"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_flag_what_the_function_reports_is_deleted_all_the_same() {
    let variables = [("WORK_WAIT", "1ms"), ("WORK_RETRY_SHARE", "1"), ("BACKOFF_BASE_SECS", "60")];
    let rig = rig(queue().await, 10, &variables, event_source::MappingSettings::default()).await;
    rig.drained().await;
    assert_eq!((rig.function.usage().invocations, rig.sqs.left("dead")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_messages_are_dead_letters_with_the_reason_once_the_queue_takes_them() {
    let sqs = queue().await;
    let mut refusals = 1;
    sqs.script(move |action, call| {
        let refused = action == "SendMessageBatch" && call["QueueUrl"].as_str()?.ends_with("dead") && refusals > 0;
        refusals -= i32::from(refused);
        refused.then_some(Fault::Error(400, "KmsAccessDenied"))
    });
    let variables = [("WORK_WAIT", "1ms"), ("WORK_REJECT_SHARE", "1"), ("BACKOFF_BASE_SECS", "0")];
    let rig = rig(sqs, 20, &variables, reporting()).await;
    rig.drained().await;
    let dead = rig.sqs.receive_all("dead").await;
    assert_eq!(dead.len(), 20);
    for message in dead {
        let AttributeValue::Text(reason) = &message.attributes[REJECT_REASON].value else { panic!("{message:?}") };
        assert!(reason.contains("WORK_REJECT_SHARE"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_has_one_record_a_message_before_the_function_answers() {
    let journal = [("WORK_WAIT", "1ms"), ("JOURNAL_QUEUE_URL", "dead")];
    let rig = rig(queue().await, 10, &journal, reporting()).await;
    rig.drained().await;
    let records: Vec<Value> = rig.sqs.receive_all("dead").await.iter().map(record).collect();
    let (messages, others): (Vec<_>, Vec<_>) = records.iter().partition(|record| record["record"] == "message");
    assert_eq!((messages.len(), others.len()), (10, 1));
    assert_eq!((others[0]["record"].as_str(), others[0]["host"].as_str()), (Some("ready"), Some("function")));
    for message in messages {
        assert_eq!((&message["outcome"], &message["receive_count"]), (&"done".into(), &1.into()));
        assert_eq!(message["who"], others[0]["who"]);
        let at = |name: &str| message[name].as_u64().unwrap_or_else(|| panic!("{name}: {message}"));
        assert!(at("received") <= at("started") && at("started") <= at("finished"), "{message}");
        assert!(at("sent") <= at("received"), "{message}");
    }
}

fn record(message: &Message) -> Value {
    serde_json::from_str(&message.body).expect("a record is JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_that_fails_fails_no_message() {
    let sqs = queue().await;
    sqs.script(|action, _| (action == "SendMessageBatch").then_some(Fault::Error(400, "AccessDenied")));
    let rig = rig(sqs, 10, &[("WORK_WAIT", "1ms"), ("JOURNAL_QUEUE_URL", "dead")], reporting()).await;
    rig.drained().await;
    assert_eq!((rig.function.usage().invocations, rig.function.usage().failed), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_gathers_batches_larger_than_one_receive() {
    let settings = event_source::MappingSettings { batch_size: 40, window: Duration::from_secs(1), ..reporting() };
    let rig = rig(queue().await, 40, &[("WORK_WAIT", "1ms")], settings).await;
    rig.drained().await;
    // Five pollers share 40 messages, and each waits for more until its window ends.
    assert!(rig.function.usage().invocations <= 5, "{:?}", rig.function.usage());
}
