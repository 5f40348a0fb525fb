//! Spans as a collector gets them (feature `otlp`): a small receiver of OTLP over HTTP, and what it was sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;
use twinscale_lab::processes::environment::Settings;

use crate::function::{deploy, event, named_by, record};
use crate::worker::eventually;
use crate::worker::process::{Process, post_in_trace};
use crate::worker::sqs::Sqs;

const TRACE_ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const SPAN_ID: u64 = 0x00f0_67aa_0ba9_02b7;

/// What was posted to `/v1/traces` so far, one after the other.
type Taken = Arc<Mutex<Vec<u8>>>;

async fn collector() -> (String, Taken, AbortOnDropHandle<()>) {
    let taken = Taken::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    let take = async |State(taken): State<Taken>, body: Bytes| taken.lock().expect("no panic").extend(body);
    let router = axum::Router::new().route("/v1/traces", axum::routing::post(take)).with_state(taken.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    (endpoint, taken, AbortOnDropHandle::new(serving))
}

/// Trace and span ids that follow the tag of `field` and a length of one byte, or of two if `long`: field 2 of
/// `ScopeSpans` is a span, field 13 of a span a link, and both begin with their ids.
fn ids(protobuf: &[u8], field: u8, long: bool) -> Vec<(u128, u64)> {
    let ids = protobuf.windows(28).enumerate().filter(|(_, w)| w[..2] == [0x0a, 16] && w[18..20] == [0x12, 8]);
    let tagged =
        ids.filter(|(at, _)| at.checked_sub(2 + usize::from(long)).is_some_and(|tag| protobuf[tag] == field << 3 | 2));
    tagged
        .map(|(_, w)| {
            (
                u128::from_be_bytes(w[2..18].try_into().expect("16")),
                u64::from_be_bytes(w[20..28].try_into().expect("8")),
            )
        })
        .collect()
}

fn spans(protobuf: &[u8]) -> Vec<(u128, u64)> {
    ids(protobuf, 2, true)
}

fn contains(protobuf: &[u8], text: &str) -> bool {
    protobuf.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_exports_sends_in_the_trace_of_the_caller_and_handlings_that_link_to_them() {
    let (sqs, (endpoint, taken, _serving)) = (Sqs::start(Duration::from_secs(30), 5).await, collector().await);
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_SERVICE_NAME", "orders"), ("LOG_LEVEL", "info")];
    let mut worker = Process::start(&sqs.endpoint, &variables);
    assert!(post_in_trace(&worker.addr().await, r#"{"messages": 3}"#).starts_with("HTTP/1.1 200"));
    eventually("all are done", || sqs.left("jobs") == 0).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.exit_code().await, Some(0));
    let taken = taken.lock().expect("no panic");
    assert!(contains(&taken, "orders") && contains(&taken, "twinscale"));
    let send: Vec<_> = spans(&taken).into_iter().filter(|(trace_id, _)| *trace_id == TRACE_ID).collect();
    assert_eq!(send.len(), 1, "one span for the send, in the trace of the caller: {:x?}", spans(&taken));
    assert_eq!(ids(&taken, 13, false), [send[0]; 3], "each handling links to it, from a trace of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_has_exported_its_spans_when_it_answers() {
    let (endpoint, taken, _serving) = collector().await;
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("WORK_WAIT", "1ms")];
    let function = deploy("lambda-sqs", &[&variables[..], &[("LOG_LEVEL", "info")]].concat(), Settings::default());
    let mut attribute = record(1);
    let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    attribute["messageAttributes"] = json!({ "traceparent": { "stringValue": value, "dataType": "String" } });
    let mut header = record(2);
    header["attributes"]["AWSTraceHeader"] = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7".into();
    let invoked = function.invoke(event([attribute, header, record(3)])).await;
    assert_eq!(named_by(&invoked), Vec::<String>::new());
    let taken = taken.lock().expect("no panic");
    assert_eq!(spans(&taken).len(), 3, "one for each message");
    assert_eq!(ids(&taken, 13, false), [(TRACE_ID, SPAN_ID); 2], "the third came without a trace");
}
