//! The SAM or CloudFormation template: the function that a queue invokes, its event source mapping, and that queue.

use std::time::Duration;

use super::intrinsics::{is_made, resolve};
use super::node::{Node, Tree};
use super::reader::{Fields, Reader};
use crate::scenario::{Managed, Scenario};
use twinscale_scaling::event_source;

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

/// A function and the mapping that invokes it.
struct Found<'a> {
    /// Name of the function's resource.
    name: &'a str,
    function: &'a Node,
    mapping: &'a Node,
    /// Path of the mapping's properties.
    path: String,
}

/// Reads the function with an SQS event, its mapping and its queue.
pub(super) fn read(documents: &[Node], scenario: &mut Scenario, reader: &mut Reader) {
    let Some(template) = documents.iter().find(|document| document.get("Resources").is_some()) else {
        return reader.mistake_in_all("there are no Resources in it: it is no SAM or CloudFormation template");
    };
    let Some(resolved) = template.get("Resources").and_then(|resources| resolve(resources, template)) else { return };
    let made = resolved.entries().iter().filter(|(_, resource)| is_made(resource, template));
    let resources: &[_] = &made.cloned().collect::<Vec<_>>();
    let found = find(resources);
    let Some(first) = found.first() else {
        return reader.mistake_in_all("no function in it has an event of type SQS, or an event source mapping");
    };
    for other in &found[1..] {
        let what = format_args!("{}: only {} is read, the first function with a queue", other.path, first.name);
        reader.warn(other.mapping.line, what);
    }
    let globals = template.at(&["Globals", "Function"]).and_then(|globals| resolve(globals, template));
    read_function(first, globals.as_ref(), scenario, reader);
    let queue = read_mapping(first, scenario, reader);
    match queue.and_then(|name| resources.iter().find(|(resource, _)| *resource == name)) {
        Some((name, queue)) => read_queue(name, queue, scenario, reader),
        None => reader.warn(first.mapping.line, "the queue is in no resource of this template; the scenario's is used"),
    }
    for (field, what) in scenario.lambda.mapping.mistakes() {
        reader.mistake(first.mapping.line, format_args!("{}.{field}: {what}", first.path));
    }
}

fn find(resources: &[(String, Node)]) -> Vec<Found<'_>> {
    let mut found = Vec::new();
    let kind = |node: &Node| node.get("Type").and_then(Node::text).unwrap_or_default().to_owned();
    for (name, resource) in resources {
        match kind(resource).as_str() {
            "AWS::Serverless::Function" => {
                for (event, node) in resource.at(&["Properties", "Events"]).map(Node::entries).unwrap_or_default() {
                    if let ("SQS", Some(mapping)) = (kind(node).as_str(), node.get("Properties")) {
                        let path = format!("{name}.Events.{event}");
                        found.push(Found { name, function: resource, mapping, path });
                    }
                }
            }
            "AWS::Lambda::EventSourceMapping" => {
                let Some(mapping) = resource.get("Properties") else { continue };
                let source = mapping.get("EventSourceArn").and_then(resource_of);
                let other =
                    |(name, node): &&(String, Node)| Some(name.as_str()) == source && kind(node) != "AWS::SQS::Queue";
                if resources.iter().any(|resource| other(&resource)) {
                    continue;
                }
                let target = mapping.get("FunctionName").and_then(resource_of).unwrap_or_default();
                if let Some((function, node)) = resources.iter().find(|(name, _)| name == target) {
                    found.push(Found { name: function, function: node, mapping, path: name.clone() });
                }
            }
            _ => {}
        }
    }
    found
}

/// The resource that a reference names: `Jobs` for `Jobs`, `Jobs.Arn` and `${Jobs.Arn}`.
fn resource_of(node: &Node) -> Option<&str> {
    node.text()?.trim_start_matches("${").split(['.', '}']).next()
}

