//! What can be turned: one list, in the order of the page. Each knob is named by its path in a scenario, as its file has it.

use serde::Serialize;

/// The path of the load's shape: another shape has other settings.
pub(super) const SHAPE: &str = "load.shape";
/// The path of the HPA's rules, of which there is a choice.
pub(super) const BEHAVIOR: &str = "eks.keda.hpa.behavior";
/// Where pods run; in a price file a name, or a name with a discount.
/// How long a pod takes to start, which follows from who bills it.
pub(super) const START: &str = "eks.pod.start_delay";
pub(super) const HOSTING: &str = "prices.options.hosting";
/// The discount beside it.
pub(super) const SPOT: &str = "prices.options.hosting.nodes.spot_discount";
/// What stands before the paths in a price file.
pub(super) const PRICES: &str = "prices.";

/// One setting that a visitor changes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Knob {
    /// Its path: in the scenario, or, after `prices.`, in the price file.
    pub path: &'static str,
    /// What the page calls it.
    pub label: &'static str,
    /// Beside which others it stands.
    pub group: Heading,
    /// How it is turned.
    #[serde(flatten)]
    pub control: Control,
}

/// Knobs that stand together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Heading {
    /// When messages are sent.
    Load,
    /// What a message costs, and how it fails.
    Messages,
    /// KEDA, the HPA and the pods.
    #[serde(rename = "EKS (KEDA)")]
    Eks,
    /// The mapping and the function.
    Lambda,
    /// What the bill is made of.
    Bill,
}

/// How a knob is turned.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "control", rename_all = "snake_case")]
pub enum Control {
    /// A number with a slider between these; the field beside it takes others too.
    Number {
        /// The slider's left end.
        least: f64,
        /// The slider's right end.
        most: f64,
        /// What the number is a multiple of.
        step: f64,
        /// The slider moves over the logarithm.
        log: bool,
        /// How the file has it.
        form: Form,
        /// What is counted.
        unit: &'static str,
    },
    /// Words that the server reads, such as a distribution.
    Text,
    /// One of several, which the page gets with the values.
    Choice,
    /// On or off.
    Switch,
}

/// How a file has a number.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// As it is.
    Plain,
    /// As a text with a unit: `"30s"`.
    Duration,
    /// As a share of one; the page shows percent.
    Share,
    /// As it is, or left out: the page shows an empty field.
    Optional,
}

