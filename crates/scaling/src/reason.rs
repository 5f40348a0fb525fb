//! Who decides, and why: the two closed lists of words that a [`Decision`](crate::Decision) is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What scales a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scaler {
    /// KEDA's operator: between 0 and 1 replicas, and the jobs of a ScaledJob.
    Keda,
    /// The Horizontal Pod Autoscaler, from 1 replica upwards.
    Hpa,
    /// Lambda's pollers of the queue.
    EventSourceMapping,
    /// The execution environments of Lambda Managed Instances.
    ManagedInstances,
}

impl fmt::Display for Scaler {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::Keda => "keda",
            Self::Hpa => "hpa",
            Self::EventSourceMapping => "event-source-mapping",
            Self::ManagedInstances => "managed-instances",
        })
    }
}

/// Why a scaler decided as it did. Each variant is named by the word that it is shown and stored with: the HPA's and
/// KEDA's own for theirs, ours where the owner publishes none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// KEDA: a trigger is above its activation, and there were no replicas.
    Activated,
    /// KEDA: the cooldown is over.
    Deactivated,
    /// KEDA: no trigger is active, and the last activity is no longer ago than the cooldown.
    CooldownPeriod,
    /// KEDA: a trigger is active, and the HPA decides how many.
    ScalerActive,
    /// KEDA: no trigger is active.
    ScalerNotActive,
    /// KEDA: the queue could not be read.
    KEDAScalerFailed,
    /// KEDA: jobs were made.
    KEDAJobsCreated,

    /// HPA: there are no replicas, which it leaves alone.
    ScalingDisabled,
    /// HPA: no metric could be read.
    FailedGetExternalMetric,
    /// HPA: no limit held.
    DesiredWithinRange,
    /// HPA: the maximum held.
    TooManyReplicas,
    /// HPA: the minimum held.
    TooFewReplicas,
    /// HPA: the rate upwards held.
    ScaleUpLimit,
    /// HPA: the rate downwards held.
    ScaleDownLimit,
    /// HPA: the stabilization window upwards held.
    ScaleUpStabilized,
    /// HPA: the stabilization window downwards held.
    ScaleDownStabilized,

    /// Mapping: it was enabled.
    Enabled,
    /// Mapping: more messages wait than its pollers are about to take.
    MessagesAvailable,
    /// Mapping: messages wait, and MaximumConcurrency holds.
    MaximumConcurrency,
    /// Mapping: messages wait, and as many batches are under way as there are message groups.
    MessageGroups,
    /// Mapping: messages wait, and the most that it ever runs holds.
    MaximumReached,
    /// Mapping: invocations failed or were throttled.
    ErrorBackoff,
    /// Mapping: less is needed than is allowed, for some time.
    Idle,
    /// Mapping: nothing calls for a change.
    Steady,
    /// Mapping: the queue could not be read.
    QueueNotRead,

    /// Managed Instances: the maximum of environments holds.
    MaxExecutionEnvironments,
    /// Managed Instances: the minimum of environments holds.
    MinExecutionEnvironments,
    /// Managed Instances: the processors want the most environments.
    CpuUtilization,
    /// Managed Instances: the invocations at once want the most environments.
    ConcurrencySaturation,
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, to)
    }
}
