//! The worker on EKS: pods that KEDA and the HPA make and end.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::Event;
use super::nodes::{NOTICE, SimulatedNodes};
use super::pod::{Kind, PodState, SimulatedPod};
use super::virtual_time::VirtualTime;
use super::{Host, Used};
use crate::run::Usage;
use crate::scenario::{Eks as Target, Scenario};
use twinscale_scaling::Policy;
use twinscale_scaling::keda::Keda;
use twinscale_scaling::replica_set::{Candidate, Phase, victims};
use twinscale_scaling::scaled_job::ScaledJob;
use twinscale_work::{Work, mix};

/// The pods of one target, and what scales them.
pub(super) struct SimulatedEks {
    kind: Kind,
    scaler: Scaler,
    target: Target,
    nodes: Option<SimulatedNodes>,
    /// Every pod that there ever was; those that are gone hold nothing.
    pods: Vec<SimulatedPod>,
    /// Indices of those that exist, oldest first.
    alive: Vec<u32>,
    /// Pods whose long poll waits, in the order in which they asked.
    polling: VecDeque<u32>,
    floor: u32,
    ended: Duration,
}

/// Who says how many pods there are.
enum Scaler {
    Object(Box<Keda>),
    Job(ScaledJob),
}

impl Scaler {
    fn policy(&mut self) -> &mut dyn Policy {
        match self {
            Self::Object(keda) => keda.as_mut(),
            Self::Job(job) => job,
        }
    }

    fn queue_reads(&self) -> u64 {
        match self {
            Self::Object(keda) => keda.queue_reads(),
            Self::Job(job) => job.queue_reads(),
        }
    }

    /// Replicas that a Deployment keeps up; a job that is gone is not made anew.
    fn replicas(&self) -> u32 {
        match self {
            Self::Object(keda) => keda.replicas(),
            Self::Job(_) => 0,
        }
    }
}

