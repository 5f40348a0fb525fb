//! What came in, what was done, and how long that took, over time: in windows of one length, from the first send on.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Windows at most: twice as many as a narrow screen has room for. Beyond that two neighbours become one.
const MOST: usize = 480;

/// 15 days, above the longest retention.
const LONGEST_MILLIS: u128 = 15 * 86_400_000;

/// One value a window, in columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// How long a window is: whole seconds, doubled until the run fits.
    pub window_seconds: f64,
    /// Messages that were sent.
    pub sent: Vec<u64>,
    /// Messages that were done.
    pub done: Vec<u64>,
    /// The median of the latency of those done in the window; null where none was.
    pub p50_seconds: Vec<Option<f64>>,
    /// The 95th percentile of it.
    pub p95_seconds: Vec<Option<f64>>,
}

impl Flow {
    /// The middle of each window, in scenario seconds.
    pub fn times(&self) -> impl Iterator<Item = f64> {
        let width = self.window_seconds;
        (0..self.sent.len()).map(move |at| (at as f64 + 0.5) * width)
    }
}

/// Counts and latencies as they come. Its size does not depend on how many there are.
#[derive(Clone, Debug)]
pub struct FlowBooks {
    /// In whole seconds.
    width: u64,
    sent: Vec<u64>,
    /// Latencies in milliseconds, to two digits.
    done: Vec<Histogram<u32>>,
}

impl Default for FlowBooks {
    fn default() -> Self {
        Self { width: 1, sent: Vec::new(), done: Vec::new() }
    }
}

impl FlowBooks {
    /// So many messages were sent, so long after the first one.
    pub fn sent(&mut self, at: Duration, count: u64) {
        let window = self.window(at);
        self.sent[window] += count;
    }

    /// A message was done, so long after the first send and after its own.
    pub fn done(&mut self, at: Duration, latency: Duration) {
        let window = self.window(at);
        // It grows as it must: to less than 20 KB for the longest.
        self.done[window] += latency.as_millis().min(LONGEST_MILLIS) as u64;
    }

    /// What is in the books.
    pub fn so_far(&self) -> Flow {
        let at = |percent: f64| {
            let value = move |done: &Histogram<u32>| {
                (!done.is_empty()).then(|| done.value_at_quantile(percent / 100.0) as f64 / 1000.0)
            };
            self.done.iter().map(value).collect()
        };
        Flow {
            window_seconds: self.width as f64,
            sent: self.sent.clone(),
            done: self.done.iter().map(Histogram::len).collect(),
            p50_seconds: at(50.0),
            p95_seconds: at(95.0),
        }
    }

    /// The window that a time falls into, which is made if it is not there.
    fn window(&mut self, at: Duration) -> usize {
        while (at.as_secs() / self.width) as usize >= MOST {
            self.halve();
        }
        let window = (at.as_secs() / self.width) as usize;
        if window >= self.sent.len() {
            self.sent.resize(window + 1, 0);
            self.done.resize_with(window + 1, latencies);
        }
        window
    }

    /// Makes windows twice as long.
    fn halve(&mut self) {
        self.width *= 2;
        self.sent = self.sent.chunks(2).map(|pair| pair.iter().sum()).collect();
        let mut pairs = std::mem::take(&mut self.done).into_iter();
        while let Some(mut first) = pairs.next() {
            if let Some(second) = pairs.next() {
                // Histograms that grow take every value of one of their own kind.
                let _ = first.add(&second);
            }
            self.done.push(first);
        }
    }
}

/// An empty histogram that grows with what is recorded.
fn latencies() -> Histogram<u32> {
    Histogram::new(2).expect("two digits are allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn every_message_is_in_its_window_and_a_window_without_any_has_no_latency() {
        let mut books = FlowBooks::default();
        books.sent(secs(0), 3);
        books.done(Duration::from_millis(2900), Duration::from_millis(1200));
        let flow = books.so_far();
        assert_eq!((flow.window_seconds, &flow.sent[..], &flow.done[..]), (1.0, &[3, 0, 0][..], &[0, 0, 1][..]));
        assert_eq!(flow.p95_seconds[..2], [None, None]);
        let p95 = flow.p95_seconds[2].expect("one was done");
        assert!((p95 / 1.2 - 1.0).abs() < 0.01, "{p95}");
        assert_eq!(flow.times().collect::<Vec<_>>(), [0.5, 1.5, 2.5]);
    }

    #[test]
    fn a_day_has_no_more_windows_than_a_screen_and_loses_no_message() {
        let mut books = FlowBooks::default();
        for at in 0..86_400 {
            books.sent(secs(at), 2);
            // The second half of the day is slow.
            books.done(secs(at), if at < 43_200 { secs(1) } else { secs(9) });
        }
        let flow = books.so_far();
        assert!(flow.sent.len() <= MOST && flow.sent.len() > MOST / 2 - 1, "{} windows", flow.sent.len());
        assert_eq!(flow.window_seconds, 256.0);
        assert_eq!((flow.sent.iter().sum::<u64>(), flow.done.iter().sum::<u64>()), (172_800, 86_400));
        let half = |at: usize| flow.p95_seconds[at].expect("there are messages in it").round();
        assert_eq!((half(0), half(flow.sent.len() - 1)), (1.0, 9.0));
    }
}
