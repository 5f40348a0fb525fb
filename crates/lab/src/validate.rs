//! Checks what is about to be deployed: the pods, the function, and that the twins have not drifted apart.
//!
//! It reads what was *rendered* (kustomize output, `terraform show -json`, a CloudFormation template with its parameters
//! filled in), never expressions, so that it sees what the cloud would see. Everything is optional: what is not given is
//! not checked, and what two inputs share is compared.

mod command;
mod documents;
mod egress;
mod function;
mod kubernetes;
mod namespaces;
mod permissions;
mod pods;
mod queues;
mod services;
mod template;
mod twins;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

pub use command::{CommandError, Validate};
pub use documents::{DocumentError, documents};
pub use template::resolve;

/// What there is to check.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// `deploy/settings.yaml`: what both targets share.
    pub settings: Option<Value>,
    /// Kubernetes objects, as `kubectl kustomize` prints them.
    pub kubernetes: Vec<Value>,
    /// `terraform show -json`, of a state or of a plan. A plan knows no ARN yet, so permissions wait for the state.
    pub terraform: Option<Value>,
    /// The SAM or CloudFormation template after [`resolve`].
    pub template: Option<Value>,
}

/// Something that will hurt, and what to change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Whether it fails the check.
    pub severity: Severity,
    /// A short name that stays the same, for scripts.
    pub rule: &'static str,
    /// Which object, in its owner's words.
    pub at: String,
    /// What is wrong, why it matters and what to write.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The check fails.
    Error,
    /// Worth knowing.
    Warning,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity} [{}] {}: {}", self.rule, self.at, self.message)
    }
}

/// Findings in the making.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn error(&mut self, rule: &'static str, at: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Error, rule, at: at.into(), message: message.into() });
    }

    fn warning(&mut self, rule: &'static str, at: impl Into<String>, message: impl Into<String>) {
        self.0.push(Finding { severity: Severity::Warning, rule, at: at.into(), message: message.into() });
    }
}

/// Checks everything that was given. Errors come first; the order is otherwise that of rules and objects.
pub fn validate(inputs: &Inputs) -> Vec<Finding> {
    let mut findings = Findings::default();
    let cluster = kubernetes::Cluster::new(&inputs.kubernetes);
    let in_terraform = inputs.terraform.as_ref().map(queues::of_terraform).unwrap_or_default();
    let in_template = inputs.template.as_ref().map(queues::of_template).unwrap_or_default();
    let pods = cluster.pods();
    for pod in &pods {
        pods::check(pod, &cluster, &in_terraform, &mut findings);
    }
    services::check(&cluster, &pods, &mut findings);
    queues::check(&in_terraform, &mut findings);
    queues::check(&in_template, &mut findings);
    let function = inputs.template.as_ref().and_then(function::consumer);
    if let Some(function) = &function {
        function::check(function, &in_template, &mut findings);
    }
    namespaces::check(inputs, &cluster, &mut findings);
    permissions::check(inputs, &cluster, &mut findings);
    twins::check(inputs, &pods, function.as_ref(), &in_terraform, &in_template, &mut findings);
    findings.0.sort();
    findings.0.dedup();
    findings.0
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
        _ => None,
    }
}

/// A whole number, quoted or not.
fn number(value: &Value) -> Option<u64> {
    // Templates and terraform may write 180.0.
    value.as_u64().or_else(|| value.as_f64().map(|n| n as u64)).or_else(|| value.as_str()?.trim().parse().ok())
}
