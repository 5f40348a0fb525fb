//! `twinscale validate`: reads the files, prints the findings.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{DocumentError, Inputs, Severity, documents, resolve, validate};

/// Check rendered manifests, terraform's state and the SAM template, and that the twins agree.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example:\n  kubectl kustomize eks/overlays/production | twinscale validate \\\n    --settings deploy/settings.yaml --kubernetes - --template sam/template.yaml\n\nExit code: 0 nothing wrong (warnings at most), 1 errors found, 64 something could not be read."
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
    /// A parameter of the template, as NAME=VALUE (may be given again)
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    parameter: Vec<(String, String)>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
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
    /// The file has no document, or several where one belongs.
    #[error("{}: {count} documents, where one belongs", .path.display())]
    NotOne {
        /// As given.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// The file is readable and is something else.
    #[error("{}: {what}", .path.display())]
    Other {
        /// As given.
        path: PathBuf,
        /// What it is not.
        what: String,
    },
    /// A parameter that the template does not have.
    #[error("--parameter {0}: the template has no such parameter")]
    Parameter(String),
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
    pub fn run(&self, out: &mut dyn Write) -> Result<ExitCode, CommandError> {
        let inputs = self.inputs()?;
        let found = validate(&inputs);
        match self.format {
            Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&found).unwrap_or_default())?,
            Format::Text if found.is_empty() => writeln!(out, "validate: nothing found in {}", self.read())?,
            Format::Text => found.iter().try_for_each(|finding| writeln!(out, "{finding}"))?,
        }
        let failed = found.iter().any(|finding| finding.severity == Severity::Error);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn inputs(&self) -> Result<Inputs, CommandError> {
        if self.kubernetes.is_empty() && self.terraform.is_none() && self.template.is_none() {
            return Err(CommandError::Nothing);
        }
        let mut kubernetes = Vec::new();
        for path in &self.kubernetes {
            let objects = objects(read(path)?).map_err(|what| CommandError::Other { path: path.clone(), what })?;
            kubernetes.extend(objects);
        }
        let parameters: BTreeMap<_, _> = self.parameter.iter().cloned().collect();
        let template = self.template.as_deref().map(|path| read_with(path, &["Resources"], "CloudFormation template"));
        let template = template.transpose()?;
        let known = |name: &String| template.as_ref().is_none_or(|t| t["Parameters"].get(name).is_some());
        if let Some(unknown) = parameters.keys().find(|name| !known(name)) {
            return Err(CommandError::Parameter(unknown.clone()));
        }
        let settings = self.settings.as_deref().map(|path| read_with(path, &["queue", "handler"], "settings file"));
        let shown = &["values", "planned_values", "queue_url"];
        let terraform = self
            .terraform
            .as_deref()
            .map(|path| read_with(path, shown, "output of 'terraform show -json' or 'terraform output -json'"));
        Ok(Inputs {
            settings: settings.transpose()?,
            kubernetes,
            terraform: terraform.transpose()?,
            template: template.map(|template| resolve(&template, &parameters)),
        })
    }

    /// The names of what was given.
    fn read(&self) -> String {
        let given = self.kubernetes.iter().chain(&self.terraform).chain(&self.template).chain(&self.settings);
        given.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

fn read(path: &Path) -> Result<Vec<Value>, CommandError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| CommandError::Unreadable { path: path.to_owned(), error })?;
    Ok(documents(&path.display().to_string(), &text)?)
}

fn read_one(path: &Path) -> Result<Value, CommandError> {
    let mut documents = read(path)?;
    match documents.len() {
        1 => Ok(documents.remove(0)),
        count => Err(CommandError::NotOne { path: path.to_owned(), count }),
    }
}

/// One document that has one of these keys, or it is no `what`.
fn read_with(path: &Path, keys: &[&str], what: &str) -> Result<Value, CommandError> {
    let document = read_one(path)?;
    if keys.iter().any(|key| document.get(key).is_some()) {
        return Ok(document);
    }
    let what = format!("it is no {what}: it has none of {}", keys.join(", "));
    Err(CommandError::Other { path: path.to_owned(), what })
}

/// Kubernetes objects, those of lists one by one.
fn objects(documents: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut objects = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        match (document["kind"].as_str(), document["items"].as_array()) {
            (Some(kind), Some(items)) if kind.ends_with("List") => objects.extend(items.clone()),
            (Some(_), _) if document["metadata"]["name"].is_string() => objects.push(document),
            _ => {
                let number = index + 1;
                return Err(format!("document {number} is no Kubernetes object: kind or metadata.name is missing"));
            }
        }
    }
    if objects.is_empty() { Err("there is no Kubernetes object in it".to_owned()) } else { Ok(objects) }
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
