//! YAML as a tree in which every node knows its line and its tag, so that a mistake or a warning can say where.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};
use serde_saphyr::{Spanned, Tagged};

/// One node of a document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Line in the file, from 1; 0 for what was in no file.
    pub line: u64,
    /// Where it is in the text.
    pub span: Span,
    /// A local tag without its mark: `Ref` for `!Ref`.
    pub tag: Option<String>,
    /// What it holds.
    pub tree: Tree,
}

/// A place in a text, in bytes. A mapping or a list in block style begins at its first key or dash, and has no length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub start: usize,
    pub len: usize,
}

/// What a node holds. Scalars are kept as text: CloudFormation takes numbers in quotes and without.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    /// Nothing.
    Null,
    /// A string.
    Scalar(String),
    /// A number or a boolean, as text: the API server of Kubernetes tells it from a string.
    Literal(String),
    /// A value of a template that is known only once it is deployed.
    Unknown(Unknown),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(String, Node)>),
}

/// What a template does not tell before it is deployed, or without its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unknown {
    /// As in `Fn::Sub`: `${Jobs.Arn}`, `jobs-${AWS::StackName}`. `None` for a function that makes no text of its parts.
    pub text: Option<String>,
    /// What is missing, and what to write.
    pub why: Vec<String>,
    /// The call of that function, in its long form.
    pub call: Option<Box<Node>>,
}

/// A file that is neither YAML nor JSON; the error says where.
#[derive(Debug, thiserror::Error)]
#[error("{name} is no YAML: {what}")]
pub struct DocumentError {
    name: String,
    what: String,
}

impl Node {
    /// Reads the documents of a YAML or JSON file, empty ones left out; `name` is how the error calls it.
    pub(super) fn documents(name: &str, text: &str) -> Result<Vec<Self>, DocumentError> {
        let documents = Self::parse(text).map_err(|error| {
            let helm = text.contains("{{") && !text.contains("{{resolve:");
            let advice = if helm { "; it is a Helm template: render it first (helm template)" } else { "" };
            DocumentError { name: name.to_owned(), what: format!("{}{advice}", error.without_snippet()) }
        })?;
        Ok(documents.into_iter().filter(|document| document.tree != Tree::Null).collect())
    }

    fn parse(text: &str) -> Result<Vec<Self>, serde_saphyr::Error> {
        // As YAML 1.2 has it: `off`, `y` and `N` are text. Numbers in unusual spellings stay as they are written.
        let options = serde_saphyr::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
        };
        serde_saphyr::from_multiple_with_options(text, options)
    }

    /// A text of our own making, on the line of the node that it replaces.
    pub(super) fn scalar(line: u64, text: impl Into<String>) -> Self {
        Self { line, tag: None, span: Span::default(), tree: Tree::Scalar(text.into()) }
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
            Tree::Scalar(text) | Tree::Literal(text) => Some(text),
            Tree::Null | Tree::Unknown(_) | Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// The text of a scalar, with `${Name}` for what is known only once it is deployed.
    pub(super) fn symbol(&self) -> Option<&str> {
        match &self.tree {
            Tree::Unknown(unknown) => unknown.text.as_deref(),
            Tree::Null | Tree::Scalar(_) | Tree::Literal(_) | Tree::List(_) | Tree::Map(_) => self.text(),
        }
    }

    /// The line of the first key of that name, anywhere below.
    pub(super) fn line_of(&self, key: &str) -> Option<u64> {
        let below = || self.entries().iter().map(|(_, node)| node).chain(self.elements());
        self.get(key).map(|found| found.line).or_else(|| below().find_map(|node| node.line_of(key)))
    }

    /// The elements of a sequence; none if it is something else.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.tree {
            Tree::List(elements) => elements,
            Tree::Null | Tree::Scalar(_) | Tree::Literal(_) | Tree::Unknown(_) | Tree::Map(_) => &[],
        }
    }

    /// The same as JSON, scalars with the type that they look like.
    pub(super) fn to_loose_json(&self) -> Value {
        match &self.tree {
            Tree::Scalar(text) => Self { tree: Tree::Literal(text.clone()), ..self.clone() }.to_json(),
            Tree::List(elements) => elements.iter().map(Self::to_loose_json).collect(),
            Tree::Map(entries) => entries.iter().map(|(name, node)| (name.clone(), node.to_loose_json())).collect(),
            Tree::Null | Tree::Literal(_) | Tree::Unknown(_) => self.to_json(),
        }
    }

    /// The same as JSON; CloudFormation's functions in their long form.
    pub(super) fn to_json(&self) -> Value {
        let bare = match &self.tree {
            Tree::Null => Value::Null,
            Tree::Scalar(text) => text.clone().into(),
            Tree::Literal(text) => match serde_json::from_str(text) {
                Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
                _ => text.clone().into(),
            },
            Tree::Unknown(unknown) => unknown.to_json(),
            Tree::List(elements) => elements.iter().map(Self::to_json).collect(),
            Tree::Map(entries) => entries.iter().map(|(name, node)| (name.clone(), node.to_json())).collect(),
        };
        match self.tag.as_deref() {
            Some("Ref") => json!({ "Ref": bare }),
            Some("Condition") => json!({ "Condition": bare }),
            Some("GetAtt") => match bare.as_str().and_then(|text| text.split_once('.')) {
                Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
                None => json!({ "Fn::GetAtt": bare }),
            },
            Some(function) if function.starts_with(|c: char| c.is_ascii_uppercase()) => {
                json!({ format!("Fn::{function}"): bare })
            }
            Some(_) | None => bare,
        }
    }

    /// A tree of JSON that was in no file, or in one scalar of a file, on its line.
    pub(super) fn from_json(line: u64, value: &Value) -> Self {
        let tree = match value {
            Value::Null => Tree::Null,
            Value::Bool(value) => Tree::Literal(value.to_string()),
            Value::Number(value) => Tree::Literal(value.to_string()),
            Value::String(text) => Tree::Scalar(text.clone()),
            Value::Array(items) => Tree::List(items.iter().map(|item| Self::from_json(line, item)).collect()),
            Value::Object(map) => {
                Tree::Map(map.iter().map(|(name, value)| (name.clone(), Self::from_json(line, value))).collect())
            }
        };
        Self { line, tag: None, span: Span::default(), tree }
    }

    /// The entries of a mapping; none if it is something else.
    pub(super) fn entries(&self) -> &[(String, Self)] {
        match &self.tree {
            Tree::Map(entries) => entries,
            Tree::Null | Tree::Scalar(_) | Tree::Literal(_) | Tree::Unknown(_) | Tree::List(_) => &[],
        }
    }
}

