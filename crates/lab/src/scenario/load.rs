//! When messages are sent. Pure: chance is an argument, and the same chance gives the same arrivals.

use std::iter;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use twinscale_work::duration_text;

/// The shape of a load. Every shape sends the scenario's number of messages in all, and then stops. Rates are in
/// messages per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "shape", rename_all = "snake_case", deny_unknown_fields)]
pub enum Load {
    /// All at once, at the start.
    #[default]
    Burst,
    /// Evenly spaced.
    Steady {
        /// Messages a second.
        rate: f64,
    },
    /// A rate that grows (or falls) in a straight line, and then stays where it is.
    Ramp {
        /// The rate at the start.
        from: f64,
        /// The rate from `over` on.
        to: f64,
        /// How long the change takes.
        #[serde(with = "duration_text")]
        over: Duration,
    },
    /// Independent senders: exponential gaps, as in a queue's textbook.
    Poisson {
        /// Mean rate.
        rate: f64,
    },
    /// A daily curve: a sinusoid that begins at its lowest, with the chance of independent senders upon it.
    Day {
        /// Mean rate over the period.
        rate: f64,
        /// How far the rate swings around its mean, as a share of it: 0 is flat, 1 falls to nothing at night.
        #[serde(default = "half")]
        swing: f64,
        /// Share by which a whole minute may be above or below the curve.
        #[serde(default)]
        noise: f64,
        /// Length of the day.
        #[serde(default = "a_day", with = "duration_text")]
        period: Duration,
    },
    /// Evenly spaced while on, nothing while off; begins with on.
    OnOff {
        /// The rate while on.
        rate: f64,
        /// How long it is on.
        #[serde(with = "duration_text")]
        on: Duration,
        /// How long it is off.
        #[serde(with = "duration_text")]
        off: Duration,
    },
    /// What was once recorded: counts by time, each spread evenly until the next row.
    Recorded {
        /// A CSV of time and count, relative to the scenario's file; read into `rows` when the scenario is read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// The rows, in order of time.
        #[serde(default)]
        rows: Vec<Arrival>,
    },
}

fn half() -> f64 {
    0.5
}

fn a_day() -> Duration {
    Duration::from_secs(86_400)
}

/// So many messages, sent at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Arrival {
    /// Since the start of the run.
    #[serde(with = "duration_text")]
    pub at: Duration,
    /// How many.
    pub count: u64,
}

/// The arrivals of one load, in order of time.
pub type Arrivals<'a> = Box<dyn Iterator<Item = Arrival> + Send + 'a>;

