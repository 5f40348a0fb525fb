//! What cannot be run is refused before anything is sent, in bounded time and in words that say what to change.

use std::path::Path;

use axum::http::StatusCode;
use twinscale_sqs::server::Regions;

use super::apis::serve;
use super::{command, queues, queues_of, run, visible};
use crate::worker::process::Process;

async fn refused(args: &[&str], named: &str) {
    let output = run(command(args)).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{args:?}: {error}");
    assert!(error.contains(named), "{args:?} should say {named}: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_flags_are_named() {
    let server = queues().await;
    let endpoint = server.endpoint();
    let at = |args: &[&str]| -> Vec<String> {
        args.iter().chain(&["--endpoint-url", &endpoint]).map(|arg| (*arg).to_owned()).collect()
    };
    let eks = ["--eks-queue-url", "eks", "--journal-queue-url", "journal"];
    let cases: [(&[&str], &str); 9] = [
        (&[], "there is no target"),
        (&["--eks-queue-url", "eks", "--target", "lambda"], "there is no target"),
        (&["--eks-queue-url", "eks"], "no journal"),
        (&["--lambda-queue-url", "nope", "--journal-queue-url", "journal"], "nope"),
        (&["--eks-url", "eks.example"], "--eks-url eks.example"),
        (&["--live"], "--live: leave it out"),
        (&["--speed", "2"], "--speed: leave it out"),
        (&["--kubeconfig", "k", "--eks-deployment", "worker"], "NAMESPACE/NAME"),
        (&["--cloudwatch=soon"], "15m"),
    ];
    for (more, named) in cases {
        let base: &[&str] =
            if more.first().is_some_and(|flag| flag.contains("queue")) || more.is_empty() { &[] } else { &eks };
        let args = at(&[base, more].concat());
        refused(&args.iter().map(String::as_str).collect::<Vec<_>>(), named).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_holds_messages_is_refused_and_allowed_on_request() {
    let server = queues().await;
    let endpoint = server.endpoint();
    let tuning = twinscale::unstable::queue::Tuning { attempt_timeout: std::time::Duration::from_secs(5) };
    let queue = twinscale::unstable::queue::Queue::local(&endpoint, "eks", &tuning).await.expect("a region");
    let theirs = twinscale::unstable::queue::Outgoing { body: "theirs".to_owned(), ..Default::default() };
    assert_eq!(queue.send(vec![theirs]).await.accepted, 1);
    let args = ["--eks-queue-url", "eks", "--journal-queue-url", "journal", "--endpoint-url", &endpoint];
    refused(&args, "eks holds 1 messages").await;
    let allowed = [&args[..], &["--not-empty", "--messages", "5", "--limit", "2s"]].concat();
    let output = run(command(&allowed)).await;
    assert_eq!(output.status.code(), Some(1), "nobody consumes them: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_behind_an_endpoint_is_looked_for_in_the_region_of_the_environment() {
    let server = queues_of(Regions::Signed("eu-west-1".to_owned())).await;
    server.call("SendMessage", br#"{"QueueUrl":"eks","MessageBody":"theirs"}"#).await.expect("sent");
    let endpoint = server.endpoint();
    let args = ["--eks-queue-url", "eks", "--journal-queue-url", "journal", "--endpoint-url", &endpoint];
    for (region, named) in [("eu-west-1", "eks holds 1 messages"), ("us-east-1", "does not exist")] {
        let mut compare = command(&args);
        compare.env("AWS_REGION", region);
        let output = run(compare).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(named), "{region}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_not_there_or_no_sqs_is_refused() {
    let garbage = serve(|_, _, _| (StatusCode::OK, "<html>welcome</html>".to_owned())).await;
    for (endpoint, named) in [("http://127.0.0.1:9", "out of reach"), (garbage.url.as_str(), "eks")] {
        let args = ["--eks-queue-url", "eks", "--journal-queue-url", "j", "--endpoint-url", endpoint];
        refused(&args, named).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_front_that_does_not_let_us_in_is_refused_before_anything_is_sent() {
    let server = queues().await;
    let endpoint = server.endpoint();
    let with_token = Process::start(&endpoint, &[("QUEUE_URL", "eks"), ("SEND_TOKEN", "secret"), ("RECEIVE", "off")]);
    let off = Process::start(&endpoint, &[("QUEUE_URL", "eks"), ("SEND", "off")]);
    let garbage = serve(|_, _, _| (StatusCode::OK, "<html>welcome</html>".to_owned())).await;
    let with_token = format!("http://{}", with_token.addr().await);
    let off = format!("http://{}/", off.addr().await);
    let cases = [
        (with_token.as_str(), "SEND_TOKEN"),
        (&off, "SEND=off"),
        (&garbage.url, "welcome"),
        ("http://127.0.0.1:9", "127.0.0.1:9"),
    ];
    for (url, named) in cases {
        let args =
            ["--eks-queue-url", "eks", "--journal-queue-url", "journal", "--endpoint-url", &endpoint, "--eks-url", url];
        refused(&args, named).await;
    }
    assert_eq!(visible(&server, "eks"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_that_are_not_there_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("written");
        folder.path().join(name).display().to_string()
    };
    let none = file("none.json", "{}");
    let no_json = file("no.json", "queue_url = \"q\"");
    let no_journal = file(
        "no_journal.json",
        r#"{"queue_url": {"value": "q", "type": "string", "sensitive": false}, "journal_queue_url": {"value": null}}"#,
    );
    let missing = Path::new("/nowhere").join("terraform").display().to_string();
    for (path, named) in [
        (&none, "has no output queue_url"),
        (&no_json, "is not what 'terraform output -json' prints"),
        (&no_journal, "journal=true"),
        (&missing, "/nowhere/terraform"),
    ] {
        refused(&["--from-terraform", path], named).await;
    }
}

#[tokio::test]
async fn flags_of_deployed_targets_want_this_engine() {
    let mut local = std::process::Command::new(crate::twinscale());
    local.args(["compare", "--from-stack", "s"]);
    let output = run(local).await;
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--from-stack: it is about deployed targets"));
}
