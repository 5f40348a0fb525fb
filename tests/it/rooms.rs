//! Keeps the map of the workspace and of the library, and the house rules, true.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms of the library, and which of its rooms each may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("message", &[]),
    ("metrics", &[]),
    ("config", &[]),
    ("shutdown", &[]),
    ("telemetry", &[]),
    ("aws", &[]),
    ("handler", &["message"]),
    ("sns", &["message"]),
    ("trace", &["message"]),
    ("queue", &["message", "aws"]),
    ("typed", &["handler", "message"]),
    ("journal", &["message", "queue"]),
    ("context", &["config", "aws"]),
    ("start", &["config", "context", "telemetry"]),
    ("idempotency", &["config", "aws"]),
    ("settle", &[]),
    ("calls", &["message", "queue", "settle"]),
    ("batch", &["config", "handler", "message", "sns", "idempotency", "trace"]),
    ("http", &["message", "queue", "config", "context", "shutdown", "start", "telemetry", "trace"]),
];

/// A crate, and the crates of ours that it may depend on: nothing depends upwards.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("twinscale", &[]),
    ("work", &["twinscale"]),
    ("sqs", &[]),
    ("scaling", &["twinscale-sqs"]),
    ("lab", &["twinscale", "twinscale-work", "twinscale-sqs", "twinscale-scaling"]),
];

/// Rooms that must stay pure.
const PURE: &[&str] = &[
    "crates/work/src",
    "crates/twinscale/src/settle",
    "crates/sqs/src/model",
    "crates/scaling/src",
    "crates/lab/src/run",
    "crates/lab/src/cost",
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
    "std::fs::",
    "std::net",
    "std::thread",
];

/// Files in pure rooms that are not: one reads a file for its callers, one is the handler that does such work for real.
const IMPURE_FILES: &[&str] = &["crates/lab/src/cost/prices.rs", "crates/work/src/handler.rs"];

#[test]
fn rooms_of_the_library_import_only_what_the_table_allows() {
    let mut wrong = Vec::new();
    for (room, allowed) in MAY_IMPORT {
        for file in room_of("crates/twinscale/src", room) {
            for import in imports(&file) {
                let first = import.split("::").next().unwrap_or_default();
                if first != *room && !allowed.contains(&first) {
                    wrong.push(format!("{} imports {import}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table of crates/twinscale/src/lib.rs:\n{}", wrong.join("\n"));
}

#[test]
fn no_crate_depends_upwards() {
    for (name, allowed) in MAY_DEPEND {
        let manifest = fs::read_to_string(root().join("crates").join(name).join("Cargo.toml")).expect("a manifest");
        let own = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        let dependencies = own.split("[dependencies]").nth(1).expect("dependencies");
        for line in dependencies.lines().filter(|line| line.starts_with("twinscale")) {
            let dependency = line.split(['.', ' ']).next().unwrap_or_default();
            assert!(allowed.contains(&dependency), "crates/{name} depends on {dependency}");
        }
    }
}

#[test]
fn pure_rooms_read_no_clock_no_environment_and_no_chance() {
    let mut wrong = Vec::new();
    for room in PURE {
        for file in sources(room).into_iter().filter(|file| !IMPURE_FILES.iter().any(|impure| file.ends_with(impure))) {
            let code = code(&file);
            wrong.extend(IMPURE.iter().filter(|word| code.contains(*word)).map(|w| format!("{}: {w}", file.display())));
        }
    }
    assert!(wrong.is_empty(), "pure rooms:\n{}", wrong.join("\n"));
}

#[test]
fn a_target_is_told_by_its_type_and_never_by_its_name() {
    for file in sources("crates/lab/src") {
        let code = code(&file);
        for target in ["eks", "lambda", "local", "simulated"] {
            for told in [format!("== \"{target}\""), format!("!= \"{target}\""), format!("\"{target}\" =>")] {
                assert!(!code.contains(&told), "{}: {told}: match on TargetKind or Engine", file.display());
            }
        }
    }
}

#[test]
fn one_room_alone_knows_each_client_of_aws() {
    for (client, room) in [("aws_sdk_sqs", "queue"), ("aws_sdk_dynamodb", "idempotency")] {
        let inside = room_of("crates/twinscale/src", room);
        for file in sources("crates")
            .into_iter()
            .filter(|f| !inside.contains(f) && f.components().any(|c| c.as_os_str() == "src"))
        {
            assert!(!code(&file).contains(client), "{} names {client}", file.display());
        }
    }
}

#[test]
fn mains_are_one_call_and_nothing_is_left_to_do() {
    for file in sources("src").into_iter().chain(sources("crates")) {
        let text = fs::read_to_string(&file).expect("source is readable");
        let is_main = file.starts_with(root().join("src/bin")) || file.ends_with("main.rs");
        assert!(!is_main || text.lines().count() < 100, "{} is a main of 100 lines or more", file.display());
        for mark in ["todo!(", "unimplemented!(", "TODO", "FIXME", "dbg!("] {
            assert!(!text.contains(mark), "{} has {mark}", file.display());
        }
    }
    for main in ["src/main.rs", "src/bin/twinscale-worker.rs", "src/bin/lambda-sqs.rs", "src/bin/lambda-http.rs"] {
        let code = code(&root().join(main));
        let body = code.split("fn main() -> ExitCode {").nth(1).expect("a main that gives an exit code");
        assert_eq!(body.lines().filter(|line| line.contains("twinscale::")).count(), 1, "{main}");
        assert!(body.trim().lines().count() <= 2, "{main} is more than one call: {body}");
    }
}

#[test]
fn the_readme_names_every_setting() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md is readable");
    let settings = ["crates/twinscale/src/config/read.rs", "crates/work/src/handler.rs"]
        .map(|file| code(&root().join(file)))
        .join("\n");
    let names: Vec<&str> = settings.split('"').filter(|text| is_variable(text)).collect();
    assert!(names.len() > 45, "found only {names:?}");
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
            if path.is_symlink() {
                continue;
            }
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

fn room_of(under: &str, room: &str) -> Vec<PathBuf> {
    let folder = root().join(under).join(room);
    sources(under)
        .into_iter()
        .filter(|file| file.starts_with(&folder) || *file == folder.with_extension("rs"))
        .collect()
}

/// The code of a file without comments and unit tests, which may use what they like.
fn code(file: &Path) -> String {
    if file.ends_with("tests.rs") || file.parent().is_some_and(|folder| folder.ends_with("tests")) {
        return String::new();
    }
    let text = fs::read_to_string(file).expect("source is readable");
    let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
    before_tests.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Paths after `crate::`, each with its groups opened: `a::{b, c}` gives a, `{b, c}` gives b and c.
fn imports(file: &Path) -> Vec<String> {
    let code = code(file);
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
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
    found
}
