//! The embedded queue, served: [`sqs`](crate::model) behind both of SQS's protocols, JSON and Query, with bodies, MD5s
//! and polls that wait.
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
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
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

mod accept;
mod batch;
mod client;
mod content;
mod error;
mod faults;
mod holding;
mod hosted;
mod http;
mod moves;
mod persist;
mod query;
mod queues;
mod receive;
mod send;
mod settings;
mod state;
mod tags;
mod tickets;
mod time;
mod view;
mod wanted;
mod xml;

pub use content::{Attribute, Content, Payload};
pub use error::{Code, Error};
pub use faults::{Fault, FaultKind, Faults};
pub use hosted::{Bill, Requests};
pub use persist::{PersistError, Restored};
pub use state::{Event, Watch};
pub use view::Seen;
pub use wanted::{NoQueue, WantedQueue};

use persist::{Kept, Log};
use state::State;

/// A queue as it is served, without what waits for it.
type Served = crate::model::Queue<Payload>;

/// How a server behaves.
pub struct Options {
    /// Scenario time.
    pub clock: Clock,
    /// Whose queues a request is about.
    pub regions: Regions,
    /// The account in ARNs and URLs: 12 digits.
    pub account: String,
    /// Draws message ids and receipt handles.
    pub seed: u64,
    /// What goes wrong, for tests.
    pub faults: Faults,
    /// What hears of every message and request.
    pub watch: Option<Arc<dyn Watch>>,
    /// The file that keeps queues and messages over a restart; without it they live in memory.
    pub persist: Option<PathBuf>,
    /// How long a request's body may take to arrive, in the machine's time.
    pub body_timeout: Duration,
    /// Bytes of request bodies at most that are held at once; a request beyond them is answered 503.
    pub memory: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Clock::new(1.0),
            regions: Regions::Signed("us-east-1".to_owned()),
            account: "000000000000".to_owned(),
            seed: 1,
            faults: Faults::default(),
            watch: None,
            persist: None,
            body_timeout: Duration::from_secs(30),
            memory: 256 << 20,
        }
    }
}

/// Which region a request is for. Queues of one name in two regions are two queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regions {
    /// The one that it is signed for; this one, if it is not signed, and for calls from inside the process.
    Signed(String),
    /// This one, whatever it is signed for.
    One(String),
}

impl Regions {
    fn of<'a>(&'a self, signed_for: Option<&'a str>) -> &'a str {
        match self {
            Self::Signed(unsigned) => signed_for.unwrap_or(unsigned),
            Self::One(one) => one,
        }
    }
}

/// A server of queues; dropping it closes the port, every connection and every queue.
pub struct SqsServer {
    address: SocketAddr,
    state: Arc<State>,
    restored: Option<Restored>,
    _server: AbortOnDropHandle<()>,
    _keeper: Option<AbortOnDropHandle<()>>,
}

