//! A soak: a worker at full speed while 5 % of its calls fail, for long. What it takes at the end is what it took at the
//! beginning. `make soak` (`SOAK_SECONDS=`).

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use twinscale_sqs::server::Event;

use super::chaos::ON_THE_WAY;
use super::rig::{Kind, Rig, eventually};
use super::seed;
use crate::fault_proxy::seeded;
use crate::local::the_machine;

/// Messages that wait, so that the worker never does.
const BACKLOG: u64 = 2_000;
const AT_ONCE: usize = 500;
const LIMIT: Duration = Duration::from_secs(120);
/// What memory may grow by, of itself and beside it: allocators keep what was freed.
const GROWTH: (f64, u64) = (1.2, 16);

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count()
}

/// What a process has taken so far.
#[derive(Clone, Copy, Debug)]
struct Taken {
    resident_mib: u64,
    /// The fewest that were open lately: how many calls are under way in one moment is chance, and what leaks stays.
    descriptors: usize,
    cpu: Duration,
    /// Messages that were settled by then.
    settled: u64,
}

impl Taken {
    fn by(pid: u32, settled: u64, descriptors: usize) -> Self {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
        let status = read("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let stat = read("stat");
        // Behind the name, which may hold anything: user and system time are the 12th and 13th, in hundredths of a second.
        let after_name = stat.rsplit_once(") ").expect("a name").1;
        let ticks: u64 =
            after_name.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Self {
            resident_mib: resident.expect("Linux tells").parse::<u64>().expect("a number") / 1024,
            descriptors,
            cpu: Duration::from_millis(ticks * 10),
            settled,
        }
    }

    /// Processor time a message since `before`.
    fn cpu_each(&self, before: &Self) -> Duration {
        (self.cpu - before.cpu).div_f64((self.settled - before.settled).max(1) as f64)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ten minutes: make soak"]
async fn a_soak_takes_at_its_end_what_it_took_at_its_beginning() {
    let _machine = the_machine().await;
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(600);
    let total = Duration::from_secs(seconds);
    let rig = Rig::start(Kind::Standard, Duration::from_secs(10), 100, seeded(seed(), 0.05, ON_THE_WAY)).await;
    let mut worker = rig.worker(&[("CONCURRENCY", "100")]);
    let pid = worker.pid();
    let began = Instant::now();
    let mut sent = 0;
    // The first tenth is warming up.
    let mut taken = Vec::new();
    for share in [0.1, 0.2, 0.9, 1.0] {
        let mut fewest = descriptors(pid);
        while began.elapsed() < total.mul_f64(share) {
            eventually(LIMIT, || rig.counts().visible < BACKLOG).await.expect("it works");
            rig.send((sent..sent + AT_ONCE).map(|number| (String::new(), format!("m{number}|done")))).await;
            sent += AT_ONCE;
            fewest = fewest.min(descriptors(pid));
        }
        taken.push(Taken::by(pid, sent as u64 - rig.left(), fewest));
    }
    eventually(LIMIT, || rig.left() == 0).await.expect("all are settled");
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.ended().await, 0);
    let [warm, begin, late, end] = taken[..] else { panic!("four were taken") };
    let cpu_begin = begin.cpu_each(&warm);
    let cpu_end = end.cpu_each(&late);
    let (calls, struck) = rig.proxy.tally();
    println!(
        "soak of {seconds} s: {sent} messages, {} of {calls} calls failed. At the beginning {} MiB, {} descriptors, {cpu_begin:?} of a \
         processor a message; at the end {} MiB, {} descriptors, {cpu_end:?}",
        struck.values().sum::<u64>(),
        begin.resident_mib,
        begin.descriptors,
        end.resident_mib,
        end.descriptors,
    );
    let done: std::collections::HashSet<_> =
        rig.lines().into_iter().filter(|line| line.0 == "done").map(|line| line.1).collect();
    assert_eq!(done.len(), sent, "none is lost");
    assert!(rig.events().iter().all(|(_, dead, _, event)| !dead && *event != Event::Redriven), "no dead letter");
    assert!(end.resident_mib as f64 <= begin.resident_mib as f64 * GROWTH.0 + GROWTH.1 as f64, "{begin:?}, {end:?}");
    assert!(end.descriptors <= begin.descriptors + 16, "{begin:?}, {end:?}");
    assert!(cpu_end <= cpu_begin * 2, "{cpu_begin:?}, then {cpu_end:?} a message");
}
