//! One suite for both hosts: the same cases against the worker and the function, on standard and FIFO queues, as real
//! processes behind a proxy that fails on demand.
//!
//! `SEED=` draws other faults; the table of `docs/reliability.md` is this suite's.

mod case;
mod cases;
mod chaos;
mod check;
mod late;
mod process;
mod rig;
mod soak;
mod storm;
mod weather;

use std::time::Duration;

use futures_util::{StreamExt, stream};
use nix::sys::signal::Signal;
use twinscale_lab::processes::environment::Settings;
use twinscale_scaling::event_source;

use case::{Case, Host};
use rig::{Kind, Rig, eventually};

/// Cases that run at once: they mostly wait for visibility timeouts.
const AT_ONCE: usize = 6;
const LIMIT: Duration = Duration::from_secs(60);

fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_conforms_on_a_standard_queue() {
    all(Host::Worker, Kind::Standard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_worker_conforms_on_a_fifo_queue() {
    all(Host::Worker, Kind::Fifo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_conforms_on_a_standard_queue() {
    all(Host::Function, Kind::Standard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_function_conforms_on_a_fifo_queue() {
    all(Host::Function, Kind::Fifo).await;
}

async fn all(host: Host, kind: Kind) {
    let only = std::env::var("CASE").unwrap_or_default();
    let cases = cases::cases().into_iter().filter(|case| case.name.contains(&only));
    let run = |case: Case| async move {
        let result = match case.not_on {
            Some((not, why)) if not == kind => Ok(format!("does not apply: {why}")),
            _ => run(&case, host, kind).await.map(|()| "holds".to_owned()),
        };
        eprintln!("{host:?}, {kind:?}: {}: {}", case.name, result.as_deref().unwrap_or("FAILS"));
        result.err().map(|why| format!("{}: {why}", case.name))
    };
    let failed: Vec<_> =
        stream::iter(cases.map(run)).buffer_unordered(AT_ONCE).filter_map(async |failed| failed).collect().await;
    assert!(failed.is_empty(), "{host:?}, {kind:?}, seed {}:\n{}", seed(), failed.join("\n"));
}

async fn run(case: &Case, host: Host, kind: Kind) -> Result<(), String> {
    let visibility = Duration::from_secs(case.visibility);
    let rig = Rig::start(kind, visibility, case.max_receives, (case.strike)(seed())).await;
    let grouped = kind == Kind::Fifo || case.fair;
    let sent =
        |(number, told): (usize, &case::Told)| (if grouped { told.group } else { "" }.to_owned(), told.body(number));
    rig.send(case.messages.iter().enumerate().map(sent)).await;
    rig.server.set_faults(case.faults(seed()));
    let (done, late) = late::beside(on_host(case, host, &rig)).await;
    done?;
    rig.server.set_faults(Default::default());
    check::check(case, host, kind, &rig, late).await
}

async fn on_host(case: &Case, host: Host, rig: &Rig) -> Result<(), String> {
    match host {
        Host::Worker => on_worker(case, rig).await,
        Host::Function => {
            // Two seconds of work, and plenty to settle in: a process just started makes its SQS client only now.
            let short = [("DEADLINE_MARGIN_MS", "8000")];
            let margin: &[_] = if case.time_is_up { &short } else { &[] };
            let timeout = Duration::from_secs(if case.time_is_up { 10 } else { 20 });
            let settings = Settings { timeout, ..Settings::default() };
            let variables = [case.settings.as_slice(), margin].concat();
            let running = rig.function(&variables, settings, event_source::MappingSettings::default());
            eventually(LIMIT, || is_over(case, host, rig)).await.map_err(|why| unfinished(rig, &why))?;
            running.1.stop().await;
            Ok(())
        }
    }
}

async fn on_worker(case: &Case, rig: &Rig) -> Result<(), String> {
    let mut worker = rig.worker(&case.settings);
    if case.time_is_up {
        let in_hand = || rig.counts().visible == 0 && rig.lines().iter().any(|line| line.0 == "began");
        eventually(LIMIT, in_hand).await.map_err(|why| unfinished(rig, &why))?;
        worker.signal(Signal::SIGTERM);
        let code = worker.ended().await;
        if code != 75 {
            return Err(format!("exit code {code}, though a handler was aborted"));
        }
        worker = rig.worker(&case.settings);
    }
    eventually(LIMIT, || is_over(case, Host::Worker, rig)).await.map_err(|why| unfinished(rig, &why))?;
    worker.signal(Signal::SIGTERM);
    let code = worker.ended().await;
    // Another's copy of a message may be at work still, and is aborted then.
    if [0, 75].contains(&code) { Ok(()) } else { Err(format!("exit code {code}")) }
}

/// Nothing is left, and what was given out twice has reached its second handler: on a busy machine its process may only start.
fn is_over(case: &Case, host: Host, rig: &Rig) -> bool {
    rig.left() == 0 && {
        let lines = rig.lines();
        let begun = |(number, told): (usize, &case::Told)| {
            check::began(&lines, &format!("m{number}")) >= *told.times(host).start()
        };
        case.messages.iter().enumerate().all(begun)
    }
}

fn unfinished(rig: &Rig, why: &str) -> String {
    format!("{why}; {:?} are left; handlers: {:?}; {:?}", rig.counts(), rig.lines(), rig.proxy.tally())
}

#[test]
fn the_table_of_docs_reliability_md_is_this_suite_s() {
    let mut table = "| case | what has to come of it | standard queue | FIFO queue |\n|---|---|---|---|\n".to_owned();
    for case in cases::cases() {
        let cell = |kind| match case.not_on {
            Some((not, why)) if not == kind => format!("does not apply: {why}"),
            _ => "worker, function".to_owned(),
        };
        let name = case.name;
        let expected = case.expected;
        table += &format!("| {name} | {expected} | {} | {} |\n", cell(Kind::Standard), cell(Kind::Fifo));
    }
    let page = include_str!("../../../docs/reliability.md");
    assert!(page.contains(&table), "docs/reliability.md has another table than:\n{table}");
}
