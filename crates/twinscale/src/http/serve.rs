//! Serves a router on a socket, with the bounds that a server on a network needs: headers in time, connections counted
//! and of a limited life, and an end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::accept::accept;
use super::idle::{Connection, KEPT_FOR};

/// A connection closes after this long: clients that keep one spread over new processes, and one that reads no answer ends.
const LIFETIME: Duration = Duration::from_secs(300);
/// A request under way when its connection's life ends gets this long.
const LAST_ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Connections served at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 512;

/// A socket that listens, not yet served.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    /// Where it listens: the port is known even where 0 was asked for.
    pub addr: SocketAddr,
}

/// Listens on `addr` and writes the bound address to `addr_file`, for whoever asked for port 0.
pub async fn bind(addr: SocketAddr, addr_file: Option<&Path>) -> io::Result<Bound> {
    let listener = TcpListener::bind(addr).await?;
    let addr = listener.local_addr()?;
    if let Some(file) = addr_file {
        // Renamed into place, so that nobody reads half an address.
        let partial = file.with_extension("partial");
        std::fs::write(&partial, addr.to_string())?;
        std::fs::rename(&partial, file)?;
    }
    Ok(Bound { listener, addr })
}

impl Bound {
    /// Serves until `stop`, then lets requests under way finish, for at most `last_answers`; whether they have.
    pub async fn serve(self, router: Router, stop: CancellationToken, last_answers: Duration) -> bool {
        let connections = TaskTracker::new();
        let places = Arc::new(Semaphore::new(most_connections()));
        let accepting = async {
            loop {
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let stream = accept(&self.listener).await;
                let serving = serve_one(stream, router.clone(), stop.clone(), places.clone());
                connections.spawn(async move {
                    serving.await;
                    drop(place);
                });
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = accepting => {}
        }
        drop(self.listener);
        connections.close();
        let finished = timeout(last_answers, connections.wait()).await.is_ok();
        if !finished {
            tracing::warn!(within = ?last_answers, requests = connections.len(), "requests were cut off");
        }
        finished
    }
}

/// Half of the descriptors at most: the other half is for what else the process does.
fn most_connections() -> usize {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(descriptors / 2).map_or(CONNECTIONS, |half| half.clamp(1, CONNECTIONS))
}

async fn serve_one(stream: TcpStream, router: Router, stop: CancellationToken, places: Arc<Semaphore>) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(KEPT_FOR);
    let watched = Connection::new();
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request| {
        watched.asked();
        let answer = router.call(request);
        async {
            let answer = answer.await;
            watched.answered();
            answer
        }
    });
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = watched.gives_way(&places) => return tracing::debug!("a connection was closed: nothing was asked on it"),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = sleep(LIFETIME) => {
            connection.as_mut().graceful_shutdown();
            match timeout(LAST_ANSWER_WITHIN, connection).await {
                Ok(ended) => ended,
                Err(_) => return tracing::debug!("a connection was cut off: its client reads no answer"),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
