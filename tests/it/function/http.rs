//! Real `lambda-http` processes behind the local function URL.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::{Value, json};
use twinscale_lab::processes::client::Client;
use twinscale_lab::processes::environment::Settings;
use twinscale_lab::processes::front::{Front, response};

use super::deploy;
use crate::worker::sqs::{Fault, Sqs};

const LAMBDA_HTTP: &str = "lambda-http";

async fn front(variables: &[(&str, &str)]) -> (Front, Client) {
    let function = deploy(LAMBDA_HTTP, &[&[("SEND_AUTH", "iam")], variables].concat(), Settings::default());
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

/// `POST /send` as each kind of front writes it, with a stage or without.
fn events() -> Vec<(&'static str, Value)> {
    let v2 = |raw_path: &str, stage: &str| {
        let http = json!({ "method": "POST", "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "t" });
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": raw_path, "rawQueryString": "", "headers": {},
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "d", "domainPrefix": "d", "http": http, "requestId": "r",
                "routeKey": "$default", "stage": stage, "time": "12/Mar/2020:19:03:58 +0000", "timeEpoch": 1_583_348_638_390_u64
            },
            "body": r#"{"messages": 1}"#, "isBase64Encoded": false
        })
    };
    let v1 = |path: &str, stage: &str| {
        json!({
            "version": "1.0", "resource": "/{proxy+}", "path": path, "httpMethod": "POST", "headers": {}, "multiValueHeaders": {},
            "queryStringParameters": null, "multiValueQueryStringParameters": null, "pathParameters": null, "stageVariables": null,
            "requestContext": {
                "accountId": "1", "apiId": "a", "httpMethod": "POST", "path": format!("/{stage}{path}"), "stage": stage,
                "requestId": "r", "resourceId": "x", "resourcePath": "/{proxy+}", "protocol": "HTTP/1.1",
                "identity": { "sourceIp": "127.0.0.1" }, "requestTimeEpoch": 1_583_348_638_390_u64
            },
            "body": r#"{"messages": 1}"#, "isBase64Encoded": false
        })
    };
    let alb = json!({
        "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/1" } },
        "httpMethod": "POST", "path": "/send", "queryStringParameters": {}, "headers": { "host": "lb" },
        "body": r#"{"messages": 1}"#, "isBase64Encoded": false
    });
    vec![
        ("a function URL, or an HTTP API without a stage", v2("/send", "$default")),
        ("an HTTP API with a stage", v2("/prod/send", "prod")),
        ("an HTTP API whose stage is called as the route", v2("/send/send", "send")),
        ("a REST API", v1("/send", "prod")),
        ("a load balancer", alb),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_front_that_aws_has_for_a_function_is_answered_with_its_stage_or_without() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let variables = [("AWS_ENDPOINT_URL", sqs.endpoint.as_str()), ("QUEUE_URL", "jobs"), ("SEND_AUTH", "iam")];
    let function = deploy(LAMBDA_HTTP, &variables, Settings::default());
    for (sent, (front, event)) in (1..).zip(events()) {
        let answer = function.invoke(Bytes::from(event.to_string())).await.answer;
        let answer = answer.unwrap_or_else(|failure| panic!("{front}: {failure}"));
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!((&answer["statusCode"], sqs.left("jobs")), (&json!(200), sent), "{front}: {answer}");
    }
    let scheduled = function.invoke(Bytes::from(r#"{"detail-type":"Scheduled Event"}"#)).await.answer;
    assert!(scheduled.is_err(), "no HTTP event at all");
}

#[tokio::test]
async fn without_a_token_and_without_iam_before_it_the_front_does_not_start() {
    let queue = ("QUEUE_URL", "http://127.0.0.1:9/000000000000/q");
    for (variables, starts) in
        [(vec![queue], false), (vec![queue, ("SEND_TOKEN", "secret")], true), (vec![queue, ("SEND_AUTH", "iam")], true)]
    {
        let function = deploy(LAMBDA_HTTP, &variables, Settings::default());
        let (_, event) = events().remove(0);
        let answer = function.invoke(Bytes::from(event.to_string())).await.answer;
        assert_eq!(answer.is_ok(), starts, "{variables:?}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_to_a_queue_that_hangs_are_answered_before_the_function_s_deadline() {
    let sqs = Sqs::start(Duration::from_secs(30), 5).await;
    let mut calls = 0;
    sqs.script(move |action, _| {
        calls += usize::from(action == "SendMessageBatch");
        (action == "SendMessageBatch" && calls > 20).then_some(Fault::Slow(Duration::from_millis(4900)))
    });
    let variables = [("AWS_ENDPOINT_URL", sqs.endpoint.as_str()), ("QUEUE_URL", "jobs"), ("SEND_AUTH", "iam")];
    let settings = Settings { timeout: Duration::from_secs(8), ..Settings::default() };
    let function = deploy(LAMBDA_HTTP, &variables, settings);
    let (_, mut event) = events().remove(0);
    event["body"] = r#"{"messages": 10000}"#.into();
    let answer = function.invoke(Bytes::from(event.to_string())).await.answer.expect("an answer in time");
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let told: Value = serde_json::from_str(answer["body"].as_str().expect("text")).expect("JSON");
    let count = |name: &str| told[name].as_array().expect("a list").len() as u64;
    assert_eq!(told["accepted"].as_u64().expect("a number") + count("failed") + count("unknown"), 10_000);
    assert!((1..=160).contains(&count("unknown")), "{} unknown", count("unknown"));
}
