//! Weather: one thing fails for long, and all else goes on. Nothing is lost, nothing that was done or never tried becomes a
//! dead letter, and few calls and lines of log are made of it. And FIFO groups with poison in them, in the chaos of calls.
//!
//! `make test` runs a bounded form; `make chaos` lets each weather last for a minute (`WEATHER_SECONDS`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;
use twinscale_lab::processes::environment::Settings;
use twinscale_scaling::event_source;
use twinscale_sqs::server::Event;

use super::rig::{Kind, Process, Rig, eventually};
use super::seed;
use crate::fault_proxy::{Fault, Strike, seeded};
use crate::local::the_machine;
use crate::worker::attacked::deployed_limit;

const WORKERS: usize = 4;
const MESSAGES: usize = 1_000;
/// Short, so that leases that are not extended would be over soon, and few, so that they would be dead letters.
const VISIBILITY: Duration = Duration::from_secs(2);
const MAX_RECEIVES: u32 = 3;
const LIMIT: Duration = Duration::from_secs(300);

/// Lasts longer than all receives of a message, if it were received again and again.
fn lasts() -> Duration {
    let seconds = std::env::var("WEATHER_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(seconds.unwrap_or(8))
}

/// What is wrong now: an index into the faults of a weather; beyond them all is well.
type Now = Arc<AtomicUsize>;

/// Strikes the calls of `actions` with the fault of the hour.
fn weather(actions: &'static [&'static str], faults: &'static [Fault]) -> (Now, Strike) {
    let now = Now::default();
    let hour = now.clone();
    let strike = move |action: &str, call: &Value| {
        let fault = faults.get(hour.load(Ordering::Relaxed)).copied();
        let of_journal =
            || call["QueueName"] == "journal" || call["QueueUrl"].as_str().is_some_and(|url| url.ends_with("journal"));
        let struck = actions.contains(&action) || (actions.contains(&"journal") && of_journal());
        // There is no table behind the proxy: once it answers, it grants all.
        let table = || ["PutItem", "UpdateItem", "DeleteItem"].contains(&action).then_some(Fault::Answer("{}"));
        fault.filter(|_| struck).or_else(table)
    };
    (now, Box::new(strike))
}

/// Messages while `faults` strike `actions` one after the other, and then no more.
async fn endured(name: &str, actions: &'static [&'static str], faults: &'static [Fault], variables: &[(&str, &str)]) {
    let _machine = the_machine().await;
    let (now, strike) = weather(actions, faults);
    let rig = Rig::start(Kind::Standard, VISIBILITY, MAX_RECEIVES, strike).await;
    rig.server.create_queue("journal", &[]).expect("created");
    let workers: Vec<_> = (0..WORKERS).map(|_| rig.worker(&[&[("CONCURRENCY", "20")], variables].concat())).collect();
    rig.send((0..MESSAGES).map(|number| (String::new(), format!("m{number}|wait5")))).await;
    eventually(LIMIT, || rig.proxy.tally().1.values().sum::<u64>() > 0).await.expect("it begins");
    let began = Instant::now();
    let before = rig.log_lines();
    let struck = |rig: &Rig| rig.proxy.tally().1.values().sum::<u64>();
    let first = struck(&rig);
    for (nth, fault) in faults.iter().enumerate() {
        now.store(nth, Ordering::Relaxed);
        let ends = Instant::now() + lasts() / faults.len() as u32;
        eventually(LIMIT, || Instant::now() >= ends).await.expect("time passes");
        println!("  {name}: {fault:?} is over");
    }
    let lasted = began.elapsed().as_secs_f64();
    let calls = (struck(&rig) - first) as f64 / lasted;
    let lines = (rig.log_lines() - before) as f64 / lasted;
    let memory = workers.iter().map(Process::peak_memory_mib).max().expect("some");
    now.store(faults.len(), Ordering::Relaxed);
    eventually(LIMIT, || rig.left() == 0).await.expect("all are settled");
    for mut worker in workers {
        worker.signal(Signal::SIGTERM);
        assert_eq!(worker.ended().await, 0, "{name}");
    }
    let (done, dead) = ended(&rig);
    println!(
        "weather, {name}, {WORKERS} workers, {lasted:.0} s: lost {}, dead letters {}, handled twice {}; {calls:.1} failing calls and \
         {lines:.1} lines of log a second, {memory} MiB at most",
        MESSAGES - done.len(),
        dead.len(),
        done.values().filter(|times| **times > 1).count(),
    );
    assert_eq!((done.len(), dead), (MESSAGES, BTreeSet::new()), "{name}: each was done, and none is a dead letter");
    assert!(done.values().all(|times| *times == 1), "{name}: no lease was lost");
    // Of all workers together, each with one call at a time and a backoff; handlers that wait for a table have one each.
    assert!(
        calls < 20.0 * WORKERS as f64 && lines < 25.0 * WORKERS as f64,
        "{name}: {calls} calls, {lines} lines a second"
    );
    assert!(memory < deployed_limit(), "{name}: {memory} MiB");
}

/// How often each message was done, and which are dead letters.
fn ended(rig: &Rig) -> (BTreeMap<String, usize>, BTreeSet<String>) {
    let mut done = BTreeMap::new();
    for (_, name, _) in rig.lines().into_iter().filter(|line| line.0 == "done") {
        *done.entry(name).or_default() += 1;
    }
    let letters = rig.events().into_iter().filter(|(_, dead, name, event)| match event {
        Event::Sent => *dead && !name.is_empty(),
        Event::Redriven => true,
        _ => false,
    });
    (done, letters.map(|(_, _, name, _)| name).collect())
}

