//! Pods: real `twinscale-worker` processes, as a Deployment and the kubelet would run them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::pod::{Life, PodChange};
use twinscale_scaling::replica_set::{Candidate, Phase, victims};
use twinscale_sqs::clock::Clock;
use twinscale_work::{Wait, mix};

/// What every pod of a Deployment runs. Durations are in scenario time.
#[derive(Clone, Debug)]
pub struct PodTemplate {
    /// The Deployment's name; its pods' files begin with it, since UIDs are drawn anew in each.
    pub name: &'static str,
    /// The worker.
    pub program: PathBuf,
    /// Its whole environment but for the addresses where it listens; nothing is inherited.
    pub variables: Vec<(String, String)>,
    /// From creation to a Ready pod: scheduling, a new node, the image, the process.
    pub start_delay: Wait,
    /// Seed of the start delays.
    pub seed: u64,
    /// From SIGTERM to SIGKILL (`terminationGracePeriodSeconds`).
    pub grace_period: Duration,
    /// Where pods leave their addresses and, when `keep_logs`, what they print.
    pub folder: PathBuf,
    /// Whether to keep what they print.
    pub keep_logs: bool,
}

impl PodTemplate {
    /// The start delay of the pod with this UID: the same in every run.
    pub fn start_delay(&self, uid: u64) -> Duration {
        self.start_delay.drawn(mix(self.seed ^ uid))
    }
}

/// Pods of one template, as many as were asked for. Dropping it kills them all.
pub struct Deployment {
    template: Arc<PodTemplate>,
    clock: Clock,
    state: Mutex<DeploymentState>,
    tasks: TaskTracker,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct DeploymentState {
    created: u64,
    /// Those that count as replicas, oldest first.
    pods: Vec<ReplicaPod>,
    /// Deleted, and on their way out.
    terminating: Vec<ReplicaPod>,
    /// Lifetimes of the pods that are gone, summed.
    ended: Duration,
    /// What the last process took from its start until it was Ready.
    start_took: Duration,
    warnings: Vec<String>,
}

struct ReplicaPod {
    candidate: Candidate,
    pid: Option<u32>,
    started: Option<Duration>,
    address: Option<SocketAddr>,
    delete: CancellationToken,
    /// Aborted on drop, which kills the process.
    _task: AbortOnDropHandle<()>,
}

impl Deployment {
    /// A Deployment of no pods yet.
    pub fn new(template: PodTemplate, clock: Clock) -> Arc<Self> {
        let template = Arc::new(template);
        let tasks = TaskTracker::new();
        let changed = watch::Sender::new(());
        Arc::new(Self { template, clock, state: Mutex::default(), tasks, changed })
    }

    /// Creates or deletes pods until there are `replicas`. Call it inside a Tokio runtime.
    pub fn scale(self: &Arc<Self>, replicas: u32) {
        let now = self.clock.now();
        let mut state = self.state();
        let surplus = state.pods.len().saturating_sub(replicas as usize);
        let candidates: Vec<Candidate> = state.pods.iter().map(|pod| pod.candidate).collect();
        for uid in victims(&candidates, now).into_iter().take(surplus) {
            if let Some(at) = state.pods.iter().position(|pod| pod.candidate.uid == uid) {
                let pod = state.pods.remove(at);
                pod.delete.cancel();
                state.terminating.push(pod);
            }
        }
        while state.pods.len() < replicas as usize {
            state.created += 1;
            // A UID is chance; here it is drawn from the number, so that a run can be repeated.
            let uid = mix(state.created);
            let delete = CancellationToken::new();
            let template = self.template.clone();
            let head_start = state.start_took;
            let life = Life { template, clock: self.clock, uid, head_start, delete: delete.clone() };
            let weak = Arc::downgrade(self);
            let task = self.tasks.spawn(async move {
                let back = weak.clone();
                life.live(move |change| {
                    if let Some(deployment) = back.upgrade() {
                        deployment.note(uid, change);
                    }
                })
                .await;
                if let Some(deployment) = weak.upgrade() {
                    deployment.forget(uid);
                }
            });
            let phase = Phase::Pending;
            let candidate = Candidate { uid, phase, ready: None, siblings: 1, restarts: 0, created: now };
            state.pods.push(ReplicaPod {
                candidate,
                pid: None,
                started: None,
                address: None,
                delete,
                _task: AbortOnDropHandle::new(task),
            });
        }
    }

