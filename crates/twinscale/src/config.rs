//! Everything that can be set, for both hosts: every setting with its default here, its variable and bounds in `read`.
//!
//! Code sets what it likes on a [`Config`], and the environment wins.
//!
//! All mistakes are reported in one go, each naming the variable and what to write, and nothing starts half
//! configured. Durations carry their unit in the variable's name and are [`Duration`]s from here on. Timers inside
//! the process are in milliseconds, so that the local engine can run them faster; what goes over the wire is in
//! seconds, as SQS has it.

mod errors;
mod read;
mod reader;
mod setters;
mod settings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use errors::{ConfigError, ConfigErrors};
use reader::Reader;
pub use settings::{SETTINGS, Setting};

/// Looks a variable up: `std::env::var` in the binaries, a map in tests.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings of a host.
#[derive(Clone, Debug)]
pub struct Config {
    /// `QUEUE_URL`: URL or name of the queue. Always there in a worker; a function is told by its events.
    pub queue_url: Option<String>,
    /// `DLQ_URL`: where rejected messages go. Unset: learned from the queue's redrive policy when first needed.
    pub dlq_url: Option<String>,
    /// `JOURNAL_QUEUE_URL`: unset = no journal.
    pub journal_queue_url: Option<String>,
    /// `ATTEMPT_TIMEOUT_MS`: one call to SQS may take this long; above the long poll, or the poll would be cut.
    pub attempt_timeout: Duration,
    /// How the worker receives and settles.
    pub worker: WorkerConfig,
    /// `HANDLER_TIMEOUT_MS`: a handler that takes longer is aborted, and its message retried.
    pub handler_timeout: Option<Duration>,
    /// How long a retry waits when the handler did not say.
    pub backoff: Backoff,
    /// `UNWRAP_SNS`: the handler sees the notification inside an SNS envelope.
    pub unwrap_sns: bool,
    /// Whether a redelivered message has its effect once.
    pub idempotency: IdempotencyConfig,
    /// The HTTP server, and what it may send.
    pub http: HttpConfig,
    /// How the function bounds a batch.
    pub function: FunctionConfig,
    /// What is logged, and how.
    pub log: LogConfig,
}

/// How the worker receives, holds and settles messages.
#[derive(Clone, Debug)]
pub struct WorkerConfig {
    /// `RECEIVE`: off makes a worker that only serves HTTP.
    pub receive: bool,
    /// `CONCURRENCY`: handlers that run at once.
    pub concurrency: usize,
    /// `PREFETCH`: messages held beyond that. Small, since a give-back counts as a receive. `None` (`auto`): what the
    /// handlers get done while a receive is under way, so nothing where they take longer than that.
    pub prefetch: Option<usize>,
    /// `MAX_IN_HAND_MIB`: bytes of the messages in hand, above which no more are received. What the rest of the worker takes
    /// comes on top: the default fits a limit of 256 MiB.
    pub most_bytes: usize,
    /// `RECEIVE_MIN_ROOM`: ask only when there is room for this many, since a receive costs the same for 1 as for 10.
    pub receive_min_room: usize,
    /// `RECEIVE_LINGER_MS`: after this long, ask for what room there is. Asking as soon as one place is free spends a
    /// request a message; waiting leaves places idle. A quarter second of ten handlers at 1.75 s each costs 7 % of their
    /// time and saves more than half of the receives.
    pub receive_linger: Duration,
    /// `WAIT_TIME_SECS`: the long poll, on the wire.
    pub wait_time: Duration,
    /// `DELETE_LINGER_MS`: a delete waits this long for nine others. A finished message is done again if the process is
    /// killed meanwhile, so it stays far below the visibility timeout.
    pub delete_linger: Duration,
    /// `VISIBILITY_TIMEOUT_SECS`: unset = the queue's own.
    pub visibility_timeout: Option<Duration>,
    /// `HEARTBEAT`: extend the visibility of what is held.
    pub heartbeat: bool,
    /// `HEARTBEAT_MS`: unset = half the visibility timeout.
    pub heartbeat_every: Option<Duration>,
    /// `DRAIN_BUDGET_MS`: time that work in hand has left after SIGTERM.
    pub drain_budget: Duration,
    /// `ADAPTIVE_CONCURRENCY`: let the limit follow latency and errors, up to `CONCURRENCY`.
    pub adaptive_concurrency: bool,
    /// `CONCURRENCY_FLOOR`: it never falls below this.
    pub concurrency_floor: usize,
    /// `EXIT_WHEN_IDLE_SECS`: drain and exit once nothing has come for this long and nothing is in hand, as a job of
    /// KEDA's ScaledJob has to; exit with 69 once the queue has answered nothing for this long. Unset = never.
    pub exit_when_idle: Option<Duration>,
}

