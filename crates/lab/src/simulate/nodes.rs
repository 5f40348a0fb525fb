//! Nodes in virtual time: which pod stands where, which wait for room, and when nodes come and go.

use std::collections::VecDeque;
use std::time::Duration;

use super::agenda::{Agenda, Event};
use crate::scenario::{Nodes as Settings, Provisioner};
use twinscale_work::{Wait, mix, unit};

/// Spot's notice before a node is taken.
pub(super) const NOTICE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NodeState {
    Coming,
    Ready,
    /// Spot has given notice: nothing more is scheduled here.
    Leaving,
    Gone,
}

struct SimulatedNode {
    state: NodeState,
    pods: u32,
    since: Duration,
    /// When its pull of the image is over; `None` before the first pod.
    image_at: Option<Duration>,
    /// Counts the pods that came: an emptiness that a pod has ended is void.
    came: u32,
}

/// The nodes of one run.
pub(super) struct SimulatedNodes {
    settings: Settings,
    start: Wait,
    seed: u64,
    nodes: Vec<SimulatedNode>,
    /// Pods without a node, in the order in which they were made.
    waiting: VecDeque<u32>,
    ended: Duration,
}

impl SimulatedNodes {
    /// The initial nodes, Ready and with the image.
    pub(super) fn new(settings: Settings, seed: u64, agenda: &mut Agenda) -> Self {
        let start = settings.start();
        let initial = settings.initial;
        let mut all =
            Self { settings, start, seed, nodes: Vec::new(), waiting: VecDeque::new(), ended: Duration::ZERO };
        for _ in 0..initial {
            let node = all.add(Duration::ZERO);
            all.nodes[node as usize].image_at = Some(Duration::ZERO);
            all.ready(node, Duration::ZERO, agenda);
        }
        all
    }

    fn add(&mut self, now: Duration) -> u32 {
        self.nodes.push(SimulatedNode { state: NodeState::Coming, pods: 0, since: now, image_at: None, came: 0 });
        (self.nodes.len() - 1) as u32
    }

    fn key(&self, node: u32) -> u64 {
        mix(self.seed ^ mix(u64::from(node) ^ 0x6e6f_6465))
    }

    fn count(&self, state: NodeState) -> u32 {
        self.nodes.iter().filter(|node| node.state == state).count() as u32
    }

    /// A node is Ready: Spot's next interruption of it is drawn.
    pub(super) fn ready(&mut self, node: u32, now: Duration, agenda: &mut Agenda) {
        self.nodes[node as usize].state = NodeState::Ready;
        let rate = self.settings.spot_interruptions_per_hour;
        if rate > 0.0 {
            let hours = -libm::log(1.0 - unit(mix(self.key(node) ^ 1))) / rate;
            // Ten years bound what a rate near 0 comes to.
            let after = Duration::from_secs_f64((hours * 3600.0).min(315_360_000.0));
            agenda.plan(now + after, Event::NodeNotice { node });
        }
        self.plan_removal(node, now, agenda);
    }

    /// A node for a pod, and how long the image takes there. `None`: the pod waits, and a node is asked for.
    pub(super) fn place(&mut self, pod: u32, now: Duration, agenda: &mut Agenda) -> Option<(u32, Duration)> {
        let room = |node: &&SimulatedNode| node.state == NodeState::Ready && node.pods < self.settings.pods_per_node;
        // The scheduler prefers the node with the most room.
        let free = self.nodes.iter().enumerate().filter(|(_, node)| room(node)).min_by_key(|(_, node)| node.pods);
        let Some(index) = free.map(|(index, _)| index as u32) else {
            self.waiting.push_back(pod);
            self.provision(now, agenda);
            return None;
        };
        let pull = self.settings.image_pull.drawn(mix(self.key(index) ^ 2));
        let node = &mut self.nodes[index as usize];
        node.pods += 1;
        node.came += 1;
        // One pull a node: the kubelet pulls serially, and whoever comes second finds the image there.
        let image_at = *node.image_at.get_or_insert(now + pull);
        Some((index, image_at.saturating_sub(now)))
    }

    fn provision(&mut self, now: Duration, agenda: &mut Agenda) {
        if self.settings.provisioner == Provisioner::None {
            return;
        }
        while self.waiting.len() as u64
            > u64::from(self.count(NodeState::Coming)) * u64::from(self.settings.pods_per_node)
            && self.count(NodeState::Coming) + self.count(NodeState::Ready) < self.settings.maximum
        {
            let node = self.add(now);
            agenda.plan(now + self.start.drawn(self.key(node)), Event::NodeReady { node });
        }
    }

    /// The pods that wait, taken out to be placed anew.
    pub(super) fn take_waiting(&mut self) -> VecDeque<u32> {
        std::mem::take(&mut self.waiting)
    }

    /// A pod has left its node.
    pub(super) fn release(&mut self, node: u32, now: Duration, agenda: &mut Agenda) {
        self.nodes[node as usize].pods -= 1;
        self.plan_removal(node, now, agenda);
    }

    fn plan_removal(&mut self, index: u32, now: Duration, agenda: &mut Agenda) {
        let node = &self.nodes[index as usize];
        if node.pods == 0 && node.state == NodeState::Ready {
            agenda.plan(now + self.settings.empty_for, Event::NodeEmpty { node: index, came: node.came });
        }
    }

    /// A node has been empty for long enough, unless a pod came; the initial number stays.
    pub(super) fn empty(&mut self, index: u32, came: u32, now: Duration) {
        let node = &self.nodes[index as usize];
        let still = node.state == NodeState::Ready && node.pods == 0 && node.came == came;
        if still && self.count(NodeState::Ready) + self.count(NodeState::Coming) > self.settings.initial {
            self.gone(index, now);
        }
    }

    /// Spot gives notice. False if the node is no longer there.
    pub(super) fn notice(&mut self, node: u32, now: Duration, agenda: &mut Agenda) -> bool {
        let taken = self.nodes[node as usize].state == NodeState::Ready;
        if taken {
            self.nodes[node as usize].state = NodeState::Leaving;
            agenda.plan(now + NOTICE, Event::NodeGone { node });
        }
        taken
    }

    /// A node is no more.
    pub(super) fn gone(&mut self, index: u32, now: Duration) {
        let node = &mut self.nodes[index as usize];
        node.state = NodeState::Gone;
        self.ended += now - node.since;
    }

    /// No node is left that an empty cluster would not have.
    pub(super) fn at_floor(&self) -> bool {
        let empty = self.nodes.iter().any(|node| node.state == NodeState::Ready && node.pods == 0);
        let existing = self.nodes.iter().filter(|node| node.state != NodeState::Gone).count() as u32;
        existing <= self.settings.initial
            || !empty && self.count(NodeState::Coming) + self.count(NodeState::Leaving) == 0
    }

    /// Lifetimes of all nodes, summed.
    pub(super) fn time(&self, now: Duration) -> Duration {
        let existing = self.nodes.iter().filter(|node| node.state != NodeState::Gone);
        self.ended + existing.map(|node| now - node.since).sum::<Duration>()
    }
}
