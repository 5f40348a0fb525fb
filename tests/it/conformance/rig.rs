//! A queue with its dead-letter queue, the proxy in front of it, and processes of hosts that work on it: who saw what is
//! read from the queue's own events and from what the handlers wrote down.

use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use twinscale_lab::processes::environment::Settings;
use twinscale_lab::processes::event_source::{Mapping, Source};
use twinscale_lab::processes::lambda::DeployedFunction;
use twinscale_scaling::estimates::Estimates;
use twinscale_scaling::{Counts, event_source};
use twinscale_sqs::clock::Clock;
use twinscale_sqs::server::{Bill, Event, Options, SqsServer, Watch};
use twinscale_work::Wait;

use super::process::name;
use crate::fault_proxy::{FaultProxy, Strike};

/// The two kinds of queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Standard,
    Fifo,
}

/// What happened at a queue: when on its clock, whether it was the dead-letter queue, the message's name, and what.
pub type Noted = (Duration, bool, String, Event);

#[derive(Default)]
pub struct Diary(Mutex<Vec<Noted>>);

impl Watch for Diary {
    fn message(&self, now: Duration, queue: &str, _: uuid::Uuid, body: &str, event: Event) {
        self.0.lock().expect("no panic").push((now, queue.starts_with("dead"), name(body).to_owned(), event));
    }

    fn request(&self, _: Duration, _: &str, _: Bill, _: u64) {}
}

/// A line of a handler: `began`, `done`, `retry`, `reject` or `panic`, the message's name, which attempt at it.
pub type Line = (String, String, u32);

pub struct Rig {
    pub server: Arc<SqsServer>,
    pub proxy: FaultProxy,
    pub clock: Clock,
    jobs: String,
    dead: String,
    kind: Kind,
    diary: Arc<Diary>,
    log: PathBuf,
    _folder: tempfile::TempDir,
}

impl Rig {
    pub async fn start(kind: Kind, visibility: Duration, max_receives: u32, strike: Strike) -> Self {
        let clock = Clock::new(1.0);
        let diary = Arc::new(Diary::default());
        let options = Options { clock, watch: Some(diary.clone()), ..Options::default() };
        let server = SqsServer::start_at(([127, 0, 0, 1], 0).into(), options).await.expect("a free port");
        let (suffix, fifo): (_, &[_]) = match kind {
            Kind::Standard => ("", &[]),
            // The work queue as terraform makes it; the dead-letter queue as others make theirs.
            Kind::Fifo => (
                ".fifo",
                &[
                    ("FifoQueue", "true"),
                    ("DeduplicationScope", "messageGroup"),
                    ("FifoThroughputLimit", "perMessageGroupId"),
                ],
            ),
        };
        let jobs = format!("jobs{suffix}");
        let dead = format!("dead{suffix}");
        server.create_queue(&dead, &fifo[..fifo.len().min(1)]).expect("created");
        let policy = json!({ "deadLetterTargetArn": server.arn(&dead), "maxReceiveCount": max_receives }).to_string();
        let visibility = visibility.as_secs().to_string();
        let attributes = [("VisibilityTimeout", visibility.as_str()), ("RedrivePolicy", policy.as_str())];
        server.create_queue(&jobs, &[&attributes, fifo].concat()).expect("created");
        let proxy = FaultProxy::start(server.address(), strike).await;
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log");
        Self { server: Arc::new(server), proxy, clock, jobs, dead, kind, diary, log, _folder: folder }
    }

    /// Sends past the proxy: a group, if any, and a body each.
    pub async fn send(&self, messages: impl IntoIterator<Item = (String, String)>) {
        for (group, body) in messages {
            let mut call = json!({ "QueueUrl": self.jobs, "MessageBody": body });
            if body.contains("attribute") {
                let bytes = json!({ "DataType": "Binary", "BinaryValue": "AP8=" });
                call["MessageAttributes"] = json!({ "bytes": bytes });
            }
            if !group.is_empty() {
                call["MessageGroupId"] = group.into();
            }
            if self.kind == Kind::Fifo {
                call["MessageDeduplicationId"] = if body.ends_with("same") { "same" } else { name(&body) }.into();
            }
            self.server.call("SendMessage", call.to_string().as_bytes()).await.expect("sent");
        }
    }

    pub fn counts(&self) -> Counts {
        self.server.counts(&self.jobs).expect("a queue of ours")
    }

    /// Messages that are not deleted, whatever their state.
    pub fn left(&self) -> u64 {
        let counts = self.counts();
        counts.visible + counts.in_flight + counts.delayed
    }

    /// What happened at the queues so far, in order.
    pub fn events(&self) -> Vec<Noted> {
        self.diary.0.lock().expect("no panic").clone()
    }

