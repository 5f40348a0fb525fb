//! Takes values out of a mapping one by one, and remembers what was wrong and what nobody asked for.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::node::{Node, Tree};

/// Something wrong in a file, or something that the model leaves out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What it is, and what to write.
    pub what: String,
}

impl Remark {
    /// Where it stands.
    pub fn place(&self) -> String {
        let line = if self.line == 0 { String::new() } else { format!(", line {}", self.line) };
        format!("{}{line}", self.file)
    }
}

impl Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place(), self.what)
    }
}

/// Collects mistakes and warnings about one file.
pub(crate) struct Reader {
    file: String,
    /// What cannot be read, or what its owner refuses.
    pub mistakes: Vec<Remark>,
    /// What the API server refuses, while it is plain what is meant.
    pub refused: Vec<Remark>,
    /// What the model does not have.
    pub warnings: Vec<Remark>,
}

/// A mapping that is being read. What is not taken until [`Fields::rest`] gives a warning.
pub(crate) struct Fields<'a> {
    path: String,
    line: u64,
    left: Vec<(&'a str, &'a Node)>,
}

impl Reader {
    /// A reader that calls the file `file`.
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), mistakes: Vec::new(), refused: Vec::new(), warnings: Vec::new() }
    }

    /// The warnings, or the mistakes if there are any.
    pub(super) fn finish(self) -> Result<Vec<String>, Vec<String>> {
        let texts = |remarks: Vec<Remark>| remarks.iter().map(ToString::to_string).collect();
        match self.mistakes.is_empty() {
            true => Ok(texts([self.refused, self.warnings].concat())),
            false => Err(texts(self.mistakes)),
        }
    }

    fn remark(&self, line: u64, what: impl Display) -> Remark {
        Remark { file: self.file.clone(), line, what: what.to_string() }
    }

    /// Something is wrong at a line.
    pub(super) fn mistake(&mut self, line: u64, what: impl Display) {
        self.mistakes.push(self.remark(line, what));
    }

    /// The API server refuses this, while it is plain what is meant.
    pub(super) fn refuse(&mut self, line: u64, what: impl Display) {
        self.refused.push(self.remark(line, what));
    }

    /// The API server wants a string here, and a number or a boolean in quotes is one.
    pub(super) fn refuse_bare(&mut self, node: &Node, path: &str) {
        if let Tree::Literal(text) = &node.tree {
            let what = "the API server refuses a number or a boolean where it wants a string";
            self.refuse(node.line, format_args!("{path}: write \"{text}\", in quotes: {what}"));
        }
    }

    /// The API server wants a number here.
    pub(super) fn refuse_quoted(&mut self, node: &Node, path: &str) {
        if let Tree::Scalar(text) = &node.tree {
            let what = "the API server refuses a string where it wants a number";
            self.refuse(node.line, format_args!("{path}: write {text} without quotes: {what}"));
        }
    }

    /// Something is wrong with the file as a whole.
    pub(super) fn mistake_in_all(&mut self, what: impl Display) {
        self.mistakes.push(self.remark(0, what));
    }

    /// Something is not covered by the model.
    pub(super) fn warn(&mut self, line: u64, what: impl Display) {
        self.warnings.push(self.remark(line, what));
    }

    /// The entries of a mapping; an empty node has none.
    pub(super) fn fields<'a>(&mut self, node: &'a Node, path: &str) -> Fields<'a> {
        if let Tree::Unknown(unknown) = &node.tree {
            self.unknown(node.line, path, &unknown.why);
        } else if !matches!(node.tree, Tree::Map(_) | Tree::Null) {
            self.mistake(node.line, format_args!("{path} is no mapping of names to values"));
        }
        let left = node.entries().iter().map(|(name, node)| (name.as_str(), node)).collect();
        Fields { path: path.to_owned(), line: node.line, left }
    }

    /// Reads a scalar, if there is one; `expected` says what to write.
    pub(super) fn parse<T: FromStr>(&mut self, node: &Node, path: &str, expected: &str) -> Option<T> {
        let text = node.text().unwrap_or("this");
        if let Tree::Unknown(unknown) = &node.tree {
            self.unknown(node.line, path, &unknown.why);
            return None;
        }
        let value = text.trim().parse().ok();
        if value.is_none() {
            let helm =
                if text.contains("{{") { "; it is of a Helm template: render it first (helm template)" } else { "" };
            self.mistake(node.line, format_args!("{path}: '{text}' cannot be: write {expected}{helm}"));
        }
        value
    }

    /// A value is needed that is not known.
    pub(super) fn unknown(&mut self, line: u64, path: &str, why: &[String]) {
        let why =
            if why.is_empty() { "it is worked out when the template is deployed".to_owned() } else { why.join("; ") };
        self.mistake(line, format_args!("{path} has no value here: {why}"));
    }
}

