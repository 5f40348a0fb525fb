//! The embedded queue: its state by properties, its protocol through clients that we did not write.
#![allow(unreachable_pub)]

mod clients;
mod embedded;
mod faults;
mod http;
mod naive;
mod persist;
mod properties;
mod recorded;
mod rust_sdk;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, retry::RetryConfig};
use twinscale_sqs::clock::Clock;
use twinscale_sqs::server::{Options, SqsServer};

/// A server at a free port whose clock runs ten times faster.
async fn server() -> SqsServer {
    server_with(Options { clock: Clock::new(10.0), ..Options::default() }).await
}

async fn server_with(options: Options) -> SqsServer {
    SqsServer::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), options).await.expect("a free port")
}

/// The Rust SDK, without retries, so that every answer is seen.
fn client(server: &SqsServer) -> Client {
    client_at(&server.endpoint())
}

fn client_at(endpoint: &str) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .retry_config(RetryConfig::disabled())
        .http_client(http)
        .build();
    Client::from_conf(config)
}

/// A name that no other test uses.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("queue-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
