//! The embedded queue, served: [`sqs`](crate::model) behind the SQS JSON protocol, with bodies, MD5s and polls
//! that wait.
//!
//! ```text
//! http ─► send, receive, holding, queues, tags, moves ─► hosted (one queue and who waits for it) ─► model
//! ```
//!
//! Its clock may run faster than the machine's, and all durations on the wire are in its time: with `speed` 10 a long
//! poll of 20 s takes 2 s. It does what AWS documents, errors and limits included, with two exceptions that serve
//! development: a deleted queue's name can be used again at once, and nothing is signed, so anybody who reaches the
//! port may call. Listen on a loopback address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::model::Counts;
use crate::model::Received;

mod batch;
mod content;
mod error;
mod faults;
mod holding;
mod hosted;
mod http;
mod moves;
mod queues;
mod receive;
mod send;
mod settings;
mod state;
mod tags;
mod tickets;

pub use content::{Attribute, Content, Payload};
pub use error::{Code, Error};
pub use faults::{Fault, FaultKind, Faults};
pub use hosted::{Bill, Requests};
pub use state::{Event, Watch};

use state::State;

/// How a server behaves.
pub struct Options {
    /// Scenario time.
    pub clock: Clock,
    /// The region in ARNs.
    pub region: String,
    /// Draws message ids and receipt handles.
    pub seed: u64,
    /// What goes wrong, for tests.
    pub faults: Faults,
    /// Who is told of every message and request.
    pub watch: Option<Arc<dyn Watch>>,
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Clock::new(1.0), region: "us-east-1".to_owned(), seed: 1, faults: Faults::default(), watch: None }
    }
}

/// A server of queues; dropping it closes the port, every connection and every queue.
pub struct SqsServer {
    address: SocketAddr,
    state: Arc<State>,
    _server: AbortOnDropHandle<()>,
}

impl SqsServer {
    /// Listens at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(address: SocketAddr, options: Options) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let Options { clock, region, seed, faults, watch } = options;
        let state = Arc::new(State::new(clock, region, seed, faults, watch));
        let server = AbortOnDropHandle::new(tokio::spawn(serve(listener, state.clone())));
        Ok(Self { address, state, _server: server })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What an SDK takes as endpoint URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of a queue of that name, whether or not there is one.
    pub fn url(&self, queue: &str) -> String {
        queues::url_at(&self.address.to_string(), queue)
    }

    /// The ARN of a queue of that name, for a redrive policy.
    pub fn arn(&self, queue: &str) -> String {
        self.state.arn(queue)
    }

    /// Creates a queue with attributes as in `CreateQueue`; `.fifo` at the end of the name needs `FifoQueue` too.
    /// Returns its URL.
    ///
    /// # Errors
    /// As `CreateQueue`.
    pub fn create_queue(&self, queue: &str, attributes: &[(&str, &str)]) -> Result<String, Error> {
        let attributes: BTreeMap<String, String> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        queues::make(&self.state, queue, &attributes, BTreeMap::new())?;
        Ok(self.url(queue))
    }

    /// Live counts of a queue.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn counts(&self, queue: &str) -> Result<Counts, Error> {
        let hosted = self.state.find(Some(queue))?;
        Ok(self.state.with(&hosted, |inner, now| inner.queue.counts(now)))
    }

    /// Requests to a queue so far, as they are billed: one for each 64 KiB.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn requests(&self, queue: &str) -> Result<Requests, Error> {
        Ok(self.state.find(Some(queue))?.billed.requests())
    }

    /// Receives without HTTP, as a poller inside SQS does; not counted as a request. Dropped while it waits, it has
    /// taken nothing.
    ///
    /// # Errors
    /// When there is no queue of that name.
    pub async fn receive(&self, queue: &str, max: usize, wait: Duration) -> Result<Vec<Received<Payload>>, Error> {
        let hosted = self.state.find(Some(queue))?;
        receive::take(&self.state, &hosted, &receive::Poll { max, visibility: None, wait, attempt: None }).await
    }

    /// Answers a request without HTTP: the action's name and its JSON.
    ///
    /// # Errors
    /// As the action.
    pub async fn call(&self, action: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        http::Call::new(self.state.clone(), action, &self.address.to_string(), body).answer().await
    }

    /// Puts other faults in force.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let _ = stream.set_nodelay(true);
                let state = state.clone();
                let service = service_fn(move |request| http::serve(state.clone(), request));
                connections.spawn(http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
