//! Logs: JSON lines for machines or text for people, on standard error, so that standard output stays the program's.
//!
//! With the feature `otlp`, spans go to an OpenTelemetry collector too, in batches and off the async threads.

#[cfg(feature = "otlp")]
mod otlp;

use std::time::Duration;

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// Starts logging; once a process. `collector`: base URL of an OTLP collector, and the name of this service. Fails if
/// `filter` is neither a level nor a filter.
pub fn start(json: bool, filter: &str, collector: Option<(&str, &str)>) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
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
    Ok(())
}

/// Sends the spans that wait, for at most `within`. Before a process ends, and before a function answers, since its
/// environment is frozen then.
pub async fn flush(within: Duration) {
    #[cfg(feature = "otlp")]
    otlp::flush(within).await;
    #[cfg(not(feature = "otlp"))]
    let _ = within;
}