/// Full-jitter exponential backoff: between 0 and min(max, base × 2^(receive count − 1)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// `BACKOFF_BASE_SECS`.
    pub base: Duration,
    /// `BACKOFF_MAX_SECS`.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(1), max: Duration::from_secs(900) }
    }
}

/// Where it is remembered which messages are in progress or done.
#[derive(Clone, Debug)]
pub struct IdempotencyConfig {
    /// Which store.
    pub store: IdempotencyStore,
    /// `IDEMPOTENCY_LEASE_SECS`: a claim ends after this unless it is renewed, as it is while its handler runs. Whoever
    /// receives the message of a process that died waits for it.
    pub lease: Duration,
    /// `IDEMPOTENCY_TTL_SECS`: how long a message that is done is remembered.
    pub ttl: Duration,
}

/// A store of idempotency keys.
#[derive(Clone, Debug, PartialEq)]
pub enum IdempotencyStore {
    /// None: a redelivered message is handled again.
    Off,
    /// `IDEMPOTENCY=memory`: this process alone, for tests and local runs.
    Memory,
    /// `IDEMPOTENCY_TABLE`: a DynamoDB table, by name or ARN.
    Table(String),
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `HTTP_ADDR`: loopback unless told otherwise; port 0 takes a free one.
    pub addr: SocketAddr,
    /// `HTTP_ADDR_FILE`: the bound address is written there.
    pub addr_file: Option<PathBuf>,
    /// `ADMIN_ADDR`: health and metrics, apart from what anybody may call.
    pub admin_addr: SocketAddr,
    /// `ADMIN_ADDR_FILE`: as `HTTP_ADDR_FILE`.
    pub admin_addr_file: Option<PathBuf>,
    /// `HTTP_CLOSE_DELAY_MS`: from SIGTERM on, readiness says no for this long before `HTTP_ADDR` closes, so that load balancers
    /// look elsewhere first.
    pub close_delay: Duration,
    /// `SEND`: off takes `POST /send` away.
    pub send: bool,
    /// `SEND_TOKEN`: bearer token that `/send` asks for.
    pub send_token: Option<String>,
    /// `SEND_AUTH`: who lets callers of the HTTP function in.
    pub send_auth: SendAuth,
    /// `SEND_LIMIT`: messages that one `/send` may ask for.
    pub send_limit: usize,
}

/// Who lets callers of `/send` in, where it is a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendAuth {
    /// This process, by `SEND_TOKEN`.
    Token,
    /// AWS, before it is called: a function URL or an API with IAM authorization.
    Iam,
}

impl HttpConfig {
    /// Whether anybody who reaches the HTTP function could send messages.
    pub(crate) fn front_stands_open(&self) -> bool {
        self.send && self.send_token.is_none() && self.send_auth == SendAuth::Token
    }
}

/// What to do where the HTTP function would stand open.
pub(crate) const OPEN_FRONT: &str = "write a bearer token, or SEND_AUTH=iam if IAM authorizes callers before this function, or SEND=off: anybody who \
     reaches it could send messages";

