//! `twinscale sqs`: the embedded queue, served for development.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use twinscale::unstable::shutdown::Shutdown;
use twinscale_sqs::server::{Options, SqsServer};

/// Serve the embedded queue, which any AWS SDK and the aws CLI can talk to
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  twinscale sqs --port 9324 --queue jobs &
  export AWS_ENDPOINT_URL=http://127.0.0.1:9324 AWS_REGION=us-east-1 AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x
  aws sqs send-message --queue-url http://127.0.0.1:9324/000000000000/jobs --message-body hello
  QUEUE_URL=jobs twinscale-worker

Queues live in memory, and are gone when it stops. Nothing is signed: anybody who reaches the port may call.")]
pub struct Sqs {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 9324)]
    port: u16,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    host: IpAddr,
    /// A queue to make, FIFO if its name ends in .fifo (may be given again); clients can make more
    #[arg(long, value_name = "NAME")]
    queue: Vec<String>,
}

impl Sqs {
    /// Serves until it is told to stop.
    pub fn run(&self) -> Result<ExitCode, CommandError> {
        let broken = |error: anyhow::Error| CommandError::Flag { flag: "sqs", what: format!("{error:#}") };
        let runtime = tokio::runtime::Runtime::new().map_err(|error| broken(error.into()))?;
        runtime.block_on(async {
            let address = SocketAddr::new(self.host, self.port);
            let server = serve_sqs(address, &self.queue).await.map_err(broken)?;
            println!("listening on {}", server.endpoint());
            for queue in &self.queue {
                println!("{}", server.url(queue));
            }
            let stop = Shutdown::on_signals().map_err(|error| broken(error.into()))?;
            stop.drain.cancelled().await;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Serves queues of those names at `address` until the process ends, for development. A name that ends in `.fifo` makes
/// a FIFO queue with content-based deduplication.
///
/// # Errors
/// When the address cannot be bound, or a name will not do.
async fn serve_sqs(address: SocketAddr, queues: &[String]) -> anyhow::Result<SqsServer> {
    let server = SqsServer::start(address, Options { seed: fastrand::u64(..), ..Options::default() }).await?;
    for queue in queues {
        let fifo: &[(&str, &str)] = &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
        let attributes = if queue.ends_with(".fifo") { fifo } else { &[] };
        server
            .create_queue(queue, attributes)
            .map_err(|error| anyhow::anyhow!("--queue {queue}: {}", error.message))?;
    }
    Ok(server)
}
