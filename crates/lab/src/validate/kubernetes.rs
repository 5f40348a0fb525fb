//! Finds its way in Kubernetes objects: which pods run our service, with which environment, scaled by what.

use serde_json::Value;
use twinscale::unstable::config::{Host, SETTINGS};

use super::finding::Place;
use super::{Environment, list};
use crate::manifests::{self, Object};

/// The objects of one rendered overlay.
pub(super) struct Cluster<'a> {
    objects: &'a [Object],
}

/// A pod template that runs our service.
pub(super) struct Pod<'a> {
    /// The Deployment or ScaledJob.
    pub owner: &'a Object,
    /// Every object beside it.
    objects: &'a [Object],
    /// The pod's labels.
    pub labels: &'a Value,
    /// The pod's spec.
    pub spec: &'a Value,
    /// The container that runs our service.
    pub container: &'a Value,
    /// That container's environment, ConfigMaps included; a secret's value reads [`SECRET`].
    pub environment: Environment,
    /// The ScaledObject or ScaledJob that scales it.
    pub scaler: Option<&'a Object>,
}

/// Stands for a value that only the cluster knows: a secret's, or one of an object that is elsewhere.
pub(super) const SECRET: &str = "(secret)";

/// The type of KEDA's trigger on a queue of SQS.
const SQS: &str = "aws-sqs-queue";

impl Pod<'_> {
    /// The value of a variable, where it is known and not empty.
    pub(super) fn known(&self, variable: &str) -> Option<&String> {
        self.environment.get(variable).filter(|value| !value.is_empty() && *value != SECRET)
    }

    /// Its settings as the worker reads them. What only the cluster knows is taken as there where it is needed, and
    /// otherwise as not set.
    pub(super) fn setting(&self, variable: &str) -> Option<String> {
        let value = self.environment.get(variable)?;
        let counts = value != SECRET || ["QUEUE_URL", "SEND_TOKEN"].contains(&variable);
        counts.then(|| value.clone())
    }

    /// Whether it may have variables that no file tells.
    pub(super) fn has_variables_elsewhere(&self) -> bool {
        has_variables_elsewhere(self.container, self.objects)
    }

    /// False for a pod that only serves HTTP.
    pub(super) fn receives(&self) -> bool {
        let receive = self.environment.get("RECEIVE").map(|receive| receive.trim().to_ascii_lowercase());
        !receive.is_some_and(|receive| ["off", "false", "0"].contains(&receive.as_str()))
    }

    /// The trigger that counts the queue, and its place among the scaler's.
    pub(super) fn trigger(&self) -> Option<(usize, &Value)> {
        let triggers = self.scaler?.json["spec"]["triggers"].as_array()?;
        triggers.iter().enumerate().find(|(_, trigger)| trigger["type"] == SQS)
    }

    /// A place in its owner.
    pub(super) fn place(&self) -> Place {
        Place::of(self.owner, "metadata/name")
    }

    /// A place in its spec.
    pub(super) fn spec_place(&self, path: &str) -> Place {
        Place::of(self.owner, &format!("{}/spec/{path}", template_path(self.owner)))
    }

    /// A place in the container.
    pub(super) fn container_place(&self, path: &str) -> Place {
        let name = self.container["name"].as_str().unwrap_or_default();
        self.spec_place(&format!("containers/{name}/{path}"))
    }

    /// Where a variable gets its value: in the container, or in a ConfigMap.
    pub(super) fn variable_place(&self, variable: &str) -> Place {
        let own = list(&self.container["env"]).any(|own| own["name"] == variable);
        let of_map = |object: &&Object| object.kind() == "ConfigMap" && !object.json["data"][variable].is_null();
        match self.objects.iter().find(of_map).filter(|_| !own) {
            Some(map) => Place::of(map, &format!("data/{variable}")),
            None => self.container_place(&format!("env/{variable}")),
        }
    }

    /// A place in its scaler, if it has one.
    pub(super) fn scaler_place(&self, path: &str) -> Place {
        self.scaler.map_or_else(|| self.place(), |scaler| Place::of(scaler, path))
    }
}

/// Where the pod template of an object stands.
fn template_path(owner: &Object) -> &'static str {
    if owner.kind() == "ScaledJob" { "spec/jobTargetRef/template" } else { "spec/template" }
}

/// The pod template of an object.
pub(super) fn template_of(owner: &Object) -> &Value {
    if owner.kind() == "ScaledJob" {
        &owner.json["spec"]["jobTargetRef"]["template"]
    } else {
        &owner.json["spec"]["template"]
    }
}

impl<'a> Cluster<'a> {
    pub(super) fn new(objects: &'a [Object]) -> Self {
        Self { objects }
    }

    /// Objects of one kind.
    pub(super) fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.objects.iter().filter(move |object| object.kind() == kind)
    }

    /// Every object.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Object> + use<'a> {
        self.objects.iter()
    }

    /// Every pod template with a container that runs our service.
    pub(super) fn pods(&self) -> Vec<Pod<'a>> {
        self.of_kind("Deployment").chain(self.of_kind("ScaledJob")).filter_map(|owner| self.pod(owner)).collect()
    }

    fn pod(&self, owner: &'a Object) -> Option<Pod<'a>> {
        let template = template_of(owner);
        let (container, environment) = list(&template["spec"]["containers"])
            .map(|container| (container, self.environment(container)))
            .find(|(_, environment)| is_ours(environment))?;
        let scaler = if owner.kind() == "ScaledJob" {
            Some(owner)
        } else {
            self.of_kind("ScaledObject").find(|scaled| scaled.json["spec"]["scaleTargetRef"]["name"] == owner.name())
        };
        Some(Pod {
            owner,
            objects: self.objects,
            labels: &template["metadata"]["labels"],
            spec: &template["spec"],
            container,
            environment,
            scaler,
        })
    }

    /// A container's environment. Where a source of it is elsewhere, the queue may be told there.
    fn environment(&self, container: &Value) -> Environment {
        let variables = manifests::environment_of(container, self.objects).into_iter();
        let mut environment: Environment =
            variables.map(|(name, value)| (name, value.unwrap_or_else(|| SECRET.to_owned()))).collect();
        if has_variables_elsewhere(container, self.objects) && is_worker(&environment) {
            environment.entry("QUEUE_URL".to_owned()).or_insert_with(|| SECRET.to_owned());
        }
        environment
    }
}

/// Whether a source of a container's variables is a Secret, or a ConfigMap in no file that was given.
fn has_variables_elsewhere(container: &Value, objects: &[Object]) -> bool {
    let is_here = |source: &Value| {
        let name = source["configMapRef"]["name"].as_str();
        objects.iter().any(|object| object.kind() == "ConfigMap" && Some(object.name()) == name)
    };
    !list(&container["envFrom"]).all(is_here)
}

/// Whether a container runs our service: it has a queue, or several settings that only our worker reads.
fn is_ours(environment: &Environment) -> bool {
    environment.contains_key("QUEUE_URL") || is_worker(environment)
}

fn is_worker(environment: &Environment) -> bool {
    let of_worker = SETTINGS.iter().filter(|setting| setting.hosts == [Host::Worker]);
    of_worker.flat_map(|setting| setting.variables).filter(|variable| environment.contains_key(**variable)).count() > 1
}

/// Whether a selector takes a pod with these labels. Only `matchLabels` is read: with expressions beside it a selector is
/// taken to select what its labels do.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    selector["matchLabels"].as_object().into_iter().flatten().all(|(label, value)| labels.get(label) == Some(value))
}
