//! STOPGAP, never landed
use super::clock::Clock;
use super::hosts::Address;
use super::ledger::{Action, Event, Ledger};
use crate::compare::scaling::Counts;
use crate::compare::scenario::Scenario;
use crate::compare::sqs::{Attributes, Handle, Queue, Received, Send};
use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

struct Inner {
    clock: Clock,
    ledger: Arc<Ledger>,
    main: Mutex<(Queue<String>, HashMap<String, (Handle, u64)>, u64)>,
    dlq: Mutex<Queue<String>>,
}
/// Queues
pub struct Queues {
    address: Address,
    inner: Arc<Inner>,
}
impl Queues {
    /// x
    pub async fn start(scenario: &Scenario, visibility: Duration, clock: Clock) -> std::io::Result<Self> {
        let ledger = Arc::new(Ledger::new(scenario.work.clone()));
        let a = Attributes {
            visibility_timeout: visibility,
            max_receive_count: Some(scenario.queue.max_receive_count),
            ..Default::default()
        };
        let inner = Arc::new(Inner {
            clock,
            ledger,
            main: Mutex::new((Queue::new(a), HashMap::new(), 0)),
            dlq: Mutex::new(Queue::new(Attributes::default())),
        });
        let l = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let addr = l.local_addr()?;
        let router = Router::new().fallback(post(handle)).with_state(inner.clone());
        tokio::spawn(async move { axum::serve(l, router).await });
        let e = format!("http://{addr}");
        Ok(Self {
            address: Address {
                endpoint: e.clone(),
                queue_url: format!("{e}/000000000000/q"),
                queue_arn: "arn:aws:sqs:us-east-1:000000000000:q".into(),
                dlq_url: format!("{e}/000000000000/dlq"),
            },
            inner,
        })
    }
    /// x
    pub fn address(&self) -> &Address {
        &self.address
    }
    /// x
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.inner.ledger
    }
    /// x
    pub fn counts(&self) -> Counts {
        self.inner.main.lock().unwrap().0.counts(self.inner.clock.now())
    }
}
async fn handle(State(s): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> axum::response::Response {
    use axum::response::IntoResponse;
    let t = headers
        .get("x-amz-target")
        .and_then(|v| v.to_str().ok())
        .unwrap_or("")
        .rsplit('.')
        .next()
        .unwrap_or("")
        .to_owned();
    let v: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let dlq = v["QueueUrl"].as_str().unwrap_or("").ends_with("dlq");
    let num = crate::workload::number;
    let out = match t.as_str() {
        "SendMessageBatch" => {
            let now = s.clock.now();
            let mut ok = vec![];
            for e in v["Entries"].as_array().unwrap() {
                let b = e["MessageBody"].as_str().unwrap().to_owned();
                if dlq {
                    s.ledger.note(now, num(&b), Event::Rejected);
                    s.dlq.lock().unwrap().send(now, Send { id: 0, payload: b, ..Default::default() });
                } else {
                    s.ledger.note(now, num(&b), Event::Sent);
                    let mut m = s.main.lock().unwrap();
                    m.2 += 1;
                    let id = m.2;
                    m.0.send(now, Send { id, payload: b, ..Default::default() });
                }
                ok.push(json!({"Id": e["Id"], "MessageId": "x", "MD5OfMessageBody": ""}));
            }
            if !dlq {
                s.ledger.request(Action::Send, 1);
            }
            json!({"Successful": ok, "Failed": []})
        }
        "ReceiveMessage" => {
            let max = v["MaxNumberOfMessages"].as_u64().unwrap_or(1) as usize;
            let until = s.clock.now() + Duration::from_secs(v["WaitTimeSeconds"].as_u64().unwrap_or(0));
            loop {
                let now = s.clock.now();
                let mut got: Vec<Received<String>> = vec![];
                let msgs: Vec<Value> = {
                    let mut m = s.main.lock().unwrap();
                    let _ = m.0.receive(now, max, v["VisibilityTimeout"].as_u64().map(Duration::from_secs), &mut got);
                    for d in m.0.departures() {
                        if let crate::compare::sqs::Departure::DeadLetter(d) = d {
                            s.ledger.note(now, num(&d.payload), Event::Redriven);
                        }
                    }
                    got.into_iter().map(|r| { let n = num(&r.message.payload); s.ledger.note(now, n, Event::Delivered { receive_count: r.message.receives }); let h = format!("{:?}", r.handle); m.1.insert(h.clone(), (r.handle, n));
                        json!({"MessageId": format!("id-{n}"), "ReceiptHandle": h, "Body": r.message.payload, "MD5OfBody": "", "Attributes": {"ApproximateReceiveCount": r.message.receives.to_string(), "SentTimestamp": "0", "ApproximateFirstReceiveTimestamp": "0", "SenderId": "x"}}) }).collect()
                };
                if !msgs.is_empty() {
                    s.ledger.request(Action::Receive, 1);
                    break json!({"Messages": msgs});
                }
                if now >= until {
                    s.ledger.request(Action::EmptyReceive, 1);
                    break json!({});
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        }
        "DeleteMessageBatch" | "ChangeMessageVisibilityBatch" => {
            let now = s.clock.now();
            let mut ok = vec![];
            let mut m = s.main.lock().unwrap();
            for e in v["Entries"].as_array().unwrap() {
                let h = e["ReceiptHandle"].as_str().unwrap();
                if let Some((handle, n)) = m.1.get(h).cloned() {
                    if t == "DeleteMessageBatch" {
                        if let Ok(Some(_)) = m.0.delete(now, handle) {
                            s.ledger.note(now, n, Event::Deleted);
                        }
                    } else {
                        let d = Duration::from_secs(e["VisibilityTimeout"].as_u64().unwrap_or(0));
                        if m.0.change_visibility(now, handle, d).is_ok() {
                            s.ledger.note(now, n, Event::Visibility(d));
                        }
                    }
                }
                ok.push(json!({"Id": e["Id"]}));
            }
            s.ledger.request(if t == "DeleteMessageBatch" { Action::Delete } else { Action::ChangeVisibility }, 1);
            json!({"Successful": ok, "Failed": []})
        }
        "GetQueueAttributes" => {
            json!({"Attributes": {"VisibilityTimeout": s.main.lock().unwrap().0.attributes().visibility_timeout.as_secs().to_string()}})
        }
        other => {
            eprintln!("stopgap: {other}");
            return (axum::http::StatusCode::BAD_REQUEST, "{}").into_response();
        }
    };
    ([("content-type", "application/x-amz-json-1.0")], out.to_string()).into_response()
}
