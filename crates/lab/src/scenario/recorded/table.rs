//! Tables of time and values, as CloudWatch's console exports them and as people write them, and logs of times.

use super::metric::{Reading, RecordedMetric, Values};
use super::{Mistake, seconds};

/// Every column beside the time's is a metric; a table of times alone has one message a row. Lines before the first row are
/// headings: CloudWatch writes several.
pub(super) fn metrics(text: &str) -> Result<Vec<RecordedMetric>, Mistake> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let mut headings: Vec<Vec<String>> = Vec::new();
    let mut columns: Vec<Vec<Reading>> = Vec::new();
    let mut moments: Vec<Reading> = Vec::new();
    let mut before = f64::NEG_INFINITY;
    for (n, line) in lines {
        let cells = cells(line);
        let line_number = Some(n + 1);
        let Some(at) = cells.first().and_then(|cell| seconds(cell)) else {
            if columns.is_empty() && moments.is_empty() {
                headings.push(cells);
                continue;
            }
            let advice = "is no time: write seconds, or a date and time as 2026-11-24T10:00:00Z";
            return Err((line_number, format!("'{}' {advice}", cells.first().map_or("", String::as_str))));
        };
        let values = &cells[1..];
        if values.is_empty() {
            moments.push(Reading { at, value: 1.0, line: line_number, empty: false });
            continue;
        }
        if before >= at {
            return Err((
                line_number,
                format!("'{}' is not after the time before it: order the rows by time", cells[0]),
            ));
        }
        before = at;
        columns.resize(columns.len().max(values.len()), Vec::new());
        for (column, cell) in columns.iter_mut().zip(values) {
            let value = if cell.is_empty() { Some(0.0) } else { cell.parse::<f64>().ok() };
            let Some(value) = value else {
                return Err((line_number, format!("'{line}': the count is no whole number of messages, 0 or more")));
            };
            column.push(Reading { at, value, line: line_number, empty: cell.is_empty() });
        }
    }
    match (columns.is_empty(), moments.is_empty()) {
        (false, false) => {
            Err((moments[0].line, "there is a time without a value: write one in every row, or in none".into()))
        }
        (true, _) => Ok(vec![RecordedMetric { name: String::new(), kind: Values::Moments, series: vec![moments] }]),
        (false, true) => {
            let name = |n: usize| {
                let parts: Vec<_> =
                    headings.iter().filter_map(|heading| heading.get(n + 1)).map(String::as_str).collect();
                parts.join(" ")
            };
            let metric = |(n, points)| RecordedMetric { name: name(n), kind: Values::Row, series: vec![points] };
            Ok(columns.into_iter().enumerate().map(metric).collect())
        }
    }
}

/// The cells of a line, without their quotes; a comma within quotes separates nothing.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(other);
                }
            }
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}
