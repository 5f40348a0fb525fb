//! The worker's HTTP routes behind API Gateway or a function URL.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinscale::http::main()
}
