//! A network that takes a while: a TCP proxy that hands on what it reads after half the latency, each way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

/// Puts `latency` (there and back) in front of `endpoint`; none is no proxy at all.
pub async fn distant(endpoint: String, latency: Duration) -> String {
    if latency.is_zero() {
        return endpoint;
    }
    let target = endpoint.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(&target).await.expect("the service listens");
            for stream in [&near, &far] {
                stream.set_nodelay(true).expect("it is TCP");
            }
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(delay(near_in, far_out, latency / 2));
            tokio::spawn(delay(far_in, near_out, latency / 2));
        }
    });
    format!("http://{address}")
}

async fn delay(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, by: Duration) {
    let (late, mut due) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((at, bytes)) = due.recv().await {
            sleep_until(at).await;
            if to.write_all(&bytes).await.is_err() {
                break;
            }
        }
    });
    let mut buffer = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let _ = late.send((Instant::now() + by, buffer[..read].to_vec()));
    }
}
