//! The worker for EKS: long-polls the queue, serves HTTP, and drains on SIGTERM.

use std::process::ExitCode;

use twinscale_service::handler::handler;

/// Most of what a message costs is the SDK's work on its calls, and a sixth of that is allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    twinscale::worker::main(handler)
}
