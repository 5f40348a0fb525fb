//! The ReplicaSet's choice of pods to delete when there are too many. Pure; `now` is an argument.

use std::cmp::Reverse;
use std::time::Duration;

/// How far a pod has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No node has room for it yet.
    Unscheduled,
    /// Its node pulls the image or starts the container.
    Pending,
    /// Its container runs.
    Running,
}

/// What the ReplicaSet controller compares when it has to choose pods to delete.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Stands for the pod's UID: the last tie-break.
    pub uid: u64,
    /// How far it has come.
    pub phase: Phase,
    /// When it became Ready; `None` while it is not.
    pub ready: Option<Duration>,
    /// Pods of the set on its node, itself included.
    pub siblings: u32,
    /// Starts of its container beyond the first.
    pub restarts: u32,
    /// When it was created.
    pub created: Duration,
}

/// The pods in the order in which a ReplicaSet deletes them, by `uid` (Kubernetes' `ActivePodsWithRanks`).
///
/// Without a node before Pending before Running, not ready before ready, more siblings on the node, more recently ready
/// (in logarithmic buckets, a tie by UID), more restarts, newer. Deletion costs are all 0. Busy or idle never matters.
pub fn victims(pods: &[Candidate], now: Duration) -> Vec<u64> {
    let mut order = pods.to_vec();
    order.sort_by_key(|pod| {
        let readiness = pod.ready.map(|ready| rank(now, ready));
        // Ready pods in one bucket fall to the UID at once, whatever else differs.
        let rest = if pod.ready.is_none() { (Reverse(pod.restarts), rank(now, pod.created)) } else { (Reverse(0), 0) };
        (pod.phase, pod.ready.is_some(), Reverse(pod.siblings), readiness, rest, pod.uid)
    });
    order.into_iter().map(|pod| pod.uid).collect()
}

/// `logarithmicRankDiff`: the whole logarithm of the age in nanoseconds.
fn rank(now: Duration, then: Duration) -> u32 {
    now.saturating_sub(then).as_nanos().checked_ilog2().map_or(0, |log| log + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn pod(uid: u64, created: u64, ready: Option<u64>, restarts: u32) -> Candidate {
        let phase = if ready.is_some() { Phase::Running } else { Phase::Pending };
        Candidate { uid, phase, ready: ready.map(secs), siblings: 1, restarts, created: secs(created) }
    }

    #[test]
    fn pods_that_are_not_ready_go_first_then_the_most_recently_ready() {
        let unscheduled = Candidate { phase: Phase::Unscheduled, ..pod(6, 70, None, 0) };
        let running = Candidate { phase: Phase::Running, ..pod(7, 99, None, 9) };
        let pods = [
            pod(1, 0, Some(1), 0),
            pod(2, 90, None, 0),
            pod(3, 80, Some(95), 0),
            pod(4, 10, None, 3),
            pod(5, 60, Some(64), 0),
            unscheduled,
            running,
        ];
        assert_eq!(victims(&pods, secs(100)), [6, 4, 2, 7, 3, 5, 1]);
    }

    #[test]
    fn pods_ready_for_about_as_long_go_by_uid() {
        assert_eq!(
            victims(&[pod(9, 0, Some(5), 0), pod(2, 0, Some(1), 0), pod(4, 0, Some(9), 0)], secs(100)),
            [2, 4, 9]
        );
    }

    #[test]
    fn a_pod_with_more_siblings_on_its_node_goes_before_one_that_was_ready_later() {
        let crowded = |uid, ready| Candidate { siblings: 3, ..pod(uid, 0, Some(ready), 0) };
        assert_eq!(victims(&[pod(1, 90, Some(95), 0), crowded(2, 1), crowded(3, 90)], secs(100)), [3, 2, 1]);
    }
}
