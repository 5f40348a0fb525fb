//! A function URL: turns an HTTP request into an event (payload format 2.0), invokes the function with it, and turns
//! its answer back into HTTP.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lambda_events::encodings::Base64Data;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, COOKIE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;
use twinscale::unstable::http::accept;
use uuid::Uuid;

use super::lambda::DeployedFunction;
use super::runtime_api::MAX_PAYLOAD;

/// A function URL on the loopback interface; dropping it closes the port and every connection.
pub struct Front {
    address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Front {
    /// Serves `function` at a free port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn bind(function: Arc<DeployedFunction>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, _server: AbortOnDropHandle::new(tokio::spawn(serve(listener, function))) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: TcpListener, function: Arc<DeployedFunction>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(&listener) => {
                // A client that is gone already.
                let Ok(peer) = stream.peer_addr() else { continue };
                let function = function.clone();
                let service = service_fn(move |request| answer(function.clone(), peer, request));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    function: Arc<DeployedFunction>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_PAYLOAD).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, "Request must be smaller than 6291456 bytes"));
    };
    let event = event(&head, peer, &body.to_bytes());
    let invoked = function.invoke(Bytes::from(event.to_string())).await;
    Ok(match invoked.answer {
        Ok(answer) => response(&answer),
        Err(failure) => {
            tracing::warn!(%failure, "the function behind the URL failed");
            plain(StatusCode::BAD_GATEWAY, "Internal Server Error")
        }
    })
}

/// The event of a function URL, payload format 2.0.
pub fn event(head: &Parts, peer: SocketAddr, body: &Bytes) -> Value {
    let path = head.uri.path();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": head.uri.query().unwrap_or_default(),
        "headers": headers(&head.headers),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": "local.lambda-url.us-east-1.on.aws",
            "domainPrefix": "local",
            "http": {
                "method": head.method.as_str(),
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": peer.ip().to_string(),
                "userAgent": head.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()),
            },
            "requestId": Uuid::new_v4().to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": now.as_millis() as u64,
        },
        "isBase64Encoded": false,
    });
    let cookies: Vec<_> = head.headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok()).collect();
    if !cookies.is_empty() {
        event["cookies"] = cookies.iter().flat_map(|cookies| cookies.split("; ")).collect();
    }
    match std::str::from_utf8(body) {
        Ok("") => {}
        Ok(text) => event["body"] = text.into(),
        Err(_) => {
            let mut bytes = Base64Data::default();
            bytes.0 = body.to_vec();
            event["body"] = json!(bytes);
            event["isBase64Encoded"] = true.into();
        }
    }
    event
}

/// Names in lower case, several values joined by commas, cookies apart.
fn headers(from: &HeaderMap) -> BTreeMap<&str, String> {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in from.iter().filter(|(name, _)| **name != COOKIE) {
        let value = String::from_utf8_lossy(value.as_bytes());
        let joined = headers.entry(name.as_str()).or_default();
        if !joined.is_empty() {
            joined.push(',');
        }
        joined.push_str(&value);
    }
    headers
}

/// What a function may answer in payload format 2.0.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProxyResponse {
    status_code: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Turns a function's answer into HTTP. An answer without a status code is itself the body, as JSON, with status 200.
pub fn response(answer: &Bytes) -> Response<Full<Bytes>> {
    // Only an object has a status code; serde would read a list as one, too.
    let parsed = answer.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice::<ProxyResponse>(answer));
    let Some(Ok(answer)) = parsed else {
        let mut whole = plain(StatusCode::OK, "");
        whole.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *whole.body_mut() = Full::new(answer.clone());
        return whole;
    };
    let text = answer.body.unwrap_or_default();
    let body = if answer.is_base64_encoded {
        match serde_json::from_value::<Base64Data>(text.into()) {
            Ok(bytes) => Bytes::from(bytes.to_vec()),
            Err(_) => return plain(StatusCode::BAD_GATEWAY, "Internal Server Error"),
        }
    } else {
        Bytes::from(text)
    };
    let mut response = Response::new(Full::new(body));
    let Ok(status) = StatusCode::from_u16(answer.status_code) else {
        return plain(StatusCode::BAD_GATEWAY, "Internal Server Error");
    };
    *response.status_mut() = status;
    let headers = answer.headers.iter().map(|(name, value)| (HeaderName::try_from(name), value));
    let cookies = answer.cookies.iter().map(|cookie| (Ok(SET_COOKIE), cookie));
    for (name, value) in headers.chain(cookies) {
        if let (Ok(name), Ok(value)) = (name, HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response
}
