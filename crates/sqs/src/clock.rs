//! Scenario time: the machine's clock, running `speed` times faster, shared by the queue, the policies and the ledger.

use std::time::Duration;

use tokio::time::Instant;

/// Scenario time since one moment of the machine. A copy tells the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    speed: f64,
}

impl Clock {
    /// A clock that reads zero now and runs `speed` times faster than the machine's; `speed` is above 0.
    pub fn new(speed: f64) -> Self {
        Self { began: Instant::now(), speed }
    }

    /// Scenario time since the clock was made.
    pub fn now(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    /// How many times faster than the machine's clock.
    pub fn speed(&self) -> f64 {
        self.speed
    }

    /// The machine's moment at which this clock reads `at`; a year ahead stands for never.
    pub fn instant(&self, at: Duration) -> Instant {
        self.began + self.real(at.min(Duration::from_secs(31_536_000)))
    }

    /// How long `scenario` takes on the machine.
    pub fn real(&self, scenario: Duration) -> Duration {
        scenario.div_f64(self.speed)
    }

    /// Sleeps until this clock reads `at`, and returns how late it woke, in scenario time.
    pub async fn sleep_until(&self, at: Duration) -> Duration {
        tokio::time::sleep_until(self.instant(at)).await;
        self.now().saturating_sub(at)
    }

    /// Sleeps for `scenario`.
    pub async fn sleep(&self, scenario: Duration) {
        tokio::time::sleep(self.real(scenario)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_of_the_machine_is_ten_at_ten_times_the_speed() {
        let clock = Clock::new(10.0);
        let began = Instant::now();
        clock.sleep_until(Duration::from_secs(20)).await;
        assert!(began.elapsed().abs_diff(Duration::from_secs(2)) <= Duration::from_millis(1));
        assert!(clock.now().abs_diff(Duration::from_secs(20)) <= Duration::from_millis(20));
    }
}
