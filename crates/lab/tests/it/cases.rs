//! Files as people write them (tests/cases): each is read as the same by `compare`, by `advise` and by `validate`, or is
//! refused by all three with its line.

use serde_json::Value;

use crate::cli::{text, twinscale};

/// A file and what is right.
struct Case {
    file: &'static str,
    more: &'static [&'static str],
    right: Right,
}

enum Right {
    /// It can be run.
    Read {
        /// Values of the scenario, by their path in it.
        values: &'static [(&'static str, &'static str)],
        /// Parts of the warnings that it must give.
        warnings: &'static [&'static str],
        /// What `validate` finds in it, each a rule and a part of its message.
        found: &'static [(&'static str, &'static str)],
    },
    /// The line, and parts of what is said of it.
    Refused(u64, &'static [&'static str]),
    /// It is plain what is meant, and the API server refuses it: a warning, and an error of `validate`.
    Bare(u64, &'static str, &'static [(&'static str, &'static str)]),
}

const fn read(
    file: &'static str,
    values: &'static [(&'static str, &'static str)],
    warnings: &'static [&'static str],
    found: &'static [(&'static str, &'static str)],
) -> Case {
    Case { file, more: &[], right: Right::Read { values, warnings, found } }
}

const fn given(
    file: &'static str,
    more: &'static [&'static str],
    values: &'static [(&'static str, &'static str)],
) -> Case {
    Case { file, more, right: Right::Read { values, warnings: &[], found: &[] } }
}

