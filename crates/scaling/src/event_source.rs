//! The SQS event source mapping of Lambda: how many batches it has invoked the function with at once.
//!
//! Published are the start (5), the ramps, the maxima and that it goes back when idle. Not published, and therefore
//! estimates of this model: how often it looks, when and how fast it goes back, each named where it is used; and what was
//! fitted to measurements ([`Estimates`]).

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::estimates::Estimates;
use super::{Decision, Observation, Policy, Reason, Scaler, Verdict, seconds};

/// An event source mapping on one queue. Names are those of the API, as a SAM template has them; defaults are Lambda's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase", deny_unknown_fields)]
pub struct MappingSettings {
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

impl Default for MappingSettings {
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

impl MappingSettings {
    /// Provisioned pollers that keep so many batches under way; `None` in standard mode.
    pub fn pollers(&self, batches: u32) -> Option<u32> {
        self.provisioned.map(|_| batches / PER_POLLER)
    }

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

impl MappingSettings {
    /// Pollers that wait in long polls where there is nothing to do: of standard mode 2, or the 5 of the start where
    /// MaximumConcurrency is set; of provisioned mode ten long polls each.
    pub fn idle_pollers(&self) -> u32 {
        match (self.provisioned, self.maximum_concurrency) {
            (Some(provisioned), _) => provisioned.minimum_pollers * PER_POLLER,
            (None, Some(maximum)) => START.min(maximum),
            (None, None) => match self.ramp {
                Ramp::Current => IDLE,
                Ramp::Before2023 => START,
            },
        }
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

/// How often the mapping looks (estimate: AWS gives the ramp a minute, and it is taken to be even).
const LOOK: Duration = Duration::from_secs(1);
/// Concurrent invocations that one provisioned poller can keep up.
const PER_POLLER: u32 = 10;
/// Pollers that standard mode starts with, and goes back to.
const START: u32 = 5;
/// Pollers that standard mode may fall to after a long idle time, unless MaximumConcurrency is set.
const IDLE: u32 = 2;
/// How long nothing must have been under way for that, and how long more must have been allowed than was of use before the
/// mapping goes back at all (estimate: AWS says that it does when traffic is low, and counts in minutes).
const LONG_IDLE: Duration = Duration::from_secs(300);

/// A mapping at work. [`Decision::to`] is how many batches may be under way at once.
#[derive(Clone, Debug)]
pub struct EventSource {
    settings: MappingSettings,
    /// Message groups of a FIFO queue: standard mode has no more batches under way than that.
    groups: u32,
    limit: u32,
    next: Duration,
    /// Sixtieths of a batch that the ramp has earned.
    credit: u32,
    /// Invocations that failed since the last look, and what each takes off.
    failures: u32,
    backoff_share: f64,
    /// The part of a batch that failures have taken off so far.
    taken_off: f64,
    last_busy: Duration,
    /// Batches that the last looks had use for: those under way, or where messages waited all that were then allowed.
    needed: VecDeque<u32>,
}

impl EventSource {
    /// A mapping that has just been enabled; on a FIFO queue with this many message groups.
    pub fn new(settings: MappingSettings, groups: Option<u32>, estimates: &Estimates) -> Self {
        let mut mapping = Self {
            settings,
            groups: groups.unwrap_or(u32::MAX),
            limit: 0,
            next: LOOK,
            credit: 0,
            failures: 0,
            backoff_share: estimates.error_backoff_share,
            taken_off: 0.0,
            last_busy: Duration::ZERO,
            needed: VecDeque::new(),
        };
        mapping.limit = mapping.start();
        mapping
    }

    /// How many batches may be under way at once now.
    pub fn limit(&self) -> u32 {
        self.limit
    }

    /// Provisioned pollers that run now, each paid for by the hour; `None` in standard mode.
    pub fn pollers(&self) -> Option<u32> {
        self.settings.pollers(self.limit)
    }

    /// Tells that an invocation failed as a whole or was throttled: the mapping backs off at its next look, by each. With
    /// `ReportBatchItemFailures` on, failures of records do not slow the polling down, so only throttles are told.
    pub fn failed(&mut self, throttled: bool) {
        self.failures += u32::from(throttled || !self.settings.report_batch_item_failures);
    }

    /// What the failures since the last look leave of the limit: each takes its share off what the one before has left.
    fn backed_off(&mut self) -> u32 {
        let mut left = f64::from(self.limit) - self.taken_off;
        for _ in 0..std::mem::take(&mut self.failures) {
            left *= 1.0 - self.backoff_share;
        }
        let floor = self.settings.provisioned.map_or(IDLE.min(self.limit), |_| self.start());
        let whole = self.whole_pollers(left.ceil() as u32).clamp(floor, self.limit);
        self.taken_off = (f64::from(whole) - left).clamp(0.0, 1.0);
        whole
    }

    fn start(&self) -> u32 {
        match self.settings.provisioned {
            Some(provisioned) => provisioned.minimum_pollers * PER_POLLER,
            None => START.min(self.maximum()),
        }
    }

    /// Batches that may ever be under way at once.
    pub fn maximum(&self) -> u32 {
        match (self.settings.provisioned, self.settings.maximum_concurrency, self.settings.ramp) {
            (Some(provisioned), _, _) => provisioned.maximum_pollers.saturating_mul(PER_POLLER),
            (None, Some(maximum), _) => maximum.min(self.groups),
            (None, None, Ramp::Current) => self.groups.min(1250),
            (None, None, Ramp::Before2023) => self.groups.min(1000),
        }
    }

    fn floor(&self, now: Duration) -> u32 {
        let standard = self.settings.provisioned.is_none() && self.settings.maximum_concurrency.is_none();
        let current = self.settings.ramp == Ramp::Current;
        let idle = standard && current && now >= self.last_busy + LONG_IDLE;
        if idle { IDLE.min(self.start()) } else { self.start() }
    }

    /// Concurrent batches added a minute.
    pub fn ramp(&self) -> u32 {
        match (self.settings.provisioned, self.settings.ramp) {
            (Some(_), _) => 1000,
            (None, Ramp::Current) => 300,
            (None, Ramp::Before2023) => 60,
        }
    }

    /// What the ramp allows in one look; with provisioned pollers in whole pollers.
    fn step(&mut self) -> u32 {
        self.credit += self.ramp();
        let unit = 60 * self.settings.provisioned.map_or(1, |_| PER_POLLER);
        let units = self.credit / unit;
        self.credit %= unit;
        units * self.settings.provisioned.map_or(1, |_| PER_POLLER)
    }

    fn look(&mut self, now: Duration, seen: &Observation) -> Verdict {
        let Some(counts) = seen.queue else {
            return Verdict::new(self.limit, Reason::QueueNotRead, "");
        };
        if counts.visible > 0 || seen.replicas > 0 {
            self.last_busy = now;
        }
        let failures = self.failures;
        let before = self.limit;
        self.limit = self.backed_off();
        // Messages that the free pollers are about to take do not call for more of them.
        let free = u64::from(self.limit.saturating_sub(seen.replicas));
        let waiting = counts.visible.saturating_sub(free * u64::from(self.settings.batch_size));
        let maximum = self.maximum();
        if waiting > 0 && self.limit < maximum {
            // The ramp goes on meanwhile.
            let to = (self.limit + self.step()).min(maximum);
            self.remember(to);
            if to < before {
                return Verdict::new(to, Reason::ErrorBackoff, format!("{failures} invocations failed"));
            }
            return Verdict::new(to, Reason::MessagesAvailable, format!("{} messages wait", counts.visible));
        }
        if self.limit < before {
            return Verdict::new(self.limit, Reason::ErrorBackoff, format!("{failures} invocations failed"));
        }
        if waiting > 0 {
            self.remember(self.limit);
            let word = match self.settings.maximum_concurrency {
                _ if self.limit == self.groups => Reason::MessageGroups,
                Some(_) => Reason::MaximumConcurrency,
                None => Reason::MaximumReached,
            };
            return Verdict::new(self.limit, word, format!("{} messages wait", counts.visible));
        }
        self.remember(seen.replicas);
        let floor = self.floor(now);
        let most = self.whole_pollers(self.needed.iter().copied().max().unwrap_or(0));
        if most.max(floor) < self.limit {
            // Estimate: as fast down as up, in the same steps.
            let to = self.limit.saturating_sub(self.step()).max(floor);
            if to >= most {
                return Verdict::new(to, Reason::Idle, format!("{most} batches at most for 5 minutes"));
            }
        }
        self.credit = 0;
        Verdict::new(self.limit.max(floor.min(self.start())), Reason::Steady, "")
    }

    fn remember(&mut self, needed: u32) {
        self.needed.push_back(needed);
        if self.needed.len() as u64 > LONG_IDLE.as_secs() / LOOK.as_secs() {
            self.needed.pop_front();
        }
    }

    fn whole_pollers(&self, batches: u32) -> u32 {
        self.settings.provisioned.map_or(batches, |_| batches.div_ceil(PER_POLLER) * PER_POLLER)
    }
}

impl Policy for EventSource {
    fn due(&self) -> Duration {
        self.next
    }

    fn tick(&mut self, now: Duration, seen: &Observation) -> Decision {
        let from = self.limit;
        let verdict = self.look(now, seen);
        while self.next <= now {
            self.next += LOOK;
        }
        self.limit = verdict.to;
        verdict.by(Scaler::EventSourceMapping, from)
    }
}

#[cfg(test)]
mod tests;
