//! What a worker with an empty queue takes: long polls and nothing else.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::measured::{Program, cpu_seconds, peak_mib};
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
    let (began, cpu, receives) = (Instant::now(), cpu_seconds(pid), service.receives().await);
    sleep(watch).await;
    let hours = began.elapsed().as_secs_f64() / 3600.0;
    let (cpu, receives) = (cpu_seconds(pid) - cpu, service.receives().await - receives);
    println!(
        "\nidle worker, watched for {watch:?} and extrapolated: {:.0} receives and {:.1} s of CPU an hour, {:.1} MiB",
        receives as f64 / hours,
        cpu / hours,
        peak_mib(pid),
    );
}
