//! The function behind an SQS event source mapping (`ReportBatchItemFailures` on).

use std::process::ExitCode;

use twinscale_service::handler::handler;

fn main() -> ExitCode {
    twinscale::function::main(handler)
}