impl Load {
    /// The arrivals of `messages` messages, in order of time. `chance` gives numbers in 0..1. Nothing is held in
    /// memory but the recorded rows, however many messages there are.
    pub fn arrivals<'a>(&'a self, messages: u64, chance: impl FnMut() -> f64 + Send + 'a) -> Arrivals<'a> {
        if let Self::Burst = self {
            return Box::new(iter::once(Arrival { at: Duration::ZERO, count: messages }));
        }
        let seconds: Box<dyn Iterator<Item = f64> + Send + 'a> = match *self {
            Self::Burst => Box::new(iter::empty()),
            Self::Steady { rate } => Box::new((0..messages).map(move |n| n as f64 / rate)),
            Self::Ramp { from, to, over } => Box::new((0..messages).map(move |n| ramp(n as f64, from, to, over))),
            Self::Poisson { rate } => Box::new(poisson(rate, chance)),
            Self::Day { rate, swing, noise, period } => Box::new(day(rate, swing, noise, period, chance)),
            Self::OnOff { rate, on, off } => Box::new((0..messages).map(move |n| on_off(n, rate, on, off))),
            Self::Recorded { ref rows, .. } => Box::new(recorded(rows)),
        };
        let messages = usize::try_from(messages).unwrap_or(usize::MAX);
        Box::new(seconds.take(messages).map(|at| Arrival { at: Duration::from_secs_f64(at), count: 1 }))
    }

    /// What is wrong with these settings: the field, and what to write instead. Empty when all is well.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut mistakes = Vec::new();
        let mut check = |field, value: f64, least: f64, most: f64| {
            if !(least..=most).contains(&value) {
                mistakes.push((field, format!("{value}: write {least} to {most}")));
            }
        };
        const RATES: (f64, f64) = (1e-6, 1e7);
        match *self {
            Self::Burst => {}
            Self::Steady { rate } | Self::Poisson { rate } => check("rate", rate, RATES.0, RATES.1),
            Self::Ramp { from, to, over } => {
                check("from", from, 0.0, RATES.1);
                check("to", to, RATES.0, RATES.1);
                check("over (seconds)", over.as_secs_f64(), 1e-3, 31_536_000.0);
            }
            Self::Day { rate, swing, noise, period } => {
                check("rate", rate, RATES.0, RATES.1);
                check("swing", swing, 0.0, 1.0);
                check("noise", noise, 0.0, 1.0);
                check("period (seconds)", period.as_secs_f64(), 1.0, 31_536_000.0);
            }
            Self::OnOff { rate, on, .. } => {
                check("rate", rate, RATES.0, RATES.1);
                // Less than one message while on would never send any.
                check("on (seconds)", on.as_secs_f64(), 1.0 / rate, f64::MAX);
            }
            Self::Recorded { ref rows, .. } => {
                if rows.iter().all(|row| row.count == 0) {
                    mistakes.push(("rows", "there is no message in them: write at least one time and count".into()));
                }
                if let Some(two) = rows.windows(2).find(|two| two[0].at >= two[1].at) {
                    let times = (two[0].at.as_secs_f64(), two[1].at.as_secs_f64());
                    mistakes.push(("rows", format!("{} s is followed by {} s: order them by time", times.0, times.1)));
                }
            }
        }
        mistakes
    }

    /// Messages that a recorded load holds; `None` for shapes that go on for as long as they are asked to.
    pub fn recorded_messages(&self) -> Option<u64> {
        match self {
            Self::Recorded { rows, .. } => Some(rows.iter().map(|row| row.count).sum()),
            Self::Burst
            | Self::Steady { .. }
            | Self::Ramp { .. }
            | Self::Poisson { .. }
            | Self::Day { .. }
            | Self::OnOff { .. } => None,
        }
    }

    /// Messages of a load that has a length of its own: what was recorded, and one whole day.
    pub fn messages(&self) -> Option<u64> {
        match self {
            Self::Day { rate, period, .. } => Some((rate * period.as_secs_f64()).round().max(1.0) as u64),
            Self::Recorded { .. } => self.recorded_messages(),
            Self::Burst | Self::Steady { .. } | Self::Ramp { .. } | Self::Poisson { .. } | Self::OnOff { .. } => None,
        }
    }

    /// About when the last of so many messages is sent; where chance draws it, hardly ever later.
    pub fn length(&self, messages: u64) -> Duration {
        let n = messages as f64;
        // Six standard deviations of a sum of exponential gaps.
        let late = n + 6.0 * n.sqrt();
        let seconds = match *self {
            Self::Burst => 0.0,
            Self::Steady { rate } => n / rate,
            Self::Ramp { from, to, over } => ramp(n, from, to, over),
            Self::Poisson { rate } => late / rate,
            // Whole periods have the mean rate; within one, its quiet part may be what is left.
            Self::Day { rate, noise, period, .. } => {
                let period = period.as_secs_f64();
                let periods = late / (rate * period);
                (periods.floor() + if periods.fract() > 0.01 { 1.0 } else { 0.05 }) * period * (1.0 + 0.1 * noise)
            }
            Self::OnOff { rate, on, off } => on_off(messages, rate, on, off),
            Self::Recorded { ref rows, .. } => recorded(rows).take(messages as usize).last().unwrap_or(0.0),
        };
        Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
    }

    /// The highest rate, of a whole minute where noise or rows make it differ; `None` for a burst, which has none.
    pub fn peak_rate(&self) -> Option<f64> {
        match *self {
            Self::Burst => None,
            Self::Steady { rate } | Self::Poisson { rate } | Self::OnOff { rate, .. } => Some(rate),
            Self::Ramp { from, to, .. } => Some(from.max(to)),
            Self::Day { rate, swing, noise, .. } => Some(rate * (1.0 + swing) * (1.0 + noise)),
            Self::Recorded { ref rows, .. } => spread(rows)
                .filter(|(_, width, _)| *width > 0.0)
                .map(|(_, width, count)| count as f64 / width)
                .reduce(f64::max),
        }
    }
}

