//! What every host does first: read the settings, start the log, make the handler; and how it ends where that fails.

mod help;

use std::io::Write;
use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

use crate::config::{Config, ConfigError, ConfigErrors, Host, IdempotencyStore};
use crate::context::{Context, Error};
use crate::telemetry::{self, Waits};

/// `EX_SOFTWARE` of sysexits.h.
const EXIT_INTERNAL: u8 = 70;

/// Reads the settings of `host` and starts the log. Where that fails, the exit code; the reason is told. So it is where the
/// process was only asked for help.
pub(crate) fn begin(host: Host, config: Config) -> Result<(Runtime, Context), ExitCode> {
    let argument = std::env::args().nth(1);
    if let Some(answer) = help::asked(host, &program(), argument.as_deref()) {
        // Whoever reads only the beginning of it has closed the pipe.
        let _ = std::io::stdout().write_all(answer.as_bytes());
        return Err(ExitCode::SUCCESS);
    }
    let begun = || -> Result<_, Error> {
        help::on_lambda(host, std::env::var("AWS_LAMBDA_RUNTIME_API").ok().as_deref())?;
        let config = config.read(host, &|name| std::env::var(name).ok())?;
        if let (IdempotencyStore::Table(table), false) = (&config.idempotency.store, cfg!(feature = "dynamodb")) {
            let advice = "this build has no DynamoDB: build it with --features dynamodb".to_owned();
            let mistake = ConfigError { variable: "IDEMPOTENCY_TABLE".to_owned(), value: Some(table.clone()), advice };
            return Err(ConfigErrors::from(mistake).into());
        }
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        // Inside the runtime: a collector of spans needs it.
        let _inside = runtime.enter();
        let waits = if host == Host::Worker { Waits::No } else { Waits::Yes };
        telemetry::start(config.log.json, &config.log.filter, waits, config.log.collector())?;
        drop(_inside);
        Ok((runtime, Context::new(host, config)))
    };
    begun().map_err(|error| failed(&error))
}

/// Tells why the process ends, and how a shell sees it.
pub(crate) fn failed(error: &Error) -> ExitCode {
    let name = program();
    let mut causes = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push_str(&format!(": {error}"));
        cause = error.source();
    }
    eprintln!("{name}: {error}{causes}");
    if error.is::<ConfigErrors>() { ConfigErrors::EXIT_CODE.into() } else { EXIT_INTERNAL.into() }
}

/// The name that it was started by.
fn program() -> String {
    let program = std::env::args_os().next().map(std::path::PathBuf::from);
    let name = program.as_deref().and_then(|path| path.file_name());
    name.map_or_else(|| "twinscale".to_owned(), |name| name.to_string_lossy().into_owned())
}
