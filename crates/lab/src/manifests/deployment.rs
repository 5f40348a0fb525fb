//! The worker's Deployment: its settings in the environment, its limits, its grace period.

use std::time::Duration;

use super::environment::environment;
use super::node::Node;
use super::quantity;
use super::reader::{Fields, Reader};
use super::settings::{Coverage, coverage};
use super::{Given, objects};
use crate::scenario::{Pod, Scenario};
use twinscale::unstable::config::Host;

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

/// Reads the worker's Deployment of the documents: of several the one with its settings, or else the first.
pub(super) fn read(documents: &[Node], scenario: &mut Scenario, given: &Given, reader: &mut Reader) {
    let found = objects(documents, &["Deployment"]);
    let maps = objects(documents, &["ConfigMap"]);
    let Some(document) = found.iter().find(|document| is_worker(document, &maps)).or(found.first()) else {
        return reader.mistake_in_all("there is no object of kind Deployment in it");
    };
    for other in found.iter().filter(|other| other.line != document.line) {
        reader.warn(other.line, "only one Deployment of a file is read; this one was left out");
    }
    read_one(document, &maps, scenario, given, reader);
}

/// Whether a Deployment runs the worker.
pub(super) fn is_worker(document: &Node, maps: &[&Node]) -> bool {
    pod_of(document).is_some_and(|pod| containers(pod).iter().any(|container| has_setting(container, maps)))
}

/// Reads a Deployment, with the ConfigMaps of the same file.
pub(super) fn read_one(document: &Node, maps: &[&Node], scenario: &mut Scenario, given: &Given, reader: &mut Reader) {
    let Some(node) = pod_of(document) else {
        return reader.mistake(document.line, "the Deployment has no spec.template.spec");
    };
    if let Some(spec) = document.get("spec") {
        let known = ["progressDeadlineSeconds", "replicas", "revisionHistoryLimit", "selector", "strategy", "template"];
        reader.fields(spec, "spec").rest(reader, &known);
    }
    read_pod(node, maps, scenario, given, reader);
}

fn pod_of(document: &Node) -> Option<&Node> {
    document.at(&["spec", "template", "spec"])
}

fn containers(pod: &Node) -> &[Node] {
    pod.get("containers").map(Node::elements).unwrap_or_default()
}

/// Reads the spec of a pod, with the ConfigMaps of the same file. What it leaves out has the worker's own default; the
/// start delay is the scenario's, since no manifest has one.
pub(super) fn read_pod(node: &Node, maps: &[&Node], scenario: &mut Scenario, given: &Given, reader: &mut Reader) {
    let mut spec = reader.fields(node, "spec.template.spec");
    // Kubernetes' default.
    let mut pod = Pod { start_delay: scenario.eks.pod.start_delay.clone(), ..Pod::unset() };
    pod.grace_period = Duration::from_secs(30);
    spec.seconds(reader, "terminationGracePeriodSeconds", &mut pod.grace_period);
    let containers = spec.take("containers").map(Node::elements).unwrap_or_default();
    let asked = given.container.as_ref();
    let Some(container) = taken(containers, maps, given) else {
        let names = containers.iter().map(name_of).collect::<Vec<_>>().join(", ");
        let what = match asked.filter(|_| !names.is_empty()) {
            Some(name) => format!("--container {name}: there is none of that name: write one of {names}"),
            None => "spec.template.spec.containers: there is none".to_owned(),
        };
        return reader.mistake(node.line, what);
    };
    let name = name_of(container);
    if containers.len() > 1 && asked.is_none() {
        let what = format_args!("of {} containers, only {name} is read (--container takes another)", containers.len());
        reader.warn(container.line, what);
    }
    let mut fields = reader.fields(container, &format!("container {name}"));
    fields.rest_of(&["env", "envFrom"]);
    let (variables, missing) = environment(container, maps);
    for (line, what) in missing {
        reader.warn(line, what);
    }
    for (name, variable) in &variables {
        match &variable.value {
            Some(value) => {
                reader.refuse_bare(value, name);
                read_variable(name, value, &mut pod, reader);
            }
            None if coverage(Host::Worker, name) == Some(Coverage::Modelled) => {
                reader.warn(variable.line, format_args!("{name} has no value here; its default is used"));
            }
            None => {}
        }
    }
    read_resources(container.line, &mut fields, &mut pod, reader);
    for other in containers.iter().filter(|other| other.line != container.line) {
        add_requests(other, &mut pod, reader);
    }
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

fn name_of(container: &Node) -> String {
    container.get("name").and_then(Node::text).unwrap_or("worker").to_owned()
}

/// The container that was asked for, or the one with the worker's settings, or else the first.
fn taken<'a>(containers: &'a [Node], maps: &[&Node], given: &Given) -> Option<&'a Node> {
    match &given.container {
        Some(name) => containers.iter().find(|container| name_of(container) == *name),
        None => containers.iter().find(|container| has_setting(container, maps)).or(containers.first()),
    }
}

