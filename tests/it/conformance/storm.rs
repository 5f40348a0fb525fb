//! Scale-down storms: from 15 worker processes to one in the middle of a backlog of long messages.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tokio::task::JoinHandle;
use twinscale_sqs::server::Event;

use super::rig::{Kind, Line, Rig, eventually};
use crate::local::the_machine;

const WORKERS: usize = 15;
const MAX_RECEIVES: u32 = 5;
const STORMS: usize = 2;
/// Each works on three messages and holds three more.
const HELD: usize = 6;
const BUDGET: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_of_scale_downs_loses_nothing_and_makes_no_dead_letters() {
    let _machine = the_machine().await;
    let rig = Rig::start(Kind::Standard, Duration::from_secs(120), MAX_RECEIVES, Box::new(|_, _| None)).await;
    let messages = WORKERS * HELD + 30;
    rig.send((0..messages).map(|number| (String::new(), format!("m{number}|wait1500")))).await;
    let settings = [("CONCURRENCY", "3"), ("PREFETCH", "3"), ("RECEIVE_MIN_ROOM", "6"), ("DRAIN_BUDGET_MS", "500")];
    let mut last = rig.worker(&settings);
    for _ in 0..STORMS {
        let mut others: Vec<_> = (1..WORKERS).map(|_| rig.worker(&settings)).collect();
        let held = rig.lines().len();
        let began = |line: &Line| line.0 == "began";
        let at_work = || rig.lines().iter().skip(held).filter(|line| began(line)).count() >= 3 * (WORKERS - 1);
        eventually(LIMIT, at_work).await.expect("all are at work");
        let lag = Lag::measure();
        let told = rig.clock.now();
        others.iter().for_each(|worker| worker.signal(Signal::SIGTERM));
        for worker in &mut others {
            let code = worker.ended().await;
            assert!([0, 75].contains(&code), "exit code {code}");
        }
        let (given_back, latest) = given_back(&rig, told);
        assert!(given_back > WORKERS, "{given_back} were given back: that is no storm");
        // What had not begun is due at once, what had begun at the end of the drain budget.
        let late = latest.saturating_sub(told + BUDGET);
        let lag = lag.worst();
        println!(
            "{given_back} given back, the last {late:?} after the drain budget; timers are up to {lag:?} late here"
        );
        assert!(late <= Duration::from_secs(1) + 3 * lag, "visible again {late:?} after the drain budget");
    }
    let _others: Vec<_> = (1..WORKERS).map(|_| rig.worker(&settings)).collect();
    eventually(LIMIT, || rig.left() == 0).await.expect("all are done");
    last.signal(Signal::SIGTERM);
    assert_eq!(last.ended().await, 0);
    let lines = rig.lines();
    for name in (0..messages).map(|number| format!("m{number}")) {
        let times = lines.iter().filter(|line| line.0 == "done" && line.1 == name).count();
        assert_eq!(times, 1, "{name}: what was finished is not delivered again, and nothing is lost");
    }
    assert!(rig.events().iter().all(|(_, dead, _, event)| !dead && *event != Event::Redriven), "a dead letter");
}

/// How many messages were given back since `told`, each to be visible at once, and when the last was.
fn given_back(rig: &Rig, told: Duration) -> (usize, Duration) {
    let back = rig.events().into_iter().filter(|(at, ..)| *at >= told);
    let back = back.filter(|(_, _, _, event)| matches!(event, Event::Visibility(hidden) if hidden.is_zero()));
    back.fold((0, told), |(count, latest), (at, ..)| (count + 1, latest.max(at)))
}

/// How late the timers of this machine are while it is busy with the storm.
struct Lag(JoinHandle<()>, Arc<Mutex<Duration>>);

impl Lag {
    fn measure() -> Self {
        let worst = Arc::<Mutex<Duration>>::default();
        let seen = worst.clone();
        let ticking = tokio::spawn(async move {
            loop {
                let began = Instant::now();
                tokio::time::sleep(Duration::from_millis(20)).await;
                let late = began.elapsed().saturating_sub(Duration::from_millis(20));
                let mut worst = seen.lock().expect("no panic");
                *worst = late.max(*worst);
            }
        });
        Self(ticking, worst)
    }

    fn worst(self) -> Duration {
        self.0.abort();
        *self.1.lock().expect("no panic")
    }
}
