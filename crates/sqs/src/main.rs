//! `twinscale-sqs`: Amazon SQS for development and tests, in one small program.

use std::process::ExitCode;

use clap::Parser;
use twinscale_sqs::cli::Serve;

/// Amazon SQS for development and tests
#[derive(Parser)]
#[command(name = "twinscale-sqs", version)]
struct Program {
    #[command(flatten)]
    serve: Serve,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Program::parse().serve.start().await {
        Ok((server, lines)) => {
            lines.iter().for_each(|line| println!("{line}"));
            stopped().await;
            drop(server);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("twinscale-sqs: {error}");
            ExitCode::from(64)
        }
    }
}

/// When it is told to stop, by Ctrl-C or SIGTERM.
async fn stopped() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}
