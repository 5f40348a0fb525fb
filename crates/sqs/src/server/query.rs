//! The SQS Query protocol, which SDKs spoke until late 2023: a form names the action and its parameters, `Attribute.1.Name`
//! for what JSON nests. Names and shapes are those of botocore 1.29's model of SQS (`data/sqs/2012-11-05/service-2.json`).

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::error::{Code, Error};

mod shape;

/// The one version of the protocol that SQS still answers.
const VERSION: &str = "2012-11-05";
/// `SendMessageBatchRequestEntry.1.MessageAttribute.1.Value.StringListValue.1` has seven parts.
const MAX_PARTS: usize = 8;
/// Ten entries of ten attributes of three parameters each, and as much again: names are looked for one after the other.
const MAX_PARAMETERS: usize = 1000;

/// What a parameter is in JSON.
#[derive(Clone, Copy)]
enum Shape {
    /// `Name.1`, `Name.2`: a list.
    List(&'static str),
    /// `Name.1.Name` and `Name.1.Value`: a map. The second is what its keys are called.
    Map(&'static str, &'static str),
    /// A whole number.
    Number,
}

/// Parameters that are more than text.
const PARAMETERS: &[(&str, Shape)] = &[
    ("AWSAccountId", Shape::List("AWSAccountIds")),
    ("ActionName", Shape::List("Actions")),
    ("Attribute", Shape::Map("Attributes", "Name")),
    ("AttributeName", Shape::List("AttributeNames")),
    ("BinaryListValue", Shape::List("BinaryListValues")),
    ("ChangeMessageVisibilityBatchRequestEntry", Shape::List("Entries")),
    ("DelaySeconds", Shape::Number),
    ("DeleteMessageBatchRequestEntry", Shape::List("Entries")),
    ("MaxNumberOfMessages", Shape::Number),
    ("MaxNumberOfMessagesPerSecond", Shape::Number),
    ("MaxResults", Shape::Number),
    ("MessageAttribute", Shape::Map("MessageAttributes", "Name")),
    ("MessageAttributeName", Shape::List("MessageAttributeNames")),
    ("MessageSystemAttribute", Shape::Map("MessageSystemAttributes", "Name")),
    ("MessageSystemAttributeName", Shape::List("MessageSystemAttributeNames")),
    ("SendMessageBatchRequestEntry", Shape::List("Entries")),
    ("StringListValue", Shape::List("StringListValues")),
    ("Tag", Shape::Map("Tags", "Key")),
    ("TagKey", Shape::List("TagKeys")),
    // The model has no other name for the map of TagQueue.
    ("Tags", Shape::Map("Tags", "Key")),
    ("VisibilityTimeout", Shape::Number),
    ("WaitTimeSeconds", Shape::Number),
];

/// A request: its action and its parameters.
pub(super) struct Query<'a> {
    /// `Action`.
    pub action: Cow<'a, str>,
    /// What serde reads the action's shape from.
    pub parameters: Node<'a>,
}

impl<'a> Query<'a> {
    /// Reads the forms of a request, its address's and its body's. `path` names the queue if no parameter does.
    pub(super) fn parse(path: &'a str, forms: &[&'a [u8]]) -> Result<Self, Error> {
        let mut tree = Node::default();
        let pairs = forms.iter().flat_map(|form| form.split(|byte| *byte == b'&')).filter(|pair| !pair.is_empty());
        for (nth, pair) in pairs.enumerate() {
            if nth == MAX_PARAMETERS {
                return Err(malformed(format!("it has more than {MAX_PARAMETERS} parameters")));
            }
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            tree.insert(text(&pair[..at])?, text(pair.get(at + 1..).unwrap_or_default())?)?;
        }
        let action = tree.take("Action").and_then(|node| node.text);
        let action = action.filter(|action| !action.is_empty());
        let action =
            action.ok_or_else(|| Error::new(Code::MissingAction, "The request must contain the parameter Action."))?;
        if let Some(version) = tree.take("Version").and_then(|node| node.text).filter(|it| it != VERSION) {
            let message = format!("The action {action} is not valid for version {version}: use {VERSION}.");
            return Err(Error::new(Code::InvalidAction, message));
        }
        let path = path.trim_matches('/');
        if !path.is_empty() && !tree.parts.iter().any(|(name, _)| name == "QueueUrl") {
            tree.insert(Cow::Borrowed("QueueUrl"), text(path.as_bytes())?)?;
        }
        Ok(Self { action, parameters: tree })
    }
}

