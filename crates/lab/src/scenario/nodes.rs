//! Nodes: where pods stand, how long a new one takes, and how Spot takes one away.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use twinscale_work::{Wait, duration_text};

/// The nodes of the cluster, all of one kind. The figures for starting are spreads of published reports; the sources are
/// in docs/scenarios.md.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nodes {
    /// Who makes nodes when a pod finds no room.
    pub provisioner: Provisioner,
    /// Nodes that are there at the start, with the image; never removed for being empty (1).
    pub initial: u32,
    /// Nodes at most (100).
    pub maximum: u32,
    /// Pods that one node holds (8).
    pub pods_per_node: u32,
    /// From the need of a node to its being Ready; by default the provisioner's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Wait>,
    /// Pulling the image onto a node that does not have it; the pods of a node wait for one pull.
    pub image_pull: Wait,
    /// How long a node must have been empty before it is removed (10 min, the Cluster Autoscaler's default).
    #[serde(with = "duration_text")]
    pub empty_for: Duration,
    /// Spot: interruptions of one node an hour, at random (0). The notice comes two minutes before the node is gone.
    pub spot_interruptions_per_hour: f64,
}

/// Who makes nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provisioner {
    /// Nobody: a pod that finds no room stays Pending.
    #[default]
    None,
    /// Karpenter: 40 to 90 s.
    Karpenter,
    /// The Cluster Autoscaler: 2 to 5 min.
    ClusterAutoscaler,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            provisioner: Provisioner::None,
            initial: 1,
            maximum: 100,
            pods_per_node: 8,
            start: None,
            image_pull: Wait::Uniform { min: Duration::from_secs(2), max: Duration::from_secs(10) },
            empty_for: Duration::from_secs(600),
            spot_interruptions_per_hour: 0.0,
        }
    }
}

impl Nodes {
    /// From the need of a node to its being Ready.
    pub fn start(&self) -> Wait {
        let between = |min, max| Wait::Uniform { min: Duration::from_secs(min), max: Duration::from_secs(max) };
        match (&self.start, self.provisioner) {
            (Some(start), _) => start.clone(),
            (None, Provisioner::ClusterAutoscaler) => between(120, 300),
            (None, _) => between(40, 90),
        }
    }

    /// What is wrong with these settings, with `floor` pods at the start.
    pub(super) fn mistakes(&self, floor: u32) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if !(1..=1000).contains(&self.pods_per_node) {
            mistakes.push(("pods_per_node", format!("{}: write 1 to 1000", self.pods_per_node)));
        }
        if self.maximum == 0 || self.maximum > 100_000 {
            mistakes.push(("maximum", format!("{}: write 1 to 100000", self.maximum)));
        }
        if self.initial > self.maximum {
            mistakes.push(("initial", format!("{} is above maximum {}", self.initial, self.maximum)));
        }
        if u64::from(self.initial) * u64::from(self.pods_per_node) < u64::from(floor) {
            mistakes
                .push(("initial", format!("{} nodes have no room for the {floor} pods of the start", self.initial)));
        }
        if self.provisioner == Provisioner::None && self.initial == 0 {
            mistakes.push(("initial", "0 without a provisioner: there would never be a node".to_owned()));
        }
        if self.provisioner == Provisioner::None && self.spot_interruptions_per_hour > 0.0 {
            let advice = "nobody would replace what Spot takes: set provisioner".to_owned();
            mistakes.push(("spot_interruptions_per_hour", advice));
        }
        if !(0.0..=60.0).contains(&self.spot_interruptions_per_hour) {
            let rate = self.spot_interruptions_per_hour;
            mistakes.push(("spot_interruptions_per_hour", format!("{rate}: write 0 to 60")));
        }
        mistakes
    }
}
