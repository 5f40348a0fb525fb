//! Checks of names and values that a process takes without a word, and does something else with than is meant.

use serde_json::Value;
use twinscale::unstable::config::SETTINGS;

use super::finding::{Findings, Place};
use super::kubernetes::Pod;
use super::rule::Rule;
use super::{Environment, text};

/// Texts that stand for what is still to be written, in lower case.
const PLACEHOLDERS: [&str; 9] = [
    "replace-me",
    "replace_me",
    "replaceme",
    "change-me",
    "change_me",
    "changeme",
    "your-account",
    "your_account",
    "account_id",
];

/// Names that are close to a setting's, and values that nobody filled in. `place` is where a variable is set.
pub(super) fn check(environment: &Environment, place: &dyn Fn(&str) -> Place, findings: &mut Findings) {
    for (name, value) in environment {
        if let Some(meant) = meant(name, environment) {
            findings.add(
                Rule::SettingName,
                place(name),
                format!("{name} is no setting, and the service does not look at it: {meant} keeps its default"),
                format!("write {meant}, if that is meant"),
            );
        }
        if is_placeholder(value) {
            let what = format!("{name} is '{value}', which nobody has filled in");
            findings.add(Rule::Placeholder, place(name), what, "write the value itself");
        }
    }
}

/// The setting that a name almost is, and that is not set beside it.
fn meant(name: &str, environment: &Environment) -> Option<&'static str> {
    let known = || SETTINGS.iter().flat_map(|setting| setting.variables.iter().copied());
    if known().any(|known| known == name) {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    let near = |known: &&str| {
        let without_unit = known.strip_prefix(upper.as_str()).is_some_and(|rest| UNITS.contains(&rest));
        let distance = strsim::damerau_levenshtein(&upper, known);
        // Two letters of a short name may as well be another word.
        without_unit || distance <= 1 || distance == 2 && known.len() >= 10
    };
    known().filter(|known| !environment.contains_key(*known)).find(near)
}

/// Ends of settings that tell their unit.
const UNITS: [&str; 3] = ["_MS", "_SECS", "_MIB"];

/// Whether a value stands for another one: `<account>`, `${ACCOUNT}`, REPLACE_ME. Addresses of mail have dots and an at
/// sign in their brackets, and patterns of logs small letters.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == ' ';
    let variable = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    encloses(value, "<", ">", word)
        || encloses(value, "${", "}", variable)
        || PLACEHOLDERS.iter().any(|placeholder| lower.contains(placeholder))
}

/// Whether a text has such characters between two marks.
fn encloses(text: &str, open: &str, close: &str, allowed: impl Fn(char) -> bool) -> bool {
    let inside = text.split(open).skip(1).filter_map(|rest| rest.split_once(close));
    inside.into_iter().any(|(inside, _)| !inside.is_empty() && inside.chars().all(&allowed))
}

/// Checks the image of a pod: by a tag that stays, or by its digest. `latest` is also what no tag means (Kubernetes,
/// "Images": "Image names").
pub(super) fn check_image(pod: &Pod, findings: &mut Findings) {
    let Some(image) = text(&pod.container["image"]) else { return };
    let place = pod.container_place("image");
    if is_placeholder(&image) {
        let what = format!("the image is '{image}', which nobody has filled in");
        return findings.add(Rule::Placeholder, place, what, "write the image itself");
    }
    let last = image.rsplit('/').next().unwrap_or(&image);
    let tag = last.split_once(':').map_or("latest", |(_, tag)| tag);
    if tag == "latest" && !image.contains('@') {
        findings.add(
            Rule::Image,
            place,
            format!("the image {image} is whatever was pushed last: pods of one Deployment may differ, and no roll-back works"),
            "write a tag that is never moved, or a digest",
        );
    }
}

