//! KEDA's ScaledObject: bounds, operator's loop, triggers, fallback, and the HPA's behaviour.

use serde::de::DeserializeOwned;

use super::node::Node;
use super::reader::{Fields, Reader};
use crate::compare::scaling::{hpa, keda};

/// Reads the first ScaledObject of the documents. The flags of the HPA's controller and the phases are kept, since no
/// ScaledObject has them; everything else is the file's, or KEDA's default.
pub fn read(documents: &[Node], settings: &mut keda::Settings, reader: &mut Reader) {
    let kind = |document: &&Node| document.get("kind").and_then(Node::text) == Some("ScaledObject");
    let Some(document) = documents.iter().find(kind) else {
        return reader.mistake_in_all("there is no object of kind ScaledObject in it");
    };
    let mut new = keda::Settings {
        first_poll: settings.first_poll,
        hpa: hpa::Settings { behavior: None, ..settings.hpa.clone() },
        ..keda::Settings::default()
    };
    let mut top = reader.fields(document, "");
    let Some(mut spec) = top.fields(reader, "spec") else {
        return reader.mistake(document.line, "the ScaledObject has no spec");
    };
    spec.seconds(reader, "pollingInterval", &mut new.polling_interval);
    spec.seconds(reader, "cooldownPeriod", &mut new.cooldown_period);
    spec.seconds(reader, "initialCooldownPeriod", &mut new.initial_cooldown_period);
    spec.number(reader, "minReplicaCount", &mut new.min_replica_count);
    spec.number(reader, "maxReplicaCount", &mut new.max_replica_count);
    new.idle_replica_count = spec.parsed(reader, "idleReplicaCount", "a whole number");
    new.fallback = spec.take("fallback").and_then(|node| typed(reader, node, "spec.fallback"));
    if let Some(mut advanced) = spec.fields(reader, "advanced") {
        if let Some(mut config) = advanced.fields(reader, "horizontalPodAutoscalerConfig") {
            let path = config.path_of("behavior");
            new.hpa.behavior = config.take("behavior").and_then(|node| typed(reader, node, &path));
            config.rest(reader, &["name"]);
        }
        advanced.rest(reader, &["restoreToOriginalReplicaCount"]);
    }
    new.triggers = triggers(&mut spec, reader);
    spec.rest(reader, &["scaleTargetRef"]);
    top.rest(reader, &["apiVersion", "kind", "metadata", "status"]);
    for (field, what) in new.mistakes() {
        reader.mistake(line_of(document, field).unwrap_or(document.line), format_args!("{field}: {what}"));
    }
    *settings = new;
}

fn triggers(spec: &mut Fields, reader: &mut Reader) -> Vec<keda::Trigger> {
    let mut triggers = Vec::new();
    for (n, node) in spec.take("triggers").map(Node::elements).unwrap_or_default().iter().enumerate() {
        let path = format!("spec.triggers[{n}]");
        let mut fields = reader.fields(node, &path);
        let kind = fields.take("type").and_then(Node::text).unwrap_or_default();
        if kind != "aws-sqs-queue" {
            let what = "the model has only aws-sqs-queue triggers; this one was left out";
            reader.warn(node.line, format_args!("{path} is '{kind}': {what}"));
            continue;
        }
        let mut trigger = keda::Trigger::default();
        fields.switch(reader, "useCachedMetrics", &mut trigger.use_cached_metrics);
        if let Some(node) = fields.take("metricType") {
            trigger.metric_type = typed(reader, node, &format!("{path}.metricType")).unwrap_or_default();
        }
        if let Some(mut metadata) = fields.fields(reader, "metadata") {
            metadata.number(reader, "queueLength", &mut trigger.queue_length);
            metadata.number(reader, "activationQueueLength", &mut trigger.activation_queue_length);
            metadata.switch(reader, "scaleOnInFlight", &mut trigger.scale_on_in_flight);
            metadata.switch(reader, "scaleOnDelayed", &mut trigger.scale_on_delayed);
            metadata.rest(reader, &["queueURL", "queueURLFromEnv", "awsRegion", "awsEndpoint", "identityOwner"]);
        }
        fields.rest(reader, &["name", "authenticationRef"]);
        triggers.push(trigger);
    }
    triggers
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
    use crate::compare::scaling::hpa::Behavior;
    use crate::compare::scenario::Scenario;

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
        assert_eq!(error.to_string(), "x.yaml: there is no object of kind ScaledObject in it");
    }
}
