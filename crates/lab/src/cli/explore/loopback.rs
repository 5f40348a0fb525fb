//! Who may ask: a page that this server itself has served. A site elsewhere can point a name of its own at 127.0.0.1 (DNS
//! rebinding) or send a form here; the browser then tells that name, or that site.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Lets through what is asked of loopback by a page of loopback; the state is the port.
pub(super) async fn only(State(port): State<u16>, request: Request, next: Next) -> Response {
    match ours(request.headers(), port) {
        true => next.run(request).await,
        false => (StatusCode::FORBIDDEN, "this page is for the machine that it is served on\n").into_response(),
    }
}

fn ours(headers: &HeaderMap, port: u16) -> bool {
    let hosts = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{port}"));
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(host) = text(HOST).filter(|host| hosts.iter().any(|ours| ours == host)) else { return false };
    // Not every request has an origin: an address that was typed has none.
    text(ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_of_this_machine_and_other_sites_are_refused() {
        let asked = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a header"));
            origin.map(|origin| headers.insert(ORIGIN, origin.parse().expect("a header")));
            ours(&headers, 8080)
        };
        assert!(asked("127.0.0.1:8080", None) && asked("localhost:8080", Some("http://localhost:8080")));
        for host in ["attacker.example:8080", "127.0.0.1", "127.0.0.1:81", "localhost.attacker.example:8080", ""] {
            assert!(!asked(host, None), "{host}");
        }
        for origin in ["http://attacker.example", "https://localhost:8080", "http://127.0.0.1:8080", "null", ""] {
            assert!(!asked("localhost:8080", Some(origin)), "{origin}");
        }
        assert!(!ours(&HeaderMap::new(), 8080));
    }
}
