//! The embedded queue behind a [`FaultProxy`] that keeps every call and fails on demand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use twinscale::Message;
use twinscale::unstable::queue::{Outgoing, Queue, Tuning};
use twinscale_scaling::Counts;
use twinscale_sqs::server::{Options, Regions, SqsServer};

pub use crate::fault_proxy::Fault;
use crate::fault_proxy::{FaultProxy, Strike};

/// The service; dropping it closes the port.
pub struct Sqs {
    pub endpoint: String,
    server: SqsServer,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
    script: Arc<Mutex<Option<Strike>>>,
    _proxy: FaultProxy,
}

impl Sqs {
    /// Serves `jobs` (dead letters to `dead` after `max_receives`) and the same pair with `.fifo`.
    pub async fn start(visibility: Duration, max_receives: u32) -> Self {
        // Whatever the region of the machine's own configuration is.
        let options = Options { regions: Regions::One("us-east-1".to_owned()), ..Options::default() };
        let server = SqsServer::start_at(([127, 0, 0, 1], 0).into(), options).await.expect("a free port");
        for suffix in ["", ".fifo"] {
            let fifo: &[(&str, &str)] = if suffix.is_empty() { &[] } else { &[("FifoQueue", "true")] };
            server.create_queue(&format!("dead{suffix}"), fifo).expect("created");
            let dead = server.arn(&format!("dead{suffix}"));
            let policy = json!({ "deadLetterTargetArn": dead, "maxReceiveCount": max_receives }).to_string();
            let visibility = visibility.as_secs().to_string();
            let attributes = [("VisibilityTimeout", visibility.as_str()), ("RedrivePolicy", policy.as_str())];
            server.create_queue(&format!("jobs{suffix}"), &[&attributes, fifo].concat()).expect("created");
        }
        let (calls, script): (Arc<Mutex<Vec<_>>>, Arc<Mutex<Option<Strike>>>) = Default::default();
        let strike = {
            let calls = calls.clone();
            let script = script.clone();
            move |action: &str, call: &Value| {
                calls.lock().expect("no panic").push((action.to_owned(), call.clone()));
                script.lock().expect("no panic").as_mut().and_then(|script| script(action, call))
            }
        };
        let proxy = FaultProxy::start(server.address(), Box::new(strike)).await;
        Self { endpoint: proxy.endpoint.clone(), server, calls, script, _proxy: proxy }
    }

    /// Another standard queue.
    pub fn create(&self, queue: &str) {
        self.server.create_queue(queue, &[]).expect("created");
    }

    /// Answers calls by `script` first, from now on.
    pub fn script(&self, script: impl FnMut(&str, &Value) -> Option<Fault> + Send + 'static) {
        *self.script.lock().expect("no panic") = Some(Box::new(script));
    }

    pub async fn send(&self, queue: &str, bodies: impl IntoIterator<Item = impl ToString>) {
        let outgoing = |body: String| Outgoing { body, ..Outgoing::default() };
        let messages = bodies.into_iter().map(|body| outgoing(body.to_string())).collect();
        assert_eq!(self.queue(queue).await.send(messages).await.failed, []);
    }

    /// Without a client, whose checksums of a MiB take long in a test's build.
    pub async fn send_large(&self, queue: &str, bodies: impl IntoIterator<Item = String>) {
        for body in bodies {
            let call = json!({ "QueueUrl": queue, "MessageBody": body }).to_string();
            self.server.call("SendMessage", call.as_bytes()).await.expect("sent");
        }
    }

    pub async fn send_to_group(&self, queue: &str, group: &str, body: &str) {
        let group_id = Some(group.to_owned());
        let deduplication_id = Some(body.to_owned());
        let message = Outgoing { body: body.to_owned(), group_id, deduplication_id, ..Outgoing::default() };
        assert_eq!(self.queue(queue).await.send(vec![message]).await.failed, []);
    }

    pub fn counts(&self, queue: &str) -> Counts {
        self.server.counts(queue).expect("a queue of ours")
    }

    /// Messages in the queue, whatever their state.
    pub fn left(&self, queue: &str) -> u64 {
        let counts = self.counts(queue);
        counts.visible + counts.in_flight + counts.delayed
    }

    /// Receives everything visible, as another consumer would.
    pub async fn receive_all(&self, queue: &str) -> Vec<Message> {
        let queue = self.queue(queue).await;
        let mut all = Vec::new();
        loop {
            let some = queue.receive(10, Duration::ZERO, None).await.expect("received");
            if some.is_empty() {
                return all;
            }
            all.extend(some);
        }
    }

    /// Every call of this action so far.
    pub fn calls(&self, action: &str) -> Vec<Value> {
        let calls = self.calls.lock().expect("no panic");
        calls.iter().filter(|(name, _)| name == action).map(|(_, call)| call.clone()).collect()
    }

    /// Past the proxy, so that nothing is kept and nothing fails.
    async fn queue(&self, name: &str) -> Queue {
        let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
        Queue::local(&self.server.endpoint(), name, &tuning).await.expect("a region is set")
    }
}
