//! Plays one target until its queue is drained or the scenario's limit has passed, and tells how far it is.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Tally};
use super::timeline::Timeline;
use crate::run::{Decision, Flow, Sample};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use crate::written::seconds;

/// How often the caller hears of the progress, by the machine's clock.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Whose.
    pub target: TargetKind,
    /// Messages of the scenario.
    pub messages: u64,
    /// How the messages stand.
    pub tally: Tally,
    /// Pods, or invocations under way.
    pub capacity: u32,
    /// Scenario time since the start of the load.
    pub now: Duration,
    /// What came in and was done so far, over time.
    pub flow: Flow,
    /// Samples since the last telling.
    pub samples: Vec<Sample>,
    /// Decisions since the last telling.
    pub decisions: Vec<Decision>,
}

/// Where targets play, one after the other or all at once.
pub struct Stage<'a> {
    /// Hears how far the run is.
    progress: RefCell<&'a mut dyn FnMut(Progress)>,
    /// Where those who play at once wait for each other.
    line: Barrier,
    /// Ends a play early once it is cancelled.
    stop: CancellationToken,
}

/// What plays.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Whose.
    pub target: TargetKind,
    /// What is played.
    pub scenario: &'a Scenario,
    /// The books of the target.
    pub ledger: &'a Ledger,
    /// Its timeline.
    pub timeline: &'a Timeline,
}

impl<'a> Stage<'a> {
    /// For so many targets at once.
    pub fn new(progress: &'a mut dyn FnMut(Progress), at_once: usize, stop: CancellationToken) -> Self {
        Self { progress: RefCell::new(progress), line: Barrier::new(at_once), stop }
    }

    /// Waits until everyone who plays at once is ready: then the load of each begins.
    pub async fn ready(&self) {
        self.line.wait().await;
    }

    /// Polls `load` and `meanwhile` until all messages are sent and done with. Returns whether that came before the
    /// scenario's limit and before it was told to stop, and what went wrong with the load.
    pub async fn play(
        &self,
        scene: Scene<'_>,
        load: impl Future<Output = Vec<String>>,
        meanwhile: impl Future<Output = Infallible>,
        capacity: impl Fn() -> u32,
    ) -> (bool, Vec<String>) {
        let Scene { target, scenario, ledger, timeline } = scene;
        let mut followed = ledger.follow();
        let drained = async {
            let warnings = load.await;
            // The ledger lives as long as this borrow of it, so the wait ends with the last message.
            let _ = followed.wait_for(|tally| tally.open() == 0).await;
            (true, warnings)
        };
        let limit = async {
            timeline.sleep_until(scenario.limit).await;
            let limit = seconds(scenario.limit.as_secs_f64());
            (false, vec![format!("{target} had not drained after {limit}, the scenario's limit")])
        };
        let stop = self.stop.clone();
        let stopped = async {
            stop.cancelled().await;
            let seconds = timeline.now().as_secs_f64();
            (false, vec![format!("{target} was told to stop after {seconds:.1} s: this is what it had done by then")])
        };
        let mut tell = tokio::time::interval(TELL_EVERY);
        let mut samples = 0;
        let mut decisions = 0;
        let mut tell_now = || {
            let messages = scenario.messages;
            let tally = *ledger.follow().borrow();
            let now = timeline.now();
            let told = timeline.told();
            let new = (told.samples[samples..].to_vec(), told.decisions[decisions..].to_vec());
            (samples, decisions) = (told.samples.len(), told.decisions.len());
            drop(told);
            let capacity = capacity();
            let flow = ledger.flow();
            (self.progress.borrow_mut())(Progress {
                target,
                messages,
                tally,
                capacity,
                now,
                flow,
                samples: new.0,
                decisions: new.1,
            });
        };
        let mut drained = pin!(drained);
        let mut limit = pin!(limit);
        let mut stopped = pin!(stopped);
        let mut meanwhile = pin!(meanwhile);
        let ended = loop {
            tokio::select! {
                biased;
                drained = &mut drained => break drained,
                overdue = &mut limit => break overdue,
                stopped = &mut stopped => break stopped,
                never = &mut meanwhile => match never {},
                _ = tell.tick() => tell_now(),
            }
        };
        tell_now();
        ended
    }
}
