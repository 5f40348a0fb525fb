//! Typed handlers and SNS envelopes: the same bodies on both hosts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use twinscale::config::Config;
use twinscale::function::Function;
use twinscale::handler::Outcome;
use twinscale::journal::Journal;
use twinscale::message::{AttributeValue, Message};
use twinscale::queue::{Queue, REJECT_REASON, Tuning};
use twinscale::shutdown::Health;
use twinscale::typed::{HandleTyped, typed};
use twinscale::worker::Worker;

use crate::function::{event, named, record};
use crate::worker::eventually;
use crate::worker::sqs::Sqs;

#[derive(Deserialize)]
struct Order {
    number: u32,
}

/// The number of an order, and the attribute `kind` of its message.
type Seen = (u32, Option<AttributeValue>);

/// Keeps what it is given.
#[derive(Clone, Default)]
struct Orders(Arc<Mutex<Vec<Seen>>>);

impl Orders {
    fn seen(&self) -> Vec<Seen> {
        let mut seen = self.0.lock().expect("no panic").clone();
        seen.sort_by_key(|(number, _)| *number);
        seen
    }
}

impl HandleTyped<Order> for Orders {
    async fn handle(&self, order: Order, message: &Message) -> Outcome {
        let kind = message.attributes.get("kind").map(|attribute| attribute.value.clone());
        self.0.lock().expect("no panic").push((order.number, kind));
        Outcome::Done
    }
}

fn envelope(message: &str) -> String {
    let attributes = json!({ "kind": { "Type": "String", "Value": "new" } });
    let topic = "arn:aws:sns:us-east-1:000000000000:orders";
    json!({ "Type": "Notification", "TopicArn": topic, "Message": message, "MessageAttributes": attributes })
        .to_string()
}

/// Raw delivery, an envelope, and two that do not decode.
fn bodies() -> [String; 4] {
    let wrong = r#"{"number": "three"}"#;
    [r#"{"number": 1}"#.to_owned(), envelope(r#"{"number": 2}"#), wrong.to_owned(), envelope(wrong)]
}

fn expected() -> Vec<(u32, Option<AttributeValue>)> {
    vec![(1, None), (2, Some(AttributeValue::Text("new".to_owned())))]
}

fn config(variables: &[(&str, &str)]) -> Config {
    let all: HashMap<_, _> = [("QUEUE_URL", "jobs"), ("WAIT_TIME_SECS", "1"), ("FUNCTION_METRICS", "off")]
        .iter()
        .chain(variables)
        .copied()
        .collect();
    Config::for_worker(&|name| all.get(name).map(|value| (*value).to_owned())).expect("valid")
}

#[tokio::test]
async fn the_worker_rejects_what_does_not_decode_as_it_came_and_handles_the_rest() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    sqs.send("jobs", bodies()).await;
    let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
    let queue = Queue::local(&sqs.endpoint, "jobs", &tuning).await.expect("a region is set");
    let (orders, journal, health) = (Orders::default(), Journal::off(), Health::default());
    let (handler, config) = (typed(orders.clone()), config(&[("UNWRAP_SNS", "on")]));
    let worker = Worker { handler, queue, config, journal, health, metrics: Arc::default() };
    let _worker = AbortOnDropHandle::new(tokio::spawn(worker.run(CancellationToken::new())));
    eventually("all are settled", || sqs.left("jobs") == 0).await;
    assert_eq!(orders.seen(), expected());
    let dead = sqs.receive_all("dead").await;
    let mut rejected: Vec<_> = dead.iter().map(|message| message.body.clone()).collect();
    rejected.sort_by_key(String::len);
    assert_eq!(rejected, bodies()[2..], "an envelope stays whole, so that it can be moved back");
    for message in dead {
        let AttributeValue::Text(reason) = &message.attributes[REJECT_REASON].value else { panic!("{message:?}") };
        assert!(reason.contains("does not decode: invalid type: string \"three\", expected u32"), "{reason}");
    }
}

#[tokio::test]
async fn the_function_does_the_same_and_opens_envelopes_only_where_told() {
    for (unwrap, seen, failed) in [
        ("on", expected(), vec!["message-2", "message-3"]),
        ("off", expected()[..1].to_vec(), vec!["message-1", "message-2", "message-3"]),
    ] {
        let orders = Orders::default();
        let function = Function::new(typed(orders.clone()), &config(&[("UNWRAP_SNS", unwrap)]), Journal::off());
        let records = bodies().into_iter().enumerate().map(|(n, body)| {
            let mut record = record(n as u64);
            record["body"] = body.into();
            record
        });
        let event = serde_json::from_slice(&event(records)).expect("an event");
        let response = function.handle(&event, SystemTime::now() + Duration::from_secs(60)).await;
        // No dead-letter queue is in reach, so that what is rejected is kept.
        assert_eq!(named(&serde_json::to_vec(&response.expect("all are named")).expect("JSON")), failed);
        assert_eq!(orders.seen(), seen, "UNWRAP_SNS={unwrap}");
    }
}
