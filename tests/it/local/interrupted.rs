//! The command line, told to stop in the middle of a run: its children end with it.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
fn stopped_by(signal: Signal, target: &str, program: &str) -> (ExitStatus, Vec<Pid>) {
    let mut command = Command::new(crate::twinscale());
    command.args(["compare", "--scenario", "article", "--speed", "5", "--target", target]);
    command.arg("--bin-dir").arg(crate::WORKLOAD.as_path());
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
async fn ctrl_c_ends_the_run_and_its_workers() {
    let _machine = the_machine().await;
    let (status, workers) = stopped_by(Signal::SIGINT, "eks", "twinscale-worker");
    assert_eq!(status.code(), Some(130), "{status}");
    assert_all_end(workers);
}

#[tokio::test]
async fn workers_do_not_outlive_a_run_that_is_killed() {
    let _machine = the_machine().await;
    let (status, workers) = stopped_by(Signal::SIGKILL, "eks", "twinscale-worker");
    assert!(!status.success());
    assert_all_end(workers);
}

#[tokio::test]
async fn function_processes_do_not_outlive_a_run_that_is_killed() {
    let _machine = the_machine().await;
    let (_, functions) = stopped_by(Signal::SIGKILL, "lambda", "lambda-sqs");
    assert_all_end(functions);
}
