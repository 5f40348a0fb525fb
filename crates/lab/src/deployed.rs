//! Deployed targets: sends the scenario's load, samples the queues, drains the journal.
//!
//! ```text
//! outputs ─► Options ─► deployed: load ─► /send or the queue ─► the target's hosts
//!                                 books ◄─ depth, journal ◄──────┘
//!                                 kubernetes, cloudwatch (on request) ─► Run
//! ```
//!
//! It needs the queues' URLs and nothing else. What queues and journal cannot tell is null in the run and named in
//! `unavailable`, unless the Kubernetes API and CloudWatch are asked too. Nothing is purged, and a queue that is not empty
//! is refused unless asked for, since its messages would be counted with ours.

mod account;
mod books;
mod cloudwatch;
mod estimate;
mod kubernetes;
mod load;
mod outputs;
mod target;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use crate::run::{Engine, Run, SCHEMA, Targets};
use crate::scenario::Scenario;
use crate::target::TargetKind;
pub use account::Account;
pub use cloudwatch::Patience;
use cloudwatch::Question;
pub use estimate::estimate;
pub use kubernetes::ClusterAccess;
use load::{SendEndpoint, SendWay};
pub use outputs::{Outputs, OutputsError};
use target::{Deployed, Played};
use twinscale::unstable::queue::{Depth, Queue, QueueError, Tuning};

/// What is deployed, and what is allowed.
#[derive(Debug, Default)]
pub struct DeployedOptions {
    /// Where the targets are; what is not in it is left out.
    pub places: BTreeMap<TargetKind, DeployedPlace>,
    /// Where AWS is; `None` = AWS, or `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// Go on although a queue holds messages of somebody else.
    pub not_empty: bool,
    /// Wait for CloudWatch, and read it.
    pub cloudwatch: Option<Patience>,
    /// The function's name, for CloudWatch.
    pub function: Option<String>,
    /// The worker's cluster, to be watched.
    pub cluster: Option<ClusterAccess>,
}

/// One target.
#[derive(Clone, Debug, Default)]
pub struct DeployedPlace {
    /// Its queue, by URL or by name.
    pub queue: String,
    /// Its journal.
    pub journal: Option<String>,
    /// Its front; without one, the load goes straight to the queue.
    pub url: Option<String>,
    /// The token that the front wants.
    pub token: Option<String>,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeployedProgress {
    /// Whose.
    pub target: TargetKind,
    /// Messages of the scenario.
    pub messages: u64,
    /// Accepted so far.
    pub sent: u64,
    /// Done, by the journal.
    pub done: u64,
    /// Rejected, by the journal.
    pub rejected: u64,
    /// Pods, or invocations under way, by the journal.
    pub capacity: u32,
    /// Since the start of the load.
    pub now: Duration,
}

/// Why there is no run.
#[derive(Debug, thiserror::Error)]
pub enum AwsError {
    /// No target was given.
    #[error("there is no target: give --eks-queue-url or --lambda-queue-url, --from-terraform or --from-stack")]
    NoTarget,
    /// Without a journal nobody knows which messages are done.
    #[error(
        "{target} has no journal: deploy it with one (terraform: journal = true; SAM: Journal=on), and give --journal-queue-url"
    )]
    NoJournal {
        /// Which.
        target: TargetKind,
    },
    /// Messages that are not ours would be counted with ours.
    #[error("{name} holds {messages} messages: wait until it is empty, or allow it with --not-empty")]
    NotEmpty {
        /// The queue's name.
        name: String,
        /// How many.
        messages: u64,
    },
    /// SQS said no.
    #[error("{url}: {error}")]
    Queue {
        /// The queue.
        url: String,
        /// What it said.
        error: QueueError,
    },
    /// A front cannot be used.
    #[error("--{target}-url {url}: {what}")]
    Front {
        /// Which.
        target: TargetKind,
        /// As given.
        url: String,
        /// What to change.
        what: String,
    },
    /// CloudWatch knows functions by name.
    #[error("--cloudwatch needs the function's name: give --function-name (stack output FunctionName)")]
    NoFunction,
    /// The cluster cannot be asked.
    #[error("--kubeconfig: {0}")]
    Cluster(String),
    /// No outputs, or not the one that is needed.
    #[error(transparent)]
    Outputs(#[from] OutputsError),
    /// The system's root certificates cannot be read.
    #[error("no TLS: the system's root certificates cannot be read ({0}): install ca-certificates")]
    Tls(std::io::Error),
}

