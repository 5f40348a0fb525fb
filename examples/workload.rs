//! The handler that ships, on every host: what the tests run, whatever handler stands in `src/handler.rs`.

use std::process::ExitCode;

use twinscale_work::handler::handler;

fn main() -> ExitCode {
    twinscale::main(handler)
}
