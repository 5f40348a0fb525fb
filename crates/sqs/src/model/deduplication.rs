//! What a FIFO queue has accepted in the last five minutes.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::types::Sent;

/// How long a deduplication id counts, from the send that was accepted.
const WINDOW: Duration = Duration::from_secs(300);

/// A deduplication id, with the group it counts in, or none.
type Key = (Option<Box<str>>, Box<str>);

#[derive(Default)]
#[cfg_attr(feature = "server", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Deduplication {
    #[cfg_attr(feature = "server", serde(with = "pairs"))]
    accepted: HashMap<Key, Sent>,
    by_age: VecDeque<(Duration, Key)>,
}

impl Deduplication {
    /// The earlier send with this id; none makes `sent` the one that later sends are compared with.
    pub(super) fn check(&mut self, now: Duration, scope: Option<&str>, id: &str, sent: Sent) -> Option<Sent> {
        while self.by_age.front().is_some_and(|(at, _)| at.saturating_add(WINDOW) <= now) {
            if let Some((_, key)) = self.by_age.pop_front() {
                self.accepted.remove(&key);
            }
        }
        let key: Key = (scope.map(Into::into), id.into());
        if let Some(first) = self.accepted.get(&key) {
            return Some(*first);
        }
        self.accepted.insert(key.clone(), sent);
        self.by_age.push_back((now, key));
        None
    }
}

/// A map as a list of its pairs, for formats whose keys are text.
#[cfg(feature = "server")]
mod pairs {
    use std::collections::HashMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Key, Sent};

    pub(super) fn serialize<S: Serializer>(map: &HashMap<Key, Sent>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HashMap<Key, Sent>, D::Error> {
        Ok(Vec::deserialize(from)?.into_iter().collect())
    }
}
