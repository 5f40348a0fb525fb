//! The store of one process: for tests and local runs, and where redeliveries go to the same worker. What it knows is
//! gone when the process ends.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::{Claim, HeldKey, StoreError};

/// Expired entries are dropped when there are this many, and then at twice what is left.
const FIRST_PRUNE: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<KnownKeys>);

#[derive(Debug, Default)]
struct KnownKeys {
    keys: HashMap<String, KeyState>,
    prune_at: usize,
}

#[derive(Debug)]
struct KeyState {
    /// `None`: done.
    holder: Option<Uuid>,
    /// Until then the claim holds, or the key is remembered as done.
    until: SystemTime,
}

impl Memory {
    pub(super) fn claim(&self, held: HeldKey, now: SystemTime, lease: Duration) -> Claim {
        let mut known = self.known();
        if let Some(entry) = known.keys.get(&held.key).filter(|entry| entry.until > now) {
            return match entry.holder {
                Some(_) => Claim::InProgress(entry.until.duration_since(now).unwrap_or_default()),
                None => Claim::Done,
            };
        }
        known.prune(now);
        known.keys.insert(held.key.clone(), KeyState { holder: Some(held.holder), until: now + lease });
        Claim::Granted(held)
    }

    pub(super) fn renew(&self, held: &HeldKey, until: SystemTime) -> Result<(), StoreError> {
        self.set(held, KeyState { holder: Some(held.holder), until })
    }

    pub(super) fn done(&self, held: &HeldKey, until: SystemTime) -> Result<(), StoreError> {
        self.set(held, KeyState { holder: None, until })
    }

    pub(super) fn release(&self, held: &HeldKey) -> Result<(), StoreError> {
        self.set(held, KeyState { holder: None, until: SystemTime::UNIX_EPOCH })
    }

    /// As long as nobody else has it, a claim whose lease is over is still good.
    fn set(&self, held: &HeldKey, entry: KeyState) -> Result<(), StoreError> {
        let mut known = self.known();
        match known.keys.get_mut(&held.key).filter(|known| known.holder == Some(held.holder)) {
            Some(known) => *known = entry,
            None => return Err(StoreError::ClaimOver),
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, KnownKeys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownKeys {
    fn prune(&mut self, now: SystemTime) {
        if self.keys.len() >= self.prune_at.max(FIRST_PRUNE) {
            self.keys.retain(|_, entry| entry.until > now);
            self.prune_at = self.keys.len() * 2;
        }
    }
}
