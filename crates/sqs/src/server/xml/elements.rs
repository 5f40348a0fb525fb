//! Writes what would be JSON as elements, without a tree in between.
//!
//! A member of an object is an element of its name. A list has an element for each of its members, a map one for each of
//! its pairs. Objects without a type of their own are maps to serde; they are told from maps by where they stand.

use std::fmt::Display;

use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};

use super::{close, leaf, open};

/// What cannot be written. No answer has it.
#[derive(Debug, thiserror::Error)]
#[error("no XML of the Query protocol: {0}")]
pub(in crate::server) struct NoXml(String);

impl ser::Error for NoXml {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) enum ElementPlace<'a> {
    /// It is the answer: its members are written.
    Root,
    /// It is the member of that name of an object.
    Member(&'a str),
    /// It is one of a list, or of a map, under that name.
    One(&'a str),
    /// It is a name itself.
    Key,
}

/// The elements of one value.
pub(super) struct Elements<'a> {
    /// Where they go.
    pub out: &'a mut String,
    /// What is answered.
    pub action: &'a str,
    /// Where the value stands.
    pub place: ElementPlace<'a>,
}

impl<'a> Elements<'a> {
    fn text(self, text: &str) -> Result<(), NoXml> {
        match self.place {
            ElementPlace::Member(name) | ElementPlace::One(name) => {
                leaf(self.out, name, text);
                Ok(())
            }
            ElementPlace::Key => {
                self.out.push_str(text);
                Ok(())
            }
            ElementPlace::Root => Err(NoXml(format!("an answer is an object, and not {text}"))),
        }
    }

    /// An object: the element that holds its members, if it is not the answer.
    fn object(self) -> Object<'a> {
        let name = match self.place {
            ElementPlace::Root | ElementPlace::Key => None,
            ElementPlace::Member(name) | ElementPlace::One(name) => Some(name),
        };
        if let Some(name) = name {
            open(self.out, name);
        }
        Object { out: self.out, action: self.action, name, key: String::new() }
    }
}

/// Members of an object.
pub(super) struct Object<'a> {
    out: &'a mut String,
    action: &'a str,
    name: Option<&'a str>,
    key: String,
}

impl Object<'_> {
    fn member(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), NoXml> {
        value.serialize(Elements { out: self.out, action: self.action, place: ElementPlace::Member(name) })
    }

    fn close(self) {
        if let Some(name) = self.name {
            close(self.out, name);
        }
    }
}

impl SerializeStruct for Object<'_> {
    type Ok = ();
    type Error = NoXml;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), NoXml> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), NoXml> {
        self.close();
        Ok(())
    }
}

/// An object without a type, or pairs of a map.
pub(super) enum MapElements<'a> {
    /// Its keys are names of members.
    Object(Object<'a>),
    /// Each pair is an element.
    Pairs {
        /// Where they go.
        out: &'a mut String,
        /// What is answered.
        action: &'a str,
        /// The name of such an element.
        name: &'a str,
        /// What the key is called in it.
        key_name: &'static str,
    },
}

impl SerializeMap for MapElements<'_> {
    type Ok = ();
    type Error = NoXml;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NoXml> {
        match self {
            Self::Object(object) => {
                object.key.clear();
                key.serialize(Elements { out: &mut object.key, action: object.action, place: ElementPlace::Key })
            }
            Self::Pairs { out, action, name, key_name } => {
                open(out, name);
                key.serialize(Elements { out, action, place: ElementPlace::One(key_name) })
            }
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoXml> {
        match self {
            Self::Object(object) => {
                let key = std::mem::take(&mut object.key);
                object.member(&key, value)?;
                object.key = key;
            }
            Self::Pairs { out, action, name, .. } => {
                value.serialize(Elements { out, action, place: ElementPlace::One("Value") })?;
                close(out, name);
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), NoXml> {
        if let Self::Object(object) = self {
            object.close();
        }
        Ok(())
    }
}

/// Members of a list.
pub(super) struct List<'a> {
    out: &'a mut String,
    action: &'a str,
    /// What a member is called.
    name: String,
}

impl SerializeSeq for List<'_> {
    type Ok = ();
    type Error = NoXml;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NoXml> {
        value.serialize(Elements { out: self.out, action: self.action, place: ElementPlace::One(&self.name) })
    }

    fn end(self) -> Result<(), NoXml> {
        Ok(())
    }
}

/// What a member of a list is called.
fn member_of(list: &str, action: &str) -> String {
    match list {
        "Successful" | "Results" => format!("{action}ResultEntry"),
        "Failed" => "BatchResultErrorEntry".to_owned(),
        "queueUrls" => "QueueUrl".to_owned(),
        plural => plural.trim_end_matches('s').to_owned(),
    }
}

macro_rules! shown {
    ($($name:ident: $type:ty),*) => {$(
        fn $name(self, value: $type) -> Result<(), NoXml> {
            self.text(&value.to_string())
        }
    )*};
}

impl<'a> Serializer for Elements<'a> {
    type Ok = ();
    type Error = NoXml;
    type SerializeSeq = List<'a>;
    type SerializeMap = MapElements<'a>;
    type SerializeStruct = Object<'a>;
    type SerializeTuple = Impossible<(), NoXml>;
    type SerializeTupleStruct = Impossible<(), NoXml>;
    type SerializeTupleVariant = Impossible<(), NoXml>;
    type SerializeStructVariant = Impossible<(), NoXml>;

    shown!(
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_u8: u8,
        serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_f32: f32, serialize_f64: f64, serialize_char: char
    );

    fn serialize_str(self, text: &str) -> Result<(), NoXml> {
        self.text(text)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), NoXml> {
        Err(ser::Error::custom("bytes"))
    }

    fn serialize_none(self) -> Result<(), NoXml> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), NoXml> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), NoXml> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), NoXml> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), NoXml> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), NoXml> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), NoXml> {
        Err(ser::Error::custom(name))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'a>, NoXml> {
        match self.place {
            ElementPlace::Member(name) => {
                Ok(List { out: self.out, action: self.action, name: member_of(name, self.action) })
            }
            ElementPlace::Root | ElementPlace::One(_) | ElementPlace::Key => {
                Err(ser::Error::custom("a list that is no member"))
            }
        }
    }

    fn serialize_map(self, _: Option<usize>) -> Result<MapElements<'a>, NoXml> {
        Ok(match self.place {
            ElementPlace::Member(name) => {
                let (name, key_name) =
                    if name == "Tags" { ("Tag", "Key") } else { (name.trim_end_matches('s'), "Name") };
                MapElements::Pairs { out: self.out, action: self.action, name, key_name }
            }
            ElementPlace::Root | ElementPlace::One(_) | ElementPlace::Key => MapElements::Object(self.object()),
        })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Object<'a>, NoXml> {
        Ok(self.object())
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, NoXml> {
        Err(ser::Error::custom("a tuple"))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Self::SerializeTuple, NoXml> {
        Err(ser::Error::custom(name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTuple, NoXml> {
        Err(ser::Error::custom(name))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTuple, NoXml> {
        Err(ser::Error::custom(name))
    }
}
