//! The simulated engine through the command line: bad scenarios, runs that cannot end, and the same bytes everywhere.

use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};

fn compare(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinscale"));
    command.args(["compare", "--engine", "simulated"]).args(args).env("NO_COLOR", "1");
    command.output().expect("twinscale starts")
}

/// Runs a scenario of this text.
fn scenario(text: &str, args: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.toml");
    std::fs::write(&path, text).expect("written");
    std::fs::write(folder.path().join("late.csv"), "0,5\n60,5\n30,5\n").expect("written");
    std::fs::write(folder.path().join("nan.csv"), "0,NaN\n").expect("written");
    compare(&[&["--scenario", &path.display().to_string()], args].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_bad_scenario_exits_64_and_names_its_field() {
    for (file, named) in [
        ("messages = 1.5", "messages"),
        ("seed = -1", "seed"),
        ("body_bytes = 2000000", "body_bytes: 2000000: write 36 to 1048576"),
        ("limit = '0s'", "scenario 's':\n  limit: 0: write 1"),
        ("limit = 'forever'", "'forever' is no duration"),
        ("load = { shape = 'steady', rate = -5.0 }", "load.rate: -5"),
        ("load = { shape = 'poisson', rate = inf }", "load.rate"),
        ("load = { shape = 'zigzag' }", "zigzag"),
        ("load = { shape = 'steady', rate = 1.0, over = '1s' }", "over"),
        ("load = { shape = 'ramp', from = 1.0, to = nan, over = '1m' }", "load.to"),
        ("load = { shape = 'day', rate = 1.0, noise = 2.0 }", "load.noise"),
        ("load = { shape = 'on_off', rate = 1.0, on = '0s', off = '1s' }", "load.on"),
        ("load = { shape = 'recorded', file = 'late.csv' }", "late.csv, line 3: '30' is not after"),
        ("load = { shape = 'recorded', file = 'nan.csv' }", "nan.csv, line 1"),
        ("load = { shape = 'recorded', file = 'gone.csv' }", "gone.csv"),
        ("load = { shape = 'recorded', rows = [] }", "load.rows"),
        ("work = { wait = 'uniform:2s-1s' }", "uniform:2s-1s"),
        ("work = { retry_share = 0.7, reject_share = 0.7 }", "work.reject_share"),
        ("work = { cpu = '-1s' }", "'-1s'"),
        ("queue = { groups = 0 }", "queue.groups"),
        ("queue = { max_receive_count = 0 }", "queue.max_receive_count"),
        ("queue = { retention = '1s' }", "queue.retention"),
        ("eks.keda = { maxReplicaCount = 0 }", "eks.keda.maxReplicaCount"),
        ("eks.keda = { pollingInterval = 0 }", "eks.keda.pollingInterval"),
        ("eks.keda = { triggers = [] }", "eks.keda.triggers"),
        ("eks.keda = { hpa = { tolerance = nan } }", "eks.keda.tolerance"),
        ("eks.keda = { scalingModifiers = { formula = 'a +', target = 5.0 } }", "eks.keda.formula: 'a +'"),
        ("eks.keda = { scalingModifiers = { formula = '1', target = -1.0 } }", "eks.keda.target"),
        ("eks.pod = { cpu_limit = -1.0 }", "eks.pod.cpu_limit"),
        ("eks.pod = { start_delay = 'soon' }", "'soon' is no wait"),
        ("eks.nodes = { pods_per_node = 0 }", "eks.nodes.pods_per_node"),
        ("eks.nodes = { initial = 5, maximum = 2 }", "eks.nodes.initial: 5 is above maximum 2"),
        ("eks.nodes = { initial = 0 }", "eks.nodes.initial"),
        ("eks.nodes = { provisioner = 'magic' }", "magic"),
        ("eks.nodes = { provisioner = 'karpenter', spot_interruptions_per_hour = -1.0 }", "eks.nodes.spot"),
        ("eks.job = { minReplicaCount = 9, maxReplicaCount = 3 }", "eks.job.minReplicaCount"),
        ("eks.job = { messagesPerJob = 0 }", "eks.job.messagesPerJob"),
        ("eks.job = { strategy = { custom = { deduction = 1, runningShare = nan } } }", "eks.job.strategy"),
        ("lambda = { memory_mb = 64 }", "lambda.memory_mb"),
        ("lambda = { timeout = '20m' }", "lambda.timeout"),
        ("lambda = { reserved_concurrency = 0 }", "lambda.reserved_concurrency"),
        ("lambda = { reserved_concurrency = 950 }", "lambda.reserved_concurrency: 950: write 1 to 900"),
        ("lambda = { deploy_every = '1ms' }", "lambda.deploy_every"),
        ("lambda = { low_traffic_wait = '21s' }", "lambda.low_traffic_wait"),
        ("lambda = { memory_mb = 2048, managed = { vcpu = 4.0 } }", "lambda.managed.vcpu"),
        (
            "lambda = { memory_mb = 2048, managed = { min_environments = 9, max_environments = 3 } }",
            "min_environments: 9",
        ),
        ("lambda.mapping = { BatchSize = 10001 }", "lambda.mapping.BatchSize"),
        ("lambda.mapping = { MaximumConcurrency = 1 }", "lambda.mapping.MaximumConcurrency"),
        ("lambda.mapping = { ProvisionedPollerConfig = { MinimumPollers = 9, MaximumPollers = 5 } }", "MinimumPollers"),
        ("lambda.mapping = { Ramp = 'steep' }", "steep"),
        (
            "queue = { fifo = true }\nlambda.mapping = { BatchSize = 20, MaximumBatchingWindowInSeconds = 1 }",
            "FIFO queue allows 10",
        ),
    ] {
        let output = scenario(file, &[]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{file}: {said}");
        assert!(said.contains(named), "{file}: {said}");
    }
}

#[test]
fn what_can_never_drain_ends_by_itself_and_says_so() {
    let never = "messages = 10\nlimit = '366d'\nqueue = { retention = '14d' }\n\
                 eks.keda = { minReplicaCount = 0, triggers = [{ activationQueueLength = 1000 }] }";
    let output = scenario(never, &["--target", "eks"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("EKS can never drain: for 13 hours nothing was sent"), "{said}");
    assert!(said.contains("10 of the messages"), "{said}");
}

#[test]
fn a_target_that_failed_has_no_bill_and_no_winner_and_the_reason_is_told() {
    for (file, args, reason) in [
        (
            "messages = 50",
            &["--work", "40s"][..],
            "Lambda failed: not one of 50 messages was done: the function's timeout of 30s is shorter than the handler's 40s",
        ),
        (
            "messages = 50\nwork = { reject_share = 1.0 }",
            &[],
            "50 messages was done: reject_share = 1 rejects every message",
        ),
        (
            "messages = 50\nwork = { retry_share = 1.0 }",
            &[],
            "50 messages was done: retry_share = 1 retries every message",
        ),
        (
            "messages = 5000\nload = { shape = 'steady', rate = 1.0 }",
            &["--limit", "10m"],
            "of 5000 messages were done when the run ended",
        ),
        (
            "messages = 200\nwork = { retry_share = 0.2 }\nlambda.mapping = { ReportBatchItemFailures = false }",
            &[],
            "without ReportBatchItemFailures Lambda deletes the messages that failed",
        ),
    ] {
        let output = scenario(file, args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{file}: {said}");
        assert!(said.contains(reason), "{file}: {said}");
        assert!(said.contains("There is no winner.") && !said.contains(" won "), "{file}: {said}");
        assert!(!said.contains("drained after 0 ms"), "{file}: {said}");
    }
}

#[test]
fn a_day_without_a_limit_or_a_number_of_messages_names_the_same_winner_as_with_both() {
    let load = "load = { shape = 'day', rate = 3.5, swing = 0.8 }\nwork = { wait = 'lognormal:400ms,0.4' }";
    let [told, unlimited, uncounted] =
        [format!("messages = 302400\nlimit = '26h'\n{load}"), format!("messages = 302400\n{load}"), load.to_owned()]
            .map(|file| {
                let output = scenario(&file, &["--format", "markdown"]);
                let said = text(&output.stdout) + &text(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{file}: {said}");
                assert!(said.contains("302,400 of 302,400"), "{file}: {said}");
                said.lines().next().map(str::to_owned).expect("a verdict")
            });
    assert!(told.contains(" won on "), "{told}");
    assert_eq!((&told, &told), (&unlimited, &uncounted));
}

#[test]
fn a_load_without_an_end_has_to_say_how_many_messages_there_are() {
    let endless = "load = { shape = 'steady', rate = 5.0 }";
    let output = scenario(endless, &[]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("messages: a load of this shape goes on for ever: write how many"), "{said}");
    assert!(scenario(endless, &["--messages", "20"]).status.success(), "the flag tells");
}

#[test]
fn what_only_redrive_ends_was_not_done() {
    // Lambda's function never has the time that the work takes, and one receive is all that a message gets.
    let file = "messages = 1\nqueue = { max_receive_count = 1, visibility_timeout = '30s' }\n\
                lambda = { visibility_timeout = '30s', timeout = '30s', deadline_margin = '0s' }\n\
                eks.keda = { minReplicaCount = 0, maxReplicaCount = 10, cooldownPeriod = 60, \
                triggers = [{ scaleOnInFlight = false }] }\n\
                eks.pod = { drain_budget = '1s', grace_period = '1s' }";
    let output = scenario(file, &["--work", "10m"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("Lambda failed: not one of 1 messages was done"), "{said}");
    for wrong in ["drained after 0", "was done with 1 message", " won ", "had not drained"] {
        assert!(!said.contains(wrong), "{wrong}: {said}");
    }
}

#[test]
fn failures_that_the_scenario_tells_of_are_no_failure_of_the_target() {
    let output = compare(&["--scenario", "failures"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
}

/// The bytes of a scenario's run.json.
fn run_json(args: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let output = compare(&[args, &["--out", &folder.path().display().to_string()]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    std::fs::read(folder.path().join("run.json")).expect("run.json")
}

/// The digest of what happened in a run, as run.json writes it: every sample, decision, latency and request. Fields that
/// are added to run.json later do not change it.
fn digest(run: &[u8]) -> String {
    let run: Value = serde_json::from_slice(run).expect("JSON");
    let pick = |value: &Value, fields: &[&str]| -> Vec<Value> { fields.iter().map(|f| value[f].clone()).collect() };
    let all = |values: &Value, fields: &[&str]| -> Vec<Vec<Value>> {
        values.as_array().into_iter().flatten().map(|value| pick(value, fields)).collect()
    };
    let mut hasher = Sha256::new();
    for name in ["eks", "lambda"] {
        let target = &run["targets"][name];
        let whole =
            ["drain_seconds", "floor_seconds", "latency_seconds", "latency_histogram", "peak_capacity", "requests"];
        let messages = pick(&target["messages"], &["sent", "done", "retried", "rejected", "duplicates", "lost"]);
        let samples = all(&target["samples"], &["t", "visible", "in_flight", "capacity"]);
        assert!(samples.len() > 10, "{name}");
        let mut decisions = all(&target["decisions"], &["t", "from", "to", "by"]);
        decisions.retain(|decision| decision[1] != decision[2]);
        hasher.update(serde_json::to_vec(&(pick(target, &whole), messages, samples, decisions)).expect("JSON"));
    }
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_scenario_and_a_seed_give_the_same_bytes_on_any_machine() {
    let scenarios: [&[&str]; 3] = [
        &["--scenario", "article"],
        &["--scenario", "failures", "--seed", "7", "--nodes", "m7g.large"],
        &["--scenario", "fifo", "--work", "lognormal:1s,0.6", "--nodes", "m7g.large"],
    ];
    let runs = scenarios.map(run_json);
    assert!(runs[0] == run_json(scenarios[0]), "the whole file is the same, byte for byte");
    // Made on x86-64. A change that is meant to change what a run comes to writes new ones here.
    let pinned = [
        "ca15a25bd368c5b221f4f422aa660e2d0df30ac550044085d702779fa626c2ba",
        "b7150b444e69ea1ec7f3280999303870ae322f856a513204d33b686dac0d2edb",
        "20fe172513e54045dbbd9af0ca49ec3c60415ac30eee79433c1e8b0e86ecad6b",
    ];
    assert_eq!(runs.map(|run| digest(&run)), pinned);
}

/// Who pays Fargate waits for it: unless the scenario says how pods start, or on which nodes.
#[test]
fn pods_start_as_on_fargate_where_the_bill_is_fargate_s() {
    let told = |file: &str, args: &[&str]| {
        let output = scenario(file, &[&["--messages", "200", "--target", "eks", "--format", "json"], args].concat());
        assert_eq!(output.status.code(), Some(0), "{file}: {}", text(&output.stderr));
        let run: Value = serde_json::from_slice(&output.stdout).expect("a run");
        let warned = run["warnings"].as_array().expect("warnings");
        let of_it: Vec<&Value> =
            warned.iter().filter(|warning| warning.as_str().is_some_and(|text| text.contains("Fargate's"))).collect();
        let said = of_it.first().map_or(String::new(), |warning| warning.to_string());
        (run["scenario"]["eks"]["pod"]["start_delay"].as_str().expect("a wait").to_owned(), said)
    };
    let (starts, said) = told("seed = 1", &[]);
    assert_eq!(starts, "uniform:30s-60s");
    assert!(said.contains("so are the pods, which start within 30 to 60 s"), "{said}");
    let (starts, said) = told("eks.pod = { start_delay = '5s' }", &[]);
    assert_eq!(starts, "constant:5s");
    assert!(said.contains("takes 30 s or more to start a pod, and here one starts within 5.0 s"), "{said}");
    for (file, args) in [
        ("seed = 1", &["--nodes", "m7g.large"][..]),
        ("eks.nodes = {}", &[]),
        ("eks.pod = { start_delay = 'uniform:35s-90s' }", &[]),
    ] {
        assert_eq!(told(file, args).1, "", "{file} {args:?}");
    }
}
