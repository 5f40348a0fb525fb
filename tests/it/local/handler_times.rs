//! How long handlers took in a local run, and what that drives.

use std::process::Command;
use std::time::Duration;

use twinscale_lab::processes::Options;
use twinscale_lab::run::{Run, Target};
use twinscale_work::Wait;

use super::{play, scenario, the_machine};

/// The longest wait of the default scenario, in seconds.
const LONGEST: f64 = 2.5;

fn handled(target: &Target) -> (u64, f64) {
    let histogram = &target.handler_seconds_histogram;
    let shortest = histogram.first().map_or(0.0, |bucket| bucket.le);
    (histogram.iter().map(|bucket| bucket.count).sum(), shortest)
}

#[tokio::test(flavor = "multi_thread")]
async fn handler_times_of_a_local_run_drive_a_simulated_one() {
    let _machine = the_machine().await;
    let mut measured = scenario("failures");
    measured.messages = 200;
    // Far longer than any wait of the scenario that it drives below; a busy machine notes the start of a handler late.
    measured.work.wait = Wait::Constant(Duration::from_secs(8));
    let run = play(measured, Options { speed: 10.0, ..Options::default() }).await;
    for (name, target) in run.targets.iter() {
        let (messages, (times, shortest)) = (&target.messages, handled(target));
        let attempts = messages.done + messages.rejected + messages.retried.unwrap_or_default();
        assert_eq!(times, attempts, "{name}: every attempt has a time, {messages:?}");
        assert!(messages.retried > Some(0), "{name}: some attempts failed");
        assert!(shortest > LONGEST, "{name}: the times of these handlers, {shortest} s");
    }

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("run.json");
    std::fs::write(&file, serde_json::to_vec(&run).expect("JSON")).expect("it can be written");
    let mut command = Command::new(crate::twinscale());
    command.args(["compare", "--engine", "simulated", "--messages", "100", "--format", "json", "--handler-times"]);
    let output = command.arg(&file).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let driven: Run = serde_json::from_slice(&output.stdout).expect("a run");
    for (name, target) in driven.targets.iter() {
        let (times, shortest) = handled(target);
        assert_eq!(times, 100, "{name}");
        assert!(shortest > LONGEST, "{name}: drawn from what was measured, {shortest} s");
    }
}
