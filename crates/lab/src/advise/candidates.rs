//! The settings that are tried: a grid around the scenario's own, kind is in it.

use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifests::MEMORY_SIZE;
use crate::scenario::Scenario;
use crate::target::TargetKind;
use twinscale_scaling::event_source::Provisioned;
use twinscale_scaling::hpa;

/// Memory of the process itself, in MiB (an estimate: the binaries use 15 to 25).
const BASE_MIB: u32 = 64;

/// The file that has KEDA's settings, as changes call it.
const SCALED_OBJECT: &str = "scaledobject.yaml";
/// The file that has the pod's.
const DEPLOYMENT: &str = "deployment.yaml";
/// The file that has the function's and the mapping's.
const TEMPLATE: &str = "template.yaml";

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

/// A scenario with other settings.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The scenario with the changes in it.
    pub scenario: Scenario,
    /// What was changed.
    pub changes: Vec<Change>,
}

impl Candidate {
    fn new(scenario: &Scenario) -> Self {
        Self { scenario: scenario.clone(), changes: Vec::new() }
    }

    fn change<T: Display + PartialEq>(&mut self, at: (&str, &str), to: T, value: impl FnOnce(&mut Scenario) -> &mut T) {
        let value = value(&mut self.scenario);
        if *value != to {
            let from = value.to_string();
            let to_text = to.to_string();
            *value = to;
            self.note(at, from, to_text);
        }
    }

    fn seconds(&mut self, at: (&str, &str), to: u64, value: impl FnOnce(&mut Scenario) -> &mut Duration) {
        let value = value(&mut self.scenario);
        let from = std::mem::replace(value, Duration::from_secs(to));
        if from != *value {
            self.note(at, from.as_secs().to_string(), to.to_string());
        }
    }

    fn note(&mut self, (file, field): (&str, &str), from: String, to: String) {
        self.changes.push(Change { file: file.to_owned(), field: field.to_owned(), from, to });
    }
}

/// Candidates for one target, in one order always.
pub(super) fn around(scenario: &Scenario, kind: TargetKind) -> Vec<Candidate> {
    match kind {
        TargetKind::Eks => eks(scenario),
        TargetKind::Lambda => lambda(scenario),
    }
}

/// The values that are tried, and the scenario's own.
fn with<T: Copy + Ord>(own: T, tried: &[T]) -> Vec<T> {
    let mut all = tried.to_vec();
    all.push(own);
    all.sort_unstable();
    all.dedup();
    all
}

fn eks(scenario: &Scenario) -> Vec<Candidate> {
    let keda = &scenario.eks.keda;
    let pod = &scenario.eks.pod;
    let own_length = keda.triggers.first().map_or(5, |trigger| trigger.queue_length);
    let bounds = with((keda.min_replica_count, keda.max_replica_count), &[(0, 5), (0, 15), (1, 15), (1, 50)]);
    let mut all = Vec::new();
    for (concurrency, size) in sizes(scenario) {
        // Between half of what a pod works on and all that it holds, as `validate` wants it: beyond that, KEDA keeps pods that
        // are half idle, or too few. The scenario's own pair is tried whatever it is.
        let works = u64::from(concurrency);
        let holds = u64::from(concurrency + pod.prefetch);
        let own = concurrency == pod.concurrency;
        let fits = |length: &u64| *length <= holds && length * 2 >= works || own && *length == own_length;
        let lengths = with(own_length, &[works.div_ceil(2), (works * 3).div_ceil(4), works]);
        for queue_length in lengths.into_iter().filter(fits) {
            for (min, max) in &bounds {
                // The operator's loop only decides between 0 and 1: with a minimum above, it changes nothing.
                let polls = if *min == 0 {
                    with(keda.polling_interval.as_secs(), &[5])
                } else {
                    vec![keda.polling_interval.as_secs()]
                };
                for poll in polls {
                    for behavior in [Own, Short, Doubling] {
                        let mut tried = Candidate::new(scenario);
                        tried.change((DEPLOYMENT, "CONCURRENCY"), concurrency, |s| &mut s.eks.pod.concurrency);
                        tried.size(size);
                        if !keda.triggers.is_empty() {
                            let at = (SCALED_OBJECT, "queueLength");
                            tried.change(at, queue_length, |s| &mut s.eks.keda.triggers[0].queue_length);
                        }
                        tried.change((SCALED_OBJECT, "minReplicaCount"), *min, |s| &mut s.eks.keda.min_replica_count);
                        tried.change((SCALED_OBJECT, "maxReplicaCount"), *max, |s| &mut s.eks.keda.max_replica_count);
                        tried.seconds((SCALED_OBJECT, "pollingInterval"), poll, |s| &mut s.eks.keda.polling_interval);
                        let other = tried.behavior(behavior);
                        if (other || behavior == Own)
                            && tried.scenario.eks.keda.idle_replica_count.is_none_or(|idle| idle < *min)
                        {
                            all.push(tried);
                        }
                    }
                }
            }
        }
    }
    all
}

