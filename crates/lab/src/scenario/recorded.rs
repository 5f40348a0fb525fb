//! Reads what was recorded: a load, and what a target did with it. Files are those that people have: CloudWatch's answers and
//! exports, Prometheus' answers, tables, and logs of times.

mod cloudwatch;
mod metric;
mod prometheus;
mod table;

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Scenario, ScenarioError};
use crate::scenario::load::{Arrival, Load};
#[cfg(test)]
pub(crate) use metric::Reading;
pub(crate) use metric::{RecordedMetric, Values};

/// CloudWatch's name of the metric that is a load.
const SENT: &str = "NumberOfMessagesSent";

impl Scenario {
    /// Reads the file that a recorded load names, relative to the scenario's own file.
    pub(super) fn with_recorded_rows(mut self, scenario: &str) -> Result<Self, ScenarioError> {
        if let Load::Recorded { file: Some(file), rows } = &mut self.load {
            let path = Path::new(scenario).parent().unwrap_or(Path::new("")).join(&*file);
            *rows = recording(&path)?.rows;
        }
        Ok(self)
    }
}

/// A load that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recording {
    /// When its first row begins, in seconds of its own clock: since 1970 where it has dates.
    pub began: f64,
    /// How many messages at which time from then on.
    pub rows: Vec<Arrival>,
}

/// Reads the load in one file.
///
/// # Errors
/// [`ScenarioError::Recorded`]: it cannot be read, or holds no load.
pub(crate) fn recording(path: &Path) -> Result<Recording, ScenarioError> {
    let wrong = |(line, what)| wrong(path, line, what);
    load(metrics_of(&text(path)?).map_err(wrong)?).map_err(wrong)
}

/// Reads every metric in one file but the load.
///
/// # Errors
/// [`ScenarioError::Recorded`]: it cannot be read, or holds no metric.
pub(crate) fn observed(path: &Path) -> Result<Vec<RecordedMetric>, ScenarioError> {
    let mut metrics = metrics_of(&text(path)?).map_err(|(line, what)| wrong(path, line, what))?;
    metrics.retain(|metric| !metric.name.contains(SENT));
    Ok(metrics)
}

fn text(path: &Path) -> Result<String, ScenarioError> {
    std::fs::read_to_string(path).map_err(|error| wrong(path, None, error.to_string()))
}

fn wrong(path: &Path, line: Option<usize>, what: String) -> ScenarioError {
    ScenarioError::Recorded { file: path.display().to_string(), line, what }
}

/// What is wrong, and in which line, where one is to blame.
type Mistake = (Option<usize>, String);

fn metrics_of(text: &str) -> Result<Vec<RecordedMetric>, Mistake> {
    // Spreadsheets put a byte order mark in front.
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        let answer: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| (Some(error.line()).filter(|line| *line > 1), format!("no JSON: {error}")))?;
        match answer["data"].is_object() {
            true => prometheus::metrics(&answer),
            false => cloudwatch::of_json(&answer),
        }
    } else if text.lines().any(|line| line.starts_with("DATAPOINTS\t")) {
        cloudwatch::of_text(text)
    } else {
        table::metrics(text)
    }
}

/// The one metric that is a load, as rows in order of time.
fn load(mut metrics: Vec<RecordedMetric>) -> Result<Recording, Mistake> {
    if metrics.iter().any(|metric| metric.name.contains(SENT)) {
        metrics.retain(|metric| metric.name.contains(SENT));
    }
    let counts = match &metrics[..] {
        [] => Vec::new(),
        [one] => one.counts()?,
        [_, _, ..] => {
            let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            let what = format!("there is more than one metric in it ({}): keep one, or {SENT}", names.join(", "));
            return Err((None, what));
        }
    };
    let Some((began, _)) = counts.first().copied() else {
        return Err((None, "there is no row of time and count in it".to_owned()));
    };
    let row = |(at, count): (f64, u64)| Duration::try_from_secs_f64(at - began).map(|at| Arrival { at, count });
    let rows = counts.into_iter().map(row).collect::<Result<_, _>>().map_err(|error| (None, error.to_string()))?;
    Ok(Recording { began, rows })
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
mod tests;
