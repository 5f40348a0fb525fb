//! KEDA's ScaledObject and ScaledJob: bounds, operator's loop, triggers, fallback, formula, and the HPA's behaviour.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::node::Node;
use super::quantity;
use super::reader::{Fields, Reader};
use super::{Given, deployment, objects};
use crate::scenario::Scenario;
use twinscale_scaling::scaled_job::Strategy;
use twinscale_scaling::{hpa, keda, scaled_job};

/// Reads the first ScaledObject or ScaledJob of the documents.
pub(super) fn read(documents: &[Node], scenario: &mut Scenario, given: &Given, reader: &mut Reader) {
    let found = objects(documents, &KINDS);
    let Some(document) = found.first() else {
        return reader.mistake_in_all("there is no object of kind ScaledObject or ScaledJob in it");
    };
    for other in &found[1..] {
        reader.warn(other.line, "only the first ScaledObject or ScaledJob of a file is read; this one was left out");
    }
    read_one(document, documents, scenario, given, reader);
}

/// The kinds of objects that are read here.
pub(super) const KINDS: [&str; 2] = ["ScaledObject", "ScaledJob"];

/// Whether an object scales on a queue of SQS.
pub(super) fn is_on_queue(document: &Node) -> bool {
    let triggers = document.at(&["spec", "triggers"]).map(Node::elements).unwrap_or_default();
    triggers.iter().any(|trigger| trigger.get("type").and_then(Node::text) == Some(SQS))
}

/// The type of KEDA's trigger on a queue of SQS.
const SQS: &str = "aws-sqs-queue";

/// Reads an object. The flags of the HPA's controller and the phases are kept, since no manifest has them; everything else
/// is the file's, or KEDA's default.
pub(super) fn read_one(
    document: &Node,
    documents: &[Node],
    scenario: &mut Scenario,
    given: &Given,
    reader: &mut Reader,
) {
    let mut top = reader.fields(document, "");
    let job = document.get("kind").and_then(Node::text) == Some("ScaledJob");
    let Some(mut spec) = top.fields(reader, "spec") else {
        return reader.mistake(document.line, "the object has no spec");
    };
    for (name, node) in document.at(&["metadata", "annotations"]).map(Node::entries).unwrap_or_default() {
        if name.starts_with("autoscaling.keda.sh/") {
            reader.warn(node.line, format_args!("the annotation {name} is not covered by the model"));
        }
    }
    for (name, node) in spec.left().iter().filter(|(name, _)| NUMBERS.contains(name)) {
        reader.refuse_quoted(node, &format!("spec.{name}"));
    }
    let mistakes = if job {
        let new = read_job(&mut spec, &objects(documents, &["ConfigMap"]), scenario, given, reader);
        let mistakes = new.mistakes();
        scenario.eks.job = Some(new);
        mistakes
    } else {
        let new = read_object(&mut spec, &scenario.eks.keda, reader);
        let mistakes = new.mistakes();
        (scenario.eks.keda, scenario.eks.job) = (new, None);
        mistakes
    };
    spec.rest(reader, &["scaleTargetRef"]);
    top.rest(reader, &["apiVersion", "kind", "metadata", "status"]);
    for (field, what) in mistakes {
        reader.mistake(document.line_of(field).unwrap_or(document.line), format_args!("{field}: {what}"));
    }
}

/// Fields that are whole numbers in the objects' definitions.
const NUMBERS: [&str; 6] = [
    "pollingInterval",
    "cooldownPeriod",
    "initialCooldownPeriod",
    "minReplicaCount",
    "maxReplicaCount",
    "idleReplicaCount",
];

