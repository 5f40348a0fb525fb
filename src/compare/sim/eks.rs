//! The worker on EKS: pods that KEDA and the HPA make and end.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::Event;
use super::pod::{Kind, Pod, State};
use super::stage::Stage;
use super::{Host, Used};
use crate::compare::run::Usage;
use crate::compare::scaling::Policy;
use crate::compare::scaling::keda::Keda;
use crate::compare::scenario::Scenario;
use crate::workload::Work;

/// The pods of one target, and what scales them.
pub(super) struct Eks {
    kind: Kind,
    keda: Keda,
    /// Every pod that there ever was; those that are gone hold nothing.
    pods: Vec<Pod>,
    /// Indices of those that exist, oldest first.
    alive: Vec<u32>,
    /// Pods whose long poll waits, in the order in which they asked.
    polling: VecDeque<u32>,
    floor: u32,
    ended: Duration,
}

impl Eks {
    pub fn new(scenario: &Scenario) -> Self {
        let pod = scenario.eks.pod.clone();
        let settings = scenario.eks.keda.clone();
        let floor = settings.idle_replica_count.unwrap_or(settings.min_replica_count);
        let kind = Kind {
            work: Work { cpu_limit: pod.cpu_limit, seed: scenario.seed, ..scenario.work.clone() },
            settings: pod,
            visibility: scenario.queue.visibility_timeout,
            fifo: scenario.queue.fifo,
        };
        Self {
            kind,
            keda: Keda::new(settings, floor),
            pods: Vec::new(),
            alive: Vec::new(),
            polling: VecDeque::new(),
            floor,
            ended: Duration::ZERO,
        }
    }

    fn create(&mut self, now: Duration) -> u32 {
        let index = self.pods.len() as u32;
        self.pods.push(Pod::new(index, now, &self.kind));
        self.alive.push(index);
        index
    }

    fn count(&self, states: &[State]) -> u32 {
        self.alive.iter().filter(|pod| states.contains(&self.pods[**pod as usize].state)).count() as u32
    }

    /// Makes or ends pods until there are `to`, in the order of a ReplicaSet: those that are not ready first, then the
    /// newest. Busy or idle never matters.
    fn resize(&mut self, to: u32, stage: &mut Stage) {
        let existing = self.count(&[State::Starting, State::Ready]);
        for _ in existing..to {
            let pod = self.create(stage.now);
            stage.agenda.plan(stage.now + self.kind.settings.start_delay, Event::Ready { pod });
        }
        for _ in to..existing {
            let newest = |state| {
                let pods = self.alive.iter().rev().copied();
                pods.into_iter().find(|pod| self.pods[*pod as usize].state == state)
            };
            let Some(victim) = newest(State::Starting).or_else(|| newest(State::Ready)) else { break };
            self.pods[victim as usize].terminate(stage, &self.kind);
            self.remove_if_drained(victim, stage.now);
        }
    }

    fn remove_if_drained(&mut self, index: u32, now: Duration) {
        let pod = &mut self.pods[index as usize];
        if pod.has_drained() {
            self.ended += now - pod.born;
            pod.forget();
            self.alive.retain(|alive| *alive != index);
        }
    }

    fn ask(&mut self, index: u32, stage: &mut Stage) {
        if self.pods[index as usize].ask(stage, &self.kind) {
            self.polling.push_back(index);
        }
    }

    fn look(&mut self, stage: &mut Stage) {
        while self.keda.due() <= stage.now {
            let replicas = self.count(&[State::Starting, State::Ready]);
            let seen = stage.observation(replicas, self.count(&[State::Ready]));
            let decision = self.keda.tick(stage.now, &seen);
            let to = decision.to;
            stage.decided(decision);
            self.resize(to, stage);
        }
        stage.agenda.plan(self.keda.due(), Event::Look);
    }
}

impl Host for Eks {
    fn open(&mut self, stage: &mut Stage) {
        for _ in 0..self.floor {
            let pod = self.create(Duration::ZERO);
            self.pods[pod as usize].state = State::Ready;
            self.ask(pod, stage);
        }
        stage.agenda.plan(self.keda.due(), Event::Look);
    }

    fn offer(&mut self, stage: &mut Stage) {
        while !self.polling.is_empty() && stage.counts().visible > 0 {
            let Some(index) = self.polling.pop_front() else { return };
            let pod = &mut self.pods[index as usize];
            if pod.state == State::Gone || !pod.polls() {
                continue;
            }
            if !pod.answer(stage, &self.kind) {
                // Visible, and still not to be had: a FIFO group is locked.
                self.polling.push_front(index);
                return;
            }
            self.ask(index, stage);
            self.remove_if_drained(index, stage.now);
        }
    }

    fn fire(&mut self, event: Event, stage: &mut Stage) {
        let kind = &self.kind;
        match event {
            Event::Finished { pod, place } => {
                let worker = &mut self.pods[pod as usize];
                if worker.state == State::Gone {
                    return;
                }
                worker.finished(place, stage, kind);
                match worker.state {
                    State::Ready => self.ask(pod, stage),
                    _ => self.remove_if_drained(pod, stage.now),
                }
            }
            Event::Look => self.look(stage),
            Event::Ready { pod } => {
                let worker = &mut self.pods[pod as usize];
                if worker.state == State::Starting {
                    worker.state = State::Ready;
                    self.ask(pod, stage);
                }
            }
            Event::Linger { pod, epoch } if self.pods[pod as usize].linger_over(epoch, stage, kind) => {
                self.polling.push_back(pod);
            }
            Event::Flush { pod, epoch } => self.pods[pod as usize].flush_due(epoch, stage),
            Event::Heartbeat { pod } => self.pods[pod as usize].heartbeat(stage, kind),
            Event::PollOver { pod } => {
                self.pods[pod as usize].poll_over(stage, kind);
                self.remove_if_drained(pod, stage.now);
            }
            Event::DrainOver { pod } if self.pods[pod as usize].state == State::Draining => {
                self.pods[pod as usize].drain_over(stage, kind);
                self.remove_if_drained(pod, stage.now);
            }
            _ => {}
        }
        // A delete frees its FIFO group, a give-back is visible at once.
        self.offer(stage);
    }

    fn capacity(&self) -> u32 {
        self.alive.len() as u32
    }

    fn at_floor(&self) -> bool {
        self.capacity() <= self.floor && self.keda.replicas() <= self.floor
    }

    fn used(&self, now: Duration) -> Used {
        let alive: Duration = self.alive.iter().map(|pod| now - self.pods[*pod as usize].born).sum();
        Used {
            usage: Usage {
                pod_seconds: Some((self.ended + alive).as_secs_f64()),
                queue_reads: Some(self.keda.queue_reads()),
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
