//! Reads what is deployed into a scenario: KEDA's ScaledObject or ScaledJob, the Deployment, and the SAM or CloudFormation template.
//!
//! A file replaces what the scenario said about the same thing, defaults included: what a ScaledObject leaves out has
//! KEDA's default, not the scenario's. A field that the model does not cover is named in a warning.

use std::collections::BTreeMap;
use std::path::Path;

mod deployment;
pub mod edit;
mod environment;
mod event_source;
mod function;
mod given;
mod intrinsics;
mod node;
mod object;
mod parameters;
mod quantity;
mod queue;
mod reader;
mod scaled_object;
mod settings;
mod template;
mod terraform;

use serde_json::Value;

use crate::scenario::Scenario;
pub(crate) use function::{Function, MEMORY_SIZE};
pub use given::Given;
pub use node::DocumentError;
use node::Node;
pub use object::{Object, ObjectsError};
pub(crate) use quantity::quantity;
pub(crate) use queue::{Queue, RedriveAllow};
use reader::Reader;
pub use reader::Remark;
pub(crate) use scaled_object::region_of;
pub use template::Template;
pub use terraform::Terraform;

/// Why a manifest cannot be used; every mistake in it, each with its line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ManifestError(Vec<String>);

impl ManifestError {
    /// The file cannot be read.
    pub fn unreadable(file: &str, error: &std::io::Error) -> Self {
        Self(vec![format!("{file}: {error}")])
    }
}

impl From<DocumentError> for ManifestError {
    fn from(error: DocumentError) -> Self {
        Self(vec![error.to_string()])
    }
}

/// Every document of a YAML or JSON file, empty ones left out. `!Ref X` becomes `{"Ref": "X"}` and so on, as in JSON
/// templates; `name` is how the error calls the file.
///
/// # Errors
/// Text that is no YAML (JSON is YAML).
pub fn documents(name: &str, text: &str) -> Result<Vec<Value>, DocumentError> {
    Ok(Node::documents(name, text)?.iter().map(Node::to_json).collect())
}

/// The three kinds of files that a scenario can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifest {
    /// A KEDA ScaledObject or ScaledJob (`--scaled-object`).
    ScaledObject,
    /// A Deployment of the worker (`--deployment`).
    Deployment,
    /// A SAM or CloudFormation template with the function (`--template`).
    Template,
}

/// This project's own file of that kind: its path in the repository, and its text.
pub fn deployed(kind: Manifest) -> (&'static str, &'static str) {
    match kind {
        Manifest::ScaledObject => {
            ("eks/base/scaledobject.yaml", include_str!("../../assets/eks/base/scaledobject.yaml"))
        }
        Manifest::Deployment => ("eks/base/deployment.yaml", include_str!("../../assets/eks/base/deployment.yaml")),
        Manifest::Template => ("sam/template.yaml", include_str!("../../assets/sam/template.yaml")),
    }
}

impl Scenario {
    /// Reads a file into this scenario and returns the warnings: fields that the model does not cover.
    ///
    /// # Errors
    /// The file cannot be read, is no YAML, has no such object, or has a wrong value; with the line.
    pub fn read_manifest(&mut self, kind: Manifest, path: &Path, given: &Given) -> Result<Vec<String>, ManifestError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ManifestError::unreadable(&file, &error))?;
        self.take_manifest(kind, &file, &text, given)
    }

    /// The same for a text; `file` is how mistakes call it.
    ///
    /// # Errors
    /// As [`Scenario::read_manifest`].
    pub fn take_manifest(
        &mut self,
        kind: Manifest,
        file: &str,
        text: &str,
        given: &Given,
    ) -> Result<Vec<String>, ManifestError> {
        let mut reader = Reader::new(file);
        match kind {
            Manifest::ScaledObject => scaled_object::read(&Node::documents(file, text)?, self, given, &mut reader),
            Manifest::Deployment => deployment::read(&Node::documents(file, text)?, self, given, &mut reader),
            Manifest::Template => template::read(&Template::read(file, text, given)?, self, &mut reader),
        }
        reader.finish().map_err(ManifestError)
    }
}

/// Whether a file has what is read as this kind: a ScaledObject on a queue, the worker's Deployment, a template.
///
/// # Errors
/// The file is no YAML.
pub fn holds(kind: Manifest, file: &str, text: &str) -> Result<bool, DocumentError> {
    let documents = Node::documents(file, text)?;
    Ok(match kind {
        Manifest::ScaledObject => {
            objects(&documents, &scaled_object::KINDS).into_iter().any(scaled_object::is_on_queue)
        }
        Manifest::Deployment => {
            let maps = objects(&documents, &["ConfigMap"]);
            objects(&documents, &["Deployment"]).into_iter().any(|object| deployment::is_worker(object, &maps))
        }
        Manifest::Template => documents.iter().any(|document| document.get("Resources").is_some()),
    })
}

/// What KEDA or the API server refuses of the workers and their scalers in a file.
///
/// # Errors
/// The file is no YAML.
pub fn refused(file: &str, text: &str, given: &Given) -> Result<Vec<Remark>, DocumentError> {
    let documents = Node::documents(file, text)?;
    let mut reader = Reader::new(file);
    let mut read = Scenario::default();
    for object in objects(&documents, &scaled_object::KINDS) {
        if scaled_object::is_on_queue(object) {
            scaled_object::read_one(object, &documents, &mut read, &Given::default(), &mut reader);
        }
    }
    let maps = objects(&documents, &["ConfigMap"]);
    for object in objects(&documents, &["Deployment"]).into_iter().filter(|object| deployment::is_worker(object, &maps))
    {
        deployment::read_one(object, &maps, &mut read, given, &mut reader);
    }
    Ok([reader.mistakes, reader.refused].concat())
}

/// The name of the container that is read of a Deployment's file.
pub(crate) fn container_of(file: &str, text: &str, given: &Given) -> Result<Option<String>, DocumentError> {
    Ok(deployment::container_of(&Node::documents(file, text)?, given))
}

/// A container's environment, with the ConfigMaps among these objects; `None` is a value that only the cluster knows.
pub(crate) fn environment_of(container: &Value, objects: &[Object]) -> BTreeMap<String, Option<String>> {
    let maps: Vec<&Node> = objects.iter().filter(|object| object.kind() == "ConfigMap").map(Object::node).collect();
    let (variables, _) = environment::environment(&Node::from_json(0, container), &maps);
    let text = |variable: environment::Variable| variable.value.as_ref().and_then(Node::text).map(str::to_owned);
    variables.into_iter().map(|(name, variable)| (name, text(variable))).collect()
}

/// The objects of such kinds, in the order of the file; those of a List too.
fn objects<'a>(documents: &'a [Node], kinds: &[&str]) -> Vec<&'a Node> {
    let items = |document: &'a Node| document.get("items").map(Node::elements).unwrap_or_default();
    let all = documents.iter().flat_map(|document| std::iter::once(document).chain(items(document)));
    all.filter(|object| object.get("kind").and_then(Node::text).is_some_and(|kind| kinds.contains(&kind))).collect()
}

#[cfg(test)]
mod tests;
