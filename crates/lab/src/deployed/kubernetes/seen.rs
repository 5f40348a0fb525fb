//! What the three watches saw, and what it says of a run. Pure: times are arguments.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use twinscale_scaling::{Reason, Scaler};

use crate::run::{Decision, Sample, Target};

/// The HPA writes its status and an event right after it has scaled.
const WRITTEN_WITHIN_MS: u64 = 10_000;
/// The reason of the event that the HPA emits for each rescale (kubernetes/pkg/controller/podautoscaler/horizontal.go).
pub(super) const RESCALED: &str = "SuccessfulRescale";

/// What was seen, in order of time (milliseconds since 1970).
#[derive(Debug, Default)]
pub(super) struct ClusterHistory {
    pub(super) replicas: Vec<(u64, Replicas)>,
    hpa: Vec<(u64, HpaStatus)>,
    rescales: Vec<(u64, Rescale)>,
    failures: BTreeMap<ClusterWatch, Failures>,
}

/// One of the three watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ClusterWatch {
    Deployment,
    Hpa,
    Events,
}

/// How often a watch failed, and the first time.
#[derive(Debug)]
struct Failures {
    first: u64,
    count: u32,
    problem: String,
}

/// What the HPA wrote into its status at one sync.
#[derive(Clone, Debug, PartialEq)]
struct HpaStatus {
    /// Of its condition `ScalingLimited`; `None` where the word is not one of the HPA's that we know.
    reason: Option<Reason>,
    /// Of the same condition, after the word that we do not know.
    message: String,
    /// The first external metric with a target of AverageValue, as KEDA makes them.
    metric: Option<Metric>,
}

/// Quantities as the API writes them: `5`, `2500m`.
#[derive(Clone, Debug, PartialEq)]
struct Metric {
    name: String,
    average: String,
    target: String,
    replicas: u64,
}

/// The message of an event `SuccessfulRescale`: "New size: 4; reason: ...".
#[derive(Clone, Debug, PartialEq)]
struct Rescale {
    size: u32,
    reason: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replicas {
    /// `spec.replicas`: asked for.
    pub(super) wanted: u32,
    /// `status.replicas`, and `terminatingReplicas` where the cluster tells them (beta in Kubernetes 1.35): pods that exist.
    pub(super) exist: u32,
}

impl ClusterWatch {
    pub(super) const ALL: [Self; 3] = [Self::Deployment, Self::Hpa, Self::Events];

    /// Its name, and what a run lacks without it.
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Deployment => ("the Deployment", "replicas, pod seconds and decisions"),
            Self::Hpa => ("the HPA", "reasons of decisions"),
            Self::Events => ("events", "the arithmetic of decisions"),
        }
    }
}

impl Failures {
    fn warning(&self, source: ClusterWatch, origin: u64) -> String {
        let (name, lacks) = source.told();
        let at = (self.first as f64 - origin as f64) / 1000.0;
        let Self { count, problem, .. } = self;
        format!("eks: the watch on {name} failed {count} times, first at {at:.0} s ({problem}): {lacks} may be missing")
    }
}

impl HpaStatus {
    fn read(object: &Value) -> Option<Self> {
        let conditions = object["status"]["conditions"].as_array()?;
        let limited = conditions.iter().find(|condition| condition["type"] == "ScalingLimited")?;
        let message = limited["message"].as_str()?.to_owned();
        let metric = Metric::read(object);
        Some(match Reason::deserialize(&limited["reason"]) {
            Ok(reason) => Self { reason: Some(reason), message, metric },
            Err(_) => Self { reason: None, message: format!("{}: {message}", limited["reason"].as_str()?), metric },
        })
    }
}

impl Metric {
    fn read(object: &Value) -> Option<Self> {
        let target = object["spec"]["metrics"].as_array()?.iter().find(|metric| metric["type"] == "External")?;
        let name = &target["external"]["metric"]["name"];
        let current = object["status"]["currentMetrics"].as_array()?;
        let current = current.iter().find(|metric| metric["external"]["metric"]["name"] == *name)?;
        Some(Self {
            name: name.as_str()?.to_owned(),
            average: current["external"]["current"]["averageValue"].as_str()?.to_owned(),
            target: target["external"]["target"]["averageValue"].as_str()?.to_owned(),
            replicas: object["status"]["currentReplicas"].as_u64()?,
        })
    }
}

