//! The command line as a user meets it: help, wrong inputs, reports of runs that were written before.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use twinscale_lab::run::Run;

/// A run as an engine writes it, small enough to read.
const RUN: &str = include_str!("support/run.json");

pub fn twinscale(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinscale"));
    command.args(args).env("NO_COLOR", "1").output().expect("twinscale starts")
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn wrong_input_exits_64_and_names_what_to_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    };
    let so = |spec: &str| format!("kind: ScaledObject\nspec: {spec}\n");
    let min = file("min.yaml", &so("{minReplicaCount: 5, maxReplicaCount: 2, triggers: [{type: aws-sqs-queue}]}"));
    let no_yaml = file("no.yaml", "a: [1\n");
    let csv = file("empty.csv", "");
    let recorded = file("recorded.toml", "load = { shape = 'recorded', file = 'empty.csv' }");
    let unknown = file("unknown.toml", "mesages = 5\n");
    let nan = file("nan.toml", "[load]\nshape = 'steady'\nrate = nan\n");
    let newer = file("newer.json", &RUN.replace("twinscale/run/1", "twinscale/run/9"));
    let no_run = file("no_run.json", "{\"schema\": \"twinscale/run/1\"}");
    assert!(csv.ends_with("empty.csv"));
    let cases: &[(&[&str], &str)] = &[
        (&["compare", "--messages", "0"], "messages: 0: write 1"),
        (&["compare", "--messages", "-5"], "--messages"),
        (&["compare", "--work", "soon"], "write constant:10ms"),
        (&["compare", "--concurrency", "0"], "eks.pod.concurrency"),
        (&["compare", "--speed", "0"], "speed 0"),
        (&["compare", "--limit", "soon"], "90s, 30m, 2h"),
        (&["compare", "--scenario", "nope"], "write one of article"),
        (&["compare", "--scenario", &unknown], "unknown field `mesages`"),
        (&["compare", "--scenario", &nan], "load.rate"),
        (&["compare", "--scenario", &recorded], "no row of time and count"),
        (&["compare", "--scaled-object", &min], "line 2: minReplicaCount: 5 is above maxReplicaCount 2"),
        (&["compare", "--scaled-object", &no_yaml], "is no YAML"),
        (&["compare", "--template", "missing.yaml"], "missing.yaml"),
        (&["compare", "--bin-dir", "/nowhere"], "--bin-dir"),
        (&["report", "missing.json"], "missing.json"),
        (&["report", &newer], "its schema is twinscale/run/9"),
        (&["report", &no_run], "it is no run.json"),
        (&["compare", "--seeds", "5"], "--engine simulated"),
        (&["compare", "--scenario", "day"], "in real time: write --engine simulated"),
        (&["compare", "--scenario", "day", "--speed", "20"], "--patience"),
        (&["compare", "--engine", "simulated", "--speed", "2"], "--speed: leave it out"),
        (&["sqs", "--port", "70000"], "--port"),
        (&["frobnicate"], "frobnicate"),
        (&[], "Usage"),
    ];
    refused(cases);
}