fn read_object(
    spec: &mut Fields,
    settings: &keda::ScaledObjectSettings,
    reader: &mut Reader,
) -> keda::ScaledObjectSettings {
    let mut new = keda::ScaledObjectSettings {
        version: settings.version,
        first_poll: settings.first_poll,
        hpa: hpa::HpaSettings { behavior: None, ..settings.hpa.clone() },
        ..keda::ScaledObjectSettings::default()
    };
    spec.seconds(reader, "pollingInterval", &mut new.polling_interval);
    spec.seconds(reader, "cooldownPeriod", &mut new.cooldown_period);
    spec.seconds(reader, "initialCooldownPeriod", &mut new.initial_cooldown_period);
    spec.number(reader, "minReplicaCount", &mut new.min_replica_count);
    spec.number(reader, "maxReplicaCount", &mut new.max_replica_count);
    new.idle_replica_count = spec.parsed(reader, "idleReplicaCount", "a whole number");
    new.fallback = spec.take("fallback").and_then(|node| typed(reader, node, "spec.fallback"));
    let mut modifiers = None;
    if let Some(mut advanced) = spec.fields(reader, "advanced") {
        if let Some(mut config) = advanced.fields(reader, "horizontalPodAutoscalerConfig") {
            let path = config.path_of("behavior");
            new.hpa.behavior = config.take("behavior").and_then(|node| {
                let behavior = as_the_api_server_has_it(node.to_loose_json());
                of_json(reader, node.line, behavior, &path)
            });
            config.rest(reader, &["name"]);
        }
        // `kubectl get` prints an empty one for none.
        modifiers = advanced.take("scalingModifiers").filter(|node| !node.entries().is_empty());
        advanced.rest(reader, &["restoreToOriginalReplicaCount"]);
    }
    let left_out;
    (new.triggers, left_out) = triggers(spec, reader);
    if let Some(node) = modifiers {
        let read: Option<keda::ScalingModifiers> = typed(reader, node, "spec.advanced.scalingModifiers");
        let settings = keda::ScaledObjectSettings { scaling_modifiers: read.clone(), ..new.clone() };
        let cannot_be = settings.mistakes().iter().any(|(field, _)| *field == "formula");
        if cannot_be && left_out {
            let what = "its formula names triggers that the model does not have; the others scale by themselves";
            reader.warn(node.line, format_args!("spec.advanced.scalingModifiers was left out: {what}"));
        } else {
            new.scaling_modifiers = read;
        }
    }
    new
}

fn read_job(
    spec: &mut Fields,
    maps: &[&Node],
    scenario: &mut Scenario,
    given: &Given,
    reader: &mut Reader,
) -> scaled_job::ScaledJobSettings {
    let kept = scenario.eks.job.clone().unwrap_or_default();
    let mut new = scaled_job::ScaledJobSettings {
        first_poll: kept.first_poll,
        messages_per_job: kept.messages_per_job,
        ..scaled_job::ScaledJobSettings::default()
    };
    spec.seconds(reader, "pollingInterval", &mut new.polling_interval);
    spec.number(reader, "minReplicaCount", &mut new.min_replica_count);
    new.max_replica_count = spec.parsed(reader, "maxReplicaCount", "a whole number, 1 or more");
    if let Some(mut strategy) = spec.fields(reader, "scalingStrategy") {
        new.strategy = read_strategy(&mut strategy, reader);
        if let Some(node) = strategy.take("multipleScalersCalculation").filter(|node| node.text() != Some("max")) {
            reader.warn(node.line, "multipleScalersCalculation: the model has only max, KEDA's default");
        }
        strategy.rest(reader, &[]);
    }
    new.triggers = triggers(spec, reader).0;
    if let Some(mut target) = spec.fields(reader, "jobTargetRef") {
        let pod = target.take("template").and_then(|template| template.get("spec"));
        if let Some(pod) = pod {
            if !deployment::sets(pod, maps, "EXIT_WHEN_IDLE_SECS") && new.messages_per_job.is_none() {
                let what = "this project's worker never ends without it; the model takes eks.pod's default";
                reader.warn(pod.line, format_args!("EXIT_WHEN_IDLE_SECS is not set: {what}"));
            }
            deployment::read_pod(pod, maps, scenario, given, reader);
        }
        // Each job has one pod, and fails with it.
        target.rest(reader, &["backoffLimit", "ttlSecondsAfterFinished"]);
    }
    spec.rest_of(&["successfulJobsHistoryLimit", "failedJobsHistoryLimit", "rollout", "envSourceContainerName"]);
    new
}

fn read_strategy(fields: &mut Fields, reader: &mut Reader) -> Strategy {
    let mut deduction = 0;
    let named = fields.take("strategy");
    fields.number(reader, "customScalingQueueLengthDeduction", &mut deduction);
    let share = fields.take("customScalingRunningJobPercentage").and_then(Node::text);
    match named.map(|node| (node, node.text().unwrap_or_default())) {
        None | Some((_, "default")) => Strategy::Default,
        Some((_, "accurate")) => Strategy::Accurate,
        Some((_, "eager")) => Strategy::Eager,
        // A share that is no number makes it the default strategy.
        Some((_, "custom")) => share
            .and_then(|text| text.parse().ok())
            .map_or(Strategy::Default, |running_share| Strategy::Custom { deduction, running_share }),
        Some((node, other)) => {
            let what = "write default, custom, accurate or eager";
            reader.mistake(node.line, format_args!("scalingStrategy.strategy: '{other}': {what}"));
            Strategy::Default
        }
    }
}

