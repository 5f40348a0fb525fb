//! `twinscale decide` as a user meets it.

use twinscale_lab::decide::Decided;
use twinscale_lab::run::Run;

use crate::cli::{refused, text, twinscale};

/// A small question: forty messages, once a day.
const SMALL: &[&str] =
    &["decide", "--per-day", "40", "--peak", "burst", "--work", "500ms", "--seeds", "2", "--draws", "4"];

#[test]
fn five_lines_are_printed_and_all_that_one_goes_on_from_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let output = twinscale(&[SMALL, &["--fail", "5%", "--goal", "p95<30s", "--out", &out]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    let asks: Vec<_> = told.lines().map(|line| line.split("  ").next().unwrap_or_default().trim()).collect();
    assert_eq!(asks, ["which", "by how much", "what limits", "flips at", "how sure"], "{told}");
    assert!(told.contains("Lambda") && told.contains("of 4 draws"), "{told}");
    let errors = text(&output.stderr);
    assert!(errors.contains("settings looked at") && errors.contains("so far: Lambda"), "progress is told: {errors}");

    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    let decided: Decided = serde_json::from_str(&read("decision.json")).expect("a decision");
    assert_eq!((decided.schema.as_str(), decided.scenario.work.retry_share), ("twinscale/decision/1", 0.05));
    let run: Run = serde_json::from_str(&read("run.json")).expect("a run");
    assert_eq!(run.scenario, decided.scenario);
    let page = read("decision.html");
    assert!(page.contains("The answer") && page.contains("id=\"backlog\"") && page.len() < 500_000);
    // One goes on from the scenario that was written.
    let scenario = folder.path().join("scenario.toml").display().to_string();
    let again = twinscale(&["compare", "--engine", "simulated", "--scenario", &scenario, "--format", "json"]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    let again: Run = serde_json::from_slice(&again.stdout).expect("a run");
    assert_eq!((again.scenario, again.targets), (run.scenario, run.targets));
}

#[test]
fn json_is_the_decision_and_nothing_that_meets_the_goal_ends_with_1() {
    let output = twinscale(&[SMALL, &["--goal", "p50<10ms", "--json"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let decided: Decided = serde_json::from_slice(&output.stdout).expect("a decision");
    assert_eq!(decided.choice, twinscale_lab::decide::Choice::Neither);
}

#[test]
fn wrong_input_exits_64_and_names_the_flag() {
    let cases: &[(&[&str], &str)] = &[
        (&["decide"], "--per-day"),
        (&["decide", "--per-day", "3m"], "3M, 250k, 86400"),
        (&["decide", "--per-day", "1.5"], "'--per-day <N>'"),
        (&["decide", "--per-day", "5", "--load", "a.csv"], "--load"),
        (&["decide", "--load", "missing.csv"], "missing.csv"),
        (&["decide", "--load", "missing.csv", "--peak", "flat"], "--peak"),
        (&["decide", "--per-day", "5", "--messages", "7"], "--messages"),
        (&["decide", "--per-day", "5", "--fail", "5"], "5% or 0.05"),
        (&["decide", "--per-day", "5", "--peak", "midnight"], "--peak"),
        (&["decide", "--per-day", "5", "--goal", "p95>5s"], "write p95<30s"),
        (&["decide", "--per-day", "5", "--work", "soon"], "write constant:10ms"),
        (&["decide", "--per-day", "5", "--draws", "0"], "--draws"),
        (&["decide", "--per-day", "5", "--nodes", "z9.huge"], "no price for 'z9.huge'"),
        (&["decide", "--per-day", "5", "--json", "--format", "text"], "--format"),
        (&["decide", "--per-day", "5", "--scaled-object", "missing.yaml"], "missing.yaml"),
    ];
    refused(cases);
}

/// Ten minutes of what CloudWatch has of a queue and its function, in no order.
fn last_week() -> String {
    let times: Vec<String> = (0..10).rev().map(|minute| format!("\"2026-11-24T10:{minute:02}:00+00:00\"")).collect();
    let metric = |id: &str, label: &str, value: &str| {
        let values = vec![value; times.len()].join(",");
        let times = times.join(",");
        format!(
            r#"{{"Id":"{id}","Label":"{label}","Timestamps":[{times}],"Values":[{values}],"StatusCode":"Complete"}}"#
        )
    };
    let metrics = [
        metric("sent", "NumberOfMessagesSent", "6.0"),
        metric("age", "ApproximateAgeOfOldestMessage", "1.0"),
        metric("busy", "ConcurrentExecutions", "1.0"),
        metric("took", "Duration", "520.5"),
        metric("cpu", "CPUUtilization", "7.0"),
    ];
    format!(r#"{{"MetricDataResults":[{}],"Messages":[]}}"#, metrics.join(","))
}

#[test]
fn last_week_is_asked_about_and_held_against_what_was_observed() {
    let folder = tempfile::tempdir().expect("a folder");
    let load = folder.path().join("last-week.json");
    std::fs::write(&load, last_week()).expect("written");
    let load = load.display().to_string();
    let out = folder.path().join("out").display().to_string();
    let common = ["decide", "--load", &load, "--observed", "--seeds", "2", "--draws", "2"];
    let output = twinscale(&[&common[..], &["--work", "500ms", "--out", &out]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    let last = told.lines().last().unwrap_or_default();
    assert!(last.starts_with("last week    the oldest message on Lambda: 1.0 s observed"), "{told}");
    assert!(
        last.contains("concurrent invocations on Lambda: 1.0 observed, ")
            && last.contains("an invocation: 521 ms observed"),
        "{told}"
    );
    assert!(
        text(&output.stderr).contains("nothing is made of the metric 'CPUUtilization'"),
        "{}",
        text(&output.stderr)
    );
    let read = |name: &str| std::fs::read_to_string(folder.path().join("out").join(name)).expect(name);
    let decided: Decided = serde_json::from_str(&read("decision.json")).expect("a decision");
    let backtest = decided.backtest.expect("it was asked for");
    assert_eq!((decided.scenario.messages, backtest.compared.len()), (60, 3));
    assert!(backtest.compared.iter().all(|one| one.t.len() == one.simulated.len() && one.t[0] == 0.0));
    let page = read("decision.html");
    assert!(page.contains("Last week again") && page.contains("observed-capacity") && page.contains("observed-age"));

    let bare = folder.path().join("bare.csv").display().to_string();
    std::fs::write(&bare, "0,5\n60,7\n").expect("written");
    let cases: &[(&[&str], &str)] = &[
        (&["decide", "--per-day", "5", "--observed"], "--load"),
        (&["decide", "--load", &bare, "--work", "1s", "--observed", &load], "has no point in the time of the load"),
        (&["decide", "--load", &bare, "--work", "1s", "--observed"], "none of its metrics"),
        (&["decide", "--load", &bare], "--work: say what a message takes"),
    ];
    refused(cases);
}
