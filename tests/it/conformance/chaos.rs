//! Chaos: processes killed at random while calls fail at random. Nothing is lost, and duplicates are counted.
//!
//! `make test` runs a bounded form, `make chaos` all of it. What is drawn comes from `SEED`: the order of the kills, the
//! pauses between them, and which calls of each action fail. Which process makes the nth call is the scheduler's to say, so
//! that the counts of two runs differ a little.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinSet;
use twinscale_lab::processes::environment::Settings;
use twinscale_scaling::event_source;
use twinscale_sqs::server::{Event, Fault as Inside, FaultKind, Faults};
use twinscale_work::{mix, unit};

use super::rig::{Kind, Rig, eventually};
use super::seed;
use crate::fault_proxy::{Fault, seeded};
use crate::local::the_machine;

/// What befalls 5 % of all calls on their way.
pub const ON_THE_WAY: &[Fault] = &[
    Fault::Error(400, "RequestThrottled"),
    Fault::Error(500, "InternalError"),
    Fault::Drop,
    Fault::Reset,
    Fault::Lost,
    Fault::Cut,
    Fault::Slow(Duration::from_millis(200)),
    Fault::Trickle(Duration::from_millis(200)),
    Fault::Twice,
    Fault::Replay,
];
/// And what befalls one of 200 entries or messages inside SQS.
const INSIDE: [FaultKind; 2] = [FaultKind::Partial, FaultKind::Duplicate];
/// Short, so that what a killed process held soon comes again.
const VISIBILITY: Duration = Duration::from_secs(3);
const WORKERS: usize = 8;
const LIMIT: Duration = Duration::from_secs(1800);

/// How much of it.
struct Dose {
    messages: u64,
    /// Processes that end in each of two ways.
    of_each: usize,
}

impl Dose {
    fn from_env() -> Self {
        let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
        let messages = number("CHAOS_MESSAGES").unwrap_or(2_000);
        let of_each = number("CHAOS_KILLS").unwrap_or(8);
        Self { messages, of_each: of_each as usize }
    }

    /// As many of both, in an order drawn from the seed, each with a pause before it.
    fn kills(&self, both: [Signal; 2]) -> Vec<(Signal, Duration)> {
        let mut kills: Vec<_> = both.into_iter().flat_map(|signal| vec![signal; self.of_each]).collect();
        for at in (1..kills.len()).rev() {
            kills.swap(at, draw(at as u64, at + 1));
        }
        let pause = |nth: usize| Duration::from_millis(100 + draw(!(nth as u64), 250) as u64);
        kills.into_iter().enumerate().map(|(nth, signal)| (signal, pause(nth))).collect()
    }

    /// The messages sent before kill number `nth`: they come all the time, so that there is always work to lose.
    fn slice(&self, nth: usize) -> impl Iterator<Item = (String, String)> + use<> {
        let kills = 2 * self.of_each as u64;
        let nth = nth as u64;
        (self.messages * nth / kills..self.messages * (nth + 1) / kills).map(|n| (String::new(), body(n)))
    }
}

fn draw(nth: u64, below: usize) -> usize {
    (unit(mix(seed() ^ mix(nth))) * below as f64) as usize
}

/// Most wait for a few milliseconds; some fail in each of the ways in which handlers fail.
fn body(number: u64) -> String {
    let steps = match number % 100 {
        0 | 1 => "retry,wait5".to_owned(),
        2 => "reject".to_owned(),
        3 => "panic,wait5".to_owned(),
        _ => format!("wait{}", draw(number, 40)),
    };
    format!("m{number}|{steps}")
}