    /// What the handlers wrote so far, in order.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let line = |line: &str| {
            let mut words = line.split(' ').map(str::to_owned);
            Some((words.next()?, words.next()?, words.next()?.parse().ok()?))
        };
        text.lines().filter_map(line).collect()
    }

    fn stderr(&self) -> PathBuf {
        self.log.with_file_name("stderr")
    }

    /// Lines that the workers have logged so far.
    pub fn log_lines(&self) -> usize {
        std::fs::read_to_string(self.stderr()).unwrap_or_default().lines().count()
    }

    /// The dead letters, as `ReceiveMessage` brings them.
    pub async fn dead_letters(&self) -> Vec<Value> {
        let ask = json!({ "QueueUrl": self.dead, "MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"] });
        let mut all = Vec::new();
        loop {
            let some = self.server.call("ReceiveMessage", ask.to_string().as_bytes()).await.expect("received");
            let some: Value = serde_json::from_slice(&some).expect("JSON");
            match some["Messages"].as_array() {
                Some(messages) => all.extend(messages.iter().cloned()),
                None => return all,
            }
        }
    }

    fn variables(&self, own: &[(&str, &str)]) -> Vec<(String, String)> {
        let program = std::env::current_exe().expect("it runs");
        let program = program.to_string_lossy().into_owned();
        let log = self.log.to_string_lossy().into_owned();
        let url = format!("{}/000000000000/{}", self.proxy.endpoint, self.jobs);
        let all = [
            ("AWS_ENDPOINT_URL", self.proxy.endpoint.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("HOST_PROGRAM", &program),
            ("HOST_LOG", &log),
            ("QUEUE_URL", &url),
            ("HTTP_ADDR", "127.0.0.1:0"),
            ("ADMIN_ADDR", "127.0.0.1:0"),
            // A short poll makes a short drain.
            ("WAIT_TIME_SECS", "1"),
            ("ATTEMPT_TIMEOUT_MS", "5000"),
            ("DELETE_LINGER_MS", "50"),
            ("BACKOFF_BASE_SECS", "1"),
            ("BACKOFF_MAX_SECS", "1"),
            ("FUNCTION_METRICS", "off"),
        ];
        all.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// A worker process.
    pub fn worker(&self, variables: &[(&str, &str)]) -> Process {
        let mut command = Command::new(program());
        command.env_clear().envs(self.variables(variables)).kill_on_drop(true).process_group(0);
        let log = OpenOptions::new().append(true).create(true).open(self.stderr()).expect("the log of the workers");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Process(command.spawn().expect("the worker starts"))
    }

    /// An event source mapping, and the function that it invokes.
    pub fn function(
        &self,
        variables: &[(&str, &str)],
        function: Settings,
        mapping: event_source::MappingSettings,
    ) -> (Arc<DeployedFunction>, Mapping) {
        let variables = self.variables(variables);
        let function = DeployedFunction::new(Settings { program: program(), variables, clock: self.clock, ..function });
        let server = self.server.clone();
        let jobs = self.jobs.clone();
        let source = Source {
            groups: None,
            queue_url: format!("{}/000000000000/{}", self.proxy.endpoint, self.jobs),
            queue_arn: self.server.arn(&self.jobs),
            settings: event_source::MappingSettings { report_batch_item_failures: true, ..mapping },
            function: function.clone(),
            counts: Arc::new(move || server.counts(&jobs).ok()),
            // What a host does with messages does not depend on how late they come; when a case is over does.
            estimates: Estimates { batch_overhead_seconds: 0.0, ..Estimates::default() },
            delivery: Wait::Constant(Duration::ZERO),
            seed: 1,
            clock: self.clock,
        };
        let (decisions, _) = mpsc::unbounded_channel();
        (function, Mapping::start(source, decisions))
    }
}

fn program() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/conformance/process.sh"))
}

/// A worker process, killed when dropped.
pub struct Process(Child);

impl Process {
    pub fn signal(&self, signal: Signal) {
        // A process that has ended by itself is found out by its exit code.
        if let Some(pid) = self.0.id() {
            kill(Pid::from_raw(pid as i32), signal).expect("the process is ours");
        }
    }

    pub fn pid(&self) -> u32 {
        self.0.id().expect("it runs")
    }

    /// The most memory that it ever had, in MiB.
    pub fn peak_memory_mib(&self) -> u64 {
        crate::worker::process::peak_memory_mib(self.pid())
    }

    /// Its exit code, or minus the signal that ended it.
    pub async fn ended(&mut self) -> i32 {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.0.wait()).await;
        let status = ended.expect("it ends in time").expect("it is ours");
        status.code().unwrap_or_else(|| -status.signal().unwrap_or_default())
    }
}

/// Waits until `so`, looking every 20 ms; gives up after `limit`.
pub async fn eventually(limit: Duration, mut so: impl FnMut() -> bool) -> Result<(), String> {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(limit, waiting).await.map_err(|_| format!("not within {limit:?}"))
}
