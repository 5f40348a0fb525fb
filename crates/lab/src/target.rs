//! The one list of targets, and what follows from being one of them. Every `match` on it names each target, so that a new
//! target is a list of compiler errors.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::scenario::Scenario;

/// Where the handler runs, and what scales it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// The worker on EKS, scaled by KEDA and the HPA
    Eks,
    /// The function on Lambda, behind an event source mapping
    Lambda,
}

impl TargetKind {
    /// Every target, in the order of reports.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// The one that it is compared with.
    pub fn other(self) -> Self {
        match self {
            Self::Eks => Self::Lambda,
            Self::Lambda => Self::Eks,
        }
    }

    /// The name in flags, files and `run.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Eks => "eks",
            Self::Lambda => "lambda",
        }
    }

    /// The name of the service, in sentences.
    pub fn service(self) -> &'static str {
        match self {
            Self::Eks => "EKS",
            Self::Lambda => "Lambda",
        }
    }

    /// The name in reports: the service, and what scales it where there is a choice.
    pub fn title(self) -> &'static str {
        match self {
            Self::Eks => "EKS (KEDA)",
            Self::Lambda => "Lambda",
        }
    }

    /// What a unit of its capacity is called.
    pub fn units(self) -> &'static str {
        match self {
            Self::Eks => "pods",
            Self::Lambda => "concurrent invocations",
        }
    }

    /// The colour of its lines on a terminal (of 256), as in the pictures: blue and orange, which every eye tells apart.
    pub fn color(self) -> u8 {
        match self {
            Self::Eks => 32,
            Self::Lambda => 208,
        }
    }

    /// The name that its processes give themselves in the journal.
    pub fn journal_host(self) -> &'static str {
        match self {
            Self::Eks => "worker",
            Self::Lambda => "function",
        }
    }

    /// Messages that one unit of its capacity works on at once.
    pub fn in_host_concurrency(self, scenario: &Scenario) -> u32 {
        match self {
            Self::Eks => scenario.eks.pod.concurrency,
            Self::Lambda => scenario.lambda.in_host_concurrency,
        }
    }

    /// Fields of `run.json` that have no meaning on this target, each with the reason.
    pub fn meaningless(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Eks => &[
                ("usage.gb_seconds", "pods are billed by the second that they exist"),
                ("usage.invocations", "a worker receives its messages itself"),
                ("usage.cold_starts", "the start of pods is in the timeline"),
            ],
            Self::Lambda => &[("usage.pod_seconds", "a function has no pods")],
        }
    }
}

impl fmt::Display for TargetKind {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_files_and_code_call_a_target_the_same() {
        for kind in TargetKind::all() {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.name());
            assert_eq!(TargetKind::from_str(kind.name(), false), Ok(*kind));
        }
    }
}
