//! Reads an action's shape from the parameters of a form.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::super::error::Error;
use super::{Node, Shape, is_list, malformed, shape};

/// Why a form is not of the shape.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(in crate::server) struct NoShape(#[from] pub Error);

impl de::Error for NoShape {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(malformed(message.to_string()))
    }
}

impl<'de> Node<'de> {
    /// As the action's shape.
    pub(in crate::server) fn read<T: de::Deserialize<'de>>(&'de self) -> Result<T, Error> {
        T::deserialize(Parameter { node: self, name: "", shape: None }).map_err(|NoShape(error)| error)
    }
}

/// A parameter, by its name, and what it is in JSON if that is more than text.
#[derive(Clone, Copy)]
struct Parameter<'de> {
    node: &'de Node<'de>,
    name: &'de str,
    shape: Option<Shape>,
}

impl<'de> Parameter<'de> {
    /// A part of it that has no shape of its own.
    fn plain(self, node: &'de Node<'de>) -> Self {
        Self { node, name: "", shape: None }
    }

    fn list<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoShape> {
        let members = self.node.members(self.name)?;
        visitor.visit_seq(SeqDeserializer::new(members.into_iter().map(|node| self.plain(node))))
    }

    fn map<V: Visitor<'de>>(self, key: &str, visitor: V) -> Result<V::Value, NoShape> {
        let mut pairs = Vec::new();
        for (index, pair) in self.node.members(self.name)?.into_iter().enumerate() {
            let key_node = pair.of_pair(key, self.name, index + 1)?;
            let name = key_node.text.as_deref();
            let name = name.ok_or_else(|| Error::missing(&format!("{}.{}.{key}", self.name, index + 1)))?;
            pairs.push((name, self.plain(pair.of_pair("Value", self.name, index + 1)?)));
        }
        visitor.visit_map(MapDeserializer::new(pairs.into_iter()))
    }

    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoShape> {
        let text = self.node.text.as_deref().unwrap_or_default();
        let number = text.parse().map_err(|_| Error::value(text, self.name, "Must be an integer."))?;
        visitor.visit_i64(number)
    }

    fn text_or_object<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoShape> {
        match &self.node.text {
            Some(text) if self.node.parts.is_empty() => visitor.visit_borrowed_str(text),
            Some(text) => Err(NoShape(malformed(format!("a parameter is {text:?}, and has parts")))),
            None => {
                let member = |(name, node): &'de (std::borrow::Cow<'de, str>, Node<'de>)| {
                    let (in_json, shape) = shape(name);
                    (in_json, Self { node, name, shape })
                };
                visitor.visit_map(MapDeserializer::new(self.node.parts.iter().map(member)))
            }
        }
    }
}

impl<'de> IntoDeserializer<'de, NoShape> for Parameter<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Parameter<'de> {
    type Error = NoShape;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoShape> {
        match self.shape {
            Some(Shape::List(_)) => self.list(visitor),
            Some(Shape::Map(_, key)) => self.map(key, visitor),
            Some(Shape::Number) => self.number(visitor),
            // botocore writes an empty list under the name that it has in JSON.
            None if is_list(self.name) => self.list(visitor),
            None => self.text_or_object(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, NoShape> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}
