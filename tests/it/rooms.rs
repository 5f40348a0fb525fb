//! Keeps the import table of `lib.rs` and the house rules true.

use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may import. A room is the first path segment under `src/` that has a row here.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("message", &[]),
    ("metrics", &[]),
    ("config", &["workload"]),
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("aws", &[]),
    ("handler", &["message"]),
    ("sns", &["message"]),
    ("trace", &["message"]),
    ("queue", &["message", "aws"]),
    ("typed", &["handler", "message"]),
    ("journal", &["message", "queue"]),
    ("workload", &["handler", "message"]),
    ("idempotency", &["config", "aws"]),
    ("batch", &["handler", "message", "sns", "idempotency", "trace"]),
    ("http", &["message", "queue", "config", "shutdown", "trace"]),
];

/// Rooms of the laboratory that must stay pure, and what of ours they may import.
const PURE: &[(&str, &[&str])] = &[
    ("compare/load", &["workload::duration_text"]),
    ("compare/sqs", &["compare::scaling"]),
    ("compare/scaling", &["compare::scaling"]),
    ("compare/run", &[]),
    ("compare/cost", &["compare::run"]),
];

/// What a pure room never mentions: it would read a clock, the environment or chance, or do I/O.
const IMPURE: &[&str] = &[
    "tokio::",
    "async fn",
    ".await",
    "Instant::now",
    "SystemTime::now",
    "std::env",
    "fastrand",
    "std::fs",
    "std::net",
    "std::thread",
];

#[test]
fn service_rooms_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for file in sources("src") {
        let room = room_of(&file);
        let allowed = MAY_IMPORT.iter().find(|(name, _)| *name == room).map(|(_, allowed)| *allowed);
        for import in imports(&file) {
            let root = import.split("::").next().unwrap_or_default();
            if root == room {
                continue;
            }
            let in_lab = room == "compare" || room == "bin";
            let allowed_here = match allowed {
                Some(allowed) => allowed.contains(&root),
                // worker, function and the binaries: any room above, but never the laboratory.
                None => in_lab || root != "compare",
            };
            if !allowed_here {
                wrong.push(format!("{} imports {import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table of lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn only_the_twinscale_binary_uses_the_laboratory() {
    for file in sources("src/bin").into_iter().filter(|f| !f.ends_with("twinscale.rs")) {
        assert!(!code(&file).contains("compare"), "{} must build without the feature compare", file.display());
    }
}

#[test]
fn pure_rooms_read_no_clock_no_environment_and_no_chance() {
    let mut wrong = Vec::new();
    for (room, allowed) in PURE {
        for file in sources("src").into_iter().filter(|f| in_room(f, room)) {
            let code = code(&file);
            wrong.extend(IMPURE.iter().filter(|word| code.contains(*word)).map(|w| format!("{}: {w}", file.display())));
            for import in imports(&file) {
                let own = room.replace('/', "::");
                if !import.starts_with(&own) && !allowed.iter().any(|a| import.starts_with(a)) {
                    wrong.push(format!("{} imports {import}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "pure rooms:\n{}", wrong.join("\n"));
}

#[test]
fn one_room_alone_knows_each_client_of_aws() {
    for (client, room) in [("aws_sdk_sqs", "queue"), ("aws_sdk_dynamodb", "idempotency")] {
        for file in sources("src").into_iter().filter(|f| !in_room(f, room)) {
            assert!(!code(&file).contains(client), "{} names {client}", file.display());
        }
    }
}

#[test]
fn mains_are_short_and_nothing_is_left_to_do() {
    for file in sources("src") {
        let text = fs::read_to_string(&file).expect("source is readable");
        let is_main = file.starts_with(root().join("src/bin"));
        assert!(!is_main || text.lines().count() < 100, "{} is a main of 100 lines or more", file.display());
        for mark in ["todo!(", "unimplemented!(", "TODO", "FIXME", "dbg!("] {
            assert!(!text.contains(mark), "{} has {mark}", file.display());
        }
    }
}

#[test]
fn the_readme_names_every_setting() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is readable");
    let config = code(&root().join("src/config.rs"));
    let names: Vec<&str> = config.split('"').filter(|text| is_variable(text)).collect();
    assert!(names.len() > 25, "found only {names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !readme.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}

fn is_variable(text: &str) -> bool {
    text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(under)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folder is readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no sources under {under}");
    found
}

fn room_of(file: &Path) -> String {
    let inside = file.strip_prefix(root().join("src")).expect("under src");
    let first = inside.components().next().expect("has a name").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn in_room(file: &Path, room: &str) -> bool {
    let path = root().join("src").join(room);
    file.starts_with(&path) || file == path.with_extension("rs")
}

/// The code of a file without comments and unit tests, which may use what they like.
fn code(file: &Path) -> String {
    if file.ends_with("tests.rs") {
        return String::new();
    }
    let text = fs::read_to_string(file).expect("source is readable");
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Paths after `crate::` (or `twinscale::` in the binaries), each with its groups opened: `a::{b, c}` gives a::b, a::c.
fn imports(file: &Path) -> Vec<String> {
    let code = code(file);
    let mut found = Vec::new();
    for start in ["crate::", "twinscale::"] {
        for (at, _) in code.match_indices(start) {
            let rest = &code[at + start.len()..];
            match rest.strip_prefix('{') {
                Some(group) => {
                    let group = group.split('}').next().unwrap_or_default();
                    found.extend(group.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()));
                }
                None => {
                    let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
                    found.push(rest[..end].to_owned());
                }
            }
        }
    }
    found
}
