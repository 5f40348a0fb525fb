#![doc = include_str!("../README.md")]

use std::f64::consts::TAU;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

mod empirical;
#[cfg(feature = "handler")]
pub mod handler;

pub use empirical::Empirical;

/// What one message costs, and how often it fails. The same type describes it in a scenario and in the environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Work {
    /// Seed of every draw.
    pub seed: u64,
    /// Time spent waiting for something else: a database, another service.
    pub wait: Wait,
    /// Processor time on one whole vCPU.
    #[serde(with = "duration_text")]
    pub cpu: Duration,
    /// vCPUs that this host may use: the pod's limit, or Lambda's memory / 1,769 MB.
    pub cpu_limit: f64,
    /// Memory held while a message is handled, in MiB.
    pub memory_mib: u32,
    /// Share of attempts that end in a retry, 0 to 1.
    pub retry_share: f64,
    /// Share of attempts that end in a reject, 0 to 1.
    pub reject_share: f64,
    /// Share of attempts that end in an error which nobody catches: on Lambda the whole invocation fails. The three shares
    /// may not sum to more than 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub throw_share: f64,
}

fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

impl Default for Work {
    /// The article's: 1.0 to 2.5 s of waiting, nothing fails.
    fn default() -> Self {
        Self {
            seed: 1,
            wait: Wait::Uniform { min: Duration::from_secs(1), max: Duration::from_millis(2500) },
            cpu: Duration::ZERO,
            cpu_limit: 1.0,
            memory_mib: 0,
            retry_share: 0.0,
            reject_share: 0.0,
            throw_share: 0.0,
        }
    }
}

/// How long a message waits. Written `constant:10ms`, `uniform:1s-2.5s` or `lognormal:1.5s,0.4` (median, sigma).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Wait {
    /// Always the same.
    Constant(Duration),
    /// Evenly between the two.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// `median × e^(sigma × N(0,1))`: what services with a long tail look like.
    Lognormal {
        /// Half of the messages are faster.
        median: Duration,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
    /// As measured: `empirical:0s=0,1s=30,2.5s=70` (the messages done within each time).
    Empirical(Empirical),
}

/// The luck of one attempt at one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Time to wait.
    pub wait: Duration,
    /// How the attempt ends.
    pub fate: Fate,
}

/// How one attempt at one message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The message is finished.
    Done,
    /// It has to be delivered again.
    Retry,
    /// It can never succeed.
    Reject,
    /// An error that nobody catches. Where a host of its own catches it for one message, a retry.
    Throw,
}

impl Work {
    /// What is wrong with these settings: the field, and what to write instead. Empty when all is well.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        for (field, share) in
            [("retry_share", self.retry_share), ("reject_share", self.reject_share), ("throw_share", self.throw_share)]
        {
            if !(0.0..=1.0).contains(&share) {
                mistakes.push((field, format!("{share} is no share: write a number from 0 to 1")));
            }
        }
        if mistakes.is_empty() && self.retry_share + self.reject_share + self.throw_share > 1.0 {
            let what = "retry_share, reject_share and throw_share sum to more than 1";
            mistakes.push(("reject_share", what.to_owned()));
        }
        if !(self.cpu_limit > 0.0 && self.cpu_limit <= 1024.0) {
            mistakes.push(("cpu_limit", format!("{} vCPUs: write a number above 0, up to 1024", self.cpu_limit)));
        }
        if self.memory_mib > 65_536 {
            mistakes.push(("memory_mib", format!("{} MiB: write a whole number up to 65536", self.memory_mib)));
        }
        mistakes
    }

    /// Draws the luck of attempt `attempt` (the receive count, from 1) at message `number`.
    pub fn draw(&self, number: u64, attempt: u32) -> Drawn {
        let key = mix(mix(self.seed ^ mix(number)) ^ u64::from(attempt));
        let luck = unit(mix(key ^ 1));
        let fate = if luck < self.retry_share {
            Fate::Retry
        } else if luck < self.retry_share + self.reject_share {
            Fate::Reject
        } else if luck < self.retry_share + self.reject_share + self.throw_share {
            Fate::Throw
        } else {
            Fate::Done
        };
        Drawn { wait: self.wait.drawn(key), fate }
    }

    /// Wall-clock time of the computing part while `sharing` messages (this one included) compute on this host.
    pub fn stretched(&self, sharing: u32) -> Duration {
        self.cpu.mul_f64((f64::from(sharing.max(1)) / self.cpu_limit).max(1.0))
    }
}

impl Wait {
    /// What the chance numbered `key` comes to: for one key always the same.
    pub fn drawn(&self, key: u64) -> Duration {
        self.draw(unit(mix(key ^ 2)), unit(mix(key ^ 3)))
    }

    /// Draws from two independent numbers, each in 0..1. Only `libm` and exact operations, so the result is the same
    /// on every machine.
    fn draw(&self, u: f64, v: f64) -> Duration {
        match self {
            Self::Constant(wait) => *wait,
            Self::Uniform { min, max } => *min + (*max - *min).mul_f64(u),
            Self::Lognormal { median, sigma } => {
                // Box–Muller; 1 − u is in (0, 1], so the logarithm is finite.
                let normal = libm::sqrt(-2.0 * libm::log(1.0 - u)) * libm::cos(TAU * v);
                // A day bounds what one message can take, whatever sigma is.
                Duration::from_secs_f64((median.as_secs_f64() * libm::exp(sigma * normal)).min(86_400.0))
            }
            Self::Empirical(measured) => measured.quantile(u),
        }
    }

