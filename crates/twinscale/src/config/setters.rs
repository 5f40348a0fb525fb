//! Setters of what services set in code. Each says which variable wins over it.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Config, IdempotencyStore};

macro_rules! setters {
    ($($(#[doc = $doc:literal])* $name:ident($value:ident: $of:ty) $set:expr;)*) => {
        impl Config {
            $($(#[doc = $doc])*
            #[must_use]
            pub fn $name(mut self, $value: $of) -> Self {
                let set: fn(&mut Config, $of) = $set;
                set(&mut self, $value);
                self
            })*
        }
    };
}

setters! {
    /// URL or name of the queue (`QUEUE_URL`).
    queue_url(url: String) |config, url| config.queue_url = Some(url);
    /// Where rejected messages go (`DLQ_URL`).
    dlq_url(url: String) |config, url| config.dlq_url = Some(url);
    /// Handlers that run at once in a worker (`CONCURRENCY`).
    concurrency(handlers: usize) |config, handlers| config.worker.concurrency = handlers;
    /// Handlers that run at once within a function's batch (`FUNCTION_CONCURRENCY`).
    function_concurrency(handlers: usize) |config, handlers| config.function.concurrency = handlers;
    /// A handler that takes longer is aborted, and its message retried (`HANDLER_TIMEOUT_MS`).
    handler_timeout(longest: Duration) |config, longest| config.handler_timeout = Some(longest);
    /// Time that work in hand has left after SIGTERM (`DRAIN_BUDGET_MS`).
    drain_budget(budget: Duration) |config, budget| config.worker.drain_budget = budget;
    /// Visibility timeout that a worker asks for (`VISIBILITY_TIMEOUT_SECS`).
    visibility_timeout(visibility: Duration) |config, visibility| config.worker.visibility_timeout = Some(visibility);
    /// The long poll (`WAIT_TIME_SECS`), at most 20 s.
    wait_time(wait: Duration) |config, wait| config.worker.wait_time = wait;
    /// The first retry waits up to this long (`BACKOFF_BASE_SECS`).
    backoff_base(base: Duration) |config, base| config.backoff.base = base;
    /// No retry waits longer (`BACKOFF_MAX_SECS`).
    backoff_max(max: Duration) |config, max| config.backoff.max = max;
    /// Where it is remembered which messages are done (`IDEMPOTENCY`, `IDEMPOTENCY_TABLE`).
    idempotency(store: IdempotencyStore) |config, store| config.idempotency.store = store;
    /// The handler sees the notification inside an SNS envelope (`UNWRAP_SNS`).
    unwrap_sns(unwrap: bool) |config, unwrap| config.unwrap_sns = unwrap;
    /// Where the worker serves HTTP (`HTTP_ADDR`).
    http_addr(addr: SocketAddr) |config, addr| config.http.addr = addr;
    /// Where the worker answers for its health and metrics (`ADMIN_ADDR`).
    admin_addr(addr: SocketAddr) |config, addr| config.http.admin_addr = addr;
    /// Whether `POST /send` is there (`SEND`).
    send(is_there: bool) |config, is_there| config.http.send = is_there;
}
