//! For `#[serde(with)]`: a duration written as a number of seconds, as Kubernetes, KEDA and Lambda write theirs.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes whole seconds as an integer, and others as a decimal number.
pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
    if duration.subsec_nanos() == 0 {
        to.serialize_u64(duration.as_secs())
    } else {
        to.serialize_f64(duration.as_secs_f64())
    }
}

/// Reads a number of seconds from 0 to ten years.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    read(f64::deserialize(from)?).map_err(D::Error::custom)
}

fn read(seconds: f64) -> Result<Duration, String> {
    const TEN_YEARS: f64 = 315_360_000.0;
    if (0.0..=TEN_YEARS).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err(format!("{seconds} is no duration: write seconds, 0 or more"))
    }
}

/// The same for a duration that may be left out.
pub mod option {
    use super::*;

    /// Writes the number, or null.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, to),
            None => to.serialize_none(),
        }
    }

    /// Reads the number; null and a missing field are `None`.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Option::<f64>::deserialize(from)?.map(read).transpose().map_err(D::Error::custom)
    }
}
