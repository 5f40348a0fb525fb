//! What the function makes of events, with handlers that misbehave.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use twinscale::unstable::function::{Function, RawEvent, Unnamed};
use twinscale::unstable::journal::Journal;
use twinscale::{AttributeValue, Message};
use twinscale::{Config, Host};
use twinscale::{Handler, Outcome};

use super::{event, named, record};

/// Does what the body says, and counts the calls.
#[derive(Clone, Default)]
struct Obedient {
    calls: Arc<AtomicU32>,
}

impl Handler for Obedient {
    async fn handle(&self, message: &Message) -> Outcome {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match message.body.as_str() {
            "done" => Outcome::Done,
            "retry" => Outcome::retry("told to"),
            "reject" => Outcome::reject("told to"),
            "panic" => panic!("told to"),
            "hang" => std::future::pending().await,
            "block" => {
                std::thread::sleep(Duration::from_millis(700));
                Outcome::Done
            }
            "attributes" => {
                let value = |name: &str| message.attributes.get(name).map(|attribute| attribute.value.clone());
                let as_sent = value("text") == Some(AttributeValue::Text("t".to_owned()))
                    && value("bytes") == Some(AttributeValue::Bytes(vec![0, 255]))
                    && message.receive_count == 3
                    && message.sent_at == Some(SystemTime::UNIX_EPOCH + Duration::from_millis(1_545_082_649_183))
                    && message.receipt_handle == "handle-0";
                if as_sent { Outcome::Done } else { Outcome::retry(format!("{message:?}")) }
            }
            other => unreachable!("{other}"),
        }
    }
}

async fn handle(
    handler: &Obedient,
    variables: &[(&str, &str)],
    left: Duration,
    records: impl IntoIterator<Item = Value>,
) -> Result<Vec<String>, Unnamed> {
    let quiet = [("FUNCTION_METRICS", "off")];
    let variables: std::collections::HashMap<_, _> = variables.iter().copied().chain(quiet).collect();
    let config = Config::default()
        .read(Host::Function, &|name| variables.get(name).map(|value| (*value).to_owned()))
        .expect("valid");
    let function = Function::new(handler.clone(), &config, Journal::off());
    let event: RawEvent = serde_json::from_slice(&event(records)).expect("an event");
    let response = function.handle(&event, SystemTime::now() + left).await?;
    Ok(named(&serde_json::to_vec(&response).expect("JSON")))
}

fn told(number: u64, body: &str) -> Value {
    let mut record = record(number);
    record["body"] = body.into();
    record
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn each_outcome_decides_over_its_own_message_and_failures_come_in_order() {
    let bodies = ["done", "retry", "panic", "done", "reject", "done"];
    let records = bodies.iter().enumerate().map(|(n, body)| told(n as u64, body));
    let failed = handle(&Obedient::default(), &[], MINUTE, records).await;
    // A reject that reaches no dead-letter queue stays in its own.
    assert_eq!(failed, Ok(vec!["message-1".to_owned(), "message-2".to_owned(), "message-4".to_owned()]));
}

#[tokio::test]
async fn on_a_fifo_queue_a_reject_that_is_not_taken_stops_its_group_alone() {
    let handler = Obedient::default();
    let records = [("reject", "a"), ("done", "a"), ("done", "b")].into_iter().enumerate().map(|(n, (body, group))| {
        let mut record = told(n as u64, body);
        record["eventSourceARN"] = "arn:aws:sqs:us-east-1:000000000000:q.fifo".into();
        record["attributes"]["MessageGroupId"] = group.into();
        record
    });
    let failed = handle(&handler, &[], MINUTE, records).await;
    assert_eq!(failed, Ok(vec!["message-0".to_owned(), "message-1".to_owned()]));
    assert_eq!(handler.calls.load(Ordering::Relaxed), 2, "what comes behind the reject was not handled");
}

#[tokio::test]
async fn a_record_that_cannot_be_decoded_fails_alone() {
    let handler = Obedient::default();
    let bad = [
        ("body", json!(5)),
        ("body", json!(null)),
        ("attributes", json!([])),
        ("messageAttributes", json!({ "a": { "dataType": 1 } })),
    ];
    let bad = bad.into_iter().enumerate().map(|(n, (field, value))| {
        let mut record = told(n as u64, "done");
        record[field] = value;
        record
    });
    let failed = handle(&handler, &[], MINUTE, bad.chain([told(9, "done")])).await;
    assert_eq!(failed, Ok((0..4).map(super::id).collect()));
    assert_eq!(handler.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_record_without_message_id_fails_the_batch_before_any_is_handled() {
    for id in [json!(null), json!(""), json!(7)] {
        let handler = Obedient::default();
        let mut unnamed = told(1, "done");
        unnamed["messageId"] = id;
        let failed = handle(&handler, &[], MINUTE, [told(0, "done"), unnamed]).await;
        assert_eq!(failed, Err(Unnamed(1)));
        assert_eq!(handler.calls.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_not_finished_a_margin_before_the_deadline_is_given_back() {
    let began = tokio::time::Instant::now();
    let records = [told(0, "hang"), told(1, "done"), told(2, "hang")];
    let failed = handle(&Obedient::default(), &[("DEADLINE_MARGIN_MS", "500")], MINUTE, records).await;
    assert_eq!(failed, Ok(vec!["message-0".to_owned(), "message-2".to_owned()]));
    let took = began.elapsed();
    assert!((Duration::from_secs(59)..Duration::from_millis(59_900)).contains(&took), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_never_yields_does_not_keep_the_answer_past_the_deadline() {
    let began = Instant::now();
    let records = [told(0, "block"), told(1, "done")];
    let left = Duration::from_millis(600);
    let failed = handle(&Obedient::default(), &[("DEADLINE_MARGIN_MS", "400")], left, records).await;
    assert_eq!(failed, Ok(vec!["message-0".to_owned()]));
    assert!(began.elapsed() < left, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handler_past_its_own_timeout_is_retried_while_the_others_go_on() {
    let records = [told(0, "hang"), told(1, "done")];
    let variables = [("HANDLER_TIMEOUT_MS", "100"), ("FUNCTION_CONCURRENCY", "1")];
    assert_eq!(handle(&Obedient::default(), &variables, MINUTE, records).await, Ok(vec!["message-0".to_owned()]));
}

#[tokio::test]
async fn the_handler_sees_the_message_as_it_was_sent() {
    let mut record = told(0, "attributes");
    record["attributes"]["ApproximateReceiveCount"] = "3".into();
    record["messageAttributes"] = json!({
        "text": { "stringValue": "t", "stringListValues": [], "binaryListValues": [], "dataType": "String" },
        "bytes": { "binaryValue": "AP8=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary" }
    });
    assert_eq!(handle(&Obedient::default(), &[], MINUTE, [record]).await, Ok(vec![]));
}

#[tokio::test]
async fn a_message_that_comes_twice_in_a_batch_is_finished_only_if_both_are() {
    let twice = |first, second| [told(0, first), told(0, second), told(1, "done")];
    for (first, second) in [("done", "retry"), ("retry", "done")] {
        let failed = handle(&Obedient::default(), &[], MINUTE, twice(first, second)).await;
        assert_eq!(failed, Ok(vec!["message-0".to_owned()]));
    }
    assert_eq!(handle(&Obedient::default(), &[], MINUTE, twice("done", "done")).await, Ok(vec![]));
}