/// The triggers on one queue, and whether others were left out.
fn triggers(spec: &mut Fields, reader: &mut Reader) -> (Vec<keda::Trigger>, bool) {
    let mut triggers = Vec::new();
    let mut left_out = false;
    let mut queue: Option<String> = None;
    for (n, node) in spec.take("triggers").map(Node::elements).unwrap_or_default().iter().enumerate() {
        let path = format!("spec.triggers[{n}]");
        let mut fields = reader.fields(node, &path);
        let kind = fields.take("type").and_then(Node::text).unwrap_or_default();
        if kind != SQS {
            let what = "the model has only aws-sqs-queue triggers; this one was left out";
            reader.warn(node.line, format_args!("{path} is '{kind}': {what}"));
            left_out = true;
            continue;
        }
        let name = fields.take("name").and_then(Node::text).map(str::to_owned);
        let mut trigger = keda::Trigger { name, ..keda::Trigger::default() };
        fields.switch(reader, "useCachedMetrics", &mut trigger.use_cached_metrics);
        if let Some(node) = fields.take("metricType") {
            trigger.metric_type = typed(reader, node, &format!("{path}.metricType")).unwrap_or_default();
        }
        let authenticated = fields.take("authenticationRef").is_some();
        let counted = match fields.fields(reader, "metadata") {
            Some(metadata) => read_metadata(metadata, &path, authenticated, &mut trigger, reader),
            None => None,
        };
        let Some(counted) = counted else {
            reader.mistake(node.line, format_args!("{path}.metadata: {NO_QUEUE}"));
            continue;
        };
        fields.rest(reader, &[]);
        let first = queue.get_or_insert_with(|| counted.clone());
        if *first == counted {
            triggers.push(trigger);
        } else {
            left_out = true;
            let what =
                format_args!("{path} counts {counted}, another queue: it was left out, and only {first} is compared");
            reader.warn(node.line, what);
        }
    }
    (triggers, left_out)
}

/// What is wrong with a trigger that names no queue.
const NO_QUEUE: &str = "there is no queueURL and no queueURLFromEnv, so KEDA would never be ready: write one of them";

/// Reads what a trigger says of its queue, and returns how it names it: its URL, or `$(VARIABLE)`.
fn read_metadata(
    mut metadata: Fields,
    path: &str,
    authenticated: bool,
    trigger: &mut keda::Trigger,
    reader: &mut Reader,
) -> Option<String> {
    for (name, node) in metadata.left() {
        reader.refuse_bare(node, &format!("{path}.metadata.{name}"));
    }
    metadata.number(reader, "queueLength", &mut trigger.queue_length);
    metadata.number(reader, "activationQueueLength", &mut trigger.activation_queue_length);
    parsed_switch(&mut metadata, reader, "scaleOnInFlight", &mut trigger.scale_on_in_flight);
    parsed_switch(&mut metadata, reader, "scaleOnDelayed", &mut trigger.scale_on_delayed);
    let url = metadata.take("queueURL");
    let from = metadata.take("queueURLFromEnv").and_then(Node::text).map(|name| format!("$({name})"));
    let region = metadata.take("awsRegion");
    match (region.and_then(Node::text), url.and_then(|url| Some((url, region_of(url.text()?)?)))) {
        (Some(region), Some((node, own))) if region != own => {
            let what = format_args!("{region}, and the queue is in {own}: KEDA would ask where it is not; write {own}");
            reader.mistake(node.line, format_args!("{path}.metadata.awsRegion: {what}"));
        }
        (Some(_), _) => {}
        // A TriggerAuthentication may have it.
        (None, _) if authenticated => {}
        (None, _) => {
            let line = url.map_or_else(|| metadata.line(), |node| node.line);
            let what = "there is no awsRegion, so KEDA would never be ready: write the queue's";
            reader.mistake(line, format_args!("{path}.metadata: {what}"));
        }
    }
    metadata.rest(reader, &["awsEndpoint", "identityOwner"]);
    url.and_then(Node::text).map(str::to_owned).or(from)
}

/// The region in `https://sqs.eu-west-1.amazonaws.com/1/jobs`.
pub(crate) fn region_of(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://sqs.")?.split('/').next()?;
    host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com")
}

/// A switch in a trigger's metadata: what Go's `strconv.ParseBool` takes, and nothing else.
fn parsed_switch(fields: &mut Fields, reader: &mut Reader, name: &str, into: &mut bool) {
    let path = fields.path_of(name);
    let Some(node) = fields.take(name) else { return };
    match node.text().unwrap_or_default() {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => *into = true,
        "0" | "f" | "F" | "false" | "FALSE" | "False" => *into = false,
        other => {
            reader.mistake(node.line, format_args!("{path}: '{other}' is refused by KEDA: write \"true\" or \"false\""))
        }
    }
}

