//! A scenario as settings of real processes: the environment of pods, of the sender and of functions.
//!
//! What goes over the wire stays in scenario seconds, since the queue's clock is the fast one; timers inside a process
//! are divided by the speed, as settings in milliseconds (design.md, "Scenario time").

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::environment;
use super::pods::PodTemplate;
use super::service::{Served, ServiceError};
use crate::scenario::{Lambda, Scenario};
use twinscale_sqs::clock::Clock;
use twinscale_work::{Wait, Work, format_duration};

/// vCPUs of a Lambda function come with its memory: one for each 1,769 MB (Lambda's developer guide).
const MB_PER_VCPU: f64 = 1769.0;

/// What the machine and the network may add to a call, by the machine's clock, whatever the speed is.
const SLACK: Duration = Duration::from_secs(5);

/// Where a target's queue is.
#[derive(Clone, Debug)]
pub struct Address {
    /// `AWS_ENDPOINT_URL`.
    pub endpoint: String,
    /// `QUEUE_URL`.
    pub queue_url: String,
    /// ARN of the queue.
    pub queue_arn: String,
    /// `DLQ_URL`.
    pub dlq_url: String,
    /// `JOURNAL_QUEUE_URL`.
    pub journal_url: String,
}

/// Where processes are found and leave things, and how fast the run goes.
#[derive(Clone, Debug)]
pub struct Place {
    /// The folder of the binaries.
    pub bin_dir: PathBuf,
    /// A folder of the run's own.
    pub folder: PathBuf,
    /// Whether to keep what the processes print, in `folder`.
    pub keep_logs: bool,
    /// The run's clock.
    pub clock: Clock,
    /// The service that does the work, if it is one's own.
    pub service: Option<Arc<Served>>,
}

type Variables = Vec<(String, String)>;

/// A pod of the scenario.
///
/// # Errors
/// When the service's own variables contradict those of the run.
pub fn pod(scenario: &Scenario, at: &Address, place: &Place) -> Result<PodTemplate, ServiceError> {
    let eks = &scenario.eks;
    let pod = &scenario.eks.pod;
    let mut variables = common(at, place, pod.wait_time);
    let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
    let millis = |scenario: Duration| millis(scenario, place.clock.speed());
    set("CONCURRENCY", pod.concurrency.to_string());
    set("PREFETCH", pod.prefetch.to_string());
    set("RECEIVE_MIN_ROOM", pod.receive_min_room.to_string());
    set("RECEIVE_LINGER_MS", millis(pod.receive_linger));
    set("WAIT_TIME_SECS", pod.wait_time.as_secs().to_string());
    set("DELETE_LINGER_MS", millis(pod.delete_linger));
    // What a retry waits is told to the queue, whose clock is fast already.
    set("BACKOFF_BASE_SECS", pod.backoff_base.as_secs().to_string());
    set("BACKOFF_MAX_SECS", pod.backoff_max.as_secs().to_string());
    set("DRAIN_BUDGET_MS", millis(pod.drain_budget));
    // 10 ms is the least that the worker takes.
    set(
        "HEARTBEAT_MS",
        millis((scenario.queue.visibility_timeout / 2).max(Duration::from_millis(10).mul_f64(place.clock.speed()))),
    );
    set("SEND", "off".to_owned());
    // Tells how long handlers take. A function's log does that already, and a journal would hold up its answers.
    set("JOURNAL_QUEUE_URL", at.journal_url.clone());
    let program = match &place.service {
        Some(service) => {
            service.check_variables(&variables)?;
            variables.extend(service.variables.clone());
            service.worker.clone()
        }
        None => {
            variables.extend(work(&scenario.work, pod.cpu_limit, place.clock.speed()));
            place.bin_dir.join("twinscale-worker")
        }
    };
    Ok(PodTemplate {
        name: "worker",
        program,
        variables,
        start_delay: eks.pod.start_delay.clone(),
        seed: scenario.seed,
        grace_period: eks.pod.grace_period,
        folder: place.folder.clone(),
        keep_logs: place.keep_logs,
    })
}

/// A worker that receives nothing: it only sends the load, and KEDA does not scale it.
pub fn sender(at: &Address, place: &Place) -> PodTemplate {
    let mut variables = common(at, place, Duration::from_secs(20));
    variables.push(("RECEIVE".to_owned(), "off".to_owned()));
    variables.push(("SEND_LIMIT".to_owned(), "1000000".to_owned()));
    PodTemplate {
        name: "sender",
        program: place.bin_dir.join("twinscale-worker"),
        variables,
        start_delay: Wait::Constant(Duration::ZERO),
        seed: 0,
        grace_period: Duration::from_secs(60),
        folder: place.folder.clone(),
        keep_logs: place.keep_logs,
    }
}

