//! The settings that are tried: a grid around the scenario's.

use serde::{Deserialize, Serialize};

use super::Which;
use crate::compare::scaling::hpa;
use crate::compare::scenario::Scenario;

/// Memory of the process itself, in MiB (an estimate: the binaries use 15 to 25).
const BASE_MIB: u32 = 64;

/// One setting, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The file to change.
    pub file: String,
    /// The field, as it is written there.
    pub field: String,
    /// The scenario's value.
    pub from: String,
    /// The value that is tried.
    pub to: String,
}

impl Change {
    fn new((file, field): (&str, &str), from: String, to: String) -> Self {
        Self { file: file.to_owned(), field: field.to_owned(), from, to }
    }
}

/// A scenario with other settings.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The scenario with the changes in it.
    pub scenario: Scenario,
    /// What was changed.
    pub changes: Vec<Change>,
}

impl Candidate {
    fn change<T: std::fmt::Display + PartialEq>(
        &mut self,
        (file, field): (&'static str, &'static str),
        to: T,
        at: impl FnOnce(&mut Scenario) -> &mut T,
    ) {
        let value = at(&mut self.scenario);
        if *value != to {
            self.changes.push(Change::new((file, field), value.to_string(), to.to_string()));
            *value = to;
        }
    }
}

/// Candidates for one target, the scenario's own among them; in one order always.
pub fn around(scenario: &Scenario, which: Which) -> Vec<Candidate> {
    match which {
        Which::Eks => eks(scenario),
        Which::Lambda => lambda(scenario),
    }
}

const SCALED_OBJECT: &str = "scaledobject.yaml";
const DEPLOYMENT: &str = "deployment.yaml";
const TEMPLATE: &str = "template.yaml";

fn eks(scenario: &Scenario) -> Vec<Candidate> {
    let mut all = Vec::new();
    for concurrency in [1, 5, 10, 20, 50] {
        for queue_length in [5, 10, 20, 50] {
            for (min, max) in [(0, 5), (0, 15), (1, 5), (1, 15), (1, 50), (3, 15)] {
                for behavior in [false, true] {
                    let mut tried = Candidate { scenario: scenario.clone(), changes: Vec::new() };
                    tried.change((DEPLOYMENT, "CONCURRENCY"), concurrency, |s| &mut s.eks.pod.concurrency);
                    let memory = scenario.eks.pod.memory_mib.max(BASE_MIB + concurrency * scenario.work.memory_mib);
                    tried.change((DEPLOYMENT, "resources.limits.memory (MiB)"), memory, |s| &mut s.eks.pod.memory_mib);
                    if !scenario.eks.keda.triggers.is_empty() {
                        let at = (SCALED_OBJECT, "queueLength");
                        tried.change(at, queue_length, |s| &mut s.eks.keda.triggers[0].queue_length);
                    }
                    tried.change((SCALED_OBJECT, "minReplicaCount"), min, |s| &mut s.eks.keda.min_replica_count);
                    tried.change((SCALED_OBJECT, "maxReplicaCount"), max, |s| &mut s.eks.keda.max_replica_count);
                    set_behavior(&mut tried, behavior);
                    // An idle count must be below the minimum that is tried.
                    let idle = &mut tried.scenario.eks.keda.idle_replica_count;
                    *idle = idle.filter(|idle| *idle < min);
                    all.push(tried);
                }
            }
        }
    }
    all
}

/// Tries the API's default behaviour with a short way down, or none.
fn set_behavior(tried: &mut Candidate, set: bool) {
    let hpa = &mut tried.scenario.eks.keda.hpa;
    if set == hpa.behavior.is_some() {
        return;
    }
    let down = hpa::Rules { stabilization_window: Some(std::time::Duration::from_secs(60)), ..hpa::Rules::default() };
    hpa.behavior = set.then(|| hpa::Behavior { scale_down: down, ..hpa::Behavior::default() });
    let words = ["none", "API defaults, scaleDown.stabilizationWindowSeconds: 60"];
    let (from, to) = (words[usize::from(!set)], words[usize::from(set)]);
    tried.changes.push(Change::new((SCALED_OBJECT, "behavior"), from.to_owned(), to.to_owned()));
}

fn lambda(scenario: &Scenario) -> Vec<Candidate> {
    let mut all = Vec::new();
    for memory in [128, 256, 512, 1024, 1769, 3008] {
        for concurrency in [1, 5, 10, 20, 50] {
            if memory < BASE_MIB + concurrency.min(100) * scenario.work.memory_mib {
                continue;
            }
            for (batch, window) in [(1, 0), (10, 0), (100, 1)] {
                if scenario.queue.fifo && batch > 10 || concurrency > batch {
                    continue;
                }
                for maximum in [None, Some(10), Some(100)] {
                    let mut tried = Candidate { scenario: scenario.clone(), changes: Vec::new() };
                    tried.change((TEMPLATE, "MemorySize"), memory, |s| &mut s.lambda.memory_mb);
                    let at = (TEMPLATE, "FUNCTION_CONCURRENCY");
                    tried.change(at, concurrency, |s| &mut s.lambda.in_host_concurrency);
                    tried.change((TEMPLATE, "BatchSize"), batch, |s| &mut s.lambda.mapping.batch_size);
                    let mapping = &mut tried.scenario.lambda.mapping;
                    let seconds = mapping.window.as_secs();
                    if seconds != window {
                        mapping.window = std::time::Duration::from_secs(window);
                        let at = (TEMPLATE, "MaximumBatchingWindowInSeconds");
                        tried.changes.push(Change::new(at, seconds.to_string(), window.to_string()));
                    }
                    if mapping.provisioned.is_none() && mapping.maximum_concurrency != maximum {
                        let words = |n: Option<u32>| n.map_or("none".to_owned(), |n| n.to_string());
                        let (from, to) = (words(mapping.maximum_concurrency), words(maximum));
                        mapping.maximum_concurrency = maximum;
                        tried.changes.push(Change::new((TEMPLATE, "MaximumConcurrency"), from, to));
                    }
                    all.push(tried);
                }
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_can_run_and_none_has_less_memory_than_its_messages_need() {
        let mut scenario = Scenario::read("article").and_then(Scenario::checked).expect("built in");
        scenario.work.memory_mib = 30;
        for which in [Which::Eks, Which::Lambda] {
            let all = around(&scenario, which);
            assert!(all.len() > 50, "{which:?}: {}", all.len());
            for candidate in all {
                let s = candidate.scenario.checked().expect("a candidate is a good scenario");
                assert!(s.eks.pod.memory_mib >= s.eks.pod.concurrency * 30 || which == Which::Lambda);
                assert!(s.lambda.memory_mb >= s.lambda.in_host_concurrency * 30 || which == Which::Eks);
            }
        }
    }
}
