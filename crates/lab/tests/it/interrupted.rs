//! Ctrl-C in what simulates: the program itself, told to stop by a signal, says what it has and what it left out.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cli::text;

/// Starts the command, waits until it takes SIGINT itself, sends it one, and waits for the end.
fn interrupted(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinscale"));
    command.args(args).env("NO_COLOR", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("twinscale starts");
    let until = Instant::now() + Duration::from_secs(60);
    while !takes_sigint(&child) {
        assert!(Instant::now() < until, "{args:?} never takes SIGINT");
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("it runs");
    child.wait_with_output().expect("it ends")
}

/// Whether the kernel has a handler of the process for SIGINT: the second bit of the mask.
fn takes_sigint(child: &Child) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("the kernel tells");
    u64::from_str_radix(caught.trim(), 16).expect("a mask") & 2 != 0
}

#[test]
fn ctrl_c_keeps_what_there_is_and_says_what_was_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().display().to_string();
    let day: &[&str] = &["--scenario", "day", "--out", &out];
    let compare = ["compare", "--engine", "simulated", "--uncertainty=10000", "--messages", "100000", "--work", "20ms"];
    for (args, page, told) in [
        (&["advise"][..], "advice.html", "It was told to stop"),
        (&["break-even"], "break-even.html", "It was told to stop before"),
        (&["decide"], "decision.html", "It was told to stop"),
        (&compare, "report.html", "was told to stop before"),
    ] {
        let output = interrupted(&[args, day].concat());
        let said = text(&output.stdout);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{args:?}: {said}{error}");
        assert!(error.contains("told to stop: what there is follows"), "{args:?}: {error}");
        assert!(said.contains(told), "{args:?}: {said}");
        let page = std::fs::read_to_string(folder.path().join(page)).expect("it was written");
        assert!(page.contains(told), "{args:?}: the page does not say it");
    }
}

#[test]
fn a_search_that_is_stopped_changes_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let template = folder.path().join("template.yaml");
    let ours = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sam/template.yaml");
    std::fs::copy(ours, &template).expect("copied");
    let output =
        interrupted(&["advise", "--scenario", "day", "--write", "--template", &template.display().to_string()]);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("no file was changed"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read(&template).expect("there"), std::fs::read(ours).expect("there"));
}
