//! Reports of runs that nobody expects: of an hour, of other engines, broken, hostile; and what they look like where.

use std::path::Path;
use std::process::{Command, Output};

use twinscale_lab::cost::prices;
use twinscale_lab::report::html::{self, Standing, View};
use twinscale_lab::run::{Bucket, Decision, Engine, Latency, Messages, Run, SCHEMA, Sample, Target, Usage};
use twinscale_lab::scenario::Scenario;
use twinscale_lab::target::TargetKind;
use twinscale_scaling::{Reason, Scaler};

const RUN: &str = include_str!("support/run.json");

fn report(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twinscale")).arg("report").args(args).output().expect("twinscale starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn written(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).expect("written");
    path.display().to_string()
}

/// A target that looks every second for an hour and never comes to rest.
fn restless(by: Scaler) -> Target {
    let decision = |t: u32| Decision {
        t: f64::from(t) + 0.123,
        from: t * 7 % 40,
        to: t * 11 % 40,
        by: by.into(),
        reason: Some([Reason::ScaleUpLimit, Reason::DesiredWithinRange, Reason::TooManyReplicas][t as usize % 3]),
        detail: format!("{t} messages / 5 = {} desired, held at 199 by earlier recommendations, limited to 15", t / 5),
    };
    let sample = |n: u64| Sample {
        t: n as f64 / 2.0 + 0.001_234,
        visible: n * 7919 % 100_003,
        in_flight: n % 150,
        capacity: n as u32 * 31 % 97,
    };
    Target {
        messages: Messages { sent: 3_600_000, done: 3_600_000, lost: Some(0), ..Messages::default() },
        drain_seconds: Some(3600.0),
        latency_seconds: Some(Latency { p50: 10.0, p90: 20.0, p95: 30.0, p99: 40.0, max: 50.0 }),
        latency_histogram: (1..600).map(|n| Bucket { le: f64::from(n) / 7.0, count: 6010 }).collect(),
        samples: (0..7200).map(sample).collect(),
        decisions: (0..3600).map(decision).collect(),
        in_host_concurrency: 10,
        usage: Usage { pod_seconds: Some(100_000.0), gb_seconds: Some(9000.0), ..Usage::default() },
        ..Target::default()
    }
}

fn restless_run(name: &str) -> Run {
    Run {
        schema: SCHEMA.to_owned(),
        engine: Engine::Local,
        scenario: Scenario { name: name.to_owned(), ..Scenario::default() },
        speed: None,
        targets: [(TargetKind::Eks, restless(Scaler::Hpa)), (TargetKind::Lambda, restless(Scaler::EventSourceMapping))]
            .into(),
        uncertainty: None,
        warnings: Vec::new(),
    }
}

#[test]
fn the_page_of_an_hour_in_which_nothing_rests_is_below_500_kb_and_says_what_it_left_out() {
    let prices = prices::read(None).expect("built in");
    let page = html::page(View::of(&[restless_run("hour")], &prices));
    assert!(page.len() <= 500_000, "{} bytes", page.len());
    assert!(page.contains("of 3,600 looks"), "it does not say how many looks have a mark");
    let many: Vec<Run> = (0..6).map(|n| restless_run(&format!("hour {n}"))).collect();
    let page = html::page(View::of(&many, &prices));
    assert!(page.len() <= 1_000_000, "six runs on one page: {} bytes", page.len());
}