/// What the container asks for and may take. Without requests the scheduler packs pods as if they took nothing; without
/// limits a pod takes what its neighbours need (Kubernetes, "Resource Management for Pods and Containers").
pub(super) fn check_resources(pod: &Pod, findings: &mut Findings) {
    let resources = &pod.container["resources"];
    let lacks = |of: &str, what: &str| resources[of][what].is_null().then(|| format!("resources.{of}.{what}"));
    let limited = |what: &str| !resources["limits"][what].is_null();
    // The API server takes a limit for the request, too.
    let requests =
        ["cpu", "memory"].into_iter().filter(|what| !limited(what)).filter_map(|what| lacks("requests", what));
    let limits = ["cpu", "memory"].into_iter().filter_map(|what| lacks("limits", what));
    let missing: Vec<String> = requests.chain(limits).collect();
    if !missing.is_empty() {
        findings.add(
            Rule::Resources,
            pod.container_place("resources"),
            "nodes are overpacked, or the pod takes what its neighbours need, and cannot be told what it has",
            format!("write {}", missing.join(", ")),
        );
    }
}

/// The worker of a Deployment runs for ever, and that of a job has an end.
pub(super) fn check_end(pod: &Pod, findings: &mut Findings) {
    let is_job = pod.owner.kind() == "ScaledJob";
    match (is_job, pod.environment.contains_key("EXIT_WHEN_IDLE_SECS")) {
        (true, false) => findings.add(
            Rule::ExitWhenIdle,
            pod.container_place("env"),
            "the worker of a job never ends by itself: jobs would pile up to maxReplicaCount and stay",
            "write EXIT_WHEN_IDLE_SECS",
        ),
        (false, true) => findings.add(
            Rule::ExitWhenIdle,
            pod.variable_place("EXIT_WHEN_IDLE_SECS"),
            "the kubelet starts a Deployment's container again when it ends, later each time: an idle worker would be in \
             CrashLoopBackOff when messages come",
            "leave EXIT_WHEN_IDLE_SECS out, or write a ScaledJob",
        ),
        (true, true) | (false, false) => {}
    }
}

/// The ConfigMaps that a container names, and that are not beside it while others are.
pub(super) fn check_config_maps(pod: &Pod, names: &[&str], findings: &mut Findings) {
    if names.is_empty() {
        return;
    }
    let of_all = super::list(&pod.container["envFrom"]).map(|source| &source["configMapRef"]);
    let of_one = super::list(&pod.container["env"]).map(|variable| &variable["valueFrom"]["configMapKeyRef"]);
    let needed = of_all.chain(of_one).filter(|reference| reference["optional"] != Value::Bool(true));
    for name in needed.filter_map(|reference| reference["name"].as_str()) {
        if !names.contains(&name) {
            findings.add(
                Rule::ConfigMap,
                pod.container_place("envFrom"),
                format!(
                    "the ConfigMap {name} is not there: the container would not start (CreateContainerConfigError)"
                ),
                format!("write the name of one that is: {}", names.join(", ")),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_for_a_setting_only_where_it_almost_is_one() {
        let environment = Environment::from([("PREFETCH".to_owned(), "1".to_owned())]);
        for (name, right) in [
            ("CONCURENCY", Some("CONCURRENCY")),
            ("WAIT_TIME_SEC", Some("WAIT_TIME_SECS")),
            ("drain_budget_ms", Some("DRAIN_BUDGET_MS")),
            ("QUEUE_ULR", Some("QUEUE_URL")),
            ("HANDLER_TIMEOUT", Some("HANDLER_TIMEOUT_MS")),
            ("CONCURRENCY", None),
            ("PREFETCHH", None),
            ("WORK_WAIT", None),
            ("AWS_REGION", None),
            ("ORDERS_URL", None),
            ("SENDER", None),
        ] {
            assert_eq!(meant(name, &environment), right, "{name}");
        }
    }

    #[test]
    fn placeholders_are_told_from_values() {
        for text in
            ["<account>", "https://sqs.us-east-1.amazonaws.com/${ACCOUNT}/jobs", "REPLACE_ME", "your-account/jobs"]
        {
            assert!(is_placeholder(text), "{text}");
        }
        for text in [
            "uniform:1s-2.5s",
            "a > b",
            "https://sqs.us-east-1.amazonaws.com/123456789012/jobs",
            "$(HOST):80",
            "Orders <orders@example.com>",
            "${date} ${level}",
        ] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
