//! One execution environment: a real process and its Runtime API. Dropping it kills the process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::body::Bytes;
use tokio::process::Command;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::guard;
use super::runtime_api::{InvocationAnswer, Phase, RuntimeApi};
use twinscale_sqs::clock::Clock;

/// Lambda gives initialisation 10 s. Not divided by the speed: a process starts no faster in a fast run.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A function as it is deployed. Durations are in scenario time.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The program that speaks to the Runtime API.
    pub program: PathBuf,
    /// Name of the function, part of its ARN.
    pub name: String,
    /// Region, part of its ARN and of the process's environment.
    pub region: String,
    /// The function's own environment variables. Nothing else is inherited, so that a run depends on nothing outside.
    pub variables: Vec<(String, String)>,
    /// Memory in MB.
    pub memory_mb: u32,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Sandbox placement and code download before initialisation: waited for, never billed.
    pub placement: Duration,
    /// How long an environment stays without work before it is reclaimed.
    pub idle_reclaim: Duration,
    /// Invocations at once that the function may have; further ones are throttled.
    pub reserved_concurrency: Option<u32>,
    /// Invocations at once in one environment (Lambda Managed Instances); 1 everywhere else.
    pub max_concurrency: u32,
    /// Scenario time, which the timeout and the deadline header follow.
    pub clock: Clock,
    /// The folder for what environments print, each in a file of its own, as each has a log stream of its own; nowhere
    /// if unset.
    pub logs: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            program: PathBuf::from("lambda-sqs"),
            name: "twinscale".to_owned(),
            region: "us-east-1".to_owned(),
            variables: Vec::new(),
            memory_mb: 128,
            timeout: Duration::from_secs(30),
            placement: Duration::ZERO,
            idle_reclaim: Duration::from_secs(600),
            reserved_concurrency: None,
            max_concurrency: 1,
            clock: Clock::new(1.0),
            logs: None,
        }
    }
}

impl Settings {
    /// The function's ARN, in the account that the embedded queue uses too.
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:000000000000:function:{}", self.region, self.name)
    }

    fn command(&self, api: &RuntimeApi, stream: &str, log: Option<&Path>) -> std::io::Result<Command> {
        let mut command = Command::new(&self.program);
        let output = || match log {
            Some(path) => Ok(Stdio::from(File::options().create(true).append(true).open(path)?)),
            None => Ok::<_, std::io::Error>(Stdio::null()),
        };
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", self.memory_mb.to_string())
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", self.name))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("$LATEST/{stream}"))
            .env("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")
            .env("AWS_REGION", &self.region)
            .env("AWS_DEFAULT_REGION", &self.region)
            .env("_HANDLER", "bootstrap")
            .env("TZ", ":UTC")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?)
            // Out of the terminal's process group: Ctrl-C is for the run, which then ends its environments.
            .process_group(0)
            .kill_on_drop(true);
        if self.max_concurrency > 1 {
            command.env("AWS_LAMBDA_MAX_CONCURRENCY", self.max_concurrency.to_string());
        }
        Ok(command)
    }
}

/// Why an invocation brought no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvocationFailure {
    /// The environment did not come up.
    #[error("initialisation failed: {0}")]
    Init(String),
    /// The function has as many invocations as it may have; this one was not begun.
    #[error("Rate Exceeded: the function's reserved concurrency is in use")]
    Throttled,
    /// The function's timeout passed; its environment was killed.
    #[error("Task timed out after {:.2} seconds", .0.as_secs_f64())]
    TimedOut(Duration),
    /// The process ended in the middle of the invocation.
    #[error("Runtime exited: {0}")]
    Crashed(String),
    /// The function reported an error.
    #[error("{kind}: {message}")]
    Function {
        /// `errorType`.
        kind: String,
        /// `errorMessage`.
        message: String,
    },
}