impl SimulatedEks {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let pod = scenario.eks.pod.clone();
        let job = scenario.eks.job.as_ref();
        let floor = scenario.eks.floor();
        let phases = scenario.phases();
        let kind = Kind {
            work: Work { cpu_limit: pod.cpu_limit, seed: scenario.seed, ..scenario.work.clone() },
            settings: pod,
            visibility: scenario.queue.visibility_timeout,
            max_receives: scenario.queue.max_receive_count,
            fifo: scenario.queue.fifo,
            jobs: job.is_some(),
            messages: job.and_then(|job| job.messages_per_job),
            seed: scenario.seed,
        };
        Self {
            kind,
            scaler: match job {
                Some(job) => Scaler::Job(ScaledJob::new(job.clone(), phases.poll)),
                None => {
                    Scaler::Object(Box::new(Keda::new(scenario.eks.keda.clone(), floor, phases, &scenario.estimates)))
                }
            },
            target: scenario.eks.clone(),
            nodes: None,
            pods: Vec::new(),
            alive: Vec::new(),
            polling: VecDeque::new(),
            floor,
            ended: Duration::ZERO,
        }
    }

    fn create(&mut self, now: Duration) -> u32 {
        let index = self.pods.len() as u32;
        self.pods.push(SimulatedPod::new(index, now, &self.kind));
        self.alive.push(index);
        index
    }

    fn count(&self, states: &[PodState]) -> u32 {
        self.alive.iter().filter(|pod| states.contains(&self.pods[**pod as usize].state)).count() as u32
    }

    /// Makes or ends pods until there are `to`.
    fn resize(&mut self, to: u32, stage: &mut VirtualTime) {
        let existing = self.count(&[PodState::Starting, PodState::Ready]);
        for _ in existing..to {
            let pod = self.create(stage.now);
            self.schedule(pod, stage);
        }
        if to < existing {
            let order = victims(&self.candidates(), stage.now);
            for uid in order.into_iter().take((existing - to) as usize) {
                let victim = self.alive.iter().copied().find(|pod| uid_of(*pod) == uid);
                let Some(victim) = victim else { continue };
                self.terminate(victim, self.kind.settings.grace_period, stage);
            }
        }
    }

    fn terminate(&mut self, pod: u32, grace: Duration, stage: &mut VirtualTime) {
        self.pods[pod as usize].terminate(grace, stage, &self.kind);
        self.remove_if_drained(pod, stage);
    }

    /// Finds a node for a pod that starts, where nodes are modelled, and plans when it is Ready.
    fn schedule(&mut self, pod: u32, stage: &mut VirtualTime) {
        let mut image = Duration::ZERO;
        if let Some(nodes) = &mut self.nodes {
            let Some((node, pull)) = nodes.place(pod, stage.now, &mut stage.agenda) else { return };
            self.pods[pod as usize].node = Some(node);
            image = pull;
        }
        let start = self.kind.settings.start_delay.drawn(mix(self.kind.seed ^ uid_of(pod)));
        stage.agenda.plan(stage.now + image + start, Event::Ready { pod });
    }

    /// Room has come: places the pods that wait for it.
    fn schedule_waiting(&mut self, stage: &mut VirtualTime) {
        let waiting = self.nodes.as_mut().map(SimulatedNodes::take_waiting).unwrap_or_default();
        for pod in waiting {
            if self.pods[pod as usize].state == PodState::Starting {
                self.schedule(pod, stage);
            }
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        let alive = || self.alive.iter().map(|index| (*index, &self.pods[*index as usize]));
        let active = || alive().filter(|(_, pod)| matches!(pod.state, PodState::Starting | PodState::Ready));
        let candidate = |(index, pod): (u32, &SimulatedPod)| {
            let phase = match (pod.state, pod.node) {
                (PodState::Ready, _) => Phase::Running,
                (_, None) if self.nodes.is_some() => Phase::Unscheduled,
                _ => Phase::Pending,
            };
            let siblings = match pod.node {
                Some(_) => active().filter(|(_, other)| other.node == pod.node).count() as u32,
                None => 1,
            };
            let uid = uid_of(index);
            let ready = pod.ready_at;
            let created = pod.born;
            Candidate { uid, phase, ready, siblings, restarts: 0, created }
        };
        active().map(candidate).collect()
    }

    fn remove_if_drained(&mut self, index: u32, stage: &mut VirtualTime) {
        let pod = &mut self.pods[index as usize];
        if pod.has_drained() {
            self.ended += stage.now - pod.born;
            pod.forget();
            self.alive.retain(|alive| *alive != index);
            if let (Some(nodes), Some(node)) = (&mut self.nodes, self.pods[index as usize].node) {
                nodes.release(node, stage.now, &mut stage.agenda);
                self.schedule_waiting(stage);
            }
        }
    }

    /// Spot takes a node in two minutes: its pods are ended, and others made in their place.
    fn node_notice(&mut self, node: u32, stage: &mut VirtualTime) {
        let taken = self.nodes.as_mut().is_some_and(|nodes| nodes.notice(node, stage.now, &mut stage.agenda));
        if taken {
            let grace = self.kind.settings.grace_period.min(NOTICE);
            for pod in self.alive.clone() {
                if self.pods[pod as usize].node == Some(node) {
                    self.terminate(pod, grace, stage);
                }
            }
            let replicas = self.scaler.replicas();
            if self.count(&[PodState::Starting, PodState::Ready]) < replicas {
                self.resize(replicas, stage);
            }
        }
    }

    fn ready(&mut self, index: u32, stage: &mut VirtualTime) {
        let pod = &mut self.pods[index as usize];
        pod.start(stage.now);
        self.ask(index, stage);
        self.remove_if_drained(index, stage);
    }

    fn ask(&mut self, index: u32, stage: &mut VirtualTime) {
        if self.pods[index as usize].ask(stage, &self.kind) {
            self.polling.push_back(index);
        }
    }

    fn look(&mut self, stage: &mut VirtualTime) {
        while self.scaler.policy().due() <= stage.now {
            let replicas = self.count(&[PodState::Starting, PodState::Ready]);
            let mut seen = stage.observation(replicas, self.count(&[PodState::Ready]));
            seen.queue = seen.queue.filter(|_| self.target.metric_is_readable(stage.now));
            let decision = self.scaler.policy().tick(stage.now, &seen);
            let to = decision.to;
            stage.decided(decision);
            self.resize(to, stage);
        }
        stage.agenda.plan(self.scaler.policy().due(), Event::Look);
    }
}

