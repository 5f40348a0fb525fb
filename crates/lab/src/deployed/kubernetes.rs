//! What the Kubernetes API tells of the worker's scaling: replicas of the Deployment, and the HPA's words for why.
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

use super::millis;
use crate::run::{Decision, Sample, Target};

/// A cluster that takes longer is out of reach.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Between a watch that ended and the next.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// The HPA writes its status right after it has scaled.
const STATUS_WITHIN_MS: u64 = 10_000;

/// Where the worker's Deployment is.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The program; `kubectl` is looked up in `PATH`.
    pub kubectl: PathBuf,
    /// `--kubeconfig`.
    pub kubeconfig: PathBuf,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub deployment: String,
}

/// Watches the Deployment and its HPA until it is dropped.
#[derive(Debug)]
pub struct Watch {
    seen: Arc<Mutex<Seen>>,
    _watching: [AbortOnDropHandle<()>; 2],
}

/// What was seen, in order of time (milliseconds since 1970).
#[derive(Debug, Default)]
struct Seen {
    replicas: Vec<(u64, Replicas)>,
    /// The HPA's `ScalingLimited` condition: reason and message.
    words: Vec<(u64, (String, String))>,
    problem: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Replicas {
    /// `spec.replicas`: asked for.
    wanted: u32,
    /// `status.replicas`: pods that exist.
    exist: u32,
}

impl Cluster {
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
            let (namespace, name) = (&self.namespace, &self.deployment);
            return Err(format!("Deployment {namespace}/{name} (--eks-deployment): {}", told.trim()));
        }
        Ok(())
    }

    /// Begins to watch.
    pub fn watch(&self) -> Watch {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let deployments = format!("?watch=1&fieldSelector=metadata.name={}", self.deployment);
        let deployments = format!("/apis/apps/v1/namespaces/{}/deployments{deployments}", self.namespace);
        let hpas = format!("/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers?watch=1", self.namespace);
        let start = |path: String| {
            let (cluster, seen) = (self.clone(), seen.clone());
            AbortOnDropHandle::new(tokio::spawn(async move { cluster.follow(&path, &seen).await }))
        };
        Watch { _watching: [start(deployments), start(hpas)], seen }
    }

    fn get(&self, path: &str) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(["get", "--raw", path]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Reads a watch line by line; the API ends each after a while, and the next begins with the state of then.
    async fn follow(&self, path: &str, seen: &Mutex<Seen>) {
        loop {
            if let Err(problem) = self.read(path, seen).await {
                lock(seen).problem.get_or_insert(problem);
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn read(&self, path: &str, seen: &Mutex<Seen>) -> Result<(), String> {
        let mut child = self.get(path).spawn().map_err(|error| error.to_string())?;
        let (Some(out), Some(mut err)) = (child.stdout.take(), child.stderr.take()) else { return Ok(()) };
        let mut lines = BufReader::new(out).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Ok(event) = serde_json::from_str::<Value>(&line) {
                lock(seen).take(millis(), &self.deployment, &event["object"]);
            }
        }
        let mut told = String::new();
        let _ = err.read_to_string(&mut told).await;
        match child.wait().await {
            Ok(status) if status.success() => Ok(()),
            _ => Err(told.trim().to_owned()),
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
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

impl Seen {
    fn take(&mut self, at: u64, deployment: &str, object: &Value) {
        let count = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
        match object["kind"].as_str() {
            Some("Deployment") => {
                let replicas = Replicas {
                    wanted: count(&object["spec"]["replicas"]),
                    exist: count(&object["status"]["replicas"]),
                };
                if self.replicas.last().map(|(_, last)| *last) != Some(replicas) {
                    self.replicas.push((at, replicas));
                }
            }
            Some("HorizontalPodAutoscaler") if object["spec"]["scaleTargetRef"]["name"] == deployment => {
                let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
                let limited = conditions.into_iter().find(|condition| condition["type"] == "ScalingLimited");
                let text = |field: &str| limited.and_then(|limited| limited[field].as_str()).map(str::to_owned);
                self.words.extend(text("reason").map(|reason| (at, (reason, text("message").unwrap_or_default()))));
            }
            _ => {}
        }
    }

    /// Pods that existed at that time.
    fn exist(&self, at: u64) -> u32 {
        let next = self.replicas.partition_point(|(seen, _)| *seen <= at);
        let known = self.replicas.get(next.saturating_sub(1));
        known.map(|(_, replicas)| replicas.exist).unwrap_or_default()
    }

    /// The HPA's words for what it did at that time: those that it wrote right after, or else those before.
    fn words(&self, at: u64) -> Option<&(String, String)> {
        let next = self.words.partition_point(|(seen, _)| *seen < at);
        let after = self.words.get(next).filter(|(seen, _)| *seen <= at + STATUS_WITHIN_MS);
        after.or_else(|| self.words.get(next.checked_sub(1)?)).map(|(_, words)| words)
    }

    fn fill(&self, target: &mut Target, origin: u64, end: u64, floor: Option<u64>, warnings: &mut Vec<String>) {
        warnings.extend(self.problem.iter().map(|problem| format!("eks: a watch on the cluster failed: {problem}")));
        if self.replicas.is_empty() {
            return;
        }
        let since = |at: u64| Duration::from_millis(at.saturating_sub(origin)).as_secs_f64();
        target.unavailable.remove("usage.pod_seconds");
        target.unavailable.remove("decisions.reason");
        let drained = target.drain_seconds;
        target.floor_seconds = floor.and_then(|at| Some(since(at).max(drained?)));
        let until = match target.floor_seconds {
            Some(floor) => {
                target.unavailable.remove("floor_seconds");
                origin + (floor * 1000.0) as u64
            }
            None => {
                let why = "the run was ended before the replicas were back at what they were";
                target.unavailable.insert("floor_seconds".to_owned(), why.to_owned());
                end
            }
        };
        for sample in &mut target.samples {
            sample.capacity = self.exist(origin + (sample.t * 1000.0) as u64);
        }
        // The idle tail: nothing waits any more, and only the capacity changes.
        let last = target.samples.last().map_or(0.0, |sample| sample.t);
        let tail = self.replicas.iter().filter(|(at, _)| since(*at) > last);
        let tail = tail.map(|(at, replicas)| Sample { t: since(*at), capacity: replicas.exist, ..Sample::default() });
        target.samples.extend(tail.collect::<Vec<_>>());
        // Of all that was told: pods may come and go between two looks.
        let told = self.replicas.iter().filter(|(at, _)| (origin..=until).contains(at));
        let told = told.map(|(_, replicas)| replicas.exist).max();
        target.peak_capacity = told.unwrap_or_default().max(self.exist(origin));
        target.usage.pod_seconds = Some(self.pod_seconds(origin, until));
        target.decisions = self.decisions(origin);
    }

    fn pod_seconds(&self, from: u64, to: u64) -> f64 {
        let mut times: Vec<u64> =
            self.replicas.iter().map(|(at, _)| *at).filter(|at| (from..to).contains(at)).collect();
        times.insert(0, from);
        times.push(to);
        let spans = times.windows(2).map(|pair| u64::from(self.exist(pair[0])) * (pair[1] - pair[0]));
        spans.sum::<u64>() as f64 / 1000.0
    }

    fn decisions(&self, origin: u64) -> Vec<Decision> {
        let pairs = self.replicas.windows(2).filter(|pair| pair[0].1.wanted != pair[1].1.wanted);
        pairs
            .map(|pair| {
                let ((_, before), (at, after)) = (pair[0], pair[1]);
                let (by, (reason, detail)) = match (before.wanted, after.wanted) {
                    // From and to nothing it is KEDA itself that scales.
                    (0, _) => ("keda", (Some("Activated".to_owned()), String::new())),
                    (_, 0) => ("keda", (Some("Deactivated".to_owned()), String::new())),
                    _ => ("hpa", self.words(at).map_or((None, String::new()), |(r, d)| (Some(r.clone()), d.clone()))),
                };
                let t = Duration::from_millis(at.saturating_sub(origin)).as_secs_f64();
                Decision { t, from: before.wanted, to: after.wanted, by: by.to_owned(), reason, detail }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(wanted: u32, exist: u32) -> Value {
        json!({"kind": "Deployment", "spec": {"replicas": wanted}, "status": {"replicas": exist}})
    }

    fn hpa(reason: &str) -> Value {
        let limited = json!({"type": "ScalingLimited", "status": "True", "reason": reason, "message": "because"});
        json!({"kind": "HorizontalPodAutoscaler", "spec": {"scaleTargetRef": {"name": "worker"}},
            "status": {"conditions": [{"type": "AbleToScale", "reason": "SucceededRescale"}, limited]}})
    }

    fn seen(events: &[(u64, Value)]) -> Seen {
        let mut seen = Seen::default();
        events.iter().for_each(|(at, object)| seen.take(*at, "worker", object));
        seen
    }

    #[test]
    fn decisions_carry_the_words_that_the_hpa_wrote_for_them() {
        let seen = seen(&[
            (0, deployment(0, 0)),
            (1_000, deployment(1, 1)),
            (14_000, hpa("DesiredWithinRange")),
            (16_000, deployment(4, 1)),
            (16_020, hpa("ScaleUpLimit")),
            (16_100, deployment(4, 4)),
            (300_000, deployment(0, 4)),
        ]);
        let told: Vec<_> = seen
            .decisions(1_000)
            .into_iter()
            .map(|d| (d.t, d.from, d.to, d.by, d.reason.unwrap_or_default()))
            .collect();
        let expected = [
            (0.0, 0, 1, "keda", "Activated"),
            (15.0, 1, 4, "hpa", "ScaleUpLimit"),
            (299.0, 4, 0, "keda", "Deactivated"),
        ];
        let expected = expected.map(|(t, from, to, by, reason)| (t, from, to, by.to_owned(), reason.to_owned()));
        assert_eq!(told, expected);
    }

    #[test]
    fn pod_seconds_are_those_of_pods_that_exist() {
        let seen = seen(&[(0, deployment(1, 1)), (10_000, deployment(3, 1)), (12_000, deployment(3, 3))]);
        // From 2 to 12 s one pod, then three until 22 s.
        assert!((seen.pod_seconds(2_000, 22_000) - 40.0).abs() < 1e-9);
        assert_eq!((seen.exist(11_999), seen.exist(12_000)), (1, 3));
    }
}
