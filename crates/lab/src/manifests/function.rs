//! A function of a template and the mapping that invokes it, with Lambda's and SAM's own defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event_source::InvokedFunction;
use super::node::{Node, Span, Tree};
use super::queue::Queue;
use super::reader::{Fields, Reader};
use super::settings::{Coverage, coverage};
use crate::scenario::Managed;
use twinscale::unstable::config::Host;
use twinscale_scaling::event_source;

/// Memory of a function, as templates write it.
pub(crate) const MEMORY_SIZE: &str = "MemorySize";

/// Properties of a function that have no bearing on how it scales, or only on asynchronous invocations.
const NO_BEARING: &[&str] = &[
    "Architectures",
    "AssumeRolePolicyDocument",
    "AutoPublishAlias",
    "Code",
    "CodeSigningConfigArn",
    "CodeUri",
    "DeadLetterConfig",
    "DeadLetterQueue",
    "Description",
    "EphemeralStorage",
    "EventInvokeConfig",
    "Events",
    "FunctionName",
    "FunctionUrlConfig",
    "Handler",
    "ImageConfig",
    "ImageUri",
    "InlineCode",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "PackageType",
    "PermissionsBoundary",
    "Policies",
    "PropagateTags",
    "Role",
    "RolePath",
    "Runtime",
    "RuntimeManagementConfig",
    "Tags",
    "Tracing",
    "TracingConfig",
    "VersionDescription",
];

/// A function that a queue invokes.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    /// Name of its resource.
    pub name: String,
    /// In MB (128).
    pub memory_mb: u32,
    /// `Timeout` (3 s).
    pub timeout: Duration,
    /// `ReservedConcurrentExecutions`.
    pub reserved_concurrency: Option<u32>,
    /// It runs on Managed Instances.
    pub managed: Option<Managed>,
    /// Its variables; those that are known only once it is deployed are left out.
    pub environment: BTreeMap<String, String>,
    /// `FUNCTION_CONCURRENCY`, if it is set.
    pub in_host_concurrency: Option<u32>,
    /// `DEADLINE_MARGIN_MS`, if it is set.
    pub deadline_margin: Option<Duration>,
    /// `BACKOFF_BASE_SECS`, if it is set.
    pub backoff_base: Option<Duration>,
    /// `BACKOFF_MAX_SECS`, if it is set.
    pub backoff_max: Option<Duration>,
    /// The event source mapping; how fast it ramps is in no template.
    pub mapping: event_source::MappingSettings,
    /// Whether the mapping polls (`Enabled`, true).
    pub enabled: bool,
    /// Its queue, if that is of the same template.
    pub queue: Option<Queue>,
}

/// Reads a function and its mapping. `globals` is SAM's `Globals.Function`.
pub(super) fn read(
    invoked: &InvokedFunction,
    globals: Option<&Node>,
    queue: Option<Queue>,
    reader: &mut Reader,
) -> Function {
    let mut function = Function {
        name: invoked.name.to_owned(),
        memory_mb: 128,
        timeout: Duration::from_secs(3),
        reserved_concurrency: None,
        managed: None,
        environment: BTreeMap::new(),
        in_host_concurrency: None,
        deadline_margin: None,
        backoff_base: None,
        backoff_max: None,
        mapping: event_source::MappingSettings::default(),
        enabled: true,
        queue,
    };
    let empty = Node { line: invoked.function.line, tag: None, span: Span::default(), tree: Tree::Null };
    let own = invoked.function.get("Properties").unwrap_or(&empty);
    for (node, path) in globals.map(|node| (node, "Globals.Function")).into_iter().chain([(own, invoked.name)]) {
        read_properties(node, path, &mut function, reader);
    }
    if function.managed.is_none() && !(128..=10_240).contains(&function.memory_mb) {
        let line = own.line_of(MEMORY_SIZE).or_else(|| globals?.line_of(MEMORY_SIZE)).unwrap_or(own.line);
        let path = invoked.name;
        let memory = function.memory_mb;
        reader.mistake(
            line,
            format_args!("{path}.{MEMORY_SIZE}: {memory} is refused: write a whole number from 128 to 10240"),
        );
    }
    if function.reserved_concurrency == Some(0) {
        let line = own.line_of("ReservedConcurrentExecutions").unwrap_or(own.line);
        let what = "ReservedConcurrentExecutions: 0 switches the function off";
        reader.mistake(line, format_args!("{}.{what}", invoked.name));
    }
    read_mapping(invoked, &mut function, reader);
    check(invoked, own, &function, reader);
    function
}

