//! What a worker with an empty queue takes: long polls and nothing else.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::measured::{Program, peak_mib};
use crate::service::Service;

/// Start and first poll are over by then.
const SETTLED: Duration = Duration::from_secs(5);

/// Watches it for `IDLE_SECS` (60), and says what that makes in an hour.
pub async fn measure() {
    let watch = Duration::from_secs(crate::setting("IDLE_SECS", 60) as u64);
    let mut service = Service::start(Duration::ZERO).await;
    let worker = Program::worker(100).start(&service.endpoint);
    let pid = worker.id().expect("it runs");
    sleep(SETTLED).await;
    let began = Instant::now();
    let cpu = busy_seconds(pid);
    let receives = service.receives().await;
    sleep(watch).await;
    let hours = began.elapsed().as_secs_f64() / 3600.0;
    let cpu = busy_seconds(pid) - cpu;
    let receives = service.receives().await - receives;
    println!(
        "\nidle worker, watched for {watch:?} and extrapolated: {:.0} receives and {:.1} s of CPU an hour, {:.1} MiB",
        receives as f64 / hours,
        cpu / hours,
        peak_mib(pid),
    );
}

/// On a CPU, by the scheduler's books: ticks of 10 ms are too coarse for a process that does next to nothing. Of the
/// threads that there are, which stay the same here.
fn busy_seconds(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let nanoseconds = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.expect("listed").path().join("schedstat")).expect("it runs");
        text.split_whitespace().next().expect("a time").parse::<f64>().expect("a number")
    });
    nanoseconds.sum::<f64>() / 1e9
}
