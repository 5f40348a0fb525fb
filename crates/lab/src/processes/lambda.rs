//! A function and its execution environments: reuse of the most recently used, cold starts, idle reclaim, billing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::body::Bytes;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::environment::{ExecutionEnvironment, InvocationFailure, Settings};
use twinscale::unstable::metrics::HANDLER_SECONDS;

/// One invocation, in scenario time.
#[derive(Debug)]
pub struct Invoked {
    /// The AWS request id; empty when no environment came up.
    pub request_id: String,
    /// What the function answered.
    pub answer: Result<Bytes, InvocationFailure>,
    /// Initialisation, if this invocation started its environment.
    pub init: Option<Duration>,
    /// From handing the event over to the answer.
    pub duration: Duration,
    /// Billed: both of them, rounded up to the millisecond (`provided.al2023` is billed for its initialisation).
    pub billed: Duration,
}

/// What a function has used so far, in scenario time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionUsage {
    /// Invocations that have ended.
    pub invocations: u64,
    /// Those of them that failed: error, timeout, crash, initialisation.
    pub failed: u64,
    /// Invocations that were not begun for want of concurrency; not among the others.
    pub throttled: u64,
    /// Environments that were started.
    pub cold_starts: u64,
    /// Billed duration, summed.
    pub billed: Duration,
}

impl FunctionUsage {
    /// Billed duration × memory, the unit of Lambda's price.
    pub fn gb_seconds(&self, memory_mb: u32) -> f64 {
        self.billed.as_secs_f64() * f64::from(memory_mb) / 1024.0
    }
}

/// A deployed function. Dropping it kills all its environments.
pub struct DeployedFunction {
    settings: Arc<Settings>,
    state: Mutex<FunctionState>,
    /// Places for invocations: the reserved concurrency.
    places: Semaphore,
    _reclaimer: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct FunctionState {
    /// Without work, the least recently used first.
    idle: Vec<(ExecutionEnvironment, Instant)>,
    /// Process ids of those with work.
    busy: BTreeSet<u32>,
    usage: FunctionUsage,
    /// What environments have printed, those included that are gone.
    logs: Vec<PathBuf>,
}

impl DeployedFunction {
    /// A function without environments; they start as invocations need them. Call it inside a Tokio runtime.
    pub fn new(settings: Settings) -> Arc<Self> {
        Arc::new_cyclic(|function: &Weak<Self>| {
            let idle_for = settings.clock.real(settings.idle_reclaim);
            let reclaimer = tokio::spawn(reclaim(function.clone(), idle_for));
            let places = settings.reserved_concurrency.map_or(Semaphore::MAX_PERMITS, |places| places as usize);
            Self {
                settings: Arc::new(settings),
                state: Mutex::default(),
                places: Semaphore::new(places),
                _reclaimer: AbortOnDropHandle::new(reclaimer),
            }
        })
    }

    /// How it is deployed.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What it has used so far.
    pub fn usage(&self) -> FunctionUsage {
        self.state().usage
    }

    /// How long handlers took so far, in scenario time, as the metrics in the function's log tell. None without a log.
    pub fn handler_times(&self) -> Vec<Duration> {
        let logs = self.state().logs.clone();
        logs.iter().flat_map(|log| handler_seconds(log)).map(|took| self.in_scenario_time(took)).collect()
    }

    /// Environments that exist, with and without work.
    pub fn environments(&self) -> usize {
        let state = self.state();
        state.idle.len() + state.busy.len()
    }

    /// Process ids of the environments that have work, for tests that kill them.
    pub fn busy_pids(&self) -> Vec<u32> {
        self.state().busy.iter().copied().collect()
    }

    /// Kills every environment without work, as an update of the function does.
    pub fn reset(&self) {
        let idle = std::mem::take(&mut self.state().idle);
        drop(idle);
    }

    /// Invokes the function synchronously: in the most recently used idle environment, else in a new one.
    pub async fn invoke(&self, event: Bytes) -> Invoked {
        let Ok(_place) = self.places.try_acquire() else {
            self.state().usage.throttled += 1;
            let (request_id, duration, billed) = Default::default();
            return Invoked { request_id, answer: Err(InvocationFailure::Throttled), init: None, duration, billed };
        };
        let (environment, init) = match self.take_idle() {
            Some(environment) => (environment, None),
            None => match self.cold_start().await {
                Ok(environment) => {
                    let init = self.in_scenario_time(environment.init());
                    (environment, Some(init))
                }
                Err((failure, took)) => return self.record(String::new(), Err(failure), Some(took), Duration::ZERO),
            },
        };
        let mut busy = Busy::new(self, environment);
        let began = Instant::now();
        let (request_id, answer) = busy.environment().invoke(event).await;
        let duration = self.in_scenario_time(began.elapsed());
        if !matches!(answer, Err(InvocationFailure::TimedOut(_))) {
            busy.keep();
        }
        drop(busy);
        self.record(request_id, answer, init, duration)
    }

