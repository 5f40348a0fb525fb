//! A metric that was recorded, whoever kept it, and what it says of counts and of levels.

use std::collections::BTreeMap;

use super::Mistake;

const ADVICE: &str = "no time and whole sum in it: ask for NumberOfMessagesSent with --statistics Sum";
/// A counter starts anew when its process does. One that falls in more than a tenth of its steps is none.
const RESTARTS: usize = 10;

/// One metric of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecordedMetric {
    /// As the file calls it; empty where it has no name.
    pub name: String,
    /// What its values are.
    pub kind: Values,
    /// One list of points for each thing that was watched, each in order of time.
    pub series: Vec<Vec<Reading>>,
}

/// What the values of a metric are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    /// A statistic over the period that begins at each time, where it is told which.
    Period(Option<String>),
    /// What a scrape saw: of a counter its sum so far, otherwise a level.
    Scraped,
    /// A row of a table: it holds until the next one.
    Row,
    /// Times at which one message each came.
    Moments,
}

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// In seconds of the file's clock.
    pub at: f64,
    /// What was seen.
    pub value: f64,
    /// The line of the file, where it has lines.
    pub line: Option<usize>,
    /// The cell was empty, as CloudWatch leaves it where there was nothing to count: no message, and no level.
    pub empty: bool,
}

impl RecordedMetric {
    /// How many messages came from each time until the next.
    pub(super) fn counts(&self) -> Result<Vec<(f64, u64)>, Mistake> {
        match &self.kind {
            Values::Period(Some(statistic)) if statistic != "Sum" => {
                Err((None, format!("{} {statistic}: {ADVICE}", self.name)))
            }
            Values::Period(_) => self.whole(ADVICE).map(closed),
            Values::Row => self.whole("the count is no whole number of messages, 0 or more"),
            Values::Scraped => self.increases(),
            Values::Moments => Ok(in_buckets(self.series.iter().flatten().map(|seen| seen.at).collect())),
        }
    }

    /// The level at each time, summed over all that was watched.
    pub(crate) fn levels(&self) -> Vec<(f64, f64)> {
        let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
        for seen in self.series.iter().flatten().filter(|seen| !seen.empty) {
            *sums.entry(millis(seen.at)).or_default() += seen.value;
        }
        sums.into_iter().map(|(at, sum)| (at as f64 / 1000.0, sum)).collect()
    }

    fn whole(&self, advice: &str) -> Result<Vec<(f64, u64)>, Mistake> {
        let row = |seen: &Reading| {
            let count = whole(seen.value).ok_or_else(|| (seen.line, format!("{}: {advice}", seen.value)))?;
            Ok((seen.at, count))
        };
        self.series.iter().flatten().map(row).collect()
    }

    /// What counters grew by from each time to the next. A series that begins later than the others began at 0.
    fn increases(&self) -> Result<Vec<(f64, u64)>, Mistake> {
        let times: BTreeMap<i64, f64> = self.series.iter().flatten().map(|seen| (millis(seen.at), 0.0)).collect();
        let mut grown = times.clone();
        let mut add = |at: i64, more: f64| *grown.entry(at).or_default() += more;
        for series in &self.series {
            let fell = series.windows(2).filter(|two| two[1].value < two[0].value).count();
            if fell > 1 && fell * RESTARTS > series.len() {
                let what = format!(
                    "{} falls in {fell} of {} steps, and so is no counter: query a counter itself, without rate() or sum()",
                    self.name,
                    series.len().saturating_sub(1)
                );
                return Err((None, what));
            }
            if let Some(first) = series.first()
                && let Some((before, _)) = times.range(..millis(first.at)).next_back()
            {
                add(*before, first.value);
            }
            for two in series.windows(2) {
                let since = if two[1].value < two[0].value { 0.0 } else { two[0].value };
                add(millis(two[0].at), two[1].value - since);
            }
        }
        // The last look only ends the row before it.
        grown.pop_last();
        let row = |(at, more): (i64, f64)| {
            let what = || (None, format!("{} grew by {more}: a counter of messages counts whole ones", self.name));
            Ok((at as f64 / 1000.0, whole(more).ok_or_else(what)?))
        };
        grown.into_iter().map(row).collect()
    }
}

fn millis(at: f64) -> i64 {
    (at * 1000.0).round() as i64
}

/// A count of messages, which CloudWatch writes as 12.0.
fn whole(count: f64) -> Option<u64> {
    ((0.0..=1e12).contains(&count) && count.fract() == 0.0).then_some(count as u64)
}

/// CloudWatch has no point where nothing was sent: the period before ends, and is not spread until the next.
fn closed(rows: Vec<(f64, u64)>) -> Vec<(f64, u64)> {
    let steps = rows.windows(2).map(|two| two[1].0 - two[0].0);
    let Some(period) = steps.min_by(f64::total_cmp) else { return rows };
    let mut all = Vec::new();
    for (n, (at, count)) in rows.iter().copied().enumerate() {
        all.push((at, count));
        if rows.get(n + 1).is_some_and(|(next, _)| next - at > period * 1.5) {
            all.push((at + period, 0));
        }
    }
    all
}

/// Rows that moments are counted in at most: as many as a week has minutes.
const MOST_ROWS: f64 = 10_080.0;

/// Moments counted by whole seconds, or by as many seconds as keep the rows few.
fn in_buckets(mut moments: Vec<f64>) -> Vec<(f64, u64)> {
    moments.sort_by(f64::total_cmp);
    let (Some(first), Some(last)) = (moments.first().copied(), moments.last().copied()) else { return Vec::new() };
    let width = ((last - first) / MOST_ROWS).ceil().max(1.0);
    let mut rows: BTreeMap<u64, u64> = BTreeMap::new();
    for moment in moments {
        let bucket = ((moment - first) / width) as u64;
        *rows.entry(bucket).or_default() += 1;
        // Where nothing comes next, the row ends.
        rows.entry(bucket + 1).or_default();
    }
    rows.into_iter().map(|(bucket, count)| (first + bucket as f64 * width, count)).collect()
}
