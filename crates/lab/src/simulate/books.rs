//! What a target has done so far. Its size does not depend on how many messages have passed.

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::run::{self, Bucket, Flow, FlowBooks, Latency, Messages, Requests};

/// Latencies are kept to the microsecond, with three digits; 15 days is above the longest retention.
const LONGEST_MICROS: u64 = 15 * 86_400 * 1_000_000;

/// Requests by action, each 64 KiB of payload counted as one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub send: u64,
    pub receive: u64,
    pub empty_receive: u64,
    pub delete: u64,
    pub change_visibility: u64,
}

impl Counted {
    /// Requests that moved a message.
    pub(super) fn moving(&self) -> u64 {
        self.send + self.receive + self.delete + self.change_visibility
    }
}

/// The books of one target.
pub(super) struct Books {
    pub sent: u64,
    pub done: u64,
    pub rejected: u64,
    pub expired: u64,
    /// Deleted although they had failed.
    pub discarded: u64,
    pub retried: u64,
    /// Messages given back unfinished.
    pub given_back: u64,
    /// Receives of messages that had been received before.
    pub redelivered: u64,
    /// Dead letters by redrive: their last retry brought no redelivery.
    pub redriven: u64,
    pub requests: Counted,
    /// As they stood at the last delete.
    until_last_delete: Counted,
    pub first_send: Option<Duration>,
    pub last_delete: Option<Duration>,
    latencies: Histogram<u64>,
    handler_times: Histogram<u64>,
    handler_time: Duration,
    slowest: Duration,
    flow: FlowBooks,
}

impl Books {
    pub(super) fn new() -> Self {
        Self {
            sent: 0,
            done: 0,
            rejected: 0,
            expired: 0,
            discarded: 0,
            retried: 0,
            given_back: 0,
            redelivered: 0,
            redriven: 0,
            requests: Counted::default(),
            until_last_delete: Counted::default(),
            first_send: None,
            last_delete: None,
            latencies: times(),
            handler_times: times(),
            handler_time: Duration::ZERO,
            slowest: Duration::ZERO,
            flow: FlowBooks::default(),
        }
    }

    /// Messages whose fate is open.
    pub(super) fn open(&self) -> u64 {
        self.sent - self.done - self.rejected - self.expired - self.discarded
    }

    /// So many messages were sent.
    pub(super) fn sent(&mut self, now: Duration, count: u64) {
        let first = *self.first_send.get_or_insert(now);
        self.sent += count;
        self.flow.sent(now.saturating_sub(first), count);
    }

    /// A message was deleted after it was done.
    pub(super) fn done(&mut self, now: Duration, latency: Duration) {
        self.done += 1;
        self.flow.done(now.saturating_sub(self.first_send.unwrap_or(now)), latency);
        self.slowest = self.slowest.max(latency);
        self.latencies.saturating_record((latency.as_nanos() / 1000) as u64);
    }

    /// A handler ends after so long.
    pub(super) fn handled(&mut self, took: Duration) {
        self.handler_time += took;
        self.handler_times.saturating_record((took.as_nanos() / 1000) as u64);
    }

    /// A delete request was made; `idle_receives` came back empty meanwhile and are not in the books yet.
    pub(super) fn deleted(&mut self, now: Duration, idle_receives: u64) {
        self.requests.delete += 1;
        self.last_delete = Some(now);
        self.until_last_delete = self.requests;
        self.until_last_delete.empty_receive += idle_receives;
    }

    pub(super) fn messages(&self) -> Messages {
        let explained = (self.retried + self.given_back).saturating_sub(self.redriven);
        Messages {
            sent: self.sent,
            done: self.done,
            retried: Some(self.retried),
            rejected: self.rejected,
            duplicates: Some(self.redelivered.saturating_sub(explained)),
            lost: Some(self.expired + self.discarded),
            unaccounted: None,
        }
    }

    /// Requests from the first send to the last delete.
    pub(super) fn requests(&self) -> Requests {
        let counted = self.until_last_delete;
        Requests {
            send: Some(counted.send),
            receive: Some(counted.receive),
            empty_receive: Some(counted.empty_receive),
            delete: Some(counted.delete),
            change_visibility: Some(counted.change_visibility),
        }
    }

    pub(super) fn latency(&self) -> Option<Latency> {
        let at = |percent: f64| {
            let micros = self.latencies.value_at_quantile(percent / 100.0);
            (micros as f64 / 1e6).min(self.slowest.as_secs_f64())
        };
        (self.done > 0).then(|| Latency {
            p50: at(50.0),
            p90: at(90.0),
            p95: at(95.0),
            p99: at(99.0),
            max: self.slowest.as_secs_f64(),
        })
    }

    /// Over time.
    pub(super) fn flow(&self) -> Flow {
        self.flow.so_far()
    }

    pub(super) fn histogram(&self) -> Vec<Bucket> {
        buckets(&self.latencies)
    }

    /// All attempts together.
    pub(super) fn handler_seconds(&self) -> f64 {
        self.handler_time.as_secs_f64()
    }

    pub(super) fn handler_times(&self) -> Vec<Bucket> {
        buckets(&self.handler_times)
    }
}

fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_MICROS, 3).expect("bounds are in order")
}

fn buckets(times: &Histogram<u64>) -> Vec<Bucket> {
    let steps = times.iter_recorded();
    run::histogram(
        steps.map(|step| (Duration::from_micros(step.value_iterated_to()), step.count_since_last_iteration())),
    )
}

/// The SQS requests that one call costs: one for each 64 KiB begun.
pub(super) fn billed(messages: usize, body_bytes: u64) -> u64 {
    (messages as u64 * body_bytes).div_ceil(65_536).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_costs_a_request_for_each_64_kib_begun() {
        let table = [(0, 36, 1), (10, 36, 1), (10, 6553, 1), (10, 6554, 2), (1, 65_536, 1), (1, 1 << 20, 16)];
        for (messages, bytes, requests) in table {
            assert_eq!(billed(messages, bytes), requests, "{messages} x {bytes}");
        }
    }

    #[test]
    fn percentiles_are_within_a_thousandth_and_the_slowest_is_exact() {
        let mut books = Books::new();
        (1..=1000).for_each(|n| books.done(Duration::ZERO, Duration::from_millis(n * 10)));
        let latency = books.latency().expect("there are messages");
        for (seen, exact) in [(latency.p50, 5.0), (latency.p90, 9.0), (latency.p95, 9.5), (latency.p99, 9.9)] {
            assert!((seen / exact - 1.0).abs() < 0.001, "{seen} for {exact}");
        }
        assert_eq!(latency.max, 10.0);
        assert_eq!(books.histogram().iter().map(|bucket| bucket.count).sum::<u64>(), 1000);
    }
}