/// What a pod requests, and its limits.
#[derive(Clone, Copy, PartialEq)]
struct Size {
    cpu: (f64, f64),
    mib: (u32, u32),
}

/// The numbers of messages at once, each with the sizes of a pod that are tried for it: work that computes has more or less
/// of a processor, all of it requested (a limit above the request is paid by a neighbour); memory is what the messages need,
/// where the scenario tells.
fn sizes(scenario: &Scenario) -> Vec<(u32, Size)> {
    let pod = &scenario.eks.pod;
    let work = &scenario.work;
    let mut all = Vec::new();
    for concurrency in with(pod.concurrency, &[1, 5, 10, 20, 50]) {
        let need = BASE_MIB + concurrency * work.memory_mib;
        let own = (pod.memory_request_mib, pod.memory_mib);
        let mib = match work.memory_mib {
            0 => own,
            _ if concurrency == pod.concurrency && own.1 >= need => own,
            _ => (need, need),
        };
        let own = Size { cpu: (pod.cpu_request, pod.cpu_limit), mib };
        let mut tried = vec![own];
        if work.memory_mib > 0 {
            tried.push(Size { mib: (need, need), ..own });
        }
        if !work.cpu.is_zero() {
            tried.extend([0.25, 0.5, 1.0, 2.0].map(|cpu| Size { cpu: (cpu, cpu), mib }));
        }
        let mut seen: Vec<Size> = Vec::new();
        for size in tried {
            if !seen.contains(&size) {
                seen.push(size);
                all.push((concurrency, size));
            }
        }
    }
    all
}

impl Candidate {
    fn size(&mut self, size: Size) {
        let at = |field| (DEPLOYMENT, field);
        self.change(at("resources.requests.cpu"), size.cpu.0, |s| &mut s.eks.pod.cpu_request);
        self.change(at("resources.limits.cpu"), size.cpu.1, |s| &mut s.eks.pod.cpu_limit);
        self.change(at("resources.requests.memory"), size.mib.0, |s| &mut s.eks.pod.memory_request_mib);
        self.change(at("resources.limits.memory"), size.mib.1, |s| &mut s.eks.pod.memory_mib);
    }
}

use Behavior::{Doubling, Own, Short};

/// The behaviours of the HPA that are tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behavior {
    /// The scenario's.
    Own,
    /// The API's defaults with a short way down.
    Short,
    /// None at all, kind is KEDA's default and takes another path.
    Doubling,
}

/// What the advice calls the two.
pub(crate) const SHORT: &str = "API defaults, scaleDown.stabilizationWindowSeconds: 60";
/// No `behavior` at all.
pub(crate) const NONE: &str = "none";

/// The API's defaults with a short way down.
pub(crate) fn short_behavior() -> hpa::Behavior {
    let down = hpa::Rules { stabilization_window: Some(Duration::from_secs(60)), ..hpa::Rules::default() };
    hpa::Behavior { scale_down: down, ..hpa::Behavior::default() }
}

impl Candidate {
    /// False if that changes nothing.
    fn behavior(&mut self, tried: Behavior) -> bool {
        let hpa = &mut self.scenario.eks.keda.hpa;
        let (behavior, name) = match tried {
            Own => return false,
            Short => (Some(short_behavior()), SHORT),
            Doubling => (None, NONE),
        };
        let from = if hpa.behavior.is_some() { "as it is" } else { NONE };
        let other = hpa.behavior != behavior;
        if other {
            hpa.behavior = behavior;
            self.note((SCALED_OBJECT, "behavior"), from.to_owned(), name.to_owned());
        }
        other
    }
}

