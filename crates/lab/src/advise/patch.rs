//! The advised settings as changes of the files that deploy them.

use similar::TextDiff;

use crate::manifests::edit::Editor;
use crate::manifests::edit::Step::{self, Key, With};
use crate::manifests::{self, Given, MEMORY_SIZE, Manifest, ManifestError, Template};
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
    /// Settings that cannot be changed in it.
    #[error("{file} cannot be changed here for {}: change it by hand to what the advice says", .fields.join(", "))]
    Style {
        /// Its name.
        file: String,
        /// What would not be read back as advised.
        fields: Vec<&'static str>,
    },
}

impl Patch {
    /// The change as a unified diff; empty if there is none.
    pub fn diff(&self) -> String {
        let diff = TextDiff::from_lines(&self.before, &self.after);
        diff.unified_diff().context_radius(2).header(&self.file, &self.file).to_string()
    }
}

/// The manifests that hold a target's settings.
pub fn files(kind: TargetKind) -> &'static [Manifest] {
    match kind {
        TargetKind::Eks => &[Manifest::ScaledObject, Manifest::Deployment],
        TargetKind::Lambda => &[Manifest::Template],
    }
}

/// Puts every setting that the search tries into the file, where it differs, and reads the result back.
///
/// # Errors
/// The file is no such manifest, or what was written is not read back as the advised settings.
pub fn patch(kind: Manifest, file: &str, before: &str, advised: &Scenario, given: &Given) -> Result<Patch, PatchError> {
    let read = |text: &str| -> Result<Scenario, ManifestError> {
        let mut scenario = advised.clone();
        scenario.take_manifest(kind, file, text, given)?;
        Ok(scenario)
    };
    let had = read(before)?;
    let mut editor = Editor::new(before);
    match kind {
        Manifest::ScaledObject => scaled_object(&mut editor, &had, advised),
        Manifest::Deployment => {
            let container = manifests::container_of(file, before, given).map_err(ManifestError::from)?;
            deployment(&mut editor, &container.unwrap_or_default(), &had, advised);
        }
        Manifest::Template => {
            if let Some((function, mapping)) = Template::read(file, before, given)?.places() {
                template(&mut editor, &function, &mapping, &had, advised);
            }
        }
    }
    let after = editor.finish();
    let wanted = tried(kind, advised);
    let fields = match read(&after) {
        Ok(has) => wanted.iter().zip(tried(kind, &has)).filter(|(a, b)| **a != *b).map(|(field, _)| field.0).collect(),
        // It was read before: what was changed spoiled it.
        Err(_) => wanted.iter().map(|field| field.0).collect::<Vec<_>>(),
    };
    if !fields.is_empty() {
        return Err(PatchError::Style { file: file.to_owned(), fields });
    }
    Ok(Patch { file: file.to_owned(), before: before.to_owned(), after })
}

/// The settings of a manifest that the search tries.
fn tried(kind: Manifest, scenario: &Scenario) -> Vec<(&'static str, String)> {
    let keda = &scenario.eks.keda;
    let pod = &scenario.eks.pod;
    let lambda = &scenario.lambda;
    let mapping = &lambda.mapping;
    match kind {
        Manifest::ScaledObject => vec![
            ("minReplicaCount", keda.min_replica_count.to_string()),
            ("maxReplicaCount", keda.max_replica_count.to_string()),
            ("pollingInterval", format!("{:?}", keda.polling_interval)),
            ("queueLength", format!("{:?}", keda.triggers.first().map(|t| t.queue_length))),
            ("behavior", format!("{:?}", keda.hpa.behavior)),
        ],
        Manifest::Deployment => vec![
            ("CONCURRENCY", pod.concurrency.to_string()),
            ("resources.requests", format!("{:?}", (pod.cpu_request, pod.memory_request_mib))),
            ("resources.limits", format!("{:?}", (pod.cpu_limit, pod.memory_mib))),
        ],
        Manifest::Template => vec![
            (MEMORY_SIZE, lambda.memory_mb.to_string()),
            ("FUNCTION_CONCURRENCY", lambda.in_host_concurrency.to_string()),
            ("BatchSize", mapping.batch_size.to_string()),
            ("MaximumBatchingWindowInSeconds", format!("{:?}", mapping.window)),
            ("MaximumConcurrency", format!("{:?}", mapping.maximum_concurrency)),
            ("ProvisionedPollerConfig", format!("{:?}", mapping.provisioned)),
        ],
    }
}