/// Parameters by the parts of their names.
#[derive(Default)]
pub(super) struct Node<'a> {
    text: Option<Cow<'a, str>>,
    parts: Parts<'a>,
}

type Parts<'a> = Vec<(Cow<'a, str>, Node<'a>)>;

impl<'a> Node<'a> {
    /// The part of that name, which most often is the one that was there last.
    fn part(&mut self, name: Cow<'a, str>) -> &mut Self {
        let at = self.parts.iter().rposition(|(known, _)| *known == name).unwrap_or_else(|| {
            self.parts.push((name, Self::default()));
            self.parts.len() - 1
        });
        &mut self.parts[at].1
    }

    fn take(&mut self, name: &str) -> Option<Self> {
        let at = self.parts.iter().position(|(known, _)| known == name)?;
        Some(self.parts.swap_remove(at).1)
    }

    fn insert(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) -> Result<(), Error> {
        let mut node = self;
        if name.split('.').count() > MAX_PARTS {
            return Err(malformed(format!("the parameter {name} has too many parts")));
        }
        match &name {
            Cow::Borrowed(name) => {
                for part in name.split('.') {
                    node = node.part(Cow::Borrowed(part));
                }
            }
            Cow::Owned(name) => {
                for part in name.split('.') {
                    node = node.part(Cow::Owned(part.to_owned()));
                }
            }
        }
        match node.text.replace(value) {
            None => Ok(()),
            Some(_) => Err(malformed(format!("the parameter {name} is there twice"))),
        }
    }

    /// The members of a list, by their numbers. One without a number is the only one; one without anything is none, which is
    /// how SDKs write a list that is empty.
    fn members(&self, name: &str) -> Result<Vec<&Self>, Error> {
        if self.parts.is_empty() && self.text.as_deref() == Some("") {
            return Ok(Vec::new());
        }
        if self.parts.is_empty() || self.parts.iter().all(|(part, _)| part.parse::<u32>().is_err()) {
            return Ok(vec![self]);
        }
        let mut members = Vec::with_capacity(self.parts.len());
        for (part, node) in &self.parts {
            let number = part.parse::<u32>().map_err(|_| malformed(format!("{name}.{part} is no member of a list")))?;
            members.push((number, node));
        }
        members.sort_by_key(|(number, _)| *number);
        Ok(members.into_iter().map(|(_, node)| node).collect())
    }

    /// The part of that name of a pair.
    fn of_pair(&self, part: &str, pair: &str, index: usize) -> Result<&Self, Error> {
        let found = self.parts.iter().find(|(known, _)| known == part);
        found.map(|(_, node)| node).ok_or_else(|| Error::missing(&format!("{pair}.{index}.{part}")))
    }
}

/// What a parameter is called in JSON, and what it is there if that is more than text.
fn shape(name: &str) -> (&str, Option<Shape>) {
    match PARAMETERS.binary_search_by(|(known, _)| (*known).cmp(name)).map(|at| PARAMETERS[at].1) {
        Err(_) => (name, None),
        Ok(shape) => match shape {
            Shape::List(in_json) | Shape::Map(in_json, _) => (in_json, Some(shape)),
            Shape::Number => (name, Some(shape)),
        },
    }
}

/// True when the name is that of a list in JSON.
fn is_list(name: &str) -> bool {
    PARAMETERS.iter().any(|(_, shape)| matches!(shape, Shape::List(member) if *member == name))
}

/// Text of a form: `+` is a space, `%` begins two hexadecimal digits.
fn text(bytes: &[u8]) -> Result<Cow<'_, str>, Error> {
    let not_utf8 = |_| malformed("a parameter is not UTF-8".to_owned());
    if bytes.contains(&b'+') {
        let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        return Ok(Cow::Owned(percent_decode(&spaced).decode_utf8().map_err(not_utf8)?.into_owned()));
    }
    percent_decode(bytes).decode_utf8().map_err(not_utf8)
}

