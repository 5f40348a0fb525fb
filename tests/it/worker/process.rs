//! Real `twinscale-worker` processes: configuration, signals, exit codes, crashes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::process::{Child, Command};

use super::eventually;
use super::sqs::{Fault, Sqs};

/// A worker process, killed when dropped.
pub struct Process {
    child: Child,
    addr_file: PathBuf,
    admin_file: PathBuf,
    log_file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Process {
    /// Starts one with a short poll, so that a drain is short; `variables` win over that.
    pub fn start(endpoint: &str, variables: &[(&str, &str)]) -> Self {
        Self::start_with(endpoint, variables, Self::to_file)
    }

    /// The same, with another standard error than the file `log`.
    pub fn start_with(endpoint: &str, variables: &[(&str, &str)], stderr: impl FnOnce(&Path) -> Stdio) -> Self {
        Self::started(command(endpoint), variables, stderr)
    }

    /// The same, for a process that may have only so many files and sockets open.
    pub fn start_with_descriptors(most: usize, endpoint: &str, variables: &[(&str, &str)]) -> Self {
        let program = crate::workload("twinscale-worker");
        let mut command = of_program("sh", endpoint);
        command.arg("-c").arg(format!("ulimit -n {most}; exec \"$0\"")).arg(program);
        Self::started(command, variables, Self::to_file)
    }

    fn to_file(log: &Path) -> Stdio {
        std::fs::File::create(log).expect("a file for the log").into()
    }

    fn started(mut command: Command, variables: &[(&str, &str)], stderr: impl FnOnce(&Path) -> Stdio) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let [addr_file, admin_file, log_file] = ["addr", "admin", "log"].map(|name| folder.path().join(name));
        let child = command
            .stderr(stderr(&log_file))
            .envs([("HTTP_ADDR", "127.0.0.1:0"), ("ADMIN_ADDR", "127.0.0.1:0")])
            .env("HTTP_ADDR_FILE", &addr_file)
            .env("ADMIN_ADDR_FILE", &admin_file)
            .envs([("QUEUE_URL", "jobs"), ("WAIT_TIME_SECS", "1"), ("WORK_WAIT", "1ms")])
            .envs(variables.iter().copied())
            .spawn()
            .expect("the worker starts");
        Self { child, addr_file, admin_file, log_file, _folder: folder }
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log_file).expect("a log")
    }

    /// The most memory that it ever had, in MiB.
    pub fn peak_memory_mib(&self) -> u64 {
        peak_memory_mib(self.child.id().expect("it runs"))
    }

    /// How many files and sockets it has open.
    pub fn descriptors(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id().expect("it runs")));
        open.expect("it runs").count()
    }

    /// A counter of `/metrics`.
    pub async fn counter(&self, name: &str) -> u64 {
        let metrics = get(&self.admin().await, "/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.expect("it is shown").parse().expect("a number")
    }

    /// Waits until `/readyz` says so: `200 OK`, or a part of why not.
    pub async fn says(&self, what: &str) {
        let addr = self.admin().await;
        eventually(what, || get(&addr, "/readyz").contains(what)).await;
    }

    pub fn signal(&self, signal: Signal) {
        let pid = self.child.id().expect("it runs");
        kill(Pid::from_raw(pid as i32), signal).expect("the process is ours");
    }

    pub async fn exit_code(&mut self) -> Option<i32> {
        let exited = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        exited.expect("it exits in time").expect("it is ours").code()
    }

    /// Where anybody may call.
    pub async fn addr(&self) -> String {
        Self::written(&self.addr_file).await
    }

    /// Where it tells of its health.
    pub async fn admin(&self) -> String {
        Self::written(&self.admin_file).await
    }

    async fn written(file: &Path) -> String {
        eventually("the worker listens", || file.exists()).await;
        std::fs::read_to_string(file).expect("written in one go")
    }

    /// Waits until this many handlers have begun. What the queue counts as in flight may still be on its way to the worker,
    /// which would rightly give it back when told to stop.
    async fn has_begun(&self, handlers: usize) {
        let addr = self.admin().await;
        let begun = format!("twinscale_age_at_start_seconds_count {handlers}\n");
        eventually("handlers have begun", || get(&addr, "/metrics").contains(&begun)).await;
    }
}

