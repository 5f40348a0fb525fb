//! What Kubernetes does to pods beside scaling them: the kubelet's crash back-off, and the ReplicaSet's choice of victims.
//! Pure; `now` is an argument.

use std::cmp::Reverse;
use std::time::Duration;

/// The first delay (kubelet, `backOffPeriod`).
const BACK_OFF: Duration = Duration::from_secs(10);
/// The longest delay (kubelet, `MaxContainerBackOff`).
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// When a container that ended runs again: client-go's `flowcontrol.Backoff` as the kubelet's `doBackOff` uses it.
///
/// The first end restarts at once and arms the delay; each further one waits for it and doubles it, 10 s to 5 min. A
/// container that ended more than 10 min (twice the longest delay) after its last restart starts afresh.
#[derive(Clone, Debug, Default)]
pub struct CrashBackOff {
    armed: Option<Armed>,
}

#[derive(Clone, Copy, Debug)]
struct Armed {
    delay: Duration,
    restarted: Duration,
}

impl CrashBackOff {
    /// When a container that ended at `ended` starts again.
    pub fn restart_at(&self, ended: Duration) -> Duration {
        ended + self.live(ended).map_or(Duration::ZERO, |armed| armed.delay)
    }

    /// Notes that the container which ended at `ended` starts again `now`.
    pub fn restarted(&mut self, ended: Duration, now: Duration) {
        let delay = self.live(ended).map_or(BACK_OFF, |armed| (armed.delay * 2).min(BACK_OFF_MAX));
        self.armed = Some(Armed { delay, restarted: now });
    }

    fn live(&self, ended: Duration) -> Option<Armed> {
        self.armed.filter(|armed| ended.saturating_sub(armed.restarted) <= BACK_OFF_MAX * 2)
    }
}

/// What the ReplicaSet controller compares when it has to choose pods to delete.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// Stands for the pod's UID: the last tie-break.
    pub uid: u64,
    /// When it was created.
    pub created: Duration,
    /// When it became Ready; `None` while it is not.
    pub ready: Option<Duration>,
    /// Starts of its container beyond the first.
    pub restarts: u32,
}

/// The pods in the order in which a ReplicaSet deletes them, by `uid` (`ActivePodsWithRanks`, facts.md §6).
///
/// Not ready before ready, then more recently ready (in logarithmic buckets, a tie by UID), more restarts, newer. All
/// pods stand on one node with no deletion cost, so those two criteria decide nothing. Busy or idle never matters.
pub fn victims(pods: &[Candidate], now: Duration) -> Vec<u64> {
    let mut order = pods.to_vec();
    order.sort_by_key(|pod| {
        let readiness = pod.ready.map(|ready| rank(now, ready));
        // `None` sorts first: not ready. Ready pods in one bucket fall to the UID at once, whatever else differs.
        let rest = if pod.ready.is_none() { (Reverse(pod.restarts), rank(now, pod.created)) } else { (Reverse(0), 0) };
        (readiness, rest, pod.uid)
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

    #[test]
    fn a_crashing_container_restarts_at_once_then_after_10_s_doubling_to_5_min() {
        let mut back_off = CrashBackOff::default();
        let mut now = secs(100);
        let mut delays = Vec::new();
        for _ in 0..8 {
            let at = back_off.restart_at(now);
            delays.push((at - now).as_secs());
            back_off.restarted(now, at);
            now = at + secs(1);
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_container_that_ran_for_more_than_10_min_starts_afresh() {
        let mut back_off = CrashBackOff::default();
        back_off.restarted(secs(0), secs(0));
        back_off.restarted(secs(5), secs(15));
        assert_eq!(back_off.restart_at(secs(15 + 600)), secs(615 + 20), "exactly 10 min is not enough");
        assert_eq!(back_off.restart_at(secs(15 + 601)), secs(616));
        back_off.restarted(secs(616), secs(616));
        assert_eq!(back_off.restart_at(secs(617)), secs(627), "the delay is 10 s again");
    }

    #[test]
    fn pods_that_are_not_ready_go_first_then_the_most_recently_ready() {
        let pod = |uid, created, ready, restarts| Candidate { uid, created: secs(created), ready, restarts };
        let pods = [
            pod(1, 0, Some(secs(1)), 0),
            pod(2, 90, None, 0),
            pod(3, 80, Some(secs(95)), 0),
            pod(4, 10, None, 3),
            pod(5, 60, Some(secs(64)), 0),
        ];
        assert_eq!(victims(&pods, secs(100)), [4, 2, 3, 5, 1]);
    }

    #[test]
    fn pods_ready_for_about_as_long_go_by_uid() {
        let pod = |uid, ready| Candidate { uid, created: Duration::ZERO, ready: Some(secs(ready)), restarts: 0 };
        assert_eq!(victims(&[pod(9, 5), pod(2, 1), pod(4, 9)], secs(100)), [2, 4, 9]);
    }
}