/// Runs the scenario on each target that was given, one after the other. `stop` ends it early, with what there is.
///
/// # Errors
/// Before anything is sent: a queue that is not there, not empty, or has no journal; a front or a cluster that does not
/// let us in.
pub async fn run(
    scenario: &Scenario,
    options: &DeployedOptions,
    account: Arc<Account>,
    stop: impl Future<Output = ()>,
    progress: &mut dyn FnMut(DeployedProgress),
) -> Result<Run, AwsError> {
    // Whoever waits is told, also after others were.
    let stop = stop.shared();
    let mut all = Vec::new();
    for (kind, place) in &options.places {
        all.push(prepare(*kind, place, options, &account).await?);
    }
    if all.is_empty() {
        return Err(AwsError::NoTarget);
    }
    if options.cloudwatch.is_some() {
        for kind in options.places.keys() {
            function(*kind, options)?;
        }
    }
    let mut played = Vec::new();
    let mut warnings = Vec::new();
    for deployed in &all {
        if stop.peek().is_some() {
            warnings.push(format!("{}: not begun, the run was stopped before", deployed.target));
            continue;
        }
        played.push((deployed, deployed.play(scenario, stop.clone(), progress, &mut warnings).await));
    }
    let mut targets = Targets::default();
    for (deployed, Played { mut target, origin, end }) in played {
        if let Some(patience) = options.cloudwatch {
            let question = Question {
                target: deployed.target,
                queue: deployed.queue.name().to_owned(),
                function: function(deployed.target, options)?,
                from: origin,
                to: end,
            };
            tokio::select! {
                () = cloudwatch::fill(&mut target, &question, &account, patience, &mut warnings) => {}
                () = stop.clone() => {}
            }
        }
        *targets.entry(deployed.target) = target;
    }
    let scenario = scenario.clone();
    Ok(Run {
        schema: SCHEMA.to_owned(),
        engine: Engine::Aws,
        scenario,
        speed: None,
        targets,
        uncertainty: None,
        warnings,
    })
}

/// The function's name, where the target is one.
fn function(kind: TargetKind, options: &DeployedOptions) -> Result<Option<String>, AwsError> {
    match kind {
        TargetKind::Eks => Ok(None),
        TargetKind::Lambda => options.function.clone().map(Some).ok_or(AwsError::NoFunction),
    }
}

async fn prepare(
    target: TargetKind,
    place: &DeployedPlace,
    options: &DeployedOptions,
    account: &Arc<Account>,
) -> Result<Deployed, AwsError> {
    let journal = place.journal.as_deref().ok_or(AwsError::NoJournal { target })?;
    let (queue, messages) = connect(&place.queue, options).await?;
    if messages > 0 && !options.not_empty {
        return Err(AwsError::NotEmpty { name: queue.name().to_owned(), messages });
    }
    // What the journal holds already is welcome: hosts that were there before the run said so in it.
    let (journal, _) = connect(journal, options).await?;
    let way = match &place.url {
        None => SendWay::Queue(queue.clone()),
        Some(url) => {
            let failed = |what| AwsError::Front { target, url: url.clone(), what };
            let front = SendEndpoint::new(url, place.token.as_deref(), account.clone()).map_err(failed)?;
            front.check().await.map_err(failed)?;
            SendWay::Front(front)
        }
    };
    let watch = match (target, &options.cluster) {
        (TargetKind::Eks, Some(cluster)) => {
            cluster.check().await.map_err(AwsError::Cluster)?;
            Some(cluster.watch())
        }
        (TargetKind::Eks, None) | (TargetKind::Lambda, Some(_) | None) => None,
    };
    Ok(Deployed { target, queue, journal, way, watch })
}

/// The queue, and how many messages it holds.
async fn connect(url: &str, options: &DeployedOptions) -> Result<(Queue, u64), AwsError> {
    let failed = |error| AwsError::Queue { url: url.to_owned(), error };
    let tuning = Tuning { attempt_timeout: Duration::from_secs(25) };
    let queue = match &options.endpoint {
        Some(endpoint) => Queue::local(endpoint, url, &tuning).await,
        None => Queue::connect(url, &tuning).await,
    };
    let queue = queue.map_err(failed)?;
    let messages = all(queue.depth().await.map_err(failed)?);
    Ok((queue, messages))
}

fn all(depth: Depth) -> u64 {
    depth.visible + depth.in_flight + depth.delayed
}

fn millis() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
