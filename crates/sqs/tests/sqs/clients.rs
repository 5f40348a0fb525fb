//! SDKs of other languages against the embedded queue; `tests/clients/setup.sh` installs them. Those that take long to
//! install are ignored here, and run by `make test-clients`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

/// Runs a program with the endpoint between its arguments, and fails with what it prints.
async fn run(program: impl Into<PathBuf>, before: &[OsString], after: &[PathBuf]) {
    let program = program.into();
    assert!(program.exists(), "{} is missing: run `make test-setup` first", program.display());
    let server = super::server().await;
    let output = Command::new(program)
        .args(before)
        .arg(server.endpoint())
        .args(after)
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
    println!("{said}");
}

/// A script of `tests/clients`.
fn script(name: &str) -> OsString {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name).into()
}

/// Where the clients are installed: beside the profile's folder, which holds this test in `deps`.
fn installed(what: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its path");
    test.ancestors().nth(3).expect("target/PROFILE/deps/test").join("clients").join(what)
}

/// A program on the PATH.
fn found(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    let program = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.exists());
    program.unwrap_or_else(|| panic!("{name} is not on the PATH"))
}

#[tokio::test]
async fn boto3_passes_all_checks() {
    run(installed("venv/bin/python"), &[script("boto3_checks.py")], &[]).await;
}

#[tokio::test]
async fn boto3_does_its_work() {
    run(installed("venv/bin/python"), &[script("boto3_work.py")], &["json".into()]).await;
}

/// The last minor version that spoke Query.
#[tokio::test]
async fn boto3_1_28_does_its_work() {
    run(installed("old/bin/python"), &[script("boto3_work.py")], &["query".into()]).await;
}

#[tokio::test]
async fn the_aws_cli_passes_all_checks() {
    run("/bin/bash", &[script("aws_cli_checks.sh")], &[installed("venv/bin/aws")]).await;
}

#[tokio::test]
async fn the_npm_sdk_passes_all_checks() {
    run(found("node"), &[script("npm_checks.mjs")], &[installed("npm")]).await;
}

#[tokio::test]
async fn the_npm_sdk_v2_does_its_work() {
    run(found("node"), &[script("npm2_work.cjs")], &[installed("npm")]).await;
}

#[tokio::test]
#[ignore = "make test-clients"]
async fn debians_aws_cli_passes_all_checks() {
    run("/bin/bash", &[script("aws_cli_checks.sh")], &["/usr/bin/aws".into()]).await;
}

#[tokio::test]
#[ignore = "make test-clients"]
async fn celery_works_off_its_tasks() {
    run(installed("old/bin/python"), &[script("celery_work.py")], &[]).await;
}

/// What Java needs to run a class of `tests/clients/java`.
fn java(class: &str) -> Vec<OsString> {
    let mut path = installed("java/*").into_os_string();
    path.push(":");
    path.push(installed("java/classes"));
    vec!["-cp".into(), path, class.into()]
}

#[tokio::test]
#[ignore = "make test-clients"]
async fn the_java_sdk_v1_does_its_work() {
    run(found("java"), &java("WorkV1"), &[]).await;
}

#[tokio::test]
#[ignore = "make test-clients"]
async fn the_java_sdk_v2_does_its_work() {
    run(found("java"), &java("WorkV2"), &[]).await;
}

#[tokio::test]
#[ignore = "make test-clients"]
async fn the_go_sdk_v2_does_its_work() {
    run(installed("go-work"), &[], &[]).await;
}