#[test]
fn runs_of_any_engine_with_any_targets_share_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut simulated: Run = serde_json::from_str(RUN).expect("a run");
    (simulated.engine, simulated.speed) = (Engine::Simulated, None);
    simulated.targets.remove(TargetKind::Lambda);
    let mut aws: Run = serde_json::from_str(RUN).expect("a run");
    (aws.engine, aws.speed) = (Engine::Aws, None);
    aws.targets.remove(TargetKind::Eks);
    let unknown = aws.targets.entry(TargetKind::Lambda);
    (unknown.usage, unknown.latency_seconds, unknown.messages.lost) = (Usage::default(), None, None);
    let paths = [("a.json", RUN.to_owned()), ("b.json", to_json(&simulated)), ("c.json", to_json(&aws))]
        .map(|(name, run)| written(folder.path(), name, run));
    let out = folder.path().join("page").display().to_string();
    let done = report(&[&paths[0], &paths[1], &paths[2], "--out", &out]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let page = std::fs::read_to_string(Path::new(&out).join("report.html")).expect("a page");
    for part in ["1. EKS (KEDA)", "1. Lambda", "2. EKS (KEDA)", "3. Lambda", "article, simulated", "article, aws"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("the run does not know what was used"), "no bill is made of what is not known");
}

fn to_json(run: &Run) -> String {
    serde_json::to_string(run).expect("JSON")
}

#[test]
fn what_a_file_says_never_becomes_markup_nor_steers_the_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let evil = "</script><img src=x onerror=alert(1)>'\"|`\n\u{1b}]0;owned\u{7}\u{1b}[2J";
    let mut run: Run = serde_json::from_str(RUN).expect("a run");
    run.scenario.name = evil.to_owned();
    run.warnings = vec![evil.to_owned()];
    for (_, target) in run.targets.iter_mut() {
        target.unavailable.insert(evil.to_owned(), evil.to_owned());
        for decision in &mut target.decisions {
            decision.detail = evil.to_owned();
        }
    }
    let path = written(folder.path(), "run.json", to_json(&run));
    let out = folder.path().display().to_string();
    for format in ["text", "markdown"] {
        let done = report(&[&path, "--out", &out, "--format", format]);
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let shown = text(&done.stdout);
        assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{format} holds control characters");
        assert!(format == "text" || !shown.contains("<img"), "{format} holds markup");
    }
    let page = std::fs::read_to_string(folder.path().join("report.html")).expect("a page");
    assert!(!page.contains("<img") && page.matches("</script>").count() == 6, "the page holds the file's markup");
    let prices = prices::read(None).expect("built in");
    let live = html::state(View::of(std::slice::from_ref(&run), &prices), Standing::Going);
    let state: serde_json::Value = serde_json::from_str(&live).expect("JSON");
    let sections = state["sections"].as_object().expect("sections").values();
    assert!(sections.filter_map(|html| html.as_str()).all(|html| !html.contains("<img")), "{live}");
}

#[test]
fn figures_at_the_end_of_their_range_are_shown_and_break_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut run: Run = serde_json::from_str(RUN).expect("a run");
    for (_, target) in run.targets.iter_mut() {
        target.messages.sent = u64::MAX;
        (target.drain_seconds, target.floor_seconds) = (Some(f64::MAX), Some(-f64::MAX));
        (target.peak_capacity, target.in_host_concurrency) = (u32::MAX, u32::MAX);
        target.usage.pod_seconds = Some(f64::MAX);
        target.latency_histogram.iter_mut().for_each(|bucket| bucket.count = u64::MAX);
        for sample in &mut target.samples {
            *sample = Sample { t: sample.t * 1e300, visible: u64::MAX, in_flight: u64::MAX, capacity: u32::MAX };
        }
    }
    let path = written(folder.path(), "run.json", to_json(&run));
    let out = folder.path().display().to_string();
    for format in ["text", "json", "markdown"] {
        let done = report(&[&path, "--out", &out, "--format", format]);
        assert_eq!(done.status.code(), Some(0), "{format}: {}", text(&done.stderr));
    }
}

