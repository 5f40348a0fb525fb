//! `twinscale validate`: reads the files, prints the findings.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::formats::{self, FindingsFormat};
use super::{Finding, Inputs, Rule, Severity, validate};
use crate::manifests::{DocumentError, Given, ManifestError, ObjectsError, Template, Terraform, documents};

/// Check rendered manifests, terraform's state and the SAM template, and that the twins agree.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  kubectl kustomize eks/overlays/production > production.yaml\n  twinscale validate --settings deploy/settings.yaml --kubernetes production.yaml --template sam/template.yaml\n\nEach finding has the id of its rule: docs/validate.md says what it means.\n\nExit code: 0 nothing wrong (warnings at most), 1 errors found, 64 something could not be read."
)]
pub struct Validate {
    /// What both targets share (deploy/settings.yaml)
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Rendered Kubernetes objects: the output of `kubectl kustomize` (- reads standard input; may be given again)
    #[arg(long, value_name = "FILE")]
    kubernetes: Vec<PathBuf>,
    /// `terraform show -json` of the state or of a plan, or `terraform output -json`
    #[arg(long, value_name = "FILE")]
    terraform: Option<PathBuf>,
    /// SAM or CloudFormation template, as written or as SAM transforms it
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// A rule whose findings are left out, by its id (may be given again)
    #[arg(long, value_name = "ID", value_enum, hide_possible_values = true)]
    ignore: Vec<Rule>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = FindingsFormat::Text)]
    format: FindingsFormat,
}

/// What could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// The file is not there, or not readable.
    #[error("{}: {error}", .path.display())]
    Unreadable {
        /// As given.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is neither YAML nor JSON.
    #[error(transparent)]
    Malformed(#[from] DocumentError),
    /// The file is none of Kubernetes objects.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// The file has no document, or several where one belongs.
    #[error("{}: {count} documents, where one belongs", .path.display())]
    NotOne {
        /// As given.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// The file is readable, and has no settings.
    #[error("{}: it is no settings file: it has none of queue, handler", .path.display())]
    NoSettings {
        /// As given.
        path: PathBuf,
    },
    /// The template or terraform's output is none, or the template has no such parameter.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A flag about a template, and no template.
    #[error("{0} is about a template: add --template FILE")]
    NoTemplate(&'static str),
    /// No file at all was given.
    #[error("there is nothing to check: give --kubernetes, --terraform or --template")]
    Nothing,
    /// The findings could not be printed.
    #[error("cannot write the findings: {0}")]
    Unwritable(#[from] io::Error),
}

impl Validate {
    /// Reads, checks and prints to `out`.
    ///
    /// # Errors
    /// Something could not be read: exit code 64.
    pub fn run(&self, out: &mut dyn Write) -> Result<ExitCode, ValidateError> {
        let inputs = self.inputs()?;
        let (ignored, found): (Vec<Finding>, Vec<Finding>) =
            validate(&inputs).into_iter().partition(|finding| self.ignore.contains(&finding.rule));
        out.write_all(formats::print(&found, self.format).as_bytes())?;
        if self.format == FindingsFormat::Text {
            if found.is_empty() {
                writeln!(out, "validate: nothing found in {}", self.read())?;
            }
            if !ignored.is_empty() {
                writeln!(out, "validate: {} ignored, as asked by --ignore", ignored.len())?;
            }
        }
        let failed = found.iter().any(|finding| finding.severity == Severity::Error);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn inputs(&self) -> Result<Inputs, ValidateError> {
        if self.kubernetes.is_empty() && self.terraform.is_none() && self.template.is_none() {
            return Err(ValidateError::Nothing);
        }
        let mut inputs = Inputs::default();
        for path in &self.kubernetes {
            inputs.take_kubernetes(&name_of(path), &text_of(path)?, &self.given)?;
        }
        if let Some(path) = &self.template {
            inputs.template = Some(Template::read(&name_of(path), &text_of(path)?, &self.given)?);
        }
        if let (Some(flag), None) = (self.given.of_template(), &self.template) {
            return Err(ValidateError::NoTemplate(flag));
        }
        if let Some(path) = &self.settings {
            inputs.settings = Some(settings(path)?);
        }
        if let Some(path) = &self.terraform {
            inputs.terraform = Some(Terraform::read(&name_of(path), &text_of(path)?)?);
        }
        Ok(inputs)
    }

    /// The names of what was given.
    fn read(&self) -> String {
        let given = self.kubernetes.iter().chain(&self.terraform).chain(&self.template).chain(&self.settings);
        given.map(|path| name_of(path)).collect::<Vec<_>>().join(", ")
    }
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// The text of a file; `-` is standard input.
fn text_of(path: &Path) -> Result<String, ValidateError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    text.map_err(|error| ValidateError::Unreadable { path: path.to_owned(), error })
}

fn settings(path: &Path) -> Result<Value, ValidateError> {
    let mut documents = documents(&name_of(path), &text_of(path)?)?;
    match documents.pop() {
        Some(_) if !documents.is_empty() => {
            Err(ValidateError::NotOne { path: path.to_owned(), count: documents.len() + 1 })
        }
        Some(settings) if ["queue", "handler"].iter().any(|key| settings.get(key).is_some()) => Ok(settings),
        Some(_) => Err(ValidateError::NoSettings { path: path.to_owned() }),
        None => Err(ValidateError::NotOne { path: path.to_owned(), count: 0 }),
    }
}
