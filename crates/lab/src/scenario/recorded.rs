//! Reads a recorded load: a CSV of time and count, or what CloudWatch gives for `NumberOfMessagesSent`.

mod cloudwatch;

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Scenario, ScenarioError};
use crate::scenario::load::{Arrival, Load};

impl Scenario {
    /// Reads the CSV that a recorded load names, relative to the scenario's own file. The rows decide how many
    /// messages there are; a flag may ask for fewer.
    pub(super) fn with_recorded_rows(mut self, scenario: &str) -> Result<Self, ScenarioError> {
        if let Load::Recorded { file: Some(file), rows } = &mut self.load {
            let path = Path::new(scenario).parent().unwrap_or(Path::new("")).join(&*file);
            let path_text = path.display().to_string();
            let error = |line, what| ScenarioError::Recorded { file: path_text.clone(), line, what };
            let text = std::fs::read_to_string(&path).map_err(|e| error(None, e.to_string()))?;
            *rows = parse(&text).map_err(|(line, what)| error(line, what))?;
        }
        if let Some(recorded) = self.load.recorded_messages() {
            self.messages = recorded;
        }
        Ok(self)
    }
}

/// What is wrong, and in which line, where one is to blame.
type Mistake = (Option<usize>, String);

/// Rows of time and count, in order of time. Lines before the first such row are headings (CloudWatch writes several);
/// times are seconds, or dates and times, and count from the first row.
fn parse(text: &str) -> Result<Vec<Arrival>, Mistake> {
    // Spreadsheets put a byte order mark in front.
    let text = text.trim_start_matches('\u{feff}');
    if let Some(rows) = cloudwatch::parse(text) {
        return arrivals(rows?);
    }
    let mut rows: Vec<Row> = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut cells = line.split(',').map(|cell| cell.trim().trim_matches('"'));
        let (time, count) = (cells.next().unwrap_or_default(), cells.next().unwrap_or_default());
        let more = cells.next().is_some_and(|cell| cell.parse::<f64>().is_ok());
        let Some(at) = seconds(time) else {
            if rows.is_empty() {
                continue;
            }
            let advice = "is no time: write seconds, or a date and time as 2026-11-24T10:00:00Z";
            return Err((Some(n + 1), format!("'{time}' {advice}")));
        };
        if more {
            return Err((Some(n + 1), format!("'{line}': there is more than one count; keep one metric in the file")));
        }
        // CloudWatch leaves a cell empty where nothing was sent.
        let count = if count.is_empty() { Some(0.0) } else { count.parse::<f64>().ok() };
        let Some(count) = count.and_then(whole) else {
            return Err((Some(n + 1), format!("'{line}': the count is no whole number of messages, 0 or more")));
        };
        if rows.last().is_some_and(|(before, _)| *before >= at) {
            return Err((Some(n + 1), format!("'{time}' is not after the time before it: order the rows by time")));
        }
        rows.push((at, count));
    }
    arrivals(rows)
}

/// A time in seconds and a count.
type Row = (f64, u64);

/// A count of messages, which CloudWatch writes as 12.0.
fn whole(count: f64) -> Option<u64> {
    ((0.0..=1e12).contains(&count) && count.fract() == 0.0).then_some(count as u64)
}

/// The rows, in order, with times from the first.
fn arrivals(rows: Vec<Row>) -> Result<Vec<Arrival>, Mistake> {
    let Some((first, _)) = rows.first().copied() else {
        return Err((None, "there is no row of time and count in it".to_owned()));
    };
    rows.into_iter()
        .map(|(at, count)| Duration::try_from_secs_f64(at - first).map(|at| Arrival { at, count }))
        .collect::<Result<_, _>>()
        .map_err(|e| (None, e.to_string()))
}

