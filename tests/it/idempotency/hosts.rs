//! Both hosts with the store in memory and deletes that fail, so that messages come again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use twinscale::Message;
use twinscale::unstable::function::Function;
use twinscale::unstable::journal::Journal;
use twinscale::unstable::metrics::Metrics;
use twinscale::unstable::queue::{Queue, Tuning};
use twinscale::unstable::shutdown::Health;
use twinscale::unstable::worker::Worker;
use twinscale::{Config, Host};
use twinscale::{Handler, Outcome};

use crate::function::{event, named, record};
use crate::worker::eventually;
use crate::worker::sqs::{Fault, Sqs};

/// Counts effects by body. A message that says `fails` has none the first time.
#[derive(Clone, Default)]
struct Effects(Arc<Mutex<HashMap<String, u32>>>);

impl Effects {
    fn of(&self) -> HashMap<String, u32> {
        self.0.lock().expect("no panic").clone()
    }
}

impl Handler for Effects {
    async fn handle(&self, message: &Message) -> Outcome {
        tokio::time::sleep(Duration::from_millis(5)).await;
        if message.body.starts_with("fails") && message.receive_count == 1 {
            return Outcome::Retry { after: Some(Duration::ZERO), reason: "told to".to_owned() };
        }
        *self.0.lock().expect("no panic").entry(message.body.clone()).or_default() += 1;
        Outcome::Done
    }

    fn idempotency_key<'a>(&self, message: &'a Message) -> Cow<'a, str> {
        // Of the business: a producer that sends twice gives two messages the same.
        message.body.as_str().into()
    }
}

fn config(variables: &[(&str, &str)]) -> Config {
    let all: HashMap<_, _> = [("IDEMPOTENCY", "memory"), ("QUEUE_URL", "jobs"), ("WAIT_TIME_SECS", "1")]
        .into_iter()
        .chain([("FUNCTION_METRICS", "off"), ("DELETE_LINGER_MS", "20")])
        .chain(variables.iter().copied())
        .collect();
    Config::default().read(Host::Worker, &|name| all.get(name).map(|value| (*value).to_owned())).expect("valid")
}

#[tokio::test]
async fn a_worker_whose_deletes_fail_has_every_effect_once() {
    let sqs = Sqs::start(Duration::from_secs(1), 50).await;
    let bodies = (0..60).map(|n| format!("{}-{n}", if n % 5 == 0 { "fails" } else { "plain" }));
    let bodies: Vec<_> = bodies.chain((0..10).map(|n| format!("plain-{}", n * 5 + 1))).collect();
    sqs.send("jobs", &bodies).await;
    let mut deletes = 0;
    sqs.script(move |action, _| {
        deletes += usize::from(action == "DeleteMessageBatch");
        (action == "DeleteMessageBatch" && deletes <= 12).then_some(Fault::Error(400, "InvalidParameterValue"))
    });
    let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
    let queue = Queue::local(&sqs.endpoint, "jobs", &tuning).await.expect("a region is set");
    let effects = Effects::default();
    let metrics = Arc::<Metrics>::default();
    let worker = Worker {
        handler: effects.clone(),
        queue,
        config: config(&[]),
        journal: Journal::off(),
        health: Health::default(),
        metrics: metrics.clone(),
    };
    let _worker = AbortOnDropHandle::new(tokio::spawn(worker.run(CancellationToken::new())));
    eventually("all are settled", || sqs.left("jobs") == 0).await;
    let effects = effects.of();
    assert_eq!(effects.len(), 60);
    assert!(effects.values().all(|times| *times == 1), "{effects:?}");
    assert_eq!((metrics.done.get(), sqs.left("dead")), (60, 0));
    assert!(metrics.duplicates.get() >= 20, "ten sent twice, and deletes that failed: {}", metrics.duplicates.get());
}

#[tokio::test]
async fn a_function_invoked_again_has_every_effect_once() {
    let effects = Effects::default();
    let function = Function::new(effects.clone(), &config(&[]), Journal::off());
    let records = ["plain-1", "plain-2", "fails-3", "plain-1"].into_iter().enumerate().map(|(n, body)| {
        let mut record = record(n as u64);
        record["body"] = body.into();
        record
    });
    let records: Vec<_> = records.collect();
    let invoke = async |receive_count: u32| {
        let records = records.iter().cloned().map(|mut record| {
            record["attributes"]["ApproximateReceiveCount"] = receive_count.to_string().into();
            record
        });
        let event = serde_json::from_slice(&event(records)).expect("an event");
        let response = function.handle(&event, SystemTime::now() + Duration::from_secs(60)).await;
        named(&serde_json::to_vec(&response.expect("all are named")).expect("JSON"))
    };
    // The fourth came while the first with its key was in progress, and is not handled beside it.
    assert_eq!(invoke(1).await, ["message-2", "message-3"]);
    assert_eq!(invoke(2).await, Vec::<String>::new());
    assert_eq!(invoke(3).await, Vec::<String>::new());
    let expected = ["plain-1", "plain-2", "fails-3"].map(|body| (body.to_owned(), 1));
    assert_eq!(effects.of(), expected.into());
}
