//! A Kubernetes API, as far as the engine asks it through kubectl: the worker's Deployment and its HPA, as watches.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as Parts, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;
use twinscale_lab::deployed::{self, Account, ClusterAccess, DeployedOptions, DeployedPlace};
use twinscale_lab::run::Target;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::target::TargetKind;
use twinscale_scaling::{Reason, Scaler};

use super::{assert_nulls_are_named, queues, visible};
use crate::worker::process::Process;

/// The API: each watch begins with the state of now, and goes on with the changes.
struct Kubernetes {
    url: String,
    changes: broadcast::Sender<Value>,
    /// What kubectl has printed, watch by watch.
    printed: PathBuf,
    _serving: AbortOnDropHandle<()>,
}

fn deployment(wanted: u32, exist: u32) -> Value {
    json!({
        "kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "worker", "namespace": "twinscale"},
        "spec": {"replicas": wanted}, "status": {"replicas": exist, "readyReplicas": exist},
    })
}

fn hpa(reason: &str, message: &str) -> Value {
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-11-26T05:00:00Z", "reason": reason, "message": message});
    json!({
        "kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v2", "metadata": {"name": "keda-hpa-worker"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"}, "minReplicas": 1},
        "status": {"conditions": [
            condition("AbleToScale", "SucceededRescale", "the HPA controller was able to update the target scale"),
            condition("ScalingLimited", reason, message),
        ]},
    })
}

fn first_deployment() -> Value {
    deployment(1, 1)
}

fn first_hpa() -> Value {
    hpa("DesiredWithinRange", "within the range")
}

fn rescaled(size: u32) -> Value {
    json!({
        "kind": "Event", "apiVersion": "v1", "reason": "SuccessfulRescale",
        "message": format!("New size: {size}; reason: external metric s0-aws-sqs-eks above target"),
    })
}

impl Kubernetes {
    async fn start(folder: &Path) -> Self {
        let (changes, _) = broadcast::channel(100);
        let router = Router::new()
            .route("/apis/apps/v1/namespaces/twinscale/deployments/{name}", get(one))
            .route("/apis/{group}/{version}/namespaces/twinscale/{kind}", get(watch))
            .route("/api/{version}/namespaces/twinscale/events", get(events))
            .with_state(changes.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { url, changes, printed: folder.join("printed"), _serving: AbortOnDropHandle::new(serving) }
    }

    fn kubeconfig(&self, folder: &Path) -> PathBuf {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "users": [{"name": "test", "user": {"token": "test"}}],
        });
        let path = folder.join("kubeconfig");
        std::fs::write(&path, config.to_string()).expect("written");
        path
    }

    /// Until all watches are there, and kubectl has handed on what they begin with.
    async fn watched(&self) {
        while self.changes.receiver_count() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.handed_on(&line("ADDED", &first_deployment())).await;
        self.handed_on(&line("ADDED", &first_hpa())).await;
    }

    /// Tells a change, and waits until kubectl has handed it on: several watches promise no order among them.
    async fn tell(&self, object: Value) {
        let line = line("MODIFIED", &object);
        self.changes.send(object).expect("all are watched");
        self.handed_on(&line).await;
    }

    async fn handed_on(&self, line: &str) {
        let printed = async {
            while !std::fs::read_to_string(&self.printed).is_ok_and(|printed| printed.contains(line)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), printed).await.expect("kubectl hands on what it is told");
        // From kubectl's pipe into the engine, which runs in this process.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// As the API writes an event of a watch.
fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

async fn one(Parts(name): Parts<String>) -> Response {
    if name == "worker" {
        return axum::Json(first_deployment()).into_response();
    }
    let message = format!("deployments.apps \"{name}\" not found");
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": "NotFound", "code": 404});
    (StatusCode::NOT_FOUND, axum::Json(status)).into_response()
}

async fn watch(
    State(changes): State<broadcast::Sender<Value>>,
    Parts((_, _, kind)): Parts<(String, String, String)>,
) -> Response {
    match kind.as_str() {
        "deployments" => stream(&changes, "Deployment", Some(first_deployment())),
        _ => stream(&changes, "HorizontalPodAutoscaler", Some(first_hpa())),
    }
}

async fn events(State(changes): State<broadcast::Sender<Value>>) -> Response {
    stream(&changes, "Event", None)
}

fn stream(changes: &broadcast::Sender<Value>, of_kind: &'static str, first: Option<Value>) -> Response {
    let line = |kind, object: &Value| Bytes::from(line(kind, object));
    let first = first.map(|first| line("ADDED", &first));
    let changes = changes.subscribe();
    let stream = futures_util::stream::unfold((first, changes), move |(first, mut changes)| async move {
        if let Some(first) = first {
            return Some((Ok::<_, std::io::Error>(first), (None, changes)));
        }
        loop {
            let object = changes.recv().await.ok()?;
            if object["kind"] == of_kind {
                return Some((Ok(line("MODIFIED", &object)), (None, changes)));
            }
        }
    });
    Response::new(Body::from_stream(stream))
}

/// kubectl where it is installed; where not, a stand-in that does what the engine needs of it. What it prints is copied.
fn kubectl(folder: &Path, printed: &Path) -> PathBuf {
    let found = Command::new("kubectl").args(["version", "--client"]).output();
    let kubectl = if found.is_ok_and(|output| output.status.success()) {
        PathBuf::from("kubectl")
    } else {
        eprintln!("kubectl is not installed: a stand-in of twelve lines asks the API in its place");
        program(folder.join("stand-in"), STAND_IN)
    };
    let kubectl = kubectl.display();
    let printed = printed.display();
    let copying = format!("#!/usr/bin/env bash\nset -o pipefail\n{kubectl} \"$@\" | tee -a {printed}\n");
    program(folder.join("kubectl"), &copying)
}

fn program(path: PathBuf, text: &str) -> PathBuf {
    std::fs::write(&path, text).expect("written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&path, mode).expect("ours");
    path
}

const STAND_IN: &str = r#"#!/usr/bin/env python3
import json, sys, urllib.request, urllib.error
_, _, config, _, _, path = sys.argv
server = json.load(open(config))["clusters"][0]["cluster"]["server"]
try:
    for line in urllib.request.urlopen(server + path):
        sys.stdout.write(line.decode())
        sys.stdout.flush()
except urllib.error.HTTPError as error:
    sys.exit("Error from server (NotFound): " + json.load(error)["message"])
"#;

fn cluster(api: &Kubernetes, folder: &Path, deployment: &str) -> ClusterAccess {
    let kubeconfig = api.kubeconfig(folder);
    let deployment = deployment.to_owned();
    ClusterAccess { kubectl: kubectl(folder, &api.printed), kubeconfig, namespace: "twinscale".to_owned(), deployment }
}

fn options(endpoint: &str, cluster: ClusterAccess) -> DeployedOptions {
    let place =
        DeployedPlace { queue: "eks".to_owned(), journal: Some("journal".to_owned()), ..DeployedPlace::default() };
    let places = [(TargetKind::Eks, place)].into();
    DeployedOptions {
        places,
        endpoint: Some(endpoint.to_owned()),
        cluster: Some(cluster),
        ..DeployedOptions::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_tells_replicas_reasons_pod_seconds_and_the_floor() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = queues().await;
    let api = Kubernetes::start(folder.path()).await;
    let endpoint = server.endpoint();
    let options = options(&endpoint, cluster(&api, folder.path(), "worker"));
    let account = Arc::new(Account::load(Some(endpoint.clone())).await.expect("root certificates"));
    let scenario = Scenario { messages: 20, limit: Duration::from_secs(60), ..Scenario::default() };
    let script = async {
        // All watches are there, and the load has arrived: now the cluster scales, and only then somebody works.
        api.watched().await;
        while visible(&server, "eks") < 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        api.tell(deployment(4, 1)).await;
        api.tell(rescaled(4)).await;
        api.tell(hpa("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate"))
            .await;
        api.tell(deployment(4, 4)).await;
        let variables = [("QUEUE_URL", "eks"), ("JOURNAL_QUEUE_URL", "journal"), ("WORK_WAIT", "10ms")];
        let worker = Process::start(&endpoint, &variables);
        while server.counts("eks").is_ok_and(|counts| counts.visible + counts.in_flight > 0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        api.tell(deployment(1, 4)).await;
        api.tell(hpa("TooFewReplicas", "the desired replica count is less than the minimum replica count")).await;
        api.tell(deployment(1, 1)).await;
        worker
    };
    let mut show = |_| {};
    let (run, _worker) =
        tokio::join!(deployed::run(&scenario, &options, account, std::future::pending(), &mut show), script);
    let mut run = run.expect("it runs");
    assert_eq!(run.warnings, [] as [String; 0]);
    let target: Target = run.targets.remove(TargetKind::Eks).expect("it ran");
    assert_eq!((target.messages.done, target.messages.lost, target.peak_capacity), (20, Some(0), 4));
    let told: Vec<_> = target.decisions.iter().map(|d| (d.from, d.to, d.by, d.reason)).collect();
    assert_eq!(
        told,
        [
            (1, 4, Scaler::Hpa.into(), Some(Reason::ScaleUpLimit)),
            (4, 1, Scaler::Hpa.into(), Some(Reason::TooFewReplicas))
        ]
    );
    let detail = &target.decisions[0].detail;
    assert!(detail.contains("s0-aws-sqs-eks above target") && detail.contains("maximum scale rate"), "{detail}");
    let drain = target.drain_seconds.expect("drained");
    let floor = target.floor_seconds.expect("back");
    assert!(floor >= drain, "{floor} {drain}");
    let pods = target.usage.pod_seconds.expect("watched");
    assert!(pods > floor && pods < 4.0 * floor, "one pod at first, then four: {pods} in {floor} s");
    assert_nulls_are_named(&serde_json::to_value(&target).expect("JSON"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_is_not_there_is_refused_in_kubectl_s_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = queues().await;
    let api = Kubernetes::start(folder.path()).await;
    let options = options(&server.endpoint(), cluster(&api, folder.path(), "other"));
    let account = Arc::new(Account::load(Some(server.endpoint())).await.expect("root certificates"));
    let run = deployed::run(&Scenario::default(), &options, account, std::future::pending(), &mut |_| {}).await;
    let error = run.expect_err("refused").to_string();
    assert!(error.contains("twinscale/other") && error.contains("not found"), "{error}");
}