fn malformed(why: String) -> Error {
    Error::new(Code::MalformedQueryString, format!("The query string is malformed: {why}."))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The action, and the parameters as they would be in JSON.
    fn parse_at(path: &str, form: &str) -> Result<(String, Value), Error> {
        let query = Query::parse(path, &[form.as_bytes()])?;
        Ok((query.action.clone().into_owned(), query.parameters.read()?))
    }

    fn parse(form: &str) -> Result<(String, Value), Error> {
        parse_at("/", form)
    }

    #[test]
    fn parameters_are_found_by_binary_search() {
        assert!(PARAMETERS.is_sorted_by_key(|(name, _)| name));
    }

    #[test]
    fn a_form_becomes_what_json_would_be() {
        let query = parse(concat!(
            "Action=SendMessageBatch&Version=2012-11-05&QueueUrl=http%3A%2F%2Fh%2F0%2Fq",
            "&SendMessageBatchRequestEntry.10.Id=j&SendMessageBatchRequestEntry.2.Id=b",
            "&SendMessageBatchRequestEntry.2.MessageBody=a+b%2B%C3%A9&SendMessageBatchRequestEntry.2.DelaySeconds=5",
            "&SendMessageBatchRequestEntry.2.MessageAttribute.1.Name=n",
            "&SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.DataType=String",
            "&SendMessageBatchRequestEntry.2.MessageAttribute.1.Value.StringValue=v",
        ));
        let (action, parameters) = query.expect("well formed");
        assert_eq!(action, "SendMessageBatch");
        let attributes = json!({ "n": { "DataType": "String", "StringValue": "v" } });
        let entry = json!({ "Id": "b", "MessageBody": "a b+é", "DelaySeconds": 5, "MessageAttributes": attributes });
        assert_eq!(parameters, json!({ "QueueUrl": "http://h/0/q", "Entries": [entry, { "Id": "j" }] }));
    }

    #[test]
    fn one_member_needs_no_number_and_the_path_names_the_queue() {
        let form = "Action=SetQueueAttributes&Attribute.Name=DelaySeconds&Attribute.Value=5&AttributeName=All";
        let (_, parameters) = parse_at("/000000000000/q", form).expect("well formed");
        let expected =
            json!({ "Attributes": { "DelaySeconds": "5" }, "AttributeNames": ["All"], "QueueUrl": "000000000000/q" });
        assert_eq!(parameters, expected);
    }

    #[test]
    fn an_empty_list_has_no_members() {
        let form = "Action=A&SendMessageBatchRequestEntry=&AttributeNames=&TagKey=";
        let (_, parameters) = parse(form).expect("well formed");
        assert_eq!(parameters, json!({ "Entries": [], "AttributeNames": [], "TagKeys": [] }));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let many = (0..1000).fold("Action=A".to_owned(), |form, nth| form + &format!("&Tag.{nth}.Key=k"));
        let deep = format!("Action=A&{}=1", "x.".repeat(100_000));
        for (form, code) in [
            ("", Code::MissingAction),
            ("Action=", Code::MissingAction),
            ("Action=ListQueues&Version=1999-01-01", Code::InvalidAction),
            ("Action=A&a=1&a=2", Code::MalformedQueryString),
            (&many, Code::MalformedQueryString),
            ("Action=A&AttributeName.1=a&AttributeName.x=b", Code::MalformedQueryString),
            ("Action=A&QueueUrl=%FF", Code::MalformedQueryString),
            (&deep, Code::MalformedQueryString),
            ("Action=A&Attribute.1.Value=5", Code::MissingParameter),
            ("Action=A&Attribute.1.Name=a", Code::MissingParameter),
            ("Action=A&WaitTimeSeconds=soon", Code::InvalidParameterValue),
            ("Action=A&WaitTimeSeconds=", Code::InvalidParameterValue),
        ] {
            let error = parse(form).err().unwrap_or_else(|| panic!("{form:.60} was read"));
            assert_eq!(error.code, code, "{form:.60}: {}", error.message);
        }
    }
}
