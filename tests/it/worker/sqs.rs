//! A queue service that fails on demand: the pure queue behind the six calls that a worker makes, each of which a test
//! may answer itself first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;
use twinscale::compare::scaling::Counts;
use twinscale::compare::sqs::{Attributes, Departure, Handle, HandleError, Queue, Received, Send};

/// What a call answers instead of the truth.
pub enum Fault {
    /// An error for the whole call, with its HTTP status.
    Error(u16, &'static str),
    /// An error for one entry of a batch call, which is then left out of it.
    Entry(usize, &'static str),
    /// No answer for this long, then the truth.
    Slow(Duration),
}

type Script = Box<dyn FnMut(&str, &Value) -> Option<Fault> + std::marker::Send>;
/// What a message carries: all of its entry as sent.
type Payload = Arc<Value>;

/// The service; dropping it closes the port.
pub struct Sqs {
    pub endpoint: String,
    shared: Arc<Shared>,
    _server: AbortOnDropHandle<()>,
}

struct Shared {
    began: Instant,
    queues: Mutex<BTreeMap<String, Queue<Payload>>>,
    calls: Mutex<Vec<(String, Value)>>,
    script: Mutex<Option<Script>>,
    changed: Notify,
}

impl Sqs {
    /// Serves `jobs` (dead letters to `dead` after `max_receives`), `jobs.fifo` and `dead`.
    pub async fn start(visibility: Duration, max_receives: u32) -> Self {
        let attributes = |fifo, max| Attributes {
            fifo,
            visibility_timeout: visibility,
            max_receive_count: max,
            ..Attributes::default()
        };
        let queues = [
            ("jobs", attributes(false, Some(max_receives))),
            ("jobs.fifo", attributes(true, Some(max_receives))),
            ("dead", attributes(false, None)),
        ];
        let queues = queues.map(|(name, attributes)| (name.to_owned(), Queue::new(attributes))).into();
        let shared = Arc::new(Shared {
            began: Instant::now(),
            queues: Mutex::new(queues),
            calls: Mutex::default(),
            script: Mutex::default(),
            changed: Notify::new(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let router = axum::Router::new().fallback(serve).with_state(shared.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { endpoint, shared, _server: AbortOnDropHandle::new(server) }
    }

    /// Answers calls by `script` first, from now on.
    pub fn script(&self, script: impl FnMut(&str, &Value) -> Option<Fault> + std::marker::Send + 'static) {
        *self.shared.script.lock().expect("no panic") = Some(Box::new(script));
    }

    pub fn send(&self, queue: &str, bodies: impl IntoIterator<Item = impl ToString>) {
        for body in bodies {
            self.send_to_group(queue, "g", &body.to_string());
        }
    }

    pub fn send_to_group(&self, queue: &str, group: &str, body: &str) {
        let entry = json!({ "MessageBody": body, "MessageGroupId": group });
        self.shared.take_in(queue, &entry);
        self.shared.changed.notify_waiters();
    }

    pub fn counts(&self, queue: &str) -> Counts {
        self.shared.with(queue, |queue, now| queue.counts(now))
    }

    /// Messages in the queue, whatever their state.
    pub fn left(&self, queue: &str) -> u64 {
        let counts = self.counts(queue);
        counts.visible + counts.in_flight + counts.delayed
    }

    /// Receives everything visible, as another consumer would: bodies, and the entries as sent.
    pub fn receive_all(&self, queue: &str) -> Vec<Arc<Value>> {
        let mut received = Vec::new();
        self.shared.with(queue, |queue, now| queue.receive(now, 1000, None, &mut received)).expect("not over limit");
        received.into_iter().map(|received| received.message.payload).collect()
    }

    /// Every call of this action so far.
    pub fn calls(&self, action: &str) -> Vec<Value> {
        let calls = self.shared.calls.lock().expect("no panic");
        calls.iter().filter(|(name, _)| name == action).map(|(_, call)| call.clone()).collect()
    }
}

impl Shared {
    fn with<T>(&self, queue: &str, act: impl FnOnce(&mut Queue<Payload>, Duration) -> T) -> T {
        let mut queues = self.queues.lock().expect("no panic");
        let result = act(queues.get_mut(queue).expect("a queue of ours"), self.began.elapsed());
        let letters: Vec<_> = queues.get_mut(queue).expect("as above").departures().collect();
        for letter in letters {
            if let (Departure::DeadLetter(message), Some(dead)) = (letter, queues.get_mut("dead")) {
                dead.admit(self.began.elapsed(), message);
            }
        }
        result
    }

    fn take_in(&self, queue: &str, entry: &Value) {
        let text = |name: &str| entry[name].as_str().map(Arc::from);
        let send = Send {
            payload: Arc::new(entry.clone()),
            group: text("MessageGroupId"),
            deduplication: text("MessageDeduplicationId"),
            ..Send::default()
        };
        self.with(queue, |queue, now| {
            let id = queue.counts(now).visible + queue.counts(now).in_flight;
            queue.send(now, Send { id, ..send })
        });
    }
}

async fn serve(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().expect("text");
    let action = target.rsplit('.').next().expect("never empty").to_owned();
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    shared.calls.lock().expect("no panic").push((action.clone(), request.clone()));
    let fault = shared.script.lock().expect("no panic").as_mut().and_then(|script| script(&action, &request));
    let mut failing = None;
    match fault {
        Some(Fault::Error(status, code)) => return error(status, code),
        Some(Fault::Entry(index, code)) => failing = Some((index, code)),
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        None => {}
    }
    let queue = request["QueueUrl"].as_str().or(request["QueueName"].as_str()).expect("a queue");
    let queue = queue.rsplit('/').next().expect("never empty").to_owned();
    if !shared.queues.lock().expect("no panic").contains_key(&queue) {
        return error(400, "QueueDoesNotExist");
    }
    let answer = match action.as_str() {
        "GetQueueUrl" => json!({ "QueueUrl": format!("http://localhost/000000000000/{queue}") }),
        "GetQueueAttributes" => {
            let visibility = shared.with(&queue, |queue, _| queue.attributes().visibility_timeout.as_secs());
            let policy = json!({ "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead" }).to_string();
            json!({ "Attributes": { "VisibilityTimeout": visibility.to_string(), "RedrivePolicy": policy } })
        }
        "ReceiveMessage" => receive(&shared, &queue, &request).await,
        _ => {
            let answer = batch(&shared, &queue, &action, &request, failing);
            shared.changed.notify_waiters();
            answer
        }
    };
    axum::Json(answer).into_response()
}

fn error(status: u16, code: &str) -> Response {
    let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "told to" });
    (StatusCode::from_u16(status).expect("a status"), axum::Json(body)).into_response()
}

async fn receive(shared: &Shared, queue: &str, request: &Value) -> Value {
    let number = |name: &str| request[name].as_u64();
    let ends = Instant::now() + Duration::from_secs(number("WaitTimeSeconds").unwrap_or(0));
    let max = number("MaxNumberOfMessages").unwrap_or(1) as usize;
    let visibility = number("VisibilityTimeout").map(Duration::from_secs);
    loop {
        let changed = shared.changed.notified();
        let mut received = Vec::new();
        let due = shared.with(queue, |queue, now| {
            queue.receive(now, max, visibility, &mut received).expect("not over limit");
            queue.due().map(|due| due.saturating_sub(now))
        });
        let left = ends.saturating_duration_since(Instant::now());
        if !received.is_empty() || left.is_zero() {
            return json!({ "Messages": received.iter().map(message).collect::<Vec<_>>() });
        }
        let _ = tokio::time::timeout(left.min(due.unwrap_or(left)), changed).await;
    }
}

fn message(received: &Received<Payload>) -> Value {
    let (payload, message) = (&received.message.payload, &received.message);
    json!({
        "MessageId": format!("id-{}", payload["MessageBody"].as_str().unwrap_or_default()),
        "ReceiptHandle": received.handle.to_bits().to_string(),
        "Body": payload["MessageBody"],
        "MD5OfBody": "00000000000000000000000000000000",
        "MessageAttributes": payload.get("MessageAttributes").cloned().unwrap_or(json!({})),
        "Attributes": {
            "ApproximateReceiveCount": message.receives.to_string(),
            "SentTimestamp": "1700000000000",
            "MessageGroupId": message.group.as_deref().unwrap_or_default(),
            "MessageDeduplicationId": message.deduplication.as_deref().unwrap_or_default(),
        }
    })
}

fn batch(shared: &Shared, queue: &str, action: &str, request: &Value, failing: Option<(usize, &str)>) -> Value {
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for (index, entry) in request["Entries"].as_array().expect("entries").iter().enumerate() {
        if let Some((_, code)) = failing.filter(|(failing, _)| *failing == index) {
            failed.push(json!({ "Id": entry["Id"], "Code": code, "SenderFault": false }));
            continue;
        }
        let handle = || Handle::from_bits(entry["ReceiptHandle"].as_str().and_then(|h| h.parse().ok()).expect("ours"));
        let result = match action {
            "SendMessageBatch" => {
                shared.take_in(queue, entry);
                Ok(())
            }
            "DeleteMessageBatch" => shared.with(queue, |queue, now| queue.delete(now, handle()).map(drop)),
            "ChangeMessageVisibilityBatch" => {
                let timeout = Duration::from_secs(entry["VisibilityTimeout"].as_u64().expect("seconds"));
                shared.with(queue, |queue, now| queue.change_visibility(now, handle(), timeout))
            }
            other => unreachable!("{other}"),
        };
        match result {
            Ok(()) => successful.push(json!({
                "Id": entry["Id"], "MessageId": "m", "MD5OfMessageBody": "00000000000000000000000000000000"
            })),
            Err(error) => {
                let code = match error {
                    HandleError::NotInFlight => "MessageNotInflight",
                    _ => "ReceiptHandleIsInvalid",
                };
                failed.push(json!({ "Id": entry["Id"], "Code": code, "SenderFault": true }));
            }
        }
    }
    json!({ "Successful": successful, "Failed": failed })
}
