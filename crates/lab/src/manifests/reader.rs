//! Takes values out of a mapping one by one, and remembers what was wrong and what nobody asked for.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::node::{Node, Tree};

/// Collects mistakes and warnings about one file.
pub(super) struct Reader {
    file: String,
    mistakes: Vec<String>,
    warnings: Vec<String>,
}

/// A mapping that is being read. What is not taken until [`Fields::rest`] gives a warning.
pub(super) struct Fields<'a> {
    path: String,
    left: Vec<(&'a str, &'a Node)>,
}

impl Reader {
    /// A reader that calls the file `file`.
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), mistakes: Vec::new(), warnings: Vec::new() }
    }

    /// The warnings, or the mistakes if there are any.
    pub(super) fn finish(self) -> Result<Vec<String>, Vec<String>> {
        if self.mistakes.is_empty() { Ok(self.warnings) } else { Err(self.mistakes) }
    }

    /// Something is wrong at a line.
    pub(super) fn mistake(&mut self, line: u64, what: impl Display) {
        self.mistakes.push(format!("{}, line {line}: {what}", self.file));
    }

    /// Something is wrong with the file as a whole.
    pub(super) fn mistake_in_all(&mut self, what: impl Display) {
        self.mistakes.push(format!("{}: {what}", self.file));
    }

    /// Something is not covered by the model.
    pub(super) fn warn(&mut self, line: u64, what: impl Display) {
        self.warnings.push(format!("{}, line {line}: {what}", self.file));
    }

    /// Something that should be in the file is not.
    pub(super) fn warn_of_all(&mut self, what: impl Display) {
        self.warnings.push(format!("{}: {what}", self.file));
    }

    /// The entries of a mapping; an empty node has none.
    pub(super) fn fields<'a>(&mut self, node: &'a Node, path: &str) -> Fields<'a> {
        if !matches!(node.tree, Tree::Map(_) | Tree::Null) {
            self.mistake(node.line, format_args!("{path} is no mapping of names to values"));
        }
        let left = node.entries().iter().map(|(name, node)| (name.as_str(), node)).collect();
        Fields { path: path.to_owned(), left }
    }

    /// Reads a scalar, if there is one; `expected` says what to write.
    pub(super) fn parse<T: FromStr>(&mut self, node: &Node, path: &str, expected: &str) -> Option<T> {
        let text = node.text().unwrap_or("this");
        if let Some(tag) = &node.tag {
            let what = "has no value here, without an account or a default: write the value";
            self.mistake(node.line, format_args!("{path}: !{tag} {text} {what}"));
            return None;
        }
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.mistake(node.line, format_args!("{path}: '{text}' cannot be: write {expected}"));
        }
        value
    }
}

impl<'a> Fields<'a> {
    /// Path of one of the fields, from the top of the document.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
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
