//! KEDA's ScaledObject and ScaledJob: bounds, operator's loop, triggers, fallback, formula, and the HPA's behaviour.

use serde::de::DeserializeOwned;

use super::node::Node;
use super::reader::{Fields, Reader};
use super::{deployment, objects};
use crate::scenario::Scenario;
use twinscale_scaling::scaled_job::Strategy;
use twinscale_scaling::{hpa, keda, scaled_job};

/// Reads the first ScaledObject or ScaledJob of the documents. The flags of the HPA's controller and the phases are kept,
/// since no manifest has them; everything else is the file's, or KEDA's default.
pub(super) fn read(documents: &[Node], scenario: &mut Scenario, reader: &mut Reader) {
    let found = objects(documents, &["ScaledObject", "ScaledJob"]);
    let Some(document) = found.first() else {
        return reader.mistake_in_all("there is no object of kind ScaledObject or ScaledJob in it");
    };
    for other in &found[1..] {
        reader.warn(other.line, "only the first ScaledObject or ScaledJob of a file is read; this one was left out");
    }
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
    let mistakes = if job {
        let new = read_job(&mut spec, scenario, reader);
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
        reader.mistake(line_of(document, field).unwrap_or(document.line), format_args!("{field}: {what}"));
    }
}

fn read_object(spec: &mut Fields, settings: &keda::Settings, reader: &mut Reader) -> keda::Settings {
    let mut new = keda::Settings {
        first_poll: settings.first_poll,
        hpa: hpa::Settings { behavior: None, ..settings.hpa.clone() },
        ..keda::Settings::default()
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
            new.hpa.behavior = config.take("behavior").and_then(|node| typed(reader, node, &path));
            config.rest(reader, &["name"]);
        }
        modifiers = advanced.take("scalingModifiers");
        advanced.rest(reader, &["restoreToOriginalReplicaCount"]);
    }
    let left_out;
    (new.triggers, left_out) = triggers(spec, reader);
    if let Some(node) = modifiers {
        let read: Option<keda::ScalingModifiers> = typed(reader, node, "spec.advanced.scalingModifiers");
        let settings = keda::Settings { scaling_modifiers: read.clone(), ..new.clone() };
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

fn read_job(spec: &mut Fields, scenario: &mut Scenario, reader: &mut Reader) -> scaled_job::Settings {
    let kept = scenario.eks.job.clone().unwrap_or_default();
    let mut new = scaled_job::Settings {
        first_poll: kept.first_poll,
        messages_per_job: kept.messages_per_job,
        ..scaled_job::Settings::default()
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
            deployment::read_pod(pod, &[], scenario, reader);
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

/// The triggers on a queue, and whether others were left out.
fn triggers(spec: &mut Fields, reader: &mut Reader) -> (Vec<keda::Trigger>, bool) {
    let (mut triggers, mut left_out) = (Vec::new(), false);
    let mut queue: Option<&str> = None;
    for (n, node) in spec.take("triggers").map(Node::elements).unwrap_or_default().iter().enumerate() {
        let path = format!("spec.triggers[{n}]");
        let mut fields = reader.fields(node, &path);
        let kind = fields.take("type").and_then(Node::text).unwrap_or_default();
        if kind != "aws-sqs-queue" {
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
        if let Some(mut metadata) = fields.fields(reader, "metadata") {
            metadata.number(reader, "queueLength", &mut trigger.queue_length);
            metadata.number(reader, "activationQueueLength", &mut trigger.activation_queue_length);
            metadata.switch(reader, "scaleOnInFlight", &mut trigger.scale_on_in_flight);
            metadata.switch(reader, "scaleOnDelayed", &mut trigger.scale_on_delayed);
            let url = metadata.take("queueURL").and_then(Node::text);
            if queue.is_some() && url.is_some() && queue != url {
                reader.warn(node.line, format_args!("{path} is of another queue; the model has one, and reads that"));
            }
            queue = queue.or(url);
            metadata.rest(reader, &["queueURLFromEnv", "awsRegion", "awsEndpoint", "identityOwner"]);
        }
        fields.rest(reader, &["authenticationRef"]);
        triggers.push(trigger);
    }
    (triggers, left_out)
}

/// Reads a part whose names are those of our own settings: unknown names in it are mistakes.
fn typed<T: DeserializeOwned>(reader: &mut Reader, node: &Node, path: &str) -> Option<T> {
    match serde_json::from_value(node.to_json()) {
        Ok(value) => Some(value),
        Err(error) => {
            reader.mistake(node.line, format_args!("{path}: {error}"));
            None
        }
    }
}

/// The line of the first key of that name, anywhere in the document.
fn line_of(node: &Node, key: &str) -> Option<u64> {
    let own = node.get(key).map(|found| found.line);
    let below = || node.entries().iter().map(|(_, node)| node).chain(node.elements()).find_map(|n| line_of(n, key));
    own.or_else(below)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Manifest;
    use crate::scenario::Scenario;
    use twinscale_scaling::hpa::Behavior;

    const HEAD: &str = "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: worker}\nspec:\n";

    fn read(spec: &str) -> Result<(Scenario, Vec<String>), String> {
        let mut scenario = Scenario::default();
        let text = format!("{HEAD}{spec}");
        let warnings = scenario.take_manifest(Manifest::ScaledObject, "so.yaml", &text).map_err(|e| e.to_string())?;
        Ok((scenario, warnings))
    }

    const TRIGGER: &str = "  triggers:\n    - type: aws-sqs-queue\n      metadata: {queueLength: \"7\"}\n";

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
        let error =
            scenario.take_manifest(Manifest::ScaledObject, "x.yaml", "kind: Deployment\n").expect_err("refused");
        assert_eq!(error.to_string(), "x.yaml: there is no object of kind ScaledObject or ScaledJob in it");
    }
}
