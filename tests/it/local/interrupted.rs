//! The command line, told to stop in the middle of a run: its children end with it.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use twinscale_lab::run::Run;
use twinscale_lab::target::TargetKind;

use super::processes::{children, has_ended};
use super::the_machine;

/// Asks again and again, for a bounded time.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "{what} took too long");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts the article's run, and sends `signal` once workers or functions are at work.
fn stopped_by(signal: Signal, target: &str, program: &str, out: Option<&Path>) -> (ExitStatus, Vec<Pid>) {
    let mut command = Command::new(crate::twinscale());
    command.args(["compare", "--scenario", "article", "--speed", "5", "--target", target]);
    command.arg("--bin-dir").arg(crate::WORKLOAD.as_path());
    if let Some(folder) = out {
        command.arg("--out").arg(folder);
    }
    let mut twinscale: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let at_work = eventually("the start of a child", || {
        let found = children(twinscale.id(), program);
        (!found.is_empty()).then_some(found)
    });
    kill(Pid::from_raw(twinscale.id().cast_signed()), signal).expect("it runs");
    let status = eventually("its end", || twinscale.try_wait().expect("it is our child"));
    (status, at_work)
}

fn assert_all_end(processes: Vec<Pid>) {
    for process in processes {
        eventually("the end of a child", || has_ended(process).then_some(()));
    }
}

#[tokio::test]
async fn ctrl_c_ends_the_run_and_its_workers_and_keeps_what_there_is() {
    let _machine = the_machine().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (status, workers) = stopped_by(Signal::SIGINT, "eks", "twinscale-worker", Some(folder.path()));
    assert_eq!(status.code(), Some(130), "{status}");
    assert_all_end(workers);
    let run = std::fs::read_to_string(folder.path().join("run.json")).expect("it was written");
    let run: Run = serde_json::from_str(&run).expect("a run");
    assert!(run.warnings.iter().any(|told| told.contains("eks was told to stop")), "{:?}", run.warnings);
    let target = run.targets.get(TargetKind::Eks).expect("it had begun");
    assert!(target.drain_seconds.is_none() && target.messages.sent <= 1000, "{:?}", target.messages);
    assert!(folder.path().join("report.html").exists());
}

#[tokio::test]
async fn workers_do_not_outlive_a_run_that_is_killed() {
    let _machine = the_machine().await;
    let (status, workers) = stopped_by(Signal::SIGKILL, "eks", "twinscale-worker", None);
    assert!(!status.success());
    assert_all_end(workers);
}

#[tokio::test]
async fn function_processes_do_not_outlive_a_run_that_is_killed() {
    let _machine = the_machine().await;
    let (_, functions) = stopped_by(Signal::SIGKILL, "lambda", "lambda-sqs", None);
    assert_all_end(functions);
}
