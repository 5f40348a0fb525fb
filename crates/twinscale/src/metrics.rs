//! One set of metrics, with the same names and units on both hosts. Counts only; knows neither queue nor HTTP.
//!
//! The worker shows them to Prometheus at `/metrics` ([`Metrics::prometheus`]); the function writes those of each
//! invocation to CloudWatch.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What has happened to messages in this process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Messages received.
    pub received: Counter,
    /// Handlers that answered Done.
    pub done: Counter,
    /// Messages whose effect had happened already, so that they were not handled again (idempotency).
    pub duplicates: Counter,
    /// Handlers that answered Retry, panicked or overran their timeout.
    pub retried: Counter,
    /// Handlers that answered Reject.
    pub rejected: Counter,
    /// Messages given back unfinished: time was up, or their group was blocked.
    pub late: Counter,
    /// Messages that had another owner before they were settled, or a lease that ran out.
    pub lost_lease: Counter,
    /// Messages held now.
    pub in_flight: Gauge,
    /// How long handlers ran.
    pub handler_seconds: Histogram,
    /// How old messages were when their handlers began, counted from when they were sent.
    pub age_at_start_seconds: Histogram,
}

/// Messages held now; in a function, those of an invocation.
pub const IN_FLIGHT: &str = "twinscale_messages_in_flight";
/// How long handlers ran.
pub const HANDLER_SECONDS: &str = "twinscale_handler_seconds";
/// How old messages were when their handlers began.
pub const AGE_AT_START_SECONDS: &str = "twinscale_age_at_start_seconds";

/// Only ever grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// Upper bounds of the buckets, in seconds: from a fast cache to SQS's longest visibility timeout.
const BOUNDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 900.0, 43_200.0];

/// How durations are spread.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Each counts what fits it and none of the smaller ones; the last is everything above the bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Counter {
    /// One more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// So many now.
    pub fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// How many now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a verdict by its word in journals.
    pub fn ended(&self, word: &str) {
        match word {
            "done" => self.done.add(1),
            "duplicate" => self.duplicates.add(1),
            "reject" => self.rejected.add(1),
            "late" | "blocked" => self.late.add(1),
            // Counted once nobody can settle it any more.
            "lost" => {}
            _ => self.retried.add(1),
        }
    }

    /// The counters: name, what it counts, how many.
    pub fn counters(&self) -> [(&'static str, &'static str, u64); 7] {
        [
            ("twinscale_messages_received_total", "Messages received", &self.received),
            ("twinscale_messages_done_total", "Handlers that answered Done", &self.done),
            (
                "twinscale_messages_duplicate_total",
                "Messages not handled again since their effect had happened",
                &self.duplicates,
            ),
            (
                "twinscale_messages_retried_total",
                "Handlers that answered Retry, panicked or took too long",
                &self.retried,
            ),
            ("twinscale_messages_rejected_total", "Handlers that answered Reject", &self.rejected),
            ("twinscale_messages_late_total", "Messages given back unfinished", &self.late),
            (
                "twinscale_messages_lost_lease_total",
                "Messages that had another owner before they were settled, or a lease that ran out",
                &self.lost_lease,
            ),
        ]
        .map(|(name, help, counter)| (name, help, counter.get()))
    }

    /// The text format of Prometheus, version 0.0.4.
    pub fn prometheus(&self) -> String {
        let mut text = String::with_capacity(4096);
        for (name, help, count) in self.counters() {
            let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} counter\n{name} {count}");
        }
        let now = self.in_flight.get();
        let _ = writeln!(text, "# HELP {IN_FLIGHT} Messages held now.\n# TYPE {IN_FLIGHT} gauge\n{IN_FLIGHT} {now}");
        write_histogram(&mut text, HANDLER_SECONDS, "How long handlers ran", &self.handler_seconds);
        let help = "How old messages were when their handlers began";
        write_histogram(&mut text, AGE_AT_START_SECONDS, help, &self.age_at_start_seconds);
        text
    }
}

fn write_histogram(text: &mut String, name: &str, help: &str, histogram: &Histogram) {
    let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} histogram");
    let mut sum = 0;
    for (bucket, bound) in histogram.buckets.iter().zip(BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()])) {
        sum += bucket.load(Ordering::Relaxed);
        let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {sum}");
    }
    let seconds = histogram.micros.load(Ordering::Relaxed) as f64 / 1e6;
    let _ = writeln!(text, "{name}_sum {seconds}\n{name}_count {sum}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_reads_counters_and_cumulative_buckets() {
        let metrics = Metrics::default();
        for word in ["done", "done", "duplicate", "retry", "panic", "timeout", "reject", "late", "blocked"] {
            metrics.ended(word);
        }
        for millis in [1, 20, 20, 60_001, 50_000_000] {
            metrics.handler_seconds.observe(Duration::from_millis(millis));
        }
        let text = metrics.prometheus();
        for line in [
            "# TYPE twinscale_messages_done_total counter",
            "twinscale_messages_done_total 2",
            "twinscale_messages_duplicate_total 1",
            "twinscale_messages_retried_total 3",
            "twinscale_messages_rejected_total 1",
            "twinscale_messages_late_total 2",
            "twinscale_handler_seconds_bucket{le=\"0.001\"} 1",
            "twinscale_handler_seconds_bucket{le=\"0.025\"} 3",
            "twinscale_handler_seconds_bucket{le=\"60\"} 3",
            "twinscale_handler_seconds_bucket{le=\"900\"} 4",
            "twinscale_handler_seconds_bucket{le=\"+Inf\"} 5",
            "twinscale_handler_seconds_count 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
