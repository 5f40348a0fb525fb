//! What Prometheus' `/api/v1/query_range` answers: a matrix of series, each with its labels.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Mistake;
use super::metric::{Reading, RecordedMetric, Values};

/// The metrics of an answer, series by series.
pub(super) fn metrics(answer: &Value) -> Result<Vec<RecordedMetric>, Mistake> {
    if answer["status"] != "success" {
        return Err((None, format!("Prometheus answered {}: {}", answer["status"], answer["error"])));
    }
    let kind = &answer["data"]["resultType"];
    let result = answer["data"]["result"].as_array();
    let Some(result) = result.filter(|_| kind == "matrix") else {
        return Err((None, format!("a result of type {kind}: ask /api/v1/query_range, which answers a matrix")));
    };
    let mut named: BTreeMap<String, Vec<Vec<Reading>>> = BTreeMap::new();
    for series in result {
        let name = series["metric"]["__name__"].as_str().unwrap_or_default().to_owned();
        let values = series["values"].as_array().map(Vec::as_slice).unwrap_or_default();
        if values.is_empty() {
            return Err((None, format!("{}: there are no values in it", series["metric"])));
        }
        named.entry(name).or_default().push(values.iter().map(seen).collect::<Result<_, _>>()?);
    }
    Ok(named.into_iter().map(|(name, series)| RecordedMetric { name, kind: Values::Scraped, series }).collect())
}

/// `[1764000000.5, "120"]`.
fn seen(pair: &Value) -> Result<Reading, Mistake> {
    let value = pair[1].as_str().and_then(|text| text.parse::<f64>().ok()).filter(|value| value.is_finite());
    let seen = pair[0].as_f64().zip(value).map(|(at, value)| Reading { at, value, line: None, empty: false });
    seen.ok_or_else(|| (None, format!("{pair}: there is no time and number in it")))
}
