//! The worker for EKS: long-polls the queue, serves HTTP, and drains on SIGTERM.

use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use twinscale::config::{Config, ConfigErrors};
use twinscale::journal::Journal;
use twinscale::metrics::Metrics;
use twinscale::queue::{Queue, Tuning};
use twinscale::shutdown::{Health, Shutdown};
use twinscale::worker::{self, Ending, Worker};
use twinscale::{http, telemetry, workload};

/// Most of what a message costs is the SDK's work on its calls, and a sixth of that is allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `EX_SOFTWARE` of sysexits.h.
const EXIT_INTERNAL: i32 = 70;
/// The last spans get this long.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() {
    let config = match Config::for_worker(&|name| std::env::var(name).ok()) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("twinscale-worker: {errors}");
            exit(ConfigErrors::EXIT_CODE.into());
        }
    };
    // A task: what runs on the main thread itself is woken through the kernel, for each answer of SQS (2,400 context
    // switches for 20,000 messages instead of 330).
    let worked = tokio::spawn(work(config)).await.unwrap_or_else(|panicked| Err(panicked.into()));
    // Not a return: dropping the runtime would wait for handlers that block.
    match worked {
        Ok(ending) => exit(ending.exit_code().into()),
        Err(error) => {
            eprintln!("twinscale-worker: {error:#}");
            exit(EXIT_INTERNAL);
        }
    }
}

async fn work(config: Config) -> anyhow::Result<Ending> {
    telemetry::start(config.log.json, &config.log.filter, config.log.collector())?;
    let shutdown = Shutdown::on_signals()?;
    let health = Health::default();
    let tuning = Tuning { attempt_timeout: config.attempt_timeout };
    let queue = Queue::connect(config.queue_url.as_deref().unwrap_or_default(), &tuning).await?;
    let journal = match &config.journal_queue_url {
        Some(url) => Journal::to(url.clone(), tuning, "worker", &who()),
        None => Journal::off(),
    };

    let bound = http::bind(config.http.addr, config.http.addr_file.as_deref()).await.context("HTTP_ADDR")?;
    tracing::info!(addr = %bound.addr, queue = queue.name(), receive = config.worker.receive, "twinscale-worker starts");
    let metrics = Arc::new(Metrics::default());
    let router = http::router(&config.http, Some(queue.clone()), health.clone());
    let router = router.merge(worker::metrics_route(metrics.clone()));
    let stop_http = CancellationToken::new();
    let serving = tokio::spawn(bound.serve(router, stop_http.clone()));
    journal.ready();

    let (drain, written) = (shutdown.drain, journal.clone());
    let working = async move {
        if config.worker.receive {
            let handler = workload::handler(config.work.clone());
            Worker { handler, queue, config, journal, health, metrics }.run(drain).await
        } else {
            worker::stand_by(&queue, &config, &health, &drain).await;
            Ending::Drained
        }
    };
    let ending = tokio::select! {
        ending = working => ending,
        () = shutdown.force.cancelled() => return Ok(Ending::Forced),
    };
    // Health is answered until the end, so that draining is not taken for being stuck.
    stop_http.cancel();
    written.stopped();
    tokio::select! {
        _ = async { tokio::join!(serving, written.flush(), telemetry::flush(FLUSH_WITHIN)) } => {}
        () = shutdown.force.cancelled() => return Ok(Ending::Forced),
    }
    tracing::info!(?ending, "twinscale-worker stops");
    Ok(ending)
}

/// The pod's name, as Kubernetes tells it, or else the process.
fn who() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| format!("process-{}", std::process::id()))
}
