//! What the advice has to meet: `p95<30s`, or `drain<5m`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::run::Target;
use twinscale_work::{format_duration, parse_duration};

/// A figure of a run and its limit; in JSON as it is written, `"p95<30s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Goal {
    /// Which figure.
    pub figure: GoalFigure,
    /// Its limit.
    pub within: Duration,
}

/// A figure that a goal can be set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoalFigure {
    /// Median latency.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// First send to last delete.
    Drain,
}

impl Goal {
    /// Whether it is about how long a message takes.
    pub fn is_of_latency(&self) -> bool {
        match self.figure {
            GoalFigure::P50 | GoalFigure::P90 | GoalFigure::P95 | GoalFigure::P99 => true,
            GoalFigure::Drain => false,
        }
    }

    /// The goal's figure of a run, in seconds.
    pub fn figure(&self, target: &Target) -> Option<f64> {
        let latency = target.latency_seconds;
        match self.figure {
            GoalFigure::P50 => latency.map(|l| l.p50),
            GoalFigure::P90 => latency.map(|l| l.p90),
            GoalFigure::P95 => latency.map(|l| l.p95),
            GoalFigure::P99 => latency.map(|l| l.p99),
            GoalFigure::Drain => target.drain_seconds,
        }
    }
}

impl fmt::Display for GoalFigure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Drain => "drain",
        })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}<{}", self.figure, format_duration(self.within))
    }
}

impl From<Goal> for String {
    fn from(goal: Goal) -> Self {
        goal.to_string()
    }
}

impl TryFrom<String> for Goal {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || format!("'{text}' is no target: write p95<30s, or p50, p90, p99 or drain in place of p95");
        let (figure, within) = text.split_once('<').ok_or_else(advice)?;
        let figure = match figure.trim() {
            "p50" => GoalFigure::P50,
            "p90" => GoalFigure::P90,
            "p95" => GoalFigure::P95,
            "p99" => GoalFigure::P99,
            "drain" => GoalFigure::Drain,
            _ => return Err(advice()),
        };
        Ok(Self { figure, within: parse_duration(within).filter(|limit| !limit.is_zero()).ok_or_else(advice)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read_and_mistakes_say_what_to_write() {
        assert_eq!("p95<30s".parse(), Ok(Goal { figure: GoalFigure::P95, within: Duration::from_secs(30) }));
        assert_eq!("drain < 5m".parse(), Ok(Goal { figure: GoalFigure::Drain, within: Duration::from_secs(300) }));
        let goal: Goal = "p99<1500ms".parse().expect("a goal");
        assert_eq!(goal.to_string(), "p99<1500ms");
        for text in ["", "p95", "p95>30s", "p97<30s", "p95<soon", "p95<0s", "p95<-1s"] {
            assert!(text.parse::<Goal>().expect_err(text).contains("write p95<30s"));
        }
    }
}