/// The function that the event source mapping invokes.
///
/// # Errors
/// When the service's own variables contradict those of the run.
pub fn function(scenario: &Scenario, at: &Address, place: &Place) -> Result<environment::Settings, ServiceError> {
    let lambda = &scenario.lambda;
    let mut variables = common(at, place, Duration::ZERO);
    let mut set = |name: &str, value: String| variables.push((name.to_owned(), value));
    set("BACKOFF_BASE_SECS", lambda.backoff_base.as_secs().to_string());
    set("BACKOFF_MAX_SECS", lambda.backoff_max.as_secs().to_string());
    set("FUNCTION_CONCURRENCY", lambda.in_host_concurrency.to_string());
    set("DEADLINE_MARGIN_MS", millis(lambda.deadline_margin, place.clock.speed()));
    let Some(service) = &place.service else {
        variables.extend(work(&scenario.work, f64::from(lambda.memory_mb) / MB_PER_VCPU, place.clock.speed()));
        // Its metrics are read from its log.
        let logs = Some(place.folder.clone());
        return Ok(environment::Settings { logs, ..settings(lambda, "lambda-sqs", variables, place) });
    };
    // What became of each message, only the handler knows.
    set("JOURNAL_QUEUE_URL", at.journal_url.clone());
    service.check_variables(&variables)?;
    variables.extend(service.variables.clone());
    Ok(environment::Settings { program: service.function.clone(), ..settings(lambda, "service", variables, place) })
}

/// The function behind the URL, which sends the load.
pub fn front(scenario: &Scenario, at: &Address, place: &Place) -> environment::Settings {
    let mut variables = common(at, place, Duration::ZERO);
    variables.push(("SEND_LIMIT".to_owned(), "1000000".to_owned()));
    // Only this process calls it.
    variables.push(("SEND_AUTH".to_owned(), "iam".to_owned()));
    // What the sender uses is no part of the comparison, so it may take its time.
    let patient = Lambda { timeout: Duration::from_secs(900).mul_f64(place.clock.speed()), ..scenario.lambda.clone() };
    settings(&patient, "lambda-http", variables, place)
}

fn settings(lambda: &Lambda, program: &str, variables: Variables, place: &Place) -> environment::Settings {
    environment::Settings {
        program: place.bin_dir.join(program),
        name: program.to_owned(),
        variables,
        memory_mb: lambda.memory_mb,
        timeout: lambda.timeout,
        placement: lambda.placement,
        idle_reclaim: lambda.idle_reclaim,
        clock: place.clock,
        logs: place.keep_logs.then(|| place.folder.clone()),
        ..environment::Settings::default()
    }
}

fn common(at: &Address, place: &Place, wait: Duration) -> Variables {
    // Longer than the poll as the worker knows it, which is in seconds on the wire, whatever the speed of the queue's clock.
    let attempt_timeout = wait + SLACK;
    [
        // Of SQS alone: a service of one's own may use other services of AWS.
        ("AWS_ENDPOINT_URL_SQS", at.endpoint.clone()),
        ("AWS_REGION", "us-east-1".to_owned()),
        // The embedded queue takes any credentials, but an SDK signs with some.
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("QUEUE_URL", at.queue_url.clone()),
        ("DLQ_URL", at.dlq_url.clone()),
        ("ATTEMPT_TIMEOUT_MS", attempt_timeout.as_millis().to_string()),
        ("LOG_LEVEL", if place.keep_logs { "info" } else { "off" }.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn work(work: &Work, cpu_limit: f64, speed: f64) -> Variables {
    [
        ("WORK_SEED", work.seed.to_string()),
        // Retries wait as long as in the simulator.
        ("BACKOFF_SEED", work.seed.to_string()),
        ("BACKOFF_SPEED", speed.to_string()),
        ("WORK_WAIT", String::from(work.wait.scaled(speed.recip()))),
        ("WORK_CPU", format_duration(work.cpu.div_f64(speed))),
        ("WORK_CPU_LIMIT", cpu_limit.to_string()),
        ("WORK_MEMORY_MIB", work.memory_mib.to_string()),
        ("WORK_RETRY_SHARE", work.retry_share.to_string()),
        ("WORK_REJECT_SHARE", work.reject_share.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// A timer inside a process: whole milliseconds of the machine's clock.
fn millis(scenario: Duration, speed: f64) -> String {
    scenario.div_f64(speed).as_millis().to_string()
}

/// The binaries that a run needs and that are not in `bin_dir`.
pub fn missing(bin_dir: &Path) -> Vec<&'static str> {
    ["twinscale-worker", "lambda-sqs", "lambda-http"].into_iter().filter(|name| !bin_dir.join(name).is_file()).collect()
}