/// Every knob.
pub const KNOBS: &[Knob] = &[
    knob(SHAPE, "Shape of the load", Heading::Load, Control::Choice),
    count("messages", "Messages", Heading::Load, 10.0, 1e6),
    rate("load.rate", "Rate"),
    rate("load.from", "Rate at the start"),
    rate("load.to", "Rate from then on"),
    time("load.over", "Time in between", Heading::Load, 1.0, 3600.0),
    share("load.swing", "Swing between night and day", Heading::Load),
    share("load.noise", "Noise by the minute", Heading::Load),
    time("load.period", "Length of the day", Heading::Load, 600.0, 86_400.0),
    time("load.on", "Time on", Heading::Load, 1.0, 7200.0),
    time("load.off", "Time off", Heading::Load, 1.0, 7200.0),
    knob("work.wait", "A message waits", Heading::Messages, Control::Text),
    fine("work.cpu", "A message computes", Heading::Messages, 0.0, 10.0, Form::Duration, "s on one vCPU"),
    share("work.retry_share", "Attempts that are retried", Heading::Messages),
    share("work.reject_share", "Attempts that are rejected", Heading::Messages),
    count("eks.keda.triggers[0].queueLength", "queueLength", Heading::Eks, 1.0, 1000.0),
    count("eks.keda.minReplicaCount", "minReplicaCount", Heading::Eks, 0.0, 100.0),
    count("eks.keda.maxReplicaCount", "maxReplicaCount", Heading::Eks, 1.0, 1000.0),
    count("eks.keda.pollingInterval", "pollingInterval, s", Heading::Eks, 1.0, 300.0),
    count("eks.keda.cooldownPeriod", "cooldownPeriod, s", Heading::Eks, 0.0, 1800.0),
    knob(BEHAVIOR, "HPA behavior", Heading::Eks, Control::Choice),
    window("eks.keda.hpa.behavior.scaleUp.stabilizationWindowSeconds", "Scale-up window, s"),
    window("eks.keda.hpa.behavior.scaleDown.stabilizationWindowSeconds", "Scale-down window, s"),
    count("eks.pod.concurrency", "CONCURRENCY of a pod", Heading::Eks, 1.0, 200.0),
    knob(START, "A pod starts within", Heading::Eks, Control::Text),
    fine("eks.pod.cpu_request", "A pod requests", Heading::Eks, 0.05, 8.0, Form::Plain, "vCPU"),
    fine("eks.pod.cpu_limit", "A pod may use", Heading::Eks, 0.05, 8.0, Form::Plain, "vCPU"),
    count("eks.pod.memory_request_mib", "A pod requests, MiB", Heading::Eks, 16.0, 16_384.0),
    count("lambda.memory_mb", "MemorySize, MB", Heading::Lambda, 128.0, 10_240.0),
    count("lambda.in_host_concurrency", "FUNCTION_CONCURRENCY", Heading::Lambda, 1.0, 200.0),
    count("lambda.mapping.BatchSize", "BatchSize", Heading::Lambda, 1.0, 1000.0),
    count("lambda.mapping.MaximumBatchingWindowInSeconds", "Batching window, s", Heading::Lambda, 0.0, 300.0),
    number("lambda.mapping.MaximumConcurrency", "MaximumConcurrency", Heading::Lambda, 2.0, 1000.0, Form::Optional, ""),
    number("lambda.timeout", "Timeout", Heading::Lambda, 1.0, 900.0, Form::Duration, "s"),
    knob(HOSTING, "Pods are billed by", Heading::Bill, Control::Choice),
    share(SPOT, "Spot takes off", Heading::Bill),
    share("prices.options.control_plane_share", "Share of the cluster", Heading::Bill),
    count("prices.options.log_bytes", "Log bytes an attempt", Heading::Bill, 0.0, 100_000.0),
    knob("prices.options.arm", "The function runs on arm", Heading::Bill, Control::Switch),
    knob("prices.options.free_tier", "Free tiers are taken off", Heading::Bill, Control::Switch),
];

const fn knob(path: &'static str, label: &'static str, group: Heading, control: Control) -> Knob {
    Knob { path, label, group, control }
}

const fn number(
    path: &'static str,
    label: &'static str,
    group: Heading,
    least: f64,
    most: f64,
    form: Form,
    unit: &'static str,
) -> Knob {
    knob(path, label, group, Control::Number { least, most, step: 1.0, log: true, form, unit })
}

const fn count(path: &'static str, label: &'static str, group: Heading, least: f64, most: f64) -> Knob {
    number(path, label, group, least, most, Form::Plain, "")
}

const fn window(path: &'static str, label: &'static str) -> Knob {
    number(path, label, Heading::Eks, 0.0, 3600.0, Form::Optional, "")
}

const fn time(path: &'static str, label: &'static str, group: Heading, least: f64, most: f64) -> Knob {
    number(path, label, group, least, most, Form::Duration, "s")
}

const fn fine(
    path: &'static str,
    label: &'static str,
    group: Heading,
    least: f64,
    most: f64,
    form: Form,
    unit: &'static str,
) -> Knob {
    knob(path, label, group, Control::Number { least, most, step: 0.01, log: false, form, unit })
}

const fn rate(path: &'static str, label: &'static str) -> Knob {
    let control =
        Control::Number { least: 0.1, most: 2000.0, step: 0.1, log: true, form: Form::Plain, unit: "messages/s" };
    knob(path, label, Heading::Load, control)
}

const fn share(path: &'static str, label: &'static str, group: Heading) -> Knob {
    let control = Control::Number { least: 0.0, most: 100.0, step: 1.0, log: false, form: Form::Share, unit: "%" };
    knob(path, label, group, control)
}
