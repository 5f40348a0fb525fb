//! The HTTP side as a client sees it: a real process, raw requests.

use std::time::{Duration, Instant};

use super::process::{Process, exchange, get, post};
use super::sqs::Sqs;

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_routes_answer_and_wrong_requests_send_nothing_and_say_what_to_change() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off"), ("SEND_LIMIT", "100")]);
    let addr = worker.addr().await;
    let admin = worker.admin().await;
    for (addr, path, expected) in [
        (&addr, "/", 200),
        (&admin, "/healthz", 200),
        (&admin, "/metrics", 200),
        (&addr, "/metrics", 404),
        (&admin, "/send", 404),
    ] {
        assert_eq!(status(&get(addr, path)), expected, "{path}");
    }
    let large = format!(r#"{{"bodies": ["{}"]}}"#, "x".repeat(9 << 20));
    let cases = [
        ("not json", 400),
        ("[1]", 400),
        (r#"{"messages": 0}"#, 422),
        (r#"{"messages": -5}"#, 422),
        (r#"{"messages": 101}"#, 422),
        (r#"{"bodies": []}"#, 422),
        (r#"{"bodies": ["fine", "\u0000"]}"#, 422),
        (large.as_str(), 413),
    ];
    for (body, expected) in cases {
        let answer = post(&addr, body);
        assert_eq!(status(&answer), expected, "{body:.40}: {answer}");
        assert!(answer.contains(r#"{"error":""#), "{answer}");
    }
    for (request, expected) in [("GET /nowhere", 404), ("GET /send", 405), ("DELETE /", 405)] {
        let answer = exchange(&addr, &format!("{request} HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n"));
        assert_eq!(status(&answer), expected, "{request}");
        assert!(answer.contains(r#"{"error":""#), "{answer}");
    }
    assert!(sqs.calls("SendMessageBatch").is_empty());
    assert!(post(&addr, r#"{"Messages": 100}"#).contains(r#"{"accepted":100,"failed":[],"unknown":[]}"#));
    assert_eq!((sqs.counts("jobs").visible, sqs.calls("SendMessageBatch").len()), (100, 10));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_without_the_token_is_refused_and_send_off_takes_the_route_away() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off"), ("SEND_TOKEN", "secret")]);
    let addr = worker.addr().await;
    let with = |token: &str| {
        let head = format!("POST /send HTTP/1.1\r\nHost: w\r\nConnection: close\r\nAuthorization: {token}\r\n");
        status(&exchange(&addr, &format!("{head}Content-Length: 14\r\n\r\n{{\"messages\":1}}")))
    };
    assert_eq!(status(&post(&addr, r#"{"messages":1}"#)), 401);
    assert_eq!((with("Bearer wrong"), with("Bearer secret")), (401, 200));

    let closed = Process::start(&sqs.endpoint, &[("RECEIVE", "off"), ("SEND", "off")]);
    assert_eq!(status(&post(&closed.addr().await, r#"{"messages":1}"#)), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_out_of_reach_is_told_with_503_in_bounded_time_and_a_missing_one_with_502() {
    let worker = Process::start("http://127.0.0.1:9", &[("RECEIVE", "off"), ("QUEUE_URL", "http://127.0.0.1:9/0/q")]);
    let addr = worker.addr().await;
    let began = Instant::now();
    let answer = post(&addr, r#"{"messages": 1000}"#);
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(began.elapsed() < Duration::from_secs(10));
    let admin = worker.admin().await;
    assert_eq!(status(&get(&admin, "/readyz")), 503);
    assert_eq!(status(&get(&admin, "/healthz")), 200);

    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off"), ("QUEUE_URL", "nowhere")]);
    let answer = post(&worker.addr().await, r#"{"messages": 1}"#);
    assert_eq!(status(&answer), 502, "{answer}");
    assert!(answer.contains("QueueDoesNotExist"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_no_headers_is_dropped() {
    use std::io::Read;
    let worker = Process::start("http://127.0.0.1:9", &[("RECEIVE", "off")]);
    let mut idle = std::net::TcpStream::connect(worker.addr().await).expect("it listens");
    idle.set_read_timeout(Some(Duration::from_secs(15))).expect("a timeout");
    let mut answer = String::new();
    idle.read_to_string(&mut answer).expect("closed by the worker, not by our timeout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_slow_with_its_body_is_told_so_and_sends_nothing() {
    use std::io::{Read, Write};
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off")]);
    let mut slow = std::net::TcpStream::connect(worker.addr().await).expect("it listens");
    slow.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    slow.write_all(b"POST /send HTTP/1.1\r\nHost: w\r\nContent-Length: 14\r\n\r\n{\"mess").expect("it reads");
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).expect("an answer before our timeout");
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(sqs.calls("SendMessageBatch").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_carries_the_trace_of_the_caller_in_both_notations() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    assert_eq!(status(&super::process::post_in_trace(&addr, r#"{"bodies":["a"]}"#)), 200);
    assert_eq!(status(&post(&addr, r#"{"bodies":["b"]}"#)), 200);
    let mut sent = sqs.receive_all("jobs").await;
    sent.sort_by_key(|message| message.body.clone());
    let traceparent = |n: usize| match &sent[n].attributes["traceparent"].value {
        twinscale::AttributeValue::Text(text) => text.clone(),
        bytes => panic!("{bytes:?}"),
    };
    assert!(traceparent(0).starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{}", traceparent(0));
    assert!(!traceparent(0).contains("00f067aa0ba902b7"), "a span of its own");
    let header = sent[0].trace_header.as_deref().unwrap_or_default();
    assert!(header.starts_with("Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent="), "{header}");
    let own = traceparent(1);
    let header = sent[1].trace_header.as_deref().unwrap_or_default();
    assert_eq!(header[7..15], own[3..11], "a trace that begins here");
}
