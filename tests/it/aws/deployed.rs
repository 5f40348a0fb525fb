//! Real workers and functions against the embedded queue, compared by the command line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::mpsc;
use twinscale_lab::processes::environment::Settings;
use twinscale_lab::processes::event_source::{Mapping, Source};
use twinscale_lab::processes::front::Front;
use twinscale_scaling::event_source;
use twinscale_sqs::clock::Clock;
use twinscale_sqs::server::SqsServer;

use super::{assert_nulls_are_named, command, queues, run, run_json, visible};
use crate::function::deploy;
use crate::worker::process::Process;

const LAMBDA_SQS: &str = "lambda-sqs";
const LAMBDA_HTTP: &str = "lambda-http";

/// A function behind a mapping on the queue `lambda`.
pub fn map(server: &Arc<SqsServer>) -> Mapping {
    let endpoint = server.endpoint();
    let variables = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("JOURNAL_QUEUE_URL", "journal"), ("WORK_WAIT", "10ms")];
    let counts = server.clone();
    let source = Source {
        queue_url: format!("{endpoint}/000000000000/lambda"),
        queue_arn: server.arn("lambda"),
        settings: event_source::MappingSettings {
            report_batch_item_failures: true,
            ..event_source::MappingSettings::default()
        },
        function: deploy(LAMBDA_SQS, &variables, Settings::default()),
        counts: Arc::new(move || counts.counts("lambda").ok()),
        estimates: twinscale_scaling::estimates::Estimates::default(),
        delivery: twinscale_lab::scenario::Scenario::default().delivery(),
        seed: 1,
        clock: Clock::new(1.0),
        groups: None,
    };
    Mapping::start(source, mpsc::unbounded_channel().0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_targets_take_the_load_by_their_send_and_lose_nothing() {
    let server = Arc::new(queues().await);
    let endpoint = server.endpoint();
    let worker = Process::start(
        &endpoint,
        &[
            ("QUEUE_URL", "eks"),
            ("JOURNAL_QUEUE_URL", "journal"),
            ("WORK_WAIT", "10ms"),
            ("SEND_TOKEN", "secret"),
            // Fewer than there are messages: the engine has to ask for less at once.
            ("SEND_LIMIT", "25"),
        ],
    );
    let _mapping = map(&server);
    let http = deploy(
        LAMBDA_HTTP,
        &[("AWS_ENDPOINT_URL", endpoint.as_str()), ("QUEUE_URL", "lambda"), ("SEND_AUTH", "iam")],
        Settings::default(),
    );
    let front = Front::bind(http).await.expect("a free port");
    let eks_url = format!("http://{}", worker.addr().await);
    let lambda_url = format!("http://{}/send", front.address());
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let mut compare = command(&[
        "--eks-queue-url",
        "eks",
        "--lambda-queue-url",
        &format!("{endpoint}/000000000000/lambda"),
        "--journal-queue-url",
        "journal",
        "--eks-url",
        &eks_url,
        "--lambda-url",
        &lambda_url,
        "--endpoint-url",
        &endpoint,
        "--messages",
        "60",
        "--limit",
        "60s",
        "--out",
        &out,
    ]);
    compare.env("SEND_TOKEN", "secret");
    let output = run(compare).await;
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{error}");
    assert!(error.contains("about 0.0") && error.contains("USD"), "the cost is told beforehand: {error}");
    let run = run_json(folder.path());
    assert_eq!((&run["engine"], &run["warnings"]), (&"aws".into(), &serde_json::json!([])));
    for name in ["eks", "lambda"] {
        let target = &run["targets"][name];
        let messages = &target["messages"];
        let counts = ["sent", "done", "lost", "unaccounted"].map(|field| messages[field].as_u64());
        assert_eq!(counts, [Some(60), Some(60), Some(0), Some(0)], "{name}: {messages}");
        assert!(target["drain_seconds"].as_f64() > Some(0.0), "{name}: {target}");
        assert!(target["peak_capacity"].as_u64() > Some(0), "{name}: {target}");
        assert_nulls_are_named(target);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_leaves_the_run_so_far_and_the_queue_as_it_is() {
    let server = queues().await;
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let endpoint = server.endpoint();
    // Nobody consumes: it would wait until the limit.
    let mut compare = command(&[
        "--eks-queue-url",
        "eks",
        "--lambda-queue-url",
        "lambda",
        "--journal-queue-url",
        "journal",
        "--endpoint-url",
        &endpoint,
        "--messages",
        "30",
        "--out",
        &out,
    ]);
    let mut compare = compare.stdout(std::process::Stdio::null()).spawn().expect("it starts");
    let until = Instant::now() + Duration::from_secs(60);
    while visible(&server, "eks") < 30 {
        assert!(Instant::now() < until, "the load does not arrive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kill(Pid::from_raw(compare.id().cast_signed()), Signal::SIGINT).expect("it runs");
    let status = tokio::task::spawn_blocking(move || compare.wait()).await.expect("no panic").expect("it is ours");
    assert_eq!(status.code(), Some(130));
    let run = run_json(folder.path());
    let target = &run["targets"]["eks"];
    let counts = ["sent", "done", "lost", "unaccounted"].map(|field| target["messages"][field].as_u64());
    assert_eq!(counts, [Some(30), Some(0), Some(0), Some(0)], "{target}");
    assert_eq!(target["drain_seconds"], serde_json::Value::Null);
    assert_nulls_are_named(target);
    assert!(run["targets"]["lambda"].is_null(), "the second target was not begun");
    let warnings = run["warnings"].to_string();
    assert!(warnings.contains("eks: stopped before the end") && warnings.contains("lambda: not begun"), "{warnings}");
    assert_eq!(visible(&server, "eks"), 30, "nothing was purged");
}