fn read_properties(node: &Node, path: &str, function: &mut Function, reader: &mut Reader) {
    let mut fields = reader.fields(node, path);
    fields.number(reader, MEMORY_SIZE, &mut function.memory_mb);
    if let Some(seconds) = fields.within::<u32>(reader, "Timeout", 1..=900) {
        function.timeout = Duration::from_secs(seconds.into());
    }
    if let Some(mut environment) = fields.fields(reader, "Environment") {
        for (name, value) in environment.take("Variables").map(Node::entries).unwrap_or_default() {
            read_variable(name, value, &format!("{path}.Environment.Variables.{name}"), function, reader);
        }
    }
    let reserved = fields.parsed(reader, "ReservedConcurrentExecutions", "a whole number");
    function.reserved_concurrency = reserved.or(function.reserved_concurrency);
    if let Some(mut config) = fields.fields(reader, "CapacityProviderConfig") {
        let nested = config.fields(reader, "LambdaManagedInstancesCapacityProviderConfig");
        let managed = function.managed.get_or_insert_default();
        read_managed(nested.unwrap_or(config), managed, function.memory_mb, reader);
    }
    if let Some(mut config) = fields.fields(reader, "FunctionScalingConfig") {
        let managed = function.managed.get_or_insert_default();
        config.number(reader, "MinExecutionEnvironments", &mut managed.min_environments);
        config.number(reader, "MaxExecutionEnvironments", &mut managed.max_environments);
        config.rest(reader, &[]);
    }
    fields.rest(reader, NO_BEARING);
}

fn read_variable(name: &str, value: &Node, path: &str, function: &mut Function, reader: &mut Reader) {
    if let Some(text) = value.text() {
        function.environment.insert(name.to_owned(), text.to_owned());
    }
    match coverage(Host::Function, name) {
        Some(Coverage::LeftOut(instead)) => {
            // What the stack itself makes, or leaves empty, is nothing that somebody wrote.
            if value.text().is_some_and(|text| !text.is_empty()) {
                reader.warn(value.line, format_args!("{path} is not covered by the model: {instead}"));
            }
            return;
        }
        Some(Coverage::NoBearing) | None => return,
        Some(Coverage::Modelled) => {}
    }
    let (into, unit) = match name {
        "FUNCTION_CONCURRENCY" => {
            let number = reader.parse(value, path, "a whole number, 1 or more");
            function.in_host_concurrency = number.or(function.in_host_concurrency);
            return;
        }
        "DEADLINE_MARGIN_MS" => (&mut function.deadline_margin, Duration::from_millis(1)),
        "BACKOFF_BASE_SECS" => (&mut function.backoff_base, Duration::from_secs(1)),
        "BACKOFF_MAX_SECS" => (&mut function.backoff_max, Duration::from_secs(1)),
        _ => return,
    };
    if let Some(number) = reader.parse::<u32>(value, path, "a whole number, 0 or more") {
        *into = Some(unit * number);
    }
}

/// A function on Managed Instances; SAM and CloudFormation nest it differently.
fn read_managed(mut config: Fields, managed: &mut Managed, memory_mb: u32, reader: &mut Reader) {
    managed.max_concurrency =
        config.parsed(reader, "PerExecutionEnvironmentMaxConcurrency", "a whole number, 1 to 1600");
    // 2 GiB a vCPU is the least, and the default.
    let ratio = config.parsed(reader, "ExecutionEnvironmentMemoryGiBPerVCpu", "2, 4 or 8").unwrap_or(2.0);
    managed.vcpu = f64::from(memory_mb) / 1024.0 / ratio;
    config.rest(reader, &["Arn", "CapacityProviderArn"]);
}

