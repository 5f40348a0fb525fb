//! What was found: by which rule, where, what happens, and what to write.

use std::fmt;

use serde::Serialize;
use twinscale::ConfigError;

use super::rule::{Rule, Severity};
use crate::manifests::{Function, Object, Remark, Template, Terraform};

/// Something that will hurt, and what to change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Whether it fails the check.
    pub severity: Severity,
    /// The rule that found it.
    pub rule: Rule,
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong, and what happens.
    pub what: String,
    /// What to write; `None` where `what` says it already.
    pub fix: Option<String>,
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// The line in it, from 1; `None` for the file as a whole, or where lines mean nothing (terraform's JSON).
    pub line: Option<u64>,
    /// Which object, in its owner's words; empty for the file as a whole.
    pub at: String,
}

impl Place {
    /// A place in an object of Kubernetes. In the path an element of a list is called by its name or its index.
    pub(super) fn of(object: &Object, path: &str) -> Self {
        Self { file: object.file.clone(), line: Some(object.line(path)).filter(|line| *line > 0), at: object.called() }
    }

    /// A place in a resource of a template.
    pub(super) fn of_resource(template: &Template, name: &str, path: &str) -> Self {
        let line = Some(template.line(name, path)).filter(|line| *line > 0);
        Self { file: template.file().to_owned(), line, at: name.to_owned() }
    }

    /// A field of the function that is read, or of its mapping.
    pub(super) fn of_function(template: &Template, function: &Function, path: &str) -> Self {
        let line = Some(template.line_of_function(function, path)).filter(|line| *line > 0);
        Self { file: template.file().to_owned(), line, at: function.name.clone() }
    }

    /// A resource of terraform.
    pub(super) fn of_terraform(terraform: &Terraform, address: &str) -> Self {
        Self { file: terraform.file.clone(), line: None, at: address.to_owned() }
    }
}

impl Finding {
    /// What is wrong and what to write, as one text.
    pub fn message(&self) -> String {
        match &self.fix {
            Some(fix) => format!("{}; {fix}", self.what),
            None => self.what.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        self.line.map_or(Ok(()), |line| write!(f, ", line {line}"))?;
        if self.at.is_empty() { Ok(()) } else { write!(f, ", {}", self.at) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity} [{}] {}: {}", self.rule.id(), self.place, self.message())
    }
}

/// Findings in the making.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Something was found: where, what is wrong and happens, and what to write.
    pub(super) fn add(&mut self, rule: Rule, place: Place, what: impl Into<String>, fix: impl Into<String>) {
        let what = what.into();
        let fix = Some(fix.into());
        self.0.push(Finding { severity: rule.severity(), rule, place, what, fix });
    }

    /// A setting with which the service would not start.
    pub(super) fn setting(&mut self, place: Place, error: &ConfigError) {
        let value = error.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
        let what = format!("{}{value} cannot be: the service would not start", error.variable);
        self.add(Rule::Environment, place, what, error.advice.clone());
    }

    /// What cannot be read, or what AWS or the API server refuses; the reader says what to write.
    pub(super) fn refused(&mut self, mistake: &Remark) {
        let line = Some(mistake.line).filter(|line| *line > 0);
        let place = Place { file: mistake.file.clone(), line, at: String::new() };
        let rule = Rule::Refused;
        let what = mistake.what.clone();
        self.0.push(Finding { severity: rule.severity(), rule, place, what, fix: None });
    }

    /// All of them, errors first, otherwise by rules and places; each once.
    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}
