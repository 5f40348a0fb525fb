//! What the kubelet does to a container that ends: its crash back-off. Pure; `now` is an argument.

use std::time::Duration;

/// The first delay (kubelet, `backOffPeriod`).
const BACK_OFF: Duration = Duration::from_secs(10);
/// The longest delay (kubelet, `MaxContainerBackOff`).
const BACK_OFF_MAX: Duration = Duration::from_secs(300);

/// When a container that ended runs again: client-go's `flowcontrol.Backoff` as the kubelet's `doBackOff` uses it.
///
/// The first end restarts at once and arms the delay; each further one waits for it and doubles it, 10 s to 5 min. A
/// container that ended more than 10 min (twice the longest delay) after its last restart starts afresh:
/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#container-restarts>, and KEP-4603, which describes
/// the code before it changes it.
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
}
