//! When messages are sent. Pure: the seed is an argument, and the same seed gives the same arrivals.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The shape of a load. Every shape sends the scenario's number of messages in all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum Load {
    /// All at once, at the start.
    #[default]
    Burst,
}

/// So many messages, sent at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Since the start of the run.
    pub at: Duration,
    /// How many.
    pub count: u64,
}

impl Load {
    /// The arrivals of `messages` messages, in order of time.
    pub fn arrivals(&self, messages: u64) -> Vec<Arrival> {
        match self {
            Self::Burst => vec![Arrival { at: Duration::ZERO, count: messages }],
        }
    }
}
