//! What is not published about the scalers and was fitted to measurements: one set of numbers for every model, each with
//! the range that its data leave open.
//!
//! A figure that its owner publishes (300 batches a minute, a window of 300 s) is no estimate and stands with its model.

use serde::{Deserialize, Serialize};

/// One parameter that had to be estimated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The field of [`Estimates`]; its unit is the end of its name.
    pub name: &'static str,
    /// The value that fits best.
    pub value: f64,
    /// The lowest value that the data allow.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// What it was fitted to.
    pub data: &'static str,
}

impl Estimate {
    /// A value from the range: triangular, with its peak at [`Estimate::value`]. `luck` is even in 0 to 1.
    fn drawn(&self, luck: f64) -> f64 {
        let below = self.value - self.low;
        let width = self.high - self.low;
        if luck * width < below {
            self.low + (luck * width * below).sqrt()
        } else {
            self.high - ((1.0 - luck) * width * (self.high - self.value)).sqrt()
        }
    }
}

macro_rules! estimates {
    ($($(#[$meaning:meta])* $name:ident = $value:literal in $low:literal, $high:literal: $data:literal;)*) => {
        /// The parameters that models take; the default has the values that fit best.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Estimates {
            $($(#[$meaning])* pub $name: f64,)*
        }

        impl Default for Estimates {
            fn default() -> Self {
                Self { $($name: $value,)* }
            }
        }

        impl Estimates {
            /// Every parameter with its range and its data.
            pub const ALL: &[Estimate] = &[
                $(Estimate { name: stringify!($name), value: $value, low: $low, high: $high, data: $data },)*
            ];

            /// Other values from the ranges; `luck` is even in 0 to 1, and is asked once a parameter, in order.
            pub fn drawn(mut luck: impl FnMut() -> f64) -> Self {
                let mut ranges = Self::ALL.iter();
                $(let $name = ranges.next().map_or($value, |estimate| estimate.drawn(luck()));)*
                Self { $($name,)* }
            }

            /// What lies outside its range: the field, and what to write instead. Empty when all is well.
            pub fn mistakes(&self) -> Vec<(&'static str, String)> {
                [$((self.$name, &Self::ALL[Position::$name as usize]),)*]
                    .into_iter()
                    .filter(|(value, range)| !(range.low..=range.high).contains(value))
                    .map(|(value, range)| (range.name, format!("{value}: write {} to {}", range.low, range.high)))
                    .collect()
            }
        }

        #[allow(non_camel_case_types)]
        enum Position { $($name),* }
    };
}

estimates! {
    /// What a reconcile adds to the HPA's sync period: the controller queues the next sync when this one is done.
    hpa_reconcile_seconds = 0.037 in 0.02, 0.06:
        "mean periods of 15.02 to 15.06 s of kube-controller-manager 1.35.4; of the traces in tests/keda, i-cached needs more \
         than 0.0317 and a-article less than 0.0429";
    /// What a batch keeps its poller and its environment busy beyond the handler: receive, invoke, delete. Not in the
    /// message's latency.
    batch_overhead_seconds = 0.035 in 0.015, 0.13:
        "cold starts of handlers of 100 to 600 ms, batch size 1, constant rate (rehanvdm.com, time and batch size, 2024)";
    /// From sent to the function's start, half of the messages of a standard queue.
    delivery_p50_seconds = 0.016 in 0.012, 0.02:
        "bitesizedserverless.com, Serverless messaging: latency compared (2022)";
    /// Nine in ten of them.
    delivery_p90_seconds = 0.034 in 0.026, 0.045:
        "the same";
    /// Ninety-nine in a hundred.
    delivery_p99_seconds = 0.105 in 0.08, 0.14:
        "the same";
    /// Half of the messages of a FIFO queue.
    delivery_fifo_p50_seconds = 0.028 in 0.021, 0.036:
        "the same";
    /// Ninety-nine in a hundred of them.
    delivery_fifo_p99_seconds = 0.645 in 0.45, 0.85:
        "the same";
    /// What an invocation that failed as a whole, or was throttled, takes off the mapping's concurrency.
    error_backoff_share = 0.025 in 0.015, 0.04:
        "concurrency at 1, 5 and 10 % thrown errors (rehanvdm.com, errors, 2024)";
    /// How long old and new environments run beside each other at a deployment.
    deploy_overlap_seconds = 2.0 in 0.5, 10.0:
        "peaks of concurrency at uploads every 3 minutes (rehanvdm.com, concurrency and uploads, 2024)";
    /// By how much MaximumConcurrency is overshot at a deployment, in the mean; each one draws its own.
    maximum_overshoot_share = 0.05 in 0.0, 0.2:
        "of seven runs with uploads: 0, 0, 0, 0, 1, 7 and at least 17 % (the same)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_range_and_every_draw_too() {
        for estimate in Estimates::ALL {
            assert!(estimate.low < estimate.high, "{}", estimate.name);
            assert!((estimate.low..=estimate.high).contains(&estimate.value), "{}", estimate.name);
            let draws: Vec<f64> = (0..=100).map(|n| estimate.drawn(f64::from(n) / 100.0)).collect();
            assert!(draws.is_sorted(), "{}", estimate.name);
            let least = draws[0];
            let most = draws[100];
            assert!((least - estimate.low).abs() < 1e-9 && (most - estimate.high).abs() < 1e-9, "{}", estimate.name);
        }
        assert_eq!(Estimates::default().mistakes(), []);
    }

    #[test]
    fn a_value_outside_its_range_is_refused_by_name() {
        let estimates = Estimates { hpa_reconcile_seconds: 1.0, ..Estimates::default() };
        assert_eq!(estimates.mistakes(), [("hpa_reconcile_seconds", "1: write 0.02 to 0.06".to_owned())]);
    }
}
