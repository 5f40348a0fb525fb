//! What the Kubernetes API tells of the worker's scaling: replicas of the Deployment, the HPA's reasons, and the events
//! in which it tells what it did.
//!
//! By `kubectl`, which whoever has a kubeconfig has, and which knows every way to log in to a cluster: a client library
//! of our own would be the heaviest dependency of the laboratory. It only reads.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use seen::{ClusterHistory, ClusterWatch};

use super::millis;
use crate::run::Target;

mod seen;

/// A cluster that takes longer is out of reach.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Between a watch that ended and the next.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where the worker's Deployment is.
#[derive(Clone, Debug)]
pub struct ClusterAccess {
    /// The program; `kubectl` is looked up in `PATH`.
    pub kubectl: PathBuf,
    /// `--kubeconfig`.
    pub kubeconfig: PathBuf,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub deployment: String,
}

/// Watches the Deployment, its HPA and the namespace's events until it is dropped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<ClusterHistory>>,
    _watching: [AbortOnDropHandle<()>; 3],
}

impl ClusterAccess {
    /// Asks once for the Deployment.
    ///
    /// # Errors
    /// What kubectl says, or what to change.
    pub async fn check(&self) -> Result<(), String> {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/{}", self.namespace, self.deployment);
        let mut get = self.get(&path);
        let asked = timeout(ANSWER_WITHIN, get.output()).await;
        let output = asked
            .map_err(|_| format!("the cluster did not answer within {} s", ANSWER_WITHIN.as_secs()))?
            .map_err(|error| format!("kubectl cannot be run ({error}): install it"))?;
        let told = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let namespace = &self.namespace;
            let name = &self.deployment;
            return Err(format!("Deployment {namespace}/{name} (--eks-deployment): {}", told.trim()));
        }
        Ok(())
    }

    /// Begins to watch.
    pub fn watch(&self) -> Watch {
        let seen = Arc::new(Mutex::new(ClusterHistory::default()));
        let watching = ClusterWatch::ALL.map(|source| {
            let cluster = self.clone();
            let seen = seen.clone();
            AbortOnDropHandle::new(tokio::spawn(async move { cluster.follow(source, &seen).await }))
        });
        Watch { _watching: watching, seen }
    }

    fn path(&self, source: ClusterWatch) -> String {
        let Self { namespace, deployment, .. } = self;
        match source {
            ClusterWatch::Deployment => format!(
                "/apis/apps/v1/namespaces/{namespace}/deployments?watch=1&fieldSelector=metadata.name={deployment}"
            ),
            ClusterWatch::Hpa => {
                format!("/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers?watch=1")
            }
            ClusterWatch::Events => {
                format!("/api/v1/namespaces/{namespace}/events?watch=1&fieldSelector=reason={}", seen::RESCALED)
            }
        }
    }

    fn get(&self, path: &str) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["get", "--raw", path]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Reads a watch line by line; the API ends each after a while, and the next begins with the state of then.
    async fn follow(&self, source: ClusterWatch, seen: &Mutex<ClusterHistory>) {
        loop {
            if let Err(problem) = self.read(source, seen).await {
                lock(seen).failed(millis(), source, problem);
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn read(&self, source: ClusterWatch, seen: &Mutex<ClusterHistory>) -> Result<(), String> {
        let mut child = self.get(&self.path(source)).spawn().map_err(|error| error.to_string())?;
        let (Some(out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else { return Ok(()) };
        let mut lines = BufReader::new(out).lines();
        while let Some(line) = lines.next_line().await.map_err(|error| error.to_string())? {
            let event = serde_json::from_str::<Value>(&line);
            let event = event.map_err(|error| format!("a line that is no JSON ({error}): {line:.80}"))?;
            // Such as 410 Gone, where the API no longer has what was asked for.
            if event["type"] == "ERROR" {
                let object = &event["object"];
                return Err(object["message"].as_str().map_or_else(|| object.to_string(), str::to_owned));
            }
            lock(seen).take(millis(), &self.deployment, &event["object"]);
        }
        let mut told = String::new();
        err.read_to_string(&mut told).await.map_err(|error| error.to_string())?;
        match child.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(told.trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn lock(seen: &Mutex<ClusterHistory>) -> MutexGuard<'_, ClusterHistory> {
    // Nothing panics while it holds the lock; and if it did, what was seen would still be true.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Whether pods exist in the number that was there at first; false until anything was seen.
    pub fn at_floor(&self) -> bool {
        let seen = lock(&self.seen);
        let (Some((_, first)), Some((_, last))) = (seen.replicas.first(), seen.replicas.last()) else { return false };
        last.exist <= first.exist && last.wanted <= first.wanted
    }

    /// Fills in what only the API knows: capacity, decisions with their reasons, pod seconds, the floor. `origin` is the
    /// first send, `end` the last look.
    pub fn fill(&self, target: &mut Target, origin: u64, end: u64, warnings: &mut Vec<String>) {
        let floor = self.at_floor_since();
        lock(&self.seen).fill(target, origin, end, floor, warnings);
    }

    fn at_floor_since(&self) -> Option<u64> {
        if !self.at_floor() {
            return None;
        }
        let seen = lock(&self.seen);
        let floor = seen.replicas.first()?.1.exist;
        let after = seen.replicas.iter().rposition(|(_, replicas)| replicas.exist > floor);
        Some(seen.replicas[after.map_or(0, |above| above + 1)].0)
    }
}
