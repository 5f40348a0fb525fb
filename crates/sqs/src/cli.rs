//! `twinscale-sqs` and `twinscale sqs`: the server for development.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;

use crate::server::{NoQueue, Options, PersistError, Regions, SqsServer, WantedQueue};

/// Serve the embedded queue, which any AWS SDK and the aws CLI can talk to
#[derive(Args, Debug)]
#[command(after_help = "\
Example, once it listens:
  export AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
  aws sqs create-queue --endpoint-url http://127.0.0.1:9324 --queue-name jobs
  aws sqs send-message --endpoint-url http://127.0.0.1:9324 \\
    --queue-url http://127.0.0.1:9324/000000000000/jobs --message-body hello
  AWS_ENDPOINT_URL=http://127.0.0.1:9324 QUEUE_URL=jobs twinscale-worker

Queues with attributes, and with a dead-letter queue that is made too:
  --queue orders:dlq=orders-dead,maxReceiveCount=3,VisibilityTimeout=60
or in a file, --queues queues.toml:
  [orders]
  dlq = \"orders-dead\"
  maxReceiveCount = 3
  VisibilityTimeout = 60

Each region that requests are signed for has queues of its own, unless --region names one for all.
Queues live in memory, and are gone when it stops, unless --persist names a file. What was answered is kept there when the
process is killed; a machine that loses its power may lose the last second.
Nothing is signed: anybody who reaches the port may call.")]
pub struct Serve {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 9324)]
    port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// A queue to make, FIFO if its name ends in .fifo (may be given again); clients can make more
    #[arg(long, value_name = "NAME[:SETTING=VALUE,…]")]
    queue: Vec<WantedQueue>,
    /// Queues to make, from a TOML file: a table for each, with its settings
    #[arg(long, value_name = "FILE")]
    queues: Option<PathBuf>,
    /// The region of all requests, whatever they are signed for; without it, that which each is signed for
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Keep queues and messages in this file, over a restart and a kill; without it they live in memory
    #[arg(long, value_name = "FILE")]
    persist: Option<PathBuf>,
    /// The account in ARNs and URLs
    #[arg(long, default_value = "000000000000", value_name = "12 DIGITS")]
    account: String,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or region or account are none.
    #[error("{address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// The file that keeps queues does not do.
    #[error("--persist {0}")]
    Persist(std::io::Error),
    /// The file of queues cannot be read.
    #[error("--queues {}: {error}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The file of queues is no TOML of tables.
    #[error("--queues {}: {error}", file.display())]
    Toml {
        /// Which.
        file: PathBuf,
        /// Where and why.
        error: Box<toml::de::Error>,
    },
    /// A setting in the file is no single value.
    #[error("--queues: {queue}.{setting} must be a text, a whole number, true or false")]
    Setting {
        /// The queue.
        queue: String,
        /// Its setting.
        setting: String,
    },
    /// A table in the file is no queue.
    #[error("--queues: {queue}: {error}")]
    Table {
        /// The queue.
        queue: String,
        /// Why not.
        error: NoQueue,
    },
    /// SQS would refuse the queue.
    #[error("queue {queue}: {reason}")]
    Refused {
        /// The queue.
        queue: String,
        /// SQS's words.
        reason: String,
    },
}

impl Serve {
    /// The server with its queues, and what to print: where it listens, and the queues' URLs.
    ///
    /// # Errors
    /// [`ServeError`] says what to change.
    pub async fn start(&self) -> Result<(SqsServer, Vec<String>), ServeError> {
        let mut wanted = self.queue.clone();
        if let Some(file) = &self.queues {
            wanted.extend(in_file(file)?);
        }
        let options = Options {
            regions: match &self.region {
                Some(region) => Regions::One(region.clone()),
                None => Regions::Signed(region_of_shell().unwrap_or_else(|| "us-east-1".to_owned())),
            },
            account: self.account.clone(),
            persist: self.persist.clone(),
            seed: fastrand::u64(..),
            ..Options::default()
        };
        let address = SocketAddr::new(self.host, self.port);
        let not_started = |error: std::io::Error| match error.get_ref().is_some_and(|error| error.is::<PersistError>())
        {
            true => ServeError::Persist(error),
            false => ServeError::Listen { address, error },
        };
        let server = SqsServer::start_at(address, options).await.map_err(not_started)?;
        let mut lines = vec![format!("listening on {}", server.endpoint())];
        if let (Some(file), Some(restored)) = (&self.persist, server.restored()) {
            lines.push(format!("{} kept {restored}", file.display()));
        }
        for queue in &wanted {
            let refused = |error: crate::server::Error| ServeError::Refused {
                queue: queue.name().to_owned(),
                reason: error.message,
            };
            lines.push(server.make(queue).map_err(refused)?);
            lines.extend(queue.dead_letter_queue().map(|dead| server.url(dead)));
        }
        Ok((server, lines))
    }
}

/// The region that SDKs which are started from the same shell sign for: the queues of the command line belong there.
fn region_of_shell() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|region| !region.is_empty());
    set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION"))
}

/// The queues of a TOML file.
fn in_file(file: &Path) -> Result<Vec<WantedQueue>, ServeError> {
    let text = std::fs::read_to_string(file).map_err(|error| ServeError::File { file: file.to_owned(), error })?;
    let tables: BTreeMap<String, BTreeMap<String, toml::Value>> =
        toml::from_str(&text).map_err(|error| ServeError::Toml { file: file.to_owned(), error: error.into() })?;
    tables.into_iter().map(|(queue, settings)| of_table(queue, settings)).collect()
}

fn of_table(queue: String, settings: BTreeMap<String, toml::Value>) -> Result<WantedQueue, ServeError> {
    let text = |(setting, value)| match value {
        toml::Value::String(text) => Ok((setting, text)),
        toml::Value::Integer(number) => Ok((setting, number.to_string())),
        toml::Value::Boolean(is) => Ok((setting, is.to_string())),
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            Err(ServeError::Setting { queue: queue.clone(), setting })
        }
    };
    let settings: Vec<_> = settings.into_iter().map(text).collect::<Result<_, _>>()?;
    WantedQueue::new(&queue, settings).map_err(|error| ServeError::Table { queue, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_table_for_each_queue() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("queues.toml");
        let write = |text: &str| std::fs::write(&file, text).expect("written");
        write("[orders]\ndlq = 'dead'\nmaxReceiveCount = 3\n['b.fifo']\nContentBasedDeduplication = false\n");
        let queues = in_file(&file).expect("two queues");
        let lines = ["b.fifo:ContentBasedDeduplication=false", "orders:dlq=dead,maxReceiveCount=3"];
        assert_eq!(queues, lines.map(|line| line.parse::<WantedQueue>().expect("a queue")));
        write("[orders]\nDelaySeconds = 1.5\n");
        let error = in_file(&file).expect_err("a fraction").to_string();
        assert!(error.contains("orders.DelaySeconds"), "{error}");
    }
}