/// When message `n` of a ramp is sent: the cumulative count, `from × t + (to − from) × t² / (2 × over)`, inverted.
fn ramp(n: f64, from: f64, to: f64, over: Duration) -> f64 {
    let over = over.as_secs_f64();
    let in_ramp = (from + to) / 2.0 * over;
    if n >= in_ramp {
        return over + (n - in_ramp) / to;
    }
    let slope = (to - from) / over;
    // The form of the root that loses no digits when the slope is small; 0 / 0 only where nothing was sent yet.
    let root = from + (from * from + 2.0 * slope * n).max(0.0).sqrt();
    if root > 0.0 { 2.0 * n / root } else { 0.0 }
}

fn on_off(n: u64, rate: f64, on: Duration, off: Duration) -> f64 {
    let in_a_cycle = ((on.as_secs_f64() * rate).floor() as u64).max(1);
    let cycle = (on + off).as_secs_f64();
    (n / in_a_cycle) as f64 * cycle + (n % in_a_cycle) as f64 / rate
}

/// An exponential gap of mean 1 from a number in 0..1. `libm`, so that every machine gets the same one.
fn gap(chance: f64) -> f64 {
    -libm::log(1.0 - chance)
}

fn poisson(rate: f64, mut chance: impl FnMut() -> f64) -> impl Iterator<Item = f64> {
    let mut now = 0.0;
    iter::from_fn(move || {
        now += gap(chance()) / rate;
        Some(now)
    })
}

/// Thinning (Lewis and Shedler, 1979): draw at the highest rate there can be, keep each with the share that holds now.
fn day(
    rate: f64,
    swing: f64,
    noise: f64,
    period: Duration,
    mut chance: impl FnMut() -> f64,
) -> impl Iterator<Item = f64> {
    let peak = (1.0 + swing) * (1.0 + noise);
    let period = period.as_secs_f64();
    let mut now = 0.0;
    let mut minute = (-1.0, 1.0);
    iter::from_fn(move || {
        loop {
            now += gap(chance()) / (rate * peak);
            let this = (now / 60.0_f64).floor();
            if noise > 0.0 && this > minute.0 {
                minute = (this, 1.0 + noise * (2.0 * chance() - 1.0));
            }
            let curve = 1.0 - swing * libm::cos(std::f64::consts::TAU * now / period);
            if chance() * peak < curve * minute.1 {
                return Some(now);
            }
        }
    })
}

/// Each row's messages, evenly until the next row.
fn recorded(rows: &[Arrival]) -> impl Iterator<Item = f64> {
    spread(rows).flat_map(|(at, width, count)| (0..count).map(move |k| at + width * k as f64 / count as f64))
}