/// Each command exits with 64, names what to change on standard error, and prints nothing else.
pub fn refused(cases: &[(&[&str], &str)]) {
    for (args, named) in cases {
        let output = twinscale(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {error}");
        assert!(error.contains(named), "{args:?}: {error}");
        assert!(output.stdout.is_empty(), "{args:?} printed to standard output");
    }
}

#[test]
fn help_shows_an_example_for_every_command() {
    for command in ["compare", "decide", "prices", "report", "sqs", "validate"] {
        let output = twinscale(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains(&format!("twinscale {command}")), "{command}: {}", text(&output.stdout));
    }
}

#[test]
fn a_run_is_shown_as_text_and_markdown() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.json");
    std::fs::write(&path, RUN).expect("written");
    let report = |format| {
        let output = twinscale(&["report", &path.display().to_string(), "--format", format]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    insta::assert_snapshot!("report_text", masked(&report("text")));
    insta::assert_snapshot!("report_markdown", masked(&report("markdown")));
    let as_run = |text: &str| serde_json::from_str::<Run>(text).expect("a run");
    assert!(as_run(&report("json")) == as_run(RUN), "JSON shows another run than it was given");
}

/// Times are masked, so that a snapshot shows the form of a report and not a figure.
#[test]
fn a_text_has_the_first_and_the_last_changes_of_a_long_run() {
    for format in ["text", "markdown"] {
        let long =
            ["compare", "--engine", "simulated", "--scenario", "day", "--messages", "400000", "--format", format];
        let output = twinscale(&long);
        let report = text(&output.stdout);
        let changes = report.lines().filter(|line| line.contains("event-source-mapping") && line.contains('→')).count();
        assert_eq!(changes, 50, "{report}");
        assert!(report.contains("changes more"), "{report}");
    }
}

fn masked(report: &str) -> String {
    let mask = |line: &str| {
        let words = line.split(' ').collect::<Vec<_>>();
        let unit = |next: &&str| next.trim_end_matches([',', ';', '.']) == "s";
        let is_time = |n: usize| words.get(n + 1).is_some_and(unit) && words[n].parse::<f64>().is_ok();
        (0..words.len()).map(|n| if is_time(n) { "#.#" } else { words[n] }).collect::<Vec<_>>().join(" ")
    };
    report.lines().map(mask).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_page_holds_every_run_and_needs_no_network() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("run.json");
    std::fs::write(&path, RUN.replace("\"article\"", "\"</script><b>\"")).expect("written");
    let path = path.display().to_string();
    let out = folder.path().join("page");
    let output = twinscale(&["report", &path, &path, "--out", &out.display().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let page = std::fs::read_to_string(out.join("report.html")).expect("a page");
    assert!(page.len() < 500_000, "{} bytes", page.len());
    for part in ["1. EKS (KEDA)", "2. Lambda", "Lambda won on", "ScaleUpLimit", "id=\"latency\""] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("</script><b>"), "a scenario's name must not end the script");
    let loads = ["src=\"http", "href=\"http", "@import", "url(http"];
    assert!(loads.iter().all(|load| !page.contains(load)), "the page loads something from elsewhere");
}

#[test]
fn every_field_of_a_run_and_of_a_scenario_is_documented() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let run: Value = serde_json::from_str(RUN).expect("JSON");
    let mut fields = BTreeSet::new();
    let mut without_scenario = run.clone();
    without_scenario["scenario"] = Value::Null;
    names(&without_scenario, &mut fields);
    let mut scenario = BTreeSet::new();
    let default = twinscale_lab::scenario::Scenario::default();
    names(&serde_json::to_value(&default).expect("JSON"), &mut scenario);
    for (doc, fields) in [("docs/run-json.md", fields), ("docs/scenarios.md", scenario)] {
        let text = std::fs::read_to_string(root.join(doc)).expect(doc);
        let missing: Vec<_> = fields.iter().filter(|field| !text.contains(field.as_str())).collect();
        assert!(missing.is_empty(), "{doc} does not name {missing:?}");
    }
}

/// Names of all fields below; those of `unavailable` are paths of others, those of a behaviour are the API's.
fn names(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                into.insert(name.clone());
                if name != "unavailable" && name != "behavior" {
                    names(value, into);
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| names(element, into)),
        _ => {}
    }
}

#[test]
fn shells_and_man_know_every_command() {
    let help = text(&twinscale(&["--help"]).stdout);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A line that goes on with a long description begins further in.
    let commands: Vec<&str> =
        listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(commands.contains(&"compare") && commands.contains(&"man"), "{commands:?}");
    for shell in ["bash", "zsh", "fish"] {
        let script = text(&twinscale(&["completions", shell]).stdout);
        commands.iter().for_each(|command| assert!(script.contains(command), "{shell} does not know {command}"));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    assert!(twinscale(&["man", "--out", &out]).status.success());
    for command in commands.iter().filter(|command| **command != "help") {
        let page = std::fs::read_to_string(folder.path().join(format!("twinscale-{command}.1"))).expect("its page");
        assert!(page.contains(".SH NAME"), "{command}");
    }
}
