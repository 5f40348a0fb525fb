//! What `aws cloudwatch get-metric-statistics` (JSON and text) and `get-metric-data` (JSON) answer. Neither keeps an order.

use serde_json::Value;

use super::metric::{Reading, RecordedMetric, Values};
use super::{Mistake, seconds};

/// The statistics of get-metric-statistics, in the order in which one is taken where there are several.
const STATISTICS: [&str; 4] = ["Sum", "Maximum", "Average", "Minimum"];

/// In order of time, each moment once.
fn in_order(mut points: Vec<Reading>) -> Vec<Reading> {
    points.sort_by(|a, b| a.at.total_cmp(&b.at));
    points.dedup_by(|later, earlier| later.at == earlier.at);
    points
}

/// The lines of `--output text`.
pub(super) fn of_text(text: &str) -> Result<Vec<RecordedMetric>, Mistake> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.starts_with("DATAPOINTS\t"));
    let point = |(n, line): (usize, &str)| {
        let mut cells = line.split('\t').skip(1);
        let value = cells.next().and_then(|cell| cell.parse().ok());
        let at = cells.next().and_then(seconds);
        let seen = at.zip(value).map(|(at, value)| Reading { at, value, line: Some(n + 1), empty: false });
        seen.ok_or((Some(n + 1), format!("'{line}': there is no time and value in it")))
    };
    let points = lines.map(point).collect::<Result<_, _>>()?;
    let name = text.lines().find(|line| !line.contains('\t')).unwrap_or_default().trim().to_owned();
    Ok(vec![RecordedMetric { name, kind: Values::Period(None), series: vec![in_order(points)] }])
}

/// Either of the two answers.
pub(super) fn of_json(answer: &Value) -> Result<Vec<RecordedMetric>, Mistake> {
    if let Some(points) = answer["Datapoints"].as_array() {
        return Ok(vec![of_statistics(answer, points)?]);
    }
    let Some(results) = answer["MetricDataResults"].as_array() else {
        let what = "there are neither Datapoints nor MetricDataResults in it, nor what Prometheus answers";
        return Err((None, what.to_owned()));
    };
    if let Some(message) = answer["Messages"].as_array().and_then(|all| all.first()) {
        return Err((None, format!("CloudWatch says of it: {}", message["Value"].as_str().unwrap_or_default())));
    }
    let mut metrics: Vec<(String, RecordedMetric)> = Vec::new();
    let mut partial = None;
    for result in results {
        let text = |field: &str| result[field].as_str().unwrap_or_default().to_owned();
        let id = text("Id");
        let label = text("Label");
        let name = if label.is_empty() { id.clone() } else { label };
        // A command line that turns pages gives the parts of one metric one after the other.
        partial = (result["StatusCode"] == "PartialData").then(|| name.clone());
        let series = points(result)?;
        match metrics.iter_mut().find(|(known, _)| *known == id) {
            Some((_, metric)) => metric.series[0].extend(series),
            None => metrics.push((id, RecordedMetric { name, kind: Values::Period(None), series: vec![series] })),
        }
    }
    if let Some(name) = partial {
        let what =
            format!("{name} is not all there (PartialData): ask for less time, or let the command line turn pages");
        return Err((None, what));
    }
    let ordered = |(_, metric): (String, RecordedMetric)| {
        let series = metric.series.into_iter().map(in_order).collect();
        RecordedMetric { series, ..metric }
    };
    Ok(metrics.into_iter().map(ordered).collect())
}

fn of_statistics(answer: &Value, points: &[Value]) -> Result<RecordedMetric, Mistake> {
    let known = |statistic: &&&str| points.iter().all(|point| point[**statistic].is_number());
    let statistic = STATISTICS.iter().find(known).copied();
    let point = |point: &Value| {
        let value = statistic.and_then(|statistic| point[statistic].as_f64());
        seen(&point["Timestamp"], value).ok_or_else(|| (None, format!("{point}: there is no time and statistic in it")))
    };
    let all = points.iter().map(point).collect::<Result<_, _>>()?;
    let name = answer["Label"].as_str().unwrap_or_default().to_owned();
    Ok(RecordedMetric { name, kind: Values::Period(statistic.map(str::to_owned)), series: vec![in_order(all)] })
}

fn points(result: &Value) -> Result<Vec<Reading>, Mistake> {
    let (Some(times), Some(values)) = (result["Timestamps"].as_array(), result["Values"].as_array()) else {
        return Err((None, format!("{}: there are no Timestamps and Values in it", result["Id"])));
    };
    if times.len() != values.len() {
        return Err((None, format!("{}: there are {} times and {} values", result["Id"], times.len(), values.len())));
    }
    let point = |(at, value): (&Value, &Value)| {
        seen(at, value.as_f64()).ok_or_else(|| (None, format!("{at} {value}: no time and value")))
    };
    times.iter().zip(values).map(point).collect()
}

/// Times are dates, or seconds since 1970.
fn seen(at: &Value, value: Option<f64>) -> Option<Reading> {
    let at = at.as_f64().or_else(|| at.as_str().and_then(seconds))?;
    Some(Reading { at, value: value?, line: None, empty: false })
}
