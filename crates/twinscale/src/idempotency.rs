//! One effect a key (opt-in): who works on a key is written down before the handler runs, and that it is done before the
//! message is deleted. A message that comes again is then settled as done without being handled.
//!
//! ```text
//! claim(key) ─┬► Granted ────► handler ─┬► Done ──────────► done: remembered for IDEMPOTENCY_TTL_SECS
//!             │   (renewed meanwhile)   └► anything else ─► released: the next delivery is handled
//!             ├► InProgress ─► retried when the lease of the other holder is over
//!             └► Done ───────► settled, not handled
//! ```
//!
//! What it cannot do: a process that dies between an effect and [`Idempotency::done`] leaves a claim that ends with its
//! lease, and the effect happens again. Where that matters, write the effect and the key in one transaction.
//! Where the store is out of reach nothing is handled: the message is retried.

#[cfg(feature = "dynamodb")]
mod dynamodb;
mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::config::{IdempotencyConfig, IdempotencyStore};

#[cfg(feature = "dynamodb")]
use dynamodb::DynamoDb;
use memory::Memory;

/// The most bytes of a partition key in DynamoDB.
pub const MAX_KEY_BYTES: usize = 2048;

/// Remembers keys. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Idempotency {
    store: Store,
    /// A claim ends after this, unless it is renewed.
    lease: Duration,
    /// What is done is remembered for this long.
    ttl: Duration,
    answers: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
enum Store {
    Memory(Arc<Memory>),
    #[cfg(feature = "dynamodb")]
    DynamoDb(Arc<DynamoDb>),
}

/// What came of asking for a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// It is ours until the lease ends.
    Granted(HeldKey),
    /// Another holder has it for this much longer.
    InProgress(Duration),
    /// Its effect has happened.
    Done,
}

/// A key that is ours.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldKey {
    key: String,
    /// Tells this claim from a later one of the same key.
    holder: Uuid,
}

/// The store failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StoreError {
    /// The key is empty, or longer than [`MAX_KEY_BYTES`].
    #[error("an idempotency key has 1 to {MAX_KEY_BYTES} bytes, and this one has {0}: let the handler give another")]
    BadKey(usize),
    /// The claim ended, and another holder has the key or has finished it.
    #[error("the claim is over: another holder has the key. A longer IDEMPOTENCY_LEASE_SECS prevents that")]
    ClaimOver,
    /// The table did not answer, or refused.
    #[error("the idempotency table failed: {0}")]
    Table(String),
}

/// A step that takes longer has failed, whatever holds it up.
#[cfg(feature = "dynamodb")]
const STEP_WITHIN: Duration = Duration::from_secs(5);

#[cfg(feature = "dynamodb")]
async fn within<T>(step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || StoreError::Table(format!("there was no answer within {STEP_WITHIN:?}"));
    tokio::time::timeout(STEP_WITHIN, step).await.unwrap_or_else(|_| Err(late()))
}

impl Idempotency {
    /// The store that the settings ask for, if any. Makes no call.
    pub fn of(config: &IdempotencyConfig) -> Option<Self> {
        let store = match &config.store {
            IdempotencyStore::Off => return None,
            IdempotencyStore::Memory => Store::Memory(Arc::default()),
            #[cfg(feature = "dynamodb")]
            IdempotencyStore::Table(table) => Store::DynamoDb(Arc::new(DynamoDb::table(table))),
            // The settings refuse a table in such a build.
            #[cfg(not(feature = "dynamodb"))]
            IdempotencyStore::Table(_) => return None,
        };
        Some(Self { store, lease: config.lease, ttl: config.ttl, answers: Arc::new(true.into()) })
    }

    /// A table of a local service, which takes any credentials.
    #[cfg(feature = "dynamodb")]
    pub fn local(endpoint: &str, table: &str, lease: Duration, ttl: Duration) -> Self {
        let store = Store::DynamoDb(Arc::new(DynamoDb::local(endpoint, table)));
        Self { store, lease, ttl, answers: Arc::new(true.into()) }
    }

    /// Asks for a key.
    pub async fn claim(&self, key: &str, now: SystemTime) -> Result<Claim, StoreError> {
        if !(1..=MAX_KEY_BYTES).contains(&key.len()) {
            return Err(StoreError::BadKey(key.len()));
        }
        let held = HeldKey { key: key.to_owned(), holder: Uuid::new_v4() };
        let claimed = match &self.store {
            Store::Memory(memory) => Ok(memory.claim(held, now, self.lease)),
            #[cfg(feature = "dynamodb")]
            Store::DynamoDb(table) => within(table.claim(held, now, self.lease)).await,
        };
        self.answers.store(!matches!(claimed, Err(StoreError::Table(_))), Ordering::Relaxed);
        claimed
    }

    /// Whether the store answered when it was last asked for a key.
    pub fn answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed)
    }

    /// How often a claim is renewed while its handler runs.
    pub fn renew_every(&self) -> Duration {
        self.lease / 3
    }

    /// Holds a claim for another lease.
    pub async fn renew(&self, held: &HeldKey, now: SystemTime) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory(memory) => memory.renew(held, now + self.lease),
            #[cfg(feature = "dynamodb")]
            Store::DynamoDb(table) => within(table.renew(held, now + self.lease)).await,
        }
    }

    /// Its effect has happened: from now on the key is done.
    pub async fn done(&self, held: &HeldKey, now: SystemTime) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory(memory) => memory.done(held, now + self.ttl),
            #[cfg(feature = "dynamodb")]
            Store::DynamoDb(table) => within(table.done(held, now + self.ttl)).await,
        }
    }

    /// Its effect has not happened: whoever asks next gets the key.
    pub async fn release(&self, held: &HeldKey) -> Result<(), StoreError> {
        match &self.store {
            Store::Memory(memory) => memory.release(held),
            #[cfg(feature = "dynamodb")]
            Store::DynamoDb(table) => within(table.release(held)).await,
        }
    }
}
