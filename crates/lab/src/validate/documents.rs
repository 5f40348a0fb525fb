//! Reads YAML (several documents, CloudFormation's short tags) and JSON into one shape.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use serde_saphyr::Tagged;

/// A file that is neither YAML nor JSON; the error says where.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {error}")]
pub struct DocumentError {
    name: String,
    error: Box<serde_saphyr::Error>,
}

/// Every document of `text`, empty ones left out. `!Ref X` becomes `{"Ref": "X"}` and so on, as in JSON templates.
///
/// # Errors
/// Text that is no YAML (JSON is YAML).
pub fn documents(name: &str, text: &str) -> Result<Vec<Value>, DocumentError> {
    // YAML 1.2's booleans: in CloudFormation, Yes and On are names.
    let options = serde_saphyr::options! { strict_booleans: true };
    let trees = serde_saphyr::from_multiple_with_options::<Tree>(text, options)
        .map_err(|error| DocumentError { name: name.to_owned(), error: Box::new(error) })?;
    Ok(trees.into_iter().map(|Tree(value)| value).filter(|value| !value.is_null()).collect())
}

/// A YAML value whose tags have been spelled out.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(TreeVisitor).map(Tree)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Value, E> {
        Ok(bool.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Tagged<Tree>>()? {
            list.push(spelled_out(item));
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = entries.next_entry::<String, Tagged<Tree>>()? {
            map.insert(key, spelled_out(value));
        }
        Ok(Value::Object(map))
    }
}

/// CloudFormation's long form of a tagged value.
fn spelled_out(tagged: Tagged<Tree>) -> Value {
    let Tree(value) = tagged.0;
    match tagged.1.as_deref().and_then(|tag| tag.strip_prefix('!')) {
        Some("Ref") => json!({ "Ref": value }),
        Some("Condition") => json!({ "Condition": value }),
        Some("GetAtt") => match value.as_str().and_then(|text| text.split_once('.')) {
            Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
            None => json!({ "Fn::GetAtt": value }),
        },
        Some(function) if function.starts_with(|c: char| c.is_ascii_uppercase()) => {
            json!({ format!("Fn::{function}"): value })
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tags_read_as_the_long_form() {
        let read = documents(
            "template",
            "a: !Ref Queue\nb: !GetAtt Queue.Arn\nc: !If [Yes, !Ref A, 1]\nd: [!Sub \"${A}-b\"]\ne: !Not [!Equals [!Ref A, \"\"]]",
        )
        .expect("YAML");
        assert_eq!(
            read,
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
        assert_eq!(documents("k", "a: 1\n---\n---\nb: \"2\"\n").expect("YAML"), [json!({"a": 1}), json!({"b": "2"})]);
        assert_eq!(documents("j", r#"{"a": [true, null]}"#).expect("JSON"), [json!({"a": [true, null]})]);
    }

    #[test]
    fn what_is_no_yaml_says_where() {
        let error = documents("broken.yaml", "a: [1\nb: 2").expect_err("broken").to_string();
        assert!(error.starts_with("broken.yaml: "), "{error}");
    }
}
