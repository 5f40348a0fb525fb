//! A measured distribution: how many messages took how long, drawn from by the inverse of its distribution function.

use std::time::Duration;

use super::{format_duration, parse_duration};

/// A distribution function in straight pieces. Written `0s=0,1s=30,2.5s=70`: 30 messages between 0 and 1 s, 70 between
/// 1 and 2.5 s; the first point is where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Empirical {
    /// Times, ascending, and the messages up to each.
    points: Vec<(Duration, u64)>,
}

impl Empirical {
    /// Of points and the messages between each and the one before it; `None` unless times ascend and messages are there.
    pub fn of(counts: impl IntoIterator<Item = (Duration, u64)>) -> Option<Self> {
        let mut points: Vec<(Duration, u64)> = Vec::new();
        for (at, count) in counts {
            let before = points.last().map_or(0, |(_, before)| *before);
            points.push((at, before.checked_add(count)?));
        }
        let ascends = points.is_sorted_by(|a, b| a.0 < b.0);
        let begins = points.first().is_some_and(|(_, count)| *count == 0);
        (ascends && begins && points.last()?.1 > 0).then_some(Self { points })
    }

    /// The time below which the share `u` (0 to 1) of the messages was.
    pub(super) fn quantile(&self, u: f64) -> Duration {
        let Some((_, total)) = self.points.last() else { return Duration::ZERO };
        let messages = u * *total as f64;
        // The first point that has more; the first of all has none, and the last has them all.
        let at = self.points.partition_point(|(_, count)| *count as f64 <= messages).clamp(1, self.points.len() - 1);
        let ((from, before), (to, upto)) = (self.points[at - 1], self.points[at]);
        from + (to - from).mul_f64((messages - before as f64) / (upto - before).max(1) as f64)
    }

    /// Each piece is even, so that its mean is its middle.
    pub(super) fn mean(&self) -> Duration {
        let total = self.points.last().map_or(1, |(_, total)| (*total).max(1)) as f64;
        let pieces = self.points.windows(2).map(|two| {
            let middle = (two[0].0 + two[1].0) / 2;
            middle.mul_f64((two[1].1 - two[0].1) as f64 / total)
        });
        pieces.sum()
    }

    pub(super) fn scaled(&self, factor: f64) -> Self {
        Self { points: self.points.iter().map(|(at, count)| (at.mul_f64(factor), *count)).collect() }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let point = |text: &str| {
            let (at, count) = text.split_once('=')?;
            Some((parse_duration(at)?, count.trim().parse().ok()?))
        };
        Self::of(text.split(',').map(point).collect::<Option<Vec<_>>>()?)
    }

    pub(super) fn write(&self) -> String {
        let mut before = 0;
        let point = |(at, upto): &(Duration, u64)| {
            let count = upto - std::mem::replace(&mut before, *upto);
            format!("{}={count}", format_duration(*at))
        };
        self.points.iter().map(point).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_drawn_as_often_as_they_were_measured() {
        let measured = Empirical::parse("100ms=0,200ms=25,1s=0,1.1s=75").expect("a distribution");
        for (share, millis) in [(0.0, 100), (0.125, 150), (0.25, 1000), (0.625, 1050), (1.0, 1100)] {
            assert_eq!(measured.quantile(share), Duration::from_millis(millis), "{share}");
        }
        assert_eq!(measured.scaled(0.1).quantile(0.125), Duration::from_millis(15));
        assert_eq!(measured.mean(), Duration::from_millis(825));
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        assert_eq!(Empirical::parse("0s=0,1s=30,2500ms=70").expect("good").write(), "0s=0,1s=30,2500ms=70");
        for text in ["", "1s", "1s=3", "0s=0,1s=0", "0s=0,2s=1,1s=1", "0s=0,1s=-1", "0s=0,soon=1", "0s=0,1s=nan"] {
            assert_eq!(Empirical::parse(text), None, "{text}");
        }
    }
}
