//! Logs: JSON lines for machines or text for people, on standard error, so that standard output stays the program's.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Starts logging; once a process. Fails if `filter` is neither a level nor a filter.
pub fn start(json: bool, filter: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second start is a test in the same process: the first stays.
    let _ = if json {
        lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
    } else {
        lines.try_init()
    };
    Ok(())
}
