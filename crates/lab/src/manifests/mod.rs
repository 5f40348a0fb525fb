//! Reads what is deployed into a scenario: KEDA's ScaledObject or ScaledJob, the Deployment, and the SAM or CloudFormation template.
//!
//! A file replaces what the scenario said about the same thing, defaults included: what a ScaledObject leaves out has
//! KEDA's default, not the scenario's. A field that the model does not cover is named in a warning.

use std::path::Path;

mod deployment;
pub mod edit;
mod intrinsics;
mod node;
mod reader;
mod scaled_object;
mod template;

use crate::scenario::Scenario;
use node::Node;
use reader::Reader;

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
    pub fn read_manifest(&mut self, kind: Manifest, path: &Path) -> Result<Vec<String>, ManifestError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ManifestError::unreadable(&file, &error))?;
        self.take_manifest(kind, &file, &text)
    }

    /// The same for a text; `file` is how mistakes call it.
    ///
    /// # Errors
    /// As [`Scenario::read_manifest`].
    pub fn take_manifest(&mut self, kind: Manifest, file: &str, text: &str) -> Result<Vec<String>, ManifestError> {
        let documents = Node::documents(text)
            .map_err(|e| ManifestError(vec![format!("{file} is no YAML: {}", e.without_snippet())]))?;
        let mut reader = Reader::new(file);
        match kind {
            Manifest::ScaledObject => scaled_object::read(&documents, self, &mut reader),
            Manifest::Deployment => deployment::read(&documents, self, &mut reader),
            Manifest::Template => template::read(&documents, self, &mut reader),
        }
        reader.finish().map_err(ManifestError)
    }
}

/// The objects of such kinds, in the order of the file; those of a List too.
fn objects<'a>(documents: &'a [Node], kinds: &[&str]) -> Vec<&'a Node> {
    let items = |document: &'a Node| document.get("items").map(Node::elements).unwrap_or_default();
    let all = documents.iter().flat_map(|document| std::iter::once(document).chain(items(document)));
    all.filter(|object| object.get("kind").and_then(Node::text).is_some_and(|kind| kinds.contains(&kind))).collect()
}

#[cfg(test)]
mod tests;
