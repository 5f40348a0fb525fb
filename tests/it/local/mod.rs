//! The local engine: real processes against the embedded queue, faster than scenario time.

mod handler_times;
mod interrupted;
mod killed;
mod processes;
mod scenarios;

use std::path::PathBuf;

use tokio::sync::{Mutex, MutexGuard};
use twinscale_lab::processes::{Options, run};
use twinscale_lab::run::{Run, Target};
use twinscale_lab::scenario::Scenario;
use twinscale_lab::target::TargetKind;

/// Runs want the machine for themselves, or their timers are late.
static MACHINE: Mutex<()> = Mutex::const_new(());

pub async fn the_machine() -> MutexGuard<'static, ()> {
    MACHINE.lock().await
}

fn bin_dir() -> PathBuf {
    crate::WORKLOAD.clone()
}

pub fn scenario(name: &str) -> Scenario {
    Scenario::read(name).expect("it is built in")
}

async fn play(scenario: Scenario, options: Options) -> Run {
    let scenario = scenario.checked().expect("it can run");
    let options = Options { bin_dir: Some(bin_dir()), ..options };
    let run = run(&scenario, &options, &mut |_| {}).await.expect("the run begins");
    // Shown when the test fails.
    eprintln!("warnings: {:?}", run.warnings);
    run
}

pub async fn on_eks(scenario: Scenario, speed: f64) -> Target {
    alone(TargetKind::Eks, scenario, speed).await
}

pub async fn on_lambda(scenario: Scenario, speed: f64) -> Target {
    alone(TargetKind::Lambda, scenario, speed).await
}

async fn alone(kind: TargetKind, scenario: Scenario, speed: f64) -> Target {
    let options = Options { speed, targets: [kind].into(), ..Options::default() };
    play(scenario, options).await.targets.remove(kind).expect("the target ran")
}

/// Capacity asked for, step by step.
fn steps(target: &Target) -> Vec<u32> {
    target.changes().map(|decision| decision.to).collect()
}
