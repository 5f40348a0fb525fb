//! How many receives are under way at once, and how long to wait after one failed. Pure: no clock, no I/O.

use std::time::Duration;

/// The first wait after a failed receive; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest: an outage that ends is noticed within this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// One receive while the queue is quiet; twice as many with each full answer; one again when the queue runs dry.
#[derive(Debug)]
pub(super) struct Pace {
    receives: usize,
    most: usize,
    failures: u32,
}

impl Pace {
    /// Never more receives than `capacity` has room for.
    pub(super) fn new(capacity: usize) -> Self {
        Self { receives: 1, most: capacity.div_ceil(10), failures: 0 }
    }

    /// Receives that may be under way now.
    pub(super) fn receives(&self) -> usize {
        self.receives
    }

    /// A receive that asked for `asked` brought `got`. SQS may bring fewer than there are, so that only nothing means
    /// that the queue is dry.
    pub(super) fn answered(&mut self, asked: usize, got: usize) {
        self.failures = 0;
        if got == 0 {
            self.receives = 1;
        } else if got >= asked {
            self.receives = (self.receives * 2).min(self.most);
        }
    }

    /// A receive failed: how long to wait before the next, drawn by `chance` in 0..1 from the upper half of a range
    /// that doubles, so that workers neither spin nor come back together.
    pub(super) fn failed(&mut self, chance: f64) -> Duration {
        self.receives = 1;
        let most = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures += 1;
        most.mul_f64(0.5 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receives_double_under_backlog_up_to_the_room_and_fall_back_to_one_when_the_queue_is_dry() {
        let mut pace = Pace::new(75);
        let seen: Vec<_> = (0..5).map(|_| (pace.receives(), pace.answered(10, 10)).0).collect();
        assert_eq!(seen, [1, 2, 4, 8, 8]);
        pace.answered(10, 3);
        assert_eq!(pace.receives(), 8, "SQS may bring fewer than there are");
        pace.answered(10, 0);
        assert_eq!(pace.receives(), 1);
    }

    #[test]
    fn failing_receives_wait_longer_each_time_and_never_nothing() {
        let mut pace = Pace::new(100);
        let waits: Vec<_> = (0..8).map(|_| pace.failed(0.0)).collect();
        assert_eq!(waits[..3], [100, 200, 400].map(Duration::from_millis));
        assert_eq!(waits[7], LONGEST_WAIT / 2);
        assert_eq!(pace.failed(1.0), LONGEST_WAIT);
        pace.answered(10, 1);
        assert_eq!(pace.failed(0.0), FIRST_WAIT / 2, "one success forgets the failures");
    }
}
