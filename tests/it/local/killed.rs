//! Runs whose processes are killed: nothing is lost.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use twinscale_lab::processes::{Options, Progress, run};
use twinscale_lab::run::Target;
use twinscale_lab::scenario::Scenario;
use twinscale_lab::target::TargetKind;

use super::processes::children;
use super::{bin_dir, scenario, the_machine};

/// Kills a process that runs `program` once a tenth of the messages are done, and twice more after that.
async fn with_kills(scenario: Scenario, options: Options, program: &str) -> Target {
    let scenario = scenario.checked().expect("it can run");
    let options = Options { bin_dir: Some(bin_dir()), ..options };
    let mut killed = 0;
    let messages = scenario.messages;
    let mut kill_one = |progress: Progress| {
        if killed < 3 && progress.tally.done > messages * (killed + 1) / 10 {
            let victim = *children(std::process::id(), program).first().expect("one is at work");
            kill(victim, Signal::SIGKILL).expect("it is ours");
            killed += 1;
        }
    };
    let run = run(&scenario, &options, &mut kill_one).await.expect("the run begins");
    assert_eq!(killed, 3, "the run was over before all were killed");
    run.targets.iter().next().map(|(_, target)| target.clone()).expect("a target ran")
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
    let options = Options { speed: 5.0, targets: [TargetKind::Eks].into(), ..Options::default() };
    let target = with_kills(short_visibility(), options, "twinscale-worker").await;
    assert_eq!((target.messages.done, target.messages.lost), (1000, Some(0)), "{:?}", target.messages);
    assert!(target.messages.duplicates > Some(0), "what it held was received again: {:?}", target.messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_process_that_is_killed_loses_nothing() {
    let _machine = the_machine().await;
    let options = Options { speed: 5.0, targets: [TargetKind::Lambda].into(), ..Options::default() };
    let target = with_kills(short_visibility(), options, "lambda-sqs").await;
    assert_eq!((target.messages.done, target.messages.lost), (1000, Some(0)), "{:?}", target.messages);
    assert!(target.messages.duplicates > Some(0), "its batch was received again: {:?}", target.messages);
}