impl Rescale {
    fn read(object: &Value) -> Option<Self> {
        let (size, reason) = object["message"].as_str()?.strip_prefix("New size: ")?.split_once("; reason: ")?;
        Some(Self { size: size.parse().ok()?, reason: reason.to_owned() })
    }
}

/// The HPA's own words and figures for a decision: the event, the arithmetic, and what limited it.
fn told(rescale: Option<&Rescale>, status: Option<&HpaStatus>) -> String {
    let arithmetic = status.and_then(|status| status.metric.as_ref()).map(|metric| {
        let Metric { name, average, target, replicas } = metric;
        format!("{name} averaged {average} over {replicas} replicas, target {target}")
    });
    let parts =
        [rescale.map(|rescale| rescale.reason.clone()), arithmetic, status.map(|status| status.message.clone())];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

impl ClusterHistory {
    /// Notes an object of a watch.
    pub(super) fn take(&mut self, at: u64, deployment: &str, object: &Value) {
        let count = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default();
        match object["kind"].as_str() {
            Some("Deployment") => {
                let replicas = Replicas {
                    wanted: count(&object["spec"]["replicas"]),
                    exist: count(&object["status"]["replicas"]) + count(&object["status"]["terminatingReplicas"]),
                };
                if self.replicas.last().map(|(_, last)| *last) != Some(replicas) {
                    self.replicas.push((at, replicas));
                }
            }
            Some("HorizontalPodAutoscaler") if object["spec"]["scaleTargetRef"]["name"] == deployment => {
                self.hpa.extend(HpaStatus::read(object).map(|status| (at, status)));
            }
            Some("Event") if object["reason"] == RESCALED => {
                self.rescales.extend(Rescale::read(object).map(|rescale| (at, rescale)));
            }
            // Another Deployment's HPA, and bookmarks.
            _ => {}
        }
    }

    /// Notes that a watch ended otherwise than by its own end.
    pub(super) fn failed(&mut self, at: u64, source: ClusterWatch, problem: String) {
        let failures = self.failures.entry(source).or_insert(Failures { first: at, count: 0, problem });
        failures.count += 1;
    }

    /// Pods that existed at that time.
    fn exist(&self, at: u64) -> u32 {
        let next = self.replicas.partition_point(|(seen, _)| *seen <= at);
        let known = self.replicas.get(next.saturating_sub(1));
        known.map(|(_, replicas)| replicas.exist).unwrap_or_default()
    }

    /// What the HPA wrote for what it did at that time: its status of right after, or else of before.
    fn status(&self, at: u64) -> Option<&HpaStatus> {
        let next = self.hpa.partition_point(|(seen, _)| *seen < at);
        let after = self.hpa.get(next).filter(|(seen, _)| *seen <= at + WRITTEN_WITHIN_MS);
        after.or_else(|| self.hpa.get(next.checked_sub(1)?)).map(|(_, status)| status)
    }

    /// The event of a rescale to that size, at about that time.
    fn rescale(&self, at: u64, size: u32) -> Option<&Rescale> {
        let near = self.rescales.iter().filter(|(seen, _)| seen.abs_diff(at) <= WRITTEN_WITHIN_MS);
        near.map(|(_, rescale)| rescale).rfind(|rescale| rescale.size == size)
    }

    /// Fills in what only the API knows. `floor` is when the replicas were back at what they were.
    pub(super) fn fill(
        &self,
        target: &mut Target,
        origin: u64,
        end: u64,
        floor: Option<u64>,
        warnings: &mut Vec<String>,
    ) {
        warnings.extend(self.failures.iter().map(|(source, failures)| failures.warning(*source, origin)));
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
                let t = Duration::from_millis(at.saturating_sub(origin)).as_secs_f64();
                let from = before.wanted;
                let to = after.wanted;
                let keda = |reason| Decision {
                    t,
                    from,
                    to,
                    by: Scaler::Keda.into(),
                    reason: Some(reason),
                    detail: String::new(),
                };
                // From and to nothing it is KEDA itself that scales.
                if from == 0 {
                    return keda(Reason::Activated);
                }
                if to == 0 {
                    return keda(Reason::Deactivated);
                }
                let status = self.status(at);
                let reason = status.and_then(|status| status.reason);
                Decision { t, from, to, by: Scaler::Hpa.into(), reason, detail: told(self.rescale(at, to), status) }
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
        let metric = json!({"name": "s0-aws-sqs-queue-orders"});
        let target = json!({"metric": metric, "target": {"type": "AverageValue", "averageValue": "5"}});
        let current = json!({"metric": metric, "current": {"averageValue": "1k"}});
        json!({"kind": "HorizontalPodAutoscaler",
            "spec": {"scaleTargetRef": {"name": "worker"}, "metrics": [{"type": "External", "external": target}]},
            "status": {"conditions": [{"type": "AbleToScale", "reason": "SucceededRescale"}, limited],
                "currentReplicas": 1, "currentMetrics": [{"type": "External", "external": current}]}})
    }

    fn rescaled(size: u32) -> Value {
        let message = format!("New size: {size}; reason: external metric above target");
        json!({"kind": "Event", "reason": "SuccessfulRescale", "message": message})
    }

    fn seen(events: &[(u64, Value)]) -> ClusterHistory {
        let mut seen = ClusterHistory::default();
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
            (16_010, rescaled(3)),
            (16_015, rescaled(4)),
            (16_020, hpa("ScaleUpLimit")),
            (16_100, deployment(4, 4)),
            (300_000, deployment(0, 4)),
        ]);
        let decisions = seen.decisions(1_000);
        assert_eq!(
            decisions[1].detail,
            "external metric above target; s0-aws-sqs-queue-orders averaged 1k over 1 replicas, target 5; because"
        );
        let told: Vec<_> = decisions.into_iter().map(|d| (d.t, d.from, d.to, d.by, d.reason)).collect();
        let expected = [
            (0.0, 0, 1, Scaler::Keda.into(), Some(Reason::Activated)),
            (15.0, 1, 4, Scaler::Hpa.into(), Some(Reason::ScaleUpLimit)),
            (299.0, 4, 0, Scaler::Keda.into(), Some(Reason::Deactivated)),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_word_that_a_newer_hpa_writes_is_told_and_taken_for_no_other() {
        let seen = seen(&[(0, deployment(1, 1)), (10, hpa("BrandNew")), (20, deployment(2, 1))]);
        let decision = &seen.decisions(0)[0];
        assert_eq!(decision.reason, None);
        assert!(decision.detail.ends_with("BrandNew: because"), "{}", decision.detail);
    }

    #[test]
    fn a_watch_that_fails_is_told_with_its_time_and_what_is_missing() {
        let mut seen = seen(&[(0, deployment(1, 1))]);
        seen.failed(13_000, ClusterWatch::Events, "events is forbidden".to_owned());
        seen.failed(14_000, ClusterWatch::Events, "again".to_owned());
        let mut warnings = Vec::new();
        seen.fill(&mut Target::default(), 1_000, 20_000, None, &mut warnings);
        let told = "eks: the watch on events failed 2 times, first at 12 s (events is forbidden): \
            the arithmetic of decisions may be missing";
        assert_eq!(warnings, [told]);
    }

    #[test]
    fn pod_seconds_are_those_of_pods_that_exist() {
        let seen = seen(&[(0, deployment(1, 1)), (10_000, deployment(3, 1)), (12_000, deployment(3, 3))]);
        // From 2 to 12 s one pod, then three until 22 s.
        assert!((seen.pod_seconds(2_000, 22_000) - 40.0).abs() < 1e-9);
        assert_eq!((seen.exist(11_999), seen.exist(12_000)), (1, 3));
    }
}
