//! The worker's Deployment: its settings in the environment, its limits, its grace period.

use std::time::Duration;

use super::node::Node;
use super::objects;
use super::reader::{Fields, Reader};
use crate::scenario::{Pod, Scenario};

/// Settings of the worker that the model does not have; others of ours have no bearing on scaling, and a user's own are
/// their handler's.
const NOT_COVERED: &[&str] =
    &["ADAPTIVE_CONCURRENCY", "HANDLER_TIMEOUT_MS", "HEARTBEAT", "HEARTBEAT_MS", "VISIBILITY_TIMEOUT_SECS"];

/// Settings of the worker that the model has.
const SETTINGS: &[&str] = &[
    "CONCURRENCY",
    "DELETE_LINGER_MS",
    "DRAIN_BUDGET_MS",
    "PREFETCH",
    "RECEIVE_LINGER_MS",
    "RECEIVE_MIN_ROOM",
    "WAIT_TIME_SECS",
];

/// Fields of a pod that have no bearing on when it scales, starts or stops.
const NO_BEARING: &[&str] = &[
    "affinity",
    "automountServiceAccountToken",
    "dnsPolicy",
    "enableServiceLinks",
    "imagePullSecrets",
    "nodeSelector",
    "priorityClassName",
    "restartPolicy",
    "securityContext",
    "serviceAccountName",
    "tolerations",
    "topologySpreadConstraints",
    "volumes",
];

/// Reads the first Deployment of the documents.
pub(super) fn read(documents: &[Node], scenario: &mut Scenario, reader: &mut Reader) {
    let found = objects(documents, &["Deployment"]);
    // In a file of several, the worker's is the one with its settings.
    let with_setting = found.iter().find(|d| pod_of(d).is_some_and(|pod| containers(pod).iter().any(has_setting)));
    let Some(document) = with_setting.or(found.first()) else {
        return reader.mistake_in_all("there is no object of kind Deployment in it");
    };
    for other in found.iter().filter(|other| other.line != document.line) {
        reader.warn(other.line, "only one Deployment of a file is read; this one was left out");
    }
    let Some(node) = pod_of(document) else {
        return reader.mistake(document.line, "the Deployment has no spec.template.spec");
    };
    if let Some(spec) = document.get("spec") {
        let known = ["progressDeadlineSeconds", "replicas", "revisionHistoryLimit", "selector", "strategy", "template"];
        reader.fields(spec, "spec").rest(reader, &known);
    }
    read_pod(node, &objects(documents, &["ConfigMap"]), scenario, reader);
}

fn pod_of(document: &Node) -> Option<&Node> {
    document.at(&["spec", "template", "spec"])
}

fn containers(pod: &Node) -> &[Node] {
    pod.get("containers").map(Node::elements).unwrap_or_default()
}

/// Reads the spec of a pod, with the ConfigMaps of the same file. What it leaves out has the worker's own default; the
/// start delay is the scenario's, since no manifest has one.
pub(super) fn read_pod(node: &Node, maps: &[&Node], scenario: &mut Scenario, reader: &mut Reader) {
    let mut spec = reader.fields(node, "spec.template.spec");
    // Kubernetes' default.
    let mut pod = Pod { start_delay: scenario.eks.pod.start_delay.clone(), ..Pod::default() };
    pod.grace_period = Duration::from_secs(30);
    spec.seconds(reader, "terminationGracePeriodSeconds", &mut pod.grace_period);
    let containers = spec.take("containers").map(Node::elements).unwrap_or_default();
    let Some(container) = containers.iter().find(|c| has_setting(c)).or(containers.first()) else {
        return reader.mistake(node.line, "spec.template.spec.containers: there is none");
    };
    let name = container.get("name").and_then(Node::text).unwrap_or("worker");
    if containers.len() > 1 {
        reader.warn(container.line, format_args!("of {} containers, only {name} is read", containers.len()));
    }
    let mut fields = reader.fields(container, &format!("container {name}"));
    for source in fields.take("envFrom").map(Node::elements).unwrap_or_default() {
        read_source(source, maps, &mut pod, reader);
    }
    for variable in fields.take("env").map(Node::elements).unwrap_or_default() {
        let name = variable.get("name").and_then(Node::text).unwrap_or_default();
        match variable.get("value") {
            Some(value) => read_variable(name, value, &mut pod, reader),
            None if SETTINGS.contains(&name) => {
                reader.warn(variable.line, format_args!("{name} has no value here; its default is used"));
            }
            None => {}
        }
    }
    read_limits(&mut fields, &mut pod, reader);
    for probe in ["startupProbe", "readinessProbe"] {
        let delay = fields.take(probe).and_then(|probe| probe.get("initialDelaySeconds"));
        if let Some(delay) = delay.filter(|delay| delay.text() != Some("0")) {
            reader
                .warn(delay.line, format_args!("{probe}.initialDelaySeconds is not covered: see eks.pod.start_delay"));
        }
    }
    let plain = ["name", "image", "imagePullPolicy", "ports", "securityContext", "command", "args"];
    fields.rest(reader, &[&plain[..], &["livenessProbe", "volumeMounts"]].concat());
    spec.rest(reader, NO_BEARING);
    scenario.eks.pod = pod;
}