    /// The mean of the distribution.
    pub fn mean(&self) -> Duration {
        match self {
            Self::Constant(wait) => *wait,
            Self::Uniform { min, max } => (*min + *max) / 2,
            Self::Lognormal { median, sigma } => {
                Duration::from_secs_f64((median.as_secs_f64() * libm::exp(sigma * sigma / 2.0)).min(86_400.0))
            }
            Self::Empirical(measured) => measured.mean(),
        }
    }

    /// The same distribution, `factor` times as long.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Constant(wait) => Self::Constant(wait.mul_f64(factor)),
            Self::Uniform { min, max } => Self::Uniform { min: min.mul_f64(factor), max: max.mul_f64(factor) },
            Self::Lognormal { median, sigma } => Self::Lognormal { median: median.mul_f64(factor), sigma: *sigma },
            Self::Empirical(measured) => Self::Empirical(measured.scaled(factor)),
        }
    }
}

/// The number of a message: the low 62 bits of the UUID that its body is or begins with (those that no UUID variant
/// claims), or a hash of any other body. Loads number their messages by sending [`body`]s, padded to a length.
pub fn number(body: &str) -> u64 {
    match Uuid::try_parse(body.get(..36).unwrap_or(body)) {
        Ok(uuid) => uuid.as_u64_pair().1 & (u64::MAX >> 2),
        Err(_) => body.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte))),
    }
}

/// The body of message `number`: a UUID (version 8) that carries it, told apart from other runs' by `seed`.
pub fn body(seed: u64, number: u64) -> String {
    let bits = (u128::from(mix(seed)) << 64) | u128::from(number);
    let version_and_variant = 0x0000_0000_0000_f000_c000_0000_0000_0000;
    let bits = (bits & !version_and_variant) | 0x0000_0000_0000_8000_8000_0000_0000_0000;
    Uuid::from_u128(bits).to_string()
}

/// The chance, in 0..1, that draws the delay of a retry of message `number` after its `receive_count`-th receive.
pub fn backoff_luck(seed: u64, number: u64, receive_count: u32) -> f64 {
    // Any number serves that tells this luck from the luck of the work, which has the same seed.
    unit(mix(mix(seed ^ mix(number)) ^ u64::from(receive_count) ^ 0x6261_636b_6f66_6600))
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every bit of the input moves every bit of the output.
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The upper 53 bits as a number in 0..1.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

impl TryFrom<String> for Wait {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl std::str::FromStr for Wait {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || format!("'{text}' is no wait: write constant:10ms, uniform:1s-2.5s or lognormal:1.5s,0.4");
        let (kind, rest) = text.split_once(':').unwrap_or(("constant", text));
        match kind {
            "constant" => Ok(Self::Constant(parse_duration(rest).ok_or_else(advice)?)),
            "uniform" => {
                let (min, max) = rest.split_once('-').ok_or_else(advice)?;
                let (min, max) = parse_duration(min).zip(parse_duration(max)).ok_or_else(advice)?;
                if min > max { Err(advice()) } else { Ok(Self::Uniform { min, max }) }
            }
            "lognormal" => {
                let (median, sigma) = rest.split_once(',').ok_or_else(advice)?;
                let sigma: f64 = sigma.trim().parse().map_err(|_| advice())?;
                if !(0.0..=5.0).contains(&sigma) {
                    return Err(format!("'{text}': sigma must be between 0 and 5"));
                }
                Ok(Self::Lognormal { median: parse_duration(median).ok_or_else(advice)?, sigma })
            }
            "empirical" => Empirical::parse(rest).map(Self::Empirical).ok_or_else(advice),
            _ => Err(advice()),
        }
    }
}

impl From<Wait> for String {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Constant(wait) => format!("constant:{}", format_duration(wait)),
            Wait::Uniform { min, max } => format!("uniform:{}-{}", format_duration(min), format_duration(max)),
            Wait::Lognormal { median, sigma } => format!("lognormal:{},{sigma}", format_duration(median)),
            Wait::Empirical(measured) => format!("empirical:{}", measured.write()),
        }
    }
}

/// Reads `10ms`, `2.5s`, `500us`, `3m`, `1h` or `4d`, up to 366 days; `None` for anything else.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let amount: f64 = text[..digits].parse().ok()?;
    let unit_secs = match &text[digits..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ if amount == 0.0 => 0.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(amount * unit_secs).ok().filter(|d| *d <= Duration::from_secs(366 * 86_400))
}

/// Writes what [`parse_duration`] reads, to the microsecond.
pub fn format_duration(duration: Duration) -> String {
    match duration.as_micros() {
        micros if micros % 1_000_000 == 0 => format!("{}s", micros / 1_000_000),
        micros if micros % 1_000 == 0 => format!("{}ms", micros / 1_000),
        micros => format!("{micros}us"),
    }
}