fn read_function(found: &Found, globals: Option<&Node>, scenario: &mut Scenario, reader: &mut Reader) {
    let lambda = &mut scenario.lambda;
    (lambda.memory_mb, lambda.timeout) = (128, Duration::from_secs(3));
    (lambda.reserved_concurrency, lambda.managed) = (None, None);
    let empty = Node { line: found.function.line, tag: None, tree: Tree::Null };
    let own = found.function.get("Properties").unwrap_or(&empty);
    for (node, path) in globals.map(|node| (node, "Globals.Function")).into_iter().chain([(own, found.name)]) {
        let mut fields = reader.fields(node, path);
        fields.number(reader, "MemorySize", &mut lambda.memory_mb);
        fields.seconds(reader, "Timeout", &mut lambda.timeout);
        if let Some(environment) = fields.take("Environment") {
            let variables = environment.get("Variables").map(Node::entries).unwrap_or_default();
            for (name, value) in variables {
                let path = format!("{path}.Environment.Variables.{name}");
                match name.as_str() {
                    "FUNCTION_CONCURRENCY" => {
                        let number = reader.parse(value, &path, "a whole number, 1 or more");
                        lambda.in_host_concurrency = number.unwrap_or(lambda.in_host_concurrency);
                    }
                    "DEADLINE_MARGIN_MS" => {
                        if let Some(margin) = reader.parse(value, &path, "a number of milliseconds") {
                            lambda.deadline_margin = Duration::from_millis(margin);
                        }
                    }
                    _ => {}
                }
            }
        }
        lambda.reserved_concurrency =
            fields.parsed(reader, "ReservedConcurrentExecutions", "a whole number").or(lambda.reserved_concurrency);
        if let Some(mut config) = fields.fields(reader, "CapacityProviderConfig") {
            let nested = config.fields(reader, "LambdaManagedInstancesCapacityProviderConfig");
            let managed = lambda.managed.get_or_insert_default();
            read_managed(nested.unwrap_or(config), managed, lambda.memory_mb, reader);
        }
        if let Some(mut config) = fields.fields(reader, "FunctionScalingConfig") {
            let managed = lambda.managed.get_or_insert_default();
            config.number(reader, "MinExecutionEnvironments", &mut managed.min_environments);
            config.number(reader, "MaxExecutionEnvironments", &mut managed.max_environments);
            config.rest(reader, &[]);
        }
        fields.rest(reader, NO_BEARING);
    }
    if lambda.reserved_concurrency == Some(0) {
        let what = "ReservedConcurrentExecutions: 0 switches the function off";
        reader.mistake(found.function.line, format_args!("{}.{what}", found.name));
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

/// Reads the mapping, and returns the name of its queue's resource.
fn read_mapping(found: &Found, scenario: &mut Scenario, reader: &mut Reader) -> Option<String> {
    let ramp = scenario.lambda.mapping.ramp;
    let mut new = event_source::Settings { ramp, ..event_source::Settings::default() };
    let mut fields: Fields = reader.fields(found.mapping, &found.path);
    let queue = fields.take("Queue").or_else(|| fields.take("EventSourceArn")).and_then(resource_of);
    let queue = queue.map(str::to_owned);
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
    if let Some(node) = fields.take("Enabled").filter(|node| node.text() == Some("false")) {
        reader.warn(node.line, format_args!("{}.Enabled is false; the model runs it all the same", found.path));
    }
    fields.rest(reader, &["FunctionName", "KmsKeyArn", "MetricsConfig", "Tags"]);
    scenario.lambda.mapping = new;
    queue
}

fn read_queue(name: &str, queue: &Node, scenario: &mut Scenario, reader: &mut Reader) {
    let Some(properties) = queue.get("Properties") else { return };
    let mut fields = reader.fields(properties, name);
    // SQS's own defaults.
    let (mut visibility, mut retention) = (Duration::from_secs(30), Duration::from_secs(345_600));
    fields.seconds(reader, "VisibilityTimeout", &mut visibility);
    fields.seconds(reader, "MessageRetentionPeriod", &mut retention);
    (scenario.lambda.visibility_timeout, scenario.queue.retention) = (visibility, retention);
    let mut fifo = false;
    fields.switch(reader, "FifoQueue", &mut fifo);
    scenario.queue.fifo = fifo;
    match fields.fields(reader, "RedrivePolicy") {
        Some(mut redrive) => redrive.number(reader, "maxReceiveCount", &mut scenario.queue.max_receive_count),
        None => reader.warn(queue.line, format_args!("{name} has no RedrivePolicy; the scenario's is used")),
    }
    for name in ["DelaySeconds", "ReceiveMessageWaitTimeSeconds", "FifoThroughputLimit"] {
        if let Some(node) = fields.take(name) {
            reader.warn(node.line, format_args!("{} is not covered by the model", fields.path_of(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Manifest;
    use crate::scenario::Scenario;

    fn read(text: &str) -> Result<(Scenario, Vec<String>), String> {
        let mut scenario = Scenario::default();
        let warnings = scenario.take_manifest(Manifest::Template, "t.yaml", text).map_err(|e| e.to_string())?;
        Ok((scenario, warnings))
    }

    #[test]
    fn parameters_conditions_and_references_are_resolved() {
        let (scenario, warnings) = read(
            "Parameters:\n  Size: {Type: Number, Default: 1024}\n  Pollers: {Type: Number, Default: 0}\n\
             Conditions:\n  WithPollers: !Not [!Equals [!Ref Pollers, \"0\"]]\n\
             Globals: {Function: {Timeout: 60, MemorySize: !Ref Size}}\n\
             Resources:\n  Jobs:\n    Type: AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 360\n      \
             RedrivePolicy: {maxReceiveCount: \"5\"}\n\
             \x20 Elsewhere:\n    Type: AWS::Serverless::Function\n    Condition: WithPollers\n    Properties:\n      \
             Events: {Q: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn, BatchSize: 7}}}\n\
             \x20 Worker:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
             Environment: {Variables: {FUNCTION_CONCURRENCY: \"4\"}}\n      \
             Events:\n        Q:\n          Type: SQS\n          Properties:\n            Queue: !GetAtt Jobs.Arn\n            \
             BatchSize: 5\n            FunctionResponseTypes: [ReportBatchItemFailures]\n            \
             ScalingConfig: !If [WithPollers, !Ref AWS::NoValue, {MaximumConcurrency: 50}]\n            \
             FilterCriteria: {}\n",
        )
        .expect("reads");
        let lambda = &scenario.lambda;
        assert_eq!((lambda.memory_mb, lambda.timeout.as_secs(), lambda.in_host_concurrency), (1024, 60, 4));
        assert_eq!((lambda.mapping.batch_size, lambda.mapping.maximum_concurrency), (5, Some(50)));
        assert!(lambda.mapping.report_batch_item_failures);
        assert_eq!(lambda.visibility_timeout, Duration::from_secs(360));
        assert_eq!(scenario.queue.max_receive_count, 5);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("Worker.Events.Q.FilterCriteria is not covered"), "{warnings:?}");
    }

    #[test]
    fn plain_cloudformation_with_the_long_forms_is_read_and_what_is_left_out_is_lambdas_default() {
        let (scenario, _) = read(
            "Resources:\n  Jobs: {Type: AWS::SQS::Queue}\n  F: {Type: AWS::Lambda::Function, Properties: {Timeout: 9}}\n  \
             M:\n    Type: AWS::Lambda::EventSourceMapping\n    Properties:\n      FunctionName: {Ref: F}\n      \
             EventSourceArn: {Fn::GetAtt: [Jobs, Arn]}\n",
        )
        .expect("reads");
        let lambda = &scenario.lambda;
        assert_eq!((lambda.memory_mb, lambda.timeout.as_secs(), lambda.mapping.batch_size), (128, 9, 10));
        assert_eq!(lambda.mapping.maximum_concurrency, None);
        assert!(!lambda.mapping.report_batch_item_failures);
    }

    #[test]
    fn what_cannot_be_resolved_or_run_is_refused_with_its_line() {
        let function = |property: &str| {
            format!(
                "Parameters: {{N: {{Type: Number}}}}\nResources:\n  F:\n    Type: AWS::Serverless::Function\n    \
                 Properties:\n      Events: {{Q: {{Type: SQS, Properties: {{Queue: q, {property}}}}}}}\n"
            )
        };
        for (text, named) in [
            (function("BatchSize: !Ref N"), "t.yaml, line 6: F.Events.Q.BatchSize: !Ref N has no value here"),
            (function("BatchSize: 100"), "MaximumBatchingWindowInSeconds: a BatchSize above 10"),
            ("Resources: {Q: {Type: AWS::SQS::Queue}}".to_owned(), "t.yaml: no function in it"),
            ("a: 1".to_owned(), "t.yaml: there are no Resources in it"),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