/// The variables of a ConfigMap, where it is in the file.
fn read_source(source: &Node, maps: &[&Node], pod: &mut Pod, reader: &mut Reader) {
    let Some(name) = source.at(&["configMapRef", "name"]).and_then(Node::text) else {
        return reader.warn(source.line, "envFrom: only a configMapRef is read; this one was left out");
    };
    let Some(map) = maps.iter().find(|map| map.at(&["metadata", "name"]).and_then(Node::text) == Some(name)) else {
        let what = "is not in this file, and its settings are not read: kubectl kustomize renders both";
        return reader.warn(source.line, format_args!("envFrom: the ConfigMap {name} {what}"));
    };
    for (name, value) in map.get("data").map(Node::entries).unwrap_or_default() {
        read_variable(name, value, pod, reader);
    }
}

fn has_setting(container: &Node) -> bool {
    let variables = container.get("env").map(Node::elements).unwrap_or_default();
    variables.iter().any(|variable| variable.get("name").and_then(Node::text) == Some("CONCURRENCY"))
}

fn read_variable(name: &str, value: &Node, pod: &mut Pod, reader: &mut Reader) {
    if NOT_COVERED.contains(&name) {
        return reader.warn(value.line, format_args!("{name} is not covered by the model, and was left out"));
    }
    let mut number = |into: &mut u32| {
        *into = reader.parse(value, name, "a whole number, 0 or more").unwrap_or(*into);
    };
    match name {
        "CONCURRENCY" => return number(&mut pod.concurrency),
        // Virtual time knows no distance to the queue, so nothing is held ahead of the handlers.
        "PREFETCH" if value.text() == Some("auto") => return pod.prefetch = 0,
        "PREFETCH" => return number(&mut pod.prefetch),
        "RECEIVE_MIN_ROOM" => return number(&mut pod.receive_min_room),
        _ => {}
    }
    let (into, unit) = match name {
        "RECEIVE_LINGER_MS" => (&mut pod.receive_linger, Duration::from_millis(1)),
        "DELETE_LINGER_MS" => (&mut pod.delete_linger, Duration::from_millis(1)),
        "DRAIN_BUDGET_MS" => (&mut pod.drain_budget, Duration::from_millis(1)),
        "WAIT_TIME_SECS" => (&mut pod.wait_time, Duration::from_secs(1)),
        _ => return,
    };
    if let Some(count) = reader.parse::<u32>(value, name, "a whole number, 0 or more") {
        *into = unit * count;
    }
}

fn read_limits(fields: &mut Fields, pod: &mut Pod, reader: &mut Reader) {
    let limits = fields.take("resources").and_then(|resources| resources.get("limits"));
    match limits.and_then(|limits| limits.get("cpu")) {
        Some(node) => match node.text().and_then(quantity) {
            Some(cpu) => pod.cpu_limit = cpu,
            None => reader.mistake(node.line, "resources.limits.cpu: write vCPUs, such as 1 or 250m"),
        },
        None => reader.warn_of_all("there is no resources.limits.cpu; one vCPU is assumed"),
    }
    if let Some(node) = limits.and_then(|limits| limits.get("memory")) {
        match node.text().and_then(quantity) {
            Some(bytes) => pod.memory_mib = (bytes / 1_048_576.0) as u32,
            None => reader.mistake(node.line, "resources.limits.memory: write bytes, such as 256Mi"),
        }
    }
}

/// A Kubernetes quantity: `250m`, `1.5`, `256Mi`, `1G`.
fn quantity(text: &str) -> Option<f64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let factor = match &text[at..] {
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        _ => return None,
    };
    Some(text[..at].parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Manifest;
    use crate::scenario::Scenario;

    fn read(pod: &str) -> Result<(Scenario, Vec<String>), String> {
        let mut scenario = Scenario::default();
        let text = format!("kind: Deployment\nspec:\n  template:\n    spec:\n{pod}");
        let warnings = scenario.take_manifest(Manifest::Deployment, "d.yaml", &text).map_err(|e| e.to_string())?;
        Ok((scenario, warnings))
    }

    #[test]
    fn settings_limits_and_grace_period_are_read() {
        let (scenario, warnings) = read(
            "      terminationGracePeriodSeconds: 90\n      hostNetwork: true\n      containers:\n        - name: proxy\n        \
             - name: worker\n          env: [{name: CONCURRENCY, value: \"25\"}, {name: DELETE_LINGER_MS, value: \"50\"},\n\
             \x20           {name: HEARTBEAT, value: \"off\"}]\n          \
             resources: {limits: {cpu: 500m, memory: 1Gi}}\n",
        )
        .expect("reads");
        let pod = scenario.eks.pod;
        assert_eq!((pod.concurrency, pod.prefetch, pod.memory_mib, pod.cpu_limit), (25, 0, 1024, 0.5));
        assert_eq!((pod.grace_period.as_secs(), pod.delete_linger), (90, Duration::from_millis(50)));
        for named in ["of 2 containers", "HEARTBEAT is not covered", "spec.template.spec.hostNetwork is not covered"] {
            assert!(warnings.iter().any(|w| w.contains(named)), "{named}: {warnings:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_its_line() {
        for (pod, named) in [
            (
                "      containers:\n        - env: [{name: CONCURRENCY, value: lots}]\n",
                "d.yaml, line 6: CONCURRENCY: 'lots'",
            ),
            ("      containers:\n        - resources: {limits: {cpu: much}}\n", "write vCPUs"),
            ("      restartPolicy: Always\n", "containers: there is none"),
        ] {
            let error = read(pod).expect_err(pod);
            assert!(error.contains(named), "{pod}: {error}");
        }
    }
}
