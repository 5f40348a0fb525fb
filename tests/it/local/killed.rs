//! Runs whose processes are killed: nothing is lost.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use twinscale::compare::local::{Options, Progress, run};
use twinscale::compare::run::Target;
use twinscale::compare::scenario::Scenario;

use super::{bin_dir, scenario, the_machine};

/// Our children that run `program` and receive messages, as `/proc` tells.
fn children(program: &str) -> Vec<Pid> {
    let ours = std::process::id().to_string();
    let processes = fs::read_dir("/proc").expect("Linux has /proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        // `pid (comm) state ppid …`; a process may end while we look.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let (head, tail) = stat.rsplit_once(") ").unwrap_or_default();
        let comm = head.split_once('(').map_or("", |(_, comm)| comm);
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        // The kernel keeps 15 characters of a name.
        comm == &program[..program.len().min(15)]
            && tail.split(' ').nth(1) == Some(&ours)
            && !String::from_utf8_lossy(&environment).contains("RECEIVE=off")
    })
    .map(Pid::from_raw)
    .collect()
}

/// Kills a process that runs `program` once a tenth of the messages are done, and twice more after that.
async fn with_kills(scenario: Scenario, options: Options, program: &str) -> Target {
    let scenario = scenario.checked().expect("it can run");
    let options = Options { bin_dir: Some(bin_dir()), ..options };
    let (mut killed, messages) = (0, scenario.messages);
    let mut kill_one = |progress: Progress| {
        if killed < 3 && progress.tally.done > messages * (killed + 1) / 10 {
            let victim = *children(program).first().expect("one is at work");
            kill(victim, Signal::SIGKILL).expect("it is ours");
            killed += 1;
        }
    };
    let run = run(&scenario, &options, &mut kill_one).await.expect("the run begins");
    assert_eq!(killed, 3, "the run was over before all were killed");
    run.targets.eks.or(run.targets.lambda).expect("a target ran")
}

fn short_visibility() -> Scenario {
    let mut scenario = scenario("default");
    scenario.queue.visibility_timeout = Duration::from_secs(20);
    scenario.lambda.visibility_timeout = Duration::from_secs(20);
    scenario
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_loses_nothing() {
    let _machine = the_machine().await;
    let options = Options { speed: 5.0, lambda: false, ..Options::default() };
    let target = with_kills(short_visibility(), options, "twinscale-worker").await;
    assert_eq!((target.messages.done, target.messages.lost), (1000, Some(0)), "{:?}", target.messages);
    assert!(target.messages.duplicates > Some(0), "what it held was received again: {:?}", target.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_process_that_is_killed_loses_nothing() {
    let _machine = the_machine().await;
    let options = Options { speed: 5.0, eks: false, ..Options::default() };
    let target = with_kills(short_visibility(), options, "lambda-sqs").await;
    assert_eq!((target.messages.done, target.messages.lost), (1000, Some(0)), "{:?}", target.messages);
    assert!(target.messages.duplicates > Some(0), "its batch was received again: {:?}", target.messages);
}