/// For `#[serde(with)]`: a duration as [`parse_duration`] reads it.
pub mod duration_text {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the text form.
    pub fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::format_duration(*duration))
    }

    /// Reads the text form.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        super::parse_duration(&text)
            .ok_or_else(|| D::Error::custom(format!("'{text}' is no duration: write 10ms, 2.5s or 3m")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(wait: &str) -> Work {
        Work { wait: wait.parse().expect("a wait"), ..Work::default() }
    }

    #[test]
    fn the_same_message_has_the_same_luck_and_another_attempt_has_another() {
        let work = work("uniform:1s-2.5s");
        assert_eq!(work.draw(7, 1), work.draw(7, 1));
        assert_ne!(work.draw(7, 1).wait, work.draw(7, 2).wait);
        assert_ne!(work.draw(7, 1).wait, work.draw(8, 1).wait);
        // Pinned: the value must not move between machines or releases.
        assert_eq!(work.draw(7, 1).wait, Duration::from_nanos(1_689_993_357));
    }

    #[test]
    fn a_body_carries_its_number_through_the_queue() {
        for n in [0, 1, 999, u64::MAX >> 2] {
            let body = body(42, n);
            assert_eq!(number(&body), n);
            assert_eq!(Uuid::try_parse(&body).expect("a UUID").get_version_num(), 8);
        }
        assert_ne!(body(1, 5), body(2, 5));
        assert_ne!(number("one body"), number("another body"));
    }

    #[test]
    fn waits_follow_their_distribution() {
        let seconds = |wait: &str| {
            let work = work(wait);
            let mut waits: Vec<f64> = (0..20_000).map(|n| work.draw(n, 1).wait.as_secs_f64()).collect();
            waits.sort_by(f64::total_cmp);
            waits
        };
        let uniform = seconds("uniform:1s-2.5s");
        assert!(uniform[0] >= 1.0 && uniform[19_999] <= 2.5);
        assert!((uniform.iter().sum::<f64>() / 20_000.0 - 1.75).abs() < 0.01);
        let lognormal = seconds("lognormal:1.5s,0.4");
        assert!((lognormal[10_000] - 1.5).abs() < 0.03, "median {}", lognormal[10_000]);
        // P(X < median × e^sigma) = 0.8413 for a lognormal.
        let below = lognormal.iter().filter(|s| **s < 1.5 * 0.4_f64.exp()).count() as f64 / 20_000.0;
        assert!((below - 0.8413).abs() < 0.01, "{below}");
    }

    #[test]
    fn shares_of_retries_and_rejects_are_kept() {
        let work = Work { retry_share: 0.2, reject_share: 0.1, ..Work::default() };
        let fates: Vec<Fate> = (0..20_000).map(|n| work.draw(n, 1).fate).collect();
        let share = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count() as f64 / 20_000.0;
        assert!((share(Fate::Retry) - 0.2).abs() < 0.01);
        assert!((share(Fate::Reject) - 0.1).abs() < 0.01);
    }

    #[test]
    fn waits_are_read_as_they_are_written_and_mistakes_say_what_to_write() {
        for text in ["constant:10ms", "uniform:1s-2500ms", "lognormal:1500ms,0.4", "constant:0s", "empirical:0s=0,1s=3"]
        {
            let wait: Wait = text.parse().expect(text);
            assert_eq!(String::from(wait), text);
        }
        assert_eq!("10ms".parse(), Ok(Wait::Constant(Duration::from_millis(10))));
        for text in
            ["", "fast", "uniform:2s-1s", "uniform:1s", "lognormal:1s,-1", "lognormal:1s,NaN", "constant:-1s", "1e999s"]
        {
            let mistake = text.parse::<Wait>().expect_err(text);
            assert!(mistake.contains("write constant:10ms") || mistake.contains("between 0 and 5"), "{mistake}");
        }
    }

    #[test]
    fn the_computing_part_is_stretched_by_the_share_of_the_host() {
        let work = |cpu_limit| Work { cpu: Duration::from_millis(100), cpu_limit, ..Work::default() };
        // Alone on a whole vCPU, four on one, one on half, and never faster than one vCPU.
        assert_eq!(work(1.0).stretched(1), Duration::from_millis(100));
        assert_eq!(work(1.0).stretched(4), Duration::from_millis(400));
        assert_eq!(work(0.5).stretched(1), Duration::from_millis(200));
        assert_eq!(work(4.0).stretched(2), Duration::from_millis(100));
    }

    #[test]
    fn impossible_settings_are_named() {
        let fields = |work: Work| work.mistakes().into_iter().map(|(field, _)| field).collect::<Vec<_>>();
        assert!(fields(Work::default()).is_empty());
        let work = Work { retry_share: f64::NAN, reject_share: -0.1, cpu_limit: 0.0, ..Work::default() };
        assert_eq!(fields(work), ["retry_share", "reject_share", "cpu_limit"]);
        assert_eq!(fields(Work { retry_share: 0.6, reject_share: 0.6, ..Work::default() }), ["reject_share"]);
    }
}
