//! What people use instead, where `benches/peers/setup.sh` has installed it: time to the first answer, memory, and messages a
//! second, each beside ours in the same run.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::load::{BATCH, Client, Protocol, Target, drain, rate, request, send};

/// Starts of each; the best counts.
const STARTS: usize = 3;
/// Messages that lie in the queue when its memory is looked at.
const STORED: usize = 10_000;
/// What a server gets to answer for the first time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server of queues.
struct Peer {
    name: &'static str,
    /// Its program and arguments, at a port.
    command: fn(&Installed, u16) -> Vec<String>,
    /// Messages that it is measured with: a second's work or more.
    messages: usize,
}

const PEERS: [Peer; 4] = [
    Peer { name: "twinscale-sqs", command: ours, messages: 200_000 },
    Peer { name: "twinscale-sqs --persist", command: ours_kept, messages: 200_000 },
    Peer { name: "ElasticMQ", command: elastic_mq, messages: 40_000 },
    Peer { name: "moto", command: moto, messages: 1_000 },
];

/// Where the others are, and a folder for what is kept.
struct Installed {
    target: PathBuf,
    kept: tempfile::TempDir,
}

fn ours(_: &Installed, port: u16) -> Vec<String> {
    [
        option_env!("CARGO_BIN_EXE_twinscale-sqs").unwrap_or("twinscale-sqs (of the feature cli)"),
        "--port",
        &port.to_string(),
    ]
    .map(str::to_owned)
    .to_vec()
}

fn ours_kept(installed: &Installed, port: u16) -> Vec<String> {
    let file = installed.kept.path().join(format!("{port}.log"));
    [ours(installed, port), vec!["--persist".to_owned(), file.display().to_string()]].concat()
}

fn elastic_mq(installed: &Installed, port: u16) -> Vec<String> {
    let jars = installed.target.join("sqs-peers/elasticmq").display().to_string();
    let at = [
        format!("-Dnode-address.port={port}"),
        format!("-Drest-sqs.bind-port={port}"),
        "-Drest-stats.enabled=false".to_owned(),
    ];
    [
        vec!["java".to_owned()],
        at.to_vec(),
        vec!["-cp".to_owned(), format!("{jars}/*"), "org.elasticmq.server.Main".to_owned()],
    ]
    .concat()
}

fn moto(installed: &Installed, port: u16) -> Vec<String> {
    let python = installed.target.join("clients/venv/bin/python").display().to_string();
    [&python, "-m", "moto.server", "-p", &port.to_string()].map(str::to_owned).to_vec()
}

/// A server that runs.
struct Running {
    child: Child,
    target: Target,
    start: Duration,
}

/// What was measured of one.
struct Measured {
    start: Duration,
    /// KiB, at rest and with [`STORED`] messages.
    rest: u64,
    stored: u64,
    sent: f64,
    drained: f64,
}

/// Prints a table of all that are installed.
pub async fn compare() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let installed = Installed { target, kept: tempfile::tempdir().expect("a folder") };
    println!(
        "| | first answer | memory at rest | with {STORED} messages | sent/s | received and deleted/s |\n|---|---|---|---|---|---|"
    );
    let mut first: Option<Measured> = None;
    for peer in &PEERS {
        let Some(measured) = measure(peer, &installed).await else {
            println!("| {} | not measured: crates/sqs/benches/peers/setup.sh installs it |", peer.name);
            continue;
        };
        let Measured { start, rest, stored, sent, drained } = &measured;
        let base = first.as_ref().unwrap_or(&measured);
        let times = |value: f64, base: f64| format!("{:.2} ×", value / base);
        println!(
            "| {} | {:.0} ms, {} | {:.1} MiB, {} | {:.1} MiB, {} | {sent:.0}, {} | {drained:.0}, {} |",
            peer.name,
            start.as_secs_f64() * 1e3,
            times(start.as_secs_f64(), base.start.as_secs_f64()),
            *rest as f64 / 1024.0,
            times(*rest as f64, base.rest as f64),
            *stored as f64 / 1024.0,
            times(*stored as f64, base.stored as f64),
            times(*sent, base.sent),
            times(*drained, base.drained),
        );
        first.get_or_insert(measured);
    }
}

/// `None`: it is not installed.
async fn measure(peer: &Peer, installed: &Installed) -> Option<Measured> {
    let mut start = Duration::MAX;
    for _ in 1..STARTS {
        let mut running = run(peer, installed).await?;
        start = start.min(running.start);
        running.child.kill().await.expect("ours");
    }
    let mut running = run(peer, installed).await?;
    let start = start.min(running.start);
    let rest = memory(&running);
    send(&running.target, STORED).await;
    let stored = memory(&running);
    drain(&running.target, usize::MAX).await;
    let began = Instant::now();
    send(&running.target, peer.messages).await;
    let sent = rate(peer.messages, began);
    let began = Instant::now();
    let (got, ..) = drain(&running.target, usize::MAX).await;
    let drained = rate(got, began);
    assert!(got + 16 * BATCH >= peer.messages, "{}: {got} of {} messages came", peer.name, peer.messages);
    running.child.kill().await.expect("ours");
    Some(Measured { start, rest, stored, sent, drained })
}

/// Starts it, and makes a queue as soon as it answers.
async fn run(peer: &Peer, installed: &Installed) -> Option<Running> {
    let port =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr()).expect("a free port").port();
    let command = (peer.command)(installed, port);
    let began = Instant::now();
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut target = Target { address, url: String::new(), protocol: Protocol::Json, signed: true };
    let create = request(&target, "CreateQueue", r#"{"QueueName":"bench","Attributes":{"VisibilityTimeout":"600"}}"#);
    while !listens(address).await {
        if child.try_wait().expect("ours").is_some() {
            return None;
        }
        assert!(began.elapsed() < PATIENCE, "{} does not answer", peer.name);
        sleep(Duration::from_millis(1)).await;
    }
    let mut client = Client::connect(address).await;
    client.ask(&create).await;
    let start = began.elapsed();
    let answer = String::from_utf8_lossy(client.body()).replace(r#"": ""#, r#"":""#);
    let (_, url) = answer.split_once(r#""QueueUrl":""#).expect("a URL");
    target.url = url.split('"').next().expect("it ends").to_owned();
    Some(Running { child, target, start })
}

async fn listens(address: SocketAddr) -> bool {
    match TcpStream::connect(address).await {
        Ok(mut stream) => stream.shutdown().await.is_ok(),
        Err(_) => false,
    }
}

/// Resident memory in KiB.
fn memory(running: &Running) -> u64 {
    let id = running.child.id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