impl SqsServer {
    /// Listens at a free port of the loopback address, with all defaults.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), Options::default()).await
    }

    /// Listens at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be bound, region or account in the options are none, or (as [`PersistError`]) the file
    /// cannot keep its queues.
    pub async fn start_at(address: SocketAddr, options: Options) -> std::io::Result<Self> {
        let invalid = |what: String| Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
        let region = options.regions.of(None);
        if !http::is_region(region) {
            return invalid(format!("{region:?} is no region: us-east-1 for example"));
        }
        if options.account.len() != 12 || !options.account.bytes().all(|b| b.is_ascii_digit()) {
            return invalid(format!("{:?} is no account: it has 12 digits", options.account));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let body_timeout = options.body_timeout;
        let memory = options.memory;
        let (state, restored) = restore(options).await.map_err(std::io::Error::other)?;
        let keeper = restored.map(|_| AbortOnDropHandle::new(tokio::spawn(persist::keep(Arc::downgrade(&state)))));
        let http = http::Http { state: state.clone(), address, body_timeout, memory, held: AtomicUsize::new(0) };
        let server = AbortOnDropHandle::new(tokio::spawn(serve(listener, Arc::new(http))));
        Ok(Self { address, state, restored, _server: server, _keeper: keeper })
    }

    /// What [`Options::persist`] had kept, if it is set.
    pub fn restored(&self) -> Option<Restored> {
        self.restored
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
        self.state.url_at(&self.address.to_string(), queue)
    }

    /// The ARN of a queue of that name, for a redrive policy.
    pub fn arn(&self, queue: &str) -> String {
        self.state.arn(self.region(), queue)
    }

    /// The region of the queues that the calls of this type are about.
    pub fn region(&self) -> &str {
        self.state.region()
    }

    /// The server's clock jumps ahead: what is due by then happens now, and polls that wait hear of it.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// Creates a queue with attributes as in `CreateQueue`; `.fifo` at the end of the name needs `FifoQueue` too.
    /// Returns its URL.
    ///
    /// # Errors
    /// As `CreateQueue`.
    pub fn create_queue(&self, queue: &str, attributes: &[(&str, &str)]) -> Result<String, Error> {
        let attributes: BTreeMap<String, String> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.create(queue, attributes)
    }

    fn create(&self, queue: &str, attributes: BTreeMap<String, String>) -> Result<String, Error> {
        queues::make(&self.state, self.region(), queue, attributes, BTreeMap::new())?;
        self.state.flush()?;
        Ok(self.url(queue))
    }

    /// Live counts of a queue.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn counts(&self, queue: &str) -> Result<Counts, Error> {
        let hosted = self.state.find(self.region(), Some(queue))?;
        Ok(self.state.with(&hosted, |inner, now| inner.queue.counts(now)))
    }

    /// Requests to a queue so far, as they are billed: one for each 64 KiB.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn requests(&self, queue: &str) -> Result<Requests, Error> {
        Ok(self.state.find(self.region(), Some(queue))?.billed.requests())
    }

    /// Long polls that wait at a queue now.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn polls(&self, queue: &str) -> Result<u64, Error> {
        Ok(self.state.find(self.region(), Some(queue))?.lock().waiting as u64)
    }

    /// Receives without HTTP, as a poller inside SQS does; not counted as a request. Dropped while it waits, it has
    /// taken nothing.
    ///
    /// # Errors
    /// When there is no queue of that name.
    pub async fn receive(&self, queue: &str, max: usize, wait: Duration) -> Result<Vec<Received<Payload>>, Error> {
        let hosted = self.state.find(self.region(), Some(queue))?;
        let poll = receive::Poll { max, visibility: None, wait, attempt: None };
        let received = receive::take(&self.state, &hosted, &poll).await?;
        self.state.flush()?;
        Ok(received)
    }

    /// Answers a request without HTTP: the action's name and its JSON.
    ///
    /// # Errors
    /// As the action.
    pub async fn call(&self, action: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        let host = self.address.to_string();
        let parameters = http::Parameters::Json(body);
        http::Call::new(self.state.clone(), action, &host, parameters, http::request_id()).answer().await
    }

    /// Answers a request of the Query protocol without HTTP: a form in, XML out, an error's too.
    pub async fn query(&self, form: &[u8]) -> Vec<u8> {
        let host = self.address.to_string();
        let id = http::request_id();
        let result = match query::Query::parse("/", &[form]) {
            Ok(query::Query { action, parameters }) => {
                let parameters = http::Parameters::Query(&parameters);
                http::Call::new(self.state.clone(), &action, &host, parameters, id).answer().await
            }
            Err(error) => Err(error),
        };
        result.unwrap_or_else(|error| xml::error(&error, id))
    }

    /// Puts other faults in force.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }
}

/// A server's queues: none, or those of its file.
async fn restore(options: Options) -> Result<(Arc<State>, Option<Restored>), PersistError> {
    let Some(file) = options.persist.clone() else { return Ok((Arc::new(State::new(options, None, None)), None)) };
    let log = Arc::new(Log::lock(&file).await?);
    let kept = Kept::open(&file, &options.account)?;
    let state = Arc::new(State::new(options, Some(log.clone()), kept.as_ref().map(|kept| &kept.began)));
    let restored = match kept {
        Some(kept) => kept.restore(&state)?,
        None => Restored::default(),
    };
    persist::begin(&state, &log)?;
    Ok((state, Some(restored)))
}

async fn serve(listener: TcpListener, http: Arc<http::Http>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            (stream, _) = accept::next(|| listener.accept()) => {
                let _ = stream.set_nodelay(true);
                let http = http.clone();
                let service = service_fn(move |request| http::serve(http.clone(), request));
                connections.spawn(http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