fn lambda(scenario: &Scenario) -> Vec<Candidate> {
    let function = &scenario.lambda;
    let mapping = &scenario.lambda.mapping;
    let own_batch = (mapping.batch_size, mapping.window.as_secs());
    let mut all = Vec::new();
    for memory in with(function.memory_mb, &[128, 256, 512, 1024, 1769, 3008]) {
        for concurrency in with(function.in_host_concurrency, &[1, 5, 10, 20, 50]) {
            if memory < BASE_MIB + concurrency.min(100) * scenario.work.memory_mib {
                continue;
            }
            for (batch, window) in with(own_batch, &[(1, 0), (10, 0), (100, 1)]) {
                // More than a batch cannot be worked on at once; the scenario's own is left as it is.
                let idle = concurrency > batch && concurrency != function.in_host_concurrency;
                if idle || scenario.queue.fifo && batch > 10 {
                    continue;
                }
                // What is above the reserved concurrency is throttled.
                let reserved = function.reserved_concurrency.unwrap_or(u32::MAX);
                let fits = |scaling: &&Scaling| !matches!(scaling, Scaling::Maximum(maximum) if *maximum > reserved);
                for scaling in SCALINGS
                    .iter()
                    .filter(fits)
                    .filter(|scaling| !scenario.queue.fifo || !matches!(scaling, Scaling::Pollers(_)))
                {
                    let mut tried = Candidate::new(scenario);
                    tried.change((TEMPLATE, MEMORY_SIZE), memory, |s| &mut s.lambda.memory_mb);
                    let at = (TEMPLATE, "FUNCTION_CONCURRENCY");
                    tried.change(at, concurrency, |s| &mut s.lambda.in_host_concurrency);
                    tried.change((TEMPLATE, "BatchSize"), batch, |s| &mut s.lambda.mapping.batch_size);
                    let at = (TEMPLATE, "MaximumBatchingWindowInSeconds");
                    tried.seconds(at, window, |s| &mut s.lambda.mapping.window);
                    tried.scaling(*scaling);
                    all.push(tried);
                }
            }
        }
    }
    all
}

/// How the mapping may scale.
#[derive(Clone, Copy)]
enum Scaling {
    Own,
    Maximum(u32),
    Pollers(u32),
}

const SCALINGS: [Scaling; 4] = [Scaling::Own, Scaling::Maximum(10), Scaling::Maximum(1000), Scaling::Pollers(2)];

impl Candidate {
    fn scaling(&mut self, tried: Scaling) {
        let words = |n: Option<u32>| n.map_or(NONE.to_owned(), |n| n.to_string());
        let mapping = &mut self.scenario.lambda.mapping;
        let before = (mapping.maximum_concurrency, mapping.provisioned.as_ref().map(|p| p.minimum_pollers));
        let after = match tried {
            Scaling::Own => return,
            Scaling::Maximum(maximum) => (Some(maximum), None),
            Scaling::Pollers(minimum) => (None, Some(minimum)),
        };
        mapping.maximum_concurrency = after.0;
        if before.1 != after.1 {
            mapping.provisioned =
                after.1.map(|minimum_pollers| Provisioned { minimum_pollers, ..Provisioned::default() });
        }
        for (field, before, after) in [("MaximumConcurrency", before.0, after.0), ("MinimumPollers", before.1, after.1)]
        {
            if before != after {
                self.note((TEMPLATE, field), words(before), words(after));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_candidate_can_run_and_none_has_less_memory_than_its_messages_need() {
        for name in ["article", "fifo", "day"] {
            let mut scenario = Scenario::read(name).and_then(Scenario::checked).expect("built in");
            scenario.work.memory_mib = 30;
            scenario.eks.keda.idle_replica_count = Some(0);
            for kind in TargetKind::all().iter().copied() {
                let all = around(&scenario, kind);
                assert!(all.len() > 50, "{kind:?}: {}", all.len());
                for candidate in all {
                    let s = candidate.scenario.checked().expect("a candidate is a good scenario");
                    assert!(s.eks.pod.memory_mib >= s.eks.pod.concurrency * 30 || kind == TargetKind::Lambda);
                    assert!(s.lambda.memory_mb >= s.lambda.in_host_concurrency * 30 || kind == TargetKind::Eks);
                }
            }
        }
    }

    #[test]
    fn the_scenarios_own_settings_are_among_the_candidates_whatever_they_are() {
        let mut scenario = Scenario::read("default").and_then(Scenario::checked).expect("built in");
        (scenario.eks.pod.concurrency, scenario.eks.keda.min_replica_count) = (7, 2);
        (scenario.lambda.memory_mb, scenario.lambda.mapping.batch_size) = (777, 7);
        for kind in TargetKind::all().iter().copied() {
            let own = around(&scenario, kind).into_iter().filter(|candidate| candidate.changes.is_empty());
            assert!(own.clone().count() > 0, "{kind:?}");
            assert!(own.into_iter().all(|candidate| candidate.scenario == scenario));
        }
    }
}
