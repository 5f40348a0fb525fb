//! What `aws cloudwatch get-metric-statistics` (JSON and text) and `get-metric-data` (JSON) answer. Neither keeps an order.

use serde_json::Value;

use super::{Mistake, Row, seconds, whole};

const ADVICE: &str = "no time and whole sum in it: ask for NumberOfMessagesSent with --statistics Sum";

/// The rows in order of time; `None` if the text is neither.
pub(super) fn parse(text: &str) -> Option<Result<Vec<Row>, Mistake>> {
    let rows = if text.trim_start().starts_with('{') {
        from_json(text)
    } else if text.lines().any(|line| line.starts_with("DATAPOINTS\t")) {
        from_text(text)
    } else {
        return None;
    };
    Some(rows.map(|mut rows| {
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        rows.dedup_by(|later, earlier| later.0 == earlier.0);
        rows
    }))
}

fn from_text(text: &str) -> Result<Vec<Row>, Mistake> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.starts_with("DATAPOINTS\t"));
    let row = |(n, line): (usize, &str)| {
        let mut cells = line.split('\t').skip(1);
        let (count, at) = (cells.next().and_then(|cell| cell.parse().ok()), cells.next().and_then(seconds));
        at.zip(count.and_then(whole)).ok_or((Some(n + 1), format!("'{line}': {ADVICE}")))
    };
    lines.map(row).collect()
}

fn from_json(text: &str) -> Result<Vec<Row>, Mistake> {
    let answer: Value =
        serde_json::from_str(text).map_err(|e| (Some(e.line()).filter(|n| *n > 1), format!("no JSON: {e}")))?;
    let row = |at: &Value, count: &Value| {
        let row = at.as_str().and_then(seconds).zip(count.as_f64().and_then(whole));
        row.ok_or((None, format!("{at} {count}: {ADVICE}")))
    };
    if let Some(points) = answer["Datapoints"].as_array() {
        return points.iter().map(|point| row(&point["Timestamp"], &point["Sum"])).collect();
    }
    match answer["MetricDataResults"].as_array().map(Vec::as_slice) {
        Some([result]) => {
            let (times, values) = (result["Timestamps"].as_array(), result["Values"].as_array());
            times.into_iter().flatten().zip(values.into_iter().flatten()).map(|(at, count)| row(at, count)).collect()
        }
        Some(_) => Err((None, "there is more than one metric in it: ask for one".to_owned())),
        None => Err((None, "there are neither Datapoints nor MetricDataResults in it".to_owned())),
    }
}
