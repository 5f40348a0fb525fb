//! Checks what is about to be deployed: the pods, the function, and that the twins have not drifted apart.
//!
//! It reads what was *rendered* (kustomize output, `terraform show -json`, a CloudFormation template with its parameters
//! filled in), never expressions, so that it sees what the cloud would see. Everything is optional: what is not given is
//! not checked, and what two inputs share is compared. What a file does not tell is no finding.

mod command;
mod dead_letters;
mod denials;
mod finding;
mod formats;
mod function;
mod http;
mod identity;
mod kubernetes;
mod namespaces;
mod needs;
mod network;
mod permissions;
mod pods;
mod policies;
mod queues;
mod regions;
mod rule;
mod scalers;
mod selectors;
mod services;
mod settings;
mod twins;

use std::collections::BTreeMap;

use serde_json::Value;

pub use command::{Validate, ValidateError};
pub use finding::{Finding, Place};
pub use formats::FindingsFormat;
pub use rule::{Rule, Severity};

use crate::manifests::{self, Given, Object, ObjectsError, Remark, Template, Terraform};
use finding::Findings;

/// What there is to check.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `deploy/settings.yaml`: what both targets share.
    pub settings: Option<Value>,
    /// Kubernetes objects, as `kubectl kustomize` prints them.
    pub kubernetes: Vec<Object>,
    /// What the API server or KEDA refuses of them, as their files are written.
    pub refused: Vec<Remark>,
    /// A state or a plan. A plan knows no ARN yet, so permissions wait for the state.
    pub terraform: Option<Terraform>,
    /// The SAM or CloudFormation template.
    pub template: Option<Template>,
}

impl Inputs {
    /// Adds the objects of a file; `file` is how findings call it.
    ///
    /// # Errors
    /// The file is none of Kubernetes objects.
    pub fn take_kubernetes(&mut self, file: &str, text: &str, given: &Given) -> Result<(), ObjectsError> {
        self.refused.extend(manifests::refused(file, text, given)?);
        self.kubernetes.extend(Object::all(file, text)?);
        Ok(())
    }
}

/// Checks everything that was given. Errors come first; the order is otherwise that of rules and places.
pub fn validate(inputs: &Inputs) -> Vec<Finding> {
    let mut findings = Findings::default();
    let cluster = kubernetes::Cluster::new(&inputs.kubernetes);
    let in_terraform = queues::of_terraform(inputs);
    let consumer = inputs.template.as_ref().map(Template::consumer);
    let in_template = queues::of_template(inputs, consumer.iter().flat_map(|consumer| &consumer.queues));
    let of_template = consumer.iter().flat_map(|consumer| &consumer.mistakes);
    inputs.refused.iter().chain(of_template).for_each(|mistake| findings.refused(mistake));
    let function = consumer.as_ref().and_then(|consumer| consumer.function.as_ref());
    let pods = cluster.pods();
    for pod in &pods {
        pods::check(pod, &cluster, &in_terraform, &mut findings);
        dead_letters::check_pod(pod, &in_terraform, &mut findings);
    }
    services::check(&cluster, &pods, &mut findings);
    scalers::check(&cluster, &mut findings);
    selectors::check(&cluster, &pods, &mut findings);
    namespaces::check(inputs, &cluster, &mut findings);
    regions::check(inputs, &pods, &mut findings);
    let worker = pods.iter().find(|pod| pod.receives());
    let url = worker.and_then(|pod| pod.known("QUEUE_URL"));
    let consumed = in_terraform.iter().find(|queue| url.is_some() && queue.url.as_ref() == url);
    queues::check(&in_terraform, consumed, &mut findings);
    let own = function.and_then(|function| function.queue.as_ref());
    let consumed = in_template.iter().find(|queue| own.is_some_and(|own| own.name == queue.name));
    queues::check(&in_template, consumed, &mut findings);
    if let Some(template) = &inputs.template {
        function::check_all(template, function, &in_template, &mut findings);
    }
    identity::check(inputs, &cluster, &pods, &mut findings);
    permissions::check(inputs, &cluster, &mut findings);
    denials::check(inputs, &mut findings);
    needs::check(inputs, &cluster, &pods, function, &mut findings);
    twins::check(inputs, &pods, function, &in_terraform, &in_template, &mut findings);
    findings.sorted()
}

/// An environment: of a container, or of a function.
type Environment = BTreeMap<String, String>;

/// Settings as their host looks them up.
fn lookup(environment: &Environment) -> impl Fn(&str) -> Option<String> {
    move |name| environment.get(name).cloned()
}

/// The vCPUs that the handler is told, where it is the one that ships: it cannot ask, and told wrongly both hosts compute
/// different things.
fn cpu_told(environment: &Environment) -> Option<f64> {
    environment.get("WORK_CPU_LIMIT")?.trim().parse().ok()
}

/// The text of a scalar: `"10"` and `10` mean the same in manifests and templates.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A whole number, quoted or not.
fn number(value: &Value) -> Option<u64> {
    // Templates and terraform may write 180.0.
    value.as_u64().or_else(|| value.as_f64().map(|n| n as u64)).or_else(|| value.as_str()?.trim().parse().ok())
}

/// The elements of a list; none if it is something else.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
