//! Logs: JSON lines for machines or text for people, on standard error, so that standard output stays the program's.
//!
//! With the feature `otlp`, spans go to an OpenTelemetry collector too, in batches and off the async threads.

mod log;
#[cfg(feature = "otlp")]
mod otlp;

use std::io;
use std::panic::PanicHookInfo;
use std::time::Duration;

use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Whether whoever logs waits until the line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Lambda reads all, and freezes what has not been written when the function answers.
    Yes,
    /// Lines are dropped and counted where nobody reads them: a worker goes on.
    No,
}

/// Starts logging; once per process. `collector`: base URL of an OTLP collector, and the name of this service.
///
/// # Errors
/// If `filter` is neither a level nor a filter, or no thread can be started.
pub fn start(
    json: bool,
    filter: &str,
    waits: Waits,
    collector: Option<(&str, &str)>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::try_new(filter)?;
    let writer = match waits {
        Waits::Yes => BoxMakeWriter::new(io::stderr),
        Waits::No => BoxMakeWriter::new(log::Lossy::to(io::stderr())?),
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed()
    } else {
        lines.boxed()
    };
    let started = tracing_subscriber::registry().with(filter).with(lines);
    // A second start is a test in the same process: the first stays.
    #[cfg(feature = "otlp")]
    let _ = started.with(collector.map(|(endpoint, service)| otlp::layer(endpoint, service))).try_init();
    #[cfg(not(feature = "otlp"))]
    {
        let _ = started.try_init();
        if collector.is_some() {
            tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT has no effect: this build exports no spans (--features otlp)");
        }
    }
    if waits == Waits::No {
        // The hook of the standard library writes to standard error itself, and waits there.
        std::panic::set_hook(Box::new(panicked));
    }
    Ok(())
}

fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, panic = panic.payload_as_str(), "a panic");
}

/// What `/metrics` tells of the log, for Prometheus.
pub fn prometheus() -> String {
    let name = "twinscale_log_lines_dropped_total";
    let dropped = log::dropped();
    let help = "Lines of the log that were dropped, since nobody read standard error.";
    format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {dropped}\n")
}

/// Before a process ends: waits until what was logged is written, but not for longer than `within`.
pub fn flush_log(within: Duration) {
    log::flush(within);
}

/// Sends the spans that wait, for at most `within`. Before a process ends, and before a function answers, since its
/// environment is frozen then.
pub async fn flush(within: Duration) {
    #[cfg(feature = "otlp")]
    otlp::flush(within).await;
    #[cfg(not(feature = "otlp"))]
    let _ = within;
}
