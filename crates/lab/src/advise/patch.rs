//! The advised settings as changes of the files that deploy them.

use similar::TextDiff;

use crate::manifests::edit::Editor;
use crate::manifests::edit::Step::{self, Key, With};
use crate::manifests::{Manifest, ManifestError};
use crate::scenario::Scenario;
use crate::target::TargetKind;

/// A file before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Its name, as the diff calls it.
    pub file: String,
    /// What was in it.
    pub before: String,
    /// What the advice puts in it.
    pub after: String,
}

/// Why a file was left alone.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// It cannot be read, before or after.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It is written in a style that cannot be edited in place.
    #[error("{0} cannot be edited in place (write it in block style, or change it by hand to what the advice says)")]
    Style(String),
}

impl Patch {
    /// The change as a unified diff; empty if there is none.
    pub fn diff(&self) -> String {
        let diff = TextDiff::from_lines(&self.before, &self.after);
        diff.unified_diff().context_radius(2).header(&self.file, &self.file).to_string()
    }
}

/// The manifests that hold a target's settings.
pub fn manifests(kind: TargetKind) -> &'static [Manifest] {
    match kind {
        TargetKind::Eks => &[Manifest::ScaledObject, Manifest::Deployment],
        TargetKind::Lambda => &[Manifest::Template],
    }
}

/// Puts every setting that the search tries into the file, where it differs, and reads the result back.
///
/// # Errors
/// The file is no such manifest, or what was written is not read back as the advised settings.
pub fn patch(kind: Manifest, file: &str, before: &str, advised: &Scenario) -> Result<Patch, PatchError> {
    let read = |text: &str| -> Result<Scenario, ManifestError> {
        let mut scenario = advised.clone();
        scenario.take_manifest(kind, file, text)?;
        Ok(scenario)
    };
    let had = read(before)?;
    let mut editor = Editor::new(before);
    match kind {
        Manifest::ScaledObject => scaled_object(&mut editor, &had, advised),
        Manifest::Deployment => deployment(&mut editor, &had, advised),
        Manifest::Template => template(&mut editor, &had, advised),
    }
    let after = editor.finish();
    let has = read(&after).map_err(|_| PatchError::Style(file.to_owned()))?;
    if tried(kind, &has) != tried(kind, advised) {
        return Err(PatchError::Style(file.to_owned()));
    }
    Ok(Patch { file: file.to_owned(), before: before.to_owned(), after })
}

/// The settings of a manifest that the search tries.
fn tried(kind: Manifest, scenario: &Scenario) -> String {
    let (keda, pod, lambda) = (&scenario.eks.keda, &scenario.eks.pod, &scenario.lambda);
    match kind {
        Manifest::ScaledObject => {
            let bounds = (keda.min_replica_count, keda.max_replica_count, keda.polling_interval);
            format!("{bounds:?} {:?} {:?}", keda.triggers.first().map(|t| t.queue_length), keda.hpa.behavior)
        }
        Manifest::Deployment => format!("{:?}", (pod.concurrency, pod.memory_mib)),
        Manifest::Template => {
            let mapping = &lambda.mapping;
            let scaling = (mapping.maximum_concurrency, &mapping.provisioned);
            format!(
                "{:?} {:?}",
                (lambda.memory_mb, lambda.in_host_concurrency, mapping.batch_size, mapping.window),
                scaling
            )
        }
    }
}

fn scaled_object(editor: &mut Editor, had: &Scenario, advised: &Scenario) {
    let kind = Some("ScaledObject");
    let (had, keda) = (&had.eks.keda, &advised.eks.keda);
    let mut set = |name, had: u64, to: u64| {
        if had != to {
            editor.set(kind, &[Key("spec"), Key(name)], &to.to_string());
        }
    };
    set("minReplicaCount", had.min_replica_count.into(), keda.min_replica_count.into());
    set("maxReplicaCount", had.max_replica_count.into(), keda.max_replica_count.into());
    set("pollingInterval", had.polling_interval.as_secs(), keda.polling_interval.as_secs());
    let length = |keda: &twinscale_scaling::keda::Settings| keda.triggers.first().map(|t| t.queue_length);
    if let Some(to) = length(keda).filter(|to| length(had) != Some(*to)) {
        let path = [Key("spec"), Key("triggers"), With("type", "aws-sqs-queue"), Key("metadata"), Key("queueLength")];
        editor.set(kind, &path, &to.to_string());
    }
    if had.hpa.behavior != keda.hpa.behavior {
        let path = [Key("spec"), Key("advanced"), Key("horizontalPodAutoscalerConfig"), Key("behavior")];
        match &keda.hpa.behavior {
            None => editor.remove(kind, &path, true),
            Some(behavior) => editor.replace(kind, &path, &serde_saphyr::to_string(behavior).unwrap_or_default()),
        }
    }
}

