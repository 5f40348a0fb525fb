//! What every host does first: read the settings, start the log, make the handler; and how it ends where that fails.

use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use crate::config::{Config, ConfigError, ConfigErrors, Host, IdempotencyStore};
use crate::context::{Context, Error};
use crate::telemetry;

/// `EX_SOFTWARE` of sysexits.h.
const EXIT_INTERNAL: u8 = 70;

/// Reads the settings of `host` and starts the log. Where that fails, the exit code; the reason is told.
pub(crate) fn begin(host: Host, config: Config) -> Result<(Runtime, Context), ExitCode> {
    let begun = || -> Result<_, Error> {
        let config = config.read(host, &|name| std::env::var(name).ok())?;
        if let (IdempotencyStore::Table(table), false) = (&config.idempotency.store, cfg!(feature = "dynamodb")) {
            let advice = "this build has no DynamoDB: build it with --features dynamodb".to_owned();
            let mistake = ConfigError { variable: "IDEMPOTENCY_TABLE".to_owned(), value: Some(table.clone()), advice };
            return Err(ConfigErrors::from(mistake).into());
        }
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        // Inside the runtime: a collector of spans needs it.
        let _inside = runtime.enter();
        telemetry::start(config.log.json, &config.log.filter, config.log.collector())?;
        drop(_inside);
        Ok((runtime, Context::new(host, config)))
    };
    begun().map_err(|error| failed(&error))
}

/// Tells why the process ends, and how a shell sees it.
pub(crate) fn failed(error: &Error) -> ExitCode {
    let program = std::env::args_os().next().map(std::path::PathBuf::from);
    let name =
        program.as_deref().and_then(|path| path.file_name()).map_or("twinscale".into(), |name| name.to_string_lossy());
    let mut causes = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push_str(&format!(": {error}"));
        cause = error.source();
    }
    eprintln!("{name}: {error}{causes}");
    if error.is::<ConfigErrors>() { ConfigErrors::EXIT_CODE.into() } else { EXIT_INTERNAL.into() }
}
