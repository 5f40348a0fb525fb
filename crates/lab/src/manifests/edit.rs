//! Changes single values in a YAML file and leaves every other byte as it is: comments, order, quotes.
//!
//! It knows block style only, line by line. What it cannot find or change it says so; whoever calls it reads the result
//! back, so that a file in another style is refused rather than spoiled.

use std::ops::Range;

/// A step down a document.
#[derive(Clone, Copy, Debug)]
pub enum Step<'a> {
    /// The value of this key; of a list, the element that has it.
    Key(&'a str),
    /// The element of a list in which this key has this value.
    With(&'a str, &'a str),
}

use Step::{Key, With};

/// The lines of a file that is being edited.
pub struct Editor {
    lines: Vec<String>,
}

/// A key's line, the column of the key, and the lines of what is below it.
#[derive(Clone, Debug)]
struct Found {
    line: usize,
    column: usize,
    below: Range<usize>,
}

impl Editor {
    /// Edits this text.
    pub fn new(text: &str) -> Self {
        Self { lines: text.split('\n').map(str::to_owned).collect() }
    }

    /// The text as it is now.
    pub fn finish(self) -> String {
        self.lines.join("\n")
    }

    /// The document that begins with a key of this value at its top (`kind: ScaledObject`), or the whole file.
    fn document(&self, of_kind: Option<&str>) -> Range<usize> {
        let ends = self.lines.iter().enumerate().filter(|(_, line)| line.starts_with("---")).map(|(at, _)| at);
        let mut begin = 0;
        for end in ends.chain([self.lines.len()]) {
            let is = |kind| self.lines[begin..end].iter().any(|line| line.trim_end() == format!("kind: {kind}"));
            if of_kind.is_some_and(is) {
                return begin..end;
            }
            begin = (end + 1).min(self.lines.len());
        }
        0..self.lines.len()
    }

    /// Names of the keys below a path.
    pub fn keys(&self, kind: Option<&str>, path: &[Step]) -> Vec<String> {
        let Some(found) = self.find(self.document(kind), path) else { return Vec::new() };
        let Some(column) = self.column(&found.below) else { return Vec::new() };
        found.below.filter_map(|line| Some(self.entry(line, column)?.0.to_owned())).collect()
    }