/// When each row begins, how many seconds it lasts (the last one as long as the one before it, a minute when it stands
/// alone), and its messages.
fn spread(rows: &[Arrival]) -> impl Iterator<Item = (f64, f64, u64)> {
    let start = |n: usize| rows.get(n).map(|row| row.at.as_secs_f64());
    rows.iter().enumerate().map(move |(n, row)| {
        let at = row.at.as_secs_f64();
        let before = n.checked_sub(1).and_then(start).map_or(60.0, |before| at - before);
        (at, start(n + 1).map_or(before, |next| next - at), row.count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinscale_work::{mix, unit};

    fn chance(seed: u64) -> impl FnMut() -> f64 {
        let mut n = seed << 32;
        move || {
            n += 1;
            unit(mix(n))
        }
    }

    fn times(load: &Load, messages: u64) -> Vec<f64> {
        let arrivals: Vec<_> = load.arrivals(messages, chance(1)).collect();
        assert!(arrivals.is_sorted_by_key(|a| a.at), "out of order");
        arrivals.iter().flat_map(|a| (0..a.count).map(|_| a.at.as_secs_f64())).collect()
    }

    fn within(times: &[f64], from: f64, to: f64) -> usize {
        times.iter().filter(|t| (from..to).contains(*t)).count()
    }

    #[test]
    fn every_shape_sends_as_many_messages_as_it_is_asked_to() {
        let ten = Duration::from_secs(10);
        for load in [
            Load::Burst,
            Load::Steady { rate: 7.0 },
            Load::Ramp { from: 0.0, to: 50.0, over: ten },
            Load::Ramp { from: 50.0, to: 1.0, over: ten },
            Load::Poisson { rate: 3.0 },
            Load::Day { rate: 20.0, swing: 0.9, noise: 0.2, period: ten * 60 },
            Load::OnOff { rate: 5.0, on: ten, off: ten },
        ] {
            assert_eq!(times(&load, 1000).len(), 1000, "{load:?}");
            assert_eq!(load.mistakes(), [], "{load:?}");
        }
    }

    #[test]
    fn rates_are_kept() {
        let steady = times(&Load::Steady { rate: 4.0 }, 100);
        assert_eq!(steady[..3], [0.0, 0.25, 0.5]);

        // From 0 to 10 a second in 10 s: half of the messages of the ramp in its last 29 %, and then 10 a second.
        let ramp = times(&Load::Ramp { from: 0.0, to: 10.0, over: Duration::from_secs(10) }, 150);
        assert_eq!(within(&ramp, 0.0, 10.0), 50);
        assert_eq!(within(&ramp, 0.0, 10.0 / 2_f64.sqrt()), 25);
        assert_eq!(within(&ramp, 10.0, 15.0), 50);

        let poisson = times(&Load::Poisson { rate: 5.0 }, 10_000);
        assert!((poisson[9_999] / 2_000.0 - 1.0).abs() < 0.03, "{}", poisson[9_999]);

        let on_off = Load::OnOff { rate: 2.0, on: Duration::from_secs(5), off: Duration::from_secs(20) };
        let on_off = times(&on_off, 30);
        assert_eq!([within(&on_off, 0.0, 5.0), within(&on_off, 5.0, 25.0), within(&on_off, 25.0, 30.0)], [10, 0, 10]);
    }

    #[test]
    fn a_day_is_quiet_at_its_ends_and_busy_in_its_middle() {
        let day = Load::Day { rate: 100.0, swing: 0.8, noise: 0.1, period: Duration::from_secs(1000) };
        let day = times(&day, 100_000);
        let night = within(&day, 0.0, 50.0);
        let noon = within(&day, 475.0, 525.0);
        assert!((950..1150).contains(&night), "at night {night}");
        assert!((8_500..9_500).contains(&noon), "at noon {noon}");
    }

    #[test]
    fn the_same_chance_gives_the_same_arrivals_and_another_gives_others() {
        let load = Load::Poisson { rate: 1.0 };
        let arrivals = |seed| load.arrivals(50, chance(seed)).collect::<Vec<_>>();
        assert_eq!(arrivals(1), arrivals(1));
        assert_ne!(arrivals(1), arrivals(2));
    }

    #[test]
    fn recorded_rows_are_spread_until_the_next_row() {
        let row = |at, count| Arrival { at: Duration::from_secs(at), count };
        let load = Load::Recorded { file: None, rows: vec![row(0, 2), row(60, 0), row(120, 4)] };
        assert_eq!(times(&load, 6), [0.0, 30.0, 120.0, 135.0, 150.0, 165.0]);
        assert_eq!(times(&load, 3), [0.0, 30.0, 120.0]);
        assert_eq!(load.recorded_messages(), Some(6));
    }

    #[test]
    fn impossible_loads_are_named() {
        let second = Duration::from_secs(1);
        let row = |at, count| Arrival { at: second * at, count };
        for (load, field) in [
            (Load::Steady { rate: 0.0 }, "rate"),
            (Load::Poisson { rate: f64::NAN }, "rate"),
            (Load::Steady { rate: -1.0 }, "rate"),
            (Load::Ramp { from: -1.0, to: 1.0, over: second }, "from"),
            (Load::Ramp { from: 1.0, to: 0.0, over: second }, "to"),
            (Load::Day { rate: 1.0, swing: 1.5, noise: 0.0, period: second }, "swing"),
            (Load::OnOff { rate: 0.5, on: second, off: second }, "on (seconds)"),
            (Load::Recorded { file: None, rows: vec![] }, "rows"),
            (Load::Recorded { file: None, rows: vec![row(2, 1), row(1, 1)] }, "rows"),
        ] {
            let fields: Vec<_> = load.mistakes().into_iter().map(|(field, _)| field).collect();
            assert_eq!(fields, [field], "{load:?}");
        }
    }
}
