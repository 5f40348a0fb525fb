//! Asks our own processes over HTTP: are you ready, send these messages. Loopback, HTTP/1.1, pooled connections.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, StatusCode};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client as Pool, Error};
use hyper_util::rt::TokioExecutor;

/// A pool of connections to one address.
#[derive(Clone, Debug)]
pub struct Client {
    pool: Pool<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{method} http://{address}{path} failed: {reason}")]
pub struct NoAnswer {
    method: Method,
    address: SocketAddr,
    path: String,
    reason: String,
}

impl Client {
    /// A client of the server at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self { pool: Pool::builder(TokioExecutor::new()).build_http(), address }
    }

    /// Whether `GET path` is answered 200.
    pub async fn is_ok(&self, path: &str) -> bool {
        matches!(self.ask(Method::GET, path, Bytes::new()).await, Ok((StatusCode::OK, _)))
    }

    /// Posts JSON and returns the status and the body of the answer.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn post(&self, path: &str, json: impl Into<Bytes>) -> Result<(StatusCode, Bytes), NoAnswer> {
        self.ask(Method::POST, path, json.into()).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), NoAnswer> {
        let failed =
            |reason: String| NoAnswer { method: method.clone(), address: self.address, path: path.to_owned(), reason };
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("http://{}{path}", self.address))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| failed(error.to_string()))?;
        let answer = self.pool.request(request).await.map_err(|error| failed(causes(&error)))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| failed(error.to_string()))?;
        Ok((status, body.to_bytes()))
    }
}

/// hyper-util says no more than "client error"; what happened is in the causes.
fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
