//! What a message carries, what SQS checks of it, and the MD5s by which the SDKs check SQS.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};

use super::error::{Code, Error};

/// Bytes of a message, and of a batch, at most.
pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_ATTRIBUTES: usize = 10;

/// A message's content, and where it was a dead letter of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Payload {
    /// What was sent.
    pub content: Arc<Content>,
    /// The ARN of the queue that it was moved from.
    pub origin: Option<Arc<str>>,
}

/// What was sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct Content {
    /// The text.
    pub body: Box<str>,
    /// Its MD5 in hexadecimal.
    pub body_md5: Hex,
    /// User attributes.
    pub attributes: BTreeMap<String, Attribute>,
    /// `AWSTraceHeader`.
    pub trace: Option<Box<str>>,
    /// Bytes that count: body, and each attribute's name, type and value.
    pub bytes: usize,
}

/// A message attribute as it is on the wire. Bytes stay in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Attribute {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
    #[serde(default, skip_serializing, deserialize_with = "super::batch::list")]
    string_list_values: Vec<String>,
    #[serde(default, skip_serializing, deserialize_with = "super::batch::list")]
    binary_list_values: Vec<String>,
    #[serde(default)]
    data_type: String,
}

/// An MD5 in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Hex([u8; 32]);

impl Hex {
    fn of(md5: Md5) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(md5.finalize()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(hex)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<Hex> for String {
    fn from(hex: Hex) -> Self {
        hex.as_str().to_owned()
    }
}

impl TryFrom<String> for Hex {
    type Error = std::array::TryFromSliceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.as_bytes().try_into().map(Self)
    }
}

impl Content {
    /// Checks a message against all limits but the queue's own size, and takes its MD5.
    pub fn new(
        body: &str,
        attributes: BTreeMap<String, Attribute>,
        system: &BTreeMap<String, Attribute>,
    ) -> Result<Self, Error> {
        if body.is_empty() {
            return Err(Error::missing("MessageBody"));
        }
        check_characters(body)?;
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(invalid(format!(
                "Number of message attributes [{}] exceeds the allowed maximum [10].",
                attributes.len()
            )));
        }
        let mut bytes = body.len();
        for (name, attribute) in &attributes {
            check_name(name)?;
            bytes += name.len() + attribute.data_type.len() + attribute.check(name, "user")?;
        }
        for (name, attribute) in system {
            if name != "AWSTraceHeader" || attribute.data_type != "String" {
                return Err(invalid(format!("Message system attribute '{name}' is invalid.")));
            }
            attribute.check(name, "system")?;
        }
        let trace = system.get("AWSTraceHeader").and_then(|trace| trace.string_value.as_deref()).map(Into::into);
        let mut md5 = Md5::new();
        md5.update(body);
        Ok(Self { body: body.into(), body_md5: Hex::of(md5), attributes, trace, bytes })
    }
}

/// The MD5 of attributes: each, by name, as length and bytes of name, type and value, with a byte for the kind of value
/// (SQS developer guide, "Calculating the MD5 message digest for message attributes").
pub(super) fn attributes_md5<'a>(attributes: impl Iterator<Item = (&'a String, &'a Attribute)>) -> Option<Hex> {
    let mut md5 = Md5::new();
    let mut any = false;
    let field = |md5: &mut Md5, bytes: &[u8]| {
        md5.update((bytes.len() as u32).to_be_bytes());
        md5.update(bytes);
    };
    for (name, attribute) in attributes {
        any = true;
        field(&mut md5, name.as_bytes());
        field(&mut md5, attribute.data_type.as_bytes());
        match (&attribute.string_value, &attribute.binary_value) {
            (Some(text), _) => {
                md5.update([1]);
                field(&mut md5, text.as_bytes());
            }
            (None, binary) => {
                md5.update([2]);
                field(&mut md5, &BASE64.decode(binary.as_deref().unwrap_or_default()).unwrap_or_default());
            }
        }
    }
    any.then(|| Hex::of(md5))
}

