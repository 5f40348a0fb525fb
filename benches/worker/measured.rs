//! One run of one program, measured from outside.

use std::process::Stdio;

use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::service::Service;

/// A consumer that takes from the queue `jobs` at `AWS_ENDPOINT_URL` until it is killed.
pub struct Program {
    pub name: &'static str,
    pub command: Vec<String>,
    pub variables: Vec<(&'static str, String)>,
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Messages a second.
    pub rate: f64,
    /// Milliseconds of CPU a thousand messages.
    pub cpu: f64,
    /// Most memory held, in MiB.
    pub peak: f64,
    /// Receives that brought something, and deletes, a message.
    pub requests: f64,
}

impl Program {
    /// The worker as it ships, with a handler that does nothing.
    pub fn worker(concurrency: usize) -> Self {
        let variables = vec![
            ("CONCURRENCY", concurrency.to_string()),
            ("QUEUE_URL", "jobs".to_owned()),
            ("WORK_WAIT", "constant:0ms".to_owned()),
            ("HTTP_ADDR", "127.0.0.1:0".to_owned()),
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("LOG_LEVEL", "warn".to_owned()),
        ];
        Self { name: "twinscale-worker", command: vec![env!("CARGO_BIN_EXE_twinscale-worker").to_owned()], variables }
    }

    /// This program again, with this many loops at once.
    pub fn by_hand(loops: usize) -> Self {
        let this = std::env::current_exe().expect("known").display().to_string();
        let command = vec![this, "loop".to_owned(), "jobs".to_owned(), loops.to_string()];
        Self { name: "loops", command, variables: Vec::new() }
    }

    pub fn start(&self, endpoint: &str) -> Child {
        let [program, arguments @ ..] = &self.command[..] else { panic!("{}: no command", self.name) };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs([("AWS_ENDPOINT_URL", endpoint), ("AWS_REGION", "us-east-1"), ("AWS_DEFAULT_REGION", "us-east-1")])
            .envs([("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local")])
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.name))
    }
}

/// Fills the queue and lets `program` empty it.
pub async fn run(service: &mut Service, program: &Program, messages: usize) -> Figures {
    service.fill(messages).await;
    let mut child = program.start(&service.endpoint);
    let pid = child.id().expect("it runs");
    service.begun().await;
    let before = cpu_seconds(pid);
    let (seconds, requests) = service.drained().await;
    let cpu = cpu_seconds(pid) - before;
    let peak = peak_mib(pid);
    child.kill().await.expect("it still runs");
    // What it asked for is still on its way, and would take messages of the next run with it.
    sleep(2 * service.latency).await;
    let messages = messages as f64;
    Figures { rate: messages / seconds, cpu: cpu * 1e6 / messages, peak, requests: requests as f64 / messages }
}

/// Of all threads, since the process began.
pub fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<_> = stat.rsplit(')').next().expect("a name in brackets").split_whitespace().collect();
    // utime and stime in ticks of 10 ms, fields 14 and 15 of proc(5).
    fields[11..=12].iter().map(|field| field.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}

pub fn peak_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak").trim();
    peak.trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

impl Figures {
    pub const HEADINGS: &str = "messages/s | CPU ms per 1,000 | peak MiB | receives + deletes per message";

    /// Ours, and the ratio to theirs: medians of each.
    pub fn row(pairs: &[(Self, Self)]) -> String {
        let cell = |of: fn(&Self) -> f64, decimals: usize| {
            let ours = median(pairs.iter().map(|(ours, _)| of(ours)));
            let ratio = median(pairs.iter().map(|(ours, theirs)| of(ours) / of(theirs)));
            format!("{ours:>7.decimals$} = {ratio:>5.2} x")
        };
        let cells = [cell(|f| f.rate, 0), cell(|f| f.cpu, 1), cell(|f| f.peak, 1), cell(|f| f.requests, 3)];
        cells.join(" | ")
    }
}

pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