/// The name of the container that is read of these documents.
pub(super) fn container_of(documents: &[Node], given: &Given) -> Option<String> {
    let found = objects(documents, &["Deployment"]);
    let maps = objects(documents, &["ConfigMap"]);
    let document = found.iter().find(|document| is_worker(document, &maps)).or(found.first())?;
    taken(containers(pod_of(document)?), &maps, given).map(name_of)
}

/// Whether a container of the pod has the variable.
pub(super) fn sets(pod: &Node, maps: &[&Node], name: &str) -> bool {
    containers(pod).iter().any(|container| environment(container, maps).0.contains_key(name))
}

/// Whether a container is the worker: it has a queue, or how many messages it works on.
fn has_setting(container: &Node, maps: &[&Node]) -> bool {
    let (variables, _) = environment(container, maps);
    ["QUEUE_URL", "CONCURRENCY"].iter().any(|name| variables.contains_key(*name))
}

fn read_variable(name: &str, value: &Node, pod: &mut Pod, reader: &mut Reader) {
    match coverage(Host::Worker, name) {
        Some(Coverage::LeftOut(instead)) => {
            return reader.warn(value.line, format_args!("{name} is not covered by the model: {instead}"));
        }
        Some(Coverage::NoBearing) | None => return,
        Some(Coverage::Modelled) => {}
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
        "EXIT_WHEN_IDLE_SECS" => (&mut pod.exit_when_idle, Duration::from_secs(1)),
        "BACKOFF_BASE_SECS" => (&mut pod.backoff_base, Duration::from_secs(1)),
        "BACKOFF_MAX_SECS" => (&mut pod.backoff_max, Duration::from_secs(1)),
        "WAIT_TIME_SECS" => (&mut pod.wait_time, Duration::from_secs(1)),
        _ => return,
    };
    if let Some(count) = reader.parse::<u32>(value, name, "a whole number, 0 or more") {
        *into = unit * count;
    }
}

/// The container's limits and requests. What it lacks is what Kubernetes then takes, and is named.
fn read_resources(line: u64, fields: &mut Fields, pod: &mut Pod, reader: &mut Reader) {
    let resources = fields.take("resources");
    let line = resources.map_or(line, |resources| resources.line);
    let mut read = |of: &str, what: &str, write: &str| {
        let node = resources.and_then(|resources| resources.get(of)).and_then(|all| all.get(what))?;
        // The API server takes no less than a thousandth of a vCPU.
        let least = if what == "cpu" { 0.001 } else { 0.0 };
        let read = node.text().and_then(quantity).filter(|amount| *amount >= least);
        if read.is_none() {
            reader.mistake(node.line, format_args!("resources.{of}.{what}: write {write}"));
        }
        read
    };
    let vcpus = "vCPUs, such as 1 or 250m";
    let bytes = "bytes, such as 256Mi";
    let cpu = (read("requests", "cpu", vcpus), read("limits", "cpu", vcpus));
    let memory = (read("requests", "memory", bytes), read("limits", "memory", bytes));
    let mib = |bytes: f64| (bytes / 1_048_576.0).ceil() as u32;
    pod.cpu_limit = cpu.1.unwrap_or(pod.cpu_limit);
    // Kubernetes takes the limit where there is no request, and nothing where there is neither.
    pod.cpu_request = cpu.0.or(cpu.1).unwrap_or(0.0);
    pod.memory_request_mib = memory.0.or(memory.1).map_or(0, mib);
    pod.memory_mib = memory.1.or(memory.0).map_or(pod.memory_mib, mib);
    if cpu.1.is_none() {
        reader.warn(line, "there is no resources.limits.cpu; one vCPU is assumed");
    }
    if memory.1.is_none() {
        let assumed = pod.memory_mib;
        reader.warn(line, format_args!("there is no resources.limits.memory; {assumed} MiB are assumed"));
    }
    let names = |lacks: fn((Option<f64>, Option<f64>)) -> bool| {
        let found = [("cpu", cpu), ("memory", memory)].into_iter().filter(|(_, both)| lacks(*both));
        found.map(|(name, _)| name).collect::<Vec<_>>().join(" and ")
    };
    let limited = names(|(request, limit)| request.is_none() && limit.is_some());
    if !limited.is_empty() {
        let what = "Kubernetes takes the limit, by which the pod is packed and paid";
        reader.warn(line, format_args!("there is no resources.requests of {limited}: {what}"));
    }
    let free = names(|(request, limit)| request.is_none() && limit.is_none());
    if !free.is_empty() {
        let what = "the pod asks for none, so that Fargate gives its smallest size and nodes are overpacked";
        reader.warn(line, format_args!("there is neither a request nor a limit of {free}: {what}"));
    }
}