    /// Pods that exist and are not on their way out: the HPA's `status.replicas`.
    pub fn replicas(&self) -> u32 {
        u32::try_from(self.state().pods.len()).unwrap_or(u32::MAX)
    }

    /// Those of them that are Running and Ready.
    pub fn ready(&self) -> u32 {
        let ready = self.state().pods.iter().filter(|pod| pod.candidate.ready.is_some()).count();
        u32::try_from(ready).unwrap_or(u32::MAX)
    }

    /// Process ids of the running workers.
    pub fn pids(&self) -> Vec<u32> {
        self.state().pods.iter().filter_map(|pod| pod.pid).collect()
    }

    /// Addresses of the pods that are Ready.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.state().pods.iter().filter(|pod| pod.candidate.ready.is_some()).filter_map(|pod| pod.address).collect()
    }

    /// Lifetimes of all pods until `now`, summed: from creation until the process is gone, as they are paid for.
    pub fn pod_time(&self, now: Duration) -> Duration {
        let state = self.state();
        let alive = state.pods.iter().chain(&state.terminating);
        state.ended + alive.map(|pod| now.saturating_sub(pod.candidate.created)).sum::<Duration>()
    }

    /// How much later than their start delay the pods made since `origin` were Ready, at most: the machine's doing.
    pub fn late(&self, origin: Duration) -> Duration {
        let state = self.state();
        let made = state.pods.iter().map(|pod| pod.candidate).filter(|pod| pod.created >= origin);
        let late = made.filter_map(|pod| {
            let due = pod.created + self.template.start_delay(pod.uid);
            Some(pod.ready?.saturating_sub(due))
        });
        late.max().unwrap_or_default()
    }

    /// Waits until every pod is Ready.
    ///
    /// # Errors
    /// When a process ends before that, or `limit` passes, with what it said last.
    pub async fn all_ready(&self, limit: Duration) -> Result<(), String> {
        let mut changed = self.changed.subscribe();
        let all = async {
            while self.ready() < self.replicas() {
                if let Some(warning) = self.state().warnings.first() {
                    return Err(warning.clone());
                }
                if changed.changed().await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        tokio::time::timeout(limit, all).await.unwrap_or_else(|_| Err(format!("a pod was not ready within {limit:?}")))
    }

    /// Deletes all pods and waits until their processes are gone; returns what went wrong in their lives.
    pub async fn end(self: &Arc<Self>) -> Vec<String> {
        self.scale(0);
        self.tasks.close();
        self.tasks.wait().await;
        std::mem::take(&mut self.state().warnings)
    }

    /// What went wrong in the lives of the pods so far.
    pub fn warnings(&self) -> Vec<String> {
        self.state().warnings.clone()
    }

    fn note(&self, uid: u64, change: PodChange) {
        let now = self.clock.now();
        let mut state = self.state();
        let DeploymentState { pods, terminating, start_took, warnings, .. } = &mut *state;
        if let Some(pod) = pods.iter_mut().chain(terminating).find(|pod| pod.candidate.uid == uid) {
            match change {
                PodChange::Started(pid) => {
                    pod.candidate.phase = Phase::Running;
                    (pod.pid, pod.started) = (Some(pid), Some(now));
                }
                PodChange::Ready(address) => {
                    *start_took = now.saturating_sub(pod.started.unwrap_or(now));
                    pod.candidate.ready = Some(now);
                    pod.address = Some(address);
                }
                PodChange::Ended(how) => {
                    pod.candidate.ready = None;
                    pod.pid = None;
                    pod.candidate.restarts += 1;
                    warnings.push(how);
                }
                PodChange::Killed(how) => warnings.push(how),
            }
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn forget(&self, uid: u64) {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(at) = state.terminating.iter().position(|pod| pod.candidate.uid == uid) {
            let pod = state.terminating.remove(at);
            state.ended += now.saturating_sub(pod.candidate.created);
        }
        drop(state);
        self.changed.send_replace(());
    }

    fn state(&self) -> MutexGuard<'_, DeploymentState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
