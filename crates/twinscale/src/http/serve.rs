//! Serves the router on a socket, with the bounds that a server on a network needs: headers in time, connections
//! counted, and an end.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A client that has not sent its headers by then is dropped; idle connections too.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// Connections served at once; further ones wait in the kernel's queue.
const CONNECTIONS: usize = 1024;
/// Requests under way at the end get this long.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

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
    /// Serves until `stop`, then lets requests under way finish, for a moment.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let (connections, places) = (TaskTracker::new(), Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = serve_one(stream, router.clone(), stop.clone());
                    connections.spawn(async move {
                        serving.await;
                        drop(place);
                    });
                }
                // Out of file descriptors, most likely: they come back as connections end.
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        connections.close();
        let _ = timeout(LAST_ANSWERS_WITHIN, connections.wait()).await;
    }
}

async fn serve_one(stream: TcpStream, router: Router, stop: CancellationToken) {
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