const DELETES: &[Fault] = &[
    Fault::Error(403, "AccessDenied"),
    Fault::Error(400, "ThrottlingException"),
    Fault::Error(403, "ExpiredToken"),
    Fault::Answer("{}"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_of_deletes_alone_that_fail_for_long() {
    endured("deletes", &["DeleteMessageBatch"], DELETES, &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_of_a_journal_that_hangs() {
    endured("journal", &["journal"], &[Fault::Hang], &[("JOURNAL_QUEUE_URL", "journal")]).await;
}

#[cfg(feature = "dynamodb")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_of_a_table_that_hangs_and_is_denied() {
    const TABLE: &[Fault] = &[Fault::Hang, Fault::Error(400, "AccessDeniedException")];
    endured("table", &["PutItem", "UpdateItem"], TABLE, &[("IDEMPOTENCY_TABLE", "keys")]).await;
}

/// What befalls 5 % of all calls; what is made or answered twice is left to the standard queue, which has no order.
const ON_THE_WAY: &[Fault] = &[
    Fault::Error(400, "RequestThrottled"),
    Fault::Error(500, "InternalError"),
    Fault::Drop,
    Fault::Reset,
    Fault::Lost,
    Fault::Cut,
    Fault::Slow(Duration::from_millis(200)),
    Fault::Trickle(Duration::from_millis(200)),
];
const GROUPS: usize = 20;
const IN_GROUPS: usize = 400;
const POISON_RECEIVES: u32 = 4;

fn is_poison(number: usize) -> bool {
    // Each twentieth, in another group each time.
    number % GROUPS == (number / GROUPS) % GROUPS
}

async fn poisoned() -> Rig {
    let rig = Rig::start(Kind::Fifo, Duration::from_secs(5), POISON_RECEIVES, seeded(seed(), 0.05, ON_THE_WAY)).await;
    let body = |number| format!("m{number}|{}", if is_poison(number) { "retry" } else { "wait5" });
    rig.send((0..IN_GROUPS).map(|number| (format!("g{}", number % GROUPS), body(number)))).await;
    rig
}

/// The dead-letter queue holds the poison and nothing else, and each group was worked on in order.
fn poison_alone_is_dead(hosts: &str, rig: &Rig, began: Instant) {
    let (done, dead) = ended(rig);
    let poison: BTreeSet<_> =
        (0..IN_GROUPS).filter(|number| is_poison(*number)).map(|number| format!("m{number}")).collect();
    let (calls, struck) = rig.proxy.tally();
    println!(
        "FIFO chaos, {hosts}: {} done, {} dead letters of {} poisoned in {GROUPS} groups; {} of {calls} calls failed; {:.0} s",
        done.len(),
        dead.len(),
        poison.len(),
        struck.values().sum::<u64>(),
        began.elapsed().as_secs_f64(),
    );
    assert_eq!(dead, poison, "{hosts}");
    assert_eq!(done.len(), IN_GROUPS - poison.len(), "{hosts}");
    // What is settled may come again, as when its delete is lost; but nobody goes ahead of what is not settled yet.
    let number = |name: &str| name.trim_start_matches('m').parse::<usize>().expect("m and a number");
    let lines: Vec<_> = rig.lines().into_iter().map(|(what, name, attempt)| (what, number(&name), attempt)).collect();
    let place = |of: usize| {
        let is_last = |line: &&(String, usize, u32)| {
            line.1 == of && (line.0 == "done" || (line.0 == "retry" && line.2 >= POISON_RECEIVES))
        };
        let last = lines.iter().position(|line| is_last(&line));
        // SQS itself makes a dead letter of one that lost receives on the way.
        last.or_else(|| lines.iter().rposition(|line| line.1 == of && line.0 == "retry"))
    };
    let settled: Vec<_> = (0..IN_GROUPS).map(place).collect();
    for (at, (_, this, _)) in lines.iter().enumerate().filter(|(_, line)| line.0 == "began") {
        let early = (this % GROUPS..*this).step_by(GROUPS).find(|ahead| settled[*ahead].is_none_or(|place| place > at));
        assert_eq!(early, None, "{hosts}: m{this} began before it was settled");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_of_poison_in_fifo_groups_on_workers() {
    let _machine = the_machine().await;
    let rig = poisoned().await;
    let began = Instant::now();
    let worker = || rig.worker(&[("CONCURRENCY", "10")]);
    let mut workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    // As many as leave each message receives enough: what a process holds loses one with it.
    for (share, signal) in [(3, Signal::SIGKILL), (2, Signal::SIGTERM)] {
        let done = || rig.lines().iter().filter(|line| line.0 == "done").count();
        eventually(LIMIT, || done() >= IN_GROUPS / share / 2).await.expect("they are at work");
        let mut gone = workers.remove(0);
        gone.signal(signal);
        workers.push(worker());
        gone.ended().await;
    }
    eventually(LIMIT, || rig.left() == 0).await.expect("all are settled");
    for mut worker in workers {
        worker.signal(Signal::SIGTERM);
        assert_eq!(worker.ended().await, 0);
    }
    poison_alone_is_dead("workers", &rig, began);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos_of_poison_in_fifo_groups_on_functions() {
    let _machine = the_machine().await;
    let rig = poisoned().await;
    let began = Instant::now();
    let settings = Settings { timeout: Duration::from_secs(30), ..Settings::default() };
    let mapping = event_source::MappingSettings { maximum_concurrency: Some(8), ..Default::default() };
    let (_function, mapping) = rig.function(&[], settings, mapping);
    eventually(LIMIT, || rig.left() == 0).await.expect("all are settled");
    mapping.stop().await;
    poison_alone_is_dead("functions", &rig, began);
}
