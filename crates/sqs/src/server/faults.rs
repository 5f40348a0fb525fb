//! A plan of what goes wrong, for tests: by action and share, drawn from a seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::tickets::share;

/// What goes wrong, and how often.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The action that it befalls, `ReceiveMessage` say; any, if `None`.
    pub action: Option<&'static str>,
    /// The share of its requests (or entries, or messages), 0 to 1.
    pub share: f64,
    /// What.
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The request is looked at only after so long, in scenario time.
    Slow(Duration),
    /// `RequestThrottled`; nothing happens.
    Throttled,
    /// 500; nothing happens.
    ServerError,
    /// It happens, but the connection breaks in the middle of the answer.
    Cut,
    /// Entries of a batch fail with `InternalError`; nothing happens to them.
    Partial,
    /// Messages that are received are visible to others too.
    Duplicate,
}

/// The faults in force, and how many draws were made for each.
#[derive(Debug, Default)]
pub struct Faults {
    seed: u64,
    faults: Vec<(Fault, AtomicU64)>,
}

impl Faults {
    /// A plan; the same seed and requests give the same faults.
    pub fn new(seed: u64, faults: Vec<Fault>) -> Self {
        Self { seed, faults: faults.into_iter().map(|fault| (fault, AtomicU64::new(0))).collect() }
    }

    /// Draws once for each fault of this action that `wanted` names, and returns the first that strikes.
    pub fn draw(&self, action: &str, wanted: impl Fn(FaultKind) -> bool) -> Option<FaultKind> {
        let mut struck = None;
        for (stream, (fault, drawn)) in self.faults.iter().enumerate() {
            if wanted(fault.kind) && fault.action.is_none_or(|only| only == action) {
                let nth = drawn.fetch_add(1, Ordering::Relaxed);
                if share(self.seed, stream as u64, nth) < fault.share {
                    struck.get_or_insert(fault.kind);
                }
            }
        }
        struck
    }
}