fn read_mapping(invoked: &InvokedFunction, function: &mut Function, reader: &mut Reader) {
    let path = invoked.path();
    let new = &mut function.mapping;
    let mut fields: Fields = reader.fields(invoked.mapping, &path);
    fields.number(reader, "BatchSize", &mut new.batch_size);
    fields.seconds(reader, "MaximumBatchingWindowInSeconds", &mut new.window);
    if let Some(types) = fields.take("FunctionResponseTypes") {
        let reports = |node: &Node| node.text() == Some("ReportBatchItemFailures");
        new.report_batch_item_failures = types.elements().iter().any(reports);
    }
    if let Some(mut config) = fields.fields(reader, "ScalingConfig") {
        new.maximum_concurrency = config.parsed(reader, "MaximumConcurrency", "a number from 2 to 1000");
        config.rest(reader, &[]);
    }
    if let Some(mut config) = fields.fields(reader, "ProvisionedPollerConfig") {
        let mut provisioned = event_source::Provisioned::default();
        config.number(reader, "MinimumPollers", &mut provisioned.minimum_pollers);
        config.number(reader, "MaximumPollers", &mut provisioned.maximum_pollers);
        config.rest(reader, &[]);
        new.provisioned = Some(provisioned);
    }
    fields.switch(reader, "Enabled", &mut function.enabled);
    if !function.enabled {
        let line = invoked.mapping.line_of("Enabled").unwrap_or(invoked.mapping.line);
        reader.warn(line, format_args!("{path}.Enabled is false; the model runs it all the same"));
    }
    fields.rest(reader, &["EventSourceArn", "FunctionName", "KmsKeyArn", "MetricsConfig", "Queue", "Tags"]);
}

/// What Lambda refuses of the parts together, or runs otherwise than it looks.
fn check(invoked: &InvokedFunction, own: &Node, function: &Function, reader: &mut Reader) {
    let path = invoked.path();
    let mapping = &function.mapping;
    let line = |field: &str| invoked.mapping.line_of(field).unwrap_or(invoked.mapping.line);
    for (field, what) in mapping.mistakes() {
        reader.mistake(line(field), format_args!("{path}.{field}: {what}"));
    }
    if function.queue.as_ref().is_some_and(|queue| queue.fifo) {
        if mapping.batch_size > 10 {
            let what = "is refused of a FIFO queue: write 1 to 10";
            reader.mistake(line("BatchSize"), format_args!("{path}.BatchSize: {} {what}", mapping.batch_size));
        }
        if !mapping.window.is_zero() {
            let what = "is refused of a FIFO queue, which has no batching window: leave it out";
            let field = "MaximumBatchingWindowInSeconds";
            reader.mistake(line(field), format_args!("{path}.{field}: {} {what}", mapping.window.as_secs()));
        }
    }
    if let Some(queue) = function.queue.as_ref().filter(|queue| queue.visibility < function.timeout) {
        let default = if queue.visibility_line.is_none() { ", SQS's default," } else { "" };
        let visibility = queue.visibility.as_secs();
        let timeout = function.timeout.as_secs();
        reader.mistake(
            queue.visibility_line.unwrap_or(queue.line),
            format_args!(
                "{}.VisibilityTimeout: {visibility} s{default} is refused, since {}'s Timeout is {timeout} s: write {} (six \
                 times)",
                queue.name,
                function.name,
                6 * timeout
            ),
        );
    }
    let reserved = function.reserved_concurrency.unwrap_or(u32::MAX);
    let line = own.line_of("ReservedConcurrentExecutions").unwrap_or(own.line);
    match mapping.maximum_concurrency {
        Some(maximum) if reserved < maximum => reader.warn(
            line,
            format_args!(
                "{}.ReservedConcurrentExecutions: {reserved} is below MaximumConcurrency, {maximum}: Lambda throttles what is \
                 beyond it, and each throttled batch counts as a receive",
                function.name
            ),
        ),
        None if reserved < POLLERS_AT_FIRST => reader.warn(
            line,
            format_args!(
                "{}.ReservedConcurrentExecutions: {reserved} is below the {POLLERS_AT_FIRST} batches that a mapping invokes with \
                 at first: Lambda throttles the others, and each throttled batch counts as a receive; write 5 or more, or \
                 ScalingConfig.MaximumConcurrency",
                function.name
            ),
        ),
        Some(_) | None => {}
    }
}

/// Batches that a mapping without a maximum begins with.
const POLLERS_AT_FIRST: u32 = 5;
