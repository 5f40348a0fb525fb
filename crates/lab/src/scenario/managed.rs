//! Lambda Managed Instances: what a scenario says of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use twinscale_work::Wait;

/// The function runs on EC2 instances of the account's own, in environments that take several invocations at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Managed {
    /// vCPUs of an environment: memory / 2, 4 or 8 GiB (1).
    pub vcpu: f64,
    /// `PerExecutionEnvironmentMaxConcurrency`, 1 to 1,600; by default 8 a vCPU, as for Rust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<u32>,
    /// `MinExecutionEnvironments` (3).
    pub min_environments: u32,
    /// `MaxExecutionEnvironments` (15,000).
    pub max_environments: u32,
    /// Environments on one instance (1).
    pub environments_per_instance: u32,
    /// From the decision to a new environment that takes invocations (an estimate: an instance is launched).
    pub start: Wait,
}

impl Default for Managed {
    fn default() -> Self {
        Self {
            vcpu: 1.0,
            max_concurrency: None,
            min_environments: 3,
            max_environments: 15_000,
            environments_per_instance: 1,
            start: Wait::Uniform { min: Duration::from_secs(40), max: Duration::from_secs(90) },
        }
    }
}

impl Managed {
    /// Invocations that one environment takes at once.
    pub fn slots(&self) -> u32 {
        self.max_concurrency.unwrap_or((self.vcpu * 8.0).max(1.0) as u32)
    }

    /// What is wrong with these settings, for a function of `memory_mb`.
    pub(super) fn mistakes(&self, memory_mb: u32) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if !(1.0..=16.0).contains(&self.vcpu) {
            mistakes.push(("vcpu", format!("{}: write 1 to 16", self.vcpu)));
        } else if !(2.0..=8.0).contains(&(f64::from(memory_mb) / 1024.0 / self.vcpu)) {
            mistakes.push(("vcpu", format!("{memory_mb} MB must be 2 to 8 GiB a vCPU (lambda.memory_mb)")));
        }
        if !(1..=1600).contains(&self.slots()) {
            mistakes.push(("max_concurrency", format!("{}: write 1 to 1600", self.slots())));
        }
        if !(1..=15_000).contains(&self.max_environments) {
            mistakes.push(("max_environments", format!("{}: write 1 to 15000", self.max_environments)));
        }
        if self.min_environments > self.max_environments {
            let min = self.min_environments;
            let max = self.max_environments;
            mistakes.push(("min_environments", format!("{min} is above max_environments {max}")));
        }
        if self.environments_per_instance == 0 {
            mistakes.push(("environments_per_instance", "write 1 or more".to_owned()));
        }
        mistakes
    }
}
