//! Keeps the map of the workspace and of the library, and the house rules, true.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use twinscale::unstable::config::{SETTINGS, Setting};

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
    ("http", &["message", "metrics", "queue", "config", "context", "shutdown", "start", "telemetry", "trace"]),
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

/// Files in pure rooms that are not: some read files for their callers, one is the handler that does such work for real.
const IMPURE_FILES: &[&str] = &[
    "crates/lab/src/cost/prices.rs",
    "crates/lab/src/cost/offers.rs",
    "crates/lab/src/cost/offers/tests.rs",
    "crates/work/src/handler.rs",
];

/// Names that a crate may declare more than once: in rooms of their own, and never seen together.
const DECLARED_TWICE: &[(&str, &[&str])] = &[
    ("twinscale", &[]),
    ("work", &[]),
    ("sqs", &[]),
    ("scaling", &[]),
    ("lab", &["BreakEven", "Options", "Place", "Pod", "Progress", "Queue"]),
];

#[test]
fn a_name_of_a_type_stands_once_in_a_crate() {
    for (krate, allowed) in DECLARED_TWICE {
        let mut seen: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for file in sources(&format!("crates/{krate}/src")) {
            let text = fs::read_to_string(&file).expect("readable");
            for name in text.lines().filter_map(declared_type) {
                seen.entry(name.to_owned()).or_default().push(file.display().to_string());
            }
        }
        let names = seen.len();
        seen.retain(|_, files| files.len() > 1);
        let twice: Vec<_> = seen.keys().map(String::as_str).collect();
        assert_eq!(twice, *allowed, "of {names} names in {krate}: {seen:#?}");
        assert!(twice.len() * 100 < names * 3 || twice.is_empty(), "{} of {names} names in {krate}", twice.len());
    }
}

/// The type that a line declares. An indented `type` is a trait's or an impl's.
fn declared_type(line: &str) -> Option<&str> {
    let declared = line.trim_start();
    let declared = match declared.strip_prefix("pub") {
        Some(rest) => rest.split_once(' ')?.1,
        None => declared,
    };
    let words = if line.starts_with(' ') {
        &["struct ", "enum ", "trait "][..]
    } else {
        &["struct ", "enum ", "trait ", "type "]
    };
    let rest = words.iter().find_map(|word| declared.strip_prefix(word))?;
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end > 0).then_some(&rest[..end])
}

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
    // The embedded queue hands tests a client of itself.
    let client_of_tests = root().join("crates/sqs/src/server/client.rs");
    for (client, room) in [("aws_sdk_sqs", "queue"), ("aws_sdk_dynamodb", "idempotency")] {
        let mut inside = room_of("crates/twinscale/src", room);
        inside.push(client_of_tests.clone());
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
fn links_between_pages_lead_to_files_that_are_there() {
    let folders = ["", "docs", "crates/twinscale", "crates/work", "crates/sqs", "crates/scaling", "crates/lab"];
    let pages = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).expect("readable").flatten());
    let pages: Vec<_> =
        pages.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    assert!(pages.len() > 15, "found only {pages:?}");
    let mut dead = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).expect("readable");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap_or(link);
            let elsewhere = file.is_empty() || file.contains("://") || file.contains(char::is_whitespace);
            if !elsewhere && !page.with_file_name(file).exists() {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

#[test]
fn the_page_of_settings_has_the_list_s_table_and_names_the_workload_s_too() {
    let page_of_settings = fs::read_to_string(root().join("docs/settings.md")).expect("docs/settings.md is readable");
    let mut table = "| variable | default | meaning |\n|---|---|---|\n".to_owned();
    for Setting { variables, default, meaning, more, .. } in SETTINGS {
        let names: Vec<_> = variables.iter().map(|name| format!("`{name}`")).collect();
        let page = |more: &&str| {
            let link = more.strip_prefix("docs/").unwrap_or(more);
            format!(": [{}]({link})", link.split('#').next().unwrap_or(link))
        };
        let more = more.as_ref().map(page).unwrap_or_default();
        table += &format!("| {} | {default} | {meaning}{more} |\n", names.join(", "));
    }
    assert!(page_of_settings.contains(&table), "docs/settings.md has another table than:\n{table}");
    let workload = code(&root().join("crates/work/src/handler.rs"));
    let names: Vec<&str> = workload.split('"').filter(|text| is_variable(text)).collect();
    assert!(names.len() > 7, "found only {names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !page_of_settings.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "docs/settings.md does not name {missing:?}");
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
