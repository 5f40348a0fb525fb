//! The metrics of one invocation in CloudWatch's embedded metric format: a line of JSON in the log is a metric, and
//! costs no call. Names and units are those that the worker shows to Prometheus.

use std::io::Write;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};

use crate::journal::Times;
use crate::message::Message;
use crate::metrics::{AGE_AT_START_SECONDS, HANDLER_SECONDS, IN_FLIGHT, Metrics};

/// The most values of one metric that the format takes in a line.
const MAX_VALUES: usize = 100;

/// What CloudWatch Logs adds to the bytes of an event when it counts them.
const EVENT_BYTES: usize = 26;

/// The bytes that CloudWatch Logs counts for the metrics of one invocation with so many messages.
pub fn log_bytes(messages: usize) -> usize {
    let sent = SystemTime::UNIX_EPOCH;
    let message = Message { sent_at: Some(sent), ..Message::default() };
    let mut seen = Seen::default();
    for _ in 0..messages {
        let started = sent + Duration::from_millis(1234);
        let times = Times { received: sent, started: Some(started), finished: started + Duration::from_millis(1234) };
        seen.ended(&message, times, "done");
    }
    // As long as those of this century.
    let lines = seen.lines("twinscale-sqs", Duration::from_secs(1_800_000_000));
    lines.iter().map(|line| line.to_string().len() + 1 + EVENT_BYTES).sum()
}

/// What was seen in one invocation.
#[derive(Default)]
pub(super) struct Seen {
    /// Its counters; CloudWatch sums them up. Its histograms stay empty, since CloudWatch wants the values.
    pub(super) metrics: Metrics,
    handler_seconds: Vec<f64>,
    ages_at_start: Vec<f64>,
}

impl Seen {
    /// Counts a message that ended.
    pub(super) fn ended(&mut self, message: &Message, times: Times, word: &str) {
        self.metrics.ended(word);
        let Some(started) = times.started else { return };
        let seconds = |from: SystemTime, to: SystemTime| to.duration_since(from).map_or(0.0, |d| d.as_secs_f64());
        self.handler_seconds.push(seconds(started, times.finished));
        self.ages_at_start.extend(message.sent_at.map(|sent| seconds(sent, started)));
    }

    /// Writes it to standard output, which is a function's log.
    pub(super) fn write(&self, at: SystemTime) {
        let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
        let mut log = std::io::stdout().lock();
        for line in self.lines(&function, at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()) {
            // A log that takes nothing is no reason to fail messages.
            let _ = writeln!(log, "{line}");
        }
    }

    fn lines(&self, function: &str, at: Duration) -> Vec<Value> {
        let counters = self.metrics.counters();
        let mut metrics: Vec<_> = counters.iter().map(|(name, _, count)| (*name, "Count", json!(count))).collect();
        metrics.push((IN_FLIGHT, "Count", json!(self.metrics.in_flight.get())));
        let mut handled = self.handler_seconds.chunks(MAX_VALUES);
        let mut ages = self.ages_at_start.chunks(MAX_VALUES);
        let mut lines = Vec::new();
        loop {
            metrics.extend(handled.next().map(|values| (HANDLER_SECONDS, "Seconds", json!(values))));
            metrics.extend(ages.next().map(|values| (AGE_AT_START_SECONDS, "Seconds", json!(values))));
            if metrics.is_empty() {
                return lines;
            }
            lines.push(line(function, at, &metrics));
            metrics.clear();
        }
    }
}

fn line(function: &str, at: Duration, metrics: &[(&'static str, &'static str, Value)]) -> Value {
    let names: Vec<_> = metrics.iter().map(|(name, unit, _)| json!({ "Name": name, "Unit": unit })).collect();
    let mut line: Map<String, Value> =
        metrics.iter().map(|(name, _, value)| ((*name).to_owned(), value.clone())).collect();
    line.insert("FunctionName".to_owned(), function.into());
    let described = json!([{ "Namespace": "Twinscale", "Dimensions": [["FunctionName"]], "Metrics": names }]);
    line.insert("_aws".to_owned(), json!({ "Timestamp": at.as_millis() as u64, "CloudWatchMetrics": described }));
    line.into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn cloudwatch_gets_the_names_and_units_that_prometheus_gets() {
        let mut seen = Seen::default();
        let at = SystemTime::UNIX_EPOCH;
        let message = Message { sent_at: Some(at), ..Message::default() };
        seen.ended(&message, Times { received: at, started: Some(at), finished: at }, "done");
        let lines = seen.lines("f", Duration::ZERO);
        let of_emf = lines.iter().flat_map(|line| line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array()).flatten();
        let of_emf: BTreeSet<_> = of_emf.map(|metric| (metric["Name"].as_str(), metric["Unit"].as_str())).collect();
        let prometheus = seen.metrics.prometheus();
        let types = prometheus.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        // By Prometheus' rules the unit is the end of a name, and what counts has none.
        let unit = |name: &str| if name.ends_with("_seconds") { "Seconds" } else { "Count" };
        let of_prometheus: BTreeSet<_> = types.map(|(name, _)| (Some(name), Some(unit(name)))).collect();
        assert_eq!(of_emf, of_prometheus);
        assert_eq!(of_emf.len(), 10);
    }

    #[test]
    fn what_a_line_takes_in_the_log_grows_with_its_messages() {
        assert!((1000..1300).contains(&log_bytes(1)), "{}", log_bytes(1));
        // Two values and their commas a message.
        assert!((8..24).contains(&((log_bytes(10) - log_bytes(1)) / 9)), "{}", log_bytes(10));
    }

    #[test]
    fn every_metric_of_a_line_is_described_and_no_list_is_too_long() {
        let mut seen = Seen::default();
        let sent = SystemTime::UNIX_EPOCH;
        let message = Message { sent_at: Some(sent), ..Message::default() };
        let times = Times {
            received: sent,
            started: Some(sent + Duration::from_secs(2)),
            finished: sent + Duration::from_secs(5),
        };
        for _ in 0..101 {
            seen.ended(&message, times, "done");
        }
        seen.ended(&message, Times { started: None, ..times }, "late");
        let lines = seen.lines("f", Duration::from_secs(7));
        assert_eq!(lines.len(), 2);
        let first = &lines[0];
        let second = &lines[1];
        assert_eq!((&first["twinscale_messages_done_total"], &first["FunctionName"]), (&json!(101), &json!("f")));
        assert_eq!(first["twinscale_messages_late_total"], 1);
        assert_eq!(first["_aws"]["Timestamp"], 7000);
        assert_eq!(first[HANDLER_SECONDS].as_array().map(Vec::len), Some(100));
        assert_eq!((&second[HANDLER_SECONDS], &second[AGE_AT_START_SECONDS]), (&json!([3.0]), &json!([2.0])));
        assert!(second.get("twinscale_messages_done_total").is_none(), "counted once");
        for line in lines {
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().expect("a list") {
                assert!(line.get(metric["Name"].as_str().expect("a name")).is_some(), "{metric}");
            }
        }
    }
}
