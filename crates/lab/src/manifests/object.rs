//! Kubernetes objects as they are rendered: each with its file, and a line for each of its fields.

use serde_json::Value;

use super::node::{DocumentError, Node, Tree};

/// An object of Kubernetes.
#[derive(Clone, Debug)]
pub struct Object {
    /// The file that it stands in, as it was named.
    pub file: String,
    /// The object as the API server gets it.
    pub json: Value,
    node: Node,
}

/// Why a file is none of Kubernetes objects.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// It is neither YAML nor JSON.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// One of its documents is no object.
    #[error("{file}: document {number} is no Kubernetes object: kind or metadata.name is missing")]
    NoObject {
        /// The file, as it was named.
        file: String,
        /// Which document, from 1.
        number: usize,
    },
    /// It has no document.
    #[error("{0}: there is no Kubernetes object in it")]
    Empty(String),
}

impl Object {
    /// The objects of a file, those of lists one by one; `file` is how messages call it.
    ///
    /// # Errors
    /// The file is no YAML, has no object, or a document that is none.
    pub fn all(file: &str, text: &str) -> Result<Vec<Self>, ObjectsError> {
        let mut nodes = Vec::new();
        for (index, document) in Node::documents(file, text)?.into_iter().enumerate() {
            let kind = document.get("kind").and_then(Node::text);
            match (kind, document.get("items")) {
                (Some(kind), Some(items)) if kind.ends_with("List") => nodes.extend(items.elements().to_vec()),
                (Some(_), _) if document.at(&["metadata", "name"]).and_then(Node::text).is_some() => {
                    nodes.push(document);
                }
                (Some(_) | None, _) => {
                    return Err(ObjectsError::NoObject { file: file.to_owned(), number: index + 1 });
                }
            }
        }
        if nodes.is_empty() {
            return Err(ObjectsError::Empty(file.to_owned()));
        }
        Ok(nodes.into_iter().map(|node| Self { file: file.to_owned(), json: node.to_json(), node }).collect())
    }

    /// `Deployment`.
    pub fn kind(&self) -> &str {
        self.json["kind"].as_str().unwrap_or_default()
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.json["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// `metadata.namespace`, if it is written.
    pub fn namespace(&self) -> Option<&str> {
        self.json["metadata"]["namespace"].as_str()
    }

    /// `Deployment/worker`.
    pub fn called(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// The line of a field, or of what it belongs into. In the path an element of a list is called by its index or its name:
    /// `spec/template/spec/containers/worker/image`.
    pub(crate) fn line(&self, path: &str) -> u64 {
        self.node.line_at(path.split('/'))
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }
}

impl Node {
    /// The line at the end of a path, or of the last node on it that is there. An element of a list is called by its index,
    /// or by its `name`.
    pub(super) fn line_at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> u64 {
        let mut node = self;
        for step in path {
            let next = match &node.tree {
                Tree::Map(_) => node.get(step),
                Tree::List(elements) => {
                    let named = |element: &&Self| element.get("name").and_then(Self::text) == Some(step);
                    let by_index = || step.parse::<usize>().ok().and_then(|index| elements.get(index));
                    elements.iter().find(named).or_else(by_index)
                }
                Tree::Null | Tree::Scalar(_) | Tree::Literal(_) | Tree::Unknown(_) => None,
            };
            let Some(next) = next else { break };
            node = next;
        }
        node.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_names_and_indices_and_what_is_missing_by_where_it_belongs() {
        let text = "kind: List\nitems:\n  - kind: Deployment\n    metadata: {name: w}\n    spec:\n      containers:\n        - name: a\n        \
                    - name: b\n          env:\n            - {name: X, value: y}\n";
        let objects = Object::all("f.yaml", "kind: PodList\nitems: []\n").expect_err("empty");
        assert_eq!(objects.to_string(), "f.yaml: there is no Kubernetes object in it");
        let object = Object::all("f.yaml", text).expect("objects").remove(0);
        assert_eq!(object.called(), "Deployment/w");
        assert_eq!(object.line("spec/containers/b/env/X/value"), 10);
        assert_eq!(object.line("spec/containers/0/name"), 7);
        assert_eq!(object.line("spec/containers/b/image"), 8);
        assert_eq!(object.line("metadata/namespace"), 4);
    }
}
