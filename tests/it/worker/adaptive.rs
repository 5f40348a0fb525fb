//! Adaptive concurrency, from the queue to the handler: the limit falls while handlers fare badly, and rises again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use twinscale::Message;
use twinscale::unstable::journal::Journal;
use twinscale::unstable::queue::{Queue, Tuning};
use twinscale::unstable::shutdown::{Health, NotReady};
use twinscale::unstable::worker::{Ending, Worker};
use twinscale::{Config, Host};
use twinscale::{Handler, Outcome};

use super::eventually;
use super::sqs::{Fault, Sqs};

const FLOOR: usize = 2;

/// What the handlers call, which may be throttled or slow.
#[derive(Clone, Copy, Debug)]
enum Backend {
    Well,
    Throttled,
    Slow,
}

/// Calls the backend, and notes how many messages were handled at once when each began.
#[derive(Clone)]
struct Calling {
    backend: Arc<Mutex<Backend>>,
    running: Arc<AtomicUsize>,
    at_once: Arc<Mutex<Vec<usize>>>,
}

impl Handler for Calling {
    async fn handle(&self, _message: &Message) -> Outcome {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once.lock().expect("no panic").push(running);
        let backend = *self.backend.lock().expect("no panic");
        tokio::time::sleep(Duration::from_millis(if matches!(backend, Backend::Slow) { 200 } else { 20 })).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        match backend {
            Backend::Throttled => Outcome::Retry { after: Some(Duration::ZERO), reason: "throttled".to_owned() },
            Backend::Well | Backend::Slow => Outcome::Done,
        }
    }
}

impl Calling {
    fn backend_is(&self, backend: Backend) {
        *self.backend.lock().expect("no panic") = backend;
        self.at_once.lock().expect("no panic").clear();
    }

    /// Whether the last 20 since then began with at most this many at once.
    fn has_fallen_to(&self, most: usize) -> bool {
        let at_once = self.at_once.lock().expect("no panic");
        at_once.len() >= 20 && at_once.iter().rev().take(20).all(|running| *running <= most)
    }

    /// Whether this many were handled at once since then.
    fn has_risen_to(&self, running: usize) -> bool {
        self.at_once.lock().expect("no panic").iter().any(|seen| *seen >= running)
    }
}

/// The limit begins at 20, rises beyond it, falls to the floor while the backend is bad and rises again afterwards,
/// with a twentieth of the calls to SQS being throttled all the time. Then SQS is out of reach for a while.
async fn falls_and_rises_again(bad: Backend) {
    let sqs = Sqs::start(Duration::from_secs(30), 1000).await;
    sqs.send("jobs", 0..4000).await;
    let throttled = {
        let mut calls = 0;
        move |_: &str, _: &_| {
            calls += 1;
            (calls % 20 == 0).then_some(Fault::Error(400, "ThrottlingException"))
        }
    };
    sqs.script(throttled);
    let settings: HashMap<&str, &str> = [
        ("QUEUE_URL", "jobs"),
        ("WAIT_TIME_SECS", "1"),
        ("ADAPTIVE_CONCURRENCY", "on"),
        ("CONCURRENCY", "40"),
        ("CONCURRENCY_FLOOR", "2"),
        ("PREFETCH", "0"),
        ("RECEIVE_LINGER_MS", "10"),
    ]
    .into();
    let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
    let health = Health::default();
    let drain = CancellationToken::new();
    let handler =
        Calling { backend: Arc::new(Mutex::new(Backend::Well)), running: Arc::default(), at_once: Arc::default() };
    let worker = Worker {
        handler: handler.clone(),
        queue: Queue::local(&sqs.endpoint, "jobs", &tuning).await.expect("a region is set"),
        config: Config::default()
            .read(Host::Worker, &|name| settings.get(name).map(|value| (*value).to_owned()))
            .expect("valid"),
        journal: Journal::off(),
        health: health.clone(),
        metrics: Arc::default(),
    };
    let worker = AbortOnDropHandle::new(tokio::spawn(worker.run(drain.clone())));

    eventually("it rises", || handler.has_risen_to(22)).await;
    handler.backend_is(bad);
    eventually("it falls to the floor", || handler.has_fallen_to(FLOOR)).await;
    handler.backend_is(Backend::Well);
    eventually("it rises again", || handler.has_risen_to(10)).await;
    assert!(sqs.left("jobs") > 0, "there was always more to handle");

    sqs.script(|action, _| (action == "ReceiveMessage").then_some(Fault::Reset));
    eventually("it is not ready", || health.ready() == Err(NotReady::Unreachable)).await;
    assert!(health.alive(), "an outage is no reason to be killed");
    sqs.script(throttled);
    eventually("it is ready", || health.ready().is_ok()).await;
    drain.cancel();
    let ending = tokio::time::timeout(Duration::from_secs(10), worker).await.expect("in time").expect("no panic");
    assert_eq!(ending, Ending::Drained);
}

#[tokio::test]
async fn the_limit_falls_while_handlers_are_throttled_and_rises_again() {
    falls_and_rises_again(Backend::Throttled).await;
}

#[tokio::test]
async fn the_limit_falls_while_handlers_are_slow_and_rises_again() {
    falls_and_rises_again(Backend::Slow).await;
}
