//! The laboratory's program: compares both targets, shows reports, checks what is to be deployed.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinscale::compare::command::Twinscale::run()
}
