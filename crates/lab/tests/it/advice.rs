//! `twinscale advise` and `break-even` as a user meets them.

use std::path::Path;
use std::process::Output;
use twinscale_lab::target::TargetKind;

use twinscale_lab::advise::{Advised, BreakEven};
use twinscale_lab::manifests::{Manifest, deployed};

use crate::cli::{text, twinscale};

/// A small search: twenty messages, two seeds.
fn advise(more: &[&str]) -> Output {
    twinscale(&[&["advise", "--messages", "20", "--work", "500ms", "--seeds", "2"], more].concat())
}

#[test]
fn advice_is_printed_with_its_changes_and_written_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    // On nodes: a pod of Fargate's starts too late for a queue that waits for the first.
    let out = folder.path().display().to_string();
    let output = advise(&["--target", "p95<60s", "--nodes", "m7g.large", "--format", "markdown", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let markdown = text(&output.stdout);
    assert!(markdown.contains("| EKS (KEDA), best |") && markdown.contains("```diff"), "{markdown}");
    assert!(text(&output.stderr).contains("settings looked at"), "progress is told: {}", text(&output.stderr));
    let json = std::fs::read_to_string(folder.path().join("advice.json")).expect("it was written");
    let advised: Advised = serde_json::from_str(&json).expect("advice");
    assert_eq!((advised.schema.as_str(), advised.goal.to_string().as_str()), ("twinscale/advice/1", "p95<60s"));
    assert_eq!(advised.targets.len(), 2);
    for advice in &advised.targets {
        let best = advice.best.as_ref().expect("a minute can be met");
        let now = advice.now.as_ref().expect("it runs as it is");
        assert!(best.meets && best.usd.mean <= now.usd.mean, "{best:?}");
    }
    assert!(
        advised.patches.iter().any(|patch| patch.file == "eks/base/scaledobject.yaml" && patch.diff.contains("\n+"))
    );
}

#[test]
fn a_goal_that_nothing_meets_ends_with_1_and_says_what_came_nearest() {
    let output = advise(&["--target", "p50<10ms"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).matches("nothing meets it; nearest").count(), 2, "{}", text(&output.stdout));
}

#[test]
fn written_files_are_read_back_as_what_was_advised() {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |kind| {
        let (file, content) = deployed(kind);
        let path = folder.path().join(Path::new(file).file_name().expect("a name"));
        std::fs::write(&path, content).expect("written");
        path.display().to_string()
    };
    let files = [Manifest::ScaledObject, Manifest::Deployment, Manifest::Template].map(copy);
    let flags = [
        "--scaled-object",
        &files[0],
        "--deployment",
        &files[1],
        "--template",
        &files[2],
        "--format",
        "json",
        "--target",
        "p95<60s",
        "--nodes",
        "m7g.large",
    ];
    let run = |more: &[&str]| {
        let output = advise(&[&flags[..], more].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice::<Advised>(&output.stdout).expect("advice")
    };
    let first = run(&["--write"]);
    assert!(!first.patches.is_empty());
    let second = run(&[]);
    for (advised, written) in first.targets.iter().zip(&second.targets) {
        let best = advised.best.as_ref().expect("it can be met");
        let now = written.now.as_ref().expect("it runs as it was advised");
        assert_eq!((best.usd, best.seconds), (now.usd, now.seconds), "{:?}", best.changes);
    }
    // What is written keeps its comments, and no check finds a mistake in it, but for what kustomize adds to these two files.
    let checked = twinscale(&[
        "validate",
        "--kubernetes",
        &files[0],
        "--kubernetes",
        &files[1],
        "--template",
        &files[2],
        "--ignore",
        "image",
        "--ignore",
        "authentication",
    ]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let template = std::fs::read_to_string(&files[2]).expect("it is there");
    let comments = |text: &str| text.lines().filter(|line| line.trim_start().starts_with('#')).count();
    assert_eq!(comments(&template), comments(deployed(Manifest::Template).1));
}

#[test]
fn wrong_input_exits_64_and_names_what_to_change() {
    let cases: &[(&[&str], &str)] = &[
        (&["advise", "--target", "p95>30s"], "write p95<30s"),
        (&["advise", "--seeds", "1"], "--seeds"),
        (&["advise", "--nodes", "z9.huge"], "no price for 'z9.huge': write one of c7g.large"),
        (&["advise", "--nodes", "m7g.large", "--spot-discount", "2"], "--spot-discount: 2: write a number from 0 to 1"),
        (&["advise", "--spot-discount", "0.5"], "--nodes"),
        (&["break-even", "--control-plane-share", "7"], "--control-plane-share: 7: write a number from 0 to 1"),
        (&["break-even", "--prices", "missing.toml"], "missing.toml"),
        (&["break-even", "--scenario", "nope"], "write one of article"),
        (&["compare", "--nodes", "z9.huge"], "no price for 'z9.huge'"),
        (&["compare", "--handler-times", "missing.json"], "missing.json"),
        (&["compare", "--handler-times", "tests/it/support/run.json"], "has no handler_seconds_histogram"),
        (&["compare", "--handler-times", "run.json", "--work", "1s"], "--work"),
    ];
    for (args, named) in cases {
        let output = twinscale(args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {error}");
        assert!(error.contains(named), "{args:?}: {error}");
    }
}

#[test]
fn a_verdict_says_whether_it_survives_what_had_to_be_estimated() {
    let common = ["compare", "--engine", "simulated", "--messages", "100", "--work", "500ms", "--uncertainty", "20"];
    let output = twinscale(&common);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("Lambda is cheaper in 20 of 20 draws"), "{}", text(&output.stdout));
    let one = twinscale(&[&common[..], &["--target", "eks"]].concat());
    assert_eq!(one.status.code(), Some(64), "{}", text(&one.stderr));
    let advice = advise(&["--target", "p95<60s"]);
    assert!(text(&advice.stdout).contains("is cheaper in 20 of 20 draws"), "{}", text(&advice.stdout));
}

#[test]
fn help_teaches_with_examples() {
    for command in ["advise", "break-even"] {
        let output = twinscale(&[command, "--help"]);
        let help = text(&output.stdout);
        assert_eq!(output.status.code(), Some(0));
        assert!(
            help.contains(&format!("twinscale {command} --scenario default")) && help.contains("Exit codes"),
            "{help}"
        );
    }
}

#[test]
fn handler_times_of_one_run_drive_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let common = ["compare", "--engine", "simulated", "--messages", "400", "--format", "json"];
    let measured = twinscale(&[&common[..], &["--work", "lognormal:3s,0.5", "--out", &out]].concat());
    assert_eq!(measured.status.code(), Some(0), "{}", text(&measured.stderr));
    let times = folder.path().join("run.json").display().to_string();
    let driven = twinscale(&[&common[..], &["--handler-times", &times]].concat());
    assert_eq!(driven.status.code(), Some(0), "{}", text(&driven.stderr));
    let drain = |output: &Output| {
        let run: twinscale_lab::run::Run = serde_json::from_slice(&output.stdout).expect("a run");
        run.targets.get(TargetKind::Eks).and_then(|target| target.drain_seconds).expect("it drained")
    };
    let first = drain(&measured);
    let second = drain(&driven);
    assert!((second / first - 1.0).abs() < 0.1, "{first} s as measured, {second} s driven by it");
}

#[test]
fn the_break_even_is_printed_with_its_interval_and_written_as_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let output = twinscale(&["break-even", "--work", "20ms", "--seeds", "2", "--format", "markdown", "--out", &out]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).expect("it was written");
    let found: BreakEven = serde_json::from_str(&read("break-even.json")).expect("a break-even");
    assert_eq!((found.schema.as_str(), found.seeds, found.curve.len()), ("twinscale/break-even/1", 2, 13));
    let rate = found.rate.expect("they cross");
    assert!(rate.low <= rate.mean && rate.mean <= rate.high && found.crossings == 2, "{rate:?}");
    let between = found.curve.windows(2).find(|pair| pair[0].rate < rate.mean && rate.mean < pair[1].rate);
    let (below, above) = between.map(|pair| (pair[0], pair[1])).expect("two rates around it");
    assert!(below.lambda_usd.mean < below.eks_usd.mean && above.eks_usd.mean < above.lambda_usd.mean, "{rate:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("messages/s Lambda is cheaper") && read("break-even.html").contains("<html"), "{shown}");
}
