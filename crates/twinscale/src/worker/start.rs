//! The worker's process, from its settings to its exit code.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::run::{self, Ending, Worker};
use crate::config::{Config, Host};
use crate::context::{Context, Error};
use crate::handler::Handler;
use crate::http::router;
use crate::journal::Journal;
use crate::metrics::Metrics;
use crate::queue::{Queue, Tuning};
use crate::shutdown::{Health, Shutdown};
use crate::{start, telemetry};

/// The last lines of the log get this long, where somebody reads them.
const LOG_WITHIN: Duration = Duration::from_millis(500);
/// The last spans, and what the handler does last, get this long.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
/// Requests under way at the end get this long.
const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Runs the worker until it is told to stop: receives, handles, serves HTTP, and drains on SIGTERM.
///
/// `handler` is called once, when the settings are read; an error of its own is told and ends the process. Settings come
/// from the environment (`QUEUE_URL` is needed).
pub fn main<H: Handler>(handler: impl AsyncFnOnce(&Context) -> Result<H, Error>) -> ExitCode {
    main_with(Config::default(), handler)
}

/// As [`main`], with settings of the code's own; the environment wins.
pub fn main_with<H: Handler>(config: Config, handler: impl AsyncFnOnce(&Context) -> Result<H, Error>) -> ExitCode {
    let (runtime, context) = match start::begin(Host::Worker, config) {
        Ok(begun) => begun,
        Err(code) => return code,
    };
    let made = runtime.block_on(handler(&context));
    let ended = made.and_then(|handler| {
        // A task: what runs on the main thread itself is woken through the kernel, for each answer of SQS (2,400 context
        // switches for 20,000 messages instead of 330).
        let working = runtime.spawn(work(context, handler));
        runtime.block_on(working)?
    });
    // Not a drop: it would wait for handlers that block.
    runtime.shutdown_background();
    telemetry::flush_log(LOG_WITHIN);
    match ended {
        Ok(ending) => ending.exit_code().into(),
        Err(error) => start::failed(&error),
    }
}

async fn work<H: Handler>(context: Context, handler: H) -> Result<Ending, Error> {
    let config = context.config().clone();
    let shutdown = Shutdown::on_signals()?;
    let health = Health::default();
    let tuning = Tuning { attempt_timeout: config.attempt_timeout };
    // Without a name no worker starts: `Config::read` sees to it.
    let name = config.queue_url.clone().ok_or("QUEUE_URL is not set")?;
    let queue = Queue::connect(&name, &tuning).await?;
    let journal = match &config.journal_queue_url {
        Some(url) => Journal::to(url.clone(), tuning, "worker", &who()),
        None => Journal::off(),
    };

    let http = &config.http;
    let bound = router::bind(http.addr, http.addr_file.as_deref());
    let bound = bound.await.map_err(|error| format!("HTTP_ADDR={}: {error}", http.addr))?;
    let admin = router::bind(http.admin_addr, http.admin_addr_file.as_deref());
    let admin = admin.await.map_err(|error| format!("ADMIN_ADDR={}: {error}", http.admin_addr))?;
    tracing::info!(addr = %bound.addr, admin = %admin.addr, queue = queue.name(), receive = config.worker.receive, "twinscale-worker starts");
    let metrics = Arc::new(Metrics::default());
    let public = router::public(http, Some(queue.clone()), health.clone(), Host::Worker);
    let stop_http = CancellationToken::new();
    let last_answers = config.worker.drain_budget.saturating_sub(http.close_delay).max(LAST_ANSWERS_WITHIN);
    let serving = tokio::spawn(bound.serve(public, stop_http.clone(), last_answers));
    tokio::spawn(close(shutdown.drain.clone(), health.clone(), http.close_delay, stop_http.clone()));
    let stop_admin = CancellationToken::new();
    let telling = router::admin(health.clone(), metrics.clone());
    let telling = tokio::spawn(admin.serve(telling, stop_admin.clone(), LAST_ANSWERS_WITHIN));
    journal.ready();

    let drain = shutdown.drain.clone();
    let told_to_stop = shutdown.drain;
    let written = journal.clone();
    let working = async move {
        if config.worker.receive {
            Worker { handler, queue, config, journal, health, metrics }.run(drain).await
        } else {
            run::stand_by(&queue, &config, &health, &drain).await;
            Ending::Drained
        }
    };
    let ending = tokio::select! {
        ending = working => ending,
        () = shutdown.force.cancelled() => return Ok(Ending::Forced),
    };
    if !told_to_stop.is_cancelled() {
        stop_http.cancel();
    }
    written.stopped();
    let last = async {
        if timeout(FLUSH_WITHIN, context.at_the_end()).await.is_err() {
            tracing::warn!(within = ?FLUSH_WITHIN, "what the handler does on shutdown was cut off");
        }
    };
    let writing = async {
        if timeout(FLUSH_WITHIN, written.flush()).await.is_err() {
            tracing::warn!(within = ?FLUSH_WITHIN, "the journal was not written in time");
        }
    };
    let answered = tokio::select! {
        (answered, ..) = async { tokio::join!(serving, writing, telemetry::flush(FLUSH_WITHIN), last) } => answered?,
        () = shutdown.force.cancelled() => return Ok(Ending::Forced),
    };
    let ending = if ending == Ending::Drained && !answered { Ending::BudgetExceeded } else { ending };
    // Health is answered until the end, so that draining is not taken for being stuck.
    stop_admin.cancel();
    let _ = telling.await;
    tracing::info!(?ending, "twinscale-worker stops");
    Ok(ending)
}

/// Not ready from the order to stop on; the port closes when others have had time to see it.
async fn close(drain: CancellationToken, health: Health, delay: Duration, stop_http: CancellationToken) {
    drain.cancelled().await;
    health.drain();
    sleep(delay).await;
    stop_http.cancel();
}

/// The pod's name, as Kubernetes tells it, or else the process.
fn who() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| format!("process-{}", std::process::id()))
}
