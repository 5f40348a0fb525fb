//! Changes single values in a YAML or JSON file, in block or flow style, and leaves every other byte as it is: comments,
//! order, quotes.
//!
//! Values are set and added where the tree of the file says that they stand. What it cannot change it leaves alone;
//! whoever calls it reads the result back, so that such a file is refused rather than spoiled.

use std::ops::Range;

use super::node::{Node, Tree};
use super::objects;

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

    fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The document, or the object of a list, of that kind in which most of the path is; without a kind, the first.
    fn root(&self, kind: Option<&str>, path: &[Step]) -> Option<Node> {
        let documents = Node::documents("", &self.text()).ok()?;
        let Some(kind) = kind else { return documents.into_iter().next() };
        let found = objects(&documents, &[kind]);
        let left = |object: &&&Node| reach(object, path).1.len();
        found.iter().min_by_key(left).map(|object| (*object).clone())
    }

    /// Names of the keys below a path.
    pub fn keys(&self, kind: Option<&str>, path: &[Step]) -> Vec<String> {
        let Some(root) = self.root(kind, path) else { return Vec::new() };
        match reach(&root, path) {
            (node, []) => node.entries().iter().map(|(name, _)| name.clone()).collect(),
            (_, _) => Vec::new(),
        }
    }

    /// The scalar at a path; what a function of a template makes has its short form before it: `!Ref Size`.
    pub fn value(&self, kind: Option<&str>, path: &[Step]) -> Option<String> {
        let root = self.root(kind, path)?;
        let (node, []) = reach(&root, path) else { return None };
        match &node.tag {
            Some(tag) => Some(format!("!{tag} {}", node.text().unwrap_or_default())),
            None => node.text().map(str::to_owned),
        }
    }

    /// Sets the scalar at a path; a reference is followed to its parameter's default, and what is missing is added. `to` is
    /// as it is to be added, in quotes if it is a text: what is there keeps its own.
    pub fn set(&mut self, kind: Option<&str>, path: &[Step], to: &str) {
        let Some(root) = self.root(kind, path) else { return };
        let text = self.text();
        let (node, rest) = reach(&root, path);
        let edit = if rest.is_empty() {
            let parameter = match (&node.tag, node.entries()) {
                (Some(tag), _) if tag == "Ref" => node.text(),
                (None, [(name, of)]) if name == "Ref" => of.text(),
                (_, _) => None,
            };
            if let Some(parameter) = parameter {
                let default = [Key("Parameters"), Key(parameter), Key("Default")];
                return if self.value(None, &default).is_some() {
                    self.set(None, &default, to)
                };
            }
            replaced(node, &text, to)
        } else {
            added(node, &text, rest, to)
        };
        if let Some((range, new)) = edit {
            let text = format!("{}{new}{}", &text[..range.start], &text[range.end..]);
            self.lines = text.split('\n').map(str::to_owned).collect();
        }
    }

    /// Puts a block in the place of what is at a path, or adds it.
    pub fn replace(&mut self, kind: Option<&str>, path: &[Step], block: &str) {
        self.remove(kind, path, false);
        if self.flow(kind, path).is_some() {
            // JSON is YAML's flow style.
            if let Some(json) = Node::documents("", block).ok().and_then(|mut all| all.pop()).map(|node| node.to_json())
            {
                self.set(kind, path, &json.to_string());
            }
            return;
        }
        if let Some((Key(name), parent)) = path.split_last().map(|(last, parent)| (*last, parent)) {
            let below = block.trim_end().lines().map(|line| format!("  {line}"));
            self.add(kind, parent, &std::iter::once(format!("{name}:")).chain(below).collect::<Vec<_>>());
        }
    }

    /// Takes away what is at a path, and with `parents` what is left empty above it.
    pub fn remove(&mut self, kind: Option<&str>, path: &[Step], parents: bool) {
        if let Some((parent, node)) = self.flow(kind, path) {
            let mut text = self.text();
            if let Some(range) = node.and_then(|node| entry_of(&text, &parent, &node)) {
                text.replace_range(range, "");
                self.lines = text.split('\n').map(str::to_owned).collect();
            }
            return;
        }
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

    /// The mapping in flow style above the end of a path, or that would be, and what is there.
    fn flow(&self, kind: Option<&str>, path: &[Step]) -> Option<(Node, Option<Node>)> {
        let root = self.root(kind, path)?;
        let (_, above) = path.split_last()?;
        let (parent, _) = reach(&root, above);
        let found = match reach(&root, path) {
            (node, []) => Some(node.clone()),
            (_, _) => None,
        };
        is_flow(parent, &self.text()).then(|| (parent.clone(), found))
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

/// The deepest node on a path, and the steps that are missing below it.
fn reach<'a, 'p, 's>(node: &'a Node, path: &'p [Step<'s>]) -> (&'a Node, &'p [Step<'s>]) {
    let Some((step, rest)) = path.split_first() else { return (node, path) };
    let next = match step {
        Key(name) => node.get(name).or_else(|| node.elements().iter().find_map(|element| element.get(name))),
        With(key, value) => node.elements().iter().find(|e| e.get(key).and_then(Node::text) == Some(*value)),
    };
    next.map_or((node, path), |next| reach(next, rest))
}

fn is_flow(node: &Node, text: &str) -> bool {
    node.span.len == 1 && matches!(text.as_bytes().get(node.span.start), Some(b'{' | b'['))
}

/// The change of a scalar, which keeps its quotes.
fn replaced(node: &Node, text: &str, to: &str) -> Option<(Range<usize>, String)> {
    if node.tag.is_some() || node.text().is_none() {
        return None;
    }
    let range = node.span.start..node.span.start + node.span.len;
    let old = text.get(range.clone())?;
    let bare = to.trim_matches('"');
    let quote = old.chars().next().filter(|first| matches!(first, '"' | '\''));
    Some((range, quote.map_or(bare.to_owned(), |quote| format!("{quote}{bare}{quote}"))))
}

/// The text that adds what is missing as the first in a mapping or a list.
fn added(node: &Node, text: &str, rest: &[Step], to: &str) -> Option<(Range<usize>, String)> {
    let start = node.span.start;
    match (&node.tree, rest.first()?) {
        (Tree::Map(_), Key(_)) | (Tree::List(_), With(..)) => {}
        _ => return None,
    }
    if is_flow(node, text) {
        let json = text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']);
        let inside = flow(rest, to, json);
        let inside = if matches!(node.tree, Tree::Map(_)) { inside[1..inside.len() - 1].to_owned() } else { inside };
        let empty = node.entries().is_empty() && node.elements().is_empty();
        return Some((start + 1..start + 1, if empty { inside } else { format!("{inside}, ") }));
    }
    if node.span.len > 0 {
        return None;
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let column = start - text[..start].rfind('\n').map_or(0, |at| at + 1);
    let lines = block(rest, to);
    let indented = lines.iter().map(|line| format!("{line}{newline}{:column$}", ""));
    Some((start..start, indented.collect()))
}

/// Steps and the value at their end in flow style.
fn flow(steps: &[Step], to: &str, json: bool) -> String {
    let quoted = |text: &str| if json { format!("\"{text}\"") } else { text.to_owned() };
    match steps {
        [] => to.to_owned(),
        [Key(name), rest @ ..] if matches!(rest.first(), Some(With(..))) => {
            format!("{{{}: [{}]}}", quoted(name), flow(rest, to, json))
        }
        [Key(name), rest @ ..] => format!("{{{}: {}}}", quoted(name), flow(rest, to, json)),
        [With(key, value), rest @ ..] => {
            let below = flow(rest, to, json);
            let below = below.strip_prefix('{').and_then(|below| below.strip_suffix('}')).unwrap_or_default();
            format!("{{{}: {}, {below}}}", quoted(key), quoted(value))
        }
    }
}

/// The same in lines of block style.
fn block(steps: &[Step], to: &str) -> Vec<String> {
    let deeper = |rest: &[Step]| block(rest, to).into_iter().map(|line| format!("  {line}")).collect::<Vec<_>>();
    match steps {
        [] => Vec::new(),
        [Key(name)] => vec![format!("{name}: {to}")],
        [Key(name), rest @ ..] => [vec![format!("{name}:")], deeper(rest)].concat(),
        [With(key, value), rest @ ..] => [vec![format!("- {key}: {value}")], deeper(rest)].concat(),
    }
}

/// The text of an entry of a mapping in flow style, with one comma.
fn entry_of(text: &str, parent: &Node, node: &Node) -> Option<Range<usize>> {
    let begin = text[parent.span.start + 1..node.span.start]
        .rfind([',', '{'])
        .map_or(parent.span.start + 1, |at| parent.span.start + 1 + at + 1);
    let value = if is_flow(node, text) { closed(&text[node.span.start..])? } else { node.span.len };
    let end = node.span.start + value;
    let behind = text[end..].trim_start();
    if behind.starts_with(',') {
        let comma = end + text[end..].len() - behind.len() + 1;
        let spaces = text[comma..].len() - text[comma..].trim_start().len();
        let lead = text[begin..].len() - text[begin..].trim_start().len();
        return Some(begin + lead..comma + spaces);
    }
    let comma = text[..begin].ends_with(',');
    Some(begin - usize::from(comma)..end)
}

/// The length of a mapping or list in flow style, to its closing bracket.
fn closed(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') if depth == 1 => return Some(at + 1),
            (None, '}' | ']') => depth -= 1,
            (None, _) => {}
        }
    }
    None
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
        assert_eq!(added, TEXT.replace("- type: cron\n", "- more:\n        n: 2\n      type: cron\n"));
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
    fn flow_style_and_json_are_edited_in_place() {
        let edited = |text: &str, edit: &dyn Fn(&mut Editor)| {
            let mut editor = Editor::new(text);
            edit(&mut editor);
            editor.finish()
        };
        let set = |path: &'static [Step<'static>], to: &'static str| move |e: &mut Editor| e.set(None, path, to);
        let flow = "a: {b: 1, c: {d: \"2\"}, l: [{n: x, v: 1}]} # end\n";
        assert_eq!(edited(flow, &set(&[Key("a"), Key("b")], "5")), flow.replace("b: 1", "b: 5"));
        assert_eq!(edited(flow, &set(&[Key("a"), Key("c"), Key("d")], "7")), flow.replace("\"2\"", "\"7\""));
        assert_eq!(
            edited(flow, &set(&[Key("a"), Key("c"), Key("e"), Key("f")], "7")),
            flow.replace("{d:", "{e: {f: 7}, d:")
        );
        let element = [Key("a"), Key("l"), With("n", "y"), Key("v")];
        assert_eq!(
            edited(flow, &|e| e.set(None, &element, "\"3\"")),
            flow.replace("[{n: x", "[{n: y, v: \"3\"}, {n: x")
        );
        assert_eq!(
            edited(flow, &|e| e.remove(None, &[Key("a"), Key("c")], false)),
            flow.replace("c: {d: \"2\"}, ", "")
        );
        assert_eq!(
            edited(flow, &|e| e.remove(None, &[Key("a"), Key("l")], false)),
            flow.replace(", l: [{n: x, v: 1}]", "")
        );
        let json = "{\n  \"a\": {\"b\": 1},\n  \"c\": []\n}\n";
        assert_eq!(
            edited(json, &set(&[Key("a"), Key("d"), Key("e")], "2")),
            json.replace("{\"b\"", "{\"d\": {\"e\": 2}, \"b\"")
        );
        assert_eq!(
            edited(json, &|e| e.set(None, &[Key("c"), With("n", "x"), Key("v")], "\"1\"")),
            json.replace("[]", "[{\"n\": \"x\", \"v\": \"1\"}]")
        );
        assert_eq!(
            edited(json, &|e| e.replace(None, &[Key("a"), Key("b")], "x: {y: 1}")),
            json.replace("\"b\": 1", "\"b\": {\"x\":{\"y\":1}}")
        );
    }

    #[test]
    fn a_missing_element_is_added_to_a_list_in_block_style() {
        let text = "c:\n  - name: w\n    env:\n      - name: A\n        value: x\n";
        let mut editor = Editor::new(text);
        editor.set(None, &[Key("c"), With("name", "w"), Key("env"), With("name", "B"), Key("value")], "\"1\"");
        assert_eq!(
            editor.finish(),
            text.replace("      - name: A", "      - name: B\n        value: \"1\"\n      - name: A")
        );
    }

    #[test]
    fn the_document_of_its_kind_is_edited() {
        let text = "kind: Deployment\nspec:\n  min: 1\n---\nkind: ScaledObject\nspec:\n  min: 1\n";
        let mut editor = Editor::new(text);
        editor.set(Some("ScaledObject"), &[Key("spec"), Key("min")], "2");
        assert_eq!(editor.finish(), "kind: Deployment\nspec:\n  min: 1\n---\nkind: ScaledObject\nspec:\n  min: 2\n");
    }
}
