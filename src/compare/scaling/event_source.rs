//! The SQS event source mapping of Lambda: how many batches it has invoked the function with at once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::seconds;

/// An event source mapping on one queue. Names are those of the API, as a SAM template has them; defaults are Lambda's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct Settings {
    /// Records in one invocation at most: 1 to 10,000 (10), 10 on FIFO.
    pub batch_size: u32,
    /// How long to gather a batch: 0 to 300 s (0); at least 1 s with more than 10 records.
    #[serde(rename = "MaximumBatchingWindowInSeconds", with = "seconds")]
    pub window: Duration,
    /// `ScalingConfig.MaximumConcurrency`: 2 to 1,000; not together with provisioned pollers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_concurrency: Option<u32>,
    /// `ProvisionedPollerConfig`; `None` is standard mode.
    #[serde(rename = "ProvisionedPollerConfig", skip_serializing_if = "Option::is_none")]
    pub provisioned: Option<Provisioned>,
    /// `FunctionResponseTypes: [ReportBatchItemFailures]`: what the function names is not deleted (false).
    pub report_batch_item_failures: bool,
    /// Which published ramp of standard mode holds.
    pub ramp: Ramp,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_size: 10,
            window: Duration::ZERO,
            maximum_concurrency: None,
            provisioned: None,
            report_batch_item_failures: false,
            ramp: Ramp::Current,
        }
    }
}

impl Settings {
    /// What is wrong with these settings: the field, and what to write instead. Empty when all is well.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        if !(1..=10_000).contains(&self.batch_size) {
            mistakes.push(("BatchSize", format!("{}: write 1 to 10000", self.batch_size)));
        }
        if self.window > Duration::from_secs(300) {
            mistakes.push(("MaximumBatchingWindowInSeconds", "write 0 to 300".to_owned()));
        }
        if self.batch_size > 10 && self.window < Duration::from_secs(1) {
            let advice = "a BatchSize above 10 needs a window of at least 1 second".to_owned();
            mistakes.push(("MaximumBatchingWindowInSeconds", advice));
        }
        if self.maximum_concurrency.is_some_and(|max| !(2..=1000).contains(&max)) {
            mistakes.push(("MaximumConcurrency", "write 2 to 1000".to_owned()));
        }
        if let Some(provisioned) = self.provisioned {
            if self.maximum_concurrency.is_some() {
                mistakes.push(("MaximumConcurrency", "leave it out: there are provisioned pollers".to_owned()));
            }
            if !(2..=200).contains(&provisioned.minimum_pollers) {
                mistakes.push(("MinimumPollers", "write 2 to 200".to_owned()));
            }
            if !(2..=10_000).contains(&provisioned.maximum_pollers) {
                mistakes.push(("MaximumPollers", "write 2 to 10000".to_owned()));
            }
            if provisioned.minimum_pollers > provisioned.maximum_pollers {
                mistakes.push(("MinimumPollers", "it is above MaximumPollers".to_owned()));
            }
        }
        mistakes
    }
}

/// Event pollers that are paid for by the hour; there is no zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct Provisioned {
    /// 2 to 200 (2).
    pub minimum_pollers: u32,
    /// 2 to 10,000 (200).
    pub maximum_pollers: u32,
}

impl Default for Provisioned {
    fn default() -> Self {
        Self { minimum_pollers: 2, maximum_pollers: 200 }
    }
}

/// How fast standard mode adds concurrent batches while messages wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ramp {
    /// Since November 2023: 5 at the start, 300 more a minute, up to 1,250.
    #[default]
    Current,
    /// Before: 5 at the start, 60 more a minute, up to 1,000 (the documentation's figure; a blog of 2023 says 1,250).
    Before2023,
}