async fn rig() -> Rig {
    let rig = Rig::start(Kind::Standard, VISIBILITY, 100, seeded(seed(), 0.05, ON_THE_WAY)).await;
    let inside = INSIDE.map(|kind| Inside { action: None, share: 0.005, kind });
    rig.server.set_faults(Faults::new(seed(), inside.into()));
    rig
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_killed_at_random_lose_nothing() {
    let _machine = the_machine().await;
    let dose = Dose::from_env();
    let rig = rig().await;
    let began = Instant::now();
    let worker = || rig.worker(&[("CONCURRENCY", "20"), ("DRAIN_BUDGET_MS", "1000")]);
    let mut workers: VecDeque<_> = (0..WORKERS).map(|_| worker()).collect();
    let mut ending = JoinSet::new();
    for (nth, (signal, pause)) in dose.kills([Signal::SIGKILL, Signal::SIGTERM]).into_iter().enumerate() {
        rig.send(dose.slice(nth)).await;
        tokio::time::sleep(pause).await;
        // One of the older half: the others may not be up yet.
        let mut gone = workers.remove(draw(nth as u64, WORKERS / 2)).expect("there are as many as ever");
        gone.signal(signal);
        ending.spawn(async move { gone.ended().await });
        workers.push_back(worker());
    }
    eventually(LIMIT, || rig.left() == 0).await.expect("all are settled");
    for mut worker in workers {
        worker.signal(Signal::SIGTERM);
        ending.spawn(async move { worker.ended().await });
    }
    let mut codes: BTreeMap<i32, usize> = BTreeMap::new();
    while let Some(code) = ending.join_next().await {
        *codes.entry(code.expect("no panic")).or_default() += 1;
    }
    report("workers", &dose, &rig, began, &format!("exit codes {codes:?} (minus: signals)"));
    assert!(codes.keys().all(|code| [0, 75, -9, -15].contains(code)), "{codes:?}");
    assert!(codes.get(&-9) >= Some(&dose.of_each), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_that_crash_overrun_and_are_throttled_lose_nothing() {
    let _machine = the_machine().await;
    let dose = Dose::from_env();
    let rig = rig().await;
    let began = Instant::now();
    let timeout = Duration::from_millis(1500);
    let settings = Settings { timeout, reserved_concurrency: Some(12), ..Settings::default() };
    let mapping = event_source::MappingSettings { maximum_concurrency: Some(16), ..Default::default() };
    let (function, mapping) = rig.function(&[], settings, mapping);
    let mut hit = HashSet::new();
    // A process that is stopped answers too late, and Lambda kills it.
    for (nth, (signal, pause)) in dose.kills([Signal::SIGKILL, Signal::SIGSTOP]).into_iter().enumerate() {
        rig.send(dose.slice(nth)).await;
        tokio::time::sleep(pause).await;
        let strike = || {
            let busy: Vec<_> = function.busy_pids().into_iter().filter(|pid| !hit.contains(pid)).collect();
            let victim = busy.get(draw(nth as u64, busy.len().max(1)));
            victim.is_some_and(|pid| hit.insert(*pid) && kill(Pid::from_raw(*pid as i32), signal).is_ok())
        };
        eventually(LIMIT, strike).await.expect("an environment is at work");
    }
    eventually(LIMIT, || rig.left() == 0).await.expect("all are settled");
    mapping.stop().await;
    let usage = function.usage();
    let invocations = usage.invocations;
    let failed = usage.failed;
    let throttled = usage.throttled;
    let how = format!("{invocations} invocations, {failed} of them failed, {throttled} throttled");
    report("functions", &dose, &rig, began, &how);
    // One that ended its invocation in the very moment of the signal fails none.
    assert!(failed >= dose.of_each as u64, "{usage:?}");
}

/// Prints the figures, and fails if a message is lost: one whose handler never finished, though it is in no queue.
fn report(hosts: &str, dose: &Dose, rig: &Rig, began: Instant, how: &str) {
    let mut delivered = 0;
    let mut deleted = 0;
    let mut redriven = 0;
    let mut letters: HashMap<String, u64> = HashMap::new();
    for (_, dead, name, event) in rig.events() {
        match event {
            Event::Sent if dead => *letters.entry(name).or_default() += 1,
            Event::Delivered { .. } if !dead => delivered += 1,
            Event::Deleted if !dead => deleted += 1,
            Event::Redriven => redriven += 1,
            _ => {}
        }
    }
    let mut done: HashMap<String, u64> = HashMap::new();
    for (_, name, _) in rig.lines().into_iter().filter(|line| line.0 == "done") {
        *done.entry(name).or_default() += 1;
    }
    let names = || (0..dose.messages).map(|number| format!("m{number}"));
    let lost: Vec<_> = names().filter(|name| !done.contains_key(name) && !letters.contains_key(name)).collect();
    let double = |counts: &HashMap<String, u64>| counts.values().map(|count| count - 1).sum::<u64>();
    let (calls, struck) = rig.proxy.tally();
    let share = struck.values().sum::<u64>() as f64 * 100.0 / calls as f64;
    let of_each = dose.of_each;
    let counts = rig.counts();
    let seconds = began.elapsed().as_secs();
    println!(
        "chaos, {hosts}, SEED={}: {} messages, {of_each} killed in each of two ways; {how}",
        seed(),
        dose.messages
    );
    println!("  {share:.1} % of {calls} calls failed on the way: {struck:?}");
    println!(
        "  lost {}, in flight at the end {}, dead letters {}; duplicates: {} deliveries beyond the first, {} handled to the \
         end once more, {} dead letters twice; {seconds} s",
        lost.len(),
        counts.in_flight,
        letters.len(),
        delivered - dose.messages,
        double(&done),
        double(&letters),
    );
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert_eq!((counts.in_flight, counts.visible, counts.delayed), (0, 0, 0));
    assert_eq!((deleted, redriven), (dose.messages, 0), "each is deleted once, and none was received too often");
    assert!((3.0..7.0).contains(&share), "{share} % of the calls failed");
}
