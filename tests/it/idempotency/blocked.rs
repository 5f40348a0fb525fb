//! A handler that blocks its thread, for longer than a claim holds that nobody renews.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use twinscale::Message;
use twinscale::unstable::journal::Journal;
use twinscale::unstable::metrics::Metrics;
use twinscale::unstable::queue::{Queue, Tuning};
use twinscale::unstable::shutdown::Health;
use twinscale::unstable::worker::Worker;
use twinscale::{Config, Host};
use twinscale::{Handler, Outcome};

use crate::worker::eventually;
use crate::worker::sqs::Sqs;

#[derive(Clone, Default)]
struct Blocking(Arc<AtomicUsize>);

impl Handler for Blocking {
    async fn handle(&self, _message: &Message) -> Outcome {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(7));
        Outcome::Done
    }

    fn idempotency_key<'a>(&self, message: &'a Message) -> Cow<'a, str> {
        message.body.as_str().into()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_its_thread_for_longer_than_the_lease_keeps_its_claim() {
    let sqs = Sqs::start(Duration::from_secs(30), 50).await;
    sqs.send("jobs", ["same"]).await;
    let settings: HashMap<&str, &str> =
        [("QUEUE_URL", "jobs"), ("WAIT_TIME_SECS", "1"), ("IDEMPOTENCY", "memory"), ("IDEMPOTENCY_LEASE_SECS", "4")]
            .into();
    let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
    let handler = Blocking::default();
    let metrics = Arc::<Metrics>::default();
    let worker = Worker {
        handler: handler.clone(),
        queue: Queue::local(&sqs.endpoint, "jobs", &tuning).await.expect("a region is set"),
        config: Config::default()
            .read(Host::Worker, &|name| settings.get(name).map(|value| (*value).to_owned()))
            .expect("valid"),
        journal: Journal::off(),
        health: Health::default(),
        metrics: metrics.clone(),
    };
    let _worker = AbortOnDropHandle::new(tokio::spawn(worker.run(CancellationToken::new())));
    eventually("the first is being handled", || handler.0.load(Ordering::SeqCst) == 1).await;
    sqs.send("jobs", ["same"]).await;
    eventually("both are settled", || sqs.left("jobs") == 0).await;
    assert_eq!(handler.0.load(Ordering::SeqCst), 1, "one effect");
    assert_eq!((metrics.done.get(), metrics.duplicates.get()), (1, 1));
    assert!(metrics.retried.get() >= 2, "the second was sent away for as long as the claim held, again and again");
}