/// How the function bounds a batch.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    /// `DEADLINE_MARGIN_MS`: what is kept of the Lambda deadline for settling and answering.
    pub deadline_margin: Duration,
    /// `FUNCTION_CONCURRENCY`: handlers that run at once within a batch; 1 = one after the other.
    pub concurrency: usize,
    /// `FUNCTION_METRICS`: write the metrics of each invocation to the log, where CloudWatch finds them (EMF).
    pub metrics: bool,
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `LOG_FORMAT`: JSON lines, or text for people.
    pub json: bool,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_SERVICE_NAME`: where spans go, and by which name; unset = nowhere.
    pub collector: Option<(String, String)>,
    /// `LOG_LEVEL`, a level; or `RUST_LOG`, which wins: a filter such as `warn,twinscale=debug`.
    pub filter: String,
}

impl LogConfig {
    /// The collector of spans as [`crate::telemetry::start`] takes it.
    pub fn collector(&self) -> Option<(&str, &str)> {
        self.collector.as_ref().map(|(endpoint, service)| (endpoint.as_str(), service.as_str()))
    }
}

impl Backoff {
    /// How long the retry of a message waits after its `receive_count`-th receive, drawn by `chance` in 0..1. Whole
    /// seconds, rounded up, since SQS counts in seconds.
    pub fn delay(&self, receive_count: u32, chance: f64) -> Duration {
        let doublings = receive_count.saturating_sub(1).min(31);
        let most = self.base.saturating_mul(1 << doublings).min(self.max);
        Duration::from_secs(most.mul_f64(chance).as_secs_f64().ceil() as u64)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            queue_url: None,
            dlq_url: None,
            journal_queue_url: None,
            attempt_timeout: Duration::from_secs(25),
            worker: WorkerConfig::default(),
            handler_timeout: None,
            backoff: Backoff::default(),
            unwrap_sns: false,
            idempotency: IdempotencyConfig::default(),
            http: HttpConfig::default(),
            function: FunctionConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            receive: true,
            concurrency: 10,
            prefetch: None,
            most_bytes: 64 << 20,
            receive_min_room: 10,
            receive_linger: Duration::from_millis(250),
            wait_time: Duration::from_secs(20),
            delete_linger: Duration::from_secs(1),
            visibility_timeout: None,
            heartbeat: true,
            heartbeat_every: None,
            drain_budget: Duration::from_secs(25),
            adaptive_concurrency: false,
            concurrency_floor: 1,
            exit_when_idle: None,
        }
    }
}

impl Default for IdempotencyConfig {
    fn default() -> Self {
        Self { store: IdempotencyStore::Off, lease: Duration::from_secs(60), ttl: Duration::from_secs(86_400) }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            addr: loopback(8080),
            addr_file: None,
            admin_addr: loopback(8081),
            admin_addr_file: None,
            close_delay: Duration::ZERO,
            send: true,
            send_token: None,
            send_auth: SendAuth::Token,
            send_limit: 10_000,
        }
    }
}

impl Default for FunctionConfig {
    fn default() -> Self {
        Self { deadline_margin: Duration::from_millis(500), concurrency: 10, metrics: true }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { json: true, collector: None, filter: "info".to_owned() }
    }
}

impl Config {
    /// What the environment says, over what this configuration says, for `host`. The worker needs `QUEUE_URL`, and its
    /// `/send` may not stand open to the network; the front needs `QUEUE_URL` unless `SEND=off`; the function needs
    /// nothing.
    ///
    /// # Errors
    /// Every mistake in the environment, each with what to write instead.
    pub fn read(self, host: Host, lookup: Lookup) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(lookup);
        let config = read::read(&mut reader, self);
        read::contradictions_of_queues(&mut reader, &config);
        match host {
            Host::Worker => {
                reader.need_queue(&config);
                read::contradictions_of_receiving(&mut reader, &config);
                let http = &config.http;
                if http.send && http.send_token.is_none() && !http.addr.ip().is_loopback() {
                    let advice =
                        "set SEND=off or a SEND_TOKEN, or listen on loopback: anyone in reach could send messages";
                    reader.wrong("HTTP_ADDR", &http.addr.to_string(), advice);
                }
            }
            Host::Function => {}
            Host::HttpFunction => {
                if config.http.send {
                    reader.need_queue(&config);
                }
                if config.http.front_stands_open() {
                    reader.missing("SEND_TOKEN", OPEN_FRONT);
                }
            }
        }
        reader.finish(config)
    }
}

/// What a handler runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The container worker.
    Worker,
    /// The Lambda function behind an SQS event source mapping.
    Function,
    /// The Lambda function behind a function URL, API Gateway or a load balancer.
    HttpFunction,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_with_each_receive_up_to_its_maximum() {
        let backoff = Backoff { base: Duration::from_secs(2), max: Duration::from_secs(60) };
        let longest = |receive_count| backoff.delay(receive_count, 0.999_999).as_secs();
        assert_eq!([0, 1, 2, 3, 5, 6, 40, u32::MAX].map(longest), [2, 2, 4, 8, 32, 60, 60, 60]);
        assert_eq!(backoff.delay(5, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(2, 0.3), Duration::from_secs(2), "1.2 s is rounded up");
    }

    #[test]
    fn the_environment_wins_over_what_the_code_sets() {
        let code =
            || Config::default().queue_url("jobs".to_owned()).concurrency(50).handler_timeout(Duration::from_secs(30));
        let config = code().read(Host::Worker, &|_| None).expect("valid");
        assert_eq!((config.worker.concurrency, config.handler_timeout), (50, Some(Duration::from_secs(30))));
        let lookup = |name: &str| (name == "CONCURRENCY").then(|| "7".to_owned());
        assert_eq!(code().read(Host::Worker, &lookup).expect("valid").worker.concurrency, 7);
    }

    fn worker(variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Config::default().read(Host::Worker, &lookup)
    }

    #[test]
    fn every_mistake_is_reported_in_one_go_with_the_variable_and_what_to_write() {
        let mistakes = [
            ("ATTEMPT_TIMEOUT_MS", "0", "10 to 600000"),
            ("RECEIVE", "maybe", "on or off"),
            ("CONCURRENCY", "0", "1 to 10000"),
            ("PREFETCH", "-1", "0 to 10000"),
            ("MAX_IN_HAND_MIB", "0", "1 to"),
            ("RECEIVE_MIN_ROOM", "11", "1 to 10"),
            ("RECEIVE_LINGER_MS", "100ms", "whole number"),
            ("WAIT_TIME_SECS", "21", "0 to 20"),
            ("DELETE_LINGER_MS", "soon", "whole number"),
            ("VISIBILITY_TIMEOUT_SECS", "43201", "1 to 43200"),
            ("HEARTBEAT", "yes", "on or off"),
            ("HEARTBEAT_MS", "1", "10 to"),
            ("EXIT_WHEN_IDLE_SECS", "0", "1 to"),
            ("HANDLER_TIMEOUT_MS", "0", "1 to"),
            ("DRAIN_BUDGET_MS", "1.5", "whole number"),
            ("BACKOFF_BASE_SECS", "x", "0 to 43200"),
            ("UNWRAP_SNS", "raw", "on or off"),
            ("IDEMPOTENCY", "redis", "off or memory"),
            ("IDEMPOTENCY_TABLE", "a table", "DynamoDB"),
            ("IDEMPOTENCY_LEASE_SECS", "0", "1 to 43200"),
            ("IDEMPOTENCY_TTL_SECS", "1", "60 to"),
            ("HTTP_ADDR", "localhost", "127.0.0.1:8080"),
            ("ADMIN_ADDR", "8081", "127.0.0.1:8081"),
            ("HTTP_CLOSE_DELAY_MS", "5s", "whole number"),
            ("SEND", "2", "on or off"),
            ("SEND_LIMIT", "0", "1 to"),
            ("SEND_AUTH", "none", "token or iam"),
            ("DEADLINE_MARGIN_MS", "99999999", "0 to 60000"),
            ("FUNCTION_CONCURRENCY", "0", "1 to"),
            ("LOG_FORMAT", "xml", "json or text"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318", "http://127.0.0.1:4318"),
            ("LOG_LEVEL", "loud", "info or debug"),
            ("RUST_LOG", "twinscale=loud=very", "a filter"),
        ];
        let variables: Vec<_> = mistakes.iter().map(|(name, value, _)| (*name, *value)).collect();
        let errors = worker(&variables).expect_err("all of it is wrong").0;
        for (variable, _, advice) in mistakes {
            let named: Vec<_> = errors.iter().filter(|error| error.variable == variable).collect();
            assert_eq!(named.len(), 1, "{variable}: {errors:?}");
            assert!(named[0].advice.contains(advice), "{variable}: {}", named[0].advice);
        }
        assert_eq!(errors.len(), mistakes.len() + 1, "and the missing QUEUE_URL: {errors:?}");
    }

    #[test]
    fn mistakes_between_two_variables_are_found() {
        let errors = |variables: &[(&str, &str)]| worker(variables).expect_err("wrong").to_string();
        let queue = ("QUEUE_URL", "jobs");
        assert!(errors(&[]).contains("QUEUE_URL: write the URL"));
        assert!(
            errors(&[queue, ("BACKOFF_BASE_SECS", "10"), ("BACKOFF_MAX_SECS", "5")]).contains("BACKOFF_MAX_SECS=5")
        );
        assert!(errors(&[queue, ("CONCURRENCY_FLOOR", "11")]).contains("CONCURRENCY_FLOOR=11"));
        for (attempt, wait, wrong) in
            [("20000", "20", true), ("5000", "20", true), ("20001", "20", false), ("1000", "0", false)]
        {
            let pair = [queue, ("ATTEMPT_TIMEOUT_MS", attempt), ("WAIT_TIME_SECS", wait)];
            let told = worker(&pair).err().map(|errors| errors.to_string());
            assert_eq!(told.is_some(), wrong, "{pair:?}");
            assert!(told.is_none_or(|told| told.contains("more than WAIT_TIME_SECS=20")));
        }
        let sends_only = [queue, ("ATTEMPT_TIMEOUT_MS", "5000"), ("RECEIVE", "off")];
        assert!(worker(&sends_only).is_ok(), "it polls for nothing");
        let beats = |every, more: &[(&str, &str)]| {
            let pair = [queue, ("VISIBILITY_TIMEOUT_SECS", "30"), ("HEARTBEAT_MS", every)];
            worker(&[&pair, more].concat()).err().map(|errors| errors.to_string())
        };
        assert!(beats("30000", &[]).is_some_and(|told| told.contains("less than VISIBILITY_TIMEOUT_SECS=30")));
        assert_eq!((beats("29999", &[]), beats("30000", &[("HEARTBEAT", "off")])), (None, None));
        for (jobs, dead, kind) in [
            ("https://sqs/1/jobs.fifo", "https://sqs/1/dead", "a FIFO queue"),
            ("jobs", "dead.fifo", "a standard queue"),
        ] {
            let told = errors(&[("QUEUE_URL", jobs), ("DLQ_URL", dead)]);
            assert!(told.contains(&format!("DLQ_URL={dead}: write {kind}")), "{told}");
        }
        assert!(worker(&[("QUEUE_URL", "jobs.fifo"), ("DLQ_URL", "dead.fifo")]).is_ok());
        assert!(errors(&[queue, ("JOURNAL_QUEUE_URL", "journal.fifo")]).contains("JOURNAL_QUEUE_URL=journal.fifo"));
        let both = [queue, ("IDEMPOTENCY", "memory"), ("IDEMPOTENCY_TABLE", "keys")];
        assert!(errors(&both).contains("IDEMPOTENCY_TABLE=keys"));
    }

    #[test]
    fn send_never_stands_open_to_the_network() {
        let open = [("QUEUE_URL", "jobs"), ("HTTP_ADDR", "0.0.0.0:8080")];
        assert!(worker(&open).expect_err("open").to_string().contains("SEND=off or a SEND_TOKEN"));
        assert!(worker(&[open[0], open[1], ("SEND", "off")]).is_ok());
        assert!(worker(&[open[0], open[1], ("SEND_TOKEN", "secret")]).is_ok());
        assert!(worker(&[open[0], ("HTTP_ADDR", "[::1]:0")]).is_ok());
    }

    #[test]
    fn the_http_function_never_stands_open_but_behind_iam() {
        let front = |variables: &[(&str, &str)]| {
            let lookup = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            Config::default().read(Host::HttpFunction, &lookup)
        };
        let queue = ("QUEUE_URL", "jobs");
        assert!(front(&[queue]).expect_err("open").to_string().contains("SEND_AUTH=iam"));
        assert!(front(&[queue, ("SEND_AUTH", "token")]).is_err());
        for closed in [("SEND_AUTH", "iam"), ("SEND_TOKEN", "secret"), ("SEND", "off")] {
            assert!(front(&[queue, closed]).is_ok(), "{closed:?}");
        }
    }

    #[test]
    fn an_empty_variable_counts_as_unset_and_the_defaults_hold() {
        let config = worker(&[("QUEUE_URL", "jobs"), ("DLQ_URL", ""), ("CONCURRENCY", " ")]).expect("good");
        assert_eq!((config.dlq_url, config.worker.concurrency, config.worker.prefetch), (None, 10, None));
        assert_eq!(config.worker.receive_min_room, 10);
        for (text, prefetch) in [("auto", None), ("0", Some(0)), ("2", Some(2))] {
            let config = worker(&[("QUEUE_URL", "jobs"), ("PREFETCH", text)]).expect("good");
            assert_eq!(config.worker.prefetch, prefetch);
        }
    }
}
