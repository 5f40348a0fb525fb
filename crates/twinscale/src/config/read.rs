//! The settings, one by one: which variable, within which bounds, and what contradicts what.

use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::reader::Reader;
use super::{
    Backoff, Config, FunctionConfig, HttpConfig, IdempotencyConfig, IdempotencyStore, LogConfig, SendAuth, WorkerConfig,
};

/// Reads every setting; one that is not set stays as `base` has it.
pub(super) fn read(from: &mut Reader, base: Config) -> Config {
    Config {
        queue_url: from.text("QUEUE_URL").or(base.queue_url),
        dlq_url: from.text("DLQ_URL").or(base.dlq_url),
        journal_queue_url: from.text("JOURNAL_QUEUE_URL").or(base.journal_queue_url),
        attempt_timeout: from.millis("ATTEMPT_TIMEOUT_MS", base.attempt_timeout, 10..=600_000),
        worker: read_worker(from, base.worker),
        handler_timeout: from
            .optional("HANDLER_TIMEOUT_MS", 1..=43_200_000)
            .map(Duration::from_millis)
            .or(base.handler_timeout),
        backoff: read_backoff(from, base.backoff),
        unwrap_sns: from.switch("UNWRAP_SNS", base.unwrap_sns),
        idempotency: read_idempotency(from, base.idempotency),
        http: HttpConfig {
            addr: from.parsed("HTTP_ADDR", base.http.addr, "write an address and a port, such as 127.0.0.1:8080"),
            addr_file: from.text("HTTP_ADDR_FILE").map(PathBuf::from).or(base.http.addr_file),
            admin_addr: from.parsed(
                "ADMIN_ADDR",
                base.http.admin_addr,
                "write an address and a port, such as 127.0.0.1:8081",
            ),
            admin_addr_file: from.text("ADMIN_ADDR_FILE").map(PathBuf::from).or(base.http.admin_addr_file),
            close_delay: from.millis("HTTP_CLOSE_DELAY_MS", base.http.close_delay, 0..=600_000),
            send: from.switch("SEND", base.http.send),
            send_token: from.text("SEND_TOKEN").or(base.http.send_token),
            send_auth: match base.http.send_auth {
                SendAuth::Token => send_auth(from.one_of("SEND_AUTH", "token", SEND_AUTHS)),
                SendAuth::Iam => send_auth(from.one_of("SEND_AUTH", "iam", SEND_AUTHS)),
            },
            send_limit: from.count("SEND_LIMIT", base.http.send_limit, 1..=1_000_000),
        },
        function: FunctionConfig {
            deadline_margin: from.millis("DEADLINE_MARGIN_MS", base.function.deadline_margin, 0..=60_000),
            concurrency: from.count("FUNCTION_CONCURRENCY", base.function.concurrency, 1..=10_000),
            metrics: from.switch("FUNCTION_METRICS", base.function.metrics),
        },
        log: LogConfig {
            json: from.one_of("LOG_FORMAT", if base.log.json { "json" } else { "text" }, &["json", "text"]) == "json",
            collector: read_collector(from).or(base.log.collector),
            filter: read_filter(from, base.log.filter),
        },
    }
}

const SEND_AUTHS: &[&str] = &["token", "iam"];

fn send_auth(word: &str) -> SendAuth {
    if word == "iam" { SendAuth::Iam } else { SendAuth::Token }
}

fn read_worker(from: &mut Reader, base: WorkerConfig) -> WorkerConfig {
    let concurrency = from.count("CONCURRENCY", base.concurrency, 1..=10_000);
    let concurrency_floor = from.count("CONCURRENCY_FLOOR", base.concurrency_floor, 1..=10_000);
    if concurrency_floor > concurrency {
        from.wrong("CONCURRENCY_FLOOR", &concurrency_floor.to_string(), "write no more than CONCURRENCY");
    }
    WorkerConfig {
        receive: from.switch("RECEIVE", base.receive),
        concurrency,
        prefetch: read_prefetch(from, base.prefetch),
        most_bytes: from.count("MAX_IN_HAND_MIB", base.most_bytes >> 20, 1..=1 << 20) << 20,
        receive_min_room: from.count("RECEIVE_MIN_ROOM", base.receive_min_room, 1..=10),
        receive_linger: from.millis("RECEIVE_LINGER_MS", base.receive_linger, 0..=86_400_000),
        wait_time: from.secs("WAIT_TIME_SECS", base.wait_time, 0..=20),
        delete_linger: from.millis("DELETE_LINGER_MS", base.delete_linger, 0..=60_000),
        visibility_timeout: from
            .optional("VISIBILITY_TIMEOUT_SECS", 1..=43_200)
            .map(Duration::from_secs)
            .or(base.visibility_timeout),
        heartbeat: from.switch("HEARTBEAT", base.heartbeat),
        heartbeat_every: from
            .optional("HEARTBEAT_MS", 10..=21_600_000)
            .map(Duration::from_millis)
            .or(base.heartbeat_every),
        drain_budget: from.millis("DRAIN_BUDGET_MS", base.drain_budget, 0..=86_400_000),
        adaptive_concurrency: from.switch("ADAPTIVE_CONCURRENCY", base.adaptive_concurrency),
        concurrency_floor,
        exit_when_idle: from
            .optional("EXIT_WHEN_IDLE_SECS", 1..=86_400)
            .map(Duration::from_secs)
            .or(base.exit_when_idle),
    }
}