fn deployment(editor: &mut Editor, had: &Scenario, advised: &Scenario) {
    let kind = Some("Deployment");
    let containers = [Key("spec"), Key("template"), Key("spec"), Key("containers")];
    let at = |rest: &[Step<'static>]| [&containers[..], rest].concat();
    if had.eks.pod.concurrency != advised.eks.pod.concurrency {
        let path = at(&[Key("env"), With("name", "CONCURRENCY"), Key("value")]);
        editor.set(kind, &path, &advised.eks.pod.concurrency.to_string());
    }
    if had.eks.pod.memory_mib != advised.eks.pod.memory_mib {
        let path = at(&[Key("resources"), Key("limits"), Key("memory")]);
        editor.set(kind, &path, &format!("{}Mi", advised.eks.pod.memory_mib));
    }
}

fn template(editor: &mut Editor, had: &Scenario, advised: &Scenario) {
    let Some((function, event)) = function_with_queue(editor) else { return };
    let properties = [Key("Resources"), Key(&function), Key("Properties")];
    let own =
        |rest: &[&'static str]| [&properties[..], &rest.iter().map(|name| Key(name)).collect::<Vec<_>>()].concat();
    let (had, lambda) = (&had.lambda, &advised.lambda);
    if had.memory_mb != lambda.memory_mb {
        let globals = [Key("Globals"), Key("Function"), Key("MemorySize")];
        let global = editor.value(None, &own(&["MemorySize"])).is_none() && editor.value(None, &globals).is_some();
        let path = if global { globals.to_vec() } else { own(&["MemorySize"]) };
        editor.set(None, &path, &lambda.memory_mb.to_string());
        // The shipped workload is told the share of a vCPU that this memory buys.
        let share = own(&["Environment", "Variables", "WORK_CPU_LIMIT"]);
        if editor.value(None, &share).is_some() {
            editor.set(None, &share, &format!("{:.3}", f64::from(lambda.memory_mb) / 1769.0));
        }
    }
    if had.in_host_concurrency != lambda.in_host_concurrency {
        let path = own(&["Environment", "Variables", "FUNCTION_CONCURRENCY"]);
        editor.set(None, &path, &lambda.in_host_concurrency.to_string());
    }
    let mapping = [&properties[..], &[Key("Events"), Key(&event), Key("Properties")]].concat();
    let at = |rest: &[&'static str]| [&mapping[..], &rest.iter().map(|name| Key(name)).collect::<Vec<_>>()].concat();
    let (had, to) = (&had.mapping, &lambda.mapping);
    if had.batch_size != to.batch_size {
        editor.set(None, &at(&["BatchSize"]), &to.batch_size.to_string());
    }
    if had.window != to.window {
        editor.set(None, &at(&["MaximumBatchingWindowInSeconds"]), &to.window.as_secs().to_string());
    }
    // Pollers before their opposite: behind a condition, each is written where its parameter is.
    let chosen = |name| editor.value(None, &at(&[name])).is_some_and(|value| value.starts_with("!If"));
    let conditional = chosen("ProvisionedPollerConfig");
    if had.provisioned != to.provisioned {
        let minimum = to.provisioned.map_or(0, |pollers| pollers.minimum_pollers);
        if minimum > 0 || conditional {
            editor.set(None, &at(&["ProvisionedPollerConfig", "MinimumPollers"]), &minimum.to_string());
            if !conditional {
                editor.remove(None, &at(&["ScalingConfig"]), false);
            }
        } else {
            editor.remove(None, &at(&["ProvisionedPollerConfig"]), false);
        }
    }
    match to.maximum_concurrency {
        Some(maximum) if had.maximum_concurrency != to.maximum_concurrency => {
            editor.set(None, &at(&["ScalingConfig", "MaximumConcurrency"]), &maximum.to_string());
        }
        None if had.maximum_concurrency.is_some() && to.provisioned.is_none() => {
            editor.remove(None, &at(&["ScalingConfig"]), false);
        }
        _ => {}
    }
}

/// The first SAM function with an event of type SQS, and that event.
fn function_with_queue(editor: &Editor) -> Option<(String, String)> {
    fn is(editor: &Editor, path: &[Step], kind: &str) -> bool {
        editor.value(None, path).as_deref() == Some(kind)
    }
    editor.keys(None, &[Key("Resources")]).into_iter().find_map(|name| {
        if !is(editor, &[Key("Resources"), Key(&name), Key("Type")], "AWS::Serverless::Function") {
            return None;
        }
        let events = [Key("Resources"), Key(&name), Key("Properties"), Key("Events")];
        let event = editor.keys(None, &events).into_iter();
        let sqs = |event: &String| is(editor, &[&events[..], &[Key(event), Key("Type")]].concat(), "SQS");
        event.into_iter().find(sqs).map(|event| (name.clone(), event))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advise::candidates::around;
    use crate::manifests::deployed;

    #[test]
    fn every_candidate_can_be_written_into_this_projects_files_and_is_read_back_as_itself() {
        let scenario = Scenario::read("article").and_then(Scenario::checked).expect("built in");
        for kind in [TargetKind::Eks, TargetKind::Lambda] {
            // Every seventh: each value of each setting is among them.
            for candidate in around(&scenario, kind).into_iter().step_by(7) {
                for kind in manifests(kind) {
                    let (file, text) = deployed(*kind);
                    let patch = patch(*kind, file, text, &candidate.scenario).expect("it can be written");
                    let comments = |text: &str| text.lines().filter(|line| line.trim().starts_with('#')).count();
                    // Comments inside a behaviour that is replaced go with it.
                    let behavior = candidate.changes.iter().any(|change| change.field == "behavior")
                        || *kind == Manifest::ScaledObject;
                    assert!(behavior || comments(&patch.after) == comments(text), "{}", patch.diff());
                }
            }
        }
    }

    #[test]
    fn only_the_lines_that_change_are_in_the_diff() {
        let mut advised = Scenario::default();
        (advised.eks.keda.min_replica_count, advised.eks.keda.triggers[0].queue_length) = (0, 20);
        let (file, text) = deployed(Manifest::ScaledObject);
        let diff = patch(Manifest::ScaledObject, file, text, &advised).expect("it can be written").diff();
        let changed: Vec<_> = diff.lines().skip(2).filter(|line| line.starts_with(['+', '-'])).collect();
        let expected = [
            "-  minReplicaCount: 1",
            "+  minReplicaCount: 0",
            "-        queueLength: \"10\"",
            "+        queueLength: \"20\"",
        ];
        assert_eq!(changed, expected);
    }

    #[test]
    fn pollers_take_the_place_of_a_maximum_in_a_plain_template() {
        let text = "Resources:\n  Q:\n    Type: AWS::SQS::Queue\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      \
                    MemorySize: 256 # MB\n      Events:\n        E:\n          Type: SQS\n          Properties:\n            \
                    Queue: !GetAtt Q.Arn\n            BatchSize: 5\n            ScalingConfig:\n              MaximumConcurrency: 9\n";
        let mut advised = Scenario::default();
        advised.take_manifest(Manifest::Template, "t.yaml", text).expect("reads");
        advised.lambda.memory_mb = 1024;
        advised.lambda.mapping.maximum_concurrency = None;
        advised.lambda.mapping.provisioned = Some(Default::default());
        let after = patch(Manifest::Template, "t.yaml", text, &advised).expect("it can be written").after;
        assert!(after.contains("MemorySize: 1024 # MB") && !after.contains("ScalingConfig"), "{after}");
        assert!(after.contains("ProvisionedPollerConfig:\n              MinimumPollers: 2"), "{after}");
    }

    #[test]
    fn a_file_in_another_style_is_left_alone() {
        let text = "kind: ScaledObject\nspec: {minReplicaCount: 1, triggers: [{type: aws-sqs-queue, metadata: {queueLength: \"5\"}}]}\n";
        let error = patch(Manifest::ScaledObject, "so.yaml", text, &Scenario::default()).expect_err("flow style");
        assert!(error.to_string().contains("so.yaml cannot be edited in place"), "{error}");
    }
}