    /// The scalar at a path, as it is written but for quotes.
    pub fn value(&self, kind: Option<&str>, path: &[Step]) -> Option<String> {
        let found = self.find(self.document(kind), path)?;
        let (_, value) = self.entry(found.line, found.column)?;
        Some(scalar(value).0.trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
    }

    /// Sets the scalar at a path; a `!Ref` is followed to its parameter's default, and what is missing is added.
    pub fn set(&mut self, kind: Option<&str>, path: &[Step], to: &str) {
        let document = self.document(kind);
        if let Some(found) = self.find(document.clone(), path) {
            let Some((_, value)) = self.entry(found.line, found.column) else { return };
            let (old, _) = scalar(value);
            if let Some(parameter) = old.strip_prefix("!Ref ") {
                let parameter = parameter.trim().to_owned();
                return self.set(kind, &[Key("Parameters"), Key(&parameter), Key("Default")], to);
            }
            let quote = old.chars().next().filter(|first| matches!(first, '"' | '\''));
            let quoted = quote.map_or(to.to_owned(), |quote| format!("{quote}{to}{quote}"));
            let at = self.lines[found.line].len() - value.len();
            let new = format!("{}{quoted}{}", &self.lines[found.line][..at], &value[old.len()..]);
            self.lines[found.line] = new;
        } else if let Some((Key(name), parent)) = path.split_last().map(|(last, parent)| (*last, parent)) {
            self.add(kind, parent, &[format!("{name}: {to}")]);
        }
    }

    /// Puts a block in the place of what is at a path, or adds it.
    pub fn replace(&mut self, kind: Option<&str>, path: &[Step], block: &str) {
        self.remove(kind, path, false);
        if let Some((Key(name), parent)) = path.split_last().map(|(last, parent)| (*last, parent)) {
            let below = block.trim_end().lines().map(|line| format!("  {line}"));
            self.add(kind, parent, &std::iter::once(format!("{name}:")).chain(below).collect::<Vec<_>>());
        }
    }

    /// Takes away what is at a path, and with `parents` what is left empty above it.
    pub fn remove(&mut self, kind: Option<&str>, path: &[Step], parents: bool) {
        let Some(found) = self.find(self.document(kind), path) else { return };
        let comment = |line: &&String| line.trim_start().starts_with('#');
        // What is said about a key goes with it: above it at its column, and deeper below it.
        let above =
            self.lines[..found.line].iter().rev().take_while(|line| comment(line) && indent(line) == found.column);
        let begin = if parents { found.line - above.count() } else { found.line };
        let end = found.below.end.max(found.line + 1);
        let below = self.lines[end..].iter().take_while(|line| comment(line) && indent(line) > found.column);
        let end = end + below.count();
        self.lines.drain(begin..end);
        if let (true, [above @ .., _]) = (parents, path)
            && let Some(parent) = self.find(self.document(kind), above)
            && self.column(&parent.below).is_none()
        {
            self.remove(kind, above, true);
        }
    }

    /// Adds lines as the first below a path, whose missing keys are made.
    fn add(&mut self, kind: Option<&str>, path: &[Step], block: &[String]) {
        let Some(found) = self.find(self.document(kind), path) else {
            if let Some((Key(name), parent)) = path.split_last().map(|(last, parent)| (*last, parent)) {
                let below = block.iter().map(|line| format!("  {line}"));
                self.add(kind, parent, &std::iter::once(format!("{name}:")).chain(below).collect::<Vec<_>>());
            }
            return;
        };
        let column = self.column(&found.below).unwrap_or(found.column + 2);
        // A list's element may have its first key beside the dash: then the lines come after it.
        let first = self.lines[found.line].trim_start().starts_with("- ") && found.below.start == found.line;
        let at = if first { found.line + 1 } else { found.below.start };
        let indented = block.iter().map(|line| format!("{:column$}{line}", ""));
        self.lines.splice(at..at, indented.collect::<Vec<_>>());
    }

    fn find(&self, within: Range<usize>, path: &[Step]) -> Option<Found> {
        let Some((step, rest)) = path.split_first() else {
            return Some(Found { line: within.start, column: 0, below: within });
        };
        let found = match step {
            Key(name) => self.key(within, name)?,
            With(key, value) => {
                let mut items = self.items(within).into_iter();
                items.find_map(|item| {
                    let found = self.key(item.clone(), key)?;
                    let is = scalar(self.entry(found.line, found.column)?.1).0.trim_matches(['"', '\'']) == *value;
                    is.then_some(Found { line: item.start, column: found.column, below: item })
                })?
            }
        };
        if rest.is_empty() { Some(found) } else { self.find(found.below, rest) }
    }

    /// A key of a mapping, or of an element of a list.
    fn key(&self, within: Range<usize>, name: &str) -> Option<Found> {
        let items = self.items(within.clone());
        if items.len() > 1 || items.first().is_some_and(|item| *item != within) {
            return items.into_iter().find_map(|item| self.key(item, name));
        }
        let column = self.column(&within)?;
        let line = within.clone().find(|line| self.entry(*line, column).is_some_and(|(key, _)| key == name))?;
        let ends = |at: &usize| {
            let text = &self.lines[*at];
            let dash = text.trim_start().starts_with("- ");
            is_content(text) && (indent(text) < column || indent(text) == column && !dash)
        };
        let end = (line + 1..within.end).find(ends).unwrap_or(within.end);
        // Comments and blank lines before the next key belong to that key.
        let end = (line + 1..end).rev().find(|at| is_content(&self.lines[*at])).map_or(line + 1, |last| last + 1);
        Some(Found { line, column, below: line + 1..end })
    }

    /// The elements of a list in block style; none if the lines are something else.
    fn items(&self, within: Range<usize>) -> Vec<Range<usize>> {
        let mut content = within.clone().filter(|at| is_content(&self.lines[*at]));
        let Some(first) = content.next().filter(|at| self.lines[*at].trim_start().starts_with("- ")) else {
            return Vec::new();
        };
        let dash = indent(&self.lines[first]);
        let begins = |at: &usize| indent(&self.lines[*at]) == dash && self.lines[*at].trim_start().starts_with("- ");
        let starts: Vec<usize> = (first..within.end).filter(begins).collect();
        let ends = starts.iter().skip(1).copied().chain([within.end]);
        starts.iter().zip(ends).map(|(start, end)| *start..end).collect()
    }

    /// The column of a mapping's keys.
    fn column(&self, within: &Range<usize>) -> Option<usize> {
        let first = within.clone().map(|at| &self.lines[at]).find(|line| is_content(line))?;
        let text = first.trim_start();
        let after_dash = text.strip_prefix("- ").map_or(0, |rest| text.len() - rest.trim_start().len());
        Some(indent(first) + after_dash)
    }

    /// Key and value of a line whose key is at this column.
    fn entry(&self, line: usize, column: usize) -> Option<(&str, &str)> {
        let text = self.lines.get(line)?;
        let before = text.get(..column)?;
        if !before.chars().all(|c| c == ' ' || c == '-') || !is_content(text) {
            return None;
        }
        let text = &text[column..];
        let (key, value) = text.split_once(':')?;
        let value = value.strip_prefix(' ').or(value.is_empty().then_some(""))?.trim_start();
        (!key.starts_with(' ')).then_some((key.trim_matches(['"', '\'']), value))
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_content(line: &str) -> bool {
    let text = line.trim();
    !text.is_empty() && !text.starts_with('#')
}

/// A scalar, and what stands behind it: spaces and a comment.
fn scalar(value: &str) -> (&str, &str) {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''));
    let end = match quote {
        Some(quote) => value[1..].find(quote).map_or(value.len(), |end| end + 2),
        None => value.find(" #").map_or(value.trim_end().len(), |end| value[..end].trim_end().len()),
    };
    value.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# head\nspec:\n  min: 1 # least\n  # of max\n  max: \"15\"\n  list:\n    - type: cron\n      n: 1\n    - type: sqs\n      data:\n        # ten\n        n: \"10\"\n  last: x\n";

    fn edited(edit: impl Fn(&mut Editor)) -> String {
        let mut editor = Editor::new(TEXT);
        edit(&mut editor);
        editor.finish()
    }

    #[test]
    fn a_value_is_set_in_its_line_with_its_quotes_and_its_comment() {
        assert_eq!(edited(|e| e.set(None, &[Key("spec"), Key("min")], "3")), TEXT.replace("min: 1 #", "min: 3 #"));
        assert_eq!(edited(|e| e.set(None, &[Key("spec"), Key("max")], "9")), TEXT.replace("\"15\"", "\"9\""));
        let path = [Key("spec"), Key("list"), With("type", "sqs"), Key("data"), Key("n")];
        assert_eq!(edited(|e| e.set(None, &path, "20")), TEXT.replace("\"10\"", "\"20\""));
        assert_eq!(Editor::new(TEXT).value(None, &path).as_deref(), Some("10"));
    }

    #[test]
    fn what_is_missing_is_added_and_what_is_empty_goes_with_its_parents() {
        let added = edited(|e| e.set(None, &[Key("spec"), Key("poll")], "5"));
        assert_eq!(added, TEXT.replace("spec:\n", "spec:\n  poll: 5\n"));
        let path = [Key("spec"), Key("list"), With("type", "cron"), Key("more"), Key("n")];
        let added = edited(|e| e.set(None, &path, "2"));
        assert_eq!(added, TEXT.replace("- type: cron\n", "- type: cron\n      more:\n        n: 2\n"));
        let a = "a:\n  b:\n    c:\n      d: 1\n  e: 2\n";
        let mut editor = Editor::new(a);
        editor.remove(None, &[Key("a"), Key("b"), Key("c")], true);
        assert_eq!(editor.finish(), "a:\n  e: 2\n");
        let mut editor = Editor::new(a);
        editor.replace(None, &[Key("a"), Key("b")], "x: 1\ny:\n  z: 2\n");
        assert_eq!(editor.finish(), "a:\n  b:\n    x: 1\n    y:\n      z: 2\n  e: 2\n");
    }

    #[test]
    fn a_reference_is_followed_to_the_default_of_its_parameter() {
        let text = "Parameters:\n  Size:\n    Type: Number\n    Default: 512\nGlobals:\n  MemorySize: !Ref Size\n";
        let mut editor = Editor::new(text);
        editor.set(None, &[Key("Globals"), Key("MemorySize")], "1024");
        assert_eq!(editor.finish(), text.replace("512", "1024"));
    }

    #[test]
    fn the_document_of_its_kind_is_edited() {
        let text = "kind: Deployment\nspec:\n  min: 1\n---\nkind: ScaledObject\nspec:\n  min: 1\n";
        let mut editor = Editor::new(text);
        editor.set(Some("ScaledObject"), &[Key("spec"), Key("min")], "2");
        assert_eq!(editor.finish(), "kind: Deployment\nspec:\n  min: 1\n---\nkind: ScaledObject\nspec:\n  min: 2\n");
    }
}
