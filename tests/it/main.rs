//! All integration tests in one binary: one link, one place for what they share.
#![allow(unreachable_pub)]

mod agreement;
mod aws;
mod conformance;
mod fault_proxy;
mod function;
mod idempotency;
mod local;
mod own_service;
mod rooms;
mod spans;
mod worker;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, OnceLock};

/// The laboratory's program, which is another package's: beside the service's binaries, and built where it is not there,
/// as after `cargo test -p twinscale-service` in a fresh clone.
pub fn twinscale() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_twinscale-worker")).with_file_name("twinscale");
        if !program.exists() {
            build(&["--bin", "twinscale"]);
        }
        program
    })
}

/// Builds what a narrower `cargo test` has left out.
fn build(what: &[&str]) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--locked", "--workspace", "--all-features"]).args(what);
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo starts");
    assert!(built.success(), "cargo build {what:?} failed");
}

/// Folder of `twinscale-worker`, `lambda-sqs` and `lambda-http` with the handler that ships, whatever handler stands in
/// `src/handler.rs`: the first two are the example `workload`.
pub static WORKLOAD: LazyLock<PathBuf> = LazyLock::new(|| {
    let profile = Path::new(env!("CARGO_BIN_EXE_twinscale-worker")).parent().expect("a binary is in a folder");
    let workload = profile.join("examples/workload");
    if !workload.exists() {
        build(&["--example", "workload"]);
    }
    let folder = profile.join("workload");
    std::fs::create_dir_all(&folder).expect("a folder for the binaries");
    // The front has no handler.
    let front = Path::new(env!("CARGO_BIN_EXE_lambda-http")).to_owned();
    for (name, program) in [("twinscale-worker", &workload), ("lambda-sqs", &workload), ("lambda-http", &front)] {
        // Another test process may have made it already.
        match std::os::unix::fs::symlink(program, folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => panic!("{name}: {error}"),
            Ok(()) | Err(_) => {}
        }
    }
    folder
});

/// One of them.
pub fn workload(name: &str) -> PathBuf {
    WORKLOAD.join(name)
}
