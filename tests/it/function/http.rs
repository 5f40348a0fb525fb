//! Real `lambda-http` processes behind the local function URL.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};
use twinscale_lab::processes::client::Client;
use twinscale_lab::processes::environment::Settings;
use twinscale_lab::processes::front::{Front, response};

use super::deploy;

const LAMBDA_HTTP: &str = "lambda-http";

async fn front(variables: &[(&str, &str)]) -> (Front, Client) {
    let function = deploy(LAMBDA_HTTP, variables, Settings::default());
    let front = Front::bind(function).await.expect("a free port");
    let client = Client::new(front.address());
    (front, client)
}

#[tokio::test]
async fn the_routes_of_the_worker_answer_behind_a_function_url() {
    let (_front, client) = front(&[("QUEUE_URL", "http://127.0.0.1:9/000000000000/q")]).await;
    for path in ["/", "/healthz", "/readyz", "/?a=b%20c&a=d"] {
        assert!(client.is_ok(path).await, "{path}");
    }
    assert!(!client.is_ok("/nothing/here").await);
}

#[tokio::test]
async fn what_send_cannot_take_is_refused_with_advice() {
    let (_front, client) = front(&[("QUEUE_URL", "http://127.0.0.1:9/000000000000/q"), ("SEND_LIMIT", "50")]).await;
    let wrong: [(&str, u16); 8] = [
        ("{", 400),
        ("", 400),
        (r#"{"Messages": 0}"#, 422),
        (r#"{"messages": -1}"#, 422),
        (r#"{"Messages": 51}"#, 422),
        (r#"{"bodies": []}"#, 422),
        (r#"{"bodies": [""]}"#, 422),
        (r#"{"bodies": ["a\u0000"]}"#, 422),
    ];
    for (body, expected) in wrong {
        let (status, answer) = client.post("/send", body).await.expect("an answer");
        assert_eq!(status.as_u16(), expected, "{body}");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{answer}");
    }
}

#[tokio::test]
async fn a_queue_out_of_reach_is_told_in_bounded_time() {
    let (_front, client) = front(&[("QUEUE_URL", "http://127.0.0.1:9/000000000000/q")]).await;
    let began = Instant::now();
    let (status, _) = client.post("/send", r#"{"Messages": 1000}"#).await.expect("an answer");
    assert!(matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE), "{status}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_function_that_fails_is_a_bad_gateway() {
    // No QUEUE_URL and SEND not off: it does not start.
    let (_front, client) = front(&[]).await;
    let (status, _) = client.post("/send", "{}").await.expect("an answer");
    assert_eq!(status, StatusCode::BAD_GATEWAY);
}

#[test]
fn an_answer_becomes_http_with_its_headers_and_cookies_and_bytes() {
    let answer = json!({
        "statusCode": 418,
        "headers": { "x-a": "1" },
        "cookies": ["a=1", "b=2"],
        "body": "AP8=",
        "isBase64Encoded": true
    });
    let made = response(&Bytes::from(answer.to_string()));
    assert_eq!(made.status(), 418);
    assert_eq!(made.headers()["x-a"], "1");
    assert_eq!(made.headers().get_all("set-cookie").iter().count(), 2);
    assert_eq!(response(&Bytes::from_static(b"[1]")).headers()["content-type"], "application/json");
    assert_eq!(response(&Bytes::from_static(br#"{"statusCode":99}"#)).status(), 502);
}
