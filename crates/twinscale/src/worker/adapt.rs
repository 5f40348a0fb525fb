//! Adaptive concurrency (`ADAPTIVE_CONCURRENCY=on`): how many messages are handled at once follows how handlers fare.
//! Pure: it is told what ended and says by how much to change the limit.
//!
//! Additive increase, multiplicative decrease, as TCP has it: one more after each window that went well, a fifth less
//! after one in which handlers failed or took twice as long as they do at their best. A database that slows down under
//! load is so relieved within a few windows, and found out again when it recovers.

use std::time::Duration;

/// Messages of a window, at least; it is as long as the limit, so that each window sees the limit's own effect.
const WINDOW: u32 = 10;
/// A window with a larger share of failures is a bad one.
const FAILURES: f64 = 0.1;
/// A window is bad when its mean is this many times the best mean.
const SLOWER: f64 = 2.0;
/// What is left of the limit after a bad window.
const DECREASE: f64 = 0.8;
/// The best mean rises by this much a window, so that work that has become longer for good is learned.
const FORGET: f64 = 1.01;

/// The limit, between the floor and the ceiling.
#[derive(Debug)]
pub(super) struct Adaptive {
    limit: usize,
    floor: usize,
    ceiling: usize,
    best: Option<f64>,
    ended: u32,
    failed: u32,
    seconds: f64,
}

impl Adaptive {
    /// Starts at half the ceiling, which is `CONCURRENCY`: halfway to either answer. The floor is `CONCURRENCY_FLOOR`.
    pub(super) fn new(floor: usize, ceiling: usize) -> Self {
        Self { limit: ceiling.div_ceil(2).max(floor), floor, ceiling, best: None, ended: 0, failed: 0, seconds: 0.0 }
    }

    /// Handlers that may run now.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// A handler ran for `time`; `failed` if it panicked, overran its timeout or asked for a retry. Says by how many
    /// the limit changes.
    pub(super) fn ended(&mut self, time: Duration, failed: bool) -> isize {
        self.ended += 1;
        self.failed += u32::from(failed);
        self.seconds += time.as_secs_f64();
        if self.ended < WINDOW.max(self.limit as u32) {
            return 0;
        }
        let mean = self.seconds / f64::from(self.ended);
        let best = self.best.map_or(mean, |best| (best * FORGET).min(mean));
        let bad = f64::from(self.failed) > FAILURES * f64::from(self.ended) || mean > SLOWER * best;
        let before = self.limit;
        self.limit =
            if bad { ((before as f64 * DECREASE) as usize).max(self.floor) } else { (before + 1).min(self.ceiling) };
        (self.best, self.ended, self.failed, self.seconds) = (Some(best), 0, 0, 0.0);
        self.limit as isize - before as isize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(10);

    fn windows(adaptive: &mut Adaptive, count: usize, time: Duration, failed: bool) {
        for _ in 0..count {
            while adaptive.ended(time, failed) == 0 && adaptive.ended > 0 {}
        }
    }

    #[test]
    fn good_windows_raise_the_limit_by_one_up_to_the_ceiling() {
        let mut adaptive = Adaptive::new(1, 20);
        assert_eq!(adaptive.limit(), 10);
        windows(&mut adaptive, 3, FAST, false);
        assert_eq!(adaptive.limit(), 13);
        windows(&mut adaptive, 30, FAST, false);
        assert_eq!(adaptive.limit(), 20);
    }

    #[test]
    fn slow_or_failing_windows_cut_it_down_to_the_floor() {
        let mut adaptive = Adaptive::new(4, 100);
        windows(&mut adaptive, 1, FAST, false);
        windows(&mut adaptive, 1, FAST * 3, false);
        assert_eq!(adaptive.limit(), 40, "a fifth less than 51");
        windows(&mut adaptive, 1, FAST, true);
        assert_eq!(adaptive.limit(), 32);
        windows(&mut adaptive, 50, FAST, true);
        assert_eq!(adaptive.limit(), 4);
        assert_eq!(Adaptive::new(8, 10).limit(), 8, "half the ceiling is below the floor");
    }

    #[test]
    fn work_that_has_become_longer_for_good_is_learned() {
        let mut adaptive = Adaptive::new(1, 50);
        windows(&mut adaptive, 1, FAST, false);
        windows(&mut adaptive, 200, FAST * 3, false);
        assert!(adaptive.limit() > 25, "{}", adaptive.limit());
    }
}