/// A behaviour as it is in the HPA: an empty list of policies is none, and gets the API's defaults, and a tolerance is a
/// quantity.
fn as_the_api_server_has_it(mut behavior: Value) -> Value {
    for direction in ["scaleUp", "scaleDown"] {
        let Some(rules) = behavior.get_mut(direction).and_then(Value::as_object_mut) else { continue };
        if rules.get("policies").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            rules.remove("policies");
        }
        let tolerance = rules.get("tolerance").and_then(Value::as_str).and_then(quantity);
        if let Some(tolerance) = tolerance {
            rules.insert("tolerance".to_owned(), tolerance.into());
        }
    }
    behavior
}

/// Reads a part whose names are those of our own settings: unknown names in it are mistakes.
fn typed<T: DeserializeOwned>(reader: &mut Reader, node: &Node, path: &str) -> Option<T> {
    of_json(reader, node.line, node.to_loose_json(), path)
}

fn of_json<T: DeserializeOwned>(reader: &mut Reader, line: u64, value: Value, path: &str) -> Option<T> {
    match serde_json::from_value(value) {
        Ok(value) => Some(value),
        Err(error) => {
            reader.mistake(line, format_args!("{path}: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Given, Manifest};
    use crate::scenario::Scenario;
    use twinscale_scaling::hpa::Behavior;

    const HEAD: &str = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: worker}\nspec:\n";

    fn read(spec: &str) -> Result<(Scenario, Vec<String>), String> {
        let mut scenario = Scenario::default();
        let text = format!("{HEAD}{spec}");
        let warnings = scenario
            .take_manifest(Manifest::ScaledObject, "so.yaml", &text, &Given::default())
            .map_err(|e| e.to_string())?;
        Ok((scenario, warnings))
    }

    const TRIGGER: &str =
        "  triggers:\n    - type: aws-sqs-queue\n      metadata: {queueLength: \"7\", queueURL: q, awsRegion: r}\n";

    #[test]
    fn what_is_left_out_has_kedas_default_and_not_the_scenarios() {
        let (scenario, warnings) = read(&format!("  maxReplicaCount: 20\n{TRIGGER}")).expect("reads");
        let keda = scenario.eks.keda;
        assert_eq!((keda.min_replica_count, keda.max_replica_count), (0, 20));
        assert_eq!(keda.triggers[0].queue_length, 7);
        assert_eq!(keda.hpa.behavior, None);
        assert_eq!(warnings, [""; 0]);
    }

    #[test]
    fn an_empty_behavior_is_one_and_its_numbers_are_read() {
        let advanced = |behavior: &str| format!("  advanced: {{horizontalPodAutoscalerConfig: {behavior}}}\n{TRIGGER}");
        let behavior = |text: &str| read(&advanced(text)).expect("reads").0.eks.keda.hpa.behavior;
        assert_eq!(behavior("{behavior: {scaleUp: {}}}"), Some(Behavior::default()));
        assert_eq!(behavior("{name: x}"), None);
        let window = behavior("{behavior: {scaleDown: {stabilizationWindowSeconds: 120}}}").expect("a behavior");
        assert_eq!(window.scale_down.stabilization_window, Some(Duration::from_secs(120)));
    }

    #[test]
    fn a_field_that_the_model_does_not_cover_is_named_with_its_line() {
        let (_, warnings) = read(&format!("  paused: true\n{TRIGGER}    - type: cron\n")).expect("reads");
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings.iter().any(|w| w.starts_with("so.yaml, line 5: spec.paused is not covered")), "{warnings:?}");
        assert!(warnings.iter().any(|w| w.starts_with("so.yaml, line 9: spec.triggers[1] is 'cron'")), "{warnings:?}");
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line() {
        for (spec, named) in [
            (format!("  minReplicaCount: many\n{TRIGGER}"), "so.yaml, line 5: spec.minReplicaCount: 'many'"),
            (
                format!("  minReplicaCount: 9\n  maxReplicaCount: 3\n{TRIGGER}"),
                "so.yaml, line 5: minReplicaCount: 9 is",
            ),
            ("  maxReplicaCount: 3\n".to_owned(), "triggers: none"),
            (
                format!("  advanced: {{horizontalPodAutoscalerConfig: {{behavior: {{scaleup: {{}}}}}}}}\n{TRIGGER}"),
                "unknown field `scaleup`",
            ),
            ("  - a\n b\n".to_owned(), "is no YAML"),
        ] {
            let error = read(&spec).expect_err(&spec);
            assert!(error.contains(named), "{spec}: {error}");
        }
        let mut scenario = Scenario::default();
        let error = scenario
            .take_manifest(Manifest::ScaledObject, "x.yaml", "kind: Deployment\n", &Given::default())
            .expect_err("refused");
        assert_eq!(error.to_string(), "x.yaml: there is no object of kind ScaledObject or ScaledJob in it");
    }
}