/// The most memory that a process ever had, in MiB.
pub fn peak_memory_mib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
    peak.expect("Linux tells").parse::<u64>().expect("a number") / 1024
}

fn command(endpoint: &str) -> Command {
    of_program(crate::workload("twinscale-worker"), endpoint)
}

fn of_program(program: impl AsRef<std::ffi::OsStr>, endpoint: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().kill_on_drop(true).stdout(Stdio::null()).stderr(Stdio::null()).envs([
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_exits_with_64_and_names_every_variable() {
    let output = command("http://127.0.0.1:9")
        .envs([("CONCURRENCY", "none"), ("HTTP_ADDR", "0.0.0.0:80"), ("WAIT_TIME_SECS", "60")])
        .stderr(Stdio::piped())
        .output()
        .await
        .expect("it runs");
    let text = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(64), "{text}");
    for named in ["QUEUE_URL", "CONCURRENCY=none", "HTTP_ADDR=0.0.0.0:80", "WAIT_TIME_SECS=60"] {
        assert!(text.contains(named), "{named} in {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_binary_says_what_it_is_for_and_functions_refuse_to_run_outside_lambda() {
    for (name, setting) in
        [("twinscale-worker", "WAIT_TIME_SECS"), ("lambda-sqs", "DEADLINE_MARGIN_MS"), ("lambda-http", "SEND_LIMIT")]
    {
        // The shipped binaries, not the tests' handler under three names.
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_twinscale-worker")).with_file_name(name);
        let run = async |arguments: &[&str]| {
            let ran = Command::new(&program).env_clear().args(arguments).output().await.expect("it runs");
            let text = |bytes| String::from_utf8(bytes).expect("text");
            (ran.status.code(), text(ran.stdout), text(ran.stderr))
        };
        let (code, help, _) = run(&["--help"]).await;
        assert_eq!(code, Some(0), "{name}");
        assert!(help.starts_with(name) && help.contains(setting), "{help}");
        let (code, version, _) = run(&["--version"]).await;
        assert_eq!((code, version), (Some(0), format!("{name} (twinscale {})\n", env!("CARGO_PKG_VERSION"))));
        let (code, _, told) = run(&[]).await;
        assert_eq!(code, Some(64), "{told}");
        let why = if name == "twinscale-worker" { "QUEUE_URL" } else { "AWS Lambda sets this variable for it" };
        assert!(told.contains(why) && !told.contains("panicked"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_that_contradict_each_other_or_the_queue_exit_with_64_and_a_sentence() {
    let sqs = Sqs::start(Duration::from_secs(2), 10).await;
    for (variables, sentence) in [
        (
            &[("ATTEMPT_TIMEOUT_MS", "20000"), ("WAIT_TIME_SECS", "20")],
            "ATTEMPT_TIMEOUT_MS=20000: write more than WAIT_TIME_SECS=20",
        ),
        (&[("QUEUE_URL", "jobs.fifo"), ("DLQ_URL", "dead")], "DLQ_URL=dead: write a FIFO queue"),
        (&[("QUEUE_URL", "jobs"), ("DLQ_URL", "dead.fifo")], "DLQ_URL=dead.fifo: write a standard queue"),
        // Only the queue tells its visibility timeout.
        (
            &[("HEARTBEAT_MS", "2000"), ("HEARTBEAT", "on")],
            "HEARTBEAT_MS=2000: write less than the queue's visibility timeout",
        ),
    ] {
        let mut worker = Process::start(&sqs.endpoint, variables);
        assert_eq!(worker.exit_code().await, Some(64), "{variables:?}");
        assert!(worker.log().contains(sentence), "{sentence} in {}", worker.log());
    }
    assert!(sqs.calls("ReceiveMessage").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aws_is_reached_through_the_proxy_that_the_environment_names() {
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", proxy.local_addr().expect("bound"));
    let variables = [("HTTPS_PROXY", url.as_str()), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
    let worker = Process::start("http://127.0.0.1:9", &variables);
    let asked = async {
        let (mut stream, _) = proxy.accept().await.expect("it is asked");
        let mut line = [0; 64];
        let read = tokio::io::AsyncReadExt::read(&mut stream, &mut line).await.expect("a request");
        String::from_utf8_lossy(&line[..read]).into_owned()
    };
    let asked = tokio::time::timeout(Duration::from_secs(20), asked).await;
    let asked = asked.unwrap_or_else(|_| panic!("nobody asked: {}", worker.log()));
    assert!(asked.starts_with("CONNECT sqs.us-east-1.amazonaws.com:443"), "{asked}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_worker_has_finished_what_it_began_given_the_rest_back_and_exits_with_0() {
    let sqs = Sqs::start(Duration::from_secs(60), 10).await;
    sqs.send("jobs", 0..10).await;
    let settings = [("CONCURRENCY", "4"), ("PREFETCH", "6"), ("WORK_WAIT", "1500ms")];
    let mut worker = Process::start(&sqs.endpoint, &settings);
    eventually("all are held", || sqs.counts("jobs").in_flight == 10).await;
    worker.has_begun(4).await;
    worker.signal(Signal::SIGTERM);
    eventually("what has not begun is visible at once", || sqs.counts("jobs").visible == 6).await;
    assert_eq!(worker.exit_code().await, Some(0));
    let counts = sqs.counts("jobs");
    assert_eq!((counts.visible, counts.in_flight), (6, 0), "four were begun, and those are done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_drain_budget_handlers_are_aborted_given_back_and_the_exit_code_is_75() {
    let sqs = Sqs::start(Duration::from_secs(60), 10).await;
    sqs.send("jobs", 0..3).await;
    let mut worker = Process::start(&sqs.endpoint, &[("WORK_WAIT", "60s"), ("DRAIN_BUDGET_MS", "300")]);
    worker.has_begun(3).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.exit_code().await, Some(75));
    assert_eq!(sqs.counts("jobs").visible, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_forces_with_130() {
    let sqs = Sqs::start(Duration::from_secs(60), 10).await;
    sqs.send("jobs", 0..1).await;
    let mut worker = Process::start(&sqs.endpoint, &[("WORK_WAIT", "60s")]);
    worker.has_begun(1).await;
    let began = Instant::now();
    worker.signal(Signal::SIGTERM);
    let addr = worker.admin().await;
    eventually("the first signal was heard", || !ready(&addr)).await;
    worker.signal(Signal::SIGINT);
    assert_eq!(worker.exit_code().await, Some(130));
    assert!(began.elapsed() < Duration::from_secs(10), "it did not wait for the drain budget");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receive_under_way_is_finished_and_what_it_brings_is_given_back() {
    let sqs = Sqs::start(Duration::from_secs(60), 10).await;
    let mut worker = Process::start(&sqs.endpoint, &[("WAIT_TIME_SECS", "20")]);
    eventually("it polls", || !sqs.calls("ReceiveMessage").is_empty()).await;
    worker.signal(Signal::SIGTERM);
    let addr = worker.admin().await;
    eventually("it drains", || !ready(&addr)).await;
    sqs.send("jobs", 0..5).await;
    assert_eq!(worker.exit_code().await, Some(0));
    let counts = sqs.counts("jobs");
    assert_eq!((counts.visible, counts.in_flight), (5, 0));
    assert_eq!(sqs.calls("ReceiveMessage").len(), 1, "no further receive began");
    assert!(sqs.calls("DeleteMessageBatch").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_last_receive_brings_on_its_last_receive_is_handled_in_place_of_made_a_dead_letter() {
    let sqs = Sqs::start(Duration::from_secs(60), 1).await;
    let mut worker = Process::start(&sqs.endpoint, &[("WAIT_TIME_SECS", "20"), ("CONCURRENCY", "2")]);
    eventually("it polls", || !sqs.calls("ReceiveMessage").is_empty()).await;
    worker.signal(Signal::SIGTERM);
    let addr = worker.admin().await;
    eventually("it drains", || !ready(&addr)).await;
    sqs.send("jobs", 0..1).await;
    assert_eq!(worker.exit_code().await, Some(0));
    assert_eq!((sqs.left("jobs"), sqs.left("dead")), (0, 0), "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_under_way_are_finished_and_the_port_closes_only_after_readiness_has_said_no_for_a_while() {
    let sqs = Sqs::start(Duration::from_secs(60), 5).await;
    sqs.script(|action, _| (action == "SendMessageBatch").then_some(Fault::Slow(Duration::from_secs(4))));
    let delay = [("RECEIVE", "off"), ("HTTP_CLOSE_DELAY_MS", "1500")];
    let mut worker = Process::start(&sqs.endpoint, &delay);
    let addr = worker.addr().await;
    let admin = worker.admin().await;
    let sending = tokio::task::spawn_blocking({
        let addr = addr.clone();
        move || post(&addr, r#"{"messages": 3}"#)
    });
    eventually("it sends", || !sqs.calls("SendMessageBatch").is_empty()).await;
    worker.signal(Signal::SIGTERM);
    eventually("it is not ready", || !ready(&admin)).await;
    assert!(get(&addr, "/").starts_with("HTTP/1.1 200"), "the port is still open");
    eventually("the port closes", || std::net::TcpStream::connect(&addr).is_err()).await;
    let answer = sending.await.expect("no panic");
    assert!(answer.contains(r#""accepted":3"#), "{answer}");
    assert_eq!(worker.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_worker_held_is_done_by_another() {
    let sqs = Sqs::start(Duration::from_secs(2), 10).await;
    sqs.send("jobs", 0..50).await;
    let mut killed = Process::start(&sqs.endpoint, &[("WORK_WAIT", "60s")]);
    eventually("it holds some", || sqs.counts("jobs").in_flight == 10).await;
    killed.signal(Signal::SIGKILL);
    assert_eq!(killed.exit_code().await, None);
    let _other = Process::start(&sqs.endpoint, &[]);
    eventually("all are done", || sqs.left("jobs") == 0).await;
    assert_eq!(sqs.left("dead"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_makes_one_long_poll_after_the_other_and_nothing_else() {
    let sqs = Sqs::start(Duration::from_secs(30), 10).await;
    let began = Instant::now();
    let _worker = Process::start(&sqs.endpoint, &[("CONCURRENCY", "100")]);
    eventually("it has polled a few times", || sqs.calls("ReceiveMessage").len() >= 4).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "polls of 1 s, one at a time");
    let actions: BTreeSet<_> = ["SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"].into();
    assert!(actions.into_iter().all(|action| sqs.calls(action).is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_does_what_is_there_and_exits_with_0_once_the_queue_stays_empty_but_never_while_it_works() {
    let sqs = Sqs::start(Duration::from_secs(60), 10).await;
    sqs.send("jobs", 0..20).await;
    let long =
        [("WORK_WAIT", "2500ms"), ("EXIT_WHEN_IDLE_SECS", "1"), ("CONCURRENCY", "30"), ("DRAIN_BUDGET_MS", "100")];
    let mut job = Process::start(&sqs.endpoint, &long);
    assert_eq!(job.exit_code().await, Some(0), "handlers longer than idle time and drain budget were waited for");
    assert_eq!(sqs.left("jobs"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_queue_never_answers_gives_up_with_69() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound");
    let mut job = Process::start(&format!("http://{nobody}"), &[("EXIT_WHEN_IDLE_SECS", "1")]);
    assert_eq!(job.exit_code().await, Some(69), "nobody listens there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_queue_refuses_every_receive_gives_up_with_69() {
    let sqs = Sqs::start(Duration::from_secs(30), 10).await;
    sqs.script(|action, _| (action == "ReceiveMessage").then_some(Fault::Error(403, "AccessDenied")));
    let mut job = Process::start(&sqs.endpoint, &[("EXIT_WHEN_IDLE_SECS", "1")]);
    assert_eq!(job.exit_code().await, Some(69), "its role may not receive");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_short_messages_cost_at_most_a_third_of_a_request_each() {
    let sqs = Sqs::start(Duration::from_secs(30), 10).await;
    let worker =
        Process::start(&sqs.endpoint, &[("WORK_WAIT", "10ms"), ("CONCURRENCY", "100"), ("WAIT_TIME_SECS", "20")]);
    let addr = worker.addr().await;
    let answer = post(&addr, &json!({ "Messages": 1000 }).to_string());
    assert!(answer.contains(r#""accepted":1000"#), "{answer}");
    eventually("all are done", || sqs.left("jobs") == 0).await;
    let requests = ["SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"].map(|action| sqs.calls(action).len());
    assert!(requests.iter().sum::<usize>() <= 350, "send, receive, delete: {requests:?}");
    let metrics = get(&worker.admin().await, "/metrics");
    for line in ["twinscale_messages_received_total 1000", "twinscale_messages_done_total 1000"] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_the_queue_makes_it_unready_not_dead_and_it_recovers() {
    let sqs = Sqs::start(Duration::from_secs(30), 10).await;
    let mut failures = 0;
    sqs.script(move |action, _| {
        failures += usize::from(action == "ReceiveMessage");
        (action == "ReceiveMessage" && (1..=4).contains(&failures)).then_some(Fault::Error(503, "ServiceUnavailable"))
    });
    let worker = Process::start(&sqs.endpoint, &[]);
    let addr = worker.admin().await;
    eventually("receives fail", || sqs.calls("ReceiveMessage").len() >= 2).await;
    eventually("it is not ready", || !ready(&addr)).await;
    assert!(get(&addr, "/healthz").starts_with("HTTP/1.1 200"), "an outage is no reason to be killed");
    sqs.send("jobs", 0..20).await;
    eventually("all are done", || sqs.left("jobs") == 0).await;
    assert!(ready(&addr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_only_serves_http_sends_and_never_receives() {
    let sqs = Sqs::start(Duration::from_secs(30), 10).await;
    let mut worker = Process::start(&sqs.endpoint, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    assert!(post(&addr, r#"{"bodies": ["a", "b"]}"#).contains(r#""accepted":2"#));
    assert_eq!(sqs.counts("jobs").visible, 2);
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.exit_code().await, Some(0));
    assert!(sqs.calls("ReceiveMessage").is_empty());
}

fn ready(addr: &str) -> bool {
    get(addr, "/readyz").starts_with("HTTP/1.1 200")
}

/// One request over a connection of its own; the whole answer as text.
pub fn get(addr: &str, path: &str) -> String {
    exchange(addr, &format!("GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n"))
}

pub fn post(addr: &str, body: &str) -> String {
    let length = body.len();
    exchange(
        addr,
        &format!("POST /send HTTP/1.1\r\nHost: worker\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"),
    )
}

/// `post` from within the trace of the example in W3C's specification.
pub fn post_in_trace(addr: &str, body: &str) -> String {
    let head = "POST /send HTTP/1.1\r\nHost: worker\r\nConnection: close";
    let trace = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    exchange(addr, &format!("{head}\r\n{trace}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

pub fn exchange(addr: &str, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(addr).expect("it listens");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