/// What another container of the pod asks for: a pod is packed and paid by the sum.
fn add_requests(container: &Node, pod: &mut Pod, reader: &mut Reader) {
    let mut asked = |what: &str| {
        let of = |kind| container.at(&["resources", kind, what]);
        let node = of("requests").or_else(|| of("limits"))?;
        let read = node.text().and_then(quantity);
        if read.is_none() {
            reader
                .mistake(node.line, format_args!("resources.requests.{what}: write a quantity, such as 250m or 64Mi"));
        }
        read
    };
    let cpu = asked("cpu");
    let memory = asked("memory");
    if let Some(cpu) = cpu {
        pod.cpu_request += cpu;
    }
    if let Some(bytes) = memory {
        pod.memory_request_mib += (bytes / 1_048_576.0).ceil() as u32;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Given, Manifest};
    use crate::scenario::Scenario;

    fn read(pod: &str) -> Result<(Scenario, Vec<String>), String> {
        let mut scenario = Scenario::default();
        let text = format!("kind: Deployment\nspec:\n  template:\n    spec:\n{pod}");
        let warnings = scenario
            .take_manifest(Manifest::Deployment, "d.yaml", &text, &Given::default())
            .map_err(|e| e.to_string())?;
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
        // Without requests Kubernetes takes the limits.
        assert_eq!((pod.cpu_request, pod.memory_request_mib), (0.5, 1024));
        for named in [
            "no resources.requests of cpu and memory",
            "of 2 containers",
            "HEARTBEAT is not covered",
            "spec.template.spec.hostNetwork is not covered",
        ] {
            assert!(warnings.iter().any(|w| w.contains(named)), "{named}: {warnings:?}");
        }
    }

    #[test]
    fn a_pod_is_paid_by_what_all_of_its_containers_request_and_what_is_missing_is_named() {
        let one = |resources: &str| {
            let text = format!("      containers:\n        - name: worker\n          resources: {resources}\n");
            let (scenario, warnings) = read(&text).expect(resources);
            let pod = scenario.eks.pod;
            ((pod.cpu_request, pod.memory_request_mib), (pod.cpu_limit, pod.memory_mib), warnings.join("\n"))
        };
        let (paid, limits, warnings) = one("{requests: {cpu: 100m, memory: 128Mi}, limits: {cpu: 2, memory: 4Gi}}");
        assert_eq!((paid, limits, warnings.as_str()), ((0.1, 128), (2.0, 4096), ""));
        let (paid, limits, warnings) = one("{requests: {cpu: 250m, memory: 256Mi}}");
        assert_eq!((paid, limits), ((0.25, 256), (1.0, 256)));
        assert!(warnings.contains("no resources.limits.cpu; one vCPU"), "{warnings}");
        assert!(warnings.contains("no resources.limits.memory; 256 MiB are assumed"), "{warnings}");
        let (paid, _, warnings) = one("{limits: {cpu: 2, memory: 1Gi}}");
        assert_eq!(paid, (2.0, 1024));
        assert!(warnings.contains("no resources.requests of cpu and memory: Kubernetes takes the limit"), "{warnings}");
        let (paid, _, warnings) = one("{}");
        assert_eq!(paid, (0.0, 0));
        assert!(warnings.contains("neither a request nor a limit of cpu and memory"), "{warnings}");
        let both = "      containers:\n        - name: worker\n          env: [{name: CONCURRENCY, value: \"5\"}]\n          \
                    resources: {requests: {cpu: 250m, memory: 64Mi}, limits: {cpu: 1, memory: 256Mi}}\n        \
                    - name: proxy\n          resources: {requests: {cpu: 50m}, limits: {cpu: 1, memory: 32Mi}}\n";
        let pod = read(both).expect("reads").0.eks.pod;
        assert_eq!((pod.cpu_request, pod.memory_request_mib), (0.3, 96));
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
