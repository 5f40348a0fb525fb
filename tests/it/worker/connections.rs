//! Many connections, and few descriptors: probes are answered, and nothing spins.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::eventually;
use super::process::Process;

const NOBODY: &str = "http://127.0.0.1:9";
/// What a kubelet gives a probe.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

fn answers(addr: &str, path: &str) -> bool {
    let asked = || {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(PROBE_WITHIN))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    asked().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn idle(addr: &str, connections: usize) -> Vec<TcpStream> {
    (0..connections).map(|_| TcpStream::connect(addr).expect("the kernel takes it")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_idle_connections_than_are_served_starve_no_probe() {
    let worker = Process::start(NOBODY, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    let admin = worker.admin().await;
    let held = idle(&addr, 1100);
    let answered = (0..100).filter(|_| answers(&admin, "/healthz")).count();
    assert_eq!(answered, 100);
    drop(held);
    eventually("the public port is free again", || answers(&addr, "/")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_kept_give_way_to_one_that_asks() {
    let worker = Process::start_with_descriptors(64, NOBODY, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    let held = idle(&addr, 40);
    for mut stream in &held {
        // Those beyond the places wait in the kernel, unanswered.
        stream.write_all(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n").expect("taken");
    }
    eventually("a new connection is answered", || answers(&addr, "/")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_descriptors_are_shared_so_that_probes_are_answered() {
    let worker = Process::start_with_descriptors(64, NOBODY, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    let admin = worker.admin().await;
    let _held = idle(&addr, 100);
    let answered = (0..100).filter(|_| answers(&admin, "/healthz")).count();
    assert_eq!((answered, worker.log().matches("not accepted").count()), (100, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_out_of_descriptors_does_not_spin_and_comes_back() {
    // What it has open before anybody calls, and two.
    let open = Process::start(NOBODY, &[("RECEIVE", "off")]);
    open.admin().await;
    let worker = Process::start_with_descriptors(open.descriptors() + 2, NOBODY, &[("RECEIVE", "off")]);
    let addr = worker.addr().await;
    let admin = worker.admin().await;
    let held = idle(&addr, 100);
    let refused = || worker.log().matches("not accepted").count();
    let began = std::time::Instant::now();
    eventually("descriptors run out a few times", || refused() >= 3).await;
    let seconds = began.elapsed().as_secs_f64();
    assert!(refused() as f64 <= 2.0 * (seconds + 2.0), "{} accepts failed in {seconds} s", refused());
    drop(held);
    eventually("it answers again", || answers(&admin, "/healthz") && answers(&addr, "/")).await;
}
