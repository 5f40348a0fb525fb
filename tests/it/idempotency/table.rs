//! The store in DynamoDB, against moto's server, which we did not write; `tests/clients/setup.sh` installs it.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use twinscale::unstable::idempotency::Idempotency;

use super::store::{LEASE, TTL, promises};
use crate::worker::eventually;
use crate::worker::process::{Process, get};
use crate::worker::sqs::{Fault, Sqs};

/// A DynamoDB with the table `keys`, made as the docs say.
struct Table {
    endpoint: String,
    server: Child,
}

impl Drop for Table {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn installed(program: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its path");
    let path = test.ancestors().nth(3).expect("target/PROFILE/deps/test").join("clients/venv/bin").join(program);
    assert!(path.exists(), "{} is missing: run `make test-setup` first", path.display());
    path
}

async fn table() -> Table {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let mut server = Command::new(installed("moto_server"));
    server.args(["-H", "127.0.0.1", "-p", &free.port().to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
    let table = Table { endpoint: format!("http://{free}"), server: server.spawn().expect("moto starts") };
    eventually("moto listens", || TcpStream::connect(free).is_ok()).await;
    let aws = |arguments: &str| {
        let made = Command::new(installed("aws"))
            .args(["dynamodb", "--endpoint-url", &table.endpoint, "--region", "us-east-1"])
            .args(arguments.split(' '))
            .envs([
                ("AWS_ACCESS_KEY_ID", "local"),
                ("AWS_SECRET_ACCESS_KEY", "local"),
                ("AWS_CONFIG_FILE", "/dev/null"),
            ])
            .output()
            .expect("the aws CLI runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    aws("create-table --table-name keys --attribute-definitions AttributeName=id,AttributeType=S \
         --key-schema AttributeName=id,KeyType=HASH --billing-mode PAY_PER_REQUEST");
    aws("update-time-to-live --table-name keys --time-to-live-specification Enabled=true,AttributeName=expires_at");
    table
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_keeps_the_promises_of_a_store() {
    let table = table().await;
    promises(&Idempotency::local(&table.endpoint, "keys", LEASE, TTL), Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_with_one_table_have_every_effect_once_though_deletes_fail() {
    let table = table().await;
    let sqs = Sqs::start(Duration::from_secs(1), 100).await;
    sqs.send("jobs", 0..100).await;
    let mut deletes = 0;
    sqs.script(move |action, _| {
        deletes += usize::from(action == "DeleteMessageBatch");
        (action == "DeleteMessageBatch" && deletes <= 10).then_some(Fault::Error(400, "InvalidParameterValue"))
    });
    let variables = [
        ("IDEMPOTENCY_TABLE", "keys"),
        ("AWS_ENDPOINT_URL_DYNAMODB", table.endpoint.as_str()),
        ("DELETE_LINGER_MS", "20"),
    ];
    let workers = [(); 2].map(|()| Process::start(&sqs.endpoint, &variables));
    eventually("all are settled", || sqs.left("jobs") == 0).await;
    let mut done = 0;
    let mut duplicates = 0;
    for worker in &workers {
        let metrics = get(&worker.admin().await, "/metrics");
        done += counted(&metrics, "twinscale_messages_done_total");
        duplicates += counted(&metrics, "twinscale_messages_duplicate_total");
    }
    assert_eq!(done, 100, "one effect a message");
    assert!(duplicates > 0, "deletes failed, so that messages came again");
}

fn counted(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)).expect("shown");
    line.trim().parse().expect("a number")
}