const fn refused(file: &'static str, line: u64, parts: &'static [&'static str]) -> Case {
    Case { file, more: &[], right: Right::Refused(line, parts) }
}

const fn bare(
    file: &'static str,
    line: u64,
    part: &'static str,
    values: &'static [(&'static str, &'static str)],
) -> Case {
    Case { file, more: &[], right: Right::Bare(line, part, values) }
}

const MEMORY: &str = "lambda/memory_mb";
const TIMEOUT: &str = "lambda/timeout";
const VISIBILITY: &str = "lambda/visibility_timeout";
const BATCH: &str = "lambda/mapping/BatchSize";
const WINDOW: &str = "lambda/mapping/MaximumBatchingWindowInSeconds";
const MAXIMUM: &str = "lambda/mapping/MaximumConcurrency";
const RECEIVES: &str = "queue/max_receive_count";
/// A function on its queue without more: 20 s and 256 MB, visibility 120 s, ten messages a batch.
const PLAIN: &[(&str, &str)] = &[(MEMORY, "256"), (TIMEOUT, "20s"), (VISIBILITY, "120s"), (BATCH, "10")];

#[rustfmt::skip]
const TEMPLATES: &[Case] = &[
    refused("t-noprops.yaml", 2, &["Jobs.VisibilityTimeout: 30 s, SQS's default", "Timeout is 60 s", "write 360"]),
    read("t-alias.yaml", PLAIN, &[], &[]),
    read("t-streamthenqueue.yaml", PLAIN, &[], &[]),
    refused("t-kinesis.yaml", 0, &["no function in it has an event of type SQS"]),
    refused("t-kinesisparam.yaml", 0, &["no function in it has an event of type SQS"]),
    read("t-findinmap.yaml", &[(MEMORY, "1024"), (BATCH, "8"), (RECEIVES, "5")], &[], &[]),
    given("t-findinmap.yaml", &["--parameter", "Env=dev"], &[(MEMORY, "256"), (BATCH, "5")]),
    refused("t-condnodefault.yaml", 12, &["F.MemorySize has no value here", "--parameter Env=VALUE"]),
    given("t-condnodefault.yaml", &["--parameter", "Env=prod"], &[(MEMORY, "1024"), (MAXIMUM, "100")]),
    given("t-condnodefault.yaml", &["--parameter", "Env=dev"], &[(MEMORY, "256"), (MAXIMUM, "5")]),
    refused("t-nodefault.yaml", 15, &["F.Events.Q.BatchSize has no value here", "--parameter N=VALUE"]),
    given("t-nodefault.yaml", &["--parameter", "N=7"], &[(BATCH, "7"), (RECEIVES, "5")]),
    refused("t-ssm.yaml", 15, &["the parameter N is read from SSM", "--parameter N=VALUE"]),
    given("t-ssm.yaml", &["--parameter", "N=4"], &[(BATCH, "4")]),
    refused("t-resolve.yaml", 10, &["{{resolve:ssm:/app/memory:1}} is looked up", "--parameter /app/memory=VALUE"]),
    given("t-resolve.yaml", &["--parameter", "/app/memory=512"], &[(MEMORY, "512")]),
    read("t-byname.yaml", PLAIN, &[], &[]),
    given("t-byname.yaml", &["--parameter", "Stage=prod"], PLAIN),
    given("t-byname.yaml", &["--template-function", "worker-dev"], PLAIN),
    read("t-joinarn.yaml", PLAIN, &[], &[]),
    read("t-subarn.yaml", PLAIN, &[], &[]),
    read("t-subvar.yaml", &[(TIMEOUT, "40s"), (BATCH, "7"), (VISIBILITY, "120s")], &[], &[]),
    read("t-redrivestring.yaml", &[(RECEIVES, "4"), (VISIBILITY, "120s")], &[], &[("max-receive-count", "is 4")]),
    refused("t-fifowindow.yaml", 11, &["MaximumBatchingWindowInSeconds: 5 is refused of a FIFO queue"]),
    refused("t-fifo20.yaml", 11, &["BatchSize: 20 is refused of a FIFO queue"]),
    refused("t-maxc1.yaml", 6, &["MaximumConcurrency: write 2 to 1000"]),
    read("t-maxc2.yaml", &[(MAXIMUM, "2"), (RECEIVES, "3"), ("lambda/reserved_concurrency", "2")], &[], &[("max-receive-count", "is 3")]),
    refused("t-toobigvis.yaml", 2, &["Jobs.VisibilityTimeout: 30 s is refused", "write 360"]),
    refused("t-vis.yaml", 3, &["Jobs.VisibilityTimeout: 5 s is refused", "write 60"]),
    read("t-res.yaml", &[("lambda/reserved_concurrency", "1")], &["ReservedConcurrentExecutions: 1 is below"], &[("reserved-concurrency", "is 1")]),
    read("t-resvbelow.yaml", &[("lambda/reserved_concurrency", "5"), (MAXIMUM, "50")], &["ReservedConcurrentExecutions: 5 is below MaximumConcurrency, 50"], &[("reserved-concurrency", "up to 50 times")]),
    refused("t-timeout1200.yaml", 6, &["F.Timeout: 1200 is refused: write a whole number from 1 to 900"]),
    refused("t-mem.yaml", 6, &["F.MemorySize: 20000 is refused: write a whole number from 128 to 10240"]),
    refused("t-mem64.yaml", 6, &["F.MemorySize: 64 is refused"]),
    refused("t-window400.yaml", 7, &["MaximumBatchingWindowInSeconds: write 0 to 300"]),
    refused("t-batch20k.yaml", 7, &["BatchSize: 20000: write 1 to 10000"]),
    refused("t-vis50k.yaml", 2, &["Jobs.VisibilityTimeout: 50000 is refused: write a whole number from 0 to 43200"]),
    refused("t-oddglobal.yaml", 8, &["F.ReservedConcurrentExecutions has no value here: the template has no condition Missing"]),
    refused("t-poll1.yaml", 7, &["MinimumPollers: write 2 to 200"]),
    // Known before, and to stay so.
    read("t-tenk.yaml", &[(BATCH, "10000"), (WINDOW, "300")], &["Jobs has no RedrivePolicy"], &[]),
    read("t-pollonlymax.yaml", &[("lambda/mapping/ProvisionedPollerConfig/MaximumPollers", "300")], &[], &[]),
    read("t-merge.yaml", &[(MEMORY, "640"), (TIMEOUT, "17s")], &[], &[]),
    read("t-json.yaml", &[(TIMEOUT, "20s"), (MEMORY, "128"), (BATCH, "4"), (VISIBILITY, "120s")], &[], &[]),
    read("t-eventif.yaml", &[(TIMEOUT, "9s"), (BATCH, "3")], &[], &[]),
    read("t-emptyscaling.yaml", &[(MEMORY, "256"), (BATCH, "1")], &[], &[]),
];

const LENGTH: &str = "eks/keda/triggers/0/queueLength";
const SECOND: &str = "eks/keda/triggers/1/queueLength";
const IN_FLIGHT: &str = "eks/keda/triggers/0/scaleOnInFlight";

#[rustfmt::skip]
const SCALED_OBJECTS: &[Case] = &[
    read("so-get.json", &[(LENGTH, "5")], &[], &[]),
    read("so-list.yaml", &[(LENGTH, "5")], &[], &[]),
    read("so-modempty.yaml", &[(LENGTH, "5"), ("eks/keda/scalingModifiers", "none")], &[], &[]),
    read("so-fromenv2.yaml", &[(LENGTH, "5"), (SECOND, "none")], &["spec.triggers[1] counts $(LOW_QUEUE_URL), another queue", "only $(HIGH_QUEUE_URL) is compared"], &[]),
    read("so-urlandenv.yaml", &[(LENGTH, "5"), (SECOND, "none")], &["only https://sqs.us-east-1.amazonaws.com/1/a is compared"], &[]),
    read("so-flight-0.yaml", &[(IN_FLIGHT, "false")], &[], &[]),
    read("so-flight-f.yaml", &[(IN_FLIGHT, "false")], &[], &[]),
    read("so-flight-False.yaml", &[(IN_FLIGHT, "false")], &[], &[]),
    read("so-flight-TRUE.yaml", &[(IN_FLIGHT, "true")], &[], &[]),
    read("so-noflight.yaml", &[(IN_FLIGHT, "false"), ("eks/keda/cooldownPeriod", "60")], &[], &[]),
    refused("so-flight-no.yaml", 8, &["'no' is refused by KEDA"]),
    refused("so-flight-off.yaml", 8, &["'off' is refused by KEDA"]),
    refused("so-flight-yes.yaml", 8, &["'yes' is refused by KEDA"]),
    bare("so-flight-false.yaml", 8, "scaleOnInFlight: write \"false\", in quotes", &[(IN_FLIGHT, "false")]),
    bare("so-unquoted.yaml", 8, "queueLength: write \"5\", in quotes", &[(LENGTH, "5")]),
    bare("so-quotedmin.yaml", 6, "minReplicaCount: write 2 without quotes", &[("eks/keda/minReplicaCount", "2")]),
    read("so-tolq.yaml", &[("eks/keda/hpa/behavior/scaleUp/tolerance", "0.2"), ("eks/keda/hpa/behavior/scaleDown/tolerance", "0.05")], &[], &[]),
    read("so-emptypol.yaml", &[("eks/keda/hpa/behavior/scaleDown/policies", "none")], &[], &[]),
    refused("so-nourl.yaml", 7, &["no queueURL and no queueURLFromEnv"]),
    refused("so-region.yaml", 23, &["awsRegion: us-east-1, and the queue is in eu-west-1"]),
    refused("so-util.yaml", 8, &["metricType"]),
    read("so-bom.yaml", &[(LENGTH, "5")], &[], &[]),
    read("so-crlf.yaml", &[(LENGTH, "5")], &[], &[]),
    read("so-val.yaml", &[("eks/keda/triggers/0/metricType", "Value")], &[], &[]),
    read("so-anchors.yaml", &[("eks/keda/pollingInterval", "12"), ("eks/keda/cooldownPeriod", "12"), (SECOND, "7"), ("eks/keda/triggers/1/scaleOnDelayed", "true")], &[], &[]),
    read("so-disabled.yaml", &[("eks/keda/hpa/behavior/scaleDown/selectPolicy", "Disabled")], &[], &[]),
    read("so-modfloat.yaml", &[("eks/keda/scalingModifiers/target", "2.5")], &[], &[]),
    read("so-modcron.yaml", &[(LENGTH, "5")], &["spec.triggers[1] is 'cron'"], &[]),
];

const CONCURRENCY: &str = "eks/pod/concurrency";
const CPU: &str = "eks/pod/cpu_limit";
const MIB: &str = "eks/pod/memory_mib";

#[rustfmt::skip]
const DEPLOYMENTS: &[Case] = &[
    read("d-sidecar.yaml", &[(CONCURRENCY, "33"), (CPU, "0.5"), (MIB, "256")], &["of 2 containers, only w is read"], &[]),
    given("d-sidecar.yaml", &["--container", "istio-proxy"], &[(CONCURRENCY, "10"), (CPU, "2.0"), (MIB, "1024")]),
    read("d-prefix.yaml", &[(CONCURRENCY, "10")], &[], &[]),
    read("d-req.yaml", &[("eks/pod/cpu_request", "0.1"), ("eks/pod/memory_request_mib", "128"), (CPU, "2.0"), (MIB, "4096")], &[], &[]),
    read("d-req2.yaml", &[("eks/pod/cpu_request", "2.0"), ("eks/pod/memory_request_mib", "4096")], &[], &[]),
    read("d-nolimit.yaml", &[("eks/pod/cpu_request", "0.25"), (MIB, "256")], &["no resources.limits.memory; 256 MiB are assumed", "no resources.limits.cpu"], &[]),
    read("d-interp.yaml", &[(CONCURRENCY, "12")], &[], &[]),
    read("d-keyref.yaml", &[(CONCURRENCY, "33")], &[], &[]),
    read("d-override.yaml", &[(CONCURRENCY, "7")], &[], &[]),
    bare("d-unquotedenv.yaml", 12, "CONCURRENCY: write \"25\", in quotes", &[(CONCURRENCY, "25")]),
    read("d-get.yaml", &[(CONCURRENCY, "10"), ("eks/pod/grace_period", "30s")], &[], &[]),
    read("d-grace0.yaml", &[("eks/pod/grace_period", "0s")], &["lifecycle is not covered"], &[]),
    refused("d-sts.yaml", 0, &["there is no object of kind Deployment in it"]),
    read("d-q1.yaml", &[(CPU, "0.5"), (MIB, "512")], &[], &[]),
    read("d-q2.yaml", &[(CPU, "0.1"), (MIB, "1536")], &[], &[]),
    read("d-q3.yaml", &[(CPU, "2.0"), (MIB, "977")], &[], &[]),
    read("d-q4.yaml", &[(CPU, "1.5"), (MIB, "123")], &[], &[]),
    refused("d-q5.yaml", 13, &["resources.limits.cpu: write vCPUs"]),
    read("d-q6.yaml", &[(CPU, "0.5"), (MIB, "1048576")], &[], &[]),
    refused("d-q7.yaml", 13, &["resources.limits.memory: write bytes"]),
    read("d-q8.yaml", &[(MIB, "1073741824")], &[], &[]),
    refused("d-q9.yaml", 13, &["resources.limits.cpu: write vCPUs"]),
    read("d-q10.yaml", &[(MIB, "128")], &[], &[]),
    refused("d-q11.yaml", 13, &["resources.limits.memory: write bytes"]),
    read("d-q12.yaml", &[(CPU, "1.0")], &[], &[]),
];

fn path(file: &str) -> String {
    format!("{}/tests/cases/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// A run of five messages, or a search with two.
fn run(command: &str, flag: &str, case: &Case) -> std::process::Output {
    let small: &[&str] = match command {
        "compare" => &["compare", "--engine", "simulated", "--messages", "5", "--work", "10ms"],
        "advise" => &["advise", "--messages", "2", "--work", "10ms", "--seeds", "2"],
        _ => &["validate"],
    };
    let flag = if command == "validate" && flag != "--template" { "--kubernetes" } else { flag };
    twinscale(&[small, &["--format", "json", flag, &path(case.file)], case.more].concat())
}

/// A value of the scenario as text.
fn value(scenario: &Value, at: &str) -> String {
    match scenario.pointer(&format!("/{at}")) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "none".to_owned(),
    }
}

/// What is wrong with how a command that simulates reads a case.
fn simulated(command: &str, flag: &str, case: &Case) -> Vec<String> {
    let output = run(command, flag, case);
    let error = text(&output.stderr);
    let code = output.status.code();
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{command} {} {:?}: {what}", case.file, case.more));
        }
    };
    match &case.right {
        Right::Refused(line, parts) => {
            let place = if *line == 0 { format!("{}: ", case.file) } else { format!("{}, line {line}: ", case.file) };
            must(code == Some(64), format!("exits with {code:?}"));
            for part in parts.iter().copied().chain([place.as_str()]) {
                must(error.contains(part), format!("does not say '{part}': {error}"));
            }
        }
        Right::Read { .. } | Right::Bare(..) => {
            let (values, warnings) = match case.right {
                Right::Read { values, warnings, .. } => (values, warnings.to_vec()),
                Right::Bare(_, part, values) => (values, vec![part]),
                Right::Refused(..) => unreachable!("another arm"),
            };
            must(matches!(code, Some(0 | 1)), format!("exits with {code:?}: {error}"));
            let Ok(document) = serde_json::from_slice::<Value>(&output.stdout) else { return wrong };
            for (at, right) in values {
                let read = value(&document["scenario"], at);
                must(read == *right, format!("{at} is {read}, and {right} is right"));
            }
            let told = document["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let told = told.chain([error.as_str()]).collect::<String>();
            for part in warnings {
                must(told.contains(part), format!("does not warn '{part}': {told}"));
            }
        }
    }
    wrong
}

/// What is wrong with what `validate` finds in a case.
fn validated(flag: &str, case: &Case) -> Vec<String> {
    let output = run("validate", flag, case);
    let out = text(&output.stdout);
    let error = text(&output.stderr);
    let code = output.status.code();
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("validate {} {:?}: {what}", case.file, case.more));
        }
    };
    must(matches!(code, Some(0 | 1)), format!("exits with {code:?}: {error}"));
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match &case.right {
        // Without a function there is nothing to check in a template.
        Right::Refused(0, _) => must(code == Some(0), out),
        Right::Refused(line, _) | Right::Bare(line, ..) => {
            let parts = match case.right {
                Right::Refused(_, parts) => parts.to_vec(),
                Right::Bare(_, part, _) => vec![part],
                Right::Read { .. } => unreachable!("another arm"),
            };
            must(code == Some(1), format!("exits with {code:?}"));
            for part in parts {
                let mut of_line = findings.iter().filter(|f| f["line"] == *line);
                let told = of_line.any(|f| f["what"].as_str().is_some_and(|what| what.contains(part)));
                must(told, format!("does not say '{part}' at line {line}: {out}"));
            }
        }
        Right::Read { found, .. } => {
            must(!findings.iter().any(|f| f["rule"] == "refused"), format!("refuses it: {out}"));
            for (rule, part) in *found {
                let is = |f: &Value| f["rule"] == *rule && f["what"].as_str().is_some_and(|what| what.contains(part));
                must(findings.iter().any(is), format!("does not find {rule} '{part}': {out}"));
            }
        }
    }
    wrong
}

