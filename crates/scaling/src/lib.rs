#![doc = include_str!("../README.md")]

use std::time::Duration;

pub mod estimates;
pub mod event_source;
pub mod hpa;
pub mod keda;
pub mod managed_instances;
mod reason;
pub mod replica_set;
pub mod scaled_job;
pub mod seconds;

pub use reason::{Reason, Scaler};
pub use twinscale_sqs::model::Counts;

/// What a policy sees when it looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The queue's counts; `None` when it could not be read.
    pub queue: Option<Counts>,
    /// Replicas that exist, Pending ones included (the HPA's `status.replicas`), or invocations under way.
    pub replicas: u32,
    /// Replicas that are Running and Ready.
    pub ready: u32,
}

/// What a policy decided, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Who decided.
    pub by: Scaler,
    /// Capacity before.
    pub from: u32,
    /// Capacity after; the same as `from` when nothing changes.
    pub to: u32,
    /// The reason, in the owner's word.
    pub reason: Reason,
    /// What was seen and computed, for people: `1,000 messages / 5 = 200 desired, limited to 4`.
    pub detail: String,
}

/// What one look came to: a [`Decision`] that does not yet say whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Capacity to ask for.
    pub to: u32,
    /// The reason, in the owner's word.
    pub reason: Reason,
    /// What was seen and computed, for people.
    pub detail: String,
}

impl Verdict {
    fn new(to: u32, reason: Reason, detail: impl Into<String>) -> Self {
        Self { to, reason, detail: detail.into() }
    }

    fn by(self, by: Scaler, from: u32) -> Decision {
        Decision { by, from, to: self.to, reason: self.reason, detail: self.detail }
    }
}

/// Something that scales one target.
pub trait Policy {
    /// When to look next, measured from the start of the run.
    fn due(&self) -> Duration;
    /// Looks once, and says how many replicas (or concurrent invocations) should run, and why. Moves [`Policy::due`]
    /// on. Two looks may be due at one time (KEDA's and the HPA's): tick until `due()` is later than `now`.
    fn tick(&mut self, now: Duration, seen: &Observation) -> Decision;
}
