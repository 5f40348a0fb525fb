//! Messages that have another owner by now. Whoever holds the leases tells it here, and the handlers stop.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::message::Message;

/// Names a message while it is held: one message may be held twice, after its lease was lost and it came again.
pub type Key = usize;

/// The key of a message.
pub fn key(message: &Arc<Message>) -> Key {
    Arc::as_ptr(message) as Key
}

/// Which messages have another owner by now.
#[derive(Debug, Default)]
pub struct Lost {
    told: Mutex<HashSet<Key>>,
    news: Notify,
}

impl Lost {
    /// This message has another owner by now: its handler stops.
    pub fn tell(&self, message: &Arc<Message>) {
        self.told().insert(key(message));
        self.news.notify_waiters();
    }

    /// This message has ended, whatever was told about it.
    pub fn forget(&self, key: Key) {
        self.told().remove(&key);
    }

    /// Returns once it is told that this message is lost.
    pub(super) async fn wait(&self, message: &Arc<Message>) {
        loop {
            // Made before looking, so that nothing told in between is missed.
            let news = self.news.notified();
            if self.told().contains(&key(message)) {
                return;
            }
            news.await;
        }
    }

    fn told(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