fn scaled_object(editor: &mut Editor, had: &Scenario, advised: &Scenario) {
    let kind = Some("ScaledObject");
    let had = &had.eks.keda;
    let keda = &advised.eks.keda;
    let mut set = |name, had: u64, to: u64| {
        if had != to {
            editor.set(kind, &[Key("spec"), Key(name)], &to.to_string());
        }
    };
    set("minReplicaCount", had.min_replica_count.into(), keda.min_replica_count.into());
    set("maxReplicaCount", had.max_replica_count.into(), keda.max_replica_count.into());
    set("pollingInterval", had.polling_interval.as_secs(), keda.polling_interval.as_secs());
    let length = |keda: &twinscale_scaling::keda::ScaledObjectSettings| keda.triggers.first().map(|t| t.queue_length);
    if let Some(to) = length(keda).filter(|to| length(had) != Some(*to)) {
        let path = [Key("spec"), Key("triggers"), With("type", "aws-sqs-queue"), Key("metadata"), Key("queueLength")];
        editor.set(kind, &path, &quoted(to));
    }
    if had.hpa.behavior != keda.hpa.behavior {
        let path = [Key("spec"), Key("advanced"), Key("horizontalPodAutoscalerConfig"), Key("behavior")];
        match &keda.hpa.behavior {
            None => editor.remove(kind, &path, true),
            Some(behavior) => {
                editor.replace(kind, &path, &serde_saphyr::to_string(behavior).expect("a behavior is plain data"))
            }
        }
    }
}

/// A number where a string belongs.
fn quoted(number: impl std::fmt::Display) -> String {
    format!("\"{number}\"")
}