#[test]
fn files_that_are_no_runs_exit_64_and_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, content: &str| written(folder.path(), name, content);
    let half = file("half.json", &RUN[..RUN.len() / 2]);
    let deep = file(
        "deep.json",
        &format!("{{\"schema\":\"{SCHEMA}\",\"scenario\":{}{}}}", "[".repeat(9999), "]".repeat(9999)),
    );
    let no_schema = file("no_schema.json", "{}");
    let number = file("number.json", "{\"schema\": 1}");
    let negative = file("negative.json", &RUN.replace("\"sent\": 1000", "\"sent\": -1"));
    let binary = written(folder.path(), "binary.json", [0xff, 0xfe, 0x00]);
    let huge = folder.path().join("huge.json");
    // Sparse: it takes no room on the disk.
    std::fs::File::create(&huge).and_then(|file| file.set_len(600 << 20)).expect("made");
    let huge = huge.display().to_string();
    for (path, said) in [
        (half, "it is no run.json: EOF"),
        (deep, "recursion limit"),
        (no_schema, "its schema is missing"),
        (number, "it is no run.json"),
        (negative, "invalid value"),
        (binary, "valid UTF-8"),
        (huge, "larger than 512 MiB"),
    ] {
        let done = report(&[&path]);
        let error = text(&done.stderr);
        assert_eq!(done.status.code(), Some(64), "{path}: {error}");
        assert!(error.contains(said) && error.len() < 500, "{path}: {error}");
    }
}

#[test]
fn a_run_that_lacks_a_setting_or_calls_it_by_another_name_is_refused_and_the_field_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut lacking: serde_json::Value = serde_json::from_str(RUN).expect("JSON");
    let pod = lacking["scenario"]["eks"]["pod"].as_object_mut().expect("settings");
    assert!(pod.remove("cpu_limit").is_some());
    let renamed = RUN.replace("\"memory_mib\": 256", "\"memory\": 256");
    assert_ne!(renamed, RUN);
    let other_target = RUN.replace("\"targets\": {\"eks\"", "\"targets\": {\"ecs\"");
    let other_engine = RUN.replace("\"engine\": \"local\"", "\"engine\": \"cloud\"");
    for (name, run, said) in [
        ("lacking.json", lacking.to_string(), "scenario.eks.pod.cpu_limit is missing"),
        ("renamed.json", renamed, "unknown field `memory`"),
        ("target.json", other_target, "unknown variant `ecs`"),
        ("engine.json", other_engine, "unknown variant `cloud`"),
    ] {
        let done = report(&[&written(folder.path(), name, run)]);
        assert_eq!(done.status.code(), Some(64), "{name}");
        assert!(text(&done.stderr).contains(said), "{name}: {}", text(&done.stderr));
    }
}

#[test]
fn every_scenario_that_comes_with_the_program_is_read_back_as_it_was_written() {
    for name in ["article", "default", "burst", "ramp", "onoff", "day", "long", "failures", "fifo"] {
        let scenario = Scenario::read(name).and_then(Scenario::checked).expect("built in");
        let run = Run { scenario, targets: [].into(), ..restless_run(name) };
        assert_eq!(serde_json::from_str::<Run>(&to_json(&run)).expect("a run"), run, "{name}");
    }
}

/// On a terminal, which `script` makes, with or without `NO_COLOR`.
fn on_a_terminal(path: &str, no_color: bool) -> String {
    let mut command = Command::new("script");
    let twinscale = env!("CARGO_BIN_EXE_twinscale");
    command.args(["-qec", &format!("'{twinscale}' report '{path}'"), "/dev/null"]);
    command.env("TERM", "xterm-256color").env_remove("NO_COLOR").env_remove("CLICOLOR").env_remove("CLICOLOR_FORCE");
    if no_color {
        command.env("NO_COLOR", "1");
    }
    text(&command.output().expect("script is part of every Debian").stdout)
}

#[test]
fn color_is_for_a_terminal_that_does_not_refuse_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = written(folder.path(), "run.json", RUN);
    assert!(on_a_terminal(&path, false).contains("\u{1b}["), "a terminal gets colour");
    let plain = on_a_terminal(&path, true);
    assert!(plain.contains("EKS (KEDA)") && !plain.contains('\u{1b}'), "NO_COLOR is obeyed: {plain}");
    let piped = report(&[&path]);
    assert!(!piped.stdout.contains(&0x1b), "a pipe gets no colour");
}
