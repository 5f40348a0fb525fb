//! CloudFormation, a function URL under IAM, CloudWatch and its logs, as far as the engine asks them, with answers in the
//! shapes that AWS gives them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use twinscale::unstable::queue::{Outgoing, Queue, Tuning};
use twinscale_lab::deployed::{self, Account, DeployedOptions, DeployedPlace, Outputs, Patience};
use twinscale_lab::run::Target;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::target::TargetKind;
use twinscale_sqs::server::SqsServer;

use super::apis::{Api, serve};
use super::deployed::map;
use super::{assert_nulls_are_named, queues};

const MESSAGES: u64 = 40;

/// Answers for the account; the function URL puts what it gets on the queue `lambda` of `server`.
async fn emulator(server: &Arc<SqsServer>) -> Api {
    let tuning = Tuning { attempt_timeout: Duration::from_secs(5) };
    let queue = Queue::local(&server.endpoint(), "lambda", &tuning).await.expect("a region");
    let runtime = tokio::runtime::Handle::current();
    let looks = AtomicU32::new(0);
    serve(move |uri, headers, body| {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("host").contains(".lambda-url.") {
            return function_url(uri.path(), headers, body, |bodies| {
                let outgoing = |body| Outgoing { body, ..Outgoing::default() };
                runtime.block_on(queue.send(bodies.into_iter().map(outgoing).collect())).accepted
            });
        }
        match header("x-amz-target") {
            "GraniteServiceVersion20100801.GetMetricData" => metrics(body, looks.fetch_add(1, Ordering::Relaxed)),
            "Logs_20140328.FilterLogEvents" => logs(body),
            _ => describe_stacks(body),
        }
    })
    .await
}

fn function_url(
    path: &str,
    headers: &HeaderMap,
    body: &str,
    send: impl FnOnce(Vec<String>) -> usize,
) -> (StatusCode, String) {
    let signature = headers["authorization"].to_str().expect("text");
    let signed = signature.starts_with("AWS4-HMAC-SHA256 Credential=local/")
        && signature.contains("/eu-west-1/lambda/aws4_request, SignedHeaders=content-type;host;x-amz-date");
    if !signed || path != "/send" {
        return (StatusCode::FORBIDDEN, json!({ "Message": "Forbidden" }).to_string());
    }
    let request: Value = serde_json::from_str(body).expect("JSON");
    let Some(bodies) = request["bodies"].as_array() else {
        return (StatusCode::UNPROCESSABLE_ENTITY, json!({ "error": "it asks for nothing" }).to_string());
    };
    let accepted = send(bodies.iter().map(|body| body.as_str().expect("text").to_owned()).collect());
    (StatusCode::OK, json!({ "accepted": accepted, "failed": [] }).to_string())
}

/// Nothing at first, as CloudWatch does, and then the whole run.
fn metrics(body: &str, look: u32) -> (StatusCode, String) {
    let request: Value = serde_json::from_str(body).expect("JSON");
    let whole_minutes = [&request["StartTime"], &request["EndTime"]].map(|time| time.as_u64().expect("seconds") % 60);
    assert_eq!(whole_minutes, [0, 0]);
    let value = |id: &str| match id {
        _ if look == 0 => json!([]),
        "deleted" => json!([MESSAGES - 10, 10]),
        "empty" => json!([7, 2]),
        "invocations" => json!([3, 1]),
        "concurrent" => json!([5, 2]),
        "throttles" => json!([1, 0]),
        _ => json!([0, 0]),
    };
    let series = request["MetricDataQueries"].as_array().expect("queries").iter().map(|query| {
        let id = query["Id"].as_str().expect("an id");
        json!({ "Id": id, "Label": id, "Timestamps": [], "Values": value(id), "StatusCode": "Complete" })
    });
    (StatusCode::OK, json!({ "MetricDataResults": series.collect::<Vec<_>>(), "Messages": [] }).to_string())
}

/// Two pages of two invocations each, one of them cold.
fn logs(body: &str) -> (StatusCode, String) {
    let request: Value = serde_json::from_str(body).expect("JSON");
    assert_eq!(request["logGroupName"], "/aws/lambda/twin-sqs");
    let report = |more: &str| {
        let line = "REPORT RequestId: 1f\tDuration: 249.50 ms\tBilled Duration: 250 ms\tMemory Size: 512 MB\tMax Memory Used: 21 MB\t";
        json!({ "logStreamName": "s", "timestamp": 1, "message": format!("{line}{more}\n"), "ingestionTime": 2, "eventId": "3" })
    };
    let answer = match request["nextToken"].as_str() {
        None => json!({ "events": [report("Init Duration: 14.10 ms\t"), report("")], "nextToken": "more" }),
        Some("more") => json!({ "events": [report(""), report("")], "searchedLogStreams": [] }),
        Some(other) => panic!("{other} is no token of ours"),
    };
    (StatusCode::OK, answer.to_string())
}