impl Unknown {
    fn to_json(&self) -> Value {
        let Some(text) = &self.text else {
            return self.call.as_ref().map(|call| call.to_json()).unwrap_or_default();
        };
        let one = text.strip_prefix("${").and_then(|text| text.strip_suffix('}')).filter(|name| !name.contains('}'));
        match one.map(|name| name.split_once('.').ok_or(name)) {
            Some(Ok((resource, attribute))) => json!({ "Fn::GetAtt": [resource, attribute] }),
            Some(Err(name)) => json!({ "Ref": name }),
            None if text.contains("${") => json!({ "Fn::Sub": text }),
            None => text.clone().into(),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Spanned { value: Tagged(tree, tag), referenced, .. } = Spanned::<Tagged<Tree>>::deserialize(from)?;
        let tag = tag.and_then(|tag| tag.strip_prefix('!').map(str::to_owned));
        let span = referenced.span();
        let start = span.byte_offset().unwrap_or_default() as usize;
        let span = Span { start, len: span.byte_len().unwrap_or_default() as usize };
        Ok(Self { line: referenced.line(), span, tag, tree })
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
        Ok(Tree::Literal(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Literal(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Literal(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Literal(value.to_string()))
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
        let documents = Node::documents("t.yaml", text).expect("YAML");
        assert_eq!(documents.len(), 2);
        let list = documents[0].get("b").expect("b").elements();
        assert_eq!((list[0].line, list[0].tag.as_deref(), list[0].text()), (3, Some("Ref"), Some("Size")));
        let condition = list[1].get("x").expect("x");
        assert_eq!((condition.line, condition.tag.as_deref()), (4, Some("If")));
        assert_eq!(condition.elements().iter().filter_map(Node::text).collect::<Vec<_>>(), ["C", "1", "true"]);
        assert_eq!(list[1].at(&["y"]).and_then(|y| y.tag.as_deref()), Some("GetAtt"));
        assert_eq!(documents[1].get("c").map(|c| &c.tree), Some(&Tree::Null));
    }

    fn json(text: &str) -> Vec<Value> {
        Node::documents("t.yaml", text).expect("YAML").iter().map(Node::to_json).collect()
    }

    #[test]
    fn short_tags_are_the_long_form_in_json() {
        assert_eq!(
            json(
                "a: !Ref Queue\nb: !GetAtt Queue.Arn\nc: !If [Yes, !Ref A, 1]\nd: [!Sub \"${A}-b\"]\ne: !Not [!Equals [!Ref A, \"\"]]"
            ),
            [json!({
                "a": {"Ref": "Queue"},
                "b": {"Fn::GetAtt": ["Queue", "Arn"]},
                "c": {"Fn::If": ["Yes", {"Ref": "A"}, 1]},
                "d": [{"Fn::Sub": "${A}-b"}],
                "e": {"Fn::Not": [{"Fn::Equals": [{"Ref": "A"}, ""]}]},
            })]
        );
    }

    #[test]
    fn several_documents_and_json_are_read_alike() {
        assert_eq!(json("a: 1\n---\n---\nb: \"2\"\n"), [json!({"a": 1}), json!({"b": "2"})]);
        assert_eq!(json(r#"{"a": [true, null]}"#), [json!({"a": [true, null]})]);
    }

    #[test]
    fn what_is_no_yaml_says_where_and_a_helm_template_says_what_to_do() {
        let error = |text: &str| Node::documents("broken.yaml", text).expect_err("broken").to_string();
        assert!(error("a: [1\nb: 2").starts_with("broken.yaml is no YAML: "), "{}", error("a: [1\nb: 2"));
        let helm = error("spec:\n  minReplicaCount: {{ .Values.min }}\n  {{- toYaml .Values.more | nindent 2 }}\n");
        assert!(helm.contains("render it first (helm template)"), "{helm}");
    }
}