/// The tables, each with the flag that its files are given by.
const TABLES: [(&str, &[Case]); 3] =
    [("--template", TEMPLATES), ("--scaled-object", SCALED_OBJECTS), ("--deployment", DEPLOYMENTS)];

fn wrong_of_all(wrong: impl Fn(&str, &Case) -> Vec<String>) -> String {
    let all = TABLES.iter().flat_map(|(flag, cases)| cases.iter().map(move |case| (*flag, case)));
    all.flat_map(|(flag, case)| wrong(flag, case)).collect::<Vec<_>>().join("\n")
}

#[test]
fn compare_reads_each_file_as_it_is_meant() {
    let wrong = wrong_of_all(|flag, case| simulated("compare", flag, case));
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn advise_reads_each_file_as_it_is_meant() {
    let wrong = wrong_of_all(|flag, case| simulated("advise", flag, case));
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn validate_reads_each_file_as_it_is_meant() {
    let wrong = wrong_of_all(validated);
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_fork_without_the_shipped_handlers_settings_is_not_told_to_have_them() {
    let found = twinscale(&["validate", "--format", "json", "--kubernetes", &path("k-fork.yaml")]);
    let findings: Vec<Value> = serde_json::from_slice(&found.stdout).expect("findings");
    assert!(!findings.iter().any(|finding| finding["rule"] == "cpu-limit"), "{findings:?}");
}

#[test]
fn a_scaled_job_is_simulated_and_the_search_refuses_it() {
    let file = path("so-getjob.yaml");
    let flags = ["--scaled-object", &file, "--messages", "2", "--work", "10ms", "--format", "json"];
    let run = twinscale(&[&["compare", "--engine", "simulated"], &flags[..]].concat());
    let document: Value = serde_json::from_slice(&run.stdout).expect("a run");
    assert_eq!(value(&document["scenario"], "eks/job/triggers/0/queueLength"), "5");
    let refused = twinscale(&[&["advise"], &flags[..]].concat());
    assert_eq!(refused.status.code(), Some(64));
    assert!(text(&refused.stderr).contains("this is a ScaledJob"), "{}", text(&refused.stderr));
}

#[test]
fn advice_of_two_kinds_is_written_into_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("one-file.yaml");
    std::fs::copy(path("one-file.yaml"), &file).expect("a copy");
    let name = file.display().to_string();
    let flags = ["advise", "--messages", "20", "--work", "500ms", "--seeds", "2", "--format", "json"];
    let run = |more: &[&str]| {
        let output = twinscale(&[&flags[..], &["--scaled-object", &name, "--deployment", &name], more].concat());
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
    };
    let template = folder.path().join("template.yaml");
    std::fs::copy(path("t-tenk.yaml"), &template).expect("a copy");
    let template = template.display().to_string();
    let first = run(&["--write", "--template", &template]);
    let second = run(&["--template", &template]);
    for target in [0, 1] {
        let advised = &first["targets"][target]["best"];
        let written = &second["targets"][target]["now"];
        assert_eq!([&advised["usd"], &advised["seconds"]], [&written["usd"], &written["seconds"]], "{advised}");
    }
    let changed: Vec<&str> =
        first["patches"].as_array().into_iter().flatten().filter_map(|p| p["file"].as_str()).collect();
    let ours = changed.iter().filter(|changed| **changed == name).count();
    assert_eq!(ours, 1, "{changed:?}");
}

#[test]
fn a_flag_about_a_template_says_so_and_a_wrong_name_lists_the_right_ones() {
    let file = path("t-byname.yaml");
    for command in ["compare", "advise", "validate"] {
        for (args, named) in [
            (vec!["--template", &file, "--parameter", "Stag=x"], "the template has no such parameter: it has Stage"),
            (
                vec!["--template", &file, "--template-function", "other"],
                "no function of that name has a queue: write one of F",
            ),
            (vec!["--parameter", "Stage=x"], "template"),
        ] {
            let output = twinscale(&[&[command], &args[..]].concat());
            let told = text(&output.stderr) + &text(&output.stdout);
            assert!(!output.status.success() && told.contains(named), "{command} {args:?}: {told}");
        }
    }
}
