//! The laboratory's program: compares both targets, shows reports, checks what is to be deployed.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinscale_lab::cli::Twinscale::run()
}