fn deployment(editor: &mut Editor, container: &str, had: &Scenario, advised: &Scenario) {
    let kind = Some("Deployment");
    let containers = [Key("spec"), Key("template"), Key("spec"), Key("containers"), With("name", container)];
    let at = |rest: &[Step<'static>]| [&containers[..], rest].concat();
    if had.eks.pod.concurrency != advised.eks.pod.concurrency {
        let path = at(&[Key("env"), With("name", "CONCURRENCY"), Key("value")]);
        editor.set(kind, &path, &quoted(advised.eks.pod.concurrency));
    }
    let had = &had.eks.pod;
    let pod = &advised.eks.pod;
    let mut set = |of: &'static str, what: &'static str, value: Option<String>| {
        if let Some(value) = value {
            editor.set(kind, &at(&[Key("resources"), Key(of), Key(what)]), &value);
        }
    };
    let cpu = |had: f64, to: f64| (had != to).then(|| format!("{}m", (to * 1000.0).round()));
    let mib = |had: u32, to: u32| (had != to).then(|| format!("{to}Mi"));
    set("requests", "cpu", cpu(had.cpu_request, pod.cpu_request));
    set("limits", "cpu", cpu(had.cpu_limit, pod.cpu_limit));
    set("requests", "memory", mib(had.memory_request_mib, pod.memory_request_mib));
    set("limits", "memory", mib(had.memory_mib, pod.memory_mib));
    // The shipped workload is told what its pod may use.
    let told = at(&[Key("env"), With("name", "WORK_CPU_LIMIT"), Key("value")]);
    if had.cpu_limit != pod.cpu_limit && editor.value(kind, &told).is_some() {
        editor.set(kind, &told, &quoted(pod.cpu_limit));
    }
}

fn template(editor: &mut Editor, function: &str, mapping: &[String], had: &Scenario, advised: &Scenario) {
    let properties = [Key("Resources"), Key(function), Key("Properties")];
    let own =
        |rest: &[&'static str]| [&properties[..], &rest.iter().map(|name| Key(name)).collect::<Vec<_>>()].concat();
    let had = &had.lambda;
    let lambda = &advised.lambda;
    if had.memory_mb != lambda.memory_mb {
        let globals = [Key("Globals"), Key("Function"), Key(MEMORY_SIZE)];
        let global = editor.value(None, &own(&[MEMORY_SIZE])).is_none() && editor.value(None, &globals).is_some();
        let path = if global { globals.to_vec() } else { own(&[MEMORY_SIZE]) };
        editor.set(None, &path, &lambda.memory_mb.to_string());
        // The shipped workload is told the share of a vCPU that this memory buys.
        let share = own(&["Environment", "Variables", "WORK_CPU_LIMIT"]);
        if editor.value(None, &share).is_some() {
            editor.set(None, &share, &quoted(format_args!("{:.3}", f64::from(lambda.memory_mb) / 1769.0)));
        }
    }
    if had.in_host_concurrency != lambda.in_host_concurrency {
        let path = own(&["Environment", "Variables", "FUNCTION_CONCURRENCY"]);
        editor.set(None, &path, &quoted(lambda.in_host_concurrency));
    }
    let mapping: Vec<Step> = mapping.iter().map(|key| Key(key)).collect();
    let at = |rest: &[&'static str]| [&mapping[..], &rest.iter().map(|name| Key(name)).collect::<Vec<_>>()].concat();
    let had = &had.mapping;
    let to = &lambda.mapping;
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
                for kind in files(kind) {
                    let (file, text) = deployed(*kind);
                    let patch =
                        patch(*kind, file, text, &candidate.scenario, &Given::default()).expect("it can be written");
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
        let diff =
            patch(Manifest::ScaledObject, file, text, &advised, &Given::default()).expect("it can be written").diff();
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
        advised.take_manifest(Manifest::Template, "t.yaml", text, &Given::default()).expect("reads");
        advised.lambda.memory_mb = 1024;
        advised.lambda.mapping.maximum_concurrency = None;
        advised.lambda.mapping.provisioned = Some(Default::default());
        let after =
            patch(Manifest::Template, "t.yaml", text, &advised, &Given::default()).expect("it can be written").after;
        assert!(after.contains("MemorySize: 1024 # MB") && !after.contains("ScalingConfig"), "{after}");
        assert!(after.contains("ProvisionedPollerConfig:\n              MinimumPollers: 2"), "{after}");
    }

    #[test]
    fn flow_style_json_and_what_is_missing_are_written() {
        let mut advised = Scenario::default();
        (advised.eks.pod.concurrency, advised.lambda.in_host_concurrency, advised.lambda.memory_mb) = (20, 7, 777);
        let object = "kind: ScaledObject\nspec: {minReplicaCount: 0, triggers: [{type: aws-sqs-queue, metadata: \
                      {queueURL: q, awsRegion: r}}]}\n";
        let deployment = "kind: Deployment\nspec:\n  template:\n    spec:\n      containers:\n      - name: w\n        \
                          resources: {limits: {cpu: 1, memory: 256Mi}}\n";
        let template = "{\"Resources\": {\"Q\": {\"Type\": \"AWS::SQS::Queue\"}, \"F\": {\"Type\": \"AWS::Lambda::Function\", \
                        \"Properties\": {\"Handler\": \"x\"}}, \"M\": {\"Type\": \"AWS::Lambda::EventSourceMapping\", \"Properties\": \
                        {\"FunctionName\": {\"Ref\": \"F\"}, \"EventSourceArn\": {\"Fn::GetAtt\": [\"Q\", \"Arn\"]}}}}}";
        for (kind, text, written) in [
            (Manifest::ScaledObject, object, "metadata: {queueLength: \"10\", queueURL: q"),
            (Manifest::Deployment, deployment, "env:\n          - name: CONCURRENCY\n            value: \"20\"\n"),
            (Manifest::Template, template, "\"Variables\": {\"FUNCTION_CONCURRENCY\": \"7\"}"),
        ] {
            let after = patch(kind, "f", text, &advised, &Given::default()).expect("it can be written").after;
            assert!(after.contains(written), "{after}");
        }
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        let text = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n      MemorySize: !FindInMap [M, a, b]\n      \
                    Events: {E: {Type: SQS, Properties: {Queue: q}}}\nMappings: {M: {a: {b: 128}}}\n";
        let mut advised = Scenario::default();
        advised.lambda.memory_mb = 999;
        let error = patch(Manifest::Template, "t.yaml", text, &advised, &Given::default()).expect_err("a map");
        assert!(error.to_string().starts_with("t.yaml cannot be changed here for MemorySize: "), "{error}");
    }
}
