//! The rules by their ids: the one list of them. docs/validate.md has a section for each.

use clap::ValueEnum;
use serde::Serialize;

/// What is checked. The name of a rule in kebab case is its id, which stays the same; its first line is its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// AWS, KEDA or the API server refuses the file, or it cannot be read
    Refused,
    /// The service would not start with these settings
    Environment,
    /// A variable is almost a setting, and is none
    SettingName,
    /// A value still stands for another one
    Placeholder,
    /// The image may change under its name
    Image,
    /// A pod is killed before its work is done
    GracePeriod,
    /// A handler may run longer than the drain
    DrainBudget,
    /// The handler is told another number of vCPUs than it has
    CpuLimit,
    /// The worker needs more memory than its limit
    MemoryLimit,
    /// A container lacks a request or a limit
    Resources,
    /// A probe restarts pods when SQS fails, or says nothing
    Probe,
    /// Something asks a port that nothing listens on
    Ports,
    /// A Service reaches no pod, or no port of it
    Service,
    /// A selector takes no pod, or not its own
    Selector,
    /// A NetworkPolicy keeps a pod from what it needs
    Egress,
    /// A NetworkPolicy keeps a Service from its pods
    Ingress,
    /// Nodes cannot be drained
    DisruptionBudget,
    /// An object or an identity is in another namespace
    Namespace,
    /// A pod's service account is not there
    ServiceAccount,
    /// A ConfigMap is not there
    ConfigMap,
    /// A worker receives, and nothing scales it
    NoScaler,
    /// A worker's scaler does not look at a queue
    NoTrigger,
    /// A scaler scales what is not there
    ScaleTarget,
    /// Two scalers scale one Deployment
    TwoScalers,
    /// KEDA is told to pause
    Paused,
    /// KEDA counts another queue than the worker consumes
    ScaledQueue,
    /// queueLength does not fit what a pod works on
    QueueLength,
    /// Each apply resets the number of pods
    Replicas,
    /// KEDA scales a pod that receives nothing
    ReceiveOff,
    /// A job never ends, or a Deployment does
    ExitWhenIdle,
    /// What is held in advance comes to the dead-letter queue untried
    PrefetchEvictions,
    /// KEDA has no credentials to count the queue
    Authentication,
    /// No role of KEDA's operator may count the queue
    KedaRole,
    /// The role that counts is bound to another account than KEDA's
    KedaAccount,
    /// A pod has no role in AWS
    PodIdentity,
    /// A role does not trust who has to take it
    Trust,
    /// A policy allows more than the queue needs
    Permission,
    /// A role may not do what its host needs
    MissingPermission,
    /// A role may not use the queue's key
    KmsPermission,
    /// A queue's policy shuts its consumer out
    QueuePolicy,
    /// The queue is looked for in another region
    Region,
    /// Dead letters go to the wrong queue
    DeadLetterQueue,
    /// What fails is received again and again
    NoRedrive,
    /// The dead-letter queue takes no dead letters
    RedriveAllow,
    /// Healthy messages would be dead-lettered
    MaxReceiveCount,
    /// A dead letter expires as soon as it arrives
    DeadLetterRetention,
    /// Queues of two kinds stand where one kind belongs
    Fifo,
    /// The visibility timeout is below six times the function's timeout
    VisibilityTimeout,
    /// A failed message is deleted with its batch
    PartialBatch,
    /// A burst may take the account's whole concurrency
    MaximumConcurrency,
    /// Lambda throttles what its mapping invokes
    ReservedConcurrency,
    /// The mapping does not poll
    MappingDisabled,
    /// Anybody may fill the queue
    OpenSend,
    /// The twins have drifted apart
    Twins,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The check fails.
    Error,
    /// Worth knowing.
    Warning,
}

impl Rule {
    /// Every rule, in the order of the list.
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Its id, for `--ignore`, scripts and docs/validate.md.
    pub fn id(self) -> String {
        self.named().get_name().to_owned()
    }

    /// What it finds, in a few words.
    pub fn title(self) -> String {
        self.named().get_help().map(ToString::to_string).unwrap_or_default()
    }

    // clap has both already: the name of a variant, and the first line of its comment.
    fn named(self) -> clap::builder::PossibleValue {
        self.to_possible_value().unwrap_or_else(|| unreachable!("no rule is hidden"))
    }

    /// Whether it fails the check.
    pub fn severity(self) -> Severity {
        match self {
            Self::SettingName
            | Self::Resources
            | Self::ConfigMap
            | Self::NoScaler
            | Self::NoTrigger
            | Self::Replicas
            | Self::PrefetchEvictions
            | Self::KedaAccount
            | Self::NoRedrive
            | Self::MaximumConcurrency => Severity::Warning,
            Self::Refused
            | Self::Environment
            | Self::Placeholder
            | Self::Image
            | Self::GracePeriod
            | Self::DrainBudget
            | Self::CpuLimit
            | Self::MemoryLimit
            | Self::Probe
            | Self::Ports
            | Self::Service
            | Self::Selector
            | Self::Egress
            | Self::Ingress
            | Self::DisruptionBudget
            | Self::Namespace
            | Self::ServiceAccount
            | Self::ScaleTarget
            | Self::TwoScalers
            | Self::Paused
            | Self::ScaledQueue
            | Self::QueueLength
            | Self::ReceiveOff
            | Self::ExitWhenIdle
            | Self::Authentication
            | Self::KedaRole
            | Self::PodIdentity
            | Self::Trust
            | Self::Permission
            | Self::MissingPermission
            | Self::KmsPermission
            | Self::QueuePolicy
            | Self::Region
            | Self::DeadLetterQueue
            | Self::RedriveAllow
            | Self::MaxReceiveCount
            | Self::DeadLetterRetention
            | Self::Fifo
            | Self::VisibilityTimeout
            | Self::PartialBatch
            | Self::ReservedConcurrency
            | Self::MappingDisabled
            | Self::OpenSend
            | Self::Twins => Severity::Error,
        }
    }
}