/// A process that has initialised and serves invocations.
pub struct ExecutionEnvironment {
    api: RuntimeApi,
    pid: u32,
    log: Option<PathBuf>,
    /// Wall-clock time from spawn to the first `next`.
    init: Duration,
    settings: Arc<Settings>,
    /// Owns the child, which is killed with it.
    _process: AbortOnDropHandle<()>,
}

impl ExecutionEnvironment {
    /// Starts the process and waits until it asks for its first invocation.
    ///
    /// # Errors
    /// [`InvocationFailure::Init`] when it cannot be started, ends, reports an initialisation error, or takes longer than 10 s.
    pub async fn start(settings: &Arc<Settings>) -> Result<Self, InvocationFailure> {
        let program = settings.program.display();
        let unstarted = |error| InvocationFailure::Init(format!("{program} could not be started: {error}"));
        let api = RuntimeApi::bind(settings.arn()).await.map_err(unstarted)?;
        let stream = Uuid::new_v4().simple().to_string();
        let log = settings.logs.as_ref().map(|folder| folder.join(format!("{}-{stream}.log", settings.name)));
        let began = Instant::now();
        let mut child = settings
            .command(&api, &stream, log.as_deref())
            .and_then(|mut command| command.spawn())
            .map_err(unstarted)?;
        let Some(pid) = child.id() else {
            return Err(InvocationFailure::Init(format!("{program} ended at once")));
        };
        let exited = api.exit_reporter();
        let watched = guard::watch(pid);
        let process = AbortOnDropHandle::new(tokio::spawn(async move {
            let _watched = watched;
            exited(match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            });
        }));
        let mut phase = api.phase();
        let settled = timeout(INIT_LIMIT, phase.wait_for(|phase| *phase != Phase::Initializing)).await;
        let reached = settled.map(|phase| phase.map_or(Phase::Initializing, |phase| phase.clone()));
        match reached {
            Ok(Phase::Ready) => {}
            Ok(Phase::InitError(how)) => return Err(InvocationFailure::Init(how)),
            Ok(Phase::Exited(how)) => return Err(InvocationFailure::Init(format!("{program} ended: {how}"))),
            Ok(Phase::Initializing) | Err(_) => {
                return Err(InvocationFailure::Init(format!(
                    "{program} asked for no invocation within {INIT_LIMIT:?}"
                )));
            }
        }
        Ok(Self { api, pid, log, init: began.elapsed(), settings: settings.clone(), _process: process })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it prints, if that is kept.
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Wall-clock time from spawn to the first `next`.
    pub fn init(&self) -> Duration {
        self.init
    }

    /// Whether its process still runs.
    pub fn is_alive(&self) -> bool {
        *self.api.phase().borrow() == Phase::Ready
    }

    /// Invokes the function and waits for its answer. Returns the request id too.
    ///
    /// # Errors
    /// Any [`InvocationFailure`] but `Init`. After [`InvocationFailure::TimedOut`] the environment must be dropped, which kills it;
    /// Lambda does not reuse it either.
    pub async fn invoke(&self, event: Bytes) -> (String, Result<Bytes, InvocationFailure>) {
        let limit = self.settings.clock.real(self.settings.timeout);
        let (request_id, answered) = self.api.invoke(event, SystemTime::now() + limit);
        let mut phase = self.api.phase();
        let result = tokio::select! {
            biased;
            answer = answered => match answer {
                Ok(InvocationAnswer::Response(body)) => Ok(body),
                Ok(InvocationAnswer::Error { kind, message }) => Err(InvocationFailure::Function { kind, message }),
                Err(_) => Err(InvocationFailure::Crashed("the Runtime API was closed".to_owned())),
            },
            gone = phase.wait_for(|phase| *phase != Phase::Ready) => Err(InvocationFailure::Crashed(match gone.as_deref() {
                Ok(Phase::Exited(how) | Phase::InitError(how)) => how.clone(),
                _ => "unknown".to_owned(),
            })),
            () = tokio::time::sleep(limit) => Err(InvocationFailure::TimedOut(self.settings.timeout)),
        };
        (request_id, result)
    }
}
