//! YAML as a tree in which every node knows its line and its tag, so that a mistake or a warning can say where.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Spanned, Tagged};

/// One node of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Line in the file, from 1.
    pub line: u64,
    /// A local tag without its mark: `Ref` for `!Ref`.
    pub tag: Option<String>,
    /// What it holds.
    pub tree: Tree,
}

/// What a node holds. Scalars are kept as text: KEDA and CloudFormation take numbers in quotes and without.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    /// Nothing.
    Null,
    /// A string, a number or a boolean, as text.
    Scalar(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Node)>),
}

impl Node {
    /// Reads the documents of a YAML file.
    pub(super) fn documents(text: &str) -> Result<Vec<Self>, serde_saphyr::Error> {
        // As YAML 1.2 has it: `off`, `y` and `N` are text. Numbers in unusual spellings stay as they are written.
        let options = serde_saphyr::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
        };
        serde_saphyr::from_multiple_with_options(text, options)
    }

    /// A text of our own making, on the line of the node that it replaces.
    pub(super) fn scalar(line: u64, text: impl Into<String>) -> Self {
        Self { line, tag: None, tree: Tree::Scalar(text.into()) }
    }

    /// The value of a key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Tree::Map(entries) = &self.tree else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The value at the end of a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text of a scalar.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.tree {
            Tree::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a sequence; none if it is something else.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.tree {
            Tree::List(elements) => elements,
            _ => &[],
        }
    }

    /// The same as JSON, scalars with the type that they look like.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.tree {
            Tree::Null => serde_json::Value::Null,
            Tree::Scalar(text) => match serde_json::from_str(text) {
                Ok(value @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_))) => value,
                _ => text.clone().into(),
            },
            Tree::List(elements) => elements.iter().map(Self::to_json).collect(),
            Tree::Map(entries) => entries.iter().map(|(name, node)| (name.clone(), node.to_json())).collect(),
        }
    }

    /// The entries of a mapping; none if it is something else.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.tree {
            Tree::Map(entries) => entries,
            _ => &[],
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Spanned { value: Tagged(tree, tag), referenced, .. } = Spanned::<Tagged<Tree>>::deserialize(from)?;
        let tag = tag.and_then(|tag| tag.strip_prefix('!').map(str::to_owned));
        Ok(Self { line: referenced.line(), tag, tree })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyTree)
    }
}

struct AnyTree;

impl<'de> Visitor<'de> for AnyTree {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any YAML")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Tree, D::Error> {
        Tree::deserialize(from)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = from.next_element()? {
            elements.push(element);
        }
        Ok(Tree::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = from.next_entry()? {
            entries.push((key, value));
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_knows_its_line_and_its_tag() {
        let text = "a: 1\nb:\n  - !Ref Size\n  - x: !If [C, \"1\", true]\n    y: !GetAtt Queue.Arn\n---\nc: ~\n";
        let documents = Node::documents(text).expect("YAML");
        assert_eq!(documents.len(), 2);
        let list = documents[0].get("b").expect("b").elements();
        assert_eq!((list[0].line, list[0].tag.as_deref(), list[0].text()), (3, Some("Ref"), Some("Size")));
        let condition = list[1].get("x").expect("x");
        assert_eq!((condition.line, condition.tag.as_deref()), (4, Some("If")));
        assert_eq!(condition.elements().iter().filter_map(Node::text).collect::<Vec<_>>(), ["C", "1", "true"]);
        assert_eq!(list[1].at(&["y"]).and_then(|y| y.tag.as_deref()), Some("GetAtt"));
        assert_eq!(documents[1].get("c").map(|c| &c.tree), Some(&Tree::Null));
    }
}
