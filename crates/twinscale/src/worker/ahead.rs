//! How many messages to hold beyond `CONCURRENCY` (`PREFETCH=auto`): as many as the handlers get done while a receive is
//! under way. So they need not wait for the next one, and no message waits for them for longer than a receive takes.
//! Handlers that take longer than a receive find it there in time: nothing is held ahead of them. Pure: no clock.

use std::time::Duration;

/// Messages in hand, above which nothing is held ahead: ten receives at once keep a worker busy at any distance.
const MOST: usize = 100;
/// The shortest receive counts for so much longer with each further one: a long poll that had to wait says nothing of
/// the distance, and a queue that has come to be further away is learned.
const FORGET: f64 = 1.05;
/// The number of handlers that weigh as much as all that ended before them.
const HALF: f64 = 20.0;

/// What is held ahead of the handlers.
#[derive(Debug)]
pub(super) struct Ahead {
    concurrency: usize,
    held: usize,
    /// Seconds of the shortest receive under backlog.
    receive: f64,
    /// Seconds that a handler takes, the mean of the latest.
    handler: Option<f64>,
}

impl Ahead {
    /// Nothing, until handlers have shown how long they take.
    pub(super) fn new(concurrency: usize) -> Self {
        Self { concurrency, held: 0, receive: f64::INFINITY, handler: None }
    }

    /// The most that will ever be in hand, what is handled included.
    pub(super) fn most_in_hand(&self) -> usize {
        self.concurrency.max(MOST)
    }

    /// A receive took `time` and brought all that it asked for. Says by how many what is held ahead changes.
    pub(super) fn received(&mut self, time: Duration) -> isize {
        self.receive = (self.receive * FORGET).min(time.as_secs_f64());
        self.change()
    }

    /// `count` handlers ended, which took `time` in all. Says by how many what is held ahead changes.
    pub(super) fn handled(&mut self, count: usize, time: Duration) -> isize {
        if count == 0 {
            return 0;
        }
        let count = count as f64;
        let seconds = time.as_secs_f64();
        let before = self.handler.unwrap_or(seconds / count);
        self.handler = Some(before + (seconds / count - before) * count / (count + HALF));
        self.change()
    }

    fn change(&mut self) -> isize {
        let Some(handler) = self.handler.filter(|_| self.receive.is_finite()) else { return 0 };
        let meanwhile = (self.concurrency as f64 * self.receive / handler.max(1e-9)) as usize;
        let before = self.held;
        self.held = meanwhile.min(MOST.saturating_sub(self.concurrency));
        self.held as isize - before as isize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Duration = Duration::from_millis(10);

    fn after(concurrency: usize, handler: Duration) -> usize {
        let mut ahead = Ahead::new(concurrency);
        ahead.received(FAR);
        ahead.handled(10, handler * 10);
        ahead.held
    }

    #[test]
    fn it_holds_what_is_handled_during_a_receive_and_a_hundred_in_hand_at_most() {
        assert_eq!(after(10, Duration::from_millis(1500)), 0);
        assert_eq!(after(10, Duration::from_millis(5)), 20);
        assert_eq!(after(10, Duration::from_micros(3)), 90);
        assert_eq!(after(10, Duration::ZERO), 90);
        assert_eq!(after(100, Duration::ZERO), 0);
        assert_eq!(after(1000, Duration::ZERO), 0);
    }

    #[test]
    fn nothing_is_held_before_both_are_known() {
        let mut ahead = Ahead::new(10);
        assert_eq!(ahead.handled(1, Duration::ZERO), 0);
        assert_eq!(ahead.handled(0, Duration::ZERO), 0);
        assert_eq!(ahead.received(FAR), 90);
    }

    #[test]
    fn a_long_poll_that_waited_is_no_distance_and_slower_handlers_let_go() {
        let mut ahead = Ahead::new(10);
        ahead.handled(10, Duration::from_millis(50));
        assert_eq!(ahead.received(FAR), 20);
        assert_eq!(ahead.received(Duration::from_secs(15)), 1, "a twentieth more");
        assert_eq!(ahead.handled(200, Duration::from_secs(200)), -21);
    }
}
