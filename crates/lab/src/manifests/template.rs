//! The SAM or CloudFormation template: the function that a queue invokes, its event source mapping, and that queue.

use serde_json::Value;

use super::event_source::{self, InvokedFunction};
use super::function::{self, Function};
use super::given::Given;
use super::intrinsics::Resolver;
use super::node::Node;
use super::parameters;
use super::queue::{self, Queue};
use super::reader::Reader;
use super::{ManifestError, Remark};
use crate::scenario::Scenario;

/// A template with its parameters and conditions filled in.
#[derive(Clone, Debug)]
pub struct Template {
    file: String,
    written: Node,
    resolved: Node,
    given: Given,
}

/// What a template says of the consumer of a queue.
#[derive(Debug)]
pub(crate) struct Consumer {
    /// The function that was asked for, or the first with a queue.
    pub function: Option<Function>,
    /// Every queue.
    pub queues: Vec<Queue>,
    /// What is wrong, with its line.
    pub mistakes: Vec<Remark>,
}

impl Template {
    /// Reads a template; `file` is how mistakes call it.
    ///
    /// # Errors
    /// It is no YAML, no template, or has no parameter of a given name.
    pub fn read(file: &str, text: &str, given: &Given) -> Result<Self, ManifestError> {
        let documents = Node::documents(file, text)?;
        let refused = |what: String| ManifestError(vec![format!("{file}: {what}")]);
        let written = documents.into_iter().find(|document| document.get("Resources").is_some());
        let written = written.ok_or_else(|| {
            refused("there are no Resources in it: it is no SAM or CloudFormation template".to_owned())
        })?;
        let declared = written.get("Parameters").map(Node::entries).unwrap_or_default();
        let known = |name: &str| {
            let dynamic = || text.contains("{{resolve:") && text.contains(&format!(":{name}"));
            name.starts_with("AWS::") || declared.iter().any(|(parameter, _)| parameter == name) || dynamic()
        };
        if let Some(unknown) = given.parameters().into_keys().find(|name| !known(name)) {
            let names: Vec<&str> = declared.iter().map(|(name, _)| name.as_str()).collect();
            let names =
                if names.is_empty() { "it has none".to_owned() } else { format!("it has {}", names.join(", ")) };
            return Err(refused(format!("--parameter {unknown}: the template has no such parameter: {names}")));
        }
        Ok(Self::of(file, written, given))
    }

    /// A template as it is in memory: its mistakes have no lines.
    pub fn from_json(template: &Value, given: &Given) -> Self {
        Self::of("template", Node::from_json(0, template), given)
    }

    fn of(file: &str, written: Node, given: &Given) -> Self {
        let resolved = Resolver { template: &written, given: given.parameters() }.whole();
        Self { file: file.to_owned(), resolved, given: given.clone(), written }
    }

    /// The template as JSON, as a deployment with its parameters would see it: references to resources in their long form.
    pub fn to_json(&self) -> Value {
        self.resolved.to_json()
    }

    /// The file, as it was named.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The line of a field of a resource, or of what it belongs into.
    pub(crate) fn line(&self, resource: &str, path: &str) -> u64 {
        self.resolved.line_at(["Resources", resource].into_iter().chain(path.split('/')))
    }

    /// The line of a field of the function that is read, of its mapping, or of what Globals say of it.
    pub(crate) fn line_of_function(&self, function: &Function, path: &str) -> u64 {
        let mapping = self.places().map(|(_, keys)| keys).unwrap_or_default();
        let mapping: Vec<&str> = mapping.iter().map(String::as_str).collect();
        let below = |parent: &[&str]| {
            let steps: Vec<&str> = parent.iter().copied().chain(path.split('/')).collect();
            self.resolved.at(&steps).map(|node| node.line)
        };
        let written = below(&["Resources", &function.name, "Properties"]).or_else(|| below(&mapping));
        written.or_else(|| below(&["Globals", "Function"])).unwrap_or_else(|| self.line(&function.name, "Properties"))
    }

    /// The function that a queue invokes, every queue, and what is wrong with them.
    pub(crate) fn consumer(&self) -> Consumer {
        let mut reader = Reader::new(&self.file);
        parameters::check(&self.resolver(), &mut reader);
        let resources = self.resources();
        let function = self.invoked(resources, &mut reader).map(|invoked| self.function(&invoked, &mut reader));
        let own = function.as_ref().and_then(|function| function.queue.as_ref()).map(|queue| queue.name.clone());
        let mut queues: Vec<Queue> = function.iter().filter_map(|function| function.queue.clone()).collect();
        for (name, resource) in resources.iter().filter(|(_, node)| event_source::kind(node) == "AWS::SQS::Queue") {
            if Some(name) != own.as_ref() {
                queues.push(queue::read(name, resource, &mut reader));
            }
        }
        queues.sort_by(|a, b| a.name.cmp(&b.name));
        Consumer { function, queues, mistakes: reader.mistakes }
    }

    /// Name of the function that is read, and the keys down to the properties of its mapping.
    pub(crate) fn places(&self) -> Option<(String, Vec<String>)> {
        let invoked = self.invoked(self.resources(), &mut Reader::new(&self.file))?;
        let keys: &[&str] = match invoked.event {
            event_source::MappingPlace::Own(event) => {
                &["Resources", invoked.name, "Properties", "Events", event, "Properties"]
            }
            event_source::MappingPlace::Resource(name) => &["Resources", name, "Properties"],
        };
        Some((invoked.name.to_owned(), keys.iter().map(|key| (*key).to_owned()).collect()))
    }