fn describe_stacks(body: &str) -> (StatusCode, String) {
    if !body.contains("Action=DescribeStacks") || !body.contains("StackName=twin") {
        let error = "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><Error><Type>Sender</Type>\
            <Code>ValidationError</Code><Message>Stack with id nope does not exist</Message></Error></ErrorResponse>";
        return (StatusCode::BAD_REQUEST, error.to_owned());
    }
    let output = |(name, value): (&str, &str)| {
        format!("<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue><Description/></member>")
    };
    let outputs = [
        ("QueueUrl", "lambda"),
        ("JournalQueueUrl", "journal"),
        ("HttpUrl", "https://abc.lambda-url.eu-west-1.on.aws/"),
        ("FunctionName", "twin-sqs"),
    ];
    let outputs: String = outputs.map(output).concat();
    let stack = format!("<member><StackName>twin</StackName><Outputs>{outputs}</Outputs></member>");
    let answer = format!(
        "<DescribeStacksResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\"><DescribeStacksResult><Stacks>{stack}\
         </Stacks></DescribeStacksResult></DescribeStacksResponse>"
    );
    (StatusCode::OK, answer)
}

/// Compares what the stack's outputs name.
async fn compare(server: &SqsServer, api: &Api, most: Duration) -> (Target, Vec<String>) {
    let account = Arc::new(Account::load(Some(api.url.clone())).await.expect("root certificates"));
    let outputs = Outputs::of_stack("twin", &account).await.expect("outputs");
    let place = DeployedPlace {
        queue: outputs.need("QueueUrl", "").expect("there"),
        journal: outputs.get("JournalQueueUrl"),
        url: outputs.get("HttpUrl"),
        token: None,
    };
    let options = DeployedOptions {
        places: [(TargetKind::Lambda, place)].into(),
        endpoint: Some(server.endpoint()),
        function: outputs.get("FunctionName"),
        cloudwatch: Some(Patience { most, look_every: Duration::from_millis(20) }),
        ..DeployedOptions::default()
    };
    let scenario = Scenario { messages: MESSAGES, limit: Duration::from_secs(60), ..Scenario::default() };
    let mut run =
        deployed::run(&scenario, &options, account, std::future::pending(), &mut |_| {}).await.expect("it runs");
    (run.targets.remove(TargetKind::Lambda).expect("it ran"), run.warnings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_names_its_queues_its_signed_url_and_what_cloudwatch_counts() {
    let server = Arc::new(queues().await);
    let _mapping = map(&server);
    let api = emulator(&server).await;
    let (target, warnings) = compare(&server, &api, Duration::from_secs(30)).await;
    assert_eq!((target.messages.sent, target.messages.done, target.messages.lost), (MESSAGES, MESSAGES, Some(0)));
    let usage = &target.usage;
    assert_eq!((usage.invocations, usage.cold_starts), (Some(4), Some(1)));
    // Four times 250 ms at half a GB.
    assert!(usage.gb_seconds.is_some_and(|seconds| (seconds - 0.5).abs() < 1e-9), "{usage:?}");
    assert_eq!(target.requests.empty_receive, Some(9));
    assert!(target.peak_capacity >= 5);
    assert!(warnings.iter().any(|warning| warning.contains("1 invocations throttled")), "{warnings:?}");
    assert_nulls_are_named(&serde_json::to_value(&target).expect("JSON"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cloudwatch_has_not_counted_in_time_stays_null() {
    let server = Arc::new(queues().await);
    let _mapping = map(&server);
    let api = emulator(&server).await;
    let (target, warnings) = compare(&server, &api, Duration::from_millis(10)).await;
    assert_eq!((target.messages.done, target.usage.gb_seconds), (MESSAGES, None));
    assert!(warnings.iter().any(|w| w.contains("it had counted 0 deletes of 40 messages")), "{warnings:?}");
    assert_nulls_are_named(&serde_json::to_value(&target).expect("JSON"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_that_is_not_there_is_named_in_cloudformation_s_words() {
    let server = Arc::new(queues().await);
    let api = emulator(&server).await;
    let account = Account::load(Some(api.url.clone())).await.expect("root certificates");
    let error = Outputs::of_stack("nope", &account).await.expect_err("no such stack").to_string();
    assert_eq!(error, "--from-stack nope: Stack with id nope does not exist");
    let missing = Outputs::of_stack("twin", &account).await.expect("outputs").need("Other", "what to do");
    assert_eq!(missing.expect_err("none").to_string(), "stack twin has no output Other: what to do");
}