    fn take_idle(&self) -> Option<ExecutionEnvironment> {
        let mut state = self.state();
        while let Some((environment, _)) = state.idle.pop() {
            if environment.is_alive() {
                return Some(environment);
            }
        }
        None
    }

    async fn cold_start(&self) -> Result<ExecutionEnvironment, (InvocationFailure, Duration)> {
        self.settings.clock.sleep(self.settings.placement).await;
        self.state().usage.cold_starts += 1;
        let began = Instant::now();
        let started = ExecutionEnvironment::start(&self.settings).await;
        if let Ok(log) = started.as_ref().map(ExecutionEnvironment::log) {
            self.state().logs.extend(log.map(Path::to_owned));
        }
        started.map_err(|failure| (failure, self.in_scenario_time(began.elapsed())))
    }

    fn record(
        &self,
        request_id: String,
        answer: Result<Bytes, InvocationFailure>,
        init: Option<Duration>,
        duration: Duration,
    ) -> Invoked {
        let billed = billed(init.unwrap_or_default() + duration);
        let usage = &mut self.state().usage;
        usage.invocations += 1;
        usage.failed += u64::from(answer.is_err());
        usage.billed += billed;
        Invoked { request_id, answer, init, duration, billed }
    }

    fn in_scenario_time(&self, wall: Duration) -> Duration {
        wall.mul_f64(self.settings.clock.speed())
    }

    fn state(&self) -> MutexGuard<'_, FunctionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An environment with work. It goes back to the idle ones when kept, else (also when the invocation is cancelled)
/// its process is killed.
struct Busy<'a> {
    function: &'a DeployedFunction,
    environment: Option<ExecutionEnvironment>,
    keep: bool,
}

impl<'a> Busy<'a> {
    fn new(function: &'a DeployedFunction, environment: ExecutionEnvironment) -> Self {
        function.state().busy.insert(environment.pid());
        Self { function, environment: Some(environment), keep: false }
    }

    fn environment(&self) -> &ExecutionEnvironment {
        self.environment.as_ref().expect("it is taken in drop alone")
    }

    fn keep(&mut self) {
        self.keep = self.environment().is_alive();
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let Some(environment) = self.environment.take() else { return };
        let mut state = self.function.state();
        state.busy.remove(&environment.pid());
        if self.keep {
            state.idle.push((environment, Instant::now()));
        }
    }
}

/// Ends environments that had no work for `idle_for`, looking ten times as often as that.
async fn reclaim(function: Weak<DeployedFunction>, idle_for: Duration) {
    loop {
        sleep((idle_for / 10).max(Duration::from_millis(1))).await;
        let Some(function) = function.upgrade() else { return };
        let now = Instant::now();
        let mut state = function.state();
        let spent = state.idle.iter().take_while(|(_, since)| now - *since >= idle_for).count();
        let spent: Vec<_> = state.idle.drain(..spent).collect();
        drop(state);
        drop(spent);
    }
}

/// The handler times in a log: lines of CloudWatch's embedded metric format hold them, by the machine's clock.
fn handler_seconds(log: &Path) -> Vec<Duration> {
    #[derive(Deserialize)]
    struct Metrics {
        #[serde(rename = "twinscale_handler_seconds")]
        handler_seconds: Vec<f64>,
    }
    let text = std::fs::read_to_string(log).unwrap_or_else(|error| {
        tracing::warn!(log = %log.display(), %error, "handler times of this environment are not known");
        String::new()
    });
    let lines = text.lines().filter(|line| line.contains(HANDLER_SECONDS));
    let metrics = lines.filter_map(|line| serde_json::from_str::<Metrics>(line).ok());
    metrics.flat_map(|line| line.handler_seconds).filter_map(|took| Duration::try_from_secs_f64(took).ok()).collect()
}

fn billed(used: Duration) -> Duration {
    Duration::from_millis(u64::try_from(used.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX))
}
