//! Real time: real worker and function processes against the embedded queue, in scenario time.
//!
//! ```text
//! load ─► POST /send ─► queue ─► pods of twinscale-worker       ◄─ KEDA, HPA              on_eks
//!      ─► front ─► lambda-http ─► queue ─► mapping ─► lambda-sqs ◄─ event source mapping   on_lambda
//!                                  └► ledger, timeline ─► target ─► Run
//! ```
//!
//! The targets play one after the other, each with a queue and processes of its own, so that neither takes the
//! machine from the other. Only a race that somebody watches (`--live`) has them play at once.

pub mod client;
pub mod environment;
pub mod event_source;
pub mod front;
pub mod guard;
pub mod hosts;
pub mod journal;
pub mod kubernetes;
pub mod lambda;
pub mod ledger;
pub mod on_eks;
pub mod on_lambda;
pub mod pod;
pub mod pods;
pub mod queues;
pub mod runtime_api;
pub mod sender;
pub mod service;
pub mod stage;
pub mod tail;
pub mod target;
pub mod timeline;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::run::{Engine, Run, SCHEMA, Targets};
use crate::scenario::Scenario;
use crate::target::TargetKind;
use hosts::Place;
use service::Served;
pub use stage::Progress;
use stage::Stage;
use tokio_util::sync::CancellationToken;
use twinscale_sqs::clock::Clock;

/// How to run, as opposed to what.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many times faster than scenario time.
    pub speed: f64,
    /// The folder of the binaries; beside the running program if `None`.
    pub bin_dir: Option<PathBuf>,
    /// Keeps what the processes print in this folder.
    pub logs: Option<PathBuf>,
    /// The targets to run.
    pub targets: BTreeSet<TargetKind>,
    /// All at once, each for a share of this machine; otherwise one after the other.
    pub at_once: bool,
    /// Ends the run early once it is cancelled, with what there is.
    pub stop: CancellationToken,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: 1.0,
            bin_dir: None,
            logs: None,
            targets: TargetKind::all().iter().copied().collect(),
            at_once: false,
            stop: CancellationToken::new(),
        }
    }
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The speed makes no sense.
    #[error("speed {0}: write a number above 0, up to 1000")]
    Speed(f64),
    /// Binaries that the run needs are not there.
    #[error("{} not found in {}: run 'cargo build --release', or say where they are with --bin-dir", .names.join(", "), .folder.display())]
    Missing {
        /// Their names.
        names: Vec<&'static str>,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// A process did not come up.
    #[error("a process did not come up: {0}")]
    NotUp(String),
    /// One's own service cannot be run.
    #[error(transparent)]
    Service(#[from] service::ServiceError),
    /// A real handler does not run faster.
    #[error("--speed {0}: leave it out, since a handler of one's own takes the time that it takes (--service)")]
    SpeedOfService(f64),
    /// SQS would refuse the scenario's queue.
    #[error("the queue cannot be made: {0}")]
    Queue(String),
    /// A folder or a port could not be had.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the scenario on real processes. Dropping the future ends them.
///
/// # Errors
/// When the run cannot begin. A run that begins always ends in a [`Run`], which says if it has not drained.
pub async fn run(
    scenario: &Scenario,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Run, LocalError> {
    if !(options.speed > 0.0 && options.speed <= 1000.0) {
        return Err(LocalError::Speed(options.speed));
    }
    let service = Served::of(scenario)?.map(Arc::new);
    if service.is_some() && options.speed > 1.0 {
        return Err(LocalError::SpeedOfService(options.speed));
    }
    let bin_dir = bin_dir(options)?;
    let names = if service.is_some() { Vec::new() } else { hosts::missing(&bin_dir) };
    if !names.is_empty() {
        return Err(LocalError::Missing { names, folder: bin_dir });
    }
    let scratch = Scratch::new(options)?;
    let place = || Place {
        bin_dir: bin_dir.clone(),
        folder: scratch.folder.clone(),
        keep_logs: options.logs.is_some(),
        clock: Clock::new(options.speed),
        service: service.clone(),
    };
    let stage = Stage::new(progress, if options.at_once { options.targets.len() } else { 1 }, options.stop.clone());
    let play = async |kind: TargetKind| {
        let place = place();
        let (target, warned) = match kind {
            TargetKind::Eks => on_eks::run(scenario, &place, &stage).await?,
            TargetKind::Lambda => on_lambda::run(scenario, &place, &stage).await?,
        };
        Ok::<_, LocalError>((kind, target, warned))
    };
    let mut played = Vec::new();
    let mut warnings = Vec::new();
    if options.at_once {
        played = try_join_all(options.targets.iter().map(|kind| play(*kind))).await?;
    } else {
        for kind in &options.targets {
            if options.stop.is_cancelled() {
                warnings.push(format!("{kind}: not begun, the run was stopped before"));
                continue;
            }
            played.push(play(*kind).await?);
        }
    }
    let mut targets = Targets::default();
    for (kind, target, warned) in played {
        *targets.entry(kind) = target;
        warnings.extend(warned);
    }
    if options.at_once && targets.iter().count() > 1 {
        warnings.push("the targets ran at once and shared this machine: each may have waited for the other".to_owned());
    }
    if targets.iter().any(|(_, target)| target.floor_simulated) {
        warnings.push("the idle tail after the drain was computed from the scaling policy, not waited for".to_owned());
    }
    Ok(Run {
        schema: SCHEMA.to_owned(),
        engine: Engine::Local,
        scenario: scenario.clone(),
        speed: Some(options.speed),
        targets,
        uncertainty: None,
        warnings,
    })
}

fn bin_dir(options: &Options) -> io::Result<PathBuf> {
    if let Some(folder) = &options.bin_dir {
        return Ok(folder.clone());
    }
    let program = std::env::current_exe()?;
    Ok(program.parent().map_or_else(|| PathBuf::from("."), PathBuf::from))
}

/// A folder for what processes leave: the caller's, which is kept, or one of our own, which is not.
struct Scratch {
    folder: PathBuf,
    ours: bool,
}

impl Scratch {
    fn new(options: &Options) -> io::Result<Self> {
        let ours = options.logs.is_none();
        let name = || std::env::temp_dir().join(format!("twinscale-{}", uuid::Uuid::new_v4()));
        let folder = options.logs.clone().unwrap_or_else(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder, ours })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.ours {
            // Nothing is lost with it but addresses of processes that have ended.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