impl<'a> Fields<'a> {
    /// Path of one of the fields, from the top of the document.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Line of the mapping.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What is left to take.
    pub(super) fn left(&self) -> &[(&'a str, &'a Node)] {
        &self.left
    }

    /// Takes a field, unless it is null.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a Node> {
        let at = self.left.iter().position(|(key, _)| *key == name)?;
        Some(self.left.remove(at).1).filter(|node| node.tree != Tree::Null)
    }

    /// Takes a mapping.
    pub(super) fn fields(&mut self, reader: &mut Reader, name: &str) -> Option<Fields<'a>> {
        let node = self.take(name)?;
        Some(reader.fields(node, &self.path_of(name)))
    }

    /// Takes a scalar of type `T`.
    pub(super) fn parsed<T: FromStr>(&mut self, reader: &mut Reader, name: &str, expected: &str) -> Option<T> {
        let node = self.take(name)?;
        reader.parse(node, &self.path_of(name), expected)
    }

    /// Takes a whole number into `into`, if it is there.
    pub(super) fn number<T: FromStr>(&mut self, reader: &mut Reader, name: &str, into: &mut T) {
        if let Some(value) = self.parsed(reader, name, "a whole number, 0 or more") {
            *into = value;
        }
    }

    /// Takes a number of seconds into `into`, if it is there.
    pub(super) fn seconds(&mut self, reader: &mut Reader, name: &str, into: &mut Duration) {
        if let Some(seconds) = self.parsed::<u32>(reader, name, "a whole number of seconds, 0 or more") {
            *into = Duration::from_secs(seconds.into());
        }
    }

    /// Takes a whole number within these bounds; its owner refuses others.
    pub(super) fn within<T>(&mut self, reader: &mut Reader, name: &str, bounds: RangeInclusive<T>) -> Option<T>
    where
        T: FromStr + PartialOrd + Display,
    {
        let node = self.take(name)?;
        let path = self.path_of(name);
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let value: T = reader.parse(node, &path, &expected)?;
        if bounds.contains(&value) {
            return Some(value);
        }
        reader.mistake(node.line, format_args!("{path}: {value} is refused: write {expected}"));
        None
    }

    /// Takes true or false into `into`, if it is there.
    pub(super) fn switch(&mut self, reader: &mut Reader, name: &str, into: &mut bool) {
        if let Some(value) = self.parsed(reader, name, "true or false") {
            *into = value;
        }
    }

    /// Takes fields that have no bearing on scaling.
    pub(super) fn rest_of(&mut self, no_bearing: &[&str]) {
        self.left.retain(|(name, _)| !no_bearing.contains(name));
    }

    /// Warns of every field that was not taken, but for those that have no bearing on scaling.
    pub(super) fn rest(self, reader: &mut Reader, no_bearing: &[&str]) {
        for (name, node) in self.left.iter().filter(|(name, _)| !no_bearing.contains(name)) {
            let path = self.path_of(name);
            reader.warn(node.line, format_args!("{path} is not covered by the model, and was left out"));
        }
    }
}
