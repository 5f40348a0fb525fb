//! Any HTTP API on loopback: a closure that answers, and what it was asked.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use tokio_util::task::AbortOnDropHandle;

type Answer = dyn Fn(&Uri, &HeaderMap, &str) -> (StatusCode, String) + Send + Sync;

/// The API; dropping it closes the port.
pub struct Api {
    pub url: String,
    _serving: AbortOnDropHandle<()>,
}

/// Answers every request by `answer`.
pub async fn serve(answer: impl Fn(&Uri, &HeaderMap, &str) -> (StatusCode, String) + Send + Sync + 'static) -> Api {
    let answer: Arc<Answer> = Arc::new(answer);
    let router = axum::Router::new().fallback(ask).with_state(answer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    Api { url, _serving: AbortOnDropHandle::new(serving) }
}

async fn ask(State(answer): State<Arc<Answer>>, uri: Uri, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let body = String::from_utf8_lossy(&body).into_owned();
    // The answer may call another API and wait for it.
    tokio::task::block_in_place(|| answer(&uri, &headers, &body))
}