impl Attribute {
    /// Checks type and value; returns the bytes of the value.
    fn check(&self, name: &str, kind: &str) -> Result<usize, Error> {
        if !self.string_list_values.is_empty() || !self.binary_list_values.is_empty() {
            let message = "Message attribute list values in SendMessage operation are not supported.";
            return Err(Error::new(Code::UnsupportedOperation, message));
        }
        let fault = |what: String| invalid(format!("Message ({kind}) attribute '{name}' {what}"));
        let base = self.data_type.split('.').next().unwrap_or_default();
        if self.data_type.is_empty() {
            return Err(fault("must contain a non-empty message attribute type.".to_owned()));
        }
        if self.data_type.len() > 256 {
            return Err(fault("has a type that is longer than 256 bytes.".to_owned()));
        }
        let empty = || fault(format!("must contain a non-empty value of type '{base}'."));
        match base {
            "String" | "Number" => {
                let text = self.string_value.as_deref().filter(|text| !text.is_empty()).ok_or_else(empty)?;
                if self.binary_value.is_some() {
                    return Err(fault("has more than one value.".to_owned()));
                }
                // AWS names another code here than for the body.
                check_characters(text).map_err(|error| Error { code: Code::InvalidParameterValue, ..error })?;
                if base == "Number" && text.trim().parse::<f64>().is_err() {
                    return Err(fault("must contain a numeric value.".to_owned()));
                }
                Ok(text.len())
            }
            "Binary" => {
                let text = self.binary_value.as_deref().filter(|text| !text.is_empty()).ok_or_else(empty)?;
                if self.string_value.is_some() {
                    return Err(fault("has more than one value.".to_owned()));
                }
                let bytes =
                    BASE64.decode(text).map_err(|_| Error::new(Code::Serialization, "BinaryValue is not base64"))?;
                Ok(bytes.len())
            }
            other => Err(fault(format!(
                "has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String, not {other}."
            ))),
        }
    }
}

fn invalid(message: String) -> Error {
    Error::new(Code::InvalidParameterValue, message)
}

/// `#x9 | #xA | #xD | #x20–#xD7FF | #xE000–#xFFFD | #x10000–#x10FFFF` (SQS API reference, SendMessage).
fn check_characters(text: &str) -> Result<(), Error> {
    let is_bad =
        |c: char| matches!(c, '\0'..='\u{8}' | '\u{B}' | '\u{C}' | '\u{E}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}');
    // Most text is found good by its bytes alone; U+FFFE and U+FFFF begin with 0xEF.
    let suspect = text.bytes().any(|b| b == 0xEF || (b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')));
    match suspect && text.chars().any(is_bad) {
        true => Err(Error::new(
            Code::InvalidMessageContents,
            "Invalid binary character was found in the message body, the set of allowed characters is #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF",
        )),
        false => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let lower = name.to_ascii_lowercase();
    let good = (1..=256).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.");
    match good {
        true => Ok(()),
        false => Err(invalid(format!(
            "Message (user) attribute name '{name}' is invalid: it can only contain up to 256 of A-Z, a-z, 0-9, '_', '-' and '.', not begin or end with '.', nor begin with AWS. or Amazon."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_md5_of_attributes_is_the_one_that_boto3_expects() {
        let attribute = |data_type: &str, text: Option<&str>, binary: Option<&str>| Attribute {
            string_value: text.map(str::to_owned),
            binary_value: binary.map(str::to_owned),
            string_list_values: Vec::new(),
            binary_list_values: Vec::new(),
            data_type: data_type.to_owned(),
        };
        // moto's test of the same algorithm.
        let attributes =
            BTreeMap::from([("timestamp".to_owned(), attribute("Number.java.lang.Long", Some("1493147359900"), None))]);
        assert_eq!(
            attributes_md5(attributes.iter()).map(|md5| md5.as_str().to_owned()).as_deref(),
            Some("2e2e4876d8e0bd6b8c2c8f556831c349")
        );
        assert_eq!(attributes_md5(BTreeMap::new().iter()), None);
    }
}