    pub(super) fn resolver(&self) -> Resolver<'_> {
        Resolver { template: &self.written, given: self.given.parameters() }
    }

    fn resources(&self) -> &[(String, Node)] {
        self.resolved.get("Resources").map(Node::entries).unwrap_or_default()
    }

    /// The function that was asked for, or the first with a queue.
    fn invoked<'a>(&'a self, resources: &'a [(String, Node)], reader: &mut Reader) -> Option<InvokedFunction<'a>> {
        for (name, resource) in resources.iter().filter(|(name, _)| name.starts_with("Fn::")) {
            let what = "is worked out when the template is deployed: give the processed template (aws cloudformation get-template)";
            reader.mistake(resource.line, format_args!("Resources.{name} {what}"));
        }
        let found = event_source::invoked(resources, reader);
        let named = |name: &String| found.iter().position(|invoked| event_source::is_called(invoked, name));
        let at = self.given.template_function.as_ref().map_or(Some(0), named);
        let (Some(at), Some(first)) = (at, found.first()) else {
            if let Some(name) = &self.given.template_function {
                let names: Vec<&str> = found.iter().map(|invoked| invoked.name).collect();
                let have = if names.is_empty() {
                    "none has one".to_owned()
                } else {
                    format!("write one of {}", names.join(", "))
                };
                reader.mistake_in_all(format_args!(
                    "--template-function {name}: no function of that name has a queue: {have}"
                ));
            }
            return None;
        };
        let taken = found.get(at).unwrap_or(first);
        if self.given.template_function.is_none() {
            for other in &found[1..] {
                let other_function = if other.name == taken.name {
                    String::new()
                } else {
                    format!(" (--template-function {} takes the other)", other.name)
                };
                let what = format_args!(
                    "{}: only {} is read, the first function with a queue{other_function}",
                    other.path(),
                    taken.name
                );
                reader.warn(other.mapping.line, what);
            }
        }
        Some(*taken)
    }

    /// A function with its mapping and its queue.
    fn function(&self, invoked: &InvokedFunction, reader: &mut Reader) -> Function {
        let resources = self.resources();
        let resolver = self.resolver();
        let found = event_source::queue_of(invoked.mapping, resources);
        let mapping = match invoked.event {
            event_source::MappingPlace::Own(_) => None,
            event_source::MappingPlace::Resource(name) => resources.iter().find(|(resource, _)| resource == name),
        };
        let parts = [(invoked.name, invoked.function)].into_iter().chain(found);
        for (name, resource) in parts.chain(mapping.map(|(name, node)| (name.as_str(), node))) {
            if let Err(why) = resolver.is_made(resource) {
                reader.unknown(resource.line, &format!("the condition of {name}"), &why);
            }
        }
        let queue = found.map(|(name, resource)| queue::read(name, resource, reader));
        function::read(invoked, self.resolved.at(&["Globals", "Function"]), queue, reader)
    }
}

/// Reads the function that a queue invokes, its mapping and its queue into a scenario.
pub(super) fn read(template: &Template, scenario: &mut Scenario, reader: &mut Reader) {
    parameters::check(&template.resolver(), reader);
    let Some(invoked) = template.invoked(template.resources(), reader) else {
        if reader.mistakes.is_empty() {
            reader.mistake_in_all("no function in it has an event of type SQS, or an event source mapping");
        }
        return;
    };
    let function = template.function(&invoked, reader);
    let lambda = &mut scenario.lambda;
    let ramp = lambda.mapping.ramp;
    let own = twinscale::FunctionConfig::default();
    let backoff = twinscale::Backoff::default();
    lambda.memory_mb = function.memory_mb;
    lambda.timeout = function.timeout;
    lambda.reserved_concurrency = function.reserved_concurrency;
    lambda.managed = function.managed;
    lambda.in_host_concurrency = function.in_host_concurrency.unwrap_or(own.concurrency as u32);
    lambda.deadline_margin = function.deadline_margin.unwrap_or(own.deadline_margin);
    lambda.backoff_base = function.backoff_base.unwrap_or(backoff.base);
    lambda.backoff_max = function.backoff_max.unwrap_or(backoff.max);
    lambda.mapping = twinscale_scaling::event_source::MappingSettings { ramp, ..function.mapping };
    let Some(queue) = function.queue else {
        let what = "the queue is in no resource of this template: visibility timeout, retention and redrive are the scenario's";
        return reader.warn(invoked.mapping.line, format_args!("{}: {what}", invoked.path()));
    };
    lambda.visibility_timeout = queue.visibility;
    (scenario.queue.retention, scenario.queue.fifo) = (queue.retention, queue.fifo);
    scenario.queue.max_receive_count = queue.max_receive_count.unwrap_or(MOST_RECEIVES);
    if queue.max_receive_count.is_none() {
        let what = "has no RedrivePolicy: what fails is received again until its retention ends";
        reader.warn(queue.line, format_args!("{} {what}; modelled as maxReceiveCount {MOST_RECEIVES}", queue.name));
    }
}

/// The most receives that a redrive policy may allow.
const MOST_RECEIVES: u32 = 1000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Given, Manifest};
    use crate::scenario::Scenario;

    fn read(text: &str) -> Result<(Scenario, Vec<String>), String> {
        let mut scenario = Scenario::default();
        let warnings =
            scenario.take_manifest(Manifest::Template, "t.yaml", text, &Given::default()).map_err(|e| e.to_string())?;
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
            (
                function("BatchSize: !Ref N"),
                "t.yaml, line 6: F.Events.Q.BatchSize has no value here: the parameter N has no default: write --parameter N=VALUE",
            ),
            (function("BatchSize: 100"), "MaximumBatchingWindowInSeconds: a BatchSize above 10"),
            ("Resources: {Q: {Type: AWS::SQS::Queue}}".to_owned(), "t.yaml: no function in it"),
            ("a: 1".to_owned(), "t.yaml: there are no Resources in it"),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
