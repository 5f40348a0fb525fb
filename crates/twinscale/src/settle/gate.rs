//! The one back-off of all settles: whether a call may begin now. Pure: `now` and chance are passed in.

use std::time::Duration;

/// The first wait after a failed call; doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest: a failure that ends is noticed within this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Calls side by side while all goes well.
const MOST_AT_ONCE: usize = 64;
/// Failures one after the other that are more than bad luck.
const TELLING: u32 = 2;

/// One call at a time after a failure, and twice as many with each that succeeds.
#[derive(Debug)]
pub(super) struct Gate {
    failures: u32,
    not_before: Duration,
    at_once: usize,
    under_way: usize,
}

impl Gate {
    pub(super) fn open() -> Self {
        Self { failures: 0, not_before: Duration::ZERO, at_once: MOST_AT_ONCE, under_way: 0 }
    }

    /// Whether a call may begin; it then counts as begun.
    pub(super) fn enter(&mut self, now: Duration) -> bool {
        let may = self.under_way < self.at_once && now >= self.not_before;
        self.under_way += usize::from(may);
        may
    }

    /// The call that was begun had nobody to name.
    pub(super) fn leave(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// When the next call may begin; `None`: once one under way has been answered.
    pub(super) fn next(&self) -> Option<Duration> {
        (self.under_way < self.at_once).then_some(self.not_before)
    }

    /// A call was answered, for at least one of its entries.
    pub(super) fn succeeded(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
        self.failures = 0;
        self.not_before = Duration::ZERO;
        self.at_once = (self.at_once * 2).min(MOST_AT_ONCE);
    }

    /// A call failed for all of its entries. Those that were under way beside it fail for the same reason, and count once.
    pub(super) fn failed(&mut self, now: Duration, chance: f64) {
        self.under_way = self.under_way.saturating_sub(1);
        self.at_once = 1;
        if now >= self.not_before {
            self.not_before = now + wait(self.failures, chance);
            self.failures += 1;
        }
    }

    /// Whether the last call failed: nothing more should be taken on.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Whether it fails again and again.
    pub(super) fn keeps_failing(&self) -> bool {
        self.failures >= TELLING
    }
}

/// How long to wait after this many failures, drawn by `chance` in 0..1 from the upper half of a range that doubles.
pub(super) fn wait(failures: u32, chance: f64) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    most.mul_f64(0.5 + chance / 2.0)
}
