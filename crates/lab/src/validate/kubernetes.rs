//! Finds its way in Kubernetes objects: which pods run our service, with which environment, scaled by what.

use serde_json::Value;

use super::{Environment, text};

/// The objects of one rendered overlay.
pub(super) struct Cluster<'a> {
    objects: &'a [Value],
}

/// A pod template that runs our service.
pub(super) struct Pod<'a> {
    /// `Deployment/worker`.
    pub at: String,
    /// The pod's labels.
    pub labels: &'a Value,
    /// The pod's spec.
    pub spec: &'a Value,
    /// The container that has the `QUEUE_URL`.
    pub container: &'a Value,
    /// That container's environment, ConfigMaps included; a secret's value reads [`SECRET`].
    pub environment: Environment,
    /// The ScaledObject or ScaledJob that scales it.
    pub scaler: Option<&'a Value>,
    /// The owner's `spec.replicas`, when it is written down.
    pub replicas: Option<u64>,
}

/// Stands for a value that only the cluster knows.
pub(super) const SECRET: &str = "(secret)";

impl Pod<'_> {
    /// False for a pod that only serves HTTP.
    pub(super) fn receives(&self) -> bool {
        self.environment.get("RECEIVE").is_none_or(|receive| receive != "off")
    }

    /// The trigger that counts the queue.
    pub(super) fn trigger(&self) -> Option<&Value> {
        let triggers = self.scaler?["spec"]["triggers"].as_array()?;
        triggers.iter().find(|trigger| trigger["type"] == "aws-sqs-queue")
    }
}

impl<'a> Cluster<'a> {
    pub(super) fn new(objects: &'a [Value]) -> Self {
        Self { objects }
    }

    /// Objects of one kind.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &'a Value> {
        let kind = kind.to_owned();
        self.objects.iter().filter(move |object| object["kind"] == kind.as_str())
    }

    /// Every pod template with a container that has a `QUEUE_URL`.
    pub(super) fn pods(&self) -> Vec<Pod<'a>> {
        let deployments = self.of_kind("Deployment").map(|owner| (owner, &owner["spec"]["template"]));
        let jobs = self.of_kind("ScaledJob").map(|owner| (owner, &owner["spec"]["jobTargetRef"]["template"]));
        deployments.chain(jobs).filter_map(|(owner, template)| self.pod(owner, template)).collect()
    }

    /// Templates of every Deployment, ours or not, by the labels that a Service selects.
    pub(super) fn templates(&self) -> impl Iterator<Item = (&'a Value, &'a Value)> {
        self.of_kind("Deployment").map(|owner| (owner, &owner["spec"]["template"]))
    }

    fn pod(&self, owner: &'a Value, template: &'a Value) -> Option<Pod<'a>> {
        let containers = template["spec"]["containers"].as_array()?;
        let (container, environment) = containers
            .iter()
            .map(|container| (container, self.environment(container)))
            .find(|(_, environment)| environment.contains_key("QUEUE_URL"))?;
        let name = owner["metadata"]["name"].as_str()?;
        let scaler = if owner["kind"] == "ScaledJob" {
            Some(owner)
        } else {
            self.of_kind("ScaledObject").find(|scaled| scaled["spec"]["scaleTargetRef"]["name"] == name)
        };
        Some(Pod {
            at: format!("{}/{name}", owner["kind"].as_str().unwrap_or_default()),
            labels: &template["metadata"]["labels"],
            spec: &template["spec"],
            container,
            environment,
            scaler,
            replicas: owner["spec"]["replicas"].as_u64(),
        })
    }

    fn environment(&self, container: &Value) -> Environment {
        let mut environment = Environment::new();
        for source in container["envFrom"].as_array().into_iter().flatten() {
            let name = &source["configMapRef"]["name"];
            let maps = self.of_kind("ConfigMap").filter(|map| map["metadata"]["name"] == *name);
            for (key, value) in maps.flat_map(|map| map["data"].as_object().into_iter().flatten()) {
                environment.insert(key.clone(), text(value).unwrap_or_default());
            }
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            if let Some(name) = variable["name"].as_str() {
                environment.insert(name.to_owned(), text(&variable["value"]).unwrap_or_else(|| SECRET.to_owned()));
            }
        }
        environment
    }
}