impl Host for SimulatedEks {
    fn open(&mut self, stage: &mut VirtualTime) {
        let nodes = self.target.nodes.take();
        self.nodes = nodes.map(|settings| SimulatedNodes::new(settings, self.kind.seed, &mut stage.agenda));
        for _ in 0..self.floor {
            let pod = self.create(Duration::ZERO);
            let nodes = self.nodes.as_mut();
            let node = nodes.and_then(|nodes| nodes.place(pod, Duration::ZERO, &mut stage.agenda));
            self.pods[pod as usize].node = node.map(|(node, _)| node);
            self.ready(pod, stage);
        }
        stage.agenda.plan(self.scaler.policy().due(), Event::Look);
    }

    fn offer(&mut self, stage: &mut VirtualTime) {
        while !self.polling.is_empty() && stage.counts().visible > 0 {
            let Some(index) = self.polling.pop_front() else { return };
            let pod = &mut self.pods[index as usize];
            if pod.state == PodState::Gone || !pod.polls() {
                continue;
            }
            if !pod.answer(stage, &self.kind) {
                // Visible, and still not to be had: a FIFO group is locked.
                self.polling.push_front(index);
                return;
            }
            self.ask(index, stage);
            self.remove_if_drained(index, stage);
        }
    }

    fn fire(&mut self, event: Event, stage: &mut VirtualTime) {
        let kind = &self.kind;
        match event {
            Event::Finished { pod, place } => {
                let worker = &mut self.pods[pod as usize];
                if worker.state == PodState::Gone {
                    return;
                }
                worker.finished(place, stage, kind);
                if worker.state == PodState::Ready {
                    self.ask(pod, stage);
                }
                self.remove_if_drained(pod, stage);
            }
            Event::Again { pod } => {
                self.pods[pod as usize].again(stage, kind);
                self.remove_if_drained(pod, stage);
            }
            Event::Look => self.look(stage),
            Event::Ready { pod } if self.pods[pod as usize].state == PodState::Starting => self.ready(pod, stage),
            Event::Linger { pod, epoch } if self.pods[pod as usize].linger_over(epoch, stage, kind) => {
                self.polling.push_back(pod);
            }
            Event::Flush { pod, epoch } => self.pods[pod as usize].flush_due(epoch, stage),
            Event::Heartbeat { pod } => self.pods[pod as usize].heartbeat(stage, kind),
            Event::PollOver { pod } => {
                self.pods[pod as usize].poll_over(stage, kind);
                self.remove_if_drained(pod, stage);
            }
            Event::DrainOver { pod } if self.pods[pod as usize].state == PodState::Draining => {
                self.pods[pod as usize].drain_over(stage);
                self.remove_if_drained(pod, stage);
            }
            Event::NodeReady { node } => {
                if let Some(nodes) = &mut self.nodes {
                    nodes.ready(node, stage.now, &mut stage.agenda);
                    self.schedule_waiting(stage);
                }
            }
            Event::NodeEmpty { node, came } => self.nodes.iter_mut().for_each(|n| n.empty(node, came, stage.now)),
            Event::NodeNotice { node } => self.node_notice(node, stage),
            Event::NodeGone { node } => self.nodes.iter_mut().for_each(|n| n.gone(node, stage.now)),
            _ => {}
        }
        // A delete frees its FIFO group, a give-back is visible at once.
        self.offer(stage);
    }

    fn capacity(&self) -> u32 {
        self.alive.len() as u32
    }

    fn at_floor(&self) -> bool {
        self.capacity() <= self.floor
            && self.scaler.replicas() <= self.floor
            && self.nodes.as_ref().is_none_or(SimulatedNodes::at_floor)
    }

    fn used(&self, now: Duration) -> Used {
        let alive: Duration = self.alive.iter().map(|pod| now - self.pods[*pod as usize].born).sum();
        Used {
            usage: Usage {
                pod_seconds: Some((self.ended + alive).as_secs_f64()),
                queue_reads: Some(self.scaler.queue_reads()),
                instance_seconds: self.nodes.as_ref().map(|nodes| nodes.time(now).as_secs_f64()),
                ..Usage::default()
            },
            in_host_concurrency: self.kind.settings.concurrency,
            unavailable: &[
                ("usage.gb_seconds", "pods are billed by the node or by Fargate, not by duration"),
                ("usage.invocations", "a worker is not invoked"),
                ("usage.poller_seconds", "a worker polls by itself"),
                ("usage.cold_starts", "a worker has none; pods start, see the decisions"),
            ],
        }
    }
}

/// A pod's UID: chance, drawn from its number, the same as in the local engine.
fn uid_of(pod: u32) -> u64 {
    mix(u64::from(pod) + 1)
}
