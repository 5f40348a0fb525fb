//! boto3, the aws CLI and the npm SDK against the embedded queue; `tests/clients/setup.sh` installs them.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// Runs checks written for another client, and fails with what they print.
async fn run(program: PathBuf, script: &str, more: &[&Path]) {
    assert!(program.exists(), "{} is missing: run `make test-setup` first", program.display());
    let server = super::server().await;
    let output = Command::new(program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(script))
        .arg(server.endpoint())
        .args(more)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the client starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("ok  "), "no check ran: {said}");
}

/// Where the clients are installed: beside the profile's folder, which holds this test in `deps`.
fn installed(what: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its path");
    test.ancestors().nth(3).expect("target/PROFILE/deps/test").join("clients").join(what)
}

#[tokio::test]
async fn boto3_passes_all_checks() {
    run(installed("venv/bin/python"), "boto3_checks.py", &[]).await;
}

#[tokio::test]
async fn the_aws_cli_passes_all_checks() {
    run("/bin/bash".into(), "aws_cli_checks.sh", &[&installed("venv/bin/aws")]).await;
}

#[tokio::test]
async fn the_npm_sdk_passes_all_checks() {
    let node = std::env::var_os("PATH").expect("a PATH");
    let node = std::env::split_paths(&node).map(|folder| folder.join("node")).find(|node| node.exists());
    run(node.expect("node is on the PATH"), "npm_checks.mjs", &[&installed("npm")]).await;
}