/// Seconds since some moment: a plain number, or a date and time with or without an offset.
fn seconds(text: &str) -> Option<f64> {
    if let Ok(number) = text.parse::<f64>() {
        return number.is_finite().then_some(number);
    }
    // CloudWatch writes 2026/11/24 10:00:00, in UTC.
    let mut moment = text.replace('/', "-").replacen(' ', "T", 1);
    let offset = moment.get(16..).is_some_and(|rest| rest.contains(['Z', '+', '-']));
    if !offset {
        moment.push('Z');
    }
    let moment = OffsetDateTime::parse(&moment, &Rfc3339).ok()?;
    Some(moment.unix_timestamp_nanos() as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, u64)> {
        parse(text).expect(text).iter().map(|row| (row.at.as_secs(), row.count)).collect()
    }

    #[test]
    fn a_cloudwatch_export_is_read() {
        let export = "Full label,NumberOfMessagesSent\nPeriod,60\n\
                      2026/11/24 10:00:00,120.0\n2026/11/24 10:01:00,\n2026/11/24 10:02:00,7\n";
        assert_eq!(rows(export), [(0, 120), (60, 0), (120, 7)]);
    }

    #[test]
    fn what_the_command_line_and_the_api_answer_is_read_in_whatever_order_it_comes() {
        let expected = [(0, 120), (60, 7), (180, 3)];
        let text = "NumberOfMessagesSent\nDATAPOINTS\t7.0\t2026-11-24T10:01:00+00:00\tCount\n\
                    DATAPOINTS\t120.0\t2026-11-24T10:00:00+00:00\tCount\nDATAPOINTS\t3.0\t2026-11-24T10:03:00+00:00\tCount\n";
        assert_eq!(rows(text), expected);
        let statistics = r#"{ "Label": "NumberOfMessagesSent", "Datapoints": [
            { "Timestamp": "2026-11-24T10:03:00Z", "Sum": 3.0, "Unit": "Count" },
            { "Timestamp": "2026-11-24T10:00:00Z", "Sum": 120.0, "Unit": "Count" },
            { "Timestamp": "2026-11-24T10:01:00Z", "Sum": 7.0, "Unit": "Count" } ] }"#;
        assert_eq!(rows(statistics), expected);
        let data = r#"{ "MetricDataResults": [{ "Id": "sent", "Label": "x", "StatusCode": "Complete",
            "Timestamps": ["2026-11-24T10:03:00+00:00", "2026-11-24T10:01:00+00:00", "2026-11-24T10:00:00+00:00"],
            "Values": [3.0, 7.0, 120.0] }], "Messages": [] }"#;
        assert_eq!(rows(data), expected);
    }

    #[test]
    fn times_may_be_seconds_or_dates_with_an_offset() {
        assert_eq!(rows("time,count\n100,1\n105.5,2\n"), [(0, 1), (5, 2)]);
        assert_eq!(rows("2026-11-24T23:59:59+01:00,1\n2026-11-24T23:00:04Z,2"), [(0, 1), (5, 2)]);
        assert_eq!(rows("\"2024-02-28 23:59:00\",\"1\"\n\"2024-03-01 00:00:00\",\"2\""), [(0, 1), (86_460, 2)]);
    }

    #[test]
    fn a_bad_row_is_named_with_its_line() {
        for (text, line, named) in [
            ("", None, "no row"),
            ("time,count\n", None, "no row"),
            ("0,5\nsoon,5", Some(2), "'soon' is no time"),
            ("0,5\n60,-1", Some(2), "no whole number"),
            ("0,many", Some(1), "no whole number"),
            ("0,NaN", Some(1), "no whole number"),
            ("time,count\n60,5\n0,5", Some(3), "order the rows"),
            ("time,a,b\n0,5,6", Some(2), "more than one count"),
            ("{\"Datapoints\": []}", None, "no row"),
            (
                "{\"Datapoints\": [{\"Timestamp\": \"2026-11-24T10:00:00Z\", \"Average\": 2.5}]}",
                None,
                "--statistics Sum",
            ),
            ("{\"Datapoints\": [", None, "no JSON"),
            ("{\"Items\": []}", None, "Datapoints"),
            ("DATAPOINTS\t1.5\t2026-11-24T10:00:00Z\tCount", Some(1), "--statistics Sum"),
        ] {
            let (at, what) = parse(text).expect_err(text);
            assert_eq!(at, line, "{text}");
            assert!(what.contains(named), "{text}: {what}");
        }
    }
}
