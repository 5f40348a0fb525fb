//! What every store promises, written once.

use std::time::{Duration, SystemTime};

use twinscale::unstable::idempotency::{Claim, HeldKey, Idempotency, MAX_KEY_BYTES, StoreError};
use twinscale::{IdempotencyConfig, IdempotencyStore};

pub const LEASE: Duration = Duration::from_secs(60);
pub const TTL: Duration = Duration::from_secs(3600);

fn memory() -> Idempotency {
    let store = IdempotencyStore::Memory;
    Idempotency::of(&IdempotencyConfig { store, lease: LEASE, ttl: TTL }).expect("a store")
}

#[tokio::test]
async fn memory_keeps_the_promises() {
    promises(&memory(), Duration::ZERO).await;
}

// Not for the table: a conditional put of DynamoDB is atomic, but moto's is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_that_ask_at_once_one_gets_the_key() {
    let store = memory();
    let now = SystemTime::now();
    let asked = (0..20).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.claim("race", now).await })
    });
    let mut won = 0;
    for answer in asked.collect::<Vec<_>>() {
        won += usize::from(matches!(answer.await.expect("no panic"), Ok(Claim::Granted(_))));
    }
    assert_eq!(won, 1, "of twenty at once");
}

async fn granted(store: &Idempotency, key: &str, now: SystemTime) -> HeldKey {
    match store.claim(key, now).await {
        Ok(Claim::Granted(held)) => held,
        other => panic!("{key}: {other:?}"),
    }
}

/// Time is an argument, so that nothing waits. `margin`: how far the clocks of its hosts may differ.
pub async fn promises(store: &Idempotency, margin: Duration) {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_500);

    let held = granted(store, "done", now).await;
    assert_eq!(store.claim("done", now + LEASE / 2).await, Ok(Claim::InProgress(LEASE / 2 + margin)));
    store.done(&held, now).await.expect("recorded");
    assert_eq!(store.claim("done", now + LEASE * 2).await, Ok(Claim::Done), "the record outlives the lease");
    assert_eq!(store.release(&held).await, Err(StoreError::ClaimOver), "what is done cannot be undone");
    granted(store, "done", now + TTL + margin).await;

    let held = granted(store, "released", now).await;
    store.release(&held).await.expect("released");
    granted(store, "released", now).await;

    let dead = granted(store, "over", now).await;
    let over = now + LEASE + margin;
    if margin > Duration::ZERO {
        let early = store.claim("over", over - Duration::from_millis(1)).await;
        assert_eq!(early, Ok(Claim::InProgress(Duration::from_millis(1))), "a clock that is ahead takes nothing");
    }
    let heir = granted(store, "over", over).await;
    for answer in [store.renew(&dead, now).await, store.done(&dead, now).await, store.release(&dead).await] {
        assert_eq!(answer, Err(StoreError::ClaimOver), "another holder has it");
    }
    store.renew(&heir, over).await.expect("renewed");
    assert_eq!(store.claim("over", over).await, Ok(Claim::InProgress(LEASE + margin)));

    let held = granted(store, "renewed", now).await;
    store.renew(&held, now + LEASE / 2).await.expect("renewed");
    assert_eq!(store.claim("renewed", now + LEASE).await, Ok(Claim::InProgress(LEASE / 2 + margin)));

    granted(store, &"k".repeat(MAX_KEY_BYTES), now).await;
    for bad in [String::new(), "k".repeat(MAX_KEY_BYTES + 1)] {
        assert_eq!(store.claim(&bad, now).await, Err(StoreError::BadKey(bad.len())));
    }
}