/// What a queue and those beside it cannot be to each other, as far as their names tell: `.fifo` is of FIFO queues alone.
pub(super) fn contradictions_of_queues(from: &mut Reader, config: &Config) {
    let is_fifo = |url: &str| url.ends_with(".fifo");
    if let (Some(queue), Some(dead)) = (&config.queue_url, &config.dlq_url)
        && is_fifo(queue) != is_fifo(dead)
    {
        let kind = if is_fifo(queue) { "a FIFO queue" } else { "a standard queue" };
        from.wrong("DLQ_URL", dead, &format!("write {kind}, as QUEUE_URL is: the other kind takes no message of it"));
    }
    if let Some(journal) = config.journal_queue_url.as_ref().filter(|url| is_fifo(url)) {
        from.wrong("JOURNAL_QUEUE_URL", journal, "write a standard queue: records have no group");
    }
}

/// What of receiving and holding cannot be together.
pub(super) fn contradictions_of_receiving(from: &mut Reader, config: &Config) {
    let worker = &config.worker;
    if worker.receive && config.attempt_timeout <= worker.wait_time {
        let wait = worker.wait_time.as_secs();
        let advice = format!(
            "write more than WAIT_TIME_SECS={wait}, in milliseconds: each long poll would be cut, and what it brings stays \
             invisible until its visibility timeout"
        );
        from.wrong("ATTEMPT_TIMEOUT_MS", &config.attempt_timeout.as_millis().to_string(), &advice);
    }
    if let (Some(visibility), Some(every)) = (worker.visibility_timeout, worker.heartbeat_every)
        && worker.heartbeat
        && every >= visibility
    {
        let advice = format!(
            "write less than VISIBILITY_TIMEOUT_SECS={}, in milliseconds: messages would be given out again before they are \
             extended",
            visibility.as_secs()
        );
        from.wrong("HEARTBEAT_MS", &every.as_millis().to_string(), &advice);
    }
}

fn read_prefetch(from: &mut Reader, base: Option<usize>) -> Option<usize> {
    match from.text("PREFETCH").as_deref() {
        None => base,
        Some("auto") => None,
        Some(_) => from.optional("PREFETCH", 0..=10_000).map(|messages| messages as usize),
    }
}

fn read_collector(from: &mut Reader) -> Option<(String, String)> {
    let endpoint = from.text("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    if !endpoint.starts_with("http://") {
        let advice = "write the http:// URL of a collector beside this process, such as http://127.0.0.1:4318";
        from.wrong("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint, advice);
    }
    Some((endpoint, from.text("OTEL_SERVICE_NAME").unwrap_or_else(|| "twinscale".to_owned())))
}

fn read_filter(from: &mut Reader, base: String) -> String {
    let level = from.one_of("LOG_LEVEL", &base, &["info", "debug", "trace", "warn", "error", "off"]).to_owned();
    let Some(filter) = from.text("RUST_LOG") else { return level };
    if EnvFilter::try_new(&filter).is_err() {
        from.wrong("RUST_LOG", &filter, "write a filter, such as warn,twinscale=debug");
    }
    filter
}

fn read_backoff(from: &mut Reader, unset: Backoff) -> Backoff {
    let base = from.secs("BACKOFF_BASE_SECS", unset.base, 0..=43_200);
    let max = from.secs("BACKOFF_MAX_SECS", unset.max, 0..=43_200);
    if base > max {
        from.wrong("BACKOFF_MAX_SECS", &max.as_secs().to_string(), "write no less than BACKOFF_BASE_SECS");
    }
    Backoff { base, max }
}

fn read_idempotency(from: &mut Reader, base: IdempotencyConfig) -> IdempotencyConfig {
    let memory = from.one_of("IDEMPOTENCY", "off", &["off", "memory"]) == "memory";
    let store = match from.text("IDEMPOTENCY_TABLE") {
        None if memory => IdempotencyStore::Memory,
        None if from.text("IDEMPOTENCY").is_some() => IdempotencyStore::Off,
        None => base.store,
        Some(table) => {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_.-:/".contains(c);
            if memory {
                from.wrong("IDEMPOTENCY_TABLE", &table, "leave it out, or IDEMPOTENCY=memory: one store is enough");
            } else if !(3..=1024).contains(&table.len()) || !table.chars().all(allowed) {
                from.wrong("IDEMPOTENCY_TABLE", &table, "write the name or the ARN of a DynamoDB table");
            }
            IdempotencyStore::Table(table)
        }
    };
    IdempotencyConfig {
        store,
        lease: from.secs("IDEMPOTENCY_LEASE_SECS", base.lease, 1..=43_200),
        ttl: from.secs("IDEMPOTENCY_TTL_SECS", base.ttl, 60..=31_536_000),
    }
}
